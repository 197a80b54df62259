"""What speaks for a passage: a function for each signal.

Each gives a whole number a passage, in millionths: 0 for nothing, about 1,000,000 for the most that the signal can say
(`words` can reach k1 + 1 times that). It knows neither its weight nor the other signals, and what it gives a passage
does not depend on which others were found. Ranking adds them up, each times its weight: a convex combination with
theoretical bounds (Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval").
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gallump_lab.config import Recall
from gallump_lab.lazy import np
from gallump_lab.memory import vectors
from gallump_lab.memory.asked import Asked, Spans
from gallump_lab.memory.corpus import ASSISTANT, USER
from gallump_lab.memory.kinds import FIGURES, WISH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gallump_lab.memory.asked import Ints
    from gallump_lab.memory.corpus import Places, View

MILLION = 1_000_000

WORDS_BESIDE = {-1: 0.8, -2: 0.5, -3: 0.3, 1: 0.6, 2: 0.4, 3: 0.2}
"""What a term is worth that stands so many passages before (negative) or after the one that is scored."""
MEANING_BESIDE = {-1: 5, -2: 3, -3: 1, 1: 4, 2: 2, 3: 1}
"""How much of a neighbour's vector is mixed into a passage's, in tenths."""
BEFORE, AFTER = (days * timedelta(days=1) // timedelta(microseconds=1) for days in (1, 10))
"""So near before and after a time one speaks of it too (1 and 10 days, in microseconds); that counts half."""
HALF_LIFE = 90 * 86_400 * 1_000_000
"""After so many microseconds (90 days) a passage's recency has halved: hyperbolic, 1 / (1 + age / half-life)."""
ACROSS = 0.5
"""What is left of what a passage lends to its neighbour of the other role."""
UNSTATED = 3
"""So many tenths of its likeness a passage loses that states nothing."""
TO_ASSISTANT = 600_000
"""For the assistant's words, where they are asked for (an analyst's own have a million elsewhere)."""
_BLOCKS = 64


def words(asked: Asked, places: "Places") -> "Ints":
    """Return each passage's share of what the question's words weigh, 0 to (k1 + 1) millionths.

    A conversation spreads over turns: the answer often stands beside the words that were asked for. So each term of the
    question counts once for a passage, where it stands best: in the passage itself, if it states something there, or,
    for less, in one of the three before or after it in its session, and for half of that across from the analyst to
    the assistant. A question so lends its words to its answer and keeps none. The term's share is BM25's (Robertson and
    Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond"), and the sum is taken relative to all that
    the question's terms weigh.
    """
    view, score = asked.view, np.zeros(len(places), np.int64)
    total = sum(found.idf for found in asked.found)
    if not total:
        return score
    around = [places, *(view.beside(places, steps) for steps in WORDS_BESIDE)]
    across = [_across(view, places, side) for side in around[1:]]
    worths = [
        asked.settings.neighbours * worth * part for worth, part in zip(WORDS_BESIDE.values(), across, strict=True)
    ]
    needed, where, wanted = _distinct(around, len(view))
    for found in asked.found:
        held = np.flatnonzero(wanted[found.places])
        at = found.places[held]
        shares, stated = np.zeros(len(needed)), np.zeros(len(needed))
        there = np.searchsorted(needed, at)
        shares[there] = _share(found.frequency[held], view.terms[at], view.mean, asked.settings)
        stated[there] = shares[there] * found.stated[held]
        best = stated[where[0]]
        for worth, rows in zip(worths, where[1:], strict=True):
            best = np.maximum(best, worth * shares[rows])
        score += np.rint(MILLION * found.idf / total * best).astype(np.int64)
    return score


def _distinct(around: "Sequence[Places]", size: int) -> "tuple[Places, NDArray[np.int32], NDArray[np.bool_]]":
    """Return the different ones of some places in order, `NONE` as `size`, the row of each, and which they are."""
    given, there, row = np.stack(around), np.zeros(size + 1, bool), np.empty(size + 1, np.int32)
    there[given] = True
    needed = np.flatnonzero(there)
    row[needed] = np.arange(len(needed))
    return needed, row[given], there


def _across(view: "View", places: "Places", side: "Places") -> "NDArray[np.float64]":
    """Return what a neighbour lends of what it has: all to the same role, half to the other."""
    return np.where(view.role[places] == view.role[side], 1.0, ACROSS)


def _share(
    frequency: "NDArray[np.integer]", length: "NDArray[np.integer]", mean: float, settings: Recall
) -> "NDArray[np.float64]":
    """Return BM25's saturated frequency of a term in passages of so many terms, 0 to k1 + 1."""
    k1, b = settings.k1, settings.b
    return frequency * (k1 + 1) / (frequency + k1 * (1 - b + b * (length / mean)))


def meaning(asked: Asked, places: "Places") -> "Ints":
    """Return the cosine of the question's vector and each passage's, in millionths, 0 where it points away.

    Into a passage's vector, which is a constant of its text, its neighbours' are mixed. What states nothing has less.
    """
    view, question = asked.view, asked.vector().astype(np.float64)
    sides = [view.beside(places, steps) for steps in MEANING_BESIDE]
    needed, where, _ = _distinct([places, *sides], len(view))
    decoded = vectors.decode(view.codes[np.minimum(needed, len(view) - 1)])
    decoded[needed == len(view)] = 0
    mixed = 20 * decoded[where[0]]
    for part, side, rows in zip(MEANING_BESIDE.values(), sides, where[1:], strict=True):
        lent = np.rint(2 * asked.settings.neighbours * part * _across(view, places, side)).astype(np.int16)
        mixed += lent[:, None] * decoded[rows]
    both = mixed.astype(np.float64)  # whole numbers below 2**53 throughout, so the order of summing does not matter
    norm = np.sqrt((both * both).sum(1)) * np.sqrt((question * question).sum())
    cosine = np.maximum(np.rint(MILLION * (both @ question) / np.maximum(norm, 1)), 0).astype(np.int64)
    length = 10 * np.maximum(view.terms[places], 1).astype(np.int64)
    found: Ints = cosine * (length - UNSTATED * (view.terms[places] - view.stated[places])) // length
    return found


def speaker(asked: Asked, places: "Places") -> "Ints":
    """Return a million to what a speaker said whom the question names."""
    return _million(asked.view.speaker[places], asked.speakers)


def role(asked: Asked, places: "Places") -> "Ints":
    """Return a million to an analyst's own words, or, where the assistant's are asked for, less to those.

    What analysts said of their own plans is where the evidence is; the assistant's long advice says much the same in
    other words and would crowd it out.
    """
    if asked.of_assistant:
        return _million(asked.view.role[places], [ASSISTANT]) * TO_ASSISTANT // MILLION
    return _million(asked.view.role[places], [USER]) * (asked.view.stated[places] > 0)


def figures(asked: Asked, places: "Places") -> "Ints":
    """Return a million to what holds figures, where a figure is wanted."""
    return MILLION * (asked.figure * (asked.view.traits[places] & FIGURES) > 0).astype(np.int64)


def wishes(asked: Asked, places: "Places") -> "Ints":
    """Return a million to an analyst's standing wishes and rules."""
    return MILLION * ((asked.view.traits[places] & WISH) > 0).astype(np.int64)


def symbol(asked: Asked, places: "Places") -> "Ints":
    """Return a million to a passage that names a symbol of the question, half of it where only its message does.

    A message that names none counts as being about the one that was given with it. Where nothing else tells of what a
    level is asked for, it is `BARE` times as much.
    """
    view, naming = asked.view, asked.naming
    message = _among(view.message_id[places], view.message_id[naming])
    message |= np.isin(view.symbol[places], np.array(asked.symbols, np.uint64))
    half = MILLION // 2 * (BARE if asked.bare else 1)
    found: Ints = half * (message.astype(np.int64) + _among(places, naming))
    return found


def time(asked: Asked, places: "Places") -> "Ints":
    """Return a million for what was said in a time that the question names, half of it for what was said near it."""
    said = asked.view.created_at[places]
    near = np.zeros(len(places), bool)
    for begin, end in asked.spans:
        near |= (said >= begin - BEFORE) & (said < end + AFTER)
    return 500_000 * near.astype(np.int64) + 500_000 * within(said, asked.spans)


def recency(asked: Asked, places: "Places") -> "Ints":
    """Return a million to what was said just now, half of it to what was said a half-life ago."""
    return decay(asked.view.created_at[places], asked.at)


def answered(asked: Asked, places: "Places") -> "Ints":
    """Return a million to what the reply to an earlier, similar question rested on."""
    return np.array([asked.answered.get(place, 0) for place in places.tolist()], np.int64)


def hints(asked: Asked, places: "Places") -> "Ints":
    """Return what hints give, up to a million where one holds all that the question's words weigh."""
    return np.array([asked.hints.get(place, 0) for place in places.tolist()], np.int64)


SIGNALS: "dict[str, Callable[[Asked, Places], Ints]]" = {
    "words": words,
    "meaning": meaning,
    "speaker": speaker,
    "role": role,
    "symbol": symbol,
    "dates": time,
    "recency": recency,
    "figures": figures,
    "wishes": wishes,
    "answered": answered,
    "hints": hints,
}
"""The signals by name; `Recall` has a weight of the same name for each."""
ABOUT = ("words", "meaning", "speaker", "symbol", "dates", "answered", "hints")
"""The signals that tell whether a passage has to do with the question at all."""
COLUMNS = (*SIGNALS, "message", "far")
"""What a passage's score is the sum of: the signals, what its message's best passage lends it, and `FAR`."""
BARE = 10
"""How much more the symbol counts for "where is my stop?" than beside words that say more."""
FAR = -100 * MILLION
"""Put to the score of what has too little to do with the question, or too much less than the best."""
BESIDE_BEST = 150_000
"""So far behind the best passage of its message the others may come."""


def _million(values: "NDArray[Any]", wanted: list[int]) -> "Ints":
    """Return a million where a value is one of those that are wanted."""
    found: Ints = MILLION * np.isin(values, np.array(wanted, values.dtype)).astype(np.int64)
    return found


def _among(values: "Ints", wanted: "Ints") -> "NDArray[np.bool_]":
    """Return of each value whether it is one of those that are wanted, which are sorted."""
    if not len(wanted):
        return np.zeros(len(values), bool)
    found: NDArray[np.bool_] = wanted.take(np.searchsorted(wanted, values), mode="clip") == values
    return found


def within(said: "Ints", spans: Spans) -> "NDArray[np.bool_]":
    """Return of each time, microseconds since 1970, whether it lies in one of the spans."""
    inside: NDArray[np.bool_] = np.searchsorted(np.ravel(spans), said, side="right") % 2 == 1
    return inside


def decay(said: "Ints", at: int) -> "Ints":
    """Return a million for a time that is now, half of it for one a half-life ago; microseconds since 1970."""
    found: Ints = MILLION * HALF_LIFE // (HALF_LIFE + np.maximum(at - said, 0))
    return found


def plain_words(asked: Asked) -> "NDArray[Any]":
    """Return every passage's plain BM25."""
    view, most_points = asked.view, MILLION * (asked.settings.k1 + 1) * sum(found.idf for found in asked.found)
    score = np.zeros(len(view), np.int32 if most_points < 2**30 else np.int64)  # half of it is read in half the time
    lengths = np.arange(view.terms.max() + 1)
    for found in asked.found:
        if len(found.places):
            often = np.arange(1, found.frequency.max() + 1)[:, None]
            shares = _share(often, lengths, view.mean, asked.settings)  # few frequencies, few lengths, many passages
            points = np.rint(MILLION * found.idf * shares).astype(score.dtype)
            which = view.terms.take(found.places)
            which += (found.frequency - np.uint16(1)) * np.int32(len(lengths))
            np.add.at(score, found.places, points.ravel().take(which))
    return score


def nearness(asked: Asked) -> "NDArray[Any]":
    """Return in how many signs every passage's code is like the question's, and one more; 0 where that has no code."""
    (code,) = vectors.encode(asked.vector()[None])
    if not code.any():
        return np.zeros(len(asked.view), np.int16)
    return vectors.DIMENSIONS + 1 - vectors.distance(asked.view.codes, code)


def top(score: "NDArray[Any]", most: int) -> "Places":
    """Return the places that score highest, and above 0; earlier ones first among equals, in order of place."""
    least, columns = 1, len(score) // _BLOCKS
    if columns > most:  # so many columns hold such a score at least, so the highest are not below it
        peaks = score[: _BLOCKS * columns].reshape(_BLOCKS, columns).max(0)
        least = max(least, int(np.partition(peaks, columns - most)[columns - most]))
    places = np.flatnonzero(score >= least)
    if len(places) <= most:
        return places
    scores = score[places]
    last = np.partition(scores, len(scores) - most)[len(scores) - most]
    sure = places[scores > last]
    return np.sort(np.concatenate([sure, places[scores == last][: most - len(sure)]]))

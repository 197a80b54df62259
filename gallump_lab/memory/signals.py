"""What speaks for a passage: a question taken apart, and a function for each signal.

Each gives a whole number a passage, in millionths: 0 for nothing, about 1,000,000 for the most that the signal can say
(`words` can reach k1 + 1 times that). It knows neither its weight nor the other signals, and what it gives a passage
does not depend on which others were found. Ranking adds them up, each times its weight: a convex combination with
theoretical bounds (Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval").
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from gallump_lab.config import Recall
from gallump_lab.lazy import np
from gallump_lab.memory import text, vectors
from gallump_lab.memory.corpus import ASSISTANT, NONE, USER
from gallump_lab.memory.kinds import ASKED, FIGURES, WISH, asks_assistant, asks_figure, asks_many
from gallump_lab.memory.text import term_id, terms
from gallump_lab.reading import dates, names
from gallump_lab.store.times import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import Places, View
    from gallump_lab.memory.records import AsOf

    Ints = NDArray[np.int64]
    Postings = dict[int, tuple[Places, NDArray[np.uint16]]]

MILLION = 1_000_000

Spans = list[tuple[int, int]]
"""Times from (included) and to (excluded), in microseconds since 1970, one after the other."""

QUERY_TERMS = 64
"""Of a long question so many different terms are matched: those that occur in it most often, earlier ones first."""
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
_PROPER = re.compile(r"(?<=[a-z,] )[A-Z][\w'&-]{2,}")
"""What is written as a name where no sentence begins."""
_OF_TALK = frozenset(
    terms("say said says tell told talk talked mention mentioned discuss discussed speak spoke remind")
)
"""These say nothing of what was said."""
_BLOCKS = 64


@dataclass(frozen=True, kw_only=True)
class TermPlaces:
    """Where a term stands."""

    idf: float
    places: "Places"
    """The passages that hold it."""
    frequency: "NDArray[np.uint16]"
    """How often it stands in each."""
    stated: "NDArray[np.bool_]"
    """Whether it stands there in what states something."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, taken apart, and the passages among which it is asked."""

    view: "View"
    words: list[str]
    """What it asks for, without the names and dates that only say whom and when."""
    found: list[TermPlaces]
    """The same words' terms, where they stand."""
    vector: "Callable[[], Ints]"
    """Gives its vector, scaled to a length of about 1,000; zeros if it has no words. Words count by their rarity."""
    speakers: list[int]
    """Hashes of the speakers whom it names."""
    symbols: list[int]
    """The hashes of the symbols that it is about, as the view has them."""
    naming: "Places"
    """The passages that name one of them, in order."""
    spans: Spans
    """The times that it names."""
    at: int
    """When it is asked, in microseconds since 1970."""
    settings: Recall
    of_assistant: bool
    """Whether it wants what the assistant said."""
    many: bool
    """Whether it wants many pieces."""
    figure: bool
    """Whether it wants a figure."""
    strange: bool
    """Whether it names a symbol, or another name, that nobody has spoken of."""
    weights: "Mapping[str, int]"
    """What each of its terms weighs, in millionths, whether anything holds it or not."""
    hints: "Mapping[int, int]"
    """What the best hint to a passage gives it, by its place."""


def needed(question: str, symbols: Collection[str] = ()) -> list[int]:
    """Return the numbers of the terms whose postings a question about some symbols needs."""
    found = [term_id(term) for term, _ in Counter(terms(question)).most_common(QUERY_TERMS)]
    return [*dict.fromkeys((*found, *_naming(symbols)))]


def _naming(symbols: Collection[str]) -> list[int]:
    """Return the numbers of the terms that name symbols: in lower case too, before the lab knew it as one."""
    low = (term for symbol in map(names.key, symbols) if names.plain(symbol) for term in terms(symbol.lower()))
    return [*map(text.symbol_id, symbols), *map(term_id, low)]


def about(view: "View", question: str, given: Collection[str], known: Collection[str] = ()) -> list[str]:
    """Return the symbols that a question is about at a moment: those that it names, or where it names none, the given.

    Well-known symbols count, those that were given or are `known`, and those of the messages until then.
    """
    low = question.lower()
    there = (
        symbol
        for symbol, number in view.symbols.items()
        if names.key(symbol).lower() in low and (view.symbol == number).any()
    )
    return names.reader(frozenset((*given, *known, *there))).all(question) or [*given]


def rarity(passages: int, holding: int) -> float:
    """Weigh a term by how rare it is, as Lucene does: ln(1 + (N - df + 0.5) / (df + 0.5))."""
    return math.log1p((passages - holding + 0.5) / (holding + 0.5))


def named_times(question: str, moment: "AsOf") -> tuple[Spans, str]:
    """Return the times that a question asks for at a moment, and the question without the words that name them."""
    spans, rest = dates.spans(question, moment.now)
    return [(microseconds(begin), microseconds(end)) for begin, end in spans], rest


def ask(  # noqa: PLR0913 (a question's givens)
    view: "View",
    question: str,
    *,
    postings: "Postings",
    symbols: Collection[str],
    moment: "AsOf",
    settings: Recall,
) -> Asked:
    """Take a question apart; `postings` says for each of its terms which places hold it and how often."""
    plain = text.plain(question)
    speakers = [
        name
        for name, key in view.speakers.items()
        if re.search(rf"\b{re.escape(name)}\b", plain, re.IGNORECASE) and (view.speaker == key).any()
    ]
    spans, rest = named_times(question, moment)
    dropped = {term for name in speakers for term in terms(name)}
    said = [word for word in text.words(rest) if not dropped.issuperset(terms(word))]
    kept = [word for word in said if not _OF_TALK.issuperset(terms(word))] or ([] if spans else said)
    keys = {*map(names.key, symbols)}
    called = [span for span in names.reader(frozenset(symbols)).spans(question) if names.key(span[2]) in keys]
    meant = {term_id(term): symbol for begin, end, symbol in called for term in terms(question[begin:end])}
    known = {}
    for number, own in postings.items():  # what names MU holds "micron" too, once
        places, often = _union([own, *(postings[n] for n in _naming([meant[number]]))]) if number in meant else own
        known[number] = TermPlaces(
            idf=rarity(len(view), len(own[0]) or len(places)),
            places=places,
            frequency=often & np.uint16(ASKED - 1),
            stated=often < ASKED,
        )
    rarest = rarity(len(view), 0)

    def idf(word: str) -> float:
        return max((known[n].idf if n in known else rarest for n in map(term_id, terms(word))), default=rarest)

    @cache
    def vector() -> "Ints":
        if not kept:
            return np.zeros(vectors.DIMENSIONS, np.int64)
        weights = {word: round(vectors.WEIGHT * idf(word)) for word in kept}
        (found,) = vectors.of(view.embedder, [" ".join(kept)], weights.__getitem__)
        length = max(math.isqrt(sum(value * value for value in found.tolist())), 1)  # 64 bits would not do
        scaled: Ints = np.rint(1000 * found / length).astype(np.int64)
        return scaled

    spoken = [key for name, key in view.symbols.items() if names.key(name) in keys]
    naming = np.unique(np.concatenate([postings[n][0] for n in _naming(symbols)] or [np.zeros(0, np.int64)]))
    proper = (term_id(term) for name in _PROPER.findall(rest) for term in terms(name) if term not in dropped)
    strange = (
        not (len(naming) or np.isin(view.symbol, np.array(spoken, np.uint64)).any())
        if called
        else any(number in known and not len(known[number].places) for number in proper)
    )
    wanted = dict.fromkeys(term_id(term) for word in kept for term in terms(word))
    return Asked(
        view=view,
        words=kept,
        found=[known[number] for number in wanted if number in known],
        vector=vector,
        speakers=[view.speakers[name] for name in speakers],
        symbols=spoken,
        naming=naming,
        spans=spans,
        at=microseconds(moment.now),
        settings=settings,
        of_assistant=asks_assistant(question),
        many=asks_many(question),
        figure=asks_figure(question),
        strange=strange,
        weights={term: round(MILLION * idf(word)) for word in kept for term in terms(word)},
        hints={},
    )


def _union(found: "Sequence[tuple[Places, NDArray[np.uint16]]]") -> "tuple[Places, NDArray[np.uint16]]":
    """Return the places of any of some postings, in order, each with how often the first of them has it."""
    places, first = np.unique(np.concatenate([places for places, _ in found]), return_index=True)
    return places, np.concatenate([often for _, often in found])[first]


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
    needed, where = np.unique(np.concatenate(around), return_inverse=True)
    where = where.reshape(len(around), len(places))
    wanted = np.zeros(len(view), bool)
    wanted[needed[needed != NONE]] = True
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
    needed, where = np.unique(np.concatenate([places, *sides]), return_inverse=True)
    decoded = vectors.decode(view.codes[needed])
    decoded[needed == NONE] = 0
    where = where.reshape(len(sides) + 1, len(places))
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

    A message that names none counts as being about the one that was given with it.
    """
    view, naming = asked.view, asked.naming
    message = _among(view.message_id[places], view.message_id[naming])
    message |= np.isin(view.symbol[places], np.array(asked.symbols, np.uint64))
    found: Ints = MILLION // 2 * (message.astype(np.int64) + _among(places, naming))
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
    "hints": hints,
}
"""The signals by name; `Recall` has a weight of the same name for each."""
ABOUT = ("words", "meaning", "speaker", "symbol", "dates", "hints")
"""The signals that tell whether a passage has to do with the question at all."""
COLUMNS = (*SIGNALS, "message", "far")
"""What a passage's score is the sum of: the signals, what its message's best passage lends it, and `FAR`."""
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


def best_by_words(asked: Asked, most: int, among: "Places | None" = None) -> "Places":
    """Return the places of the passages with the highest plain BM25, of all or among some."""
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
    return _top(score, most) if among is None else among[_top(score[among], most)]


def nearest_in_meaning(asked: Asked, most: int, among: "Places | None" = None) -> "Places":
    """Return the places whose codes differ least from the question's, of all or among some."""
    (code,) = vectors.encode(asked.vector()[None])
    if not code.any():
        return np.zeros(0, np.int64)
    codes = asked.view.codes
    nearness = vectors.DIMENSIONS + 1 - vectors.distance(codes, code)
    found = _top(nearness, most) if among is None else among[_top(nearness[among], most)]
    return found[codes[found].any(1)]


def _top(score: "NDArray[Any]", most: int) -> "Places":
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

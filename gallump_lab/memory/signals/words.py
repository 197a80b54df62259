"""Words in common: BM25 in its surroundings.

A conversation spreads over turns: the answer often stands beside the words that were asked for. So each term of the
question counts once for a passage, where it stands best: in the passage itself or, for less, in one of the three
before or after it in its session. The term's share is BM25's (Robertson and Zaragoza 2009, "The Probabilistic
Relevance Framework: BM25 and Beyond"), and the sum is taken relative to all that the question's terms weigh.
"""

from typing import TYPE_CHECKING, Any

from gallump_lab.memory.corpus import NONE
from gallump_lab.memory.signals.asked import MILLION, Asked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallump_lab.config import Recall
    from gallump_lab.memory.corpus import Places, View

BESIDE = {-1: 0.8, -2: 0.5, -3: 0.3, 1: 0.6, 2: 0.4, 3: 0.2}
"""What a term is worth that stands so many passages before (negative) or after the one that is scored."""


_BLOCKS = 16


def score(view: "View", places: "Places", asked: Asked) -> "NDArray[np.int64]":
    """Return each passage's share of what the question's words weigh, 0 to (k1 + 1) millionths."""
    import numpy as np

    score = np.zeros(len(places), np.int64)
    total = sum(found.idf for found in asked.found)
    if not total:
        return score
    worths = [1, *(asked.settings.neighbours * worth for worth in BESIDE.values())]
    around = [places, *(view.beside(places, steps) for steps in BESIDE)]
    needed, where = np.unique(np.concatenate(around), return_inverse=True)
    where = where.reshape(len(around), len(places))
    wanted = np.zeros(len(view), bool)
    wanted[needed[needed != NONE]] = True
    for found in asked.found:
        held = np.flatnonzero(wanted[found.places])
        at = found.places[held]
        shares = np.zeros(len(needed))
        shares[np.searchsorted(needed, at)] = share(found.frequency[held], view.terms[at], view.mean, asked.settings)
        best = np.zeros(len(places))
        for worth, rows in zip(worths, where, strict=True):
            best = np.maximum(best, worth * shares[rows])
        score += np.rint(MILLION * found.idf / total * best).astype(np.int64)
    return score


def share(
    frequency: "NDArray[np.integer]", length: "NDArray[np.integer]", mean: float, settings: "Recall"
) -> "NDArray[np.float64]":
    """Return BM25's saturated frequency of a term in passages of so many terms, 0 to k1 + 1."""
    k1, b = settings.k1, settings.b
    return frequency * (k1 + 1) / (frequency + k1 * (1 - b + b * (length / mean)))


def best(view: "View", asked: Asked, most: int) -> "Places":
    """Return the places of the passages with the highest plain BM25."""
    import numpy as np

    score = np.zeros(len(view), np.int64)
    lengths = np.arange(view.terms.max() + 1)
    for found in asked.found:
        if len(found.places):
            often = np.arange(1, found.frequency.max() + 1)[:, None]
            shares = share(often, lengths, view.mean, asked.settings)  # few frequencies, few lengths, many passages
            points = np.rint(MILLION * found.idf * shares).astype(np.int64)
            which = view.terms.take(found.places)
            which += (found.frequency - np.uint16(1)) * np.int32(len(lengths))
            np.add.at(score, found.places, points.ravel().take(which))
    return top(score, most)


def top(score: "NDArray[Any]", most: int) -> "Places":
    """Return the places that score highest, and above 0; earlier ones first among equals, in order of place."""
    import numpy as np

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

"""Words in common: BM25 in its surroundings.

A conversation spreads over turns: the answer often stands beside the words that were asked for. So each term of the
question counts once for a passage, where it stands best: in the passage itself or, for less, in one of the three
before or after it in its session. The term's share is BM25's (Robertson and Zaragoza 2009, "The Probabilistic
Relevance Framework: BM25 and Beyond"), and the sum is taken relative to all that the question's terms weigh.
"""

from typing import TYPE_CHECKING

from gallump_lab.memory.corpus import NONE
from gallump_lab.memory.signals.asked import MILLION, Asked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import Places, View

BESIDE = {-1: 0.8, -2: 0.5, -3: 0.3, 1: 0.6, 2: 0.4, 3: 0.2}
"""What a term is worth that stands so many passages before (negative) or after the one that is scored."""


def score(view: "View", places: "Places", asked: Asked) -> "NDArray[np.int64]":
    """Give each passage's share of what the question's words weigh, 0 to (k1 + 1) millionths."""
    import numpy as np

    score = np.zeros(len(places), np.int64)
    total = sum(found.idf for found in asked.found)
    if not total:
        return score
    sides = [(view.beside(places, steps), asked.settings.neighbours * worth) for steps, worth in BESIDE.items()]
    everywhere = np.zeros(len(view) + 1)  # the last is for a neighbour that is not there
    for found in asked.found:
        everywhere[found.places] = found.shares
        best = everywhere[places]
        for beside, worth in sides:
            if worth:
                best = np.maximum(best, worth * everywhere[np.where(beside == NONE, len(view), beside)])
        everywhere[found.places] = 0
        score += np.rint(MILLION * found.idf / total * best).astype(np.int64)
    return score


def best(view: "View", asked: Asked, most: int) -> "Places":
    """Give the places of the passages with the highest plain BM25."""
    import numpy as np

    score = np.zeros(len(view), np.int64)
    for found in asked.found:
        score[found.places] += np.rint(MILLION * found.idf * found.shares).astype(np.int64)
    return top(np.flatnonzero(score), score, most)


def top(places: "Places", score: "NDArray[np.int64]", most: int) -> "Places":
    """Give those of the places that score highest, earlier ones first among equals, in order of place."""
    import numpy as np

    if len(places) <= most:
        return places
    scores = score[places]
    least = np.partition(scores, len(scores) - most)[len(scores) - most]
    sure = places[scores > least]
    return np.sort(np.concatenate([sure, places[scores == least][: most - len(sure)]]))

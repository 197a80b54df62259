"""Likeness in meaning: the cosine of the question's vector and the passage's, into which its neighbours' are mixed.

The question's words count by how rare they are in the lab at the moment; a passage's vector is a constant of its
text.
"""

import math
from typing import TYPE_CHECKING

from gallump_lab.memory import vectors
from gallump_lab.memory.corpus import NONE
from gallump_lab.memory.signals.asked import MILLION, Asked
from gallump_lab.memory.signals.words import top

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import Places, View

BESIDE = {-1: 5, -2: 3, -3: 1, 1: 4, 2: 2, 3: 1}
"""How much of a neighbour's vector is mixed into a passage's, in tenths."""


def score(view: "View", places: "Places", asked: Asked) -> "NDArray[np.int64]":
    """Return each passage's cosine in millionths, 0 where it points away."""
    import numpy as np

    question = vector(view, asked).astype(np.float64)
    sides = [(view.beside(places, steps), round(asked.settings.neighbours * part)) for steps, part in BESIDE.items()]
    needed, where = np.unique(np.concatenate([places, *(beside for beside, _ in sides)]), return_inverse=True)
    decoded = vectors.decode(view.codes[needed])
    decoded[needed == NONE] = 0
    where = where.reshape(len(sides) + 1, len(places))
    # Whole numbers below 2**53 throughout, so the order of summing does not matter.
    mixed = 10 * decoded[where[0]]
    for (_, part), rows in zip(sides, where[1:], strict=True):
        mixed += part * decoded[rows]
    norm = np.sqrt((mixed * mixed).sum(1)) * np.sqrt((question * question).sum())
    cosine = np.rint(MILLION * (mixed @ question) / np.maximum(norm, 1))
    found: NDArray[np.int64] = np.maximum(cosine, 0).astype(np.int64)
    return found


def nearest(view: "View", asked: Asked, most: int) -> "Places":
    """Return the places whose codes differ least from the question's."""
    import numpy as np

    (code,) = vectors.encode(vector(view, asked)[None])
    if not code.any():
        return np.zeros(0, np.int64)
    found = top(vectors.DIMENSIONS + 1 - vectors.distance(view.codes, code), most)
    return found[view.codes[found].any(1)]


def vector(view: "View", asked: Asked) -> "NDArray[np.int64]":
    """Return the question's vector, scaled to a length of about 1,000."""
    import numpy as np

    if not asked.words:
        return np.zeros(vectors.DIMENSIONS, np.int64)
    weights = {word: round(vectors.WEIGHT * asked.idf(word)) for word in asked.words}
    (found,) = vectors.of(view.embedder, [" ".join(asked.words)], weights.__getitem__)
    length = max(math.isqrt(sum(value * value for value in found.tolist())), 1)  # of any length: 64 bits would not do
    scaled: NDArray[np.int64] = np.rint(1000 * found / length).astype(np.int64)
    return scaled

"""What speaks for a passage: each signal a module with one function, `score`.

`score(view, places, asked)` gives a whole number a passage, in millionths: 0 for nothing, about 1,000,000 for the
most that the signal can say (`words` can reach k1 + 1 times that). It knows neither its weight nor the other
signals, and what it gives a passage does not depend on which others were found. Ranking adds them up, each times its
weight: a convex combination with theoretical bounds (Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions
for Hybrid Retrieval").
"""

from typing import TYPE_CHECKING

from gallump_lab.memory.signals import dates, meaning, people, recency, symbols, words
from gallump_lab.memory.signals.asked import MILLION, Asked, Found, ask, needed

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import Places, View

    Score = Callable[[View, Places, Asked], NDArray[np.int64]]

SIGNALS: "dict[str, Score]" = {
    "words": words.score,
    "meaning": meaning.score,
    "speaker": people.speaker,
    "role": people.role,
    "symbol": symbols.score,
    "dates": dates.score,
    "recency": recency.score,
}
"""The signals by name; `Recall` has a weight of the same name for each."""

__all__ = ["MILLION", "SIGNALS", "Asked", "Found", "ask", "dates", "meaning", "needed", "people", "words"]

"""How long ago: of two passages that match alike the newer one holds."""

from typing import TYPE_CHECKING

from gallump_lab.memory.signals.asked import MILLION, Asked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import Places, View

HALF_LIFE = 90 * 86_400 * 1_000_000
"""After so many microseconds (90 days) a passage's score has halved: hyperbolic, 1 / (1 + age / half-life)."""


def score(view: "View", places: "Places", asked: Asked) -> "NDArray[np.int64]":
    """Return a million to what was said just now, half of it to what was said a half-life ago."""
    import numpy as np

    age = np.maximum(asked.at - view.created_at[places], 0)
    return MILLION * HALF_LIFE // (HALF_LIFE + age) if len(age) else age

"""Words of time in the question: what was said when it says ("on 7 May", "last week", "two months ago")."""

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import Places, View
    from gallump_lab.memory.signals.asked import Asked, Spans

BEFORE, AFTER = timedelta(days=1), timedelta(days=10)
"""So near before and after a time one speaks of it too; that counts half."""


def score(view: "View", places: "Places", asked: "Asked") -> "NDArray[np.int64]":
    """Return a million for what was said in a time that the question names, half of it for what was said near it."""
    import numpy as np

    said = view.created_at[places]
    before, after = (each // timedelta(microseconds=1) for each in (BEFORE, AFTER))
    near = np.zeros(len(places), bool)
    for begin, end in asked.spans:
        near |= (said >= begin - before) & (said < end + after)
    return 500_000 * near.astype(np.int64) + 500_000 * within(said, asked.spans)


def within(said: "NDArray[np.int64]", spans: "Spans") -> "NDArray[np.bool_]":
    """Tell of each time, microseconds since 1970, whether it lies in one of the spans."""
    import numpy as np

    inside: NDArray[np.bool_] = np.searchsorted(np.ravel(spans), said, side="right") % 2 == 1
    return inside

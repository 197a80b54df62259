"""The symbol that was talked of: a message's own, which is the first of the watchlist that it was sent with."""

from typing import TYPE_CHECKING

from gallump_lab.memory.signals.asked import MILLION, Asked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import Places, View


def score(view: "View", places: "Places", asked: Asked) -> "NDArray[np.int64]":
    """Return a million to a passage of a message with the question's symbol."""
    import numpy as np

    same = np.isin(view.symbol[places], np.array(asked.symbols, np.uint64))
    found: NDArray[np.int64] = MILLION * same.astype(np.int64)
    return found

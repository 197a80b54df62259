"""Who spoke: the one whom the question names; and the analysts themselves rather than the assistant.

What analysts said of their own plans is where the evidence is; the assistant's long advice says much the same in
other words and would crowd it out.
"""

from typing import TYPE_CHECKING

from gallump_lab.memory.corpus import USER
from gallump_lab.memory.signals.asked import MILLION, Asked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import Places, View


def named(view: "View", asked: Asked) -> "NDArray[np.bool_]":
    """Say of every passage whether the question names its speaker."""
    import numpy as np

    return np.isin(view.speaker, np.array(asked.speakers, np.uint64))


def speaker(view: "View", places: "Places", asked: Asked) -> "NDArray[np.int64]":
    """Return a million to what a speaker said whom the question names."""
    import numpy as np

    return MILLION * np.isin(view.speaker[places], np.array(asked.speakers, np.uint64)).astype(np.int64)


def role(view: "View", places: "Places", asked: Asked) -> "NDArray[np.int64]":  # noqa: ARG001 (one interface)
    """Return a million to an analyst's own words."""
    import numpy as np

    return MILLION * np.equal(view.role[places], USER).astype(np.int64)

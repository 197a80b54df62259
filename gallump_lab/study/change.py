"""A change that may be advised: what it is worth, what it saves, and whether that carries advice."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gallump_lab.config import Config
from gallump_lab.reading.text_files import counted
from gallump_lab.study import statistics
from gallump_lab.study.statistics import Interval, shown

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN: Interval = (math.nan, math.nan, math.nan)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change that may be advised."""

    what: str
    config: Config
    priced: Config
    """What to count dollars of: with what WARM and COLD were found to take as their budgets."""
    gain: Interval = UNKNOWN
    """Of evidence recall."""
    conversations: int = 0
    """That it was judged on."""
    tokens: float = math.nan
    """Of memory a question, saved."""
    turn: Interval = UNKNOWN
    """USD saved."""
    turns: float = math.nan
    """A month's."""
    why: str = ""
    """How sure it is, where recall was not measured."""

    def bar(self, margin: float) -> float:
        """Return what evidence recall must exceed beyond chance: a loss of the margin where it saves, else nothing."""
        saves = self.tokens > 0 if math.isnan(self.turn[0]) else self.turn[1] > 0
        return -margin if saves else 0.0

    def carried(self, margin: float) -> bool:
        """Return whether it holds more beyond chance, or takes less beyond chance with no loss beyond the margin."""
        return self.gain[1] > self.bar(margin)

    def brings(self) -> str:
        """Return what it saves or costs, in words."""
        if math.isnan(self.turn[0]):
            return f"takes {abs(self.tokens):,.0f} tokens a question {'less' if self.tokens > 0 else 'more'}"
        value, *ends = self.turn if self.turn[0] >= 0 else (-each for each in self.turn)
        turn, month = ((value * n, min(ends) * n, max(ends) * n) for n in (1, self.turns))
        does = "saves" if self.turn[0] >= 0 else "costs"
        monthly = f", ${shown(month, ',.2f')} a month" if self.turns > 0 else ""
        return f"{does} ${shown(turn, '.4f')} a turn{monthly}"

    def judged(self, margin: float) -> str:
        """Return how sure it is, in words."""
        if self.why:
            return self.why
        found = f"evidence recall {shown(self.gain, '+.3f')} on {counted(self.conversations, 'conversations')}"
        if math.isnan(self.gain[1]):
            return f"{found}; an interval needs {statistics.CLUSTERS}"
        if self.gain[1] > 0:
            return f"{found}, better beyond chance"
        return f"{found}, a loss of more than {margin:g} is {'' if self.gain[1] > -margin else 'not '}excluded"

    def row(self, margin: float, *, advised: bool) -> dict[str, Any]:
        """Return it as a row of `Advice.frame`."""
        spans = {"usd_turn": self.turn, "usd_month": [each * self.turns for each in self.turn], "recall": self.gain}
        row: dict[str, Any] = {"change": self.what, "advised": advised}
        for name, found in spans.items():
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))
        return row | {"tokens": self.tokens, "conversations": self.conversations, "why": self.judged(margin)}


def saved(amounts: "NDArray[np.float64] | pd.Series[float]", clusters: ArrayLike) -> Interval:
    """Return the mean of what is saved, or lost, with its interval."""
    if np.nanmean(amounts) >= 0:
        return statistics.means(amounts, clusters).interval()
    value, low, high = statistics.means(-amounts, clusters).interval()
    return -value, -high, -low

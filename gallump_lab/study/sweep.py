"""Sweep many: every budget of a grid measured on the same ranks, and which of them is worth its tokens."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gallump_lab.config import Budget
from gallump_lab.memory.records import TIERS
from gallump_lab.study import pictures, statistics
from gallump_lab.study.best import Best, choose
from gallump_lab.study.past import one_by_one
from gallump_lab.study.rankings import Rankings, checked_ranks
from gallump_lab.study.tally import COLUMNS, HELD, MEASURES, SPENT, tally

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from gallump_lab.picture import Picture

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

GRID: Mapping[str, Sequence[int]] = {
    "hot": (0, 500, 1_000, 2_000, 4_000),
    "warm": (0, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000),
    "cold": (0, 50, 100, 200, 400),
}
"""The budgets that are tried by default, in the model's tokens, beside the applied ones."""
TO_LABEL: Mapping[str, str] = {
    "hot": "Label questions that are asked in a session (session_id) about what was said in it before.",
    "warm": "Label questions about what was said in earlier sessions.",
    "cold": "Label questions with their answer whose messages an insight rests on.",
}
"""What measures a tier."""
TRUE = ("recall", "hit_rate", "full_recall", "partial_recall", "coverage", "ndcg")
"""The measures of which more is better; each may be the objective."""


def sweep(ranks: Rankings, grid: Mapping[str, Sequence[int]] | None = None) -> "Sweep":
    """Measure every combination of budgets, under every retriever, on the same ranks; an interrupt keeps what is done.

    Parameters
    ----------
    ranks : Rankings
        What `study.rank` gives.
    grid : mapping of str to sequence of int, optional
        The budgets of hot, warm and cold, in the ranks' tokens (`ranks.unit`); a tier that is left out keeps its
        applied budget. By default `GRID` and the applied budgets, as far as the ranks reach.

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError
        If a tier is unknown, a budget is no whole number of at least 0, lies beyond what was ranked, or no
        combination fits the window beside the reply.

    Examples
    --------
    >>> sweep = study.sweep(ranks, {"warm": range(0, 2_001, 100)})
    >>> sweep.best(tokens=800)
    """
    checked_ranks(ranks)
    axes = _axes(ranks, grid)

    def tallied(place: int) -> list[dict[str, Any]]:
        asked = ranks.asked[place]
        warm = ([ranks.passages[item] for item in each[place].items.tolist()] for each in ranks.found.values())
        return [tally(asked.needs, asked.hot, slots, asked.cold, axes) for slots in warm]

    found = one_by_one(range(len(ranks.asked)), tallied, "Sweeping", "questions")
    done, missing = ranks.part(range(len(found))), len(ranks.asked) - len(found)
    return Sweep(replace(done, left=ranks.left + missing), axes, found)


def _axes(ranks: Rankings, grid: Mapping[str, Sequence[int]] | None) -> "dict[str, Ints]":
    import numpy as np

    budget, limits = ranks.config.budget, ranks.limits
    applied: dict[str, list[int]] = {tier: [getattr(budget, tier)] for tier in TIERS}
    if grid is None:
        grid = {tier: [each for each in (*GRID[tier], *applied[tier]) if each <= limits[tier]] for tier in TIERS}
    if not isinstance(grid, Mapping) or set(grid) - set(TIERS):
        msg = f"grid must be budgets of hot, warm or cold, such as {{'warm': [0, 200, 500]}}, not {grid!r}."
        raise ValueError(msg)
    axes: dict[str, Ints] = {}
    wanted: dict[str, Any] = {**applied, **grid}
    for tier, given in wanted.items():
        values = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else []
        whole = all(isinstance(each, (int, np.integer)) and not isinstance(each, bool) for each in values)
        if not values or not whole or min(values) < 0:
            msg = f"grid[{tier!r}] must be whole numbers of tokens of at least 0, such as [0, 200, 500], not {given!r}."
            raise ValueError(msg)
        if max(values) > limits[tier]:
            msg = (
                f"grid[{tier!r}] goes to {max(values):,} tokens, but the ranks reach to {limits[tier]:,}: "
                f"study.rank(..., {tier}={max(values)})."
            )
            raise ValueError(msg)
        axes[tier] = np.unique(np.array(values, np.int64))
    least = sum(int(values[0]) for values in axes.values()) + budget.reply
    if least > budget.window:
        msg = (
            f"grid: no combination fits the window of {budget.window:,} tokens beside the reply's {budget.reply:,}; "
            f"the smallest takes {least:,}."
        )
        raise ValueError(msg)
    return axes


class Sweep:
    """Every retriever and budget of a grid: what it held, cost and wasted; `study.sweep` makes it.

    Attributes
    ----------
    ranks : Rankings
        What was swept.
    grid : dict of str to array of int
        The budgets of hot, warm and cold, ascending.
    retriever : array of str
        Of each configuration.
    budgets : array of int
        (configurations, 3): hot, warm and cold.
    measured : dict of str to array of float
        For each measure, (questions, configurations).
    exercised : dict of str to bool
        Whether a tier helps any question within the grid. One that helps none was not measured by them: it keeps its
        applied budget, or the grid's nearest, in every configuration.
    """

    def __init__(
        self, ranks: Rankings, grid: "dict[str, Ints]", found: "Sequence[Sequence[Mapping[str, Floats]]]"
    ) -> None:
        import numpy as np

        self.ranks, self.grid = ranks, grid
        cells = {name: np.array([[each[name] for each in row] for row in found]) for name in COLUMNS}
        self.exercised: dict[str, bool] = {
            tier: bool((cells[name] > 0).any()) for tier, name in zip(TIERS, HELD, strict=True)
        }
        budget = ranks.config.budget
        points = np.stack(np.meshgrid(*(grid[tier] for tier in TIERS), indexing="ij"), -1).reshape(-1, 3)
        valid = points.sum(1) + budget.reply <= budget.window
        for place, tier in enumerate(TIERS):
            if not self.exercised[tier]:
                left = np.unique(points[valid, place])
                valid &= points[:, place] == left[np.abs(left - getattr(budget, tier)).argmin()]
        self.retriever = np.repeat(np.array(list(ranks.retrievers), object), int(valid.sum()))
        self.budgets = np.tile(points[valid], (len(ranks.retrievers), 1))
        shape = len(found), len(ranks.retrievers), len(points)
        self.measured: dict[str, Floats] = {
            name: each.reshape(shape)[:, :, valid].reshape(len(found), -1) for name, each in cells.items()
        }
        self.measured["tokens"] = sum((self.measured[name] for name in SPENT), np.zeros(1))

    @property
    def unexercised(self) -> list[str]:
        """What is to be said of each tier that helps no question: what it keeps and takes, and what to label."""
        row = self.frame.iloc[0]
        return [
            f"No question is helped by {tier.upper()}, so it was not measured: it keeps {row[tier]:,} tokens, of which "
            f"a question takes {self.frame[f'tokens_{tier}'].mean():,.0f}. {TO_LABEL[tier]}"
            for tier in TIERS
            if not self.exercised[tier]
        ]

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """One row a configuration.

        retriever; hot, warm, cold (budgets); unit (whose tokens these and all others are, in words); each of recall,
        hit_rate, full_recall, partial_recall, coverage, ndcg and waste (see `study.tally.measure`), with its 95%
        interval in `..._low` and `..._high` (NaN below five conversations); tokens_hot, tokens_warm, tokens_cold and
        tokens (used of them, a question's mean); usd (of these tokens, a question, at the input's price of who answers;
        NaN where it is unknown); hot_holds, warm_holds, cold_holds (the recall that a tier has by itself; NaN where it
        helps no question).
        """
        import numpy as np
        import pandas as pd

        columns: dict[str, Any] = {"retriever": self.retriever} | dict(zip(TIERS, self.budgets.T, strict=True))
        columns["unit"] = self.ranks.unit
        for name in (*MEASURES, *SPENT, "tokens", *HELD):
            found = statistics.shares(self.measured[name], self.ranks.conversations) if name in MEASURES else None
            columns[name] = found.value if found else self.measured[name].mean(0)
            if found:
                columns |= {f"{name}_low": found.low, f"{name}_high": found.high}
        for tier, name in zip(TIERS, HELD, strict=True):
            if not self.exercised[tier]:
                columns[name] = np.full(len(self.budgets), np.nan)
        columns["usd"] = columns["tokens"] * self.ranks.usd
        return pd.DataFrame(columns)

    @cached_property
    def applied(self) -> int | None:
        """The row of what is applied in the lab; None if the sweep does not hold it."""
        import numpy as np

        config = self.ranks.config
        same = [name for name, settings in self.ranks.retrievers.items() if settings == config.recall]
        budget = [getattr(config.budget, tier) for tier in TIERS]
        (rows,) = np.nonzero((self.budgets == budget).all(1) & np.isin(self.retriever, same))
        return int(rows[0]) if len(rows) else None

    def pareto(self, objective: str = "recall") -> "pd.DataFrame":
        """Return the rows of `frame` that no other beats with as few tokens, fewest first."""
        checked(objective)
        frame = self.frame.sort_values(["tokens", objective], ascending=[True, False], kind="stable")
        best = frame[objective].cummax().shift(fill_value=-math.inf)
        return frame[frame[objective] > best]

    def knee(self, objective: str = "recall") -> "pd.Series[Any]":
        """Return the row of the Pareto front after which further tokens bring least.

        It lies farthest above the line between the front's ends (Satopaa et al. 2011, "Finding a 'Kneedle' in a
        Haystack"); a front of less than three is too short to bend, and its best is given.
        """
        front = self.pareto(objective)
        if len(front) < 3:
            return front.iloc[-1]
        ends = front.iloc[[0, -1]]
        reach = [float(ends[name].iloc[1] - ends[name].iloc[0]) or 1.0 for name in ("tokens", objective)]
        x, y = (
            (front[name] - ends[name].iloc[0]) / width for name, width in zip(("tokens", objective), reach, strict=True)
        )
        return front.iloc[int((y - x).argmax())]

    def best(
        self,
        objective: str = "recall",
        *,
        tokens: float | None = None,
        usd: float | None = None,
        least: float | None = None,
        seed: int = 0,
    ) -> Best:
        """Choose the configuration that is worth most, and report what it is worth where it was not chosen.

        Half of the conversations choose, the other half reports: a winner of many looks better than it is where it won.

        Parameters
        ----------
        objective : {"recall", "hit_rate", "full_recall", "partial_recall", "coverage", "ndcg"}
            What to have most of.
        tokens, usd : float, optional
            At most so many of memory's tokens a question (`frame`'s `tokens`), or so many dollars.
        least : float, optional
            Choose the cheapest that reaches this much of the objective instead.
        seed : int
            Divides the conversations.

        Raises
        ------
        ValueError
            If the objective is unknown, no price is known to bound usd by, or nothing satisfies the bounds; the
            nearest is named.
        """
        checked(objective)
        for name, bound in (("tokens", tokens), ("usd", usd), ("least", least)):
            if bound is not None and (not isinstance(bound, (int, float)) or bound < 0):
                msg = f"{name} must be a number of at least 0, not {bound!r}."
                raise ValueError(msg)
        each = self.ranks.usd
        if usd is not None and math.isnan(each):
            name = self.ranks.model
            msg = f"usd cannot be kept to: no price of {name} is known. Apply Model(prices={{{name!r}: (in, out)}})."
            raise ValueError(msg)
        most = min(math.inf if tokens is None else tokens, usd / each if usd is not None and each else math.inf)
        return choose(self, objective, most=most, least=least, seed=seed)

    def budget(self, row: int) -> Budget:
        """Return a row's budget; what is not swept is as applied."""
        return replace(self.ranks.config.budget, **dict(zip(TIERS, map(int, self.budgets[row].tolist()), strict=True)))

    def plot(self, objective: str = "recall") -> "Picture":
        """Draw the objective against the tokens that it takes, the Pareto front, what is applied and the knee."""
        return pictures.front(self, checked(objective))

    def lines(self, tier: str = "warm", objective: str = "recall") -> "Picture":
        """Draw the objective as one tier's budget grows, the others as applied: a line a retriever."""
        if tier not in TIERS:
            msg = f"tier must be one of {', '.join(TIERS)}, not {tier!r}."
            raise ValueError(msg)
        return pictures.lines(self, tier, checked(objective))

    def __repr__(self) -> str:
        """Return what was swept, where the knee is and what is applied."""
        head = f"Sweep: {len(self.budgets):,} configurations on {len(self.ranks.asked):,} questions, {self.ranks.unit}"
        lines = [head, f"knee:    {_row(self.knee())}"]
        if self.applied is not None:
            lines.append(f"applied: {_row(self.frame.iloc[self.applied])}")
        lines += self.unexercised
        lines += [each for each in [statistics.caution(self.ranks.conversations)] if each]
        lines += [f"Interrupted: {self.ranks.left:,} questions are not in it."] if self.ranks.left else []
        return "\n".join(lines)


def checked(objective: str) -> str:
    """Return the objective back if there is such a one.

    Raises
    ------
    ValueError
        If not.
    """
    if objective not in TRUE:
        msg = f"objective must be one of {', '.join(TRUE)}, not {objective!r}."
        raise ValueError(msg)
    return objective


def _row(row: "pd.Series[Any]") -> str:
    interval = "" if math.isnan(row["recall_low"]) else f" [{row['recall_low']:.3f}, {row['recall_high']:.3f}]"
    return (
        f"{row['retriever']}, HOT {row['hot']:,} WARM {row['warm']:,} COLD {row['cold']:,}: recall {row['recall']:.3f}"
        f"{interval}, {row['tokens']:,.0f} tokens"
    )

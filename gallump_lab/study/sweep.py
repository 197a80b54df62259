"""Sweep many: every budget of a grid measured on the same ranks, which is worth its tokens, and what it is worth.

`Sweep.best` chooses on half of the conversations and reports on the other half: a winner of many looks better than it
is where it won.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gallump_lab.config import Budget, Layout
from gallump_lab.memory.records import TIERS, check
from gallump_lab.progress import progress
from gallump_lab.study import pictures, statistics
from gallump_lab.study.best import Best, dollars, reported, spoken
from gallump_lab.study.colours import SPOKEN
from gallump_lab.study.rank import Rankings, checked_ranks
from gallump_lab.study.statistics import Floats, Ints, shown
from gallump_lab.study.tally import COLUMNS, HELD, MEASURES, NOTHING, PERFECT, SPENT, Needed, tally

if TYPE_CHECKING:
    from gallump_lab.study.pictures import Picture

GRID: Mapping[str, Sequence[int]] = {
    "hot": (0, 500, 1_000, 2_000, 4_000),
    "warm": (0, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000),
    "cold": (0, 50, 100, 200, 400),
}
"""The budgets that are tried by default, in the model's tokens, beside the applied ones."""
KNEE = "The knee: beyond it further"
By = Literal["usd", "tokens"]
TRUE = ("recall", "hit_rate", "full_recall", "partial_recall", "coverage", "ndcg", "precision")
"""The measures of which more is better; each may be the objective."""


def sweep(
    ranks: Rankings,
    grid: Mapping[str, Sequence[int]] | None = None,
    layouts: Layout | Sequence[Layout] | None = None,
) -> "Sweep":
    """Measure every combination of budgets, under every retriever, on the same ranks; and what a turn costs with it.

    Parameters
    ----------
    ranks : Rankings
        What `study.rank` gives.
    grid : mapping of str to sequence of int, optional
        The budgets of hot, warm and cold, in the ranks' tokens (`ranks.unit`); a tier that is left out keeps its
        applied budget. By default `GRID` and the applied budgets, as far as the ranks reach.
    layouts : {"single", "conversation"} or sequence of these, optional
        How prompts are laid out, which decides on what HOT holds and on what the prompt cache saves; by default as
        applied.

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError
        If a tier or a layout is unknown, a budget is no whole number of at least 0, lies beyond what was ranked, or no
        combination fits the window beside the reply.

    Examples
    --------
    >>> sweep = study.sweep(ranks, {"warm": range(0, 2_001, 100)})
    >>> sweep.best(usd_per_turn=0.01)
    """
    checked_ranks(ranks)
    axes, found, laid_out = _axes(ranks, grid), [], _layouts(ranks, layouts)
    variants = [(layout, name) for name in (*ranks.retrievers, PERFECT) for layout in laid_out]
    for place, asked in enumerate(progress(ranks.asked, desc="Sweeping", unit=" questions", delay=2)):
        needed, warm = Needed(asked.needs), {name: ranks.candidates(name, place) for _, name in variants}
        found.append([tally(needed, asked.hot[layout], warm[name], asked.cold, axes) for layout, name in variants])
    return Sweep(ranks, axes, found, variants)


def _layouts(ranks: Rankings, layouts: object) -> list[Layout]:
    """Return the layouts to sweep, of what a caller gave."""
    given: Any = layouts or ranks.config.layout
    found = [given] if isinstance(given, str) else given
    known = [layout for layout in get_args(Layout) if layout in ranks.asked[0].hot]
    good = isinstance(found, Sequence) and all(each in known for each in found) and len({*found}) == len(found)
    check(good, "layouts", f"one or more of {', '.join(map(repr, known))}", layouts)
    return [*found]


def _axes(ranks: Rankings, grid: Mapping[str, Sequence[int]] | None) -> dict[str, Ints]:
    """Return each tier's budgets, ascending."""
    applied: dict[str, Sequence[int]] = {tier: [getattr(ranks.config.budget, tier)] for tier in TIERS}
    if grid is None:
        grid = {tier: [each for each in (*GRID[tier], *applied[tier]) if each <= ranks.limits[tier]] for tier in TIERS}
    axes: dict[str, Ints] = {}
    for tier, given in {**applied, **grid}.items():
        values = np.unique(np.asarray(given))
        if tier not in TIERS or not values.size or values.dtype.kind != "i" or values[0] < 0:
            msg = f"grid must be tokens of hot, warm or cold, such as {{'warm': [0, 500]}}; {tier!r}: {given!r} is not."
            raise ValueError(msg)
        if values[-1] > ranks.limits[tier]:
            msg = (
                f"grid[{tier!r}] goes to {values[-1]:,} tokens, but the ranks reach to {ranks.limits[tier]:,}: "
                f"study.rank(..., {tier}={values[-1]})."
            )
            raise ValueError(msg)
        axes[tier] = values.astype(np.int64)
    return axes


class Sweep:
    """Every retriever and budget of a grid: what it held, cost and wasted; `study.sweep` makes it.

    Attributes
    ----------
    ranks : Rankings
        What was swept.
    grid : dict of str to array of int
        The budgets of hot, warm and cold, ascending.
    retriever, layout : array of str
        Of each configuration; last those of a "perfect ranking" (`study.tally.Qrels`), which none can choose.
    budgets : array of int
        (configurations, 3): hot, warm and cold.
    measured : dict of str to array of float
        For each measure, (questions, configurations).
    exercised : dict of str to bool
        Whether a tier helps any question within the grid. One that helps none was not measured by them: it keeps its
        applied budget, or the grid's nearest, in every configuration.
    """

    def __init__(
        self,
        ranks: Rankings,
        grid: dict[str, Ints],
        found: Sequence[Sequence[Mapping[str, Floats]]],
        variants: Sequence[tuple[Layout, str]],
    ) -> None:
        self.ranks, self.grid = ranks, grid
        held, real = zip(TIERS, HELD, strict=True), [name != PERFECT for _, name in variants]
        cells = {name: np.array([[each[name] for each in row] for row in found]) for name in COLUMNS}
        self.exercised: dict[str, bool] = {tier: bool((cells[name][:, real] > 0).any()) for tier, name in held}
        budget = ranks.config.budget
        points = np.stack(np.meshgrid(*(grid[tier] for tier in TIERS), indexing="ij"), -1).reshape(-1, 3)
        valid = points.sum(1) + budget.reply <= budget.window
        if not valid.any():
            msg = f"No combination of the grid fits the window of {budget.window:,} tokens beside the reply's."
            raise ValueError(msg)
        for place, tier in enumerate(TIERS):
            if not self.exercised[tier]:
                left = np.unique(points[valid, place])
                valid &= points[:, place] == left[np.abs(left - getattr(budget, tier)).argmin()]
        self.layout, self.retriever = (
            np.repeat(np.array(each, object), int(valid.sum())) for each in zip(*variants, strict=True)
        )
        self.budgets = np.tile(points[valid], (len(variants), 1))
        shape = len(found), len(variants), len(points)
        self.measured: dict[str, Floats] = {
            name: each.reshape(shape)[:, :, valid].reshape(len(found), -1) for name, each in cells.items()
        }
        self.measured["tokens"] = sum((self.measured[name] for name in SPENT), np.zeros(1))

    @property
    def real(self) -> NDArray[np.bool_]:
        """Of each configuration, whether it can be chosen: those of a perfect ranking cannot."""
        found: NDArray[np.bool_] = self.retriever != PERFECT
        return found

    @property
    def unexercised(self) -> list[str]:
        """What is to be said of each tier that helps no question: what it keeps and takes."""
        row = self.frame.iloc[0]
        return [
            f"No question is helped by {tier.upper()}, so it was not measured: it keeps {row[tier]:,} tokens, of which "
            f"a question takes {self.frame.loc[self.real, f'tokens_{tier}'].mean():,.0f}. Label questions that need it."
            for tier in TIERS
            if not self.exercised[tier]
        ]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a configuration, those of a perfect ranking last: how far there is to go with as many tokens.

        retriever, layout; hot, warm, cold (budgets); unit (whose tokens these and all others are, in words); each of
        recall, hit_rate, full_recall, partial_recall, coverage, ndcg, waste, precision, stale, hearsay and
        falsely_marked (see `study.tally.measure`), with its 95% interval in `..._low` and `..._high` (NaN below five
        conversations); nothing_said (WARM's tokens where nothing was said, a question's mean; NaN without such
        questions); tokens_hot, tokens_warm, tokens_cold and tokens (used of them, a question's mean); usd (a whole turn
        of the recorded talk in its tempo, through the prompt cache, at the price of who answers, nothing thought: as
        `study.cost`, but WARM and COLD as measured; NaN where the price is unknown or nobody replied); hot_holds,
        warm_holds, cold_holds (the recall that a tier has by itself; NaN where it helps no question).
        """
        columns: dict[str, Any] = {"retriever": self.retriever, "layout": self.layout}
        columns |= dict(zip(TIERS, self.budgets.T, strict=True))
        columns["unit"] = self.ranks.unit
        for name in MEASURES:
            found = statistics.shares(self.measured[name], self.ranks.conversations)
            columns |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        for name in (NOTHING, *SPENT, "tokens", *HELD):
            columns[name] = _mean(self.measured[name])
        columns |= {name: math.nan for tier, name in zip(TIERS, HELD, strict=True) if not self.exercised[tier]}
        without = {pair: self.ranks.turn_usd(*pair) for pair in {*self._hot}}
        columns["usd"] = [without[pair] for pair in self._hot]
        frame = pd.DataFrame(columns)
        frame["usd"] += (frame["tokens_warm"] + frame["tokens_cold"]) * self.ranks.usd
        return frame

    @property
    def _hot(self) -> list[tuple[Layout, int]]:
        """Of each configuration, what decides on what its prompts have in common: layout and HOT's budget."""
        return [*zip(self.layout, self.budgets[:, 0].tolist(), strict=True)]

    @property
    def by(self) -> By:
        """What is to be spared: "usd" where a turn has a price, else "tokens"."""
        return "usd" if (self.frame["usd"] > 0).any() else "tokens"

    @cached_property
    def applied(self) -> int | None:
        """The row of what is applied in the lab; None if the sweep does not hold it."""
        config = self.ranks.config
        same = [name for name, settings in self.ranks.retrievers.items() if settings == config.recall]
        budget = [getattr(config.budget, tier) for tier in TIERS]
        there = (self.budgets == budget).all(1) & (self.layout == config.layout)
        (rows,) = np.nonzero(there & np.isin(self.retriever, same))
        return int(rows[0]) if len(rows) else None

    def pareto(
        self,
        objective: str = "recall",
        *,
        perfect: bool = False,
        by: By | None = None,
        layout: Layout | None = None,
    ) -> pd.DataFrame:
        """Return the rows of `frame` that no other beats for as little, the cheapest first; or a perfect ranking's.

        What is spared is `by`: "usd" a turn or memory's "tokens"; by default `Sweep.by`. `layout` looks at one alone.
        """
        _check(objective)
        spent = self._spared(by)
        rows = (self.frame["retriever"] == PERFECT) == perfect
        rows &= self.layout == layout if layout else True
        frame = self.frame[rows].sort_values([spent, objective], ascending=[True, False], kind="stable")
        best = frame[objective].fillna(-math.inf).cummax().shift(fill_value=-math.inf)
        return frame[frame[objective] > best]

    def knee(self, objective: str = "recall", *, by: By | None = None) -> "pd.Series[Any]":
        """Return the row of the Pareto front after which further dollars, or tokens, bring least.

        It lies farthest above the line between the front's ends (Satopaa et al. 2011, "Finding a 'Kneedle' in a
        Haystack"); a front of less than three is too short to bend, and its best is given.
        """
        spent, front = self._spared(by), self.pareto(objective, by=by)
        if len(front) < 3:
            return front.iloc[-1]
        points = front[[spent, objective]]
        scaled = (points - points.iloc[0]) / (points.iloc[-1] - points.iloc[0])
        return front.iloc[int((scaled[objective] - scaled[spent]).argmax())]

    def _spared(self, by: object) -> By:
        """Return what is to be spared, of what a caller gave."""
        check(by in {None, "usd", "tokens"}, "by", "'usd' or 'tokens'", by)
        check(by != "usd" or self.by == by, "by", f"'tokens', as {self._unpriced}", by)
        return "tokens" if by == "tokens" else self.by

    @property
    def _unpriced(self) -> str:
        """Why nothing can be told in dollars, and what to do."""
        return f"no cost of a turn is known with {self.ranks.model} (study.rank(..., model='claude-sonnet-5-5'))"

    def best(
        self,
        objective: str = "recall",
        *,
        tokens: float = math.inf,
        usd_per_turn: float = math.inf,
        least: float | None = None,
        seed: int = 0,
    ) -> Best:
        """Choose the configuration that is worth most, and report what it is worth where it was not chosen.

        Half of the conversations choose, the other half reports.

        Parameters
        ----------
        objective : {"recall", "hit_rate", "full_recall", "partial_recall", "coverage", "ndcg", "precision"}
            What to have most of.
        tokens : float, optional
            At most so many of memory's tokens a question (`frame`'s `tokens`).
        usd_per_turn : float, optional
            At most so many dollars a turn (`frame`'s `usd`).
        least : float, optional
            Choose the cheapest that reaches this much of the objective instead.
        seed : int
            Divides the conversations.

        Raises
        ------
        ValueError
            If the objective is unknown, dollars are bounded but a turn's price is not known, or nothing satisfies the
            bounds; the nearest is named.

        Examples
        --------
        >>> lab.apply(sweep.best(usd_per_turn=0.01))
        """
        _check(objective)
        bounded = isinstance(usd_per_turn, (int, float)) and usd_per_turn > 0
        check(bounded, "usd_per_turn", "dollars a turn, such as 0.01", usd_per_turn)
        priced = usd_per_turn == math.inf or self.by == "usd"
        check(priced, "usd_per_turn", f"left out, as {self._unpriced}", usd_per_turn)
        real = self.frame[self.real]  # these come first, so their places are the frame's
        values, spent = self.measured[objective], real[self.by].to_numpy()
        first = self.half(seed)
        worth = _mean(values[first])[self.real]
        within = (real["tokens"] <= tokens) & ((real["usd"] <= usd_per_turn) | (usd_per_turn == math.inf))
        fits = np.flatnonzero(within & (worth >= (least or 0)))
        if not len(fits):
            cheapest = real.iloc[int(np.argmin(spent))]
            msg = (
                f"No configuration is within the bounds: the cheapest takes {cheapest['tokens']:,.0f} "
                f"{self.ranks.unit} a question{dollars(cheapest['usd'])}, the best has {spoken(objective)} "
                f"{np.fmax.reduce(worth):.3f}."
            )
            raise ValueError(" ".join([msg, *self.unexercised]))
        keys = (spent[fits], -worth[fits]) if least is None else (-worth[fits], spent[fits])
        return reported(self, objective, int(fits[np.lexsort(keys)[0]]), first, seed)

    def half(self, seed: int = 0) -> NDArray[np.bool_]:
        """Return of each question whether its conversation is of the half that chooses."""
        clusters = np.array(self.ranks.conversations, str)
        names = np.unique(clusters)
        chosen = np.random.default_rng(seed).permutation(len(names))[: (len(names) + 1) // 2]
        found: NDArray[np.bool_] = np.isin(clusters, names[chosen])
        return found

    def named(self, retriever: str) -> str:
        """Return a retriever's name as it is read before its budgets; nothing where there is no choice."""
        return "" if len(self.ranks.retrievers) == 1 else f"{SPOKEN.get(retriever, retriever)}, "

    def _row(self, row: "pd.Series[Any]") -> str:
        """Return a configuration in a line."""
        budgets = ", ".join(f"{tier.upper()} {row[tier]:,}" for tier in TIERS)
        held = shown((row["recall"], row["recall_low"], row["recall_high"]))
        name = self.named(row["retriever"])
        return f"{name}{budgets}: recall {held}, {row['tokens']:,.0f} tokens{dollars(row['usd'])}"

    def budget(self, row: int) -> Budget:
        """Return a row's budget; what is not swept is as applied."""
        return replace(self.ranks.config.budget, **dict(zip(TIERS, map(int, self.budgets[row].tolist()), strict=True)))

    def plot(self, objective: str = "recall") -> "Picture":
        """Draw the objective against the tokens that it takes, the Pareto front, what is applied and the knee."""
        return pictures.front(self, objective)

    def lines(self, tier: str = "warm", objective: str = "recall") -> "Picture":
        """Draw the objective as one tier's budget grows, the others as applied: a line a retriever."""
        return pictures.lines(self, tier, objective)

    def __repr__(self) -> str:
        """Return what was swept, where the knee is and what is in force."""
        head = f"Sweep: {self.real.sum():,} configurations on {self.ranks.answerable:,} questions, {self.ranks.unit}"
        lines = [head, f"knee:     {self._row(self.knee())}"]
        if self.applied is not None:
            lines.append(f"in force: {self._row(self.frame.iloc[self.applied])}")
        lines.append(f"{KNEE} {'dollars' if self.by == 'usd' else 'tokens'} bring least.")
        if self.by == "usd":
            lines.append("A turn's dollars: the recorded talk in its own tempo, without thinking (see study.cost).")
        return "\n".join([*lines, *self.unexercised, *statistics.caution(self.ranks.conversations)])


def _mean(values: Floats) -> Floats:
    """Return each column's mean of what is scored; NaN where nothing is."""
    with np.errstate(invalid="ignore"):
        found: Floats = np.nansum(values, 0) / (~np.isnan(values)).sum(0)
    return found


def _check(objective: str) -> None:
    """Refuse an objective that there is not."""
    check(objective in TRUE, "objective", f"one of {', '.join(TRUE)}", objective)

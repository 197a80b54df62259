"""Sweep many: every budget of a grid measured on the same ranks, which is worth its tokens, and what it is worth.

`Sweep.best` chooses on half of the conversations and reports on the other half: a winner of many looks better than it
is where it won.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm  # type: ignore[import-untyped]

from gallump_lab.config import Budget, Config
from gallump_lab.memory.records import TIERS, check
from gallump_lab.reading.text_files import counted
from gallump_lab.study import pictures, statistics
from gallump_lab.study.rank import Rankings, checked_ranks
from gallump_lab.study.statistics import Floats, Interval, Ints, shown, verdict
from gallump_lab.study.tally import COLUMNS, HELD, MEASURES, NOTHING, PERFECT, SPENT, Needed, tally

if TYPE_CHECKING:
    from gallump_lab.study.pictures import Picture

GRID: Mapping[str, Sequence[int]] = {
    "hot": (0, 500, 1_000, 2_000, 4_000),
    "warm": (0, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000),
    "cold": (0, 50, 100, 200, 400),
}
"""The budgets that are tried by default, in the model's tokens, beside the applied ones."""
TRUE = ("recall", "hit_rate", "full_recall", "partial_recall", "coverage", "ndcg", "precision")
"""The measures of which more is better; each may be the objective."""


def sweep(ranks: Rankings, grid: Mapping[str, Sequence[int]] | None = None) -> "Sweep":
    """Measure every combination of budgets, under every retriever, on the same ranks.

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
    axes, found = _axes(ranks, grid), []
    for place, asked in enumerate(tqdm(ranks.asked, desc="Sweeping", unit=" questions", delay=2)):
        needed, warm = Needed(asked.needs), (ranks.candidates(name, place) for name in (*ranks.retrievers, PERFECT))
        found.append([tally(needed, asked.hot, slots, asked.cold, axes) for slots in warm])
    return Sweep(ranks, axes, found)


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
    retriever : array of str
        Of each configuration; last those of a "perfect ranking" (`study.tally.Qrels`), which none can choose.
    budgets : array of int
        (configurations, 3): hot, warm and cold.
    measured : dict of str to array of float
        For each measure, (questions, configurations).
    exercised : dict of str to bool
        Whether a tier helps any question within the grid. One that helps none was not measured by them: it keeps its
        applied budget, or the grid's nearest, in every configuration.
    """

    def __init__(self, ranks: Rankings, grid: dict[str, Ints], found: Sequence[Sequence[Mapping[str, Floats]]]) -> None:
        self.ranks, self.grid = ranks, grid
        held = zip(TIERS, HELD, strict=True)
        cells = {name: np.array([[each[name] for each in row] for row in found]) for name in COLUMNS}
        self.exercised: dict[str, bool] = {tier: bool((cells[name][:, :-1] > 0).any()) for tier, name in held}
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
        names = np.array([*ranks.retrievers, PERFECT], object)
        self.retriever = np.repeat(names, int(valid.sum()))
        self.budgets = np.tile(points[valid], (len(names), 1))
        shape = len(found), len(names), len(points)
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

        retriever; hot, warm, cold (budgets); unit (whose tokens these and all others are, in words); each of recall,
        hit_rate, full_recall, partial_recall, coverage, ndcg, waste, precision, stale, hearsay and falsely_marked (see
        `study.tally.measure`), with its 95% interval in `..._low` and `..._high` (NaN below five conversations);
        nothing_said (WARM's tokens where nothing was said, a question's mean; NaN without such questions); tokens_hot,
        tokens_warm, tokens_cold and tokens (used of them, a question's mean); usd (of these tokens, a question, at the
        input's price of who answers; NaN where it is unknown); hot_holds, warm_holds, cold_holds (the recall that a
        tier has by itself; NaN where it helps no question).
        """
        columns: dict[str, Any] = {"retriever": self.retriever} | dict(zip(TIERS, self.budgets.T, strict=True))
        columns["unit"] = self.ranks.unit
        for name in MEASURES:
            found = statistics.shares(self.measured[name], self.ranks.conversations)
            columns |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        for name in (NOTHING, *SPENT, "tokens", *HELD):
            columns[name] = _mean(self.measured[name])
        columns |= {name: math.nan for tier, name in zip(TIERS, HELD, strict=True) if not self.exercised[tier]}
        columns["usd"] = columns["tokens"] * self.ranks.usd
        return pd.DataFrame(columns)

    @cached_property
    def applied(self) -> int | None:
        """The row of what is applied in the lab; None if the sweep does not hold it."""
        config = self.ranks.config
        same = [name for name, settings in self.ranks.retrievers.items() if settings == config.recall]
        budget = [getattr(config.budget, tier) for tier in TIERS]
        (rows,) = np.nonzero((self.budgets == budget).all(1) & np.isin(self.retriever, same))
        return int(rows[0]) if len(rows) else None

    def pareto(self, objective: str = "recall", *, perfect: bool = False) -> pd.DataFrame:
        """Return the rows of `frame` that no other beats with as few tokens, fewest first; or a perfect ranking's."""
        _check(objective)
        rows = (self.frame["retriever"] == PERFECT) == perfect
        frame = self.frame[rows].sort_values(["tokens", objective], ascending=[True, False], kind="stable")
        best = frame[objective].fillna(-math.inf).cummax().shift(fill_value=-math.inf)
        return frame[frame[objective] > best]

    def knee(self, objective: str = "recall") -> "pd.Series[Any]":
        """Return the row of the Pareto front after which further tokens bring least.

        It lies farthest above the line between the front's ends (Satopaa et al. 2011, "Finding a 'Kneedle' in a
        Haystack"); a front of less than three is too short to bend, and its best is given.
        """
        front = self.pareto(objective)
        if len(front) < 3:
            return front.iloc[-1]
        points = front[["tokens", objective]]
        scaled = (points - points.iloc[0]) / (points.iloc[-1] - points.iloc[0])
        return front.iloc[int((scaled[objective] - scaled["tokens"]).argmax())]

    def best(
        self, objective: str = "recall", *, tokens: float = math.inf, least: float | None = None, seed: int = 0
    ) -> "Best":
        """Choose the configuration that is worth most, and report what it is worth where it was not chosen.

        Half of the conversations choose, the other half reports.

        Parameters
        ----------
        objective : {"recall", "hit_rate", "full_recall", "partial_recall", "coverage", "ndcg", "precision"}
            What to have most of.
        tokens : float, optional
            At most so many of memory's tokens a question (`frame`'s `tokens`).
        least : float, optional
            Choose the cheapest that reaches this much of the objective instead.
        seed : int
            Divides the conversations.

        Raises
        ------
        ValueError
            If the objective is unknown or nothing satisfies the bounds; the nearest is named.

        Examples
        --------
        >>> lab.apply(sweep.best(tokens=800))
        """
        _check(objective)
        values, spent = self.measured[objective], self.frame["tokens"].to_numpy(float)[self.real]
        clusters = np.array(self.ranks.conversations, str)
        names = np.unique(clusters)
        half = np.random.default_rng(seed).permutation(len(names))[: (len(names) + 1) // 2]
        first = np.isin(clusters, names[half])
        worth = _mean(values[first])[self.real]  # these come first, so their places are the frame's
        fits = np.flatnonzero((spent <= tokens) & (worth >= (least or 0)))
        if not len(fits):
            msg = (
                f"No configuration is within the bounds: the cheapest takes {spent.min():,.0f} {self.ranks.unit} a "
                f"question, the best has {_spoken(objective)} {np.fmax.reduce(worth):.3f}."
            )
            raise ValueError(" ".join([msg, *self.unexercised]))
        keys = (spent[fits], -worth[fits]) if least is None else (-worth[fits], spent[fits])
        return _reported(self, objective, int(fits[np.lexsort(keys)[0]]), first, seed)

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
        """Return what was swept, where the knee is and what is applied."""
        head = f"Sweep: {self.real.sum():,} configurations on {self.ranks.answerable:,} questions, {self.ranks.unit}"
        lines = [head, f"knee:    {_row(self.knee())}"]
        if self.applied is not None:
            lines.append(f"applied: {_row(self.frame.iloc[self.applied])}")
        return "\n".join([*lines, *self.unexercised, *statistics.caution(self.ranks.conversations)])


@dataclass(frozen=True, kw_only=True)
class Best:
    """A configuration that a sweep chose; `lab.apply(best)` puts it in force and records why."""

    config: Config
    retriever: str
    train: Interval
    """The objective on the conversations that chose it."""
    holdout: Interval
    """The same on the others."""
    gain: Interval
    """How much more it is there than what is applied, paired by question; NaN if the sweep does not hold that."""
    tokens: float
    """Memory's tokens that it takes a question, on average of all."""
    against: str
    """Why `lab.apply` asks for `force=True`, and what to do about it; empty where nothing speaks against it."""
    words: str
    """All this in words, and what could not be judged."""
    run: Mapping[str, Any]
    """What is recorded when it is applied."""

    def __repr__(self) -> str:
        """Return it in words."""
        return self.words


def _reported(sweep: Sweep, objective: str, row: int, first: NDArray[np.bool_], seed: int) -> Best:
    """Report what a row is worth on the conversations that chose it (`first`, by question) and on the others."""
    ranks, values, applied, rest = sweep.ranks, sweep.measured[objective][:, row], sweep.applied, ~first
    clusters, retriever = np.array(ranks.conversations, str), str(sweep.retriever[row])
    train, holdout = (statistics.shares(values[side], clusters[side]).interval() for side in (first, rest))
    gain = np.full(len(values), np.nan) if applied is None else values - sweep.measured[objective][:, applied]
    more = statistics.differences(gain[rest], clusters[rest]).interval()
    spent = sweep.frame["tokens"]
    takes, before = float(spent.iloc[row]), math.nan if applied is None else float(spent.iloc[applied])
    scored = ~np.isnan(values)
    chose, others, reporting = (len(set(clusters[side])) for side in (first, rest, rest & scored))
    against = _against(objective, more, before - takes, reporting, chose + others)
    config = replace(ranks.config, budget=sweep.budget(row), recall=ranks.retrievers[retriever])
    budget = ", ".join(f"{tier.upper()} {getattr(config.budget, tier):,}" for tier in TIERS)
    lines = [
        f"Best {_spoken(objective)}: {retriever}, {budget}.",
        f"Where it was chosen ({(first & scored).sum():,} questions of {chose} conversations): {shown(train)}.",
        f"On {counted(others, 'conversations')} that had no part in the choice: {shown(holdout)}."
        if others
        else "There is one conversation alone: nothing is left to report on, so expect less elsewhere.",
        f"It takes {takes:,.0f} {ranks.unit} a question.",
    ]
    if row == applied:
        lines.append("It is what is applied already.")
    elif applied is None:
        lines.append("The sweep does not hold what is applied, so there is no comparison with what is in force.")
    elif others:
        lines.append(f"Against what is applied ({before:,.0f} tokens): {shown(more, '+.3f')}, {verdict(more)}.")
    lines += sweep.unexercised
    if against:
        lines.append(f"It is not applied unasked. {against} If you mean it: lab.apply(best, force=True).")
    figures: dict[str, Any] = {"objective": objective, "train": train, "holdout": holdout, "gain": more}
    figures |= {"unit": ranks.unit, "tokens": takes, "tokens_applied": before}
    figures |= {"questions": len(clusters), "conversations": chose + others, "seed": seed}
    found = {"retriever": retriever, "words": "\n".join(lines)}
    return Best(
        config=config,
        train=train,
        holdout=holdout,
        gain=more,
        tokens=takes,
        against=against,
        run={"study": "sweep", "data_hash": ranks.data_hash, "figures": figures, **found},
        **found,
    )


def _against(objective: str, gain: Interval, saved: float, reporting: int, conversations: int) -> str:
    """Return what speaks against applying a choice: it holds less than what is applied, or too few vouch for it."""
    found, (value, low, high) = [], gain
    if value < 0:
        saves = f", and takes {saved:,.0f} tokens less" if saved > 0 else ""
        chance = " That may be chance, but nothing shows that it is better." if low <= 0 <= high else ""
        found.append(
            f"On conversations that had no part in the choice it holds {-value:.3f} less {_spoken(objective)} than "
            f"what is applied{saves}.{chance}"
        )
    if reporting < statistics.CLUSTERS:
        found.append(
            f"It rests on {counted(reporting, 'conversations')} that had no part in the choice, where "
            f"{statistics.CLUSTERS} are needed: label questions about "
            f"{max(2 * statistics.CLUSTERS - conversations, 1)} more (lab.labeller())."
        )
    return " ".join(found)


def _mean(values: Floats) -> Floats:
    """Return each column's mean of what is scored; NaN where nothing is."""
    with np.errstate(invalid="ignore"):
        found: Floats = np.nansum(values, 0) / (~np.isnan(values)).sum(0)
    return found


def _check(objective: str) -> None:
    """Refuse an objective that there is not."""
    check(objective in TRUE, "objective", f"one of {', '.join(TRUE)}", objective)


def _spoken(objective: str) -> str:
    return objective.replace("_", " ")


def _row(row: "pd.Series[Any]") -> str:
    """Return a configuration in a line."""
    budgets = " ".join(f"{tier.upper()} {row[tier]:,}" for tier in TIERS)
    held = shown((row["recall"], row["recall_low"], row["recall_high"]))
    return f"{row['retriever']}, {budgets}: recall {held}, {row['tokens']:,.0f} tokens"

"""What insights are worth to recorded questions: what a prompt holds with them and without, at equal tokens.

Every question is packed again from its ranks. The tier: COLD's budget spent on insights, against the same tokens given
to WARM. A single insight: COLD as it was, against COLD without it, its place taken by the next ones in order.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gallump_lab.config import Budget
from gallump_lab.memory.cold import passing_over
from gallump_lab.memory.context import already_said, pack
from gallump_lab.memory.records import ContextItem
from gallump_lab.study import statistics
from gallump_lab.study.rank import Rankings
from gallump_lab.study.tally import measure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MEASURES = ("recall", "coverage")
NAMES = {"recall": "evidence recall", "coverage": "answer coverage"}
WAYS = ("with COLD", "its tokens to WARM", "without COLD")


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What one insight gave the questions in whose prompts it stands."""

    shown: int = 0
    """In how many questions' prompts it stands."""
    helped: int = 0
    """For how many of them evidence recall or answer coverage would be lower without it."""
    recall: float = float("nan")
    """Evidence recall that is lost without it, a question's mean where it is shown; NaN where it never is."""
    coverage: float = float("nan")
    """Answer coverage that is lost without it; NaN where no such question has an answer."""
    tokens: int = 0
    """What it costs, each time, in the model's tokens."""


@dataclass(frozen=True, kw_only=True)
class Utility:
    """What the tier and each insight are worth, on one set of questions."""

    budget: Budget
    """What was packed."""
    unit: str
    """Whose tokens these and all others are, in words."""
    measured: Mapping[str, Mapping[str, "Floats"]]
    """By way of spending (`WAYS`) and measure, a value a question; NaN is unscored."""
    tokens: Mapping[str, float]
    """By way: memory's tokens a question, the mean."""
    worth: Mapping[int, Worth]
    """By insight id, of those that are shown to some question."""
    conversations: Sequence[str] = field(repr=False)

    def difference(self, other: str = WAYS[1], measure: str = "recall") -> tuple[float, float, float]:
        """Return how much more a prompt with COLD holds than one of another way, with its 95% interval."""
        mine, theirs = self.measured[WAYS[0]][measure], self.measured[other][measure]
        return statistics.differences(mine - theirs, self.conversations).interval()

    def level(self, way: str = WAYS[0], measure: str = "recall") -> tuple[float, float, float]:
        """Return what a way holds, with its 95% interval."""
        return statistics.shares(self.measured[way][measure], self.conversations).interval()

    def __repr__(self) -> str:
        """Return what each way of spending holds, and what COLD brings."""
        number = len(self.conversations)
        given = f"Utility of {self.budget.cold:,} {self.unit} for insights"
        lines = [f"{given}, on {number:,} question{'s' * (number != 1)}"]
        for what, name in NAMES.items():
            levels = ", ".join(f"{way} {interval(self.level(way, what), '.3f')}" for way in WAYS)
            more = interval(self.difference(measure=what), "+.3f")
            lines.append(f"{name}: {levels}; {WAYS[0]} against {WAYS[1]} {more}")
        helped = sum(each.helped > 0 for each in self.worth.values())
        lines.append(f"shown to some question: {len(self.worth):,} insights; of these help one: {helped:,}")
        return "\n".join(lines)


def interval(found: tuple[float, float, float], form: str) -> str:
    """Write an estimate with its interval, if it has one."""
    value, low, high = found
    return f"{value:{form}}" + ("" if math.isnan(low) else f" [{low:{form}}, {high:{form}}]")


def utility(ranks: Rankings, retriever: str | None = None, budget: Budget | None = None) -> Utility:
    """Measure what insights are worth.

    Parameters
    ----------
    ranks : Rankings
        What `study.rank` gives; WARM's candidates must reach to WARM's and COLD's budget together.
    retriever : str, optional
        One of the ranks'; the first by default.
    budget : Budget, optional
        By default what is applied in the lab.

    Raises
    ------
    ValueError
        If the retriever is not ranked, or the ranks do not reach so far.
    """
    import numpy as np
    from tqdm import tqdm  # type: ignore[import-untyped]

    name = next(iter(ranks.retrievers)) if retriever is None else retriever
    if name not in ranks.retrievers:
        msg = f"retriever must be one of {', '.join(ranks.retrievers)}, not {retriever!r}."
        raise ValueError(msg)
    budget = ranks.config.budget if budget is None else budget
    needed = {"hot": budget.hot, "warm": budget.warm + budget.cold, "cold": budget.cold}
    if short := [tier for tier, tokens in needed.items() if tokens > ranks.limits[tier]]:
        asked = ", ".join(f"{tier}={needed[tier]}" for tier in short)
        msg = f"The ranks do not reach to these budgets; rank again: study.rank(..., {asked})."
        raise ValueError(msg)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    used: dict[str, list[int]] = {way: [] for way in WAYS}
    losses: dict[int, list[tuple[float, float, int]]] = {}
    for place, asked_one in enumerate(tqdm(ranks.asked, desc="Packing", unit=" questions", delay=2)):
        needs = asked_one.needs
        hot = pack(asked_one.hot, budget.hot)
        candidates = ranks.warm(name, place)
        warm = pack(candidates, budget.warm, passed_over=already_said(hot))
        more = pack(candidates, budget.warm + budget.cold, passed_over=already_said(hot))
        over = passing_over(hot, warm, 0)
        insights = [slot for slot in asked_one.cold if over(slot) is None]
        cold = _kept(pack(insights, budget.cold))
        before = [*_kept(hot), *_kept(warm)]
        ways = {WAYS[0]: [*before, *cold], WAYS[1]: [*_kept(hot), *_kept(more)], WAYS[2]: before}
        for way, kept in ways.items():
            found[way].append(measure(needs, kept))
            used[way].append(sum(slot.tokens for slot in kept))
        whole = found[WAYS[0]][-1]
        for slot in cold:
            rest = _kept(pack([each for each in insights if each.item_id != slot.item_id], budget.cold))
            without = measure(needs, [*before, *rest])
            lost = (whole["recall"] - without["recall"], whole["coverage"] - without["coverage"], slot.tokens)
            losses.setdefault(slot.item_id, []).append(lost)
    return Utility(
        budget=budget,
        unit=ranks.unit,
        measured={
            way: {name: np.array([row[name] for row in rows], np.float64) for name in MEASURES}
            for way, rows in found.items()
        },
        tokens={way: float(np.mean(each)) if each else float("nan") for way, each in used.items()},
        worth={insight_id: _worth(rows) for insight_id, rows in losses.items()},
        conversations=ranks.conversations,
    )


def _kept(slots: Sequence[ContextItem]) -> list[ContextItem]:
    return [slot for slot in slots if slot.kept]


def _worth(lost: Sequence[tuple[float, float, int]]) -> Worth:
    recall = [each for each, _, _ in lost]
    coverage = [each for _, each, _ in lost if each == each]  # noqa: PLR0124 (NaN: there is no answer)
    return Worth(
        shown=len(lost),
        helped=sum(one > 0 or other > 0 for one, other, _ in lost),
        recall=sum(recall) / len(recall),
        coverage=sum(coverage) / len(coverage) if coverage else float("nan"),
        tokens=lost[0][2],
    )

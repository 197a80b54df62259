"""What insights are worth to recorded questions: what a prompt holds with them and without, at equal tokens.

Every question is packed again from its ranks. The tier: COLD's budget spent on insights, against the same tokens given
to WARM. A single insight: COLD as it was, against COLD without it, its place taken by the next ones in order.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gallump_lab.config import Budget
from gallump_lab.lazy import alt, np, pd
from gallump_lab.memory.cold import passing_over
from gallump_lab.memory.context import already_said, pack
from gallump_lab.memory.records import ContextItem
from gallump_lab.reading.text_files import counted
from gallump_lab.study import statistics
from gallump_lab.study.colours import COLOURS, INK
from gallump_lab.study.pictures import DIGITS, NAMES, Picture, finished
from gallump_lab.study.rank import Rankings
from gallump_lab.study.statistics import Floats, shown
from gallump_lab.study.tally import measure

MEASURES = {name: NAMES[name] for name in ("recall", "coverage")}
COLOURS_OF = {
    "with COLD": COLOURS["COLD"],
    "its tokens to WARM": COLOURS["WARM"],
    "without COLD": COLOURS["instructions"],
}
WAYS = tuple(COLOURS_OF)


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


@dataclass(frozen=True, kw_only=True)
class Utility:
    """What the tier and each insight are worth, on one set of questions."""

    budget: Budget
    """What was packed."""
    unit: str
    """Whose tokens these and all others are, in words."""
    measured: Mapping[str, Mapping[str, Floats]]
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

    def plot(self) -> Picture:
        """Draw what prompts hold with COLD, with its tokens in WARM's hands, and without it."""
        levels = {(what, way): self.level(way, what) for what in MEASURES for way in WAYS}
        rows = [(MEASURES[what], way, *level) for (what, way), level in levels.items()]
        frame = pd.DataFrame(rows, columns=["measure", "way", "value", "low", "high"]).round(DIGITS)
        colours = alt.Scale(domain=WAYS, range=[*COLOURS_OF.values()])
        told: list[Any] = ["measure", "way", *(alt.Tooltip(name, format=".3f") for name in ("value", "low", "high"))]
        base = alt.Chart(frame).encode(y=alt.Y("way:N", sort=WAYS, title=None), tooltip=told)
        bars = base.mark_bar(height=14, opacity=0.8).encode(
            x=alt.X("value:Q", title=None, scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("way:N", scale=colours, legend=None),
        )
        ends = base.mark_rule(strokeWidth=2, color=INK).encode(x=alt.X("low:Q", title=None), x2="high:Q")
        spent = f"{self.budget.cold:,} tokens for insights, against as many more for WARM, or none"
        chart = (
            alt.layer(bars, ends)
            .properties(width=230, height={"step": 26})
            .facet(column=alt.Column("measure:N", sort=[*MEASURES.values()], title=None))
            .properties(title=alt.TitleParams("What COLD's tokens are worth", subtitle=spent))
        )
        words = "; ".join(
            f"{name}: "
            + ", ".join(f"{way} {levels[what, way][0]:.3f} ({self.tokens[way]:,.0f} tokens)" for way in WAYS)
            for what, name in MEASURES.items()
        )
        return Picture(finished(chart), words[:1].upper() + words[1:])

    def __repr__(self) -> str:
        """Return what each way of spending holds, and what COLD brings."""
        number = counted(len(self.conversations), "questions")
        lines = [f"Utility of {self.budget.cold:,} {self.unit} for insights, on {number}"]
        for what, name in MEASURES.items():
            levels = ", ".join(f"{way} {shown(self.level(way, what))}" for way in WAYS)
            more = shown(self.difference(measure=what), "+.3f")
            lines.append(f"{name}: {levels}; {WAYS[0]} against {WAYS[1]} {more}")
        helped = sum(each.helped > 0 for each in self.worth.values())
        lines.append(f"shown to some question: {len(self.worth):,} insights; of these help one: {helped:,}")
        return "\n".join(lines)


def utility(ranks: Rankings, budget: Budget | None = None) -> Utility:
    """Measure what insights are worth.

    Parameters
    ----------
    ranks : Rankings
        What `study.rank` gives, of which the first retriever counts; WARM's candidates must reach to WARM's and COLD's
        budget together.
    budget : Budget, optional
        By default what is applied in the lab.

    Raises
    ------
    ValueError
        If the ranks do not reach so far.
    """
    from gallump_lab.progress import progress

    name = next(iter(ranks.retrievers))
    budget = ranks.config.budget if budget is None else budget
    needed = {"hot": budget.hot, "warm": budget.warm + budget.cold, "cold": budget.cold}
    if short := [tier for tier, tokens in needed.items() if tokens > ranks.limits[tier]]:
        asked = ", ".join(f"{tier}={needed[tier]}" for tier in short)
        msg = f"The ranks do not reach to these budgets; rank again: study.rank(..., {asked})."
        raise ValueError(msg)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    losses: dict[int, list[tuple[float, float]]] = {}
    for place, asked_one in enumerate(progress(ranks.asked, desc="Packing", unit=" questions", delay=2)):
        needs = asked_one.needs
        if not needs.evidence:
            continue
        hot = pack(asked_one.hot[ranks.config.layout], budget.hot)
        candidates = ranks.warm(name, place)
        warm = pack(candidates, budget.warm, passed_over=already_said(hot))
        more = pack(candidates, budget.warm + budget.cold, passed_over=already_said(hot))
        over = passing_over(hot, warm, 0)
        insights = [slot for slot in asked_one.cold if over(slot) is None]
        cold = _kept(pack(insights, budget.cold))
        before = [*_kept(hot), *_kept(warm)]
        ways = {WAYS[0]: [*before, *cold], WAYS[1]: [*_kept(hot), *_kept(more)], WAYS[2]: before}
        for way, kept in ways.items():
            found[way].append(measure(needs, kept) | {"tokens": sum(slot.tokens for slot in kept)})
        whole = found[WAYS[0]][-1]
        for slot in cold:
            rest = _kept(pack([each for each in insights if each.item_id != slot.item_id], budget.cold))
            without = measure(needs, [*before, *rest])
            lost = (whole["recall"] - without["recall"], whole["coverage"] - without["coverage"])
            losses.setdefault(slot.item_id, []).append(lost)
    return Utility(
        budget=budget,
        unit=ranks.unit,
        measured={
            way: {name: np.array([row[name] for row in rows], np.float64) for name in MEASURES}
            for way, rows in found.items()
        },
        tokens={way: sum(row["tokens"] for row in rows) / (len(rows) or math.nan) for way, rows in found.items()},
        worth={insight_id: _worth(rows) for insight_id, rows in losses.items()},
        conversations=[each.conversation for each in ranks.asked if each.needs.evidence],
    )


def _kept(slots: Sequence[ContextItem]) -> list[ContextItem]:
    return [slot for slot in slots if slot.kept]


def _worth(lost: Sequence[tuple[float, float]]) -> Worth:
    recall, coverage = zip(*lost, strict=True)
    answered = [each for each in coverage if not math.isnan(each)]
    return Worth(
        shown=len(lost),
        helped=sum(one > 0 or other > 0 for one, other in lost),
        recall=sum(recall) / len(recall),
        coverage=sum(answered) / len(answered) if answered else math.nan,
    )

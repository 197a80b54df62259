"""The winner of a sweep, chosen on some conversations and reported on the others."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gallump_lab.config import Config
from gallump_lab.memory.records import TIERS
from gallump_lab.reading.text_files import counted
from gallump_lab.study import statistics

if TYPE_CHECKING:
    from gallump_lab.study.sweep import Sweep

Interval = tuple[float, float, float]
"""A value, its low and its high; NaN where there is none."""


@dataclass(frozen=True, kw_only=True)
class Best:
    """A configuration that a sweep chose; `lab.apply(best)` puts it in force and records why."""

    config: Config
    retriever: str
    objective: str
    train: Interval
    """The objective on the conversations that chose it."""
    holdout: Interval
    """The same on the others."""
    gain: Interval
    """How much more it is there than what is applied, paired by question; NaN if the sweep does not hold that."""
    unit: str
    """Whose tokens these and the configuration's budgets are, in words."""
    tokens: float
    """Memory's tokens that it takes a question, on average of all."""
    tokens_applied: float
    """The same of what is applied; NaN if the sweep does not hold that."""
    changes: bool
    """Whether it is another configuration than what is applied."""
    questions: int
    """How many chose it."""
    conversations: tuple[int, int, int]
    """How many chose it, how many others there are, and how many of these had a question to report on."""
    notes: tuple[str, ...]
    """What could not be judged."""
    data_hash: str
    """Of the snapshot."""
    grounds: Mapping[str, int]
    """What is recorded beside the figures: questions and conversations in all, and the seed."""

    @property
    def against(self) -> str:
        """Why `lab.apply` asks for `force=True`, and what to do about it; empty where nothing speaks against it."""
        found, (gain, low, high), (chose, others, reporting) = [], self.gain, self.conversations
        if gain < 0:
            saved = self.tokens_applied - self.tokens
            saves = f", and takes {saved:,.0f} tokens less" if saved > 0 else ""
            chance = " That may be chance, but nothing shows that it is better." if low <= 0 <= high else ""
            found.append(
                f"On conversations that had no part in the choice it holds {-gain:.3f} less "
                f"{_spoken(self.objective)} than what is applied{saves}.{chance}"
            )
        if reporting < statistics.CLUSTERS:
            more = max(2 * statistics.CLUSTERS - chose - others, 1)
            found.append(
                f"It rests on {counted(reporting, 'conversations')} that had no part in the choice, where "
                f"{statistics.CLUSTERS} are needed: label questions about {more} more (lab.labeller())."
            )
        return " ".join(found)

    @property
    def words(self) -> str:
        """All this in words, and what could not be judged."""
        chose, others, _ = self.conversations
        budget = ", ".join(f"{tier.upper()} {getattr(self.config.budget, tier):,}" for tier in TIERS)
        lines = [
            f"Best {_spoken(self.objective)}: {self.retriever}, {budget}.",
            f"Where it was chosen ({self.questions:,} questions of {chose} conversations): {shown(self.train)}.",
            f"On {counted(others, 'conversations')} that had no part in the choice: {shown(self.holdout)}."
            if others
            else "There is one conversation alone: nothing is left to report on, so expect less elsewhere.",
            f"It takes {self.tokens:,.0f} {self.unit} a question.",
        ]
        if not self.changes:
            lines.append("It is what is applied already.")
        elif math.isnan(self.tokens_applied):
            lines.append("The sweep does not hold what is applied, so there is no comparison with what is in force.")
        elif others:
            applied = f"Against what is applied ({self.tokens_applied:,.0f} tokens)"
            lines.append(f"{applied}: {shown(self.gain, '+')}, {verdict(self.gain)}.")
        lines += self.notes
        if self.against:
            lines.append(f"It is not applied unasked. {self.against} If you mean it: lab.apply(best, force=True).")
        return "\n".join(lines)

    @property
    def run(self) -> dict[str, Any]:
        """What is recorded when it is applied."""
        names = ("objective", "train", "holdout", "gain", "unit", "tokens", "tokens_applied")
        figures = {name: getattr(self, name) for name in names} | dict(self.grounds)
        ranked = {"data_hash": self.data_hash, "retriever": self.retriever}
        return {"study": "sweep", **ranked, "figures": figures, "words": self.words}

    def __repr__(self) -> str:
        """Return it in words."""
        return self.words


def choose(sweep: "Sweep", objective: str, *, most: float, least: float | None, seed: int) -> Best:
    """Choose on half of the conversations, report on the other; see `Sweep.best`."""
    import numpy as np

    ranks, values, tokens = sweep.ranks, sweep.measured[objective], sweep.frame["tokens"].to_numpy(float)
    clusters = np.array(ranks.conversations, str)
    names = np.unique(clusters)
    half = names[np.random.default_rng(seed).permutation(len(names))[: (len(names) + 1) // 2]]
    first = np.isin(clusters, half)
    rest = ~first
    scored = ~np.isnan(values[first])
    number = scored.sum(0)
    worth = np.where(number > 0, np.where(scored, values[first], 0).sum(0) / np.maximum(number, 1), np.nan)
    (rows,) = np.nonzero((tokens <= most) & (worth >= (0 if least is None else least)))
    if not len(rows):
        raise ValueError(_refusal(sweep, objective, worth, tokens, most=most, least=least))
    keys = (-worth, tokens) if least is None else (tokens, -worth)
    row = min(rows.tolist(), key=lambda each: (keys[0][each], keys[1][each]))
    held = statistics.shares(values[rest][:, row], clusters[rest])
    applied, retriever = sweep.applied, str(sweep.retriever[row])
    gain = np.full(len(values), np.nan) if applied is None else values[:, row] - values[:, applied]
    left = (f"Interrupted: {ranks.left:,} questions had no part in this.",) if ranks.left else ()
    return Best(
        config=replace(ranks.config, budget=sweep.budget(row), recall=ranks.retrievers[retriever]),
        retriever=retriever,
        objective=objective,
        train=statistics.shares(values[first][:, row], clusters[first]).interval(),
        holdout=held.interval(),
        gain=statistics.differences(gain[rest], clusters[rest]).interval(),
        unit=ranks.unit,
        tokens=float(tokens[row]),
        tokens_applied=math.nan if applied is None else float(tokens[applied]),
        changes=row != applied,
        questions=int(first.sum()),
        conversations=(len(half), len(names) - len(half), int(held.clusters[0])),
        notes=(*sweep.unexercised, *left),
        data_hash=ranks.data_hash,
        grounds={"questions": len(clusters), "conversations": len(names), "seed": seed},
    )


def _refusal(  # noqa: PLR0913 (all that was asked)
    sweep: "Sweep", objective: str, worth: Any, tokens: Any, *, most: float, least: float | None
) -> str:
    import numpy as np

    scored = ~np.isnan(worth)
    if not scored.any():
        return f"No question scores {_spoken(objective)}: it takes reference answers or evidence that these have not."
    cheapest = float(tokens[scored].min())
    if cheapest > most:
        words = (
            f"Every configuration takes more than {most:,.0f} {sweep.ranks.unit} a question; the cheapest takes "
            f"{cheapest:,.0f}."
        )
        kept = [f"{tier!r}: [0]" for tier in TIERS if not sweep.exercised[tier]]
        without = f"To do without it: study.sweep(ranks, study.GRID | {{{', '.join(kept)}}})." if kept else ""
        return " ".join(filter(None, [words, *sweep.unexercised, without]))
    affordable = worth[scored & (tokens <= most)].max()
    reached = f"the best has {affordable:.3f}"
    return f"No configuration reaches a {_spoken(objective)} of {least:g} within the bounds; {reached}."


def _spoken(objective: str) -> str:
    return objective.replace("_", " ")


def verdict(gain: Interval, p: float = 0.0) -> str:
    """Return in words whether a difference is one; `p` is adjusted for the number of comparisons."""
    _, low, high = gain
    if math.isnan(low):
        return "too few conversations to tell it from chance"
    if low <= 0 <= high:
        return "a difference inside the noise"
    if p >= 1 - statistics.LEVEL:
        return "a difference inside the noise of so many comparisons"
    return "better, beyond chance" if low > 0 else "worse, beyond chance"


def shown(interval: Interval, sign: str = "") -> str:
    """Return an interval as it is read; `sign` may be "+", for differences."""
    value, low, high = interval
    return f"{value:{sign}.3f}" + ("" if math.isnan(low) else f" [{low:{sign}.3f}, {high:{sign}.3f}]")

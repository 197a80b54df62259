"""The winner of a sweep, chosen on some conversations and reported on the others."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gallump_lab.config import Config
from gallump_lab.memory.packing import TIERS
from gallump_lab.study import statistics

if TYPE_CHECKING:
    from gallump_lab.study.sweep import Sweep

Interval = tuple[float, float, float]
"""A value, its low and its high; NaN where there is none."""
NONE: Interval = (math.nan, math.nan, math.nan)


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
    """How much more it is there than what is applied, paired by question."""
    unit: str
    """Whose tokens these and the configuration's budgets are, in words."""
    tokens: float
    """Memory's tokens that it takes a question, on average of all."""
    tokens_applied: float
    """The same of what is applied."""
    against: str
    """Why `lab.apply` asks for `force=True`, and what to do about it; empty where nothing speaks against it."""
    words: str
    """All this in words, and what could not be judged."""
    run: dict[str, Any]
    """What is recorded when it is applied."""

    def __repr__(self) -> str:
        """Return it in words."""
        return self.words


def choose(sweep: "Sweep", objective: str, *, most: float, least: float | None, seed: int) -> Best:
    """Choose on half of the conversations, report on the other; see `Sweep.best`."""
    import numpy as np

    values, tokens = sweep.measured[objective], sweep.frame["tokens"].to_numpy(float)
    clusters = np.array(sweep.ranks.conversations, str)
    names = np.unique(clusters)
    order = np.random.default_rng(seed).permutation(len(names))
    first = np.isin(clusters, names[order[: (len(names) + 1) // 2]])
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
    applied, gain = sweep.applied, NONE
    if applied is not None:
        gain = statistics.differences((values[:, row] - values[:, applied])[rest], clusters[rest]).interval()
    figures: dict[str, Any] = {
        "objective": objective,
        "train": statistics.shares(values[first][:, row], clusters[first]).interval(),
        "holdout": held.interval(),
        "gain": gain,
        "unit": sweep.ranks.unit,
        "tokens": float(tokens[row]),
        "tokens_applied": math.nan if applied is None else float(tokens[applied]),
    }
    retriever = str(sweep.retriever[row])
    against = _against(figures, int(held.clusters[0]), len(names))
    conversations = len(set(clusters[first])), len(set(clusters[rest]))
    words = _words(sweep, row, figures, against, int(first.sum()), conversations)
    return Best(
        config=replace(sweep.ranks.config, budget=sweep.budget(row), recall=sweep.ranks.retrievers[retriever]),
        retriever=retriever,
        **figures,
        against=against,
        words=words,
        run={
            "study": "sweep",
            "data_hash": sweep.ranks.data_hash,
            "retriever": retriever,
            "figures": figures | {"questions": len(clusters), "conversations": len(names), "seed": seed},
            "words": words,
        },
    )


def _refusal(  # noqa: PLR0913 (all that was asked)
    sweep: "Sweep", objective: str, worth: Any, tokens: Any, *, most: float, least: float | None
) -> str:
    import numpy as np

    scored = ~np.isnan(worth)
    if not scored.any():
        return f"No question scores {objective}: it takes reference answers or evidence that these have not."
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
    return f"No configuration reaches a {objective} of {least:g} within the bounds; the best has {affordable:.3f}."


def _against(figures: dict[str, Any], reporting: int, conversations: int) -> str:
    """Return why a choice is not to be applied as it is, and what to do; empty where nothing speaks against."""
    found = []
    if figures["gain"][0] < 0:
        saved = figures["tokens_applied"] - figures["tokens"]
        saves = f", and takes {saved:,.0f} tokens less" if saved > 0 else ""
        low, high = figures["gain"][1:]
        chance = " That may be chance, but nothing shows that it is better." if low <= 0 <= high else ""
        found.append(
            f"On conversations that had no part in the choice it holds {-figures['gain'][0]:.3f} less "
            f"{figures['objective'].replace('_', ' ')} than what is applied{saves}.{chance}"
        )
    if reporting < statistics.CLUSTERS:
        more = max(2 * statistics.CLUSTERS - conversations, 1)
        found.append(
            f"It rests on {reporting} conversation{'s' * (reporting != 1)} that had no part in the choice, where "
            f"{statistics.CLUSTERS} are needed: label questions about {more} more (lab.labeller())."
        )
    return " ".join(found)


def _words(  # noqa: PLR0913, PLR0917 (all that is said)
    sweep: "Sweep", row: int, figures: dict[str, Any], against: str, asked: int, conversations: tuple[int, int]
) -> str:
    gain, (chose, others) = figures["gain"], conversations
    budget = ", ".join(
        f"{tier.upper()} {value:,}" for tier, value in zip(TIERS, sweep.budgets[row].tolist(), strict=True)
    )
    lines = [
        f"Best {figures['objective'].replace('_', ' ')}: {sweep.retriever[row]}, {budget}.",
        f"Where it was chosen ({asked:,} questions of {chose} conversations): {shown(figures['train'])}.",
        f"On {others} conversation{'s' * (others != 1)} that had no part in the choice: {shown(figures['holdout'])}."
        if others
        else "There is one conversation alone: nothing is left to report on, so expect less elsewhere.",
        f"It takes {figures['tokens']:,.0f} {figures['unit']} a question.",
    ]
    if row == sweep.applied:
        lines.append("It is what is applied already.")
    elif sweep.applied is None:
        lines.append("The sweep does not hold what is applied, so there is no comparison with what is in force.")
    elif others:
        applied = f"Against what is applied ({figures['tokens_applied']:,.0f} tokens)"
        lines.append(f"{applied}: {shown(gain, '+')}, {verdict(gain)}.")
    lines += sweep.unexercised
    if sweep.ranks.left:
        lines.append(f"Interrupted: {sweep.ranks.left:,} questions had no part in this.")
    if against:
        lines.append(f"It is not applied unasked. {against} If you mean it: lab.apply(best, force=True).")
    return "\n".join(lines)


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

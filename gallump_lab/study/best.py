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
        """Say it in words."""
        return self.words


def choose(sweep: "Sweep", objective: str, *, most: float, least: float | None, seed: int) -> Best:
    """Choose on half of the conversations, report on the other; see `Sweep.best`."""
    import numpy as np

    values, tokens = sweep.measured[objective], sweep.frame["tokens"].to_numpy(float)
    names = np.unique(np.array(sweep.ranks.conversations, str))
    order = np.random.default_rng(seed).permutation(len(names))
    clusters = np.array(sweep.ranks.conversations, str)
    first = np.isin(clusters, names[order[: (len(names) + 1) // 2]])
    rest = ~first
    with np.errstate(invalid="ignore"):
        worth = _mean(values[first])
    able = (tokens <= most) & ~np.isnan(worth)
    if least is not None:
        able &= worth >= least
    if not able.any():
        raise ValueError(_refusal(sweep, objective, worth, tokens, most=most, least=least))
    (rows,) = np.nonzero(able)
    key = [(tokens[row], -worth[row]) if least is not None else (-worth[row], tokens[row]) for row in rows.tolist()]
    row = int(rows[min(range(len(rows)), key=key.__getitem__)])
    train = statistics.shares(values[first][:, row], clusters[first]).interval()
    held = statistics.shares(values[rest][:, row], clusters[rest])
    gain: Interval = (math.nan,) * 3
    applied = sweep.applied
    if applied is not None:
        gain = statistics.differences((values[:, row] - values[:, applied])[rest], clusters[rest]).interval()
    config = replace(
        sweep.ranks.config,
        budget=sweep.budget(row),
        recall=sweep.ranks.retrievers[str(sweep.retriever[row])],
    )
    found: dict[str, Any] = {
        "config": config,
        "retriever": str(sweep.retriever[row]),
        "objective": objective,
        "train": train,
        "holdout": held.interval(),
        "gain": gain,
        "unit": sweep.ranks.unit,
        "tokens": float(tokens[row]),
        "tokens_applied": math.nan if applied is None else float(tokens[applied]),
    }
    found["against"] = _against(sweep, found, int(held.clusters[0]), len(names))
    words = _words(sweep, found, row, (int(first.sum()), len(set(clusters[first])), len(set(clusters[rest]))))
    figures = {
        name: _plain(found[name])
        for name in ("objective", "train", "holdout", "gain", "unit", "tokens", "tokens_applied")
    }
    run = {
        "study": "sweep",
        "data_hash": sweep.ranks.data_hash,
        "retriever": found["retriever"],
        "figures": figures | {"questions": len(clusters), "conversations": len(names), "seed": seed},
        "words": words,
    }
    return Best(**found, words=words, run=run)


def _mean(values: Any) -> Any:
    """Return the mean of each column's scored values; NaN where none is."""
    import numpy as np

    scored = ~np.isnan(values)
    number = scored.sum(0)
    return np.where(number > 0, np.where(scored, values, 0).sum(0) / np.maximum(number, 1), np.nan)


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


def _against(sweep: "Sweep", choice: dict[str, Any], reporting: int, conversations: int) -> str:
    """Return why a choice is not to be applied as it is, and what to do; empty where nothing speaks against."""
    found = []
    if not sweep.ranks.own:
        found.append(f"Its budgets are {sweep.ranks.unit}, the lab's are tokens of {sweep.ranks.model}.")
    if choice["gain"][0] < 0:
        less, saved = -choice["gain"][0], choice["tokens_applied"] - choice["tokens"]
        saves = f", and takes {saved:,.0f} tokens less" if saved > 0 else ""
        found.append(
            f"On conversations that had no part in the choice it holds {less:.3f} less {choice['objective']} than what "
            f"is applied{saves}."
        )
    if reporting < statistics.CLUSTERS:
        more = max(2 * statistics.CLUSTERS - conversations, 1)
        found.append(
            f"It rests on {reporting} conversation{'s' * (reporting != 1)} that had no part in the choice, where "
            f"{statistics.CLUSTERS} are needed: label questions about {more} more (lab.labeller())."
        )
    return " ".join(found)


def _words(sweep: "Sweep", found: dict[str, Any], row: int, sizes: tuple[int, int, int]) -> str:
    asked, chose, others = sizes
    objective, gain = found["objective"], found["gain"]
    budget = ", ".join(
        f"{tier.upper()} {value:,}" for tier, value in zip(TIERS, sweep.budgets[row].tolist(), strict=True)
    )
    lines = [
        f"Best {objective}: {found['retriever']}, {budget}.",
        f"Where it was chosen ({asked:,} questions of {chose} conversations): {shown(found['train'])}.",
    ]
    if not others:
        lines.append("There is one conversation alone: nothing is left to report on, so expect less elsewhere.")
    else:
        lines.append(
            f"On {others} conversation{'s' * (others != 1)} that had no part in the choice: {shown(found['holdout'])}."
        )
    lines.append(f"It takes {found['tokens']:,.0f} {found['unit']} a question.")
    if row == sweep.applied:
        lines.append("It is what is applied already.")
    elif sweep.applied is None:
        why = "does not hold what is applied" if sweep.ranks.own else f"counts {sweep.ranks.unit}"
        lines.append(f"The sweep {why}, so there is no comparison with what is in force.")
    elif others:
        lines.append(
            f"Against what is applied ({found['tokens_applied']:,.0f} tokens): {gain[0]:+.3f}{_ends(gain, '+')}, "
            f"{verdict(gain)}."
        )
    lines += sweep.unexercised
    if sweep.ranks.left:
        lines.append(f"Interrupted: {sweep.ranks.left:,} questions had no part in this.")
    if found["against"]:
        lines.append(
            f"Not to be applied as it is. {found['against']} lab.apply(best, force=True) does it all the same."
        )
    return "\n".join(lines)


def verdict(gain: Interval) -> str:
    """Say in words whether a difference is one."""
    _, low, high = gain
    if math.isnan(low):
        return "too few conversations to tell it from chance"
    if low <= 0 <= high:
        return "a difference inside the noise"
    return "better, beyond chance" if low > 0 else "worse, beyond chance"


def shown(interval: Interval) -> str:
    """Return an interval as it is read."""
    return f"{interval[0]:.3f}{_ends(interval)}"


def _ends(interval: Interval, sign: str = "") -> str:
    _, low, high = interval
    return "" if math.isnan(low) else f" [{low:{sign}.3f}, {high:{sign}.3f}]"


def _plain(value: Any) -> Any:
    """Return figures as JSON takes them: what is not a number is nothing."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value

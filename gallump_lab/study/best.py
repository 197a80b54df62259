"""The configuration that a sweep chose: what it is worth where it was not chosen, and what speaks against it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gallump_lab.config import Config
from gallump_lab.memory.records import TIERS
from gallump_lab.reading.text_files import counted
from gallump_lab.study import statistics
from gallump_lab.study.statistics import Interval, shown, verdict

if TYPE_CHECKING:
    from gallump_lab.study.sweep import Sweep


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
    usd: float
    """What a turn costs with it; NaN where that is not known."""
    against: str
    """Why `lab.apply` asks for `force=True`, and what to do about it; empty where nothing speaks against it."""
    words: str
    """All this in words, and what could not be judged."""
    run: Mapping[str, Any]
    """What is recorded when it is applied."""

    def __repr__(self) -> str:
        """Return it in words."""
        return self.words


def reported(sweep: "Sweep", objective: str, row: int, first: NDArray[np.bool_], seed: int) -> Best:
    """Report what a row is worth on the conversations that chose it (`first`, by question) and on the others."""
    ranks, values, applied, rest = sweep.ranks, sweep.measured[objective][:, row], sweep.applied, ~first
    clusters, retriever = np.array(ranks.conversations, str), str(sweep.retriever[row])
    train, holdout = (statistics.shares(values[side], clusters[side]).interval() for side in (first, rest))
    gain = np.full(len(values), np.nan) if applied is None else values - sweep.measured[objective][:, applied]
    more = statistics.differences(gain[rest], clusters[rest]).interval()
    spent = sweep.frame[["tokens", "usd"]].astype(float)
    takes, usd = spent.iloc[row]
    before, usd_before = (math.nan, math.nan) if applied is None else spent.iloc[applied]
    scored = ~np.isnan(values)
    chose, others, reporting = (len(set(clusters[side])) for side in (first, rest, rest & scored))
    against = _against(objective, more, before - takes, reporting, chose + others)
    layout = sweep.layout[row]
    config = replace(ranks.config, layout=layout, budget=sweep.budget(row), recall=ranks.retrievers[retriever])
    what = ", ".join(f"{tier.upper()} {getattr(config.budget, tier):,}" for tier in TIERS)
    what += f", layout {layout}" if layout != ranks.config.layout else ""
    takes_before = f"{before:,.0f} tokens{dollars(usd_before)}"
    lines = [
        f"Best {spoken(objective)}: {sweep.named(retriever)}{what}.",
        f"Where it was chosen ({(first & scored).sum():,} questions of {chose} conversations): {shown(train)}.",
        f"On {counted(others, 'conversations')} that had no part in the choice: {shown(holdout)}."
        if others
        else "There is one conversation alone: nothing is left to report on, so expect less elsewhere.",
        f"It takes {takes:,.0f} {ranks.unit} a question{dollars(usd)}.",
    ]
    if row == applied:
        lines.append("It is what is in force already.")
    elif applied is None:
        lines.append("The sweep does not hold what is in force, so there is no comparison with that.")
    elif others:
        lines.append(f"Against what is in force ({takes_before}): {shown(more, '+.3f')}, {verdict(more)}.")
    lines += sweep.unexercised
    refused = f"lab.apply(best) will not put it in force. {against} If you mean it: lab.apply(best, force=True)."
    figures: dict[str, Any] = {"objective": objective, "train": train, "holdout": holdout, "gain": more}
    figures |= {"unit": ranks.unit, "tokens": takes, "tokens_applied": before, "layout": layout}
    figures |= {"usd": usd, "usd_applied": usd_before}
    figures |= {"questions": len(clusters), "conversations": chose + others, "seed": seed}
    found = {"retriever": retriever, "words": "\n".join([*lines, against] if against else lines)}
    return Best(
        config=config,
        train=train,
        holdout=holdout,
        gain=more,
        tokens=float(takes),
        usd=float(usd),
        against=against,
        retriever=retriever,
        words="\n".join([*lines, refused]) if against else found["words"],
        run={"study": "sweep", "data_hash": ranks.data_hash, "figures": figures} | found,
    )


def _against(objective: str, gain: Interval, saved: float, reporting: int, conversations: int) -> str:
    """Return what speaks against applying a choice: it holds less than what is applied, or too few vouch for it."""
    found, (value, low, high) = [], gain
    if value < 0:
        saves = f", and takes {saved:,.0f} tokens less" if saved > 0 else ""
        chance = " That may be chance, but nothing shows that it is better." if low <= 0 <= high else ""
        found.append(
            f"On conversations that had no part in the choice it holds {-value:.3f} less {spoken(objective)} than "
            f"what is in force{saves}.{chance}"
        )
    if reporting < statistics.CLUSTERS:
        found.append(
            f"It rests on {counted(reporting, 'conversations')} that had no part in the choice, where "
            f"{statistics.CLUSTERS} are needed: label questions of "
            f"{max(2 * statistics.CLUSTERS - conversations, 1)} more (lab.labeller())."
        )
    return " ".join(found)


def spoken(objective: str) -> str:
    """Return a measure's name as it is read."""
    return objective.replace("_", " ")


def dollars(usd: float) -> str:
    """Return what a turn costs, as it is read behind tokens; nothing where it is free or not known."""
    return f", ${usd:.4f} a turn" if usd > 0 else ""

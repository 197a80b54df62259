"""Advice: what to change so that a turn costs less or holds more, how sure that is, and what to label to be surer.

Budgets, layout and retrieval are chosen on half of the conversations and judged on the other half; nothing is advised
that the interval there does not carry. Dollars are `study.cost`'s.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from gallump_lab.brain.models import Price, price
from gallump_lab.config import Config, Effort, Layout, Recall
from gallump_lab.memory.context import learnt_factor
from gallump_lab.memory.hot import TURN
from gallump_lab.memory.records import TIERS, check
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Snapshot, runs
from gallump_lab.study import statistics
from gallump_lab.study.best import Best, reported
from gallump_lab.study.change import UNKNOWN, Change, saved
from gallump_lab.study.cost import NOTHING, cost
from gallump_lab.study.rank import NothingToMeasure, Rankings, checked_ranks, checked_snapshot, rank
from gallump_lab.study.scorecard.utility import utility
from gallump_lab.study.sweep import GRID, Sweep, sweep
from gallump_lab.study.tempo import Talk, layouts
from gallump_lab.study.usage import pace
from gallump_lab.tokens import OFFLINE, scaled

MARGIN = 0.05
"""What is cheaper must hold all but so much evidence recall, beyond chance."""
UNMEASURED = "nothing here measures what it brings"
FOLLOWED = 0.9
"""Of so many exchanges HOT is to hold all: labels do not tell whether a question is understood without the last one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Advice:
    """What to change, and what it rests on; `study.advise` makes it, `lab.apply(advice)` puts it in force."""

    config: Config
    """As advised; what is applied already where no setting is."""
    retire: Sequence[int]
    """Ids of insights to retire: `lab.insights.retire` does it, `lab.apply` does not."""
    frame: pd.DataFrame
    """One row a change that was looked at, those of settings first.

    change (in words); advised; usd_turn and usd_month (saved; below 0 it costs more) and recall (evidence recall
    gained), each with its 95% interval in `..._low` and `..._high` (NaN: not known); tokens (of memory a question,
    saved); conversations (that recall was judged on); why, in words."""
    words: str
    """Three sentences: what to change and what that saves or brings, how sure it is, what would make it surer."""
    against: str
    """Why `lab.apply` puts nothing in force; empty where a setting is advised."""
    run: Mapping[str, Any] = field(repr=False)
    """What is recorded when it is applied."""

    def __repr__(self) -> str:
        """Return the sentences."""
        return self.words


def advise(  # noqa: PLR0913 (what advice rests on)
    snapshot: Snapshot,
    ranks: Rankings | None = None,
    *,
    model: str | None = None,
    margin: float = MARGIN,
    thinking: Mapping[Effort, float] | None = None,
    seed: int = 0,
) -> Advice:
    """Say what to change, what that saves or brings, how sure it is, and what to label to be surer; nothing is sent.

    Only what the conversations carry that had no part in the choice is advised: more recall beyond chance, or less
    money beyond chance with no loss beyond the margin. Effort is not advised: nothing here measures what it brings.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gave.
    ranks : Rankings, optional
        Of the labelled questions, with the retrievers to choose from; by default what is applied and the package's own
        settings are ranked here, which takes the longest.
    model : str, optional
        In whose tokens and at whose price; by default those of the ranks, or of who answered in the lab.
    margin : float
        The loss of evidence recall that something cheaper must exclude.
    thinking : mapping of str to float, optional
        Tokens a turn that each effort is assumed to think, such as {"low": 200, "high": 2_000}, to say what they cost.
    seed : int
        Divides the conversations.

    Raises
    ------
    ValueError
        If an argument cannot be used.

    Examples
    --------
    >>> lab.apply(study.advise(lab.snapshot(), model="claude-sonnet-5-5"))
    """
    checked_snapshot(snapshot)
    check(isinstance(margin, float) and 0 < margin < 1, "margin", "a share of recall, such as 0.05", margin)
    with snapshot.read() as con:
        applied, talk = runs.applied(con), Talk.of(con)
        model = model or (ranks.model if ranks else snapshot.model or applied.model.answering)
        factor = learnt_factor(con, model, applied)
    lacking = list[str]()
    if ranks is None:
        try:
            ranks = _ranked(snapshot, applied, model)
        except NothingToMeasure as error:
            lacking.append(str(error))
    else:
        checked_ranks(ranks)
        same = (ranks.data_hash, ranks.model) == (snapshot.hash, model) and applied.recall in ranks.retrievers.values()
        check(same, "ranks", "of this snapshot and model, 'applied' among its retrievers", ranks)
    known = price(model, applied.model.prices)
    if lacks_price := _unpriced(model, known, replies=bool(talk.turns(applied, model, factor))):
        lacking.append(lacks_price)
    tried = [applied.layout] if lacks_price else layouts(applied)
    swept = _swept(ranks, talk, tried) if ranks else None
    changes = _chosen(swept, margin, seed) if swept else _laid_out(applied, talk, factor, tried)
    if changes and not lacks_price:
        now = _as_measured(swept, applied) if swept else applied
        changes = _priced(snapshot, now, changes, model)
    best = next((each for each in changes if each.carried(margin)), None)
    retired, ids = _useless(swept, seed, priced=not lacks_price) if swept else (None, [])
    retired = retired and replace(retired, turns=max((each.turns for each in changes), default=math.nan))
    retire = ids if retired and retired.carried(margin) else []
    rows = [each.row(margin, advised=each is best) for each in changes]
    rows += [retired.row(margin, advised=bool(retire))] if retired else []
    rows += _efforts(applied, known, thinking) if known and not lacks_price else []
    frame = pd.DataFrame(rows, columns=[*Change(what="", config=applied, priced=applied).row(margin, advised=False)])
    near = best or next(iter(changes), None)
    surer = " ".join(lacking) or _surer(near, swept, margin)
    words = f"{_does(best, retired if retire else None)}.\nHow sure: {_sure(best, near, margin)}"
    words += f"; without these insights {retired.judged(margin)}" if retired and retire else ""
    efforts = frame[frame["why"] == UNMEASURED]
    for effort in efforts.head(1).to_dict("records"):
        words += f"; {effort['change']} costs ${-effort['usd_turn']:.4f} a turn, and {UNMEASURED}"
    words += f".\nTo be surer: {surer}"
    against = "" if best else f"No setting is advised. {surer[:1].upper()}{surer[1:]}"
    figures = {"model": model, "margin": margin, "seed": seed}
    figures |= {"gain": best.gain, "usd_turn": best.turn, "tokens": best.tokens} if best else {}
    run = {"study": "advise", "data_hash": snapshot.hash, "figures": figures, "words": words}
    config = best.config if best else applied
    return Advice(config=config, retire=retire, frame=frame, words=words, against=against, run=run)


def _does(best: Change | None, retired: Change | None) -> str:
    """Return what to change and what that saves or brings, in a sentence."""
    parts = [f"{each.what}: that {each.brings()}" for each in (best, retired) if each]
    return (
        "; ".join(parts)
        or "Change nothing: no change that was tried is better, or cheaper without a loss, beyond chance"
    )


def _sure(best: Change | None, near: Change | None, margin: float) -> str:
    """Return how sure that is, in a sentence; where nothing is advised, why what comes nearest is not."""
    if near is None:
        return "nothing could be judged"
    return near.judged(margin) if best else f"{near.what!r} {near.brings()}, but {near.judged(margin)}"


def _ranked(snapshot: Snapshot, applied: Config, model: str) -> Rankings:
    """Rank under what is applied and the package's own settings, as far as the budgets of the grid reach."""
    own = {"applied": applied.recall} | ({} if applied.recall == Recall() else {"all signals": Recall()})
    most = {tier: max(GRID[tier][-1], getattr(applied.budget, tier)) for tier in TIERS}
    most["warm"] += applied.budget.cold  # what the insights' worth is measured against
    return rank(snapshot, own, model=model, **most)


def _unpriced(model: str, known: Price | None, *, replies: bool) -> str:
    """Return why nothing can be told in dollars, and what to do; empty where it can."""
    if model == OFFLINE:
        return "The offline analyst is free: study.advise(..., model='claude-sonnet-5-5') counts as if that answered."
    if known is None:
        return f"No price is known for {model}: give one (Model.prices={{{model!r}: (USD in, USD out)}})."
    return "" if replies else NOTHING


def _swept(ranks: Rankings, talk: Talk, tried: Sequence[Layout]) -> Sweep:
    """Sweep the grid, with HOT large enough for the exchange before a question."""
    exchanges = [
        scaled(one.tokens + other.tokens + 2 * TURN, ranks.factor)
        for said in talk.sessions.values()
        for one, other in pairwise(said)
    ]
    budget = ranks.config.budget
    least = min(budget.hot, np.quantile(exchanges or [0], FOLLOWED))
    grid: dict[str, list[int]] = {tier: [*GRID[tier], getattr(budget, tier)] for tier in TIERS}
    grid = {tier: [each for each in grid[tier] if each <= ranks.limits[tier]] for tier in TIERS}
    grid["hot"] = [each for each in grid["hot"] if each >= least]
    return sweep(ranks, grid, tried)


def _chosen(swept: Sweep, margin: float, seed: int) -> list[Change]:
    """Return what half of the conversations choose, judged on the others; and the other layout, judged on all.

    What is chosen is the cheapest that holds nearly as much as the best, then the cheapest that holds as much as what
    is applied.
    """
    ranks, values, first, now = swept.ranks, swept.measured["recall"], swept.half(seed), swept.applied
    applied, clusters = ranks.config, np.array(ranks.conversations, str)
    if now is None or np.isnan(values[first][:, now]).all():
        return []
    held = statistics.shares(values[first][:, now], clusters[first]).value[0]
    most = swept.best(seed=seed).train[0]
    found = [(swept.best(least=max(each, 0), seed=seed), ~first) for each in (most - margin, held - 1e-9)]
    whole = np.ones_like(first)
    found += [
        (reported(swept, "recall", int(row), ~whole, seed), whole)
        for row in np.flatnonzero((swept.budgets == swept.budgets[now]).all(1) & (swept.layout != applied.layout))
        if swept.retriever[row] == swept.retriever[now]
    ]
    changes = {
        best.config.id: Change(
            what=_described(applied, best),
            config=best.config,
            priced=_as_measured(swept, best.config),
            gain=best.gain,
            conversations=len({*clusters[judging & ~np.isnan(values[:, now])]}),
            tokens=float(swept.frame["tokens"].iloc[now]) - best.tokens,
        )
        for best, judging in reversed(found)
        if best.config != applied
    }
    return [*changes.values()][::-1]


def _described(applied: Config, best: Best) -> str:
    """Return in words what would be set otherwise."""
    changed = [
        f"{tier.upper()} to {new:,} tokens (from {old:,})"
        for tier in TIERS
        if (new := getattr(best.config.budget, tier)) != (old := getattr(applied.budget, tier))
    ]
    changed += [f"layout to {best.config.layout!r}"] if best.config.layout != applied.layout else []
    changed += [f"retrieval to {best.retriever!r}"] if best.config.recall != applied.recall else []
    return f"Set {', '.join(changed)}"


def _as_measured(swept: Sweep, config: Config) -> Config:
    """Return a configuration with what WARM and COLD were found to take as their budgets: a sweep's dollars."""
    name = next(name for name, settings in swept.ranks.retrievers.items() if settings == config.recall)
    same = (swept.budgets == [getattr(config.budget, tier) for tier in TIERS]).all(1)
    row = swept.frame[same & (swept.layout == config.layout) & (swept.retriever == name)].iloc[0]
    budget = replace(config.budget, warm=round(row["tokens_warm"]), cold=round(row["tokens_cold"]))
    return replace(config, budget=budget)


def _laid_out(applied: Config, talk: Talk, factor: float, tried: Sequence[Layout]) -> list[Change]:
    """Return the other layout; without labels it holds the same for certain only where HOT holds all of a session."""
    sums = (sum(scaled(each.tokens + TURN, factor) for each in said) for said in talk.sessions.values())
    longest = max(sums, default=0)
    whole = longest <= applied.budget.hot and not applied.budget.hot_messages
    why = "what it holds less of is not measured: there are no labels"
    if whole:
        why = f"HOT holds every session whole in either layout ({longest:,} tokens at most), so prompts hold the same"
    gain = (0.0, 0.0, 0.0) if whole else UNKNOWN
    configs = [replace(applied, layout=layout) for layout in tried if layout != applied.layout]
    return [Change(what=f"Set layout to {c.layout!r}", config=c, priced=c, gain=gain, why=why) for c in configs]


def _priced(snapshot: Snapshot, now: Config, changes: Sequence[Change], model: str) -> list[Change]:
    """Count what changes save of the talk's dollars, in its own tempo, with intervals by session."""
    named = {"now": now} | {str(place): each.priced for place, each in enumerate(changes)}
    turns = cost(snapshot, named, models=model, talk=True).turns
    usd = turns.pivot_table("usd", ["turn_id", "session_id"], "config")
    sessions = usd.index.get_level_values("session_id")
    month = pace(turns["asked_at"])[0] * len(usd)
    return [
        replace(each, turn=saved(usd["now"] - usd[str(place)], sessions), turns=month)
        for place, each in enumerate(changes)
    ]


def _useless(swept: Sweep, seed: int, *, priced: bool) -> tuple[Change | None, list[int]]:
    """Return what it is worth, on the other half of the conversations, to do without insights that never helped."""
    ranks, first = swept.ranks, swept.half(seed)
    name = next(name for name, settings in ranks.retrievers.items() if settings == ranks.config.recall)
    chose, judging = (_part(ranks, name, np.flatnonzero(side).tolist()) for side in (first, ~first))
    if not chose.answerable or not judging.answerable:
        return None, []
    worth, later = utility(chose).worth, utility(judging).worth
    never = {each for each, found in worth.items() if not found.helped}
    if not never:
        return None, []
    asked = [replace(each, cold=[slot for slot in each.cold if slot.item_id not in never]) for each in judging.asked]
    before, after = (sweep(each, {}).measured for each in (judging, replace(judging, asked=asked)))
    recall, tokens = (after[name][:, 0] - before[name][:, 0] for name in ("recall", "tokens"))
    less = saved(-tokens, judging.conversations)
    value, low, high = (each * ranks.usd for each in less)
    ids = sorted(each for each in never if each not in later or not later[each].helped)
    return Change(
        what=f"retire {counted(len(never), 'insights')} that helped no question of one half (Advice.retire)",
        config=ranks.config,
        priced=ranks.config,
        gain=statistics.differences(recall, judging.conversations).interval(),
        conversations=len({*judging.conversations}),
        tokens=less[0],
        turn=(value, low, high) if priced else UNKNOWN,
    ), ids


def _part(ranks: Rankings, name: str, places: Sequence[int]) -> Rankings:
    """Return the ranks of one retriever and some questions."""
    return replace(
        ranks,
        retrievers={name: ranks.retrievers[name]},
        asked=[ranks.asked[place] for place in places],
        found={name: [ranks.found[name][place] for place in places]},
        outdated={name: [ranks.outdated[name][place] for place in places]},
    )


def _efforts(applied: Config, known: Price, thinking: Mapping[Effort, float] | None) -> list[dict[str, Any]]:
    """Return what efforts cost at assumed thinking."""
    assumed = {f"effort {name!r} at {n:,.0f} thinking tokens": n for name, n in (thinking or {}).items()}
    assumed = assumed or {"effort that thinks 1,000 tokens more": 1_000}
    usd = {what: (-number * known.output / 1e6, math.nan, math.nan) for what, number in assumed.items()}
    found = [Change(what=what, config=applied, priced=applied, turn=each, why=UNMEASURED) for what, each in usd.items()]
    return [each.row(MARGIN, advised=False) for each in found]


def _surer(near: Change | None, swept: Sweep | None, margin: float) -> str:
    """Return what to label, and how much of it."""
    if swept is None or near is None:
        return "label more of your questions (lab.labeller())."
    questions, talks = swept.ranks.answerable, len({*swept.ranks.conversations})
    value, low, _ = near.gain
    reach = value - low
    if math.isnan(reach):
        more = max(2 * statistics.CLUSTERS - talks, 1)
    elif near.carried(margin):
        more = 3 * talks
    elif (above := value - near.bar(margin)) <= 0:
        return "more labels would hardly help: where it was judged it holds too little for what it takes."
    else:
        more = math.ceil(talks * ((reach / above) ** 2 - 1))
    about = f"about {counted(max(round(more * questions / talks), 1), 'questions')} of {counted(more, 'conversations')}"
    halves = ", which halves the interval" if near.carried(margin) else ""
    return " ".join([f"label {about} more (lab.labeller()){halves}.", *swept.unexercised])

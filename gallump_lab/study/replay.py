"""Replay: the prompt of every past turn again, from a snapshot. Under its own config it gives the same bytes."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gallump_lab.brain.answer import Usage
from gallump_lab.brain.prices import price
from gallump_lab.brain.prompt import SECTIONS, Prompt
from gallump_lab.config import Config, Model
from gallump_lab.memory.context import prepare
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import TIERS, ContextItem
from gallump_lab.memory.vectors import Embedder
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Snapshot
from gallump_lab.study.past import Past, Prices, checked_snapshot, one_by_one, past_turns

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

SHOWN = 5
"""So many items of each kind a turn's words quote."""
QUOTED = 90
"""So many characters of each."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """One past turn's prompt, built again; its repr says what is other than it was, in tokens, USD and items."""

    past: Past
    """The turn as it was recorded."""
    prompt: Prompt | None = None
    """Under the configuration that was tried, or its own; None where it cannot be built."""
    before: Prompt | None = None
    """Under its own configuration; None where it cannot be built."""
    changed: tuple[str, ...] = ()
    """What is not as it was (template, retrieval, embeddings, forgotten messages), so that `before` cannot be called
    the same."""
    problem: str | None = None
    """Why one of the two cannot be built, in words: what is gone, or does not fit."""
    model: str
    """Whose tokens the prompt's are: who answered, or the model of the configuration that was tried."""
    cost: float | None = None
    """USD of the prompt alone, none of it cached; None where the price is not known."""
    cost_before: float | None = None
    """The same under its own configuration."""

    @property
    def turn_id(self) -> int:
        """The turn's id."""
        return self.past.turn_id

    @property
    def identical(self) -> bool:
        """Whether the prompt is byte for byte what was sent."""
        return not self.changed and self.prompt is not None and self.prompt.sha256 == self.past.prompt_sha256

    @property
    def came_in(self) -> list[ContextItem]:
        """What stands in the prompt and does not under the turn's own configuration, in whatever tier."""
        there = _kept(self.before)
        return [slot for item, slot in _kept(self.prompt).items() if item not in there]

    @property
    def fell_out(self) -> list[ContextItem]:
        """What stands in the prompt of the turn's own configuration alone."""
        there = _kept(self.prompt)
        return [slot for item, slot in _kept(self.before).items() if item not in there]

    @property
    def frame(self) -> "pd.DataFrame":
        """One row an item that stands in either prompt.

        Returns
        -------
        pandas.DataFrame
            tier, kind, item_id, message_id, tokens, before, after, why, text. `before` and `after`: whether it stands
            in the prompt of the turn's own configuration and in the one tried, `why` what the latter says of it (kept,
            over budget, in HOT, ...; missing: it was no near miss). The rest is as in the latter if it stands there.
        """
        import pandas as pd

        before, after = _kept(self.before), _kept(self.prompt)
        why = {(str(slot.kind), slot.item_id): slot.reason for slot in (self.prompt.slots if self.prompt else ())}
        rows = [
            (slot.tier, *item, slot.message_id, slot.tokens, item in before, item in after, why.get(item), slot.text)
            for item, slot in sorted((before | after).items(), key=lambda each: TIERS.index(each[1].tier))
        ]
        columns = ["tier", "kind", "item_id", "message_id", "tokens", "before", "after", "why", "text"]
        return pd.DataFrame(rows, columns=columns).astype({"message_id": "Int64"})

    def __repr__(self) -> str:
        """Return what is other, in tokens, USD and items."""
        head = f"Turn {self.turn_id}, {_quoted(self.past.question or 'its question was forgotten')}"
        changed = ", ".join(self.changed)
        if self.prompt is None or self.before is None:
            return f"{head}\ncannot be compared: {self.problem}"
        if self.prompt is self.before:
            same = "byte for byte as sent" if self.identical else "not the bytes that were sent"
            same = f"not called the same, for these have changed: {changed}" if changed else same
            return f"{head}\n{same}: {self.prompt.tokens:,} tokens"
        lines = [head, f"{_in_tokens(self.before.tokens, self.prompt.tokens)}, {_in_usd(self.cost_before, self.cost)}"]
        lines[-1] += " for the prompt"
        for what, slots in (("came in", self.came_in), ("fell out", self.fell_out)):
            lines.append(f"{len(slots)} {what}{':' if slots else ''}")
            lines += [f"  {slot.tier.upper()}, {slot.tokens} tokens: {_quoted(slot.text)}" for slot in slots[:SHOWN]]
            lines += [f"  and {len(slots) - SHOWN} more"] if len(slots) > SHOWN else []
        lines += [f"Compared with its own replay, which is not what was sent: {changed} changed."] if changed else []
        return "\n".join(lines)


def _kept(prompt: Prompt | None) -> dict[tuple[str, int], ContextItem]:
    """Return what stands in a prompt; the guide's message of 200 characters is an item of its own."""
    return {(slot.kind, slot.item_id): slot for slot in prompt.slots if slot.kept} if prompt else {}


def _quoted(text: str) -> str:
    words = " ".join(text.split())
    return f'"{words if len(words) <= QUOTED else words[:QUOTED] + "..."}"'


def _in_tokens(before: float, after: float) -> str:
    if math.isnan(before) or math.isnan(after):
        return "tokens not known"
    share = f", {after / before - 1:+.0%}" if before else ""
    return f"{before:,.0f} -> {after:,.0f} tokens ({after - before:+,.0f}{share})"


def _in_usd(before: float | None, after: float | None) -> str:
    if before is None or after is None or math.isnan(before) or math.isnan(after):
        return "price not known"
    return f"${before:.4f} -> ${after:.4f} ({after - before:+.4f})"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The replayed turns of a snapshot."""

    turns: tuple[Replayed, ...]
    config: Config | None = None
    """What was tried; None: each turn's own."""
    left: int = 0
    """Turns that were not replayed because of an interrupt."""

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a turn; figures are missing where a prompt is.

        Returns
        -------
        pandas.DataFrame
            turn_id; tokens, and tokens_before under the turn's own configuration; cost and cost_before (USD of the
            prompt alone); came_in and fell_out (items); identical, changed, problem, sha256; and the tokens of each
            section, `hot` and `hot_before` and so on.
        """
        import pandas as pd

        rows = []
        for turn in self.turns:
            row = {name: getattr(turn, name) for name in ("turn_id", "cost", "cost_before", "identical", "problem")}
            row |= {"changed": ", ".join(turn.changed), "sha256": turn.prompt and turn.prompt.sha256}
            if turn.prompt and turn.before:
                row |= {"came_in": len(turn.came_in), "fell_out": len(turn.fell_out)}
            for suffix, prompt in (("", turn.prompt), ("_before", turn.before)):
                if prompt:
                    found = {"tokens": prompt.tokens, **{each.name: each.tokens for each in prompt.sections}}
                    row |= {f"{name}{suffix}": found.get(name, 0) for name in _COUNTED}
            rows.append(row)
        before = [f"{name}_before" for name in _COUNTED]
        columns = ["turn_id", "tokens", "tokens_before", "cost", "cost_before", "came_in", "fell_out"]
        columns += ["identical", "changed", "problem", "sha256", *_COUNTED[1:], *before[1:]]
        kinds = dict.fromkeys([*_COUNTED, *before, "came_in", "fell_out"], "Int64")
        return pd.DataFrame(rows, columns=columns).astype(kinds | {"cost": "float64", "cost_before": "float64"})

    def turn(self, turn_id: int) -> Replayed:
        """Return one turn: its `frame` has the difference, item by item.

        Raises
        ------
        ValueError
            If the turn is not among the replayed ones.
        """
        for turn in self.turns:
            if turn.turn_id == turn_id:
                return turn
        msg = f"turn_id {turn_id!r} is not among the {len(self.turns):,} replayed turns; replay.frame lists them."
        raise ValueError(msg)

    def __repr__(self) -> str:
        """Count the turns, and sum up what is other than it was, and why."""
        count = counted(len(self.turns), "turns")
        why = Counter(
            reason for turn in self.turns for reason in (turn.problem and "not built", *turn.changed) if reason
        )
        reasons = "".join(f"; {number} with {reason}" for reason, number in sorted(why.items()))
        reasons += f"; interrupted, {self.left:,} not replayed" if self.left else ""
        if self.config is None:
            same = sum(turn.identical for turn in self.turns)
            return f"<Replay of {count}, {same} byte for byte as sent{reasons}>"
        frame = self.frame.dropna(subset=["tokens", "tokens_before"])
        mean = frame[["tokens_before", "tokens", "cost_before", "cost"]].astype("float64").mean()
        return (
            f"<Replay of {count} under another configuration: {_in_tokens(*mean.iloc[:2])} and "
            f"{_in_usd(*mean.iloc[2:])} a prompt; {frame['came_in'].sum():,} items came in, "
            f"{frame['fell_out'].sum():,} fell out{reasons}>"
        )


_COUNTED = ("tokens", *SECTIONS)


def replay(
    snapshot: Snapshot,
    config: Config | None = None,
    *,
    turns: Sequence[int] | None = None,
    prices: Prices | None = None,
    embedders: Iterable[Embedder] = (),
) -> Replay:
    """Build past turns' prompts again; an interrupt keeps what is done.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gave.
    config : Config, optional
        A configuration to try; each turn's own by default. Where it names another model than the turn's own does,
        tokens are counted as that model counts, by what had been learnt of it.
    turns : sequence of int, optional
        Turn ids; all by default.
    prices : mapping of str to (float, float), optional
        USD per million tokens, in and out, by model name; they win over the configurations' and the list prices.
    embedders : iterable of Embedder
        Your own, if a configuration names one.

    Returns
    -------
    Replay
        Under its own config a turn is identical, unless the template or the way of retrieval has changed since, or
        passages have been embedded that had no code at the time.

    Raises
    ------
    ValueError
        If a turn id is none of the snapshot's, a price is no price, one of the embedders cannot be used, or `config`
        names none that is known.

    Examples
    --------
    >>> study.replay(lab.snapshot(), Config(budget=Budget(warm=250))).turn(1)
    """
    checked_snapshot(snapshot)
    config = getattr(config, "config", config)
    corpus, mine = Corpus(embedders), Model(prices=prices or {}).prices
    prepare(corpus, snapshot, (config or Config()).recall.embedder)
    with snapshot.read() as con:
        wanted = past_turns(con, turns)
        found = one_by_one(wanted, lambda turn: _again(con, corpus, turn, config, mine), "Replaying", "turns")
    return Replay(turns=tuple(found), config=config, left=len(wanted) - len(found))


def _again(con: "DuckDBPyConnection", corpus: Corpus, turn: Past, config: Config | None, mine: Prices) -> Replayed:
    before, problem = turn.build(con, corpus, turn.config)
    prompt, model = before, turn.model
    if config is not None:
        prompt, reason = turn.build(con, corpus, config)
        problem = reason or (problem and f"under its own configuration: {problem}")
        model, _ = turn.counts_as(con, config)
    known = {**turn.config.model.prices, **(config.model.prices if config else {}), **mine}
    return Replayed(
        past=turn,
        prompt=prompt,
        before=before,
        changed=turn.changed(before) if before else (),
        problem=problem,
        model=model,
        cost=_usd(model, known, prompt),
        cost_before=_usd(turn.model, known, before),
    )


def _usd(model: str, prices: Prices, prompt: Prompt | None) -> float | None:
    known = price(model, prices)
    return known.cost(Usage(input_tokens=prompt.tokens, output_tokens=0)) if known and prompt else None

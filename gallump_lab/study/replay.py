"""Replay: the prompt of every past turn again, from a snapshot. Under its own config it gives the same bytes."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import pandas as pd

from gallump_lab.brain.answer import Usage
from gallump_lab.brain.models import price
from gallump_lab.brain.prompt import SECTIONS, Prompt, PromptBuilder, PromptTooLong
from gallump_lab.brain.turns import chosen_of
from gallump_lab.config import AUTO, Config, ConfigError, zone
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory import recall
from gallump_lab.memory.context import context, learnt_factor, prepare
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import TIERS, AsOf, ContextItem, SessionContext
from gallump_lab.memory.vectors import Embedder
from gallump_lab.progress import progress
from gallump_lab.reading.shown import visible
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Snapshot, times
from gallump_lab.study.rank import checked_snapshot

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Prices = Mapping[str, tuple[float, float]]
"""USD per million tokens, in and out, by model name."""
SHOWN, QUOTED = 5, 90
"""So many items of each kind a turn's words quote, and so many characters of each."""
_COUNTED = ("tokens", *SECTIONS)
_config = lru_cache(maxsize=100)(Config.from_toml)  # turns share them, and each takes a millisecond to read
_TURNS = """
select turn_id, q.text as question, rewritten, r.text as reply, t.session_id, t.symbol, chosen::text as chosen,
       asked_at, coalesce(time_zone, 'UTC') as time_zone, seen_message,
       seen_insight, model, market::text as market, toml, token_factor, retrieval, template, prompt_sha256,
       (select count(*) from forgotten f where f.message_id <= t.seen_message) as forgotten,
       output_tokens, cost_usd, latency, input_tokens, cache_read_tokens, cache_write_tokens, thinking_tokens,
       sent->>'missed' as missed, r.tokens as said
from turns t left join messages q on q.message_id = t.question_id left join messages r on r.message_id = t.reply_id
left join configs using (config_id)
where $wanted::bigint[] is null or turn_id in (select unnest($wanted::bigint[])) order by turn_id
"""


@dataclass(frozen=True, kw_only=True)
class Past:
    """One turn as it was recorded, whose prompt can be built again."""

    turn_id: int
    question: str | None
    """None: forgotten since."""
    rewritten: str | None
    """What recall looked for instead; a what-if takes it as recorded."""
    reply: str | None
    """None: there was none, or it was forgotten since."""
    session_id: str
    symbol: str | None
    chosen: str | None
    asked_at: datetime
    """Naive UTC."""
    time_zone: str
    """Whose days were meant; UTC for turns that did not record it."""
    seen_message: int
    seen_insight: int
    model: str
    market: str
    toml: str | None
    """Its configuration."""
    token_factor: float
    retrieval: str
    template: str
    prompt_sha256: str
    forgotten: int
    """How many of the messages that it could see have been forgotten since."""
    output_tokens: int | None
    cost_usd: float | None
    latency: float | None
    input_tokens: int | None
    """As the server counted them, as the next three; None: it did not."""
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    thinking_tokens: int | None
    missed: str | None
    """Why its cache was missed, as the server said it."""
    said: int | None
    """The cl100k tokens of the reply's text."""

    @property
    def gone(self) -> str | None:
        """What is needed to build its prompt and is no longer there, in words."""
        if self.question is None:
            return "its question was forgotten"
        return "its configuration is gone" if self.toml is None else None

    @property
    def config(self) -> Config:
        """Its own configuration."""
        return _config(self.toml or "")

    @property
    def seen(self) -> MarketContext:
        """The market that it saw."""
        return MarketContext.from_dict(json.loads(self.market))

    def counts_as(self, con: "DuckDBPyConnection", config: Config, model: str | None = None) -> tuple[str, float]:
        """Return who would answer under a configuration, and the tokens per cl100k token as they were known by then.

        That is `model` if it is given; else who did answer, unless the configuration names another model than the
        turn's own does.
        """
        own = self.config.model
        model = model or (self.model if config.model.name in {own.name, AUTO} else config.model.name)
        if (model, config.model.factors) == (self.model, own.factors):
            return model, self.token_factor
        return model, learnt_factor(con, model, config, times.aware(self.asked_at))

    def context(self, con: "DuckDBPyConnection", corpus: Corpus, config: Config, factor: float) -> SessionContext:
        """Take from memory what a configuration would have given it."""
        at = times.aware(self.asked_at, zone(self.time_zone))
        return context(
            con,
            corpus,
            self.rewritten or self.question or "",
            session_id=self.session_id,
            symbol=self.symbol,
            symbols=self.seen.symbols,
            moment=AsOf(at=at, seen_message=self.seen_message, seen_insight=self.seen_insight),
            config=config,
            factor=factor,
            overrides=chosen_of(self.chosen),
        )

    def build(
        self, con: "DuckDBPyConnection", corpus: Corpus, config: Config, model: str | None = None
    ) -> tuple[Prompt | None, str | None]:
        """Build its prompt from what it saw, in a model's tokens (see `counts_as`); or return why that cannot be."""
        if self.gone:
            return None, self.gone
        answering, factor = self.counts_as(con, config, model)
        try:
            session = self.context(con, corpus, config, factor)
            builder = PromptBuilder.of(config, answering)
            return builder.build_trading_prompt(self.question or "", self.seen, session), None
        except (PromptTooLong, ConfigError) as error:
            return None, str(error)

    def changed(self, prompt: Prompt) -> tuple[str, ...]:
        """Return what is not as it was when this prompt, of its own configuration, was sent."""
        now = recall.version(self.config.recall.embedder, sum(prompt.session_context.missing.values()))
        found_so = self.retrieval.startswith(f"{recall.VERSION} ")
        same = {
            "retrieval": found_so,
            "embeddings": not found_so or self.retrieval == now,
            "template": self.template == prompt.template,
            "forgotten messages": not self.forgotten,
        }
        return tuple(name for name, is_same in same.items() if not is_same)


def past_turns(con: "DuckDBPyConnection", wanted: Sequence[int] | None = None) -> list[Past]:
    """Read past turns, all or those of some ids, in order; a ValueError names an id that is no turn's."""
    found = con.execute(_TURNS, {"wanted": None if wanted is None else list(wanted)})
    names = [column[0] for column in found.description]
    past = [Past(**dict(zip(names, row, strict=True))) for row in found.fetchall()]
    if strangers := sorted(set(wanted or ()) - {turn.turn_id for turn in past}):
        msg = f"turn_id {', '.join(map(str, strangers))} not in this snapshot; lab.turns lists them."
        raise ValueError(msg)
    return past


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
    """What is not as it was, so that `before` is not what was sent: template, retrieval, embeddings, forgotten ones."""
    problem: str | None = None
    """Why one of the two cannot be built, in words: what is gone, or does not fit."""
    cost: float = math.nan
    """USD of the prompt alone, none of it cached; NaN where the price is not known."""
    cost_before: float = math.nan
    """The same under its own configuration."""

    @property
    def identical(self) -> bool:
        """Whether the prompt is byte for byte what was sent."""
        return not self.changed and self.prompt is not None and self.prompt.sha256 == self.past.prompt_sha256

    @property
    def frame(self) -> pd.DataFrame:
        """One row an item that stands in either prompt.

        tier, kind, item_id, message_id, tokens, before, after, text. `before` and `after`: whether it stands in the
        prompt of the turn's own configuration and in the one tried. The rest is as in the latter if it stands there.
        """
        before, after = _kept(self.before), _kept(self.prompt)
        rows = [
            (slot.tier, *item, slot.message_id, slot.tokens, item in before, item in after, slot.text)
            for item, slot in sorted((before | after).items(), key=lambda each: TIERS.index(each[1].tier))
        ]
        columns = ["tier", "kind", "item_id", "message_id", "tokens", "before", "after", "text"]
        return pd.DataFrame(rows, columns=columns).astype({"message_id": "Int64", "before": bool, "after": bool})

    def __repr__(self) -> str:
        """Return what is other, in tokens, USD and items."""
        head = f"Turn {self.past.turn_id}, {_quoted(self.past.question or 'its question was forgotten')}"
        changed = ", ".join(self.changed)
        if self.prompt is None or self.before is None:
            return f"{head}\ncannot be compared: {self.problem}"
        if self.prompt is self.before:
            differs = f"not called the same, for these have changed: {changed or 'the bytes'}"
            return f"{head}\n{'byte for byte as sent' if self.identical else differs}: {self.prompt.tokens:,} tokens"
        spent = _in_tokens(self.before.tokens, self.prompt.tokens)
        lines = [head, f"{spent}, {_in_usd(self.cost_before, self.cost)} for the prompt"]
        items = self.frame
        for what, rows in (("came in", items[~items["before"]]), ("fell out", items[~items["after"]])):
            lines.append(f"{len(rows)} {what}{':' if len(rows) else ''}")
            first = rows.head(SHOWN)
            for tier, tokens, text in zip(first["tier"], first["tokens"], first["text"], strict=True):
                lines.append(f"  {tier.upper()}, {tokens} tokens: {_quoted(text)}")
            lines += [f"  and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
        lines += [f"Compared with its own replay, which is not what was sent: {changed} changed."] if changed else []
        return "\n".join(lines)


def _kept(prompt: Prompt | None) -> dict[tuple[str, int], ContextItem]:
    """Return what stands in a prompt; the guide's message of 200 characters is an item of its own."""
    return {(slot.kind, slot.item_id): slot for slot in prompt.slots if slot.kept} if prompt else {}


def _quoted(text: str) -> str:
    words = visible(" ".join(text.split()))
    return f'"{words if len(words) <= QUOTED else words[:QUOTED] + "..."}"'


def _in_tokens(before: float, after: float) -> str:
    if math.isnan(before + after):
        return "tokens not known"
    return f"{before:,.0f} -> {after:,.0f} tokens ({after - before:+,.0f}, {after / before - 1:+.0%})"


def _in_usd(before: float, after: float) -> str:
    if not before + after:
        return "free"
    return "price not known" if math.isnan(before + after) else f"${before:.4f} -> ${after:.4f} ({after - before:+.4f})"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The replayed turns of a snapshot."""

    turns: tuple[Replayed, ...]
    config: Config | None = None
    """What was tried; None: each turn's own."""

    @property
    def frame(self) -> pd.DataFrame:
        """One row a turn; figures are missing where a prompt is.

        turn_id; tokens, and tokens_before under the turn's own configuration; cost and cost_before (USD of the prompt
        alone); came_in and fell_out (items); identical, changed, problem, sha256; and the tokens of each section, `hot`
        and `hot_before` and so on.
        """
        rows = []
        for turn in self.turns:
            row = {name: getattr(turn, name) for name in ("cost", "cost_before", "identical", "problem")}
            row |= {"turn_id": turn.past.turn_id, "changed": ", ".join(turn.changed)}
            row |= {"sha256": turn.prompt.sha256} if turn.prompt else {}
            if turn.prompt and turn.before:
                items = turn.frame
                row |= {"came_in": (~items["before"]).sum(), "fell_out": (~items["after"]).sum()}
            for suffix, prompt in (("", turn.prompt), ("_before", turn.before)):
                spent = (
                    {"tokens": prompt.tokens, **{each.name: each.tokens for each in prompt.sections}} if prompt else {}
                )
                row |= {f"{name}{suffix}": spent.get(name, 0) for name in _COUNTED if prompt}
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
            if turn.past.turn_id == turn_id:
                return turn
        msg = f"turn_id {turn_id!r} is not among the {len(self.turns):,} replayed turns; replay.frame lists them."
        raise ValueError(msg)

    def __repr__(self) -> str:
        """Count the turns, and sum up what is other than it was, and why."""
        count = counted(len(self.turns), "turns")
        why = Counter(
            reason
            for turn in self.turns
            for reason in (turn.problem and "not built", *(f"with {each}" for each in turn.changed))
            if reason
        )
        reasons = "".join(f"; {number} {reason}" for reason, number in sorted(why.items()))
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


def replay(
    snapshot: Snapshot,
    config: Config | None = None,
    *,
    turns: Sequence[int] | None = None,
    embedders: Iterable[Embedder] = (),
) -> Replay:
    """Build past turns' prompts again.

    Under its own configuration a turn is identical, unless the template or the way of retrieval has changed since, or
    passages have been embedded that had no code at the time.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gave.
    config : Config, optional
        A configuration to try; each turn's own by default. Where it names another model than the turn's own does,
        tokens are counted as that model counts, by what had been learnt of it.
    turns : sequence of int, optional
        Turn ids; all by default.
    embedders : iterable of Embedder
        Your own, if a configuration names one.

    Raises
    ------
    ValueError
        If a turn id is none of the snapshot's, one of the embedders cannot be used, or `config`
        names none that is known.

    Examples
    --------
    >>> study.replay(lab.snapshot(), Config(budget=Budget(warm=250))).turn(1)
    """
    checked_snapshot(snapshot)
    config = getattr(config, "config", config)
    corpus = Corpus(embedders)
    prepare(corpus, snapshot, (config or Config()).recall.embedder)
    with snapshot.read() as con:
        wanted = progress(past_turns(con, turns), desc="Replaying", unit=" turns", delay=2)
        return Replay(turns=tuple(_again(con, corpus, turn, config) for turn in wanted), config=config)


def _again(con: "DuckDBPyConnection", corpus: Corpus, turn: Past, config: Config | None) -> Replayed:
    """Build a turn's prompt under its own configuration, and under the one that is tried."""
    before, problem = turn.build(con, corpus, turn.config)
    prompt, model = before, turn.model
    if config is not None:
        prompt, reason = turn.build(con, corpus, config)
        problem = reason or (problem and f"under its own configuration: {problem}")
        model, _ = turn.counts_as(con, config)
    known = {**turn.config.model.prices, **(config.model.prices if config else {})}
    return Replayed(
        past=turn,
        prompt=prompt,
        before=before,
        changed=turn.changed(before) if before else (),
        problem=problem,
        cost=_usd(model, known, prompt),
        cost_before=_usd(turn.model, known, before),
    )


def _usd(model: str, prices: Prices, prompt: Prompt | None) -> float:
    known = price(model, prices)
    return known.cost(Usage(input_tokens=prompt.tokens, output_tokens=0)) if known and prompt else math.nan

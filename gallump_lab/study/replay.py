"""Replay: the prompt of every past turn again, from a snapshot. Under its own config it gives the same bytes."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from gallump_lab.brain.answer import Usage
from gallump_lab.brain.prices import price
from gallump_lab.brain.prompt import SECTIONS, Prompt, PromptBuilder, PromptTooLong
from gallump_lab.brain.turns import chosen_of
from gallump_lab.config import Config, ConfigError, Model
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory import recall
from gallump_lab.memory.context import context, learnt_factor, prepare
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import AsOf, ContextItem, SessionContext
from gallump_lab.memory.vectors import Embedder
from gallump_lab.reading.dates import zone
from gallump_lab.store import Snapshot, times

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection


Prices = Mapping[str, tuple[float, float]]
"""USD per million tokens, in and out, by model name."""

_TURNS = """
select turn_id, q.text as question, r.text as reply, t.session_id, t.symbol, chosen::text as chosen, asked_at,
       coalesce(time_zone, 'UTC') as time_zone,
       seen_message, seen_insight, model, market::text as market, toml, token_factor, retrieval, template,
       prompt_sha256, (select count(*) from forgotten f where f.message_id <= t.seen_message) as forgotten,
       output_tokens, cost_usd, latency
from turns t left join messages q on q.message_id = t.question_id left join messages r on r.message_id = t.reply_id
left join configs using (config_id)
where $wanted::bigint[] is null or turn_id in (select unnest($wanted::bigint[])) order by turn_id
"""


@dataclass(frozen=True, kw_only=True)
class Past:
    """One turn as it was recorded."""

    turn_id: int
    question: str | None
    """None: forgotten since."""
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

    @property
    def gone(self) -> str | None:
        """What is needed to build its prompt and is no longer there, in words."""
        if self.question is None:
            return "its question was forgotten"
        return "its configuration is gone" if self.toml is None else None

    @property
    def at(self) -> datetime:
        """When it was asked, in its time zone.

        Raises
        ------
        ValueError
            If there is no such time zone here.
        """
        return times.aware(self.asked_at, zone(self.time_zone))

    @property
    def config(self) -> Config:
        """Its own configuration."""
        return Config.from_toml(self.toml or "")

    def counts_as(self, con: "DuckDBPyConnection", config: Config, model: str | None = None) -> tuple[str, float]:
        """Return who would answer under a configuration, and the tokens per cl100k token as they were known by then.

        That is `model` if it is given; else who did answer, unless the configuration names another model than the
        turn's own does.
        """
        own = self.config.model
        model = model or (self.model if config.model.name == own.name else config.model.name)
        if (model, config.model.factors) == (self.model, own.factors):
            return model, self.token_factor
        return model, learnt_factor(con, model, config, times.aware(self.asked_at))

    def context(self, con: "DuckDBPyConnection", corpus: Corpus, config: Config, factor: float) -> SessionContext:
        """Take from memory what a configuration would have given it."""
        return context(
            con,
            corpus,
            self.question or "",
            session_id=self.session_id,
            symbol=self.symbol,
            symbols=self.seen.symbols,
            moment=AsOf(at=self.at, seen_message=self.seen_message, seen_insight=self.seen_insight),
            config=config,
            factor=factor,
            overrides=chosen_of(self.chosen),
        )

    def prompt(self, con: "DuckDBPyConnection", corpus: Corpus, config: Config, factor: float) -> Prompt:
        """Build its prompt from what it saw.

        Raises
        ------
        PromptTooLong
            If the question alone does not fit the configuration's window.
        ConfigError
            If the configuration names an embedder that is not there.
        """
        session = self.context(con, corpus, config, factor)
        builder = PromptBuilder(config.template, config.budget)
        return builder.build_trading_prompt(self.question or "", self.seen, session)

    @property
    def seen(self) -> MarketContext:
        """The market that it saw."""
        return MarketContext.from_dict(json.loads(self.market))

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
    """Read past turns, all or those of some ids, in order.

    Raises
    ------
    ValueError
        If one of the ids is no turn's.
    """
    found = con.execute(_TURNS, {"wanted": None if wanted is None else list(wanted)})
    names = [column[0] for column in found.description]
    past = [Past(**dict(zip(names, row, strict=True))) for row in found.fetchall()]
    if strangers := sorted(set(wanted or ()) - {turn.turn_id for turn in past}):
        msg = f"turn_id {', '.join(map(str, strangers))} not in this snapshot; lab.turns lists them."
        raise ValueError(msg)
    return past


def zone_of(con: "DuckDBPyConnection", config: Config) -> tzinfo:
    """Return whose days a lab's questions mean: the configuration's time zone, else its newest turn's, else UTC's."""
    newest = con.execute(
        "select time_zone from turns where time_zone is not null order by turn_id desc limit 1"
    ).fetchone()
    return zone(config.time_zone or (newest[0] if newest else "UTC"))


def checked_snapshot(snapshot: object) -> None:
    """Check that a study was given a snapshot.

    Raises
    ------
    ValueError
        If it was given something else.
    """
    if not isinstance(snapshot, Snapshot):
        msg = f"snapshot must be what lab.snapshot() gives, not {snapshot!r}."
        raise ValueError(msg)  # noqa: TRY004 (every bad argument is a ValueError)


def checked(prices: Prices | None) -> Prices:
    """Check a user's prices.

    Raises
    ------
    ConfigError
        If one is not a pair of numbers.
    """
    return Model(prices=prices or {}).prices


def cost_of(model: str, prices: Prices, input_tokens: float, output_tokens: float = 0) -> float | None:
    """Return what so many tokens cost, none of them cached, USD; None where the price is not known."""
    known = price(model, prices)
    return known and known.cost(Usage(input_tokens=round(input_tokens), output_tokens=round(output_tokens)))


SHOWN = 5
"""So many items of each kind the words quote."""
_QUOTED = 90  # characters of each


def beyond(prompt: Prompt | None, other: Prompt | None) -> list[ContextItem]:
    """Return what stands in one prompt and not in another; moving to another tier is no difference.

    An item is a passage or an insight. The guide's message of 200 characters is an item of its own.
    """
    there = {(slot.kind, slot.item_id) for slot in _kept(other)}
    return [slot for slot in _kept(prompt) if (slot.kind, slot.item_id) not in there]


def _kept(prompt: Prompt | None) -> list[ContextItem]:
    return [slot for slot in prompt.slots if slot.kept] if prompt else []


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One turn's prompt under its own configuration and under the one that was tried."""

    turn: "Replayed"

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

        before, after = (
            {(slot.kind, slot.item_id): slot for slot in _kept(prompt)}
            for prompt in (self.turn.before, self.turn.prompt)
        )
        why = {(slot.kind, slot.item_id): slot.reason for slot in (self.turn.prompt.slots if self.turn.prompt else ())}
        rows = [
            {name: getattr(slot, name) for name in ("tier", "kind", "item_id", "message_id", "tokens", "text")}
            | {"before": item in before, "after": item in after, "why": why.get(item)}
            for item, slot in (before | after).items()
        ]
        columns = ["tier", "kind", "item_id", "message_id", "tokens", "before", "after", "why", "text"]
        found = pd.DataFrame(rows, columns=columns).astype({"message_id": "Int64"})
        return found.sort_values("tier", key=lambda tier: tier.map(_ORDER), kind="stable", ignore_index=True)

    def __repr__(self) -> str:
        """Return what is other, in tokens, USD and items."""
        turn = self.turn
        head = f"Turn {turn.turn_id}, {_quoted(turn.past.question or 'its question was forgotten')}"
        if turn.prompt is None or turn.before is None:
            return f"{head}\ncannot be compared: {turn.problem}"
        if turn.prompt is turn.before:
            changed = f"not called the same, for these have changed: {', '.join(turn.changed)}"
            same = "byte for byte as sent" if turn.identical else "not the bytes that were sent"
            return f"{head}\n{changed if turn.changed else same}: {turn.prompt.tokens:,} tokens"
        lines = [
            head,
            f"{tokens(turn.before.tokens, turn.prompt.tokens)}, {dollars(turn.cost_before, turn.cost)} for the prompt",
            *_listed("came in", turn.came_in),
            *_listed("fell out", turn.fell_out),
        ]
        if turn.changed:
            lines.append(
                f"Compared with its own replay, which is not what was sent: {', '.join(turn.changed)} changed."
            )
        return "\n".join(lines)


_ORDER = {"hot": 0, "warm": 1, "cold": 2}


def _listed(what: str, slots: Sequence[ContextItem]) -> list[str]:
    lines = [f"{slot.tier.upper()}, {slot.tokens} tokens: {_quoted(slot.text)}" for slot in slots[:SHOWN]]
    more = len(slots) - len(lines)
    return [f"{len(slots)} {what}{':' if lines else ''}", *(f"  {line}" for line in lines)] + (
        [f"  and {more} more"] if more else []
    )


def _quoted(text: str) -> str:
    words = " ".join(text.split())
    return f'"{words if len(words) <= _QUOTED else words[:_QUOTED] + "..."}"'


def tokens(before: float, after: float) -> str:
    """Return how a number of tokens changes."""
    if math.isnan(before) or math.isnan(after):
        return "tokens not known"
    share = f", {after / before - 1:+.0%}" if before else ""
    return f"{before:,.0f} -> {after:,.0f} tokens ({after - before:+,.0f}{share})"


def dollars(before: float | None, after: float | None) -> str:
    """Return how a cost in USD changes."""
    if before is None or after is None or math.isnan(before) or math.isnan(after):
        return "price not known"
    return f"${before:.4f} -> ${after:.4f} ({after - before:+.4f})"


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """One past turn's prompt, built again."""

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
        """What stands in the prompt and does not under the turn's own configuration."""
        return beyond(self.prompt, self.before)

    @property
    def fell_out(self) -> list[ContextItem]:
        """What stands in the prompt of the turn's own configuration alone."""
        return beyond(self.before, self.prompt)


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

        rows = [
            {
                "turn_id": turn.turn_id,
                **_tokens(turn.prompt, ""),
                **_tokens(turn.before, "_before"),
                "cost": turn.cost,
                "cost_before": turn.cost_before,
                "came_in": len(turn.came_in) if turn.prompt and turn.before else None,
                "fell_out": len(turn.fell_out) if turn.prompt and turn.before else None,
                "identical": turn.identical,
                "changed": ", ".join(turn.changed),
                "problem": turn.problem,
                "sha256": turn.prompt and turn.prompt.sha256,
            }
            for turn in self.turns
        ]
        return pd.DataFrame(rows, columns=_COLUMNS).astype(_KINDS)

    def turn(self, turn_id: int) -> Difference:
        """Return one turn's difference, item by item.

        Raises
        ------
        ValueError
            If the turn is not among the replayed ones.
        """
        for turn in self.turns:
            if turn.turn_id == turn_id:
                return Difference(turn=turn)
        msg = f"turn_id {turn_id!r} is not among the {len(self.turns):,} replayed turns; replay.frame lists them."
        raise ValueError(msg)

    def __repr__(self) -> str:
        """Count the turns, and sum up what is other than it was, and why."""
        count = f"{len(self.turns):,} turn{'s' * (len(self.turns) != 1)}"
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
            f"<Replay of {count} under another configuration: {tokens(*mean.iloc[:2])} and {dollars(*mean.iloc[2:])} "
            f"a prompt; {frame['came_in'].sum():,} items came in, {frame['fell_out'].sum():,} fell out{reasons}>"
        )


_WHOLE = ["tokens", *SECTIONS]
_BEFORE = [f"{name}_before" for name in _WHOLE]
_COLUMNS = ["turn_id", "tokens", "tokens_before", "cost", "cost_before", "came_in", "fell_out"]
_COLUMNS += ["identical", "changed", "problem", "sha256", *_WHOLE[1:], *_BEFORE[1:]]
_KINDS = dict.fromkeys([*_WHOLE, *_BEFORE, "came_in", "fell_out"], "Int64") | {
    "cost": "float64",
    "cost_before": "float64",
}


def _tokens(prompt: Prompt | None, suffix: str) -> dict[str, int]:
    if prompt is None:
        return {}
    found = {section.name: section.tokens for section in prompt.sections}
    return {f"{name}{suffix}": found.get(name, 0) for name in SECTIONS} | {f"tokens{suffix}": prompt.tokens}


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
    """
    from tqdm import tqdm  # type: ignore[import-untyped]

    checked_snapshot(snapshot)
    config = getattr(config, "config", config)
    corpus, mine = Corpus(embedders), checked(prices)
    prepare(corpus, snapshot, (config or Config()).recall.embedder)
    wanted: list[Past] = []
    found: list[Replayed] = []
    try:
        with snapshot.read() as con:
            wanted = past_turns(con, turns)
            again = (_again(con, corpus, turn, config, mine) for turn in wanted)
            found.extend(tqdm(again, total=len(wanted), desc="Replaying", unit=" turns", delay=2))
    except KeyboardInterrupt:
        if not found:
            raise
    return Replay(turns=tuple(found), config=config, left=len(wanted) - len(found))


def _again(con: "DuckDBPyConnection", corpus: Corpus, turn: Past, config: Config | None, mine: Prices) -> Replayed:
    if turn.gone:
        return Replayed(past=turn, model=turn.model, problem=turn.gone)
    own = turn.config
    before, problem = _built(con, corpus, turn, own)
    prompt, model = before, turn.model
    if config is not None:
        prompt, reason = _built(con, corpus, turn, config)
        problem = reason or (problem and f"under its own configuration: {problem}")
        model, _ = turn.counts_as(con, config)
    known = {**own.model.prices, **(config.model.prices if config else {}), **mine}
    return Replayed(
        past=turn,
        prompt=prompt,
        before=before,
        changed=turn.changed(before) if before else (),
        problem=problem,
        model=model,
        cost=cost_of(model, known, prompt.tokens) if prompt else None,
        cost_before=cost_of(turn.model, known, before.tokens) if before else None,
    )


def _built(con: "DuckDBPyConnection", corpus: Corpus, turn: Past, config: Config) -> tuple[Prompt | None, str | None]:
    _, factor = turn.counts_as(con, config)
    try:
        return turn.prompt(con, corpus, config, factor), None
    except (PromptTooLong, ConfigError) as error:
        return None, str(error)

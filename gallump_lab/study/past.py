"""Past turns as they were recorded, whose prompts can be built again; and what every study does to a snapshot."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, TypeVar

from gallump_lab.brain.prompt import Prompt, PromptBuilder, PromptTooLong
from gallump_lab.brain.turns import chosen_of
from gallump_lab.config import Config, ConfigError
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory import recall
from gallump_lab.memory.context import context, learnt_factor
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import AsOf, SessionContext
from gallump_lab.reading.dates import zone
from gallump_lab.store import Snapshot, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")
R = TypeVar("R")

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

    def build(
        self, con: "DuckDBPyConnection", corpus: Corpus, config: Config, model: str | None = None
    ) -> tuple[Prompt | None, str | None]:
        """Build its prompt from what it saw, in a model's tokens (see `counts_as`); or return why that cannot be."""
        if self.gone:
            return None, self.gone
        _, factor = self.counts_as(con, config, model)
        try:
            session = self.context(con, corpus, config, factor)
            builder = PromptBuilder(config.template, config.budget)
            return builder.build_trading_prompt(self.question or "", self.seen, session), None
        except (PromptTooLong, ConfigError) as error:
            return None, str(error)

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
    newest = con.execute("select max_by(time_zone, turn_id) from turns where time_zone is not null").fetchone()
    return zone(config.time_zone or (newest and newest[0]) or "UTC")


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


def one_by_one(items: Sequence[T], work: Callable[[T], R], doing: str, unit: str) -> list[R]:
    """Return what work makes of each item, with a progress bar; an interrupt keeps what is done.

    Raises
    ------
    KeyboardInterrupt
        If nothing is done yet.
    """
    from tqdm import tqdm  # type: ignore[import-untyped]

    found: list[R] = []
    try:
        found.extend(map(work, tqdm(items, desc=doing, unit=f" {unit}", delay=2)))
    except KeyboardInterrupt:
        if not found:
            raise
    return found

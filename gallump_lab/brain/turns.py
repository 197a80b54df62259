"""The record of turns: what each saw that cannot be computed again, what it carried, and how it ended."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gallump_lab.brain.prices import price
from gallump_lab.brain.prompt import Prompt
from gallump_lab.brain.records import Answer
from gallump_lab.config import Config, Model
from gallump_lab.memory import packing, recall
from gallump_lab.memory.sessions import Received, SessionManager
from gallump_lab.memory.text import storable
from gallump_lab.store import Catalogue, Store, configs, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class PriceUnknown(RuntimeError):
    """A spending limit is set, but no price is known for the model, so it could not be kept; nothing was asked."""


class SpendingLimit(RuntimeError):
    """The day's recorded costs have reached the configured limit; nothing was asked.

    Attributes
    ----------
    spent, limit : float
        USD.
    """

    def __init__(self, spent: float, limit: float) -> None:
        self.spent, self.limit = spent, limit
        super().__init__(
            f"Today's replies cost ${spent:,.2f} (UTC day), the limit is ${limit:,.2f}. "
            "Raise model.max_usd_per_day, or wait for tomorrow; nothing was asked."
        )


def record(  # noqa: PLR0913 (a turn's parts)
    store: Store,
    received: Received,
    prompt: Prompt,
    answer: Answer,
    *,
    sessions: SessionManager,
    symbol: str | None,
    watchlist: Sequence[str],
) -> tuple[int, int | None]:
    """Write a turn, its slots and its reply in one step.

    Returns
    -------
    tuple of int
        The turn's id, and the reply's message id or None if there is no text.
    """
    moment, usage = received.moment, answer.usage
    text_there = bool(answer.text.strip())
    write = sessions.reply(received.session_id, answer.text, symbol, answer.state) if text_there else None
    slots = [(*(getattr(s, name) for name in _SLOT), _json(dict(s.signals))) for s in prompt.slots]
    row: dict[str, Any] = {
        "session_id": received.session_id,
        "question_id": received.question_id,
        "asked_at": times.naive(moment.at),
        "seen_message": moment.seen_message,
        "seen_insight": moment.seen_insight,
        "symbol": symbol,
        "watchlist": _json(list(watchlist)),
        "market": _json(prompt.market_context.to_dict()),
        "token_factor": prompt.session_context.token_factor,
        "retrieval": recall.VERSION,
        "template": prompt.template,
        "prompt_sha256": prompt.sha256,
        "sections": _json({section.name: section.tokens for section in prompt.sections}),
        "used": _json(packing.used(prompt.slots)),
        "model": answer.model,
        "state": answer.state,
        "stop_reason": answer.stop_reason,
        "fault": storable(str(answer.fault)) if answer.fault else None,
        "plain": answer.plain,
        "input_tokens": usage and usage.input_tokens,
        "output_tokens": usage and usage.output_tokens,
        "cache_read_tokens": usage and usage.cache_read_tokens,
        "cache_write_tokens": usage and usage.cache_write_tokens,
        "cost_usd": answer.cost_usd,
        "latency": answer.latency,
        "first_text": answer.first_text,
        "recommendations": _json([each.to_dict() for each in answer.recommendations]),
        "dropped": _json(list(answer.dropped)),
    }
    with store.write() as con:
        reply_id = write(con) if write else None
        row |= {"config_id": configs.keep(con, received.config), "reply_id": reply_id}
        names, values = ", ".join(row), ", ".join(f"${name}" for name in row)
        (turn_id,) = con.execute(
            f"insert into turns (turn_id, {names}) values (nextval('turn_ids'), {values}) returning turn_id",  # noqa: S608
            row,
        ).fetchone() or (0,)
        if slots:
            columns = [list(column) for column in zip(*slots, strict=True)]
            names, values = ", ".join((*_SLOT, "signals")), ", ".join(["unnest(?)"] * len(columns))
            con.execute(f"insert into slots (turn_id, {names}) select ?, {values}", [turn_id, *columns])
    if reply_id is not None:
        sessions.upkeep(received.question_id - 1, reply_id)
    return int(turn_id), reply_id


def _json(value: object) -> str:
    return storable(json.dumps(value, ensure_ascii=False))  # DuckDB takes no escaped half of a surrogate pair


_SLOT = ("tier", "rank", "kind", "item_id", "message_id", "tokens", "score", "kept", "reason")


def check_spending(con: "DuckDBPyConnection", now: datetime, settings: Model, model: str) -> None:
    """Stop a call once the UTC day's recorded costs have reached the limit, if one is set.

    Raises
    ------
    SpendingLimit
        With both figures, USD.
    PriceUnknown
        If the model has no price to keep the limit by.
    """
    limit = settings.max_usd_per_day
    if limit is None:
        return
    if price(model, settings.prices) is None:
        msg = (
            f"No price is known for {model}, so model.max_usd_per_day cannot be kept; nothing was asked. "
            f"Set model.prices[{model!r}] = (USD in, USD out), per million tokens."
        )
        raise PriceUnknown(msg)
    day = times.naive(now).replace(hour=0, minute=0, second=0, microsecond=0)
    (spent,) = con.execute(
        "select coalesce(sum(cost_usd), 0) from turns where asked_at >= ? and asked_at < ?",
        [day, day + timedelta(days=1)],
    ).fetchone() or (0.0,)
    if spent >= limit:
        raise SpendingLimit(spent, limit)


_TRANSCRIPT = """
with said as (
    from messages where message_id < coalesce($before::bigint, message_id + 1) order by message_id desc limit $limit
)
select s.message_id, s.session_id, s.role, s.text, s.created_at, s.symbol, s.state,
       t.turn_id, t.model, t.state, t.fault, t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens,
       t.cost_usd, t.latency, t.sections::text, t.used::text, t.recommendations::text, t.dropped::text, c.toml
from said s
left join turns t on (s.role = 'assistant' and t.reply_id = s.message_id)
                  or (s.role = 'user' and t.question_id = s.message_id and t.reply_id is null)
left join configs c using (config_id)
order by s.message_id
"""


def transcript(catalogue: Catalogue, limit: int = 200, before: int | None = None) -> list[dict[str, Any]]:
    """Give the newest messages of a lab, oldest first, each reply with its turn.

    Parameters
    ----------
    limit : int
        At most so many messages.
    before : int, optional
        Only messages with a smaller id.

    Returns
    -------
    list of dict
        message_id, session_id, role, text, created_at (UTC), symbol, state and turn: None, or a dict of model, state,
        fault, input_tokens (the whole prompt's), output_tokens, cost_usd, latency (seconds), tokens (estimated, by
        section), budget (tokens of hot, warm and cold), recommendations, dropped. A turn without a reply stands on its
        question.
    """
    with catalogue.read() as con:
        rows = con.execute(_TRANSCRIPT, {"before": before, "limit": limit}).fetchall()
    return [_entry(row) for row in rows]


def _entry(row: Sequence[Any]) -> dict[str, Any]:
    names = ("message_id", "session_id", "role", "text", "created_at", "symbol", "state")
    found = dict(zip(names, row[:7], strict=True)) | {"created_at": times.aware(row[4]), "turn": None}
    if row[7] is not None:
        turn_id, model, state, fault, fresh, output, read, written, cost, latency = row[7:17]
        sections, spent, recommendations, dropped, toml = row[17:]
        budget = Config.from_toml(toml).budget
        found["turn"] = {
            "turn_id": turn_id,
            "model": model,
            "state": state,
            "fault": fault,
            "input_tokens": None if fresh is None else fresh + (read or 0) + (written or 0),
            "output_tokens": output,
            "cost_usd": cost,
            "latency": latency,
            "tokens": json.loads(sections),
            "used": json.loads(spent),
            "budget": {"hot": budget.hot, "warm": budget.warm, "cold": budget.cold},
            "recommendations": json.loads(recommendations),
            "dropped": json.loads(dropped),
        }
    return found

"""The record of turns: what cannot be computed again is written before a prompt is sent, the outcome after."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from gallump_lab.brain.prompt import Prompt
from gallump_lab.brain.records import Answer
from gallump_lab.config import Config
from gallump_lab.memory import text
from gallump_lab.memory.sessions import Received, SessionManager
from gallump_lab.store import Catalogue, Store, configs, times

RETRIEVAL = f"{text.VERSION} bm25"
"""Names how passages are found, embedding model included; a replay under another name is not called identical."""


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


class TurnLog:
    """Writes turns into a lab."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(  # noqa: PLR0913 (a turn's givens)
        self,
        received: Received,
        prompt: Prompt,
        *,
        config: Config,
        model: str,
        symbol: str | None,
        watchlist: Sequence[str],
    ) -> int:
        """Record a turn that is about to be asked, with its slots; give its id."""
        moment, context = received.moment, prompt.session_context
        slots = [
            (
                s.tier,
                s.rank,
                s.kind,
                s.item_id,
                s.message_id,
                s.tokens,
                s.score,
                json.dumps(dict(s.signals)),
                s.kept,
                s.reason,
            )
            for s in prompt.slots
        ]
        with self._store.write() as con:
            config_id = configs.keep(con, config)
            (turn_id,) = con.execute(
                "insert into turns (turn_id, session_id, question_id, asked_at, seen_message, seen_insight, "
                "symbol, watchlist, market, config_id, token_factor, retrieval, template, prompt_sha256, sections, "
                "model, state) values (nextval('turn_ids'), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'asked') "
                "returning turn_id",
                [
                    received.session_id,
                    received.question_id,
                    times.naive(moment.at),
                    moment.seen_message,
                    moment.seen_insight,
                    symbol,
                    json.dumps(list(watchlist)),
                    json.dumps(prompt.market_context.to_dict()),
                    config_id,
                    context.token_factor,
                    RETRIEVAL,
                    prompt.template,
                    prompt.sha256,
                    json.dumps({section.name: section.tokens for section in prompt.sections}),
                    model,
                ],
            ).fetchone() or (0,)
            if slots:
                columns = [list(column) for column in zip(*slots, strict=True)]
                con.execute(f"insert into slots select ?, {', '.join(['unnest(?)'] * 10)}", [turn_id, *columns])
        return int(turn_id)

    def finish(
        self, turn_id: int, received: Received, answer: Answer, sessions: SessionManager, symbol: str | None
    ) -> int | None:
        """Record how a turn ended, together with its reply; give the reply's message id, None if there is no text."""
        text_there = bool(answer.text.strip())
        write = sessions.reply(received.session_id, answer.text, symbol, answer.state) if text_there else None
        usage = answer.usage
        with self._store.write() as con:
            reply_id = write(con) if write else None
            con.execute(
                "update turns set reply_id = ?, state = ?, stop_reason = ?, fault = ?, plain = ?, input_tokens = ?, "
                "output_tokens = ?, cache_read_tokens = ?, cache_write_tokens = ?, cost_usd = ?, latency = ?, "
                "first_text = ?, recommendations = ?, dropped = ? where turn_id = ?",
                [
                    reply_id,
                    answer.state,
                    answer.stop_reason,
                    str(answer.fault) if answer.fault else None,
                    answer.plain,
                    usage and usage.input_tokens,
                    usage and usage.output_tokens,
                    usage and usage.cache_read_tokens,
                    usage and usage.cache_write_tokens,
                    answer.cost_usd,
                    answer.latency,
                    answer.first_text,
                    json.dumps([each.to_dict() for each in answer.recommendations]),
                    json.dumps(list(answer.dropped)),
                    turn_id,
                ],
            )
        if reply_id is not None:
            sessions.upkeep(reply_id)
        return reply_id

    def check_spending(self, now: datetime, limit: float) -> None:
        """Stop a call once the day's recorded costs have reached the limit.

        Raises
        ------
        SpendingLimit
            With both figures, USD.
        """
        day = times.naive(now).replace(hour=0, minute=0, second=0, microsecond=0)
        with self._store.read() as con:
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
       t.cost_usd, t.latency, t.sections::text, t.recommendations::text, t.dropped::text, c.toml
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
        budget = Config.from_toml(row[20]).budget
        found["turn"] = {
            "turn_id": turn_id,
            "model": model,
            "state": state,
            "fault": fault,
            "input_tokens": None if fresh is None else fresh + (read or 0) + (written or 0),
            "output_tokens": output,
            "cost_usd": cost,
            "latency": latency,
            "tokens": json.loads(row[17]),
            "budget": {"hot": budget.hot, "warm": budget.warm, "cold": budget.cold},
            "recommendations": json.loads(row[18] or "[]"),
            "dropped": json.loads(row[19] or "[]"),
        }
    return found

"""The record of turns: what each saw that cannot be computed again, what it carried, how it ended, what was decided."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from gallump_lab import masking
from gallump_lab.brain.answer import Answer, clean
from gallump_lab.brain.prices import price
from gallump_lab.brain.prompt import Prompt
from gallump_lab.config import Config, Model
from gallump_lab.memory import messages, recall, records
from gallump_lab.memory.context import newest
from gallump_lab.memory.records import AsOf, Overrides
from gallump_lab.memory.sessions import Received, SessionId, SessionManager
from gallump_lab.memory.text import storable
from gallump_lab.store import Store, locks, runs, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Verdict = Literal["accepted", "rejected"]
MAX_CHARACTERS = 2_000
"""What a decision's note may have."""
LOST = (
    "The notebook's kernel ended before the reply had, or the lab could not take it in then. What had arrived is kept."
)
_ITEM = ("tier", "rank", "kind", "item_id", "message_id", "tokens", "score", "kept", "reason")


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
            f"Today's replies cost {_usd(spent)} (UTC day), the limit is {_usd(limit)}. "
            "Raise model.max_usd_per_day, or wait for tomorrow; nothing was asked."
        )


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 0.1 or not amount else f"${amount:.2g}"


def check_spending(con: "DuckDBPyConnection", now: datetime, model: Model) -> None:
    """Stop a call once the UTC day's recorded costs have reached the limit, if one is set.

    Raises
    ------
    SpendingLimit
        With both figures, USD.
    PriceUnknown
        If the model has no price to keep the limit by.
    """
    limit, name = model.max_usd_per_day, model.answering
    if limit is None:
        return
    if price(name, model.prices) is None:
        msg = (
            f"No price is known for {name}, so model.max_usd_per_day cannot be kept; nothing was asked. "
            f"Set model.prices[{name!r}] = (USD in, USD out), per million tokens."
        )
        raise PriceUnknown(msg)
    if (spent := spent_today(con, now)) >= limit:
        raise SpendingLimit(spent, limit)


def spent_today(con: "DuckDBPyConnection", now: datetime) -> float:
    """Sum the recorded costs of the UTC day, USD: those of turns, under way ones at most, and of distilling."""
    day = times.naive(now).replace(hour=0, minute=0, second=0, microsecond=0)
    (spent,) = con.execute(
        "select coalesce(sum(cost_usd), 0) from (select cost_usd, asked_at as began_at from turns "
        "union all select (turn->>'cost_usd')::double, (turn->>'asked_at')::timestamp from drafts "
        "union all select cost_usd, began_at from distillings) where began_at >= $day and began_at < $next",
        {"day": day, "next": day + timedelta(days=1)},
    ).fetchone() or (0.0,)
    return float(spent)


class Turn(locks.Claim):
    """One turn on its way into the lab: its draft while the reply comes in, then the whole of it in one step.

    As long as it lasts its draft is renewed once a second, with what has arrived, in case the kernel dies: nobody takes
    it for one that was left behind. If the whole turn could not be stored, `recover` finds its draft.

    Parameters
    ----------
    store : Store
        The lab file.
    sessions : SessionManager
        Makes the reply's message.
    received : Received
        The question, stored.
    prompt : Prompt
        What is sent.
    watchlist : sequence of str
        The symbols that were given; the first is the question's own.
    overrides : Overrides
        What was pinned and excluded.
    most_usd : float, optional
        What it may cost at most: what is counted if nobody lives to say what it did.
    """

    def __init__(  # noqa: PLR0913 (a turn's givens)
        self,
        store: Store,
        sessions: SessionManager,
        received: Received,
        prompt: Prompt,
        *,
        watchlist: Sequence[str],
        overrides: Overrides,
        most_usd: float | None = None,
    ) -> None:
        super().__init__(self._save)
        self._store, self._sessions, self._config = store, sessions, received.config
        self._pieces: list[str] = []
        self._drafted = False
        moment = received.moment
        self._row: dict[str, Any] = {
            "session_id": str(received.session_id),
            "question_id": received.question_id,
            "asked_at": times.naive(moment.at).isoformat(),
            "time_zone": str(moment.at.tzinfo),
            "seen_message": moment.seen_message,
            "seen_insight": moment.seen_insight,
            "symbol": watchlist[0] if watchlist else None,
            "watchlist": _json(list(watchlist)),
            "chosen": _json({"pinned": overrides.pinned, "excluded": overrides.excluded}),
            "market": _json(prompt.market_context.to_dict()),
            "config_id": runs.stored(received.config).id,
            "token_factor": prompt.session_context.token_factor,
            "retrieval": recall.version(received.config.recall.embedder, sum(prompt.session_context.missing.values())),
            "template": prompt.template,
            "prompt_sha256": prompt.sha256,
            "sections": _json({section.name: section.tokens for section in prompt.sections}),
            "used": _json(records.used(prompt.slots)),
            "model": received.config.model.answering,
            "cost_usd": most_usd,
        }
        self._items = [[*(getattr(s, name) for name in _ITEM), _json(dict(s.signals))] for s in prompt.slots]

    def hear(self, piece: str) -> None:
        """Take a piece of the reply's text; the draft has it within a second."""
        self._pieces.append(piece)

    def _save(self, name: str) -> None:
        """Save what has arrived, which renews the claim."""
        row, text = self._row, clean("".join(self._pieces))
        with self._store.write() as con:
            if self._drafted:
                con.execute(
                    f"update drafts set text = ?, renewed_at = {locks.NOW} where owner = ?",  # noqa: S608
                    [text, name],
                )
            else:
                runs.keep(con, self._config)
                given = [row["question_id"], row["session_id"], row["symbol"], text, _json(row), _json(self._items)]
                con.execute(
                    "insert into drafts (question_id, session_id, symbol, text, turn, slots, owner, renewed_at) "  # noqa: S608
                    f"values (?, ?, ?, ?, ?, ?, ?, {locks.NOW})",
                    [*given, name],
                )
        self._drafted = True

    def finish(self, answer: Answer) -> tuple[int, int | None]:
        """Write the turn, its items and its reply in one step.

        Returns
        -------
        tuple of int
            The turn's id, and the reply's message id or None if there is no text.
        """
        self.end()
        usage = answer.usage
        outcome = {
            "model": answer.model,
            "state": answer.state,
            "stop_reason": answer.stop_reason,
            "fault": clean(str(answer.fault)) if answer.fault else None,
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
        row = self._row | outcome
        reply = self._sessions.reply(answer.text, row["symbol"], answer.state)
        with self._store.write() as con:
            runs.keep(con, self._config)
            return _write(con, row, self._items, reply)


def _write(
    con: "DuckDBPyConnection", row: dict[str, Any], items: Sequence[Sequence[Any]], reply: messages.Batch | None
) -> tuple[int, int | None]:
    """Write a turn, its items and its reply, in place of its draft, inside the caller's transaction."""
    reply_id = messages.write(con, [row["session_id"]], reply)[0] if reply else None
    given = row | {"reply_id": reply_id}
    names, values = ", ".join(given), ", ".join(f"${name}" for name in given)
    (turn_id,) = con.execute(
        f"insert into turns (turn_id, {names}) values (nextval('turn_ids'), {values}) returning turn_id",  # noqa: S608
        given,
    ).fetchone() or (0,)
    if items:
        columns = [list(column) for column in zip(*items, strict=True)]
        names, values = ", ".join((*_ITEM, "signals")), ", ".join(["unnest(?)"] * len(columns))
        con.execute(f"insert into slots (turn_id, {names}) select ?, {values}", [turn_id, *columns])
    con.execute("delete from drafts where question_id = ?", [row["question_id"]])
    return int(turn_id), reply_id


def recover(store: Store, sessions: SessionManager) -> int:
    """Turn the drafts that nobody is at work on any more into replies, marked as stopped; return their number."""
    with store.read() as con:
        found = con.execute(f"select text, turn::text, slots::text, owner, {locks.LATE} from drafts").fetchall()  # noqa: S608
    orphans = [
        (text, json.loads(turn), json.loads(items))
        for text, turn, items, who, late in found
        if locks.free(who, late=late)
    ]
    outcome = {"state": "stopped", "fault": LOST, "plain": False, "recommendations": "[]", "dropped": "[]"}
    for text, row, items in orphans:
        reply = sessions.reply(text, row["symbol"], "stopped")
        with store.write() as con:
            if con.execute("select 1 from drafts where question_id = ?", [row["question_id"]]).fetchone():
                _write(con, row | outcome, items, reply)
    return len(orphans)


def again(
    con: "DuckDBPyConnection", config: Config, now: datetime, question_id: int
) -> tuple[Received, list[str], Overrides]:
    """Return a stored question without a whole reply as if it came now, with its last turn's symbols and overrides.

    Raises
    ------
    ValueError
        If there is no such question, or it has a reply that did not fail and was not stopped, or one is coming.
    """
    found = con.execute(
        "select session_id, text, symbol, role from messages where message_id = ?", [question_id]
    ).fetchone()
    if found is None or found[3] != "user":
        msg = f"question_id {question_id!r} is no question of this lab; lab.messages lists them."
        raise ValueError(msg)
    turns = con.execute(
        "select watchlist::text, chosen::text, m.state from turns left join messages m on message_id = reply_id "
        "where question_id = ? order by turn_id",
        [question_id],
    ).fetchall()
    if any(state not in {None, "failed", "stopped"} for _, _, state in turns):
        msg = f"question_id {question_id} has a reply; ask a new question instead."
        raise ValueError(msg)
    if con.execute("select 1 from drafts where question_id = ?", [question_id]).fetchone():
        msg = f"question_id {question_id} is being answered; wait for the reply, or stop it where it was asked."
        raise ValueError(msg)
    session_id, text, symbol, _ = found
    watchlist, chosen = turns[-1][:2] if turns else (_json([symbol] if symbol else []), None)
    moment = AsOf(at=now, seen_message=question_id - 1, seen_insight=newest(con)[1])
    received = Received(
        session_id=SessionId(session_id), question_id=question_id, text=text, moment=moment, config=config
    )
    return received, json.loads(watchlist), chosen_of(chosen)


def chosen_of(text: str | None) -> Overrides:
    """Read a turn's overrides."""
    return Overrides(**json.loads(text)) if text else Overrides()


def _json(value: object) -> str:
    return storable(json.dumps(value, ensure_ascii=False))  # DuckDB takes no escaped half of a surrogate pair


def decide(  # noqa: PLR0913 (a decision's fields)
    store: Store, now: datetime, turn_id: int, position: int, *, verdict: Verdict, note: str = ""
) -> None:
    """Record a decision on a recommendation, never an order; see `Lab.decide`."""
    if verdict not in get_args(Verdict):
        msg = f"verdict must be 'accepted' or 'rejected', not {verdict!r}."
        raise ValueError(msg)
    if not isinstance(note, str) or len(note) > MAX_CHARACTERS:
        msg = f"note must be text of at most {MAX_CHARACTERS:,} characters, not {clean(str(note))[:40]!r}."
        raise ValueError(msg)
    masking.warn("note", note, stacklevel=3)
    with store.write() as con:
        found = con.execute("select recommendations::text from turns where turn_id = ?", [turn_id]).fetchone()
        given = json.loads(found[0] or "[]") if found else []
        if not isinstance(position, int) or not 0 <= position < len(given):
            msg = f"position {position!r} of turn {turn_id!r} is no recommendation; the turn has {len(given)}, from 0."
            raise ValueError(msg)
        con.execute(
            "insert into decisions values (nextval('decision_ids'), ?, ?, ?, ?, ?, ?)",
            [turn_id, position, given[position]["symbol"], verdict, clean(note), times.naive(now)],
        )

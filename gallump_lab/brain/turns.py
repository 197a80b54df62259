"""The record of turns: what each saw that cannot be computed again, what it carried, and how it ended."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from gallump_lab.brain.prices import price
from gallump_lab.brain.prompt import Prompt
from gallump_lab.brain.records import Answer
from gallump_lab.config import Config, Model
from gallump_lab.memory import packing, recall
from gallump_lab.memory.context import newest
from gallump_lab.memory.records import AsOf, Overrides
from gallump_lab.memory.sessions import Received, SessionId, SessionManager
from gallump_lab.memory.text import storable
from gallump_lab.secrets import masked
from gallump_lab.store import Store, StoreError, lease, runs, times

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
            f"Today's replies cost {_usd(spent)} (UTC day), the limit is {_usd(limit)}. "
            "Raise model.max_usd_per_day, or wait for tomorrow; nothing was asked."
        )


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 0.1 or not amount else f"${amount:.2g}"


class Turn:
    """One turn on its way into the lab: its draft while the reply comes in, then the whole of it in one step.

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
    model : str
        Who answers.
    symbol : str, optional
        The question's symbol.
    watchlist : sequence of str
        The symbols that were given.
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
        model: str,
        symbol: str | None,
        watchlist: Sequence[str],
        overrides: Overrides,
        most_usd: float | None = None,
    ) -> None:
        self._store, self._sessions, self._received = store, sessions, received
        self._pieces: list[str] = []
        self._saved = time.monotonic()
        self._drafted = False
        self._saving = threading.Lock()
        self._claim = lease.Claim(lambda _: self._save())  # while the model thinks, too
        moment = received.moment
        self._row: dict[str, Any] = {
            "session_id": str(received.session_id),
            "question_id": received.question_id,
            "asked_at": times.naive(moment.at).isoformat(),
            "time_zone": str(moment.at.tzinfo),
            "seen_message": moment.seen_message,
            "seen_insight": moment.seen_insight,
            "symbol": symbol,
            "watchlist": _json(list(watchlist)),
            "chosen": _json({"pinned": overrides.pinned, "excluded": overrides.excluded}),
            "market": _json(prompt.market_context.to_dict()),
            "config_id": runs.stored(received.config).id,
            "token_factor": prompt.session_context.token_factor,
            "retrieval": recall.version(received.config.recall.embedder, sum(prompt.session_context.missing.values())),
            "template": prompt.template,
            "prompt_sha256": prompt.sha256,
            "sections": _json({section.name: section.tokens for section in prompt.sections}),
            "used": _json(packing.used(prompt.slots)),
            "model": model,
            "cost_usd": most_usd,
        }
        self._slots = [[*(getattr(s, name) for name in _SLOT), _json(dict(s.signals))] for s in prompt.slots]

    def __enter__(self) -> Self:
        """Begin: as long as this lasts, nobody takes its draft for one that was left behind."""
        self._claim.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the draft, if it is still there because the whole turn could not be stored, to `recover`."""
        self._claim.__exit__()

    def hear(self, piece: str) -> None:
        """Take a piece of the reply's text; about once a second it is saved, in case the kernel dies."""
        self._pieces.append(piece)
        if time.monotonic() - self._saved >= DRAFT_SECONDS:
            with contextlib.suppress(StoreError):  # tried again in a second; a lab that stays away shows at the end
                self._save()

    def _save(self) -> None:
        """Save what has arrived, which renews the claim."""
        row = self._row
        with self._saving:
            text, self._saved = masked(storable("".join(self._pieces))), time.monotonic()
            with self._store.write() as con:
                if self._drafted:
                    con.execute(
                        f"update drafts set text = ?, renewed_at = {lease.NOW} where owner = ?",  # noqa: S608
                        [text, self._claim.name],
                    )
                else:
                    runs.keep(con, self._received.config)
                    given = [row["question_id"], row["session_id"], row["symbol"], text, _json(row), _json(self._slots)]
                    con.execute(
                        "insert into drafts (question_id, session_id, symbol, text, turn, slots, owner, renewed_at) "  # noqa: S608
                        f"values (?, ?, ?, ?, ?, ?, ?, {lease.NOW})",
                        [*given, self._claim.name],
                    )
            self._drafted = True

    def finish(self, answer: Answer) -> tuple[int, int | None]:
        """Write the turn, its slots and its reply in one step.

        Returns
        -------
        tuple of int
            The turn's id, and the reply's message id or None if there is no text.
        """
        self._claim.end()
        usage, session_id, symbol = answer.usage, self._row["session_id"], self._row["symbol"]
        there = bool(answer.text.strip())
        write = self._sessions.reply(session_id, answer.text, symbol, answer.state) if there else None
        outcome = {
            "model": answer.model,
            "state": answer.state,
            "stop_reason": answer.stop_reason,
            "fault": masked(storable(str(answer.fault))) if answer.fault else None,
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
        with self._store.write() as con:
            runs.keep(con, self._received.config)
            reply_id = write(con) if write else None
            turn_id = _write(con, self._row | outcome | {"reply_id": reply_id}, self._slots)
        if reply_id is not None:
            self._sessions.upkeep(self._received.question_id - 1, reply_id)
        return turn_id, reply_id


def again(
    store: Store,
    sessions: SessionManager,
    question_id: int,
    *,
    check: "Callable[[DuckDBPyConnection, Config, str], None]",
) -> tuple[Received, list[str], Overrides]:
    """Return a stored question without a whole reply as if it came now, with its last turn's symbols and overrides.

    Raises
    ------
    ValueError
        If there is no such question, or it has a reply that did not fail and was not stopped, or one is coming.
    """
    recover(store, sessions)
    with store.read() as con:
        config = sessions.config(con)
        found = con.execute(
            "select session_id, text, symbol, role from messages where message_id = ?", [question_id]
        ).fetchone()
        if found is None or found[3] != "user":
            msg = f"question_id {question_id!r} is no question of this lab; lab.messages lists them."
            raise ValueError(msg)
        check(con, config, found[1])
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
        _, seen_insight = newest(con)
    session_id, text, symbol, _ = found
    watchlist, chosen = turns[-1][:2] if turns else (json.dumps([symbol] if symbol else []), None)
    moment = AsOf(at=sessions.here(config), seen_message=question_id - 1, seen_insight=seen_insight)
    received = Received(
        session_id=SessionId(session_id), question_id=question_id, text=text, moment=moment, config=config
    )
    return received, json.loads(watchlist), chosen_of(chosen)


def chosen_of(text: str | None) -> Overrides:
    """Read a turn's overrides."""
    return Overrides(**json.loads(text)) if text else Overrides()


def _write(con: "DuckDBPyConnection", row: dict[str, Any], slots: Sequence[Sequence[Any]]) -> int:
    names, values = ", ".join(row), ", ".join(f"${name}" for name in row)
    (turn_id,) = con.execute(
        f"insert into turns (turn_id, {names}) values (nextval('turn_ids'), {values}) returning turn_id",  # noqa: S608
        row,
    ).fetchone() or (0,)
    if slots:
        columns = [list(column) for column in zip(*slots, strict=True)]
        names, values = ", ".join((*_SLOT, "signals")), ", ".join(["unnest(?)"] * len(columns))
        con.execute(f"insert into slots (turn_id, {names}) select ?, {values}", [turn_id, *columns])
    con.execute("delete from drafts where question_id = ?", [row["question_id"]])
    return int(turn_id)


def recover(store: Store, sessions: SessionManager) -> int:
    """Turn the drafts that nobody is at work on any more into replies, marked as stopped; give their number."""
    with store.read() as con:
        found = con.execute(f"select text, turn::text, slots::text, owner, {lease.LATE} from drafts").fetchall()  # noqa: S608
    orphans = [
        (text, json.loads(turn), json.loads(slots))
        for text, turn, slots, who, late in found
        if lease.free(who, late=late)
    ]
    for text, row, slots in orphans:
        write = sessions.reply(row["session_id"], text, row["symbol"], "stopped") if text.strip() else None
        with store.write() as con:
            if con.execute("select 1 from drafts where question_id = ?", [row["question_id"]]).fetchone():
                outcome = {"state": "stopped", "fault": LOST, "plain": False, "recommendations": "[]", "dropped": "[]"}
                _write(con, row | outcome | {"reply_id": write(con) if write else None}, slots)
    return len(orphans)


def _json(value: object) -> str:
    return storable(json.dumps(value, ensure_ascii=False))  # DuckDB takes no escaped half of a surrogate pair


_SLOT = ("tier", "rank", "kind", "item_id", "message_id", "tokens", "score", "kept", "reason")
DRAFT_SECONDS = 1.0
LOST = (
    "The notebook's kernel ended before the reply had, or the lab could not take it in then. What had arrived is kept."
)


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
    if (spent := spent_today(con, now)) >= limit:
        raise SpendingLimit(spent, limit)


def spent_today(con: "DuckDBPyConnection", now: datetime) -> float:
    """Sum the recorded costs of the UTC day, USD: those of turns, under way ones at most, and of distilling."""
    day = times.naive(now).replace(hour=0, minute=0, second=0, microsecond=0)
    (spent,) = con.execute(
        "select (select coalesce(sum(cost_usd), 0) from turns where asked_at >= $day and asked_at < $next) + "
        "(select coalesce(sum((turn->>'cost_usd')::double), 0) from drafts "
        "where (turn->>'asked_at')::timestamp >= $day and (turn->>'asked_at')::timestamp < $next) + "
        "(select coalesce(sum(cost_usd), 0) from distillings where began_at >= $day and began_at < $next)",
        {"day": day, "next": day + timedelta(days=1)},
    ).fetchone() or (0.0,)
    return float(spent)

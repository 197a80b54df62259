"""Messages on their way into a lab: checked, then counted and cut outside of any step, then written, one or many."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from gallump_lab import tokens
from gallump_lab.masking import masked
from gallump_lab.memory import index
from gallump_lab.memory.records import Role
from gallump_lab.memory.text import one_line, storable
from gallump_lab.reading.symbols import validate_symbol
from gallump_lab.store import times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_CHARACTERS = 200_000
MAX_NAME = 100
State = Literal["complete", "stopped", "cut", "refused", "failed"]


def checked_text(text: str, name: str = "text") -> str:
    """Return a text as it can be stored: what looks like a key or a password is masked.

    Raises
    ------
    ValueError
        If it is no text, empty or too long; `name` is what the message calls it.
    """
    if not isinstance(text, str) or not text.strip():
        msg = f"{name} must be words to remember, not {masked(repr(text)):.60}."
        raise ValueError(msg)
    if len(text) > MAX_CHARACTERS:
        msg = f"{name} has {len(text):,} characters; a message takes at most {MAX_CHARACTERS:,}. Split it."
        raise ValueError(msg)
    return masked(storable(text))


AHEAD = timedelta(minutes=1)
"""So far ahead of this clock another machine's may be."""
LAST = (
    "coalesce(if(last_at <= $late, last_at, (select max(m.created_at) from messages m "
    "where m.session_id = s.session_id and m.created_at <= $late)), timestamp '0001-01-01')"
)
"""When a session `s` was last spoken in: what lies ahead of now, but for `AHEAD`, keeps none alive."""


def last_said(con: "DuckDBPyConnection", session_id: str, now: datetime) -> datetime | None:
    """Return when a session was last spoken in up to now, naive UTC; the beginning of time if that lies all ahead.

    Returns
    -------
    datetime or None
        None for a session that is not in the lab.
    """
    found = con.execute(
        f"select {LAST} from sessions s where session_id = $session",  # noqa: S608 (constants)
        {"session": session_id, "late": now + AHEAD},
    ).fetchone()
    return found[0] if found else None


def checked_time(at: datetime, now: datetime, name: str = "created_at") -> datetime:
    """Return a message's time, naive UTC, if it is not later than now by more than a minute.

    Raises
    ------
    ValueError
        If it lies in the future; `name` is what the message calls it.
    """
    if at > now + AHEAD:
        msg = f"{name} {at} UTC lies in the future (it is {now}). Check its year and time zone."
        raise ValueError(msg)
    return at


def checked_name(name: str, what: str) -> str:
    """Return a speaker's name or a session's id as it can be stored.

    Raises
    ------
    ValueError
        If it is not a short text on one line; `what` is what the message calls it.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        msg = f"{what} must be a name of at most {MAX_NAME} characters on one line, not {masked(repr(name)):.60}."
        raise ValueError(msg)
    return masked(name)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A message that is checked but not stored; its times are naive UTC."""

    role: Role
    text: str
    symbol: str | None
    created_at: datetime
    arrived_at: datetime
    state: State = "complete"
    speaker: str | None = None


def draft(  # noqa: PLR0913 (a message's fields)
    role: Role,
    text: str,
    *,
    now: datetime,
    symbol: str | None = None,
    created_at: datetime | None = None,
    state: State = "complete",
    speaker: str | None = None,
) -> Draft:
    """Check a message; what looks like a key or a password in it is masked.

    Parameters
    ----------
    now : datetime
        The clock's time, naive UTC.
    created_at : datetime, optional
        The time it speaks of, with a time zone; `now` by default.

    Raises
    ------
    ValueError
        If a field cannot be used; the message says which and how to mend it.
    """
    for name, value, known in (("role", role, get_args(Role)), ("state", state, get_args(State))):
        if value not in known:
            msg = f"{name} must be {' or '.join(map(repr, known))}, not {value!r}."
            raise ValueError(msg)
    return Draft(
        role=role,
        text=checked_text(text),
        symbol=None if symbol is None else validate_symbol(symbol),
        created_at=now if created_at is None else checked_time(times.naive(created_at), now),
        arrived_at=now,
        state=state,
        speaker=None if speaker is None else checked_name(speaker, "speaker"),
    )


def reply(text: str, *, now: datetime, symbol: str | None, state: State) -> Draft:
    """Make a draft of a reply, of any length; what looks like a key or a password in it is masked."""
    said = masked(storable(text))
    return Draft(role="assistant", text=said, symbol=symbol, created_at=now, arrived_at=now, state=state)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Messages counted and cut, ready to be written."""

    columns: dict[str, Any]
    """Arrays by column, a value a message."""
    rows: index.Rows


def prepare(drafts: Sequence[Draft]) -> Batch:
    """Do all that writing messages needs before the lab is held."""
    import numpy as np

    def words(name: str) -> Any:  # "" is nothing: a column must not begin with None alone
        return np.array([getattr(each, name) or "" for each in drafts], object)

    columns = {name: words(name) for name in ("role", "text", "symbol", "speaker", "state")}
    columns |= {
        name: np.array([getattr(each, name) for each in drafts], "datetime64[us]")
        for name in ("created_at", "arrived_at")
    }
    columns["title"] = np.array([one_line(d.text)[:80] if d.role == "user" else "" for d in drafts], object)
    columns["tokens"] = np.array([tokens.count(d.text) for d in drafts], np.int64)
    return Batch(columns=columns, rows=index.rows([d.text for d in drafts]))


def write(con: "DuckDBPyConnection", session_ids: Sequence[str], batch: Batch) -> list[int]:
    """Write messages and their index rows, and what their sessions' rows say, inside the caller's transaction.

    The sessions are there already. Ids follow the order of the batch.
    """
    import numpy as np

    ids = index.next_ids(con, "message_ids", len(session_ids))
    given = batch.columns | {"message_id": ids, "session_id": np.array(session_ids, object)}
    with index.registered(con, given):
        con.execute(
            "insert into messages select message_id, session_id, role, text, nullif(symbol, ''), created_at, "
            "arrived_at, tokens, state, nullif(speaker, '') from given"
        )
        con.execute(
            "update sessions set created_at = if(messages = 0, first, least(created_at, first)), "
            "last_at = if(messages = 0, last, greatest(last_at, last)), messages = messages + number, "
            "title = coalesce(title, new_title), symbol = coalesce(symbol, new_symbol) from ("
            "select session_id, min(created_at) as first, max(created_at) as last, count(*) as number, "
            "arg_min(nullif(title, ''), message_id) as new_title, "
            "arg_min(nullif(symbol, ''), message_id) as new_symbol from given group by session_id) said "
            "where said.session_id = sessions.session_id"
        )
    index.write(con, ids, batch.rows)
    return [int(i) for i in ids]

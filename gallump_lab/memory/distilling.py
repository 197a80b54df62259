"""Distilling sessions that have ended: which are due, and what a distiller gave put into the lab, once for each.

A session is distilled once by each distiller, and again only for messages that came later. A claim in the lab keeps two
notebooks from distilling the same session at once; one that nobody renews, or that failed, is free again.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gallump_lab.config import Config
from gallump_lab.memory import ledger, rules
from gallump_lab.memory.messages import AHEAD, LAST, last_said
from gallump_lab.memory.records import Learnt, Message
from gallump_lab.secrets import masked
from gallump_lab.store import Store, owner, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH = 20
"""So many sessions are distilled by rules in one step."""
_DUE = f"""
select session_id from sessions s
left join (select session_id, max(message_id) as newest from messages group by session_id) m using (session_id)
left join (select session_id, max(seen_message) as seen from distillings
           where (distiller = $distiller or $chats) and state = 'complete' group by session_id) d using (session_id)
where messages > 0 and newest > coalesce(seen, 0) and ($wanted::text[] is null or list_contains($wanted, session_id))
  and {LAST} < $before and (not $chats or exists (from turns t where t.session_id = s.session_id))
order by last_at, session_id
"""  # noqa: S608 (constants)
_NAMED = """
select symbol from messages where symbol is not null
union select unnest(from_json(watchlist, '["varchar"]')) from turns
"""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session that has been claimed for distilling."""

    session_id: str
    messages: Sequence[Message]
    after: int
    """The newest message that the same distiller has read before; 0 for none."""
    known_from: datetime
    """When the session had ended, UTC."""

    @property
    def seen(self) -> int:
        """The session's newest message."""
        return self.messages[-1].message_id


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was taken of sessions' insights."""

    sessions: int = 1
    insights: int
    """New ones."""
    merged: int
    """Those that say no more than one which stood."""
    refused: tuple[str, ...]
    """Why each of the others was refused, in words."""


def due(  # noqa: PLR0913 (what may be asked of them)
    con: "DuckDBPyConnection",
    distiller: str,
    now: datetime,
    minutes: float,
    *,
    chats: bool = False,
    wanted: Sequence[str] | None = None,
) -> list[str]:
    """Return the sessions that have ended and that a distiller has not distilled, oldest first.

    Parameters
    ----------
    con : DuckDBPyConnection
        The lab, inside a step.
    distiller : str
        Its name.
    now : datetime
        With a time zone.
    minutes : float
        So long after its last message a session has ended.
    chats : bool
        What is distilled unasked: only sessions with turns of this lab's own chat, none that was imported, and none
        that any distiller has distilled, so that another distiller does not go through all the past again.
    wanted : sequence of str, optional
        Only these sessions.
    """
    before = times.naive(now) - timedelta(minutes=minutes)
    given = {"distiller": distiller, "before": before, "late": times.naive(now) + AHEAD, "chats": chats}
    given["wanted"] = None if wanted is None else [*wanted]
    rows = con.execute(_DUE, given).fetchall()
    running = con.execute(
        f"select session_id, owner, {owner.LATE} from distillings where state = 'running' and distiller = ?",  # noqa: S608
        [distiller],
    ).fetchall()
    taken = {session_id for session_id, who, late in running if not owner.free(who, late=late)}
    return [session_id for (session_id,) in rows if session_id not in taken]


def check_ended(con: "DuckDBPyConnection", session_id: str, now: datetime, minutes: float) -> None:
    """Check that a session can be distilled.

    Raises
    ------
    ValueError
        If it is not in the lab, or has not ended.
    """
    last = last_said(con, session_id, times.naive(now))
    if last is None:
        msg = f"session_id {session_id!r} is not in this lab; lab.history() lists them."
        raise ValueError(msg)
    if times.naive(now) - last <= timedelta(minutes=minutes):
        msg = (
            f"session_id {session_id!r} has not ended: that takes {minutes:g} minutes without a message "
            "(Config.session_minutes). Distil it then."
        )
        raise ValueError(msg)


def read(con: "DuckDBPyConnection", session_id: str, distiller: str, minutes: float, now: datetime) -> Session:
    """Read a session's messages, at a time in the time zone whose days they speak of ("by Friday")."""
    names = ("message_id", "session_id", "role", "text", "symbol", "created_at", "state", "speaker")
    rows = con.execute(
        f"select {', '.join(names)} from messages where session_id = ? order by message_id",  # noqa: S608 (constants)
        [session_id],
    ).fetchall()
    said = [
        Message(**dict(zip(names, row, strict=True)) | {"created_at": times.aware(row[5], now.tzinfo)}) for row in rows
    ]
    (after,) = con.execute(
        "select coalesce(max(seen_message), 0) from distillings where session_id = ? and distiller = ? "
        "and state = 'complete'",
        [session_id, distiller],
    ).fetchone() or (0,)
    ended = max((times.aware(row[5]) for row in rows), default=now) + timedelta(minutes=minutes)
    return Session(session_id=session_id, messages=said, after=after, known_from=min(ended, now))


def at_work(store: Store) -> owner.Claim:
    """Return a claim in whose name sessions are distilled, one after the other."""

    def renew(name: str) -> None:
        with store.write() as con:
            con.execute(f"update distillings set renewed_at = {owner.NOW} where owner = ?", [name])  # noqa: S608

    return owner.Claim(renew)


def claim(  # noqa: PLR0913, PLR0917 (a claim's givens)
    store: Store, session_id: str, distiller: str, minutes: float, now: datetime, name: str
) -> tuple[int, Session] | None:
    """Take a session for a distiller that takes its time; None if another has it, or has done it, by now.

    `name` is that of the claim, see `at_work`.

    Returns
    -------
    tuple of int and Session
        The number of the claim, for `settle` or `fail`.
    """
    with store.write() as con:
        if not due(con, distiller, now, minutes, wanted=[session_id]):
            return None
        session = read(con, session_id, distiller, minutes, now)
        con.execute(  # that is free
            "delete from distillings where session_id = ? and distiller = ? and state = 'running'",
            [session_id, distiller],
        )
        (number,) = con.execute(
            "insert into distillings (distilling_id, session_id, distiller, seen_message, began_at, state, owner, "  # noqa: S608
            f"renewed_at) values (nextval('distilling_ids'), ?, ?, ?, ?, 'running', ?, {owner.NOW}) "
            "returning distilling_id",
            [session_id, distiller, session.seen, times.naive(now), name],
        ).fetchone() or (0,)
    return int(number), session


def held(con: "DuckDBPyConnection", number: int) -> bool:
    """Return whether a claim still holds: it was not free for so long that another took the session."""
    return con.execute("select 1 from distillings where distilling_id = ?", [number]).fetchone() is not None


def whole(con: "DuckDBPyConnection", session: Session) -> bool:
    """Return whether all messages of a session that was read are still there: none has been forgotten meanwhile."""
    ids = [message.message_id for message in session.messages]
    found = con.execute("select count(*) from messages where message_id in (select unnest(?))", [ids]).fetchone()
    return found == (len(ids),)


def settle(
    con: "DuckDBPyConnection", session: Session, learnt: Sequence[Learnt], *, distiller: str, now: datetime
) -> Taken:
    """Merge what a distiller gave of a session into the insights, inside the caller's transaction; `now` is naive UTC.

    An insight without a supporting message of the session is refused, and one that cannot be stored; one that rests on
    messages which the distiller had read before is passed over.
    """
    there = {message.message_id: message for message in session.messages}
    counts: Counter[bool] = Counter()
    refused = []
    for each in (replace(given, text=masked(given.text)) for given in learnt):
        strangers = [source for source in each.sources if source not in there]
        if strangers or not each.sources:
            what = f"message {strangers[0]}, which is not of its session" if strangers else "no message"
            refused.append(f"{each.text[:40]!r} rests on {what}.")
            continue
        if max(each.sources) <= session.after:  # it was read before
            continue
        newest = max(there[source].created_at for source in each.sources)
        given = replace(each, valid_from=each.valid_from or newest)
        try:
            _, new = ledger.merge(con, given, known_from=session.known_from, now=now, distiller=distiller)
        except ValueError as error:  # nothing of it has been stored
            refused.append(f"{each.text[:40]!r}: {error}")
            continue
        counts[new] += 1
    return Taken(insights=counts[True], merged=counts[False], refused=tuple(refused))


def record(con: "DuckDBPyConnection", number: int, state: str, taken: Taken | None, **outcome: Any) -> None:
    """Write how a claimed distilling ended, inside the caller's transaction: complete or failed."""
    values = dict(outcome) | {"state": state, "owner": None}
    if values.get("fault"):
        values["fault"] = masked(values["fault"])
    if taken is not None:
        values |= {"insights": taken.insights, "merged": taken.merged, "refused": json.dumps(list(taken.refused))}
    names = ", ".join(f"{name} = ${name}" for name in values)
    con.execute(
        f"update distillings set {names} where distilling_id = $number",  # noqa: S608 (names of columns)
        values | {"number": number},
    )


def by_rules(  # noqa: PLR0913 (what may be asked of them)
    store: Store,
    config: Config,
    now: datetime,
    *,
    chats: bool = False,
    wanted: Sequence[str] | None = None,
    symbols: Callable[[], Collection[str]] = frozenset,
) -> Iterator[tuple[int, int, Taken]]:
    """Distil the sessions that are due by fixed rules, a batch a step; nothing is sent.

    The symbols that they know are those of messages and watchlists, and what `symbols` gives.

    Yields
    ------
    tuple of int, int and Taken
        How many sessions have been gone through, how many there are in all, and what was taken of these.
    """
    minutes, name = config.session_minutes, rules.NAME
    with store.read() as con:
        sessions = due(con, name, now, minutes, chats=chats, wanted=wanted)
        named = con.execute(_NAMED).fetchall()
    known = {*(symbols() if sessions else ()), *(symbol for (symbol,) in named)}
    for begin in range(0, len(sessions), BATCH):
        batch = sessions[begin : begin + BATCH]
        with store.read() as con:
            read_so = [read(con, session_id, name, minutes, now) for session_id in batch]
        found = [rules.distil(each.messages, tokens=config.cold.tokens, known=known) for each in read_so]
        with store.write() as con:
            still = {*due(con, name, now, minutes, chats=chats, wanted=batch)}
            takings = []
            for session, learnt in zip(read_so, found, strict=True):
                if session.session_id in still and whole(con, session):
                    takings.append(settle(con, session, learnt, distiller=name, now=times.naive(now)))
                    con.execute(
                        "insert into distillings (distilling_id, session_id, distiller, seen_message, began_at, state, "
                        "insights, merged, refused, cost_usd) values (nextval('distilling_ids'), ?, ?, ?, ?, "
                        "'complete', ?, ?, ?, 0)",
                        [
                            session.session_id,
                            name,
                            session.seen,
                            times.naive(now),
                            takings[-1].insights,
                            takings[-1].merged,
                            json.dumps(list(takings[-1].refused)),
                        ],
                    )
        yield len(batch), len(sessions), together(takings)


def together(takings: Sequence[Taken]) -> Taken:
    """Sum up what was taken of several sessions."""
    return Taken(
        sessions=sum(each.sessions for each in takings),
        insights=sum(each.insights for each in takings),
        merged=sum(each.merged for each in takings),
        refused=tuple(why for each in takings for why in each.refused),
    )

"""Distilling sessions that have ended: which are due, and what a distiller gave put into the lab, once for each.

A session is distilled once by each distiller, and again only for messages that came later. A claim in the lab keeps two
notebooks from distilling the same session at once; one that nobody renews, or that failed, is free again.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gallump_lab.masking import masked
from gallump_lab.memory import hints, ledger, rules
from gallump_lab.memory.records import Learnt, Message
from gallump_lab.reading.shown import visible
from gallump_lab.store import locks, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOST = (
    "Another took it over, since this process was away for long, or a message of it was forgotten meanwhile: "
    "nothing that was learnt of it was kept."
)
NAMED = 10
"""So many refusals and failures are told one by one; the rest are counted."""
TRIES = 2
"""So often a session is tried unasked; what cost nothing, as where there was no network, does not count."""
_DUE = """
select session_id from sessions s
left join (select session_id, max(message_id) as newest from messages group by session_id) m using (session_id)
left join (select session_id, max(seen_message) as seen from distillings
           where (distiller = $distiller or $chats) and state = 'complete' group by session_id) d using (session_id)
left join (select session_id, seen_message as newest, count(*) as failures from distillings
           where distiller = $distiller and state = 'failed' and cost_usd is distinct from 0 group by all) f
    using (session_id, newest)
where messages > 0 and newest > coalesce(seen, 0) and ($wanted::text[] is null or list_contains($wanted, session_id))
  and not last_at between $before and $ahead
  and (not $chats or (coalesce(failures, 0) < $tries and exists (from turns t where t.session_id = s.session_id)))
order by last_at, session_id
"""
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
class Distillation:
    """What distilling brought, of one session or of several together (`+`)."""

    distiller: str
    """Who distilled."""
    sessions: int = 0
    """Sessions that were distilled."""
    insights: int = 0
    """New insights."""
    merged: int = 0
    """Insights that say no more than one which stood; it took their sources."""
    refused: tuple[str, ...] = ()
    """Why each of the others was not taken, in words."""
    failed: tuple[str, ...] = ()
    """Which sessions could not be distilled and why; they are tried again next time."""
    told: tuple[str, ...] = ()
    """What the model's server was found not to take, and what waits in batches, in words."""
    left: int = 0
    """Sessions that are still to be distilled."""
    cost_usd: float | None = 0.0
    """None where one's cost is not known."""

    def __add__(self, other: "Distillation") -> "Distillation":
        """Return what both brought together."""
        cost = None if self.cost_usd is None or other.cost_usd is None else self.cost_usd + other.cost_usd
        names = ("sessions", "insights", "merged", "refused", "failed", "told", "left")
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in names}, cost_usd=cost)

    def __repr__(self) -> str:
        """Count what came of it, then tell what was refused and what failed."""
        head = (
            f"Distilled {counted(self.sessions)} by {self.distiller}: {self.insights:,} new insights, "
            f"{self.merged:,} said again, {len(self.refused):,} refused"
        )
        head += f", {self.left:,} to be done" if self.left else ""
        head += "" if self.cost_usd == 0 else "; cost not known" if self.cost_usd is None else f"; ${self.cost_usd:.4f}"
        told = [*self.told, *self.refused, *self.failed]
        more = [f"... and {len(told) - NAMED:,} more."] if len(told) > NAMED else []
        return visible("\n".join([head, *told[:NAMED], *more]))


def counted(sessions: int) -> str:
    """Return a number of sessions in words."""
    return f"{sessions:,} session{'s' * (sessions != 1)}"


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
        that any distiller has distilled, so that another distiller does not go through all the past again; nor one
        at which this one has failed `TRIES` times since its newest message, where that may have cost.
    wanted : sequence of str, optional
        Only these sessions.
    """
    at, silence = times.naive(now), timedelta(minutes=minutes)
    given: dict[str, Any] = {
        "tries": TRIES,
        "distiller": distiller,
        "before": at - silence,
        "ahead": at + silence,
        "chats": chats,
    }
    given["wanted"] = None if wanted is None else [*wanted]
    rows = con.execute(_DUE, given).fetchall()
    running = con.execute(
        f"select session_id, owner, {locks.LATE} from distillings where state = 'running' and distiller = ?",  # noqa: S608
        [distiller],
    ).fetchall()
    taken = {session_id for session_id, who, late in running if not locks.free(who, late=late)}
    return [session_id for (session_id,) in rows if session_id not in taken]


def check_ended(con: "DuckDBPyConnection", session_id: str, now: datetime, minutes: float) -> None:
    """Check that a session can be distilled.

    Raises
    ------
    ValueError
        If it is not in the lab, or has not ended.
    """
    found = con.execute("select last_at from sessions where session_id = ?", [session_id]).fetchone()
    if found is None:
        msg = f"session_id {session_id!r} is not in this lab; lab.history() lists them."
        raise ValueError(msg)
    if abs(times.naive(now) - found[0]) <= timedelta(minutes=minutes):
        msg = (
            f"session_id {session_id!r} has not ended: that takes {minutes:g} minutes without a message "
            "(Config.session_minutes). Distil it then."
        )
        raise ValueError(msg)


def read(con: "DuckDBPyConnection", session_id: str, distiller: str, minutes: float, now: datetime) -> Session:
    """Read a session's messages, at a time in the time zone whose days they speak of ("by Friday")."""
    rows = con.execute(
        f"select {Message.COLUMNS} from messages where session_id = ? order by message_id",  # noqa: S608 (constants)
        [session_id],
    ).fetchall()
    said = [Message.of(row, now.tzinfo) for row in rows]
    (after,) = con.execute(
        "select coalesce(max(seen_message), 0) from distillings where session_id = ? and distiller = ? "
        "and state = 'complete'",
        [session_id, distiller],
    ).fetchone() or (0,)
    ended = max((message.created_at for message in said), default=now) + timedelta(minutes=minutes)
    return Session(session_id=session_id, messages=said, after=after, known_from=min(ended, now))


def begin(
    con: "DuckDBPyConnection", session: Session, distiller: str, now: datetime, owned_by: str | None = None
) -> int:
    """Record that a session is being distilled, inside a step in which it is due; return the number of the record.

    Parameters
    ----------
    owned_by : str, optional
        The name of the claim (see `store.locks`), for a distiller that takes its time; without one it ends in this
        very step.
    """
    con.execute(  # what was left behind, or failed to renew its claim
        "delete from distillings where session_id = ? and distiller = ? and state = 'running'",
        [session.session_id, distiller],
    )
    (number,) = con.execute(
        "insert into distillings (distilling_id, session_id, distiller, seen_message, began_at, state, owner, "  # noqa: S608
        f"renewed_at) values (nextval('distilling_ids'), ?, ?, ?, ?, 'running', ?, {locks.NOW}) "
        "returning distilling_id",
        [session.session_id, distiller, session.seen, times.naive(now), owned_by],
    ).fetchone() or (0,)
    return int(number)


def renew(con: "DuckDBPyConnection", owned_by: str) -> None:
    """Renew a claim, so that nobody else takes its session."""
    con.execute(f"update distillings set renewed_at = {locks.NOW} where owner = ?", [owned_by])  # noqa: S608


def hand_over(con: "DuckDBPyConnection", owned_by: str, batch: str, days: int, cost_usd: float | None) -> None:
    """Leave what one claim holds to a batch, for as many days as its answers are kept.

    `cost_usd` is what each session costs at most, which counts as spent until more is known.
    """
    con.execute(
        f"update distillings set owner = ?, renewed_at = {locks.NOW} + to_days(?), cost_usd = ? where owner = ?",  # noqa: S608
        [batch, days, cost_usd, owned_by],
    )


def release(con: "DuckDBPyConnection", owned_by: str) -> None:
    """Give up what a claim still holds."""
    con.execute("delete from distillings where owner = ?", [owned_by])


def held(con: "DuckDBPyConnection", batch: str | None = None) -> list[tuple[int, str, str, int, str]]:
    """Return what waits in batches, or one: the record's number, session, distiller, newest message, and the batch."""
    return con.execute(  # a claim of a process has spaces in its name
        "select distilling_id, session_id, distiller, seen_message, owner from distillings "
        "where state = 'running' and owner = coalesce(?, owner) and owner not like '% %' order by distilling_id",
        [batch],
    ).fetchall()


def is_kept(con: "DuckDBPyConnection", number: int, session: Session) -> bool:
    """Return whether a session that was distilled outside of a step is still this process's, and still whole."""
    ids = [message.message_id for message in session.messages]
    (kept,) = con.execute(
        "select exists (from distillings where distilling_id = ? and state = 'running') "
        "and (select count(*) from messages where message_id in (select unnest(?))) = len(?)",
        [number, ids, ids],
    ).fetchone() or (False,)
    return bool(kept)


def settle(
    con: "DuckDBPyConnection", session: Session, learnt: Iterable[Learnt], *, distiller: str, now: datetime
) -> Distillation:
    """Merge what a distiller gave of a session into the insights, inside the caller's transaction; `now` is naive UTC.

    An insight without a supporting message of the session is refused, and one that cannot be stored; one that rests on
    messages which the distiller had read before is passed over.
    """
    there = {message.message_id: message for message in session.messages}
    insights = merged = 0
    refused = []
    for each in (replace(given, text=masked(given.text)) for given in learnt):
        strangers = [source for source in each.sources if source not in there]
        if strangers or not each.sources:
            what = f"message {strangers[0]}, which is not of its session" if strangers else "no message"
            refused.append(f"{each.text[:40]!r} rests on {what}.")
            continue
        if max(each.sources) <= session.after:  # it was read before
            continue
        if each.hint:
            hints.add(con, each, session.known_from)
            continue
        newest = max(there[source].created_at for source in each.sources)
        given = replace(each, valid_from=each.valid_from or newest)
        try:
            _, new = ledger.merge(con, given, known_from=session.known_from, now=now, distiller=distiller)
        except ValueError as error:  # nothing of it has been stored
            refused.append(f"{each.text[:40]!r}: {error}")
            continue
        insights, merged = insights + new, merged + (not new)
    return Distillation(distiller=distiller, sessions=1, insights=insights, merged=merged, refused=tuple(refused))


def end(con: "DuckDBPyConnection", number: int, taken: Distillation | None, **outcome: Any) -> None:
    """Record how a distilling ended, inside the caller's transaction: complete, or failed where nothing was taken."""
    values = outcome | {"state": "complete" if taken else "failed", "owner": None}
    if taken:
        values |= {"insights": taken.insights, "merged": taken.merged, "refused": json.dumps(list(taken.refused))}
    names = ", ".join(f"{name} = ${name}" for name in values)
    con.execute(
        f"update distillings set {names} where distilling_id = $number and state = 'running'",  # noqa: S608 (names of columns)
        values | {"number": number},
    )


def symbols(con: "DuckDBPyConnection") -> set[str]:
    """Return the symbols that a lab speaks of: those of messages and watchlists."""
    return {symbol for (symbol,) in con.execute(_NAMED).fetchall()}


def keep(
    con: "DuckDBPyConnection", found: Sequence[tuple[Session, Sequence[Learnt]]], now: datetime, minutes: float
) -> Distillation:
    """Put what the rules found among the insights that stand, inside one transaction; only of what is still due."""
    still = {*due(con, rules.NAME, now, minutes, wanted=[session.session_id for session, _ in found])}
    total = Distillation(distiller=rules.NAME)
    for session, learnt in found:
        if session.session_id in still:
            number = begin(con, session, rules.NAME, now)
            taken = None
            if is_kept(con, number, session):
                taken = settle(con, session, learnt, distiller=rules.NAME, now=times.naive(now))
                total += taken
            end(con, number, taken, cost_usd=0.0)
    return total

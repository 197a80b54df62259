"""What was stated of one symbol, and until when it held: insights, and what no distiller has made one of yet."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from gallump_lab.masking import masked
from gallump_lab.memory import ledger, rules
from gallump_lab.memory.ledger import Known
from gallump_lab.memory.records import Learnt, Message
from gallump_lab.memory.relation import relation
from gallump_lab.store import times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SESSIONS = 60
"""So many of a symbol's sessions are read anew, the newest."""
_SAID = f"""
with about as (
    select session_id from messages where symbol = $symbol and role = 'user' and created_at <= $at
    group by session_id order by max(message_id) desc limit {SESSIONS}
)
select {Message.COLUMNS} from messages where session_id in (from about) and created_at <= $at order by message_id
"""  # noqa: S608 (constants)


def stated(con: "DuckDBPyConnection", symbol: str, now: datetime) -> list[Known]:
    """Return what had been stated of a symbol by a moment, oldest first, retired insights left out.

    What was said since has ended what it took the place of (`ended`, `superseded_by`). What is no insight has an id
    below 0.

    Parameters
    ----------
    con : DuckDBPyConnection
        The lab, inside a step.
    symbol : str
        As `validate_symbol` returns it.
    now : datetime
        The moment, in the time zone whose days count.
    """
    at = times.naive(now)
    found = {each.insight_id: each for each in ledger.about(con, symbol, at)}
    insights = {(source, each.kind): each.insight_id for each in found.values() for source in each.sources}
    cited = frozenset(source for source, _ in insights)
    for learnt, said_at in _said(con, symbol, now):
        same = next(
            (insights[source, learnt.kind] for source in learnt.sources if (source, learnt.kind) in insights), 0
        )
        if same and found[same].attribute is None:  # an insight that came without
            found[same] = found[same]._replace(speaker=learnt.speaker, attribute=learnt.attribute, value=learnt.value)
        if cited.isdisjoint(learnt.sources):
            _take_in(found, _known(learnt, said_at, -1 - len(found)))
    kept = (each._replace(text=masked(each.text)) for each in found.values() if not each.retired)
    return sorted(kept, key=attrgetter("valid_from"))


def _said(con: "DuckDBPyConnection", symbol: str, now: datetime) -> Iterator[tuple[Learnt, datetime]]:
    """Read what the newest sessions state of a symbol, in order, each statement with its time."""
    rows = con.execute(_SAID, {"symbol": symbol, "at": times.naive(now)}).fetchall()
    messages = sorted((Message.of(row, now.tzinfo) for row in rows), key=attrgetter("session_id"))  # else by their ids
    learnt: list[tuple[Learnt, datetime]] = []
    for _, said in groupby(messages, key=attrgetter("session_id")):
        session = {message.message_id: message for message in said}
        found = rules.distil([*session.values()], tokens=1_000 * len(session), known=[symbol])
        of_it = (each for each in found if each.symbol == symbol)
        learnt += [(each, max(session[source].created_at for source in each.sources)) for each in of_it]
    yield from sorted(learnt, key=lambda pair: pair[1])


def _known(learnt: Learnt, said_at: datetime, number: int) -> Known:
    at = times.naive(said_at)
    ends = learnt.valid_until and times.naive(learnt.valid_until)
    names = ("kind", "symbol", "speaker", "attribute", "value", "text", "sources")
    given = {name: getattr(learnt, name) for name in names}
    return Known(insight_id=number, valid_from=at, valid_until=ends, confirmed=at, known_from=at, **given)


def _take_in(found: dict[int, Known], new: Known) -> None:
    """Add a statement unless one that stands says the same; end what it takes the place of."""
    standing = [each for each in found.values() if each.ended is None]
    how = {each.insight_id: relation(each, new) for each in standing}
    if "same" in how.values():
        return
    for old in standing:
        if how[old.insight_id] == "newer":
            found[old.insight_id] = old._replace(ended=new.valid_from, superseded_by=new.insight_id)
        elif how[old.insight_id] == "older":
            new = new._replace(ended=old.valid_from, superseded_by=old.insight_id)
    found[new.insight_id] = new

"""What was stated of one symbol, and until when it held: insights, and what no distiller has made one of yet."""

from collections.abc import Iterable
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

NEWEST = 1_500
"""So many messages of the sessions that speak of a symbol are read anew, the newest."""
_SAID = f"""
select {Message.COLUMNS} from messages where created_at <= $at
and session_id in (select session_id from messages where symbol = $symbol and role = 'user' and created_at <= $at)
order by message_id desc limit {NEWEST}
"""  # noqa: S608 (constants)


def said(con: "DuckDBPyConnection", symbol: str, now: datetime) -> tuple[list[Known], list[Message]]:
    """Return a symbol's insights as known at a moment, in the time zone whose days count, and what to read anew."""
    at = times.naive(now)
    rows = con.execute(_SAID, {"symbol": symbol, "at": at}).fetchall()
    return ledger.about(con, symbol, at), [Message.of(row, now.tzinfo) for row in rows]


def stated(symbol: str, insights: Iterable[Known], messages: Iterable[Message]) -> list[Known]:
    """Return what was stated of a symbol, oldest first, of what `said` gave; retired insights are left out.

    What was said later has ended what it took the place of (`ended`, `superseded_by`). What is no insight has an id
    below 0.
    """
    found = {each.insight_id: each for each in insights}
    cited = {(source, each.kind): each.insight_id for each in found.values() for source in each.sources}
    sources = {source for source, _ in cited}
    for new in _read(symbol, messages):
        own = next((cited[source, new.kind] for source in new.sources if (source, new.kind) in cited), 0)
        if own and found[own].attribute is None:  # an insight that came without
            found[own] = found[own]._replace(speaker=new.speaker, attribute=new.attribute, value=new.value)
        if sources.isdisjoint(new.sources):
            _take_in(found, new._replace(insight_id=-1 - len(found)))
    kept = (each._replace(text=masked(each.text)) for each in found.values() if not each.retired)
    return sorted(kept, key=attrgetter("valid_from"))


def _read(symbol: str, messages: Iterable[Message]) -> list[Known]:
    """Read what messages state of a symbol, session by session, in the order of time."""
    found: list[Known] = []
    in_order = sorted(messages, key=attrgetter("session_id", "message_id"))
    for _, each in groupby(in_order, key=attrgetter("session_id")):
        session = {message.message_id: message for message in each}
        learnt = rules.distil([*session.values()], tokens=1_000 * len(session), known=[symbol])
        found += [_known(one, max(session[source].created_at for source in one.sources)) for one in learnt]
    return sorted((each for each in found if each.symbol == symbol), key=attrgetter("valid_from"))


def _known(learnt: Learnt, said_at: datetime) -> Known:
    at = times.naive(said_at)
    ends = learnt.valid_until and times.naive(learnt.valid_until)
    names = ("kind", "symbol", "speaker", "attribute", "value", "text", "sources")
    given = {name: getattr(learnt, name) for name in names}
    return Known(insight_id=0, valid_from=at, valid_until=ends, confirmed=at, known_from=at, **given)


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

"""The ledger of insights: rows that never change, and events that say what became of each, in order of arrival.

`merge` takes in a new insight. What says no more than one that stands *supports* it: its sources are added, and it
counts as said again. A newer value of the same attribute of the same symbol and speaker *supersedes* the older, which
stays in the history. What contradicts another is *disputed*: both stay, and both say so.
"""

import operator
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, SupportsIndex, get_args

from gallump_lab.memory.messages import checked_name
from gallump_lab.memory.records import AsOf, Kind, Learnt
from gallump_lab.memory.relation import relation, rivals, succession
from gallump_lab.memory.text import one_line, storable
from gallump_lab.reading.symbols import validate_symbol
from gallump_lab.store import times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Event = Literal["added", "superseded", "supported", "disputed", "retired", "restored", "pinned", "unpinned"]
MAX_CHARACTERS = 2_000


class Known(NamedTuple):
    """An insight as it was known at a moment; a tuple, since every question reads all that stand."""

    insight_id: int
    """0 for one that is not stored yet."""
    kind: Kind
    symbol: str | None
    speaker: str | None
    attribute: str | None
    value: str | None
    text: str
    valid_from: datetime
    """Naive UTC, as all times here."""
    valid_until: datetime | None
    confirmed: datetime
    """When it was said last."""
    sources: Sequence[int]
    """Ids of all messages that support it, those that said it again included."""
    known_from: datetime
    pinned: bool = False
    retired: bool = False
    ended: datetime | None = None
    """Since when another has taken its place; None: it stands."""
    superseded_by: int | None = None


_STATES = """
select insight_id, bool_or(event = 'added') as added, min(known_from) filter (event = 'superseded') as ended,
       coalesce(arg_max(event, event_id) filter (event in ('retired', 'restored')) = 'retired', false) as retired,
       coalesce(arg_max(event, event_id) filter (event in ('pinned', 'unpinned')) = 'pinned', false) as pinned,
       max(known_from) filter (event = 'supported') as said_again,
       list_sort(list_distinct(flatten(list(sources) filter (event = 'supported')))) as further,
       arg_min(superseded_by, (known_from, -event_id)) filter (event = 'superseded') as superseded_by,
       list_sort(list_distinct(list(other_id) filter (event = 'disputed'))) as disputed_by
from insight_events where event_id <= $seen and known_from <= coalesce($as_of::timestamp, known_from)
"""
_KNOWN = """
select insight_id, kind, symbol, speaker, attribute, value, text, valid_from, valid_until,
       greatest(valid_from, coalesce(said_again, valid_from)) as confirmed,
       list_concat(i.sources, coalesce(further, [])) as sources, known_from, pinned, retired, ended, superseded_by
from insights i join states using (insight_id) where added
"""
_STANDING = f"with states as ({_STATES} group by insight_id) {_KNOWN} and ended is null order by insight_id"
_ONE = f"with states as ({_STATES} and insight_id = $insight_id group by insight_id) {_KNOWN}"
_ABOUT = f"""
with states as ({_STATES} group by insight_id) {_KNOWN} and symbol = $symbol and valid_from <= $as_of
order by insight_id
"""
_RIVALS = f"""
with about as (
    select insight_id from insights
    where list_contains($symbols, coalesce(symbol, '')) and coalesce(list_contains($attributes, attribute), true)
), states as ({_STATES} and insight_id in (from about) group by insight_id)
{_KNOWN} and (ended is null or ended > $known_from or valid_from > $valid_from) order by insight_id
"""  # noqa: S608 (constants)
FRAME = f"""
with states as ({_STATES} group by insight_id)
select i.insight_id, i.kind, i.symbol, i.speaker, i.text, i.attribute, i.value,
       list_concat(i.sources, coalesce(further, [])) as sources, i.valid_from, i.valid_until, i.known_from, i.distiller,
       superseded_by, disputed_by, pinned, retired,
       (select arg_max(grade, l.rowid) from insight_labels l where l.insight_id = i.insight_id) as grade
from insights i join states using (insight_id) order by i.insight_id
"""  # noqa: S608 (constants)
_LEADS_BACK = """
with recursive chain(insight_id) as (
    select $newer::bigint union
    select superseded_by from insight_events join chain using (insight_id) where event = 'superseded'
)
select insight_id from chain where insight_id = $old
"""
EVER: dict[str, Any] = {"seen": 2**62, "as_of": None}
"""All events, whatever the moment."""


def _select(con: "DuckDBPyConnection", sql: str, given: dict[str, Any]) -> list[Known]:
    return [*map(Known._make, con.execute(sql, given).fetchall())]


def standing(con: "DuckDBPyConnection", moment: AsOf | None = None) -> list[Known]:
    """Return the insights that stood at a moment, retired ones too, in order of arrival; None for now."""
    if moment is None:
        return _select(con, _STANDING, EVER)
    as_of = moment.as_of and times.naive(moment.as_of)
    return _select(con, _STANDING, {"seen": moment.seen_insight, "as_of": as_of})


def about(con: "DuckDBPyConnection", symbol: str, at: datetime) -> list[Known]:
    """Return all insights about a symbol as they were known at a time, naive UTC, whatever became of them by then."""
    return _select(con, _ABOUT, {"seen": EVER["seen"], "as_of": at, "symbol": symbol})


def find(con: "DuckDBPyConnection", insight_id: object) -> Known:
    """Return an insight as it is now, whatever became of it; its id may be of any whole type, as a frame has it.

    Raises
    ------
    ValueError
        If there is no such insight.
    """
    whole = isinstance(insight_id, SupportsIndex) and operator.index(insight_id) < 2**63
    found = _select(con, _ONE, EVER | {"insight_id": operator.index(insight_id)}) if whole else []  # type: ignore[arg-type]
    if not found:
        msg = f"insight_id {insight_id!r} is not in this lab; lab.insights.frame lists them."
        raise ValueError(msg)
    return found[0]


def alive(con: "DuckDBPyConnection", moment: AsOf, stood: Sequence[Known] | None = None) -> list[Known]:
    """Return the insights that a prompt could hold at a moment: neither retired nor past their own horizon.

    A what-if holds none that speaks of a later time. `stood` is what `standing` gave, where it has been read before.
    """
    at = times.naive(moment.as_of or moment.at)
    return [
        each
        for each in (standing(con, moment) if stood is None else stood)
        if not each.retired
        and (each.valid_until is None or each.valid_until >= at)
        and (moment.as_of is None or each.valid_from <= at)
    ]


def cited(con: "DuckDBPyConnection") -> dict[int, frozenset[int]]:
    """Return the messages that each insight rests on, by insight id."""
    rows = con.execute(
        "select insight_id, list_concat(any_value(i.sources), coalesce(flatten(list(e.sources)), [])) "
        "from insights i left join insight_events e using (insight_id) group by insight_id"
    ).fetchall()
    return {insight_id: frozenset(sources) for insight_id, sources in rows}


def checked(con: "DuckDBPyConnection", given: Learnt, known_from: datetime | None, now: datetime) -> Known:
    """Return an insight as it can be stored, learnt at `known_from`, or by default at the clock's `now` (naive UTC).

    Raises
    ------
    ValueError
        If a field cannot be used, or a source is no message of this lab.
    """
    text = given.text
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_CHARACTERS:
        msg = f"text must be one statement of at most {MAX_CHARACTERS:,} characters, not {text!r:.60}."
        raise ValueError(msg)
    if given.kind not in get_args(Kind):
        msg = f"kind must be one of {', '.join(get_args(Kind))}, not {given.kind!r}."
        raise ValueError(msg)
    try:
        sources = tuple(dict.fromkeys(map(operator.index, given.sources)))
    except TypeError as error:
        msg = f"sources must be message ids (whole numbers), not {given.sources!r}."
        raise ValueError(msg) from error
    ids = [each for each in sources if 0 < each < 2**63]
    known = con.execute("select message_id from messages where message_id in (select unnest(?))", [ids]).fetchall()
    if strangers := sorted({*sources} - {message_id for (message_id,) in known}):
        msg = f"sources {strangers} are no messages of this lab; lab.messages lists their ids."
        raise ValueError(msg)
    learnt = now if known_from is None else times.naive(known_from, "known_from")
    if learnt > now + timedelta(minutes=1):
        msg = f"known_from {learnt} UTC lies in the future (it is {now}). Check its year and time zone."
        raise ValueError(msg)
    holds = learnt if given.valid_from is None else times.naive(given.valid_from, "valid_from")
    ends = None if given.valid_until is None else times.naive(given.valid_until, "valid_until")
    if ends is not None and ends < holds:
        msg = f"valid_until {ends} UTC lies before valid_from {holds}. Check both."
        raise ValueError(msg)
    return Known(
        insight_id=0,
        kind=given.kind,
        symbol=None if given.symbol is None else validate_symbol(given.symbol),
        speaker=None if given.speaker is None else checked_name(given.speaker, "speaker"),
        attribute=None if given.attribute is None else checked_name(given.attribute, "attribute"),
        value=None if given.value is None else checked_name(given.value, "value"),
        text=one_line(storable(text)),
        valid_from=holds,
        valid_until=ends,
        confirmed=holds,
        sources=sources,
        known_from=learnt,
    )


def merge(
    con: "DuckDBPyConnection", given: Learnt, *, known_from: datetime | None, now: datetime, distiller: str
) -> tuple[Known, bool]:
    """Merge a new insight: add, support, supersede or dispute, inside the caller's transaction.

    Only what speaks of the same symbol and attribute is looked at.

    Parameters
    ----------
    con : DuckDBPyConnection
        The lab, inside a write step.
    given : Learnt
        The insight.
    known_from : datetime, optional
        When it was learnt, with a time zone; `now` by default.
    now : datetime
        The clock's time, naive UTC.
    distiller : str
        Who made it.

    Returns
    -------
    tuple of Known and bool
        The insight and True, or the one that says the same, as it stood, and False.

    Raises
    ------
    ValueError
        As `checked`; nothing is stored.
    """
    new = checked(con, given, known_from, now)
    about: dict[str, Any] = {"symbols": [new.symbol or ""], "attributes": rivals(new.attribute)}
    about |= {name: getattr(new, name) for name in ("known_from", "valid_from")}
    others = _select(con, _RIVALS, EVER | about)
    related = [(succession(old, new) if old.ended else relation(old, new), old) for old in others]
    for how, old in reversed(related):
        if how == "same":
            further = {*new.sources} - {*old.sources}
            record(con, old.insight_id, "supported", new.known_from, now, sources=sorted(further))
            return old, False
    stored = new._replace(insight_id=write(con, new, now, distiller))
    for how, old in related:
        if how == "newer":
            supersede(con, old.insight_id, stored.insight_id, now)
    # One dispute, with the newest, is enough: a hundred readings of one thing do not each speak against all the others.
    against = [old for how, old in related if how == "contradicts" and not old.retired][-1:]
    for one, other in ((stored, old) for old in against):
        record(con, one.insight_id, "disputed", new.known_from, now, other_id=other.insight_id)
        record(con, other.insight_id, "disputed", new.known_from, now, other_id=one.insight_id)
    came_late_to = [old for how, old in related if how == "older" and not old.retired]
    if came_late_to:
        first = min(came_late_to, key=lambda old: (old.known_from, old.valid_from, old.insight_id))
        supersede(con, stored.insight_id, first.insight_id, now)
    return stored, True


def write(con: "DuckDBPyConnection", new: Known, now: datetime, distiller: str) -> int:
    """Store an insight that `checked` gave, inside the caller's transaction, and return its id."""
    checked_name(distiller, "distiller")
    names = "kind symbol speaker attribute value text sources valid_from valid_until known_from".split()
    given = {name: getattr(new, name) for name in names} | {"distiller": distiller}
    (insight_id,) = con.execute(
        f"insert into insights (insight_id, {', '.join(given)}) values (nextval('insight_ids'), "  # noqa: S608
        f"{', '.join(f'${name}' for name in given)}) returning insight_id",
        given | {"sources": list(new.sources)},
    ).fetchone() or (0,)
    record(con, int(insight_id), "added", new.known_from, now)
    return int(insight_id)


def record(  # noqa: PLR0913 (an event's columns)
    con: "DuckDBPyConnection",
    insight_id: int,
    event: Event,
    known_from: datetime,
    now: datetime,
    *,
    superseded_by: int | None = None,
    other_id: int | None = None,
    sources: Sequence[int] | None = None,
    note: str | None = None,
) -> None:
    """Store an event inside the caller's transaction; times are naive UTC."""
    con.execute(
        "insert into insight_events (event_id, insight_id, event, superseded_by, known_from, arrived_at, other_id, "
        "sources, note) values (nextval('insight_event_ids'), ?, ?, ?, ?, ?, ?, ?, ?)",
        [insight_id, event, superseded_by, known_from, now, other_id, sources, note],
    )


def supersede(con: "DuckDBPyConnection", old: int, new: int, now: datetime) -> None:
    """Record, inside the caller's transaction, that one insight superseded another; once is enough.

    It holds from when the newer one was known. A pin goes over to it, unless another has it already.

    Raises
    ------
    ValueError
        If the newer one is the old one itself, or gave way to it.
    """
    found = con.execute(
        "select event, superseded_by, known_from from insight_events where insight_id = ? order by event_id", [old]
    ).fetchall()
    (learnt,) = con.execute("select known_from from insights where insight_id = ?", [new]).fetchone() or (now,)
    before = [newer for event, newer, _ in found if event == "superseded"]
    if new in before:
        return
    if con.execute(_LEADS_BACK, {"newer": new, "old": old}).fetchone():
        msg = f"insight_id {new} cannot supersede {old}: it gave way to that one itself."
        raise ValueError(msg)
    record(con, old, "superseded", learnt, now, superseded_by=new)
    pins = [(event, since) for event, _, since in found if event in {"pinned", "unpinned"}]
    if pins and pins[-1][0] == "pinned" and not before:
        record(con, new, "pinned", max(learnt, pins[-1][1]), now)

"""COLD: what was learnt from past sessions, and what the analyst makes of it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from gallump_lab import masking
from gallump_lab.masking import masked
from gallump_lab.memory import ledger
from gallump_lab.memory.ledger import Event, Known
from gallump_lab.memory.messages import checked_name
from gallump_lab.memory.records import Kind, Learnt
from gallump_lab.reading.shown import visible
from gallump_lab.store import Store, query, times

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

ANALYST = "analyst"
"""The distiller of what a person wrote."""
GRADES = (0, 1, 2, 3)
"""What people think of an insight: 0 wrong, 1 of no use, 2 useful, 3 belongs in every prompt."""
_HISTORY = """
select event_id, event, superseded_by, other_id, sources, note, known_from, arrived_at
from insight_events where insight_id = ? order by event_id
"""


class About(TypedDict, total=False):
    """What may be said of an insight beside its text; see `Insights.add`."""

    kind: Kind
    symbol: str | None
    sources: Sequence[int]
    speaker: str | None
    attribute: str | None
    value: str | None
    valid_from: datetime | None
    valid_until: datetime | None
    known_from: datetime | None
    distiller: str


class Insights:
    """The insights of a lab: add, pin, edit, retire, grade, look at them and at where they come from.

    Parameters
    ----------
    store : Store
        The lab file.
    clock : callable
        Tells the time, UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = times.now) -> None:
        self._store, self._clock = store, clock

    def add(self, text: str, **given: Unpack[About]) -> int:
        """Store an insight; the next prompt may hold it.

        Where one stands about the same symbol that says the same, that one takes its sources, and what the analyst adds
        is restored if it was retired. Where one states an older value of the same attribute, this takes its place.
        Where one contradicts it, both say so (`disputed_by`).

        Parameters
        ----------
        text : str
            One statement, at most 2,000 characters.
        kind : {"fact", "thesis", "level", "position", "preference", "lesson"}
        symbol : str, optional
            What it is about.
        sources : sequence of int
            Ids of the messages that support it.
        speaker : str, optional
            Whose statement it is, by name.
        attribute : str, optional
            What of the symbol it states, such as "stop": a newer statement of the same takes its place.
        value : str, optional
            What it states of the attribute, in short ("341.5").
        valid_from, valid_until : datetime, optional
            Since when it holds, and until when, with a time zone; since it was learnt, by default.
        known_from : datetime, optional
            When it was learnt, with a time zone; the clock's time by default.
        distiller : str
            Who made it; "analyst" by default.

        Returns
        -------
        int
            Its id, or that of the insight which says the same.

        Raises
        ------
        ValueError
            If an argument cannot be used, or a source is no message of this lab.
        """
        masking.warn("insight", text, *given.values())
        learnt, known_from, distiller = _learnt(text, given)
        now = self._now()
        with self._store.write() as con:
            found, _ = ledger.merge(con, learnt, known_from=known_from, now=now, distiller=distiller)
            if found.retired and distiller == ANALYST:
                ledger.record(con, found.insight_id, "restored", now, now)
        return found.insight_id

    def supersede(self, insight_id: int, text: str, **given: Unpack[About]) -> int:
        """Put a newer insight in the place of an older one, which stays in the history; a pin goes over to it.

        Parameters
        ----------
        insight_id : int
            The older insight; it must not have been superseded already.
        text, **given
            As in `add`; kind, symbol, speaker and attribute are the older one's by default.

        Returns
        -------
        int
            The newer insight's id.

        Raises
        ------
        ValueError
            As `add`, or if the older insight is unknown or superseded.
        """
        masking.warn("insight", text, *given.values())
        return self._succeed(insight_id, text, given, keep=("kind", "symbol", "speaker", "attribute"))

    def edit(self, insight_id: int, text: str, **given: Unpack[About]) -> int:
        """Reword an insight: its sources and times stay, the older wording stays in the history.

        Parameters
        ----------
        insight_id : int
            Which one; it must not have been superseded or retired.
        text, **given
            As in `add`; what is not given stays as it is.

        Returns
        -------
        int
            The id of the insight that takes its place; its own if nothing is changed.

        Raises
        ------
        ValueError
            As `supersede`, or if it is retired.
        """
        keep = ("kind", "symbol", "speaker", "attribute", "value", "sources", "valid_from", "valid_until")
        masking.warn("insight", text, *given.values())
        return self._succeed(insight_id, text, given, keep=keep)

    def _succeed(self, insight_id: int, text: str, given: About, *, keep: Sequence[str]) -> int:
        edited = "sources" in keep
        with self._store.write() as con:
            old = _standing(con, insight_id)
            if old.retired:
                msg = (
                    f"insight_id {old.insight_id} is retired; restore it first: lab.insights.restore({old.insight_id})."
                )
                raise ValueError(msg)
            kept = {name: getattr(old, name) for name in keep}
            for name in {"valid_from", "valid_until"} & kept.keys():
                kept[name] = kept[name] and times.aware(kept[name])
            learnt, known_from, distiller = _learnt(text, kept | dict(given))
            now = self._now()
            made = ledger.checked(con, learnt, known_from, now)
            same = all(getattr(old, name) == getattr(made, name) for name in {"text", *keep} - {"sources"})
            if edited and same and {*old.sources} == {*made.sources}:
                return old.insight_id
            new = ledger.write(con, made, now, distiller)
            ledger.supersede(con, old.insight_id, new, now)
            if edited and old.confirmed > old.valid_from:  # it was said again
                ledger.record(con, new, "supported", old.confirmed, now)
        return new

    def pin(self, insight_id: int) -> None:
        """Let an insight stand first in COLD, whatever is asked, as long as it stands; `unpin` takes that back.

        Where HOT or WARM show it already, COLD passes it over as others.

        Raises
        ------
        ValueError
            If there is no such insight, or another has superseded it.
        """
        self._record(insight_id, "pinned")

    def unpin(self, insight_id: int) -> None:
        """Take a pin back."""
        self._record(insight_id, "unpinned")

    def retire(self, insight_id: int, note: str = "") -> None:
        """Keep an insight out of every further prompt; it stays in the history, and distilling does not bring it back.

        Parameters
        ----------
        insight_id : int
            Which one.
        note : str
            Why, in the analyst's words.

        Raises
        ------
        ValueError
            If there is no such insight, or another has superseded it.
        """
        masking.warn("note", note)
        self._record(insight_id, "retired", masked(note) or None)

    def restore(self, insight_id: int) -> None:
        """Take a retirement back."""
        self._record(insight_id, "restored")

    def _record(self, insight_id: int, event: Event, note: str | None = None) -> None:
        now = self._now()
        with self._store.write() as con:
            old = _standing(con, insight_id)
            was = old.pinned if event in {"pinned", "unpinned"} else old.retired
            if note or was != (event in {"pinned", "retired"}):
                ledger.record(con, old.insight_id, event, now, now, note=note)

    def grade(self, insight_id: int, grade: int | None, labeller: str = ANALYST) -> None:
        """Store what an insight is worth: 0 wrong, 1 of no use, 2 useful, 3 belongs in every prompt.

        The newest grade holds; `study.insights` compares its metrics with them. None takes the labeller's newest grade
        back, so that the one before it holds again.

        Raises
        ------
        ValueError
            If there is no such insight, the grade is another, or there is none to take back.
        """
        if grade is not None and (grade not in GRADES or isinstance(grade, bool)):
            msg = f"grade must be 0 (wrong), 1 (of no use), 2 (useful) or 3 (belongs in every prompt), not {grade!r}."
            raise ValueError(msg)
        name = checked_name(labeller, "labeller")
        now = self._now()
        with self._store.write() as con:
            wanted = ledger.find(con, insight_id).insight_id
            if grade is not None:
                con.execute("insert into insight_labels values (?, ?, ?, ?)", [wanted, int(grade), name, now])
            elif not con.execute(
                "delete from insight_labels where rowid = (select max(rowid) from insight_labels "
                "where insight_id = ? and labeller = ?) returning 1",
                [wanted, name],
            ).fetchone():
                msg = f"{name} has given insight {wanted} no grade to take back."
                raise ValueError(msg)

    def history(self, insight_id: int) -> "pd.DataFrame":
        """Return what became of an insight: a row an event, in order.

        Returns
        -------
        pandas.DataFrame
            event_id, event (added, supported, superseded, disputed, retired, restored, pinned, unpinned),
            superseded_by, other_id (whom it contradicts), sources (further messages that say it), note, known_from (the
            time it speaks of, UTC), arrived_at (when it came into the lab, UTC).

        Raises
        ------
        ValueError
            If there is no such insight.
        """
        with self._store.read() as con:
            return query.table(con, _HISTORY, [ledger.find(con, insight_id).insight_id])

    def sources(self, insight_id: int) -> "pd.DataFrame":
        """Return the messages that an insight rests on, a row each: their ids, who said them, when, text.

        Raises
        ------
        ValueError
            If there is no such insight.
        """
        with self._store.read() as con:
            return query.table(
                con,
                "select message_id, session_id, role, speaker, created_at, text from messages "
                "where message_id in (select unnest(?)) order by message_id",
                [list(ledger.find(con, insight_id).sources)],
            )

    def _now(self) -> datetime:
        return times.naive(self._clock(), "clock()")

    @property
    def frame(self) -> "pd.DataFrame":
        """Every insight, oldest first, what it rests on and what became of it.

        insight_id, kind, symbol, speaker, text, attribute, value, sources (message ids), valid_from, valid_until and
        known_from (UTC), distiller, superseded_by (an id, or missing), disputed_by (ids, or missing), pinned, retired,
        grade (people's newest, or missing).
        """
        with self._store.read() as con:
            found = query.table(con, ledger.FRAME, ledger.EVER)
        return found.assign(text=found["text"].map(masked))  # a lab may be older than masking

    def __len__(self) -> int:
        """Count the insights, superseded and retired ones included."""
        with self._store.read() as con:
            (number,) = con.execute("select count(*) from insights").fetchone() or (0,)
        return int(number)

    def __repr__(self) -> str:
        """Show the frame."""
        return visible(repr(self.frame))

    def _repr_html_(self) -> str:
        return visible(str(self.frame.to_html(notebook=True)))


def _learnt(text: str, given: Any) -> tuple[Learnt, datetime | None, str]:
    """Take an insight's fields apart: what it says, when it was learnt, by whom."""
    fields = dict(given)
    known_from, distiller = fields.pop("known_from", None), fields.pop("distiller", ANALYST)
    strangers = [name for name in fields if name not in Learnt.__dataclass_fields__]
    if strangers:
        msg = f"{', '.join(strangers)} unknown; an insight has {', '.join(About.__annotations__)}."
        raise TypeError(msg)
    text = masked(text) if isinstance(text, str) else text
    return Learnt(text=text, **{"kind": "fact", "sources": (), **fields}), known_from, distiller


def _standing(con: "DuckDBPyConnection", insight_id: int) -> Known:
    """Return an insight that can be changed.

    Raises
    ------
    ValueError
        If it is unknown, or superseded.
    """
    found = ledger.find(con, insight_id)
    if found.superseded_by is not None:
        msg = f"insight_id {insight_id} was superseded by {found.superseded_by} already; change that one."
        raise ValueError(msg)
    return found

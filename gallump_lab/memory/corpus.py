"""The passages of a lab in memory: what ranking needs of each, a column each, in order of arrival.

Ranking looks at hundreds of passages that lie anywhere in the lab; read one by one they would cost more than all
else. A million messages take some 170 MB here. Columns grow as passages arrive; what was seen of them at a moment
never changes.
"""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gallump_lab.memory.records import Moment
from gallump_lab.memory.vectors import BUILT_IN, CODE, Embedder
from gallump_lab.store import Catalogue, times

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

STEP = 200_000
"""So many passages are read in one step (some 50 ms)."""
NONE = -1
USER, ASSISTANT = 1, 2

_READ = f"""
select p.passage_id, p.message_id, p.terms, hash(m.session_id) as session,
       if(m.role = 'user', {USER}, {ASSISTANT}) as role, coalesce(hash(m.symbol), 0) as symbol,
       coalesce(hash(lower(m.speaker)), 0) as speaker, epoch_us(m.created_at) as created_at,
       {", ".join(f"coalesce(e.c{i}, 0) as c{i}" for i in range(CODE))}
from passages p join messages m using (message_id)
left join embeddings e on e.passage_id = p.passage_id and e.model = $model
where p.passage_id > $after order by p.passage_id limit $limit
"""  # noqa: S608 (only constants)
_NEWS = "select (select count(*) from forgotten), (select max(passage_id) from passages)"
_SPEAKERS = """
select distinct lower(speaker), hash(lower(speaker)) from messages where message_id >= ? and speaker is not null
"""
_TYPES = {
    "passage_id": "int64",
    "message_id": "int64",
    "terms": "int32",
    "session": "uint64",
    "role": "uint8",
    "symbol": "uint64",
    "speaker": "uint64",
    "created_at": "int64",
    "before": "int64",
    "after": "int64",
}


@dataclass(frozen=True, kw_only=True)
class View:
    """The passages that were there at a moment: arrays of the same length, a value a passage, in order of arrival."""

    passage_id: "Places"
    message_id: "Places"
    terms: "NDArray[np.int32]"
    """The passage's length in terms."""
    session: "NDArray[np.uint64]"
    role: "NDArray[np.uint8]"
    """`USER` or `ASSISTANT`."""
    symbol: "NDArray[np.uint64]"
    """The symbol's hash, as `hashed` gives it; 0 for none."""
    speaker: "NDArray[np.uint64]"
    created_at: "Places"
    """The time it speaks of: microseconds since 1970, UTC."""
    before: "Places"
    """The place of the passage before it in its session, or `NONE`."""
    after: "Places"
    """The place of the passage after it in its session; one that is not there yet counts as `NONE`."""
    codes: "NDArray[np.uint64]"
    """(n, `vectors.CODE`); zeros where there is none."""
    places: "NDArray[np.int32]"
    """The place of each passage by its id; `NONE` for an id that is not there."""
    embedder: Embedder
    """Whose codes they are."""
    speakers: dict[str, int]
    """The hash of each speaker's name, by the name in lower case; one may speak only after the moment."""

    def __len__(self) -> int:
        """Count the passages."""
        return len(self.passage_id)

    @property
    def mean(self) -> float:
        """The passages' mean length in terms."""
        return max(int(self.terms.sum(dtype="int64")) / max(len(self), 1), 1.0)

    def beside(self, places: "Places", steps: int) -> "Places":
        """Give the place so many steps after (before, if negative) each place in its session, or `NONE`."""
        import numpy as np

        column = self.after if steps > 0 else self.before
        found = places
        for _ in range(abs(steps)):
            found = np.where(found == NONE, NONE, column[found])
            found = np.where(found >= len(self), NONE, found)
        return found


class Corpus:
    """The passages of one lab or snapshot, kept up as they arrive.

    Parameters
    ----------
    embedder : Embedder
        Whose embeddings are used.
    """

    def __init__(self, embedder: Embedder = BUILT_IN) -> None:
        self.embedder = embedder
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._length, self._forgotten = 0, 0
        self._caught_up = False
        self._columns: dict[str, Any] = _empty()
        self._last: dict[int, int] = {}
        self._speakers: dict[str, int] = {}

    def catch_up(self, catalogue: Catalogue) -> None:
        """Read a lab for the first time, in steps that are short enough for others who use it."""
        while not self._caught_up:
            with catalogue.read() as con:
                self._caught_up = self._read(con, STEP) < STEP

    def at(self, con: "DuckDBPyConnection", moment: Moment) -> View:
        """Give the passages of a moment; those that have not been read yet are read now."""
        while self._read(con, STEP) == STEP:
            pass
        with self._lock:
            columns, length, speakers = dict(self._columns), self._length, dict(self._speakers)
        found, places = _at(columns, length, moment)
        return View(**found, places=places, speakers=speakers, embedder=self.embedder)

    def _read(self, con: "DuckDBPyConnection", limit: int) -> int:
        """Take in passages that are new; all of them anew where some have been forgotten."""
        import numpy as np

        with self._lock:
            forgotten, newest = con.execute(_NEWS).fetchone() or (0, None)
            after = int(self._columns["passage_id"][self._length - 1]) if self._length else 0
            if forgotten != self._forgotten or (newest or 0) < after:  # the latter: another file stands there now
                self._clear()
                self._forgotten, after = forgotten, 0
            if newest is None or newest == after:
                return 0
            found = con.execute(_READ, {"model": self.embedder.name, "after": after, "limit": limit}).fetchnumpy()
            number = len(found["passage_id"])
            if number:
                names = con.execute(_SPEAKERS, [int(np.asarray(found["message_id"])[0])]).fetchall()
                try:
                    self._add(found, number)
                except BaseException:  # an interrupt: half of it would be worse than none
                    self._clear()
                    raise
                self._speakers |= dict(names)
            return number

    def _add(self, found: "dict[str, Any]", number: int) -> None:
        import numpy as np

        begin, end = self._length, self._length + number
        self._make_room(end)
        columns = self._columns
        for name in _TYPES:
            if name in found:
                columns[name][begin:end] = np.asarray(found[name])
        for i in range(CODE):
            columns["codes"][begin:end, i] = np.asarray(found[f"c{i}"])
        self._link(begin, end)
        ids = columns["passage_id"][begin:end]
        if ids[-1] >= len(columns["places"]):
            newest = int(found["passage_id"][-1])
            columns["places"] = _longer(columns["places"], max(newest + newest // 4, 1024), NONE)
        columns["places"][ids] = np.arange(begin, end)
        self._length = end

    def _link(self, begin: int, end: int) -> None:
        """Say of each new passage which stands before it in its session, and after."""
        import numpy as np

        session, before, after = (self._columns[name] for name in ("session", "before", "after"))
        earlier, later = _sides(session[begin:end])
        before[begin:end] = np.where(earlier == NONE, NONE, begin + earlier)
        after[begin:end] = np.where(later == NONE, NONE, begin + later)
        for first in (begin + np.flatnonzero(earlier == NONE)).tolist():
            last = self._last.get(int(session[first]))
            if last is not None:
                before[first] = last
                after[last] = first
        lasts = begin + np.flatnonzero(later == NONE)
        self._last |= zip(session[lasts].tolist(), lasts.tolist(), strict=True)

    def _make_room(self, length: int) -> None:
        if length > len(self._columns["passage_id"]):
            room = max(length + length // 4, 1024)
            for name in (*_TYPES, "codes"):
                self._columns[name] = _longer(self._columns[name], room, 0)


def _empty() -> dict[str, Any]:
    import numpy as np

    columns: dict[str, Any] = {name: np.zeros(0, kind) for name, kind in _TYPES.items()}
    return columns | {"codes": np.zeros((0, CODE), np.uint64), "places": np.zeros(0, np.int32)}


def _longer(column: Any, room: int, fill: int) -> Any:
    import numpy as np

    # Column by column, as codes are compared: one after the other over all passages.
    found = np.full((room + 1, *column.shape[1:]), fill, column.dtype, order="F")
    found[: len(column)] = column
    return found


def _at(columns: dict[str, Any], length: int, moment: Moment) -> tuple[dict[str, Any], Any]:
    """Cut the columns to what was there at a moment."""
    import numpy as np

    seen = int(np.searchsorted(columns["message_id"][:length], moment.seen_message, side="right"))
    found = {name: columns[name][:seen] for name in (*_TYPES, "codes")}
    places = columns["places"]
    if moment.as_of is not None:
        there = np.flatnonzero(found["created_at"] <= times.microseconds(moment.as_of))
        found = {name: column[there] for name, column in found.items()}
        places = np.full(len(places), NONE, np.int32)
        places[found["passage_id"]] = np.arange(len(there))
        found["before"], found["after"] = _sides(found["session"])  # among those that were there
    return found, places


def _sides(session: "NDArray[np.uint64]") -> "tuple[Places, Places]":
    """Give the place before each one of the same session, and the one after it; `NONE` where there is none."""
    import numpy as np

    order = np.argsort(session, kind="stable")
    same = session[order[1:]] == session[order[:-1]]
    before, after = np.full(len(session), NONE), np.full(len(session), NONE)
    before[order[1:][same]] = order[:-1][same]
    after[order[:-1][same]] = order[1:][same]
    return before, after


def hashed(con: "DuckDBPyConnection", word: str) -> int:
    """Give a symbol's hash as a view's `symbol` holds it."""
    (found,) = con.execute("select hash(?)", [word]).fetchone() or (0,)
    return int(found)

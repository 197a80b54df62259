"""The passages of a lab in memory: what ranking needs of each, a column each, in order of arrival.

Ranking looks at hundreds of passages that lie anywhere in the lab; read one by one they would cost more than all
else. A million messages take some 170 MB here. Columns grow as passages arrive; what was seen of them at a moment
never changes.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gallump_lab.memory import vectors
from gallump_lab.memory.records import AsOf
from gallump_lab.memory.vectors import BUILT_IN, CODE, Embedder
from gallump_lab.reading.symbols import canonical
from gallump_lab.store import Catalogue, times

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

STEP = 75_000
"""So many passages are read in one step (some 70 ms at a million messages)."""
NONE = -1
USER, ASSISTANT = 1, 2

_COLUMNS = {
    "passage_id": ("int64", "p.passage_id"),
    "message_id": ("int64", "p.message_id"),
    "terms": ("int32", "p.terms"),
    "session": ("uint64", "hash(m.session_id)"),
    "role": ("uint8", f"if(m.role = 'user', {USER}, {ASSISTANT})"),
    "symbol": ("uint64", "coalesce(hash(m.symbol), 0)"),
    "speaker": ("uint64", "coalesce(hash(strip_accents(lower(m.speaker))), 0)"),
    "created_at": ("int64", "epoch_us(m.created_at)"),
    "before": ("int64", None),
    "after": ("int64", None),
}
"""Each column's type, and how it is read where it is not made here."""
_READ = f"""
select {", ".join(f"{said} as {name}" for name, (_, said) in _COLUMNS.items() if said)}
from (from passages where passage_id between $begin and $end) p
join (from messages where message_id between $first and $last) m using (message_id)
order by p.passage_id
"""  # noqa: S608 (only constants)
_READ_CODES = f"""
select passage_id, {", ".join(f"c{i}" for i in range(CODE))} from embeddings
where model = $model and passage_id > $after and passage_id <= $last order by passage_id
"""  # noqa: S608 (only constants)
_NEWS = "select (select count(*) from forgotten), (select coalesce(max(passage_id), 0) from passages)"
_MARK = """
select hash(p.message_id, p.terms, m.session_id, m.created_at, m.arrived_at)
from (from passages where passage_id = $passage) p join (from messages where message_id = $message) m using (message_id)
"""
_SAID = "select min(message_id), max(message_id) from passages where passage_id between ? and ?"
_SPEAKERS = """
select distinct strip_accents(lower(speaker)), hash(strip_accents(lower(speaker))) from messages
where message_id between ? and ? and speaker is not null
"""


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
    missing: int
    """So many passages, the newest, have no code yet."""
    places: "NDArray[np.int32]"
    """The place of each passage by its id; `NONE` for an id that is not there."""
    embedder: Embedder
    """Whose codes they are."""
    speakers: dict[str, int]
    """The hash of each speaker's name, by the name in lower case without accents; some speak only after the moment."""

    def __len__(self) -> int:
        """Count the passages."""
        return len(self.passage_id)

    @cached_property
    def mean(self) -> float:
        """The passages' mean length in terms."""
        return max(int(self.terms.sum(dtype="int64")) / max(len(self), 1), 1.0)

    def holds(self, passage: int) -> bool:
        """Return whether a passage was there."""
        return 0 < passage < len(self.places) and int(self.places[passage]) in range(len(self))

    def beside(self, places: "Places", steps: int) -> "Places":
        """Return the place so many steps after (before, if negative) each place in its session, or `NONE`."""
        import numpy as np

        column = self.after if steps > 0 else self.before
        found = places
        for _ in range(abs(steps)):
            found = np.where(found == NONE, NONE, column[found])
            found = np.where(found >= len(self), NONE, found)
        return found


@dataclass(kw_only=True)
class _Codes:
    """One model's codes of a corpus's passages."""

    column: Any
    until: int = 0
    """The newest passage that has one: a model embeds the oldest first (see `index.embed_all`)."""
    shown: int = 0
    """So many passages a view may be looking at."""


class Corpus:
    """The passages of one lab or snapshot, kept up as they arrive, with the codes of each model that is used.

    Parameters
    ----------
    own : iterable of Embedder
        The user's embedders, beside those that everybody has.

    Raises
    ------
    ValueError
        If one of them cannot be used.
    """

    def __init__(self, own: Iterable[Embedder] = ()) -> None:
        self._own = vectors.by_name(own)
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self.insights_ready = False
        """Whether the insights of the lab have been analysed once."""
        self._length, self._until, self._forgotten = 0, 0, 0
        self._mark: Any = None
        self._caught_up: set[str] = set()
        self._columns: dict[str, Any] = {}
        self._codes: dict[str, _Codes] = {}
        self._last: dict[int, int] = {}
        self._speakers: dict[str, int] = {}

    def embedder(self, model: str) -> Embedder:
        """Return the embedder of a name; see `vectors.find`."""
        return vectors.find(model, self._own)

    def embedded(self, model: str) -> int:
        """Return the newest passage that is known to have a code of a model, 0 for none; no older one lacks it."""
        with self._lock:
            return self._codes[model].until if model in self._codes else 0

    def catch_up(self, catalogue: Catalogue, model: str = BUILT_IN.name) -> None:
        """Load a model and read a lab for the first time, in steps that are short enough for others who use it."""
        if model not in self._caught_up:
            self.embedder(model).embed(["ready"])
        while model not in self._caught_up:
            with catalogue.read() as con, self._lock:
                if not self._read(con, model):
                    self._caught_up.add(model)

    def at(self, con: "DuckDBPyConnection", moment: AsOf, model: str = BUILT_IN.name) -> View:
        """Return the passages of a moment; those that have not been read yet are read now.

        Raises
        ------
        ConfigError
            If there is no embedder of this name.
        """
        embedder = self.embedder(model)
        with self._lock:
            while self._read(con, model):
                pass
            length, codes = self._length, self._codes[model]
            codes.shown, until, speakers = length, codes.until, dict(self._speakers)
            columns = self._columns | {"codes": codes.column}
        found, places = _at(columns, length, moment)
        missing = int((found["passage_id"] > until).sum())
        return View(**found, places=places, speakers=speakers, embedder=embedder, missing=missing)

    def _read(self, con: "DuckDBPyConnection", model: str) -> bool:
        """Take in passages and codes that are new, a step's worth; all anew where some have been forgotten.

        Returns
        -------
        bool
            Whether there may be more.
        """
        forgotten, newest = con.execute(_NEWS).fetchone() or (0, 0)
        if forgotten != self._forgotten or self._mark != self._marked(con):  # the latter: another file is there now
            self._clear()
            self._forgotten = forgotten
        if newest > self._until or not self._columns:
            begin, end = self._until + 1, min(self._until + STEP, newest)
            first, last = con.execute(_SAID, [begin, end]).fetchone() or (0, 0)
            found = con.execute(_READ, {"begin": begin, "end": end, "first": first, "last": last}).fetchnumpy()
            names = con.execute(_SPEAKERS, [first, last]).fetchall()
            try:
                self._add(found, len(found["passage_id"]), newest)
            except BaseException:  # an interrupt: half of it would be worse than none
                self._clear()
                raise
            self._until = end
            self._speakers |= dict(names)
            self._mark = self._marked(con)
        return self._read_codes(con, model) or self._until < newest

    def _marked(self, con: "DuckDBPyConnection") -> Any:
        """Return what tells the newest passage that was read from any other lab's of the same number."""
        if not self._length:
            return None
        passage, message = (int(self._columns[name][self._length - 1]) for name in ("passage_id", "message_id"))
        return con.execute(_MARK, {"passage": passage, "message": message}).fetchone()

    def _read_codes(self, con: "DuckDBPyConnection", model: str) -> bool:
        """Take in a model's codes that are new, a step's worth; return whether there may be more."""
        import numpy as np

        room = len(self._columns["passage_id"])
        codes = self._codes.get(model) or _Codes(column=_longer(np.zeros((0, CODE), np.uint64), room, 0))
        self._codes[model] = codes
        read = self._columns["passage_id"][: self._length]
        waiting = read[np.searchsorted(read, codes.until, side="right") :]
        if not len(waiting):
            return False
        last = int(waiting[:STEP][-1])
        found = con.execute(_READ_CODES, {"model": model, "after": codes.until, "last": last}).fetchnumpy()
        ids = np.asarray(found["passage_id"])
        places = self._columns["places"][ids]
        if len(codes.column) < room or (places < codes.shown).any():  # a view keeps the codes that it was given
            codes.column = _longer(codes.column, room, 0)
        for i in range(CODE):
            codes.column[places, i] = np.asarray(found[f"c{i}"])
        if len(ids):
            codes.until = int(ids[-1])
        return codes.until == last and len(waiting) > STEP

    def _add(self, found: "dict[str, Any]", number: int, newest: int) -> None:
        """Take in so many passages that were read; there is room for all up to the newest id then."""
        import numpy as np

        begin, end = self._length, self._length + number
        columns = self._columns or {name: np.zeros(0, kind) for name, (kind, _) in _COLUMNS.items()}
        columns.setdefault("places", np.zeros(0, np.int32))
        length = begin + max(newest - self._until, 0)  # that many may come
        if length >= len(columns["passage_id"]):
            for name in _COLUMNS:
                columns[name] = _longer(columns[name], max(length + length // 4, 1024), 0)
        if newest >= len(columns["places"]):
            columns["places"] = _longer(columns["places"], max(newest + newest // 4, 1024), NONE)
        self._columns = columns
        for name, column in found.items():
            columns[name][begin:end] = np.asarray(column)
        self._link(begin, end)
        columns["places"][columns["passage_id"][begin:end]] = np.arange(begin, end)
        self._length = end

    def _link(self, begin: int, end: int) -> None:
        """Link each new passage with the one before it in its session, and the one after."""
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


def _longer(column: Any, room: int, fill: int) -> Any:
    import numpy as np

    # Column by column, as codes are compared: one after the other over all passages. Zeros take no memory until used.
    shape = (room + 1, *column.shape[1:])
    found = np.full(shape, fill, column.dtype) if fill else np.zeros(shape, column.dtype, order="F")
    found[: len(column)] = column
    return found


def _at(columns: dict[str, Any], length: int, moment: AsOf) -> tuple[dict[str, Any], Any]:
    """Cut the columns to what was there at a moment."""
    import numpy as np

    seen = int(np.searchsorted(columns["message_id"][:length], moment.seen_message, side="right"))
    found = {name: columns[name][:seen] for name in (*_COLUMNS, "codes")}
    places = columns["places"]
    if moment.as_of is not None:
        there = np.flatnonzero(found["created_at"] <= times.microseconds(moment.as_of))
        found = {name: column[there] for name, column in found.items()}
        places = np.full(len(places), NONE, np.int32)
        places[found["passage_id"]] = np.arange(len(there))
        found["before"], found["after"] = _sides(found["session"])  # among those that were there
    return found, places


def _sides(session: "NDArray[np.uint64]") -> "tuple[Places, Places]":
    """Return the place before each one of the same session, and the one after it; `NONE` where there is none."""
    import numpy as np

    order = np.argsort(session, kind="stable")
    same = session[order[1:]] == session[order[:-1]]
    before, after = np.full(len(session), NONE), np.full(len(session), NONE)
    before[order[1:][same]] = order[:-1][same]
    after[order[:-1][same]] = order[1:][same]
    return before, after


def hashed(con: "DuckDBPyConnection", symbol: str) -> list[int]:
    """Return the hash of a symbol as a view's `symbol` holds them."""
    found = con.execute("select hash(unnest($symbols))", {"symbols": [canonical(symbol)]}).fetchall()
    return [int(each) for (each,) in found]

"""The passages of a lab in memory: what ranking needs of each, a column each, in order of arrival.

Ranking looks at hundreds of passages that lie anywhere in the lab; read one by one they would cost more than all
else. A million messages take some 185 MB here. Columns grow as passages arrive; what was seen of them at a moment
never changes.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gallump_lab.lazy import np
from gallump_lab.memory import vectors
from gallump_lab.memory.lately import Lately
from gallump_lab.memory.records import AsOf
from gallump_lab.memory.vectors import BUILT_IN, CODE, Embedder
from gallump_lab.store import Catalogue, times

if TYPE_CHECKING:
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
    "stated": ("int32", "p.stated"),
    "traits": ("uint8", "p.traits"),
    "session": ("uint64", "hash(m.session_id)"),
    "role": ("uint8", f"if(m.role = 'user', {USER}, {ASSISTANT})"),
    "symbol": ("uint64", "if(m.symbol is null, 0, hash(m.symbol))"),
    "speaker": ("uint64", "if(m.speaker is null, 0, hash(strip_accents(lower(m.speaker))))"),
    "created_at": ("int64", "epoch_us(m.created_at)"),
    "before": ("int64", None),
    "after": ("int64", None),
}
"""Each column's type, and how it is read where it is not made here."""
_SPAN = ("start", "stop", "tokens")
_READ = f"""
select {", ".join(f"{said} as {name}" for name, (_, said) in _COLUMNS.items() if said)},
{", ".join(f"p.{name}" for name in _SPAN)}
from (from passages where passage_id > $begin and passage_id <= $end) p join messages m using (message_id)
order by p.passage_id
"""  # noqa: S608 (only constants)
_READ_CODES = f"""
select passage_id, {", ".join(f"c{i}" for i in range(CODE))} from embeddings
where model = $model and passage_id > $after and passage_id <= $last order by passage_id
"""  # noqa: S608 (only constants)
_LAST = ("passage_id", "message_id", "terms", "created_at")
_NEWS = """
select (select count(*) from forgotten), coalesce(max(passage_id), 0),
coalesce(bool_or(passage_id = $passage_id and terms = $terms), false),
exists (from messages where message_id = $message_id and epoch_us(created_at) = $created_at)
from passages where passage_id >= $passage_id
"""
"""What has been forgotten, what is new, and whether the last passage that is known is still the one that it was."""
_NAMES = """
select distinct '{0}', {1}, hash({1}) from messages where message_id between $first and $last and {0} is not null
"""
_SPEAKERS_AND_SYMBOLS = f"""
{_NAMES.format("speaker", "strip_accents(lower(speaker))")} union all {_NAMES.format("symbol", "symbol")}
"""


@dataclass(frozen=True, kw_only=True)
class View:
    """The passages that were there at a moment: arrays of the same length, a value a passage, in order of arrival."""

    passage_id: "Places"
    message_id: "Places"
    terms: "NDArray[np.int32]"
    """The passage's length in terms."""
    stated: "NDArray[np.int32]"
    """So many of them stand in what states something."""
    traits: "NDArray[np.uint8]"
    """Bits, as in `gallump_lab.memory.kinds`."""
    session: "NDArray[np.uint64]"
    role: "NDArray[np.uint8]"
    """`USER` or `ASSISTANT`."""
    symbol: "NDArray[np.uint64]"
    """The symbol's hash; 0 for none."""
    speaker: "NDArray[np.uint64]"
    created_at: "Places"
    """The time it speaks of: microseconds since 1970, UTC."""
    before: "Places"
    """The place of the passage before it in its session, or `NONE`."""
    after: "Places"
    """The place of the passage after it in its session; one that is not there yet counts as `NONE`."""
    codes: "NDArray[np.uint64]"
    """(n, `vectors.CODE`); zeros where there is none."""
    coded: int
    """The newest passage of the lab that has a code; no older one lacks it."""
    places: "NDArray[np.int32]"
    """The place of each passage by its id; `NONE` for an id that is not there."""
    spans: "NDArray[np.int32]"
    """Where each passage stands in its message's text, by its id: from and to (characters), and its cl100k tokens."""
    lately: Lately
    """What the last questions read of the lab."""
    embedder: Embedder
    """Whose codes they are."""
    speakers: dict[str, int]
    """The hash of each speaker's name, by the name in lower case without accents; some speak only after the moment."""
    symbols: dict[str, int]
    """The hash of each symbol; some come up only after the moment."""

    def __len__(self) -> int:
        """Count the passages."""
        return len(self.passage_id)

    @cached_property
    def mean(self) -> float:
        """The passages' mean length in terms."""
        return max(int(self.terms.sum(dtype="int64")) / max(len(self), 1), 1.0)

    @property
    def missing(self) -> int:
        """So many passages, the newest, have no code yet."""
        return len(self) - int(np.searchsorted(self.passage_id, self.coded, side="right"))

    def at(self, moment: AsOf) -> "View":
        """Return those that were there at a moment."""
        seen = int(np.searchsorted(self.message_id, moment.seen_message, side="right"))
        found = {name: getattr(self, name)[:seen] for name in (*_COLUMNS, "codes")}
        if moment.as_of is None:
            return replace(self, **found)
        there = np.flatnonzero(found["created_at"] <= times.microseconds(moment.as_of))
        found = {name: column[there] for name, column in found.items()}
        found["places"] = np.full(len(self.places), NONE, np.int32)
        found["places"][found["passage_id"]] = np.arange(len(there))
        found["before"], found["after"] = _sides(found["session"])  # among those that were there
        return replace(self, **found)

    def holds(self, passage: int) -> bool:
        """Return whether a passage was there."""
        return 0 < passage < len(self.places) and int(self.places[passage]) in range(len(self))

    def of_message(self, message_id: int) -> list[int]:
        """Return the passages of a message, by their ids."""
        begin, end = np.searchsorted(self.message_id, [message_id, message_id + 1])
        ids: list[int] = self.passage_id[begin:end].tolist()
        return ids

    def beside(self, places: "Places", steps: int) -> "Places":
        """Return the place so many steps after (before, if negative) each place in its session, or `NONE`."""
        column = self.after if steps > 0 else self.before
        found = places
        for _ in range(abs(steps)):
            found = np.where(found == NONE, NONE, column[found])
            found = np.where(found >= len(self), NONE, found)
        return found


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
        self._known = vectors.by_name(own)
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self.insights_ready = False
        """Whether the insights of the lab have been analysed once."""
        self._length, self._until, self._forgotten = 0, 0, 0
        self._columns: dict[str, Any] = {name: np.zeros(0, kind) for name, (kind, _) in _COLUMNS.items()}
        self._places, self._spans = np.zeros(0, np.int32), np.zeros((0, len(_SPAN)), np.int32)
        self._caught_up: set[str] = set()
        self._codes: dict[str, Any] = {}
        self._coded: dict[str, int] = {}  # a model embeds the oldest passage first, so the newest tells of all
        self._shown: dict[str, int] = {}  # so many passages a view of a model may be looking at
        self._last: dict[int, int] = {}
        self._names: dict[str, dict[str, int]] = {"speaker": {}, "symbol": {}}
        self._lately = Lately()

    def embedder(self, model: str) -> Embedder:
        """Return the embedder of a name; see `vectors.find`."""
        return vectors.find(model, self._known)

    def embedded(self, model: str) -> int:
        """Return the newest passage that is known to have a code of a model, 0 for none; no older one lacks it."""
        with self._lock:
            return self._coded.get(model, 0)

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
        return self.now(con, model).at(moment)

    def now(self, con: "DuckDBPyConnection", model: str = BUILT_IN.name) -> View:
        """Return all passages, as `at` does those of a moment."""
        embedder = self.embedder(model)
        with self._lock:
            while self._read(con, model):
                pass
            self._shown[model] = self._length
            columns = self._columns | {"codes": self._codes[model]}
            return View(
                **{name: column[: self._length] for name, column in columns.items()},
                places=self._places,
                spans=self._spans,
                lately=self._lately,
                speakers=dict(self._names["speaker"]),
                symbols=dict(self._names["symbol"]),
                embedder=embedder,
                coded=self._coded[model],
            )

    def _read(self, con: "DuckDBPyConnection", model: str) -> bool:
        """Take in passages and codes that are new, a step's worth; all anew where some have been forgotten.

        Returns
        -------
        bool
            Whether there may be more.
        """
        last = {name: int(self._columns[name][self._length - 1]) if self._length else 0 for name in _LAST}
        forgotten, newest, *same = con.execute(_NEWS, last).fetchone() or (0, 0)
        if forgotten != self._forgotten or (self._length and not all(same)):  # or another file is there now
            self._clear()
            self._forgotten = forgotten
            return True
        begin, end = self._until, min(self._until + STEP, newest)
        if begin < end:
            found: dict[str, Any] = con.execute(_READ, {"begin": begin, "end": end}).fetchnumpy()
            try:
                if len(said := found["message_id"]):
                    among = {"first": int(said.min()), "last": int(said.max())}
                    names = con.execute(_SPEAKERS_AND_SYMBOLS, among).fetchall()
                    self._add(found, newest)
                    for kind, name, key in names:
                        self._names[kind][name] = key
                self._lately.arrived(con, begin, end)
                self._until = end
            except BaseException:  # an interrupt: half of it would be worse than none
                self._clear()
                raise
        return self._read_codes(con, model) or end < newest

    def _read_codes(self, con: "DuckDBPyConnection", model: str) -> bool:
        """Take in a model's codes that are new, a step's worth; return whether there may be more."""
        codes, coded = self._codes.get(model, np.zeros((0, CODE), np.uint64)), self._coded.get(model, 0)
        if len(codes) < len(self._places):
            codes = _longer(codes, len(self._places))
        read = self._columns["passage_id"][: self._length]
        waiting = read[np.searchsorted(read, coded, side="right") :]
        self._codes[model], self._coded[model] = codes, coded
        if not len(waiting):
            return False
        last = int(waiting[:STEP][-1])
        found = con.execute(_READ_CODES, {"model": model, "after": coded, "last": last}).fetchnumpy()
        ids = np.asarray(found["passage_id"])
        places = self._places[ids]
        if (places < self._shown.get(model, 0)).any():  # a view keeps the codes that it was given
            codes = self._codes[model] = codes.copy(order="F")
        for i in range(CODE):
            codes[places, i] = np.asarray(found[f"c{i}"])
        if len(ids):
            self._coded[model] = int(ids[-1])
        return self._coded[model] == last and len(waiting) > STEP

    def _add(self, found: dict[str, Any], newest: int) -> None:
        """Take in passages that were read; there is room for all up to the newest id then."""
        if newest >= len(self._places):
            room = max(newest + newest // 4, 1024)
            self._columns = {name: _longer(column, room) for name, column in self._columns.items()}
            self._places, self._spans = _longer(self._places, room, NONE), _longer(self._spans, room)
        ids = found["passage_id"]
        begin, end = self._length, self._length + len(ids)
        for place, name in enumerate(_SPAN):
            self._spans[ids, place] = found.pop(name)
        for name, column in found.items():
            self._columns[name][begin:end] = np.asarray(column)
        self._places[ids] = np.arange(begin, end)
        self._link(begin, end)
        self._length = end

    def _link(self, begin: int, end: int) -> None:
        """Link each new passage with the one before it in its session, and the one after."""
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


def _longer(column: Any, room: int, fill: int = 0) -> Any:
    # Column by column, as codes are compared: one after the other over all passages. Zeros take no memory until used.
    shape = (room + 1, *column.shape[1:])
    found = np.full(shape, fill, column.dtype) if fill else np.zeros(shape, column.dtype, order="F")
    found[: len(column)] = column
    return found


def _sides(session: "NDArray[np.uint64]") -> "tuple[Places, Places]":
    """Return the place before each one of the same session, and the one after it; `NONE` where there is none."""
    order = np.argsort(session, kind="stable")
    same = session[order[1:]] == session[order[:-1]]
    before, after = np.full(len(session), NONE), np.full(len(session), NONE)
    before[order[1:][same]] = order[:-1][same]
    after[order[:-1][same]] = order[1:][same]
    return before, after

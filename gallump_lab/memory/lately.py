"""What the last questions read of a lab, so that the next ones, which are often about the same, read little."""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from gallump_lab.lazy import np
from gallump_lab.memory import ledger
from gallump_lab.memory.records import AsOf, Message

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    Holding = tuple[NDArray[np.int32], NDArray[np.uint16]]
    """The passages that hold a term, by their ids, and how often it stands in each."""

ROOM = 32_000_000
"""So many bytes are kept; what was not used for longest goes first."""
NEW = 1_000
"""The postings of so many new passages are kept apart; when there are more, all is read anew."""
_BESIDE = 500
"""About so many bytes an entry takes beside its text or its arrays."""
_POSTINGS = """
select place, passage_id, frequency from (select unnest($terms) as term, unnest($places)::usmallint as place)
join postings using (term) where passage_id <= $newest
"""
_NEW_POSTINGS = "select term, passage_id, frequency from postings where passage_id > ? and passage_id <= ?"
_INSIGHTS = """
select (select bit_xor(hash(i)) from insights i), (select bit_xor(hash(e)) from insight_events e where event_id <= ?)
"""
"""A hash of all insights and of what became of them until a moment."""
_MESSAGES = f"select {Message.COLUMNS} from messages where message_id in (select unnest(?))"  # noqa: S608 (constant)


class Lately:
    """Messages by id, postings by term and insights, of a lab of which nothing was forgotten since.

    Of a term those postings are kept that were there at first; what has arrived since is little and kept apart.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stood: tuple[object, Sequence[ledger.Known]] = None, ()
        self._begin(0)

    def _begin(self, newest: int) -> None:
        self._newest, self._taken = newest, 0
        self._kept: dict[Hashable, tuple[Any, int]] = {}
        self._new: tuple[NDArray[Any], ...] = tuple(np.zeros(0, kind) for kind in ("int64", "int32", "uint16"))

    def arrived(self, con: "DuckDBPyConnection", begin: int, end: int) -> None:
        """Take in the postings of the passages after `begin` and up to `end`."""
        with self._lock:
            if not self._kept or end - self._newest > NEW:
                self._begin(end)
                return
            found = con.execute(_NEW_POSTINGS, [begin, end]).fetchnumpy().values()
            self._new = tuple(
                np.concatenate([old, new], dtype=old.dtype) for old, new in zip(self._new, found, strict=True)
            )

    def postings(self, con: "DuckDBPyConnection", terms: Sequence[int]) -> "dict[int, Holding]":
        """Return the postings of terms; there may be some of passages that a moment does not know yet."""
        with self._lock:
            found: dict[int, Holding] = self._those("postings", terms, partial(self._read_postings, con))
            new_terms, *new = self._new
        for term, old in found.items():
            if (there := new_terms == term).any():
                ids, often = (np.concatenate([kept, column[there]]) for kept, column in zip(old, new, strict=True))
                found[term] = ids, often
        return found

    def messages(self, con: "DuckDBPyConnection", message_ids: Sequence[int]) -> Mapping[int, Sequence[Any]]:
        """Return messages as rows of `Message.COLUMNS`, by their ids."""
        with self._lock:
            return self._those("message", message_ids, partial(_read_messages, con))

    def standing(self, con: "DuckDBPyConnection", moment: AsOf) -> Sequence[ledger.Known]:
        """Return the insights that stood at a moment, as `ledger.standing`; read again if any of it changed."""
        state = con.execute(_INSIGHTS, [moment.seen_insight]).fetchone(), moment.as_of
        if state != self._stood[0]:
            self._stood = state, ledger.standing(con, moment)
        return self._stood[1]

    def _those(
        self, kind: str, keys: Sequence[int], read: Callable[[Sequence[int]], Mapping[int, tuple[Any, int]]]
    ) -> dict[int, Any]:
        """Return values by key; those that are not kept are read, each with the bytes that it takes."""
        missing = [key for key in dict.fromkeys(keys) if (kind, key) not in self._kept]
        new = read(missing) if missing else {}
        self._taken += sum(size for _, size in new.values())
        found = {}
        for key in keys:
            entry = self._kept[kind, key] = new.get(key) or self._kept.pop((kind, key))
            found[key] = entry[0]
        while self._taken > ROOM:
            _, size = self._kept.pop(next(iter(self._kept)))
            self._taken -= size
        return found

    def _read_postings(self, con: "DuckDBPyConnection", terms: Sequence[int]) -> "dict[int, tuple[Holding, int]]":
        given = {"terms": terms, "places": [*range(len(terms))], "newest": self._newest}
        place, *columns = map(np.asarray, con.execute(_POSTINGS, given).fetchnumpy().values())
        order = np.argsort(place, kind="stable")
        bounds = np.searchsorted(place, np.arange(1, len(terms)), sorter=order)
        each = zip(terms, *(np.split(column[order], bounds) for column in columns), strict=True)
        holdings = {term: (ids.astype(np.int32), often.copy()) for term, ids, often in each}
        return {term: ((ids, often), ids.nbytes + often.nbytes + _BESIDE) for term, (ids, often) in holdings.items()}


def _read_messages(con: "DuckDBPyConnection", message_ids: Sequence[int]) -> dict[int, tuple[Any, int]]:
    rows = con.execute(_MESSAGES, [message_ids]).fetchall()
    return {row[0]: (row, len(row[3]) + _BESIDE) for row in rows}

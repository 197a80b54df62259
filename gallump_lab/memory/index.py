"""Recall's own tables: a message's passages and their terms, written in the message's transaction.

Postings are read by term, so they are kept sorted by term; new ones stand unsorted at the end until a pass of `sort`
takes them in. It goes by slices of the terms' range, each short enough for one step, so the lab is never held for long.
"""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gallump_lab.memory.text import Passage, passages, term_id, terms
from gallump_lab.store import Store

SLICE = 500_000
"""About so many postings are sorted in one step (some 0.2 s)."""
UNSORTED = 3_000
"""So many passages, or a twentieth of all if that is more, may stand unsorted before a pass begins."""

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A message's index rows, made before the step that writes them so that the lab is not held for it."""

    passages: list[Passage]
    counts: list[Counter[int]]
    """How often each term stands in each passage, by the term's number."""


def entry(text: str) -> Entry:
    """Cut a text into passages and count their terms."""
    found = passages(text)
    return Entry(passages=found, counts=[Counter(map(term_id, terms(text[p.start : p.stop]))) for p in found])


def write(con: "DuckDBPyConnection", message_id: int, rows: Entry) -> None:
    """Write a message's index rows inside the caller's transaction."""
    lengths = [count.total() for count in rows.counts]
    written = con.execute(
        "insert into passages select nextval('passage_ids'), $message, * from "
        "(select unnest($start), unnest($stop), unnest($tokens), unnest($terms)) returning passage_id",
        {
            "message": message_id,
            "start": [p.start for p in rows.passages],
            "stop": [p.stop for p in rows.passages],
            "tokens": [p.tokens for p in rows.passages],
            "terms": lengths,
        },
    ).fetchall()
    ids = sorted(passage_id for (passage_id,) in written)
    postings = [
        (term, passage, number, length)
        for passage, count, length in zip(ids, rows.counts, lengths, strict=True)
        for term, number in count.items()
    ]
    if postings:
        columns = [list(column) for column in zip(*postings, strict=True)]
        con.execute("insert into postings select unnest(?), unnest(?), unnest(?), unnest(?)", columns)


def sort(store: Store) -> bool:
    """Sort one slice of the postings, if a pass is running or due.

    Returns
    -------
    bool
        Whether there is more to do.
    """
    with store.read() as con:
        if not any(_due(con)):
            return False
    with store.write() as con:
        begin, running = _due(con)
        if begin:
            con.execute(
                "update sorting set target_passage = (select max(passage_id) from passages), done = 0, "
                "slices = greatest(1, (select count(*) from postings) // ?)",
                [SLICE],
            )
        elif not running:
            return False
        slices, done = con.execute("select slices, done from sorting").fetchone() or (1, 0)
        low, high = (-(2**63) + 2**64 * part // slices for part in (done, done + 1))
        span = [low, min(high, 2**63 - 1)]
        con.execute(
            "create temp table slice as from postings where term between ? and ? order by term, passage_id", span
        )
        con.execute("delete from postings where term between ? and ?", span)
        con.execute("insert into postings from slice")
        con.execute("drop table slice")
        con.execute("update sorting set done = done + 1")
        con.execute("update sorting set sorted_passage = target_passage where done = slices")
        return bool(done + 1 < slices)


def _due(con: "DuckDBPyConnection") -> tuple[bool, bool]:
    """Say whether a pass should begin, and whether one is running."""
    unsorted, total, slices, done = con.execute(
        "select count(*) filter (passage_id > sorted_passage), count(*), any_value(slices), any_value(done) "
        "from sorting, passages"
    ).fetchone() or (0, 0, 0, 0)
    running = slices is not None and done < slices
    return not running and unsorted > max(UNSORTED, total // 20), running

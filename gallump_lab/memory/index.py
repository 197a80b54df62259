"""Recall's own tables: a message's passages and their terms, written in the message's transaction."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gallump_lab.memory.text import Passage, passages, term_id, terms

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
    ids = [i for (i,) in con.execute("select nextval('passage_ids') from range(?)", [len(rows.passages)]).fetchall()]
    lengths = [count.total() for count in rows.counts]
    con.execute(
        "insert into passages select unnest($ids), $message, unnest($start), unnest($stop), unnest($tokens), unnest($terms)",
        {
            "ids": ids,
            "message": message_id,
            "start": [p.start for p in rows.passages],
            "stop": [p.stop for p in rows.passages],
            "tokens": [p.tokens for p in rows.passages],
            "terms": lengths,
        },
    )
    postings = [
        (term, passage, number, length)
        for passage, count, length in zip(ids, rows.counts, lengths, strict=True)
        for term, number in count.items()
    ]
    if postings:
        columns = [list(column) for column in zip(*postings, strict=True)]
        con.execute("insert into postings select unnest(?), unnest(?), unnest(?), unnest(?)", columns)

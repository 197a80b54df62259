"""A lab's hash tells apart what differs, whatever the texts hold, and nothing else."""

from collections import Counter

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab.store import schema
from gallump_lab.store.snapshot import DATA, digest

# What could be taken for the marks between columns.
TEXTS = st.text(alphabet="a1 :=,\x1f'\"é🚀", max_size=6) | st.sampled_from(["symbol=1:a ", "a symbol=1:a", ""])
ROWS = st.lists(st.tuples(st.integers(1, 3), TEXTS, st.none() | TEXTS, st.none() | TEXTS), max_size=4)


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as con, pytest.MonkeyPatch.context() as patch:
        patch.setattr("gallump_lab.store.snapshot.DATA", {"messages": DATA["messages"]})  # the others would take long
        schema.create(con)
        yield con


def digest_of(con, rows):
    con.execute("begin transaction")
    for message_id, text, symbol, speaker in rows:
        con.execute(
            "insert into messages values (?, 's', 'user', ?, ?, '2026-01-01', now()::timestamp, 1, 'complete', ?)",
            [message_id, text, symbol, speaker],
        )
    found = digest(con)
    con.execute("rollback")
    return found


@given(ROWS, ROWS, st.randoms())
@settings(max_examples=25)
def test_the_hash_is_equal_exactly_where_the_rows_are(con, one, other, random):
    shuffled = random.sample(one, len(one))
    assert digest_of(con, shuffled) == digest_of(con, one)
    assert (digest_of(con, one) == digest_of(con, other)) == (Counter(one) == Counter(other))

"""A value that is sent to a lab's server as a literal is the value that a parameter would have been."""

import datetime as dt
from collections.abc import Iterator

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from gallump_lab.store.remote import column, literal

TEXT = some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
WHOLE = some.integers(-(2**63) + 1, 2**63 - 1)
MOMENT = some.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))  # noqa: DTZ001 (the lab's times are naive)
PLAIN = some.one_of(some.none(), some.booleans(), WHOLE, some.floats(allow_nan=False), TEXT, MOMENT, some.dates())


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as found:
        yield found


@settings(max_examples=100)
@given(value=some.one_of(PLAIN, some.lists(WHOLE, min_size=1, max_size=5), some.lists(TEXT, min_size=1, max_size=5)))
def test_a_literal_is_its_value(con: duckdb.DuckDBPyConnection, value: object) -> None:
    (found,) = con.execute(f"select {literal(value)}").fetchone()
    (bound,) = con.execute("select ?", [value]).fetchone()
    assert (found, type(found)) == (bound, type(bound)) == (value, type(value))


ARRAYS = some.one_of(
    some.lists(WHOLE).map(lambda found: np.array(found, np.int64)),
    some.lists(some.integers(0, 2**64 - 1)).map(lambda found: np.array(found, np.uint64)),
    some.lists(some.booleans()).map(lambda found: np.array(found, bool)),
    some.lists(some.floats(allow_nan=False)).map(lambda found: np.array(found, float)),
    some.lists(MOMENT).map(lambda found: np.array(found, "datetime64[us]")),
    some.lists(some.one_of(some.none(), TEXT)).map(lambda found: np.array(found, object)),
)


@settings(max_examples=100)
@given(values=ARRAYS)
def test_a_column_is_its_values_in_order(con: duckdb.DuckDBPyConnection, values: np.ndarray) -> None:
    found = [value for (value,) in con.execute(f"select {column(values)} as value").fetchall()]
    assert found == values.tolist()


def test_what_no_statement_carries_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        literal("half\0half")
    with pytest.raises(ValueError, match="type dict"):
        literal({"a": 1})

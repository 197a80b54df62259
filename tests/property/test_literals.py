"""A value that is sent to a lab's server as a literal is the value that a parameter would have been."""

import datetime as dt
from collections.abc import Iterator

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from gallump_lab.store.remote import ServerConnection, literal

TEXT = some.text(some.characters(exclude_categories=["Cs"]), max_size=40)
WHOLE = some.integers(-(2**63), 2**63 - 1)
MOMENT = some.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))  # noqa: DTZ001 (the lab's times are naive)
PLAIN = some.one_of(some.none(), some.booleans(), WHOLE, some.floats(allow_nan=False), TEXT, MOMENT, some.dates())
ARRAYS = some.one_of(
    some.lists(WHOLE).map(lambda found: np.array(found, np.int64)),
    some.lists(some.integers(0, 2**64 - 1)).map(lambda found: np.array(found, np.uint64)),
    some.lists(some.booleans()).map(lambda found: np.array(found, bool)),
    some.lists(some.floats(allow_nan=False)).map(lambda found: np.array(found, float)),
    some.lists(MOMENT).map(lambda found: np.array(found, "datetime64[us]")),
    some.lists(some.one_of(some.none(), TEXT)).map(lambda found: np.array(found, object)),
)


class Direct(ServerConnection):
    """A connection whose server is another database in this process."""

    def __init__(self, near: duckdb.DuckDBPyConnection) -> None:
        super().__init__(near)
        self.server = duckdb.connect()

    def execute(self, sql: str, params: object = None) -> duckdb.DuckDBPyConnection:
        return self.server.execute(sql, params)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as found:
        yield found


@settings(max_examples=50)
@given(value=some.one_of(PLAIN, some.lists(WHOLE, min_size=1, max_size=5), some.lists(TEXT, min_size=1, max_size=5)))
def test_a_literal_is_its_value(con: duckdb.DuckDBPyConnection, value: object) -> None:
    con.execute("prepare step as select ?")
    assert con.execute(f"execute step({literal(value)})").fetchone() == con.execute("select ?", [value]).fetchone()


@settings(max_examples=50)
@given(values=ARRAYS)
def test_a_column_is_its_values_in_order(con: duckdb.DuckDBPyConnection, values: np.ndarray) -> None:
    direct = Direct(con.cursor())
    direct.register("given", {"value": values})
    assert [value for (value,) in direct.execute("from given").fetchall()] == values.tolist()

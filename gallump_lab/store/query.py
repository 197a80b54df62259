"""The analyst's own SQL: one statement, read-only, its result as a DataFrame with UTC times."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gallump_lab.store import apart
from gallump_lab.store.errors import QueryRefused

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

    from gallump_lab.store.store import Catalogue, Store


def frame(
    catalogue: "Catalogue",
    sql: str,
    params: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    seconds: float | None = None,
) -> "pd.DataFrame":
    """Run one reading statement, in a process of its own, where it can neither fill the memory nor stay for ever.

    Parameters
    ----------
    catalogue : Catalogue
        A store or a snapshot.
    sql : str
        One SELECT (WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN too).
    params : sequence or mapping, optional
        Values for `?` or `$name`.
    seconds : float, optional
        The statement is interrupted after so long; None for no limit.

    Returns
    -------
    pandas.DataFrame
        Every timestamp is UTC and says so.

    Raises
    ------
    QueryRefused
        If it is not one reading statement, or takes longer than `seconds` or too much memory.
    duckdb.Error
        What DuckDB says of a statement that is wrong.
    """
    path, token = catalogue.elsewhere
    return apart.run(path, sql, params, wait=catalogue.wait, seconds=seconds, token=token)


@contextmanager
def reading(store: "Store", sql: str, seconds: float | None) -> Iterator["DuckDBPyConnection"]:
    """Return a connection to run one reading statement on, once it is seen to be one; interrupt it after `seconds`.

    Raises
    ------
    QueryRefused
        If it is something else, takes longer than `seconds`, or does more than to read.
    """
    import duckdb

    statements = duckdb.extract_statements(sql)
    kinds = [_kind(statement) for statement in statements]
    if kinds not in (["SELECT"], ["EXPLAIN"]):
        found = ", ".join(kinds) or "nothing"
        msg = f"sql takes one statement that reads, such as a SELECT; got {found}. Bind values with ? or $name."
        raise QueryRefused(msg)
    with store.sealed() as con:
        timer = threading.Timer(seconds or 0, con.interrupt)
        if seconds is not None:
            timer.start()
        try:
            yield con
        except duckdb.InterruptException as error:
            raise QueryRefused(apart.too_long(seconds or 0)) from error
        except (duckdb.PermissionException, duckdb.TransactionException) as error:
            msg = f"sql reads the lab's own tables, and neither writes nor reaches a file: {error}"
            raise QueryRefused(msg) from error
        finally:
            timer.cancel()


def _kind(statement: Any) -> str:
    try:
        return str(statement.type.name)
    except ValueError:  # duckdb's Python knows fewer kinds than DuckDB does
        return "another statement"


def table(
    con: "DuckDBPyConnection", sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None
) -> "pd.DataFrame":
    """Return a statement's result as a DataFrame that marks every naive timestamp as the UTC that it is."""
    found = con.execute(sql, params).df()
    for name, column in zip(found.columns, con.description or (), strict=True):
        if str(column[1]).startswith("TIMESTAMP") and getattr(found[name].dtype, "tz", None) is None:
            found[name] = found[name].dt.tz_localize("UTC")
    return found

"""The analyst's own SQL: one statement, read-only, its result as a DataFrame with UTC times."""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gallump_lab.store.errors import QueryRefused

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

    from gallump_lab.store.store import Catalogue


def frame(
    catalogue: "Catalogue",
    sql: str,
    params: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    seconds: float | None = None,
) -> "pd.DataFrame":
    """Run one reading statement.

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
        If it is not one reading statement, or takes longer than `seconds`.
    duckdb.Error
        What DuckDB says of a statement that is wrong.
    """
    import duckdb

    with catalogue.sealed() as con:
        statements = con.extract_statements(sql)
        kinds = [_kind(statement) for statement in statements]
        if kinds not in (["SELECT"], ["EXPLAIN"]):
            found = ", ".join(kinds) or "nothing"
            msg = f"sql takes one statement that reads, such as a SELECT; got {found}. Bind values with ? or $name."
            raise QueryRefused(msg)
        timer = threading.Timer(seconds or 0, con.interrupt)
        if seconds is not None:
            timer.start()
        try:
            return table(con, sql, params)
        except duckdb.InterruptException as error:
            msg = (
                f"The statement held the lab for {seconds:g} s, which keeps other notebooks out. "
                "Run it on a copy: lab.snapshot().sql(...)."
            )
            raise QueryRefused(msg) from error
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
    """Give a statement's result as a DataFrame that marks every naive timestamp as the UTC that it is."""
    found = con.execute(sql, params).df()
    for name, column in zip(found.columns, con.description or (), strict=True):
        if str(column[1]).startswith("TIMESTAMP") and getattr(found[name].dtype, "tz", None) is None:
            found[name] = found[name].dt.tz_localize("UTC")
    return found

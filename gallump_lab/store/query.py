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

    with catalogue.read() as con:
        statements = con.extract_statements(sql)
        if len(statements) != 1 or statements[0].type not in (
            duckdb.StatementType.SELECT,
            duckdb.StatementType.EXPLAIN,
        ):
            found = ", ".join(statement.type.name for statement in statements) or "nothing"
            msg = f"sql takes one statement that reads, such as a SELECT; got {found}. Bind values with ? or $name."
            raise QueryRefused(msg)
        timer = threading.Timer(seconds or 0, con.interrupt)
        if seconds is not None:
            timer.start()
        try:
            found_frame = con.execute(sql, params).df()
        except duckdb.InterruptException as error:
            msg = (
                f"The statement held the lab for {seconds:g} s, which keeps other notebooks out. "
                "Run it on a copy: lab.snapshot().sql(...)."
            )
            raise QueryRefused(msg) from error
        finally:
            timer.cancel()
    return utc(found_frame)


def table(con: "DuckDBPyConnection", sql: str, params: Sequence[Any] | None = None) -> "pd.DataFrame":
    """Give the result of one of our own statements as a DataFrame with UTC times."""
    return utc(con.execute(sql, params).df())


def utc(found: "pd.DataFrame") -> "pd.DataFrame":
    """Mark every naive timestamp column as the UTC that it is."""
    for name in found.columns[[kind.kind == "M" and getattr(kind, "tz", None) is None for kind in found.dtypes]]:
        found[name] = found[name].dt.tz_localize("UTC")
    return found

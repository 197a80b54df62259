"""The one in-memory DuckDB instance of a process, to which lab files and snapshots are attached."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# Nothing is fetched unasked: no extension is ever installed or loaded by itself.
# A commit writes the file itself rather than a log that the detach then writes over; both are on disk when it returns.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "checkpoint_threshold": "1KB",
}
_LOCK = threading.Lock()
_INSTANCES: dict[int, "duckdb.DuckDBPyConnection"] = {}


def cursor() -> "duckdb.DuckDBPyConnection":
    """Give a cursor of the process's instance; a forked child makes an instance of its own."""
    import duckdb

    with _LOCK:
        pid = os.getpid()
        if pid not in _INSTANCES:
            _INSTANCES[pid] = duckdb.connect(":memory:", config=_SETTINGS)
        return _INSTANCES[pid].cursor()


@contextmanager
def scratch() -> Iterator["duckdb.DuckDBPyConnection"]:
    """Give a private in-memory database for SQL over frames and files, without any lab."""
    import duckdb

    con = duckdb.connect(":memory:", config=_SETTINGS)
    try:
        yield con
    finally:
        con.close()

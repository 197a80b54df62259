"""DuckDB instances in memory: one for each lab file, to which it is attached step by step, and private ones."""

import ctypes
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

# Nothing is fetched unasked: no extension is ever installed or loaded by itself; no table is ever a Python variable.
# A commit of more than a little goes into the file itself and not into a log first, where DuckDB 1.5 dies of writing
# some of our migrations; it costs the same.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "checkpoint_threshold": "1KB",
    "python_enable_replacements": False,
}
_THREADED: "weakref.WeakSet[duckdb.DuckDBPyConnection]" = weakref.WeakSet()


class Instance:
    """One DuckDB instance, made when it is first used.

    Closing it undoes what was not committed and lets go of every file, whatever state it is in; so a step that does not
    end well needs no other remedy.

    Parameters
    ----------
    threads : int, optional
        How many it computes with; all the machine's by default.
    only : Path, optional
        The one database file that it will ever reach, whatever the SQL in that file says.
    """

    def __init__(self, threads: int | None = None, *, only: "Path | None" = None) -> None:
        self._settings = {} if threads is None else {"threads": threads, "async_threads": 0}
        self._only = only
        self._con: duckdb.DuckDBPyConnection | None = None
        self.clean = True

    def cursor(self) -> "duckdb.DuckDBPyConnection":
        """Return a cursor; of a new instance if the last step left this one unclean."""
        if not self.clean:
            self.close()
        if self._con is None:
            self._con = _connect(**self._settings)
            if self._only is not None:
                beside = [f"{self._only}{ending}" for ending in ("", ".wal", ".wal.checkpoint", ".wal.recovery")]
                self._con.execute("set allowed_paths = ?", [beside])
                self._con.execute("set enable_external_access = false")
        return self._con.cursor()

    def close(self) -> None:
        """Let go of memory and files."""
        if self._con is not None:
            self._con.close()
        self._con, self.clean = None, True


def seal(con: "duckdb.DuckDBPyConnection", outlet: "Path | None" = None) -> None:
    """Shut a connection's instance off, for good, from every file that is not open yet and from its settings.

    `outlet` is a folder that stays open to it; such an instance must have no file attached.
    """
    if outlet is not None:
        con.execute("set allowed_directories = ?", [[str(outlet)]])
    con.execute("set enable_external_access = false")
    if outlet is None:
        con.execute("set disabled_filesystems = 'LocalFileSystem'")  # it would let the attached file itself be read
    con.execute("set lock_configuration = true")


@contextmanager
def scratch() -> Iterator["duckdb.DuckDBPyConnection"]:
    """Return a private in-memory database for SQL over frames and files, without any lab."""
    con = _connect()
    try:
        yield con
    finally:
        con.close()


def _connect(**settings: int) -> "duckdb.DuckDBPyConnection":
    import duckdb

    if duckdb.__version__ < "2":  # a team's lab can run on 1.5, which has no such setting
        settings.pop("async_threads", None)
    con = duckdb.connect(":memory:", config=_SETTINGS | settings)
    if settings.get("threads") != 1:
        _THREADED.add(con)
    return con


def _forked() -> None:
    """Keep a child from ever destroying its parent's instances with threads: it would wait for threads it lacks."""
    for con in _THREADED:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(con))
    _THREADED.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

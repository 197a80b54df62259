"""The analyst's own SQL: one statement, read-only, its result as a DataFrame with UTC times.

It runs in a process of its own, which can be ended and whose memory is bounded: DuckDB cannot be interrupted while it
binds, optimizes or computes one huge value, and does not count the memory of such values, so that a statement of one
line can fill the machine. The process is started with the first statement, serves one after the other and goes with the
one that asked. It imports DuckDB and this room alone, so it starts soon.
"""

import atexit
import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gallump_lab.lazy import duckdb, np, pd
from gallump_lab.store.errors import QueryRefused

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gallump_lab.store.snapshot import Catalogue
    from gallump_lab.store.store import Store

Params = Sequence[Any] | Mapping[str, Any] | None
_Process = subprocess.Popen[bytes]

MEMORY = 4_000_000_000
"""Bytes that a statement may take; no more than half of the machine's, whichever is less."""
_CHILD = """
import sys, types
package = sys.modules["gallump_lab"] = types.ModuleType("gallump_lab")  # whose own __init__ imports every room
package.__path__ = [sys.argv[1]]
from gallump_lab.store import query
query.serve()
"""
_IDLE: dict[int, list[_Process]] = {}
"""Processes without work, by the one that started them: a forked child leaves its parent's alone."""


class _Statement(NamedTuple):
    """A statement and what it is about."""

    path: Path
    """A lab's or a snapshot's file, or a server's address."""
    token: str | None
    wait: float
    sql: str
    params: bytes
    """Pickled; so that what cannot be read again does not keep the rest from being read."""
    seconds: float | None


class _Columns(NamedTuple):
    """A result as it goes from one process to the other: arrays by column, masked where null, and DuckDB's types."""

    arrays: dict[str, Any]
    kinds: list[str]

    @classmethod
    def of(cls, con: "DuckDBPyConnection", sql: str, params: Params) -> "_Columns":
        arrays = con.execute(sql, params).fetchnumpy()
        return cls(arrays, [str(column[1]) for column in con.description or ()])

    def frame(self) -> "pd.DataFrame":
        pairs = zip(self.arrays.items(), self.kinds, strict=True)
        columns = {name: _nulls(values, kind) for (name, values), kind in pairs}
        found = pd.DataFrame(columns)
        for name, kind in zip(found.columns, self.kinds, strict=True):
            if kind.startswith("TIMESTAMP"):
                found[name] = found[name].dt.tz_localize("UTC")
        return found


def _nulls(values: Any, kind: str) -> Any:
    """Return a column with pandas' own marks for what is null, so that whole numbers stay whole."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    mask = np.ma.getmaskarray(values)
    if values.dtype.kind in "iu":
        return pd.arrays.IntegerArray(values.data, mask)
    if values.dtype.kind == "b":
        return pd.arrays.BooleanArray(values.data, mask)
    if values.dtype.kind == "O":
        found = values.data.copy()
        found[mask] = None if kind in {"VARCHAR", "JSON", '"NULL"'} else pd.NA
        return found
    return values


def frame(catalogue: "Catalogue", sql: str, params: Params = None, *, seconds: float | None = None) -> "pd.DataFrame":
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
        With the file in use for so long the statement is ended, whatever it is at; None for no limit.

    Returns
    -------
    pandas.DataFrame
        Every timestamp is UTC and says so.

    Raises
    ------
    ValueError
        If a parameter's value is of a kind that cannot be sent.
    QueryRefused
        If it is not one reading statement, or takes longer than `seconds` or too much memory.
    duckdb.Error
        What DuckDB says of a statement that is wrong.
    """
    try:
        packed = pickle.dumps(params)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        msg = f"params hold a value that cannot be bound: {error}. Give numbers, texts and times."
        raise ValueError(msg) from error
    path, token = catalogue.elsewhere
    found = _ask(_Statement(path, token, catalogue.wait, sql, packed, seconds))
    if isinstance(found, Exception):
        raise found
    return found.frame()


def table(con: "DuckDBPyConnection", sql: str, params: Params = None) -> "pd.DataFrame":
    """Return our own statement's result as a DataFrame, as `frame` does."""
    return _Columns.of(con, sql, params).frame()


def _ask(asked: _Statement) -> _Columns | Exception:
    """Have a statement run by the process; return its result, or what is wrong with it."""
    with _lent() as process:
        assert process.stdin is not None  # noqa: S101 (as `Popen` was told)
        assert process.stdout is not None  # noqa: S101
        try:
            pickle.dump(asked, process.stdin)
            process.stdin.flush()
            found: _Columns | Exception = pickle.load(process.stdout)  # noqa: S301 (our own process wrote it)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            if process.wait() != -signal.SIGALRM:
                raise QueryRefused(_too_much()) from None
            msg = (
                f"The statement held the lab for {asked.seconds:g} s, which keeps other notebooks out. "
                "Run it on a copy: lab.snapshot().sql(...)."
            )
            raise QueryRefused(msg) from None
    return found


@contextmanager
def _lent() -> Iterator[_Process]:
    """Lend a process that has nothing to do; one that did not end well is ended."""
    process = _idle()
    try:
        yield process
    except BaseException:
        _end(process)
        raise
    _IDLE[os.getpid()].append(process)


def _idle() -> _Process:
    idle = _IDLE.setdefault(os.getpid(), [])
    with contextlib.suppress(IndexError):
        while True:
            found = idle.pop()
            if found.poll() is None:
                return found
            _end(found)  # the machine was short of memory
    return subprocess.Popen(  # noqa: S603 (this Python)
        [sys.executable, "-P", "-c", _CHILD, str(Path(__file__).parents[1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for the one that asks
    )


def _end(process: _Process) -> None:
    """End a process, whatever it is at."""
    process.kill()
    with contextlib.suppress(BrokenPipeError), process:  # waits, and closes what leads to it
        pass


@atexit.register
def _end_all() -> None:
    for process in _IDLE.pop(os.getpid(), []):
        _end(process)


def _too_much() -> str:
    return (
        f"The statement was ended: it took more than {_allowed():,} bytes of memory. Ask for less, such as by a where, "
        "a limit or an aggregate."
    )


def _allowed() -> int:
    """Return the bytes that a statement may take."""
    return min(MEMORY, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)


def serve() -> None:
    """Serve as the process: answer what comes on the standard input until it ends."""
    answers, asked = os.fdopen(os.dup(1), "wb"), sys.stdin.buffer
    os.dup2(2, 1)  # nobody else's words are an answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # whatever the one who started it does with it
    import numpy  # noqa: F401, ICN001 (which takes a while, in which the file should not be held)

    _bound()
    with contextlib.suppress(EOFError):
        while True:
            answers.write(_answer(pickle.load(asked)))  # noqa: S301 (the one who started it)
            answers.flush()


def _bound() -> None:
    """Limit the memory to what is allowed, and be the first to go where there is too little."""
    import resource

    with contextlib.suppress(ValueError):  # it is limited to less already
        resource.setrlimit(resource.RLIMIT_DATA, (_allowed(), resource.getrlimit(resource.RLIMIT_DATA)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _answer(asked: _Statement) -> bytes:
    """Return a statement's result, packed, or what is wrong with it, to be raised where it was asked."""
    try:
        return pickle.dumps(_result(asked))
    except MemoryError:
        return pickle.dumps(QueryRefused(_too_much()))
    except Exception as error:  # noqa: BLE001 (whatever it is)
        return pickle.dumps(error)


def _result(asked: _Statement) -> _Columns:
    """Run one reading statement, once it is seen to be one; the alarm ends this process where it holds the lab long."""
    kinds = [_kind(statement) for statement in duckdb.extract_statements(asked.sql)]
    if kinds not in (["SELECT"], ["EXPLAIN"]):
        found = ", ".join(kinds) or "nothing"
        msg = f"sql takes one statement that reads, such as a SELECT; got {found}. Bind values with ? or $name."
        raise QueryRefused(msg)
    store = _store(asked.path, asked.token)
    store.wait = asked.wait
    try:
        with store.sealed() as con:
            signal.setitimer(signal.ITIMER_REAL, asked.seconds or 0)
            return _Columns.of(con, asked.sql, pickle.loads(asked.params))  # noqa: S301 (the one who started it)
    except (duckdb.PermissionException, duckdb.TransactionException) as error:
        msg = f"sql reads the lab's own tables, and neither writes nor reaches a file: {error}"
        raise QueryRefused(msg) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@lru_cache(maxsize=1)  # an attachment to another server is let go
def _store(path: Path, token: str | None) -> "Store":
    from gallump_lab.store.remote import Remote
    from gallump_lab.store.store import Store

    return Store(path) if token is None else Remote(path, token=token)


def _kind(statement: Any) -> str:
    try:
        return str(statement.type.name)
    except ValueError:  # duckdb's Python knows fewer kinds than DuckDB does
        return "another statement"

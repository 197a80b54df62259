"""The analyst's own SQL: one statement, read-only, its result as a DataFrame with UTC times.

It runs in a process of its own, which can be ended and whose memory is bounded: DuckDB cannot be interrupted while it
binds, optimizes or computes one huge value, and does not count the memory of such values, so that a statement of one
line can fill the machine. The process is started with the first statement, serves one after the other and goes after a
while without any, or with the one that asked. It imports DuckDB and this room alone, so it starts soon.
"""

import atexit
import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from gallump_lab.store.errors import QueryRefused, StoreError

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

    from gallump_lab.store.store import Catalogue, Store

Params = Sequence[Any] | Mapping[str, Any] | None

MEMORY = 4_000_000_000
"""Bytes that a statement may take; no more than half of the machine's, whichever is less."""
LARGEST = 1_000_000_000
"""Bytes that its result may have."""
_IDLE = 300.0
_CHILD = """
import sys, types
package = sys.modules["gallump_lab"] = types.ModuleType("gallump_lab")  # whose own __init__ imports every room
package.__path__ = [sys.argv[1]]
from gallump_lab.store import query
query.serve()
"""
_READY, _HELD, _FREE = b"r", b"h", b"f"  # what the process says of itself; everything longer is an answer


class _Statement(NamedTuple):
    """A statement and what it is about."""

    path: Path
    """A lab's or a snapshot's file, or a server's address."""
    token: str | None
    wait: float
    sql: str
    params: bytes
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
        import pandas as pd

        pairs = zip(self.arrays.items(), self.kinds, strict=True)
        columns = {name: _nulls(values, kind) for (name, values), kind in pairs}
        found = pd.DataFrame(columns)
        for name, kind in zip(found.columns, self.kinds, strict=True):
            if kind.startswith("TIMESTAMP"):
                found[name] = found[name].dt.tz_localize("UTC")
        return found


def _nulls(values: Any, kind: str) -> Any:
    """Return a column with pandas' own marks for what is null, so that whole numbers stay whole."""
    import numpy as np
    import pandas as pd

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
    with _reader() as reader:
        answer = reader.ask(_Statement(path, token, catalogue.wait, sql, packed, seconds))
    found = pickle.loads(answer)  # noqa: S301 (our own process wrote it)
    if isinstance(found, Exception):
        raise found
    table: _Columns = found
    return table.frame()


def table(con: "DuckDBPyConnection", sql: str, params: Params = None) -> "pd.DataFrame":
    """Return our own statement's result as a DataFrame, as `frame` does."""
    return _Columns.of(con, sql, params).frame()


class _Process:
    """The process, as the one that asks sees it."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, sys.path))
        self.process = subprocess.Popen(  # noqa: S603 (this Python)
            [sys.executable, "-P", "-c", _CHILD, str(Path(__file__).parents[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the one that asks
        )
        if self.process.stdout is None or _received(self.process.stdout) != _READY:
            self.end()
            msg = f"No process could be started to run the statement in ({sys.executable})."
            raise StoreError(msg)

    def ask(self, asked: _Statement) -> bytes:
        """Send a statement and wait for its answer."""
        to, of = self.process.stdin, self.process.stdout
        assert to is not None  # noqa: S101 (as `Popen` was told)
        assert of is not None  # noqa: S101
        pickle.dump(asked, to)
        to.flush()
        late, limit = threading.Event(), None if asked.seconds is None else asked.wait + asked.seconds
        while True:
            with self._ended_after(limit, late):
                found = _received(of)
            if late.is_set():
                msg = (
                    f"The statement held the lab for {asked.seconds:g} s, which keeps other notebooks out. "
                    "Run it on a copy: lab.snapshot().sql(...)."
                )
                raise QueryRefused(msg)
            if found is None:
                raise QueryRefused(_too_much())
            if len(found) > 1:
                return found
            limit = None if found == _FREE else asked.seconds

    @contextmanager
    def _ended_after(self, seconds: float | None, late: threading.Event) -> Iterator[None]:
        def end() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(seconds or 0, end)
        timer.daemon = True
        if seconds is not None:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def end(self) -> None:
        """End it, whatever it is at."""
        self.process.kill()
        with self.process:  # waits, and closes what leads to it
            pass


_READERS: dict[int, list[_Process]] = {}
"""Those without work, by the process that started them: a forked child leaves its parent's alone."""


@contextmanager
def _reader() -> Iterator[_Process]:
    """Lend a process that has nothing to do; one that did not end well is ended."""
    idle, found = _READERS.setdefault(os.getpid(), []), None
    while found is None:
        try:
            found = idle.pop()
        except IndexError:
            found = _Process()
        if found.process.poll() is not None:  # it was idle for long
            found.end()
            found = None
    try:
        yield found
    except BaseException:
        found.end()
        raise
    idle.append(found)


@atexit.register
def _end_all() -> None:
    for reader in _READERS.pop(os.getpid(), []):
        reader.end()


def _received(file: IO[bytes]) -> bytes | None:
    """Read one message, its length before it; None if the other side is gone."""
    size = int.from_bytes(file.read(8))
    found = file.read(size)
    return found if size and len(found) == size else None


def _send(file: IO[bytes], message: bytes) -> None:
    file.write(len(message).to_bytes(8))
    file.write(message)
    file.flush()


def _too_much() -> str:
    return (
        f"The statement was ended: it took more than {_allowed():,} bytes of memory. Ask for less, such as by a where, "
        "a limit or an aggregate."
    )


def _allowed() -> int:
    """Return the bytes that a statement may take."""
    try:
        return min(MEMORY, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    except (AttributeError, ValueError, OSError):
        return MEMORY


def serve() -> None:
    """Serve as the process: answer what comes on the standard input until it ends, or nothing comes for a while."""
    answers, asked = os.fdopen(os.dup(1), "wb"), sys.stdin.buffer
    os.dup2(2, 1)  # nobody else's words are an answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import numpy  # noqa: F401, ICN001 (which takes a while, in which the file should not be held)

    _bound()
    _send(answers, _READY)
    stores: dict[tuple[Path, str | None], Store] = {}
    with contextlib.suppress(EOFError):
        while os.name != "posix" or select.select([asked], [], [], _IDLE)[0]:
            _send(answers, _answer(pickle.load(asked), stores, answers))  # noqa: S301 (the one who started it)


def _bound() -> None:
    """Limit the memory to what is allowed, and be the first to go where there is too little."""
    with contextlib.suppress(ImportError):  # Windows
        import resource

        for what, most in ((resource.RLIMIT_DATA, _allowed()), (resource.RLIMIT_CORE, 0)):
            _, hard = resource.getrlimit(what)
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _answer(asked: _Statement, stores: dict[tuple[Path, str | None], "Store"], answers: IO[bytes]) -> bytes:
    """Return a statement's result, packed, or what is wrong with it, to be raised where it was asked."""
    try:
        packed = pickle.dumps(_result(asked, stores, answers))
        if len(packed) <= LARGEST:
            return packed
        msg = f"The result has {len(packed):,} bytes; at most {LARGEST:,} are given. Ask for less: a where, a limit."
        return pickle.dumps(QueryRefused(msg))
    except MemoryError:
        return pickle.dumps(QueryRefused(_too_much()))
    except Exception as error:  # noqa: BLE001 (whatever it is)
        return pickle.dumps(error)


def _result(asked: _Statement, stores: dict[tuple[Path, str | None], "Store"], answers: IO[bytes]) -> _Columns:
    """Run one reading statement, once it is seen to be one; say when the lab is held and when it is free again."""
    import duckdb

    from gallump_lab.store.remote import Remote
    from gallump_lab.store.store import Store

    kinds = [_kind(statement) for statement in duckdb.extract_statements(asked.sql)]
    if kinds not in (["SELECT"], ["EXPLAIN"]):
        found = ", ".join(kinds) or "nothing"
        msg = f"sql takes one statement that reads, such as a SELECT; got {found}. Bind values with ? or $name."
        raise QueryRefused(msg)
    key = asked.path, asked.token
    if key not in stores:
        stores.clear()  # an attachment to another server is let go
        stores[key] = Store(asked.path) if asked.token is None else Remote(asked.path, token=asked.token)
    stores[key].wait = asked.wait
    try:
        with stores[key].sealed() as con:
            _send(answers, _HELD)
            table = _Columns.of(con, asked.sql, pickle.loads(asked.params))  # noqa: S301 (the one who started it)
    except (duckdb.PermissionException, duckdb.TransactionException) as error:
        msg = f"sql reads the lab's own tables, and neither writes nor reaches a file: {error}"
        raise QueryRefused(msg) from error
    _send(answers, _FREE)
    return table


def _kind(statement: Any) -> str:
    try:
        return str(statement.type.name)
    except ValueError:  # duckdb's Python knows fewer kinds than DuckDB does
        return "another statement"

"""Runs an analyst's statements in a process of their own, which can be ended, with bounded memory.

DuckDB cannot be interrupted while it binds, optimizes or computes one huge value, and does not count the memory of such
values: a statement of one line can fill the machine. So it runs where that ends nothing else. The process is started
with the first statement, serves one after the other and goes after a while without any, or with the one that asked.
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

MEMORY = 4_000_000_000
"""Bytes that a statement may take; no more than half of the machine's, whichever is less."""
LARGEST = 1_000_000_000
"""Bytes that its result may have."""
_GRACE = 0.2  # seconds after which a statement that should have ended is ended
_IDLE = 300.0
_HELD, _FREE, _DONE, _FAILED = range(4)
_CHILD = "from gallump_lab.store import apart; apart.serve()"


class Asked(NamedTuple):
    """A statement and what it is about."""

    path: Path
    """A lab's or a snapshot's file, or a server's address."""
    token: str | None
    wait: float
    sql: str
    params: bytes
    seconds: float | None


def run(  # noqa: PLR0913 (what a statement is about)
    path: Path,
    sql: str,
    params: Sequence[Any] | Mapping[str, Any] | None,
    *,
    wait: float,
    seconds: float | None,
    token: str | None = None,
) -> "pd.DataFrame":
    """Run one reading statement; after `seconds` with the file in use it is ended, whatever it is at.

    Raises
    ------
    ValueError
        If a parameter's value is of a kind that cannot be sent.
    QueryRefused
        If it is not one reading statement, or takes too much time or memory.
    """
    try:
        packed = pickle.dumps(params)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        msg = f"params hold a value that cannot be bound: {error}. Give numbers, texts and times."
        raise ValueError(msg) from error
    asked = Asked(path, token, wait, sql, packed, seconds)
    with _reader() as reader:
        answer = reader.ask(asked)
    kind, *found = pickle.loads(answer)  # noqa: S301 (our own process wrote it)
    if kind == _DONE:
        given: pd.DataFrame = found[0]
        return given
    error_type, arguments, attributes = found
    theirs = error_type.__new__(error_type, *arguments)
    theirs.args = arguments
    theirs.__dict__.update(attributes)
    raise theirs


class _Reader:
    """The process, as the one that asks sees it."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, sys.path))
        self.process = subprocess.Popen(  # noqa: S603 (this Python)
            [sys.executable, "-P", "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the one that asks
        )
        import pandas  # noqa: F401, ICN001 (as the process does meanwhile)

        if self.process.stdout is None or _received(self.process.stdout) is None:
            self.end()
            msg = f"No process could be started to run the statement in ({sys.executable})."
            raise StoreError(msg)

    def ask(self, asked: Asked) -> bytes:
        """Send a statement and wait for its answer."""
        to, of = self.process.stdin, self.process.stdout
        assert to is not None  # noqa: S101 (as `Popen` was told)
        assert of is not None  # noqa: S101
        pickle.dump(asked, to)
        to.flush()
        at, late = _FREE, threading.Event()
        while True:
            limit = None if asked.seconds is None or at == _DONE else asked.seconds + _GRACE
            if limit is not None and at == _FREE:
                limit += asked.wait
            with self._ended_after(limit, late):
                found = _received(of)
            if found is None and late.is_set() and asked.seconds is not None:
                raise QueryRefused(too_long(asked.seconds))
            if found is None:
                msg = (
                    f"The statement was ended: it took more than {allowed():,} bytes of memory. Ask for less, such as "
                    "by a where, a limit or an aggregate."
                )
                raise QueryRefused(msg)
            if len(found) > 1:
                return found
            at = _HELD if found == b"h" else _DONE

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


_IDLE_READERS: list[_Reader] = []
_LOCK = threading.Lock()


@contextmanager
def _reader() -> Iterator[_Reader]:
    """Lend a process that has nothing to do; one that did not end well is ended."""
    found = None
    with _LOCK:
        while _IDLE_READERS and found is None:
            found = _IDLE_READERS.pop()
            if found.process.poll() is not None:
                found.end()
                found = None
    reader = found or _Reader()
    try:
        yield reader
    except BaseException:
        reader.end()
        raise
    with _LOCK:
        _IDLE_READERS.append(reader)


@atexit.register
def _end_all() -> None:
    with _LOCK:
        while _IDLE_READERS:
            _IDLE_READERS.pop().end()


def _forked() -> None:
    for reader in _IDLE_READERS:
        reader.process.returncode = 0  # it is the parent's
    _IDLE_READERS.clear()
    _LOCK.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_forked)


def _received(file: IO[bytes]) -> bytes | None:
    """Read one message, its length before it; None if the other side is gone."""
    size = int.from_bytes(file.read(8))
    found = file.read(size)
    return found if size and len(found) == size else None


def _send(file: IO[bytes], message: bytes) -> None:
    file.write(len(message).to_bytes(8))
    file.write(message)
    file.flush()


def too_long(seconds: float) -> str:
    """Return what to do instead of a statement that held the lab for too long."""
    return (
        f"The statement held the lab for {seconds:g} s, which keeps other notebooks out. "
        "Run it on a copy: lab.snapshot().sql(...)."
    )


def allowed() -> int:
    """Return the bytes that a statement may take."""
    try:
        return min(MEMORY, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    except (AttributeError, ValueError, OSError):
        return MEMORY


def serve() -> None:
    """Answer what comes on the standard input until it ends, or nothing comes for a while."""
    answers, asked = os.fdopen(os.dup(1), "wb"), sys.stdin.buffer
    os.dup2(2, 1)  # nobody else's words are an answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import pandas  # noqa: F401, ICN001 (which takes a second, in which the file should not be held)

    _bound()
    _send(answers, b"r")
    stores: dict[tuple[Path, str | None], Any] = {}
    with contextlib.suppress(EOFError):
        while os.name != "posix" or select.select([asked], [], [], _IDLE)[0]:
            _send(answers, _answer(pickle.load(asked), stores, answers))  # noqa: S301 (the one who started it)


def _bound() -> None:
    """Take no more memory than allowed, and be the first to go where there is too little."""
    with contextlib.suppress(ImportError):  # Windows
        import resource

        for what, most in ((resource.RLIMIT_DATA, allowed()), (resource.RLIMIT_CORE, 0)):
            _, hard = resource.getrlimit(what)
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _answer(asked: Asked, stores: dict[tuple[Path, str | None], Any], answers: IO[bytes]) -> bytes:
    from gallump_lab.store import query
    from gallump_lab.store.remote import Remote
    from gallump_lab.store.store import Store

    try:
        key = asked.path, asked.token
        if key not in stores:
            stores.clear()  # an attachment to another server is let go
            path, token = key
            stores[key] = Store(path) if token is None else Remote(path, token=token)
        stores[key].wait = asked.wait
        params = pickle.loads(asked.params)  # noqa: S301
        with query.reading(stores[key], asked.sql, asked.seconds) as con:
            _send(answers, b"h")
            found = query.table(con, asked.sql, params)
        _send(answers, b"f")
        size = int(found.memory_usage(deep=True).sum())
        if size > LARGEST:
            msg = f"The result has {size:,} bytes; at most {LARGEST:,} are given. Ask for less, such as by a limit."
            raise QueryRefused(msg)  # noqa: TRY301
        return pickle.dumps((_DONE, found))
    except MemoryError:
        msg = f"The statement was ended: it took more than {allowed():,} bytes of memory. Ask for less."
        return pickle.dumps((_FAILED, QueryRefused, (msg,), {}))
    except Exception as error:  # noqa: BLE001 (whatever it is, it is raised where it was asked)
        return pickle.dumps((_FAILED, type(error), error.args, vars(error)))

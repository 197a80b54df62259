"""Who uses a lab file, and for how long.

DuckDB instances, to which a file is attached for a step; the queue in which the processes of a machine wait for their
step; and claims on what is worked at for longer than a step, so that nobody else begins the same.
"""

import contextlib
import fcntl
import hashlib
import os
import random
import secrets
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from gallump_lab.lazy import duckdb
from gallump_lab.store.errors import StoreError
from gallump_lab.store.files import quoted

# Nothing is fetched unasked: no extension is ever installed or loaded by itself; no table is ever a Python variable.
# A commit of more than a little goes into the file itself, so that there is seldom a log to be read by the next.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "checkpoint_threshold": "1KB",
    "python_enable_replacements": False,
}
_TURN, _USE = 0, 1

RENEWED = 1.0
"""Seconds between two renewals of a claim."""
FREE = 30
"""Seconds without a renewal after which a claim is free: more than a step waits for a lab that is busy."""
NOW = "make_timestamp(epoch_us(now()))"
"""The time, UTC, in SQL: the clock of the machine that the lab is on is everybody's."""
LATE = f"coalesce(renewed_at < {NOW} - to_seconds({FREE}), true)"
"""Whether a claim was not renewed for too long, in SQL."""
_AT_WORK: set[str] = set()


class Instance:
    """One DuckDB instance in memory, made when it is first used.

    Closing it undoes what was not committed and lets go of every file, whatever state it is in; so a step that does not
    end well needs no other remedy.

    Parameters
    ----------
    threads : int or None
        How many it computes with; None for all the machine's. With more than one, a forked child cannot get rid of it:
        it would wait for threads that it does not have.
    only : Path, optional
        The one database file that it will ever reach, whatever the SQL in that file says.
    """

    def __init__(self, threads: int | None = 1, *, only: Path | None = None) -> None:
        self._threads, self._only = threads, only
        self._con: duckdb.DuckDBPyConnection | None = None
        self.clean = True

    def cursor(self) -> "duckdb.DuckDBPyConnection":
        """Return a cursor; of a new instance if the last step left this one unclean."""
        if not self.clean:
            self.close()
        if self._con is None:
            self._con = _connect(self._threads)
            if self._only is not None:
                beside = [f"{self._only}{ending}" for ending in ("", ".wal", ".wal.checkpoint", ".wal.recovery")]
                self._con.execute("set allowed_paths = ?", [beside])
                self._con.execute("set enable_external_access = false")
        return self._con.cursor()

    def save(self, path: Path) -> None:
        """Write all that it holds in memory to a new file."""
        with self.cursor() as con:
            con.execute(f"attach {quoted(path)} as target (type duckdb)")
            try:
                con.execute("copy from database memory to target")
            finally:
                con.execute("detach target")

    def close(self) -> None:
        """Release memory and files."""
        if self._con is not None:
            self._con.close()
        self._con, self.clean = None, True


def _connect(threads: int | None = None) -> "duckdb.DuckDBPyConnection":
    own = {} if threads is None else {"threads": threads, "async_threads": 0}
    if duckdb.__version__ < "2":  # a team's lab can run on 1.5, which has no such setting
        own.pop("async_threads", None)
    return duckdb.connect(":memory:", config=_SETTINGS | own)


@contextmanager
def scratch() -> Iterator["duckdb.DuckDBPyConnection"]:
    """Return a private in-memory database for SQL over frames and files, without any lab."""
    with contextlib.closing(_connect()) as con:
        yield con


@contextmanager
def queued(path: Path, deadline: float, *, write: bool) -> Iterator[None]:
    """Wait for the use of a lab file behind those who came first, at the latest until `deadline` (`time.monotonic()`).

    DuckDB's lock keeps processes apart, but who wants the file can only try to attach it, half a millisecond of
    computing each time, and those who read hold it together, so that one who writes may find no gap. They queue here
    instead, at an empty file in the temporary folder, with two locks of the system's: its first byte is the turn to be
    next, its second the use of the lab, shared by those who read. Both are let go when a process dies. Without such a
    file there is no queue; after the deadline the lab itself says who holds it.
    """
    gate = _gate(path)
    if gate is None:
        yield
        return
    try:
        _lock(gate, _TURN, fcntl.LOCK_EX, deadline)
        _lock(gate, _USE, fcntl.LOCK_EX if write else fcntl.LOCK_SH, deadline)
        fcntl.lockf(gate, fcntl.LOCK_UN, 1, _TURN)
        yield
    finally:
        os.close(gate)


def _gate(path: Path) -> int | None:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"gallump-{os.getuid()}-{name}.gate"
    with contextlib.suppress(OSError):
        gate = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        found = os.fstat(gate)
        if found.st_uid == os.getuid() and stat.S_ISREG(found.st_mode):
            return gate
        os.close(gate)  # somebody else's, who could let everybody wait there
    return None


def _lock(gate: int, byte: int, how: int, deadline: float) -> None:
    while True:
        try:
            fcntl.lockf(gate, how | fcntl.LOCK_NB, 1, byte)
        except OSError:
            if time.monotonic() >= deadline:
                return
            time.sleep(random.uniform(0.0003, 0.001))  # noqa: S311 (spreads the tries of several processes)
        else:
            return


class Claim:
    """What this process is at, for longer than a step; renewed in the background as long as the block lasts.

    It is nobody's once its process is seen to have ended, or, where that cannot be seen (another machine, a process id
    that belongs to another process by now), when it was not renewed for a while: see `free`.

    Parameters
    ----------
    renew : callable
        Writes the time stamp of the claim whose name it is given; a lab that is busy then is tried again.

    Attributes
    ----------
    name : str
        Whose it is: the machine, the process and a number of its own.
    """

    def __init__(self, renew: Callable[[str], object]) -> None:
        self.name = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"
        self._renew, self._over = renew, threading.Event()
        self._thread = threading.Thread(target=self._keep, name="gallump-claim", daemon=True)

    def __enter__(self) -> Self:
        """Begin to renew it."""
        _AT_WORK.add(self.name)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Release it, whatever the lab still says."""
        _AT_WORK.discard(self.name)
        self._over.set()

    def end(self) -> None:
        """Renew it no more, before the step that does away with it; it is still held."""
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._over.wait(RENEWED):
            with contextlib.suppress(StoreError):
                self._renew(self.name)


def free(name: str, *, late: bool) -> bool:
    """Return whether nobody is at what was claimed in this name any more; `late` as `LATE` says."""
    host, pid, _ = f"{name}  ".split(" ", 2)
    if host != socket.gethostname() or not pid.isdecimal():
        return late
    if int(pid) == os.getpid():
        return name not in _AT_WORK
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return late
    return late

"""A queue for a lab file between the processes of a machine, so that nobody is overtaken again and again.

DuckDB's lock keeps processes apart, but who wants the file can only try to attach it, half a millisecond of computing
each time, and those who read hold it together, so that one who writes may find no gap. They queue here instead, at an
empty file in the temporary folder, with two locks of the system's: its first byte is the turn to be next, its second
the use of the lab, shared by those who read. Both are let go when a process dies. Without such a file there is no
queue.
"""

import contextlib
import hashlib
import os
import random
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_TURN, _USE = 0, 1


@contextmanager
def queued(path: Path, deadline: float, *, write: bool) -> Iterator[None]:
    """Use a lab in turn, by `time.monotonic()` at the latest at the deadline; one thread of a process at a time."""
    gate = _opened(path)
    if gate is None:
        yield
        return
    try:
        _take(gate, _TURN, fcntl.LOCK_EX, deadline)
        _take(gate, _USE, fcntl.LOCK_EX if write else fcntl.LOCK_SH, deadline)
        fcntl.lockf(gate, fcntl.LOCK_UN, 1, _TURN)
        yield
    finally:
        os.close(gate)


def _opened(path: Path) -> int | None:
    if fcntl is None:
        return None
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"gallump-{os.getuid()}-{name}.gate"
    with contextlib.suppress(OSError):
        gate = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        found = os.fstat(gate)
        if found.st_uid == os.getuid() and stat.S_ISREG(found.st_mode):
            return gate
        os.close(gate)  # somebody else's, who could let everybody wait there
    return None


def _take(gate: int, byte: int, how: int, deadline: float) -> None:
    """Take a lock; after the deadline go on without it: then the lab itself says who holds it."""
    while True:
        try:
            fcntl.lockf(gate, how | fcntl.LOCK_NB, 1, byte)
        except OSError:
            if time.monotonic() >= deadline:
                return
            time.sleep(random.uniform(0.0003, 0.001))  # noqa: S311 (spreads the tries of several processes)
        else:
            return

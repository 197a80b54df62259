"""Claims: what somebody is at for longer than a step, so that nobody else begins the same.

Whoever holds one renews its time stamp. It is nobody's once its process is seen to have ended, or, where that cannot be
seen (another machine, a process id that belongs to another process by now), when it was not renewed for a while.
"""

import contextlib
import os
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Self

from gallump_lab.store.errors import StoreError

RENEWED = 1.0
"""Seconds between two renewals."""
FREE = 30
"""Seconds without a renewal after which a claim is free: more than a step waits for a lab that is busy."""
NOW = "make_timestamp(epoch_us(now()))"
"""The time, UTC, in SQL: the clock of the machine that the lab is on is everybody's."""
LATE = f"coalesce(renewed_at < {NOW} - to_seconds({FREE}), true)"
"""Whether a claim was not renewed for too long, in SQL."""
_AT_WORK: set[str] = set()


class Claim:
    """A claim of this process, renewed in the background as long as the block lasts.

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
        """Let go of it, whatever the lab still says."""
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

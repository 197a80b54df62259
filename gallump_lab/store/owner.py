"""Which process is at work on something that the lab file speaks of, and whether it still runs."""

import os
import socket


def me() -> str:
    """Name this process: its machine and its id."""
    return f"{socket.gethostname()} {os.getpid()}"


def alive(owner: str) -> bool:
    """Whether a process still runs; one on another machine counts as running."""
    host, _, pid = owner.rpartition(" ")
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""A pytest plugin: every lab file that a test opens is served, and the test gets the server's lab instead.

`pytest -p served tests/unit/test_sessions.py` so runs tests that know nothing of servers against one.
"""

import contextlib
import socket
from pathlib import Path

import pytest
from lab_server import TOKEN

from gallump_lab import lab
from gallump_lab.store import connect
from gallump_lab.store.serving import serving


@pytest.fixture(autouse=True)
def _served(monkeypatch: pytest.MonkeyPatch):
    with contextlib.ExitStack() as servers:
        addresses: dict[Path, str] = {}

        def served(path, *, wait=10.0, token=None):
            path = Path(path)
            if path not in addresses:
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    address = f"quack:127.0.0.1:{free.getsockname()[1]}"
                addresses[path] = servers.enter_context(serving(path, address, TOKEN)).address
            return connect(addresses[path], wait=wait, token=token or TOKEN)

        monkeypatch.setattr(lab, "connect", served)
        yield

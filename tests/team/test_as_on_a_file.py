"""What holds of a file holds of a server: tests that know nothing of servers, each lab file of theirs on one."""

import contextlib
from pathlib import Path

import pytest
from lab_server import TOKEN, free_port
from test_sessions import *  # noqa: F403

from gallump_lab import lab as facade
from gallump_lab.store import connect
from gallump_lab.store.serving import serving


@pytest.fixture(autouse=True)
def _served(monkeypatch: pytest.MonkeyPatch):
    with contextlib.ExitStack() as servers:
        addresses: dict[Path, str] = {}

        def served(path, *, wait=10.0, token=None):
            path = Path(path)
            if path not in addresses:
                address = f"quack:127.0.0.1:{free_port()}"
                addresses[path] = servers.enter_context(serving(path, address, TOKEN)).address
            return connect(addresses[path], wait=wait, token=token or TOKEN)

        monkeypatch.setattr(facade, "connect", served)
        yield

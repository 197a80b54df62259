"""What holds of a file holds of a server: tests that know nothing of servers, each on the lab of one."""

import contextlib
from pathlib import Path

import pytest
from lab_server import TOKEN, free_port
from test_sessions import *  # noqa: F403

from gallump_lab import Lab
from gallump_lab.store.serving import serving


@pytest.fixture
def anew(tmp_path: Path):
    with contextlib.ExitStack() as servers:

        def lab(**options):
            address = f"quack:127.0.0.1:{free_port()}"
            server = servers.enter_context(serving(tmp_path / "lab.duckdb", address, TOKEN))
            return Lab.open(server.address, token=TOKEN, **options)

        yield lab

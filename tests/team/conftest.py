"""What the tests of a team's lab share."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_server import TOKEN, Serve, Served


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def serve(tmp_path: Path, token_file: Path, port: int) -> Iterator[Serve]:
    servers = []

    def start(file: Path = tmp_path / "lab.duckdb") -> Served:
        servers.append(Served(file, token_file, port))
        return servers[-1]

    yield start
    for server in servers:
        if not server.process.stdout.closed:
            server.end()


@pytest.fixture(autouse=True)
def _nothing_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GALLUMP_LAB_TOKEN", raising=False)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the command's, of which Ctrl-C here is none

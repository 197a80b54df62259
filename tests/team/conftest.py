"""What the tests of a team's lab share."""

import signal
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
def serve(tmp_path: Path, token_file: Path) -> Iterator[Serve]:
    servers = []

    def start() -> Served:
        servers.append(Served(tmp_path / "lab.duckdb", token_file))
        return servers[-1]

    yield start
    for server in servers:
        if not server.process.stdout.closed:
            server.end()


@pytest.fixture(autouse=True)
def _nothing_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GALLUMP_LAB_TOKEN", raising=False)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the command's, of which Ctrl-C here is none

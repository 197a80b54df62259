"""A team's lab, on DuckDB's server: its tests run with the DuckDB that the server's extension is packaged for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gallump_lab import Lab
from gallump_lab.store import StoreError

ROOT = Path(__file__).parents[2]
TEAM = Path(sys.prefix, "team")
TOKEN = "a-token-that-nobody-sees"  # noqa: S105 (made up)


def run(*arguments: str) -> None:
    assert TEAM.is_dir(), f"There is no {TEAM}; `make test` installs it."
    paths = os.pathsep.join([str(TEAM), str(ROOT / "tests" / "team")])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_lab_on_a_server() -> None:
    run("tests/team")


@pytest.mark.parametrize("file", ["test_sessions.py"])
def test_what_holds_of_a_file_holds_of_a_server(file: str) -> None:
    run("-p", "served", f"tests/unit/{file}")


@pytest.mark.parametrize("address", ["quack:", "quack:host:0", "quack:host:99999", "quack:a'b", "quack:h/../x"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="quack:host:9494"):
        Lab.open(address, token=TOKEN)


def test_without_the_extension_it_says_how_to_fetch_it() -> None:
    with pytest.raises(StoreError, match="install httpfs"):
        Lab.open("quack:127.0.0.1:1", token=TOKEN, wait=0.1)

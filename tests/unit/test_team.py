"""A team's lab, on DuckDB's server: its tests run with the DuckDB that the server's extension is packaged for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gallump_lab import Lab
from gallump_lab.store import StoreError, remote

ROOT = Path(__file__).parents[2]
TEAM = Path(sys.prefix, "team")
TOKEN = "a-token-that-nobody-sees"  # noqa: S105 (made up)


def test_a_lab_on_a_server() -> None:
    assert TEAM.is_dir(), f"There is no {TEAM}; `make test` installs it."
    paths = [str(TEAM), *(str(ROOT / "tests" / each) for each in ("team", "unit"))]
    alone = {"PYTHONPATH": os.pathsep.join(paths), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # it starts sooner
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--confcutdir=tests/team", "tests/team"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_no_address_is_refused() -> None:
    for (
        host
    ) in "|:0|host:65536|host:port|:9494|a'b|host/path|host?x=1|a b|user@host|[::1|///x|host\n|h\0st|h\u00f6st".split(
        "|"
    ):
        with pytest.raises(ValueError, match="quack:host:9494"):
            Lab.open(f"quack:{host}", token=TOKEN)


@pytest.mark.parametrize(
    ("given", "address", "local"),
    [
        ("quack:localhost", "quack:localhost:9494", True),
        ("quack:[::1]:1234", "quack:[::1]:1234", True),
        ("QUACK://127.0.0.1:1", "quack:127.0.0.1:1", True),
        ("quack:localhost.example.com", "quack:localhost.example.com:9494", False),
        ("quack:10.0.0.7:65535", "quack:10.0.0.7:65535", False),
        ("quack:[2001:db8::1]", "quack:[2001:db8::1]:9494", False),
    ],
)
def test_an_address_has_one_usual_form(given: str, address: str, local: bool) -> None:  # noqa: FBT001 (a table's column)
    assert remote.is_address(given)
    assert remote.usual(given) == remote.usual(address) == address
    assert remote.is_local(address) is local


def test_without_the_extension_it_says_how_to_fetch_it() -> None:
    with pytest.raises(StoreError, match="install httpfs"):
        Lab.open("quack:127.0.0.1:1", token=TOKEN, wait=0.1)

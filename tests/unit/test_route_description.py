"""The shipped OpenAPI description against a running server, with the offline analyst answering."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import schemathesis
from running_server import DESCRIPTION, GENERATE, SHIPPED, TOKEN, serving

from gallump_lab import __version__
from gallump_lab.server.requests import description

ROOT = Path(__file__).parents[2]
BASE = "/desk"
CONFIG = {
    "seed": 1,
    "generation": {"max-examples": 10, "database": "none", "deterministic": True, "mode": "all"},
    "phases": {"stateful": {"enabled": False}},
    "checks": {
        "missing_required_header": {"enabled": False},  # it wants 401; Jupyter says 403, as ignored_auth knows
        "negative_data_rejection": {"expected-statuses": [400, 403, 404, 405, 413, 415]},
    },
}
DESCRIBED = schemathesis.openapi.from_dict(description(f"{BASE}/"), config=schemathesis.Config.from_dict(CONFIG))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("description")
    with serving(folder, f"--GallumpLab.path={folder}/later/lab.duckdb", base=BASE) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with server.client() as found:
        yield found


@pytest.fixture(scope="module")
def ready(server, client):
    """Wait until the lab can be opened: its folder is missing at first."""
    (server.root.parent / "later").mkdir(exist_ok=True)
    assert client.post(GENERATE, json={"prompt": "Are you there?"}).status_code == 200


def test_a_lab_that_cannot_be_opened_is_told_and_tried_again(server, client):
    refused = client.post(GENERATE, json={"prompt": "Are you there?"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (500, "lab_unusable")
    assert str(server.root.parent) not in refused.text
    assert "The folder" in server.log.read_text()
    (server.root.parent / "later").mkdir()
    assert client.post(GENERATE, json={"prompt": "Are you there?"}).status_code == 200
    assert (server.root.parent / "later" / "lab.duckdb").is_file()


def test_it_describes_this_server(client):
    given = client.get(DESCRIPTION).json()
    assert given == description(f"{BASE}/")
    assert given["info"]["version"] == __version__
    assert given["servers"] == [{"url": f"{BASE}/"}]


@pytest.mark.usefixtures("ready")
@DESCRIBED.parametrize()
def test_the_server_does_what_its_description_says(case, server):
    case.call_and_validate(base_url=server.url, headers={"Authorization": f"token {TOKEN}"})


@pytest.mark.parametrize("kind", ["standard", "editable"])
def test_installing_the_package_turns_the_route_on(kind, tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", f"wheel:{kind}", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(*tmp_path.glob("*.whl")) as wheel:
        (found,) = (name for name in wheel.namelist() if "/data/etc/jupyter/jupyter_server_config.d/" in name)
        assert wheel.read(found) == (SHIPPED / "jupyter_server_config.d" / "gallump_lab.json").read_bytes()

"""What all tests share, notebooks included: no key, proxy, time zone or setting of the person who runs them."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from chromium import FLAGS
from nbval.plugin import IPyNbFile
from xdist.scheduler import LoadScopeScheduling

# A chart's picture and a table's HTML change with their packages; each has a plain text beside it, which is compared.
NOT_COMPARED = ("image/svg+xml", "text/html", "application/vnd.vegalite.v6+json")


def pytest_configure(config):
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        del os.environ[name]
    os.environ.update(NO_PROXY="*", no_proxy="*", TZ="UTC")
    home = tempfile.TemporaryDirectory(prefix="gallump-tests-")
    config.add_cleanup(home.cleanup)
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        os.environ[name] = str(Path(home.name, name.lower()))
    os.environ["GALLUMP_LAB"] = str(Path(home.name, "lab.duckdb"))


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name != "test_team.py")  # the longest test begins first


def pytest_collectstart(collector):
    if isinstance(collector, IPyNbFile):
        collector.skip_compare += NOT_COMPARED


@pytest.fixture(scope="session")
def chromium() -> dict[str, Any]:
    """Give what Playwright's `chromium.launch` takes to start the Chromium that was found."""
    path = os.environ.get("GALLUMP_CHROMIUM", "")
    if not Path(path).is_file():
        pytest.fail(
            f"GALLUMP_CHROMIUM must be the path of a Chromium, not {path!r}. `make test` sets it; "
            f"without make: export GALLUMP_CHROMIUM=$({sys.executable} tests/chromium.py)"
        )
    return {"executable_path": path, "args": FLAGS}


class OneBrowser(LoadScopeScheduling):
    """Gives each worker whole modules, and one of them all browser specs, which share JupyterLab, kernel and page."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/browser" if nodeid.startswith("tests/browser/") else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return OneBrowser(config, log)

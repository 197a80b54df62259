"""What holds for every test, and the labs that many share."""

import fcntl
import os
import shutil
import sys
from datetime import UTC, datetime
from importlib.util import find_spec

import pytest
from hypothesis import settings
from messages_models import MODELS

# They run with the DuckDB that has a server, see unit/test_team.py.
collect_ignore = [] if find_spec("duckdb_extension_quack") else ["team"]

settings.register_profile("any machine", deadline=None)  # a slow machine fails no test
settings.load_profile("any machine")


@pytest.fixture
def server():
    """Serve the Messages API, as a test has scripted it."""
    from messages_server import MessagesServer

    with MessagesServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _strangers():
    """Let no test meet a server as one before it had its port."""
    yield
    for module, names in {
        "gallump_lab.brain.brain": ("_SAID",),
        "gallump_lab.brain.claude": ("_UNKNOWN_HERE", "_SILENT"),
        "gallump_lab.config": ("SERVED",),
    }.items():
        if module in sys.modules:
            for name in names:
                getattr(sys.modules[module], name).clear()


@pytest.fixture(params=[*MODELS, "qwen3:8b"])
def model(request, server):
    """Give each model's `Model.name` in turn: one of Claude's, or whatever a local server has, which is only this."""
    if request.param in MODELS:
        return request.param
    server.models = [request.param]
    return "auto"


@pytest.fixture(scope="session")
def sampled(tmp_path_factory):
    """Open private copies of the sample lab, which is imported once a run: by the worker that needs it first."""
    from gallump_lab import Lab  # not where the tests are handed out

    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    made = folder / "sample.duckdb"
    with (folder / "sample.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            lab = Lab.sample()
            shutil.copyfile(lab.store.path, folder / "sample.draft").rename(made)

    def opened(**options):
        copy = shutil.copyfile(made, tmp_path_factory.mktemp("sample") / "sample.duckdb")
        return Lab.open(copy, **{"clock": lambda: datetime(2013, 2, 20, 17, tzinfo=UTC), **options})

    return opened


@pytest.fixture(scope="module")
def anew(tmp_path_factory):
    """Give a lab, by its file or a new one's name, as it was when it was first asked for: sooner than opening one."""
    from gallump_lab import Lab
    from gallump_lab.store import Store

    folder, first = tmp_path_factory.mktemp("anew"), {}

    def lab(file="lab.duckdb", **options):
        if file not in first:
            store = Store.open(folder / file)
            first[file] = store, store.path.read_bytes()
        store, before = first[file]
        store.path.write_bytes(before)
        return Lab(store, **options)

    return lab

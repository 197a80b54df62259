"""A real JupyterLab with a real kernel, driven through a real browser."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from messages_server import MessagesServer
from notebook_page import TOKEN, Jupyter, Notebook
from playwright.sync_api import BrowserContext, expect, sync_playwright

PATIENCE_MS = 30_000
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # As the most careless reader would have it: whatever widgets hold is saved into the notebook.
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
}
FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=PATIENCE_MS)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory) -> Iterator[Jupyter]:
    root, home, port = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("jupyter"), _free_port()
    for name, settings in SETTINGS.items():
        path = home / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    options = (
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={root}",
        f"--IdentityProvider.token={TOKEN}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
        "--allow-root",
        "--no-browser",
    )
    places = {"JUPYTERLAB_SETTINGS_DIR": f"{home}/settings", "JUPYTERLAB_WORKSPACES_DIR": f"{home}/workspaces"}
    server = Jupyter(url=f"http://127.0.0.1:{port}", root=root)
    log = home / "server.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env={**os.environ, **places},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _wait_for(server, process, log)
            yield server
        finally:
            process.terminate()


def _wait_for(server: Jupyter, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        try:
            server.call("status")
        except URLError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def kernel(jupyter) -> str:
    """Start the kernel that all specs share, so that each need not load the packages anew."""
    return jupyter.call("kernels", name="python3")["id"]


@pytest.fixture(scope="session")
def browser_context(chromium) -> Iterator[BrowserContext]:
    with sync_playwright() as playwright, playwright.chromium.launch(**chromium) as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US", timezone_id="UTC")
        context.set_default_timeout(PATIENCE_MS)
        yield context


@pytest.fixture
def claude() -> Iterator[MessagesServer]:
    """Stand in for Claude: the notebook's kernel asks this server."""
    with MessagesServer() as server:
        yield server


def _in_a_page(context: BrowserContext, **given: Any) -> Notebook:
    page = context.new_page()
    found = Notebook(page=page, **given)
    page.on("console", lambda message: found.console.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.console.append(f"uncaught: {error}"))
    return found


@pytest.fixture
def notebook(jupyter, kernel, claude, browser_context, request) -> Iterator[Notebook]:
    folder = jupyter.root / request.node.name
    folder.mkdir()
    found = _in_a_page(browser_context, jupyter=jupyter, kernel=kernel, claude=claude, folder=folder)
    yield found
    found.page.close()
    if request.node.stash[FAILED]:  # whatever still runs there must not spoil the next spec
        jupyter.call(f"kernels/{kernel}/restart", wait=True)


@pytest.fixture
def another(notebook, jupyter, browser_context) -> Iterator[Notebook]:
    """Give a second notebook in the first one's folder, with a kernel and a page of its own."""
    own = jupyter.call("kernels", name="python3")["id"]
    given = {"jupyter": jupyter, "kernel": own, "claude": notebook.claude, "folder": notebook.folder}
    found = _in_a_page(browser_context, **given, name="another")
    yield found
    found.page.close()
    jupyter.end(own)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.when == "call" and "notebook" in item.funcargs:
        item.stash[FAILED] = report.failed
        if report.failed:
            found = item.funcargs["notebook"]
            picture = found.folder / "failure.png"
            found.page.screenshot(path=picture)
            report.sections += [("screenshot", str(picture)), ("browser console", "\n".join(found.console))]
    return report

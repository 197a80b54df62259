"""A real JupyterLab with a real kernel, driven through a real browser."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

import nbformat
import pytest
from messages_server import MessagesServer
from nbformat import NotebookNode
from playwright.sync_api import BrowserContext, Locator, Page, expect, sync_playwright

TOKEN = "browser-tests"  # noqa: S105
PATIENCE_MS = 30_000
KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # As the most careless reader would have it: whatever widgets hold is saved into the notebook.
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
}
FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True, kw_only=True)
class Jupyter:
    """A running JupyterLab server."""

    url: str
    root: Path

    def call(self, endpoint: str, **body: Any) -> Any:
        """Ask the server's own API: with a body to change something, without one to look."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/api/{endpoint}",
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"token {TOKEN}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)


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


@dataclass(frozen=True, kw_only=True)
class Notebook:
    """A notebook that is open in JupyterLab, and the chat in it."""

    jupyter: Jupyter
    kernel: str
    claude: MessagesServer
    page: Page
    folder: Path
    console: list[str] = field(default_factory=list)

    def open(self, *cells: str | NotebookNode) -> None:
        """Write a notebook of these cells, open it and run it."""
        path = f"{self.folder.name}/chat.ipynb"
        setup = f"import os\nos.chdir({str(self.folder)!r})\nos.environ['ANTHROPIC_BASE_URL'] = {self.claude.url!r}"
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in (setup, *cells)],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, self.jupyter.root / path)
        self.jupyter.call("sessions", path=path, name="", type="notebook", kernel={"id": self.kernel})
        self.page.goto(f"{self.jupyter.url}/lab/workspaces/{self.folder.name}/tree/{path}?token={TOKEN}")
        self.run("notebook:run-all-cells")

    def run(self, command: str) -> None:
        """Execute one of JupyterLab's commands once the kernel is idle."""
        self.page.wait_for_function(f"{KERNEL}?.status === 'idle'")
        self.page.evaluate("command => { window.jupyterapp.commands.execute(command) }", command)

    def restart(self) -> None:
        """Restart the kernel, as a person does."""
        self.run("kernelmenu:restart")
        self.page.get_by_role("button", name="Confirm Kernel Restart").click()
        self.page.wait_for_function(f"{KERNEL}?.status !== 'idle'")

    def saved(self) -> str:
        """Save the notebook and give the file's text."""
        file = self.folder / "chat.ipynb"
        before = file.stat().st_mtime_ns
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        assert file.stat().st_mtime_ns > before
        return file.read_text()

    @property
    def chat(self) -> Locator:
        return self.page.get_by_role("region", name="Chat", exact=True)

    @property
    def log(self) -> Locator:
        return self.chat.get_by_role("log")

    @property
    def box(self) -> Locator:
        return self.chat.get_by_label("Your question")

    @property
    def replies(self) -> Locator:
        """The replies that have ended."""
        return self.log.locator("article.gl-reply:not([aria-busy])")

    def ask(self, text: str) -> None:
        """Type a question and press Enter."""
        self.box.fill(text)
        self.box.press("Enter")


@pytest.fixture
def notebook(jupyter, kernel, claude, browser_context, request) -> Iterator[Notebook]:
    folder = jupyter.root / request.node.name
    folder.mkdir()
    page = browser_context.new_page()
    found = Notebook(jupyter=jupyter, kernel=kernel, claude=claude, page=page, folder=folder)
    page.on("console", lambda message: found.console.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.console.append(f"uncaught: {error}"))
    yield found
    page.close()
    if request.node.stash[FAILED]:  # whatever still runs there must not spoil the next spec
        jupyter.call(f"kernels/{kernel}/restart", wait=True)


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

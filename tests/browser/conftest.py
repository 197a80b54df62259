"""What the browser specs share: one JupyterLab, one kernel and one browser; a notebook and a Claude for each spec."""

from collections.abc import Iterator
from typing import Any

import pytest
from messages_server import MessagesServer
from notebook_page import PATIENCE_MS, Jupyter, Notebook, browse, serve
from playwright.sync_api import BrowserContext, expect

FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory) -> Iterator[Jupyter]:
    with serve(tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.fixture(scope="session")
def kernel(jupyter) -> str:
    """Start the kernel that all specs share, so that each need not load the packages anew."""
    return jupyter.kernel()


@pytest.fixture(scope="session")
def browser_context(chromium) -> Iterator[BrowserContext]:
    with browse(chromium) as context:
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
    folder = jupyter.root / f"{request.path.stem}-{request.node.name}"
    folder.mkdir()
    found = _in_a_page(browser_context, jupyter=jupyter, kernel=kernel, claude=claude, folder=folder)
    yield found
    found.page.close()
    if request.node.stash[FAILED]:  # whatever still runs there must not spoil the next spec
        jupyter.call(f"kernels/{kernel}/restart", wait=True)


@pytest.fixture
def another(notebook, jupyter, browser_context) -> Iterator[Notebook]:
    """Give a second notebook in the first one's folder, with a kernel and a page of its own."""
    own = jupyter.kernel()
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

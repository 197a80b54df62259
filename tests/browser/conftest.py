"""What the browser specs share: one JupyterLab, one kernel and one browser; a notebook and a Claude for each spec."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from messages_server import MessagesServer
from notebook_page import PATIENCE_MS, Keyboard, Notebook, browse, serve
from playwright.sync_api import BrowserContext, Page, expect
from running_server import Running

FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def origin() -> Iterator[MessagesServer]:
    """Stand in for Claude where JupyterLab's own process asks, and be an origin which that allows."""
    with MessagesServer() as server:
        yield server


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory, origin) -> Iterator[Running]:
    allowed, folder = f"--ServerApp.allow_origin={origin.url}", tmp_path_factory.mktemp("jupyter")
    with serve(folder, allowed, base="/desk", ANTHROPIC_BASE_URL=origin.url) as server:
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


class Pages:
    """The browser's pages. All specs share one, for JupyterLab takes seconds to load."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self.kept: tuple[Page, list[str]] | None = None

    def new(self) -> tuple[Page, list[str]]:
        """Open a page; give it, and what it writes to its console."""
        page, console = self._context.new_page(), []
        page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: console.append(f"uncaught: {error}"))
        return page, console

    def shared(self) -> tuple[Page, list[str]]:
        self.kept = self.kept or self.new()
        return self.kept


@pytest.fixture(scope="session")
def pages(browser_context) -> Pages:
    return Pages(browser_context)


@pytest.fixture
def notebook(jupyter, kernel, claude, pages, request) -> Iterator[Notebook]:
    folder = jupyter.root / f"{request.path.stem}-{request.node.name}"
    folder.mkdir()
    page, console = pages.shared()
    console.clear()
    found = Notebook(page=page, jupyter=jupyter, kernel=kernel, claude=claude, folder=folder, console=console)
    yield found
    if request.node.stash.get(FAILED, True):  # whatever still runs there must not spoil the next spec
        page.close()
        pages.kept = None
        jupyter.call(f"kernels/{kernel}/restart", wait=True)
    elif page.url.startswith(jupyter.url):
        found.picture()


@pytest.fixture
def another(notebook, jupyter, pages) -> Iterator[Notebook]:
    """Give a second notebook in the first one's folder, with a kernel and a page of its own."""
    page, _ = pages.new()
    yield replace(notebook, kernel=jupyter.kernel(), page=page, name="another")
    page.close()


@pytest.fixture
def keyboard(notebook) -> Keyboard:
    return Keyboard(notebook)


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

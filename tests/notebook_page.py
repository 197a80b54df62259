"""A notebook that is open in JupyterLab, driven as a person does: what the browser specs share."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
from messages_server import MessagesServer, say
from nbformat import NotebookNode
from playwright.sync_api import BrowserContext, Locator, Page, expect, sync_playwright
from running_server import TOKEN, Running, serving

PATIENCE_MS = 30_000
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # As the most careless reader would have it: whatever widgets hold is saved into the notebook.
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
}
KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
# Close what is open without a question, and open another notebook: faster than to load the page anew.
SHOW = """async path => {
  const { shell, commands } = window.jupyterapp;
  for (const each of [...shell.widgets("main")]) {
    if (each.context) each.context.model.dirty = false;
    each.dispose();
  }
  await commands.execute("docmanager:open", { path });
  delete window.gallumpLabDraft; // what another spec left in its chat
}"""
OPEN = """
from gallump_lab import Lab
from gallump_lab.market import FileBroker
lab = Lab.open('lab.duckdb', broker=FileBroker())
lab.chat(watchlist=['AAPL'])"""
CLOCKED = """
from datetime import datetime
from pathlib import Path
from gallump_lab import Lab
from gallump_lab.market import FileBroker
lab = Lab.open('lab.duckdb', broker=FileBroker(), clock=lambda: datetime.fromisoformat(Path('clock').read_text()))
lab.chat()"""


def remembering(sessions: int, where: str) -> str:
    """Give a cell that opens the chat on a lab of so many past sessions, each of which says where a stop stands."""
    return f"""
from datetime import datetime, timedelta, UTC
import pandas as pd
from gallump_lab import Lab
from gallump_lab.market import FileBroker
lab = Lab.open('lab.duckdb', broker=FileBroker())
said = lambda i: (('user', f'My AAPL stop number {{i}} stands {where}.', 0), ('assistant', f'Noted, {{i}}.', 1))
lab.import_messages(pd.DataFrame([
    {{'role': role, 'text': text, 'symbol': 'AAPL', 'key': f'{{role}} {{i}}', 'conversation': str(i),
     'created_at': datetime(2026, 3, 2, 9, minute, tzinfo=UTC) + timedelta(days=i)}}
    for i in range({sessions}) for role, text, minute in said(i)]))
if not len(lab.insights):
    lab.insights.add('Waits for two closes before any exit.', kind='lesson', symbol='AAPL', sources=[1, 3])
lab.chat(watchlist=['AAPL'])"""


@contextmanager
def serve(folder: Path, *options: str, **given: str) -> Iterator[Running]:
    """Serve JupyterLab with no key, no proxy and no setting but those made in `folder`; notebooks are in its root.

    Options, a base URL and more of the environment are as for `serving`.
    """
    for name, settings in SETTINGS.items():
        path = folder / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    options = (
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
        *options,
    )
    environment = {
        "GALLUMP_LAB": f"{folder}/lab.duckdb",
        "JUPYTERLAB_SETTINGS_DIR": f"{folder}/settings",
        "JUPYTERLAB_WORKSPACES_DIR": f"{folder}/workspaces",
    }
    with serving(folder, *options, module="jupyterlab", **environment, **given) as running:
        yield running


@contextmanager
def browse(chromium: dict[str, Any]) -> Iterator[BrowserContext]:
    """Open a browser; `chromium` is what Playwright's `chromium.launch` takes."""
    with sync_playwright() as playwright, playwright.chromium.launch(**chromium) as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US", timezone_id="UTC")
        context.set_default_timeout(PATIENCE_MS)
        yield context


@dataclass(frozen=True, kw_only=True)
class Notebook:
    """A notebook that is open in JupyterLab, and the chat in it."""

    jupyter: Running
    kernel: str
    claude: MessagesServer
    page: Page
    folder: Path
    name: str = "chat"
    console: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Where the notebook is, for the server."""
        return f"{self.folder.name}/{self.name}.ipynb"

    def open(self, *cells: str | NotebookNode) -> None:
        """Write a notebook of these cells, open it and run it; a page that shows JupyterLab already shows it next."""
        setup = f"import os\nos.chdir({str(self.folder)!r})\nos.environ['ANTHROPIC_BASE_URL'] = {self.claude.url!r}"
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in (setup, *cells)],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, self.jupyter.root / self.path)
        self.jupyter.call("sessions", path=self.path, name="", type="notebook", kernel={"id": self.kernel})
        if self.page.url.startswith(self.jupyter.url):
            self.page.evaluate(SHOW, self.path)
        else:
            self.reload()
        self.run("notebook:run-all-cells")

    def reload(self) -> None:
        """Load the page anew, with this notebook alone."""
        workspace = f"{self.jupyter.url}/lab/workspaces/{self.folder.name}-{self.name}"
        self.page.goto(f"{workspace}/tree/{self.path}?reset&token={TOKEN}")

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
        file = self.folder / f"{self.name}.ipynb"
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

    def at(self, moment: datetime) -> None:
        """Set the clock of a lab that was opened as in CLOCKED."""
        (self.folder / "clock").write_text(moment.isoformat())

    def talk_twice(self) -> None:
        """Talk in two sessions, an hour apart."""
        now = datetime(2026, 3, 2, 9, tzinfo=UTC)
        self.at(now)
        self.open(CLOCKED)
        self.claude.queue(*(say("Noted.") for _ in range(2)))  # nothing of the first is said again
        for hours, question in enumerate(("Is a dividend due?", "What of the earnings call?")):
            self.at(now + timedelta(hours=hours))
            self.ask(question)
            expect(self.replies).to_have_count(hours + 1)

    def narrow(self, width: int = 320) -> None:
        """Make the chat so many pixels wide."""
        self.chat.evaluate("(chat, width) => { chat.style.width = `${width}px` }", width)

    def picture(self) -> None:
        """Keep a picture of the page in both themes, if GALLUMP_PICTURES is set."""
        for theme in ("Dark", "Light") if os.environ.get("GALLUMP_PICTURES") else ():
            self.page.evaluate(
                "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", f"JupyterLab {theme}"
            )
            expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)
            self.page.screenshot(path=self.folder / f"{theme.lower()}.png")


OUTSIDE = """root => [...root.querySelectorAll("*")].filter((each) => {
  if (!each.checkVisibility() || each.closest("pre, table, .gl-unseen")) return false;
  const { left, right } = each.getBoundingClientRect(), around = root.getBoundingClientRect();
  return left < around.left - 1 || right > around.right + 1;
}).map((each) => each.outerHTML)"""
"""What leaves its place to the left or right."""


def within(outer: Locator, inner: Locator) -> tuple[float, ...]:
    """Give where and how large a thing is inside another."""
    around, box = outer.bounding_box(), inner.bounding_box()
    return box["x"] - around["x"], box["y"] - around["y"], box["width"], box["height"]


FOCUSED = """chat => {
  const each = document.activeElement, style = getComputedStyle(each);
  if (!chat.contains(each)) return `not in the chat: ${each.outerHTML.slice(0, 200)}`;
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1) return `no outline: ${each.outerHTML}`;
  if (!each.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return `unseen: ${each.outerHTML}`;
}"""
"""What has the focus, unless the reader could not see that it has it."""


class Keyboard:
    """A person without a mouse; wherever the focus goes, it has to be in sight."""

    def __init__(self, notebook: Notebook) -> None:
        self.chat, self._keys = notebook.chat, notebook.page.keyboard

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self._keys.press(key)
        self.look()

    def type(self, text: str) -> None:
        """Type text where the focus is."""
        self._keys.type(text)

    def look(self) -> None:
        """Fail unless the focus is in sight."""
        assert self.chat.evaluate(FOCUSED) is None

    def reach(self, target: Locator, key: str = "Tab") -> None:
        """Go to a control, step by step."""
        for _ in range(80):
            if target.evaluate("each => each === document.activeElement"):
                return
            self.press(key)
        msg = f"{target} is out of reach"
        raise AssertionError(msg)

    def use(self, target: Locator, key: str = "Tab") -> None:
        """Go to a control and press Enter."""
        self.reach(target, key)
        self._keys.press("Enter")

"""The chat serves everyone: keyboard alone, screen reader, clipboard, any width."""

import threading

import pytest
from messages_server import RECOMMENDATION, end, say, start, text, tool
from notebook_page import OPEN, OUTSIDE
from playwright.sync_api import expect

OVERFLOWS = "log => [log, ...log.querySelectorAll('article')].some(each => each.scrollWidth > each.clientWidth)"

NAMELESS = """chat => [...chat.querySelectorAll("button, input, textarea, select, [role]")].filter((each) =>
  !(each.ariaLabel || each.labels?.length || each.textContent || each.role === "status" || !each.checkVisibility())
).map((each) => each.outerHTML)"""

# What a screen reader is told unasked.
HEAR = """chat => {
  window.heard = [];
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      const place = (target.closest ? target : target.parentElement)?.closest("[aria-live], [role=status], [role=log]");
      const live = place && (place.ariaLive ?? (place.role === "status" ? "polite" : "off"));
      const words = live === "polite" ? [...addedNodes].map((each) => each.textContent).join("") : "";
      if (words) window.heard.push(words);
    }
  }).observe(chat, { childList: true, subtree: true, characterData: true });
}"""


@pytest.fixture
def clipboard(notebook):
    """Give what reads the clipboard."""
    notebook.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield lambda: notebook.page.evaluate("() => navigator.clipboard.readText()")
    notebook.page.context.clear_permissions()


def test_asking_stopping_retrying_deciding_and_copying_take_no_mouse(notebook, claude, keyboard, clipboard):
    hold = threading.Event()
    claude.queue(
        [start(), *text("Half of ", threading.Event(), "a reply"), *end()],
        [start(), *text("Here it ", hold, "is."), *tool({"recommendations": [RECOMMENDATION]}), *end()],
    )
    notebook.open(OPEN)
    expect(notebook.box).to_be_visible()
    for _ in range(9):
        if notebook.chat.evaluate("chat => chat.contains(document.activeElement)"):
            break
        notebook.page.keyboard.press("Tab")
    keyboard.press("Escape")
    expect(notebook.box).to_be_focused()
    keyboard.type("Go on at length")
    keyboard.press("Enter")
    expect(notebook.log).to_contain_text("Half of")
    keyboard.press("Escape")
    expect(notebook.replies).to_contain_text("stopped")
    keyboard.use(notebook.log.get_by_role("button", name="Retry"), "Shift+Tab")
    expect(notebook.log).to_contain_text("Here it")
    keyboard.look()
    hold.set()
    expect(notebook.replies).to_have_count(2)
    expect(notebook.log.get_by_role("button", name="Retry")).to_be_hidden()
    keyboard.reach(notebook.log.get_by_label("Note"))
    keyboard.type("Good odds")
    keyboard.use(notebook.log.get_by_role("button", name="Accept"))
    expect(notebook.log.get_by_role("button", name="Change")).to_be_focused()
    expect(notebook.log).to_contain_text("Good odds")
    keyboard.use(notebook.replies.last.get_by_role("button", name="Copy this message"), "Shift+Tab")
    expect(notebook.replies.last.get_by_role("button", name="Copied")).to_be_focused()
    assert clipboard() == "Here it is."
    keyboard.press("Escape")
    expect(notebook.box).to_be_focused()


def test_a_screen_reader_hears_a_reply_once_every_control_has_a_name_and_all_fits_from_a_phone_to_a_wide_screen(
    notebook, claude
):
    pieces = [f"word{i} " for i in range(20)]
    claude.delay = 0.02
    claude.queue(
        [start(), *text(*pieces, "end.\n\n```\ncode\n```"), *tool({"recommendations": [RECOMMENDATION]}), *end()]
    )
    notebook.open(OPEN)
    expect(notebook.box).to_be_visible()
    notebook.chat.evaluate(HEAR)
    notebook.ask("Read it to me")
    expect(notebook.replies).to_have_count(1)
    (heard,) = notebook.page.evaluate("() => window.heard")
    assert heard.count("word19 end.") == 1
    assert "buy AAPL".casefold() in heard.casefold()
    assert "Read it to me" not in heard
    sessions = notebook.chat.get_by_role("button", name="Sessions")
    drawer = notebook.chat.get_by_role("complementary", name="Sessions")
    notebook.chat.get_by_role("button", name="Context", exact=True).click()
    sessions.click()
    expect(drawer.get_by_role("listitem")).to_have_count(1)
    assert notebook.chat.evaluate(NAMELESS) == []

    code = f"```\n{'long ' * 60}\n```\n\n| {'wide | ' * 20}\n|{'--|' * 20}\n\n`{'long' * 200}`"
    claude.queue([start(), *text(code), *tool({"recommendations": [RECOMMENDATION]}), *end()])
    notebook.page.set_viewport_size({"width": 1900, "height": 900})
    drawer.get_by_label("Search sessions").press("Escape")
    notebook.ask("Any idea?")
    expect(notebook.replies).to_have_count(2)
    panel = notebook.chat.get_by_role("complementary", name="Context")
    expect(panel).to_contain_text("Room left")
    for width in (320, 480, 760, 1400):
        notebook.narrow(width)
        sessions.click()
        expect(drawer).to_be_in_viewport()
        assert notebook.chat.evaluate(OUTSIDE) == []
        drawer.get_by_label("Search sessions").press("Escape")
        assert notebook.chat.evaluate(OUTSIDE) == []
        assert not notebook.log.evaluate(OVERFLOWS)
        if width == 320:
            assert notebook.replies.locator("table").evaluate("table => table.scrollWidth > table.clientWidth")
    notebook.page.set_viewport_size({"width": 1280, "height": 900})


def test_keys_reach_the_notebook_only_to_save_and_what_is_said_is_copied_with_and_without_a_clipboard(
    notebook, claude, clipboard
):
    notebook.open(OPEN)
    notebook.box.press_sequentially("One")
    notebook.box.press("Shift+Enter")
    notebook.box.press_sequentially("Two")
    notebook.box.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    notebook.box.dispatch_event("keydown", {"key": "Enter", "keyCode": 229})
    expect(notebook.box).to_have_value("One\nTwo")
    notebook.box.press("Enter")
    expect(notebook.log.locator("article.gl-question .gl-text")).to_have_text("One\nTwo", use_inner_text=True)
    expect(notebook.replies).to_have_count(1)
    file = notebook.folder / "chat.ipynb"
    before = file.read_text()
    notebook.box.press_sequentially("Half a question")
    notebook.box.press("Control+s")
    expect(notebook.page.get_by_text("Saving completed")).to_be_attached()
    assert file.read_text() != before
    expect(notebook.box).to_be_focused()
    notebook.replies.get_by_role("button", name="Copy this message").focus()
    for key in ("a", "b", "x", "d", "d", "m", "Shift+M", "Control+Enter", "Shift+Enter", "0", "0"):
        notebook.page.keyboard.press(key)
    expect(notebook.page.locator(".jp-Cell")).to_have_count(2)
    expect(notebook.page.get_by_role("dialog")).to_have_count(0)
    expect(notebook.box).to_have_value("Half a question")

    claude.queue(say("Run **this**:\n\n```python\nlab.ask('?')\n```"))
    notebook.ask("What do I run?")
    expect(notebook.replies).to_have_count(2)
    reply = notebook.replies.last
    reply.hover()
    reply.get_by_role("button", name="Copy this code").click()
    expect(reply.get_by_role("button", name="Copied")).to_have_text("Copied")
    assert clipboard() == "lab.ask('?')\n"
    notebook.page.evaluate("() => Object.defineProperty(navigator, 'clipboard', { configurable: true })")
    reply.get_by_role("button", name="Copy this message").click()
    expect(reply.locator("header").get_by_role("button", name="Copied")).to_be_focused()
    notebook.box.press("Control+v")
    expect(notebook.box).to_have_value("Run **this**:\n\n```python\nlab.ask('?')\n```")
    notebook.page.evaluate("() => { document.execCommand = () => false }")
    question = notebook.log.locator("article").first
    question.hover()
    question.get_by_role("button", name="Copy this message").click()
    expect(question.get_by_role("button", name="Not copied")).to_be_visible()
    expect(question.get_by_role("button", name="Copy this message")).to_have_text("Copy")
    notebook.page.evaluate("() => { delete navigator.clipboard; delete document.execCommand }")

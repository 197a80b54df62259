"""A person finds, carries on, exports and forgets what was said: one behaviour a spec."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from messages_server import say
from notebook_page import CLOCKED
from playwright.sync_api import expect


def test_a_new_session_begins_after_the_break_and_when_it_is_asked_for_and_a_divider_says_so(notebook):
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    notebook.at(now)
    notebook.open(CLOCKED)
    notebook.ask("Before the break")
    expect(notebook.replies).to_have_count(1)
    divider = notebook.log.locator(".gl-divider")
    expect(divider).to_have_count(0)
    notebook.at(now + timedelta(minutes=31))
    notebook.ask("After the break")
    expect(notebook.replies).to_have_count(2)
    expect(divider).to_have_text("Session ended after 30 minutes \u00b7 new session")
    notebook.chat.get_by_role("button", name="New session").click()
    expect(notebook.chat.get_by_role("status")).to_contain_text("Your next question begins a new session")
    expect(notebook.log.locator("article")).to_have_count(0)
    for count, words in enumerate(("In another", "Still in it"), 1):
        notebook.ask(words)
        expect(notebook.replies).to_have_count(count)
    notebook.chat.get_by_role("button", name="All messages").click()
    expect(notebook.replies).to_have_count(4)
    expect(divider).to_have_text(["Session ended after 30 minutes \u00b7 new session", "New session"])


def test_sessions_are_found_exported_opened_carried_on_and_forgotten_without_a_mouse(notebook, claude, keyboard):
    notebook.talk_twice()
    claude.queue(say("Noted."))
    sessions = notebook.chat.get_by_role("button", name="Sessions")
    drawer = notebook.chat.get_by_role("complementary", name="Sessions")
    found, said = drawer.get_by_role("listitem"), notebook.log.locator("article")
    keyboard.use(sessions, "Shift+Tab")
    expect(drawer.get_by_label("Search sessions")).to_be_focused()
    expect(found).to_have_count(2)
    expect(found.first).to_contain_text("What of the earnings call?")
    expect(found.first).to_contain_text("2 messages")
    keyboard.type("dividends")
    expect(found).to_have_count(1)
    with notebook.page.expect_download() as download:
        keyboard.use(drawer.get_by_role("button", name="Export"))
    assert download.value.suggested_filename == "is-a-dividend-due.md"
    assert "Is a dividend due?" in Path(download.value.path()).read_text()
    keyboard.use(drawer.get_by_role("button", name="Is a dividend due?"), "Shift+Tab")
    expect(drawer).to_be_hidden()
    expect(said).to_have_count(2)
    expect(notebook.box).to_be_focused()
    shown = notebook.chat.get_by_role("group", name="Session shown")
    expect(shown).to_contain_text("Your next question begins a new one that goes on from it")
    notebook.ask("And the one after?")
    expect(notebook.replies).to_have_count(2)
    expect(shown).to_contain_text("Your next question goes on with this session")
    expect(notebook.chat.get_by_role("status")).to_contain_text("A new session began")
    keyboard.use(shown.get_by_role("button", name="What it goes on from"), "Shift+Tab")
    expect(said).to_have_count(2)
    keyboard.use(shown.get_by_role("button", name="All messages"), "Shift+Tab")
    expect(said).to_have_count(6)
    expect(shown).to_be_hidden()
    expect(notebook.box).to_be_focused()
    second = said.nth(1)
    keyboard.use(second.get_by_role("button", name="Forget this message"), "Shift+Tab")
    expect(second.get_by_role("button", name="Keep")).to_be_focused()
    keyboard.use(second.get_by_role("button", name="Forget", exact=True), "Shift+Tab")
    expect(said).to_have_count(5)
    expect(second).to_be_focused()
    expect(second).to_contain_text("What of the earnings call?")
    keyboard.use(sessions, "Shift+Tab")
    keyboard.use(drawer.get_by_role("button", name="Forget this session"))
    keyboard.use(drawer.get_by_role("button", name="Forget", exact=True), "Shift+Tab")
    expect(drawer).to_contain_text("No session says that")
    expect(drawer.get_by_label("Search sessions")).to_be_focused()
    keyboard.press("Escape")
    expect(sessions).to_be_focused()
    keyboard.press("Escape")
    expect(notebook.box).to_be_focused()

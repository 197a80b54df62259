"""A person finds, carries on, exports and forgets what was said: one behaviour a spec."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from notebook_page import CLOCKED, OPEN
from playwright.sync_api import expect


def test_an_ended_session_shows_a_divider_and_a_new_one_begins(notebook):
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
    expect(divider).to_have_text("Session ended after 30 minutes · new session")
    notebook.ask("Still after the break")
    expect(notebook.replies).to_have_count(3)
    expect(divider).to_have_count(1)
    expect(notebook.log.locator("article").nth(2)).to_contain_text("After the break")


def test_an_unknown_session_is_said(notebook):
    notebook.open("from gallump_lab import Lab\nLab.open('lab.duckdb').chat(session_id='nowhere')")
    expect(notebook.chat.get_by_role("status")).to_contain_text("'nowhere' is not in this lab")
    notebook.ask("Hello?")
    expect(notebook.replies).to_have_count(1)
    expect(notebook.chat.get_by_role("status")).to_be_hidden()


def test_sessions_are_found_opened_carried_on_and_exported(notebook):
    notebook.talk_twice()
    notebook.chat.get_by_role("button", name="Sessions").click()
    drawer = notebook.chat.get_by_role("complementary", name="Sessions")
    expect(drawer.get_by_role("listitem")).to_have_count(2)
    expect(drawer.get_by_role("listitem").first).to_contain_text("What of the earnings call?")
    expect(drawer.get_by_role("listitem").first).to_contain_text("2 messages")
    notebook.picture("sessions")
    drawer.get_by_label("Search sessions").press_sequentially("dividends")
    expect(drawer.get_by_role("listitem")).to_have_count(1)
    with notebook.page.expect_download() as download:
        drawer.get_by_role("button", name="Export").click()
    assert download.value.suggested_filename == "is-a-dividend-due.md"
    assert "Is a dividend due?" in Path(download.value.path()).read_text()
    drawer.get_by_role("button", name="Is a dividend due?").click()
    expect(drawer).to_be_hidden()
    expect(notebook.log).not_to_contain_text("earnings")
    shown = notebook.chat.get_by_role("group", name="Session shown")
    expect(shown).to_contain_text("Your next question begins a new one that goes on from it")
    notebook.picture("session")
    notebook.ask("And the one after?")
    expect(notebook.replies).to_have_count(2)
    expect(shown).to_contain_text("Your next question goes on with this session")
    expect(notebook.chat.get_by_role("status")).to_contain_text("A new session began")
    shown.get_by_role("button", name="What it goes on from").click()
    expect(notebook.log.locator("article")).to_have_count(2)
    shown.get_by_role("button", name="All messages").click()
    expect(notebook.log.locator("article")).to_have_count(6)
    expect(shown).to_be_hidden()


def test_a_new_session_begins_when_it_is_asked_for(notebook):
    notebook.open(OPEN)
    notebook.ask("In the first")
    expect(notebook.replies).to_have_count(1)
    notebook.chat.get_by_role("button", name="New session").click()
    expect(notebook.chat.get_by_role("status")).to_contain_text("Your next question begins a new session")
    notebook.ask("In the second")
    expect(notebook.replies).to_have_count(2)
    expect(notebook.log.locator(".gl-divider")).to_have_text("New session")

"""HOT: sessions begin, go on and end; what may be said, and what is refused."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clock import Clock

from gallump_lab import Config, Lab
from gallump_lab.memory.sessions import SessionManager
from gallump_lab.store import Store

START = datetime(2013, 2, 28, 15, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def lab(anew, clock: Clock) -> Lab:
    numbers = itertools.count(1)
    return anew(clock=clock, ids=lambda: f"session-{next(numbers)}")


def test_a_session_goes_on_for_thirty_minutes_after_its_last_message(lab: Lab, clock: Clock) -> None:
    first = lab.sessions.get_or_create_session()
    assert (first, first.new, first.notice) == ("session-1", True, None)
    clock.now += timedelta(minutes=20)
    lab.sessions.add_message(first, "user", "Still here.")
    clock.now += timedelta(minutes=30)
    same = lab.sessions.get_or_create_session(first)
    assert (same, same.new, same.notice) == ("session-1", False, None)
    clock.now += timedelta(seconds=1)
    second = lab.sessions.get_or_create_session(first)
    assert (second, second.new) == ("session-2", True)
    assert second.notice == "The session ended after 30 minutes without a message. A new session began."
    assert not lab.sessions.live(first)
    unknown = lab.sessions.get_or_create_session("someone else's")
    assert (unknown, "not in this lab" in (unknown.notice or "")) == ("session-3", True)
    lab.apply(Config(session_minutes=5))
    clock.now += timedelta(minutes=6)
    assert "after 5 minutes" in (lab.sessions.get_or_create_session(unknown).notice or "")


def test_what_lies_ahead_of_now_keeps_no_session_alive_but_for_seconds(lab: Lab, clock: Clock) -> None:
    clock.now = START.replace(year=2030)  # the machine's clock was wrong
    wrong = lab.ask("My stop on AAPL is 421.").session_id
    clock.now = START
    assert not lab.sessions.live(wrong)
    reply = lab.ask("And now?", session_id=wrong)
    assert reply.session_id != wrong
    assert "ended" in (reply.notice or "")
    assert [text for text in lab.insights.frame["text"] if "421" in text]
    clock.now -= timedelta(seconds=20)
    assert lab.sessions.live(reply.session_id)


def test_a_message_keeps_its_times_symbol_and_tokens_and_a_session_its_title(lab: Lab, clock: Clock) -> None:
    session = lab.sessions.get_or_create_session()
    said = START - timedelta(days=300)
    lab.sessions.add_message(session, "user", "I  bought\nApple.", "aapl", created_at=said)
    lab.sessions.add_message(session, "assistant", "By its own history, yes.", created_at=said)
    row = lab.messages.iloc[0]
    assert (row["symbol"], row["created_at"], row["arrived_at"], row["tokens"]) == ("AAPL", said, clock.now, 6)
    row = lab.history().iloc[0]
    assert (row["title"], row["symbol"], row["messages"]) == ("I bought Apple.", "AAPL", 2)
    assert (row["created_at"], row["last_at"]) == (said, said)
    assert not lab.sessions.live(session)


def test_what_cannot_be_a_message_is_refused_and_nothing_is_stored(lab: Lab) -> None:
    session = lab.sessions.get_or_create_session()
    for arguments, words in (
        (("system", "hello"), "role must be 'user' or 'assistant', not 'system'"),
        (("user", ""), "text must be words to remember"),
        (("user", " \n\t"), "text must be words to remember"),
        (("user", None), "text must be words to remember, not None"),
        (("user", "x" * 200_001), "text has 200,001 characters; a message takes at most 200,000"),
        (("user", "hello", "not a symbol"), "not a symbol"),
        (("user", "hello", "AAPL\nMSFT"), "AAPL"),
        (("user", "hello", None, datetime(2013, 1, 1)), "created_at must be a datetime with a time zone"),  # noqa: DTZ001
        (("user", "hello", None, START + timedelta(days=3)), "lies in the future"),
    ):
        with pytest.raises(ValueError, match=words):
            lab.sessions.add_message(session, *arguments)
    with pytest.raises(ValueError, match="get_or_create_session"):
        lab.sessions.add_message("nobody", "user", "hello")
    with pytest.raises(ValueError, match="needs storage"):
        SessionManager()
    assert lab.messages.empty


def test_an_ended_session_takes_no_further_question_but_a_late_reply_and_an_import(lab: Lab, clock: Clock) -> None:
    session = lab.sessions.get_or_create_session()
    lab.sessions.add_message(session, "user", "Is it cheap?")
    clock.now += timedelta(hours=2)
    with pytest.raises(ValueError, match="ended after 30 minutes"):
        lab.sessions.add_message(session, "user", "And now?")
    lab.sessions.add_message(session, "assistant", "It was.", created_at=START)
    lab.sessions.add_message(session, "user", "Imported.", created_at=START - timedelta(days=1))
    assert not lab.sessions.live(session)


def test_odd_text_comes_back_as_it_was_said(lab: Lab) -> None:
    session = lab.sessions.get_or_create_session()
    texts = ["🚀 to the moon", "a\0b", "东京", "<|endoftext|>", "$190 to $210", "line\r\nbreak", "\u202egnp.exe"]
    for text in texts:
        lab.sessions.add_message(session, "user", text)
    assert lab.messages["text"].tolist() == texts
    lab.sessions.add_message(session, "user", "half \ud83d a pair")
    assert lab.messages["text"].iloc[-1] == "half \ufffd a pair"


def test_the_guides_calls_work_as_the_guide_writes_them(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    manager = SessionManager(cache=None, storage=store)
    session = manager.get_or_create_session(None)
    manager.add_message(session, "user", "My stop is at 180.", "AAPL")
    manager.add_message(session, "assistant", "Noted.", "AAPL")
    manager.add_message(session, "user", "What was my stop?", "AAPL")
    context = manager.get_context(session, "AAPL")
    assert [said["message"] for said in context.current_messages] == ["My stop is at 180.", "Noted."]
    assert context.messages_in_session == 3
    assert [slot.text for slot in context.slots if slot.kept] == ["My stop is at 180.", "Noted."]

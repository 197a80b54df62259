"""What the chat tells its views, and when."""

import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import nbformat
import pytest
from front_end import FrontEnd as AnyFrontEnd
from messages_server import MessagesServer, Status, end, say, start, text
from nbconvert import HTMLExporter

from gallump_lab import Budget, Config, Lab, Model
from gallump_lab.brain.answer import Recommendation
from gallump_lab.reading.symbols import SymbolError
from gallump_lab.ui.chat import HISTORY, REPAINTS, ChatWidget
from gallump_lab.ui.entries import file_name, risk


class FrontEnd(AnyFrontEnd):
    """The browser of a chat."""

    def ask(self, question, watchlist=""):
        self.say("ask", text=question, watchlist=watchlist)

    def history(self):
        """Give what a view that has just been drawn is told."""
        self.say("ready", view=uuid.uuid4().hex)
        return self.until("history")[1]


@pytest.fixture
def claude(monkeypatch):
    with MessagesServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


@pytest.fixture
def lab(tmp_path):
    return Lab.open(tmp_path / "lab.duckdb", config=Config(model=Model(max_retries=0)))


@pytest.fixture
def chat(lab):
    return lab.chat(watchlist=["AAPL"])


def test_its_repr_is_plain_and_its_saved_state_holds_no_word_of_the_talk(chat):
    assert repr(chat) == "<ChatWidget session=None>"
    front = FrontEnd(chat)
    front.ask("A secret plan", "AAPL")
    front.until("done")
    assert repr(chat) == f"<ChatWidget session='{chat.session_id}'>"
    assert not {"lab", "watchlist", "session_id"} & chat.get_state().keys()
    assert "secret" not in repr(chat.get_state())


def test_a_question_is_told_at_once_then_grows_a_reply_and_ends_as_the_lab_stored_it(chat, lab):
    front = FrontEnd(chat)
    front.ask("Is AAPL worth it at $190 to $210?", "aapl, msft")
    before, done = front.until("done")
    assert [each["type"] for each in before][:2] == ["watchlist", "started"]
    assert before[0]["text"] == "AAPL, MSFT"
    assert before[1]["question"]["text"] == "Is AAPL worth it at $190 to $210?"
    question, reply = done["entries"]
    assert question["symbol"] == "AAPL"
    assert "<strong>AAPL</strong> closed at $430.47" in reply["html"]
    assert reply["turn"]["model"] == "offline-analyst"
    assert [tier[0] for tier in reply["turn"]["tiers"]] == ["HOT", "WARM", "COLD"]
    assert [tier[2] for tier in reply["turn"]["tiers"]] == [2000, 500, 200]
    assert lab.transcript()[0]["text"] == question["text"]
    assert done["restore"] == ""


def test_a_new_view_gets_the_history_and_what_is_running(chat, claude):
    front, hold = FrontEnd(chat), threading.Event()
    front.ask("First")
    front.until("done")
    claude.queue([start(), *text("Settled.\n\nOpen **wor", hold, "d**"), *end()])
    front.ask("Second")
    front.until("grown")
    history = front.history()
    assert [entry.get("text") for entry in history["entries"] if entry["role"] == "user"] == ["First"]
    assert history["running"]["question"]["text"] == "Second"
    hold.set()
    front.until("done")
    assert [entry["role"] for entry in front.history()["entries"]] == ["user", "assistant"] * 2
    assert front.history()["running"] is None


def test_a_second_question_is_refused_while_a_reply_is_coming_and_stop_ends_it(chat, claude):
    front = FrontEnd(chat)
    claude.queue([start(), *text("Half a ", threading.Event(), "reply"), *end()])
    front.ask("First")
    front.until("grown")
    front.ask("Second")
    assert "still coming" in front.until("refused")[1]["words"]
    front.say("stop")
    entries = front.until("done")[1]["entries"]
    assert [(entry["role"], entry["state"]) for entry in entries] == [("user", "complete"), ("assistant", "stopped")]
    assert entries[1]["html"] == "<p>Half a</p>\n"


def test_a_reply_is_painted_at_most_so_often(chat, claude):
    front = FrontEnd(chat)
    claude.queue(say(*(f"word{i} " for i in range(2000))))
    begun = time.monotonic()
    front.ask("Much?")
    before, _ = front.until("done")
    assert sum(each["type"] == "grown" for each in before) <= (time.monotonic() - begun) * REPAINTS + 2


def test_a_fault_of_the_model_stands_at_the_question(chat, claude):
    front = FrontEnd(chat)
    claude.queue(Status.error(529, "overloaded_error", "Overloaded"))
    front.ask("Hello?")
    done = front.until("done")[1]
    (question,) = done["entries"]
    assert question["text"] == "Hello?"
    assert question["state"] == "failed"
    assert "overloaded" in question["turn"]["fault"]
    assert done["restore"] == ""
    assert question == front.history()["entries"][-1]
    front.ask("And now?")
    assert len(front.until("done")[1]["entries"]) == 2


def test_what_was_not_stored_comes_back_to_the_box_with_the_reason(tmp_path):
    def broken():
        return str(1 / 0)

    chat = Lab.open(tmp_path / "lab.duckdb", ids=broken).chat()
    front = FrontEnd(chat)
    front.ask("Keep me")
    done = front.until("done")[1]
    assert done["restore"] == "Keep me"
    assert done["entries"][0]["fault"] == "ZeroDivisionError: division by zero"
    assert isinstance(chat.error, ZeroDivisionError)
    front.ask("x" * 200_001)
    assert "200,000" in front.until("done")[1]["entries"][0]["fault"]


def test_a_lab_that_cannot_be_read_is_said(chat, lab):
    front = FrontEnd(chat)
    lab.store.path.write_bytes(b"not a database any more" * 1000)
    assert "lab.duckdb" in front.history()["fault"]
    front.ask("Still there?")
    assert front.until("done")[1]["restore"] == "Still there?"


def test_a_bad_symbol_is_refused_and_the_watchlist_stays(chat, lab):
    front = FrontEnd(chat)
    front.ask("Hello?", "AAPL, <b>")
    assert "'<b>'" in front.until("refused")[1]["words"]
    assert chat.watchlist == ("AAPL",)
    assert lab.transcript() == []
    front.say("watchlist", text=" msft ,, ibm msft")
    assert front.until("watchlist")[1]["text"] == "MSFT, IBM"
    with pytest.raises(SymbolError, match="not 'a b'"):
        ChatWidget(lab, ["a b"])


def test_a_reopened_chat_carries_on_the_newest_session_until_it_has_ended(tmp_path):
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: now)
    first = lab.chat()
    front = FrontEnd(first)
    front.ask("Morning")
    front.until("done")
    assert lab.chat().session_id == first.session_id
    now += timedelta(minutes=31)
    assert lab.chat().session_id is None
    front.ask("Later")
    before, done = front.until("done")
    started = next(each for each in before if each["type"] == "started")
    sessions = [entry["session"] for entry in front.history()["entries"]]
    assert started["question"]["session"] not in sessions
    assert sessions == [sessions[0]] * 2 + [done["entries"][0]["session"]] * 2
    assert first.session_id == sessions[2] != sessions[0]


def test_the_newest_messages_are_shown_and_earlier_ones_are_mentioned(chat, lab):
    front = FrontEnd(chat)
    assert front.history()["earlier"] is False
    session = lab.sessions.get_or_create_session(None)
    for i in range(HISTORY + 1):
        lab.sessions.add_message(session, "user", f"Note {i}")
    history = front.history()
    assert history["earlier"] is True
    assert [history["entries"][0]["text"], history["entries"][-1]["text"]] == ["Note 1", f"Note {HISTORY}"]


def test_a_question_too_long_for_the_window_is_not_stored_and_put_back_into_the_box_to_be_shortened(tmp_path):
    small = Budget(hot=200, warm=100, cold=50, window=6_000)
    lab = Lab.open(tmp_path / "lab.duckdb", config=Config(budget=small))
    front = FrontEnd(lab.chat())
    front.ask(text := "one two three " * 10_000)
    done = front.until("done")[1]
    assert done["restore"] == text
    (question,) = done["entries"]
    assert "id" not in question
    assert lab.messages.empty
    assert "window" in question["fault"]


def test_retry_answers_the_stored_question_and_a_question_with_a_reply_is_not_asked_again(chat, claude, lab):
    front = FrontEnd(chat)
    claude.queue(
        Status.error(400, "invalid_request_error", "No"), [start(), *text("Ye", hold := threading.Event(), "s"), *end()]
    )
    front.ask("Now?")
    (failed,) = front.until("done")[1]["entries"]
    front.say("retry", question=failed["id"])
    before = front.until("grown")[0]
    assert before[0]["question"] is None
    history = front.history()
    assert [entry["id"] for entry in history["entries"]] == [failed["id"]]
    assert history["running"]["session"] == failed["session"]
    front.say("show", session=None)
    assert "still coming" in front.until("trouble")[1]["words"]
    hold.set()
    assert [entry["role"] for entry in front.until("done")[1]["entries"]] == ["user", "assistant"]
    front.say("retry", question=failed["id"])
    assert "has a reply" in front.until("done")[1]["entries"][0]["fault"]
    assert len(lab.transcript()) == 2


def test_a_retry_under_way_hides_nothing_that_was_said_since(chat, claude):
    front, hold = FrontEnd(chat), threading.Event()
    claude.queue(Status.error(400, "invalid_request_error", "No"), say("Two."), [start(), *text("On", hold, "e")])
    for question in ("First", "Second"):
        front.ask(question)
        entries = front.until("done")[1]["entries"]
    front.say("retry", question=1)
    front.until("grown")
    assert [entry["text"] for entry in front.history()["entries"]] == ["First", "Second", "Two."]
    assert entries[1]["text"] == "Two."
    hold.set()
    front.until("done")


def test_a_view_is_told_what_another_notebook_added_and_of_much_all_of_it(chat, lab):
    front = FrontEnd(chat)
    front.history()
    session = lab.sessions.get_or_create_session(None)
    lab.sessions.add_message(session, "user", "From elsewhere")
    front.say("sync", newest=0)
    assert [entry["text"] for entry in front.until("fresh")[1]["entries"]] == ["From elsewhere"]
    for i in range(HISTORY + 1):
        lab.sessions.add_message(session, "user", f"Note {i}")
    front.say("sync", newest=1)
    told = front.until("history")[1]
    assert told["view"] is None
    assert told["earlier"] is True


def test_a_spending_limit_keeps_the_text_and_shows_how_it_stands(tmp_path, claude):
    lab = Lab.open(tmp_path / "lab.duckdb", config=Config(model=Model(max_usd_per_day=0.0003)))
    front = FrontEnd(lab.chat())
    claude.queue(say("One."))
    front.ask("First")
    front.until("done")
    front.ask("Second")
    done = front.until("done")[1]
    assert done["restore"] == "Second"
    assert "Today's replies cost" in done["entries"][0]["fault"]
    assert done["spending"]["spent"] >= done["spending"]["limit"] == 0.0003


def test_a_static_chat_leaves_its_transcript_for_readers_without_its_front_end(chat, lab, claude):
    front = FrontEnd(chat)
    claude.queue(say("Use **stops** & <script>alert(1)</script>"))
    front.ask("Is <b>this</b> a\n    plan?")
    front.until("done")
    plain, static = (shown._repr_mimebundle_()[0] for shown in (lab.chat(), lab.chat(static=True)))
    assert "plan" not in repr(plain)
    cells = [
        nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", data=data)])
        for data in (plain, static)
    ]
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=cells))
    assert page.count("Is &lt;b&gt;this&lt;/b&gt; a\n    plan?") == 1
    assert "<strong>stops</strong> &amp; &lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "No session" in lab.chat(session_id="nowhere", static=True)._repr_mimebundle_()[0]["text/html"]


def test_risk_is_told_where_entry_stands_between_stop_and_target():
    given = {"symbol": "AAPL", "confidence": 0.5, "entry": 100.0}
    long = risk(Recommendation(action="buy", stop=90.0, target=125.0, **given))
    assert long == {"risk": 10.0, "reward": 25.0, "multiple": 2.5, "risk_share": 0.1, "reward_share": 0.25}
    assert risk(Recommendation(action="short", stop=105.0, target=90.0, **given))["multiple"] == 2.0
    assert risk(Recommendation(action="hold", stop=105.0, target=125.0, **given)) is None
    assert risk(Recommendation(action="hold", stop=100.0, target=125.0, **given)) is None
    assert risk(Recommendation(action="buy", stop=90.0, **given)) is None


def test_a_file_is_named_by_plain_letters_alone():
    assert file_name("Is AAPL <b>../worth</b> it?") == "is-aapl-b-worth-b-it.md"
    assert file_name("…") == "session.md"

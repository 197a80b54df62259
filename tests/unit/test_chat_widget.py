"""What the chat tells its views, and when."""

import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import nbformat
import pandas as pd
import pytest
from front_end import FrontEnd as AnyFrontEnd
from messages_server import MessagesServer, Status, end, say, start, text
from nbconvert import HTMLExporter

from gallump_lab import Budget, Config, Lab, Model
from gallump_lab.brain.answer import Recommendation
from gallump_lab.market import FileBroker
from gallump_lab.reading.symbols import SymbolError
from gallump_lab.ui.chat import HISTORY, REPAINTS, ChatWidget
from gallump_lab.ui.widget import file_name, risk


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
def lab(anew):
    return anew(broker=FileBroker(), config=Config(model=Model(max_retries=0)))


@pytest.fixture
def chat(lab):
    return lab.chat(watchlist=["AAPL"])


def test_a_question_is_told_at_once_then_grows_a_reply_and_no_word_of_it_is_in_the_saved_state(chat, lab):
    assert repr(chat) == "<ChatWidget session=None>"
    front = FrontEnd(chat)
    front.ask("Is AAPL worth it at $190 to $210?", "aapl, msft")
    before, done = front.until("done")
    before = [each for each in before if each["type"] != "prices"]  # they come when the market answers
    assert [each["type"] for each in before][:2] == ["watchlist", "started"]
    assert before[0]["text"] == "AAPL, MSFT"
    assert before[1]["question"]["text"] == "Is AAPL worth it at $190 to $210?"
    question, reply = done["entries"]
    assert question["symbol"] == "AAPL"
    assert "<strong>AAPL</strong> closed at $430.47" in reply["html"]
    assert reply["turn"]["model"] == "offline-analyst"
    assert [reply["turn"]["budget"][tier] for tier in ("hot", "warm", "cold")] == [2000, 500, 200]
    assert lab.transcript()[0]["text"] == question["text"]
    assert done["restore"] == ""
    assert repr(chat) == f"<ChatWidget session='{chat.session_id}'>"
    assert "worth" not in repr(chat.get_state())


def test_a_password_in_a_question_is_masked_as_soon_as_it_is_sent(chat):
    front = FrontEnd(chat)
    front.ask("My password: Tr0ub4dor&3", "aapl")
    before, done = front.until("done")
    assert "Tr0ub4dor" not in repr([*before, done])


def test_a_reply_is_painted_at_most_so_often(chat, claude):
    front = FrontEnd(chat)
    claude.queue(say(*(f"word{i} " for i in range(600))))
    begun = time.monotonic()
    front.ask("Much?")
    before, _ = front.until("done")
    assert sum(each["type"] == "grown" for each in before) <= (time.monotonic() - begun) * REPAINTS + 2


def test_what_was_not_stored_comes_back_to_the_box_with_the_reason(chat, lab, tmp_path):
    def broken():
        return str(1 / 0)

    small = Config(budget=Budget(hot=200, warm=100, cold=50, window=6_000))
    for other, asked, why in (
        (Lab.open(tmp_path / "ids.duckdb", ids=broken), "Keep me", "ZeroDivisionError: division by zero"),
        (lab, "x" * 200_001, "200,000"),
        (Lab.open(tmp_path / "small.duckdb", config=small), "one two three " * 10_000, "window"),
    ):
        widget = other.chat()
        front = FrontEnd(widget)
        front.ask(asked)
        done = front.until("done")[1]
        assert done["restore"] == asked
        assert why in done["entries"][0]["fault"]
        assert widget.error is not None
        assert other.messages.empty
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
    sessions = [entry["session_id"] for entry in front.history()["entries"]]
    assert started["question"]["session_id"] not in sessions
    assert sessions == [sessions[0]] * 2 + [done["entries"][0]["session_id"]] * 2
    assert first.session_id == sessions[2] != sessions[0]


def test_retry_answers_the_stored_question_hides_nothing_said_since_and_asks_none_twice(chat, claude, lab):
    front = FrontEnd(chat)
    hold = threading.Event()
    claude.queue(
        Status.error(400, "invalid_request_error", "No"), say("Two."), [start(), *text("Ye", hold, "s"), *end()]
    )
    front.ask("First")
    (failed,) = front.until("done")[1]["entries"]
    assert (failed["state"], failed) == ("failed", front.history()["entries"][-1])
    front.ask("Second")
    front.until("done")
    front.say("retry", question=failed["message_id"])
    assert front.until("grown")[0][0]["question"] is None
    history = front.history()
    assert [entry["text"] for entry in history["entries"]] == ["First", "Second", "Two."]
    assert history["running"]["session"] == failed["session_id"]
    front.say("show", session=None)
    assert "still coming" in front.until("trouble")[1]["words"]
    hold.set()
    assert [entry["role"] for entry in front.until("done")[1]["entries"]] == ["user", "assistant"]
    front.say("retry", question=failed["message_id"])
    assert "has a reply" in front.until("done")[1]["entries"][0]["fault"]
    assert len(lab.transcript()) == 4


def test_a_view_is_told_what_another_notebook_added_and_of_much_all_of_it(chat, lab):
    front = FrontEnd(chat)
    front.history()
    session = lab.sessions.get_or_create_session(None)
    lab.sessions.add_message(session, "user", "From elsewhere")
    front.say("sync", newest=0)
    assert [entry["text"] for entry in front.until("fresh")[1]["entries"]] == ["From elsewhere"]
    said = {"role": "user", "created_at": datetime(2026, 3, 2, 9, tzinfo=UTC), "conversation": "0"}
    lab.import_messages(pd.DataFrame([said | {"text": f"Note {i}", "key": str(i)} for i in range(HISTORY + 1)]))
    front.say("sync", newest=1)
    told = front.until("history")[1]
    assert told["view"] is None
    assert told["earlier"] is True


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

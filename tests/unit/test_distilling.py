"""Distilling: which sessions are due, by whom, once each; what fails is told and tried again."""

import json
import os
import socket
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import pandas as pd
import pytest
from clock import Clock
from messages_server import DROP, MessagesServer, Status, say, start, text

from gallump_lab import Config, Lab, Model
from gallump_lab.brain import distiller
from gallump_lab.brain.answer import NoAccess
from gallump_lab.config import Cold
from gallump_lab.memory import distilling, rules
from gallump_lab.memory.records import Learnt
from gallump_lab.store import times

START = datetime(2013, 3, 1, 12, 0, tzinfo=UTC)
LATER = timedelta(minutes=31)
STOP = {
    "text": "The analyst's stop for AAPL is 420.",
    "kind": "level",
    "symbol": "AAPL",
    "speaker": None,
    "attribute": "stop",
    "value": "420",
    "valid_from": None,
    "valid_until": None,
    "sources": [1],
}


def distils(request):
    return "insights" in request.body.get("output_config", {}).get("format", {}).get("schema", {}).get("properties", {})


class Distiller(MessagesServer):
    """Chats as ever; what is queued in `distilled` answers whoever asks for insights."""

    def __init__(self):
        super().__init__()
        self.distilled = deque()

    def reply_to(self, request):
        return self.distilled.popleft() if distils(request) else super().reply_to(request)

    @property
    def distillings(self):
        """How often it was asked to distil."""
        return sum(map(distils, self.requests))


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def lab(anew, clock: Clock) -> Lab:
    return anew(clock=clock)


@pytest.fixture
def server():
    with Distiller() as running:
        yield running


@pytest.fixture
def asking(lab, clock, server):
    """Open a lab that distils by the model, which answers on the server."""

    def opened(path=lab.store.path, **model):
        asked = Model(**{"base_url": server.url, "max_retries": 0, "timeout": 30, "name": "claude-sonnet-5-5"} | model)
        return Lab.open(path, clock=clock, config=Config(cold=Cold(distiller="model"), model=asked))

    return opened


def called(*insights, **usage):
    return say(json.dumps({"insights": list(insights)}), usage=usage)


def told(lab, words, *, symbol="AAPL", at=START):
    """Say something in a session of its own, as an import does."""
    session = lab.sessions.get_or_create_session()
    return session, lab.sessions.add_message(session, "user", words, symbol, at)


def imported(lab, number, at=START - timedelta(days=400)):
    """Import so many sessions, each with a stop of its own."""
    frame = pd.DataFrame(
        {
            "role": "user",
            "text": [f"My stop is at {300 + i}. I never hold lot {i} through earnings." for i in range(number)],
            "created_at": [at + timedelta(hours=i) for i in range(number)],
            "session_id": [f"past-{i}" for i in range(number)],
            "symbol": "AAPL",
        }
    )
    lab.import_messages(frame)


def recorded(lab):
    return lab.sql("select session_id, distiller, state, cost_usd, fault from distillings order by distilling_id")


def test_a_session_is_distilled_once_it_has_ended_and_never_twice(lab, clock):
    session, message = told(lab, "My AAPL stop is 420.")
    assert lab.distill().sessions == 0
    wrong = {"has not ended: that takes 30 minutes": session, "'nowhere' is not in this lab": "nowhere"}
    for words, given in wrong.items():
        with pytest.raises(ValueError, match=words):
            lab.distill(given)
    with pytest.raises(ValueError, match="by must be 'rules' or 'model', not 'magic'"):
        lab.distill(by="magic")
    clock.now += timedelta(minutes=30)
    assert lab.distill().sessions == 0  # it can still be carried on
    clock.now += timedelta(seconds=1)
    found = lab.distill()
    assert (found.sessions, found.insights, found.left, found.cost_usd) == (1, 1, 0, 0.0)
    insight = lab.insights.frame.iloc[0]
    assert "420" in insight["text"]
    assert (insight["symbol"], insight["sources"].tolist(), insight["distiller"]) == ("AAPL", [message], rules.NAME)
    assert insight["valid_from"] == START  # when it was said
    assert insight["known_from"] == START + timedelta(minutes=30)  # when the session had ended
    assert lab.distill().sessions == 0
    assert lab.distill(session).sessions == 0
    assert recorded(lab)["state"].tolist() == ["complete"]


def test_what_is_said_later_in_a_session_is_distilled_alone(lab, clock):
    session, _ = told(lab, "My AAPL stop is 420.")
    clock.now += LATER
    lab.distill()
    later = lab.sessions.add_message(session, "user", "My AAPL target is 510.", "AAPL", START + timedelta(minutes=5))
    lab.insights.edit(1, "Reworded by the analyst at 420")
    clock.now += LATER
    assert lab.distill().insights == 1
    assert [each.tolist() for each in lab.insights.frame["sources"]] == [[1], [1], [later]]
    assert lab.distill().sessions == 0


def test_what_a_chat_taught_stands_in_the_next_sessions_first_prompt(lab, clock):
    lab.apply(Config(session_minutes=30))
    first = lab.ask("My stop is 420. Is that wise?", ["AAPL"])
    imported(lab, 1)
    lab.ask("What else?", ["AAPL"], first.session_id)
    assert len(lab.insights) == 0
    clock.now += LATER
    preview = lab.preview("Where is it?", ["AAPL"])
    reply = lab.ask("Where is it?", ["AAPL"])
    assert reply.prompt.sha256 == preview.prompt.sha256
    assert reply.notice is None
    cold = [slot for slot in reply.prompt.slots if slot.tier == "cold"]
    assert [slot.sources for slot in cold] == [(first.question_id,)]
    assert recorded(lab)["session_id"].tolist() == [first.session_id]  # what was imported waits to be asked for
    assert lab.distill().sessions == 1
    assert recorded(lab)["session_id"].tolist() == [first.session_id, "past-0"]


def test_nobody_distils_unless_asked(tmp_path, clock):
    config = Config(cold=Cold(distiller="nobody"))
    lab = Lab.open(tmp_path / "lab.duckdb", clock=clock, config=config)
    lab.ask("My stop is 420. Is that wise?", ["AAPL"])
    clock.now += LATER
    lab.ask("And now?")
    Lab.open(tmp_path / "lab.duckdb", clock=clock, config=config)
    assert recorded(lab).empty
    Lab.open(tmp_path / "lab.duckdb", clock=clock)  # whoever distils by rules does it when the lab is opened
    assert len(recorded(lab)) == 1


def test_two_at_once_distil_each_session_once(lab, clock, monkeypatch):
    monkeypatch.setattr(distiller, "BATCH", 4)
    imported(lab, 12)
    labs = [Lab.open(lab.store.path, clock=clock) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert sum(found.sessions for found in pool.map(Lab.distill, labs)) == 12
    assert len(recorded(lab)) == 12
    assert len(lab.insights) == 24


def test_what_is_interrupted_goes_on_where_it_stopped(lab, monkeypatch):
    monkeypatch.setattr(distiller, "BATCH", 4)
    imported(lab, 10)
    read, distil = [], rules.distil

    def interrupted(messages, **given):
        read.append(messages[0].session_id)
        if len(read) == 9:
            raise KeyboardInterrupt
        return distil(messages, **given)

    monkeypatch.setattr(rules, "distil", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lab.distill()
    assert len(recorded(lab)) == 8
    rest = lab.distill()
    assert (rest.sessions, rest.left) == (2, 0)
    assert len(recorded(lab)) == 10
    assert read[9:] == ["past-8", "past-9"]


def test_the_model_distils_after_a_yes_and_what_it_cost_is_recorded(lab, asking, clock, server):
    told(lab, "My AAPL stop is 420.")
    clock.now += LATER
    server.distilled.append(called(STOP, input_tokens=1_000, output_tokens=100))
    mine, asked = asking(prices={"claude-sonnet-5-5": (2.0, 10.0)}), []
    found = mine.distill(confirm=lambda _: False)
    assert (found.sessions, found.left, server.requests) == (0, 1, [])
    assert "not agreed to: nothing was sent" in repr(found)
    found = mine.distill(confirm=lambda words: asked.append(words) or True)
    assert (found.sessions, found.insights, found.failed, found.left) == (1, 1, (), 0)
    assert "Distilling 1 session with claude-sonnet-5-5" in asked[0]
    assert found.cost_usd == pytest.approx((1_000 * 2 + 20 * 10) / 1e6)
    assert mine.spent_today == pytest.approx(found.cost_usd)
    assert recorded(mine)["distiller"].tolist() == ["claude-sonnet-5-5"]
    assert mine.insights.frame["valid_from"].tolist() == [START]
    assert mine.distill(confirm=lambda _: True).sessions == 0
    assert server.distillings == 1
    assert mine.distill(by="rules").sessions == 1  # another distiller reads it too, when it is asked to


def test_without_a_key_the_model_is_not_asked_and_says_how_to_mend_it(lab, clock):
    lab.apply(Config(cold=Cold(distiller="model")))
    lab.ask("My AAPL stop is 420.", ["AAPL"])
    clock.now += LATER
    with pytest.raises(NoAccess, match=r"ANTHROPIC_API_KEY.*lab\.distill\(by='rules'\)"):
        lab.distill()
    reply = lab.ask("Where is it?", ["AAPL"])
    assert "neither a key nor a base URL" in reply.notice
    assert lab.ask("And now?", ["AAPL"], reply.session_id).notice is None
    assert recorded(lab).empty


@pytest.mark.parametrize(
    "case",
    [
        (Status.error(500, "api_error", "down"), "500", False),
        ([start(input_tokens=500), *text("{", DROP)], "Session", True),
        (say("no JSON at all"), "no list of insights that can be read", True),
    ],
)
def test_a_call_that_fails_is_told_and_paid_for_and_tried_again(lab, asking, clock, server, case):
    answer, words, paid = case
    session, _ = told(lab, "My AAPL stop is 420.")
    clock.now += LATER
    mine = asking(prices={"claude-sonnet-5-5": (2.0, 10.0)})
    server.distilled += [answer, called(STOP)]
    found = mine.distill(confirm=lambda _: True)
    assert (found.sessions, found.insights, found.left, len(found.failed)) == (0, 0, 1, 1)
    assert session in found.failed[0]
    assert words in found.failed[0]
    assert words in repr(found)
    assert (mine.spent_today > 0) == paid
    assert recorded(mine)["state"].tolist() == ["failed"]
    again = mine.distill(confirm=lambda _: True)
    assert (again.sessions, again.insights, again.left) == (1, 1, 0)
    assert mine.spent_today == pytest.approx(recorded(mine)["cost_usd"].sum())


def test_the_days_limit_holds_for_distilling(lab, asking, clock, server):
    for number in range(3):
        told(lab, f"My AAPL stop is 420, take {number}.")
    clock.now += LATER
    server.distilled += [called(STOP, input_tokens=1_000_000)]
    mine = asking(prices={"claude-sonnet-5-5": (2.0, 10.0)}, max_usd_per_day=1.0)
    found = mine.distill(confirm=lambda _: True)
    assert (found.sessions, found.left, server.distillings) == (1, 2, 1)
    assert "the limit is $1.00" in found.failed[0]
    clock.now += timedelta(days=1)
    server.distilled += [called(), called()]
    assert mine.distill(confirm=lambda _: True).sessions == 2


def test_insights_that_rest_on_no_message_of_their_session_are_refused_and_told(lab, clock):
    (mine, here), (_, elsewhere) = told(lab, "My AAPL stop is 420."), told(lab, "My IBM stop is 190.")
    clock.now += LATER
    given = [
        Learnt(text="Rests on another session", kind="fact", sources=(here, elsewhere)),
        Learnt(text="Rests on nothing", kind="fact", sources=()),
        Learnt(text="Cannot be stored", kind="rumour", sources=(here,)),
        Learnt(text="Can be believed", kind="fact", sources=(here,)),
    ]
    with lab.store.write() as con:
        session = distilling.read(con, mine, "mine", 30, clock.now)
        taken = distilling.settle(con, session, given, distiller="mine", now=times.naive(clock.now))
    assert (taken.insights, taken.merged) == (1, 0)
    assert taken.refused[0] == f"'Rests on another session' rests on message {elsewhere}, which is not of its session."
    assert taken.refused[1] == "'Rests on nothing' rests on no message."
    assert taken.refused[2].startswith("'Cannot be stored': kind must be one of")
    assert lab.insights.frame["text"].tolist() == ["Can be believed"]


def test_a_claim_is_free_once_nobody_has_renewed_it_for_half_a_minute(lab, asking, clock, server):
    told(lab, "My AAPL stop is 420.")
    clock.now += LATER
    held = threading.Event()
    server.distilled += [[start(), held, *called(STOP)[1:]], called(STOP)]
    with ThreadPoolExecutor(1) as other:
        at_it = other.submit(asking().distill, confirm=lambda _: True)
        assert server.asked.wait(30)
        assert asking().distill(confirm=lambda _: True).sessions == 0  # somebody is at it
        mine = asking(lab.backup(lab.store.path.with_name("left.duckdb")))  # as a process that is killed leaves it
        held.set()
    assert at_it.result().sessions == 1
    found = []
    reused = f"{socket.gethostname()} {os.getppid()} ab"  # its process id is another process's by now
    for owner, seconds in ((reused, 10), ("elsewhere 1 ab", 10), ("elsewhere 1 ab", 40)):
        with duckdb.connect(mine.store.path) as con:
            now = "make_timestamp(epoch_us(now()) - ? * 1_000_000)"
            con.execute(f"update distillings set owner = ?, renewed_at = {now}", [owner, seconds])  # noqa: S608
        found.append(mine.distill(confirm=lambda _: True).sessions)
    assert found == [0, 0, 1]
    assert recorded(mine)["state"].tolist() == ["complete"]


def test_a_session_is_free_again_whatever_breaks_its_distilling_off(lab, asking, clock, server, monkeypatch):
    told(lab, "My AAPL stop is 420.")
    clock.now += LATER
    mine = asking(prices={"claude-sonnet-5-5": (2.0, 10.0)})
    server.distilled += [called(STOP), called(STOP)]

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(distilling, "settle", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mine.distill(confirm=lambda _: True)
    paid = mine.spent_today
    assert paid > 0
    assert mine.distill(confirm=lambda _: True).sessions == 1
    assert mine.spent_today == pytest.approx(2 * paid)


def test_stopped_it_asks_no_further(lab, asking, clock, server):
    for number in range(2):
        told(lab, f"My AAPL stop is 420, take {number}.")
    clock.now += LATER
    stop = threading.Event()

    def stopped():
        yield start()
        stop.set()
        yield threading.Event()  # nothing more comes

    server.distilled += [stopped()]
    found = asking().distill(confirm=lambda _: True, stop=stop)
    assert (found.sessions, found.left, server.distillings) == (0, 2, 1)
    assert "Stopped" in found.failed[0]


def test_what_is_forgotten_while_it_is_distilled_leaves_no_trace(lab, asking, clock, server):
    session, _ = told(lab, "My AAPL stop is 420.")
    secret = lab.sessions.add_message(session, "user", "My account is 4711-giraffe.", None, START)
    clock.now += LATER
    held = threading.Event()
    secretly = STOP | {"text": "The account is 4711-giraffe.", "sources": [2], "attribute": None, "value": None}
    server.distilled += [[start(), held, *called(STOP, secretly, secretly | {"kind": "rumour"})[1:]], called(STOP)]
    mine, found = asking(), []
    thread = threading.Thread(target=lambda: found.append(mine.distill(confirm=lambda _: True)))
    thread.start()
    assert server.asked.wait(30)
    lab.forget(message_id=secret)
    held.set()
    thread.join()
    assert "forgotten meanwhile" in found[0].failed[0]
    assert "4711" not in repr(found[0])
    for table in ("insights", "distillings"):
        assert "4711" not in lab.sql(f"select * from {table}").to_csv()  # noqa: S608
    assert mine.distill(confirm=lambda _: True).insights == 1


def test_what_distilling_quoted_of_a_message_goes_with_it_and_its_cost_stays(lab, asking, clock, server):
    _, message = told(lab, "My account is giraffe-hill.")
    clock.now += LATER
    made_up = STOP | {"text": "The account giraffe-hill holds 12.", "attribute": None, "value": None}
    server.distilled.append(called(made_up))
    mine = asking(prices={"claude-sonnet-5-5": (2.0, 10.0)})
    assert "giraffe-hill" in mine.distill(confirm=lambda _: True).refused[0]
    spent = mine.spent_today
    assert "giraffe" in mine.sql("select * from distillings").to_csv()
    mine.forget(message_id=message)
    assert "giraffe" not in mine.sql("select * from distillings").to_csv()
    assert mine.spent_today == spent > 0


def test_in_the_background_the_model_distils_what_was_chatted_and_failures_are_told(lab, asking, clock, server):
    lab.ask("My stop is 420. Is that wise?", ["AAPL"])
    clock.now += LATER
    imported(lab, 1)
    mine = asking()
    assert server.requests == []  # opening a lab sends nothing
    mine.preview("What now?")
    assert server.requests == []
    server.distilled.append(Status.error(500, "api_error", "down"))
    first = mine.ask("What now?")
    mine._distiller.wait()
    assert first.notice is None
    assert recorded(mine)["state"].tolist() == ["failed"]
    second = mine.ask("And then?", session_id=first.session_id)
    assert second.session_id == first.session_id
    assert "could not be distilled; lab.distill() tries again" in second.notice
    assert mine.ask("And so?", session_id=first.session_id).notice is None
    clock.now += LATER
    server.distilled += [called(STOP), called()]
    mine.ask("Good evening")
    mine._distiller.wait()
    assert mine.ask("All fine?").notice is None
    assert server.distillings == 3
    assert mine.insights.frame["text"].tolist() == [STOP["text"]]


def test_unasked_a_session_is_tried_twice_and_once_more_when_that_is_told(lab, asking, clock, server):
    session = lab.ask("My stop is 420. Is that wise?", ["AAPL"]).session_id
    mine = asking()
    free, paid = Status.error(503, "api_error", "down"), say("I note nothing.")
    for _ in range(distilling.TRIES + 2):
        clock.now += LATER
        server.distilled = deque([paid if server.distillings else free] * 5)
        mine.ask("Good evening")
        mine._distiller.wait()
    tries = sum(distils(request) and "420" in request.prompt for request in server.requests)
    assert tries == 1 + distilling.TRIES  # the first cost nothing
    server.distilled = deque([called(STOP)])
    assert mine.distill(session, confirm=lambda _: True).insights == 1


def test_another_distiller_does_not_go_through_the_past_unasked(lab, asking, clock, server):
    lab.ask("My stop is 420. Is that wise?", ["AAPL"])
    clock.now += LATER
    lab.ask("What now?")
    clock.now += LATER
    server.distilled.append(called())
    mine = asking()
    mine.ask("Good evening")
    mine._distiller.wait()
    assert recorded(mine)["distiller"].tolist() == [rules.NAME, "claude-sonnet-5-5"]
    server.distilled.append(called(STOP))
    assert mine.distill(confirm=lambda _: True).sessions == 1


def test_a_question_is_answered_though_the_past_cannot_be_distilled(lab, clock, monkeypatch):
    lab.ask("My stop is 420. Is that wise?", ["AAPL"])
    clock.now += LATER

    def broken(*_, **__):
        msg = "a rule broke"
        raise RuntimeError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(rules, "distil", broken)
        reply = lab.ask("And now?")
    assert reply.text
    assert "could not be distilled" in reply.notice
    assert "a rule broke" in reply.notice
    assert lab.distill().sessions == 1


@pytest.mark.parametrize("status", [401, 500])
def test_a_server_that_refuses_or_fails_is_left_alone(lab, asking, server, status):
    imported(lab, 6)
    server.distilled.append(Status.error(status, "api_error", "no"))
    found = asking().distill(confirm=lambda _: True)
    assert (server.distillings, found.sessions, found.left) == (1, 0, 6)
    assert "6 to be done" in repr(found)


def test_what_rests_on_new_messages_too_is_learnt_and_what_rests_on_those_read_before_is_passed_over(anew) -> None:
    lab, now = anew(), START.replace(tzinfo=None)
    session = lab.sessions.get_or_create_session()
    ids = [lab.sessions.add_message(session, "user", said) for said in ("My AAPL stop is 420.", "It still holds.")]
    with lab.store.write() as con:
        read = distilling.read(con, session, "rules-1", 30, START)
        found = [Learnt(text=f"Of {len(of)}", kind="fact", sources=of) for of in (ids[:1], ids)]
        distilling.settle(con, replace(read, after=ids[0], known_from=START), found, distiller="rules-1", now=now)
    assert lab.insights.frame["text"].tolist() == ["Of 2"]

"""Asking in batches: half the price, whatever comes in whatever order, and nothing is lost to who stops waiting."""

import json
import math
import threading
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import pytest
from clock import Clock
from messages_server import RECOMMENDATION, end, say, start, text, think, tool

from gallump_lab import Budget, Config, Lab, Model, study
from gallump_lab.brain import batches, claude
from gallump_lab.brain.answer import BadRequest, BrokenReply, ConnectionLost, NoAccess, Usage
from gallump_lab.brain.models import price
from gallump_lab.brain.recommendations import RECOMMEND
from gallump_lab.brain.request import Request, single
from gallump_lab.config import Cold
from gallump_lab.memory import distilling

NOW = datetime(2013, 2, 28, 15, 0, tzinfo=UTC)
SONNET = "claude-sonnet-5-5"
INVALID = {"type": "invalid_request_error", "message": "Odd."}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(batches, "PAUSES", (0.0, 0.0))


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Return a snapshot of three turns."""
    lab = Lab.open(tmp_path_factory.mktemp("lab") / "lab.duckdb", clock=lambda: NOW)
    first = lab.ask("My AAPL stop is at 432.10.", watchlist=["AAPL"])
    lab.ask("Is it still right?", watchlist=["AAPL"], session_id=first.session_id)
    lab.ask("And IBM?", watchlist=["IBM"])
    return lab.snapshot()


@pytest.fixture
def asked(server, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-planted-0123456789abcdef")

    def model(**more):
        return Model(**{"base_url": server.url, "timeout": 30, "max_retries": 0, "name": SONNET} | more)

    return model


@pytest.fixture
def config(asked):
    return lambda **more: Config(budget=Budget(hot=0, reply=1_000), model=asked(**more))


def requests(*names):
    return {name: Request(system="Be brief.", messages=single(name), max_tokens=500, tool=RECOMMEND) for name in names}


def interrupted(*_, **__):
    raise KeyboardInterrupt


def yes(_):
    return True


def never(_):
    raise AssertionError


def submitted(server):
    """Return what was sent to the server as batches, one after another."""
    return [each.body["requests"] for each in server.others if each.path == "/v1/messages/batches"]


# The client


def test_each_answer_is_that_of_a_live_call_at_half_the_price(asked, server):
    model, stop = asked(), threading.Event()
    reply = [
        start(input_tokens=1_000),
        *text("Buy."),
        *tool({"recommendations": [RECOMMENDATION]}),
        *end(output_tokens=9),
    ]
    replies = [reply, think("So."), say("Half", stop_reason="max_tokens"), say(stop_reason="refusal"), say("")]
    names = ["calls", "thinks", "cut", "refused", "empty"]
    server.queue(*replies, *replies)
    live = [claude.ask(each, model=model, on_text=len, stop=stop) for each in requests(*names).values()]
    took = batches.ask(requests(*names), model)
    assert (list(took.answers), took.left) == (names, None)
    for was, found in zip(live, took.answers.values(), strict=True):
        for field in ("text", "calls", "usage", "state", "stop_reason", "answered", "plain"):
            assert getattr(found, field) == getattr(was, field)
        assert found.cost_usd == pytest.approx(was.cost_usd / 2)
        assert type(found.fault) is type(was.fault)
        assert found.sent.items() >= {name: was.sent[name] for name in ("max_tokens", "effort", "without")}.items()
        assert math.isnan(found.latency)
    assert math.isnan(took.answers["thinks"].thinking)
    assert took.answers["calls"].thinking is None


def test_what_is_sent_is_a_live_requests_body_but_for_the_stream(asked, server, model):
    if not price(model):  # a local server has no batches
        return
    model = asked(name=model)
    batches.ask(requests("one", "two"), model)
    for each in requests("one", "two").values():
        claude.ask(each, model=model, on_text=len, stop=threading.Event())
    live = [each.body for each in server.requests]
    assert all(each.pop("stream") for each in live)
    assert [each["params"] for each in submitted(server)[0]] == live


def test_what_a_server_is_known_to_refuse_is_left_out(asked, server, monkeypatch):
    model = asked()
    monkeypatch.setattr(claude, "_UNKNOWN_HERE", {(model.server, SONNET): frozenset({"effort", "strict"})})
    found = batches.ask(requests("one"), model).answers["one"]
    [[sent]] = submitted(server)
    assert "output_config" not in sent["params"]
    assert not sent["params"]["tools"][0].get("strict")
    assert found.sent["without"] == ["effort", "strict"]


def test_what_was_not_answered_says_why_and_costs_nothing(asked, server):
    busy = {"type": "overloaded_error", "message": "Busy."}
    server.endpoints.outcomes = {"wrong": INVALID, "busy": busy, "late": "expired", "gone": "canceled", "odd": "new"}
    found = batches.ask(requests("wrong", "busy", "late", "gone", "odd", "fine"), asked()).answers
    assert [each.state for each in found.values()] == ["failed"] * 5 + ["complete"]
    assert [each.cost_usd for each in found.values()][:-1] == [0.0] * 5
    words = {name: str(each.fault) for name, each in found.items()}
    assert "refused the request (400: Odd)" in words["wrong"]
    assert "is overloaded (529: Busy)" in words["busy"]
    assert words["gone"] == "The batch ended before this was answered (canceled). That costs nothing; ask again."
    assert "(expired)" in words["late"]


@pytest.mark.parametrize("given", [{}, {"type": ["message"]}, {"type": "error"}])
def test_a_result_that_is_none_is_a_failure(asked, server, monkeypatch, given):
    monkeypatch.setattr(server, "ask", lambda _: (200, {"usage": {}} | given))
    found = batches.ask(requests("one"), asked()).answers["one"]
    assert found.state == "failed"
    assert found.cost_usd > 0  # at most: it may have been billed


@pytest.mark.parametrize(
    "given", [b'{"custom_id": [], "result": {}}', b'{"custom_id": "one", "result": "x"}', b"<html>"]
)
def test_results_that_are_none_are_told(asked, server, monkeypatch, given):
    monkeypatch.setattr(server.endpoints, "polls", 0)
    batch, real = batches.submit(requests("one"), asked(), threading.Event()), server.endpoints.answer
    monkeypatch.setattr(
        server.endpoints, "answer", lambda *asked: (200, given) if asked[1].endswith("/results") else real(*asked)
    )
    with pytest.raises(BrokenReply):
        batches.ask(requests("one"), asked(), batch=batch)


def test_a_batch_is_taken_up_by_its_id_and_answers_to_others_are_passed_over(asked, server):
    server.queue(say("One."), say("Two."))
    batch = batches.submit(requests("one", "two"), asked(), threading.Event())
    took = batches.ask(requests("two", "three"), asked(), batch=batch)
    assert {name: each.text for name, each in took.answers.items()} == {"two": "Two."}
    assert len(submitted(server)) == 1


def test_who_is_interrupted_is_told_how_to_go_on(asked, server, monkeypatch):
    server.endpoints.polls = 1_000
    with monkeypatch.context() as patch:
        patch.setattr(batches, "wait", interrupted)
        left = batches.ask(requests("one"), asked())
    assert left.left == (
        "Interrupted. Batch msgbatch_1 goes on; batch='msgbatch_1' takes up its answers, which are kept for 29 days."
    )
    stop = threading.Event()
    stop.set()
    assert batches.ask(requests("one"), asked(), batch="msgbatch_1", stop=stop).left.startswith("Stopped. Batch msgb")
    with monkeypatch.context() as patch:
        patch.setattr(Future, "exception", interrupted)  # while it is submitted
        assert batches.ask(requests("one"), asked()).id == "msgbatch_2"
    monkeypatch.setattr(batches, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        batches.ask(requests("one"), asked())


def test_a_batch_that_is_canceled_keeps_what_was_answered(asked):
    batch = batches.submit(requests("one", "two"), asked(), threading.Event())
    batches.cancel(batch, asked())
    found = batches.ask(requests("one", "two"), asked(), batch=batch).answers
    assert [each.state for each in found.values()] == ["complete", "failed"]


def test_a_network_that_comes_back_is_waited_for_and_one_that_does_not_is_told(asked, monkeypatch):
    real, down = batches._call, []

    def flaky(model, do, batch=None):
        if do.__name__ == "look" and len(down) < most:
            down.append(1)
            msg = "No answer."
            raise ConnectionLost(msg)
        return real(model, do, batch)

    monkeypatch.setattr(batches, "_call", flaky)
    most = batches.LOOKS - 1
    assert batches.ask(requests("one"), asked()).answers["one"].state == "complete"
    most = math.inf
    left = batches.ask(requests("one"), asked()).left
    assert left.startswith("No answer. Batch msgbatch_2 goes on")


def test_a_server_without_batches_or_without_this_one_is_told_in_clear_words(asked, server):
    with pytest.raises(BadRequest, match=r"has no batch msgbatch_9; they are kept for 29 days\. Check the id"):
        batches.ask(requests("one"), asked(), batch="msgbatch_9")
    server.models = ["qwen3:8b"]
    with pytest.raises(BadRequest, match=r"has no batches\. Ask without batch=True, at the full price\.") as missing:
        batches.ask(requests("one"), asked(name="qwen3:8b"))
    assert missing.value.status == 404


def test_an_id_that_is_none_is_no_batch(asked, server, monkeypatch):
    monkeypatch.setattr(server.endpoints, "answer", lambda *_: (200, {"id": {"a": "b c"}}))
    with pytest.raises(BrokenReply, match="is no reply of the Messages API"):
        batches.ask(requests("one"), asked())


def test_the_server_is_looked_at_less_and_less_often(asked, server, monkeypatch):
    monkeypatch.setattr(batches, "PAUSES", (2.0, 5.0))
    server.endpoints.polls, pauses = 6, []

    class Driven(threading.Event):
        def wait(self, timeout=None):
            pauses.append(timeout)

    batches.ask(requests("one"), asked(), stop=Driven())
    assert pauses == [2.0, 3.0, 4.5, 5.0, 5.0, 5.0]


# study.rerun


def test_past_turns_are_asked_again_in_a_batch_at_half_the_price_that_was_named(talk, config, server):
    shown, usage = [], {"input_tokens": 1_000}
    server.queue(say("New one.", usage=usage), say("New two.", usage=usage))
    found = study.rerun(talk, [1, 3], config(), batch=True, confirm=lambda words: shown.append(words) or True)
    frame = found.frame
    assert frame["new"].tolist() == ["New one.", "New two."]
    half = price(SONNET).cost(Usage(input_tokens=1_000, output_tokens=20)) / 2
    assert frame["cost"].tolist() == pytest.approx([half, half])
    assert frame["latency"].isna().all()
    assert frame["problem"].isna().all()
    full = study.rerun(talk, [1, 3], config(), confirm=shown.append).words
    named, whole = (float(words.rpartition("at most $")[2].split(". ")[0]) for words in (found.words, full))
    assert named == pytest.approx(whole / 2, abs=1e-4)
    assert "2 turns in a batch, which is answered within a day, at 50% of the price: " in found.words
    assert shown == [found.words, full]


def test_a_rerun_that_is_interrupted_goes_on_by_the_batchs_id(talk, config, server, monkeypatch):
    server.queue(say("One."), say("Two."))
    with monkeypatch.context() as patch:
        patch.setattr(batches, "wait", interrupted)
        left = study.rerun(talk, [1, 2], config(), batch=True, confirm=yes)
    assert repr(left).startswith("Rerun of 2 turns: nothing was answered yet\nInterrupted. Batch msgbatch_1 goes on")
    assert [turn.problem for turn in left.turns] == ["waits in batch msgbatch_1"] * 2
    claude._UNKNOWN_HERE.clear()  # as in a new process
    found = study.rerun(talk, [1, 2], config(), batch="msgbatch_1", confirm=never)
    assert found.frame["new"].tolist() == ["One.", "Two."]
    other = study.rerun(talk, [1, 2], config(effort="high"), batch="msgbatch_1", confirm=never)
    assert other.frame["new"].isna().all()
    assert other.turns[0].problem == "not in batch msgbatch_1, or asked otherwise there"
    assert len(submitted(server)) == 1


def test_one_turns_failure_in_a_batch_does_not_lose_the_others(talk, config, server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(batches, "wait", interrupted)
        study.rerun(talk, [1, 2, 3], config(), batch=True, confirm=yes)
    one, two, _ = (each["custom_id"] for each in submitted(server)[0])
    server.endpoints.outcomes = {one: INVALID, two: "expired"}
    found = study.rerun(talk, [1, 2, 3], config(), batch="msgbatch_1")
    assert found.frame["state"].tolist() == ["failed", "failed", "complete"]
    assert found.frame["cost"].tolist()[:2] == [0, 0]
    assert "3 asked again, 1 whole answer by" in repr(found)


def test_no_yes_no_batch_and_the_limit_counts_half(talk, config, server):
    found = study.rerun(talk, [1], config(), batch=True, confirm=lambda _: False)
    assert found.frame["problem"].tolist() == ["not asked"]
    most = float(found.words.rpartition("at most $")[2].split(". ")[0])
    with pytest.raises(study.OverLimit, match="in a batch"):
        study.rerun(talk, [1], config(max_usd_per_day=0.9 * most), batch=True, confirm=never)
    assert not submitted(server)
    limited = config(max_usd_per_day=1.1 * most)
    with pytest.raises(study.OverLimit):
        study.rerun(talk, [1], limited, confirm=never)
    assert study.rerun(talk, [1], limited, batch=True, confirm=yes).frame["state"].tolist() == ["complete"]


def test_without_anybody_to_ask_the_offline_analyst_answers_and_no_batch_is_looked_for(talk):
    offline = Config(budget=Budget(hot=0, warm=0))
    assert "nothing is sent" in study.rerun(talk, [2], offline, batch=True, confirm=never).words
    with pytest.raises(NoAccess, match="ANTHROPIC_BASE_URL"):
        study.rerun(talk, [2], offline, batch="msgbatch_1")


# lab.distill


@pytest.fixture
def lab(anew, asked):
    """Return a lab with three ended sessions, each with a stop of its own, and how to open it again."""
    clock = Clock(NOW)

    def opened(**more):
        return Lab.open(path, clock=clock, config=Config(cold=Cold(distiller="nobody"), model=asked(**more)))

    first = anew(clock=clock)
    path = first.store.path
    for stop in (420, 421, 422):
        session = first.sessions.get_or_create_session()
        first.sessions.add_message(session, "user", f"My AAPL stop is {stop}.", "AAPL", clock.now)
        clock.now += timedelta(minutes=31)
    opened.clock = clock
    return opened


def learnt(stop, **usage):
    given = {"text": f"The analyst's stop for AAPL is {stop}.", "kind": "level", "symbol": "AAPL", "sources": [1]}
    fields = {"speaker": None, "attribute": "stop", "value": f"{stop}", "valid_from": None, "valid_until": None}
    return say(json.dumps({"insights": [given | fields]}), usage=usage)


def recorded(lab):
    return lab.sql("select state, owner, cost_usd, fault from distillings order by distilling_id")


def test_a_history_is_distilled_in_a_batch_at_half_the_price_that_was_named(lab, server):
    server.queue(*(learnt(stop, input_tokens=1_000) for stop in (420, 421, 422)))
    mine, shown = lab(), []
    found = mine.distill(batch=True, confirm=lambda words: shown.append(words) or True)
    assert (found.sessions, found.insights, found.left, found.failed) == (3, 3, 0, ())
    half = price(SONNET).cost(Usage(input_tokens=1_000, output_tokens=20)) / 2
    assert found.cost_usd == mine.spent_today == pytest.approx(3 * half)
    assert "3 sessions with claude-sonnet-5-5 in a batch, which is answered within a day, at 50% of" in shown[0]
    assert recorded(mine)["state"].tolist() == ["complete"] * 3
    assert mine.distill(by="model", confirm=never).sessions == 0
    assert mine.insights.frame["value"].tolist() == ["420", "421", "422"]


def test_who_stops_waiting_takes_the_batch_up_in_another_process_and_nobody_pays_twice(lab, server, monkeypatch):
    server.queue(*map(learnt, (420, 421, 422)))
    mine = lab()
    with monkeypatch.context() as patch:
        patch.setattr(batches, "wait", interrupted)
        left = mine.distill(by="model", batch=True, confirm=yes)
    assert (left.sessions, left.left) == (0, 3)
    assert "batch='msgbatch_1' takes up its answers" in left.told[0]
    assert recorded(mine)["owner"].tolist() == ["msgbatch_1"] * 3
    assert mine.spent_today > 0  # at most
    assert mine.sql("select min(renewed_at) > now()::timestamp + interval 27 days from distillings").iloc[0, 0]
    lab.clock.now += timedelta(days=2)
    later = lab()
    again = later.distill(by="model", confirm=never)
    assert again.told == ("Batch msgbatch_1 holds 3 sessions: lab.distill(batch='msgbatch_1').",)
    monkeypatch.setattr(server.endpoints, "polls", 0)
    found = later.distill(batch="msgbatch_1", confirm=never)
    assert (found.sessions, found.insights, found.left, found.failed) == (3, 3, 0, ())
    assert len(submitted(server)) == 1
    with pytest.raises(ValueError, match="No session of this lab waits in batch 'msgbatch_1'"):
        later.distill(batch="msgbatch_1")


def test_a_session_that_failed_in_a_batch_is_tried_again(lab, server, monkeypatch):
    server.queue(learnt(420), say("No list."), learnt(421), learnt(422))
    mine = lab()
    with monkeypatch.context() as patch:
        patch.setattr(batches, "wait", interrupted)
        mine.distill(by="model", batch=True, confirm=yes)
    *_, last = (each["custom_id"] for each in submitted(server)[0])
    server.endpoints.outcomes = {last: INVALID}
    found = mine.distill(batch="msgbatch_1")
    assert (found.sessions, found.left, len(found.failed)) == (1, 2, 2)
    assert "no list of insights" in found.failed[0]
    assert "Odd" in found.failed[1]
    assert recorded(mine)["state"].tolist() == ["complete", "failed", "failed"]
    assert recorded(mine)["cost_usd"].iloc[2] == 0
    again = mine.distill(by="model", batch=True, confirm=yes)
    assert (again.sessions, again.left, again.failed) == (2, 0, ())


def test_the_days_limit_is_kept_by_what_a_batch_may_cost(lab, server):
    shown = []
    lab().distill(by="model", batch=True, confirm=shown.append)
    most = float(shown[0].rpartition("at most $")[2].rstrip("."))
    held = lab(max_usd_per_day=0.9 * most).distill(by="model", batch=True, confirm=yes)
    assert held.left == 3
    assert "more, the limit is" in held.failed[0]
    assert not submitted(server)
    assert recorded(lab()).empty
    server.queue(*map(learnt, (420, 421, 422)))
    assert lab(max_usd_per_day=1.1 * most).distill(by="model", batch=True, confirm=yes).sessions == 3


def test_what_cannot_be_submitted_leaves_the_sessions_free(lab, server, monkeypatch):
    mine = lab(name="qwen3:8b")
    server.models = ["qwen3:8b"]
    found = mine.distill(by="model", batch=True, confirm=yes)
    assert "has no batches. Ask without batch=True" in found.failed[0]
    stop = threading.Event()
    stop.set()
    assert mine.distill(by="model", batch=True, confirm=yes, stop=stop).left == 3
    monkeypatch.setattr(batches, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mine.distill(by="model", batch=True, confirm=yes)
    assert recorded(mine).empty
    with pytest.raises(ValueError, match="batch needs by='model', not 'rules'"):
        mine.distill(by="rules", batch=True)


def test_a_session_of_which_a_message_was_forgotten_meanwhile_is_told_as_lost(lab, server, monkeypatch):
    server.queue(*map(learnt, (420, 421, 422)))
    mine = lab()
    with monkeypatch.context() as patch:
        patch.setattr(batches, "wait", interrupted)
        mine.distill(by="model", batch=True, confirm=yes)
    mine.forget(message_id=int(mine.messages["message_id"].iloc[0]))
    found = mine.distill(batch="msgbatch_1")
    assert (found.sessions, len(found.failed), found.cost_usd) == (2, 1, None)
    assert distilling.LOST in found.failed[0]
    assert mine.insights.frame["value"].tolist() == ["421", "422"]


def test_what_is_said_after_a_session_was_sent_is_distilled_next(lab, server, monkeypatch):
    server.queue(*map(learnt, (420, 421, 422)))
    mine = lab()
    with monkeypatch.context() as patch:
        patch.setattr(batches, "wait", interrupted)
        mine.distill(by="model", batch=True, confirm=yes)
    session = mine.messages["session_id"].iloc[0]
    mine.sessions.add_message(session, "user", "Make that 400.", "AAPL", lab.clock.now)
    lab.clock.now += timedelta(minutes=31)
    assert mine.distill(batch="msgbatch_1").sessions == 3
    server.queue(say('{"insights": []}'))
    assert mine.distill(by="model", confirm=yes).sessions == 1

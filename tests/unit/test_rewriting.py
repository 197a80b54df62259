"""The question rewritten for recall: what is sent before it, what is recorded, and what holds where nothing comes."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from clock import Clock
from messages_models import MODELS, known
from messages_server import DROP, Status, say, start, text

from gallump_lab import Budget, Config, ConfigError, Lab, Model, study
from gallump_lab.brain import claude, rewriting
from gallump_lab.brain.answer import ModelError
from gallump_lab.ui.inspector import carried

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
PRICED = dict.fromkeys([*MODELS, "qwen3:8b"], (2.0, 10.0))
TOLD = "Where is my stop on AAPL? giraffe"


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def lab(anew, clock, server) -> Lab:
    """Give a lab in whose past a giraffe was spoken of, and that asks for rewritten questions."""
    lab = anew(clock=clock)
    past = lab.sessions.get_or_create_session()
    lab.sessions.add_message(past, "user", "The giraffe rule: never move it down.", "AAPL")
    clock.now += timedelta(hours=2)
    lab.apply(configured(server))
    return lab


def configured(server, *, rewrite=True, **model) -> Config:
    asked = {"base_url": server.url, "max_retries": 0, "timeout": 30, "prices": PRICED} | model
    return Config(rewrite=rewrite, model=Model(**asked))


def recalled(reply) -> str:
    return "\n".join(slot.text for slot in reply.prompt.slots if slot.kept and slot.tier == "warm")


def test_off_it_sends_the_question_alone(lab, server):
    lab.apply(configured(server, rewrite=False))
    preview = lab.preview("Where is it?")
    reply = lab.ask("Where is it?")
    assert len(server.requests) == 1
    assert (reply.rewritten, preview.rewriting_usd, preview.notice) == (None, 0.0, None)
    assert lab.turns[["rewritten", "rewriting"]].isna().all(axis=None)
    assert "giraffe" not in recalled(reply)
    assert carried(lab, reply.reply_id)["notice"] is None


def test_recall_looks_for_the_rewritten_question_and_the_prompt_shows_the_analysts_own(lab, server, model):
    lab.apply(configured(server, name=model))
    first = lab.ask("I bought AAPL; a trailing stop it is.")
    server.queue(say(f"\n{TOLD}\n", usage={"input_tokens": 300}), say("At 420.", usage={"input_tokens": 1_000}))
    reply = lab.ask("Where is it, since last week?", session_id=first.session_id)
    before, sent = (request.body for request in server.requests[-2:])
    assert "\n User: I bought AAPL; a trailing stop it is.\n Assistant: " in before["messages"][0]["content"]
    assert "Monday, 2026-03-02" in before["messages"][0]["content"]
    assert "tools" not in before
    facts = known(before["model"])
    assert before["max_tokens"] == rewriting.REPLY + (rewriting.THINKING if facts and facts.thinks else 0)
    assert before.get("output_config") == ({"effort": "low"} if facts and facts.efforts else None)
    assert "Current User Input:\n> Where is it, since last week?" in sent["messages"][-1]["content"]
    assert TOLD not in str(sent["messages"])
    assert "The giraffe rule" in recalled(reply)
    assert (reply.rewritten, reply.notice) == (TOLD, None)
    assert lab.turns["rewritten"].tolist()[1] == TOLD
    shown = carried(lab, reply.reply_id)
    assert shown["notice"] == f"Recall looked for: {TOLD}"
    assert any("shares giraffe" in slot["why"] for slot in shown["slots"])
    took = json.loads(lab.turns["rewriting"].iloc[1])
    assert (took["input_tokens"], took["output_tokens"]) == (300, 20)
    assert reply.cost_usd == lab.turns["cost_usd"].iloc[1] == pytest.approx((1_300 * 2 + 40 * 10) / 1e6)
    assert took["cost_usd"] == pytest.approx((300 * 2 + 20 * 10) / 1e6)
    assert lab.spent_today == pytest.approx(lab.turns["cost_usd"].sum())
    assert study.tokens(lab.snapshot(), PRICED).turns["cost"].tolist() == pytest.approx(lab.turns["cost_usd"].tolist())


def test_of_a_long_reply_before_it_the_beginning_is_shown(lab, server):
    server.queue(say("Buy the giraffe. " + "It is tall. " * 1_000), say(TOLD), say("Yes."))
    lab.apply(configured(server, rewrite=False))
    session = lab.ask("What of zoos?").session_id
    lab.apply(replace(configured(server), budget=Budget(hot=20_000)))
    lab.ask("Why that one?", session_id=session)
    assert "\n Assistant: Buy the giraffe." in server.requests[1].body["messages"][0]["content"]


def test_replays_and_studies_take_it_as_recorded_whatever_is_configured(lab, server):
    server.queue(say(TOLD), say("At 420."))
    reply = lab.ask("Where is it?")
    question = lab.question_of(reply.turn_id)
    lab.label(question, 1, 3)
    snapshot, asked = lab.snapshot(), len(server.requests)
    assert study.replay(snapshot).frame["identical"].all()
    other = study.replay(snapshot, configured(server, rewrite=False)).turn(reply.turn_id)
    assert other.prompt.sha256 == reply.prompt.sha256
    server.queue(say("Again."))
    again = study.rerun(snapshot, [reply.turn_id], configured(server), confirm=lambda _: True)
    assert again.turns[0].prompt.sha256 == reply.prompt.sha256
    ranks = study.rank(snapshot, ["BM25"])
    assert ranks.asked[0].text == "Where is it?"
    assert [slot.message_id for slot in ranks.candidates("BM25", 0)] == [1]
    assert len(server.requests) == asked + 1  # but for the rerun's answer nothing was sent


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Status.error(500, "api_error", "down"), "down"),
        (say(""), "empty or too long"),
        (say("x" * 3_000), "empty or too long"),
        (say("Where", stop_reason="max_tokens"), "was cut"),
        (say("No.", stop_reason="refusal"), "was refused"),
        ([start(input_tokens=500), *text("Where", DROP)], "broke off"),
    ],
)
def test_where_nothing_usable_comes_the_question_as_asked_is_recalled_and_a_notice_says_so(lab, server, answer, words):
    server.queue(answer, say("At 420."))
    reply = lab.ask("Where is the giraffe?")
    assert (reply.text, reply.rewritten) == ("At 420.", None)
    assert "as asked; it was not rewritten: " in reply.notice
    assert words in reply.notice
    assert "The giraffe rule" in recalled(reply)
    assert study.replay(lab.snapshot()).frame["identical"].all()
    paid = json.loads(lab.turns["rewriting"].iloc[0])["cost_usd"]
    assert (paid > 0) == (not isinstance(answer, Status))
    assert lab.spent_today == pytest.approx(reply.cost_usd)
    assert reply.cost_usd == pytest.approx(paid + (100 * 2 + 20 * 10) / 1e6)


def test_it_is_not_waited_for_beyond_its_time(lab, server, monkeypatch):
    monkeypatch.setattr(rewriting, "SECONDS", 0.1)
    server.queue([start(), threading.Event()], say("At 420."))
    reply = lab.ask("Where is the giraffe?")
    assert (reply.text, reply.state) == ("At 420.", "complete")
    assert "not rewritten" in reply.notice
    assert server.requests[0].gone.wait(30)


def test_a_preview_tells_what_it_may_cost_and_sends_nothing(lab, server):
    preview = lab.preview("Where is it?")
    assert server.requests == []
    longest = rewriting.REPLY + rewriting.THINKING
    assert longest * 10e-6 < preview.rewriting_usd < longest * 10e-6 + 0.005
    most = preview.tokens * 2e-6 + (4_096 + 8_000) * 10e-6
    assert preview.most_usd == pytest.approx(most + preview.rewriting_usd)
    assert f"at most ${preview.rewriting_usd:.4f}" in repr(preview)
    server.queue(say(TOLD), say("At 420."))
    lab.ask("Where is it?")
    assert lab.spent_today < preview.most_usd
    lab.apply(configured(server, name="llama3.2"))
    assert "rewritten first, the price is not known" in lab.preview("Where is it?").notice


def test_what_a_server_refuses_of_the_question_before_is_told_with_the_answer(lab, server):
    server.queue(Status.error(400, "invalid_request_error", "unknown field effort"), say(TOLD), say("At 420."))
    reply = lab.ask("Where is it?")
    assert "does not take effort: asked without, now and from here on." in reply.notice
    server.queue(say(TOLD), say("At 421."))
    assert lab.ask("And now?", session_id=reply.session_id).notice is None


def test_within_the_days_limit_the_answer_comes_first(lab, server):
    lab.apply(configured(server, max_usd_per_day=0.005))
    reply = lab.ask("Where is the giraffe?")
    assert len(server.requests) == 1
    assert reply.state == "complete"
    assert "model.max_usd_per_day" in reply.notice
    assert "The giraffe rule" in recalled(reply)


def test_without_a_model_or_for_a_very_long_question_nothing_is_asked(lab, server):
    long = lab.ask("Where is the giraffe? " * 200)
    assert len(server.requests) == 1
    lab = Lab.open(lab.store.path)  # at no server
    offline = lab.ask("Where is the giraffe?")
    assert (offline.offline, long.notice, len(server.requests)) == (True, None, 1)
    assert lab.preview("Where is the giraffe?").notice is None


def test_asked_again_a_question_is_not_rewritten_again(lab, server):
    server.queue(say(TOLD), Status.error(500, "api_error", "down"), say("At 420."))
    with pytest.raises(ModelError) as failed:
        lab.ask("Where is it?")
    reply = lab.retry(failed.value.reply.question_id)
    assert (reply.text, reply.rewritten, len(server.requests)) == ("At 420.", TOLD, 3)
    assert lab.turns["rewriting"].isna().tolist() == [False, True]
    assert study.replay(lab.snapshot()).frame["identical"].all()


def test_interrupted_the_turn_is_stopped_and_what_was_paid_is_kept(lab, server, monkeypatch):
    server.queue(say("Where"))
    asked = claude.ask

    def ask(request, *, on_text, **given):
        return asked(request, on_text=_interrupt if request.tool is None else on_text, **given)

    monkeypatch.setattr(claude, "ask", ask)
    with pytest.raises(KeyboardInterrupt):
        lab.ask("Where is it?")
    assert len(server.requests) == 1
    (turn,) = lab.turns.to_dict("records")
    assert (turn["state"], turn["rewritten"]) == ("stopped", None)
    assert turn["cost_usd"] == json.loads(turn["rewriting"])["cost_usd"] > 0


def _interrupt(_piece):
    raise KeyboardInterrupt


def test_what_the_session_said_is_forgotten_in_it_too(lab, server):
    first = lab.ask("My AAPL stop is 420.")
    server.queue(say("Where is the AAPL stop, 420?"), say("At 420."))
    lab.ask("Where is it?", session_id=first.session_id)
    lab.forget(message_id=first.question_id)
    assert lab.turns["rewritten"].isna().all()
    assert study.replay(lab.snapshot()).turns[1].changed == ("forgotten messages",)


def test_keys_are_masked_in_what_goes_out_and_what_comes_back(lab, server):
    key = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789"
    server.queue(say(f"Where is {key}?"), say("At 420."))
    reply = lab.ask(f"Where is {key}?")
    assert key not in json.dumps([request.body for request in server.requests])
    assert key not in reply.rewritten
    assert key not in lab.turns.to_csv()


def test_a_switch_is_true_or_false():
    assert Config.from_toml(Config(rewrite=True).to_toml()).rewrite is True
    with pytest.raises(ConfigError, match=r"Config\.rewrite must be True or False, not 1"):
        Config(rewrite=1)

"""What an analyst does with a lab, by model: what it costs and tells, and what gives way where a server lacks it."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from clock import Clock
from messages_models import MODELS, known
from messages_server import RECOMMENDATION, Status, end, refuse, say, start, text, think, tool

from gallump_lab import Budget, Config, Lab, Model, study
from gallump_lab.brain.answer import EmptyReply, ModelError, NoAccess
from gallump_lab.brain.brain import Brain
from gallump_lab.brain.models import price
from gallump_lab.brain.prompt import PromptBuilder
from gallump_lab.config import Cold
from gallump_lab.market import FileBroker
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory.records import SessionContext

SONNET, WORDS = "claude-sonnet-5-5", "Quite so, as ever. " * 200


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 2, 9, tzinfo=UTC))


@pytest.fixture
def asking(anew, clock, server):
    """Give a lab that asks a model on the server."""

    def opened(name=SONNET, *, cold=None, budget=None, **model) -> Lab:
        asked = Model(**{"name": name, "base_url": server.url, "max_retries": 0, "timeout": 30} | model)
        return anew(
            clock=clock, broker=FileBroker(), config=Config(model=asked, cold=cold or Cold(), budget=budget or Budget())
        )

    return opened


def error(status, words):
    return Status.error(status, "invalid_request_error", words)


def test_asking_streaming_stopping_and_distilling_work_and_are_priced(asking, clock, server, model):
    lab, heard, thought = asking(model, cold=Cold(distiller="model")), [], []
    first = lab.ask("What do you recommend?", on_text=heard.append, on_thinking=lambda: thought.append(1))
    name = server.requests[0].body["model"]
    thinks = bool(known(name) and known(name).thinks)
    assert (first.state, first.notice, first.answered) == ("complete", None, name)
    assert "".join(heard) == first.text
    assert thought == [1] * thinks
    assert (first.thinking is not None, first.usage.thinking_tokens > 0) == (thinks, thinks)
    assert first.usage.thinking_tokens < first.usage.output_tokens
    assert [each.symbol for each in first.recommendations] == ["AAPL"]

    stop = threading.Event()
    stopped = lab.ask("Talk without end.", session_id=first.session_id, on_text=lambda _: stop.set(), stop=stop)
    assert (stopped.state, stopped.usage.thinking_tokens) == ("stopped", 0)
    clock.now += timedelta(hours=1)
    if known(name) is None:  # it has no structured outputs
        server.queue(say('Here they are: {"insights": []}'))
    done = lab.distill(confirm=lambda _: True)
    assert (done.sessions, done.failed, done.distiller) == (1, (), name)
    listed = price(name)
    if listed is None:
        assert (lab.turns["cost_usd"].isna().all(), done.cost_usd) == (True, None)
        return
    assert first.cost_usd == pytest.approx(listed.cost(first.usage))
    if thinks:  # of a reply that is broken off nobody tells how much was thought
        assert stopped.cost_usd > (4_096 + 8_000) * listed.output / 1e6
    assert lab.spent_today == pytest.approx(first.cost_usd + stopped.cost_usd + done.cost_usd)


def test_a_reply_that_thinking_ate_says_so_is_priced_and_can_be_asked_for_with_more_room(asking, server):
    lab = asking(effort="high", thinking=500, budget=Budget(reply=200), max_usd_per_day=0.02)
    with pytest.raises(EmptyReply, match="spent all of its 700 tokens on thinking and wrote nothing") as eaten:
        lab.ask("Is AAPL worth buying?")
    assert "less effort (Model.effort), or with more room to think (Model.thinking)" in str(eaten.value)
    failed = eaten.value.reply
    assert f"lab.retry({failed.question_id}, model=...) asks it again." in str(eaten.value)
    assert (failed.state, failed.reply_id, failed.usage.output_tokens) == ("failed", None, 700)
    assert failed.cost_usd == pytest.approx(price(SONNET).cost(failed.usage))
    reply = lab.retry(failed.question_id, model=Model(effort="low", thinking=16_000))  # at the lab's server
    assert (reply.state, reply.question_id) == ("complete", failed.question_id)
    assert reply.text.startswith("You asked: Is AAPL worth buying?")
    sent = [json.loads(each) for each in lab.turns["sent"]]
    assert [(each["max_tokens"], each["effort"]) for each in sent] == [(700, "high"), (16_200, "low")]
    server.queue(think(usage={"input_tokens": 10_000}))
    with pytest.raises(EmptyReply) as again:
        lab.ask("And now?")
    with pytest.raises(RuntimeError, match=r"the limit is \$0\.02"):
        lab.retry(again.value.reply.question_id, model=Model(effort="low"))  # and within its limit
    assert len(server.requests) == 3


@pytest.mark.parametrize("shown", ["", "Hm. "])
def test_a_model_that_is_given_no_room_to_think_needs_a_longer_reply(asking, server, shown):
    lab = asking("qwen3:8b")
    server.queue([*think(shown=shown)[:-2], *text("\n", index=1), *end("max_tokens")])
    with pytest.raises(EmptyReply, match=r"Ask again with more room \(Budget\.reply\)\.") as eaten:
        lab.ask("Well?")
    assert eaten.value.reply.state == "failed"


def test_the_token_factor_is_learnt_from_what_was_written_and_not_from_what_was_thought(asking, server):
    lab = asking()
    before = lab.preview("Well?").prompt.session_context.token_factor
    server.queue([*think(WORDS)[:-2], *end(output_tokens=9_000)], think(WORDS, tokens=5_000))
    lab.ask("Well?")  # of which the server does not say how much was thought
    assert lab.preview("Well?").prompt.session_context.token_factor == before
    reply = lab.ask("Well?")
    (counted,) = lab.sql("select tokens from messages where message_id = ?", [reply.reply_id])["tokens"]
    written = reply.usage.output_tokens - 5_000
    assert lab.turns[["plain", "thinking_tokens"]].iloc[1].tolist() == [True, 5_000]
    learnt = lab.preview("Well?").prompt.session_context.token_factor
    assert learnt == round((before * 2_000 + written) / (2_000 + counted), 3) != before
    (shown,) = study.tokens(lab.snapshot()).by_model["learnt_factor"]
    assert shown == learnt


def test_a_preview_counts_the_tools_and_its_server_counts_the_same(asking, server, model):
    lab = asking(model, factors=dict.fromkeys([*MODELS, "qwen3:8b"], 0.86))  # by the server four characters are one
    lab.ask("I bought AAPL at 190, my stop is 182.")
    preview = lab.preview("Where is my stop?", exact=True)
    lab.ask("Where is my stop?")
    last = server.requests[-1]
    assert preview.counted == sum(
        last.usage.get(name, 0) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    tools = preview.sections.set_index("section").loc["tools"]
    hidden = known(last.body["model"]).tools_prompt if known(last.body["model"]) else 0
    assert 200 < tools["tokens"] - hidden < 400
    assert preview.tokens == pytest.approx(preview.counted, rel=0.05)
    assert f"{preview.counted:,} by its server" in repr(preview)
    assert preview.cost_usd is None or preview.cost_usd < preview.most_usd


def test_no_tools_are_counted_where_none_are_sent(asking, anew):
    for lab in (asking(tools="never"), anew()):
        preview = lab.preview("Well?", exact=lab.config.model.tools == "never")
        assert "tools" not in preview.sections["section"].tolist()
        assert (preview.counted is None) == (preview.model == "offline-analyst")


REFUSED = {
    "effort": "This model does not support the effort parameter.",
    "format": "output_config.format: Extra inputs are not permitted",
    "strict": "tools.0.custom.strict: Extra inputs are not permitted",
    "diagnostics": "diagnostics: Extra inputs are not permitted",
    "cache_control": "system.0.text.cache_control: Extra inputs are not permitted",
    "tools": "tool use is not supported by this model",
    "effort, format": "output_config: Extra inputs are not permitted",
}


@pytest.mark.parametrize(("fields", "words"), REFUSED.items(), ids=[*REFUSED])
def test_what_a_server_refuses_is_left_out_told_once_and_recorded(asking, clock, server, fields, words):
    lab, told = asking(), f"does not take {fields}: asked without, now and from here on."
    if "format" in fields:  # what is no prose is asked for through it
        lab.ask("My AAPL stop is 182.")
        clock.now += timedelta(hours=1)
        server.requests.clear()
        server.queue(error(400, words), say('{"insights": []}'))
        done = lab.distill(by="model", confirm=lambda _: True)
        assert (done.sessions, done.failed) == (1, ())
        assert told in repr(done)
        first, second = (request.body.get("output_config", {}) for request in server.requests)
        assert first.keys() - second.keys() == {*fields.split(", ")}
        return
    server.queue(error(422, words), say("As asked."), error(500, "down"))
    reply = lab.ask("Well?", session_id=None)
    assert (reply.text, reply.state) == ("As asked.", "complete")
    assert told in reply.notice
    assert told in reply.to_dict()["notice"]
    assert json.loads(lab.turns["sent"].iloc[0])["without"] == [fields]
    with pytest.raises(ModelError):
        lab.ask("And?", session_id=reply.session_id)
    again = lab.ask("And?", session_id=reply.session_id)
    assert (again.notice, again.sent["without"]) == (None, [fields])
    bodies = [json.dumps(request.body) for request in server.requests]
    assert [f'"{fields}"' in body for body in bodies] == [True, False, False, False]
    assert lab.preview("Well?", exact=True).counted > 0
    assert f'"{fields}"' not in json.dumps(server.others[-1].body)


def test_what_was_refused_is_not_remembered_where_it_was_not_the_reason(asking, server):
    lab = asking()
    server.queue(*[error(400, REFUSED["tools"])] * 2)
    with pytest.raises(ModelError, match="tool use is not supported") as failed:
        lab.ask("Well?")
    assert failed.value.reply.cost_usd == 0.0
    reply = lab.retry(failed.value.reply.question_id)
    assert ["tools" in request.body for request in server.requests] == [True, False, True]
    assert (reply.notice, reply.sent["without"]) == (None, [])
    assert lab.messages["role"].tolist() == ["user", "assistant"]


def test_a_server_that_does_not_count_what_it_refuses_counts_without_it(asking, server):
    counts = server.endpoints.answer

    def answer(method, path, body):
        refused = path.endswith("count_tokens") and "strict" in json.dumps(body)
        return (400, error(400, REFUSED["strict"]).body) if refused else counts(method, path, body)

    server.endpoints.answer = answer
    assert asking().preview("Well?", exact=True).counted > 0
    server.endpoints.answer = lambda *_: (200, b"<html>", {"content-type": "text/html"})
    with pytest.raises(ModelError, match="Check the base URL"):
        asking().preview("Well?", exact=True)


def test_who_really_answered_is_recorded_and_priced(asking, server):
    lab = asking(name="our-gateway")
    server.queue([start(model="claude-opus-5-5-20260901", input_tokens=1_000), *text("Yes."), *end(output_tokens=500)])
    reply = lab.ask("Well?")
    assert (reply.model, reply.answered) == ("our-gateway", "claude-opus-5-5-20260901")
    assert reply.to_dict()["model"] == lab.turns["answered"].iloc[0] == reply.answered
    assert reply.cost_usd == pytest.approx((1_000 * 4 + 500 * 20) / 1e6)
    assert not reply.plain  # another model's tokens teach nothing about this one's
    assert lab.transcript()[-1]["turn"]["model"] == reply.answered


def test_a_question_without_a_reply_says_why_where_it_is_printed_told_and_exported(asking, server):
    lab = asking()
    server.queue(refuse("cyber"), error(400, "Your credit balance is too low to access the Anthropic API."))
    reply = lab.ask("Well?")
    assert reply.ending == "The model declined to go on (cyber). Your question is kept; ask in other words."
    assert reply.notice == reply.to_dict()["notice"] == reply.ending
    assert repr(reply).startswith(reply.ending)
    with pytest.raises(NoAccess, match="Check the account's billing and credit") as unpaid:
        lab.ask("And now?", session_id=reply.session_id)
    assert unpaid.value.reply.notice == str(unpaid.value)
    said = lab.export(reply.session_id)
    assert (said.count("no reply, refused)"), said.count("no reply, failed)")) == (1, 1)
    lab.retry(unpaid.value.reply.question_id)
    assert "no reply, failed" not in lab.export(reply.session_id)


@pytest.mark.parametrize(
    ("name", "how"), [("claude-sonnet-4-6", "with high effort"), ("claude-haiku-4-5", "without effort")]
)
def test_an_effort_that_a_model_does_not_take_is_told_once(asking, name, how):
    lab = asking(name, effort="xhigh")
    first = lab.ask("Well?")
    assert f"{name} was asked {how}" in first.notice
    assert lab.ask("And?", session_id=first.session_id).notice is None
    assert asking(name).ask("Well?").notice is None


def test_a_refusal_names_its_category(asking, clock, server):
    lab = asking(cold=Cold(distiller="model"))
    server.queue(refuse("cyber", "As far as"))
    reply = lab.ask("Well?")
    assert (reply.state, reply.text) == ("refused", "As far as")
    assert reply.ending.startswith("The model declined to go on (cyber). Your question is kept")
    assert reply.to_dict()["notice"] == reply.ending
    assert lab.turns["stop_reason"].tolist() == ["refusal: cyber"]
    clock.now += timedelta(hours=1)
    server.queue(refuse("bio"))
    (why,) = lab.distill(confirm=lambda _: True).failed
    assert "The model declined to distil the session (bio)." in why


KEY = "sk-ant-planted-0123456789abcdef"


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ({"data": [{"id": "qwen3:8b"}, {"id": "llama3.2"}], "object": "list"}, "qwen3:8b"),
        ({"data": [{"id": "gpt-oss"}, {"id": SONNET}]}, SONNET),
        ({"data": [{"id": f"model-{number}"} for number in range(10_000)]}, "model-0"),
        ({"data": [{"id": 5}, {"id": "x" * 1_000}, {"id": " \n"}, {"id": "last"}]}, "last"),
        *[({"data": odd}, "unnamed-model") for odd in (None, [], {}, 5, "models", [None, 7, []])],
        ([], "unnamed-model"),
        (b"<html>Welcome</html>", "unnamed-model"),
        (None, "unnamed-model"),
    ],
)
def test_auto_is_what_a_foreign_server_lists_first(server, monkeypatch, listed, expected):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    kind = {"content-type": "text/html" if isinstance(listed, bytes) else "application/json"}
    shown = (404, {"error": KEY}) if listed is None else (200, listed, kind)
    server.endpoints.answer = lambda *_: shown
    prompt = PromptBuilder().build_trading_prompt("Well?", MarketContext(), SessionContext())
    brain = Brain(model=Model(base_url=server.url))
    answer = brain.send(prompt)
    assert (answer.model, server.requests[0].body["model"]) == (expected, expected)
    assert (answer.cost_usd is None) == (price(expected) is None)
    assert (answer.state, bool(answer.told)) == ("complete", expected == "unnamed-model")
    assert KEY not in repr(answer)
    monkeypatch.setenv("ANTHROPIC_MODEL", "of-the-environment")
    assert brain.send(prompt).model == "of-the-environment"


def test_a_local_server_may_be_started_after_the_notebook(asking, server):
    server.models = []
    lab = asking("auto")
    first = lab.ask("Well?")
    assert first.model == "unnamed-model"
    assert "name one (ANTHROPIC_MODEL or Model.name)" in first.notice
    assert lab.ask("Well?").notice is None
    server.models = ["qwen3:8b", "llama3.2"]
    assert lab.ask("Well?").model == "qwen3:8b"


def test_words_in_other_cases_are_forgiven(asking, clock, server):
    lab, shouted = asking(), RECOMMENDATION | {"action": "Buy"}
    server.queue(
        [start(), *text("One idea."), *tool({"recommendations": [shouted]}, name="Recommend"), *end("tool_use")]
    )
    reply = lab.ask("My AAPL stop is 182.")
    assert ([each.action for each in reply.recommendations], reply.dropped) == (["buy"], ())
    clock.now += timedelta(hours=1)
    level = {"text": "The stop for AAPL is 182.", "kind": "LEVEL", "symbol": "AAPL", "sources": [1]}
    server.queue(say(f"Here is what I found:\n\n{json.dumps({'insights': [level]})}\n\nIt rests on [1]."))
    assert lab.distill(by="model", confirm=lambda _: True).insights == 1
    assert lab.insights.frame["kind"].tolist() == ["level"]


def test_a_replys_dict_tells_state_model_and_usage(asking, server):
    server.queue(think("Well.", tokens=300, usage={"cache_read_input_tokens": 40}))
    found = asking().ask("Well?").to_dict()
    assert (found["state"], found["model"], found["usage"]) == (
        "complete",
        SONNET,
        {
            "input_tokens": 100,
            "output_tokens": 302,
            "cache_read_tokens": 40,
            "cache_write_tokens": 0,
            "thinking_tokens": 300,
        },
    )
    assert json.loads(json.dumps(found)) == found
    assert found.keys() >= {"response", "recommendations", "requires_confirmation", "context_stats", "session_id"}


@pytest.mark.parametrize(
    "reply",
    [
        [*text(WORDS), *end()],
        [start(), *text(WORDS), {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}],
        [start(), *text(WORDS), {"type": "message_stop"}],
        [start(), *text(WORDS), *end(output_tokens=-5)],
    ],
    ids=["no beginning", "no usage", "no end", "no count"],
)
def test_what_a_server_does_not_count_is_estimated_and_not_taken_for_what_it_began_with(asking, server, reply):
    server.queue(reply)
    lab = asking()
    answer = lab.ask("Well?")
    assert (answer.text, answer.state, answer.usage, answer.plain) == (WORDS, "complete", None, False)
    assert answer.cost_usd > 1_000 * 10 / 1e6


@pytest.mark.parametrize("counted", [{"output_tokens": 0}, {"output_tokens": 10, "thinking_tokens": 4_000}])
def test_counts_that_cannot_be_teach_nothing(asking, server, counted):
    server.queue([start(), *text(WORDS), *end(**counted)])
    lab = asking()
    before = lab.preview("Well?").prompt.session_context.token_factor
    lab.ask("Well?")
    assert lab.preview("Well?").prompt.session_context.token_factor == before

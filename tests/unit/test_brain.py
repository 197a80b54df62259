"""The brain: what is sent to a server that speaks the Messages API, and what is made of its replies."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from messages_models import known
from messages_server import RECOMMENDATION, Status, end, say, start, text, thinking, tool

from gallump_lab import tokens
from gallump_lab.brain import answer as faults
from gallump_lab.brain.answer import Recommendation, Usage
from gallump_lab.brain.brain import Brain
from gallump_lab.brain.prompt import PromptBuilder
from gallump_lab.config import Budget, ConfigError, Model
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory.records import SessionContext

BUY = RECOMMENDATION
IN_WORDS = "- **Buy AAPL**, 5% of the portfolio, entry $430.00, stop $400.00, target $500.00, 3 months, confidence 60%."


def brain(server, *, budget=None, **model):
    return Brain(model=Model(**{"base_url": server.url, "timeout": 30, **model}), budget=budget)


def prompt(question="Is AAPL worth buying?", template="default"):
    builder = PromptBuilder(template)
    return builder.build_trading_prompt(question, MarketContext(symbols=("AAPL",)), SessionContext())


def test_text_arrives_while_the_reply_is_still_being_written(server, model):
    first_seen = threading.Event()
    server.queue([start(), *text("Perhaps", first_seen, ", below $190.", index=0), *end()])
    pieces = []

    def on_text(piece):
        pieces.append(piece)
        first_seen.set()  # only now does the server go on

    answer = brain(server, name=model).send(prompt(), on_text=on_text)
    assert pieces == ["Perhaps", ", below $190."]
    assert answer.text == "Perhaps, below $190."
    assert (answer.state, answer.stop_reason, answer.fault, answer.offline) == ("complete", "end_turn", None, False)
    assert answer.plain
    assert 0 < answer.first_text <= answer.latency


def test_what_is_sent_is_the_prompt_with_its_stable_part_cached_and_a_strict_tool(server, model):
    sent, guide = prompt(), prompt(template="guide")
    asked = brain(server, budget=Budget(reply=777), name=model)
    asked.send(sent)
    brain(server, name=model).send(guide)
    body, other = (request.body for request in server.requests)
    facts = known(body["model"])
    assert body["system"] == [{"type": "text", "text": sent.system, "cache_control": {"type": "ephemeral"}}]
    assert body["messages"] == [{"role": "user", "content": sent.user}]
    assert (body["model"], body["stream"]) == (asked.model_name, True)
    assert body["max_tokens"] == 777 + (8_000 if facts and facts.thinks else 0)
    assert body.get("output_config") == ({"effort": "medium"} if facts and facts.efforts else None)
    assert body["tool_choice"] == {"type": "auto"}
    (offered,) = body["tools"]
    assert offered["strict"]
    assert set(offered["input_schema"]["properties"]["recommendations"]["items"]["required"]) == set(BUY)
    assert "system" not in other
    assert other["messages"] == [{"role": "user", "content": guide.text}]


def test_a_recommendation_is_put_into_words_and_an_invalid_one_is_refused_with_a_reason(server, model):
    wrong = BUY | {"symbol": "MSFT", "stop": 550.0}
    server.queue([start(), *text("Two ideas."), *tool({"recommendations": [wrong, BUY]}), *end("tool_use")])
    answer = brain(server, name=model).send(prompt())
    assert answer.text == f"Two ideas.\n\n{IN_WORDS} Scripted."  # in words, so that it is remembered
    assert (answer.recommendations, answer.state, answer.plain) == ((Recommendation(**BUY),), "complete", False)
    (reason,) = answer.dropped
    assert reason.startswith("The recommendation 'MSFT' was refused: a buy needs stop < entry < target, not stop 550.0")
    assert answer.to_dict() == {"response": answer.text, "recommendations": [BUY], "requires_confirmation": True}

    server.queue([start(), *tool({"recommendations": [BUY]}, index=0), *end("tool_use")])
    pieces = []
    assert (
        brain(server, name=model).send(prompt(), on_text=pieces.append).text
        == "".join(pieces)
        == f"{IN_WORDS} Scripted."
    )

    server.queue([start(), *text("Done."), *tool({"recommendations": [BUY]}, name="place_order"), *end("tool_use")])
    other = brain(server, name=model).send(prompt())  # of a tool that was not offered
    assert (other.recommendations, other.text) == ((), "Done.")


def test_a_fenced_block_serves_where_no_tool_was_called_and_stays_in_the_text(server, model):
    words = f"Buy.\n\n```json\n{json.dumps({'recommendations': [BUY]})}\n```"
    server.queue(say(words))
    answer = brain(server, name=model, tools="never").send(prompt())
    assert (answer.text, answer.recommendations) == (words, (Recommendation(**BUY),))
    assert "tools" not in server.requests[0].body


def test_a_server_without_tools_is_asked_once_more_without_them(server, model):
    server.queue(Status.error(500, "invalid_request_error", "tools need --jinja"), say("Plainly said."))
    answer = brain(server, name=model, max_retries=0).send(prompt())
    assert (answer.text, answer.sent["without"]) == ("Plainly said.", ["tools"])
    assert "does not take tools: asked without, now and from here on." in answer.told
    again = brain(server, name=model, max_retries=0).send(prompt())
    assert (again.told, again.sent["without"]) == (None, ["tools"])
    server.queue(Status.error(400, "invalid_request_error", "tools are not supported"))
    assert isinstance(brain(server, name=model, tools="always").send(prompt()).fault, faults.BadRequest)
    assert ["tools" in request.body for request in server.requests] == [True, False, False, True]


def test_usage_and_cost_are_the_servers_figures_at_list_price(server):
    usage = {"input_tokens": 1_000, "cache_read_input_tokens": 10_000, "cache_creation_input_tokens": 2_000}
    server.queue([start(**usage), *text("Yes."), *end(output_tokens=500)])
    answer = brain(server, name="claude-sonnet-5").send(prompt())
    assert answer.usage == Usage(
        input_tokens=1_000, output_tokens=500, cache_read_tokens=10_000, cache_write_tokens=2_000
    )
    # 1,000 x $2 + 10,000 x $0.20 + 2,000 x $2.50 + 500 x $10, per million
    assert answer.cost_usd == pytest.approx(0.014)


def test_a_configured_price_is_used_without_one_no_cost_is_claimed_and_without_usage_it_is_estimated(server):
    uncounted = [{"type": "message_start", "message": {"usage": None}}, *text("Yes."), {"type": "message_stop"}]
    million = [start(input_tokens=1_000_000), *text("Yes."), *end(output_tokens=1_000_000)]
    server.queue(million, million, uncounted)
    prices = {"llama3.2": (0.5, 1.5)}
    priced, unpriced, estimated = (
        brain(server, name=name, prices=prices).send(prompt())
        for name in ("llama3.2:8b", "llama3", "claude-sonnet-5-5")
    )
    assert priced.cost_usd == pytest.approx(2.0)
    assert (unpriced.usage is not None, unpriced.cost_usd) == (True, None)
    assert (estimated.usage, estimated.state) == (None, "complete")
    assert estimated.cost_usd > (tokens.count(prompt().text) * 2 + tokens.count("Yes.") * 10) / 1e6


def test_thinking_is_no_part_of_the_text_and_half_a_character_can_be_stored(server, model):
    blocks = [*thinking("Let me see. "), *text("Buy \ud83d.", index=1), *thinking("hm", index=2)]
    server.queue([start(), *blocks, *text("Now.", index=3), *end(output_tokens=900)])
    pieces = []
    answer = brain(server, name=model).send(prompt(), on_text=pieces.append)
    assert (answer.text, answer.state, answer.plain) == ("Buy \ufffd.\n\nNow.", "complete", False)
    assert "".join(pieces) == answer.text


def test_how_the_model_ended_is_told_and_the_text_kept(server, model):
    states = {"max_tokens": "cut", "model_context_window_exceeded": "cut", "pause_turn": "cut"}
    for reason, state in (states | {"refusal": "refused", "stop_sequence": "complete"}).items():
        server.queue(say("As far as it came", stop_reason=reason))
        answer = brain(server, name=model).send(prompt())
        found = (answer.text, answer.state, answer.stop_reason, answer.fault)
        assert found == ("As far as it came", state, reason, None)
        assert (answer.ending is None) == (state == "complete")
    allowed = server.requests[-1].body["max_tokens"]
    server.queue([start(), *text("All its tokens, and"), *end("end_turn", output_tokens=allowed)])
    assert brain(server, name=model).send(prompt()).state == "cut"


def test_the_environment_names_model_server_and_key(server, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.setenv("ANTHROPIC_MODEL", "claude-opus-5-5")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-the-environment")
    Brain().send(prompt())
    monkeypatch.setenv("ANTHROPIC_API_KEY", "  key-of-the-environment\n")
    asked = Brain()
    assert (asked.offline, asked.model_name) == (False, "claude-opus-5-5")
    assert asked.send(prompt()).model == "claude-opus-5-5"
    assert server.requests[1].body["model"] == "claude-opus-5-5"
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer token-of-the-environment", "Bearer key-of-the-environment"]


def test_without_key_and_server_the_offline_analyst_answers():
    asked = Brain()
    answer = asked.send(prompt())
    assert (asked.offline, asked.model_name) == (True, "offline-analyst")
    assert (answer.offline, answer.cost_usd, answer.state) == (True, 0.0, "complete")
    assert answer.text.startswith("**Offline analyst: no model was asked.**")


def test_the_guides_converse_builds_the_prompt_and_gives_a_dict_or_raises(server):
    said = [{"role": "user", "message": "I sold my IBM.", "created_at": datetime(2026, 1, 1, tzinfo=UTC)}]
    asked = Brain("session-1", object(), model=Model(base_url=server.url))
    found = asked.converse(
        user_message="And now?", market_context=MarketContext(), session_context=SessionContext(current_messages=said)
    )
    assert found.keys() == {"response", "recommendations", "requires_confirmation"}
    assert found["requires_confirmation"] is True
    assert "You asked: And now?" in found["response"]
    assert "I sold my IBM." in str(server.requests[0].body["messages"][0])
    server.queue(Status.error(401, "authentication_error", "invalid x-api-key"))
    with pytest.raises(faults.NoAccess, match="Check ANTHROPIC_API_KEY"):
        asked.converse("Hello", MarketContext(), SessionContext())


def test_events_of_any_shape_do_not_break_the_turn(server):
    odd = [
        {"type": "message_start", "message": 5},
        {"type": "content_block_start", "index": [], "content_block": None},
        {"type": "content_block_delta", "index": {}, "delta": {"type": "text_delta", "text": 5}},
        {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_delta", "delta": {"type": ["text_delta"], "text": {}}},
        {"type": "something_new", "delta": 1},
        b"event: content_block_delta\ndata: [1, 2]\n\n",
        {"type": "message_delta", "delta": {"stop_reason": 7}, "usage": {"output_tokens": -1, "input_tokens": "x"}},
        {"type": "message_delta", "delta": None, "usage": {"output_tokens": 10**30, "input_tokens": True}},
        *text("Still here."),
        {"type": "message_stop"},
    ]
    server.queue(odd)
    answer = brain(server).send(prompt())
    assert (answer.text, answer.state, answer.usage) == ("Still here.", "complete", None)


def test_questions_at_once_get_each_its_own_reply_inside_a_running_event_loop_too(server):
    async def cell(name):  # as a notebook's cell does
        return brain(server).send(prompt(f"Who is {name}?")).text

    names = ("Ann", "Ben", "Cid")
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda name: asyncio.run(cell(name)), names))
    assert found == [f"You asked: Who is {name}?" for name in names]


def test_what_on_text_raises_ends_the_request_and_keeps_what_had_arrived(server, model):
    server.queue([start(), *text("One.", threading.Event(), "Two."), *end()])

    def broken(_):
        raise KeyboardInterrupt

    answer = brain(server, name=model).send(prompt(), on_text=broken)
    assert (answer.state, answer.text) == ("stopped", "One.")
    with pytest.raises(KeyboardInterrupt):
        answer.raise_if_failed()
    assert server.requests[0].gone.wait(30)


def test_a_reply_that_comes_at_once_is_a_reply(server, model):
    content = [
        {"type": "text", "text": "Buy. \U0001f680"},
        {"type": "tool_use", "id": "toolu_1", "name": "recommend", "input": {"recommendations": [BUY]}},
    ]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "content": content}
    usage = {"input_tokens": 1_000, "output_tokens": 50}
    server.queue(Status(200, {**message, "stop_reason": "max_tokens", "stop_sequence": None, "usage": usage}))
    seen = []
    answer = brain(server, name=model).send(prompt(), on_text=seen.append)
    assert answer.text == "".join(seen)
    assert answer.text.startswith("Buy. \U0001f680")
    assert (answer.state, answer.stop_reason, answer.fault) == ("cut", "max_tokens", None)
    assert (answer.recommendations, answer.usage) == ((Recommendation(**BUY),), Usage(**usage))


def test_a_character_in_two_halves_is_one_and_half_of_one_can_be_stored(server):
    server.queue(say("up \ud83d", "\ude80", " and \ud83d", "\ude80away"), say("up \ud83d down"))
    seen = []
    assert brain(server).send(prompt(), on_text=seen.append).text == "".join(seen) == "up \U0001f680 and \U0001f680away"
    assert brain(server).send(prompt()).text == "up \ufffd down"


@pytest.mark.parametrize(
    ("name", "wanted", "sent"),
    [
        ("claude-sonnet-5-5", "xhigh", "xhigh"),
        ("claude-sonnet-4-6", "xhigh", "high"),
        ("claude-sonnet-4-6", "max", "max"),
        ("claude-opus-4-5", "max", "high"),
        ("claude-haiku-4-5", "max", None),
        ("qwen3:8b", "max", None),
        ("claude-opus-5-5", "default", None),
    ],
)
def test_effort_is_the_next_lower_one_that_a_model_takes(server, name, wanted, sent):
    server.queue(say("Yes."))
    assert brain(server, name=name, effort=wanted).send(prompt()).sent["effort"] == sent
    assert server.requests[0].body.get("output_config", {}).get("effort") == sent


def test_an_effort_that_is_none_is_refused_in_words():
    with pytest.raises(
        ConfigError, match=r"Model\.effort must be one of low, medium, high, xhigh, max, default, not 'bad'"
    ):
        Model(effort="bad")

import json
import logging
import threading
import traceback

import pytest
from messages_server import DROP, Status, end, say, start, text, thinking, tool

from gallump_lab import tokens
from gallump_lab.brain import answer as faults
from gallump_lab.brain.answer import Usage
from gallump_lab.brain.brain import Brain
from gallump_lab.brain.models import price
from gallump_lab.brain.prompt import PromptBuilder
from gallump_lab.config import ConfigError, Model
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory.records import SessionContext

KEY = "sk-ant-planted-0123456789abcdef"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def send(server, *, on_text=None, stop=None, **model):
    asked = Brain(model=Model(**{"base_url": server.url, "timeout": 30, "max_retries": 0, **model}))
    prompt = PromptBuilder().build_trading_prompt("Is AAPL worth buying?", MarketContext(), SessionContext())
    return asked.send(prompt, on_text=on_text, stop=stop)


def begun(*pieces):
    """The events of a reply that has begun and not ended."""
    return [start(input_tokens=321), *list(text(*pieces))[:-1]]


def cost(name, written):
    """What a prompt of 321 tokens and so many written ones cost; None where that is not known."""
    known = price(name)
    return known and pytest.approx(known.cost(Usage(input_tokens=321, output_tokens=written)))


REFUSALS = [
    (400, faults.BadRequest, "Lower the budget"),
    (401, faults.NoAccess, "Check ANTHROPIC_API_KEY"),
    (402, faults.NoAccess, "billing"),
    (403, faults.NoAccess, "choose another model"),
    (404, faults.BadRequest, "has no model {model}"),
    (413, faults.BadRequest, "Lower the budget's tiers"),
    (429, faults.RateLimited, "Ask again in a minute or two"),
    (500, faults.ServerTrouble, "Ask again in a minute or two"),
    (529, faults.ServerTrouble, "is overloaded"),
]


def test_each_refusal_has_its_own_words_and_keeps_the_question(server, model):
    for status, fault, words in REFUSALS:
        server.queue(Status.error(status, "some_error", "what the server said"))
        answer = send(server, name=model)
        assert (answer.state, answer.text, answer.usage, answer.cost_usd) == ("failed", "", None, 0.0)
        assert type(answer.fault) is fault
        assert (answer.fault.status, answer.fault.retry_after) == (status, None)
        assert words.format(model=answer.model) in answer.ending
        assert f"({status}: what the server said)" in answer.ending
        assert answer.ending.endswith("Your question is kept.")


@pytest.mark.parametrize(
    "said",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "request (1267 tokens) exceeds the available context size (1024 tokens), try increasing it",
        "litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException",
        "This model's maximum context length is 8192 tokens.",
    ],
)
def test_a_prompt_that_the_models_context_cannot_hold_is_called_too_large(server, said):
    server.queue(Status.error(400, "invalid_request_error", said))
    fault = send(server).fault
    assert (type(fault), fault.status) == (faults.BadRequest, 400)
    assert str(fault).startswith("The prompt is too large for 127.0.0.1")
    assert "Lower the budget's tiers or its window." in str(fault)


def test_a_rate_limit_says_when_to_ask_again(server):
    for value, seconds in {"90": 90, "0.5": 0.5, "soon": None, "nan": None, "1e300": None}.items():
        server.queue(Status.error(429, "rate_limit_error", "slow down", retry_after=value))
        fault = send(server).fault
        assert fault.retry_after == seconds
        when = {90: "in 90 seconds", 0.5: "in 1 second"}.get(seconds, "in a minute or two")
        assert f"Ask again {when}." in str(fault)


def test_what_may_succeed_later_is_asked_again(server):
    server.queue(
        Status.error(429, "rate_limit_error", "slow down", retry_after="0"),
        Status.error(529, "overloaded_error", "busy", retry_after="0"),
        say("There you are."),
        *[Status.error(500, "api_error", "oh", retry_after="0")] * 5,
    )
    assert send(server, max_retries=2).text == "There you are."
    assert isinstance(send(server, max_retries=2).fault, faults.ServerTrouble)
    assert len(server.requests) == 6  # no more often than configured


@pytest.mark.parametrize(
    "reply",
    [
        Status.error(401, "authentication_error", "no", retry_after="0"),
        Status.error(429, "rate_limit_error", "in an hour", retry_after="3600"),
        [DROP],
        [*begun("Half a")[:1], DROP],
        [*begun("Half a"), DROP],
    ],
    ids=["hopeless", "a long wait", "no answer", "broken off", "broken off in mid-text"],
)
def test_what_would_not_help_or_bill_twice_is_not_asked_again(server, reply):
    server.queue(reply)
    assert send(server, max_retries=5).state == "failed"
    assert len(server.requests) == 1


def test_silence_ends_in_a_time_out(server):
    for steps in ([], begun("Half a")):
        server.queue([*steps, threading.Event()])
        answer = send(server, timeout=0.3, max_retries=3)
        assert type(answer.fault) is faults.TimedOut
        assert "for 0.3 seconds. Ask again, or raise Model.timeout." in answer.ending
        assert answer.text == ("Half a" if steps else "")
    assert len(server.requests) == 2


def test_a_connection_lost_in_mid_stream_keeps_the_partial_reply_and_its_usage(server, model):
    server.queue([*begun("Half a ", "reply"), DROP])
    seen = []
    answer = send(server, name=model, on_text=seen.append)
    assert type(answer.fault) is faults.ConnectionLost
    assert (answer.state, answer.text, "".join(seen)) == ("failed", "Half a reply", "Half a reply")
    assert answer.usage == Usage(input_tokens=321, output_tokens=1)
    written = tokens.scaled(tokens.count("Half a reply"), tokens.FACTORS[tokens.family(answer.model)])
    assert answer.cost_usd == cost(answer.model, written)  # the server had not said how much it wrote
    assert answer.at_most == (answer.cost_usd is not None)
    assert "the part of the reply that had arrived" in answer.ending
    assert not answer.plain


def test_what_a_model_may_have_thought_unseen_counts(server, model):
    before = [start(input_tokens=321)]
    server.queue(
        [*before, *list(thinking(""))[:1], DROP],
        [*before, *thinking("hm"), *list(text("Half", index=1))[:-1], DROP],
        [*before, threading.Event()],
    )
    for timeout in (30, 30, 0.3):
        answer = send(server, name=model, timeout=timeout)
        assert answer.state == "failed"
        assert answer.cost_usd == cost(answer.model, answer.sent["max_tokens"])


def test_what_was_never_sent_or_was_refused_costs_nothing(server, model):
    stop = threading.Event()
    stop.set()
    answer = send(server, name=model, stop=stop)
    assert (answer.state, answer.text, answer.ending) == ("stopped", "", "Stopped. What had arrived is kept.")
    assert [thread for thread in threading.enumerate() if thread.name == "gallump-brain"] == []
    assert server.requests == []
    server.queue(Status.error(529, "overloaded_error", "busy"))
    assert answer.cost_usd == send(server, name=model).cost_usd == 0.0


def test_an_error_in_mid_stream_or_a_stream_without_an_end_keeps_what_had_arrived(server, model):
    kinds = {"overloaded_error": faults.ServerTrouble, "rate_limit_error": faults.RateLimited}
    for kind, fault in (kinds | {"something new": faults.ServerTrouble, None: faults.ConnectionLost}).items():
        error = [{"type": "error", "error": {"type": kind, "message": "oh"}}] if kind else []
        server.queue([*begun("Half a"), *error])
        answer = send(server, name=model)
        assert type(answer.fault) is fault
        assert (answer.state, answer.text) == ("failed", "Half a")


def test_an_empty_reply_is_a_fault_and_one_that_had_come_to_its_end_is_whole_whatever_happens_then(server, model):
    server.queue(say(" \n"), [*begun("All of it."), *list(end())[:1], DROP])
    assert type(send(server, name=model).fault) is faults.EmptyReply
    answer = send(server, name=model)
    assert (answer.state, answer.text, answer.fault) == ("complete", "All of it.", None)


def test_what_is_no_reply_is_called_so(server):
    server.queue(
        Status(200, b"<html>Welcome</html>", {"content-type": "text/html"}),
        [b"event: message_start\ndata: " + b"[" * 100_000 + b"\n\n"],
        [b"event: message_start\ndata: \xff\xfe\n\n"],
        [b"nothing of the kind"],
        Status(200, {"hello": "world"}),
    )
    for _ in range(5):
        fault = send(server).fault
        assert type(fault) is faults.BrokenReply
        assert "Check the base URL." in str(fault)


def test_a_base_url_that_is_none_or_answers_not_is_said_without_its_password(server, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "localhost:8080")
    server.queue(Status.error(401, "authentication_error", "no"))
    with_password = server.url.replace("//", "//me:password@")
    assert "password" not in send(server, base_url=with_password).ending
    assert "word" not in send(server, base_url=with_password.replace("pass", "pass/")).ending
    with pytest.raises(ConfigError, match="not 'localhost'"):
        Model(base_url="me:password@localhost")
    server.close()
    for url in (None, server.url, "http://", "http://[::1"):
        answer = send(server, base_url=url)
        assert type(answer.fault) is faults.ConnectionLost
        assert "Check the network and the base URL." in answer.ending
        assert answer.cost_usd == 0.0
    assert server.url.removeprefix("http://") in send(server).ending


def test_a_key_that_is_none_is_refused_and_not_repeated(server, monkeypatch):
    for key in (f"{KEY}\u20ac", f"{KEY[:9]}\n{KEY[9:]}"):
        monkeypatch.setenv("ANTHROPIC_API_KEY", key)
        answer = send(server)
        assert type(answer.fault) is faults.NoAccess
        assert "holds a character that no key has" in answer.ending
        assert key[:9] not in answer.ending
    assert server.requests == []


HOSTILE = [
    Status.error(401, "authentication_error", f"invalid key {KEY} " + "x" * 170 + KEY),
    Status(500, f"Authorization: Bearer {KEY}".encode()),
    Status(400, {"message": f"{KEY}"}),
    [*begun(f"Your key is {KEY}, ", KEY[:12], KEY[12:]), DROP],
    [*begun("Half"), {"type": "error", "error": {"type": "api_error", "message": KEY}}],
    [DROP],
    [b"event: x\ndata: " + KEY.encode() + b"\n\n"],
    say(f"Bearer {KEY}"),
]


@pytest.mark.parametrize("reply", HOSTILE)
def test_the_key_is_nowhere(server, caplog, capfd, reply):
    caplog.set_level(logging.DEBUG)
    server.queue(reply)
    answer = send(server)
    found = [
        answer.text,
        repr(answer),
        str(answer.to_dict()),
        str(answer.ending),
        repr(Brain()),
        caplog.text,
        *capfd.readouterr(),
    ]
    if answer.fault is not None:
        found += [repr(vars(answer.fault)), repr(answer.fault.args), _traceback(answer.fault)]
        assert (answer.fault.__cause__, answer.fault.__context__) == (None, None)
    for place in found:
        assert KEY not in place
        assert KEY[8:] not in place
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def _traceback(fault):
    try:
        raise fault
    except faults.ModelError as raised:
        return "".join(traceback.TracebackException.from_exception(raised, capture_locals=True).format())


def test_a_stop_in_mid_stream_keeps_what_had_arrived_and_hangs_up(server, model):
    stop = threading.Event()
    server.queue([*begun("Half a ", "reply"), threading.Event()])
    seen = []

    def on_text(piece):
        seen.append(piece)
        if piece == "reply":
            stop.set()

    answer = send(server, name=model, on_text=on_text, stop=stop)
    assert (answer.state, answer.text, "".join(seen)) == ("stopped", "Half a reply", "Half a reply")
    assert answer.usage == Usage(input_tokens=321, output_tokens=1)
    assert (answer.fault, answer.plain) == (None, False)
    assert server.requests[0].gone.wait(30)


@pytest.mark.parametrize(
    "reply", [[threading.Event()], Status.error(429, "rate_limit_error", "later", retry_after="19")]
)
def test_a_stop_while_waiting_for_the_first_word_or_between_two_tries_ends_the_trying(server, reply):
    stop = threading.Event()
    server.queue(reply, say("Too late."))
    helper = threading.Thread(target=lambda: (_until(lambda: server.requests), stop.set()))
    helper.start()
    answer = send(server, stop=stop, max_retries=5)
    helper.join()
    assert (answer.state, answer.text, answer.usage) == ("stopped", "", None)
    _until(lambda: not [thread for thread in threading.enumerate() if thread.name == "gallump-brain"])
    assert len(server.requests) == 1


def _until(true):
    while not true():
        threading.Event().wait(0.01)


def test_a_key_in_the_escapes_of_a_recommendation_is_hidden_too(server):
    idea = {"action": "buy", "symbol": "AAPL", "size": KEY, "entry": None, "stop": None, "target": None}
    idea |= {"horizon": KEY, "confidence": 0.5, "rationale": f"Because {KEY}."}
    escaped = json.dumps({"recommendations": [idea]}).replace("sk-ant", "\\u0073k-ant")
    server.queue([start(), *text("Buy."), *tool(escaped), *end("tool_use")])
    answer = send(server)
    assert answer.recommendations[0].rationale == "Because [API key removed]."
    assert KEY not in repr(answer)

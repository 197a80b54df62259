"""The scripted server against the documentation that it follows: worked examples, each with its page.

Pages stand under platform.claude.com/docs/en. It is asked by Anthropic's own client.
"""

import json

import anthropic
import pytest
from messages_server import cited, refuse, say, start, text, think

SONNET, OPUS, HAIKU = "claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-5-5"
SONNET_46, HAIKU_45 = "claude-sonnet-4-6", "claude-haiku-4-5"
EVERY = [SONNET, OPUS, HAIKU, SONNET_46, HAIKU_45]
CACHED = {"type": "ephemeral"}
TOOL = {
    "name": "note",
    "description": "Note it.",
    "input_schema": {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    },
}
RESULTS = [
    {
        "type": "search_result",
        "source": f"https://docs.company.com/{page}",
        "title": page.title(),
        "content": [{"type": "text", "text": said}],
        "citations": {"enabled": True},
    }
    for page, said in (
        ("overview", "Acme Dashboard is a monitoring tool for distributed systems."),
        ("plans", "Acme Dashboard is available on the Starter plan."),
    )
]


@pytest.fixture
def server(server):
    server.strict = True
    server.clock = lambda: 0.0
    return server


@pytest.fixture
def client(server):
    with anthropic.Anthropic(api_key="sk-test", base_url=server.url, max_retries=0) as asking:
        yield asking


@pytest.fixture
def ask(client):
    """Ask for a message; the SDK would refuse itself what it does not know, so all goes as it is."""

    def asked(content="Hello", *, model=SONNET, stream=True, **more):
        messages = more.pop("messages", [{"role": "user", "content": content}])
        sent = {"max_tokens": 8_000} | more
        if not stream:
            return client.messages.create(model=model, messages=messages, max_tokens=1, extra_body=sent)
        with client.messages.stream(model=model, messages=messages, max_tokens=1, extra_body=sent) as events:
            return events.get_final_message()

    return asked


@pytest.fixture
def refused(ask):
    def words(**asked):
        with pytest.raises(anthropic.BadRequestError) as why:
            ask(**asked)
        assert why.value.body["error"]["type"] == "invalid_request_error"
        return why.value.body["error"]["message"]

    return words


def part(tokens, number=0, **more):
    """One block of so many tokens, at four characters each."""
    return {"type": "text", "text": f"{number:03} " * tokens, **more}


def marked(tokens, number=0, **ttl):
    return part(tokens, number, cache_control=CACHED | ttl)


def counted(message):
    """Give what was read, written and fresh."""
    usage = message.usage
    return usage.cache_read_input_tokens, usage.cache_creation_input_tokens, usage.input_tokens


# build-with-claude/prompt-caching


def test_a_breakpoint_looks_back_20_blocks(ask):
    """Example: Lookback in a growing conversation."""

    def turn(blocks, *breakpoints):
        return counted(ask([marked(100, i) if i in breakpoints else part(100, i) for i in range(1, blocks + 1)]))

    assert turn(10, 10) == (0, 1_000, 0)
    assert turn(15, 15) == (1_000, 500, 0)
    assert turn(35, 15, 35) == (1_500, 2_000, 0)  # a second breakpoint starts a second window
    assert turn(55, 55) == (0, 5_500, 0)  # blocks 55 to 36


def test_a_breakpoint_on_what_changes_is_never_read(ask):
    """Common mistake: Breakpoint on content that changes every request."""
    static = [part(200, i) for i in range(1, 6)]
    assert counted(ask([*static, marked(50, 6)])) == (0, 1_050, 0)
    assert counted(ask([*static, marked(50, 7)])) == (0, 1_050, 0)
    static[-1] = marked(200, 5)
    assert counted(ask([*static, part(50, 8)])) == (0, 1_000, 50)
    assert counted(ask([*static, part(50, 9)])) == (1_000, 0, 50)


def test_input_tokens_are_those_after_the_last_breakpoint(ask):
    """Understanding the token breakdown: 100,000 read, 0 written, 50 after, 100,050 in all."""
    system = [marked(100_000)]
    ask([part(40)], system=system)
    assert counted(ask([part(50)], system=system)) == (100_000, 0, 50)


def test_with_both_lives_the_longer_is_billed_up_to_its_last_breakpoint(ask):
    """Mixing different TTLs: read A, one hour's B - A, five minutes' C - B."""
    system = [marked(600, 1, ttl="1h")]
    ask("Hello", system=system)
    told = ask([marked(300, 2, ttl="1h"), marked(200, 3), part(10, 4)], system=system)
    assert counted(told) == (600, 500, 10)
    assert told.usage.cache_creation.ephemeral_1h_input_tokens == 300
    assert told.usage.cache_creation.ephemeral_5m_input_tokens == 200


def test_automatic_caching_moves_its_breakpoint_along(ask):
    """How automatic caching works in multi-turn conversations."""
    talk = [{"role": "user", "content": [part(600, 1)]}]
    assert counted(ask(messages=talk, cache_control=CACHED)) == (0, 600, 0)
    talk += [{"role": "assistant", "content": [part(80, 2)]}, {"role": "user", "content": [part(20, 3)]}]
    assert counted(ask(messages=talk, cache_control=CACHED)) == (600, 100, 0)


@pytest.mark.parametrize(("ttl", "life"), [("5m", 300), ("1h", 3_600)])
def test_an_entry_lives_from_the_start_of_the_request_that_used_it_last(ask, server, ttl, life):
    asked = [[marked(600, ttl=ttl)], *([part(600), marked(10, i, ttl=ttl)] for i in range(1, 4))]
    seen = []
    for now, content in zip((0, life - 1, 2 * life - 2, 3 * life - 2), asked, strict=True):
        server.clock = lambda now=now: now
        seen.append(counted(ask(content))[0])
    assert seen == [0, 600, 600, 0]


@pytest.mark.parametrize(("model", "least"), list(zip(EVERY, [512, 512, 512, 1_024, 4_096], strict=True)))
def test_a_prompt_below_the_minimum_is_not_cached_and_nothing_is_said(ask, model, least):
    for length, written in ((least - 1, 0), (least, least)):
        assert counted(ask([part(1)], system=[marked(length)], model=model)) == (0, written, 1 + length - written)


@pytest.mark.parametrize(
    ("changed", "read"),
    [
        ({}, 2_000),
        ({"output_config": {"effort": "high"}}, 2_000),  # the default, said
        ({"output_config": {"effort": "low"}}, 1_600),
        ({"thinking": {"type": "between_tools"}}, 1_600),
        ({"tool_choice": {"type": "none"}}, 1_600),
        ({"system": [marked(700, 9)]}, 900),
        ({"tools": [TOOL | {"description": "x" * 2_000, "cache_control": CACHED}]}, 0),
        ({"model": OPUS}, 0),
    ],
)
def test_what_is_changed_loses_what_comes_after_it(ask, changed, read):
    """What invalidates the cache."""
    tool = TOOL | {"cache_control": CACHED}
    tool["description"] += "x" * (4 * (900 - 286) - len(json.dumps(["tools", TOOL])))  # 900 with the hidden prompt
    asked = {"tools": [tool], "system": [marked(700)], "content": [marked(400, 2)]}
    assert counted(ask(**asked)) == (0, 2_000, 0)
    assert counted(ask(**asked | changed))[0] == read


def test_diagnostics_name_the_first_difference(ask):
    """build-with-claude/cache-diagnostics"""

    def told(previous, **more):
        message = ask(
            **{"system": [marked(600)], "content": [part(20)]} | more, diagnostics={"previous_message_id": previous}
        )
        return message.diagnostics and message.diagnostics.cache_miss_reason.to_dict()

    first = ask([part(20)], system=[marked(600)], diagnostics={"previous_message_id": None})
    assert first.diagnostics is None
    assert told(first.id) is None
    assert told(first.id, system=[marked(600, 1)]) == {"type": "system_changed", "cache_missed_input_tokens": 600}
    assert told(first.id, tools=[TOOL])["type"] == "tools_changed"
    assert told(first.id, content=[part(20, 1)]) == {"type": "messages_changed", "cache_missed_input_tokens": 0}
    assert told(first.id, model=OPUS)["type"] == "model_changed"
    assert told(first.id, output_config={"effort": "low"}) == {"type": "unavailable"}
    assert told("msg_other") == {"type": "previous_message_not_found"}


# What is refused


FORCED = {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "note"}}
NO_FORCE = 'tool_choice: type "tool" and "any" are not supported for this model.'
PREFILL = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 2_000}}


@pytest.mark.parametrize(
    ("asked", "words", "models"),
    [
        # models/sonnet-5-5/migration-guide, models/opus-5-5/whats-new-opus-5-5, models/haiku-5-5/migration-guide
        (FORCED, NO_FORCE, [SONNET, OPUS]),
        (FORCED | {"tool_choice": {"type": "any"}}, NO_FORCE, [SONNET, OPUS]),
        ({"temperature": 0.5}, "`temperature` is deprecated for this model.", [SONNET, OPUS, HAIKU]),
        ({"top_k": 5}, "`top_k` is deprecated for this model.", [SONNET, OPUS, HAIKU]),
        (BUDGET, '"thinking.type.enabled" is not supported for this model. Use', [SONNET, OPUS, HAIKU]),
        ({"thinking": {"type": "disabled"}}, "To turn thinking off on this model, send", [SONNET]),
        ({"thinking": {"type": "disabled"}}, '"thinking.type.disabled" is not supported', [OPUS]),
        ({"thinking": {"type": "between_tools"}}, '"thinking.type.between_tools" is not', EVERY[1:]),
        # api/errors
        ({"thinking": {"type": "adaptive"}}, "adaptive thinking is not supported on this model", [HAIKU_45]),
        (PREFILL, "This model does not support assistant message prefill.", EVERY[:4]),
        # build-with-claude/effort
        ({"output_config": {"effort": "low"}}, "This model does not support the effort parameter.", [HAIKU_45]),
        ({"output_config": {"effort": "xhigh"}}, "This model does not support effort level 'xhigh'.", [SONNET_46]),
    ],
)
def test_some_models_refuse_what_others_take(refused, asked, words, models):
    for model in models:
        assert refused(model=model, **asked).startswith(words)


@pytest.mark.parametrize(
    ("asked", "models"),
    [
        (FORCED, [HAIKU, SONNET_46, HAIKU_45]),
        ({"temperature": 1}, EVERY),
        ({"temperature": 0.5}, [SONNET_46, HAIKU_45]),
        (BUDGET, [SONNET_46, HAIKU_45]),
        ({"thinking": {"type": "disabled"}}, [HAIKU, SONNET_46, HAIKU_45]),
        (PREFILL, [HAIKU_45]),
        ({"output_config": {"effort": "max"}}, EVERY[:4]),
        ({"tools": [TOOL | {"strict": True}], "tool_choice": {"type": "auto"}}, EVERY),
    ],
)
def test_what_a_model_takes_it_answers(ask, asked, models):
    for model in models:
        assert ask(model=model, **asked).content


def schema(**fields):
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def formed(given):
    return {"output_config": {"format": {"type": "json_schema", "schema": given}}}


def strictly(given):
    return {"tools": [{"name": "note", "strict": True, "input_schema": given}]}


MANY = {f"field{i}": {"type": ["string", "null"]} for i in range(25)}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"tool_choise": {}}, "tool_choise: Extra inputs are not permitted"),
        ({"output_config": {"efort": "low"}}, "output_config.efort: Extra inputs are not permitted"),
        ({"tools": [TOOL | {"strct": True}]}, "tools.0.custom.strct: Extra inputs are not permitted"),
        ({"content": [part(1, at=0)]}, "messages.0.content.0.text.at: Extra inputs are not permitted"),
        ({"output_config": {"effort": "none"}}, "output_config.effort: Input should be 'low' or"),
        ({"system": [{"type": "text", "text": "", "cache_control": CACHED}]}, "system.0.text: cache_control cannot"),
        (
            {"content": [marked(1, i) for i in range(5)]},
            "A maximum of 4 blocks with cache_control may be provided. Fou",
        ),
        ({"content": [marked(1), marked(1, ttl="1h")]}, "messages.0.content.1.text.cache_control.ttl: a ttl='1h'"),
        # build-with-claude/search-results
        ({"content": [*RESULTS, part(1)], **formed(schema())}, "citations are not supported with output_config.format"),
        ({"content": [RESULTS[0], RESULTS[1] | {"citations": {"enabled": False}}]}, "messages: citations must be"),
        # build-with-claude/structured-outputs
        (
            formed(schema(a={"type": "integer", "minimum": 0, "maximum": 9})),
            "output_config.format.schema: For 'integer' type, properties maximum, minimum are not supported",
        ),
        (
            strictly(schema(a={"type": "array", "items": {"type": "string", "maxLength": 9}})),
            "tools.0.custom: For 'string' type, property 'maxLen",
        ),
        (formed({"type": "object"}), "output_config.format.schema: For 'object' type, 'additionalProperties' must be"),
        (formed(schema(**dict(list(MANY.items())[:17]))), "Schemas contains too many parameters with union types (17"),
        (strictly(schema(**MANY) | {"required": []}), "Schemas contains too many optional parameters (25)"),
    ],
)
def test_no_model_takes_what_is_documented_as_refused(refused, asked, words):
    assert refused(**asked).startswith(words)


# build-with-claude/thinking, build-with-claude/effort


@pytest.mark.parametrize(("model", "thought"), list(zip(EVERY, [5_000, 1_000, 1_000, 0, 0], strict=True)))
def test_a_model_thinks_first_as_it_does_by_default(ask, model, thought):
    message = ask(model=model)
    kinds = [each.type for each in message.content]
    assert kinds == (["thinking", "text"] if thought else ["text"])
    assert message.usage.output_tokens_details.thinking_tokens == thought
    assert message.usage.output_tokens > thought
    assert message.model == model


def test_what_is_thought_is_omitted_unless_it_is_asked_for(ask):
    assert ask().content[0].thinking == ""
    assert ask().content[0].signature
    assert ask(thinking={"type": "adaptive", "display": "summarized"}).content[0].thinking


def test_less_effort_thinks_less_and_some_ask_for_none(ask):
    def thought(**asked):
        return ask(**asked).usage.output_tokens_details.thinking_tokens

    amounts = [
        thought(output_config={"effort": each}, max_tokens=64_000) for each in "low medium high xhigh max".split()
    ]
    assert amounts == sorted(set(amounts))
    assert thought(thinking={"type": "between_tools"}) == 0
    assert thought(model=HAIKU_45, **BUDGET) == 2_000
    forced = ask(model=HAIKU, **FORCED)  # then it does not think
    assert [(each.type, each.input, forced.stop_reason) for each in forced.content] == [
        ("tool_use", {"text": ""}, "tool_use")
    ]


def test_thinking_can_eat_all_of_max_tokens(ask):
    """build-with-claude/thinking-steering-and-cost"""
    for room, kinds in ((4_096, ["thinking"]), (5_001, ["thinking", "text"])):
        message = ask("Current User Input:\n> Where was my stop?", max_tokens=room)
        assert [each.type for each in message.content] == kinds
        assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", room)


def test_a_scripted_reply_is_sent_as_it_is(ask, server):
    server.queue(say("At 420."), think("At 420.", tokens=900), think(tokens=900), [start(model=OPUS), *say("Ha")[1:]])
    plain, thoughtful, eaten, other = (ask(model=SONNET) for _ in range(4))
    assert [each.type for each in plain.content] == ["text"]
    assert thoughtful.usage.output_tokens_details.thinking_tokens == 900
    assert (eaten.stop_reason, [each.type for each in eaten.content]) == ("max_tokens", ["thinking"])
    assert (plain.model, other.model) == (SONNET, OPUS)
    assert server.requests[0].usage["input_tokens"] == 2  # Hello


def test_a_refusal_names_its_category(ask, server):
    """build-with-claude/refusals-and-fallback"""
    server.queue(refuse("cyber"))
    message = ask()
    assert (message.stop_reason, message.stop_details.category) == ("refusal", "cyber")


def test_search_results_are_cited(ask, server):
    """build-with-claude/search-results"""
    message = ask([*RESULTS, {"type": "text", "text": "Current User Input:\n> What is it?"}])
    places = [each.citations[0] for each in message.content if each.type == "text" and each.citations]
    assert [(each.search_result_index, each.start_block_index, each.end_block_index) for each in places] == [
        (0, 0, 1),
        (1, 0, 1),
    ]
    assert [each.source for each in places] == [each["source"] for each in RESULTS]
    assert "".join(each.text for each in message.content if each.type == "text").startswith("You asked: What is it?")
    server.queue(
        [start(), *text("It is ", index=0), *cited("a tool", index=1, result=RESULTS[1], number=1), *say("")[-2:]]
    )
    assert ask().content[1].citations[0].cited_text == RESULTS[1]["content"][0]["text"]


@pytest.mark.parametrize("stream", [True, False])
def test_what_is_asked_for_by_schema_fits_it(ask, stream):
    """build-with-claude/structured-outputs"""
    kind = {"enum": ["level", "view"]}
    item = schema(kind=kind, price={"type": ["number", "null"]}, on={"type": "boolean"})
    given = schema(items={"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/item"}}) | {
        "$defs": {"item": item}
    }
    said = ask(stream=stream, **formed(given)).content[-1].text
    assert json.loads(said) == {"items": [{"kind": "level", "price": 0, "on": False}]}


def test_tokens_are_counted_with_tools_and_refusals(client):
    """build-with-claude/token-counting"""
    asked = {"model": SONNET, "messages": [{"role": "user", "content": "a" * 40}]}
    assert client.messages.count_tokens(**asked).input_tokens == 10
    assert client.messages.count_tokens(**asked, tools=[TOOL]).input_tokens > 10 + 286
    with pytest.raises(anthropic.BadRequestError, match="not supported for this model"):
        client.messages.count_tokens(**asked, **FORCED)


def test_models_are_listed_by_pages(client, server):
    """api/models/list"""
    first = client.models.list(limit=2)
    assert (first.has_more, [each.id for each in first]) == (True, EVERY)
    assert not client.models.retrieve(HAIKU_45).capabilities.effort.supported
    server.models = ["qwen3"]
    assert [each.id for each in client.models.list()] == ["qwen3"]
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve(SONNET)


# build-with-claude/batch-processing


def batch(client, **each):
    """Ask for one message by each name, with what it adds."""
    asked = {"model": SONNET, "max_tokens": 8_000, "messages": [{"role": "user", "content": "Hello"}]}
    return client.messages.batches.create(
        requests=[{"custom_id": name, "params": asked | more} for name, more in each.items()]
    )


def results(client, made):
    return {each.custom_id: each.result for each in client.messages.batches.results(made.id)}


def test_a_batch_ends_with_a_result_for_each_request(client, server):
    server.queue(say("One."), say("Two."))
    server.endpoints.outcomes = {"late": "expired", "broken": {"type": "api_error", "message": "Internal."}}
    made = batch(client, one={}, late={}, wrong={"temperature": 0}, broken={}, two={})
    assert (made.processing_status, made.request_counts.processing, made.results_url) == ("in_progress", 5, None)
    polled = [client.messages.batches.retrieve(made.id).processing_status for _ in range(2)]
    assert polled == ["in_progress", "ended"]
    found = results(client, made)
    assert {name: each.type for name, each in found.items()} == {
        "one": "succeeded",
        "late": "expired",
        "wrong": "errored",
        "broken": "errored",
        "two": "succeeded",
    }
    assert list(found) != ["one", "late", "wrong", "broken", "two"]  # in any order
    assert found["two"].message.content[0].text == "Two."
    assert found["two"].message.usage.service_tier == "batch"
    assert found["wrong"].error.error.message == "`temperature` is deprecated for this model."
    [listed] = client.messages.batches.list()
    assert (listed.request_counts.succeeded, listed.request_counts.errored) == (2, 2)


def test_a_canceled_batch_keeps_what_was_done(client):
    made = batch(client, one={}, two={})
    assert client.messages.batches.cancel(made.id).processing_status == "canceling"
    for _ in range(2):
        client.messages.batches.retrieve(made.id)
    assert {name: each.type for name, each in results(client, made).items()} == {"one": "succeeded", "two": "canceled"}


def test_a_batch_expires_after_a_day(client, server):
    server.endpoints.polls = 1_000
    made = batch(client, one={})
    assert client.messages.batches.retrieve(made.id).processing_status == "in_progress"
    server.clock = lambda: 86_400.0
    assert client.messages.batches.retrieve(made.id).request_counts.expired == 1


def test_each_request_of_a_batch_has_a_name_of_its_own(client):
    asked = {"custom_id": "one", "params": {"model": SONNET, "max_tokens": 1, "messages": []}}
    with pytest.raises(anthropic.BadRequestError, match="custom_id"):
        client.messages.batches.create(requests=[asked, asked])


def test_a_local_model_ignores_what_it_does_not_know(ask, client, server):
    server.models = ["qwen3"]
    message = ask(
        [marked(600)], model="qwen3", min_p=0.1, output_config={"effort": "low"}, cache_control=CACHED, temperature=0
    )
    assert [each.type for each in message.content] == ["text"]
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (600, None)
    with pytest.raises(anthropic.NotFoundError):
        batch(client, one={})

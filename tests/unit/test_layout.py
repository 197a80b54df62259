"""A prompt laid out as the conversation that it continues, and replies that cite what was recalled."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from clock import Clock
from hypothesis import given, settings
from hypothesis import strategies as st
from messages_server import MessagesServer, Status, cited, end, say, start

from gallump_lab import Budget, Config, Lab, Model, study
from gallump_lab.brain.prompt import PromptBuilder
from gallump_lab.market import FileBroker
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory.records import SessionContext
from gallump_lab.ui.inspector import carried

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a-key-of-the-environment")
    with MessagesServer() as running:
        yield running


@pytest.fixture
def clock():
    return Clock(START)


def opened(tmp_path, server, clock, *, citations=False, layout="conversation", hot=2_000, step=100):
    server.clock = lambda: clock().timestamp()
    budget = Budget(hot=hot, hot_step=step)
    config = Config(layout=layout, budget=budget, model=Model(base_url=server.url, citations=citations))
    return Lab.open(tmp_path / "lab.duckdb", clock=clock, broker=FileBroker(), config=config)


def chat(lab, clock, turns, *, days=1):
    """Chat for some days, so many turns a day, two minutes apart."""
    for day in range(days):
        session = None
        for turn in range(turns):
            stop, more = 400 + 10 * day + turn, "Long words. " * turn
            reply = lab.ask(f"My AAPL stop is {stop}. Where was it before? {more}", ["AAPL"], session_id=session)
            session = reply.session_id
            clock.now += timedelta(minutes=2)
        clock.now += timedelta(days=1)
    return reply


def test_the_session_is_sent_as_its_turns_and_the_records_after_it(tmp_path, server, clock):
    reply = chat(opened(tmp_path, server, clock), clock, 3)
    *turns, last = server.requests[-1].body["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert turns[0]["content"].startswith("My AAPL stop is 400.")
    assert turns[-1]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert last["content"].startswith("=== MARKET DATA ===")
    assert last["content"].splitlines()[-2:][0] == "Current User Input:"
    assert "CURRENT CONVERSATION" not in reply.prompt.text
    assert reply.prompt.tokens == sum(section.tokens for section in reply.prompt.sections)


def test_the_cache_is_read_for_as_long_as_the_session_begins_alike(tmp_path, server, clock):
    lab = opened(tmp_path, server, clock, hot=20_000)
    session = chat(lab, clock, 6).session_id
    read = [request.usage["cache_read_input_tokens"] for request in server.requests]
    kept = [a["cache_read_input_tokens"] + a["cache_creation_input_tokens"] for a in (r.usage for r in server.requests)]
    assert read[1:] == kept[:-1]  # each turn reads all that the one before it had written
    clock.now += timedelta(minutes=8) - timedelta(days=1)
    late = lab.ask("And now?", session_id=session)
    assert (late.usage.cache_read_tokens, late.usage.cache_write_tokens > 0) == (0, True)  # it lasts five minutes


def test_a_context_made_by_hand_is_sent_as_its_turns_too_and_the_oldest_go_first():
    said = [{"role": role, "message": f"{role} {i}"} for i in range(3) for role in ("user", "assistant")]
    context = SessionContext(current_messages=said)
    whole = PromptBuilder().build_trading_prompt("Well?", MarketContext(), context)
    assert whole.turns == tuple((each["role"], each["message"]) for each in said)
    held = Budget(hot=0, warm=0, cold=0, window=whole.tokens, reply=1)
    cut = PromptBuilder(budget=held).build_trading_prompt("Well?", MarketContext(), context)
    assert cut.turns == whole.turns[2:]


def test_what_is_longer_than_hot_begins_in_it_and_whole_it_is_sent_as_it_was_said(tmp_path, clock):
    lab = Lab.open(tmp_path / "lab.duckdb", clock=clock)
    session = lab.sessions.get_or_create_session()
    rows = "My giraffe plan.\n\n" + "\n".join(f"Row {i} holds {i * 7} giraffes.  They are tall.  " for i in range(200))
    said = [("user", "Which zoo?"), ("assistant", "The north one."), ("user", rows), ("assistant", "Noted. " * 300)]
    for role, words in said:
        lab.sessions.add_message(session, role, words)
    sent = {hot: lab.preview("And now?", session_id=session, config=held(hot)).prompt.turns for hot in (600, 20_000)}
    assert sent[20_000] == tuple((role, words.strip()) for role, words in said)
    (_, pasted), (_, noted) = sent[600]
    assert rows.startswith(pasted.strip())
    assert said[-1][1].startswith(noted.strip())
    assert min(len(pasted), len(noted)) > 200
    few = lab.preview("And now?", session_id=session, config=held(4)).prompt
    assert few.turns == ()


def held(hot):
    return Config(budget=Budget(hot=hot))


def test_the_default_is_the_conversation_and_the_guides_template_is_one_string():
    assert Config().layout == "conversation"
    assert PromptBuilder().template == PromptBuilder.of(Config()).template
    assert Config.guide().layout == Config(layout="conversation", template="guide").layout == "single"


@pytest.mark.parametrize("citations", [False, True])
@pytest.mark.parametrize("layout", ["single", "conversation"])
def test_every_turn_replays_to_what_was_sent_and_what_if_in_another_layout(tmp_path, server, clock, layout, citations):
    lab = opened(tmp_path, server, clock, layout=layout, citations=citations)
    if not citations:
        server.queue(*(say(f"It was at {turn}. {'Long words. ' * (turn % 30)}") for turn in range(50)))
    chat(lab, clock, 10, days=5)
    snapshot = lab.snapshot()
    assert study.replay(snapshot).frame["identical"].all()
    other = replace(lab.config, layout="single" if layout == "conversation" else "conversation")
    tried = study.replay(snapshot, config=other)
    assert tried.frame["problem"].isna().all()


@given(budgets=st.lists(st.integers(0, 3_000), min_size=2, max_size=2).map(sorted), step=st.integers(1, 400))
@settings(max_examples=20, deadline=None)
def test_a_larger_budget_keeps_all_that_a_smaller_one_does_and_begins_at_a_question(talked, budgets, step):
    kept = []
    for hot in budgets:
        config = replace(talked.config, budget=Budget(hot=hot, hot_step=step))
        found = talked.preview("And now?", session_id=talked.sid, config=config)
        said = [slot for slot in found.slots if slot.tier == "hot" and slot.kept]
        assert sum(slot.tokens for slot in said) <= hot
        assert len(found.prompt.turns) == len({slot.message_id for slot in said})
        assert not said or found.prompt.turns[0][0] == "user"
        kept.append({slot.item_id for slot in said})
    assert kept[0] <= kept[1]


@pytest.fixture(scope="module")
def talked(tmp_path_factory):
    clock = Clock(START)
    path, config = tmp_path_factory.mktemp("lab") / "lab.duckdb", Config(layout="conversation")
    lab = Lab.open(path, clock=clock, broker=FileBroker(), config=config)
    lab.sid = chat(lab, clock, 12).session_id
    clock.now -= timedelta(days=1)
    return lab


def test_a_reply_says_what_it_rests_on_and_its_items_tell(tmp_path, server, clock):
    lab = opened(tmp_path, server, clock, citations=True)
    chat(lab, clock, 2)
    content = lab.preview("Where was my AAPL stop?", ["AAPL"]).prompt.messages[-1]["content"]
    result = [part for part in content if part["type"] == "search_result"][1]
    server.queue([start(), *cited("It stood at 401", index=0, result=result, number=1), *say(", as you said.")[1:]])
    reply = lab.ask("Where was my AAPL stop?", ["AAPL"])
    (note,) = reply.citations
    slot = reply.prompt.results[1]
    assert (note.number, note.kind, note.item_id, note.message_id) == (1, "passage", slot.item_id, slot.message_id)
    assert reply.text == "It stood at 401, as you said."  # no blank line where a sentence was split
    assert "It stood at 401[1], as you said.\n\n[1] 2026-03-0" in repr(reply)
    assert reply.to_dict()["citations"][0]["places"] == (15,)
    told = {slot.item_id: slot.cited for slot in lab.slots(reply.turn_id) if slot.tier == "warm" and slot.kept}
    assert told == {each.item_id: each.item_id == note.item_id for each in reply.prompt.results}
    why = {each["item_id"]: each["why"] for each in carried(lab, reply.reply_id)["slots"] if each["tier"] == "warm"}
    assert {item: why[item].split(" \u00b7 ")[-1] == "cited" for item in told} == told
    assert lab.transcript(limit=1)[0]["turn"]["citations"] == [note]
    assert lab.messages["text"].iloc[-1] == reply.text
    static = lab.chat(static=True)._repr_mimebundle_()[0]["text/html"]
    assert "It stood at 401<sup>[1]</sup>, as you said." in static
    assert f"<p>{note}</p>" in static
    lab.forget(message_id=note.message_id)
    assert lab.transcript(limit=1)[0]["turn"]["citations"] == []
    assert "[1]" not in lab.chat(static=True)._repr_mimebundle_()[0]["text/html"]


def test_a_server_that_knows_no_search_results_gets_text_and_nobody_counts_as_uncited(tmp_path, server, clock):
    lab = opened(tmp_path, server, clock, citations=True, layout="single")
    chat(lab, clock, 2)
    server.queue(Status.error(400, "invalid_request_error", "messages.0.content.1: unknown type search_result"))
    reply = lab.ask("Where was my AAPL stop?", ["AAPL"])
    assert "does not take citations" in reply.notice
    assert "My AAPL stop is 400." in server.requests[-1].body["messages"][0]["content"]
    assert {slot.cited for slot in lab.slots(reply.turn_id)} == {None}
    assert "cited" not in str(carried(lab, reply.reply_id)["slots"])


def test_hostile_citations_are_passed_over(tmp_path, server, clock):
    lab = opened(tmp_path, server, clock, citations=True)
    chat(lab, clock, 2)
    odd = [
        {"type": "citations_delta", "citation": {"search_result_index": place}} for place in (99, -1, "1", None, True)
    ]
    server.queue([start(), *cited_block("Yes.", odd), *end()])
    reply = lab.ask("Where was my AAPL stop?", ["AAPL"])
    assert (reply.text, reply.citations) == ("Yes.", ())


def cited_block(text, deltas):
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for delta in ({"type": "text_delta", "text": text}, *deltas):
        yield {"type": "content_block_delta", "index": 0, "delta": json.loads(json.dumps(delta))}
    yield {"type": "content_block_stop", "index": 0}


def test_the_share_of_cited_tokens_is_told_by_tier_signal_and_insight(tmp_path, server, clock):
    lab = opened(tmp_path, server, clock, citations=True)
    chat(lab, clock, 2, days=6)
    found = study.cited(lab.snapshot())
    shown = [(slot, reply) for reply in lab.turns["turn_id"] for slot in lab.slots(reply) if slot.cited is not None]
    warm = found.shares("tier").loc["warm"]
    mine = [slot for slot, _ in shown if slot.tier == "warm"]
    assert warm["tokens"] == sum(slot.tokens for slot in mine)
    assert warm["share"] == pytest.approx(sum(slot.tokens for slot in mine if slot.cited) / warm["tokens"])
    assert 0 <= warm["low"] < warm["share"] < warm["high"] <= 1
    assert warm["sessions"] >= 5
    assert found.by == "citations"
    assert found.frame.index.tolist() == [*range(len(shown))]
    assert "tier warm: " in repr(found)
    with pytest.raises(ValueError, match="group must be one of tier, kind, signal, insight"):
        found.shares("colour")


def test_without_citations_shared_words_stand_in_and_are_named(talked):
    found = study.cited(talked.snapshot())
    assert (found.by, set(found.frame["tier"])) == ("shared words", {"hot"})  # the talk fits HOT whole
    assert "no reply was asked to cite" in repr(found)


def test_why_the_cache_was_missed_is_recorded(tmp_path, server, clock):
    lab = opened(tmp_path, server, clock, layout="conversation")
    session = chat(lab, clock, 2).session_id
    clock.now -= timedelta(days=1)
    lab.apply(replace(lab.config, model=replace(lab.config.model, tools="never")))
    lab.ask("And now?", session_id=session)
    turn = lab.transcript(limit=1)[0]["turn"]
    assert turn["missed"].startswith("tools changed, ")
    read = lab.transcript(limit=3)[0]["turn"]
    assert read["saved_usd"] == pytest.approx(read["cache_read_tokens"] * (2 - 0.1) / 1e6)
    assert turn["saved_usd"] is None


def test_an_export_lists_the_notes_of_a_reply(tmp_path, server, clock):
    lab = opened(tmp_path, server, clock, citations=True)
    session = chat(lab, clock, 1, days=2).session_id
    assert "[1] 2026-03-02, AAPL, user: My AAPL stop is 400." in lab.export(session)

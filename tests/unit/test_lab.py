"""The front door: ask, preview, recall, insights, and what a turn leaves behind."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from messages_server import DROP, MessagesServer, start, thinking

from gallump_lab import Budget, Config, ConfigError, Lab, Model, study
from gallump_lab.brain.answer import ModelError
from gallump_lab.brain.prices import PriceUnknown, SpendingLimit
from gallump_lab.brain.prompt import PromptTooLong
from gallump_lab.memory.context import already_said, learnt_factor

NOW = datetime(2013, 2, 28, 15, 0, tzinfo=UTC)


@pytest.fixture
def lab(anew) -> Lab:
    return anew(clock=lambda: NOW)


def test_the_guides_response(lab: Lab) -> None:
    reply = lab.ask("Is AAPL worth buying?", watchlist=["AAPL"])
    found = reply.to_dict()
    assert list(found) == [
        "session_id",
        "response",
        "recommendations",
        "requires_confirmation",
        "context_stats",
        "state",
        "model",
        "usage",
    ]
    assert json.loads(json.dumps(found)) == found
    assert found["requires_confirmation"] is True
    assert found["context_stats"] == {"messages_in_session": 1, "relevant_history_loaded": 0, "insights_included": 0}
    assert "offline analyst" in found["response"].lower()
    assert repr(reply).startswith(reply.text)
    assert repr(reply).endswith("COLD 0 of 200 tokens]")
    assert repr(lab) == "<Lab lab.duckdb>"


def test_a_second_question_knows_the_first(lab: Lab) -> None:
    first = lab.ask("My AAPL stop is at 432.10.", watchlist=["AAPL"])
    second = lab.ask("Is it still right?", watchlist=["AAPL"], session_id=first.session_id)
    assert second.session_id == first.session_id
    assert second.prompt.text.count("Is it still right?") == 1
    assert second.context_stats["messages_in_session"] == 3
    assert ("user", "My AAPL stop is at 432.10.") in second.prompt.turns
    assert "432.10" in second.text


def test_another_session_recalls_what_is_relevant_and_not_what_is_not(lab: Lab) -> None:
    lab.ask("My rule: never hold MSFT through earnings.")
    lab.ask("What is a yield curve?")
    reply = lab.ask("Should I hold MSFT over earnings?")
    kept = [slot.text for slot in reply.prompt.slots if slot.tier == "warm" and slot.kept]
    assert kept[0] == "My rule: never hold MSFT through earnings."
    assert reply.context_stats["relevant_history_loaded"] == len(kept)


def test_what_hot_shows_is_not_recalled_again_and_its_overflow_is(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb", config=Config(budget=Budget(hot=60, hot_step=20)))
    session = lab.sessions.get_or_create_session()
    lab.sessions.add_message(session, "user", "My giraffe stop is at 180.")
    for i in range(6):
        lab.sessions.add_message(session, "user", f"Something else entirely, and at some length, number {i}.")
    slots = lab.preview("Where is my giraffe stop? Something else, number 5?", session_id=session).slots
    recalled = {slot.text: slot.reason for slot in slots if slot.tier == "warm"}
    assert recalled["My giraffe stop is at 180."] == "kept"
    assert recalled["Something else entirely, and at some length, number 5."] == "in HOT"
    found = lab.recall("Something else, number 5?", session_id=session)
    hot = sum(slot.reason == "in HOT" for slot in found.slots)
    assert f"; HOT shows {hot} of them already" in repr(found)


def test_preview_shows_exactly_what_is_then_sent_and_recorded_and_stores_nothing(lab: Lab) -> None:
    lab.ask("My AAPL stop is at 432.10.", watchlist=["AAPL"])
    lab.insights.add("AAPL respects its lows", symbol="AAPL")
    before = lab.messages
    preview = lab.preview("Where is my AAPL stop?", watchlist=["AAPL"])
    assert lab.messages.equals(before)
    assert preview.sections["tokens"].sum() == preview.tokens
    assert preview.frame["kept"].any()
    assert "Preview for offline-analyst" in repr(preview)
    reply = lab.ask("Where is my AAPL stop?", watchlist=["AAPL"])
    assert reply.prompt.sha256 == preview.prompt.sha256
    rows = lab.sql("select * from slots where turn_id = ? order by tier, rank", [reply.turn_id])
    expected = sorted(reply.prompt.slots, key=lambda slot: (slot.tier, slot.rank))
    for name in ("item_id", "kept", "tokens"):
        assert rows[name].tolist() == [getattr(slot, name) for slot in expected]
    assert json.loads(rows["signals"].iloc[-1]).keys() >= {"words", "meaning", "symbol"}


def test_preview_tells_the_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "planted-key")
    config = Config(model=Model(name="claude-sonnet-5-5", prices={"claude-sonnet-5-5": (2.0, 10.0)}))
    preview = Lab.open(tmp_path / "lab.duckdb", config=config).preview("Is AAPL cheap?", watchlist=["AAPL"])
    assert preview.cost_usd == pytest.approx(preview.tokens * 2e-6)
    assert preview.most_usd == pytest.approx(preview.tokens * 2e-6 + (4_096 + 8_000) * 10e-6)
    unknown = Lab.open(tmp_path / "lab.duckdb", config=Config(model=Model(name="qwen3:8b")))
    assert "price not known" in repr(unknown.preview("Is AAPL cheap?"))


def test_recall_says_what_it_kept_and_why_whatever_is_asked(lab: Lab) -> None:
    session = lab.sessions.get_or_create_session()
    for i in range(12):
        lab.sessions.add_message(session, "user", f"Thought {i}: the AAPL gap at {400 + i} may close soon.", "AAPL")
    found = lab.recall("Which AAPL gap may close?", symbol="AAPL", tokens=60)
    assert 0 < found.tokens <= 60
    assert found.frame["reason"].isin(["kept", "over budget", "duplicate"]).all()
    assert (found.frame["kept"] == (found.frame["reason"] == "kept")).all()
    assert found.frame["score"].is_monotonic_decreasing
    assert len(repr(found).splitlines()) == 2 * found.frame["kept"].sum() + 1
    assert "shares its words 1.00" in repr(found)
    assert repr(lab.recall("Who bakes sourdough bread?")).startswith("Nothing matches well: all")
    for query in ("", "the of and", "???", "gap " * 10_000, "'; drop table messages; --"):
        assert any(slot.kept for slot in lab.recall(query).slots) == ("gap" in query)
    assert len(lab.messages) == 12


def test_what_cannot_be_asked_is_refused_before_anything_is_stored(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for watchlist in (["not a symbol"], [""], ["<b>"], ["A" * 40]):
        with pytest.raises(ValueError, match="symbol"):
            lab.ask("Is it cheap?", watchlist=watchlist)
    for text in ("", " \n", None, "x" * 200_001):
        for action in (lab.ask, lab.preview):
            with pytest.raises(ValueError, match=r"^prompt (has .* characters|must be words to remember)"):
                action(text)
    with pytest.raises(PromptTooLong, match="Shorten the question"):
        lab.ask("\u5e02\u573a" * 100_000)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    lab.apply(Config(model=Model(name="qwen3:8b", max_usd_per_day=1)))
    with pytest.raises(PriceUnknown) as unknown:
        lab.ask("Is AAPL cheap?")
    assert lab.messages.empty
    assert lab.history().empty
    advice = str(unknown.value).rpartition(": lab.apply(")[2].replace("(USD in, USD out)", "(1, 2)")
    lab.apply(eval(advice.removesuffix(")"), {"replace": replace, "lab": lab}))  # noqa: S307 - our own words
    assert lab.config.model.prices == {"qwen3:8b": (1, 2)}


def test_it_is_told_once_that_a_chosen_model_was_not_asked_for_want_of_a_key(anew) -> None:
    lab = anew(config=Config(model=Model(name="claude-x")))
    counted = lab.preview("Is AAPL cheap?", exact=True)
    assert (counted.counted, "Nobody counted the tokens" in counted.notice) == (None, True)
    assert lab.preview("Is AAPL cheap?").notice is None
    first = lab.ask("Is AAPL cheap?")
    assert first.notice.startswith("claude-x was not asked: there is no key (ANTHROPIC_API_KEY)")
    assert lab.ask("And IBM?", session_id=first.session_id).notice is None


def test_a_configuration_that_is_applied_holds_for_every_notebook_and_the_next_one(lab: Lab) -> None:
    other = Lab.open(lab.store.path)
    config = Config(budget=Budget(warm=800))
    lab.apply(config)
    assert other.config == Lab.open(lab.store.path).config == config
    with pytest.raises(ConfigError, match="must be a gallump_lab"):
        lab.apply({"warm": 5})  # type: ignore[arg-type]


def test_over_the_spending_limit_nothing_is_asked_or_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [NOW]
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: now[0])
    lab.apply(Config(model=Model(max_usd_per_day=0.2, max_retries=0)))
    with MessagesServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        server.queue(*[[start(input_tokens=5_000), *list(thinking(""))[:1], DROP]] * 2)  # no cost is told
        for _ in range(2):
            with pytest.raises(ModelError, match="question is kept"):
                lab.ask("Is AAPL cheap?")
        before = lab.messages
        with pytest.raises(SpendingLimit, match=r"\$0\.26 .* \$0.20"):
            lab.ask("Is AAPL cheap?")
        assert lab.messages.equals(before)
        assert lab.turns["output_tokens"].tolist() == [1, 1]  # what the server had said
        assert lab.spent_today == pytest.approx(lab.turns["cost_usd"].sum())
        now[0] += timedelta(days=1)
        assert lab.ask("And tomorrow?").state == "complete"
    assert len(server.requests) == 3


def test_an_interrupted_reply_is_kept_as_far_as_it_came(lab: Lab) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.ask("Is AAPL cheap?", watchlist=["AAPL"], on_text=interrupt)
    question, reply = lab.transcript()
    assert (question["text"], reply["state"], reply["text"]) == ("Is AAPL cheap?", "stopped", "**Offline ")


def test_broken_characters_in_a_question_lose_nothing(lab: Lab) -> None:
    reply = lab.ask("A half \ud83d and a pair \ud83d\ude80 of AAPL")
    assert "> A half \ufffd and a pair 🚀 of AAPL" in reply.prompt.user
    assert lab.messages["text"].iloc[0] == "A half \ufffd and a pair 🚀 of AAPL"
    assert study.replay(lab.snapshot()).frame["identical"].all()


def test_of_equal_statements_the_newest_stands_and_other_symbols_keep_theirs(lab: Lab) -> None:
    session = lab.sessions.get_or_create_session()
    for days, symbol, stop in ((30, "AAPL", 430), (20, "AAPL", 440), (10, "AAPL", 430), (5, "MSFT", 430)):
        said = NOW - timedelta(days=days)
        lab.sessions.add_message(session, "user", f"My stop is at {stop}.", symbol, said)
    found = lab.preview("Where is my stop?", watchlist=["AAPL"]).prompt.user
    lines = [line for line in found.splitlines() if "My stop is at" in line]
    assert lines == [
        "2013-02-08 AAPL user: My stop is at 440.",
        "2013-02-18 AAPL user: My stop is at 430.",
        "2013-02-23 MSFT user: My stop is at 430.",
    ]


def test_a_part_of_a_statement_stands_where_it_was_said_since_and_is_a_duplicate_where_before(lab: Lab) -> None:
    session = lab.sessions.get_or_create_session()
    for symbol, days in (("AAPL", 10), ("MSFT", 30)):
        lab.sessions.add_message(session, "user", "My stop is at 430 and I hold.", symbol, NOW - timedelta(days=20))
        lab.sessions.add_message(session, "user", "My stop is at 430.", symbol, NOW - timedelta(days=days))
    passed_over = already_said([])
    found = sorted(lab.recall("Where is my stop?").slots, key=lambda slot: slot.item_id)
    assert [passed_over(slot) for slot in found] == [None, None, None, "duplicate"]


def test_recall_names_a_bad_argument(lab: Lab) -> None:
    for argument, words in (
        ({"query": None}, "query must be text"),
        ({"tokens": -1}, "tokens must be a whole number"),
        ({"as_of": datetime(2013, 1, 1)}, "as_of must be a datetime with a time zone"),  # noqa: DTZ001
        ({"symbol": "no symbol"}, "no symbol"),
    ):
        with pytest.raises(ValueError, match=words):
            lab.recall(**{"query": "x", **argument})


def test_a_question_of_any_length_has_an_answer(lab: Lab) -> None:
    text = "\u5e02\u573a\n" * 60_000
    lab.ask("My stop on the market is 400.")
    lab.apply(Config(budget=Budget(window=1_000_000)))
    reply = lab.ask(text)
    assert (reply.state, len(lab.messages)) == ("complete", 4)
    assert lab.recall(text).slots


def test_the_token_factor_is_learnt_from_plain_replies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: NOW, config=Config(model=Model(name="claude-sonnet-5-5")))
    reply = lab.ask("Is AAPL cheap?", watchlist=["AAPL"])
    with lab.store.write() as con:
        (counted,) = con.execute("select tokens from messages where message_id = ?", [reply.reply_id]).fetchone()
        con.execute("update turns set model = 'claude-sonnet-5-5', output_tokens = ?", [2 * counted])
    monkeypatch.setenv("ANTHROPIC_API_KEY", "planted-key")
    factor = lab.preview("And now?").prompt.session_context.token_factor
    assert factor == round((1.55 * 2_000 + 2 * counted) / (2_000 + counted), 3)
    with lab.store.write() as con:  # that is not the text's alone, whatever the server says
        con.execute("update turns set output_tokens = ?", [10 * counted])
    assert lab.preview("And now?").prompt.session_context.token_factor == 1.55
    with lab.store.read() as con:
        before = learnt_factor(con, "claude-sonnet-5-5", Config(), NOW - timedelta(days=1))
    assert before == 1.55


def test_an_argument_of_another_kind_is_named_and_nothing_is_stored(lab: Lab) -> None:
    number = "must be a whole number"
    wrong = {
        f"question_id {number}, as in the lab's frames, not 'x'": lambda: lab.retry("x"),
        f"message_id {number}": lambda: lab.forget(message_id="1"),
        f"question_id {number}": lambda: lab.label(1.5, 1, 3),
        f"turn_id {number}": lambda: lab.decide("last", 0, "accepted"),
        f"limit {number} of at least 1, not -1": lambda: lab.transcript(limit=-1),
        "note must be text of at most": lambda: lab.decide(1, 0, "rejected", 3),
        "overrides must be an Overrides": lambda: lab.preview("AAPL?", overrides={"pinned": [1]}),
        "on_text must be a function": lambda: lab.ask("AAPL?", on_text="print"),
        "stop must be a threading.Event": lambda: lab.ask("AAPL?", stop=3),
        "questions must be rows of lab.questions": lambda: lab.labeller("newest"),
        "model must be a model's name": lambda: study.rank(lab.snapshot(), model=" "),
        "total must be a whole number": lambda: Budget.shares(-5, 0.8, 0.15, 0.05),
    }
    for words, call in wrong.items():
        with pytest.raises(ValueError, match=words):
            call()
    assert lab.messages.empty


def test_the_transcript_tells_each_turn(lab: Lab) -> None:
    reply = lab.ask("Is AAPL cheap?", watchlist=["AAPL"])
    question, answer = lab.transcript()
    assert (question["role"], question["text"], question["turn"]) == ("user", "Is AAPL cheap?", None)
    assert (answer["text"], answer["created_at"], answer["session_id"]) == (reply.text, NOW, reply.session_id)
    assert answer["turn"]["budget"] == {"hot": 2_000, "warm": 500, "cold": 200, "window": 100_000, "reply": 4_096}
    assert answer["turn"]["tokens"] == {k: v for k, v in reply.tokens.items() if k != "prompt"}
    lab.ask("And MSFT?")
    assert lab.transcript(limit=2)[0]["text"] == "And MSFT?"
    assert lab.transcript(limit=1, before=reply.reply_id)[0]["text"] == "Is AAPL cheap?"


def test_ids_are_taken_as_a_frame_has_them(lab: Lab) -> None:
    lab.ask("Is AAPL cheap? Recommend a trade.", watchlist=["AAPL"])
    turn, said = lab.turns.iloc[0], lab.messages.iloc[0]
    assert lab.slots(turn["turn_id"]) == lab.slots(1)
    question = lab.question_of(turn["turn_id"])
    lab.label(lab.questions["question_id"].iloc[0], said["message_id"], 3)
    assert lab.labels["question_id"].tolist() == [question]
    with pytest.raises(ValueError, match="has a reply"):
        lab.retry(said["message_id"])
    with pytest.raises(ValueError, match="position 7"):
        lab.decide(turn["turn_id"], np.int64(7), "accepted")
    assert lab.forget(message_id=said["message_id"]) == 1


def test_a_turn_is_three_steps_on_the_lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    first, steps = lab.ask("My AAPL stop is at 420.", watchlist=["AAPL"]), []  # reads the lab for the first time
    for name in ("read", "write"):
        real = getattr(type(lab.store), name)
        monkeypatch.setattr(type(lab.store), name, lambda store, n=name, r=real: steps.append(n) or r(store))
    lab.ask("And now?", watchlist=["AAPL"], session_id=first.session_id)
    lab.ask("And in a new session?", watchlist=["AAPL"])
    assert steps == ["write", "read", "write"] * 2


def test_a_preview_writes_nothing_and_knows_what_is_learnt_before_it_is_asked(tmp_path: Path) -> None:
    now = [NOW]
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: now[0])
    lab.ask("My AAPL stop is at 420.", watchlist=["AAPL"])
    now[0] += timedelta(hours=1)
    before = lab.snapshot().hash, lab.sql("select * from distillings").empty
    preview = lab.preview("Where is my stop?", watchlist=["AAPL"])
    assert (lab.snapshot().hash, lab.sql("select * from distillings").empty) == before
    assert "cold" in {slot.tier for slot in preview.slots}
    assert lab.ask("Where is my stop?", watchlist=["AAPL"]).prompt.sha256 == preview.prompt.sha256


def test_a_lab_of_ones_own_without_prices_says_in_a_line_how_to_bring_some_and_shows_none_of_2013(tmp_path):
    lab = Lab.open(tmp_path / "lab.duckdb")
    reply = lab.ask("Is nvda or AAPL cheap?", watchlist=["AAPL"])
    assert "**NVDA**: there is no market data for it here" in reply.text
    assert reply.text.splitlines()[-1].startswith("Market data: no prices yet; bring yours by Lab.open(broker=df)")
    assert "2013" not in reply.prompt.text
    assert study.replay(lab.snapshot()).turns[0].identical


def test_the_sample_stands_in_the_time_of_its_data():
    lab = Lab.sample()
    reply = lab.ask("Is AAPL cheap?", watchlist=["AAPL"])
    assert [idea.action for idea in reply.recommendations] == ["sell"]
    assert reply.text.splitlines()[-1] == "Prices are daily closes, not live; the newest is the close of 2013-03-01."
    (asked,) = lab.turns["asked_at"]
    assert f"{asked:%Y-%m-%d}" == "2013-03-01"

"""Asking past turns again under another configuration: no yes, nothing sent; nothing lost or written."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from messages_server import MessagesServer, Status, say

from gallump_lab import Budget, Config, Lab, Model, study
from gallump_lab.brain.brain import Brain

NOW = datetime(2013, 2, 28, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab.open(tmp_path_factory.mktemp("lab") / "lab.duckdb", clock=lambda: NOW)
    first = lab.ask("My AAPL stop is at 432.10.", watchlist=["AAPL"])
    lab.ask("Is it still right?", watchlist=["AAPL"], session_id=first.session_id)
    lab.ask("And <b>IBM</b> from $190 to $210?", watchlist=["IBM"])
    return lab


def at(server: MessagesServer, **others) -> Config:
    model = {"base_url": server.url, "timeout": 30, "max_retries": 0, **others}
    return Config(budget=Budget(hot=0, reply=1_000), model=Model(**model))


def test_old_and_new_answers_stand_side_by_side_and_what_anybody_said_is_text(lab: Lab, server: MessagesServer) -> None:
    server.queue(say("New one."), say("New <i>two</i> costs $5 to $6", usage={"input_tokens": 1_000}))
    shown = []
    before = lab.messages, lab.turns
    found = study.rerun(lab.snapshot(), [1, 3], at(server), confirm=lambda words: shown.append(words) or True)
    assert [request.body["max_tokens"] for request in server.requests] == [9_000, 9_000]
    assert "432.10" in server.requests[0].prompt
    assert server.requests[1].prompt == found.turns[1].prompt.text
    frame = found.frame
    assert frame["turn_id"].tolist() == [1, 3]
    assert frame["new"].tolist() == ["New one.", "New <i>two</i> costs $5 to $6"]
    assert frame["old"].tolist() == lab.messages["text"].iloc[[1, 5]].tolist()
    assert frame["input_tokens"].tolist() == [100, 1_000]
    assert frame["output_tokens"].tolist() == [20, 20]
    assert frame["cost"].tolist() == pytest.approx([100 * 2e-6 + 20 * 10e-6, 1_000 * 2e-6 + 20 * 10e-6])
    assert frame["cost_before"].tolist() == [0, 0]
    assert (frame["latency"] > 0).all()
    assert frame["problem"].isna().all()
    assert repr(found) == "Rerun of 2 turns: 2 asked again, 2 whole answers by claude-sonnet-5-5; $0.0026"
    assert len(shown) == 1
    assert shown[0].startswith("Asking claude-sonnet-5-5 again for 2 turns: ")
    assert f"{frame['tokens'].sum():,} tokens of prompts and up to 9,000 of each reply" in shown[0]
    page = found._repr_html_()
    assert "<b>IBM" not in page
    assert "New &lt;i&gt;two&lt;/i&gt; costs $5 to $6</pre>" in page
    for was, now in zip(before, (lab.messages, lab.turns), strict=True):
        assert now.equals(was)


def test_without_a_yes_to_an_upper_bound_of_the_cost_nothing_is_sent(
    lab: Lab, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answers = [], ["", "no", "maybe", " Yes"]

    def answered(words):
        asked.append(words)
        if len(asked) > len(answers):
            raise EOFError
        return answers[len(asked) - 1]

    monkeypatch.setattr("builtins.input", answered)
    for _ in answers[:-1]:
        found = study.rerun(lab.snapshot(), [1, 2], at(server, prices={"claude": (1_000, 5_000)}))
        assert not server.requests
        assert asked[-1].endswith("Go on? [y/N] ")
        assert found.frame["new"].isna().all()
    assert repr(found).splitlines() == ["Rerun of 2 turns: nothing was asked", "turn 1: not asked", "turn 2: not asked"]
    sections = [section for turn in found.turns for section in turn.prompt.sections]
    by_place = {place: sum(s.tokens for s in sections if s.place == place) for place in ("system", "user", "tools")}
    least = (by_place["system"] * 1.25 + by_place["user"] + by_place["tools"]) * 1e-3
    assert f"about ${least:.4f}, with the replies at most ${least + 90:.4f}" in found.words
    assert study.rerun(lab.snapshot(), [1], at(server)).frame["state"].tolist() == ["complete"]
    with pytest.raises(RuntimeError, match="pass confirm=lambda words: True"):
        study.rerun(lab.snapshot(), [1], at(server))  # its answers are at an end, as without a terminal


def test_a_fault_of_one_turn_does_not_lose_the_others(lab: Lab, server: MessagesServer) -> None:
    server.queue(
        say("One."), Status.error(529, "overloaded_error", "Overloaded"), say("Three.", stop_reason="max_tokens")
    )
    frame = study.rerun(lab.snapshot(), [1, 2, 3], at(server), confirm=lambda _: True).frame
    assert frame["state"].tolist() == ["complete", "failed", "cut"]
    assert frame["new"].tolist() == ["One.", "", "Three."]
    assert "is overloaded" in frame["problem"].iloc[1]
    assert "reached its limit" in frame["problem"].iloc[2]
    assert frame["cost"].iloc[1] == 0  # refused before anything was made
    assert frame["cost"].notna().all()


def test_an_interrupt_keeps_the_answers_that_came(
    lab: Lab, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, real = [], Brain.send
    broken = {"state": "stopped", "stop_reason": None, "interruption": KeyboardInterrupt()}

    def interrupted(brain, prompt):
        calls.append(1)
        answer = real(brain, prompt)
        return replace(answer, **broken) if len(calls) == 2 else answer

    monkeypatch.setattr(Brain, "send", interrupted)
    found = study.rerun(lab.snapshot(), [1, 2, 3], at(server), confirm=lambda _: True)
    assert [turn.problem for turn in found.turns] == [None, "interrupted", "not asked"]
    assert found.turns[0].answer.text
    assert "; at most $" in repr(found)  # nobody tells how much the interrupted one would have thought


def test_over_the_limit_or_without_a_price_nothing_is_asked(lab: Lab, server: MessagesServer) -> None:
    def never(_: str) -> bool:
        raise AssertionError

    for limit, prices in ((0.001, {}), (1, {"claude-sonnet-5-5": (500, 500)})):
        limited = at(server, max_usd_per_day=limit, prices=prices)
        with pytest.raises(study.OverLimit, match=r"at most \$.* model\.max_usd_per_day is \$.* Nothing was asked"):
            study.rerun(lab.snapshot(), [1], limited, confirm=never)
    with pytest.raises(study.OverLimit, match="the price is not known"):
        study.rerun(lab.snapshot(), [1], at(server, name="qwen3:8b", max_usd_per_day=1), confirm=never)
    assert not server.requests
    free = at(server, name="qwen3:8b", max_usd_per_day=1, prices={"qwen3:8b": (0, 0)})
    found = study.rerun(lab.snapshot(), [1], free, confirm=lambda _: True)
    assert found.cost == 0
    dear = study.rerun(lab.snapshot(), [1], at(server, name="qwen3:8b"), confirm=lambda words: "not known" in words)
    assert dear.cost is None
    assert repr(dear).endswith("cost not known")


def test_the_offline_analyst_answers_and_says_so(lab: Lab) -> None:
    found = study.rerun(lab.snapshot(), [2], Config(budget=Budget(hot=0, warm=0)))
    assert "offline analyst" in found.frame["new"].iloc[0].lower()
    assert repr(found) == (
        "Rerun of 1 turn: 1 asked again, 1 whole answer by the offline analyst, no model was asked; $0.0000"
    )
    assert "nothing is sent" in found.words


def test_what_cannot_be_asked_is_said(lab: Lab, server: MessagesServer, tmp_path: Path) -> None:
    lab = Lab.open(lab.backup(tmp_path / "other.duckdb"))
    question = lab.turns["question_id"].iloc[0]
    lab.forget(message_id=int(question))
    snapshot = lab.snapshot()
    frame = study.rerun(snapshot, [1, 2], at(server), confirm=lambda _: True).frame
    assert frame["problem"].iloc[0] == "its question was forgotten"
    assert frame["state"].tolist()[1] == "complete"
    assert repr(study.rerun(snapshot, [1], at(server))).startswith("Rerun of 1 turn: nothing was asked")
    with pytest.raises(ValueError, match="turn_id 9 not in this snapshot"):
        study.rerun(snapshot, [1, 9], at(server))

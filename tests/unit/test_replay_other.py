"""Replaying past turns under another configuration: what would have come in, fallen out, and cost."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gallump_lab import Budget, Config, ConfigError, Lab, Model, study

NOW = datetime(2013, 2, 28, 15, 0, tzinfo=UTC)
SECTIONS = ["header", "hot", "question", "market", "portfolio", "warm", "cold", "instructions", "schema"]
OFFLINE = {"offline-analyst": (2.0, 10.0)}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    now = [NOW]
    lab = Lab.open(tmp_path_factory.mktemp("lab") / "lab.duckdb", clock=lambda: now[0])
    lab.insights.add("Sells AAPL winners too early", symbol="AAPL")
    session = None
    for i in range(12):
        now[0] += timedelta(minutes=40 if i % 4 == 0 else 2)
        reply = lab.ask(f"My AAPL stop number {i} is at {400 + i}. Too tight?", watchlist=["AAPL"], session_id=session)
        session = reply.session_id
    return lab


def test_the_difference_is_counted_by_section_and_adds_up(lab: Lab) -> None:
    smaller = Config(budget=Budget(hot=150, warm=100, cold=0))
    found = study.replay(lab.snapshot(), smaller, prices=OFFLINE)
    frame = found.frame
    assert (frame[SECTIONS].sum(axis=1) == frame["tokens"]).all()
    assert (frame[[f"{name}_before" for name in SECTIONS]].sum(axis=1) == frame["tokens_before"]).all()
    assert (frame["cold"] == 0).all()
    assert (frame["cold_before"] > 0).all()
    assert (frame["market"] == frame["market_before"]).all()
    assert frame["cost"].tolist() == pytest.approx((frame["tokens"].astype(float) * 2e-6).tolist())
    assert frame["cost_before"].tolist() == pytest.approx((frame["tokens_before"].astype(float) * 2e-6).tolist())
    own = study.replay(lab.snapshot()).frame
    assert frame["tokens_before"].tolist() == own["tokens"].tolist()
    kept = [{(s.kind, s.item_id) for s in turn.before.slots if s.kept} for turn in found.turns]
    now = [{(s.kind, s.item_id) for s in turn.prompt.slots if s.kept} for turn in found.turns]
    assert frame["came_in"].tolist() == [len(b - a) for a, b in zip(kept, now, strict=True)]
    assert frame["fell_out"].tolist() == [len(a - b) for a, b in zip(kept, now, strict=True)]
    assert frame["fell_out"].sum() > 0
    assert repr(found).startswith("<Replay of 12 turns under another configuration: ")
    assert f"{frame['fell_out'].sum()} fell out" in repr(found)


def test_a_larger_budget_loses_nothing_and_one_turn_shows_it_in_words(lab: Lab) -> None:
    larger = study.replay(lab.snapshot(), Config(budget=Budget(hot=0, warm=2_000, cold=200)), prices=OFFLINE)
    turn = larger.turn(12)
    assert repr(turn).splitlines()[0] == 'Turn 12, "My AAPL stop number 11 is at 411. Too tight?"'
    assert " tokens (" in repr(turn).splitlines()[1]
    assert "for the prompt" in repr(turn).splitlines()[1]
    frame = turn.frame
    assert (frame["before"] | frame["after"]).all()
    assert frame.loc[frame["after"], "why"].eq("kept").all()
    moved = frame[frame["before"] & frame["after"] & (frame["tier"] == "warm")]
    assert len(moved)  # from HOT to WARM, which is no difference
    assert len(frame[~frame["before"]]) == larger.frame["came_in"].iloc[-1]
    with pytest.raises(ValueError, match="99 is not among the 12 replayed turns"):
        larger.turn(99)


def test_its_own_configuration_makes_no_difference(lab: Lab) -> None:
    found = study.replay(lab.snapshot())
    frame = found.frame
    assert (frame["tokens"] == frame["tokens_before"]).all()
    assert not frame[["came_in", "fell_out"]].any(axis=None)
    assert frame["identical"].all()
    assert "byte for byte as sent" in repr(found.turn(1))
    assert found.turn(12).frame["before"].all()
    with lab.store.write() as con:
        con.execute("update turns set retrieval = 'older' where turn_id = 2")
    older = study.replay(lab.snapshot()).turn(2)
    with lab.store.write() as con:
        con.execute("update turns set retrieval = (select retrieval from turns where turn_id = 1)")
    assert "not called the same, for these have changed: retrieval" in repr(older)


def test_another_model_counts_and_costs_otherwise(lab: Lab) -> None:
    other = Config(model=Model(name="claude-opus-4-5", factors={"claude-opus-4-5": 2.0}))
    found = study.replay(lab.snapshot(), other)
    assert {turn.model for turn in found.turns} == {"claude-opus-4-5"}
    first = found.frame.iloc[0]
    assert first["schema"] == pytest.approx(2 * first["schema_before"], abs=2)
    assert first["cost"] == pytest.approx(first["tokens"] * 5e-6)
    assert first["cost_before"] == 0  # the offline analyst is free
    unknown = study.replay(lab.snapshot(), Config(model=Model(name="qwen3:8b")))
    assert unknown.frame["cost"].isna().all()
    assert "price not known" in repr(unknown)
    assert "price not known" in repr(unknown.turn(1))


def test_some_turns_alone_and_a_turn_that_is_none(lab: Lab) -> None:
    assert study.replay(lab.snapshot(), turns=[3, 1]).frame["turn_id"].tolist() == [1, 3]
    with pytest.raises(ValueError, match=r"turn_id 77 not in this snapshot"):
        study.replay(lab.snapshot(), turns=[1, 77])
    with pytest.raises(ConfigError, match="must be a number"):
        study.replay(lab.snapshot(), prices={"mine": ("a", 1)})


def test_an_interrupt_keeps_what_is_done(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["gallump_lab.study.replay"]
    calls, real = [], module.context

    def interrupted(*given, **named):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(module, "context", interrupted)
    found = study.replay(lab.snapshot())
    assert (len(found.turns), found.left) == (3, 9)
    assert found.frame["identical"].all()
    assert repr(found) == "<Replay of 3 turns, 3 byte for byte as sent; interrupted, 9 not replayed>"


def test_what_cannot_be_built_is_said_and_not_counted(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: NOW)
    assert repr(study.replay(lab.snapshot())) == "<Replay of 0 turns, 0 byte for byte as sent>"
    gone = lab.ask("Is AAPL cheap?")
    lab.ask("And IBM?")
    lab.forget(message_id=gone.question_id)
    tiny = Config(budget=Budget(hot=0, warm=0, cold=0, window=300, reply=1))
    found = study.replay(lab.snapshot(), tiny)
    assert found.frame["tokens"].isna().all()
    assert found.frame["tokens_before"].isna().tolist() == [True, False]
    assert repr(found) == (
        "<Replay of 2 turns under another configuration: tokens not known and price not known a prompt; "
        "0 items came in, 0 fell out; 1 with forgotten messages; 2 with not built>"
    )
    assert "cannot be compared: its question was forgotten" in repr(found.turn(1))
    assert "the window leaves 299" in repr(found.turn(2))

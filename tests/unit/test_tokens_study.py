"""What turns took: estimated and counted, by section and over time, what was cut, and what it costs."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gallump_lab import Budget, Config, ConfigError, Lab, Model, study
from gallump_lab.study.usage import MONTH

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECTIONS = ["header", "hot", "question", "market", "portfolio", "warm", "cold", "instructions", "schema", "tools"]
SONNET = "claude-sonnet-5-5"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Twelve turns over six days, two a day; the last eight as if Claude had answered."""
    now = [START]
    lab = Lab.open(tmp_path_factory.mktemp("lab") / "lab.duckdb", clock=lambda: now[0])
    lab.apply(Config(budget=Budget(hot=100, warm=120, cold=20)))
    lab.insights.add("Sells AAPL winners too early, again and again, for fear of giving back what was gained")
    lab.insights.add("Holds IBM losers too long")
    for i in range(12):
        now[0] = START + timedelta(hours=12 * i)
        watchlist = ["AAPL", "MSFT", "IBM", "GOOG", "FB"][: i % 6]
        session = lab.ask(f"My stop number {i} is at {400 + i}. Too tight?", watchlist=watchlist).session_id
        now[0] += timedelta(minutes=1)
        lab.sessions.add_message(session, "user", f"Of stop number {i} I am fairly sure by now.")
    with lab.store.write() as con:
        con.execute("update turns set model = ?, token_factor = 1.5 where turn_id > 4", [SONNET])
        rows = con.execute("select turn_id, sections::text from turns where turn_id > 4").fetchall()
        for turn_id, text in rows:  # counted: 1.8 a cl100k token, and 600 for the tool; half of it from the cache
            whole = round(sum(json.loads(text).values()) / 1.5 * 1.8 + 600)
            given = [whole - whole // 2, whole // 2, 200, turn_id]
            con.execute(
                "update turns set input_tokens = ?, cache_read_tokens = ?, output_tokens = ? where turn_id = ?", given
            )
        con.execute("update turns set input_tokens = null, output_tokens = null where turn_id = 12")
    return lab


@pytest.fixture(scope="module")
def found(lab: Lab) -> study.Tokens:
    return study.tokens(lab.snapshot())


def test_estimated_and_counted_are_told_by_model_by_section_and_over_time(found: study.Tokens) -> None:
    rows, turns = found.by_model.set_index("model"), found.turns
    assert rows["turns"].to_dict() == {SONNET: 8, "offline-analyst": 4}
    claude = turns[turns["model"] == SONNET].dropna(subset=["actual"])
    assert len(claude) == 7
    assert rows.loc[SONNET, "ratio"] == pytest.approx(claude["actual"].sum() / claude["estimated"].sum())
    assert rows.loc["offline-analyst", "ratio"] == pytest.approx(1, abs=0.02)
    assert rows.loc["offline-analyst", "learnt_factor"] == 1
    assert (turns[SECTIONS].sum(axis=1) == turns["estimated"]).all()
    sections = found.sections.set_index("section")
    assert list(sections.index) == SECTIONS
    assert sections["share"].sum() == pytest.approx(1)
    assert sections.loc["warm", "mean"] == pytest.approx(turns["warm"].mean())
    assert sections.loc["market", "p95"] == pytest.approx(turns["market"].quantile(0.95))
    days = found.over_time
    assert not found.by_month
    assert days["turns"].tolist() == [2] * 6
    assert days["period"].iloc[0] == START.replace(hour=0)
    assert days[SECTIONS].sum().tolist() == turns[SECTIONS].sum().tolist()


def test_what_was_cut_is_counted_by_tier(lab: Lab, found: study.Tokens) -> None:
    cut = found.cut.set_index("tier")
    slots = lab.sql("select turn_id, tier, reason from slots")
    assert list(cut.index) == ["warm", "cold"]  # every session had one question alone
    for tier, row in cut.iterrows():
        mine = slots[slots["tier"] == tier]
        over = mine[mine["reason"] == "over budget"]
        assert row["kept"] == (mine["reason"] == "kept").sum()
        assert (row["over_budget"], row["turns_over_budget"]) == (len(over), over["turn_id"].nunique())
        assert row["kept"] + row["over_budget"] + row["over_window"] + row["passed_over"] == len(mine)
    assert cut.loc["cold", "over_budget"] > 0


def test_what_the_guides_preset_leaves_unused_comes_from_replays(found: study.Tokens) -> None:
    guide = found.guide.set_index(["preset", "tier"])
    assert guide["budget"].tolist() == [2_000, 500, 200, 2_160, 405, 135, 2_000, 500, 200]
    assert (guide["turns"] == 12).all()
    row = guide.loc[("80/15/5 percent of 2,700 tokens", "warm")]
    assert 0 < row["mean"] <= 405
    assert row["unused"] == pytest.approx(1 - row["mean"] / 405, abs=0.01)
    assert guide.loc[("2,000/500/200 tokens", "warm"), "mean"] >= row["mean"]


def test_cost_of_a_turn_and_a_month_at_list_prices_or_ones_own(lab: Lab, found: study.Tokens) -> None:
    claude = found.turns[found.turns["model"] == SONNET]
    cost = found.cost
    assert "1 of 12 turns have no price or no usage" in cost.words
    assert "as from 2026-03-02 to 2026-03-07 (12 in 6 days), for 30.4 days" in cost.words
    assert cost.mean == pytest.approx(found.turns["cost"].mean())
    assert cost.month == pytest.approx(cost.mean * 2 * MONTH)
    half = claude["actual"] // 2
    listed = ((claude["actual"] - half) * 2 + half * 0.1 + claude["reply"] * 10) / 1e6
    assert claude["cost"].dropna().tolist() == pytest.approx(listed.dropna().tolist())
    mine = study.tokens(lab.snapshot(), {SONNET: (20, 0), "offline-analyst": (1, 1)})
    assert (mine.turns["cost"].dropna() > 0).all()
    assert mine.cost.mean > cost.mean
    with pytest.raises(ConfigError, match="prices"):
        study.tokens(lab.snapshot(), {SONNET: 2})


def test_factors_and_prices_of_the_configuration_in_force_count_and_unknown_ones_are_not_zero(
    lab: Lab, tmp_path: Path
) -> None:
    other = Lab.open(lab.backup(tmp_path / "other.duckdb"))
    other.apply(Config(model=Model(factors={SONNET: 1.75})))
    assert study.tokens(other.snapshot()).by_model.set_index("model").loc[SONNET, "learnt_factor"] == 1.75
    with other.store.write() as con:
        con.execute("update turns set model = 'qwen3:8b'")
    unknown = study.tokens(other.snapshot()).cost
    assert math.isnan(unknown.mean)
    assert math.isnan(unknown.month)
    assert repr(unknown) == "cost not known: 12 of 12 turns have no price or no usage and are left out"
    other.apply(Config(model=Model(prices={"qwen3:8b": (1, 1)})))
    assert study.tokens(other.snapshot()).cost.mean > 0


def test_a_free_lab_says_why_longer_talk_goes_by_month_and_ten_insights_can_take_more_than_their_tokens(
    tmp_path: Path,
) -> None:
    now = [START]
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: now[0])
    for i in range(10):
        lab.insights.add(f"Insight {i}: " + "buys too late and sells too early, time and again. " * 5)
    for month in (0, 2, 4):
        now[0] = START + timedelta(days=31 * month)
        lab.ask("Is AAPL cheap?")
    found = study.tokens(lab.snapshot())
    assert found.cost.mean == 0
    assert "the offline analyst is free" in repr(found)
    assert found.by_month
    assert found.over_time["period"].dt.strftime("%Y-%m-%d").tolist() == ["2026-03-01", "2026-05-01", "2026-07-01"]
    cold = found.guide.set_index(["preset", "tier"]).xs("cold", level="tier")
    assert cold["unused"].iloc[0] < 0
    assert (cold["unused"].iloc[1:] >= 0).all()


def test_charts_and_words(found: study.Tokens) -> None:
    picture = found.plot()
    assert repr(picture).startswith("Where tokens went: ")
    assert "The server counted " in repr(picture)
    assert picture.png().startswith(b"\x89PNG")
    lines = repr(found).splitlines()
    assert lines[0].startswith("Tokens of 12 turns: ")
    assert any(line.startswith(f"{SONNET}: 8 turns; the server counted ") for line in lines)
    assert any(line.startswith("COLD: ") for line in lines)


def test_without_turns_it_says_so_and_no_figure_is_zero(tmp_path: Path) -> None:
    found = study.tokens(Lab.open(tmp_path / "lab.duckdb").snapshot())
    assert repr(found).startswith("No turn is recorded in this snapshot: ask something")
    assert found.sections[["mean", "p95", "max", "share"]].isna().all(axis=None)
    assert found.guide[["mean", "p95", "unused"]].isna().all(axis=None)
    assert found.over_time.empty
    assert found.by_model.empty
    assert found.cut.empty
    assert math.isnan(found.cost.month)
    with pytest.raises(ValueError, match="No turn is recorded"):
        found.plot()

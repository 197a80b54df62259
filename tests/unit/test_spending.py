"""Spending: what was paid by day, model and section, and that it is all that was recorded."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from clock import Clock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messages_server import MessagesServer, end, say, start, text, think
from running_server import eventually

from gallump_lab import Config, Lab, Model
from gallump_lab.brain import batches
from gallump_lab.brain.prompt import SECTIONS

START = datetime(2026, 11, 30, 22, tzinfo=UTC)
SONNET, HAIKU = "claude-sonnet-5-5", "claude-haiku-4-5"
CACHED = {"input_tokens": 1_000, "cache_read_input_tokens": 20_000, "cache_creation_input_tokens": 4_000}


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def lab(anew: Callable[..., Lab], clock: Clock) -> Lab:
    return anew(clock=clock)


@pytest.fixture
def ask(lab: Lab, server: MessagesServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Ask a model, which answers as it is told."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-planted-0123456789abcdef")

    def asked(*replies: object, rewrite: bool = False, **model: object) -> None:
        server.queue(*replies)
        given = {"base_url": server.url, "max_retries": 0, "timeout": 30, "name": SONNET} | model
        lab.apply(Config(rewrite=rewrite, model=Model(**given)))  # type: ignore[arg-type]
        lab.ask("Is AAPL cheap?", watchlist=["AAPL"])

    return asked


def recorded(lab: Lab) -> float:
    """Sum what the tables say."""
    found = lab.sql("select sum(cost_usd) from (select cost_usd from turns union all select cost_usd from distillings)")
    return float(found.iloc[0, 0])


def test_nothing_is_spent_by_the_offline_analyst(lab: Lab) -> None:
    lab.ask("Is AAPL cheap?")
    found = lab.spending()
    assert found.frame.empty
    assert (lab.spent, found.unpriced) == ((0, 0, 0, False), 0)
    assert "Nothing was spent" in repr(found)
    with pytest.raises(ValueError, match="Nothing was spent"):
        found.plot()
    with pytest.raises(ValueError, match="days"):
        lab.spending(days=0)


def test_a_turn_is_shared_out_by_what_each_kind_of_token_costs(lab: Lab, ask: Callable[..., None]) -> None:
    ask(say("Where is AAPL?", usage={"input_tokens": 300}), think("Yes.", tokens=800, usage=CACHED), rewrite=True)
    usd = lab.spending().frame.set_index("section")["usd"]
    turn = lab.turns.iloc[0]
    assert usd["rewriting"] == pytest.approx((300 * 2 + 20 * 10) / 1e6)
    assert usd["cache read"] == pytest.approx(20_000 * 0.1 / 1e6)
    assert usd["cache write"] == pytest.approx(4_000 * 2.5 / 1e6)
    assert usd["thinking"] == pytest.approx(800 * 10 / 1e6)
    assert usd["reply"] == pytest.approx((turn["output_tokens"] - 800) * 10 / 1e6)
    fresh = usd[usd.index.isin(SECTIONS)]
    assert fresh.sum() == pytest.approx(1_000 * 2 / 1e6)
    tokens = pd.Series(json.loads(turn["sections"]))
    assert (fresh / fresh.sum()).to_dict() == pytest.approx((tokens[tokens > 0] / tokens.sum()).to_dict())
    assert usd.sum() == pytest.approx(turn["cost_usd"])


def test_days_and_months_are_those_of_utc_and_models_stand_apart(
    lab: Lab, ask: Callable[..., None], clock: Clock
) -> None:
    ask(say("Yes.", usage={"input_tokens": 1_000_000}))
    clock.now += timedelta(hours=3)  # December by now
    ask(say("Yes.", usage={"input_tokens": 100_000}), name=HAIKU)
    clock.now += timedelta(days=1)
    ask(think("Yes.", tokens=50_000), name="claude-opus-5-5")
    found, costs = lab.spending(), lab.turns["cost_usd"].tolist()
    assert found.by("model").to_dict() == pytest.approx(
        dict(zip([SONNET, HAIKU, "claude-opus-5-5"], costs, strict=True))
    )
    assert found.by("day").sort_index().tolist() == pytest.approx(costs)
    assert [*found.by("day").sort_index().index] == [
        datetime(2026, m, d, tzinfo=UTC) for m, d in ((11, 30), (12, 1), (12, 2))
    ]
    assert lab.spent_today == costs[2]
    assert lab.spent == found.spent == (costs[2], pytest.approx(sum(costs[1:])), 0, True)
    assert lab.spending(days=2).frame["model"].unique().tolist() == [HAIKU, "claude-opus-5-5"]
    first, models, largest = repr(found).splitlines()
    assert first.startswith(f"Spent ${costs[2]:.2f} today, ${sum(costs[1:]):.2f} this month")
    assert models.startswith(f"By model: {SONNET} $2.00, claude-opus-5-5")
    assert largest.startswith("Largest section: ")
    picture = found.plot()
    assert "thinking" in repr(picture)
    assert {row["part"] for row in next(iter(picture.spec()["datasets"].values()))} >= {"thinking", "reply", "market"}


def test_distilling_counts_live_and_in_a_batch_which_costs_at_most_while_it_is_awaited(
    lab: Lab, ask: Callable[..., None], server: MessagesServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PAUSES", (0.0, 0.0))
    paid = []
    for batch in (False, True):
        ask(say("Yes."))
        clock.now += timedelta(hours=1)
        server.queue(say(json.dumps({"insights": []}), usage={"input_tokens": 40_000}))
        paid.append(lab.distill(by="model", batch=batch, confirm=lambda _: True).cost_usd)
    usd = lab.spending().by("section")
    assert usd[["distilling", "batch"]].tolist() == pytest.approx(paid)
    assert usd["batch"] == pytest.approx(usd["distilling"] / 2)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    ask(say("Yes."))
    clock.now += timedelta(hours=1)
    monkeypatch.setattr(batches, "wait", interrupted)
    lab.distill(by="model", batch=True, confirm=lambda _: True)
    assert lab.spending().by("section")["batch"] > usd["batch"]
    assert lab.spending().frame["usd"].sum() == pytest.approx(recorded(lab))


def test_a_turn_under_way_or_broken_off_counts_at_most_and_is_not_shared_out(
    lab: Lab, ask: Callable[..., None], server: MessagesServer
) -> None:
    hold, found = threading.Event(), []

    def look(_: str) -> None:
        assert eventually(lambda: lab.sql("select 1 from drafts").size)
        found.append(lab.spending())
        raise KeyboardInterrupt

    ask(say("Yes."))
    before = lab.spent_today
    server.queue([start(), *text("Half ", hold, "a reply."), *end()])
    with pytest.raises(KeyboardInterrupt):
        lab.ask("Go on at length", on_text=look)
    hold.set()
    ended = lab.spending()
    assert found[0].by("section")["not told"] >= ended.by("section")["not told"] > 0
    assert found[0].spent.today == pytest.approx(found[0].frame["usd"].sum())
    assert ended.by("section")["not told"] == pytest.approx(lab.spent_today - before)


def test_what_has_no_price_is_counted_and_said(lab: Lab, ask: Callable[..., None], server: MessagesServer) -> None:
    server.models = ["qwen3:8b"]
    ask(say("Yes."), name="qwen3:8b")
    assert lab.spent == (0, 0, 1, True)
    assert "Not in these sums: 1 call of which no cost is known" in repr(lab.spending())
    ask(say("Yes."), name="qwen3:8b", prices={"qwen3:8b": (2.0, 10.0)})
    found = lab.spending()
    assert (found.unpriced, lab.spent.unpriced) == (1, 1)
    assert found.frame["usd"].sum() == pytest.approx(lab.turns["cost_usd"].sum())
    assert "1 call of unknown cost left out" in repr(found.plot())


TOKENS = st.none() | st.integers(0, 2_000_000)
SHARE = st.integers(0, 100).map(lambda percent: percent / 100)
CALL = st.fixed_dictionaries(
    {
        "asked_at": st.datetimes(datetime(2026, 10, 1), datetime(2026, 11, 30, 23)),  # noqa: DTZ001 (as recorded)
        "model": st.sampled_from([SONNET, HAIKU, "claude-opus-5-5", "qwen3:8b"]),
        "answered": st.sampled_from([None, SONNET, "another"]),
        "stop_reason": st.sampled_from([None, "end_turn", "max_tokens"]),
        "cost_usd": st.none() | st.integers(0, 10_000_000).map(lambda millionths: millionths / 1_000_000),
        "rewritten": SHARE,  # of the cost
        **dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), TOKENS),
        "thought": SHARE,  # of the output
    }
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(CALL, min_size=4, max_size=4))
def test_whatever_is_recorded_is_shared_out_to_the_cent(four: Lab, calls: list[dict[str, object]]) -> None:
    rows = pd.DataFrame(calls, index=range(1, 5)).astype({"cost_usd": "float64"})
    with four.store.write() as con:
        for number, call in zip(rows.index, calls, strict=True):
            part, share = call.pop("rewritten"), call.pop("thought")
            took = None if call["cost_usd"] is None else json.dumps({"cost_usd": part * call["cost_usd"]})  # type: ignore[operator]
            thinking = int(share * (call["output_tokens"] or 0))  # type: ignore[operator]
            values = call | {"rewriting": took, "thinking_tokens": thinking}
            names = ", ".join(f"{name} = ${name}" for name in values)
            con.execute(f"update turns set {names} where turn_id = $number", values | {"number": number})  # noqa: S608
    found = four.spending()
    assert (found.frame["usd"] > 0).all()
    assert found.unpriced == rows["cost_usd"].isna().sum()
    paid = rows[rows["cost_usd"] > 0]
    for column, key in (("model", paid["model"]), ("day", paid["asked_at"].dt.floor("D").dt.tz_localize("UTC"))):
        assert found.by(column).to_dict() == pytest.approx(paid.groupby(key)["cost_usd"].sum().to_dict())
    assert found.spent.month == pytest.approx(paid[paid["asked_at"].dt.month == 11]["cost_usd"].sum())


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Give a lab of four turns."""
    lab = Lab.open(tmp_path_factory.mktemp("four") / "lab.duckdb", clock=lambda: START)
    for _ in range(4):
        lab.ask("Is AAPL cheap?", watchlist=["AAPL"])
    return lab

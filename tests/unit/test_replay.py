"""Past turns' prompts again: byte for byte under their own configuration, and what another would have changed."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gallump_lab import Budget, Config, Lab, Model, Overrides, Recall, study
from gallump_lab.market import FileBroker, Quote

START = datetime(2012, 1, 3, 15, 0, tzinfo=UTC)
SECTIONS = ["header", "hot", "question", "market", "portfolio", "warm", "cold", "instructions", "schema"]
PRICED = Model(prices={"offline-analyst": (2.0, 10.0)})
SYMBOLS = ("AAPL", "MSFT", "IBM", "GOOG", "FB")
CONFIGS = (
    Config(),
    Config.guide(),
    Config(budget=Budget(hot=120, warm=60, cold=30)),
    Config(budget=Budget(hot=0, warm=900, cold=0), recall=Recall(k1=1.5, b=0.75, symbol=0.0)),
    Config(budget=Budget.shares(600, 0.2, 0.6, 0.2), session_minutes=5),
    Config(budget=Budget(hot=300, warm=300, cold=300, window=1_600, reply=100)),
    Config(model=Model(factors={"offline-analyst": 1.7}), time_zone="America/New_York"),
)


def live_a_while(lab: Lab, now: list[datetime], turns: int, seed: int = 7) -> list[str]:
    """Talk through many turns of several configurations; give each turn's prompt hash as it was sent."""
    dice = random.Random(seed)
    session, sent, insights, picked = None, [], [], ()
    for turn in range(turns):
        now[0] += timedelta(minutes=dice.choice([1, 4, 12, 45, 600]))
        if turn % 2 == 0:
            lab.apply(CONFIGS[turn // 2 % len(CONFIGS)])
        symbol = dice.choice(SYMBOLS)
        if dice.random() < 0.2:
            text = f"{symbol} holds above {dice.randrange(20, 700)}"
            if insights and dice.random() < 0.5:
                insights.append(lab.insights.supersede(insights.pop(dice.randrange(len(insights))), text))
            else:
                learnt = now[0] - timedelta(days=dice.choice([0, 0, 40]))
                insights.append(lab.insights.add(text, symbol=symbol, known_from=learnt))
        if dice.random() < 0.2:  # a late import speaks of a time long past
            old = lab.sessions.get_or_create_session()
            said = now[0] - timedelta(days=dice.randrange(100, 500))
            lab.sessions.add_message(old, "user", f"Back then the {symbol} stop was at {turn}.", symbol, said)
        question = dice.choice(
            [
                f"My {symbol} stop is at {dice.randrange(20, 700)}.\nIs that too tight?",
                f"What did I say today of the {symbol} stop, and last month of {dice.choice(SYMBOLS)}?",
                "Summarise.  Then === tell === me <b>more</b> about 東京 🚀 & $190 to $210.",
            ]
        )
        watchlist = dice.sample(SYMBOLS, dice.randrange(3))
        chosen = Overrides(**{dice.choice(["pinned", "excluded"]): picked}) if dice.random() < 0.2 else Overrides()
        reply = lab.ask(question, watchlist=watchlist, session_id=session, overrides=chosen)
        picked = tuple((slot.kind, slot.item_id) for slot in reply.prompt.slots if dice.random() < 0.1)
        session = reply.session_id
        sent.append(reply.prompt.sha256)
    return sent


def test_a_question_about_one_of_the_watchlist_replays_byte_for_byte(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: START)
    for symbol in ("IBM", "MSFT"):
        lab.insights.add(f"Sells {symbol} in May", symbol=symbol)
    reply = lab.ask("Where is my MSFT stop?", watchlist=["IBM", "MSFT"])
    assert reply.prompt.session_context.insights == ["- MSFT, since 2012-01-03: Sells MSFT in May"]
    assert study.replay(lab.snapshot()).frame["identical"].all()


def test_turns_of_several_configurations_replay_byte_for_byte(tmp_path: Path) -> None:
    now = [START]
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: now[0])
    sent = live_a_while(lab, now, 2 * len(CONFIGS))
    snapshot = lab.snapshot()
    found = study.replay(snapshot).frame
    assert found["sha256"].tolist() == sent
    assert found["identical"].all()
    held = snapshot.sql("select tier, count(*) as n from slots where kept group by tier order by tier")
    assert held["tier"].tolist() == ["cold", "hot", "warm"]  # every tier was at work
    assert held["n"].min() > 5
    assert snapshot.sql("select count(distinct config_id) as n from turns")["n"].tolist() == [len(CONFIGS)]


def test_the_age_of_a_price_is_that_of_its_turn_whenever_it_is_replayed(tmp_path: Path) -> None:
    class Delayed(FileBroker):
        name, live = "wire", True

        def quotes(self, symbols):
            return {each: Quote(symbol=each, date=START.date(), price=400.0, at=START, delay=15) for each in symbols}

    now = [START]
    lab = Lab.open(tmp_path / "lab.duckdb", broker=Delayed(), clock=lambda: now[0])
    for minutes, words in ((30, "30 min old"), (30, "1 h old"), (60 * 24 * 12, "12 days old (stale: not a current")):
        now[0] += timedelta(minutes=minutes)
        assert f"AAPL: 400.00 at 2012-01-03 15:00 UTC, {words}" in lab.ask("AAPL?", watchlist=["AAPL"]).prompt.text
    now[0] += timedelta(days=999)
    assert study.replay(Lab.open(tmp_path / "lab.duckdb", clock=lambda: now[0]).snapshot()).frame["identical"].all()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    now = [START]
    lab = Lab.open(tmp_path_factory.mktemp("lab") / "lab.duckdb", clock=lambda: now[0])
    lab.insights.add("Sells AAPL winners too early", symbol="AAPL")
    session = None
    for i in range(12):
        now[0] += timedelta(minutes=40 if i % 4 == 0 else 2)
        reply = lab.ask(f"My AAPL stop number {i} is at {400 + i}. Too tight?", watchlist=["AAPL"], session_id=session)
        session = reply.session_id
    return lab


@pytest.fixture(scope="module")
def snapshot(lab: Lab) -> study.Snapshot:
    return lab.snapshot()


def kept(prompt) -> set:
    return {(slot.kind, slot.item_id) for slot in prompt.slots if slot.kept}


def test_the_difference_is_counted_by_section_and_adds_up(snapshot: study.Snapshot) -> None:
    found = study.replay(snapshot, Config(budget=Budget(hot=150, warm=100, cold=0), model=PRICED))
    frame = found.frame
    assert (frame[SECTIONS].sum(axis=1) == frame["tokens"]).all()
    assert (frame[[f"{name}_before" for name in SECTIONS]].sum(axis=1) == frame["tokens_before"]).all()
    assert (frame["cold"] == 0).all()
    assert (frame["cold_before"] > 0).all()
    assert not frame["identical"].any()
    for cost, tokens in (("cost", "tokens"), ("cost_before", "tokens_before")):
        assert frame[cost].tolist() == pytest.approx((frame[tokens].astype(float) * 2e-6).tolist())
    assert frame["came_in"].tolist() == [len(kept(turn.prompt) - kept(turn.before)) for turn in found.turns]
    assert frame["fell_out"].tolist() == [len(kept(turn.before) - kept(turn.prompt)) for turn in found.turns]
    assert frame["fell_out"].sum() > 0
    assert repr(found).startswith("<Replay of 12 turns under another configuration: ")
    assert f"{frame['fell_out'].sum()} fell out" in repr(found)


def test_a_larger_budget_loses_nothing_and_one_turn_shows_it_in_words(snapshot: study.Snapshot) -> None:
    larger = study.replay(snapshot, Config(budget=Budget(hot=0, warm=2_000, cold=200), model=PRICED))
    turn = larger.turn(12)
    head, change, *_ = repr(turn).splitlines()
    assert head == 'Turn 12, "My AAPL stop number 11 is at 411. Too tight?"'
    assert " tokens (" in change
    assert change.endswith("for the prompt")
    frame = turn.frame
    assert (frame["before"] | frame["after"]).all()
    assert frame["tier"].map(["hot", "warm", "cold"].index).is_monotonic_increasing
    assert len(frame[frame["before"] & frame["after"] & (frame["tier"] == "warm")])  # moved from HOT: no difference
    assert len(frame[~frame["before"]]) == larger.frame["came_in"].iloc[-1]


def test_its_own_configuration_makes_no_difference(snapshot: study.Snapshot) -> None:
    found = study.replay(snapshot)
    assert (found.frame["tokens"] == found.frame["tokens_before"]).all()
    assert not found.frame[["came_in", "fell_out"]].any(axis=None)
    assert found.frame["identical"].all()
    assert "byte for byte as sent" in repr(found.turn(1))
    some = study.replay(snapshot, turns=[3, 1]).frame
    assert some.equals(found.frame.iloc[[0, 2]].reset_index(drop=True))
    with pytest.raises(ValueError, match="99 is not among the 12 replayed turns"):
        found.turn(99)
    with pytest.raises(ValueError, match=r"turn_id 77 not in this snapshot"):
        study.replay(snapshot, turns=[1, 77])


def test_a_changed_template_or_retrieval_is_never_called_identical(lab: Lab, tmp_path: Path) -> None:
    other = Lab.open(lab.backup(tmp_path / "other.duckdb"))
    with other.store.write() as con:
        con.execute("update turns set template = 'default-00000000' where turn_id = 1")
        con.execute("update turns set retrieval = 'older' where turn_id = 2")
    found = study.replay(other.snapshot(), turns=[1, 2])
    assert found.frame["changed"].tolist() == ["template", "retrieval"]
    assert not found.frame["identical"].any()
    assert repr(found) == "<Replay of 2 turns, 0 byte for byte as sent; 1 with retrieval; 1 with template>"
    assert "not called the same, for these have changed: retrieval" in repr(found.turn(2))


def test_another_model_counts_and_costs_otherwise(snapshot: study.Snapshot) -> None:
    other = Config(model=Model(name="claude-opus-4-5", factors={"claude-opus-4-5": 2.0}))
    found = study.replay(snapshot, other, turns=[1])
    first = found.frame.iloc[0]
    assert first["schema"] == pytest.approx(2 * first["schema_before"], abs=2)
    assert first["cost"] == pytest.approx(first["tokens"] * 5e-6)
    assert first["cost_before"] == 0  # the offline analyst is free
    unknown = study.replay(snapshot, Config(model=Model(name="qwen3:8b")), turns=[1])
    assert unknown.frame["cost"].isna().all()
    assert "price not known" in repr(unknown)
    assert "price not known" in repr(unknown.turn(1))


def test_what_cannot_be_built_is_said_and_does_not_stop_the_others(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: START)
    assert repr(study.replay(lab.snapshot())) == "<Replay of 0 turns, 0 byte for byte as sent>"
    gone = lab.ask("Is AAPL cheap?")
    lab.ask("And IBM?")
    lab.forget(message_id=gone.question_id)
    own = study.replay(lab.snapshot())
    assert own.frame["problem"].iloc[0] == "its question was forgotten"
    assert own.frame["changed"].tolist() == ["", "forgotten messages"]
    assert not own.frame["identical"].any()
    tiny = Config(budget=Budget(hot=0, warm=0, cold=0, window=300, reply=1))
    found = study.replay(lab.snapshot(), tiny)
    assert found.frame["tokens"].isna().all()
    assert found.frame["tokens_before"].isna().tolist() == [True, False]
    assert repr(found) == (
        "<Replay of 2 turns under another configuration: tokens not known and price not known a prompt; "
        "0 items came in, 0 fell out; 2 not built; 1 with forgotten messages>"
    )
    assert "cannot be compared: its question was forgotten" in repr(found.turn(1))
    assert "the window leaves 299" in repr(found.turn(2))

"""Law one: a past turn's prompt, built again under its own configuration, is byte for byte what was sent."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gallump_lab import Budget, Config, Lab, Model, Overrides, Recall, study

START = datetime(2012, 1, 3, 15, 0, tzinfo=UTC)
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
        if turn % 9 == 0:
            lab.apply(CONFIGS[turn // 9 % len(CONFIGS)])
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


def test_two_hundred_turns_of_several_configurations_replay_byte_for_byte(tmp_path: Path) -> None:
    now = [START]
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: now[0])
    sent = live_a_while(lab, now, 200)
    snapshot = lab.snapshot()
    found = study.replay(snapshot).frame
    assert found["sha256"].tolist() == sent
    assert found["identical"].all()
    held = snapshot.sql("select tier, count(*) as n from slots where kept group by tier order by tier")
    assert held["tier"].tolist() == ["cold", "hot", "warm"]  # every tier was at work
    assert held["n"].min() > 100
    assert snapshot.sql("select count(distinct config_id) as n from turns")["n"].tolist() == [len(CONFIGS)]


def test_a_replay_under_another_configuration_differs_and_says_so(tmp_path: Path) -> None:
    now = [START]
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: now[0])
    live_a_while(lab, now, 12)
    other = study.replay(lab.snapshot(), Config(budget=Budget(hot=0, warm=0, cold=0)))
    assert not other.frame["identical"].any()
    assert not any(slot.kept for turn in other.turns for slot in turn.prompt.slots)


def test_a_changed_template_or_retrieval_is_never_called_identical(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    lab.ask("Is AAPL cheap?", watchlist=["AAPL"])
    lab.ask("And MSFT?", watchlist=["MSFT"])
    with lab.store.write() as con:
        con.execute("update turns set template = 'default-00000000' where turn_id = 1")
        con.execute("update turns set retrieval = 'older' where turn_id = 2")
    found = study.replay(lab.snapshot())
    assert found.frame["changed"].tolist() == ["template", "retrieval"]
    assert not found.frame["identical"].any()
    assert repr(found) == "<Replay of 2 turns, 0 byte for byte as sent; 1 with retrieval; 1 with template>"


def test_a_turn_that_cannot_be_replayed_says_why_and_does_not_stop_the_others(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    for question in ("Is AAPL cheap?", "And MSFT?", "And IBM?"):
        lab.ask(question)
    with lab.store.write() as con:
        con.execute("delete from messages where message_id = (select question_id from turns where turn_id = 3)")
    found = study.replay(lab.snapshot()).frame
    assert found["identical"].tolist() == [True, True, False]
    assert found["problem"].tolist()[2] == "its question was forgotten"
    tiny = study.replay(lab.snapshot(), Config(budget=Budget(hot=0, warm=0, cold=0, window=300, reply=1)))
    assert tiny.frame["problem"].str.contains("the window leaves 299").sum() == 2

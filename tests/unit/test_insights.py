"""The analyst's hand on insights: add, edit, supersede, pin, retire, grade; and what past prompts keep of them."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from clock import Clock

from gallump_lab import Cold, Config, Lab, study

START = datetime(2013, 3, 1, 22, 0, tzinfo=UTC)
ALL = Config(cold=Cold(least=0))
"""Every insight that stands is shown, whatever is asked."""


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def lab(anew, clock: Clock) -> Lab:
    return anew(clock=clock, config=ALL)


def cold(lab, question="Well?", watchlist=(), **given):
    """Give what the next prompt holds of COLD."""
    return [s.text for s in lab.preview(question, watchlist, **given).slots if s.tier == "cold" and s.kept]


def row(lab, insight_id):
    return lab.insights.frame.set_index("insight_id").loc[insight_id]


def test_an_edit_keeps_sources_times_and_pin_and_the_older_wording_in_the_history(lab, clock):
    session = lab.sessions.get_or_create_session()
    said = [lab.sessions.add_message(session, "user", f"Said {n}.") for n in range(2)]
    since, until = START - timedelta(days=9), START + timedelta(days=9)
    old = lab.insights.add(
        "Stop is at 420",
        kind="level",
        symbol="AAPL",
        speaker="Ann",
        sources=said[:1],
        valid_from=since,
        valid_until=until,
    )
    clock.now += timedelta(hours=1)
    lab.insights.add("The stop is at 420.", symbol="AAPL", speaker="Ann", sources=said[1:])
    lab.insights.pin(old)
    new = lab.insights.edit(old, "Ann's AAPL stop is at 420", value="420")
    was, now = row(lab, old), row(lab, new)
    assert now["sources"].tolist() == was["sources"].tolist() == said
    for name in ("kind", "symbol", "speaker", "valid_from", "valid_until"):
        assert now[name] == was[name]
    assert now[["text", "value", "distiller"]].tolist() == ["Ann's AAPL stop is at 420", "420", "analyst"]
    assert now["pinned"]
    assert was["superseded_by"] == new
    assert cold(lab) == ["Ann's AAPL stop is at 420"]
    (slot,) = [each for each in lab.preview("Well?").slots if each.tier == "cold"]
    assert slot.signals["recency"] == 100_000  # said again just now, as before the edit
    assert lab.insights.history(old)["event"].tolist() == ["added", "supported", "pinned", "superseded"]
    clock.now = until + timedelta(seconds=1)
    assert cold(lab) == []


def test_what_is_retired_is_out_of_the_prompt_until_it_is_restored(lab):
    found = lab.insights.add("Sells winners too early")
    lab.insights.retire(found, "not any more")
    assert cold(lab) == []
    with pytest.raises(ValueError, match=rf"restore it first: lab\.insights\.restore\({found}\)"):
        lab.insights.edit(found, "Sells winners late")
    assert row(lab, found)["retired"]
    assert lab.insights.history(found)["note"].iloc[-1] == "not any more"
    lab.insights.restore(found)
    assert cold(lab) == ["Sells winners too early"]


def test_pins_stand_first_in_every_prompt_until_they_are_taken_back(lab):
    other, pinned = lab.insights.add("AAPL gaps close", symbol="AAPL"), lab.insights.add("Hedge with puts")
    ask = "Do AAPL gaps close?"
    assert cold(lab, ask) == ["AAPL gaps close", "Hedge with puts"]
    lab.insights.pin(pinned)
    assert cold(lab, ask) == ["Hedge with puts", "AAPL gaps close"]
    lab.insights.pin(other)
    assert cold(lab, ask) == ["AAPL gaps close", "Hedge with puts"]  # among pins, by worth
    lab.insights.unpin(other)
    assert cold(lab, ask) == ["Hedge with puts", "AAPL gaps close"]


def test_the_newest_grade_holds_and_each_is_kept(lab):
    lab.insights.add("Sells winners too early")
    (found,) = lab.insights.frame["insight_id"]  # as a frame has it
    for wrong in (4, True):
        with pytest.raises(ValueError, match="grade must be 0"):
            lab.insights.grade(found, wrong)
    assert lab.insights.frame["grade"].isna().all()
    lab.insights.grade(found, 3)
    lab.insights.grade(found, 1, labeller="Bob")
    assert row(lab, found)["grade"] == 1
    assert lab.sql("select grade, labeller from insight_labels")["labeller"].tolist() == ["analyst", "Bob"]


def test_an_unknown_insight_is_named_whatever_is_done_with_it(lab):
    lab.insights.add("One")
    before = lab.snapshot().hash
    actions = [lab.insights.pin, lab.insights.unpin, lab.insights.retire, lab.insights.restore]
    actions += [lab.insights.history, lab.insights.sources]
    actions += [lambda i: lab.insights.edit(i, "x"), lambda i: lab.insights.supersede(i, "x")]
    actions += [lambda i: lab.insights.grade(i, 1)]
    for action, wrong in itertools.product(actions, (99, 2**70, "one")):
        with pytest.raises(ValueError, match=r"insight_id .* is not in this lab; lab\.insights\.frame lists them"):
            action(wrong)
    assert lab.snapshot().hash == before


def test_what_cannot_be_stored_is_named_and_nothing_is_stored(lab):
    old = lab.insights.add("One")
    before = lab.snapshot().hash
    wrong = [
        ({"text": " \n "}, r"text must be one statement of at most 2,000 characters, not ' \\n '"),
        ({"kind": "rumour"}, "kind must be one of thesis, level.* not 'rumour'"),
        ({"symbol": "not a symbol"}, "not a symbol"),
        ({"value": "x" * 101}, "value must be a name of at most 100"),
        ({"sources": 5}, "sources must be message ids .*not 5"),
        ({"sources": [1, 2**80]}, r"sources \[1, .*\] are no messages of this lab; lab\.messages"),
        ({"valid_from": datetime(2013, 1, 1)}, "valid_from must be a datetime with a time zone"),  # noqa: DTZ001
        ({"valid_until": START - timedelta(days=1)}, "valid_until 2013-02-28 22:00:00 UTC lies before valid_from"),
        ({"known_from": START + timedelta(days=1)}, "known_from .* lies in the future"),
        ({"distiller": ""}, "distiller must be a name"),
    ]
    actions = (lab.insights.add, lambda text, **rest: lab.insights.edit(old, text, **rest))
    for (given, words), action in itertools.product(wrong, actions):
        with pytest.raises(ValueError, match=words):
            action(**{"text": "Two"} | given)
    with pytest.raises(TypeError, match="colour unknown; an insight has kind, symbol, sources"):
        lab.insights.add("Two", colour="red")
    assert lab.snapshot().hash == before


def test_what_has_a_horizon_is_shown_until_then_and_again_in_a_prompt_of_the_time(lab, clock):
    lab.insights.add("Out of AAPL by March the 5th", valid_until=datetime(2013, 3, 6, tzinfo=UTC))
    reply = lab.ask("What now?")
    assert "Out of AAPL" in reply.prompt.text
    clock.now = datetime(2013, 3, 6, 0, 0, 1, tzinfo=UTC)
    assert cold(lab) == []
    assert study.replay(lab.snapshot()).frame["identical"].all()


def test_no_later_change_of_any_kind_moves_a_past_prompt(lab, clock):
    session = lab.sessions.get_or_create_session()
    said = [lab.sessions.add_message(session, "user", f"I like {name} for its cash.") for name in ("AAPL", "IBM", "FB")]
    texts = ["AAPL gaps close", "Sells winners too early", "Hedge with puts", "IBM pays", "FB is dear"]
    ids = [lab.insights.add(text, sources=said[:1]) for text in texts]
    lab.insights.pin(ids[3])
    sent = lab.ask("Do gaps close?", ["AAPL"])
    clock.now += timedelta(days=1)
    lab.insights.edit(ids[0], "Most AAPL gaps close within days")
    lab.insights.retire(ids[1])
    lab.insights.pin(ids[2])
    lab.insights.unpin(ids[3])
    lab.insights.supersede(ids[4], "FB is cheap")
    lab.insights.add("AAPL gaps close", sources=said)  # nothing of its name stands: new
    lab.insights.add("Sells winners too early", sources=said, known_from=START - timedelta(days=50))
    for old in range(5):
        lab.insights.add(
            f"Old lesson {old}", known_from=START - timedelta(days=99), valid_from=START - timedelta(days=99)
        )
    lab.insights.grade(ids[2], 0)
    assert lab.distill(by="rules").sessions == 2
    lab.ask("And now?", ["AAPL"])
    found = study.replay(lab.snapshot()).frame
    assert found["identical"].tolist() == [True, True]
    assert found["sha256"].tolist()[0] == sent.prompt.sha256


def test_what_rests_on_a_forgotten_message_alone_goes_and_what_it_had_superseded_stands_again(lab):
    session = lab.sessions.get_or_create_session()
    kept, secret = (lab.sessions.add_message(session, "user", text) for text in ("stop 341", "stop 4711"))
    given = {"symbol": "AAPL", "attribute": "stop"}
    old = lab.insights.add("Stop at 341", value="341", sources=[kept], valid_from=START - timedelta(days=2), **given)
    new = lab.insights.add("Stop at 4711", value="4711", sources=[secret], **given)
    against = lab.insights.add("AAPL volume goes up on Fridays", sources=[kept])
    down = lab.insights.add("AAPL volume goes down on Fridays", sources=[secret])
    lab.insights.retire(new, "4711 was a slip")
    lab.insights.grade(new, 0)
    both = lab.insights.add("AAPL volume goes up on Fridays", sources=[secret])
    assert both == against
    assert row(lab, against)["disputed_by"].tolist() == [down]
    lab.forget(message_id=secret)
    copy = lab.snapshot()
    for table in copy.sql("select table_name as name from duckdb_tables() where not internal")["name"]:
        assert "4711" not in copy.sql(f"select * from {table}").to_csv(), table  # noqa: S608
    frame = lab.insights.frame
    assert frame["insight_id"].tolist() == [old, against]
    assert frame["superseded_by"].isna().all()
    assert frame["disputed_by"].isna().all()
    assert [each.tolist() for each in frame["sources"]] == [[kept], [kept]]
    assert lab.insights.history(against)["sources"].dropna().map(list).tolist() == [[]]
    assert lab.sql("select count(*) as n from insight_labels")["n"].tolist() == [0]
    found = {s.text: s.reason for s in lab.preview("Well?").slots if s.tier == "cold"}
    assert found == {"AAPL volume goes up on Fridays": "kept", "Stop at 341": "kept"}


def test_an_edit_that_changes_nothing_and_a_deed_done_already_leave_no_trace(lab):
    found = lab.insights.add("Stop on AAPL at 420", symbol="AAPL")
    assert lab.insights.edit(found, "Stop on AAPL at 420") == found
    for deed in (lab.insights.pin, lab.insights.pin, lab.insights.unpin, lab.insights.unpin, lab.insights.restore):
        deed(found)
    assert lab.insights.history(found)["event"].tolist() == ["added", "pinned", "unpinned"]

"""Laws of insights for any history: what comes later moves no past moment, and of a value one alone stands."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab import Config
from gallump_lab.config import Cold
from gallump_lab.memory import cold, ledger
from gallump_lab.memory.context import newest
from gallump_lab.memory.records import AsOf

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(days=400)
WORDS = "stop target AAPL IBM mean halt dividend long not above below risk 400 410 March".split()
QUESTION = "Where is the stop for AAPL in March, above the mean or below?"
DAYS = st.integers(0, 60)
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join)
slow = settings(max_examples=10)

said = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["AAPL", None]),
        "speaker": st.sampled_from(["Ann", None]),
        "attribute": st.sampled_from(["stop", None]),
        "value": st.sampled_from(["400", "410", None]),
        "valid_from": DAYS.map(lambda days: START + timedelta(days=days)),
        "known_from": DAYS.map(lambda days: START + timedelta(days=days)),
        "valid_until": st.none() | st.just(NOW + timedelta(days=9)) | st.just(START + timedelta(days=90)),
        "distiller": st.sampled_from(["analyst", "rules-1"]),
        "sources": st.lists(st.integers(1, 4), max_size=3),
    }
)
deeds = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "edit", "supersede", "pin", "unpin", "retire", "restore"]),
        st.integers(1, 12),
        TEXTS,
        said,
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def unlearnt(anew):
    """Give a lab of four messages, from which nothing was learnt."""
    lab = anew(clock=lambda: NOW, config=Config())
    session = lab.sessions.get_or_create_session()
    for number in range(1, 5):
        lab.sessions.add_message(session, "user", f"Message {number} on AAPL and its stop at 400.", "AAPL")
    copy = lab.backup(lab.store.path.with_name("unlearnt.duckdb"))
    return lambda: anew(copy, clock=lambda: NOW, config=Config())


def live(lab, done):
    """Do to insights what is drawn, as far as it can be done."""
    for deed, which, text, fields in done:
        number = len(lab.insights)
        try:
            if deed == "add":
                lab.insights.add(text, **fields)
            elif deed in {"edit", "supersede"} and number:
                getattr(lab.insights, deed)(1 + which % number, text)
            elif number:
                getattr(lab.insights, deed)(1 + which % number)
        except ValueError as error:
            known = ("superseded by", "is retired; restore it first")
            assert any(words in str(error) for words in known)  # noqa: PT017 (nothing else can be wrong)


def seen_so(lab, moment):
    with lab.store.read() as con:
        return cold.candidates(con, QUESTION, symbols={"AAPL"}, moment=moment, settings=Cold(), factor=1.3)


def events(lab):
    with lab.store.read() as con:
        return newest(con)[1]


@slow
@given(before=deeds, after=deeds)
def test_no_later_deed_moves_what_a_past_moment_saw(unlearnt, before, after):
    lab = unlearnt()
    live(lab, before)
    moment = AsOf(at=NOW, seen_message=4, seen_insight=events(lab))
    was = seen_so(lab, moment)
    live(lab, after)
    assert seen_so(lab, moment) == was


@slow
@given(done=deeds, days=DAYS)
def test_as_of_holds_nothing_learnt_or_valid_later_and_nothing_that_was_over(unlearnt, done, days):
    lab = unlearnt()
    live(lab, done)
    at = START + timedelta(days=days)
    shown = {slot.item_id for slot in seen_so(lab, AsOf(at=NOW, seen_message=4, seen_insight=2**62, as_of=at))}
    frame = lab.insights.frame.set_index("insight_id")
    for insight_id in shown:
        row = frame.loc[insight_id]
        assert row["known_from"] <= at
        assert row["valid_from"] <= at
        assert not row["valid_until"] < at


@slow
@given(
    stated=st.lists(st.tuples(DAYS, DAYS), min_size=1, max_size=8, unique_by=lambda each: each[0]),
    at=st.integers(-1, 61),
)
def test_of_a_value_the_newest_that_was_known_stands_in_whatever_order_it_came(unlearnt, stated, at):
    """Each is a day since which a value of its own holds, and the day on which that was learnt."""
    lab = unlearnt()
    for since, learnt in stated:
        lab.insights.add(
            f"The stop is at {100 + since}",
            symbol="AAPL",
            attribute="stop",
            value=str(100 + since),
            valid_from=START + timedelta(days=since),
            known_from=START + timedelta(days=learnt),
        )
    as_of = START + timedelta(days=at)
    with lab.store.read() as con:
        found = ledger.standing(con, AsOf(at=NOW, seen_message=4, seen_insight=2**62, as_of=as_of))
        now = ledger.standing(con)
    known = [since for since, learnt in stated if learnt <= at]
    assert [each.value for each in found] == [str(100 + since) for since in sorted(known)[-1:]]
    assert [each.value for each in now] == [str(100 + max(since for since, _ in stated))]
    assert lab.insights.frame["superseded_by"].isna().sum() == 1

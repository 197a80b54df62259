"""Laws of recall that hold for any history: what came later plays no part, and what is in memory is what is on disk."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab import Lab
from gallump_lab.config import Recall
from gallump_lab.memory import asked, lately, recall
from gallump_lab.memory import context as memory
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import AsOf

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(days=400)
WORDS = "stop target AAPL IBM qzxt apple mean halt dividend long risk 400 410 March".split()
EVERYTHING = Recall(**dict.fromkeys((each.name for each in fields(Recall) if each.name not in {"b", "embedder"}), 0.7))
QUESTION = "Where did Ann put her stop for AAPL or qzxt in March, long of the mean?"

messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant"]),
            "text": st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join),
            "created_at": st.integers(0, 30).map(lambda days: START + timedelta(days=days)),
            "session_id": st.sampled_from(["a", "b", "c"]),
            "symbol": st.sampled_from(["AAPL", "QZXT", None]),
            "speaker": st.sampled_from(["Ann", "Bob", None]),
        }
    ),
    min_size=2,
    max_size=14,
)
slow = settings(max_examples=8)


def lab_of(anew, name, rows=()):
    lab = anew(name, clock=lambda: NOW)
    if rows:
        lab.import_messages(pd.DataFrame(rows))
    return lab


def ranked(lab, moment):
    """Give the ranking of the question: each passage's text and time, its score and its signals."""
    memory.prepare(lab.sessions.corpus, lab.store)
    with lab.store.read() as con:
        view = lab.sessions.corpus.at(con, moment)
        about = asked.about(view, QUESTION, ["IBM"])
        found = recall.rank(con, view, QUESTION, symbols=about, moment=moment, settings=EVERYTHING)
        slots = recall.candidates(con, view, found, 1.0, most=100)
    return [(slot.text, slot.created_at, slot.score, slot.signals) for slot in slots]


@slow
@given(rows=messages, cut=st.integers(0, 14))
def test_what_arrived_later_plays_no_part_whatever_time_it_speaks_of(anew, rows, cut):
    """A moment's ranking, statistics included, is that of a lab that holds nothing but what had arrived."""
    all_of_it, part = lab_of(anew, "all", rows), lab_of(anew, "part", rows[:cut])
    moment = AsOf(at=NOW, seen_message=min(cut, len(rows)), seen_insight=0)
    assert ranked(all_of_it, moment) == ranked(part, moment)


@slow
@given(rows=messages, days=st.integers(-1, 31))
def test_as_of_uses_nothing_that_speaks_of_a_later_time_whenever_it_arrived(anew, rows, days):
    at = START + timedelta(days=days)
    past = [row for row in rows if row["created_at"] <= at]
    all_of_it, part = lab_of(anew, "all", rows), lab_of(anew, "part", past)
    found = ranked(all_of_it, AsOf(at=NOW, seen_message=len(rows), seen_insight=0, as_of=at))
    assert found == ranked(part, AsOf(at=at, seen_message=len(rows), seen_insight=0))


@slow
@given(rows=messages, parts=st.lists(st.integers(1, 5), max_size=5), gone=st.integers(1, 14))
def test_passages_kept_up_in_memory_are_those_on_disk(anew, rows, parts, gone):
    lab = lab_of(anew, "all")
    kept_up, moment, begin = lab.sessions.corpus, AsOf(at=NOW, seen_message=99, seen_insight=0), 0

    def same():
        with lab.store.read() as con:
            view, fresh = kept_up.at(con, moment), Corpus().at(con, moment)
        for name in "passage_id message_id terms session role symbol speaker created_at codes".split():
            assert np.array_equal(getattr(view, name), getattr(fresh, name)), name
        everywhere = np.arange(len(view))
        for steps in (-3, -2, -1, 1, 2, 3):
            assert np.array_equal(view.beside(everywhere, steps), fresh.beside(everywhere, steps))
        return view

    for part in [*parts, len(rows)]:
        if rows[begin : begin + part]:
            lab.import_messages(pd.DataFrame(rows[begin : begin + part]))
        begin += part
        before = same()
    if gone in set(before.message_id.tolist()):
        lab.forget(message_id=gone)
        assert gone not in same().message_id


def test_recall_of_a_lab_that_was_replaced_by_a_longer_one_is_the_new_ones(tmp_path):
    for name, said in {"old": 3, "new": 6}.items():
        lab = Lab.open(tmp_path / f"{name}.duckdb")
        for i in range(said):
            session = lab.sessions.get_or_create_session()
            lab.sessions.add_message(session, "user", f"The {name} stop of AAPL is {100 + i}, said {i * 'again '}.")
    lab = Lab.open(tmp_path / "old.duckdb")
    assert "old" in lab.recall("Where is the stop of AAPL?").slots[0].text
    (tmp_path / "new.duckdb").replace(tmp_path / "old.duckdb")
    again = Lab.open(tmp_path / "old.duckdb").recall("Where is the stop of AAPL?").frame
    assert lab.recall("Where is the stop of AAPL?").frame.equals(again)


@slow
@given(rows=messages, steps=st.lists(st.tuples(st.booleans(), st.integers(1, 20)), min_size=2, max_size=8))
def test_a_lab_that_was_asked_before_finds_what_one_that_was_not_finds(anew, rows, steps):
    """Whoever else writes between two questions: what was forgotten is not found, what is new is."""
    asked, begin = lab_of(anew, "all", rows[:2]), 2
    other, moment = Lab(asked.store, clock=lambda: NOW), AsOf(at=NOW, seen_message=99, seen_insight=0)
    for forget, number in steps:
        if forget and number in set(other.messages["message_id"]):
            other.forget(message_id=number)
        elif rows[begin : begin + number]:
            other.import_messages(pd.DataFrame(rows[begin : begin + number]))
            begin += number
        fresh = Lab(asked.store, clock=lambda: NOW)
        assert ranked(asked, moment) == ranked(fresh, moment)
        assert asked.recall(QUESTION).frame.equals(fresh.recall(QUESTION).frame)


def test_little_room_for_what_was_read_lately_changes_nothing_that_is_found(anew, monkeypatch):
    said = [f"Stop of {word} is {number}." for number in range(40) for word in WORDS]
    rows = [{"role": "user", "text": text, "created_at": START + timedelta(hours=h)} for h, text in enumerate(said)]
    lab, moment = lab_of(anew, "all", rows[:-9]), AsOf(at=NOW, seen_message=len(rows), seen_insight=0)
    monkeypatch.setattr(lately, "ROOM", 2_000)
    monkeypatch.setattr(lately, "NEW", 2)
    for number in range(9, 0, -1):
        lab.import_messages(pd.DataFrame(rows[len(rows) - number :][:1]))
        assert ranked(lab, moment) == ranked(Lab(lab.store, clock=lambda: NOW), moment)

"""Recall's index is kept sorted by slices, and loses nothing by it."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from gallump_lab import Lab
from gallump_lab.memory import messages

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SAID = [f"Word{i % 7} of plan{i % 11} number {i}." for i in range(120)]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(messages, "SLICE", 20)
    monkeypatch.setattr(messages, "UNSORTED", 1_000)
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: NOW)
    lab.import_messages(pd.DataFrame({"role": "user", "text": SAID, "created_at": NOW, "session_id": "one"}))
    return lab


def postings(lab):
    with lab.store.read() as con:
        return con.execute("select term, passage_id, frequency from postings").fetchall()


def test_an_import_sorts_what_stands_unsorted_slice_by_slice_and_loses_nothing(lab, monkeypatch):
    for text in SAID:
        lab.sessions.add_message(lab.sessions.get_or_create_session(), "user", text)
    before = postings(lab)
    assert before != sorted(before)
    monkeypatch.setattr(messages, "UNSORTED", 5)
    lab.import_messages(pd.DataFrame({"role": "user", "text": ["One more."], "created_at": NOW, "session_id": "one"}))
    found = postings(lab)
    assert found == sorted(found)
    assert set(before) < set(found)


def test_recall_of_a_lab_that_was_replaced_by_a_longer_one_is_the_new_ones(tmp_path):
    for name, said in {"old": 3, "new": 6}.items():
        lab = Lab.open(tmp_path / f"{name}.duckdb")
        for i in range(said):
            session = lab.sessions.get_or_create_session()
            lab.sessions.add_message(session, "user", f"The {name} stop of AAPL is {100 + i}, said {i * 'again '}.")
    lab = Lab.open(tmp_path / "old.duckdb")
    assert "old" in lab.recall("Where is the stop of AAPL?").slots[0].text
    (tmp_path / "new.duckdb").replace(tmp_path / "old.duckdb")
    anew = Lab.open(tmp_path / "old.duckdb").recall("Where is the stop of AAPL?").frame
    assert lab.recall("Where is the stop of AAPL?").frame.equals(anew)

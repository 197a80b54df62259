"""Bulk import: any frame, once however often, whole batches or nothing, and what came with it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gallump_lab import Lab
from gallump_lab.datasets import Dataset, DatasetError
from gallump_lab.datasets.table import INSIGHTS, MESSAGES, QUESTIONS, frame
from gallump_lab.memory import imports, labels
from gallump_lab.memory.messages import Batch, Draft
from gallump_lab.store import Snapshot

NOW = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)
SAID = NOW - timedelta(days=30)


@pytest.fixture
def lab(anew) -> Lab:
    return anew(clock=lambda: NOW)


def talk(*texts: str, minutes: int = 1, **columns: object) -> pd.DataFrame:
    times = [SAID + timedelta(minutes=minutes * place) for place in range(len(texts))]
    return pd.DataFrame({"role": "user", "text": texts, "created_at": times} | columns)


def test_messages_come_in_the_order_of_their_rows_with_all_they_say(lab: Lab) -> None:
    rows = talk("The giraffe thesis is broken.", "It is not.", symbol=["aapl", None], session_id="s1")
    rows = rows.assign(role=["user", "assistant"], speaker=["Ann", None])
    found = lab.import_messages(rows)
    assert repr(found) == "Imported 2 messages in 1 session; 0 were there, 0 left out"
    columns = ["message_id", "role", "text", "symbol", "speaker", "created_at", "arrived_at", "state"]
    first, second = lab.messages[columns].astype(object).to_numpy().tolist()
    assert first == [1, "user", "The giraffe thesis is broken.", "AAPL", "Ann", SAID, NOW, "complete"]
    assert second[1:3] == ["assistant", "It is not."]
    assert pd.isna(second[3:5]).all()
    session = lab.history().iloc[0]
    assert session[["session_id", "title", "symbol", "messages"]].tolist() == ["s1", first[2], "AAPL", 2]
    assert (session["created_at"], session["last_at"]) == (SAID, SAID + timedelta(minutes=1))
    assert "giraffe thesis" in repr(lab.recall("giraffe thesis"))
    assert "**Ann** (2024-05-02" in lab.export("s1")


def test_messages_without_a_session_are_cut_by_silence_in_each_conversation(lab: Lab) -> None:
    rows = talk("a1", "b1", "a2", "b2", "a3", minutes=15, conversation=["a", "b", "a", "b", "a"])
    rows.loc[4, "created_at"] += timedelta(minutes=1)
    assert lab.import_messages(rows.iloc[::-1]).sessions == 3  # by their times, whatever the order of the rows
    said = lab.messages.groupby("session_id", sort=False)["text"].agg(list)
    assert sorted(map(sorted, said)) == [["a1", "a2"], ["a3"], ["b1", "b2"]]


def test_roles_have_other_names_too(lab: Lab) -> None:
    rows = talk("one", "two", "three").rename(columns={"created_at": "When"})
    rows["role"] = ["Me", "Claude", "human"]
    assert lab.import_messages(rows).messages == 3
    assert lab.messages["role"].tolist() == ["user", "assistant", "user"]


def test_rows_that_cannot_be_used_are_left_out_and_named(lab: Lab) -> None:
    rows = talk("fine", "x" * 200_001, "two words", "later", " ", "odd", "long name")
    rows["symbol"] = [None, None, "AA PL", None, None, None, None]
    rows["role"] = ["user"] * 5 + ["bot", "user"]
    rows.loc[3, "created_at"] = NOW + timedelta(days=1)
    rows["speaker"] = [None] * 6 + ["n" * 101]
    found = lab.import_messages(rows)
    assert lab.messages["text"].tolist() == ["fine"]
    assert (found.messages, found.left_out) == (1, 6)
    for words in (
        "row 1: text has 200,001 characters; a message takes at most 200,000. Split it; left out.",
        "row 2: symbol must be 1 to 15 letters and digits",
        "row 3: created_at 2024-06-02 12:00:00 UTC lies in the future",
        "row 4: text must be words, not ' '",
        "row 5: role must be 'user' or 'assistant', not 'bot'; left out.",
        "row 6: speaker must be a name of at most 100 characters",
    ):
        assert words in repr(found)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["16/11/2023 08:42", "01/12/2023 9:05"], ["2023-11-16 08:42", "2023-12-01 09:05"]),
        (["11/16/2023, 8:42 PM", "12/1/2023, 12:05 am"], ["2023-11-16 20:42", "2023-12-01 00:05"]),
        (["16.11.2023 08:42:10", "17.11.2023"], ["2023-11-16 08:42:10", "2023-11-17"]),
        (["Nov 16, 2023 8:42 AM", "2023-11-16 8:43 PM"], ["2023-11-16 08:42", "2023-11-16 20:43"]),
    ],
)
def test_times_as_other_programs_write_them_are_read_and_how_is_said(lab: Lab, given, read) -> None:
    found = lab.import_messages(pd.DataFrame({"role": ["me", "claude"], "text": ["a", "b"], "Time": given}))
    assert lab.messages["created_at"].tolist() == [pd.Timestamp(each, tz="UTC") for each in read]
    assert any(f"Time {text}: read as {iso}" in repr(found) for text, iso in zip(given, read, strict=True))


def test_times_that_may_begin_with_the_day_or_the_month_are_refused(lab: Lab) -> None:
    found = lab.import_messages(pd.DataFrame({"role": "me", "text": ["a", "b"], "time": ["1/2/2023", "3/4/2023 9:05"]}))
    assert "row 0 and 1 more: time must be a time such as" in repr(found)
    assert lab.messages.empty


def test_times_without_a_zone_are_utc_and_said_to_be(lab: Lab) -> None:
    at = datetime(2024, 5, 2, 12, tzinfo=UTC)
    given = ["2024-05-02T12:00:00", at.replace(tzinfo=None), np.datetime64("2024-05-02T12")]
    found = lab.import_messages(pd.DataFrame({"role": "user", "text": list("abc"), "time": given}))
    assert lab.messages["created_at"].tolist() == [at] * 3
    assert found.problems == ("3 times without a time zone, taken as UTC.",)


def test_what_is_no_dataset_is_refused_in_words(lab: Lab) -> None:
    with pytest.raises(DatasetError, match=r"column text .* is missing; there is: role, created_at"):
        lab.import_messages(talk("a").drop(columns="text"))
    with pytest.raises(DatasetError, match="DataFrame is needed"):
        lab.import_messages([{"role": "user"}])
    with pytest.raises(DatasetError, match=r"column asked_at .* is missing"):
        lab.import_questions(pd.DataFrame({"text": ["What?"]}))
    with pytest.raises(DatasetError, match=r"lab.import_dataset\(datasets.read"):
        lab.import_dataset("talk.csv")


def test_importing_again_adds_only_what_is_new_also_to_a_session_that_is_there(lab: Lab) -> None:
    session = lab.sessions.get_or_create_session()
    lab.sessions.add_message(session, "user", "Now.", "MSFT")
    rows = talk("yes", "yes", "no", minutes=0, symbol="AAPL", session_id=session)
    lab.import_messages(rows)
    more = pd.concat([rows, rows.iloc[[0]], rows.iloc[[0]].assign(text="later")], ignore_index=True)
    found = lab.import_messages(more)
    assert (found.messages, found.already) == (2, 3)
    assert lab.messages["text"].tolist() == ["Now.", "yes", "yes", "no", "yes", "later"]
    row = lab.history().iloc[0]
    assert (row["messages"], row["title"], row["symbol"]) == (6, "Now.", "MSFT")
    assert (row["created_at"], row["last_at"]) == (SAID, NOW)
    assert lab.sessions.live(session)


def test_a_forgotten_message_stays_forgotten(lab: Lab) -> None:
    rows = talk("My account is 4711.", "Nothing.", session_id="s1", key=["m1", "m2"])
    lab.import_messages(rows)
    lab.import_questions(
        pd.DataFrame({"text": ["4711?", "Both?"], "asked_at": [NOW, NOW], "evidence": [["m1"], ["m1", "m2"]]})
    )
    lab.forget(message_id=1)
    assert lab.questions[["text", "evidence"]].to_numpy().tolist() == [["Both?", [2]]]
    found = lab.import_messages(rows)
    assert (found.messages, found.already) == (0, 2)
    assert lab.messages["text"].tolist() == ["Nothing."]


def small(name: str) -> Dataset:
    said = [
        {"role": "user", "text": text, "created_at": SAID + timedelta(days=day), "key": key, "conversation": name}
        for day, (key, text) in enumerate({"k1": "My stop is 180.", "k2": "My stop is 190 now."}.items())
    ]
    asked = {"text": "My stop?", "answer": "190", "kind": "changed fact", "asked_at": NOW, "evidence": ["k2", "k9"]}
    level = {"kind": "level", "symbol": "AAPL", "known_from": SAID + timedelta(days=1)}
    learnt = [
        level | {"text": f"Stop 180 of {name}", "sources": ["k1"], "key": "i1", "superseded_by": "i2"},
        level | {"text": f"Stop 190 of {name}", "sources": ["k2"], "key": "i2", "known_from": NOW},
        level | {"text": " ", "sources": []},
        level | {"text": "Of no known kind", "kind": "rumour", "sources": []},
    ]
    return Dataset(
        messages=frame(said, MESSAGES),
        questions=frame([asked | {"conversation": name}], QUESTIONS),
        insights=frame(learnt, INSIGHTS),
        problems=("a line was odd",),
        left_out=1,
    )


def test_what_states_an_outdated_value_is_kept_with_the_question(lab: Lab, tmp_path: Path) -> None:
    lab.import_messages(talk("Stop at 180.", "Stop at 190 now.", "Ann stops at 170.", key=["m1", "m2", "m3"]))
    stop = {"text": "My stop?", "asked_at": NOW, "evidence": "m2", "stale": "m1, m3, m9"}
    never = {"text": "My broker?", "asked_at": NOW, "kind": "no answer", "evidence": "", "stale": None}
    found = lab.import_questions(pd.DataFrame([stop, never]))
    assert found.problems == ("row 0: stale must name imported messages of this lab, not m9; passed over.",)
    copies = Lab.open(lab.backup(tmp_path / "copy.duckdb")).store, lab.snapshot().save(tmp_path / "saved.duckdb")
    for each in (lab.store, copies[0], Snapshot.load(copies[1])):
        asked = labels.questions(each)
        assert [each.tolist() for each in asked["evidence"]] == [[2], []]
        assert [each.tolist() for each in asked["stale"]] == [[1, 3], []]
    held = lab.labels[["message_id", "grade", "outdated"]].to_numpy().tolist()
    assert held == [[1, 0, True], [3, 0, True], [2, 3, False]]


@pytest.mark.parametrize("at_once", [1, imports.INSIGHTS])
def test_a_dataset_comes_with_its_questions_and_insights_once(lab: Lab, monkeypatch, at_once: int) -> None:
    monkeypatch.setattr(imports, "INSIGHTS", at_once)
    lab.import_dataset(small("one"))
    found = lab.import_dataset(small("two"))
    assert (found.messages, found.sessions, found.questions, found.insights, found.left_out) == (2, 2, 1, 2, 3)
    assert found.problems[0] == "a line was odd"
    assert "row 0: evidence must name imported messages of this lab, not k9; passed over." in found.problems
    assert lab.questions["evidence"].tolist() == [[2], [4]]
    assert lab.questions["conversation"].tolist() == ["one", "two"]
    assert lab.questions[["kind", "answer", "seen_message"]].to_numpy().tolist() == [
        ["changed fact", "190", 2],
        ["changed fact", "190", 4],
    ]
    learnt = lab.insights.frame
    assert learnt["sources"].tolist() == [[1], [2], [3], [4]]
    assert learnt["superseded_by"].fillna(0).tolist() == [2, 0, 4, 0]
    again = lab.import_dataset(small("one")) + lab.import_dataset(small("two"))
    assert (again.messages, again.questions, again.insights, again.already) == (0, 0, 0, 10)
    assert len(lab.insights) == 4
    assert lab.sql("select count(*) as n from insight_events")["n"].tolist() == [6]


def taught(*insights: dict[str, object]) -> Dataset:
    learnt = [{"kind": "level", "sources": []} | each for each in insights]
    return Dataset(messages=frame([], MESSAGES), questions=frame([], QUESTIONS), insights=frame(learnt, INSIGHTS))


def test_of_insights_that_supersede_each_other_in_a_circle_the_last_stands_and_it_is_told(lab: Lab) -> None:
    newer = {"a": "b", "b": "c", "c": "a", "alone": "alone", "new": None}
    learnt = [
        {"text": f"Stop {key}", "known_from": SAID, "key": key, "superseded_by": other} for key, other in newer.items()
    ]
    found = lab.import_dataset(taught(*learnt))
    assert (found.insights, found.left_out) == (5, 0)
    assert found.problems == ("row 2 and 1 more: what supersedes it gave way to it itself, so both stay as they are.",)
    assert lab.insights.frame["superseded_by"].fillna(0).tolist() == [2, 3, 0, 0, 0]


def test_a_file_cannot_turn_round_what_the_lab_knows_to_be_superseded(lab: Lab) -> None:
    def told(older: str, newer: str) -> tuple[str, ...]:
        first = {"text": older, "known_from": SAID, "key": "1", "superseded_by": "2"}
        return lab.import_dataset(taught(first, {"text": newer, "known_from": SAID, "key": "2"})).problems

    assert told("Stop 180", "Stop 190") == told("Stop 190", "Stop 200") == ()
    (problem,) = told("Stop 200", "Stop 180")
    assert problem == "row 0: what supersedes it gave way to it itself, so both stay as they are."
    assert lab.insights.frame["superseded_by"].fillna(0).tolist() == [2, 3, 0]


def test_two_that_import_the_same_at_once_bring_it_once(lab: Lab) -> None:
    rows = talk(*(f"message {number}" for number in range(300)))
    other = Lab.open(lab.store.path, clock=lambda: NOW)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setattr("gallump_lab.memory.imports.MESSAGES", 20)
        found = [*pool.map(lambda one: one.import_messages(rows), (lab, other))]
    assert sum(each.messages for each in found) == 300
    assert lab.messages["text"].nunique() == len(lab.messages) == 300
    assert len(lab.history()) == 1


def test_what_another_brings_while_a_batch_is_made_ready_is_left_out_of_it(lab: Lab, monkeypatch) -> None:
    rows, prepared = talk("one", "two", "three", session_id="s1"), imports.prepare

    def meanwhile(drafts: list[Draft]) -> Batch:
        monkeypatch.setattr(imports, "prepare", prepared)
        Lab.open(lab.store.path, clock=lambda: NOW).import_messages(rows.iloc[1:2])
        return prepared(drafts)

    monkeypatch.setattr(imports, "prepare", meanwhile)
    found = lab.import_messages(rows)
    assert (found.messages, found.already) == (2, 1)
    assert lab.messages["text"].tolist() == ["two", "one", "three"]


def test_an_import_leaves_the_index_sorted_slice_by_slice_and_loses_nothing(lab: Lab, monkeypatch) -> None:
    def postings() -> list[tuple[int, ...]]:
        with lab.store.read() as con:
            return con.execute("select term, passage_id, frequency from postings").fetchall()

    monkeypatch.setattr("gallump_lab.memory.messages.SLICE", 20)
    lab.import_messages(talk(*(f"Word{i % 7} of plan{i % 11} number {i}." for i in range(60)), session_id="s1"))
    for i in range(20):
        lab.sessions.add_message(lab.sessions.get_or_create_session(), "user", f"Another word{i % 7}, number {i}.")
    before = postings()
    assert before != sorted(before)
    monkeypatch.setattr("gallump_lab.memory.messages.UNSORTED", 5)
    lab.import_messages(talk("One more.", session_id="s1"))
    found = postings()
    assert found == sorted(found)
    assert set(before) < set(found)

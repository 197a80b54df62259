"""Questions to label, their labels, the messages to choose from, and the labelling widget."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from clock import Clock
from messages_server import MessagesServer, Status, say

from gallump_lab import Config, Lab, Model, study
from gallump_lab.brain.answer import ModelError
from gallump_lab.memory import labels
from gallump_lab.study.labelling import pool

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def clock():
    return Clock(START + timedelta(days=5))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give the file of a lab of five days, one note each, and one question of the chat on the sixth."""
    clock = Clock(START)
    lab = Lab.open(tmp_path_factory.mktemp("made") / "lab.duckdb", clock=clock)
    for day in range(5):
        clock.now = START + timedelta(days=day)
        lab.sessions.add_message(lab.sessions.get_or_create_session(), "user", f"My halibut stop is {400 + day}.")
    clock.now = START + timedelta(days=5)
    lab.ask("Where is the halibut stop?", ["AAPL"])
    return lab.store.path


@pytest.fixture
def lab(anew, made, clock):
    return anew(made, clock=clock)


def listed(lab):
    return [(each.asked.text, each.question_id, each.turn_id) for each in labels.listed(lab.store)]


def evidence(lab):
    return [each.tolist() for each in lab.questions["evidence"]]


def test_an_own_question_may_use_what_had_been_said_when_it_is_asked(lab):
    for wrong, words in (
        ({"text": " "}, "text must be words"),
        ({"asked_at": datetime(2026, 3, 2)}, "asked_at must be a datetime with a time zone"),  # noqa: DTZ001
        ({"symbol": "<b>"}, "'<b>'"),
        ({"session_id": "nowhere"}, "session_id 'nowhere' is not in this lab"),
        ({"answer": ""}, "answer must be words"),
    ):
        with pytest.raises(ValueError, match=words):
            lab.add_question(**{"text": "Which?", **wrong})
    assert lab.questions.empty
    asked_at = START + timedelta(days=2, hours=1)
    given = {"asked_at": asked_at, "answer": "402", "symbol": "aapl", "kind": "stop"}
    question = lab.add_question("Which halibut stop?", **given)
    assert lab.add_question("Which halibut stop?", **given) == question
    (row,) = lab.questions.to_dict("records")
    assert (row["asked_at"], row["answer"], row["symbol"], row["kind"]) == (asked_at, "402", "AAPL", "stop")
    assert (row["origin"], row["seen_message"]) == ("human", 7)
    lab.label(question, 3, 3)
    ranks = study.rank(lab.snapshot())
    assert sorted(slot.message_id for slot in ranks.warm("applied", 0)) == [1, 2, 3]


def test_a_question_of_the_chat_takes_its_turn_s_moment(lab, clock):
    assert listed(lab) == [("Where is the halibut stop?", None, 1)]
    turn = lab.turns.iloc[0]
    lab.sessions.add_message(turn["session_id"], "user", "My halibut stop is 999 now.")
    clock.now += timedelta(days=1)
    question = lab.question_of(1)
    assert lab.question_of(1) == question
    assert listed(lab) == [("Where is the halibut stop?", question, 1)]
    (row,) = lab.questions[["asked_at", "seen_message", "session_id", "symbol", "kind"]].to_numpy().tolist()
    assert row == [turn["asked_at"], 5, turn["session_id"], "AAPL", "chat"]
    lab.label(question, 5, 3)
    ranks = study.rank(lab.snapshot())
    assert sorted(slot.message_id for slot in ranks.warm("applied", 0)) == [1, 2, 3, 4, 5]
    other = lab.ask("Where is the halibut stop?", ["AAPL"])
    assert lab.question_of(other.turn_id) != question
    with pytest.raises(ValueError, match="turn_id 9 is not in this lab"):
        lab.question_of(9)


def test_a_question_that_was_tried_again_is_one_and_a_readers_come_last(tmp_path, monkeypatch):
    with MessagesServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        lab = Lab.open(tmp_path / "lab.duckdb", config=Config(model=Model(max_retries=0)))
        server.queue(Status.error(400, "invalid_request_error", "No"), say("Yes."))
        with pytest.raises(ModelError) as failed:
            lab.ask("Now?")
        assert lab.question_of(1) == 1
        lab.retry(failed.value.reply.question_id)
    assert listed(lab) == [("Now?", 1, 2)]
    assert lab.question_of(2) == 1
    lab.import_questions(pd.DataFrame([{"text": "Imported?", "asked_at": START}]))
    lab.add_question("Earlier?", asked_at=START)
    assert [text for text, *_ in listed(lab)] == ["Earlier?", "Now?", "Imported?"]


def test_taking_a_label_back_restores_what_held_before(lab):
    question = lab.add_question("Which?")
    labels.label(lab.store, question, 1, 3, START, labeller="import")
    lab.label(question, 1, 0)
    lab.label(question, 2, 3)
    lab.label(question, 2, 1, labeller="Ann")
    assert lab.labels[["message_id", "grade", "labeller"]].to_numpy().tolist() == [[1, 0, "analyst"], [2, 1, "Ann"]]
    assert evidence(lab) == [[]]
    lab.label(question, 1, None)
    lab.label(question, 2, None, labeller="Ann")
    assert evidence(lab) == [[1, 2]]
    lab.label(question, 2, None)
    assert lab.labels[["message_id", "grade", "labeller"]].to_numpy().tolist() == [[1, 3, "import"]]
    with pytest.raises(ValueError, match="analyst has given question 1 no label of message 1 to take back"):
        lab.label(question, 1, None)
    with pytest.raises(ValueError, match="or None to take one back, not 4"):
        lab.label(question, 1, 4)


def test_an_analyst_says_what_is_outdated_and_the_newest_label_holds(lab):
    question = lab.add_question("Which?")
    before = lab.snapshot().hash
    lab.label(question, 1, 0, outdated=True)
    lab.label(question, 2, 1, outdated=True)
    lab.label(question, 3, 3)
    marked = lab.snapshot().hash
    assert [each.tolist() for each in lab.questions["stale"]] == [[1, 2]]
    lab.label(question, 1, 0)
    lab.label(question, 2, None)
    assert [each.tolist() for each in lab.questions["stale"]] == [[]]
    assert evidence(lab) == [[3]]
    lab.label(question, 1, 0, outdated=True)
    assert [each.tolist() for each in lab.questions["stale"]] == [[1]]
    lab.forget(message_id=1)
    assert [each.tolist() for each in lab.questions["stale"]] == [[]]
    assert len({before, marked, lab.snapshot().hash}) == 3
    with pytest.raises(ValueError, match="grade must be from 0 to 2 where a message is outdated"):
        lab.label(question, 4, 3, outdated=True)


def test_what_is_forgotten_is_no_question_and_no_label_keeps_it(lab):
    asked = lab.question_of(1)
    own = lab.add_question("Which?", answer="It is 400.")
    lab.label(own, 1, 3)
    lab.label(own, 2, 0)
    lab.label(asked, 2, 3)
    lab.forget(message_id=1)  # all that the own question rests on
    assert lab.questions["question_id"].tolist() == [asked]
    lab.forget(message_id=6)  # the chat's question itself
    assert lab.questions.empty
    assert lab.labels.empty
    assert listed(lab) == []


def test_the_messages_to_choose_from_come_from_every_retriever_and_nothing_is_of_later(lab, clock):
    long = (
        f"{'Nothing much happened on that day at the desk. ' * 9}My halibut stop is 430. {'And so on it went. ' * 30}"
    )
    clock.now = START + timedelta(days=4, hours=1)
    lab.import_messages(
        pd.DataFrame([{"role": "user", "text": long, "created_at": clock.now, "speaker": "Priya", "key": "long"}])
    )
    question = lab.add_question("halibut", asked_at=START + timedelta(days=4, hours=2))
    (asked,) = (each.asked for each in labels.listed(lab.store) if each.question_id == question)
    found = pool(lab.store, lab.sessions.corpus, asked)
    assert sorted(each.message.message_id for each in found) == [1, 2, 3, 4, 5, 8]
    assert [each.message.message_id for each in found] != sorted(each.message.message_id for each in found)
    assert pool(lab.snapshot(), lab.sessions.corpus, asked) == found
    (marked,) = (each for each in found if each.message.message_id == 8)
    assert marked.message.speaker == "Priya"
    assert any("stop is 430" in marked.message.text[begin:end] for begin, end in marked.found)
    more = pool(lab.store, lab.sessions.corpus, asked, also=[7])
    assert {each.message.message_id: each.found for each in more}[7] == ()

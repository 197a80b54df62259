"""What was asked before: its answer is near at hand, the question itself is not, and a replay sees what was there."""

from datetime import UTC, datetime, timedelta

import pytest

from gallump_lab import Config, Recall, study

MONDAY = datetime(2026, 3, 2, 15, tzinfo=UTC)


@pytest.fixture
def now() -> list[datetime]:
    return [MONDAY]


@pytest.fixture
def lab(anew, now):
    return anew(clock=lambda: now[0])


def asked_twice(lab, now):
    lab.ask("The halibut crates go at 432.10, and Priya wants to wait.")
    now[0] += timedelta(days=1)
    lab.ask("At what do the halibut crates go?")
    now[0] += timedelta(days=1)


def answered(found):
    return {slot.text: slot.signals.get("answered", 0) for slot in found.slots if slot.kept}


def test_what_the_reply_rested_on_is_a_candidate_when_it_is_asked_again(lab, now) -> None:
    asked_twice(lab, now)
    said = "The halibut crates go at 432.10, and Priya wants to wait."
    found = lab.recall("At what do the halibut crates go?")
    assert answered(found) == {said: 300_000}
    assert "answered this before 0.30" in repr(found)
    assert answered(lab.recall("Who wants to wait with the halibut?")) == {said: 0}


def test_a_what_if_does_without_and_it_can_be_turned_off(lab, now) -> None:
    asked_twice(lab, now)
    question = "At what do the halibut crates go?"
    assert [*answered(lab.recall(question, as_of=now[0])).values()] == [0]
    lab.apply(Config(recall=Recall(answered=0.0)))
    assert [*answered(lab.recall(question)).values()] == [0]


def test_a_replay_knows_the_replies_of_its_moment_alone(lab, now) -> None:
    asked_twice(lab, now)
    lab.ask("At what do the halibut crates go?")
    assert study.replay(lab.snapshot()).frame["identical"].tolist() == [True, True, True]

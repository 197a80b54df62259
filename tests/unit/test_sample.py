import gc
import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from gallump_lab import Lab, tokens
from gallump_lab.bundled import bundled
from gallump_lab.memory.text import terms

NAMES = set(terms("AAPL Apple FB Facebook GOOG Google IBM MSFT Microsoft"))
KINDS = {"single fact", "several facts", "changed fact", "time", "paraphrase", "no answer"}


def records(name):
    return [json.loads(line) for line in (bundled("sample") / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


MESSAGES, QUESTIONS, INSIGHTS = (records(name) for name in ("messages", "questions", "insights"))
BY_KEY = {message["key"]: message for message in MESSAGES}
LEARNT = {insight["key"]: insight for insight in INSIGHTS}
ANSWERED = [question for question in QUESTIONS if question["evidence"]]


def words(texts):
    return {term for text in texts for term in terms(text)}


def test_it_is_made_again_byte_for_byte(tmp_path):
    script = Path(__file__).parents[2] / "data" / "make_sample.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    for name in ("messages", "questions", "insights"):
        made = (tmp_path / f"{name}.jsonl").read_bytes()
        assert made == (bundled("sample") / f"{name}.jsonl").read_bytes(), name
        assert f"{len(made.splitlines()):,} {name}" in bundled("README.md").read_text(encoding="utf-8")


def test_there_are_enough_questions_of_each_kind_in_enough_clusters():
    kinds = Counter(question["kind"] for question in QUESTIONS)
    assert kinds.keys() == KINDS
    assert min(kinds.values()) >= 50
    assert kinds.total() >= 400
    assert len({question["conversation"] for question in QUESTIONS}) >= 20
    for question in QUESTIONS:
        assert (question["answer"] is None) == (question["evidence"] == []) == (question["kind"] == "no answer")


def test_the_answer_stands_in_the_evidence_which_is_older_than_the_question():
    for question in ANSWERED:
        evidence = [BY_KEY[key] for key in question["evidence"]]
        assert words([question["answer"]]) <= words(message["text"] for message in evidence), question
        assert all(message["created_at"] < question["asked_at"] for message in evidence), question
        assert 2 <= len(evidence) <= 4 if question["kind"] == "several facts" else len(evidence) == 1, question
        assert {message["role"] for message in evidence} == {"user"}


def test_a_paraphrase_shares_no_word_with_its_evidence_but_a_symbols_name():
    shared = [
        words([question["text"]]) & words(BY_KEY[key]["text"] for key in question["evidence"])
        for question in QUESTIONS
        if question["kind"] == "paraphrase"
    ]
    assert all(each <= NAMES for each in shared)
    assert sum(not each for each in shared) >= len(shared) / 2


def test_insights_are_short_cite_messages_and_are_known_when_their_session_has_ended():
    assert len(INSIGHTS) >= 120
    assert {insight["kind"] for insight in INSIGHTS} == {"thesis", "level", "position", "preference", "lesson", "fact"}
    ends = {message["session_id"]: message["created_at"] for message in MESSAGES}
    for insight in INSIGHTS:
        assert 12 <= tokens.count(insight["text"]) <= 30, insight
        assert insight["sources"], insight
        last = max(ends[BY_KEY[key]["session_id"]] for key in insight["sources"])
        wait = datetime.fromisoformat(insight["known_from"]) - datetime.fromisoformat(last)
        assert wait.total_seconds() == 30 * 60
        assert insight["valid_from"] < insight["known_from"]


def test_a_fifth_can_be_answered_from_an_insight_that_holds_when_it_is_asked():
    carried = [question for question in QUESTIONS if question["insight"]]
    assert len(carried) >= max(80, len(QUESTIONS) // 5)
    for question in carried:
        insight = LEARNT[question["insight"]]
        newer = LEARNT.get(insight["superseded_by"])
        assert insight["known_from"] <= question["asked_at"]
        assert newer is None or newer["known_from"] > question["asked_at"], question
        assert set(question["evidence"]) <= set(insight["sources"])
        assert words([question["answer"]]) <= words([insight["text"]]), question


def test_it_opens_as_a_private_lab_with_every_message_question_and_insight():
    lab = Lab.sample(clock=lambda: datetime(2013, 3, 1, 21, tzinfo=UTC))
    assert (len(lab.messages), len(lab.questions), len(lab.insights)) == (len(MESSAGES), len(QUESTIONS), len(INSIGHTS))
    assert lab.questions["evidence"].map(len).tolist() == [len(question["evidence"]) for question in QUESTIONS]
    found = lab.recall("Where was Tom's stop on IBM?", symbol="IBM")
    assert found.slots
    path = lab.store.path
    del lab
    gc.collect()
    assert not path.exists()

import gc
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from gallump_lab import Lab, tokens
from gallump_lab.bundled import bundled
from gallump_lab.memory.text import terms

NAMES = set(terms("AAPL Apple FB Facebook GOOG Google IBM MSFT Microsoft"))
KINDS = {"single fact", "several facts", "changed fact", "time", "paraphrase", "no answer"}
HOT = 2_000


def records(name):
    return [json.loads(line) for line in (bundled("sample") / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


MESSAGES, QUESTIONS, INSIGHTS = (records(name) for name in ("messages", "questions", "insights"))
BY_KEY = {message["key"]: message for message in MESSAGES}
LEARNT = {insight["key"]: insight for insight in INSIGHTS}
ANSWERED = [question for question in QUESTIONS if question["evidence"]]


def words(texts):
    return {term for text in texts for term in terms(text)}


def said_before(question):
    same = [message for message in MESSAGES if message["session_id"] == question["session_id"]]
    return [message for message in same if message["created_at"] < question["asked_at"]]


def test_it_is_made_again_byte_for_byte(tmp_path):
    script = Path(__file__).parents[2] / "data" / "make_sample.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    for name in ("messages", "questions", "insights"):
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (bundled("sample") / f"{name}.jsonl").read_bytes(), name


@pytest.mark.parametrize("name", ["messages", "questions", "insights"])
def test_the_readme_has_its_checksum_and_count(name):
    readme = bundled("README.md").read_text(encoding="utf-8")
    content = (bundled("sample") / f"{name}.jsonl").read_bytes()
    assert f"| sample/{name}.jsonl | {hashlib.sha256(content).hexdigest()} |" in readme
    assert f"{len(content.splitlines()):,} {name}" in readme


def test_it_is_small_enough_to_ship():
    assert sum(path.stat().st_size for path in bundled("sample").iterdir()) < 3_000_000


def test_two_years_of_several_analysts_stand_in_order_of_arrival():
    times = [message["created_at"] for message in MESSAGES]
    assert times == sorted(times)
    assert len({message["session_id"] for message in MESSAGES}) >= 150
    assert date.fromisoformat(times[-1][:10]) - date.fromisoformat(times[0][:10]) > date(2013, 1, 1) - date(2011, 3, 1)
    assert len({message["speaker"] for message in MESSAGES if message["role"] == "user"}) == 6
    assert {message["speaker"] for message in MESSAGES if message["role"] == "assistant"} == {None}
    assert len(BY_KEY) == len(MESSAGES)


def test_a_session_has_no_gap_that_would_end_it():
    sessions = defaultdict(list)
    for message in MESSAGES:
        sessions[message["session_id"]].append(datetime.fromisoformat(message["created_at"]))
    assert max((b - a).total_seconds() for times in sessions.values() for a, b in pairwise(times)) < 30 * 60


def test_many_messages_carry_another_symbol_than_they_speak_of():
    spoken = {"AAPL": "aapl|apple", "FB": "fb|facebook", "GOOG": "goog|google", "IBM": "ibm", "MSFT": "msft|microsoft"}
    other = []
    for message in (message for message in MESSAGES if message["role"] == "user"):
        named = {
            symbol for symbol, name in spoken.items() if re.search(rf"\b({name})\b", message["text"], re.IGNORECASE)
        }
        if named:
            other.append(message["symbol"] not in named)
    assert 0.1 < sum(other) / len(other) < 0.2


def test_quoted_closes_are_those_of_the_bars():
    bars = duckdb.read_parquet(str(bundled("bars.parquet"))).filter("date > '2011-01-01'").fetchall()
    closes = {(symbol, f"{close:.2f}".removesuffix(".00")) for symbol, _, _, _, _, close, *_ in bars}
    quoted = [
        (cells[1], cells[2])
        for message in MESSAGES
        for line in message["text"].splitlines()
        if (cells := [cell.strip() for cell in line.split("|")])[1:2]
        and cells[1] in {"AAPL", "FB", "GOOG", "IBM", "MSFT"}
        and cells[2][0].isdigit()
    ]
    assert len(quoted) > 100
    assert set(quoted) <= closes


def test_there_are_enough_questions_of_each_kind_in_enough_clusters():
    kinds = Counter(question["kind"] for question in QUESTIONS)
    assert kinds.keys() == KINDS
    assert min(kinds.values()) >= 50
    assert kinds.total() >= 400
    assert len({question["conversation"] for question in QUESTIONS}) >= 20
    assert len({(question["text"], question["session_id"], question["asked_at"]) for question in QUESTIONS}) == len(
        QUESTIONS
    )


def test_a_question_without_answer_has_neither_answer_nor_evidence():
    for question in QUESTIONS:
        assert (question["answer"] is None) == (question["evidence"] == []) == (question["kind"] == "no answer")


def test_the_answer_stands_in_the_evidence_which_is_older_than_the_question():
    for question in ANSWERED:
        evidence = [BY_KEY[key] for key in question["evidence"]]
        assert words([question["answer"]]) <= words(message["text"] for message in evidence), question
        assert all(message["created_at"] < question["asked_at"] for message in evidence), question
        assert {message["role"] for message in evidence} == {"user"}


def test_several_facts_take_two_to_four_messages_and_the_others_one():
    for question in ANSWERED:
        count = len(question["evidence"])
        assert 2 <= count <= 4 if question["kind"] == "several facts" else count == 1, question


def test_a_paraphrase_shares_no_word_with_its_evidence_but_a_symbols_name():
    shared = [
        words([question["text"]]) & words(BY_KEY[key]["text"] for key in question["evidence"])
        for question in QUESTIONS
        if question["kind"] == "paraphrase"
    ]
    assert all(each <= NAMES for each in shared)
    assert sum(not each for each in shared) >= len(shared) / 2


def test_a_fifth_is_asked_in_mid_session_some_of_it_on_what_has_left_hot():
    inside = [question for question in QUESTIONS if question["session_id"]]
    assert len(inside) >= max(80, len(QUESTIONS) // 5)
    far = 0
    for question in (question for question in inside if question["evidence"]):
        before = said_before(question)
        assert BY_KEY[question["evidence"][0]] in before
        assert before[-1]["role"] == "assistant"
        spent = [tokens.count(message["text"]) for message in before]
        place = before.index(BY_KEY[question["evidence"][0]])
        far += sum(spent) > 3_000 and sum(spent[place + 1 :]) > HOT
    assert far >= 25


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


def test_a_share_of_insights_is_superseded_by_later_ones():
    replaced = [insight for insight in INSIGHTS if insight["superseded_by"]]
    assert len(INSIGHTS) / 5 < len(replaced) < len(INSIGHTS)
    assert all(LEARNT[insight["superseded_by"]]["known_from"] > insight["known_from"] for insight in replaced)


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


@pytest.mark.parametrize("kind", sorted(KINDS - {"no answer"}))
def test_no_kind_is_solved_by_shared_words_alone(kind):
    said = [(message["created_at"], set(terms(message["text"])), message["key"]) for message in MESSAGES]
    held = Counter(term for _, found, _ in said for term in found)
    recalled = []
    for question in (question for question in ANSWERED if question["kind"] == kind):
        asked = set(terms(question["text"]))
        scores = sorted(
            (
                (sum(1 / held[term] for term in asked & found), at, key)
                for at, found, key in said
                if at < question["asked_at"]
            ),
            reverse=True,
        )
        best = {key for score, _, key in scores[:10] if score}
        recalled.append(len(best & set(question["evidence"])) / len(question["evidence"]))
    assert sum(recalled) / len(recalled) < 0.85


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

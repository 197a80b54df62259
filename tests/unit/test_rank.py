"""Ranking once: every question's candidates as they stood when it was asked; kept in a file; left in the middle."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from gallump_lab import Budget, Lab, Recall, study
from gallump_lab.memory import context as memory
from gallump_lab.memory import recall
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import AsOf
from gallump_lab.store.errors import NotALab
from gallump_lab.study.rank import RETRIEVERS
from gallump_lab.study.tally import TIERS, measure, tally

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def sample():
    return Lab.sample()


@pytest.fixture(scope="module")
def ranks(sample):
    questions = sample.questions
    chosen = pd.concat([questions[questions["session_id"].notna()].iloc[::8], questions.iloc[::12]])
    chosen = chosen.drop_duplicates("question_id")
    return study.rank(sample.snapshot(), ["BM25", "all signals"], chosen, hot=3_000, warm=1_000, cold=400)


def test_every_budget_measures_what_a_context_built_anew_holds(sample, ranks):
    """Fifty configurations of random questions: the packed prompt's own figures, to the last digit."""
    dice = np.random.default_rng(5)
    snapshot, corpus = sample.snapshot(), Corpus()
    asked_at = sample.questions.set_index("question_id")
    grid = {
        "hot": np.array([0, 150, 700, 3_000]),
        "warm": np.array([0, 90, 500, 1_000]),
        "cold": np.array([0, 60, 400]),
    }
    memory.prepare(corpus, snapshot)
    with snapshot.read() as con:
        seen_insight = memory.newest(con)[1]
        for place in dice.integers(len(ranks.asked), size=50).tolist():
            asked, name = ranks.asked[place], str(dice.choice(list(ranks.retrievers)))
            found = tally(asked.needs, asked.hot, ranks.warm(name, place), asked.cold, grid)
            spot = tuple(int(dice.integers(len(grid[tier]))) for tier in TIERS)
            budget = Budget(**{tier: int(grid[tier][i]) for tier, i in zip(TIERS, spot, strict=True)})
            row = asked_at.loc[asked.question_id]
            moment = AsOf(
                at=row.asked_at.to_pydatetime(),
                seen_message=int(row.seen_message),
                seen_insight=seen_insight,
                as_of=row.asked_at.to_pydatetime(),
            )
            context = memory.context(
                con,
                corpus,
                row.text,
                session_id=row.session_id if isinstance(row.session_id, str) else None,
                symbol=row.symbol if isinstance(row.symbol, str) else None,
                moment=moment,
                config=ranks.config.__class__(budget=budget, recall=ranks.retrievers[name]),
                factor=ranks.factor,
            )
            kept = [slot for slot in context.slots if slot.kept]
            for measured, value in measure(asked.needs, kept).items():
                np.testing.assert_equal(found[measured][spot], value, err_msg=measured)
            for tier in TIERS:
                used = sum(slot.tokens for slot in kept if slot.tier == tier)
                assert found[f"tokens_{tier}"][spot] == used


def test_ranks_are_the_same_when_they_come_back_from_their_file(ranks, tmp_path):
    path = ranks.save(tmp_path / "ranks.npz")
    back = study.Rankings.load(path)
    assert repr(back) == repr(ranks)
    assert (back.retrievers, back.limits, back.factor, back.config) == (
        ranks.retrievers,
        ranks.limits,
        ranks.factor,
        ranks.config,
    )
    for place, asked in enumerate(ranks.asked):
        assert back.asked[place] == asked
        for name in ranks.retrievers:
            assert back.warm(name, place) == ranks.warm(name, place)


def test_a_file_that_holds_no_ranks_or_those_of_another_version_is_refused(ranks, tmp_path, monkeypatch):
    other = tmp_path / "other.npz"
    np.savez(other, a=np.zeros(3))
    with pytest.raises(ValueError, match="holds no ranks"):
        study.Rankings.load(other)
    path = ranks.save(tmp_path / "ranks.npz")
    monkeypatch.setattr(recall, "VERSION", "later")
    with pytest.raises(ValueError, match=r"another version of recall .*study\.rank"):
        study.Rankings.load(path)


@pytest.mark.parametrize(
    "odd",
    [
        b"5",
        b"[]",
        b"[" * 100_000,
        b'{"version": %s}',
        {"retrievers": 5},
        {"retrievers": {"no such": {"k1": []}}},
        {"passages": []},
        {"passages": [[1]]},
        {"insights": {"a": 1}},
        {"asked": []},
        {"asked": [{"evidence": 5}]},
        {"config": "[[["},
        {"config": 5},
        {"factor": "much"},
        {"limits": 5},
        {"missing": None},
    ],
)
def test_a_ranking_with_odd_content_is_refused_in_words(ranks, tmp_path, odd):
    path = ranks.save(tmp_path / "ranks.npz")
    with np.load(path) as found:
        arrays = dict(found)
    if isinstance(odd, dict):
        odd = json.dumps(json.loads(arrays["meta"].tobytes()) | odd).encode()
    else:
        odd = odd.replace(b"%s", json.dumps(recall.VERSION).encode())
    np.savez(tmp_path / "odd.npz", **arrays | {"meta": np.frombuffer(odd, np.uint8)})
    with pytest.raises(ValueError, match=r"odd\.npz holds no ranks, or not all of them \(.*Rankings\.save writes them"):
        study.Rankings.load(tmp_path / "odd.npz")


def test_an_interrupt_keeps_the_questions_that_are_ranked(sample, monkeypatch):
    real, left = recall.rank, [5]

    def interrupted(*given, **named):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(recall, "rank", interrupted)
    found = study.rank(sample.snapshot(), ["BM25", "all signals"], sample.questions.head(20))
    assert len(found.asked) == len(found.found["BM25"]) == len(found.found["all signals"]) == 2
    assert "Interrupted" in repr(found)


def test_a_lab_without_evidence_and_an_unknown_retriever_are_said(tmp_path, sample):
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: START + timedelta(days=9))
    lab.import_messages(pd.DataFrame([{"role": "user", "text": "Hold IBM.", "created_at": START}]))
    lab.import_questions(pd.DataFrame([{"text": "What of IBM?", "asked_at": START + timedelta(days=1)}]))
    with pytest.raises(study.NothingToMeasure, match="None of 1 questions says which messages it rests on"):
        study.rank(lab.snapshot())
    with pytest.raises(ValueError, match=r"'dense' unknown; there are applied, newest first, BM25"):
        study.rank(sample.snapshot(), ["dense"])


def test_a_question_is_ranked_on_what_had_been_said_when_it_was_asked(tmp_path):
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: START + timedelta(days=90))
    said = [
        {
            "role": "user",
            "text": f"My halibut stop is {400 + day}.",
            "created_at": START + timedelta(days=day),
            "key": str(day),
        }
        for day in range(5)
    ]
    lab.import_messages(pd.DataFrame(said))
    asked = {"text": "Where is the halibut stop?", "asked_at": START + timedelta(days=2, hours=1), "evidence": ["2"]}
    lab.import_questions(pd.DataFrame([asked]))
    ranks = study.rank(lab.snapshot(), {"mine": Recall(recency=0.5)})
    assert {slot.text for slot in ranks.warm("mine", 0)} == {f"My halibut stop is {400 + day}." for day in range(3)}
    assert RETRIEVERS["all signals"] == Recall()


def own(tmp_path, *asked, days=4):
    """Make a lab of one remark a day, a session each, and questions: (text, day asked, days of the evidence)."""
    lab = Lab.open(tmp_path / "own.duckdb", clock=lambda: START + timedelta(days=90))
    said = [
        {"role": "user", "text": f"Rule {day}: never buy {name}.", "session_id": f"s{day}", "key": str(day)}
        | {"created_at": START + timedelta(days=day)}
        for day, name in enumerate(["halibut", "turbot", "plaice", "sole"][:days])
    ]
    lab.import_messages(pd.DataFrame(said))
    rows = [
        {"text": text, "asked_at": START + timedelta(days=day, hours=1), "evidence": list(map(str, evidence))}
        for text, day, evidence in asked
    ]
    lab.import_questions(pd.DataFrame(rows))
    return lab


def test_what_came_after_a_question_is_not_asked_of_it_and_that_is_said(tmp_path):
    lab = own(tmp_path, ("What of turbot?", 2, [1]), ("And plaice, and sole?", 2, [2, 3]), ("And sole?", 1, [3]))
    ranks = study.rank(lab.snapshot())
    assert [asked.text for asked in ranks.asked] == ["What of turbot?", "And plaice, and sole?"]
    assert [len(asked.needs.evidence) for asked in ranks.asked] == [1, 1]
    assert "2 rest on messages that came after they were asked" in repr(ranks)
    (tmp_path / "late").mkdir()
    late = own(tmp_path / "late", ("And sole?", 1, [3]))
    with pytest.raises(study.NothingToMeasure, match="came after they were asked"):
        study.rank(late.snapshot())


def test_questions_that_rest_on_one_session_are_one_conversation_however_often_they_are_asked(tmp_path):
    asked = [(f"What of turbot, {number}?", 3, [1]) for number in range(7)]
    ranks = study.rank(own(tmp_path, *asked, ("And sole?", 3, [3])).snapshot())
    assert len(set(ranks.conversations)) == 2
    assert "2 conversations where an interval takes 5" in repr(study.relevance(ranks))


def test_a_knee_is_no_prompt_without_memory(tmp_path):
    sweep = study.sweep(study.rank(own(tmp_path, ("What of turbot?", 3, [1])).snapshot()))
    assert sweep.knee()["recall"] == 1


def test_ranks_never_overwrite_and_half_a_file_is_refused(ranks, tmp_path):
    path = ranks.save(tmp_path / "ranks.npz")
    with pytest.raises(FileExistsError, match="never overwrites"):
        ranks.save(path)
    path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(ValueError, match="not all of them"):
        study.Rankings.load(path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"retrievers": []}, "retrievers is empty"),
        ({"retrievers": {"mine": 5}}, r"'mine' unknown.*Recall\(\.\.\.\)"),
        ({"factor": -1}, "factor must be a number from 0.1 to 10"),
        ({"warm": "a"}, "warm must be a whole number"),
    ],
)
def test_what_cannot_be_ranked_is_refused(sample, given, words):
    with pytest.raises(ValueError, match=words):
        study.rank(sample.snapshot(), **given)


def test_a_lab_in_the_place_of_its_snapshot_is_refused(sample, ranks):
    for take in (study.rank, study.replay, study.tokens, study.silver):
        with pytest.raises(ValueError, match=r"must be what lab\.snapshot\(\) gives"):
            take(sample)
    with pytest.raises(ValueError, match=r"must be what study\.rank\(snapshot\) gives"):
        study.sweep(sample)
    with pytest.raises(ValueError, match="at_tokens must be a list"):
        study.relevance(ranks, 500)
    with pytest.raises(ValueError, match=r"grid\['warm'\] must be a list"):
        study.sweep(ranks, {"warm": 500})


def test_a_single_retriever_can_be_named_by_itself(sample):
    assert list(study.rank(sample.snapshot(), "BM25", sample.questions.head(3)).retrievers) == ["BM25"]


def test_a_saved_snapshot_is_not_opened_as_a_lab(tmp_path):
    path = own(tmp_path, ("What of turbot?", 3, [1])).snapshot().save(tmp_path / "saved.duckdb")
    before = path.read_bytes()
    with pytest.raises(NotALab, match="saved snapshot"):
        Lab.open(path)
    assert path.read_bytes() == before
    study.Snapshot.load(path)

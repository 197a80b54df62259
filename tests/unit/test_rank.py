"""Ranking once: every question's candidates as they stood when it was asked; left in the middle."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from benchmarks.sweep import rebuild
from questions import START, lab_of

from gallump_lab import Lab, Recall, study
from gallump_lab.memory import recall
from gallump_lab.memory.context import prepare
from gallump_lab.memory.corpus import Corpus
from gallump_lab.store.errors import NotALab


@pytest.fixture(scope="module")
def sample(sampled):
    return sampled()


@pytest.fixture(scope="module")
def ranks(sample):
    questions = sample.questions
    chosen = pd.concat([questions[questions["session_id"].notna()].iloc[::16], questions.iloc[::24]])
    chosen = chosen.drop_duplicates("question_id")
    return study.rank(sample.snapshot(), ["BM25", "all signals"], chosen, hot=3_000, warm=1_000, cold=400)


def own(path, *asked):
    """Make a lab of four rules and questions about them: (text, day asked, days of the evidence)."""
    return lab_of(path, ["halibut", "turbot", "plaice", "sole"], asked)


def test_every_budget_measures_what_a_context_built_anew_holds(sample, ranks):
    """Random questions and budgets: the packed prompt's own figures, to the last digit."""
    dice, snapshot, corpus = np.random.default_rng(5), sample.snapshot(), Corpus()
    prepare(corpus, snapshot)
    grid = {"hot": [0, 150, 3_000], "warm": [0, 90, 500, 1_000], "cold": [0, 60, 400]}
    sweep = study.sweep(ranks, grid)
    for row in dice.choice(np.flatnonzero(sweep.real), size=8).tolist():
        places = dice.integers(len(ranks.asked), size=4).tolist()
        anew = rebuild(snapshot, corpus, ranks, str(sweep.retriever[row]), sweep.budget(row), places)
        for place, expected in zip(places, anew, strict=True):
            for name, value in expected.items():
                np.testing.assert_equal(sweep.measured[name][place, row], value, err_msg=name)


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
    left[0] = 0
    with pytest.raises(KeyboardInterrupt):
        study.rank(sample.snapshot(), "BM25", sample.questions.head(20))


def test_a_question_is_ranked_on_what_had_been_said_when_it_was_asked(tmp_path):
    asked = [("What of turbot?", 2, [1]), ("And plaice, and sole?", 2, [2, 3]), ("And sole?", 1, [3])]
    ranks = study.rank(own(tmp_path / "lab.duckdb", *asked).snapshot(), {"mine": Recall(recency=0.5)})
    assert {slot.message_id for slot in ranks.warm("mine", 0)} == {1, 2, 3}
    assert [each.text for each in ranks.asked] == ["What of turbot?", "And plaice, and sole?"]
    assert [len(each.needs.evidence) for each in ranks.asked] == [1, 1]
    assert "2 rest on messages that came after they were asked" in repr(ranks)
    none = own(tmp_path / "none.duckdb", ("And sole?", 1, [3]), ("What of IBM?", 1, [])).snapshot()
    with pytest.raises(study.NothingToMeasure, match="None of 2 questions rests on messages that were there"):
        study.rank(none)


def test_hot_holds_what_the_session_had_last_when_the_question_was_asked(tmp_path):
    lab = lab_of(tmp_path / "lab.duckdb", ["halibut"], [("What of halibut?", 40, [0])], talk=300)
    found = [slot.created_at for slot in study.rank(lab.snapshot(), "BM25", hot=60).asked[0].hot["single"]]
    assert found[:3] == [START + timedelta(days=40, minutes=minute) for minute in (60, 59, 58)]


def test_a_retriever_ranks_beside_others_as_it_does_alone(sample, monkeypatch):
    monkeypatch.setattr(recall, "FIRST", 2)
    plain = Recall(meaning=0.0, neighbours=0.0)
    retrievers = {"longer": replace(plain, b=0.0), "shorter": replace(plain, b=1.0), "in other words": Recall()}
    snapshot, questions = sample.snapshot(), sample.questions.iloc[::60]
    together = study.rank(snapshot, retrievers, questions).found
    for name, settings in retrievers.items():
        alone = study.rank(snapshot, {name: settings}, questions).found
        for one, other in zip(together[name], alone[name], strict=True):
            np.testing.assert_array_equal(one, other)


def test_questions_that_rest_on_one_session_are_one_conversation_however_often_they_are_asked(tmp_path):
    asked = [(f"What of turbot, {number}?", 3, [1]) for number in range(7)]
    snapshot = own(tmp_path / "lab.duckdb", *asked, ("And sole?", 3, [3])).snapshot()
    ranks = study.rank(snapshot, "BM25")
    assert list(ranks.retrievers) == ["BM25"]
    assert len(set(ranks.conversations)) == 2
    assert "only 2 conversations; an interval needs 5" in repr(study.relevance(ranks))
    assert study.sweep(ranks).knee()["recall"] == 1  # no prompt without memory
    path = snapshot.save(tmp_path / "saved.duckdb")
    with pytest.raises(NotALab, match="saved snapshot"):
        Lab.open(path)
    assert study.Snapshot.load(path).hash == snapshot.hash


def test_what_is_not_what_a_study_takes_is_refused(sample, ranks):
    for given, words in (
        ({"retrievers": []}, r"retrievers must be some of 'applied', 'newest first', .* not \[\]"),
        ({"retrievers": {"perfect ranking": Recall()}}, "settings by other names than 'perfect ranking'"),
        ({"retrievers": 5}, "retrievers must be some of .* not 5"),
        ({"retrievers": ["dense"]}, r"retrievers must be some of .* not \['dense'\]"),
        ({"retrievers": {"mine": 5}}, r"settings by name \(\{'mine': Recall\(\.\.\.\)\}\), not \{'mine': 5\}"),
        ({"warm": "a"}, "warm must be a whole number of tokens of at least 0, not 'a'"),
    ):
        with pytest.raises(ValueError, match=words):
            study.rank(sample.snapshot(), **given)
    for take in (study.rank, study.replay, study.tokens, study.silver):
        with pytest.raises(ValueError, match=r"snapshot must be what lab\.snapshot\(\) gives, not <Lab"):
            take(sample)
    for take in (study.sweep, study.relevance):
        with pytest.raises(ValueError, match=r"ranks must be what study\.rank\(snapshot\) gives, not 5"):
            take(5)
    for at_tokens in ([], [500, 4_000], [0], ["500"]):
        with pytest.raises(ValueError, match=r"at_tokens must be whole numbers from 1 to 1,000"):
            study.relevance(ranks, at_tokens)

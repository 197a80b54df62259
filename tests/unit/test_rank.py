"""Ranking once: every question's candidates as they stood when it was asked; kept in a file; left in the middle."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from gallump_lab import Budget, Lab, Recall, study
from gallump_lab.memory import context as memory
from gallump_lab.memory import recall
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import Moment
from gallump_lab.study.evidence import measure
from gallump_lab.study.rank import RETRIEVERS
from gallump_lab.study.tally import TIERS, tally

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
    memory.make_ready(corpus, snapshot)
    with snapshot.read() as con:
        seen_insight = memory.newest(con)[1]
        for place in dice.integers(len(ranks.asked), size=50).tolist():
            asked, name = ranks.asked[place], str(dice.choice(list(ranks.retrievers)))
            found = tally(asked.needs, asked.hot, ranks.warm(name, place), asked.cold, grid)
            spot = tuple(int(dice.integers(len(grid[tier]))) for tier in TIERS)
            budget = Budget(**{tier: int(grid[tier][i]) for tier, i in zip(TIERS, spot, strict=True)})
            row = asked_at.loc[asked.question_id]
            moment = Moment(
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
    back = study.Ranks.load(path)
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
        study.Ranks.load(other)
    path = ranks.save(tmp_path / "ranks.npz")
    monkeypatch.setattr(recall, "VERSION", "later")
    with pytest.raises(ValueError, match=r"another version of recall .*study\.rank"):
        study.Ranks.load(path)


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

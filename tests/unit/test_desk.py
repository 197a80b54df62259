"""Trading talk with outdated values and questions that nothing answers: what is measured is what recall shows."""

import math
from datetime import timedelta

import numpy as np
import pytest
from clock import Clock

from gallump_lab import Lab, datasets, study

SHOWN = ("precision", "stale", "hearsay", "falsely_marked", "nothing_said")


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    """Give the talk of one of the analysts."""
    lab = Lab.open(tmp_path_factory.mktemp("desk") / "lab.duckdb")
    lab.import_dataset(datasets.desk().split()[-1])
    return lab


@pytest.fixture(scope="module")
def ranks(lab):
    return study.rank(lab.snapshot(), ["BM25", "all signals"])


def by_hand(lab, asked, budget):
    """Measure what `lab.recall` shows of a question."""
    at = asked.asked_at.to_pydatetime()
    kept = [each for each in lab.recall(asked.text, symbol=asked.symbol, as_of=at, tokens=budget).slots if each.kept]
    spent, evidence = sum(each.tokens for each in kept), set(asked.evidence)
    right = sum(each.tokens for each in kept if each.message_id in evidence)
    wrong = any(each.message_id in set(asked.stale) and each.outdated is None for each in kept)
    marked = {each.message_id for each in kept if each.outdated} & evidence
    told, outdated = asked.kind == "hearsay", len(asked.stale) > 0
    return {
        "precision": right / spent if evidence and spent else math.nan,
        "stale": wrong if outdated and not told else math.nan,
        "hearsay": wrong if outdated and told else math.nan,
        "falsely_marked": len(marked) / len(evidence) if evidence and asked.kind != "earlier" else math.nan,
        "nothing_said": math.nan if evidence else spent,
    }


def test_what_a_study_measures_is_what_recall_shows(lab, ranks):
    asked = lab.questions.astype(object).where(lab.questions.notna(), None).set_index("question_id", drop=False)
    relevance = study.relevance(ranks, [200, 500])
    sweep = study.sweep(ranks, {"hot": [0], "warm": [500], "cold": [0]})
    (row,) = np.flatnonzero(sweep.retriever == "all signals")
    assert [each.question_id for each in ranks.asked] == asked["question_id"].tolist()
    for place, one in enumerate(ranks.asked):
        for budget in (200, 500):
            for name, value in by_hand(lab, asked.loc[one.question_id], budget).items():
                measured = relevance.measured["all signals"][f"{name}_{budget}"][place]
                np.testing.assert_equal(measured, value, err_msg=f"{one.text} {name}")
        for name in SHOWN:
            swept, alone = sweep.measured[name][place, row], relevance.measured["all signals"][f"{name}_500"][place]
            np.testing.assert_equal(swept, alone)


def test_questions_that_nothing_answers_are_scored_by_what_is_shown_all_the_same(ranks):
    nothing = np.array([each.kind == "no-answer" for each in ranks.asked])
    assert (nothing.sum(), ranks.answerable) == (3, 48)
    relevance = study.relevance(ranks)
    for measured in relevance.measured.values():
        for name in ("recall_500", "coverage_500", "partial_recall_500", "mrr", "ndcg_at_10", "precision_500"):
            assert np.isnan(measured[name][nothing]).all()
        assert not np.isnan(measured["recall_500"][~nothing]).any()
        assert np.isnan(measured["nothing_said_500"]).tolist() == (~nothing).tolist()
    assert repr(relevance).startswith("Relevance on 48 questions: ")
    assert "no-answer" not in relevance.worst(number=100)["kind"].tolist()
    sweep = study.sweep(ranks, {"warm": [0, 200, 500]})
    assert not np.isnan(sweep.measured["recall"][~nothing]).any()
    assert np.isnan(sweep.measured["recall"][nothing]).all()
    assert not sweep.frame[["recall", "warm_holds", "nothing_said", "tokens"]].isna().any(axis=None)
    assert sweep.best().retriever in ranks.retrievers


def test_a_perfect_ranking_stands_beside_the_others_and_shows_how_far_there_is_to_go(ranks):
    relevance = study.relevance(ranks)
    frame = relevance.frame.set_index("retriever")
    perfect, others = frame.loc["perfect ranking"], frame.drop("perfect ranking")
    assert frame.index[-1] == "perfect ranking"
    for budget in relevance.at_tokens:
        assert (others[f"recall_{budget}"] <= perfect[f"recall_{budget}"]).all()
        assert perfect[f"precision_{budget}"] == 1
        assert perfect[[f"stale_{budget}", f"hearsay_{budget}", f"nothing_said_{budget}"]].tolist() == [0, 0, 0]
        low, high = (others[f"nothing_said_{budget}_{end}"] for end in ("low", "high"))
        assert low.isna().all()  # one conversation alone
        assert high.isna().all()
    assert "perfect ranking" in repr(relevance)
    assert "perfect ranking" not in set(relevance.differences()["other"])
    sweep = study.sweep(ranks, {"hot": [0, 500], "warm": [0, 100, 200, 500, 1_000], "cold": [0]})
    rows = sweep.frame.set_index(["retriever", "hot", "warm"])["recall"]
    assert (rows["all signals"] <= rows["perfect ranking"]).all()
    front, ideal = sweep.pareto("precision"), sweep.pareto(perfect=True)
    assert set(front["retriever"]) <= set(ranks.retrievers)
    assert front["precision"].is_monotonic_increasing
    assert set(ideal["retriever"]) == {"perfect ranking"}
    assert "a perfect ranking 1.000 for" in repr(sweep.plot("precision"))
    assert sweep.best("precision").retriever in ranks.retrievers


def test_asked_again_a_question_is_answered_by_what_answered_it_first_not_by_itself(lab, tmp_path):
    clock = Clock(lab.messages["created_at"].max().to_pydatetime())
    asking = Lab.open(lab.store.backup(tmp_path / "copy.duckdb"), clock=clock)
    held: list[list[float]] = []
    for asked in lab.questions.itertuples():
        if "?" in asked.text or not len(asked.evidence):  # what has a question mark is known as one anyway
            continue
        held.append([])
        for _ in range(2):
            clock.now += timedelta(minutes=1)
            reply = asking.ask(asked.text)
            kept = {slot.message_id for slot in reply.prompt.slots if slot.kept}
            held[-1].append(len(kept.intersection(asked.evidence)) / len(asked.evidence))
    first, again = np.mean(held, axis=0)
    assert len(held) > 10
    assert again >= first - 0.02

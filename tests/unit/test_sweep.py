"""Sweeping budgets and comparing retrievers: what an analyst reads off, and what is refused."""

import sys

import numpy as np
import pandas as pd
import pytest

from gallump_lab import Budget, Config, Lab, study
from gallump_lab.study.sweep import GRID
from gallump_lab.study.tally import tally


@pytest.fixture(scope="module")
def ranks():
    lab = Lab.sample()
    questions = pd.concat([lab.questions[lab.questions["session_id"].notna()].iloc[::3], lab.questions.iloc[::6]])
    retrievers = {"BM25": study.RETRIEVERS["BM25"]} | study.ablations()
    return study.rank(lab.snapshot(), retrievers, questions.drop_duplicates("question_id"), warm=2_000)


@pytest.fixture(scope="module")
def sweep(ranks):
    return study.sweep(ranks)


@pytest.fixture(scope="module")
def relevance(ranks):
    return study.relevance(ranks)


def test_a_row_for_every_retriever_and_budget_with_intervals_around_each_figure(sweep):
    frame = sweep.frame
    budgets = np.prod([len({*GRID[tier], getattr(Budget(), tier)}) for tier in ("hot", "warm", "cold")])
    assert len(frame) == len(sweep.ranks.retrievers) * budgets
    for name in ("recall", "any", "all", "lenient", "coverage"):
        assert (frame[f"{name}_low"] <= frame[name]).all()
        assert (frame[name] <= frame[f"{name}_high"]).all()
    assert (frame["all"] <= frame["recall"]).all()
    assert (frame["recall"] <= frame["any"]).all()
    assert (frame["recall"] <= frame["lenient"]).all()
    assert np.allclose(frame["tokens"], frame["tokens_hot"] + frame["tokens_warm"] + frame["tokens_cold"])
    assert (frame["tokens_warm"] <= frame["warm"]).all()
    nothing = frame[(frame["hot"] == 0) & (frame["warm"] == 0) & (frame["cold"] == 0)]
    assert (nothing["recall"] == 0).all()
    assert nothing["wasted"].isna().all()


def test_more_tokens_of_a_tier_never_hold_less_and_the_front_only_rises(sweep):
    frame = sweep.frame[sweep.frame["retriever"] == "all signals"]
    for _, column in frame.groupby(["hot", "cold"]):
        assert column.sort_values("warm")["recall"].is_monotonic_increasing
    front = sweep.pareto()
    assert front["tokens"].is_monotonic_increasing
    assert front["recall"].is_monotonic_increasing
    assert front["recall"].iloc[-1] == sweep.frame["recall"].max()
    assert sweep.knee()["tokens"] in set(front["tokens"])


def test_a_winner_is_reported_on_conversations_that_did_not_choose_it(sweep):
    best = sweep.best(tokens=900)
    conversations = np.array(sweep.ranks.conversations)
    asked, chose = map(int, str(best).split("(")[1].split(" conversations")[0].split(" questions of "))
    assert chose + int(str(best).split("On ")[1].split(" ")[0]) == len(set(conversations))
    assert asked < len(conversations)
    row = sweep.frame[
        (sweep.frame["retriever"] == best.retriever)
        & (
            sweep.frame[["hot", "warm", "cold"]]
            == [best.config.budget.hot, best.config.budget.warm, best.config.budget.cold]
        ).all(axis=1)
    ].iloc[0]
    low, high = sorted([best.chosen[0], best.reported[0]])
    assert low <= row["recall"] <= high
    assert isinstance(best.config, Config)
    assert best.config.recall == sweep.ranks.retrievers[best.retriever]
    assert best.run["figures"]["reported"] == list(best.reported)
    assert best.tokens <= 1_100


def test_the_cheapest_that_reaches_a_figure_takes_fewer_tokens_than_the_best(sweep):
    assert sweep.best(least=0.5).tokens < sweep.best().tokens


def test_bounds_that_nothing_satisfies_name_what_comes_nearest(sweep):
    with pytest.raises(ValueError, match=r"No configuration reaches a recall of 0\.999 .* the best has 0\.\d+"):
        sweep.best(least=0.999)
    with pytest.raises(ValueError, match=r"takes more than 1 tokens a question; the cheapest takes \d+"):
        study.sweep(sweep.ranks, {"warm": [300]}).best(tokens=1)
    with pytest.raises(ValueError, match="objective must be one of recall, any"):
        sweep.best("wasted")


def test_a_tier_that_helps_no_question_is_said_and_keeps_its_budget(ranks):
    sweep = study.sweep(ranks.part(each for each in range(len(ranks.asked)) if not ranks.asked[each].hot))
    assert sweep.frame["hot_holds"].isna().all()
    assert not sweep.exercised["hot"]
    best = sweep.best()
    assert best.config.budget.hot == ranks.config.budget.hot
    assert "No question is helped by HOT" in str(best)
    assert "No question is helped by HOT" in repr(sweep)


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({"warm": [-1]}, r"grid\['warm'\] must be whole numbers .* not -1"),
        ({"warm": [2.5]}, r"not 2\.5"),
        ({"warm": [2_001]}, r"the ranks reach to 2,000: study\.rank\(\.\.\., warm=2001\)"),
        ({"warm": []}, r"grid\['warm'\] is empty"),
        ({"tepid": [1]}, r"'tepid' unknown; the tiers are hot, warm and cold"),
    ],
)
def test_a_grid_that_cannot_be_swept_is_refused(ranks, grid, words):
    with pytest.raises(ValueError, match=words):
        study.sweep(ranks, grid)


def test_a_grid_with_no_point_inside_the_window_is_refused(ranks):
    small = study.Ranks(
        **{name: getattr(ranks, name) for name in ("retrievers", "passages", "asked", "found", "limits", "factor")},
        config=Config(budget=Budget(hot=100, warm=100, cold=100, window=6_000, reply=4_000)),
    )
    with pytest.raises(ValueError, match=r"no combination fits the window of 6,000 .* the smallest takes 6,200"):
        study.sweep(small, {"hot": [2_000]})


def test_one_conversation_gives_means_without_intervals_and_says_so(ranks):
    name = max(set(ranks.conversations), key=ranks.conversations.count)
    one = ranks.part(each for each, other in enumerate(ranks.conversations) if other == name)
    sweep = study.sweep(one)
    assert sweep.frame["recall_low"].isna().all()
    assert "1 conversation where an interval takes 5" in repr(sweep)
    assert "There is one conversation alone" in str(sweep.best())
    assert "1 conversation where an interval takes 5" in repr(study.relevance(one))


def test_pictures_say_in_words_what_they_show(sweep, relevance):
    for picture in (sweep.plot(), sweep.lines("warm"), sweep.lines("cold"), relevance.plot(), relevance.plot_signals()):
        assert picture.png().startswith(b"\x89PNG")
        assert "recall" in repr(picture).lower()


def test_retrievers_stand_side_by_side_and_their_differences_are_paired(relevance):
    frame = relevance.frame.set_index("retriever")
    assert frame.loc["all signals", "recall_500"] > frame.loc["BM25", "recall_500"]
    pairs = relevance.differences()
    row = pairs[(pairs["retriever"] == "BM25") & (pairs["other"] == "all signals")].iloc[0]
    assert row["difference"] == pytest.approx(frame.loc["BM25", "recall_500"] - frame.loc["all signals", "recall_500"])
    assert row["verdict"] == "worse, beyond chance"
    assert len(pairs) == len(frame) * (len(frame) - 1) / 2


def test_a_signals_worth_is_what_is_lost_without_it(relevance, ranks):
    signals = relevance.signals().set_index("signal")
    assert set(signals.index) == {"words", "meaning", "neighbours", "speaker", "role", "symbol", "dates", "recency"}
    assert (signals["retriever"] == "all signals").all()
    assert signals.loc["words", "difference"] > 0
    part = study.Ranks(
        **{name: getattr(ranks, name) for name in ("passages", "asked", "config", "limits", "factor")},
        retrievers={"BM25": ranks.retrievers["BM25"]},
        found={"BM25": ranks.found["BM25"]},
    )
    with pytest.raises(ValueError, match=r"no ablations.*study\.ablations"):
        study.relevance(part).signals()


def test_the_worst_questions_show_what_outranked_their_evidence(relevance):
    worst = relevance.worst("all signals", 5)
    assert worst["recall_500"].is_monotonic_increasing
    assert worst["recall_500"].iloc[0] == 0
    for question_id in worst["question_id"]:
        trace = relevance.trace(int(question_id), "all signals")
        table = trace.frame
        assert table["evidence"].any()
        assert table[~table["evidence"]]["rank"].min() == 1
        assert trace.asked.text in repr(trace)
    with pytest.raises(ValueError, match="question_id 99999 was not ranked"):
        relevance.trace(99_999)
    with pytest.raises(ValueError, match="retriever must be one of BM25"):
        relevance.worst("dense")


def test_budgets_beyond_what_was_ranked_are_refused(ranks):
    with pytest.raises(ValueError, match=r"whole numbers from 1 to 2,000.*not 4000"):
        study.relevance(ranks, [500, 4_000])


def test_an_interrupt_keeps_the_questions_that_were_swept(ranks, monkeypatch):
    left = [2 * len(ranks.retrievers) + 3]

    def interrupted(*given):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return tally(*given)

    monkeypatch.setattr(sys.modules["gallump_lab.study.sweep"], "tally", interrupted)
    found = study.sweep(ranks.part(range(9)))
    assert len(found.ranks.asked) == len(found.measured["recall"]) == 2
    assert "Interrupted: 7 questions are not in it." in repr(found)

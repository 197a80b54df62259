"""The area under the ROC curve: worked by hand, with an interval that holds what it promises."""

import math

import numpy as np
import pytest
from scipy import stats

from gallump_lab.study.scorecard import roc

NAN = float("nan")


def test_the_area_counts_the_pairs_that_are_told_apart_and_half_the_ties():
    # 3 beats 1 and 2 and ties with 3; 2 beats 1, ties with 2, loses to 3: 2.5 + 1.5 of 6 pairs
    found = roc.auc([3, 2], [1, 2, 3], ["a", "b"], ["a", "a", "b"])
    assert found.value == pytest.approx(4 / 6)
    assert (found.n_good, found.n_bad, found.unscored) == (2, 3, 0)


def test_what_has_no_score_is_left_out_and_counted():
    found = roc.auc([1, NAN, 1], [0, NAN], list("abc"), list("ab"))
    assert found.value == 1
    assert (found.n_good, found.n_bad, found.unscored) == (2, 1, 2)


@pytest.mark.parametrize(("good", "bad"), [([], []), ([1.0], []), ([NAN], [0.5]), ([0.5], [NAN, NAN])])
def test_without_a_scored_insight_of_either_kind_it_is_nan(good, bad):
    found = roc.auc(good, bad, ["a"] * len(good), ["a"] * len(bad))
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.unscored == sum(map(math.isnan, good + bad))


def test_below_five_conversations_with_either_kind_there_is_no_interval():
    many, few = list("abcdefgh"), list("abcdabcd")
    for good, bad in ((many, few), (few, many), (few, few)):
        found = roc.auc([2, 3, 4, 5] * 2, [1, 2, 3, 4] * 2, good, bad)
        assert not math.isnan(found.value)
        assert np.isnan([found.low, found.high]).all()
    found = roc.auc([2, 3, 4, 5] * 2, [1, 2, 3, 4] * 2, many, list("abcdeabc"))
    assert found.low < found.value < found.high


def test_where_all_are_told_apart_the_interval_still_has_a_width():
    # Newcombe: (1 - a)^2 n m = z^2 a (1 - a) (1 + k (1 - a) / (2 - a) + k a / (1 + a)), k = 9 for ten and ten
    found = roc.auc(np.ones(10), np.zeros(10), range(10), range(10))
    a, z = found.low, stats.norm.ppf(0.975)
    assert (found.value, found.high) == (1, 1)
    assert 0.7 < a < 0.9
    assert (1 - a) ** 2 * 100 == pytest.approx(z**2 * a * (1 - a) * (1 + 9 * (1 - a) / (2 - a) + 9 * a / (1 + a)))
    worst = roc.auc(np.zeros(10), np.ones(10), range(10), range(10))
    assert (worst.low, worst.value) == (0, 0)
    assert worst.high == pytest.approx(1 - a)


def test_conversations_that_agree_give_no_narrower_interval_than_independent_insights():
    clusters = np.repeat(range(6), 2)
    found = roc.auc([0.0, 1.0] * 6, [0.0, 1.0] * 6, clusters, clusters)
    assert (found.low, found.high) == pytest.approx(roc.independent(0.5, 12, 12))
    assert found.high - found.low > 0.3


def test_conversations_that_differ_give_a_wider_interval():
    clusters = np.repeat(range(8), 25)
    good = np.where(clusters % 2, 2.0, 0.0) + np.tile(np.linspace(0, 1, 25), 8)
    bad = np.ones(200) + np.tile(np.linspace(0, 1, 25), 8)
    together, alone = roc.auc(good, bad, clusters, clusters), roc.independent(0.5, 200, 200)
    assert together.value == pytest.approx(0.5, abs=0.02)
    assert together.high - together.low > 3 * (alone[1] - alone[0])


@pytest.mark.parametrize(("number", "size"), [(5, 8), (20, 6)])
@pytest.mark.parametrize("apart", [0.0, 1.5, 3.0])
@pytest.mark.parametrize("alike", [0.0, 0.7])
def test_the_interval_holds_the_true_area_in_19_of_20_samples(number, size, apart, alike):
    dice, runs = np.random.default_rng(7), 250
    clusters = np.repeat(range(number), size)
    # The conversation moves both kinds together, and each kind by itself; pairs mostly come of different ones.
    true = stats.norm.cdf(apart / math.sqrt(2 * (1 + alike**2 + alike**2 / 4)))
    held = 0
    for _ in range(runs):
        both, mine, yours = dice.normal(0, alike, (3, number))[:, clusters] * [[0.5], [1], [1]]
        found = roc.auc(
            apart + both + mine + dice.normal(size=len(clusters)),
            both + yours + dice.normal(size=len(clusters)),
            clusters,
            clusters,
        )
        held += found.low <= true <= found.high
    assert held / runs >= 0.93


def test_the_table_has_a_row_for_each_metric_and_fault():
    good, of_good = [1.0, 0.9, NAN, 0.8, 1.0, 0.7], list("abcdef")
    scores = {
        "support": (good, {"number": [0.1, 0.95, NAN], "date": [0.0] * 6}),
        "length": ([1.0] * 6, {"number": [1.0] * 3}),
    }
    table = roc.fault_table(scores, (of_good, {"number": list("abc"), "date": of_good}))
    assert list(table.columns) == ["metric", "fault", "auc", "low", "high", "n_good", "n_bad", "unscored"]
    assert table[["metric", "fault"]].agg(" ".join, axis=1).tolist() == [
        "support number",
        "support date",
        "length number",
    ]
    assert table["auc"].tolist() == pytest.approx([7 / 10, 1, 0.5])  # 0.1 loses to all five, 0.95 to two of them
    assert table["n_good"].tolist() == [5, 5, 6]
    assert table["n_bad"].tolist() == [2, 6, 3]
    assert table["unscored"].tolist() == [2, 1, 0]
    assert table["low"].isna().tolist() == [True, False, True]
    assert list(roc.fault_table({}, ([], {})).columns) == list(table.columns)


def test_scores_without_their_conversations_are_refused():
    with pytest.raises(ValueError, match=r"bad must be a list of scores with one conversation each, .*\(2,\).*\(1,\)"):
        roc.auc([1.0], [0.0, 1.0], ["a"], ["a"])
    with pytest.raises(ValueError, match="no conversations of the fault 'number', only of date"):
        roc.fault_table({"support": ([1.0], {"number": [0.0]})}, (["a"], {"date": ["a"]}))

"""The area under the ROC curve: worked by hand, with an interval that holds what it promises."""

import math

import numpy as np
import pytest
from scipy import stats

from gallump_lab.study.statistics import auc

NAN = float("nan")


def test_the_area_counts_the_pairs_that_are_told_apart_and_half_the_ties():
    # 3 beats 1 and 2 and ties with 3; 2 beats 1, ties with 2, loses to 3: 2.5 + 1.5 of 6 pairs
    found = auc([3, NAN, 2], [1, 2, 3], ["a", "a", "b"], ["a", "a", "b"])
    assert found.auc == pytest.approx(4 / 6)
    assert (found.n_good, found.n_bad, found.unscored) == (2, 3, 1)


@pytest.mark.parametrize(("good", "bad"), [([], []), ([1.0], []), ([NAN], [0.5]), ([0.5], [NAN, NAN])])
def test_without_a_scored_one_of_either_kind_it_is_nan(good, bad):
    found = auc(good, bad, ["a"] * len(good), ["a"] * len(bad))
    assert np.isnan([found.auc, found.low, found.high]).all()
    assert found.unscored == sum(map(math.isnan, good + bad))


def test_below_five_conversations_with_either_kind_there_is_no_interval():
    many, few = list("abcdefgh"), list("abcdabcd")
    for good, bad in ((many, few), (few, many), (few, few)):
        found = auc([2, 3, 4, 5] * 2, [1, 2, 3, 4] * 2, good, bad)
        assert not math.isnan(found.auc)
        assert np.isnan([found.low, found.high]).all()
    found = auc([2, 3, 4, 5] * 2, [1, 2, 3, 4] * 2, many, list("abcdeabc"))
    assert found.low < found.auc < found.high


def test_where_all_are_told_apart_the_interval_still_has_a_width():
    clusters = range(10)
    best, worst = auc(np.ones(10), np.zeros(10), clusters, clusters), auc(np.zeros(10), np.ones(10), clusters, clusters)
    assert (best.auc, best.high, worst.auc, worst.low) == (1, 1, 0, 0)
    assert best.low == pytest.approx(1 - worst.high)
    assert best.low < 0.9


@pytest.mark.parametrize(("number", "size", "apart", "alike"), [(5, 8, 1.5, 0.0), (20, 6, 3.0, 0.7)])
def test_the_interval_holds_the_true_area_in_19_of_20_samples(number, size, apart, alike):
    dice, runs = np.random.default_rng(7), 120
    clusters = np.repeat(range(number), size)
    # The conversation moves both kinds together, and each kind by itself; pairs mostly come of different ones.
    true = stats.norm.cdf(apart / math.sqrt(2 * (1 + alike**2 + alike**2 / 4)))
    held = 0
    for _ in range(runs):
        both, mine, yours = dice.normal(0, alike, (3, number))[:, clusters] * [[0.5], [1], [1]]
        good = apart + both + mine + dice.normal(size=len(clusters))
        found = auc(good, both + yours + dice.normal(size=len(clusters)), clusters, clusters)
        held += found.low <= true <= found.high
    assert held / runs >= 0.93


def test_scores_without_their_conversations_are_refused():
    with pytest.raises(ValueError, match="bad needs one conversation for each score: 2, not 1"):
        auc([1.0], [0.0, 1.0], ["a"], ["a"])

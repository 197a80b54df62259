"""Intervals hold what they promise, and comparisons agree with known libraries."""

import numpy as np
import pytest
from scipy import stats

from gallump_lab.study import statistics

RUNS = 3_000


def conversations(number, mean, alike, seed, sizes=(2, 25)):
    """Draw `RUNS` samples of yes and no; shares differ by conversation (beta-binomial, `alike` its correlation)."""
    dice = np.random.default_rng(seed)
    parts = [share * (1 - alike) / alike for share in (mean, 1 - mean)]
    clusters = np.repeat(np.arange(number), dice.integers(*sizes, number))
    shares = dice.beta(*parts, size=(number, RUNS))[clusters]
    return (dice.random(shares.shape) < shares).astype(float), clusters


@pytest.mark.parametrize("number", [5, 20, 150])
@pytest.mark.parametrize("mean", [0.5, 0.8, 0.9])
def test_a_shares_interval_holds_the_true_one_in_19_of_20_samples(number, mean):
    values, clusters = conversations(number, mean, 0.1, seed=number)
    found = statistics.shares(values, clusters)
    assert 0.93 <= np.mean((found.low <= mean) & (mean <= found.high)) <= 0.97


@pytest.mark.parametrize("number", [5, 20, 150])
def test_equal_retrievers_are_called_different_in_1_of_20_samples_at_most(number):
    one, clusters = conversations(number, 0.8, 0.1, seed=number + 1)
    same = np.random.default_rng(1).random(one.shape) < 0.7
    other = np.where(same, one, one[np.random.default_rng(2).permutation(len(one))])  # as good, on other questions
    both = np.where(np.random.default_rng(3).random(one.shape) < 0.5, one - other, other - one)
    assert np.mean(statistics.differences(both, clusters).p < 0.05) <= 0.055


def test_where_every_question_is_a_conversation_it_is_the_paired_t_test():
    dice = np.random.default_rng(0)
    one, other = dice.random(40), dice.random(40)
    found = statistics.differences(one - other, np.arange(40))
    known = stats.ttest_rel(one, other)
    assert found.interval() == pytest.approx((np.mean(one - other), *known.confidence_interval()))
    assert found.p[0] == pytest.approx(known.pvalue)


def test_below_five_conversations_there_is_no_interval_and_it_is_said():
    found = statistics.shares([1.0, 0.0, 1.0, 1.0], ["a", "b", "c", "d"])
    assert found.value[0] == 0.75
    assert np.isnan([found.low[0], found.high[0]]).all()
    assert "only 4 conversations; an interval needs 5" in statistics.caution(["a", "b", "c", "d", "d"])[0]
    assert statistics.caution("abcde") == []


def test_what_was_not_scored_does_not_count_and_nothing_scored_is_not_zero():
    table = np.array([[1.0, np.nan], [np.nan, np.nan], [0.0, np.nan]])
    found = statistics.shares(table, [1, 2, 3])
    assert found.value.tolist()[0] == 0.5
    assert np.isnan(found.value[1])
    assert found.n.tolist() == [2, 0]
    assert found.clusters.tolist() == [2, 0]


@pytest.mark.parametrize(("number", "mean"), [(6, 0.8), (12, 0.9), (40, 0.95)])
def test_few_questions_that_are_nearly_all_right_claim_no_more_than_they_can(number, mean):
    values = (np.random.default_rng(number).random((number, RUNS)) < mean).astype(float)
    found = statistics.shares(values, np.arange(number))
    assert np.mean((found.low <= mean) & (mean <= found.high)) >= 0.95


def test_shares_that_never_vary_have_the_exact_interval_of_so_many_questions():
    found = statistics.shares(np.ones((6, 1)), np.arange(6))
    known = stats.binomtest(6, 6).proportion_ci(method="exact")
    assert found.interval() == pytest.approx((1, known.low, 1))
    halves = statistics.shares(np.full((6, 1), 0.5), np.arange(6))  # fractions that all agree are not certain either
    assert halves.low[0] < 0.4
    assert halves.high[0] > 0.6


@pytest.mark.parametrize("number", [6, 150])
@pytest.mark.parametrize("shape", [(8, 2), (0.5, 0.5), (20, 20)])
def test_means_of_fractions_are_not_held_as_wide_as_counts(number, shape):
    """The part of an answer's words varies less from question to question than yes and no do."""
    values = np.random.default_rng(number).beta(*shape, (number, RUNS))
    mean = shape[0] / sum(shape)
    found = statistics.shares(values, np.arange(number))
    assert np.mean((found.low <= mean) & (mean <= found.high)) >= 0.94
    right = round(number * mean)
    known = stats.binomtest(right, number).proportion_ci(method="exact")
    assert np.mean(found.high - found.low) < 0.95 * (known.high - known.low)


def test_differences_that_never_vary_are_not_certain_and_stay_possible():
    found = statistics.differences(np.full((6, 2), [-1.0, 0.0]), np.arange(6))
    assert found.low[0] == -1
    assert found.high[0] < -0.5
    assert found.p[0] > 0
    assert found.low[1] < -0.2
    assert found.high[1] > 0.2
    assert found.p[1] == 1


def test_holm_multiplies_the_smallest_by_all_the_next_by_one_less():
    given = [0.01, 0.04, float("nan"), 0.03]
    assert statistics.holm(given) == pytest.approx([0.03, 0.06, float("nan"), 0.06], nan_ok=True)
    assert statistics.holm([0.5, 0.9]).tolist() == [1, 1]


def test_nothing_at_all_is_nan_and_not_zero():
    for found in (statistics.shares([], []), statistics.differences([], []), statistics.shares(np.zeros((0, 2)), [])):
        assert np.isnan(found.value).all()
        assert not found.n.any()


def test_the_mean_of_amounts_has_students_interval_by_cluster():
    """Five clusters of one: 3 and 2.776 times the standard error, sqrt(2.5 / 5), around it."""
    found = statistics.means([1, 2, 3, 4, 5], ["a", "b", "c", "d", "e"]).interval()
    assert found == pytest.approx((3, 3 - 2.776445 * 0.5**0.5, 3 + 2.776445 * 0.5**0.5))
    twice = statistics.means(np.repeat([1, 2, 3, 4, 5], 2), np.repeat(["a", "b", "c", "d", "e"], 2)).interval()
    assert twice == pytest.approx(found)  # to ask the same of a cluster again tells nothing new
    assert statistics.means([0, 0, 0, 0, 9], [1, 2, 3, 4, 5]).interval()[1] == 0
    assert np.isnan(statistics.means([1, 2], ["a", "b"]).interval()[1])

"""The area under the ROC curve agrees with scipy's U, and does not depend on the scale of the scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gallump_lab.study.scorecard import roc

scored = st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 8)), min_size=1, max_size=40)


def area(good, bad):
    """Take lists of a score and its conversation."""
    (one, mine), (other, yours) = zip(*good, strict=True), zip(*bad, strict=True)
    return roc.auc(one, other, mine, yours)


@given(scored, scored)
def test_the_area_is_mann_and_whitneys_u_by_pair(good, bad):
    found = stats.mannwhitneyu([score for score, _ in good], [score for score, _ in bad], method="asymptotic")
    assert area(good, bad).value == pytest.approx(found.statistic / (len(good) * len(bad)))


@given(scored, scored)
def test_only_the_order_of_scores_matters(good, bad):
    moved = [[(np.exp(score / 3) - 100, cluster) for score, cluster in each] for each in (good, bad)]
    assert repr(area(*moved)) == repr(area(good, bad))


@given(scored, scored)
def test_good_and_faulty_exchanged_mirror_the_area_and_its_interval(good, bad):
    one, other = area(good, bad), area(bad, good)
    assert [one.value, one.low, one.high] == pytest.approx(
        [1 - other.value, 1 - other.high, 1 - other.low], nan_ok=True
    )


@given(scored, scored)
def test_the_interval_contains_the_area_and_is_never_narrower_than_that_of_independent_insights(good, bad):
    found = area(good, bad)
    fewest = min(len({cluster for _, cluster in each}) for each in (good, bad))
    assert np.isnan(found.low) == np.isnan(found.high) == (fewest < 5)
    if fewest >= 5:
        low, high = roc.independent(found.value, len(good), len(bad))
        assert 0 <= found.low <= low <= found.value <= high <= found.high <= 1
        assert found.low < found.high


@given(scored, scored, st.randoms(use_true_random=False))
def test_the_order_of_insights_and_the_names_of_conversations_do_not_matter(good, bad, dice):
    moved = [
        [(score, f"talk {9 - cluster}") for score, cluster in dice.sample(each, len(each))] for each in (good, bad)
    ]
    one, other = area(good, bad), area(*moved)
    assert [one.value, one.low, one.high] == pytest.approx([other.value, other.low, other.high], nan_ok=True)

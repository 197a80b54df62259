"""The area under the ROC curve agrees with scipy's U, and does not depend on the scale of the scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gallump_lab.study.statistics import auc

scored = st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 8)), min_size=1, max_size=40)


def area(good, bad):
    """Take lists of a score and its conversation."""
    (one, mine), (other, yours) = zip(*good, strict=True), zip(*bad, strict=True)
    return auc(one, other, mine, yours)


@settings(max_examples=30)
@given(scored, scored)
def test_the_area_is_mann_and_whitneys_u_by_pair_depends_on_the_order_alone_and_is_mirrored(good, bad):
    found = area(good, bad)
    u = stats.mannwhitneyu([score for score, _ in good], [score for score, _ in bad], method="asymptotic")
    assert found.auc == pytest.approx(u.statistic / (len(good) * len(bad)))
    fewest = min(len({cluster for _, cluster in each}) for each in (good, bad))
    assert np.isnan(found.low) == np.isnan(found.high) == (fewest < 5)
    assert fewest < 5 or 0 <= found.low <= found.auc <= found.high <= 1
    moved = [[(np.exp(score / 3) - 100, f"talk {9 - cluster}") for score, cluster in each] for each in (good, bad)]
    assert area(*moved)[:3] == pytest.approx(found[:3], nan_ok=True)
    mirrored = area(bad, good)
    assert [1 - mirrored.auc, 1 - mirrored.high] == pytest.approx([found.auc, found.low], nan_ok=True)

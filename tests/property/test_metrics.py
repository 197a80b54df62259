"""The measures of a ranking agree with ir_measures, which wraps trec_eval."""

import math

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import RR, R, nDCG

from gallump_lab.study import tally

rankings = st.lists(st.integers(1, 40), unique=True, max_size=30)
relevant = st.sets(st.integers(1, 45), min_size=1, max_size=15)


def theirs(measure, ranked, wanted):
    qrels = [ir_measures.Qrel("q", str(item), 1) for item in wanted]
    run = [ir_measures.ScoredDoc("q", str(item), -float(rank)) for rank, item in enumerate(ranked)]
    return ir_measures.calc_aggregate([measure], qrels, run)[measure]


@given(rankings, relevant, st.integers(1, 20))
def test_recall_ndcg_and_mrr_agree_with_trec_eval(ranked, wanted, k):
    if not ranked:  # trec_eval scores no query without results; ours is zero
        assert tally.recall_at(ranked, wanted, k) == tally.ndcg(ranked, wanted, k) == 0
        assert tally.reciprocal_rank(ranked, wanted) == 0
        return
    assert tally.recall_at(ranked, wanted, k) == pytest.approx(theirs(R @ k, ranked, wanted))
    assert tally.ndcg(ranked, wanted, k) == pytest.approx(theirs(nDCG @ k, ranked, wanted))
    assert tally.reciprocal_rank(ranked, wanted) == pytest.approx(theirs(RR, ranked, wanted))


def test_what_cannot_be_scored_is_not_zero():
    assert math.isnan(tally.recall_at([1, 2], [], 5))
    assert math.isnan(tally.ndcg([1, 2], [], 5))
    assert math.isnan(tally.reciprocal_rank([1, 2], []))

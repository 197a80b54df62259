"""The sweep's arithmetic gives what packing every budget and measuring what stands there gives, to the last digit."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab.memory.cold import passing_over
from gallump_lab.memory.context import already_said, newest_first, pack
from gallump_lab.memory.records import ContextItem
from gallump_lab.study.tally import Needed, Qrels, measure, tally

WORDS = "stop target halt risk long 400 410 AAPL".split()
TIERS = {"hot": "passage", "warm": "passage", "cold": "insight"}


def item(tier, rank, text, tokens, message_id=None):
    given = {"item_id": rank, "rank": rank, "text": text, "line": text, "tokens": tokens, "message_id": message_id}
    return ContextItem(tier=tier, kind=TIERS[tier], **given)


@st.composite
def slots(draw, tier):
    texts = draw(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join), max_size=12))
    found = [item(tier, rank, text, draw(st.integers(1, 30))) for rank, text in enumerate(texts, 1)]
    if tier == "cold":
        sources = st.sets(st.integers(1, 6), max_size=2).map(tuple)
        return [replace(each, item_id=draw(st.integers(1, 9)), sources=draw(sources)) for each in found]
    role = st.sampled_from(["user", "assistant"])
    return [replace(each, message_id=draw(st.integers(1, 6)), role=draw(role)) for each in found]


@st.composite
def needs(draw, warm, hot):
    passages = [slot for slot in (*hot, *warm) if draw(st.booleans())] + draw(slots("warm"))
    evidence = {}
    for slot in passages:
        evidence.setdefault(slot.message_id, []).append(slot)
    return Qrels(
        evidence=evidence,
        words=frozenset(draw(st.sets(st.sampled_from(["stop", "target", "400", "oil"])))),
        cited=draw(st.dictionaries(st.integers(1, 9), st.frozensets(st.integers(1, 6)))),
    )


budgets = st.lists(st.integers(0, 150), min_size=1, max_size=4, unique=True).map(sorted).map(np.array)


@settings(max_examples=60)
@given(st.data())
def test_one_pass_tells_what_every_packed_budget_holds(data):
    hot, warm, cold = (data.draw(slots(tier)) for tier in TIERS)
    warm, wanted = newest_first(warm), data.draw(needs(warm, hot))
    if not wanted.evidence:
        return
    grid = {tier: data.draw(budgets) for tier in TIERS}
    found = tally(Needed(wanted), hot, warm, cold, grid)
    for h, w, c in np.ndindex(*(len(each) for each in grid.values())):
        standing = pack(hot, int(grid["hot"][h]))
        packed = {
            "hot": standing,
            "warm": pack(warm, int(grid["warm"][w]), passed_over=already_said(standing)),
        }
        over = passing_over(standing, packed["warm"], 0)
        packed["cold"] = pack(cold, int(grid["cold"][c]), passed_over=over)
        kept = [slot for slots in packed.values() for slot in slots if slot.kept]
        expected = measure(wanted, kept)
        for tier in TIERS:
            shown = [slot for slot in packed[tier] if slot.kept]
            expected[f"tokens_{tier}"] = sum(slot.tokens for slot in shown)
            expected[f"{tier}_holds"] = measure(wanted, shown)["recall"]
        assert set(found) == set(expected)
        for name, value in expected.items():
            np.testing.assert_equal(found[name][h, w, c], value, err_msg=name)


def test_measures_of_a_prompt_by_hand():
    """Message 1 in two sentences, of which HOT holds one; message 2 in an insight that carries half of the answer."""
    texts = ["sold all of the halibut", "bought turbot", "kept plaice"]
    one, two, three = (item("warm", place, text, 10, place // 2) for place, text in enumerate(texts, 2))
    learnt = replace(three, tier="cold", kind="insight", item_id=7, message_id=None, text="stop 400", tokens=30)
    needs = Qrels(evidence={1: [one, two], 2: [three]}, words=frozenset({"stop", "oil"}), cited={7: frozenset({2})})
    other = replace(one, item_id=9, message_id=5, text="rain", tokens=50)
    found = measure(needs, [replace(one, tier="hot"), other, learnt])
    assert found == pytest.approx(
        {
            "recall": 0,
            "hit_rate": 0,
            "full_recall": 0,
            "partial_recall": 1,  # most of message 1's tokens; of message 2 an insight with half of the words
            "coverage": 0.5,
            "ndcg": 0,  # the one message of WARM is no evidence
            "waste": 50 / 90,
        }
    )
    whole = measure(needs, [other, two, one])
    assert (whole["recall"], whole["hit_rate"], whole["full_recall"], whole["partial_recall"]) == (0.5, 1, 0, 0.5)
    assert whole["ndcg"] == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    nothing = measure(needs, [])
    assert math.isnan(nothing["waste"])
    assert nothing["coverage"] == 0
    assert math.isnan(measure(replace(needs, words=frozenset()), [one])["coverage"])

"""The sweep's arithmetic gives what packing every budget and measuring what stands there gives, to the last digit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gallump_lab.memory.cold import passing_over
from gallump_lab.memory.packing import already_said, newest_first, pack
from gallump_lab.memory.records import ContextItem
from gallump_lab.study.tally import Qrels, measure, tally

WORDS = "stop target halt risk long 400 410 AAPL".split()
TIERS = {"hot": "passage", "warm": "passage", "cold": "insight"}


@st.composite
def slots(draw, tier):
    texts = draw(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join), max_size=12))
    return [
        ContextItem(
            tier=tier,
            kind=TIERS[tier],
            item_id=draw(st.integers(1, 9)) if tier == "cold" else rank,
            message_id=None if tier == "cold" else draw(st.integers(1, 6)),
            rank=rank,
            text=text,
            line=text,
            tokens=draw(st.integers(1, 30)),
            role=draw(st.sampled_from(["user", "assistant"])),
            sources=tuple(draw(st.sets(st.integers(1, 6), max_size=2))) if tier == "cold" else (),
        )
        for rank, text in enumerate(texts, 1)
    ]


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


@given(st.data())
def test_prices_say_what_every_packed_budget_holds(data):
    hot, warm, cold = (data.draw(slots(tier)) for tier in TIERS)
    warm, wanted = newest_first(warm), data.draw(needs(warm, hot))
    if not wanted.evidence:
        return
    grid = {tier: data.draw(budgets) for tier in TIERS}
    found = tally(wanted, hot, warm, cold, grid)
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

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

NAN = math.nan

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
    role, outdated = st.sampled_from(["user", "assistant"]), st.sampled_from([None, None, "440 since 2026-03-01"])
    told = [{"message_id": draw(st.integers(1, 6)), "role": draw(role), "outdated": draw(outdated)} for _ in found]
    return [replace(each, **more) for each, more in zip(found, told, strict=True)]


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
        stale=draw(st.frozensets(st.integers(1, 6), max_size=2)).difference(evidence),
        kind=draw(st.sampled_from(["question", "hearsay", "earlier", "no answer"])),
    )


budgets = st.lists(st.integers(0, 150), min_size=1, max_size=4, unique=True).map(sorted).map(np.array)


@settings(max_examples=60)
@given(st.data())
def test_one_pass_tells_what_every_packed_budget_holds(data):
    hot, warm, cold = (data.draw(slots(tier)) for tier in TIERS)
    warm, wanted = newest_first(warm), data.draw(needs(warm, hot))
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
            "precision": 0,
            "stale": NAN,
            "hearsay": NAN,
            "falsely_marked": 0,
            "nothing_said": NAN,
        },
        nan_ok=True,
    )
    whole = measure(needs, [other, two, one])
    assert (whole["recall"], whole["hit_rate"], whole["full_recall"], whole["partial_recall"]) == (0.5, 1, 0, 0.5)
    assert whole["ndcg"] == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    nothing = measure(needs, [])
    assert math.isnan(nothing["waste"])
    assert nothing["coverage"] == 0
    assert math.isnan(measure(replace(needs, words=frozenset()), [one])["coverage"])


def test_what_warm_shows_by_hand():
    """Of 100 tokens in WARM 30 are evidence; message 5 states an outdated value and is shown without a mark."""
    one, two, stale, other = (
        item("warm", place, text, tokens, message)
        for place, (text, tokens, message) in enumerate(
            [("stop 440", 10, 1), ("target 500", 20, 2), ("stop 420", 50, 5), ("rain", 20, 6)], 1
        )
    )
    needs = Qrels(evidence={1: [one], 2: [two]}, words=frozenset(), cited={}, stale=frozenset({5, 7}))
    names = ("precision", "stale", "hearsay", "falsely_marked", "nothing_said")

    def shown(kept, **changed):
        found = measure(replace(needs, **changed), kept)
        return pytest.approx([found[name] for name in names], nan_ok=True)

    everything = [one, two, stale, other]
    assert shown(everything) == [0.3, 1, NAN, 0, NAN]
    assert shown([replace(one, tier="hot"), two, stale, other]) == [20 / 90, 1, NAN, 0, NAN]  # WARM's tokens alone
    assert shown([one, replace(stale, tier="hot")]) == [1, 0, NAN, 0, NAN]  # HOT is never marked
    assert shown([one, two, replace(stale, outdated="440 since 2026-03-01"), other]) == [0.3, 0, NAN, 0, NAN]
    marked = replace(two, outdated="520 since 2026-03-01")
    assert shown([one, marked, other]) == [0.6, 0, NAN, 0.5, NAN]
    assert shown([one, marked], kind="earlier") == [1, 0, NAN, NAN, NAN]  # what held earlier is what is asked for
    assert shown(everything, kind="hearsay") == [0.3, NAN, 1, 0, NAN]
    assert shown(everything, stale=frozenset()) == [0.3, NAN, NAN, 0, NAN]
    assert shown([]) == [NAN, 0, NAN, 0, NAN]
    assert shown(everything, evidence={}) == [NAN, 1, NAN, NAN, 100]
    assert shown([], evidence={}, stale=frozenset()) == [NAN, NAN, NAN, NAN, 0]
    nothing = measure(replace(needs, evidence={}), everything)
    assert {name for name, value in nothing.items() if not math.isnan(value)} == {"stale", "nothing_said"}


@st.composite
def distinct(draw):
    """Give evidence of several passages, none of which states another, among other passages in any order."""
    costs = draw(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=3), min_size=1, max_size=5))
    number = iter(range(100, 200))
    messages = {
        message: [item("warm", place := next(number), f"passage {place}.", cost, message) for cost in message_costs]
        for message, message_costs in enumerate(costs)
    }
    others = [
        item("warm", place := next(number), f"passage {place}.", cost, 99)
        for cost in draw(st.lists(st.integers(1, 40)))
    ]
    parts = [part for message in messages.values() for part in message]
    return messages, draw(st.permutations([*parts, *others]))


@given(distinct(), budgets)
def test_no_ranking_holds_more_evidence_within_as_many_tokens_than_a_perfect_one(found, warm):
    evidence, ranked = found
    needs = Qrels(evidence=evidence, words=frozenset(), cited={})
    grid = {"hot": np.zeros(1, int), "warm": warm, "cold": np.zeros(1, int)}
    ours, perfect = (tally(Needed(needs), [], slots, [], grid) for slots in (ranked, needs.perfect))
    for name in ("recall", "hit_rate"):
        assert (ours[name] <= perfect[name]).all()
    used = perfect["tokens_warm"] > 0
    assert (perfect["precision"][used] == 1).all()

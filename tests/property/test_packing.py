"""The laws of packing: nested, never over budget, nothing twice."""

from hypothesis import given
from hypothesis import strategies as st

from gallump_lab.memory.context import FIRST, NEAR_MISSES, already_said, newest_first, pack, shown
from gallump_lab.memory.records import ContextItem


@st.composite
def slots(draw: st.DrawFn, tier: str = "warm") -> list[ContextItem]:
    costs = draw(st.lists(st.integers(1, 60), max_size=60))
    texts = draw(st.lists(st.sampled_from("abcdefghij"), min_size=len(costs), max_size=len(costs)))
    return [
        ContextItem(
            tier=tier,  # type: ignore[arg-type]
            kind="passage",
            item_id=rank,
            message_id=rank // 3,
            rank=rank,
            text=text,
            line=text,
            tokens=cost,
        )
        for rank, (cost, text) in enumerate(zip(costs, texts, strict=True), 1)
    ]


def pack_warm(found: list[ContextItem], standing: list[ContextItem], budget: int) -> list[ContextItem]:
    return pack(newest_first(found), budget, passed_over=already_said(standing))


def kept(found: list[ContextItem]) -> list[int]:
    return [slot.item_id for slot in found if slot.kept]


@given(slots(), slots("hot"), st.integers(0, 800), st.integers(0, 200), st.integers(0, 400))
def test_a_larger_budget_keeps_all_that_a_smaller_one_kept(
    found: list[ContextItem], hot: list[ContextItem], budget: int, more: int, hot_budget: int
) -> None:
    standing = pack(hot, hot_budget)
    small, large = pack_warm(found, standing, budget), pack_warm(found, standing, budget + more)
    assert kept(large)[: len(kept(small))] == kept(small)


@given(slots(), st.integers(0, 60), st.integers(0, 800))
def test_looking_at_more_candidates_changes_nothing_among_the_first(
    found: list[ContextItem], few: int, budget: int
) -> None:
    found = [*found, *found]
    few = FIRST + few
    assert [slot.text for slot in newest_first(found)[:few]] == [slot.text for slot in newest_first(found[:few])]
    one, other = pack_warm(found[:few], [], budget), pack_warm(found, [], budget)
    assert kept(other)[: len(kept(one))] == kept(one)


@given(slots(), slots("hot"), st.integers(0, 800), st.integers(0, 400))
def test_what_is_kept_fits_stands_once_and_is_not_in_hot_and_a_turn_records_the_first_near_misses(
    found: list[ContextItem], hot: list[ContextItem], budget: int, hot_budget: int
) -> None:
    standing = pack(hot, hot_budget)
    packed = pack_warm(found, standing, budget)
    texts = [slot.text for slot in packed if slot.kept]
    assert sorted(slot.item_id for slot in packed) == [slot.item_id for slot in found]
    assert sum(slot.tokens for slot in packed if slot.kept) <= budget
    assert len(texts) == len(set(texts))
    assert not set(texts) & {slot.text for slot in standing if slot.kept}
    recorded, missed = shown(packed), [slot.item_id for slot in packed if not slot.kept]
    assert kept(recorded) == kept(packed)
    assert [slot.item_id for slot in recorded if not slot.kept] == missed[:NEAR_MISSES]


@given(slots(), st.integers(0, 800))
def test_the_first_that_does_not_fit_ends_it(found: list[ContextItem], budget: int) -> None:
    packed = pack(found, budget)
    assert kept(packed) == list(range(1, len(kept(packed)) + 1))
    if len(kept(packed)) < len(packed):
        assert sum(slot.tokens for slot in packed[: len(kept(packed)) + 1]) > budget
        assert packed[len(kept(packed))].reason == "over budget"

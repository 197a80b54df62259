"""The laws of packing: nested, never over budget, nothing twice; and a prompt's tokens add up."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallump_lab import tokens
from gallump_lab.memory.context import FIRST, NEAR_MISSES, already_said, newest_first, pack, shown
from gallump_lab.memory.records import ContextItem
from gallump_lab.memory.text import PASSAGE_TOKENS, indented, passages


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
def test_what_is_kept_fits_stands_once_and_is_not_in_hot(
    found: list[ContextItem], hot: list[ContextItem], budget: int, hot_budget: int
) -> None:
    standing = pack(hot, hot_budget)
    packed = pack_warm(found, standing, budget)
    texts = [slot.text for slot in packed if slot.kept]
    assert sorted(slot.item_id for slot in packed) == [slot.item_id for slot in found]
    assert sum(slot.tokens for slot in packed if slot.kept) <= budget
    assert len(texts) == len(set(texts))
    assert not set(texts) & {slot.text for slot in standing if slot.kept}


@given(slots(), st.integers(0, 800))
def test_the_first_that_does_not_fit_ends_it(found: list[ContextItem], budget: int) -> None:
    packed = pack(found, budget)
    assert kept(packed) == list(range(1, len(kept(packed)) + 1))
    if len(kept(packed)) < len(packed):
        assert sum(slot.tokens for slot in packed[: len(kept(packed)) + 1]) > budget
        assert packed[len(kept(packed))].reason == "over budget"


@given(slots(), st.integers(0, 800))
def test_a_turn_records_what_was_kept_and_the_first_near_misses(found: list[ContextItem], budget: int) -> None:
    packed = pack(found, budget)
    recorded = shown(packed)
    assert kept(recorded) == kept(packed)
    missed = [slot.item_id for slot in packed if not slot.kept]
    assert [slot.item_id for slot in recorded if not slot.kept] == missed[:NEAR_MISSES]


texts = st.text(
    st.sampled_from(" \n\r\t\u2028.!?,;:-=>$%()0123456789abc XYZ'\u3002東京🚀\u00e9"), max_size=400
) | st.text(max_size=200)


@given(texts)
def test_passages_hold_all_of_a_text_in_order(text: str) -> None:
    found = passages(text)
    assert all(one.stop <= other.start for one, other in pairwise(found))
    assert "".join("".join(text[p.start : p.stop] for p in found).split()) == "".join(text.split())


@given(st.lists(texts.filter(str.strip), min_size=1, max_size=5))
def test_the_tokens_of_a_section_are_the_sum_of_its_lines(said: list[str]) -> None:
    found = [[text[p.start : p.stop] for p in passages(text)] for text in said]
    costs = [p.tokens for text in said for p in passages(text)]
    body = "".join("User:" + "".join(f"{indented(piece)}\n" for piece in pieces) for pieces in found)
    assert tokens.count(body) == sum(costs) + len(said) * tokens.count("User:")


@given(texts)
def test_no_line_of_a_record_can_pass_for_a_heading(text: str) -> None:
    assert all(line.startswith(" ") for line in indented(text).splitlines())


def test_a_passage_holds_whole_sentences_up_to_its_bound() -> None:
    sentence = "Apple closed at $190.50 on volume of 1,250,000, which is 12% above its mean."
    text = " ".join([sentence] * 12)
    found = passages(text)
    assert len(found) > 1
    assert all(p.tokens <= PASSAGE_TOKENS for p in found)
    assert all(text[p.start : p.stop].endswith("mean.") for p in found)


def test_a_sentence_longer_than_the_bound_is_a_passage_of_its_own() -> None:
    long = "Blah " * 50 + "end."
    found = passages(f"Short one. {long} Short two.")
    assert [p.tokens > PASSAGE_TOKENS for p in found] == [False, True, False]


@pytest.mark.parametrize("text", [" " * 100_000, ".' " * 60_000, "x" * 200_000, "🚀" * 60_000])
def test_what_is_no_sentence_is_cut_in_good_time(text: str) -> None:
    found = passages(f"a{text}b")
    assert all(passage.tokens <= PASSAGE_TOKENS for passage in found)

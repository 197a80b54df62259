"""Passages hold all of a text, cut by what they cost in a prompt, however that is added up."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallump_lab import tokens
from gallump_lab.memory import text as cutting
from gallump_lab.memory.text import PASSAGE_TOKENS, indented, passages

PIECES = (
    "Hello world. 7 $5.20 a. B! c? ... é. 中。 Ünï. x) 5 it's 😀. A ﬁ. ½. *b.* e.g. 1,250. ². ª! ٣. ?! _. a_b. \u200b."
).split()
sentences = st.lists(
    st.sampled_from(PIECES) | st.integers(1, 1_001).map(lambda length: "x" * length + ".") | st.text(max_size=5),
    max_size=60,
).flatmap(lambda pieces: st.sampled_from([" ", " ", "  ", "\n", ""]).map(lambda between: between.join(pieces)))


@given(sentences)
def test_adding_up_what_sentences_cost_gives_the_same_passages_as_counting_them_together(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_APART", re.compile("(?!)"))
        counted = passages(text)
    assert passages(text) == counted


texts = st.text(
    st.sampled_from(" \n\r\t\u2028.!?,;:-=>$%()0123456789abc XYZ'\u3002東京🚀\u00e9"), max_size=400
) | st.text(max_size=200)


@given(texts)
def test_passages_hold_all_of_a_text_in_order(text: str) -> None:
    found = passages(text)
    assert all(one.stop <= other.start for one, other in pairwise(found))
    assert "".join("".join(text[p.start : p.stop] for p in found).split()) == "".join(text.split())
    assert all(line.startswith(" ") for line in indented(text).splitlines())  # none can pass for a heading


@given(st.lists(texts.filter(str.strip), min_size=1, max_size=5))
def test_the_tokens_of_a_section_are_the_sum_of_its_lines(said: list[str]) -> None:
    found = [[text[p.start : p.stop] for p in passages(text)] for text in said]
    costs = [p.tokens for text in said for p in passages(text)]
    body = "".join("User:" + "".join(f"{indented(piece)}\n" for piece in pieces) for pieces in found)
    assert tokens.count(body) == sum(costs) + len(said) * tokens.count("User:")


@pytest.mark.parametrize("text", [" " * 100_000, ".' " * 60_000, "x" * 200_000, "🚀" * 60_000])
def test_what_is_no_sentence_is_cut_in_good_time(text: str) -> None:
    found = passages(f"a{text}b")
    assert all(passage.tokens <= PASSAGE_TOKENS for passage in found)


def test_a_passage_holds_whole_sentences_up_to_its_bound_and_a_longer_one_alone() -> None:
    sentence = "Apple closed at $190.50 on volume of 1,250,000, which is 12% above its mean."
    text = " ".join([sentence] * 12)
    found = passages(text)
    assert len(found) > 1
    assert all(p.tokens <= PASSAGE_TOKENS for p in found)
    assert all(text[p.start : p.stop].endswith("mean.") for p in found)
    found = passages(f"Short one. {'Blah ' * 50}end. Short two.")
    assert [p.tokens > PASSAGE_TOKENS for p in found] == [False, True, False]

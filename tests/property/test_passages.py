"""Passages are cut by what they cost in a prompt, however that is added up."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallump_lab import tokens
from gallump_lab.memory import text as cutting
from gallump_lab.memory.text import indented, passages

PIECES = (
    "Hello world. 7 $5.20 a. B! c? ... é. 中。 Ünï. x) 5 it's 😀. A ﬁ. ½. *b.* e.g. 1,250. ². ª! ٣. ?! _. a_b. \u200b."
).split()
texts = st.lists(
    st.sampled_from(PIECES) | st.integers(1, 1_001).map(lambda length: "x" * length + ".") | st.text(max_size=5),
    max_size=60,
).flatmap(lambda pieces: st.sampled_from([" ", " ", "  ", "\n", ""]).map(lambda between: between.join(pieces)))


@given(texts)
def test_a_passage_costs_what_its_text_costs_in_a_prompt(text: str) -> None:
    assert all(p.tokens == tokens.count(indented(text[p.start : p.stop]) + "\n") for p in passages(text))


@given(texts)
def test_adding_up_what_sentences_cost_gives_the_same_passages_as_counting_them_together(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_APART", re.compile("(?!)"))
        counted = passages(text)
    assert passages(text) == counted

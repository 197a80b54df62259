"""Whatever a model sends, what is kept makes sense and nothing is raised."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gallump_lab.brain.recommendations import MOST, last_json, read

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
NUMBERS = st.one_of(st.none(), st.floats(), st.integers(-10, 500), st.floats(1, 500), ANYTHING)
NEAR_MISSES = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["buy", "sell", "hold", "short", "cover", "BUY"]) | ANYTHING,
        "symbol": st.sampled_from(["AAPL", "brk.b", " MSFT ", "no symbol"]) | ANYTHING,
        "entry": NUMBERS,
        "stop": NUMBERS,
        "target": NUMBERS,
        "confidence": st.floats(0, 1) | NUMBERS,
        "size": st.text() | ANYTHING,
        "horizon": st.text() | ANYTHING,
        "rationale": st.text() | ANYTHING,
    },
)


def check(found, dropped):
    assert len(found) <= MOST
    assert all(isinstance(reason, str) and len(reason) < 300 for reason in dropped)
    for each in found:
        assert each.action in {"buy", "sell", "hold", "short", "cover"}
        assert each.symbol == each.symbol.upper().strip()
        assert 0 < len(each.symbol) <= 15
        assert 0 <= each.confidence <= 1
        prices = [value for value in (each.stop, each.entry, each.target) if value is not None]
        assert all(math.isfinite(value) and value > 0 for value in prices)
        if each.action == "buy":
            assert all(low < high for low, high in pairwise(prices))
        if each.action == "short":
            assert all(high > low for high, low in pairwise(prices))
        json.dumps(each.to_dict(), allow_nan=False)


@given(st.lists(NEAR_MISSES | ANYTHING, max_size=6))
def test_any_list_gives_sense_or_a_reason_for_each(items):
    found, dropped = read([json.dumps({"recommendations": items})], "")
    check(found, dropped)
    assert len(found) + len(dropped) == len(items)


@given(st.text() | ANYTHING.map(json.dumps), st.text())
def test_any_call_and_any_text_can_be_read(source, text):
    check(*read([source], text))
    check(*read([], f"{text}```json\n{source}\n```{text}"))


PROSE = st.text(st.characters(exclude_characters="[]{}"), max_size=40)
OBJECTS = st.dictionaries(st.text(max_size=8), ANYTHING, max_size=4)


@given(PROSE, OBJECTS | st.lists(OBJECTS, min_size=1, max_size=4), PROSE, st.lists(st.integers(), max_size=3), PROSE)
@example("", {}, "", [3], "")
def test_the_last_json_of_an_answer_is_found_in_whatever_stands_around_it(before, answer, between, cited, after):
    wanted = json.dumps(answer)
    assert last_json(f"{before}[1] {json.dumps([answer])}{between}{wanted}{between}{cited}{after}") == wanted


@given(st.text() | st.text('[]{}",: 1e\\\\', max_size=200))
def test_what_is_found_stands_whole_in_the_text(text):
    found = last_json(text)
    assert found in text
    assert found == text or isinstance(json.loads(found), (dict, list))


@pytest.mark.parametrize("opening", ["[", '{"a":', "[1, ", '["', "{", '[[{"a": [', "[" * 999 + "1, "])
def test_what_never_ends_is_soon_given_up(opening):
    text = f"{opening * 999}{'1, ' * 100_000}"
    assert last_json(text) == text

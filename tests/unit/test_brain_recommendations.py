import json

import pytest

from gallump_lab.brain.answer import Recommendation
from gallump_lab.brain.recommendations import MOST, RECOMMEND, read

BUY = {
    "action": "buy",
    "symbol": "AAPL",
    "size": "100 shares",
    "entry": 190.0,
    "stop": 182.0,
    "target": 210.0,
    "horizon": "3 months",
    "confidence": 0.6,
    "rationale": "It holds its mean.",
}


def given(*recommendations):
    return [json.dumps({"recommendations": recommendations})]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"symbol": "brk.b"},
        {"entry": 190},
        {"entry": "190"},
        {"entry": None, "stop": None, "target": None},
        {"action": "short", "stop": 200.0, "target": 150.0},
        {"action": "sell", "stop": 200.0, "target": 150.0},
        {"action": "hold", "entry": None, "target": None},
        {"unknown": "field"},
    ],
)
def test_sense_is_kept(change):
    found, dropped = read(given(BUY | change), "")
    assert dropped == ()
    expected = {key: value for key, value in (BUY | change).items() if key != "unknown"}
    expected["entry"] = expected["entry"] and float(expected["entry"])
    assert found == (Recommendation(**expected),)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stop": 200.0}, "a buy needs stop < entry < target"),
        ({"target": 150.0}, "a buy needs stop < entry < target"),
        ({"entry": None, "stop": 220.0}, "a buy needs stop < entry < target"),
        ({"action": "short"}, "a short needs target < entry < stop"),
        ({"action": "moon"}, "action: input should be 'buy', 'sell', 'hold', 'short' or 'cover', not 'moon'"),
        ({"symbol": "not a symbol"}, "symbol must be 1 to 15 letters and digits"),
        ({"symbol": "<b>"}, "symbol must be"),
        ({"symbol": 5}, "symbol: "),
        ({"entry": 0}, "entry, stop and target must be prices above 0"),
        (
            {"entry": "about 190"},
            "entry: input should be a valid number",
        ),
        ({"entry": float("nan")}, "must be prices above 0"),
        ({"stop": 10**400}, "stop: "),
        ({"confidence": 60}, "confidence must be from 0 to 1, not 60"),
        ({"rationale": "x" * 2_001}, "rationale must have at most 2,000 characters"),
        ({"size": "x" * 1_000_000}, "size must have at most 200"),
    ],
)
def test_nonsense_is_dropped_with_a_short_reason(change, reason):
    found, dropped = read(given(BUY | change, BUY), "")
    assert found == (Recommendation(**BUY),)
    (why,) = dropped
    assert reason in why
    assert why.startswith("The recommendation")
    assert len(why) < 300


def test_a_missing_field_is_named():
    _, dropped = read(given({key: value for key, value in BUY.items() if key != "confidence"}), "")
    assert dropped == ("The recommendation 'AAPL' was refused: confidence: field required.",)


@pytest.mark.parametrize("nothing", [1, None, "AAPL", [], True])
def test_what_is_no_object_is_dropped(nothing):
    assert read(given(nothing), "") == ((), ("The recommendation was refused: it is no JSON object.",))


@pytest.mark.parametrize(
    "source", ["", "{", '{"recommendations": [', "[" * 100_000, "9" * 5_000, "\ud800", '{"recommendations": [{]}']
)
def test_what_is_not_whole_json_is_dropped(source):
    assert read([source], "") == ((), ("The recommendations were refused: they are not whole JSON.",))


@pytest.mark.parametrize(
    "source", ["5", "null", '"buy"', "{}", '{"recommendations": "AAPL"}', '{"recommendations": {}}']
)
def test_a_call_without_a_list_is_dropped(source):
    assert read([source], "") == ((), ("The recommendations were refused: they are not a list.",))


def test_a_huge_array_gives_a_few_and_says_so():
    found, dropped = read(given(*[BUY] * 5_000), "")
    assert len(found) == MOST
    assert dropped == ("4,980 further recommendations were refused: 20 are read.",)


def test_many_calls_together_give_no_more_than_one_may():
    found, dropped = read(given(*[BUY] * MOST, 5) * 50, "")
    assert (len(found), dropped) == (MOST, ("1,030 further recommendations were refused: 20 are read.",))


@pytest.mark.parametrize(
    "block",
    [
        json.dumps({"recommendations": [BUY]}),
        json.dumps([BUY]),
        json.dumps(BUY),
    ],
)
def test_a_fenced_block_is_read_in_the_shapes_that_models_use(block):
    text = f"An example:\n```json\n[1]\n```\nNow mine:\n```json\n{block}\n```\nGood luck."
    assert read([], text) == ((Recommendation(**BUY),), ())


def test_a_block_that_was_cut_off_is_named():
    assert read([], '```json\n{"recommendations": [{"act') == (
        (),
        ("The recommendations were refused: they are not whole JSON.",),
    )


@pytest.mark.parametrize(
    "text", ["", "No trade.", '```json\n{"price": 190}\n```', "```python\nprint()\n```", "```json" * 9]
)
def test_text_without_recommendations_gives_none(text):
    found, dropped = read([], text)
    assert found == ()
    assert len(dropped) <= 1


def test_the_schema_keeps_to_what_strict_tools_allow():
    def walk(schema):
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert schema["required"] == list(schema["properties"])
        allowed = {"type", "properties", "items", "required", "additionalProperties", "enum", "description"}
        assert schema.keys() <= allowed
        for part in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
            walk(part)

    schema = RECOMMEND.definition["input_schema"]
    walk(schema)
    assert list(schema["properties"]["recommendations"]["items"]["properties"]) == list(BUY)

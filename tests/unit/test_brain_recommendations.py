import json

import pytest
from messages_server import RECOMMENDATION as BUY

from gallump_lab.brain.answer import Recommendation
from gallump_lab.brain.recommendations import MOST, RECOMMEND, read


def given(*recommendations):
    return [json.dumps({"recommendations": recommendations})]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"symbol": "brk.b"},
        {"entry": 430},
        {"entry": "430"},
        {"entry": None, "stop": None, "target": None},
        {"action": "short", "stop": 450.0, "target": 350.0},
        {"action": "sell", "stop": 450.0, "target": 350.0},
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
        ({"stop": 450.0}, "a buy needs stop < entry < target"),
        ({"target": 350.0}, "a buy needs stop < entry < target"),
        ({"entry": None, "stop": 520.0}, "a buy needs stop < entry < target"),
        ({"action": "short"}, "a short needs target < entry < stop"),
        ({"action": "moon"}, "action: input should be 'buy', 'sell', 'hold', 'short' or 'cover', not 'moon'"),
        ({"symbol": "not a symbol"}, "symbol must be 1 to 15 letters and digits"),
        ({"symbol": "<b>"}, "symbol must be"),
        ({"symbol": 5}, "symbol: "),
        ({"entry": 0}, "entry, stop and target must be prices above 0"),
        (
            {"entry": "about 430"},
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


def test_what_is_no_record_of_one_says_so():
    missing = {key: value for key, value in BUY.items() if key != "confidence"}
    assert read(given(missing), "")[1] == ("The recommendation 'AAPL' was refused: confidence: field required.",)
    for nothing in (1, None, "AAPL", [], True):
        assert read(given(nothing), "") == ((), ("The recommendation was refused: it is no JSON object.",))
    for source in ("", "{", '{"recommendations": [', "[" * 100_000, "9" * 5_000, "\ud800"):
        assert read([source], "") == ((), ("The recommendations were refused: they are not whole JSON.",))
    for source in ("5", "null", '"buy"', "{}", '{"recommendations": "AAPL"}', '{"recommendations": {}}'):
        assert read([source], "") == ((), ("The recommendations were refused: they are not a list.",))


def test_many_of_many_calls_give_no_more_than_a_few_and_it_says_so():
    found, dropped = read(given(*[BUY] * MOST, 5) * 50, "")
    assert (len(found), dropped) == (MOST, ("1,030 further recommendations were refused: 20 are read.",))


def test_a_fenced_block_is_read_in_the_shapes_that_models_use():
    for block in ({"recommendations": [BUY]}, [BUY], BUY):
        fenced = f"```json\n{json.dumps(block)}\n```"
        text = f"An example:\n```json\n[1]\n```\nNow mine:\n{fenced}\nGood luck."
        assert read([], text) == ((Recommendation(**BUY),), ())
    cut_off = '```json\n{"recommendations": [{"act'
    assert read([], cut_off) == ((), ("The recommendations were refused: they are not whole JSON.",))
    for text in ("", "No trade.", '```json\n{"price": 190}\n```', "```python\nprint()\n```"):
        assert read([], text) == ((), ())


def test_the_schema_keeps_to_what_strict_tools_allow():
    def walk(schema):
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert schema["required"] == list(schema["properties"])
        allowed = {"type", "properties", "items", "required", "additionalProperties", "enum", "description"}
        assert schema.keys() <= allowed
        for part in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
            walk(part)

    schema = RECOMMEND.definition()["input_schema"]
    walk(schema)
    assert list(schema["properties"]["recommendations"]["items"]["properties"]) == list(BUY)

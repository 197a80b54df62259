"""Recommendations as a model gives them: the tool it is offered, and what of its input can be believed.

A model's output is data from outside: it may be of any size, depth and type. What is not valid is dropped with a reason
that a reader can see; the rest is kept.
"""

import json
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args

from gallump_lab.brain.records import Action, Recommendation
from gallump_lab.reading.symbols import validate_symbol

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

NAME = "recommend"
MOST = 20
"""How many recommendations of one reply are looked at."""
LONGEST = 2_000
"""Characters that a rationale may have; size and horizon may have a tenth."""

_SHOWN = 40  # characters of a wrong value that a reason repeats
_FIELDS: dict[str, dict[str, Any]] = {
    "action": {"type": "string", "enum": list(get_args(Action))},
    "symbol": {"type": "string", "description": "Ticker, such as AAPL or BRK.B"},
    "size": {"type": "string", "description": "How much, in shares or as a share of the portfolio"},
    "entry": {"type": ["number", "null"], "description": "USD; null if none"},
    "stop": {"type": ["number", "null"], "description": "USD; below entry for a buy, above it for a short"},
    "target": {"type": ["number", "null"], "description": "USD; above entry for a buy, below it for a short"},
    "horizon": {"type": "string", "description": "For how long, such as '3 months'"},
    "confidence": {"type": "number", "description": "0 to 1"},
    "rationale": {"type": "string", "description": "One or two sentences"},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "recommendations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": _FIELDS,
                "required": list(_FIELDS),
                "additionalProperties": False,
            },
        }
    },
    "required": ["recommendations"],
    "additionalProperties": False,
}
"""The JSON schema of a reply's recommendations, within what strict tools can hold a model to."""
TOOL: dict[str, Any] = {
    "name": NAME,
    "description": (
        "Record the trading recommendations of your reply for the user to confirm or reject. Nothing is traded. First "
        "write the whole reply as prose, then call this once, last; leave it out if you recommend nothing."
    ),
    "strict": True,
    "input_schema": SCHEMA,
}
"""The tool that a model is offered."""


def read(sources: Iterable[str], text: str) -> tuple[tuple[Recommendation, ...], tuple[str, ...]]:
    """Take the valid recommendations from tool calls or, where there are none, from the text's last fenced JSON block.

    Parameters
    ----------
    sources : iterable of str
        The JSON of each call of the tool.
    text : str
        The reply's prose.

    Returns
    -------
    tuple of Recommendation
        Those that are valid, in order.
    tuple of str
        Why each of the others was dropped.
    """
    found: list[Recommendation] = []
    dropped: list[str] = []
    calls = list(sources)
    for source in calls or _fenced(text):
        try:
            given = _listed(json.loads(source))
        except (ValueError, RecursionError):
            dropped.append("The recommendations were dropped: they are not whole JSON.")
            continue
        if given is None:  # a fenced block of other JSON is part of the prose
            dropped += ["The recommendations were dropped: they are not a list."] * bool(calls)
            continue
        for each in given[:MOST]:
            valid = _check(each)
            if isinstance(valid, Recommendation):
                found.append(valid)
            else:
                dropped.append(valid)
        if len(given) > MOST:
            dropped.append(f"{len(given) - MOST:,} further recommendations were dropped: {MOST} are read.")
    return tuple(found[:MOST]), tuple(dropped[: MOST + 1])


def prose(recommendations: Iterable[Recommendation]) -> str:
    """Say recommendations in words, a Markdown list, for a reply that has no words of its own."""
    return "\n".join(f"- {_sentence(each)}" for each in recommendations)


def _sentence(each: Recommendation) -> str:
    prices = {"entry": each.entry, "stop": each.stop, "target": each.target}
    named = [f"{name} ${value:,.2f}" for name, value in prices.items() if value is not None]
    parts = [f"**{each.action.capitalize()} {each.symbol}**", each.size, *named, each.horizon]
    said = ", ".join(part for part in parts if part) + f", confidence {each.confidence:.0%}"
    return f"{said}. {each.rationale}".rstrip()


def _fenced(text: str) -> list[str]:
    _, fence, rest = text.rpartition("```json")
    return [rest.partition("```")[0]] if fence else []


def _listed(given: object) -> list[Any] | None:
    """Accept the tool's object, a bare list, or a single recommendation; None for other JSON."""
    if isinstance(given, dict):
        given = given.get("recommendations", [given] if "action" in given else None)
    return given if isinstance(given, list) else None


def _check(given: object) -> Recommendation | str:
    """Return the recommendation, or the sentence that says why it is none."""
    from pydantic import ValidationError

    try:
        return Recommendation(**_model().model_validate(given).model_dump())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    named = given.get("symbol") if isinstance(given, dict) else None
    what = f"The recommendation for {_short(named)}" if isinstance(named, str) else "A recommendation"
    return f"{what} was dropped: {_reason(first)}."


def _reason(error: "ErrorDetails") -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"]).rstrip(".")
    where = ".".join(map(str, error["loc"]))
    if error["type"] == "missing" or not where:
        return f"{where or 'it'} is missing" if error["type"] == "missing" else "it is no JSON object"
    return f"{where}: {error['msg'][:1].lower()}{error['msg'][1:]}, not {_short(error['input'])}"


def _short(value: object) -> str:
    shown = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


@cache
def _model() -> "type[BaseModel]":
    """Make the check of types, bounds and sense (pydantic takes a while to import)."""
    from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

    price = Annotated[float | None, Field(gt=0, allow_inf_nan=False)]
    short = Annotated[str, Field(max_length=LONGEST // 10)]

    class Given(BaseModel):
        model_config = ConfigDict(strict=True, str_strip_whitespace=True)

        action: Action
        symbol: Annotated[str, AfterValidator(validate_symbol)]
        size: short = ""
        entry: price = None
        stop: price = None
        target: price = None
        horizon: short = ""
        confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
        rationale: Annotated[str, Field(max_length=LONGEST)] = ""

        @model_validator(mode="after")
        def _sides(self) -> Self:
            rising = [value for value in (self.stop, self.entry, self.target) if value is not None]
            if self.action == "short":
                rising.reverse()
            if self.action in {"buy", "short"} and any(low >= high for low, high in pairwise(rising)):
                order = "stop < entry < target" if self.action == "buy" else "target < entry < stop"
                msg = f"a {self.action} needs {order}, not stop {self.stop}, entry {self.entry}, target {self.target}"
                raise ValueError(msg)
            return self

    return Given

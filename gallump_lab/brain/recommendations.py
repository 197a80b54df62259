"""Recommendations as a model gives them; and, for every tool of a model, what of its input can be believed.

A model's output is data from outside: it may be of any size, depth and type. What is not valid is refused with a reason
that a reader can see; the rest is kept.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args

from gallump_lab.brain.answer import Action, Recommendation, clean
from gallump_lab.memory.text import one_line
from gallump_lab.reading.symbols import validate_symbol

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

MOST = 20
"""How many items of one answer are looked at."""
LONGEST = 2_000
"""Characters that a rationale may have; size and horizon may have a tenth."""

_SHOWN = 40  # characters of a wrong value that a reason repeats
NO_JSON, _NO_LIST = "they are not whole JSON", "they are not a list"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool whose input is a list of items, and how an answer's items are found and refused."""

    name: str
    description: str
    items: str
    """What the list is called."""
    fields: Mapping[str, Mapping[str, Any]]
    """The JSON schema of each field of an item, within what strict tools can hold a model to."""
    sign: str
    """The field that tells an item of its own from other JSON."""
    named: str
    """What an item is called in a reason, by its `title`; `unnamed` where it has none."""
    title: str
    unnamed: str
    refused: str = "refused"

    @property
    def item(self) -> dict[str, Any]:
        """The JSON schema of an item."""
        return _object(self.fields)

    @property
    def definition(self) -> dict[str, Any]:
        """The tool as the Messages API takes it."""
        schema = _object({self.items: {"type": "array", "items": self.item}})
        return {"name": self.name, "description": self.description, "strict": True, "input_schema": schema}

    def given(self, calls: Sequence[str], text: str) -> tuple[list[Any], list[str]]:
        """Find an answer's items, whatever they are: in tool calls, else in the text's last fenced JSON block.

        Returns
        -------
        list of object
            Also those of a bare list, or a single item.
        list of str
            What is wrong with a call or block that holds none.
        """
        _, fence, rest = text.rpartition("```json")
        found: list[Any] = []
        wrong: list[str] = []
        for source in calls or [rest.partition("```")[0]] * bool(fence):
            try:
                given = json.loads(source)
            except (ValueError, RecursionError):
                wrong.append(NO_JSON)
                continue
            if isinstance(given, dict):
                given = given.get(self.items, [given] if self.sign in given else None)
            if isinstance(given, list):
                found += given
            else:
                wrong.append(_NO_LIST)
        return found, wrong

    def check(self, item: object, check: "type[BaseModel]") -> "BaseModel":
        """Return an item as the checked record of it.

        Raises
        ------
        ValueError
            If it cannot be believed; the message is the sentence that says why.
        """
        from pydantic import ValidationError

        try:
            item = _cleaned(item)
            return check.model_validate(item)
        except RecursionError:
            reason = "it is nested too deep"
        except ValidationError as error:
            reason = _reason(error)
        raise ValueError(self.sentence(item, reason))

    def sentence(self, item: object, reason: str) -> str:
        """Note in a sentence that an item was refused, and why."""
        title = item.get(self.title) if isinstance(item, dict) else None
        what = self.named.format(short(line(title))) if line(title) else self.unnamed
        return f"{what} was {self.refused}: {reason}."

    def more(self, number: int) -> list[str]:
        """Note that so many items were too many to be looked at; nothing if none was."""
        further = number - MOST
        return [f"{further:,} further {self.items} were {self.refused}: {MOST} are read."] if further > 0 else []


def _object(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _cleaned(value: Any) -> Any:
    """Return JSON with every text in it cleaned: a key may have stood in its escapes."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if isinstance(value, dict):
        return {clean(name): _cleaned(each) for name, each in value.items()}
    return value


def line(value: object) -> str:
    """Return a text on one line, without what cannot be seen; nothing of what is no text."""
    if not isinstance(value, str):
        return ""
    return clean(one_line("".join(c if c.isprintable() else " " for c in value)))


def _reason(error: "ValidationError") -> str:
    """Return in words what is wrong first."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"]).rstrip(".")
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"{where} is missing"
    if not where:
        return "it is no JSON object"
    return f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}, not {short(first['input'])}"


def short(value: object) -> str:
    """Return the beginning of a value for a reason, or the name of its type."""
    shown = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


RECOMMEND = Tool(
    name="recommend",
    description=(
        "Record the trading recommendations of your reply for the user to confirm or reject. Nothing is traded. First "
        "write the whole reply as prose, then call this once, last; leave it out if you recommend nothing."
    ),
    items="recommendations",
    fields={
        "action": {"type": "string", "enum": list(get_args(Action))},
        "symbol": {"type": "string", "description": "Ticker, such as AAPL or BRK.B"},
        "size": {"type": "string", "description": "How much, in shares or as a share of the portfolio"},
        "entry": {"type": ["number", "null"], "description": "USD; null if none"},
        "stop": {"type": ["number", "null"], "description": "USD; below entry for a buy, above it for a short"},
        "target": {"type": ["number", "null"], "description": "USD; above entry for a buy, below it for a short"},
        "horizon": {"type": "string", "description": "For how long, such as '3 months'"},
        "confidence": {"type": "number", "description": "0 to 1"},
        "rationale": {"type": "string", "description": "One or two sentences"},
    },
    sign="action",
    named="The recommendation for {}",
    title="symbol",
    unnamed="A recommendation",
    refused="dropped",
)


def read(calls: Sequence[str], text: str) -> tuple[tuple[Recommendation, ...], tuple[str, ...]]:
    """Take the valid recommendations of an answer.

    Parameters
    ----------
    calls : sequence of str
        The JSON of each call of the tool.
    text : str
        The reply's prose, whose last fenced JSON block is read where there is no call.

    Returns
    -------
    tuple of Recommendation
        Those that are valid, in order.
    tuple of str
        Why each of the others was dropped.
    """
    items, wrong = RECOMMEND.given(calls, text)
    found: list[Recommendation] = []
    # A fenced block of other JSON is part of the prose.
    dropped = [f"The recommendations were dropped: {why}." for why in wrong if calls or why == NO_JSON][:MOST]
    for item in items[:MOST]:
        try:
            found.append(Recommendation(**RECOMMEND.check(item, _recommendation()).model_dump()))
        except ValueError as reason:
            dropped.append(str(reason))
    return tuple(found), (*dropped, *RECOMMEND.more(len(items)))


@cache
def _recommendation() -> "type[BaseModel]":
    """Make the check of types, bounds and sense (pydantic takes a while to import)."""
    from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

    price = Annotated[float | None, Field(gt=0, allow_inf_nan=False)]
    brief = Annotated[str, Field(max_length=LONGEST // 10)]

    class RecommendationInput(BaseModel):
        model_config = ConfigDict(strict=True, str_strip_whitespace=True)

        action: Action
        symbol: Annotated[str, AfterValidator(validate_symbol)]
        size: brief = ""
        entry: price = None
        stop: price = None
        target: price = None
        horizon: brief = ""
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

    return RecommendationInput


def prose(found: Iterable[Recommendation]) -> str:
    """Return recommendations in words, a Markdown list, for a reply that has no words of its own."""
    return "\n".join(map(_item, found))


def _item(each: Recommendation) -> str:
    prices = {"entry": each.entry, "stop": each.stop, "target": each.target}
    named = [f"{name} ${value:,.2f}" for name, value in prices.items() if value is not None]
    parts = [f"- **{each.action.capitalize()} {each.symbol}**", each.size, *named, each.horizon]
    return f"{', '.join(filter(None, parts))}, confidence {each.confidence:.0%}. {each.rationale}".rstrip()

"""Recommendations as a model gives them; and, for every tool of a model, what of its input can be believed.

A model's output is data from outside: it may be of any size, depth and type. What is not valid is refused with a reason
that a reader can see; the rest is kept.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, get_args

from gallump_lab import tokens
from gallump_lab.brain.answer import Action, Recommendation, clean, line

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

MOST = 20
"""How many items of one answer are looked at."""

_STARTS, _READ = 1_000, 10**7  # places at which JSON is looked for, and characters that are read in vain for it
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
    """The JSON schema of each field of an item, within what strict tools can hold a model to; the first one tells an
    item from other JSON."""
    one: str
    """What an item is called in a reason, before the field that names it."""
    title: str
    """The field that names it."""

    @property
    def item(self) -> dict[str, Any]:
        """The JSON schema of an item."""
        return _object(self.fields)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the list of items."""
        return _object({self.items: {"type": "array", "items": self.item}})

    def definition(self, *, strict: bool = True) -> dict[str, Any]:
        """Return the tool as the Messages API takes it, where it can hold a model to the schema (`strict`) or not."""
        held = {"strict": True} if strict else {}
        return {"name": self.name, "description": self.description, **held, "input_schema": self.schema}

    @cached_property
    def text(self) -> str:
        """The definition as it is sent."""
        return json.dumps(self.definition())

    @cached_property
    def tokens(self) -> int:
        """The definition's cl100k tokens."""
        return tokens.count(self.text)

    def given(self, calls: Sequence[str], text: str) -> tuple[list[Any], list[str]]:
        """Find an answer's items, whatever they are: in tool calls, else in the text's last fenced JSON block.

        Returns
        -------
        list of object
            Also those of a bare list, or a single item; every text in them is cleaned.
        list of str
            What is wrong with a call or block that holds none.
        """
        _, fence, rest = text.rpartition("```json")
        found: list[Any] = []
        wrong: list[str] = []
        for source in calls or [rest.partition("```")[0]] * bool(fence):
            try:
                given = json.loads(source, object_hook=_cleaned)
            except (ValueError, RecursionError):
                wrong.append(NO_JSON)
                continue
            if isinstance(given, dict):
                given = given.get(self.items, [given] if next(iter(self.fields)) in given else None)
            if isinstance(given, list):
                found += given
            else:
                wrong.append(_NO_LIST)
        return found, wrong

    def check(self, item: object, record: Any) -> Any:
        """Return an item as the record of it: a pydantic model or a dataclass.

        Raises
        ------
        ValueError
            If it cannot be believed; the message is the sentence that says why.
        """
        from pydantic import ValidationError

        try:
            return _adapter(record).validate_python(self._cased(item))
        except ValidationError as error:
            raise ValueError(self.sentence(item, _reason(error))) from None

    def _cased(self, item: object) -> object:
        """Return an item with the words of its enumerations written as these ("Buy" is buy), without texts of null."""
        if not isinstance(item, dict):
            return item
        known = {name: {str(v).casefold(): v for v in schema.get("enum", ())} for name, schema in self.fields.items()}
        return {
            name: known.get(name, {}).get(value.strip().casefold(), value) if isinstance(value, str) else value
            for name, value in item.items()
            if value is not None or self.fields.get(name, {}).get("type") != "string"
        }

    def sentence(self, item: object, reason: str) -> str:
        """Note in a sentence that an item was refused, and why."""
        title = line(item.get(self.title)) if isinstance(item, dict) else ""
        return f"{self.one}{f' {short(title)}' if title else ''} was refused: {reason}."

    def more(self, number: int) -> list[str]:
        """Note that so many items were too many to be looked at; nothing if none was."""
        further = number - MOST
        return [f"{further:,} further {self.items} were refused: {MOST} are read."] if further > 0 else []


def last_json(text: str) -> str:
    """Return the last JSON that stands whole in a text: what holds an object, else a list; else the text itself."""
    found, place, left, decoder = "", 0, _READ, json.JSONDecoder()
    for _ in range(_STARTS):
        start = min((at for at in (text.find("{", place), text.find("[", place)) if at >= 0), default=-1)
        if start < 0 or left < 0:
            break
        try:
            _, place = decoder.raw_decode(text, start)
            whole = text[start:place]
            found = whole if "{" in whole or "{" not in found else found
        except (ValueError, RecursionError) as error:
            place, left = start + 1, left - getattr(error, "pos", start) + start
    return found or text


@cache
def _adapter(record: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(record)


def _object(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _cleaned(item: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its texts cleaned: a key may have stood in their escapes."""
    return {clean(name): clean(value) if isinstance(value, str) else value for name, value in item.items()}


def _reason(error: "ValidationError") -> str:
    """Return in words what is wrong first."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"]).rstrip(".")
    if not first["loc"]:
        return "it is no JSON object"
    given = "" if first["type"] == "missing" else f", not {short(first['input'])}"
    return f"{'.'.join(map(str, first['loc']))}: {first['msg'][:1].lower()}{first['msg'][1:]}{given}"


def short(value: object) -> str:
    """Return the beginning of a value for a reason, or the name of its type."""
    shown = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


_PRICE = ["number", "null"]
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
        "entry": {"type": _PRICE, "description": "USD; null if none"},
        "stop": {"type": _PRICE, "description": "USD; below entry for a buy, above it for a short"},
        "target": {"type": _PRICE, "description": "USD; above entry for a buy, below it for a short"},
        "horizon": {"type": "string", "description": "For how long, such as '3 months'"},
        "confidence": {"type": "number", "description": "0 to 1"},
        "rationale": {"type": "string", "description": "One or two sentences"},
    },
    one="The recommendation",
    title="symbol",
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
    dropped = [f"The recommendations were refused: {why}." for why in wrong if calls or why == NO_JSON][:MOST]
    for item in items[:MOST]:
        try:
            found.append(RECOMMEND.check(item, Recommendation))
        except ValueError as reason:
            dropped.append(str(reason))
    return tuple(found), (*dropped, *RECOMMEND.more(len(items)))


def prose(found: Iterable[Recommendation]) -> str:
    """Return recommendations in words, a Markdown list, for a reply that has no words of its own."""
    return "\n".join(map(_item, found))


def _item(each: Recommendation) -> str:
    prices = {"entry": each.entry, "stop": each.stop, "target": each.target}
    named = [f"{name} ${value:,.2f}" for name, value in prices.items() if value is not None]
    parts = [f"- **{each.action.capitalize()} {each.symbol}**", each.size, *named, each.horizon]
    return f"{', '.join(filter(None, parts))}, confidence {each.confidence:.0%}. {each.rationale}".rstrip()

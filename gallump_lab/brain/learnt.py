"""Insights as a model gives them: the tool that it must call, and what of its input can be believed.

What stood in the session may have talked the model into anything. Believed is a statement that cites messages of this
very session and holds no figure that stands in none of them; the others are refused with a reason.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args

from gallump_lab import tokens
from gallump_lab.brain.answer import line
from gallump_lab.brain.recommendations import MOST, Tool, short
from gallump_lab.memory.records import Kind, Learnt, Message
from gallump_lab.memory.text import statement
from gallump_lab.reading.dates import instant
from gallump_lab.reading.symbols import SymbolError, validate_symbol

if TYPE_CHECKING:
    from pydantic import BaseModel

CHARACTERS, TOKENS = 400, 100
"""What an insight's text may have; tokens are cl100k's."""

_NULLABLE = ["string", "null"]
REMEMBER = Tool(
    name="remember",
    description="Note the insights of the session. Call this once; with an empty list if there are none.",
    items="insights",
    fields={
        "text": {"type": "string", "description": "One statement, at most 30 words"},
        "kind": {"type": "string", "enum": list(get_args(Kind))},
        "symbol": {"type": _NULLABLE, "description": "Ticker that it is about, such as AAPL or BRK.B"},
        "speaker": {"type": _NULLABLE, "description": "Whose statement it is, as the session names them"},
        "attribute": {
            "type": _NULLABLE,
            "description": "What a newer statement would replace, such as stop or entry level",
        },
        "value": {"type": _NULLABLE, "description": "What it states of the attribute, such as 182"},
        "valid_from": {"type": _NULLABLE, "description": "Date such as 2024-05-31"},
        "valid_until": {"type": _NULLABLE, "description": "Date such as 2024-05-31"},
        "sources": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Numbers of the messages it rests on",
        },
    },
    one="The insight",
    title="text",
)


def read(items: Sequence[object], shown: Mapping[int, Message]) -> tuple[tuple[Learnt, ...], tuple[str, ...]]:
    """Take the insights of a session that can be believed.

    Parameters
    ----------
    items : sequence of object
        What an answer gave, each of any type (see `Tool.given`).
    shown : mapping of int to Message
        The session's messages by the numbers that insights cite them with.

    Returns
    -------
    tuple of Learnt
        Those that can be believed, in order.
    tuple of str
        Why each of the others was refused.
    """
    found: dict[tuple[str, str | None, str | None], Learnt] = {}
    refused: list[str] = []
    for item in items[:MOST]:
        try:
            learnt = _learnt(item, shown)
        except ValueError as reason:
            refused.append(str(reason))
            continue
        same = statement(learnt.text), learnt.symbol, learnt.speaker
        if same in found:
            refused.append(REMEMBER.sentence(item, "another says the same"))
        found.setdefault(same, learnt)
    return tuple(found.values()), (*refused, *REMEMBER.more(len(items)))


_PAST = _FUTURE = timedelta(days=3653)  # how long before the session a statement may hold, and how long after it
_NOTHING = frozenset({"", "null", "none", "n/a"})


def _learnt(item: object, shown: Mapping[int, Message]) -> Learnt:
    given: Any = REMEMBER.check(item, _insight())
    if strangers := [number for number in given.sources if number not in shown]:
        raise ValueError(REMEMBER.sentence(item, f"it cites {strangers[0]}, which is no message of the session"))
    cited = [shown[number] for number in given.sources]
    first, last = (pick(message.created_at for message in shown.values()) for pick in (min, max))
    newest = max(message.created_at for message in cited)
    zone = newest.tzinfo or UTC
    since, until = _day(given.valid_from, zone), _day(given.valid_until, zone, end=True)
    since = since if since and first - _PAST <= since <= last + timedelta(days=1) else None
    until = until if until and (since or newest) < until <= last + _FUTURE else None
    known, text = _known(cited), given.text
    for day in filter(None, (since, until and until - timedelta(seconds=1))):  # it works them out from "by Friday"
        text = text.replace(f"{day:%Y-%m-%d}", " ")
    if stranger := _stranger(text, known):
        reason = f"its figure {short(stranger)} stands in none of the messages that it cites"
        raise ValueError(REMEMBER.sentence(item, reason))
    value = given.value if given.attribute and len(given.value) <= 60 else ""
    if value.casefold() in _NOTHING or _orders(value) or _stranger(value, known):
        value = ""
    names = {message.speaker.casefold(): message.speaker for message in shown.values() if message.speaker}
    only = {message.speaker for message in cited if message.speaker}
    return Learnt(
        text=given.text,
        kind=given.kind,
        sources=tuple(sorted({message.message_id for message in cited})),
        symbol=given.symbol,
        speaker=names.get(given.speaker.casefold(), only.pop() if len(only) == 1 else None),
        attribute=given.attribute or None,
        value=_amount(value) or None,
        valid_from=None if since and since.date() == newest.date() else since,  # of one day's two the later must hold
        valid_until=until,
    )


@cache
def _insight() -> "type[BaseModel]":
    """Make the check of types and of what needs no session; what is not given or cannot be used is left away."""
    from pydantic import AfterValidator, BaseModel, ConfigDict

    word = Annotated[Any, AfterValidator(line)]

    class InsightInput(BaseModel):
        model_config = ConfigDict(strict=True, validate_default=True)

        text: Annotated[Any, AfterValidator(_text)] = ""
        kind: Kind
        symbol: Annotated[Any, AfterValidator(_symbol)] = None
        speaker: word = ""
        attribute: Annotated[Any, AfterValidator(_attribute)] = ""
        value: word = ""
        valid_from: word = ""
        valid_until: word = ""
        sources: Annotated[Any, AfterValidator(_sources)] = None

    return InsightInput


def _text(given: object) -> str:
    text = line(given)
    if len(text) > CHARACTERS or tokens.count(text) > TOKENS:
        msg = f"its text is longer than {CHARACTERS} characters or {TOKENS} tokens"
        raise ValueError(msg)
    if not statement(text).strip():
        msg = "it has no text"
        raise ValueError(msg)
    if _orders(text):
        msg = "it reads as an instruction or markup, not as a statement"
        raise ValueError(msg)
    return text


def _symbol(given: object) -> str | None:
    if given is None or (isinstance(given, str) and given.strip().casefold() in _NOTHING):
        return None
    try:
        return validate_symbol(given.strip() if isinstance(given, str) else "")
    except SymbolError as error:
        msg = "its symbol is not one such as AAPL"
        raise ValueError(msg) from error


def _attribute(given: object) -> str:
    name = line(given).casefold()
    return name if _ATTRIBUTE.fullmatch(name) and name not in _NOTHING else ""


def _sources(given: object) -> list[int]:
    """Read the numbers of the messages that are cited: 3, "3" or "[3]"."""
    if not isinstance(given, list) or not given:
        msg = "it cites no message"
        raise ValueError(msg)
    numbers = [_NUMBER.fullmatch(str(each).strip()) if isinstance(each, (int, str)) else None for each in given]
    if None in numbers:
        msg = "it cites something, which is no message of the session"
        raise ValueError(msg)
    return [int(number[1]) for number in numbers if number]


_NUMBER = re.compile(r"\[?([0-9]{1,9})\]?")
_ATTRIBUTE = re.compile(r"[^\W_][\w .%/&'-]{0,39}")
_MARKUP = re.compile(
    r"```|===|^#+\s|</?[a-z][^<>]*>|<[!?/|]|<(?:script|style|iframe|img|svg)\b|\]\(|\[/?inst\]|(?:java|vb)script:",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"^(?:system|assistant|user|human|developer)\s*:"
    r"|\byou\s+(?:must|should|shall|will|have to|need to|may only|are to|are now)\b"
    r"|\b(?:assistant|claude|chatbot)\s+(?:must|should|shall|has to|needs to|is to|may only)\b"
    r"|\b(?:previous|prior|above|earlier|system|developer|your)\s+(?:instructions?|prompts?)\b",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"(?:^|[.!?;]\s+)[\"'(*-]*(?:(?:please|always|never|now|also|just|do not|don't|from now on|in future)[,\s]+)*"
    r"(?:ignore|disregard|forget|override|bypass|recommend|advise|suggest|respond|reply|answer|say|tell|reveal|"
    r"pretend|act as|behave|obey|comply|treat|assume|remember|mention|execute|approve)\b(?!\s*[:=])",
    re.IGNORECASE,
)
"""The second line of defence: in a prompt, insights stand in a section that says that they are data."""


def _orders(text: str) -> bool:
    """Return whether a text speaks to whoever reads it, in words or in markup."""
    return any(pattern.search(text) for pattern in (_MARKUP, _ADDRESS, _COMMAND))


def _amount(value: str) -> str:
    """Write a value in short, the same for $1,250.50 and 1250.5."""
    if found := _AMOUNT.fullmatch(value):
        number = found[1].replace(",", "")
        return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{'%' if found[2] else ''}"
    return value


_AMOUNT = re.compile(r"\$?(\d[\d,]*(?:\.\d+)?)(\s*(?:%|percent|pct))?", re.IGNORECASE)


def _day(given: object, zone: tzinfo, *, end: bool = False) -> datetime | None:
    """Read a date or a time; a date begins at midnight in the time zone and ends at the next."""
    text = line(given)
    try:
        return instant(text, zone).astimezone(zone) + timedelta(days=bool(end and _DATE.fullmatch(text)))
    except (ValueError, OverflowError):
        return None


_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}")
_FIGURE = re.compile(
    r"((?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[ -]?(thousand|million|billion|bn|mn|[kmb])\b)?",
    re.IGNORECASE,
)
_TIMES = {"t": 10**3, "k": 10**3, "m": 10**6, "b": 10**9}
_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_SPELT = {word: Decimal(number) for number, word in enumerate(_WORDS)}


def _figures(text: str) -> Iterator[tuple[str, Decimal]]:
    """Return each figure as it stands and what it means: 1,250.50 is 1250.5, 10k is 10,000."""
    for found in _FIGURE.finditer(text):
        yield found[1], Decimal(found[1].replace(",", "")) * _TIMES.get((found[2] or " ")[0].lower(), 1)


def _known(cited: Iterable[Message]) -> set[Decimal]:
    """Return what the figures of cited messages and of their dates may mean."""
    known: set[Decimal] = set()
    for message in cited:
        at, said = message.created_at, f"{message.text} {message.symbol or ''} {message.speaker or ''}"
        known.update(map(Decimal, (at.year - 1, at.year, at.year + 1, at.month, at.day)))  # "last Christmas"
        known.update(_SPELT[word] for word in re.findall(r"[a-z]+", said.casefold()) if word in _SPELT)
        for figure, meant in _figures(said):
            known |= {meant, Decimal(figure.replace(",", ""))}  # "5m" may be five minutes
            parts = figure.split(",")
            if len(parts) > 1 and len(parts[0]) == 3:  # "340,350" may be two prices
                known.update(map(Decimal, parts))
    return known


def _stranger(text: str, known: set[Decimal]) -> str | None:
    """Find the first figure of a text that is not among those that are known; None if all are."""
    return next((figure for figure, meant in _figures(text) if meant not in known), None)

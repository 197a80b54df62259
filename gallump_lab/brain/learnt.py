"""Insights as a model gives them: the tool it must call, and what of its input can be believed.

A model's output is data from outside: it may be of any size, depth and type, and what stood in the session may have
talked it into anything. Believed is a statement that cites messages of this very session and holds no figure that
stands in none of them; the others are refused with a reason that a reader can see.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, get_args

from gallump_lab import tokens
from gallump_lab.brain import claude
from gallump_lab.memory.records import Kind, Learnt, Message
from gallump_lab.memory.text import one_line, statement
from gallump_lab.reading.dates import instant
from gallump_lab.reading.symbols import SymbolError, validate_symbol

NAME = "remember"
MOST = 20
"""How many insights of one answer are looked at."""
CHARACTERS, TOKENS = 400, 100
"""What an insight's text may have; tokens are cl100k's."""

_QUOTED, _FIGURE_QUOTED = 28, 12  # characters of an answer that a reason repeats, 40 together
_PAST = _FUTURE = timedelta(days=3653)  # how long before the session a statement may hold, and how long after it
_NULLABLE = ["string", "null"]
_FIELDS: dict[str, dict[str, Any]] = {
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
    "sources": {"type": "array", "items": {"type": "integer"}, "description": "Numbers of the messages it rests on"},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "insights": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": _FIELDS,
                "required": list(_FIELDS),
                "additionalProperties": False,
            },
        }
    },
    "required": ["insights"],
    "additionalProperties": False,
}
"""The JSON schema of a session's insights, within what strict tools can hold a model to."""
TOOL: dict[str, Any] = {
    "name": NAME,
    "description": "Note the insights of the session. Call this once; with an empty list if there are none.",
    "strict": True,
    "input_schema": SCHEMA,
}
"""The tool that the model must call."""


class _Refused(Exception):
    """An insight cannot be believed; the message says why."""


def listed(calls: Sequence[str], text: str) -> list[Any] | None:
    """Find what an answer gives as insights, whatever it is: in tool calls, else in the text's last fenced JSON block.

    A text that is JSON alone will do, too, and so will a bare list or a single insight. None if there is neither.
    """
    found: list[Any] = []
    for source in calls or [_fenced(text)]:
        try:
            given = json.loads(source)
        except (ValueError, RecursionError):
            return None
        if isinstance(given, dict):
            given = given.get("insights", [given] if "text" in given else None)
        if not isinstance(given, list):
            return None
        found += given
    return found


def _fenced(text: str) -> str:
    _, fence, rest = text.rpartition("```json")
    return rest.partition("```")[0] if fence else text.strip().strip("`")


def read(given: Sequence[object], shown: Mapping[int, Message]) -> tuple[tuple[Learnt, ...], tuple[str, ...]]:
    """Take the insights that can be believed.

    Parameters
    ----------
    given : sequence of object
        What an answer gave, each of any type.
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
    for each in given[:MOST]:
        try:
            learnt = _believed(each, shown)
        except _Refused as reason:
            refused.append(_sentence(each, str(reason)))
            continue
        same = statement(learnt.text), learnt.symbol, learnt.speaker
        if same in found:
            refused.append(_sentence(each, "another says the same"))
        else:
            found[same] = learnt
    if len(given) > MOST:
        refused.append(f"{len(given) - MOST:,} further insights were refused: {MOST} are read.")
    return tuple(found.values()), tuple(refused)


def _sentence(given: object, reason: str) -> str:
    text = _plain(given.get("text")) if isinstance(given, dict) else ""
    return f"{f'The insight {_short(text, _QUOTED)}' if text else 'An insight'} was refused: {reason}."


def _short(text: str, most: int) -> str:
    return repr(text) if len(text) <= most else f"{text[:most]!r}..."


def _plain(value: object) -> str:
    """Return a text on one line, without keys and without what cannot be seen; nothing of what is no text."""
    if not isinstance(value, str):
        return ""
    seen = "".join(c if c.isprintable() else " " for c in claude.clean(value))
    return claude.clean(one_line(seen))


def _believed(given: object, shown: Mapping[int, Message]) -> Learnt:
    if not isinstance(given, dict):
        msg = "it is no JSON object"
        raise _Refused(msg)
    text = _text(given.get("text"))
    if given.get("kind") not in get_args(Kind):
        msg = f"its kind is none of {', '.join(get_args(Kind))}"
        raise _Refused(msg)
    sources = [shown[number] for number in _sources(given.get("sources"), shown)]
    symbol = _symbol(given.get("symbol"))
    first, last = (pick(message.created_at for message in shown.values()) for pick in (min, max))
    newest = max(message.created_at for message in sources)
    zone = newest.tzinfo or UTC
    since, until = _day(given.get("valid_from"), zone), _day(given.get("valid_until"), zone, end=True)
    since = since if since and first - _PAST <= since <= last + timedelta(days=1) else None
    until = until if until and (since or newest) < until <= last + _FUTURE else None
    figures = _Figures(sources, (since, until and until - timedelta(seconds=1)))
    if since and since.date() == newest.date():  # of two statements of one day the later must hold
        since = None
    if stranger := figures.stranger(text):
        msg = f"its figure {_short(stranger, _FIGURE_QUOTED)} stands in none of the messages that it cites"
        raise _Refused(msg)
    attribute = _plain(given.get("attribute")).casefold()
    attribute = attribute if _ATTRIBUTE.fullmatch(attribute) and attribute not in _NOTHING else ""
    value = _value(given.get("value"), figures) if attribute else ""
    return Learnt(
        text=text,
        kind=given["kind"],
        sources=tuple(sorted({message.message_id for message in sources})),
        symbol=symbol,
        speaker=_speaker(given.get("speaker"), shown.values(), sources),
        attribute=attribute or None,
        value=value or None,
        valid_from=since,
        valid_until=until,
    )


def _text(given: object) -> str:
    text = _plain(given)
    if len(text) > CHARACTERS or tokens.count(text) > TOKENS:
        msg = f"its text is longer than {CHARACTERS} characters or {TOKENS} tokens"
        raise _Refused(msg)
    if not statement(text).strip():
        msg = "it has no text"
        raise _Refused(msg)
    if _orders(text):
        msg = "it reads as an instruction or markup, not as a statement"
        raise _Refused(msg)
    return text


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


def _sources(given: object, shown: Mapping[int, Message]) -> Iterator[int]:
    if not isinstance(given, list) or not given:
        msg = "it cites no message"
        raise _Refused(msg)
    for each in given:
        number = _NUMBER.fullmatch(each.strip()) if isinstance(each, str) else None
        found = int(number[1]) if number else each
        if type(found) is not int or found not in shown:
            what = _short(str(found), _FIGURE_QUOTED) if type(found) is int and found < 10**9 else "something"
            msg = f"it cites {what}, which is no message of the session"
            raise _Refused(msg)
        yield found


_NUMBER = re.compile(r"\[?([0-9]{1,9})\]?")
_NOTHING = frozenset({"", "null", "none", "n/a"})


def _symbol(given: object) -> str | None:
    if given is None or (isinstance(given, str) and given.strip().casefold() in _NOTHING):
        return None
    try:
        return validate_symbol(given.strip() if isinstance(given, str) else "")
    except SymbolError as error:
        msg = "its symbol is not one such as AAPL"
        raise _Refused(msg) from error


def _speaker(given: object, said: Iterable[Message], cited: Iterable[Message]) -> str | None:
    """Find whose statement it is: a speaker of the session, by default the only one of the cited messages."""
    names = {message.speaker.casefold(): message.speaker for message in said if message.speaker}
    only = {message.speaker for message in cited if message.speaker}
    return names.get(_plain(given).casefold(), only.pop() if len(only) == 1 else None)


def _value(given: object, figures: "_Figures") -> str:
    """Return a value in short, the same for $1,250.50 and 1250.5; nothing of what is none or stands nowhere."""
    value = _plain(given)
    if len(value) > 60 or value.casefold() in _NOTHING or _orders(value) or figures.stranger(value):
        return ""
    if found := _AMOUNT.fullmatch(value):
        number = found[1].replace(",", "")
        return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{'%' if found[2] else ''}"
    return value


_AMOUNT = re.compile(r"\$?(\d[\d,]*(?:\.\d+)?)(\s*(?:%|percent|pct))?", re.IGNORECASE)


def _day(given: object, zone: tzinfo, *, end: bool = False) -> datetime | None:
    """Read a date or a time; a date begins at midnight in the time zone and ends at the next."""
    text = _plain(given)
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


class _Figures:
    """The figures of cited messages and their dates: every one of an insight must be among them.

    So may be the dates since and until which it holds: the model works them out from "by Friday".
    """

    def __init__(self, cited: Iterable[Message], days: Iterable[datetime | None]) -> None:
        self._days = [f"{day:%Y-%m-%d}" for day in days if day]
        self._known: set[Decimal] = set()
        for message in cited:
            at, said = message.created_at, f"{message.text} {message.symbol or ''} {message.speaker or ''}"
            self._known.update(map(Decimal, (at.year - 1, at.year, at.year + 1, at.month, at.day)))  # "last Christmas"
            self._known.update(_SPELT[word] for word in re.findall(r"[a-z]+", said.casefold()) if word in _SPELT)
            for figure, meant in _figures(said):
                self._known |= {meant, Decimal(figure.replace(",", ""))}  # "5m" may be five minutes
                parts = figure.split(",")
                if len(parts) > 1 and len(parts[0]) == 3:  # "340,350" may be two prices
                    self._known.update(map(Decimal, parts))

    def stranger(self, text: str) -> str | None:
        """Find the first figure of a text that is not among them; None if all are."""
        for day in self._days:
            text = text.replace(day, " ")
        return next((figure for figure, meant in _figures(text) if meant not in self._known), None)


def _figures(text: str) -> Iterator[tuple[str, Decimal]]:
    """Return each figure as it stands and what it means: 1,250.50 is 1250.5, 10k is 10,000."""
    for found in _FIGURE.finditer(text):
        yield found[1], Decimal(found[1].replace(",", "")) * _TIMES.get((found[2] or " ")[0].lower(), 1)

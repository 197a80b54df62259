"""Staleness: is an insight out of date at a moment?"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from gallump_lab.memory.records import Message
from gallump_lab.study.scorecard.directions import pointers
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.reading import read, same
from gallump_lab.study.scorecard.records import Score, Stated
from gallump_lab.study.scorecard.redundancy import About, about

SAME = 0.5
"""What is left of likeness where nothing says that it changed."""
PAST = 0.9
"""A horizon that is over: nothing contradicts it, but it tells of a time that has come."""
NEW_VALUE, ENDED = 1.0, 0.95
"""A later message states another value of the same; or it ends what the value was for."""
DAYS = 12
"""A deal is told of at most so many days later."""
VALUED = frozenset({"level", "position"})
"""Kinds of insight that state a value which a later one replaces whatever its words; others only where it is a forecast."""
Unit = Literal["percent", "price", "other"]
_UNTIL = re.compile(r"\b(?:by|until|till|before|through|to)\s+(?:the\s+)?(?:end of\s+)?$", re.IGNORECASE)
_DONE = re.compile(r"\b(?:sold|out|gone|flat\w*|closed|exited|left|stopped|liquidated|reali[sz]ed|executed|done|zero)\b", re.IGNORECASE)
"""Says of a deal that it is over."""
_CHANGED = re.compile(
    r"\b(?:now|no longer|any ?more|instead|new|chang\w+|revis\w+|updat\w+|stopped|rewr\w+|mov(?:ed|ing)|wrong|relax\w+"
    r"|loosen\w+|soften\w+|tighten\w+|drop\w+|used to)\b", re.IGNORECASE)
"""Says that something is not as it was."""
_SENTENCE = re.compile(r"[.!?;\n]+(?=\s|$)")


@dataclass(frozen=True, kw_only=True)
class Value:
    """A number as a message states it, with what tells attributes apart that share a symbol and a speaker."""

    number: float
    unit: Unit
    side: int
    """Of a price: 1 above the day's prices, -1 below them, 0 among them or where prices are unknown."""
    ahead: bool
    """Whether its sentence names a time to come: a forecast."""
    trade: int
    """Above 0 if its sentence speaks of buying, below 0 of selling or leaving."""
    left: bool
    """Whether its sentence says that a deal is over, at a price of the last `DAYS` days."""


def staleness(insight: Stated, reader: Reader, at: datetime) -> Score:
    """Tell how surely it is out of date at a moment, 0 to 1: the most of three signs. NaN if nothing is cited.

    `PAST`, if its horizon (`valid_until`, or the last time to come that it names) is over.

    `NEW_VALUE`, if a later message of the same speaker about the same symbol states another number of the same kind.
    Kinds are told apart by what numbers look like in the market of their day, not by names: percent or price; below,
    above or among the day's prices; with a time to come or without. The last such message counts. `ENDED`, if a later
    one sells what the number was for.

    Else the likeness of the closest later message that states something else: the share of the insight's words (with
    bits) that it has, if it differs in a number or points to the opposite.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return Score(value=math.nan, why="It cites no message that is there.")
    last = cited[-1]
    if over := _over(insight, reader, last.created_at.date(), at):
        found = [Score(value=PAST, why=f"Its time was over on {over}.")]
    else:
        found = [Score(value=0.0)]
    later = [
        each
        for each in reader.history.messages.values()
        if (last.created_at, last.message_id) < (each.created_at, each.message_id)
        and each.created_at <= at
        and each.speaker == last.speaker
        and each.role == last.role
    ]
    symbols = about(insight, reader).symbols
    if symbols:
        later = [each for each in later if not symbols.isdisjoint(reader.mentioned(each.text))]
        found.append(_replaced(insight, reader, cited, later))
    found.append(_otherwise(insight, reader, cited, later))
    return max(found, key=lambda score: score.value)


def _over(insight: Stated, reader: Reader, said: date, at: datetime) -> date | None:
    ends = [insight.valid_until.date()] if insight.valid_until else []
    ends = ends or [
        each.last
        for each in reader.stated(insight).dates
        if each.last > said and _UNTIL.search(insight.text[: each.start])
    ]
    return max(ends) if ends and max(ends) < at.date() else None


def _replaced(insight: Stated, reader: Reader, cited: Sequence[Message], later: Sequence[Message]) -> Score:
    for value in _mine(insight, reader, cited):
        if not value.ahead and insight.kind not in VALUED:
            continue
        done = _done(value) and insight.kind != "level"
        if not done:
            newer = [(each, its) for each in later if (its := [one for one in values(each, reader) if _kind(one) == _kind(value)])]
            each, its = newer[-1] if newer else (cited[-1], [])
            if other := next((one for one in its if not same(one.number, value.number)), None):
                return Score(value=NEW_VALUE, why=f"Message {each.message_id} says {other.number:g}: {each.text[:120]}")
        if not value.ahead and not (done and value.left) and (each := next((one for one in later if _left(one, reader)), None)):
            return Score(value=ENDED, why=f"Message {each.message_id} ends it: {each.text[:120]}")
    return Score(value=0.0)


def _done(value: Value) -> bool:
    """Tell whether a value is a price among the day's: a deal that was made, which no later one changes."""
    return value.unit == "price" and value.side == 0 and not value.ahead


def _left(message: Message, reader: Reader) -> bool:
    """Tell whether a message says that a position was sold or left."""
    return any(value.left for value in values(message, reader))


def _mine(insight: Stated, reader: Reader, cited: Sequence[Message]) -> list[Value]:
    """Give the insight's values as its messages state them."""
    said = [value for each in cited for value in values(each, reader)]
    numbers = about(insight, reader).values
    return [value for value in said if any(same(value.number, number) for number in numbers)]


def _kind(value: Value) -> tuple[Unit, int, bool]:
    return value.unit, 0 if value.ahead else value.side, value.ahead


def values(message: Message, reader: Reader) -> Sequence[Value]:
    """Give the numbers that a message states of the symbol it speaks of; questions state nothing."""
    found = reader.kept_values.get(message.message_id)
    if found is None:
        found = reader.kept_values[message.message_id] = list(_values(message, reader))
    return found


def _values(message: Message, reader: Reader) -> Iterator[Value]:
    said = message.created_at.date()
    meant = reader.meant(message)
    days = [day for back in range(DAYS) if meant and (day := reader.day(meant[0], said - timedelta(days=back)))]
    low, high = days[0][2:0:-1] if days else (0.0, 0.0)
    for start, stop in sentences(message.text):
        sentence = message.text[start:stop]
        if message.text[stop : stop + 1] == "?":
            continue
        reading = read(sentence, said)
        trade = sum(sign for pointer in pointers(sentence) for axis, _, sign in pointer.poles if axis == "trade")
        ahead = any(each.last > said and each.first > said or each.last.toordinal() - said.toordinal() > 7 for each in reading.dates)
        for number in reading.numbers:
            after = sentence[number.stop : number.stop + 10].lstrip(" -").lower()
            unit: Unit = "other"
            side = 0
            if after.startswith(("%", "percent", "per cent")):
                unit = "percent"
            elif low / 2 < number.value < high * 2 and not re.match(r"shares|days?\b|day|weeks?|sessions", after):
                unit = "price"
                side = 1 if number.value > high else -1 if number.value < low else 0
            paid = unit == "price" and any(day[2] <= number.value <= day[1] for day in days)
            left = paid and trade <= 0 and not ahead and bool(_DONE.search(sentence))
            yield Value(
                number=number.value, unit=unit, side=0 if left else side, ahead=ahead, trade=trade, left=left
            )


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text at sentence ends, semicolons and line breaks."""
    start = 0
    for match in _SENTENCE.finditer(text):
        if text[start : match.start()].strip():
            yield start, match.start()
        start = match.end()
    if text[start:].strip():
        yield start, len(text)


def _otherwise(insight: Stated, reader: Reader, cited: Sequence[Message], later: Sequence[Message]) -> Score:
    """Give how much the closest later message that states something else is like it."""
    one = about(insight, reader)
    best = Score(value=0.0)
    for each in later:
        value = _like(one, insight.text, each, reader)
        if value > best.value:
            best = Score(value=value, why=f"Message {each.message_id} speaks of it: {each.text[:120]}")
    return best


def _like(one: About, text: str, each: Message, reader: Reader) -> float:
    """Give the share of an insight's words that a message has, `SAME` of it if nothing there differs."""
    reading = reader.of(each)
    terms = {word.term for word in reading.words}
    total = sum(bits for _, _, bits in one.words)
    held = [bits for term, _, bits in one.words if term in terms]
    if len(held) < 2:
        return 0.0
    numbers = [number.value for number in reading.numbers]
    differs = bool(numbers) and bool(one.values) and not any(same(a, b) for a in one.values for b in numbers)
    changed = differs or _CHANGED.search(each.text) is not None
    return sum(held) / total * (1.0 if changed else SAME)

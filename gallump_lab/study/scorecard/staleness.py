"""Staleness: whether an insight is out of date at a moment."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from gallump_lab.memory.records import Message
from gallump_lab.study.scorecard.directions import pointers
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.reading import read, same, sentences
from gallump_lab.study.scorecard.records import Score, Stated
from gallump_lab.study.scorecard.redundancy import About, about

SAME = 0.5
"""What is left of likeness where nothing says that it changed."""
PAST = 0.9
"""A horizon that is over: nothing contradicts it, but it tells of a time that has come."""
NEW_VALUE, ENDED = 1.0, 0.95
"""A later message states another value of the same; or it ends what the value was for."""
QUOTED = 120
"""Characters of a message that are quoted as the reason."""
DAYS = 12
"""A deal is told of at most so many days later."""
_COUNTED = re.compile(r"shares?\b|days?\b|weeks?\b|months?\b|sessions?\b", re.IGNORECASE)
VALUED = frozenset({"level", "position"})
"""Kinds of insight whose value a later one replaces whatever its words; of other kinds only a forecast's."""
Unit = Literal["percent", "price", "other"]
_UNTIL = re.compile(r"\b(?:by|until|till|before|through|to)\s+(?:the\s+)?(?:end of\s+)?$", re.IGNORECASE)
_DONE = re.compile(
    r"\b(?:sold|out|gone|flat\w*|closed|exited|left|stopped|liquidated|reali[sz]ed|executed|done|zero)\b", re.IGNORECASE
)
"""Says of a deal that it is over."""
_CHANGED = re.compile(
    r"\b(?:now|no longer|any ?more|instead|new|chang\w+|revis\w+|updat\w+|stopped|rewr\w+|mov(?:ed|ing)|wrong|relax\w+"
    r"|loosen\w+|soften\w+|tighten\w+|drop\w+|used to)\b",
    re.IGNORECASE,
)
"""Says that something is not as it was."""


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

    Else the likeness of the closest later message: the share of the insight's words (with bits) that it has, if it
    differs in every number or says that something changed, and `SAME` of that if not. Without bars all prices are of
    one kind, so that a target may pass for a new stop.
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
    found.append(_otherwise(insight, reader, later))
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
        newest = next((each for each in reversed(later) if _of_kind(each, value, reader)), None)
        others = (
            [its for its in _of_kind(newest, value, reader) if not same(its.number, value.number)] if newest else []
        )
        if newest and others and not done:
            return Score(
                value=NEW_VALUE, why=f"Message {newest.message_id} says {others[0].number:g}: {newest.text[:QUOTED]}"
            )
        left = next((each for each in later if any(its.left for its in values(each, reader))), None)
        if left and not value.ahead and not (done and value.left):
            return Score(value=ENDED, why=f"Message {left.message_id} ends it: {left.text[:QUOTED]}")
    return Score(value=0.0)


def _done(value: Value) -> bool:
    """Tell whether a value is a price among the day's: a deal that was made, which no later one changes."""
    return value.unit == "price" and value.side == 0 and not value.ahead


def _mine(insight: Stated, reader: Reader, cited: Sequence[Message]) -> list[Value]:
    """Give the insight's values as its messages state them."""
    said = [value for each in cited for value in values(each, reader)]
    numbers = about(insight, reader).values
    return [value for value in said if any(same(value.number, number) for number in numbers)]


def _of_kind(message: Message, value: Value, reader: Reader) -> list[Value]:
    """Give a message's values of the same kind."""
    return [
        its
        for its in values(message, reader)
        if _kind(its) == _kind(value) and (value.unit != "other" or value.number / 2 <= its.number <= value.number * 2)
    ]


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
        ahead = any(each.first > said or (each.last - said).days > 7 for each in reading.dates)
        for number in reading.numbers:
            after = sentence[number.stop : number.stop + 10].lstrip(" -").lower()
            unit: Unit = "other"
            side = 0
            if after.startswith(("%", "percent", "per cent")):
                unit = "percent"
            elif low / 2 < number.value < high * 2 and not _COUNTED.match(after):
                unit = "price"
                side = 1 if number.value > high else -1 if number.value < low else 0
            paid = unit == "price" and any(day[2] <= number.value <= day[1] for day in days)
            left = paid and trade <= 0 and not ahead and bool(_DONE.search(sentence))
            yield Value(number=number.value, unit=unit, side=0 if left else side, ahead=ahead, trade=trade, left=left)


def _otherwise(insight: Stated, reader: Reader, later: Sequence[Message]) -> Score:
    """Give how much the closest later message that states something else is like it."""
    one = about(insight, reader)
    best = Score(value=0.0)
    for each in later:
        value = _like(one, each, reader)
        if value > best.value:
            best = Score(value=value, why=f"Message {each.message_id} speaks of it: {each.text[:QUOTED]}")
    return best


def _like(one: About, each: Message, reader: Reader) -> float:
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

"""Staleness: whether an insight is out of date at a moment."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from gallump_lab.memory.records import Message
from gallump_lab.study.scorecard.directions import DEAL, PLAN, pointers
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.reading import Amount, Number, Reading, read, same, sentences
from gallump_lab.study.scorecard.redundancy import About, about
from gallump_lab.study.scorecard.stated import Score, Stated

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


_DEALT = re.compile(
    r"\b(?:bought|sold|paid|filled|fill|got (?:in|out)|in at|out at|added|shorted|covered|closed|exited|entered|took"
    r"|taken|trimmed|reduced|lightened|booked|grabbed|own|hold|holds|holding)\b",
    re.IGNORECASE,
)
"""Says of what stands after it that it is the price or the size of a deal."""
_NOT_YET = re.compile(
    r"\b(?:if|when|once|unless|until|would|should|could|must|may|will|want|plan|going to)\b|['\u2019](?:ll|d)\b",
    re.IGNORECASE,
)
"""Says of a deal that it is not made."""
_PART = re.compile(
    r"\b(?:half|(?:a|one|two|the first) (?:thirds?|quarters?)|part of|some of|a few of|a piece of|most of|partly"
    r"|partial\w*|trim\w*|reduc\w+(?! to (?:zero|nothing|nil)\b)|lighten\w*|scal(?:ed|ing) out|some off"
    r"|[\d.]+ (?:out )?of|[\d.]+ ?(?:%|percent) of)\b",
    re.IGNORECASE,
)
"""Says of a sale that some is left."""
Role = Literal["stop", "target", "deal", "entry", ""]
_CALLED: Mapping[tuple[str, int], Role] = {(PLAN, 1): "target", (PLAN, -1): "stop", (DEAL, 1): "entry"}


@dataclass(frozen=True, kw_only=True)
class Value:
    """A number as a message states it, with what tells attributes apart that share a symbol and a speaker."""

    amount: Amount
    unit: Unit
    side: int
    """Of a price: 1 above the day's prices, -1 below them, 0 among them or where prices are unknown."""
    role: Role
    """What its clause calls it; nothing where it does not."""
    known: bool
    """Whether the prices of its day are known, so that looks tell something of it."""
    symbols: frozenset[str]
    """Those that its clause names, else its sentence, else those of which its message speaks."""
    ahead: bool
    """Whether its sentence names a time to come: a forecast."""
    left: bool
    """Whether its sentence says that a deal is over: at a price of the last `DAYS` days, where those are known."""


def staleness(insight: Stated, reader: Reader, at: datetime) -> Score:
    """Return how surely it is out of date at a moment, 0 to 1: the most of three signs. NaN if nothing is cited.

    `PAST`, if its horizon (`valid_until`, or the last time to come that it names) is over.

    `NEW_VALUE`, if a later message of the same speaker about the same symbol states another number of the same kind.
    Kinds are told apart by what their clauses call them (stop, target, entry, deal) and by what they look like in the
    market of their day: percent or price; below, above or among the day's prices; with a time to come or without. A
    number that is called nothing may be of any kind that looks the same; where prices are unknown, of none. The last
    such message counts. `ENDED`, if a later one sells all of what the number was for.

    Else the likeness of the closest later message that does not speak of another kind: the share of the insight's words
    (with bits) that it has, if it differs in every number or says that something changed, and `SAME` of that if not.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return Score(value=math.nan, why="It cites no message that is there.")
    last = cited[-1]
    if over := _over(insight, reader, last.created_at.date(), at):
        found = [Score(value=PAST, why=f"Its time was over on {over}.")]
    else:
        found = [Score(value=0.0)]
    later = reader.later(last, at)
    symbols = about(insight, reader).symbols
    mine = _mine(insight, reader, cited)
    if symbols:
        later = [each for each in later if not symbols.isdisjoint(reader.mentioned(each.text))]
        found.append(_replaced(insight, mine, later, reader))
    found.append(_otherwise(insight, mine, later, reader))
    return max(found, key=lambda score: score.value)


def _over(insight: Stated, reader: Reader, said: date, at: datetime) -> date | None:
    ends = [insight.valid_until.date()] if insight.valid_until else []
    ends = ends or [
        each.last
        for each in reader.stated(insight).dates
        if each.last > said and _UNTIL.search(insight.text[: each.start])
    ]
    return max(ends) if ends and max(ends) < at.date() else None


def _replaced(insight: Stated, mine: Sequence[Value], later: Sequence[Message], reader: Reader) -> Score:
    for value in mine:
        if not value.ahead and insight.kind not in VALUED:
            continue
        done = _done(value) and insight.kind != "level"
        newest = next((each for each in reversed(later) if _of_kind(each, value, reader)), None)
        others = (
            [its for its in _of_kind(newest, value, reader) if not same(its.amount, value.amount)] if newest else []
        )
        if newest and others and not done:
            return Score(
                value=NEW_VALUE,
                why=f"Message {newest.message_id} says {others[0].amount.value:g}: {newest.text[:QUOTED]}",
            )
        left = next((each for each in later if any(_ends(its, value) for its in values(each, reader))), None)
        if left and not value.ahead and not (done and value.left):
            return Score(value=ENDED, why=f"Message {left.message_id} ends it: {left.text[:QUOTED]}")
    return Score(value=0.0)


def _done(value: Value) -> bool:
    """Return whether a value is of a deal that was made, which no later one changes: called so, or among the prices."""
    among = value.unit == "price" and value.side == 0 and not value.ahead and not value.role
    return among or (value.role == "deal" and value.unit != "percent")


def _ends(its: Value, value: Value) -> bool:
    return its.left and not its.symbols.isdisjoint(value.symbols)


def _mine(insight: Stated, reader: Reader, cited: Sequence[Message]) -> list[Value]:
    """Return the insight's values as its messages state them."""
    said = [value for each in cited for value in values(each, reader)]
    numbers = about(insight, reader).values
    return [value for value in said if any(same(value.amount, each) for each in numbers)]


def _of_kind(message: Message, value: Value, reader: Reader) -> list[Value]:
    """Return a message's values of the same kind, which are of the same symbol and, but for prices, of like size."""
    return [
        its
        for its in values(message, reader)
        if not its.symbols.isdisjoint(value.symbols)
        and _alike(its, value)
        and (value.unit in {"percent", "price"} or value.amount.value / 2 <= its.amount.value <= value.amount.value * 2)
    ]


def _alike(one: Value, other: Value) -> bool:
    """Return whether two values are of a kind: called the same, or, where one is called nothing, looking the same."""
    if one.role and other.role:
        units = {one.unit, other.unit}
        return one.role == other.role and one.ahead == other.ahead and (len(units) == 1 or "percent" not in units)
    telling = (one.known and other.known) or one.unit == "percent" or one.ahead
    return telling and _look(one) == _look(other)


def _look(value: Value) -> tuple[Unit, int, bool]:
    return value.unit, 0 if value.ahead else value.side, value.ahead


def values(message: Message, reader: Reader) -> Sequence[Value]:
    """Return the numbers that a message states of the symbol it speaks of; questions state nothing."""
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
        over = not ahead and bool(_DONE.search(sentence)) and not _PART.search(sentence)
        sells = trade < 0 and bool(_DEALT.search(sentence)) and not _NOT_YET.search(sentence)
        named = reader.mentioned(sentence) or meant
        roles = _roles(reading)
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
            left = over and (paid and trade <= 0 if days else sells and roles[number] in {"deal", ""})
            clause = next((sentence[a:b] for a, b in reading.clauses if a <= number.start < b), "")
            yield Value(
                amount=number.amount,
                unit=unit,
                side=0 if left else side,
                role=roles[number],
                known=bool(days),
                symbols=frozenset(reader.mentioned(clause) or named),
                ahead=ahead,
                left=left,
            )


def _roles(reading: Reading) -> Mapping[Number, Role]:
    """Return what each number is called in its clause: by the nearest word before it, first of those not used yet.

    Where none stands before it, by the first one after it.
    """
    found: dict[Number, Role] = dict.fromkeys(reading.numbers, "")
    for start, stop in reading.clauses:
        clause = reading.text[start:stop]
        made = set() if _NOT_YET.search(clause) else {each.start() for each in _DEALT.finditer(clause)}
        words: list[tuple[int, Role]] = [(start + each, "deal") for each in made]
        words += [
            (start + each.start, _CALLED[pair, sign])
            for each in pointers(clause)
            for _, pair, sign in each.poles
            if (pair, sign) in _CALLED and each.start not in made
        ]
        used: set[int] = set()
        for number in reading.numbers:
            if words and start <= number.start < stop:
                before = [each for each in words if each[0] < number.start]
                place, found[number] = (
                    max(before, key=lambda each: (each[0] not in used, each[0])) if before else min(words)
                )
                used.add(place)
    return found


def _otherwise(insight: Stated, mine: Sequence[Value], later: Sequence[Message], reader: Reader) -> Score:
    """Return how much the closest later message that states something else is like it."""
    one = about(insight, reader)
    called = {value.role for value in mine} - {""}
    best = Score(value=0.0)
    for each in later:
        if called and called.isdisjoint(roles := {value.role for value in values(each, reader)}) and roles - {""}:
            continue
        value = _like(one, each, reader)
        if value > best.value:
            best = Score(value=value, why=f"Message {each.message_id} speaks of it: {each.text[:QUOTED]}")
    return best


def _like(one: About, each: Message, reader: Reader) -> float:
    """Return the share of an insight's words that a message has, `SAME` of it if nothing there differs."""
    reading = reader.of(each)
    terms = {word.term for word in reading.words}
    total = sum(bits for _, _, bits in one.words)
    held = [bits for term, _, bits in one.words if term in terms]
    if len(held) < 2:
        return 0.0
    numbers = [number.amount for number in reading.numbers]
    differs = bool(numbers) and bool(one.values) and not any(same(a, b) for a in one.values for b in numbers)
    changed = differs or _CHANGED.search(each.text) is not None
    return sum(held) / total * (1.0 if changed else SAME)

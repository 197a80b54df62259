"""Staleness: whether an insight is out of date at a moment.

That a newer insight took its place is the ledger's to say: it then ends on that day. What later messages say was mostly
never distilled, so here it is measured how far the talk has moved on.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from gallump_lab.memory.records import Message
from gallump_lab.study.scorecard.prose import Amount, read, same, sentences
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.redundancy import SUSPECTED, Compared, about
from gallump_lab.study.scorecard.stated import Score, Stated

NEW_VALUE, ENDED, PAST = 1.0, 0.95, 0.9
"""A later message states another value of the same; it ends what the value was for; a horizon is over."""
SAME = 0.5
"""What is left of likeness where nothing says that it changed."""
QUOTED = 120
"""Characters of a message that are quoted as the reason."""
NEAR = 0.05
"""A deal that is over was made so near the day's prices, as a share of them."""
_COUNTED = re.compile(r"(?:shares?|days?|weeks?|months?|sessions?)\b", re.IGNORECASE)
_UNTIL = re.compile(r"\b(?:by|until|till|before|through|to)\s+(?:the\s+)?(?:end of\s+)?$", re.IGNORECASE)
_SOLD = re.compile(
    r"\b(?:sold|out|gone|flat\w*|closed|exited|left|stopped|liquidated|reali[sz]ed|executed|done)\b", re.IGNORECASE
)
"""Says of a deal that it is over."""
_PARTLY = re.compile(
    r"\b(?:half|thirds?|quarters?|part|some|few|piece|most|trim\w*|reduc\w+|lighten\w*|if|when|once|unless|until|would"
    r"|should|will|plan|want)\b|%",
    re.IGNORECASE,
)
"""Says of a sale that some is left, or that it is not made."""
_ROLE = re.compile(
    r"\b(?:(?P<deal>bought|sold|paid|fill(?:ed)?|got (?:in|out)|in at|out at|added|shorted|covered|closed|exited"
    r"|entered|took|taken|trimmed|reduced|booked|grabbed|own|hold(?:s|ing)?)"
    r"|(?P<entry>buy(?:s|ing|er)?|purchase|acquire|accumulate)"
    r"|(?P<target>targets?|objective|goal|profits?)|(?P<stop>stop(?:s|ped|ping)?|floor|invalidation|bail))\b",
    re.IGNORECASE,
)
"""Says of a number beside it that it is the price or the size of a deal, or the level of a plan."""


def staleness(insight: Stated, reader: Reader, at: datetime) -> Score:
    """Return how surely it is out of date at a moment, 0 to 1. NaN if nothing is cited.

    `PAST`, if its time is over: its own end or its successor's beginning (`valid_until`), or the last time to come that
    it names.

    `NEW_VALUE`, if a later message of the same speaker about the same symbol states another number of the same kind:
    called the same (stop, target, entry, deal), or, where one is called nothing, of the same look in the market of its
    day: percent or price; below, above or among the day's prices; with a time to come or without. The newest such
    message counts. `ENDED`, if a later one sells all of what the number was for.

    Else the likeness of the closest later message, times `SUSPECTED`: the share of the insight's words (with bits) that
    it has, if it differs in every number, and `SAME` of that if not.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return Score(value=math.nan, why="It cites no message that is there.")
    if over := _over(insight, reader, cited[-1].created_at.date(), at):
        return Score(value=PAST, why=f"Its time was over on {over}.")
    one, later = about(insight, reader), reader.later(cited[-1], at)
    symbols, _ = one.subject
    if symbols:
        later = [each for each in later if not symbols.isdisjoint(reader.mentioned(each.text))]
        said = [value for each in cited for value in values(each, reader) if value.may_change(insight)]
        mine = [value for value in said if any(same(value.amount, each) for each in one.numbers)]
        if found := next(filter(None, (_replaced(value, later, reader) for value in mine)), None):
            return found
    return Score(value=SUSPECTED * max((_like(one, each, reader) for each in later), default=0.0))


def _over(insight: Stated, reader: Reader, said: date, at: datetime) -> date | None:
    """Return when its time was over, if it was."""
    ahead = (each for each in reader.stated(insight).dates if each.last > said)
    ends = [each.last for each in ahead if _UNTIL.search(insight.text[: each.start])]
    end = insight.valid_until.date() if insight.valid_until else max(ends, default=None)
    return end if end and end < at.date() else None


def _replaced(value: "Value", later: Sequence[Message], reader: Reader) -> Score | None:
    """Return what the newest message with a value of its kind makes of it, or the first that ends it."""
    for message in reversed(later):
        its = [each for each in values(message, reader) if value.alike(each)]
        if others := [each for each in its if not same(each.amount, value.amount)]:
            why = f"Message {message.message_id} says {others[0].amount.value:g}: {message.text[:QUOTED]}"
            return Score(value=NEW_VALUE, why=why)
        if its:
            break
    for message in later:
        if not value.ahead and any(each.left and each.symbols & value.symbols for each in values(message, reader)):
            return Score(value=ENDED, why=f"Message {message.message_id} ends it: {message.text[:QUOTED]}")
    return None


@dataclass(frozen=True, kw_only=True)
class Value:
    """A number as a message states it, with what tells attributes apart that share a symbol and a speaker."""

    amount: Amount
    unit: Literal["percent", "price", "other"]
    side: int
    """Of a price: 1 above the day's prices, -1 below them, 0 among them or where prices are unknown."""
    ahead: bool
    """Whether its sentence names a time to come: a forecast."""
    role: str
    """What its clause calls it: a deal, entry, target or stop; empty where it does not."""
    known: bool
    """Whether the prices of its day are known, so that looks tell something of it."""
    symbols: frozenset[str]
    """Those that its clause names, else its sentence, else those of which its message speaks."""
    left: bool
    """Whether its sentence says that a deal near the day's prices is over."""

    def may_change(self, insight: Stated) -> bool:
        """Return whether a later value could take its place: not that of a deal that was made."""
        deal = self.role == "deal" and self.unit != "percent"
        among = self.unit == "price" and self.known and not (self.side or self.role or self.ahead)
        return (self.ahead or insight.kind in {"level", "position"}) and not deal and not among

    def alike(self, other: "Value") -> bool:
        """Return whether two values are of a kind: called the same, or looking the same where one is called nothing."""
        size = self.amount.value / 2 <= other.amount.value <= self.amount.value * 2
        if self.symbols.isdisjoint(other.symbols) or (self.unit == "other" and not size):
            return False
        if self.role and other.role:
            percent = (self.unit == "percent") == (other.unit == "percent")
            return self.role == other.role and self.ahead == other.ahead and percent
        telling = (self.known and other.known) or self.unit == "percent" or self.ahead
        looks = ((each.unit, 0 if each.ahead else each.side, each.ahead) for each in (self, other))
        return telling and next(looks) == next(looks)


def values(message: Message, reader: Reader) -> Sequence[Value]:
    """Return the numbers that a message states of the symbol it speaks of, once; questions state nothing."""
    if message.message_id not in reader.kept_values:
        reader.kept_values[message.message_id] = [*_values(message, reader)]
    found: Sequence[Value] = reader.kept_values[message.message_id]
    return found


def _values(message: Message, reader: Reader) -> Iterator[Value]:
    said, meant = message.created_at.date(), reader.meant(message)
    day = reader.day(meant[0], said) if meant else None
    low, high = (day[2], day[1]) if day else (0.0, 0.0)
    for start, stop in sentences(message.text):
        sentence = message.text[start:stop]
        if message.text[stop : stop + 1] == "?":
            continue
        reading = read(sentence, said)
        ahead = any(each.first > said or (each.last - said).days > 7 for each in reading.dates)
        sold = not ahead and bool(_SOLD.search(sentence)) and not _PARTLY.search(sentence)
        for number in reading.numbers:
            counted = _COUNTED.match(sentence[number.stop :].lstrip(" -"))
            price = low / 2 < number.value < high * 2 and not counted
            near = price and low * (1 - NEAR) <= number.value <= high * (1 + NEAR)
            begin, end = next(((a, b) for a, b in reading.clauses if a <= number.start < b), (0, 0))
            clause = sentence[begin:end]
            role = _role(clause, number.start - begin)
            left = sold and (near if day else role in {"deal", ""} and not counted)
            yield Value(
                amount=number,
                unit="percent" if number.share is not None else "price" if price else "other",
                side=0 if left or not price else (number.value > high) - (number.value < low),
                ahead=ahead,
                role=role,
                known=day is not None,
                symbols=frozenset(reader.mentioned(clause) or reader.mentioned(sentence) or meant),
                left=left,
            )


def _role(clause: str, place: int) -> str:
    """Return what a number at a place of its clause is called: by the nearest word before it, else the first after."""
    found = [*_ROLE.finditer(clause)]
    before = [each for each in found if each.start() < place]
    word = before[-1] if before else found[0] if found else None
    return (word.lastgroup or "") if word else ""


def _like(one: Compared, message: Message, reader: Reader) -> float:
    """Return the share of an insight's words that a message has, `SAME` of it if nothing there differs."""
    reading = reader.of(message)
    terms = {word.term for word in reading.words}
    held = [bits for term, _, bits in one.words if term in terms]
    if len(held) < 2:
        return 0.0
    both = reading.numbers and one.numbers
    differs = both and not any(same(a, b) for a in one.numbers for b in reading.numbers)
    return sum(held) / sum(bits for _, _, bits in one.words) * (1.0 if differs else SAME)

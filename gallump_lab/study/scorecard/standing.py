"""Whether an insight still stands: another says it already or the contrary, or the talk has moved on.

Whether one insight repeats, replaces or contradicts another is decided by `memory.relation`, as for the ledger and the
prompt. What that calls neither is still ranked, below every verdict, by how near it comes: a model may have said the
same in other words. And what later messages say was mostly never distilled, so staleness looks at them.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from gallump_lab.lazy import any_of, regex
from gallump_lab.memory.records import Message
from gallump_lab.memory.relation import TOGETHER, relation
from gallump_lab.study.scorecard.history import Score, Stated
from gallump_lab.study.scorecard.reader import Amount, Reader, bare, read, sentences
from gallump_lab.study.scorecard.support import UNCITED, opposed

SUSPECTED = 0.49
"""What likeness alone gives at most."""
NEW_VALUE, ENDED, PAST = 1.0, 0.95, 0.9
"""A later message states another value of the same; it ends what the value was for; a horizon is over."""
SAME = 0.5
"""What is left of likeness where nothing says that it changed."""
QUOTED = 120
"""Characters of a message that are quoted as the reason."""
NEAR = 0.05
"""A deal that is over was made so near the day's prices, as a share of them."""
_COUNTED = regex(r"(?:shares?|days?|weeks?|months?|sessions?)\b", re.IGNORECASE)
_UNTIL = regex(r"\b(?:by|until|till|before|through|to)\s+(?:the\s+)?(?:end of\s+)?$", re.IGNORECASE)
_SOLD = any_of(r"sold|out|gone|flat\w*|closed|exited|left|stopped|liquidated|reali[sz]ed|executed|done")
"""Says of a deal that it is over."""
_PARTLY = regex(r"\b(?:half|some|part|trim\w*|if|when|unless|would|should|will|plan|want)\b|%", re.IGNORECASE)
"""Says of a sale that some is left, or that it is not made."""
_ROLE = any_of(
    r"(?P<deal>bought|sold|paid|filled|added|shorted|covered|closed|exited|trimmed|own|hold)",
    r"(?P<entry>buy)|(?P<target>targets?)|(?P<stop>stop)",
)
"""Says of a number beside it that it is the price or the size of a deal, or the level of a plan."""


def redundancy(insight: Stated, others: Sequence[Stated], reader: Reader) -> Score:
    """Return how surely another insight says it already: 1 where it says no more, else a share of its words.

    That is the greatest share of its words, by their bits, that another about the same symbol and person has, times
    `SUSPECTED`; 0 if it has a number that the other has not. A price of its day counts as no number, since it can be
    looked up. NaN if there is no other insight. Novelty is 1 minus it.
    """
    return _most(insight, others, reader, "same", "says it")


def contradiction(insight: Stated, others: Sequence[Stated], reader: Reader) -> Score:
    """Return how surely another insight states the opposite at the same time: 1 where both cannot be true.

    Else the share of words that both have, times `SUSPECTED`, if they are of the same symbol and person, of one day,
    and differ in a number or a word's opposite. NaN if there is no other insight.
    """
    return _most(insight, others, reader, "contradicts", "says otherwise")


def repeated(insights: Sequence[Stated]) -> Score:
    """Return the share of insights that say no more than an earlier one; NaN if there are fewer than two."""
    ordered = sorted(insights, key=lambda each: (each.valid_from, each.insight_id))
    if len(ordered) < 2:
        return Score(value=math.nan, why="There are fewer than two insights.")
    again = [
        each for place, each in enumerate(ordered) if any(relation(other, each) == "same" for other in ordered[:place])
    ]
    ids = ", ".join(str(each.insight_id) for each in again)
    return Score(value=len(again) / len(ordered), why=f"Said before: {ids}." if again else "")


def _most(insight: Stated, others: Sequence[Stated], reader: Reader, kind: str, says: str) -> Score:
    near = _near_same if kind == "same" else _near_contrary
    found = []
    for each in others:
        if each.insight_id != insight.insight_id:
            decided = relation(each, insight) == kind or (kind == "contradicts" and relation(insight, each) == kind)
            value = 1.0 if decided else SUSPECTED * near(_about(insight, reader), _about(each, reader))
            found.append((value, -each.insight_id, each.text))
    if not found:
        return Score(value=math.nan, why="There is no other insight.")
    value, negative_id, text = max(found)
    return Score(value=value, why=f"Insight {-negative_id} {says}: {text}" if value == 1 else "")


@dataclass(frozen=True, kw_only=True)
class _About:
    """What an insight speaks of, made ready to be compared."""

    insight: Stated
    subject: tuple[frozenset[str], frozenset[str]]
    """Its symbols, and the person it is of."""
    numbers: Sequence[Amount]
    """Without prices of its day, unless it has no other."""
    words: dict[str, float]
    """The bits of its other terms."""


def _about(insight: Stated, reader: Reader) -> _About:
    """Make an insight ready to be compared, once."""
    if insight not in reader.kept:
        stated, cited = reader.stated(insight), reader.history.cited(insight)
        days = [each.created_at.date() for each in cited] or [insight.valid_from.date()]
        symbols = frozenset(reader.symbols(insight))
        named = {bare(name) for name in reader.names(stated)}
        of = [bare(name) for name in (insight.speaker, *(each.speaker for each in cited)) if name]
        people = (named & reader.speakers) or {*of[:1]}
        words = [word for word in stated.words if bare(word.text) not in named | people]
        reader.kept[insight] = _About(
            insight=insight,
            subject=(symbols, frozenset(people)),
            numbers=[each for each in stated.numbers if not reader.paid(each, symbols, days)] or stated.numbers,
            words={word.term: reader.bits(word.term) for word in words},
        )
    found: _About = reader.kept[insight]
    return found


def _near_same(one: _About, two: _About) -> float:
    if one.subject != two.subject or not all(number.same(two.numbers) for number in one.numbers):
        return 0.0
    return _shared(one.words, two.words)


def _near_contrary(one: _About, two: _About) -> float:
    if one.subject != two.subject or abs(one.insight.valid_from - two.insight.valid_from) > TOGETHER:
        return 0.0
    mine = [each for each in one.numbers if not each.same(two.numbers)]
    its = [each for each in two.numbers if not each.same(one.numbers)]
    if not opposed(one.insight.text, two.insight.text) and not (mine and len(mine) == len(its)):
        return 0.0
    return min(_shared(one.words, two.words), _shared(two.words, one.words))


def _shared(words: dict[str, float], others: dict[str, float]) -> float:
    """Return the share of words, by their bits, that others have; 1 if there are none."""
    total = sum(words.values())
    return sum(bits for term, bits in words.items() if term in others) / total if total else 1.0


def staleness(insight: Stated, reader: Reader, at: datetime) -> Score:
    """Return how surely it is out of date at a moment, 0 to 1. NaN if nothing is cited.

    `PAST`, if its time is over: its own end or its successor's beginning (`valid_until`), or the last time to come that
    it names.

    `NEW_VALUE`, if a later message of the same speaker about the same symbol states another number of the same kind:
    called the same (stop, target, entry), or, where one is called nothing, of the same look in the market of its day:
    percent or price; below, above or among the day's prices; with a time to come or without. The newest such message
    counts. `ENDED`, if a later one sells all of what the number was for.

    Else the likeness of the closest later message, times `SUSPECTED`: the share of the insight's words (with bits) that
    it has, if it differs in every number, and `SAME` of that if not.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return UNCITED
    if over := _over(insight, reader, cited[-1].created_at.date(), at):
        return Score(value=PAST, why=f"Its time was over on {over}.")
    one, later = _about(insight, reader), reader.later(cited[-1], at)
    symbols, _ = one.subject
    if symbols:
        later = [each for each in later if not symbols.isdisjoint(reader.mentioned(each.text))]
        said = [value for each in cited for value in _values(each, reader) if value.may_change(insight)]
        mine = [value for value in said if value.amount.same(one.numbers)]
        if found := next(filter(None, (_replaced(value, later, reader) for value in mine)), None):
            return found
    return Score(value=SUSPECTED * max((_like(one, each, reader) for each in later), default=0.0))


def _over(insight: Stated, reader: Reader, said: date, at: datetime) -> date | None:
    """Return when its time was over, if it was."""
    ahead = (each for each in reader.stated(insight).dates if each.last > said)
    ends = [each.last for each in ahead if _UNTIL.search(insight.text[: each.start])]
    end = insight.valid_until.date() if insight.valid_until else max(ends, default=None)
    return end if end and end < at.date() else None


def _replaced(value: "_Value", later: Sequence[Message], reader: Reader) -> Score | None:
    """Return what the newest message with a value of its kind makes of it, or the first that ends it."""
    for message in reversed(later):
        if its := [each for each in _values(message, reader) if value.alike(each)]:
            if others := [each for each in its if not each.amount.same([value.amount])]:
                why = f"Message {message.message_id} says {others[0].amount.value:g}: {message.text[:QUOTED]}"
                return Score(value=NEW_VALUE, why=why)
            break
    for message in later:
        if not value.ahead and any(each.left and each.symbols & value.symbols for each in _values(message, reader)):
            return Score(value=ENDED, why=f"Message {message.message_id} ends it: {message.text[:QUOTED]}")
    return None


@dataclass(frozen=True, kw_only=True)
class _Value:
    """A number as a message states it, with what tells attributes apart that share a symbol and a speaker."""

    amount: Amount
    unit: Literal["percent", "price", "other"]
    """A price is near those of its day; where they are unknown it is another number."""
    side: int
    """Of a price: 1 above the day's prices, -1 below them, 0 among them."""
    ahead: bool
    """Whether its sentence names a time to come: a forecast."""
    role: str
    """What its clause calls it: a deal, entry, target or stop; empty where it does not."""
    symbols: frozenset[str]
    """Those that its clause names, else its sentence, else those of which its message speaks."""
    left: bool
    """Whether its sentence says that a deal near the day's prices is over."""

    def may_change(self, insight: Stated) -> bool:
        """Return whether a later value could take its place: not a made deal's, nor that of a price of its day."""
        deal = self.role == "deal" and self.unit != "percent"
        quoted = self.unit == "price" and not (self.side or self.role)
        return self.ahead or (insight.kind in {"level", "position"} and not deal and not quoted)

    def alike(self, other: "_Value") -> bool:
        """Return whether two values are of a kind: called the same, or looking the same where one is called nothing."""
        size = self.amount.value / 2 <= other.amount.value <= self.amount.value * 2
        if self.symbols.isdisjoint(other.symbols) or (self.unit, self.ahead) != (other.unit, other.ahead):
            return False
        if self.unit == "other" and not (self.role and other.role and size):
            return False
        if self.role and other.role:
            return self.role == other.role
        return self.unit == "percent" or self.ahead or self.side == other.side


def _values(message: Message, reader: Reader) -> Sequence[_Value]:
    """Return the numbers that a message states of the symbol it speaks of, once; questions state nothing."""
    if message.message_id not in reader.kept:
        reader.kept[message.message_id] = [*_read_values(message, reader)]
    found: Sequence[_Value] = reader.kept[message.message_id]
    return found


def _read_values(message: Message, reader: Reader) -> Iterator[_Value]:
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
            if _COUNTED.match(sentence[number.stop :].lstrip(" -")):
                continue
            price = low / 2 < number.value < high * 2
            near = price and low * (1 - NEAR) <= number.value <= high * (1 + NEAR)
            begin, end = next(((a, b) for a, b in reading.clauses if a <= number.start < b), (0, 0))
            clause = sentence[begin:end]
            role = _role(clause, number.start - begin)
            left = sold and (near if day else role in {"deal", ""})
            yield _Value(
                amount=number,
                unit="percent" if number.share is not None else "price" if price else "other",
                side=0 if left or not price else (number.value > high) - (number.value < low),
                ahead=ahead,
                role=role,
                symbols=frozenset(reader.mentioned(clause) or reader.mentioned(sentence) or meant),
                left=left,
            )


def _role(clause: str, place: int) -> str:
    """Return what a number at a place of its clause is called: by the nearest word before it, else the first after."""
    found = [*_ROLE.finditer(clause)]
    before = [each for each in found if each.start() < place]
    word = before[-1] if before else found[0] if found else None
    return (word.lastgroup or "") if word else ""


def _like(one: _About, message: Message, reader: Reader) -> float:
    """Return the share of an insight's words that a message has, `SAME` of it if nothing there differs."""
    reading = reader.of(message)
    terms = {word.term for word in reading.words}
    held = [bits for term, bits in one.words.items() if term in terms]
    if len(held) < 2:
        return 0.0
    both = reading.numbers and one.numbers
    differs = both and not any(each.same(reading.numbers) for each in one.numbers)
    return sum(held) / sum(one.words.values()) * (1.0 if differs else SAME)

"""The metrics of one insight, what it tells for its tokens among them; and how much of a session insights carry."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gallump_lab import tokens
from gallump_lab.memory.records import Message
from gallump_lab.memory.statements import statements
from gallump_lab.reading.dates import Named
from gallump_lab.study.scorecard import support
from gallump_lab.study.scorecard.history import Score, Stated
from gallump_lab.study.scorecard.reader import Amount, Reader, Reading, Word, bare, read
from gallump_lab.study.scorecard.standing import contradiction, redundancy, staleness

SPAN = 365 * 30
"""A date is one of so many days."""
LINE = 3
"""Tokens that any statement costs in a prompt beside its own: short ones are not rewarded for being short."""
ENOUGH = 12.0
"""Bits from which a statement tells something: about a price and a word, or four telling words."""
MOST = 0.4
"""An insight carries a statement if it has so much of its bits."""


def specificity(insight: Stated, reader: Reader) -> Score:
    """Return the bits that it tells per cl100k token, `LINE` added; more than 1 is possible. NaN if it has no token.

    Bits are self-information: of a word by its rarity and its vector (`Reader.told`, each word once, names of speakers
    aside), of a number by its significant digits, of a date by how few of thirty years' days it leaves.
    """
    count = tokens.count(insight.text)
    if not count:
        return Score(value=math.nan, why="It is empty.")
    stated = reader.stated(insight)
    words = {word.term: reader.told(word) for word in stated.words if bare(word.text) not in reader.speakers}
    told = sum(words.values()) + sum(map(digits, stated.numbers)) + sum(map(days, stated.dates))
    lacks = [name for name, found in (("number", stated.numbers), ("date", stated.dates)) if not found]
    return Score(value=told / (count + LINE), why=f"It names no {' and no '.join(lacks)}." if lacks else "")


def digits(number: Amount) -> float:
    """Return what a number tells: the bits of its significant digits."""
    figures = f"{number.value:.6g}".replace(".", "").strip("0")
    return math.log2(10) * max(len(figures), 1)


def days(named: Named) -> float:
    """Return what a date tells: the bits of how few of `SPAN` days it leaves."""
    return math.log2(SPAN / ((named.last - named.first).days + 1))


@dataclass(frozen=True, kw_only=True)
class Salient:
    """A statement that is worth remembering."""

    message: Message
    text: str
    bits: float


def coverage(messages: Sequence[Message], insights: Sequence[Stated], reader: Reader) -> Score:
    """Return the share of a session's salient statements that an insight carries; NaN if it has none.

    An insight carries a statement (`salient`) if it cites its message and has at least `MOST` of its bits: of its
    numbers, dates, symbols and words.
    """
    stated = salient(messages, reader)
    if not stated:
        return Score(value=math.nan, why="The session has no salient statement.")
    missed = [each for each in stated if not any(carries(insight, each, reader) for insight in insights)]
    quoted = "; ".join(each.text for each in missed[:3])
    return Score(
        value=1 - len(missed) / len(stated), why=f"{len(missed)} of {len(stated)} missed: {quoted}" if missed else ""
    )


def salient(messages: Sequence[Message], reader: Reader) -> list[Salient]:
    """Return the statements that an analyst would want to remember: of people, not of the assistant, who has no name.

    What a message states is read as distilling reads it (`memory.statements`): no questions, requests or greetings. It
    must tell `ENOUGH` bits by its numbers, dates and words (`Reader.told`).
    """
    found = []
    for message in messages:
        if message.role == "user" or message.speaker is not None:
            for each in statements(message.text):
                bits = sum(bits for _, bits in _parts(read(each.text, message.created_at.date()), reader))
                if bits >= ENOUGH:
                    found.append(Salient(message=message, text=each.text, bits=bits))
    return found


def carries(insight: Stated, each: Salient, reader: Reader) -> bool:
    """Return whether an insight carries a statement: it cites its message and has `MOST` of its bits."""
    if each.message.message_id not in insight.sources:
        return False
    stated, symbols = reader.stated(insight), {*reader.symbols(insight)}
    terms = {word.term for word in stated.words}
    held = 0.0
    for part, bits in _parts(read(each.text, each.message.created_at.date()), reader):
        if isinstance(part, Amount):
            there = part.same(stated.numbers)
        elif isinstance(part, Word):
            there = part.term in terms or not symbols.isdisjoint(reader.mentioned(part.text))
        else:
            there = any(other.first <= part.last and part.first <= other.last for other in stated.dates)
        held += bits * there
    return held >= MOST * each.bits


def _parts(reading: Reading, reader: Reader) -> list[tuple[Amount | Word | Named, float]]:
    """Return what a text consists of, each word once, with the bits that it tells."""
    words = {word.term: word for word in reading.words}.values()
    return [
        *((word, reader.told(word)) for word in words),
        *((number, digits(number)) for number in reading.numbers),
        *((date, days(date)) for date in reading.dates),
    ]


Judge = Callable[[Stated, Sequence[Stated], Reader, datetime], Score]
"""Scores an insight beside the others that stand, by what its history teaches, as of a moment."""
METRICS: Mapping[str, tuple[Judge, int]] = {
    **{
        name: (lambda one, _others, reader, _at, part=part: part(one, reader), 1)  # type: ignore[misc]
        for name, part in {"support": support.support, **support.PARTS}.items()
    },
    "redundancy": (lambda one, others, reader, _at: redundancy(one, others, reader), -1),
    "specificity": (lambda one, _others, reader, _at: specificity(one, reader), 1),
    "contradiction": (lambda one, others, reader, _at: contradiction(one, others, reader), -1),
    "staleness": (lambda one, _others, reader, at: staleness(one, reader, at), -1),
}
"""The metrics that need no questions and no bars, by name, each with 1 if more is better, -1 if less is."""

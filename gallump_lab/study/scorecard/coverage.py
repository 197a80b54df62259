"""What an insight tells for its tokens, and how much of what an analyst would want to remember insights carry."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gallump_lab import tokens
from gallump_lab.memory.records import Message
from gallump_lab.memory.text import statement
from gallump_lab.reading.dates import Named
from gallump_lab.study.scorecard.prose import Amount, Reading, bare, read, same, sentences
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.stated import Score, Stated

SPAN = 365 * 30
"""A date is one of so many days."""
LINE = 3
"""Tokens that any statement costs in a prompt beside its own: short ones are not rewarded for being short."""
ENOUGH = 10.0
"""Bits from which a statement tells something: about a price and a word, or four telling words."""
OFTEN = 3
"""What is said word for word so often in a history is a manner of speaking."""
MOST = 0.4
"""An insight carries a statement if it has so much of its bits."""
_REQUEST = re.compile(
    r"(?:and |so |now |then |please |also )*(?:show|tell|give|compare|check|quantify|explain|list|remind|help|translate"
    r"|do|run|look|walk|make|put|can|could|would|will|what|how|why|where|when|who|which|is|are|does|did|any|take)\b"
    r"|.*\bplease\b",
    re.IGNORECASE,
)
_OWN = re.compile(r"\b(?:i|i['\u2019]\w+|me|my|mine|we|we['\u2019]\w+|us|our|ours)\b", re.IGNORECASE)
_RULE = re.compile(
    r"\b(?:never|always|only|must|rule|limit|unless|no more|at most|at least|because|since|so that|therefore|lesson"
    r"|learnt|learned|mistake|wrong|taught|if|when|forecast|expect\w*|plan\w*|prefer\w*)\b",
    re.IGNORECASE,
)


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
    numbers, dates, symbols and words, in the same or in like words.
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
    """Return the statements that an analyst would want to remember: what people say of themselves that tells something.

    A sentence of an analyst (not of the assistant, who has no name) that is no question, no request and no manner of
    speaking (`OFTEN`), tells `ENOUGH` bits (numbers, dates, words by `Reader.told`), and either has a number, or speaks
    of the analyst's own, or gives a rule, a reason or a lesson.
    """
    found = []
    for message in messages:
        if message.role != "user" and message.speaker is None:
            continue
        for start, stop in sentences(message.text):
            text = message.text[start:stop].strip()
            if message.text[stop : stop + 1] == "?" or _REQUEST.match(text) or reader.said(statement(text)) >= OFTEN:
                continue
            reading = read(text, message.created_at.date())
            bits = sum(_parts(reading, reader).values())
            if bits >= ENOUGH and (reading.numbers or _OWN.search(text) or _RULE.search(text)):
                found.append(Salient(message=message, text=text, bits=bits))
    return found


def carries(insight: Stated, each: Salient, reader: Reader) -> bool:
    """Return whether an insight carries a statement: it cites its message and has `MOST` of its bits."""
    if each.message.message_id not in insight.sources:
        return False
    reading = read(each.text, each.message.created_at.date())
    stated = reader.stated(insight)
    terms = {word.term for word in stated.words}
    symbols = {*reader.symbols(insight)}
    others = [word.text.lower() for word in stated.words]
    held = 0.0
    for part, bits in _parts(reading, reader).items():
        kind, value = part
        if kind == "number":
            held += bits * any(same(value, other) for other in stated.numbers)
        elif kind == "date":
            held += bits * any(other.first <= value[1] and value[0] <= other.last for other in stated.dates)
        elif value[0] in terms or not symbols.isdisjoint(reader.mentioned(value[1])):
            held += bits
        else:
            held += bits * float(reader.likeness([value[1]], others).max(initial=0))
    return held >= MOST * each.bits


def _parts(reading: Reading, reader: Reader) -> dict[tuple[str, Any], float]:
    words = {("word", (word.term, word.text.lower())): reader.told(word) for word in reading.words}
    numbers = {("number", number): digits(number) for number in reading.numbers}
    return words | numbers | {("date", (each.first, each.last)): days(each) for each in reading.dates}

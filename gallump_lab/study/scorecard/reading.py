"""What a statement says, taken apart: numbers, dates, words and clauses, each with its place in the text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from gallump_lab.memory.text import plain, terms
from gallump_lab.reading.dates import Named, times
from gallump_lab.reading.periods import WORDS

_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "k": 1e3, "m": 1e6, "bn": 1e9}
_UNITS = "|".join(WORDS)
_SCALE = r"(?:\s?(?P<scale>k|m|bn|thousand|million|billion)(?![^\W_]))?"
_DIGITS = re.compile(
    r"(?<![\w.,])(?:(?:[a-z]{1,3})?[$\u20ac\u00a3]\s?)?(?P<digits>\d[\d,]*(?:\.\d+)?|\.\d+)(?:st|nd|rd|th)?" + _SCALE,
    re.IGNORECASE,
)
_SPELT = re.compile(
    rf"\b(?P<first>{_UNITS})(?:[- ](?P<second>{'|'.join(list(WORDS)[:9])}))?(?P<half> and a half)?"
    rf"(?:[- ](?P<scale>hundred|thousand|million|billion))?\b",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[\s-]?(?:%|per ?cent\b|percentage\b|pct\b|(?P<points>bps?\b|basis points?\b))", re.IGNORECASE)
_CLAUSE = re.compile(
    r"[.!?;:()\n]+(?=\s|$)|[,\u2013\u2014](?=\s)|\s[-(]|\s(?=(?:and|but|because|so|since|while|which|who|although|if|or"
    r"|unless|until)\s)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?;\n]+(?=\s|$)")
_WORD = re.compile(r"[^\W\d_]+(?:[&.\u2019'-][^\W\d_]+)*")


class Amount(NamedTuple):
    """What a number says."""

    value: float
    """As it is written: 62 of "62 percent"."""
    share: float | None = None
    """As a fraction, where a percent sign or basis points say that it is one: 0.62."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number as it stands in a text."""

    amount: Amount
    text: str
    start: int
    stop: int

    @property
    def value(self) -> float:
        """The number as it is written."""
        return self.amount.value


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word that says something."""

    term: str
    """Its stem, as recall matches it."""
    text: str
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A text taken apart, in the order of the text."""

    text: str
    numbers: Sequence[Number]
    dates: Sequence[Named]
    words: Sequence[Word]
    clauses: Sequence[tuple[int, int]]


@lru_cache(maxsize=50_000)
def read(text: str, said: date) -> Reading:
    """Take a text apart.

    Parameters
    ----------
    text : str
        A statement or a message.
    said : datetime.date
        The day on which it was said; "yesterday" and dates without a year count from it.
    """
    dates = times(text, said)
    return Reading(
        text=text,
        numbers=_numbers(text, [(each.start, each.stop) for each in dates]),
        dates=dates,
        words=_words(text, [(each.start, each.stop) for each in dates]),
        clauses=list(_clauses(text)),
    )


def same(one: Amount, other: Amount) -> bool:
    """Return whether two numbers are the same; 0.62 is also 62 percent, and 3.4 is not 340."""
    if _near(one.value, other.value):
        return True
    mine, its = (each.value if each.share is None else each.share for each in (one, other))
    return (one.share, other.share) != (None, None) and _near(mine, its)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * max(abs(one), 1)


def _free(start: int, stop: int, taken: Sequence[tuple[int, int]]) -> bool:
    return all(stop <= begin or start >= end for begin, end in taken)


def _numbers(text: str, taken: Sequence[tuple[int, int]]) -> list[Number]:
    found = []
    for match in _DIGITS.finditer(text):
        if _free(*match.span("digits"), taken):
            value = float(match["digits"].replace(",", "")) * _SCALES.get((match["scale"] or "").lower(), 1)
            amount = Amount(value, _share(text, match.end(), value))
            found.append(Number(amount=amount, text=match[0].strip(), start=match.start("digits"), stop=match.end()))
    for match in _SPELT.finditer(text):
        alone = match["first"].lower() == "one" and not (match["half"] or match["scale"])  # "the best one"
        if alone or not _free(*match.span(), [*taken, *((each.start, each.stop) for each in found)]):
            continue
        value = WORDS[match["first"].lower()] + (0.5 if match["half"] else 0)
        second = (match["second"] or "").lower()
        value += WORDS.get(second, 0)
        value *= _SCALES.get((match["scale"] or "").lower(), 1)
        amount = Amount(value, _share(text, match.end(), value))
        found.append(Number(amount=amount, text=match[0], start=match.start(), stop=match.end()))
    return sorted(found, key=lambda number: number.start)


def _share(text: str, stop: int, value: float) -> float | None:
    """Return a number as a fraction where what follows it says that it is one."""
    unit = _PARTS.match(text, stop)
    return value / (1e4 if unit["points"] else 100) if unit else None


def _words(text: str, taken: Sequence[tuple[int, int]]) -> list[Word]:
    found = []
    for match in _WORD.finditer(text):
        if _free(*match.span(), taken):
            found += [Word(term=term, text=match[0], start=match.start(), stop=match.end()) for term in terms(match[0])]
    return found


def _clauses(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _CLAUSE.finditer(text):
        if text[start : match.start()].strip():
            yield start, match.start()
        start = match.end() if not match[0].isspace() else match.start()
    if text[start:].strip():
        yield start, len(text)


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text at sentence ends, semicolons and line breaks."""
    start = 0
    for match in _SENTENCE.finditer(text):
        if text[start : match.start()].strip():
            yield start, match.start()
        start = match.end()
    if text[start:].strip():
        yield start, len(text)


@lru_cache(maxsize=50_000)
def bare(word: str) -> str:
    """Return a word without case, accents and possessive, as names are compared."""
    return re.sub(r"['\u2019]s?$", "", plain(word.casefold()))

"""What a statement says, taken apart: numbers, dates, words and clauses, each with its place in the text."""

import calendar
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from gallump_lab.memory.signals.dates import MONTHS
from gallump_lab.memory.text import plain, terms

DAY = timedelta(days=1)
_SMALL = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen"
    " nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {"one": 1.0} | {word: float(value) for value, word in enumerate(_SMALL.split(), 2)}
_VALUES |= {word: 10.0 * value for value, word in enumerate(_TENS.split(), 2)}
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "k": 1e3, "m": 1e6, "bn": 1e9}
_UNITS = "|".join(_VALUES)
_SCALE = r"(?:\s?(?P<scale>k|m|bn|thousand|million|billion)(?![^\W_]))?"
_DIGITS = re.compile(
    r"(?<![\w.,])(?:(?:[a-z]{1,3})?[$\u20ac\u00a3]\s?)?(?P<digits>\d[\d,]*(?:\.\d+)?|\.\d+)(?:st|nd|rd|th)?" + _SCALE,
    re.IGNORECASE,
)
_SPELT = re.compile(
    rf"\b(?P<first>{_UNITS})(?:[- ](?P<second>{'|'.join(_SMALL.split()[:8])}|one))?(?P<half> and a half)?"
    rf"(?:[- ](?P<scale>hundred|thousand|million|billion))?\b",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[\s-]?(?:%|per ?cent\b|percentage\b|pct\b|(?P<points>bps?\b|basis points?\b))", re.IGNORECASE)
_MONTH = rf"(?P<month>{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b\.?"
_YEAR = r"(?P<year>(?:19|20)\d\d)\b"
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth"
    " sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
_NUMBERED = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\b"
_NAMED = rf"(?P<ordinal>{'|'.join(_ORDINALS)})"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?P<year>(?:19|20)\d\d)[-/](?P<number>\d\d?)[-/](?P<day>\d\d?)\b",
        rf"\b{_NUMBERED}(?: of)? {_MONTH}(?:,? {_YEAR})?",
        rf"\b{_NAMED} of {_MONTH}(?:,? {_YEAR})?",
        rf"\b{_MONTH} {_NUMBERED}(?!\.\d|%)(?:,? {_YEAR})?",
        rf"\b{_MONTH},? (?:of )?{_YEAR}",
        rf"\b(?:q(?P<quarter>[1-4])|(?P<quartered>first|second|third|fourth) quarter)(?:,? (?:of )?{_YEAR})?\b",
        rf"\b{_MONTH}",
        r"\b(?P<day>\d{1,2})(?:st|nd|rd|th)\b(?!\s*[-\w]*(?:percentile|century|time))",
        r"\b(?P<ago>\d{1,3}|an?|" + _UNITS + r") (?P<unit>day|week|month|year)s? (?P<sense>ago|from now)\b",
        r"\b(?P<which>last|this|next|past) (?P<span>week|month|quarter|year|weekend)\b",
        rf"\b(?:(?P<which>last|this|next) )?(?P<weekday>{'|'.join(_DAYS)})s?\b",
        r"\b(?P<near>yesterday|today|tonight|tomorrow|this morning)\b",
        rf"(?<![$\u20ac\u00a3\d.,]){_YEAR}(?![%\d]|[.,]\d| (?:shares|dollars|points))",
    )
]
_AHEAD = re.compile(r"\b(?:by|until|till|next|come|before|through|this)\s+(?:the\s+)?(?:end of\s+)?$", re.IGNORECASE)
_IN_TIME = re.compile(
    r"\b(?:in|by|of|until|till|since|before|after|early|late|mid|come|next|last|this|during|from|through|to|around)\s+$",
    re.IGNORECASE,
)
_VERBS = {"may", "march", "mar", "sun", "sat"}
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
class Date:
    """A time that a text names, from its first day to its last."""

    first: date
    last: date
    text: str
    start: int
    stop: int
    yearless: bool = False
    """Whether the text left the year to be guessed: the nearest of that name."""
    day_only: bool = False
    """Whether it is a day without a month: "the 16th"."""


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
    dates: Sequence[Date]
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
    dates = _dates(text, said)
    return Reading(
        text=text,
        numbers=_numbers(text, [(each.start, each.stop) for each in dates]),
        dates=dates,
        words=_words(text, [(each.start, each.stop) for each in dates]),
        clauses=list(_clauses(text)),
    )


def same(one: Amount, other: Amount) -> bool:
    """Tell whether two numbers are the same; 0.62 is also 62 percent, and 3.4 is not 340."""
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
        value = _VALUES[match["first"].lower()] + (0.5 if match["half"] else 0)
        second = (match["second"] or "").lower()
        value += _VALUES.get(second, 0)
        value *= _SCALES.get((match["scale"] or "").lower(), 1)
        amount = Amount(value, _share(text, match.end(), value))
        found.append(Number(amount=amount, text=match[0], start=match.start(), stop=match.end()))
    return sorted(found, key=lambda number: number.start)


def _share(text: str, stop: int, value: float) -> float | None:
    """Return a number as a fraction where what follows it says that it is one."""
    unit = _PARTS.match(text, stop)
    return value / (1e4 if unit["points"] else 100) if unit else None


def _dates(text: str, said: date) -> list[Date]:
    found: list[Date] = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            if _free(*match.span(), [(each.start, each.stop) for each in found]) and (date_ := _date(match, said)):
                found.append(date_)
    return sorted(found, key=lambda each: each.start)


def _date(match: re.Match[str], said: date) -> Date | None:
    given = {name: value.lower() for name, value in match.groupdict().items() if value}
    before = match.string[: match.start()]
    verb = given.get("month") in _VERBS and not {"day", "year", "ordinal"} & given.keys()
    if verb and not (match[0][0].isupper() and before.strip()) and not _IN_TIME.search(before):
        return None
    try:
        span = _calendar(given, said, ahead=bool(_AHEAD.search(before))) or _relative(given, said)
    except (ValueError, OverflowError):  # 30 February, or a year beyond the calendar
        return None
    if span is None:
        return None
    return Date(
        first=span[0],
        last=span[1],
        text=match[0],
        start=match.start(),
        stop=match.end(),
        yearless="year" not in given and bool({"month", "quarter", "quartered"} & given.keys()),
        day_only="day" in given and not {"month", "number"} & given.keys(),
    )


def _calendar(given: dict[str, str], said: date, *, ahead: bool) -> tuple[date, date] | None:
    day = int(given["day"]) if "day" in given else None
    if "ordinal" in given:
        day = _ORDINALS.index(given["ordinal"]) + 1
    month = int(given["number"]) if "number" in given else MONTHS.get(given.get("month", ""))
    quarter = int(given["quarter"]) if "quarter" in given else None
    if "quartered" in given:
        quarter = _ORDINALS.index(given["quartered"]) + 1
    if quarter:
        return _nearest(lambda year: _months(year, 3 * quarter - 2, 3), given, said, ahead=ahead)
    if month and day:
        return _nearest(lambda year: (date(year, month, day), date(year, month, day)), given, said, ahead=ahead)
    if month:
        return _nearest(lambda year: _months(year, month, 1), given, said, ahead=ahead)
    if day:
        return said.replace(day=day), said.replace(day=day)
    if "year" in given:
        return date(int(given["year"]), 1, 1), date(int(given["year"]), 12, 31)
    return None


def _nearest(
    span: Callable[[int], tuple[date, date]], given: dict[str, str], said: date, *, ahead: bool
) -> tuple[date, date]:
    if "year" in given:
        return span(int(given["year"]))
    spans = []
    for year in (said.year - 1, said.year, said.year + 1):
        try:
            spans.append(span(year))
        except ValueError:  # 29 February
            continue
    if ahead:
        spans = [each for each in spans if each[1] >= said] or spans
    return min(spans, key=lambda each: max((each[0] - said).days, (said - each[1]).days, 0))


def _months(year: int, month: int, count: int) -> tuple[date, date]:
    last = month + count - 1
    return date(year, month, 1), date(year, last, calendar.monthrange(year, last)[1])


def _relative(given: dict[str, str], said: date) -> tuple[date, date] | None:
    """Give the time that words such as "yesterday", "three years ago" and "next quarter" mean."""
    step = {"last": -1, "past": -1, "next": 1}.get(given.get("which", ""), 0)
    if "near" in given:
        at = said + {"yesterday": -1, "tomorrow": 1}.get(given["near"], 0) * DAY
        return at, at
    if "ago" in given:
        return _ago(given, said)
    if "weekday" in given:
        back = (said.weekday() - _DAYS.index(given["weekday"])) % 7
        at = said - (back or 7 * (step < 0)) * DAY
        return at, at if step < 0 else at + 7 * DAY
    return _span(given["span"], step, said) if "span" in given else None


def _ago(given: dict[str, str], said: date) -> tuple[date, date]:
    count = int(given["ago"]) if given["ago"].isdigit() else int(_VALUES.get(given["ago"], 1))
    length = {"day": 1, "week": 7, "month": 30, "year": 365}[given["unit"]]
    at = said + (-1 if given["sense"] == "ago" else 1) * count * length * DAY
    if given["unit"] == "year":
        return date(at.year, 1, 1), date(at.year, 12, 31)
    return at - length // 2 * DAY, at + length // 2 * DAY


def _span(unit: str, step: int, said: date) -> tuple[date, date]:
    if unit in {"week", "weekend"}:
        first = said - said.weekday() * DAY + 7 * step * DAY
        return first, first + 6 * DAY
    if unit == "year":
        return date(said.year + step, 1, 1), date(said.year + step, 12, 31)
    count = 3 if unit == "quarter" else 1
    index = (said.year * 12 + said.month - 1) // count + step
    return _months(index * count // 12, index * count % 12 + 1, count)


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
    """Give a word without case, accents and possessive, as names are compared."""
    return re.sub(r"['\u2019]s?$", "", plain(word.casefold()))

"""Until when a statement means to hold: "by May", "within two weeks", "by year end", from the day it was said.

A period lasts until its last day: "by May", "in May" and "come May" until 31 May, "by Q3" until 30 September, "by 2013"
until 31 December 2013. "Before May" and "until May" end with the last day of April; "before May is out" and "before the
end of May" with that of May. Of a month that is named without a year the next one counts, this month included. The
start of a period is its first third, its middle is half of it. "Next week" lasts until its Sunday, "over the next week"
seven days; of "two to three weeks" the longer counts. Sessions are counted as weekdays. What has no date ("soon", "a
few weeks", "after earnings") is no horizon.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gallump_lab.memory.signals.dates import MONTHS

_SMALL = "one two three four five six seven eight nine ten eleven twelve".split()
WORDS = {word: number for number, word in enumerate(_SMALL, 1)}
WORDS |= {"fifteen": 15, "eighteen": 18, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60}
WORDS |= {"seventy": 70, "eighty": 80, "ninety": 90}
"""Numbers that are written as words."""
FIRM = frozenset("by before until till through come within next ahead tomorrow at ends".split())
"""Leads that speak of what is to come, whatever stands beside them; "in May" may be in the past."""

_DAY = timedelta(days=1)
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4}
_UNITS = {"month": 1, "quarter": 3, "year": 12}

_LEAD = r"\b(?P<lead>by|before|until|till|through|come|in|during|on|at|into|within)\s+"
_PART = (
    r"(?:the\s+)?(?:(?P<part>start|beginning|early|middle|mid|late|end)(?:\s+of)?(?:\s+the)?[\s-]+)?"
    r"(?:this\s+|next\s+)?"
)
_OUT = r"(?P<out>\s+(?:is\s+)?(?:out|over|done|ends)\b|(?:'s|[\s-])\s*end\b)?"
_MONTH = rf"(?P<month>{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b\.?"
_DATE = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)\b(?![-.,]\d|\s*(?:%|percent))"
_OF_YEAR = rf"(?:\s+(?:of\s+)?{_YEAR})?"
_PERIOD = r"(?P<period>week|month|quarter|year)\b"
_COUNT = rf"(?P<count>\d{{1,3}}|an?|half\s+a|a\s+couple\s+of|{'|'.join(WORDS)})"
_UNIT = (
    r"(?P<unit>(?:trading[\s-]+|business[\s-]+)?days?|sessions?|bars?|weeks?|fortnights?|months?|quarters?|years?)\b"
)
_RANGE = rf"(?:(?:\d{{1,3}}|{'|'.join(WORDS)})\s*(?:-|\u2013|to|or)\s*)?{_COUNT}[\s-]+{_UNIT}"
_NEXT = r"(?:(?:the\s+)?(?:next|coming|following)\s+)"

_LENGTHS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?P<lead>within|inside)\s+{_NEXT}?(?:{_RANGE})",
        rf"\b(?:in|over|during|for)\s+{_NEXT}(?:{_RANGE}|(?P<one>week|month|quarter|year)\b)",
        rf"\b(?P<lead>in|over|during|for)\s+{_RANGE}(?!\s+(?:ago|in\s+a\s+row|straight|running))",
        rf"\b{_NEXT}{_RANGE}",
        rf"\b{_RANGE}\s+(?:from\s+now|ahead|hence|out)\b",
        rf"\b{_RANGE}[\s-]+(?:price\s+)?(?:target|horizon|view|forecast|outlook)\b",
    )
]
_BARE = re.compile(_RANGE, re.IGNORECASE)
_PERIODS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_LEAD}(?P<iso>\d{{4}}-\d\d-\d\d)\b",
        rf"{_LEAD}(?:the\s+)?{_DATE}(?:\s+of)?\s+{_MONTH}(?:,?\s+{_YEAR})?",
        rf"{_LEAD}{_MONTH}\s+(?:the\s+)?{_DATE}(?![\d%]|[.,]\d|\s*percent)(?:,?\s+{_YEAR})?",
        rf"{_LEAD}{_PART}{_MONTH}(?:,?\s+(?:of\s+)?{_YEAR})?{_OUT}",
        rf"{_LEAD}{_PART}(?P<quarter>q[1-4]|(?:first|second|third|fourth|last)\s+quarter)\b{_OF_YEAR}{_OUT}",
        rf"{_LEAD}{_PART}(?P<half>h[12]|(?:first|second)\s+half)\b{_OF_YEAR}{_OUT}",
        rf"{_LEAD}{_PART}(?:year[\s-]?end\s+)?{_YEAR}{_OUT}",
        rf"(?:{_LEAD})?(?:the\s+)?(?:(?P<part>early|mid|late|end)(?:\s+of)?\s+)?(?P<which>this|next|coming)\s+{_PERIOD}",
        rf"{_LEAD}(?:the\s+)?(?P<part>end)\s+of\s+(?:the\s+)?{_PERIOD}",
        rf"{_LEAD}(?:the\s+)?(?P<period>week|month|quarter|year)(?:'s)?[\s-]?end\b",
        rf"{_LEAD}(?:the|this)\s+{_PERIOD}\s+(?P<out>(?:is\s+)?(?:out|over|done|ends))\b",
        rf"{_LEAD}(?:the\s+)?eo(?P<letter>[wmqy])\b",
        rf"\b(?P<lead>within)\s+the\s+{_PERIOD}",
        rf"\b(?P<lead>ends|end|closes|close|finishes|finish)\s+(?:the|this)\s+{_PERIOD}",
        rf"{_LEAD}(?:next\s+|this\s+)?(?P<weekday>{'|'.join(_WEEKDAYS)})\b",
        rf"{_LEAD}(?P<christmas>christmas|xmas)\b(?:\s+{_YEAR})?",
        r"\b(?P<lead>tomorrow|today)\b",
    )
]


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """One horizon that a text names."""

    until: date
    """The last day that counts."""
    lead: str
    """What leads to it: "by", "within", "in", ...; "next" for the next so many days, "ahead" for days from now,
    "ends" for "ends the year"."""
    start: int
    stop: int
    """Where it stands in the text."""


def horizons(text: str, at: datetime, *, bare: bool = False) -> list[Horizon]:
    """Find the horizons that a text names, in the order of the text; one may lie before the moment.

    Parameters
    ----------
    text : str
        A sentence or a few.
    at : datetime
        When it was said, UTC.
    bare : bool
        Whether the text is a horizon by itself: then "3 months" is one too, and so is "June".
    """
    found: list[Horizon] = []
    for horizon in (*_lengths(text, at.date(), bare=bare), *_periods(text, at.date())):
        if not any(horizon.start < other.stop and other.start < horizon.stop for other in found):
            found.append(horizon)
    if bare and not found:
        shift = len("by ")
        again = _periods(f"by {text}", at.date())
        found = [Horizon(until=h.until, lead=h.lead, start=max(h.start - shift, 0), stop=h.stop - shift) for h in again]
    return sorted(found, key=lambda horizon: horizon.start)


def _lengths(text: str, day: date, *, bare: bool) -> Iterator[Horizon]:
    for place, pattern in enumerate([*_LENGTHS, *([_BARE] if bare else [])]):
        for match in pattern.finditer(text):
            given = match.groupdict()
            count, unit = (given["count"], given["unit"]) if given["unit"] else ("one", given["one"])
            lead = (given.get("lead") or ("next" if place in {1, 3} else "ahead")).lower()
            until = _ahead(day, " ".join(count.lower().split()), unit.lower())
            yield Horizon(
                until=until, lead="within" if lead == "inside" else lead, start=match.start(), stop=match.end()
            )


def _ahead(day: date, count: str, unit: str) -> date:
    half = count == "half a"
    number = {"half a": 1, "a": 1, "an": 1, "a couple of": 2}.get(count) or WORDS.get(count) or int(count)
    unit = unit.removesuffix("s")
    if unit in _UNITS:
        if half and unit == "month":
            return day + 15 * _DAY
        months = day.month - 1 + _UNITS[unit] * number // (2 if half else 1)
        year, month = day.year + months // 12, months % 12 + 1
        return date(year, month, min(day.day, monthrange(year, month)[1]))
    if unit in {"day", "week", "fortnight"}:
        return day + {"day": 1, "week": 7, "fortnight": 14}[unit] * number * _DAY
    for _ in range(number):
        day += _DAY if day.weekday() < 4 else (7 - day.weekday()) * _DAY
    return day


def _periods(text: str, day: date) -> Iterator[Horizon]:
    for pattern in _PERIODS:
        for match in pattern.finditer(text):
            given = {name: value.lower() for name, value in match.groupdict().items() if value}
            until = _until(given, day)
            if until:
                lead = given.get("lead") or given["which"].replace("coming", "next")
                lead = "next" if given.get("which") in {"next", "coming"} else lead
                lead = "ends" if lead.startswith(("end", "close", "finish")) else lead
                yield Horizon(until=until, lead=lead, start=match.start(), stop=match.end())


def _until(given: dict[str, str], day: date) -> date | None:
    """Give the last day of what a match names, in the first year in which that is not over."""
    years = [int(given["year"])] if "year" in given else [day.year, day.year + 1]
    for year in years:
        try:
            until = _end(*_span(given, day, year), given)
        except ValueError:  # 30 February
            continue
        if until >= day or year == years[-1] or "iso" in given:
            return until
    return None


def _end(first: date, last: date, given: dict[str, str]) -> date:
    part, lead = given.get("part", ""), given.get("lead", "")
    if part in {"start", "beginning", "early"}:
        last = first + (last - first) // 3
    elif part in {"mid", "middle"}:
        first = last = first + (last - first) // 2
    ends = part in {"end", "late"} or "out" in given
    if lead == "before" or (lead in {"until", "till"} and last > first):
        return last if ends else first - _DAY
    return last


def _span(given: dict[str, str], day: date, year: int) -> tuple[date, date]:
    """Give the first and the last day of what a match names."""
    long, start = 12, 1
    if "month" in given:
        long, start = 1, MONTHS[given["month"]]
    elif "quarter" in given or "half" in given:
        name, long = (given["quarter"], 3) if "quarter" in given else (given["half"], 6)
        start = ((int(name[1]) if len(name) == 2 else _ORDINALS[name.split()[0]]) - 1) * long + 1
    elif "period" in given or "letter" in given:
        return _period(given, day)
    if first := _single(given, day, year):
        return first, first
    return _months(year, start, long)


def _single(given: dict[str, str], day: date, year: int) -> date | None:
    """Give the day, where a match names one."""
    if "iso" in given:
        return date.fromisoformat(given["iso"])
    if "day" in given:
        return date(year, MONTHS[given["month"]], int(given["day"]))
    if "christmas" in given:
        return date(year, 12, 25)
    if "weekday" in given:
        return day + ((_WEEKDAYS.index(given["weekday"]) - day.weekday() - 1) % 7 + 1) * _DAY
    if given.get("lead") in {"today", "tomorrow"}:
        return day + (given["lead"] == "tomorrow") * _DAY
    return None


def _period(given: dict[str, str], day: date) -> tuple[date, date]:
    """Give this or the next week, month, quarter or year; of one without such a word, as in "year end", the end."""
    period = given.get("period") or {"w": "week", "m": "month", "q": "quarter", "y": "year"}[given["letter"]]
    steps = int(given.get("which") in {"next", "coming"})
    if period == "week":
        first = day + (7 * steps - day.weekday()) * _DAY
        last = first + 6 * _DAY
    else:
        long = _UNITS[period]
        months = ((day.month - 1) // long + steps) * long
        first, last = _months(day.year + months // 12, months % 12 + 1, long)
    return (first, last) if given.get("which") else (last, last)


def _months(year: int, month: int, long: int) -> tuple[date, date]:
    end = month + long - 1
    return date(year, month, 1), date(year, end, monthrange(year, end)[1])

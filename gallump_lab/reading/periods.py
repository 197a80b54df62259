"""The days that words of time name: "7 May", "last week", "the third quarter of 2012", "two months ago".

Only what is a time for certain is one: not what may be a price, a number of things or a verb ("$2000", "2000 shares",
"is 2050 my target?", "this may fall").
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo

NAMES = "january february march april may june july august september october november december".split()
MONTHS = {name: number for number, name in enumerate(NAMES, 1)}
"""The months' numbers by their names and short names, in lower case."""
MONTHS |= {name[:3]: number for name, number in MONTHS.items()} | {"sept": 9}
MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
"""Their names, for a pattern."""
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_SMALL = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
WORDS = {word: number for number, word in enumerate(f"{_SMALL} eighteen nineteen".split(), 1)}
"""Numbers that are written as words."""
WORDS |= {f"{word}ty": 10 * n for n, word in enumerate("twen thir for fif six seven eigh nine".split(), 2)}
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth"
    " sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
YEARS_BACK, _YEARS_AHEAD = 30, 15
"""A date without a year is looked for in so many years back; a number further ahead is no year."""
DAY = timedelta(days=1)
UNITS = {"month": 1, "quarter": 3, "year": 12}
LENGTHS = {"day": 1, "week": 7, "fortnight": 14, "month": 30, "year": 365}
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9}
"""The month that each begins with."""

_MONTH = rf"(?P<month>{MONTH})\b\.?"
_YEAR = (
    r"(?P<year>(?:19|20)\d\d)\b(?![-.,/]\d|\s*(?:%|percent|pct|k\b|usd|dollars?|bucks|points?|shares?|contracts?|calls?"
    r"|puts?|lots?|units?|pieces))"
)
_NUMBERED = r"(?<![$\u20ac\u00a3.,/-])\b(?P<day>\d{1,2})(?P<th>st|nd|rd|th)?\b"
_BEGIN = r"\b(?:between|from)\s+(?:the\s+)?(?P<begin>\d\d?)(?:st|nd|rd|th)?\s+(?:and|to)\s+(?:the\s+)?"
_QUARTERS = r"first|second|third|fourth|last(?=\s+quarter\s+of\b)"
COUNT = rf"(?P<count>\d{{1,3}}|an?|half\s+a|a\s+couple\s+of|{'|'.join(WORDS)})"
PERIOD = "week|month|quarter|year"
_TIMES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?P<year>(?:19|20)\d\d)[-/](?P<number>\d\d?)[-/](?P<day>\d\d?)\b",
        r"(?<![\d.])(?P<day>\d\d?)\.(?P<number>\d\d?)\.(?P<year>(?:19|20)\d\d)\b",
        rf"{_BEGIN}{_NUMBERED}(?:\s+of)?\s+{_MONTH}(?:,?\s+{_YEAR})?",
        rf"{_NUMBERED}(?:\s+of)?\s+{_MONTH}(?:,?\s+{_YEAR})?",
        rf"\b(?P<ordinal>{'|'.join(_ORDINALS)})\s+of\s+{_MONTH}(?:,?\s+{_YEAR})?",
        rf"\b{_MONTH}\s+(?:the\s+)?{_NUMBERED}(?![.,/:]\d|\s*(?:%|percent))(?:,?\s+{_YEAR})?",
        rf"\b{_MONTH},?\s+(?:of\s+)?{_YEAR}",
        rf"\b(?:q(?P<quarter>[1-4])|(?P<quartered>{_QUARTERS})\s+quarter)\b(?:,?\s+(?:of\s+)?{_YEAR})?",
        rf"\b(?:h(?P<half>[12])|(?P<halved>first|second)\s+half)\b(?:,?\s+(?:of\s+)?{_YEAR})?",
        rf"\b(?P<christmas>christmas|xmas)\b(?:,?\s+{_YEAR})?",
        rf"\b{_MONTH}",
        rf"\b{COUNT}\s+(?P<unit>day|week|month|year)s?\s+(?P<sense>ago|from\s+now)\b",
        rf"\b(?P<recent>last|past|previous)\s+{COUNT}\s+(?P<unit>day|week|month|quarter|year)s?\b",
        rf"\bend\s+of\s+(?:the\s+)?(?P<ends>{PERIOD})\b(?!\s+of)",
        rf"\b(?P<ends>{PERIOD})(?:'s)?[\s-]end\b(?:\s+(?:of\s+)?{_YEAR})?",
        r"\beo(?P<letter>[wmqy])\b",
        rf"\b(?:the|this)\s+(?P<ends>{PERIOD})\s+(?:is\s+)?(?:out|over|done|ends)\b",
        rf"\b(?P<closes>ends?|closes?|finish(?:es)?)\s+(?:the|this)\s+(?P<ends>{PERIOD})\b",
        rf"\b(?P<within>within)\s+the\s+(?P<ends>{PERIOD})\b",
        r"\b(?P<which>last|this|next|past|coming)\s+(?P<span>week|month|quarter|year|weekend)\b",
        r"\b(?P<weekend>weekend)\b",
        rf"\b(?:(?P<which>last|this|next)\s+)?(?P<weekday>{'|'.join(WEEKDAYS)})s?\b",
        r"\b(?P<near>(?:the\s+)?day\s+before\s+yesterday|yesterday|today|tonight|tomorrow|this\s+morning)\b",
        rf"(?<![$\u20ac\u00a3\d.,/])(?<!\d-)\b{_YEAR}",
        r"(?<![$\u20ac\u00a3.,/-])\b(?P<day>\d{1,2})(?:st|nd|rd|th)\b(?!\s*[-\w]*(?:percentile|century|time|quarter|half))",
        rf"\b(?P<season>{'|'.join(_SEASONS)})\b(?!\s+(?:below|to|under))",
    )
]
"""What names a time, the more certain first: of two that overlap the later is none."""
_IN_TIME = re.compile(
    r"\b(?:in|by|of|until|till?|since|before|after|early|late|mid|come|next|last|this|during|from|through|to|around"
    r"|into|within)\s+(?:the\s+)?$|\bmid-$",
    re.IGNORECASE,
)
YEARS = (
    r"\b(?:in|since|during|throughout|year|early|late|mid|(?:start|beginning|middle|mid|end|rest|most|half|part|spring"
    r"|summer|autumn|fall|winter)\s+of)\s+$|\bmid-$"
)
_IN_YEAR = re.compile(rf"{YEARS}|\b(?:by|before|after|until|till?|through|come|next|last)\s+$", re.IGNORECASE)
_VERBS = frozenset({"may", "march", "mar"})
_INSIDE = re.compile(r"[\w,;)]\s+$")
GOES_ON = re.compile(r"\s+[a-z]")
_NEAR = 40
_NEAR_DAYS = {"day before yesterday": -2, "yesterday": -1, "tomorrow": 1}
AHEAD_ONLY = frozenset({"season", "weekend", "closes", "within"})
"""Where no horizon is meant these may be anything."""

Given = dict[str, str]
"""What a match gives, by the name of the part, in lower case."""


def matches(text: str, said: date) -> list[tuple[re.Match[str], Given]]:
    """Return what names a time for certain, in the order of the text, with the parts that each gives."""
    found: list[tuple[re.Match[str], Given]] = []
    taken = bytearray(len(text))
    for pattern in _TIMES:
        for match in pattern.finditer(text):
            if not any(taken[match.start() : match.end()]):
                given = {name: " ".join(part.lower().split()) for name, part in match.groupdict().items() if part}
                if _certain(match, given, said):
                    found.append((match, given))
                    taken[match.start() : match.end()] = b"x" * len(match[0])
    return sorted(found, key=lambda each: each[0].start())


def before(match: re.Match[str]) -> str:
    """Return what leads to a match, as far as it tells anything of it."""
    return match.string[max(match.start() - _NEAR, 0) : match.start()]


def _certain(match: re.Match[str], given: Given, said: date) -> bool:
    led = before(match).lower()
    if given.keys() == {"year"}:
        return int(given["year"]) <= said.year + _YEARS_AHEAD and _IN_YEAR.search(led) is not None
    if given.get("month") not in _VERBS or given.keys() & {"year", "ordinal", "th"}:
        return True
    dated, in_time = "day" in given, _IN_TIME.search(led) is not None
    if match["month"].istitle():
        return dated or in_time or _INSIDE.search(led) is not None
    if match.end("month") == match.end() and GOES_ON.match(match.string, match.end()):
        return led.endswith("on ") or (in_time and (dated or not led.endswith("this ")))  # "at 30 may fall"
    return dated or in_time


def yearly(given: Given) -> bool:
    """Return whether what is named comes once a year."""
    return bool(given.keys() & {"month", "quarter", "quartered", "half", "halved", "christmas", "season"})


def periods(given: Given, said: date, years: Sequence[int], *, ahead: bool) -> list[tuple[date, date]]:
    """Return the first and the last day of what is named, in each of the years where it leaves the year open.

    `ahead` says which one of days is meant that come again soon, a weekday or "the 29th": the next.
    """
    if "year" in given:
        years = [int(given["year"])]
    elif not yearly(given):
        years = [said.year]
    found = []
    for year in years:
        try:
            found.append(_in_year(given, year) or _from(given, said, ahead=ahead))
        except (ValueError, OverflowError):  # 30 February, or beyond the calendar
            continue
    return found


def _in_year(given: Given, year: int) -> tuple[date, date] | None:
    month = MONTHS.get(given.get("month", "")) or int(given.get("number", 12 if "christmas" in given else 0))
    day = int(given.get("day", 25 if "christmas" in given else 0))
    day = _ORDINALS.index(given["ordinal"]) + 1 if "ordinal" in given else day
    if month and day:
        return date(year, month, int(given.get("begin", day))), date(year, month, day)
    for numbered, named, count in (("quarter", "quartered", 3), ("half", "halved", 6)):
        if numbered in given or named in given:
            place = int(given.get(numbered, 0)) or [*_ORDINALS[:4], "last"].index(given[named]) + 1
            return _months(year * 12 + (min(place, 4) - 1) * count, count)
    if "season" in given:
        return _months(year * 12 + _SEASONS[given["season"]] - 1, 3)
    if month:
        return _months(year * 12 + month - 1)
    first, last = _months(year * 12, 12)
    return (last if "ends" in given else first, last) if "year" in given else None


def _from(given: Given, said: date, *, ahead: bool) -> tuple[date, date]:
    """Return the days that words such as "yesterday", "three years ago" and "next quarter" mean on a day."""
    step = {"last": -1, "next": 1, "coming": 1}.get(given.get("which", ""), 0)
    first = last = said
    if "near" in given:
        first = last = said + _NEAR_DAYS.get(given["near"].removeprefix("the "), 0) * DAY
    elif "recent" in given:
        months = UNITS.get(given["unit"])
        count = counted(given["count"])
        first = later(said, -months * count) if months else said - LENGTHS[given["unit"]] * count * DAY
    elif "count" in given:
        first, last = _ago(given, said)
    elif "weekday" in given:
        back = (said.weekday() - WEEKDAYS.index(given["weekday"])) % 7
        first = said + (7 - back) * DAY if ahead else said - (back or 7 * (step < 0)) * DAY
        last = first if ahead or step < 0 else first + 7 * DAY
    elif "span" in given:
        unit = given["span"]
        first, last = _period(unit, step, said)
        if given["which"] == "past":
            first, last = said - LENGTHS.get(unit, 7) * DAY, said
    elif "day" in given:
        first = last = _of_a_month(said, int(given["day"]), ahead=ahead)
    else:
        unit = given.get("ends") or {"w": "week", "m": "month", "q": "quarter", "y": "year"}[given.get("letter", "w")]
        first = last = _period(unit, 0, said)[1]
    return first, last


def _of_a_month(said: date, day: int, *, ahead: bool) -> date:
    if not ahead:
        return said.replace(day=day)
    months = (_months(said.year * 12 + said.month - 1 + further) for further in range(3))
    return next(
        each for first, last in months if said <= (each := first.replace(day=min(day, last.day))) and each.day == day
    )


def _ago(given: Given, said: date) -> tuple[date, date]:
    count, length = given["count"], LENGTHS[given["unit"]]
    days = length // 2 if count == "half a" else counted(count) * length
    at = said + (-1 if given["sense"] == "ago" else 1) * days * DAY
    if given["unit"] == "year":
        return date(at.year, 1, 1), date(at.year, 12, 31)
    return at - length // 2 * DAY, at + length // 2 * DAY


def counted(count: str) -> int:
    """Return the number that a count says."""
    return {"half a": 1, "a": 1, "an": 1, "a couple of": 2}.get(count) or WORDS.get(count) or int(count)


def _period(unit: str, step: int, said: date) -> tuple[date, date]:
    """Return the calendar's week (from Monday), weekend, month, quarter or year of a day, or so many after it."""
    if unit in {"week", "weekend"}:
        first = said + (7 * step - said.weekday()) * DAY
        return first + 5 * (unit == "weekend") * DAY, first + 6 * DAY
    count = UNITS[unit]
    return _months(((said.year * 12 + said.month - 1) // count + step) * count, count)


def later(day: date, months: int) -> date:
    """Return the same day so many months later, or the last of that month."""
    first, last = _months(day.year * 12 + day.month - 1 + months)
    return min(first + (day.day - 1) * DAY, last)


def _months(first: int, count: int = 1) -> tuple[date, date]:
    """Return the first and the last day of so many months; they are counted from January of the year 0."""
    begin, end = (date(month // 12, month % 12 + 1, 1) for month in (first, first + count))
    return begin, end - DAY


def midnight(day: date, zone: tzinfo | None) -> datetime:
    """Return when a day begins in a time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=zone)

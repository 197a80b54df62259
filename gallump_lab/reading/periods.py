"""Words of time: the days that a text names, a question asks for, or a statement holds until.

Only what is a time for certain is one: not what may be a price, a number of things or a verb ("$2000", "2000 shares",
"is 2050 my target?", "this may fall"), nor what has no date ("soon", "after earnings").

A horizon lasts until the last day of what it names: "by May" and "come May" until 31 May, "by Q3" until 30 September.
"Before May" and "until May" end with the last day of April; "before May is out" and "before the end of May" with that
of May. Without a year the next of that name counts, one that is not over included. The start of a period is its first
third, its middle is half of it. "Next week" lasts until its Sunday, "over the next week" seven days; of "two to three
weeks" the longer counts. Sessions are counted as weekdays.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from gallump_lab.lazy import regex

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
DAY = timedelta(days=1)
FIRM = frozenset("by before until till through come within til next ahead tomorrow at ends".split())
"""Leads that speak of what is to come, whatever stands beside them; "in May" may be in the past."""
DEADLINES = ("by", "before", "until", "till", "til", "through", "come")
"""Leads that say until when a statement holds."""
YEARS_BACK, _YEARS_AHEAD = 30, 15
"""A date without a year is looked for in so many years back; a number further ahead is no year."""
_UNITS = {"month": 1, "quarter": 3, "year": 12}
_LENGTHS = {"day": 1, "week": 7, "fortnight": 14, "month": 30, "quarter": 91, "year": 365}
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9}
"""The month that each begins with."""

_MONTH = rf"\b(?P<month>{MONTH})\b\.?"
_YEAR = (
    r"(?P<year>(?:19|20)\d\d)\b(?![-.,/]\d|\s*(?:%|percent|pct|k\b|usd|dollars?|bucks|points?|shares?|contracts?|calls?"
    r"|puts?|lots?|units?|pieces))"
)
_OF = rf"(?:,?\s+(?:of\s+)?{_YEAR})?"
_NUMBERED = r"(?<![$\u20ac\u00a3.,/-])\b(?P<day>\d{1,2})(?P<th>st|nd|rd|th)?\b"
_BEGIN = r"(?:\b(?:between|from)\s+(?:the\s+)?(?P<begin>\d\d?)(?:st|nd|rd|th)?\s+(?:and|to)\s+(?:the\s+)?)?"
_COUNT = rf"(?P<count>\d{{1,3}}|an?|half\s+a|a\s+couple\s+of|{'|'.join(WORDS)})"
_RANGE = (
    rf"(?:(?:\d{{1,3}}|{'|'.join(WORDS)})\s*(?:-|\u2013|to|or)\s*)?{_COUNT}[\s-]+(?P<unit>(?:trading[\s-]+"
    r"|business[\s-]+)?days?|sessions?|bars?|weeks?|fortnights?|months?|quarters?|years?)\b"
)
_PERIOD = "week|month|quarter|year"
_NEXT = r"(?:the\s+)?(?P<next>next|coming|following)\s+"
_TIMES = [
    regex(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?P<year>(?:19|20)\d\d)[-/](?P<number>\d\d?)[-/](?P<day>\d\d?)\b",
        r"(?<![\d.])(?P<day>\d\d?)\.(?P<number>\d\d?)\.(?P<year>(?:19|20)\d\d)\b",
        rf"{_BEGIN}(?:{_NUMBERED}(?:\s+of)?|\b(?P<ordinal>{'|'.join(_ORDINALS)})\s+of)\s+{_MONTH}{_OF}",
        rf"{_MONTH}\s+(?:the\s+)?{_NUMBERED}(?![.,/:]\d|\s*(?:%|percent)){_OF}",
        (
            r"\b(?:(?P<part>q[1-4]|h[12]|(?:first|second|third|fourth|last(?=\s+quarter\s+of\b))\s+quarter"
            rf"|(?:first|second)\s+half)|(?P<christmas>christmas|xmas))\b{_OF}"
        ),
        rf"{_MONTH}{_OF}",
        rf"\b{_COUNT}\s+(?P<unit>day|week|month|year)s?\s+(?P<ago>ago)\b",
        rf"\b(?P<recent>last|past|previous)\s+{_COUNT}\s+(?P<unit>day|week|month|quarter|year)s?\b",
        rf"\b(?P<within>within|inside)\s+(?:{_NEXT})?{_RANGE}",
        rf"\b(?:in|over|during|for)\s+{_NEXT}(?:{_RANGE}|(?P<one>{_PERIOD})\b)",
        rf"\b(?P<within>in|over|during|for)\s+{_RANGE}(?!\s+(?:ago|in\s+a\s+row|straight|running))",
        rf"\b{_NEXT}{_RANGE}",
        rf"\b{_RANGE}(?P<ahead>\s+(?:from\s+now|ahead|hence|out)|[\s-]+(?:target|horizon|view|forecast|outlook))\b",
        rf"\bend\s+of\s+(?:the\s+)?(?P<ends>{_PERIOD})\b(?!\s+of)",
        rf"\b(?P<ends>{_PERIOD})(?:'s)?[\s-]end\b(?:\s+(?:of\s+)?{_YEAR})?",
        r"\beo(?P<letter>[wmqy])\b",
        rf"\b(?:the|this)\s+(?P<ends>{_PERIOD})\s+(?:is\s+)?(?:out|over|done|ends)\b",
        rf"\b(?P<closes>ends?|closes?|finish(?:es)?)\s+(?:the|this)\s+(?P<ends>{_PERIOD})\b",
        r"\b(?P<which>last|this|next|past|coming)\s+(?P<span>week|month|quarter|year|weekend)\b",
        rf"\b(?:(?P<which>last|this|next)\s+)?(?P<weekday>{'|'.join(WEEKDAYS)})s?\b",
        r"\b(?P<near>(?:the\s+)?day\s+before\s+yesterday|yesterday|today|tonight|tomorrow|this\s+morning)\b",
        rf"(?<![$\u20ac\u00a3\d.,/])(?<!\d-)\b{_YEAR}",
        r"(?<![$\u20ac\u00a3.,/-])\b(?P<day>\d{1,2})(?:st|nd|rd|th)\b(?!\s*[-\w]*(?:percentile|century|time|quarter|half))",
        rf"\b(?P<season>{'|'.join(_SEASONS)})\b(?!\s+(?:below|to|under))",
    )
]
"""What names a time, the more certain first: of two that overlap the later is none."""
YEARS = (
    r"\b(?:in|since|during|throughout|year|early|late|mid|(?:start|beginning|middle|mid|end|rest|most|half|part|spring"
    r"|summer|autumn|fall|winter)\s+of)\s+$|\bmid-$"
)
_IN_YEAR = regex(rf"{YEARS}|\b(?:by|before|after|until|till?|through|come|next|last)\s+$", re.IGNORECASE)
_IN_TIME = regex(
    r"\b(?:in|by|of|until|till?|since|before|after|early|late|mid|come|next|last|this|during|from|through|to|around"
    r"|into|within)\s+(?:the\s+)?$|\bmid-$",
    re.IGNORECASE,
)
_VERBS = frozenset({"may", "march", "mar"})
_INSIDE = regex(r"[\w,;)]\s+$")
_GOES_ON = regex(r"\s+[a-z]")
_NEAR = 40
_NEAR_DAYS = {"day before yesterday": -2, "yesterday": -1, "tomorrow": 1}
LENGTH = frozenset({"within", "next", "ahead"})
"""What a match gives of a length of time that begins when it is said."""

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
    if match.end("month") == match.end() and _GOES_ON.match(match.string, match.end()):
        return led.endswith("on ") or (in_time and (dated or not led.endswith("this ")))  # "at 30 may fall"
    return dated or in_time


def yearly(given: Given) -> bool:
    """Return whether what is named comes once a year."""
    return bool(given.keys() & {"month", "part", "christmas", "season"})


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
    """Return the days of what a year has once; None if it is something else."""
    month = MONTHS.get(given.get("month", "")) or int(given.get("number", 0))
    day = _ORDINALS.index(given["ordinal"]) + 1 if "ordinal" in given else int(given.get("day", 0))
    if "christmas" in given:
        month, day = 12, 25
    if month and day:
        return date(year, month, int(given.get("begin", day))), date(year, month, day)
    if month:
        return _months(year * 12 + month - 1)
    if "part" in given:
        name, _, half = given["part"].partition(" ")
        count = 6 if "half" in half or name[0] == "h" else 3
        place = int(name[1]) if name[1:].isdigit() else [*_ORDINALS[:3], "fourth", "last"].index(name) + 1
        return _months(year * 12 + (min(place, 4) - 1) * count, count)
    if "season" in given:
        return _months(year * 12 + _SEASONS[given["season"]] - 1, 3)
    first, last = _months(year * 12, 12)
    return (last if "ends" in given else first, last) if "year" in given else None


def _from(given: Given, said: date, *, ahead: bool) -> tuple[date, date]:
    """Return the days that words such as "yesterday", "three years ago" and "next quarter" mean on a day."""
    step = {"last": -1, "next": 1, "coming": 1}.get(given.get("which", ""), 0)
    first = last = said
    if "near" in given:
        first = last = said + _NEAR_DAYS.get(given["near"].removeprefix("the "), 0) * DAY
    elif "recent" in given:
        first = _away(said, given["unit"], given["count"], -1)
    elif "ago" in given:
        first, last = _ago(given, said)
    elif "unit" in given or "one" in given:
        last = _ahead(given, said)
    elif "weekday" in given:
        back = (said.weekday() - WEEKDAYS.index(given["weekday"])) % 7
        first = said + (7 - back) * DAY if ahead else said - (back or 7 * (step < 0)) * DAY
        last = first if ahead or step < 0 else first + 7 * DAY
    elif given.get("which") == "past":
        first = said - _LENGTHS.get(given["span"], 7) * DAY
    elif "span" in given:
        first, last = _period(given["span"], step, said)
    elif "day" in given:
        first = last = _of_a_month(said, int(given["day"])) if ahead else said.replace(day=int(given["day"]))
    else:
        unit = given.get("ends") or {"w": "week", "m": "month", "q": "quarter", "y": "year"}[given["letter"]]
        first = last = _period(unit, 0, said)[1]
    return first, last


def _of_a_month(said: date, day: int) -> date:
    """Return the next day of this number."""
    months = (_months(said.year * 12 + said.month - 1 + further) for further in range(3))
    days = (first.replace(day=day) for first, last in months if day <= last.day)
    return next(each for each in days if each >= said)


def _ago(given: Given, said: date) -> tuple[date, date]:
    length = _LENGTHS[given["unit"]]
    days = length // 2 if given["count"] == "half a" else _counted(given["count"]) * length
    at = said - days * DAY
    if given["unit"] == "year" and days >= length:
        return date(at.year, 1, 1), date(at.year, 12, 31)
    around = min(length, days) // 2 * DAY
    return at - around, at + around


def _ahead(given: Given, day: date) -> date:
    """Return the last day of a length of time from a day."""
    count, unit = given.get("count", "one"), given.get("unit") or given["one"]
    unit = unit.removesuffix("s")
    if unit in _LENGTHS or count == "half a":
        return _away(day, unit, count)
    for _ in range(_counted(count)):
        day += DAY if day.weekday() < 4 else (7 - day.weekday()) * DAY
    return day


def _away(day: date, unit: str, count: str, sign: int = 1) -> date:
    """Return the day that is a length of time, such as half a year, after a day, or before it."""
    if count != "half a":
        return _later(day, unit, sign * _counted(count))
    return _later(day, "month", 6 * sign) if unit == "year" else day + sign * (_LENGTHS.get(unit, 0) // 2) * DAY


def _later(day: date, unit: str, count: int) -> date:
    """Return the same day so many days, weeks or months later, or the last of that month."""
    if unit not in _UNITS:
        return day + _LENGTHS[unit] * count * DAY
    first, last = _months(day.year * 12 + day.month - 1 + _UNITS[unit] * count)
    return min(first + (day.day - 1) * DAY, last)


def _counted(count: str) -> int:
    return {"half a": 1, "a": 1, "an": 1, "a couple of": 2}.get(count) or WORDS.get(count) or int(count)


def _period(unit: str, step: int, said: date) -> tuple[date, date]:
    """Return the calendar's week (from Monday), weekend, month, quarter or year of a day, or so many after it."""
    if unit in {"week", "weekend"}:
        first = said + (7 * step - said.weekday()) * DAY
        return first + 5 * (unit == "weekend") * DAY, first + 6 * DAY
    count = _UNITS[unit]
    return _months(((said.year * 12 + said.month - 1) // count + step) * count, count)


def _months(first: int, count: int = 1) -> tuple[date, date]:
    """Return the first and the last day of so many months; they are counted from January of the year 0."""
    begin, end = (date(month // 12, month % 12 + 1, 1) for month in (first, first + count))
    return begin, end - DAY


_LEAD = regex(
    r"(?:\b(?P<lead>by|before|until|till?|through|come|in|during|on|at|into|within)\s+)?(?:the\s+)?"
    r"(?:(?P<part>start|beginning|early|middle|mid|late|end)(?:\s+of)?(?:\s+the)?[\s-]+)?(?:(?:this|next)\s+)?$",
    re.IGNORECASE,
)
_OUT = regex(r"\s+(?:is\s+)?(?:out|over|done|ends)\b|(?:'s|[\s-])\s*end\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """Until when a text means to hold."""

    until: date
    """The last day that counts."""
    lead: str
    """What leads to it: "by", "within", "in", ...; "next" for the next so many days, "ahead" for days from now,
    "ends" for "ends the year"."""
    start: int
    stop: int
    """Where it stands in the text."""

    def over(self, zone: tzinfo | None) -> datetime:
        """Return when it is over in a time zone."""
        return midnight(self.until + DAY, zone)


def horizons(text: str, at: datetime) -> list[Horizon]:
    """Return the horizons that a text names, in its order; one may lie before the moment.

    Parameters
    ----------
    text : str
        A sentence or a few.
    at : datetime
        When it was said, in the time zone whose days count.

    Examples
    --------
    >>> [str(each.until) for each in horizons("Above 400 by May, 450 within two weeks.", datetime(2024, 3, 1))]
    ['2024-05-31', '2024-03-15']
    """
    found, day = [], at.date()
    for match, given in matches(text, day):
        leading = before(match)
        led = _LEAD.search(leading)
        lead, part = ((led[name] or "").lower() if led else "" for name in ("lead", "part"))
        out = None if "ends" in given else _OUT.match(text, match.end())
        lead = _led(given, lead)
        # "before the July sale" and a bare "in summer" are no horizons
        goes_on = given.keys() == {"month"} and lead == "before" and not out and _GOES_ON.match(text, match.end())
        if not lead or given.keys() & {"ago", "recent"} or goes_on or ("season" in given and lead not in FIRM):
            continue
        ends = part in {"end", "late"} or out is not None or "ends" in given
        ahead = periods(given, day, range(day.year, day.year + 9), ahead=True)
        untils = [_end(first, last, lead, part, ends=ends) for first, last in ahead]
        if untils:
            until = next((each for each in untils if each >= day), untils[-1])
            start = match.start() - (len(leading) - led.start() if led and (led["lead"] or led["part"]) else 0)
            found.append(Horizon(until=until, lead=lead, start=start, stop=out.end() if out else match.end()))
    return found


def _led(given: Given, lead: str) -> str:
    """Return what leads to a time, be it in the match or before it; empty where it is no horizon."""
    if given.keys() & LENGTH:
        return given.get("within", "").replace("inside", "within") or ("next" if "next" in given else "ahead")
    if "closes" in given:
        return "ends"
    if "near" in given or "span" in given:
        own = given.get("near", given.get("which", "")).replace("coming", "next").replace("tonight", "today")
        return "" if own in {"last", "past", "yesterday", "this morning"} else own if own != "this" else lead or own
    return lead


def _end(first: date, last: date, lead: str, part: str, *, ends: bool) -> date:
    if part in {"start", "beginning", "early"}:
        last = first + (last - first) // 3
    elif part in {"mid", "middle"}:
        first = last = first + (last - first) // 2
    if lead == "before" or (lead in {"until", "till", "til"} and last > first):
        return last if ends else first - DAY
    return last


def deadline(text: str, at: datetime) -> Horizon | None:
    """Return until when a statement holds ("by May", "till the 29th").

    `at` is when it was made, in the time zone whose days count.
    """
    return next((each for each in horizons(text, at) if each.lead in DEADLINES), None)


def midnight(day: date, zone: tzinfo | None) -> datetime:
    """Return when a day begins in a time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=zone)

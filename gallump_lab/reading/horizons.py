"""Until when a statement means to hold: "by May", "within two weeks", "by year end", from the moment it was said.

A period lasts until its last day: "by May", "in May" and "come May" until 31 May, "by Q3" until 30 September, "by 2013"
until 31 December 2013. "Before May" and "until May" end with the last day of April; "before May is out" and "before the
end of May" with that of May. Without a year the next of that name counts, one that is not over included. The start of a
period is its first third, its middle is half of it. "Next week" lasts until its Sunday, "over the next week" seven
days; of "two to three weeks" the longer counts. Sessions are counted as weekdays. What has no date ("soon", "a few
weeks", "after earnings") is no horizon.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from gallump_lab.reading.periods import (
    COUNT,
    DAY,
    GOES_ON,
    LENGTHS,
    MONTHS,
    NAMES,
    PERIOD,
    UNITS,
    WORDS,
    Given,
    before,
    counted,
    later,
    matches,
    midnight,
    periods,
)

FIRM = frozenset("by before until till through come within til next ahead tomorrow at ends".split())
"""Leads that speak of what is to come, whatever stands beside them; "in May" may be in the past."""
DEADLINES = ("by", "before", "until", "till", "til", "through", "come")
"""Leads that say until when a statement holds."""
_ENDS = re.compile(rf"\b(?:{'|'.join(DEADLINES)})\b", re.IGNORECASE)
_LEAD = re.compile(
    r"(?:\b(?P<lead>by|before|until|till?|through|come|in|during|on|at|into|within)\s+)?(?:the\s+)?"
    r"(?:(?P<part>start|beginning|early|middle|mid|late|end)(?:\s+of)?(?:\s+the)?[\s-]+)?(?:(?:this|next)\s+)?$",
    re.IGNORECASE,
)
_OUT = re.compile(r"\s+(?:is\s+)?(?:out|over|done|ends)\b|(?:'s|[\s-])\s*end\b", re.IGNORECASE)


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
    name: str = ""
    """What it names, in short: "May", "15 June", "Q3 2012", "Friday"; empty for a length of time."""


def horizons(text: str, at: datetime, *, bare: bool = False) -> list[Horizon]:
    """Return the horizons that a text names, in its order; one may lie before the moment.

    Parameters
    ----------
    text : str
        A sentence or a few.
    at : datetime
        When it was said, in the time zone whose days count.
    bare : bool
        Whether the text is a horizon by itself: then "3 months" is one too, and so is "June".
    """
    found: list[Horizon] = []
    for horizon in (*_lengths(text, at.date(), bare=bare), *_periods(text, at.date())):
        if not any(horizon.start < other.stop and other.start < horizon.stop for other in found):
            found.append(horizon)
    if bare and not found:
        by = len("by ")
        found = [
            replace(each, start=max(each.start - by, 0), stop=each.stop - by)
            for each in _periods(f"by {text}", at.date())
        ]
    return sorted(found, key=lambda horizon: horizon.start)


def deadline(text: str, at: datetime) -> tuple[str, datetime] | None:
    """Return until when a statement holds ("by May", "till the 29th"): as it is named, and the end of that time.

    `at` is when it was made, in the time zone whose days count.
    """
    for each in horizons(text, at) if _ENDS.search(text) else ():
        if each.lead in DEADLINES:
            return each.name, midnight(each.until + DAY, at.tzinfo)
    return None


_UNIT = (
    r"(?P<unit>(?:trading[\s-]+|business[\s-]+)?days?|sessions?|bars?|weeks?|fortnights?|months?|quarters?|years?)\b"
)
_RANGE = rf"(?:(?:\d{{1,3}}|{'|'.join(WORDS)})\s*(?:-|\u2013|to|or)\s*)?{COUNT}[\s-]+{_UNIT}"
_NEXT = r"(?:(?:the\s+)?(?:next|coming|following)\s+)"
_PATTERNS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?P<lead>within|inside)\s+{_NEXT}?(?:{_RANGE})",
        rf"\b(?:in|over|during|for)\s+{_NEXT}(?:{_RANGE}|(?P<one>{PERIOD})\b)",
        rf"\b(?P<lead>in|over|during|for)\s+{_RANGE}(?!\s+(?:ago|in\s+a\s+row|straight|running))",
        rf"\b{_NEXT}{_RANGE}",
        rf"\b{_RANGE}\s+(?:from\s+now|ahead|hence|out)\b",
        rf"\b{_RANGE}[\s-]+(?:price\s+)?(?:target|horizon|view|forecast|outlook)\b",
    )
]
_BARE = re.compile(_RANGE, re.IGNORECASE)


def _lengths(text: str, day: date, *, bare: bool) -> Iterator[Horizon]:
    for place, pattern in enumerate([*_PATTERNS, *([_BARE] if bare else [])]):
        for match in pattern.finditer(text):
            given = match.groupdict()
            count, unit = (given["count"], given["unit"]) if given["unit"] else ("one", given["one"])
            lead = (given.get("lead") or ("next" if place in {1, 3} else "ahead")).lower()
            until = _later(day, " ".join(count.lower().split()), unit.lower())
            yield Horizon(
                until=until, lead="within" if lead == "inside" else lead, start=match.start(), stop=match.end()
            )


def _later(day: date, count: str, unit: str) -> date:
    half, number = count == "half a", counted(count)
    unit = unit.removesuffix("s")
    if unit in UNITS:
        if half and unit == "month":
            return day + 15 * DAY
        return later(day, UNITS[unit] * number // (2 if half else 1))
    if unit in {"day", "week", "fortnight"}:
        return day + LENGTHS[unit] * number * DAY
    for _ in range(number):
        day += DAY if day.weekday() < 4 else (7 - day.weekday()) * DAY
    return day


def _periods(text: str, day: date) -> Iterator[Horizon]:
    for match, given in matches(text, day):
        leading = before(match)
        led = _LEAD.search(leading)
        lead, part = ((led[name] or "").lower() if led else "" for name in ("lead", "part"))
        which = given.get("which", "").replace("coming", "next")
        if "near" in given or "span" in given:
            own = given.get("near", which)
            lead = "today" if own == "tonight" else own if own != "this" else lead or own
        lead = next((own for key, own in (("closes", "ends"), ("within", "within")) if key in given), lead)
        out = None if "ends" in given else _OUT.match(text, match.end())
        if not lead or lead in {"last", "past", "yesterday", "this morning"} or given.keys() & {"sense", "recent"}:
            continue
        if ("season" in given and lead not in FIRM) or (
            lead == "before" and given.keys() == {"month"} and not out and GOES_ON.match(text, match.end())
        ):
            continue  # "before the July sale"
        ends = part in {"end", "late"} or out is not None or "ends" in given
        ahead = periods(given, day, range(day.year, day.year + 9), ahead=True)
        untils = [_end(first, last, lead, part, ends=ends) for first, last in ahead]
        if untils:
            until = next((each for each in untils if each >= day), untils[-1])
            start = match.start() - (len(leading) - led.start() if led and (led["lead"] or led["part"]) else 0)
            stop = out.end() if out else match.end()
            yield Horizon(until=until, lead=lead, start=start, stop=stop, name=_named(given, until))


def _end(first: date, last: date, lead: str, part: str, *, ends: bool) -> date:
    if part in {"start", "beginning", "early"}:
        last = first + (last - first) // 3
    elif part in {"mid", "middle"}:
        first = last = first + (last - first) // 2
    if lead == "before" or (lead in {"until", "till", "til"} and last > first):
        return last if ends else first - DAY
    return last


def _named(given: Given, until: date) -> str:
    if month := MONTHS.get(given.get("month", "")):
        day = given.get("day") or (until.day if "ordinal" in given else "")
        return f"{day} {NAMES[month - 1].capitalize()}".strip()
    if "quarter" in given or "quartered" in given:
        return f"Q{(until.month + 2) // 3} {until.year}"
    if (until.month, until.day) == (12, 31) and given.keys() & {"year", "ends", "letter"}:
        return str(until.year)
    if "day" in given and "number" not in given:
        return f"{until.day} {NAMES[until.month - 1].capitalize()}"
    return given.get("season") or given.get("weekday", "").capitalize() or until.isoformat()

"""Dates and times: what one value names (`parse`), and what a text names (`times`) or a question asks for (`spans`)."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from gallump_lab.lazy import any_of, regex
from gallump_lab.reading.periods import (
    DAY,
    LENGTH,
    NAMES,
    YEARS,
    YEARS_BACK,
    Given,
    before,
    matches,
    midnight,
    periods,
    yearly,
)

_COUNTED = regex(r"\d+(?:\.\d*)?", re.ASCII)
_DATED = regex(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})(?:[ T](.*))?", re.ASCII | re.DOTALL)
_FIRST, _LAST = 946_684_800, 4_102_444_800
"""Seconds since 1970 at which 2000 and 2100 begin: a number is read as a time in between, whatever its unit."""


def parse(value: object) -> date | datetime:
    """Return the time that one value names, and leave open what the value does not say.

    Parameters
    ----------
    value : object
        A date or datetime (pandas' and numpy's too), text in ISO 8601, or a number, as such or as text: seconds,
        milliseconds, microseconds or nanoseconds since 1970, between the years 2000 and 2100, or a date as 20240531.

    Returns
    -------
    datetime.date or datetime.datetime
        A plain date where no time of day is given; a datetime without time zone where none is given; else a datetime in
        the zone that the value gives, which is UTC for a number.

    Raises
    ------
    ValueError
        If it is no time, or may be this one or that; the message goes on from the value's name: "must be a time ...".
    """
    found: Any = value
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        found = (found.astype("datetime64[us]") if found.dtype.kind == "M" else found).item()
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        found = f"{found:.6f}" if isinstance(found, float) else str(found)
    if isinstance(found, str):
        found = _text(found.strip())
    if not isinstance(found, date) or found != found:  # noqa: PLR0124 (pandas' NaT is a datetime that equals nothing)
        msg = f"must be a time such as 2024-05-31T09:30:00Z, not {value!r:.60}"
        raise ValueError(msg)
    return found


def instant(value: object, zone: tzinfo = UTC) -> datetime:
    """Return the time that one value names (see `parse`), UTC; without a zone of its own it is taken as one of `zone`.

    A date begins at midnight.

    Raises
    ------
    ValueError
        If it is no time, or lies beyond the calendar.
    """
    found = parse(value)
    if not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day, tzinfo=zone)
    try:
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        msg = f"must be a time of the calendar's years, not {value!r:.60}"
        raise ValueError(msg) from None


def _text(text: str) -> date | datetime | None:
    if _COUNTED.fullmatch(text):
        return _number(text)
    if found := _DATED.fullmatch(text):
        clock = found[5] and f"T{found[5].replace(' UTC', 'Z').replace(' ', '')}"
        text = f"{found[1]}-{found[3]:0>2}-{found[4]:0>2}{clock or ''}"
    for kind in (date, datetime):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            continue
    return None


def _number(digits: str) -> date | datetime | None:
    whole, _, part = digits.partition(".")
    if len(whole) == 8 and not part.strip("0"):
        try:
            return date.fromisoformat(whole)
        except ValueError:
            return None
    for places in (0, 3, 6, 9):
        if _FIRST <= int(whole) / 10**places < _LAST:
            microseconds = int(whole) * 1_000_000 // 10**places
            microseconds += int(f"{part:0<6}"[:6]) if not places else 0
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    return None


_EXCHANGES = {
    13: "NZ",
    11: "AX",
    9: "T KS KQ",
    8: "HK SS SZ TW TWO SI KL",
    7: "BK JK VN",
    5.5: "NS BO",
    3: "HE AT IS TA SR ME RG TL VS QA",
    2: "DE F BE DU HM MU SG PA AS BR MI MC SW VX ST CO OL VI WA PR BD JO CA",
    1: "L IL IR LS",
    -3: "SA BA SN",
    -4: "TO V CN NE",
    -5: "MX",
}
_HOURS = {suffix: hours for hours, suffixes in _EXCHANGES.items() for suffix in suffixes.split()}
"""Hours of an exchange's clock ahead of UTC, in summer (so that winter's midnight is no earlier), by the suffix of its
symbols."""
_SAME_DAY = (time(3), time(10))
"""UTC: an instant between these is on one day at midnight in America, by day in Asia and in the morning in Europe."""
_OLDEST = 1800


def exchange_day(text: str, exchange: str = "") -> date:
    """Return the exchange's day of a daily bar.

    A date is taken as it stands, and so is a midnight, with or without a zone. Any other instant has its day where the
    exchange is known, or where it is the same day at all of them.

    Parameters
    ----------
    text : str
        Such as 2013-03-01, 2013-03-01 00:00:00-05:00 or 2013-03-01T05:00:00Z.
    exchange : str
        The suffix that the exchange has in symbols, such as DE or HK; empty if it is not known.

    Raises
    ------
    ValueError
        If it is no date, or the exchange's day cannot be known; the message goes on from the value's name.
    """
    found = _text(text)
    if found is None or found.year < _OLDEST:
        msg = f"must be a day such as 2013-03-01, not {text!r:.60}"
        raise ValueError(msg)
    if not isinstance(found, datetime):
        return found
    if found.time() == time(0):
        return found.date()
    if found.tzinfo is not None:
        with suppress(OverflowError):  # the last hours of the year 9999
            at = found.astimezone(UTC)
            if exchange in _HOURS:
                return (at + timedelta(hours=_HOURS[exchange])).date()
            if _SAME_DAY[0] <= at.time() < _SAME_DAY[1]:
                return at.date()
    msg = f"must be the exchange's day alone such as 2013-03-01, not {text!r:.60}"
    raise ValueError(msg)


_MONTH_NAMED = regex(r"(\d{1,2}[ -])?([a-z]{3})[a-z]*\.?[ -](\d{1,2}, ?)?(\d{4})( .*)?", re.ASCII | re.IGNORECASE)
_MONTHS = {name[:3]: number for number, name in enumerate(NAMES, 1)}
_YEAR_LAST = regex(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(\D.*)?", re.ASCII | re.DOTALL)
_CLOCK = regex(r"(?:,\s*|T|\s+)(\d{1,2}):(\d\d(?::\d\d)?)(?:\s*([ap])\.?m\.?)?$", re.IGNORECASE)


def iso_days(texts: Iterable[str]) -> dict[str, str]:
    """Return in ISO 8601 the days that end with the year, if together they tell whether the month or the day is first.

    A time of day may follow, of 12 hours or of 24.

    >>> iso_days(["01/02/2024", "01/13/2024"]), iso_days(["01/02/2024"])
    ({'01/02/2024': '2024-01-02', '01/13/2024': '2024-01-13'}, {})
    >>> iso_days(["2.1.2024"]), iso_days(["Jan 2, 2024", "03-Jan-2024"])
    ({'2.1.2024': '2024-01-02'}, {'03-Jan-2024': '2024-01-03', 'Jan 2, 2024': '2024-01-02'})
    >>> iso_days(["1/16/2024, 8:42 PM"])
    {'1/16/2024, 8:42 PM': '2024-01-16 20:42'}
    """
    texts, named = {text: _CLOCK.sub(_of_24_hours, text) for text in sorted({*texts})}, {}
    for text, of_24 in texts.items():
        if (match := _MONTH_NAMED.fullmatch(of_24)) and (month := _MONTHS.get(match[2].lower())):
            named[text] = f"{match[4]}-{month:02}-{(match[1] or match[3] or '').strip(' ,-'):0>2}{match[5] or ''}"
        elif _DATED.fullmatch(of_24) and _text(text) is None:
            named[text] = of_24
    found = {text: match for text, of_24 in texts.items() if (match := _YEAR_LAST.fullmatch(of_24))}
    telling = [each for each in found.values() if each[2] == "." or max(int(each[1]), int(each[3])) > 12]
    day_first = {each[2] == "." or int(each[1]) > 12 for each in telling}
    if len(day_first) != 1:
        return named
    day, month = (1, 3) if day_first.pop() else (3, 1)
    return named | {text: f"{each[4]}-{each[month]:0>2}-{each[day]:0>2}{each[5] or ''}" for text, each in found.items()}


def _of_24_hours(clock: re.Match[str]) -> str:
    hour, half = int(clock[1]), (clock[3] or "").lower()
    hour = hour % 12 + 12 * (half == "p") if half and hour <= 12 else hour
    return f" {hour:02}:{clock[2]}"


_ASKED_YEAR = regex(YEARS, re.IGNORECASE)
_ASKED_MONTH = regex(r"\b(?:in|during|of|since|by|last|this|early|late|mid|until|around)\s+$|\bmid-$", re.IGNORECASE)
_ASKED_PART = regex(r"\b(?:in|during|since)\s+(?:the\s+)?$", re.IGNORECASE)
_AHEAD = regex(r"\b(?:by|until|till|next|come|before|through|this)\s+(?:the\s+)?(?:end\s+of\s+)?$", re.IGNORECASE)
_PAST = any_of("did|was|were|had|said|told")
_LEAD = regex(r"\b(on|since|before|after|between|from|and|to)\s+$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Named:
    """A time that a text names, from its first day to its last."""

    first: date
    last: date
    text: str
    start: int
    stop: int
    yearless: bool = False
    """Whether the text left the year to be guessed: the nearest of that name."""


def times(text: str, said: date) -> list[Named]:
    """Return the times that a text names, in its order.

    Parameters
    ----------
    text : str
        A statement or a message.
    said : datetime.date
        The day on which it was said; "yesterday" and dates without a year count from it.
    """
    found = []
    for match, given in matches(text, said):
        if given.keys() & (LENGTH | {"season", "closes", "recent"}):
            continue
        ahead = _AHEAD.search(before(match)) is not None
        if days := _nearest(given, said, ahead=ahead):
            found.append(
                Named(
                    first=days[0],
                    last=days[1],
                    text=match[0],
                    start=match.start(),
                    stop=match.end(),
                    yearless="year" not in given and yearly(given),
                )
            )
    return found


def spans(question: str, at: datetime) -> tuple[Sequence[tuple[datetime, datetime]], str]:
    """Return the times that a question asks for, and the question without the words that name them.

    Talk lies in the past: what begins after the moment's day is none of them.

    Parameters
    ----------
    question : str
        What is asked.
    at : datetime
        When, in the time zone whose days count.

    Returns
    -------
    spans : list of tuple of datetime
        From (included) and to (excluded), in order; a date without a year gives one for each year.
    rest : str
        The question; the same where it names no time.
    """
    return _spans(question, at.date(), at.tzinfo)


@lru_cache(maxsize=64)
def _spans(question: str, today: date, zone: tzinfo | None) -> tuple[Sequence[tuple[datetime, datetime]], str]:
    found, rest, begin = set[tuple[date, date]](), "", 0
    opened: list[tuple[date, date]] = []  # what stands after "between", until its "and"
    for match, given in matches(question, today):
        led = before(match)
        leads = _LEAD.search(led)
        lead = leads[1].lower() if leads else ""
        if lead in {"on", "before", "after"} and not _PAST.search(led):
            lead = ""  # as in "Shall I sell before June?"
        if "weekday" in given and lead in {"on", "since", "before", "after"}:
            given = given | {"which": "last"}  # noqa: PLW2901 (the same, more certain)
        closes = opened and lead in {"and", "to"}
        days = _days_asked(given, today) if closes or _asked(given, led, lead) else []
        if closes:
            found.difference_update(opened)
            days = _between(opened, days)
        elif lead in {"since", "before", "after"}:
            days = _led(lead, days, today)
        if days:
            found.update(days)
            rest, begin = f"{rest}{question[begin : match.start()]} ", match.end()
        opened = days if lead in {"between", "from"} else []
    apart = [(midnight(first, zone), midnight(last + DAY, zone)) for first, last in _merged(found)]
    return apart, rest + question[begin:]


def _days_asked(given: Given, today: date) -> list[tuple[date, date]]:
    years = range(today.year - YEARS_BACK, today.year + 1)
    return [
        (first, min(last, today) if "span" in given else last)
        for first, last in periods(given, today, years, ahead=False)
        if first <= today
    ]


def _led(lead: str, days: list[tuple[date, date]], today: date) -> list[tuple[date, date]]:
    """Return the days since, before or after the newest of some times."""
    if not days:
        return []
    first, last = days[-1]
    earliest = date(today.year - YEARS_BACK, 1, 1)
    first, last = {"since": (first, today), "after": (last + DAY, today), "before": (earliest, first - DAY)}[lead]
    return [(first, last)] if first <= last else []


def _between(opened: list[tuple[date, date]], closed: list[tuple[date, date]]) -> list[tuple[date, date]]:
    """Return the days from the newest opening before each closing to that."""
    starts = [(max((first for first, _ in opened if first <= last), default=None), last) for _, last in closed]
    return [(first, last) for first, last in starts if first]


def _merged(found: set[tuple[date, date]]) -> list[tuple[date, date]]:
    apart: list[tuple[date, date]] = []
    for first, last in sorted(found):
        if apart and first <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(last, apart[-1][1]))
        else:
            apart.append((first, last))
    return apart


def _asked(given: Given, led: str, lead: str) -> bool:
    """Return whether a question asks for what was said at a time, and not for something that has its name."""
    if given.keys() & (LENGTH | {"ends", "christmas"}):
        return False
    if "part" in given:
        return _ASKED_PART.search(led) is not None
    if given.keys() == {"month"}:
        return lead in {"before", "after", "between", "from"} or _ASKED_MONTH.search(led) is not None
    if given.keys() == {"year"}:
        return lead in {"before", "after"} or _ASKED_YEAR.search(led) is not None
    return bool(given.keys() & {"month", "number", "count", "span", "near"}) or given.get("which") == "last"


def _nearest(given: Given, said: date, *, ahead: bool) -> tuple[date, date] | None:
    found = periods(given, said, range(said.year - 4, said.year + 9), ahead=False)
    if ahead:
        found = [each for each in found if each[1] >= said] or found
    return min(found, key=lambda each: max((each[0] - said).days, (said - each[1]).days, 0), default=None)

"""Words of time in the question: "on 7 May", "in May 2012", "last week", "two months ago"."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gallump_lab.store.times import microseconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import Places, View
    from gallump_lab.memory.signals.asked import Asked

_NAMES = "january february march april may june july august september october november december".split()
MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
MONTHS |= {name[:3]: number for name, number in MONTHS.items()} | {"sept": 9}
_MONTH = rf"(?P<month>{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b\.?"
_YEAR = r"(?P<year>(?:19|20)\d\d)\b"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_CALENDAR = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?P<year>(?:19|20)\d\d)-(?P<number>\d\d)-(?P<day>\d\d)\b",
        rf"\b{_DAY}(?: of)? {_MONTH}(?:,? {_YEAR})?",
        rf"\b{_MONTH} {_DAY}\b(?:,? {_YEAR})?",
        rf"\b{_MONTH},? (?:of )?{_YEAR}",
        rf"\b(?:in|during|of|since|by|last|this|early|late|mid|until|around) {_MONTH}",
        rf"\b{_YEAR}",
    )
]
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_RELATIVE = re.compile(
    r"\b(?P<yesterday>yesterday)\b|\b(?P<today>today|this morning)\b"
    rf"|\b(?P<count>\d{{1,3}}|{'|'.join(_COUNTS)}) (?P<ago>day|week|month|year)s? ago\b"
    r"|\b(?P<which>last|this|past) (?P<unit>week|month|year)\b",
    re.IGNORECASE,
)
YEARS = 30
"""A date without a year is looked for in so many years back."""
BEFORE, AFTER = timedelta(days=1), timedelta(days=10)
"""So near before and after a time one speaks of it too; that counts half."""


def score(view: "View", places: "Places", asked: "Asked") -> "NDArray[np.int64]":
    """Give a million to what was said in a time that the question names, half of it to what was said near it."""
    import numpy as np

    said = view.created_at[places]
    found = np.zeros(len(places), np.int64)
    before, after = (each // timedelta(microseconds=1) for each in (BEFORE, AFTER))
    for begin, end in asked.spans:
        near = (said >= begin - before) & (said < end + after)
        within = (said >= begin) & (said < end)
        found = np.maximum(found, 500_000 * near.astype(np.int64) + 500_000 * within)
    return found


def within(view: "View", asked: "Asked") -> "NDArray[np.bool_]":
    """Say of every passage whether it was said in a time that the question names."""
    import numpy as np

    found = np.zeros(len(view), bool)
    for begin, end in asked.spans:
        found |= (view.created_at >= begin) & (view.created_at < end)
    return found


def spans(question: str, at: datetime) -> tuple[list[tuple[int, int]], str]:
    """Find the times that a question names, and the words that name them.

    Returns
    -------
    spans : list of tuple of int
        From (included) and to (excluded), in microseconds since 1970; a date without a year gives one for each year.
    words : str
        As they stand in the question; empty if it names none.
    """
    for pattern in _CALENDAR:
        match = pattern.search(question)
        if match and (found := _calendar(match, at)):
            return found, match[0]
    match = _RELATIVE.search(question)
    return ([_relative(match, at)], match[0]) if match else ([], "")


def _calendar(match: re.Match[str], at: datetime) -> list[tuple[int, int]]:
    given = match.groupdict()
    month = int(given["number"]) if given.get("number") else MONTHS.get((given.get("month") or "").lower())
    day = given.get("day")
    years = [int(given["year"])] if given.get("year") else range(at.year - YEARS, at.year + 1)
    found = []
    for year in years:
        try:
            if month and day:
                begin = datetime(year, month, int(day), tzinfo=UTC)
                end = begin + timedelta(days=1)
            elif month:
                begin = datetime(year, month, 1, tzinfo=UTC)
                end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
            else:
                begin, end = (datetime(each, 1, 1, tzinfo=UTC) for each in (year, year + 1))
        except ValueError:  # 30 February
            continue
        found.append((microseconds(begin), microseconds(end)))
    return found


def _relative(match: re.Match[str], at: datetime) -> tuple[int, int]:
    today = at.replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow = today + timedelta(days=1)
    if match["yesterday"]:
        begin, end = today - timedelta(days=1), today
    elif match["today"]:
        begin, end = today, tomorrow
    elif match["ago"]:
        count = match["count"].lower()
        length = _DAYS[match["ago"].lower()]
        middle = today - timedelta(days=(_COUNTS.get(count) or int(count)) * length)
        begin, end = middle - timedelta(days=length // 2), middle + timedelta(days=length // 2 + 1)
    elif match["which"].lower() == "past":
        begin, end = today - timedelta(days=_DAYS[match["unit"].lower()]), tomorrow
    else:
        begin, end = _this(match["unit"].lower(), today), tomorrow
        if match["which"].lower() == "last":
            begin, end = _this(match["unit"].lower(), begin - timedelta(days=1)), begin
    return microseconds(begin), microseconds(end)


def _this(unit: str, day: datetime) -> datetime:
    """Give the first day of the calendar's week (from Monday), month or year that a day is in."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)

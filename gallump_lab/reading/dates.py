"""Dates and times: what one value names, and what words of time in a text name."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

_COUNTED = re.compile(r"\d+(?:\.\d*)?", re.ASCII)
_SLASHED = re.compile(r"(\d{4})/(\d\d)/(\d\d)\b")
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
    text = _SLASHED.sub(r"\1-\2-\3", text, count=1)
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

"""The day of a daily bar: the exchange's own, read as written where it says, refused where it cannot be known."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_DATE = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})(?:[ T](\d{2}:\d{2}.*))?", re.ASCII | re.DOTALL)
_AHEAD = {
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
"""Hours of an exchange's clock ahead of UTC, in summer (so that winter's midnight is no earlier), by the suffixes
of its symbols."""
_HOURS = {suffix: hours for hours, suffixes in _AHEAD.items() for suffix in suffixes.split()}
_SAME_DAY = (time(3), time(10))
"""UTC: an instant between these is on one day at midnight in America, by day in Asia and in the morning in Europe."""
_OLDEST = 1800


def hours_ahead(symbol: str) -> float | None:
    """Return the hours that the clock of a symbol's exchange is ahead of UTC in summer; None if it does not tell."""
    return _HOURS.get(symbol.rpartition(".")[2]) if "." in symbol else None


def exchange_day(text: str, ahead: float | None = None, zone: tzinfo | None = None) -> date:
    """Return the exchange's day of a daily bar.

    A date is taken as it stands, and so is a midnight, with or without a zone. Any other instant has its day where the
    exchange is known, or where it is the same day at all of them.

    Parameters
    ----------
    text : str
        Such as 2013-03-01, 2013-03-01 00:00:00-05:00 or 2013-03-01T05:00:00Z.
    ahead : float, optional
        Hours of the exchange's clock ahead of UTC, as `hours_ahead` gives it.
    zone : tzinfo, optional
        Where the file says so, the zone whose clock an instant is to be read on.

    Raises
    ------
    ValueError
        If it is no date, or the exchange's day cannot be known; the message follows the text.
    """
    found = _DATE.fullmatch(text)
    try:
        year, month, day = (int(found[1]), int(found[3]), int(found[4])) if found else (0, 0, 0)
        written = date(year, month, day)
        clock = found[5] if found else None
        moment = datetime.fromisoformat(f"{written}T{clock.replace(' UTC', 'Z').replace(' ', '')}") if clock else None
    except ValueError:
        year = 0
    if year < _OLDEST:
        msg = "is no date; write it as 2013-03-01"
        raise ValueError(msg)
    if moment is None:
        return written
    try:
        if moment.tzinfo is not None and zone is not None:
            moment = moment.astimezone(zone)
        if moment.time() == time(0):
            return moment.date()
        if moment.tzinfo is not None:
            instant = moment.astimezone(UTC)
            if ahead is not None:
                return (instant + timedelta(hours=ahead)).date()
            if _SAME_DAY[0] <= instant.time() < _SAME_DAY[1]:
                return instant.date()
    except OverflowError:
        pass  # the last hours of the year 9999
    msg = "may be another day at its exchange; write that day alone, as 2013-03-01"
    raise ValueError(msg)

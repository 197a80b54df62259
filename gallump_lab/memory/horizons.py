"""Until when a statement looks: "by May", "till the 29th", "by year end"."""

import re
from datetime import UTC, datetime, timedelta

from gallump_lab.memory.signals.dates import MONTHS

_NAMES = [name.capitalize() for name in list(MONTHS)[:12]]
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_SEASONS = {"spring": 5, "summer": 8, "autumn": 11, "fall": 11}
"""The month that each ends with."""
_YEAR = r"(?:,?\s+(?P<year>20\d\d)\b)?"
_HORIZON = re.compile(
    r"\b(?:by|before|until|till?|come|through)\s+(?:the\s+)?(?:end\s+of\s+|early\s+|mid-?\s?|late\s+)?"
    rf"(?:(?P<month>{_MONTH})\b\.?(?:\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?![.,]?\d))?{_YEAR}"
    rf"|(?P<first>\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+(?P<named>{_MONTH})\b"
    r"|q(?P<quarter>[1-4])\b(?:,?\s+(?P<of>20\d\d)\b)?|(?P<season>spring|summer|autumn|fall)\b(?! (?:below|to|under))"
    r"|(?P<nth>\d{1,2})(?:st|nd|rd|th)\b|(?P<weekday>mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|(?P<end>year[ -]?end|end of (?:the )?year|the year is out)|(?P<only>20\d\d)\b(?![.,]?\d))",
    re.IGNORECASE,
)
_WEEKDAYS = ["mon", "tues", "wednes", "thurs", "fri", "satur", "sun"]


def horizon(text: str, at: datetime) -> tuple[str, datetime, tuple[int, int]] | None:
    """Find until when a statement looks ("by May", "till the 29th"): as it is named, the end of that time, UTC, and its span.

    Parameters
    ----------
    text : str
        The statement.
    at : datetime
        When it was made: a month or day without a year is the next one.
    """
    match = _HORIZON.search(text)
    if not match or (match[0].lower().startswith("before") and re.match(r" (?!is out)\w", text[match.end() :])):
        return None  # "before the July sale"
    given = match.groupdict()
    name = (given["month"] or given["named"] or "").lower()
    month, day = MONTHS.get(name), int(given["day"] or given["first"] or given["nth"] or 0)
    year = int(given["year"] or given["only"] or 0)
    today = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if given["weekday"]:
            ahead = (_WEEKDAYS.index(given["weekday"].lower()) - today.weekday()) % 7
            return match["weekday"].capitalize() + "day", today + timedelta(days=ahead + 1), match.span()
        if given["quarter"] or given["season"]:
            last = int(given["quarter"]) * 3 if given["quarter"] else _SEASONS[given["season"].lower()]
            year = int(given["of"] or today.year + (last < today.month))
            name = f"Q{given['quarter']} {year}" if given["quarter"] else given["season"].lower()
            return name, datetime(year + last // 12, last % 12 + 1, 1, tzinfo=UTC), match.span()
        if given["nth"]:
            month = today.month if day >= today.day else today.month % 12 + 1
        if month is None:
            year = year or today.year
            return str(year), datetime(year + 1, 1, 1, tzinfo=UTC), match.span()
        year = year or today.year + (month < today.month)
        begin = datetime(year, month, day or 1, tzinfo=UTC)
        end = begin + timedelta(days=1) if day else datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):  # 30 February
        return None
    return f"{day or ''} {_NAMES[month - 1]}".strip(), end, match.span()

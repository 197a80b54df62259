"""Times are UTC: aware in Python, naive in DuckDB (its own time zone type needs a package that pandas has dropped).

Days are the analyst's: what counts days gets a time in the analyst's time zone (`here`).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

from gallump_lab.config import zone


def now() -> datetime:
    """Return the time, UTC; the clock that is used where none is given."""
    return datetime.now(UTC)


def here(clock: Callable[[], datetime], time_zone: str | None) -> datetime:
    """Return a clock's time in the analyst's time zone.

    Parameters
    ----------
    clock : callable
        Tells the time.
    time_zone : str or None
        An IANA name. None for the machine's where the clock is the machine's (`now`); any other clock says its own, as
        `datetime.now(ZoneInfo("Europe/Berlin"))` does: one that names none counts as UTC.
    """
    at = clock()
    naive(at, "clock()")
    own = machine() if clock is now else at.tzinfo if isinstance(at.tzinfo, ZoneInfo) else UTC
    return at.astimezone(zone(time_zone) if time_zone else own)


@cache
def machine() -> tzinfo:
    """Return this machine's time zone; UTC where it cannot be told by name."""
    from babel.localtime import get_localzone  # Windows has names of its own

    try:
        return zone(str(get_localzone()))
    except (LookupError, ValueError, OSError):
        return UTC


def naive(moment: datetime, name: str = "created_at") -> datetime:
    """Turn an aware time into the naive UTC that a table holds.

    Raises
    ------
    ValueError
        If `moment` is not a datetime, has no time zone or is in no year from 1 to 9999 in UTC; `name` is what the
        message calls it.
    """
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        msg = f"{name} must be a datetime with a time zone, such as datetime.now(timezone.utc), not {moment!r}."
        raise ValueError(msg)
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError as error:
        msg = f"{name} {moment} is in no year from 1 to 9999 in UTC. Check its year and time zone."
        raise ValueError(msg) from error


def aware(moment: datetime, zone: tzinfo | None = UTC) -> datetime:
    """Turn a table's naive UTC into an aware time, in a time zone."""
    return moment.replace(tzinfo=UTC).astimezone(zone)


def microseconds(moment: datetime) -> int:
    """Count a time's microseconds since 1970."""
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

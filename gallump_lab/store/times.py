"""Times are UTC: aware in Python, naive in DuckDB (its own time zone type needs a package that pandas has dropped)."""

from datetime import UTC, datetime, timedelta


def now() -> datetime:
    """Tell the time, UTC; the clock that is used where none is given."""
    return datetime.now(UTC)


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


def aware(moment: datetime) -> datetime:
    """Turn a table's naive UTC into an aware time."""
    return moment.replace(tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Count a time's microseconds since 1970."""
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

"""Dates and times as the whole package reads them."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from gallump_lab.reading import dates

AT = datetime(2024, 1, 2, 9, 30, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2024-01-02", date(2024, 1, 2)),
        ("2024/01/02", date(2024, 1, 2)),
        (20240102, date(2024, 1, 2)),
        ("2024-01-02T09:30", AT.replace(tzinfo=None)),
        (np.datetime64("2024-01-02T09:30", "ns"), AT.replace(tzinfo=None)),
        (" 2024-01-02 10:30:00+01:00 ", AT.astimezone(BERLIN)),
        (AT, AT),
        (1704187800, AT),
        ("1704187800", AT),
        (1704187800.25, AT + timedelta(milliseconds=250)),
        (np.int64(1704187800000), AT),
        ("1704187800000000000", AT),
    ],
)
def test_a_value_is_read_as_it_stands_and_what_it_does_not_say_stays_open(value, read):
    found = dates.parse(value)
    assert (found, isinstance(found, datetime)) == (read, isinstance(read, datetime))
    assert getattr(found, "utcoffset", lambda: None)() == getattr(read, "utcoffset", lambda: None)()


@pytest.mark.parametrize(
    "value", ["24-01-02", "45292", 45292, 1e300, float("nan"), pd.NaT, None, True, "nan", "\u00b2", "20240231", [1]]
)
def test_what_is_no_time_or_may_be_several_is_refused(value):
    with pytest.raises(ValueError, match=r"must be a time such as 2024-05-31T09:30:00Z, not"):
        dates.parse(value)

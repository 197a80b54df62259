"""The outcome of forecasts: what is read as one, what bars say of it, and how often such a move comes anyway."""

import math
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from gallump_lab.market.broker import FileBroker
from gallump_lab.reading.periods import horizons
from gallump_lab.study.scorecard import outcome
from gallump_lab.study.scorecard.outcome import Forecast, Outcome, summary

AT = datetime(2011, 3, 18, 15, 44, tzinfo=UTC)
"""A Friday, in mid-session."""


def read(text, symbol="AAPL", at=AT, **known):
    found = outcome.testable(text, symbol, at, **known)
    assert isinstance(found, Forecast), found
    return found


def bars(closes, *, highs=None, lows=None, start="2011-03-14"):
    """Make a bar for each weekday; highs and lows are the closes but where given by position."""
    days = pd.bdate_range(start, periods=len(closes))
    close = np.array(closes, float)
    high, low = close.copy(), close.copy()
    for column, given in ((high, highs), (low, lows)):
        for place, price in (given or {}).items():
            column[place] = price
    return pd.DataFrame({"date": days, "open": close, "high": high, "low": low, "close": close})


def judge(text, frame, at=AT, **known):
    return outcome.outcome(read(text, at=at, **known), frame)


UNTIL = """
by May: 2011-05-31; by February: 2012-02-29; come may: 2011-05-31; before May: 2011-04-30;
before May is out: 2011-05-31; until May: 2011-04-30; by mid-May: 2011-05-16; by May 7th, 2012: 2012-05-07;
before 2011-05-15: 2011-05-14; by Q3: 2011-09-30; by year end: 2011-12-31; by 2013: 2013-12-31; next week: 2011-03-27;
over the next two weeks: 2011-04-01; within ten sessions: 2011-04-01; in two to three weeks: 2011-04-08;
within half a year: 2011-09-18; by the end of next quarter: 2011-06-30; by Friday: 2011-03-25; by Christmas: 2011-12-25
"""
"""Said on AT; of a month this year's counts, this one included, where it is not over."""


@pytest.mark.parametrize("named", [each.strip() for each in UNTIL.split(";")])
def test_a_horizon_lasts_until_the_last_day_of_what_it_names(named):
    words, until = named.split(": ")
    found = horizons(f"It rises {words}, I say.", AT)
    assert [str(each.until) for each in found] == [until]


@pytest.mark.parametrize(
    "words", ["soon", "in a few weeks", "after earnings", "while the trend lasts", "since February"]
)
def test_what_has_no_date_is_no_horizon(words):
    assert horizons(f"It rises {words}.", AT) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mara expects AAPL above 367.50 by May (close 334.64, 2011-03-18).", (True, 367.5, False, 334.64)),
        ("i'd bet lunch apple is below 300 come may", (False, 300, False, None)),
        ("AAPL to reach 1,200.50 within 3 months", (None, 1200.5, False, None)),
        ("apple to 400 by june", (None, 400, False, None)),
        ("It rises from 330 to 350 by June", (None, 350, False, None)),
        ("12-month target for AAPL: 400", (None, 400, False, None)),
        ("aapl won't see 300 before july", (None, 300, True, None)),
        ("I don't think AAPL gets above 400 by May.", (True, 400, True, None)),
        ("AAPL will be above 400 in June", (True, 400, False, None)),
    ],
)
def test_a_forecast_is_a_level_and_a_horizon(text, expected):
    found = read(text)
    assert (found.up, found.level, found.denied, found.close, found.symbol) == (*expected, "AAPL")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Henry plans to sell AAPL at 373", "plan"),
        ("I see AAPL above 400 by May if the Fed keeps its word", "condition"),
        ("AAPL could reach 400 by May", "doubt"),
        ("I should not be surprised to see AAPL above 400 by May.", "doubt"),
        ("Tom no longer expects AAPL above 400 by May", "doubt"),
        ("AAPL was above 340 in February", "past"),
        ("Target of Tom for AAPL: 713 since 2011-03-18 (close 334.64).", "no horizon"),
        ("AAPL above 400 by May 2010", "was over"),
        ("AAPL above 400 by May, by June at the latest", "several"),
        ("Will AAPL be above 400 by May?", "asks"),
        ("AAPL is above 340 this year", "how it is"),
        ("AAPL's EPS above 20 by 2015", "EPS"),
        ("MSFT above 30 by May", "MSFT"),
        ("AAPL above 400 by May, not MSFT", "MSFT"),
        ("I do not think AAPL won't reach 400 by May", "denies"),
        ("AAPL ends the year above 400.", "stays or ends"),
        ("AAPL stays above 300 until June.", "stays or ends"),
        ("AAPL up 10 percent by June", "no level"),
        ("AAPL margins above 40 percent by May", "no level"),
        ("The Apple bounce before Christmas was a trap.", "past"),
        ("", "no level"),
    ],
)
def test_what_is_no_certain_forecast_gets_a_reason(text, reason):
    found = outcome.testable(text, "AAPL", AT)
    assert isinstance(found, str)
    assert reason in found
    assert outcome.testable("above 400 by May", None, AT) == "It speaks of no symbol."


def test_where_a_text_names_no_horizon_its_insights_end_is_one():
    found = read("Tom expects AAPL above 400.", valid_until=datetime(2011, 6, 1, 12, tzinfo=UTC))
    assert (found.until, found.level) == (date(2011, 6, 1), 400)
    assert read("AAPL above 400 by May", valid_until=datetime(2012, 1, 1, tzinfo=UTC)).until == date(2011, 5, 31)


# From Monday 14 March 2011: the close of Thursday 17 is the last known at AT, the bar of Friday 18 had begun.
BEFORE = [100, 100, 100, 100, 100]


def test_a_level_is_touched_by_a_high_that_reaches_it_on_a_bar_that_began_after_it_was_said():
    text = "AAPL above 110 by 2011-03-25"
    touched = judge(text, bars([*BEFORE, 101, 102, 101, 101, 101], highs={7: 110}))
    assert (touched.bore_out, touched.decided) == (1, date(2011, 3, 23))
    assert (touched.windows, math.isnan(touched.base_rate)) == (0, True)  # of so few bars before
    short = judge(text, bars([*BEFORE, 101, 102, 101, 101, 101], highs={7: 109.99}))
    assert (short.bore_out, short.decided) == (0, date(2011, 3, 25))
    in_the_running_session = judge(text, bars([*BEFORE, 101, 102, 101, 101, 101], highs={4: 120}))
    assert in_the_running_session.bore_out == 0
    late = judge(text, bars([*BEFORE, 101, 102, 101, 101, 101, 120]))
    assert late.bore_out == 0


@pytest.mark.parametrize(("hour", "bore_out"), [(9, 1), (15, 0), (22, 0)])
def test_the_bar_of_its_own_day_counts_where_it_was_said_before_the_open(hour, bore_out):
    frame = bars([*BEFORE, 101, 102, 101, 101, 101], highs={4: 120})
    assert judge("AAPL above 110 by 2011-03-25", frame, at=AT.replace(hour=hour)).bore_out == bore_out


@pytest.mark.parametrize(
    ("text", "bore_out"),
    [
        ("AAPL above 106 by 2011-03-25", 1),
        ("AAPL won't reach 107 by 2011-03-25", 1),
        ("AAPL won't reach 106 by 2011-03-25", 0),
        ("AAPL falls to 98 by 2011-03-25", 1),
        ("AAPL below 97.50 by 2011-03-25", 0),
        ("AAPL won't fall below 97.50 by 2011-03-25", 1),
    ],
)
def test_what_is_claimed_decides_what_the_bars_must_do(text, bore_out):
    frame = bars([*BEFORE, 100, 105, 101, 100, 102], highs={6: 106}, lows={8: 98})
    assert judge(text, frame).bore_out == bore_out
    for passed in ("AAPL above 99 by 2011-03-25", "AAPL below 101 by 2011-03-25"):
        assert judge(passed, frame).why == "Its level was passed already when it was said."


def test_where_bars_end_before_the_horizon_only_what_is_decided_is_told():
    frame = bars([*BEFORE, 101, 102], highs={6: 110})
    open_yet = judge("AAPL above 120 by 2011-03-31", frame)
    assert math.isnan(open_yet.bore_out)
    assert "Bars end on 2011-03-22" in open_yet.why
    early = judge("AAPL above 110 by 2011-03-31", frame)
    assert (early.bore_out, early.decided, early.whole) == (1, date(2011, 3, 22), False)
    assert early.bars == 2 + 7  # 21 and 22 March, and seven weekdays more


def test_a_horizon_on_a_weekend_ends_with_fridays_bar():
    found = judge("AAPL above 120 by 2011-03-27", bars([*BEFORE, 101, 101, 101, 101, 101]))
    assert (found.bore_out, found.whole, found.decided) == (0, True, date(2011, 3, 25))


@pytest.mark.parametrize(
    ("frame", "at", "until", "reason"),
    [
        (bars([]), AT, "2011-03-25", "has no close"),
        (bars([100] * 30), AT, "2011-03-20", "no trading day"),
        (bars([100] * 30), datetime(2011, 3, 1, tzinfo=UTC), "2011-03-25", "no close"),
        (bars([100] * 5), datetime(2011, 6, 1, tzinfo=UTC), "2011-06-25", "no close"),
    ],
)
def test_without_bars_where_they_are_needed_there_is_no_outcome(frame, at, until, reason):
    found = judge(f"AAPL above 110 by {until}", frame, at=at)
    assert math.isnan(found.bore_out)
    assert math.isnan(found.base_rate)
    assert reason in found.why


def test_the_base_rate_is_the_share_of_earlier_windows_in_which_the_same_move_came_whatever_came_after():
    # Said after the close of the 23rd bar: windows of two bars after each of the bars 1 to 21.
    at, before = datetime(2011, 4, 13, 22, tzinfo=UTC), [100, 110] + [100] * 21
    calm, wild = (
        judge("AAPL above 110 by 2011-04-15", bars([*before, *after]), at=at) for after in ((100, 100), (200, 50))
    )
    # From bar 1 the next two reach 110, from no other do they rise by a tenth.
    assert (calm.windows, calm.bars, calm.base_rate, calm.bore_out) == (21, 2, 1 / 21, 0)
    assert (wild.base_rate, wild.bore_out) == (1 / 21, 1)
    falls = judge("AAPL below 91 by 2011-04-15", bars([*before, 100, 100]), at=at)
    assert falls.base_rate == 1 / 21  # from bar 2 alone
    denied = judge("AAPL won't reach 110 by 2011-04-15", bars([*before, 100, 100]), at=at)
    assert denied.base_rate == pytest.approx(20 / 21)


def test_in_mid_session_the_windows_leave_out_a_bar_as_the_forecast_does():
    closes = [100] * 10 + [100, 100, 110, 100] + [100] * 30
    at = pd.bdate_range("2011-03-14", periods=43)[-1].to_pydatetime().replace(hour=15, tzinfo=UTC)
    found = judge("AAPL above 110 within 1 day", bars(closes), at=at)
    # The bar that runs is passed over, so is the first bar after each earlier close; one bar decides.
    assert (found.bars, found.windows, found.base_rate) == (1, 40, 1 / 40)


def test_on_real_bars_the_base_rate_is_what_a_loop_counts():
    frame = FileBroker().bars("AAPL", 10**6)
    found = judge("Mara expects AAPL above 367.50 by May (close 334.64, 2011-03-18).", frame)
    known = frame[frame["date"] <= "2011-03-17"]
    ratio = 367.5 / known["close"].iloc[-1]
    high, close = known["high"].to_numpy(), known["close"].to_numpy()
    came = [high[i + 2 : i + 2 + 50].max() >= close[i] * ratio for i in range(len(known) - 51)]
    assert (found.bore_out, found.bars, found.windows) == (0, 50, len(came))
    assert found.base_rate == pytest.approx(sum(came) / len(came))


def test_prices_are_taken_on_the_basis_of_the_day_where_a_split_came_later():
    halved = bars([50, 50, 50, 50, 50, 51, 51, 51, 51, 51], highs={7: 55})
    quoted = judge("AAPL above 110 by 2011-03-25 (close 100, 2011-03-17)", halved)
    assert (quoted.bore_out, quoted.decided) == (1, date(2011, 3, 23))
    assert judge("AAPL above 112 by 2011-03-25 (close 100, 2011-03-17)", halved).bore_out == 0
    unknown = judge("AAPL above 110 by 2011-03-25", halved)
    assert math.isnan(unknown.bore_out)
    assert "split basis" in unknown.why


def made(bore_out, base_rate, symbol, *, whole=True):
    forecast = Forecast(symbol=symbol, at=AT, until=date(2011, 5, 31), level=110)
    return Outcome(bore_out=bore_out, base_rate=base_rate, whole=whole, forecast=forecast)


def test_the_summary_compares_hits_with_base_rates_of_the_same_forecasts():
    found = [made(each % 2, 0.25, f"S{each}") for each in range(6)]
    left_out = [made(1, 0.9, "S1", whole=False), made(1, math.nan, "S2"), made(math.nan, 0.9, "S3"), Outcome(why="?")]
    result = summary([*found, *left_out])
    assert (result.stated, result.testable, result.decided, result.borne_out) == (10, 9, 8, 5)
    assert (result.early, result.unrated) == (1, 1)
    assert (result.hits.value[0], result.base.value[0], result.difference.value[0]) == (0.5, 0.25, 0.25)
    assert result.hits.clusters[0] == 6
    assert result.difference.low[0] < 0.25 < result.difference.high[0]
    decided, left_out_of_it, compared, _ = repr(result).splitlines()
    assert decided == "Outcome: 9 of 10 are testable, 8 of these are decided: 5 came true, 3 did not"
    assert left_out_of_it == "not compared: 1 whose bars end too early, 1 without a base rate"
    assert compared.startswith("compared: 6 of the 8; 3 of these 6 came true, 50% [")
    few = summary([made(each % 2, 0.25, f"S{each % 4}") for each in range(8)])
    assert math.isnan(few.hits.low[0])
    assert "only 4 independent cases" in repr(few)
    nothing = summary([])
    assert math.isnan(nothing.hits.value[0])
    assert "0 of 0" in repr(nothing)

"""The outcome of forecasts: what is read as one, what bars say of it, and how often such a move comes anyway."""

import math
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from gallump_lab.market.broker import FileBroker
from gallump_lab.reading.periods import horizons
from gallump_lab.study.scorecard import forecasts, outcome
from gallump_lab.study.scorecard.forecasts import Forecast
from gallump_lab.study.scorecard.outcome import Outcome, summary

AT = datetime(2011, 3, 18, 15, 44, tzinfo=UTC)
"""A Friday, in mid-session."""


def read(text, symbol="AAPL", at=AT, **known):
    found = forecasts.testable(text, symbol, at, **known)
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
        ("Mara expects AAPL above 367.50 by May (close 334.64, 2011-03-18).", ("up", 367.5, None, "touch", False)),
        ("i'd bet lunch apple is below 300 come may", ("down", 300, None, "touch", False)),
        ("AAPL to reach 1,200.50 within 3 months", (None, 1200.5, None, "touch", False)),
        ("apple to 400 by june", (None, 400, None, "touch", False)),
        ("It rises from 330 to 350 by June", (None, 350, None, "touch", False)),
        ("12-month target for AAPL: 400", (None, 400, None, "touch", False)),
        ("I should not be surprised to see AAPL above 400 by May.", ("up", 400, None, "touch", False)),
        ("AAPL closes above 400 by May", ("up", 400, None, "close", False)),
        ("AAPL ends the year above 400.", ("up", 400, None, "end", False)),
        ("AAPL stays above 300 until June.", ("down", 300, None, "touch", True)),
        ("aapl won't see 300 before july", (None, 300, None, "touch", True)),
        ("I don't think AAPL gets above 400 by May.", ("up", 400, None, "touch", True)),
        ("AAPL up 10 percent by June", ("up", None, 0.1, "touch", False)),
        ("AAPL -5% by June", ("down", None, -0.05, "touch", False)),
        ("AAPL drops at least 5% in the coming month", ("down", None, -0.05, "touch", False)),
        ("AAPL should double by 2013", ("up", None, 1.0, "touch", False)),
        ("AAPL will fall over the next two weeks", ("down", None, None, "end", False)),
        ("Apple higher next week", ("up", None, None, "end", False)),
    ],
)
def test_a_forecast_is_read_from_a_text(text, expected):
    found = read(text)
    move = None if found.move is None else round(found.move, 9)
    assert (found.way, found.level, move, found.how, found.denied) == expected
    assert found.symbol == "AAPL"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Henry plans to sell AAPL at 373", "plans"),
        ("Target of Tom for AAPL: 713 since 2011-03-18 (close 334.64).", "no horizon"),
        ("AAPL above 400 by May 2010", "was over"),
        ("I see AAPL above 400 by May if the Fed keeps its word", "condition"),
        ("Will AAPL be above 400 by May?", "asks"),
        ("AAPL could reach 400 by May", "could"),
        ("Tom no longer expects AAPL above 400 by May", "back"),
        ("AAPL was above 340 in February", "past"),
        ("AAPL is up 6 percent this year", "how it is"),
        ("AAPL is often down 2 percent within a week", "usual"),
        ("AAPL's EPS above 20 by 2015", "EPS"),
        ("MSFT above 30 by May", "MSFT"),
        ("AAPL margins above 40 percent by May", "no level"),
        ("The Apple bounce before Christmas was a trap.", "no level"),
        ("", "no level"),
    ],
)
def test_what_is_no_forecast_gets_a_reason(text, reason):
    found = forecasts.testable(text, "AAPL", AT)
    assert isinstance(found, str)
    assert reason in found


def test_without_a_symbol_nothing_is_testable():
    assert forecasts.testable("above 400 by May", None, AT) == "It speaks of no symbol."


def test_where_a_text_names_no_horizon_its_insights_end_is_one():
    found = read("Tom expects AAPL above 400.", valid_until=datetime(2011, 6, 1, 12, tzinfo=UTC))
    assert (found.until, found.level) == (date(2011, 6, 1), 400)
    assert read("AAPL above 400 by May", valid_until=datetime(2012, 1, 1, tzinfo=UTC)).until == date(2011, 5, 31)


@pytest.mark.parametrize(
    ("words", "probability"),
    [
        ("AAPL above 400 by May, probability 0.62.", 0.62),
        ("Sixty percent that AAPL is above 400 by May.", 0.6),
        ("AAPL above 400 by May, with two chances in four.", 0.5),
        ("AAPL up 10 percent by May, 70% sure.", 0.7),
        ("AAPL up 10 percent by May.", None),
    ],
)
def test_a_stated_probability_is_read(words, probability):
    assert read(words).probability == probability


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
        ("AAPL closes above 104 by 2011-03-25", 1),
        ("AAPL closes above 106 by 2011-03-25", 0),
        ("AAPL will close above 104 on 25 March", 0),
        ("AAPL will close above 102 on 25 March", 1),
        ("AAPL stays above 97 until 2011-03-25", 1),
        ("AAPL stays above 98 until 2011-03-25", 0),
        ("AAPL won't reach 107 by 2011-03-25", 1),
        ("AAPL won't reach 106 by 2011-03-25", 0),
        ("AAPL falls to 98 by 2011-03-25", 1),
        ("AAPL up 6 percent by 2011-03-25", 1),
        ("AAPL up 7 percent by 2011-03-25", 0),
        ("AAPL down 2 percent by 2011-03-25", 1),
        ("AAPL will rise by 2011-03-25", 1),
        ("AAPL will fall by 2011-03-25", 0),
        ("AAPL will rise by 2011-03-21", 0),  # a close that stands still bears out neither direction
        ("AAPL will fall by 2011-03-21", 0),
        ("AAPL is above 99 by 2011-03-25", 1),  # passed already: the close at the horizon tells
        ("AAPL is below 101 by 2011-03-25", 0),
    ],
)
def test_what_is_claimed_decides_what_the_bars_must_do(text, bore_out):
    frame = bars([*BEFORE, 100, 105, 101, 100, 102], highs={6: 106}, lows={8: 98})
    assert judge(text, frame).bore_out == bore_out


def test_where_bars_end_before_the_horizon_only_what_is_decided_is_told():
    frame = bars([*BEFORE, 101, 102], highs={6: 110})
    open_yet = judge("AAPL above 120 by 2011-03-31", frame)
    assert math.isnan(open_yet.bore_out)
    assert "Bars end on 2011-03-22" in open_yet.why
    early = judge("AAPL above 110 by 2011-03-31", frame)
    assert (early.bore_out, early.decided, early.whole) == (1, date(2011, 3, 22), False)
    assert early.bars == 2 + 7  # 21 and 22 March, and seven weekdays more
    assert math.isnan(judge("AAPL will rise by 2011-03-31", frame).bore_out)


def test_a_horizon_on_a_weekend_ends_with_fridays_bar():
    found = judge("AAPL above 120 by 2011-03-27", bars([*BEFORE, 101, 101, 101, 101, 101]))
    assert (found.bore_out, found.whole, found.decided) == (0, True, date(2011, 3, 25))


@pytest.mark.parametrize(
    ("frame", "at", "until", "reason"),
    [
        (bars([]), AT, "2011-03-25", "has no bars"),
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


def test_the_base_rate_is_the_share_of_earlier_windows_in_which_the_same_move_came():
    # Said after the close of the 23rd bar: windows of two bars after each of the bars 1 to 21.
    closes = [100, 110] + [100] * 21
    at = datetime(2011, 4, 13, 22, tzinfo=UTC)
    frame = bars([*closes, 100, 100])
    found = judge("AAPL up 10 percent by 2011-04-15", frame, at=at)
    # From bar 1 the next two reach 110, from no other do they rise by a tenth.
    assert (found.windows, found.bars, found.base_rate) == (21, 2, 1 / 21)
    assert judge("AAPL will fall by 2011-04-15", frame, at=at).base_rate == 1 / 21  # from bar 2 alone
    assert judge("AAPL won't rise 10 percent by 2011-04-15", frame, at=at).base_rate == pytest.approx(20 / 21)


def test_the_base_rate_knows_nothing_of_what_came_after():
    at = datetime(2011, 4, 13, 22, tzinfo=UTC)
    text = "AAPL up 10 percent by 2011-04-15"
    before = [100, 110] + [100] * 21
    calm, wild = (judge(text, bars([*before, *after]), at=at) for after in ((100, 100), (200, 50)))
    assert (calm.base_rate, calm.bore_out, wild.base_rate, wild.bore_out) == (1 / 21, 0, 1 / 21, 1)


def test_in_mid_session_the_windows_leave_out_a_bar_as_the_forecast_does():
    closes = [100] * 10 + [100, 100, 110, 100] + [100] * 30
    at = pd.bdate_range("2011-03-14", periods=43)[-1].to_pydatetime().replace(hour=15, tzinfo=UTC)
    found = judge("AAPL up 10 percent within 1 day", bars(closes), at=at)
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


def made(bore_out, base_rate, symbol, *, probability=None, whole=True):
    forecast = Forecast(symbol=symbol, at=AT, until=date(2011, 5, 31), way="up", probability=probability)
    return Outcome(bore_out=bore_out, base_rate=base_rate, whole=whole, forecast=forecast)


def test_the_summary_compares_hits_with_base_rates_of_the_same_forecasts():
    found = [made(each % 2, 0.25, f"S{each}", probability=0.5) for each in range(6)]
    left_out = [made(1, 0.9, "S1", whole=False), made(1, math.nan, "S2"), made(math.nan, 0.9, "S3"), Outcome(why="?")]
    result = summary([*found, *left_out])
    assert (result.stated, result.testable, result.decided, result.borne_out) == (10, 9, 8, 5)
    assert (result.early, result.unrated) == (1, 1)
    assert (result.hits.value[0], result.base.value[0], result.difference.value[0]) == (0.5, 0.25, 0.25)
    assert result.hits.clusters[0] == 6
    assert result.difference.low[0] < 0.25 < result.difference.high[0]
    # Half of 0.25 ** 2 and half of 0.75 ** 2, less 0.5 ** 2.
    assert result.brier.value[0] == pytest.approx(0.3125 - 0.25)
    decided, left_out_of_it, compared, _ = repr(result).splitlines()[:4]
    assert decided == "Outcome: 9 of 10 are testable, 8 of these are decided: 5 bore out, 3 did not"
    assert left_out_of_it == "not compared: 1 decided before their bars end, 1 without a base rate"
    assert compared.startswith("compared: 6 of the 8; 3 of these 6 bore out, 50% [")


def test_below_five_clusters_there_is_no_interval_and_of_nothing_no_figure():
    few = summary([made(each % 2, 0.25, f"S{each % 4}") for each in range(8)])
    assert math.isnan(few.hits.low[0])
    assert "4 clusters" in repr(few)
    assert math.isnan(few.brier.value[0])  # none states a probability
    nothing = summary([])
    assert math.isnan(nothing.hits.value[0])
    assert "0 of 0" in repr(nothing)

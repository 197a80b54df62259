"""Did it come true? A forecast against the bars after it, and against how often such a move comes anyway.

Counted from the last close that was known when it was said (a day's bar is known once its market has closed), the bars
that began after it up to the last day of the horizon decide: the bar of a day on which it was said in mid-session shows
highs from before it and does not count. What is claimed must be reached: a level counts from there on, a direction must
differ from the close. Of a level that was passed already, "above 340" at 346, touching tells nothing: then the close at
the horizon must stand beyond.

The base rate is the share of windows of as many bars, in the symbol's own bars before the statement (overlapping ones
too), in which the same move from the close before them would have come true by the same rules. It is NaN where fewer
than `WINDOWS` windows that do not overlap would fit there, for overlapping ones are hardly more than those.

A quoted price is as traded then, while bars are on the split basis of their last. Where a text quotes the close of its
day, and that is more than a fifth from the bars' close then, prices are taken relative to it. Where it does not, a
level of less than half or more than twice the bars' close is given up as one of another basis; smaller splits pass
unseen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from gallump_lab.market.broker import CLOSED
from gallump_lab.store.times import naive
from gallump_lab.study import statistics
from gallump_lab.study.scorecard.forecasts import Forecast, How, testable
from gallump_lab.study.scorecard.stated import Stated

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

WINDOWS = 10
"""So many windows that do not overlap must fit into the bars before a statement, for a base rate."""
OPENS = time(13, 30)
"""UTC: until then no bar of the day has begun; US markets open at 13:30 in summer and 14:30 in winter."""
STALE = timedelta(days=10)
"""On a close this old at the statement's moment nothing is judged."""
SAME_BASIS, OTHER_BASIS = 0.2, 2.0
"""A quoted close so near the bars', as a share of it, is on their split basis; an unquoted level so far is not."""
_EPSILON = 1e-9  # of a price: rounding is no difference


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a forecast."""

    bore_out: float = math.nan
    """1 or 0; NaN where nothing tells yet, or there is nothing to tell."""
    base_rate: float = math.nan
    """How often the same move came in as many bars before; NaN where there are too few."""
    decided: date | None = None
    """The day of the bar that decided it."""
    whole: bool = False
    """Whether bars reach the horizon. Those decided before the bars end are rather the ones that came true, so a
    summary leaves out what is not whole."""
    bars: int = 0
    """How many bars the horizon has; estimated from weekdays where bars end before it."""
    windows: int = 0
    """How many windows, overlapping ones too, the base rate is of."""
    why: str = ""
    """In words: why something is NaN."""
    forecast: Forecast | None = None
    """None where the text states nothing that bars can test."""


def of(insight: Stated, bars: "pd.DataFrame") -> Outcome:
    """Judge what an insight states, if it is testable, by `bars`, as `outcome` takes them."""
    found = testable(insight.text, insight.symbol, insight.valid_from, insight.valid_until)
    return Outcome(why=found) if isinstance(found, str) else outcome(found, bars)


def outcome(forecast: Forecast, bars: "pd.DataFrame") -> Outcome:
    """Judge a forecast by the bars after it.

    Parameters
    ----------
    forecast : Forecast
        What `testable` read.
    bars : pandas.DataFrame
        All daily bars of its symbol, oldest first: date, open, high, low, close, on one split basis, as
        `FileBroker().bars(symbol, 10**6)` gives them.
    """
    import numpy as np

    blank = Outcome(forecast=forecast)
    days = bars["date"].to_numpy("datetime64[D]")
    at = naive(forecast.at, "at")
    known = int(days.searchsorted(_newest(at, CLOSED), side="right"))
    begin = int(days.searchsorted(_newest(at, OPENS), side="right"))
    stop = int(days.searchsorted(np.datetime64(forecast.until), side="right"))
    if not len(days):
        return replace(blank, why=f"{forecast.symbol} has no bars.")
    if not known or at.date() - days[known - 1].item() > STALE:
        return replace(blank, why=f"{forecast.symbol} has no close of the {STALE.days} days before {at:%Y-%m-%d}.")
    # The weekdays from the last bar to the horizon are bars that are missing; holidays count along.
    after = max(days[-1].item(), at.date()) + timedelta(days=1)
    missing = max(int(np.busday_count(after, forecast.until + timedelta(days=1))), 0)
    if stop <= begin and not missing:
        return replace(blank, why=f"There is no trading day between {at:%Y-%m-%d} and {forecast.until}.")
    columns = {name: bars[name].to_numpy(np.float64) for name in ("high", "low", "close")}
    start = float(columns["close"][known - 1])
    move = _move(forecast, start)
    if isinstance(move, str):
        return replace(blank, why=move)
    long = max(stop - begin, 0) + missing
    base, windows, why = _base_rate(move, columns, known, begin - known, long)
    blank = replace(blank, base_rate=base, windows=windows, bars=long, whole=not missing, why=why)
    if stop > begin:
        true, place = move.came(**{name: column[None, begin:stop] / start for name, column in columns.items()})
        if place[0] >= 0 or not missing:
            decided = days[begin:stop][place[0]].item()
            return replace(blank, bore_out=float(true[0]), decided=decided)
    short = f"Bars end on {days[-1].item()}, before {forecast.until}, and it is undecided."
    return replace(blank, why=" ".join(filter(None, (short, why))))


@dataclass(frozen=True, kw_only=True)
class Move:
    """A forecast relative to the close when it was said, so that the same can be asked of other windows."""

    up: bool
    ratio: float
    how: How
    denied: bool

    def came(self, high: "Floats", low: "Floats", close: "Floats") -> "tuple[Flags, NDArray[np.int64]]":
        """Return of each window whether it came true, and on which bar that was decided; -1 is the last, at its end.

        Parameters
        ----------
        high, low, close : array of float
            (windows, bars), relative to the close before each window.
        """
        import numpy as np

        touched = high if self.up else low
        series = {"touch": touched, "close": close, "end": close[:, -1:]}[self.how]
        reached = series >= self.ratio - _EPSILON if self.up else series <= self.ratio + _EPSILON
        came = reached.any(1)
        place = np.where(came & (self.how != "end"), reached.argmax(1), -1)
        return came != self.denied, place


def _move(forecast: Forecast, start: float) -> Move | str:
    """Return a forecast in relation to the bars' close when it was said, or why that cannot be."""
    if forecast.level is None and forecast.move is None:  # it must differ from the close by more than rounding
        up = forecast.way == "up"
        return Move(up=up, ratio=1 + 2 * (_EPSILON if up else -_EPSILON), how="end", denied=forecast.denied)
    ratio = 1 + (forecast.move or 0.0)
    if forecast.level is not None:
        split = forecast.close and abs(forecast.close / start - 1) > SAME_BASIS
        ratio = forecast.level / (forecast.close if forecast.close and split else start)
        if forecast.close is None and not 1 / OTHER_BASIS <= ratio <= OTHER_BASIS:
            return f"Its level is {ratio:.3g} times the close of {start:,.2f}: perhaps another split basis."
    up = forecast.way == "up" if forecast.way else ratio > 1
    passed = ratio != 1 and (ratio <= 1) == up
    return Move(up=up, ratio=ratio, how="end" if passed else forecast.how, denied=forecast.denied)


def _base_rate(move: Move, columns: "dict[str, Floats]", known: int, gap: int, long: int) -> tuple[float, int, str]:
    """Return the share of earlier windows in which the same came true, their number, and why it is NaN."""
    from numpy.lib.stride_tricks import sliding_window_view

    fit = (known - 1) // (long + gap)
    if fit < WINDOWS:
        least = f"{WINDOWS} are needed for a base rate"
        return math.nan, 0, f"{fit} windows of {long} bars fit into the {known:,} bars before; {least}."
    windows = known - long - gap
    start = columns["close"][:windows, None]
    true, _ = move.came(
        **{name: sliding_window_view(column[1 + gap : known], long) / start for name, column in columns.items()}
    )
    return float(true.mean()), windows, ""


def _newest(at: datetime, hour: time) -> "np.datetime64":
    """Return the newest day of which an hour has come."""
    import numpy as np

    return np.datetime64(at.date() if at.time() >= hour else at.date() - timedelta(days=1))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How often forecasts bore out, and how often such moves come anyway; `summary` makes it.

    The estimates are of the same forecasts: those that are decided, whose bars reach the horizon and that have a base
    rate. Their intervals are NaN below five clusters.
    """

    hits: statistics.Estimates
    """The share that bore out."""
    base: statistics.Estimates
    """The mean base rate."""
    difference: statistics.Estimates
    """Hits less base rates, paired."""
    brier: statistics.Estimates
    """By how much the stated probabilities' squared error is less than the base rates' (Brier 1950, "Verification of
    forecasts expressed in terms of probability"), over the forecasts that state one: above 0 they know something."""
    stated: int
    """How many were given."""
    testable: int
    decided: int
    """Testable and borne out or not, whether or not they are whole or have a base rate."""
    borne_out: int
    """Of the decided."""
    early: int
    """Decided, but bars end before the horizon: left out of the estimates."""
    unrated: int
    """Decided and whole, without a base rate: left out of the estimates."""

    def __repr__(self) -> str:
        """Return it in words."""
        found = f"Outcome: {self.testable:,} of {self.stated:,} are testable, {self.decided:,} of these are decided"
        lines = [f"{found}: {self.borne_out:,} bore out, {self.decided - self.borne_out:,} did not"]
        if self.early or self.unrated:
            lines.append(
                f"not compared: {self.early:,} decided before their bars end, {self.unrated:,} without a base rate"
            )
        if number := int(self.hits.n[0]):
            hits = f"{round(float(self.hits.value[0]) * number):,} of these {number:,} bore out, {_share(self.hits)}"
            lines += [
                f"compared: {number:,} of the {self.decided:,}; {hits}; such moves come anyway: {_share(self.base)}",
                f"difference {_share(self.difference, sign='+')}",
            ]
        if self.brier.n[0]:
            value, low, high = self.brier.interval()
            within = "" if math.isnan(low) else f" [{low:+.3f}, {high:+.3f}]"
            lines.append(f"stated probabilities of {self.brier.n[0]:,}: Brier score better by {value:+.3f}{within}")
        if 0 < self.hits.clusters[0] < statistics.CLUSTERS:
            lines.append(f"{self.hits.clusters[0]} clusters where an interval takes {statistics.CLUSTERS}.")
        return "\n".join(lines)


def summary(outcomes: Sequence[Outcome]) -> Summary:
    """Summarise outcomes, those of texts without a forecast too; intervals are clustered by symbol.

    Forecasts on one symbol share its bars, and so resemble each other.
    """
    import numpy as np

    decided = [each for each in outcomes if not math.isnan(each.bore_out)]
    whole = [each for each in decided if each.whole]
    rated = [each for each in whole if not math.isnan(each.base_rate)]
    asked = [each.forecast for each in rated]
    groups = [each.symbol if each else "" for each in asked]
    hits, base = (np.array([getattr(each, name) for each in rated], float) for name in ("bore_out", "base_rate"))
    stated = np.array([each.probability if each else None for each in asked], float)
    return Summary(
        hits=statistics.shares(hits, groups),
        base=statistics.shares(base, groups),
        difference=statistics.differences(hits - base, groups),
        brier=statistics.differences((base - hits) ** 2 - (stated - hits) ** 2, groups),
        stated=len(outcomes),
        testable=sum(each.forecast is not None for each in outcomes),
        decided=len(decided),
        borne_out=sum(each.bore_out == 1 for each in outcomes),
        early=len(decided) - len(whole),
        unrated=len(whole) - len(rated),
    )


def _share(estimate: statistics.Estimates, sign: str = "") -> str:
    value, low, high = estimate.interval()
    return f"{value:{sign}.0%}" + ("" if math.isnan(low) else f" [{low:{sign}.0%}, {high:{sign}.0%}]")

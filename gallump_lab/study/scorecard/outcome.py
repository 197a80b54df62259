"""Did it come true? A forecast against the bars after it, and against how often such a move comes anyway.

Counted from the last close that was known when it was said (a day's bar is known once its market has closed), the bars
that began after it up to the last day of the horizon decide: the bar of a day on which it was said in mid-session shows
highs from before it and does not count. What is claimed must be reached: a level counts from there on, a direction must
differ from the close. Of a level that was passed already, "above 340" at 346, touching tells nothing: then the close at
the horizon must stand beyond. A trade has failed on the bar that touches its stop, even where the same bar touches its
target: a daily bar does not tell which came first.

The base rate is the share of windows of as many bars, in the symbol's own bars before the statement (overlapping ones
too), in which the same move from the close before them would have come true by the same rules. It is NaN where fewer
than `WINDOWS` windows that do not overlap would fit there, for overlapping ones are hardly more than those.

A quoted price is as traded then, while bars are on the split basis of their last. Where `Forecast.close` is known, and
more than a fifth from the bars' close then, prices are taken relative to it. Where it is not known, a level of less
than half or more than twice the bars' close is given up as one of another basis; smaller splits pass unseen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gallump_lab.market.broker import CLOSED
from gallump_lab.store.times import naive
from gallump_lab.study import statistics
from gallump_lab.study.scorecard.forecasts import Forecast, testable
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

_SAME, _OTHER_BASIS = 0.2, 2.0
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


def of(insight: Stated, bars: "pd.DataFrame", *, close: float | None = None) -> Outcome:
    """Judge what an insight states, if it is testable.

    Parameters
    ----------
    insight : Stated
        Its symbol, text and times are read.
    bars : pandas.DataFrame
        As `outcome` takes them.
    close : float, optional
        USD, as traded then: the symbol's last close when it was stated, where its text does not quote one.
    """
    found = testable(insight.text, insight.symbol, insight.valid_from, insight.valid_until)
    if isinstance(found, str):
        return Outcome(why=found)
    return outcome(found if close is None or found.close else replace(found, close=close), bars)


def outcome(forecast: Forecast, bars: "pd.DataFrame") -> Outcome:
    """Judge a forecast by the bars after it.

    Parameters
    ----------
    forecast : Forecast
        What `testable` or `recommended` read.
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
    if not known or at.date() - _date(days[known - 1]) > STALE:
        return replace(blank, why=f"{forecast.symbol} has no close of the {STALE.days} days before {at:%Y-%m-%d}.")
    missing = _weekdays(max(_date(days[-1]), at.date()), forecast.until)
    if stop <= begin and not missing:
        return replace(blank, why=f"There is no trading day between {at:%Y-%m-%d} and {forecast.until}.")
    columns = {name: bars[name].to_numpy(np.float64) for name in ("high", "low", "close")}
    start = columns["close"][known - 1]
    asked = _Watched.of(forecast, start)
    if isinstance(asked, str):
        return replace(blank, why=asked)
    long, gap = max(stop - begin, 0) + missing, begin - known
    base, windows, why = _base_rate(asked, columns, known, gap, long)
    blank = replace(blank, base_rate=base, windows=windows, bars=long, whole=not missing, why=why)
    short = f"Bars end on {_date(days[-1])}, before {forecast.until}, and it is undecided."
    if stop > begin:
        after = {name: column[begin:stop][None, :] / start for name, column in columns.items()}
        true, place, early = asked.came(after["high"], after["low"], after["close"])
        if early[0] or not missing:
            return replace(blank, bore_out=float(true[0]), decided=_date(days[begin + int(place[0])]))
    return replace(blank, why=" ".join(filter(None, (short, why))))


@dataclass(frozen=True, kw_only=True)
class _Watched:
    """A forecast relative to the close when it was said, so that the same can be asked of other windows."""

    up: bool
    ratio: float | None
    """None: direction alone."""
    stop: float | None
    forecast: Forecast

    @classmethod
    def of(cls, forecast: Forecast, start: float) -> "_Watched | str":
        """Set a forecast in relation to the bars' close when it was said, or say why that cannot be."""
        split = forecast.close and abs(forecast.close / start - 1) > _SAME
        basis = forecast.close if forecast.close and split else start
        level = None if forecast.level is None else forecast.level / basis
        stop = None if forecast.stop is None else forecast.stop / basis
        for name, value in (("level", level), ("stop", stop)):
            if value is not None and forecast.close is None and not 1 / _OTHER_BASIS <= value <= _OTHER_BASIS:
                return (
                    f"Its {name} is {value:.3g} times the close of {start:,.2f}: perhaps another split basis. "
                    "Give the forecast the close as it was traded then."
                )
        ratio = level if forecast.move is None else 1 + forecast.move
        guessed = ratio > 1 if ratio is not None else stop is not None and stop < 1
        up = forecast.way == "up" if forecast.way else guessed
        if forecast.trade and ((ratio is not None and (ratio > 1) != up) or (stop is not None and (stop < 1) != up)):
            return "Its target or its stop lies on the wrong side of the close then."
        return cls(up=up, ratio=ratio, stop=stop, forecast=forecast)

    @cached_property
    def how(self) -> str:
        passed = self.ratio is not None and (self.ratio <= 1) == self.up and self.ratio != 1
        return "end" if self.ratio is None or (passed and not self.forecast.trade) else self.forecast.how

    def came(self, high: "Floats", low: "Floats", close: "Floats") -> "tuple[Flags, NDArray[np.int64], Flags]":
        """Tell of each window whether it came true, on which bar that was decided, and whether before the last one.

        Parameters
        ----------
        high, low, close : array of float
            (windows, bars), relative to the close before each window.
        """
        import numpy as np

        last = np.full(len(close), close.shape[1] - 1)
        end = close[:, -1] > 1 + _EPSILON if self.up else close[:, -1] < 1 - _EPSILON
        if self.how == "end" and not self.forecast.trade:
            true = end if self.ratio is None else self._beyond(close[:, -1], self.ratio, up=self.up)
            return true != self.forecast.denied, last, np.zeros(len(close), bool)
        far, near = (high, low) if self.up else (low, high)
        nothing = np.zeros(close.shape, bool)
        series = close if self.how == "close" else far
        reached = nothing if self.ratio is None else self._beyond(series, self.ratio, up=self.up)
        failed = nothing if self.stop is None else self._beyond(near, self.stop, up=not self.up)
        either = reached | failed
        early = either.any(1)
        place = np.where(early, either.argmax(1), last)
        rows = np.arange(len(close))
        true = np.where(early, ~failed[rows, place], end & self.forecast.trade)
        return true != self.forecast.denied, place, np.asarray(early)

    @staticmethod
    def _beyond(values: "Floats", ratio: float, *, up: bool) -> "Flags":
        found: Flags = values >= ratio - _EPSILON if up else values <= ratio + _EPSILON
        return found


def _base_rate(
    asked: _Watched, columns: "dict[str, Floats]", known: int, gap: int, long: int
) -> tuple[float, int, str]:
    """Return the share of earlier windows in which the same came true, their number, and why it is NaN."""
    from numpy.lib.stride_tricks import sliding_window_view

    fit = (known - 1) // (long + gap)
    if fit < WINDOWS:
        least = f"{WINDOWS} are needed for a base rate"
        return math.nan, 0, f"{fit} windows of {long} bars fit into the {known:,} bars before; {least}."
    windows = known - long - gap
    start = columns["close"][:windows, None]
    high, low, close = (
        sliding_window_view(columns[name][1 + gap : known], long) / start for name in ("high", "low", "close")
    )
    true, _, _ = asked.came(high, low, close)
    return float(true.mean()), windows, ""


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
        """Say it in words."""
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


def summary(outcomes: Sequence[Outcome], clusters: Sequence[Any] | None = None) -> Summary:
    """Summarise outcomes.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Those of texts without a forecast too.
    clusters : sequence, optional
        Of each outcome what makes it resemble others, such as its session; by default its symbol, for forecasts on one
        symbol share its bars.
    """
    import numpy as np

    if clusters is not None and len(clusters) != len(outcomes):
        msg = f"clusters must name one for each outcome: {len(outcomes):,}, not {len(clusters):,}."
        raise ValueError(msg)
    named = [each.forecast.symbol if each.forecast else "" for each in outcomes] if clusters is None else clusters
    decided = [pair for pair in zip(outcomes, named, strict=True) if not math.isnan(pair[0].bore_out)]
    whole = [pair for pair in decided if pair[0].whole]
    rated = [pair for pair in whole if not math.isnan(pair[0].base_rate)]
    groups = [str(cluster) for _, cluster in rated]
    hits, base = (np.array([getattr(each, name) for each, _ in rated], float) for name in ("bore_out", "base_rate"))
    stated = np.array([each.forecast.probability if each.forecast else None for each, _ in rated], float)
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


def _newest(at: datetime, hour: time) -> "np.datetime64":
    """Return the newest day of which an hour has come."""
    import numpy as np

    return np.datetime64(at.date() if at.time() >= hour else at.date() - timedelta(days=1))


def _weekdays(after: date, until: date) -> int:
    """Count the weekdays after a day up to another, which are missing bars; holidays count along."""
    import numpy as np

    return max(int(np.busday_count(after + timedelta(days=1), until + timedelta(days=1))), 0)


def _date(day: Any) -> date:
    found: date = day.astype("datetime64[D]").item()
    return found


def _share(estimate: statistics.Estimates, sign: str = "") -> str:
    value, low, high = estimate.interval()
    return f"{value:{sign}.0%}" + ("" if math.isnan(low) else f" [{low:{sign}.0%}, {high:{sign}.0%}]")

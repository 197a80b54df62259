"""Did it come true? A forecast of a price against the bars after it, and against how often such a move comes anyway.

A forecast says that a symbol's price reaches a level up to a day: "above 452 by May", "falls to 300 within two weeks",
"won't see 400 before July". It is read only where that is certain. A plan ("sells at 273"), a condition ("if it breaks
400"), a hedge ("could reach 400"), a level of something else, a move in percent, a place where the price ends or stays:
each leaves a text without a forecast, with a reason.

Counted from the last close that was known when it was said (a day's bar is known once its market has closed), the bars
that began after it up to the last day of the horizon decide: the bar of a day on which it was said in mid-session shows
highs from before it and does not count. A high (or low) must reach the level, as a price alert would be.

The base rate is the share of windows of as many bars, in the symbol's own bars before the statement (overlapping ones
too), in which the same move from the close before them would have come true. It is NaN where fewer than `WINDOWS`
windows that do not overlap would fit there, for overlapping ones are hardly more than those.

A quoted price is USD as traded then, while bars are on the split basis of their last. Where a text quotes the close of
its day, and that is more than a fifth from the bars' close then, prices are taken relative to it. Where it does not, a
level of less than half or more than twice the bars' close is given up as one of another basis; smaller splits pass
unseen.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from gallump_lab.lazy import any_of, np, regex
from gallump_lab.market.broker import reached
from gallump_lab.reading.periods import FIRM, horizons
from gallump_lab.reading.text_files import counted
from gallump_lab.store.times import naive
from gallump_lab.study import statistics
from gallump_lab.study.scorecard.history import Stated
from gallump_lab.study.scorecard.reader import read, sentences

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

WINDOWS = 10
"""So many windows that do not overlap must fit into the bars before a statement, for a base rate."""
OPENS = time(13, 30)
"""UTC: until then no bar of the day has begun; US markets open at 13:30 in summer and 14:30 in winter."""
STALE = timedelta(days=10)
"""On a close this old at the statement's moment nothing is judged."""
SAME_BASIS, OTHER_BASIS = 0.2, 2.0
"""A quoted close so near the bars', as a share of it, is on their split basis; an unquoted level so far is not."""
_EPSILON = 1e-9  # of a price: rounding is no difference

_LEVEL = regex(
    r"(?:(?P<over>\b(?:above|over|past|beyond|at least|higher than)|>=?)|(?P<under>\b(?:below|under|beneath|lower than)"
    r"|<=?)|\b(?:(?:reach|hit|touch|test|see|break|cross|top|exceed)(?:e?s|t?ing)?|targets?\b[^,;.#]{0,25}?|at|to))"
    r"\s*(?P<level>#+)",
    re.IGNORECASE,
)
"""What says that a price reaches a level; prices are masked by #."""
_UNIT = regex(
    r"[-/:]?\d|[-\s]*(?:basis|points?|days?|weeks?|months?|years?|quarters?|sessions?|times|shares?|contracts?|[ap]\.?m\b"
    r"|x\b|of\s+\d)",
    re.IGNORECASE,
)
"""Makes of a number before it something else than a price."""
_QUOTED = regex(
    r"\((?:(?:last|now|then|close|price|at|it|is|was)\s+)+\$?(\d[\d.,]*\d)(?:,?\s+(?:on\s+)?\d{4}-\d\d-\d\d)?\)",
    re.IGNORECASE,
)
"""What it cost when it was said."""
_OPEN = regex(
    r"\b(?:if|unless|whether|provided|assuming|as long as|in case|once|depends|when(?:ever)?"  # a condition
    r"|often|usually|typically|tends? to|always|could|might|perhaps|maybe|hop(?:es?|ing)|fears?|surprised|no longer"
    r"|(?<!by )(?<!in )(?<!before )may(?= [a-z])|(?:buy|sell|add|trim|exit|cover|enter|reduce|short)(?:s|ing)?"
    r"|stops?|entry|limit|alert|strikes?|calls?|puts?|fell|rose|broke|traded|went|reached|crossed|touched|stayed|held"
    r"|bought|sold|ended|closed|was|were|had)\b",
    re.IGNORECASE,
)
"""A condition, what is usual, a hedge, a plan, the past."""
_ELSEWHERE = any_of(r"(?:stay|hold|remain|keep|clos|end|finish|settl)(?:e?s|ing|e)?")
_KEPT = frozenset({"until", "till", "til", "through", "at", "on", "ends"})
"""What leads to a time through which, or on which, something holds."""
_STAYS = "It tells where the price stays or ends, not which level it reaches."
_DENIAL = any_of(r"not|never|wont|dont|cannot|\w+n['\u2019]t")
_FUTURE = regex(
    r"\b(?:will|shall|should|would|going to|likely|expect\w*|forecasts?|predict\w*|sees?|bets?|thinks?|believ\w+"
    r"|targets?|never|cannot)\b|['\u2019]ll\b|\bwon['\u2019]t\b",
    re.IGNORECASE,
)
_SUBJECT = regex(
    r"\b(?i:eps|earnings|revenues?|sales|profits?|margins?|yields?|vix|rsi|volatility|volume|dividends?|multiple|ratio"
    r"|exposure|weight|drawdown|rates?|inflation|euro|oil|gold|index|nasdaq|dow|growth|users?|cash|capital|account|costs?"
    r"|averages?|sma|vwap)\b|(?<![\w$])\$?(?P<ticker>[A-Z]{2,5}(?:[.-][A-Z])?)(?!\w)"
)
"""What a level may be of, other than a price of the symbol: another symbol, or a measure."""
_NO_SYMBOLS = frozenset({"US", "USD", "EUR", "UTC", "OK", "IMO", "CEO", "CFO", "IPO", "ETF", "FOMC", "EOY", "TP", "PT"})


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A statement that a price will reach a level, which bars can test."""

    symbol: str
    at: datetime
    """When it was said, UTC."""
    until: date
    """The last day that counts."""
    level: float
    """USD, as traded then."""
    up: bool | None = None
    """Whether it is reached from below; None: from the close then."""
    denied: bool = False
    """It says that this does not come."""
    close: float | None = None
    """USD, as traded then: what a share cost when it was said, where its text quotes it."""


def testable(text: str, symbol: str | None, at: datetime, valid_until: datetime | None = None) -> Forecast | str:  # noqa: PT028 (no test)
    """Return the first forecast that a text states, or in words why there is none.

    Parameters
    ----------
    text : str
        What was said; it need not name the symbol.
    symbol : str or None
        What it speaks of.
    at : datetime
        When it was said, UTC.
    valid_until : datetime, optional
        Until when it holds, where its text names no horizon, UTC.

    Examples
    --------
    >>> testable("AAPL falls to 300 by May", "AAPL", datetime(2012, 3, 1, tzinfo=UTC)).until
    datetime.date(2012, 5, 31)
    """
    if not symbol:
        return "It speaks of no symbol."
    at = naive(at, "at").replace(tzinfo=UTC)
    quoted = _QUOTED.search(text)
    text = _QUOTED.sub("", text)
    whys = []
    for start, stop in sentences(text):
        asks = text[stop : stop + 1] == "?"
        found = "It asks." if asks else _read(text[start:stop].strip(), symbol.upper(), at, valid_until)
        if isinstance(found, Forecast):
            return replace(found, close=float(quoted[1].replace(",", "")) if quoted else None)
        whys.append(found)
    return next(filter(None, whys), "It states no level.")


def _read(sentence: str, symbol: str, at: datetime, valid_until: datetime | None) -> Forecast | str:
    """Return the forecast of one sentence, or why it is none; empty where it names no level."""
    reading = read(sentence, at.date())
    masked, prices = sentence.replace("#", " "), {}
    for each in reading.numbers:
        if each.share is None and each.value and not _UNIT.match(sentence, each.stop):
            masked = f"{masked[: each.start]}{'#' * (each.stop - each.start)}{masked[each.stop :]}"
            prices[each.start] = each.value
    if _OPEN.search(masked):
        return "It is a plan, a condition, a doubt or past, not what will be."
    found = _LEVEL.search(masked)
    if found is None:
        return ""
    clause = max((begin for begin, _ in reading.clauses if begin <= found.start()), default=0)
    denials = _DENIAL.findall(masked[clause : found.start()])
    others = (each for each in _SUBJECT.finditer(masked) if (each["ticker"] or "") not in {symbol, *_NO_SYMBOLS})
    until = _horizon(sentence, at, valid_until, future=_FUTURE.search(masked) is not None)
    if other := next(others, None):
        until = f"It speaks of {other[0]}, not of the price of {symbol} alone."
    elif _ELSEWHERE.search(masked):
        until = _STAYS
    elif len(denials) > 1 or denials != _DENIAL.findall(masked):
        until = "It denies something else too."
    if isinstance(until, str):
        return until
    up = found["over"] is not None if found["over"] or found["under"] else None
    return Forecast(
        symbol=symbol, at=at, until=until, level=prices[found.start("level")], up=up, denied=len(denials) == 1
    )


def _horizon(sentence: str, at: datetime, valid_until: datetime | None, *, future: bool) -> date | str:
    """Return the one horizon that a sentence names, or else its insight's own, or why there is none."""
    named = horizons(sentence, at)
    firm = [each for each in named if each.lead in FIRM] or named
    ahead = {each.until for each in firm if each.until >= at.date()}
    why = ""
    if not firm and valid_until is not None:
        return naive(valid_until, "valid_until").date()
    if not ahead:
        why = f"Its horizon, {firm[0].until}, was over when it was said." if firm else "It names no horizon."
    elif len(ahead) > 1:
        why = "It names several horizons."
    elif any(each.lead in _KEPT for each in firm):
        why = _STAYS
    elif firm[0].lead not in FIRM and not future:
        why = "It tells how it is, not what will be."
    return why or ahead.pop()


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
    blank = Outcome(forecast=forecast)
    days = bars["date"].to_numpy("datetime64[D]")
    at = naive(forecast.at, "at")
    known, begin = reached(days, at), reached(days, at, OPENS)
    stop = int(days.searchsorted(np.datetime64(forecast.until), side="right"))
    if not known or at.date() - days[known - 1].item() > STALE:
        return replace(blank, why=f"{forecast.symbol} has no close of the {STALE.days} days before {at:%Y-%m-%d}.")
    # The weekdays from the last bar to the horizon are bars that are missing; holidays count along.
    after = max(days[-1].item(), at.date()) + timedelta(days=1)
    missing = max(int(np.busday_count(after, forecast.until + timedelta(days=1))), 0)
    if stop <= begin and not missing:
        return replace(blank, why=f"There is no trading day between {at:%Y-%m-%d} and {forecast.until}.")
    close = bars["close"].to_numpy(np.float64)
    ratio, why = _ratio(forecast, float(close[known - 1]))
    up = ratio > 1 if forecast.up is None else forecast.up
    if why or (ratio <= 1 if up else ratio >= 1):
        return replace(blank, why=why or "Its level was passed already when it was said.")
    # Relative to the close before, and so that up is up: the same can then be asked of other windows.
    sign = 1 if up else -1
    extremes, needed = sign * bars["high" if up else "low"].to_numpy(np.float64), sign * ratio - _EPSILON
    long, gap = max(stop - begin, 0) + missing, begin - known
    base, windows, why = _base_rate(forecast, extremes[:known], close[:known], needed=needed, gap=gap, long=long)
    blank = replace(blank, base_rate=base, windows=windows, bars=long, whole=not missing, why=why)
    touched = extremes[begin:stop] / close[known - 1] >= needed
    if stop > begin and (touched.any() or not missing):
        decided = days[begin:stop][touched.argmax() if touched.any() else -1].item()
        return replace(blank, bore_out=float(_came(touched, forecast)), decided=decided)
    short = f"Bars end on {days[-1].item()}, before {forecast.until}, and it is undecided."
    return replace(blank, why=" ".join(filter(None, (short, why))))


def _ratio(forecast: Forecast, start: float) -> tuple[float, str]:
    """Return a forecast's level in relation to the bars' close when it was said, and why that cannot be."""
    split = forecast.close and abs(forecast.close / start - 1) > SAME_BASIS
    ratio = forecast.level / (forecast.close if forecast.close and split else start)
    if forecast.close is None and not 1 / OTHER_BASIS <= ratio <= OTHER_BASIS:
        return ratio, f"Its level is {ratio:.3g} times the close of {start:,.2f}: perhaps another split basis."
    return ratio, ""


def _came(touched: "NDArray[np.bool_]", forecast: Forecast) -> "NDArray[np.bool_]":
    """Return whether a forecast comes true where its level is reached on such bars; the last axis is the bars."""
    found: NDArray[np.bool_] = touched.any(-1) != forecast.denied
    return found


def _base_rate(  # noqa: PLR0913 (what the forecast itself is judged by)
    forecast: Forecast,
    extremes: "NDArray[np.float64]",
    close: "NDArray[np.float64]",
    *,
    needed: float,
    gap: int,
    long: int,
) -> tuple[float, int, str]:
    """Return the share of earlier windows in which the same came true, their number, and why it is NaN."""
    from numpy.lib.stride_tricks import sliding_window_view

    known = len(close)
    fit = (known - 1) // (long + gap)
    if fit < WINDOWS:
        least = f"{WINDOWS} are needed for a base rate"
        return math.nan, 0, f"{fit} windows of {long} bars fit into the {known:,} bars before; {least}."
    windows = known - long - gap
    moves = sliding_window_view(extremes[1 + gap :], long) / close[:windows, None]
    return float(_came(moves >= needed, forecast).mean()), windows, ""


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
        lines = [f"{found}: {self.borne_out:,} came true, {self.decided - self.borne_out:,} did not"]
        if self.early or self.unrated:
            lines.append(f"not compared: {self.early:,} whose bars end too early, {self.unrated:,} without a base rate")
        if number := int(self.hits.n[0]):
            came = round(float(self.hits.value[0]) * number)
            hits, base = (statistics.shown(each.interval(), ".0%") for each in (self.hits, self.base))
            compared = f"compared: {number:,} of the {self.decided:,}; {came:,} of these {number:,} came true, {hits}"
            lines.append(f"{compared}; such moves come anyway: {base}")
            lines.append(f"difference {statistics.shown(self.difference.interval(), '+.0%')}")
        if 0 < self.hits.clusters[0] < statistics.CLUSTERS:
            few = counted(int(self.hits.clusters[0]), "independent cases")
            lines.append(f"only {few} (symbols); an interval needs {statistics.CLUSTERS}")
        return "\n".join(lines)


def summary(outcomes: Sequence[Outcome]) -> Summary:
    """Summarise outcomes, those of texts without a forecast too; intervals are clustered by symbol.

    Forecasts on one symbol share its bars, and so resemble each other.
    """
    decided = [each for each in outcomes if not math.isnan(each.bore_out)]
    whole = [each for each in decided if each.whole]
    rated = [each for each in whole if not math.isnan(each.base_rate)]
    groups = [each.forecast.symbol if each.forecast else "" for each in rated]
    hits, base = (np.array([getattr(each, name) for each in rated], float) for name in ("bore_out", "base_rate"))
    return Summary(
        hits=statistics.shares(hits, groups),
        base=statistics.shares(base, groups),
        difference=statistics.differences(hits - base, groups),
        stated=len(outcomes),
        testable=sum(each.forecast is not None for each in outcomes),
        decided=len(decided),
        borne_out=sum(each.bore_out == 1 for each in outcomes),
        early=len(decided) - len(whole),
        unrated=len(whole) - len(rated),
    )

"""What the assistant can know on a day: figures of the bundled bars up to the day before."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import Any

import duckdb

NAMES = {
    "AAPL": ("AAPL", "Apple"),
    "FB": ("FB", "Facebook"),
    "GOOG": ("GOOG", "Google"),
    "IBM": ("IBM",),
    "MSFT": ("MSFT", "Microsoft"),
}
LAST = date(2013, 3, 1)
_SQL = """
    select date, open, high, low, close, volume from read_parquet(?)
    where symbol = ? and date >= date '2010-01-01' order by date"""


@dataclass(frozen=True)
class Bar:
    """One day of one symbol, in USD and shares."""

    day: date
    open: float
    high: float
    low: float
    close: float
    volume: float


class Bars:
    """The bundled bars since 2010; none of these symbols was split since."""

    def __init__(self, path: Path) -> None:
        with duckdb.connect() as con:
            self._bars = {s: [Bar(*row) for row in con.execute(_SQL, [str(path), s]).fetchall()] for s in NAMES}
        self._days = {symbol: [bar.day for bar in bars] for symbol, bars in self._bars.items()}
        self._cache: dict[tuple[str, date], dict[str, Any]] = {}

    def trading_day(self, day: date) -> date:
        """Give the first day of trading from a day on, or the last there is."""
        days = self._days["IBM"]
        return days[min(bisect_left(days, day), len(days) - 1)]

    def on(self, symbol: str, day: date) -> Bar:
        """Give the bar of a day of trading."""
        return self._bars[symbol][bisect_left(self._days[symbol], day)]

    def before(self, symbol: str, day: date) -> list[Bar]:
        """Give all bars before a day."""
        return self._bars[symbol][: bisect_left(self._days[symbol], day)]

    def between(self, symbol: str, start: date, stop: date) -> list[Bar]:
        """Give the bars from a day on and before another."""
        days = self._days[symbol]
        return self._bars[symbol][bisect_left(days, start) : bisect_left(days, stop)]

    def figures(self, symbol: str, day: date) -> dict[str, Any]:
        """Give what can be said of a symbol before a day opens; what needs more history than there is, is left out."""
        if (symbol, day) not in self._cache:
            bars = self.before(symbol, day)
            self._cache[symbol, day] = _figures(bars) if len(bars) > 20 else {}
        return self._cache[symbol, day]


def price(value: float) -> str:
    """Write a price as people do: whole dollars without decimals."""
    return f"{value:.2f}".removesuffix(".00")


def tick(value: float) -> float:
    """Give the step in which people name prices of that size."""
    return 0.05 if value < 60 else 0.25 if value < 150 else 0.5


def rounded(value: float) -> float:
    """Round a price to a step that people name."""
    return round(round(value / tick(value)) * tick(value), 2)


def change(share: float) -> str:
    """Say a change in words."""
    percent = round(100 * share, 1)
    return "unchanged" if not percent else f"{'up' if percent > 0 else 'down'} {abs(percent)} percent"


def _figures(bars: list[Bar]) -> dict[str, Any]:
    last, closes = bars[-1], [bar.close for bar in bars]
    px = last.close
    steps = [b / a - 1 for a, b in pairwise(closes)]
    ranges = [max(b.high, a.close) - min(b.low, a.close) for a, b in zip(bars[-15:-1], bars[-14:], strict=True)]
    atr, year, vol = fmean(ranges), bars[-250:], 100 * pstdev(steps[-60:]) * math.sqrt(252)
    low20, high20 = min(b.low for b in bars[-20:]), max(b.high for b in bars[-20:])
    low52, high52 = min(b.low for b in year), max(b.high for b in year)
    volumes = last.volume / fmean(b.volume for b in bars[-20:])
    found: dict[str, Any] = {
        "_px": px,
        "_atr": atr,
        "_vol": vol,
        "px": price(px),
        "low": price(last.low),
        "high": price(last.high),
        "day": f"{last.day:%A}",
        "date": f"{last.day:%Y-%m-%d}",
        "volume": f"{last.volume / 1e6:.1f}",
        "volcmp": "above" if volumes > 1.1 else "below" if volumes < 0.9 else "in line with",
        "half": "upper" if px > (last.high + last.low) / 2 else "lower",
        "atr": f"{atr:.2f}",
        "atrp": f"{100 * atr / px:.1f}",
        "vol": f"{vol:.0f}",
        "week": f"{vol / math.sqrt(52):.1f}",
        "move": f"{vol / 2:.0f}",
        "worst": f"minus {-100 * min(steps[-250:]):.1f}",
        "best": f"{100 * max(steps[-250:]):.1f}",
        "lo20": price(low20),
        "hi20": price(high20),
        "lo52": price(low52),
        "hi52": price(high52),
        "offhi": f"{100 * (1 - px / high52):.0f}",
        "offlo": f"{100 * (px / low52 - 1):.0f}",
        "pctile": f"{100 * (px - low52) / (high52 - low52):.0f}",
        "chg1": change(steps[-1]),
        "chg5": change(px / closes[-6] - 1),
        "chg20": change(px / closes[-21] - 1),
        "ma20": price(fmean(closes[-20:])),
        "joining": "going with" if px > closes[-21] else "going against",
    }
    if len(closes) > 70:
        now, then = fmean(closes[-50:]), fmean(closes[-70:-20])
        spread = [max(part) - min(part) for part in (closes[-60:], closes[-120:-60] or closes[:60])]
        found |= {
            "_60": px / closes[-61] - 1,
            "chg60": change(px / closes[-61] - 1),
            "ma50": price(now),
            "dist50": f"{100 * (px / now - 1):+.1f}",
            "slope": "risen" if now > then else "fallen",
            "range60": price(spread[0]),
            "widened": "widened" if spread[0] > spread[1] else "narrowed",
        }
    if len(closes) > 250:
        long, middle = fmean(closes[-200:]), median(closes[-250:])
        peak, fall = closes[-250], 0.0
        for close in closes[-250:]:
            peak = max(peak, close)
            fall = max(fall, 1 - close / peak)
        up, above = now > long, px > now
        found |= {
            "ma200": price(long),
            "dist200": f"{100 * (px / long - 1):+.1f}",
            "order": "an uptrend" if up and above else "a downtrend" if not up and not above else "no clear trend",
            "dd": f"{100 * fall:.0f}",
            "median": price(middle),
            "band": price(rounded(2 * pstdev(closes[-250:]))),
            "px250": price(closes[-251]),
            "chg250": change(px / closes[-251] - 1),
        }
    return found

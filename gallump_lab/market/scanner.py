"""What stands out in a broker's universe: gainers, losers, unusual volume."""

from datetime import date

from gallump_lab.market.broker import Broker
from gallump_lab.market.records import Mover, Movers
from gallump_lab.store import scratch

TOP = 3
"""At most so many of each kind."""
USUAL_BARS = 20
"""The mean of so many bars is the usual volume."""
UNUSUAL = 2.0
"""A volume of so many times the usual is unusual."""

_LAST = """
    create table last as
    with bars as (
        select symbol, date::date as date, close, volume, lag(close) over by_date as previous,
            avg(volume) over before as usual, count(volume) over before as counted
        from frame
        window by_date as (partition by symbol order by date),
            before as (partition by symbol order by date rows between $bars preceding and 1 preceding))
    select symbol, 100 * (close / previous - 1) as change,
        if(counted = $bars and usual > 0, volume / usual, null) as ratio
    from bars where date = $day and previous > 0 and isfinite(close / previous)"""
_KINDS: dict[str, tuple[str, dict[str, float]]] = {
    "gainers": ("select * from last where change > 0 order by change desc, symbol limit $top", {"top": TOP}),
    "losers": ("select * from last where change < 0 order by change, symbol limit $top", {"top": TOP}),
    "unusual": (
        "select * from last where ratio >= $least order by ratio desc, symbol limit $top",
        {"least": UNUSUAL, "top": TOP},
    ),
}


class MarketScanner:
    """Finds a universe's movers by SQL, once for each day of data.

    Parameters
    ----------
    broker : Broker
        Whose universe is scanned.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._last: Movers | None = None

    def scan(self) -> Movers | None:
        """Find the movers of the newest day of data; None without data.

        Only symbols with a bar of that very day count, and usual volume takes 20 bars before it.
        """
        day = self._broker.data_date()
        if day is None:
            return None
        if self._last is None or self._last.date != day:
            self._last = self._scan(day)
        return self._last

    def _scan(self, day: date) -> Movers:
        import pandas as pd

        frames = []
        for symbol in sorted(self._broker.symbols()):
            bars = self._broker.bars(symbol, USUAL_BARS + 1)
            if len(bars):
                frames.append(bars.assign(symbol=symbol))
        if not frames:
            return Movers(date=day)
        with scratch() as con:
            con.register("frame", pd.concat(frames)[["symbol", "date", "close", "volume"]])
            con.execute(_LAST, {"bars": USUAL_BARS, "day": day})
            found = {
                kind: tuple(
                    Mover(symbol=symbol, change=change, volume_ratio=ratio)
                    for symbol, change, ratio in con.execute(sql, values).fetchall()
                )
                for kind, (sql, values) in _KINDS.items()
            }
        return Movers(date=day, **found)

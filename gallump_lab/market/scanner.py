"""The guide's MarketScanner: what stands out in a broker's universe on the newest day of its data."""

from collections.abc import Callable
from datetime import date

from gallump_lab.lazy import pd
from gallump_lab.market.broker import Broker
from gallump_lab.market.market_context import Mover, Movers

TOP = 3
"""At most so many of each kind."""
USUAL_BARS = 20
"""The mean of so many bars is the usual volume."""
UNUSUAL = 2.0
"""A volume of so many times the usual is unusual."""


class MarketScanner:
    """Finds a universe's movers, once for each day of data.

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

        Examples
        --------
        >>> from gallump_lab.market import FileBroker
        >>> [mover.symbol for mover in MarketScanner(FileBroker()).scan().losers]
        ['AAPL']
        """
        day = self._broker.data_date()
        if day is None:
            return None
        if self._last is None or self._last.date != day:
            movers = [mover for symbol in self._broker.symbols() if (mover := self._mover(symbol, day))]
            unusual = [mover for mover in movers if (mover.volume_ratio or 0) >= UNUSUAL]
            self._last = Movers(
                date=day,
                gainers=_top([mover for mover in movers if mover.change > 0], lambda mover: -mover.change),
                losers=_top([mover for mover in movers if mover.change < 0], lambda mover: mover.change),
                unusual=_top(unusual, lambda mover: -(mover.volume_ratio or 0)),
            )
        return self._last

    def _mover(self, symbol: str, day: date) -> Mover | None:
        """Return how a symbol moved on a day; None if it has no bar of it or none before with a price above 0."""
        bars = self._broker.bars(symbol, USUAL_BARS + 1)
        if len(bars) < 2 or pd.Timestamp(bars["date"].iloc[-1]).date() != day:
            return None
        previous, close = bars["close"].iloc[-2:]
        if pd.isna(close) or not previous > 0:
            return None
        usual = bars["volume"].iloc[:-1]
        ratio = bars["volume"].iloc[-1] / usual.mean() if usual.count() == USUAL_BARS and usual.mean() > 0 else None
        return Mover(symbol=symbol, change=100 * (close / previous - 1), volume_ratio=None if pd.isna(ratio) else ratio)


def _top(movers: list[Mover], key: Callable[[Mover], float]) -> tuple[Mover, ...]:
    return tuple(sorted(movers, key=lambda mover: (key(mover), mover.symbol))[:TOP])

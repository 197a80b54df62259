"""The guide's ContextBuilder: from a prompt and a watchlist to the market as this turn sees it."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from gallump_lab.lazy import np
from gallump_lab.market.broker import CLOSED, Broker, reached
from gallump_lab.market.market_context import MarketContext, Position, Quote, Trend, one_line
from gallump_lab.market.scanner import MarketScanner
from gallump_lab.masking import masked
from gallump_lab.reading.names import reader
from gallump_lab.reading.symbols import canonical, symbols_in, validate_symbols
from gallump_lab.store import times

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.store import Cache

T = TypeVar("T")

QUOTE_MINUTES = 1.0
"""How long a live broker's answer is used again."""
YEAR_OF_BARS = 372
"""Bars that cover 52 weeks and one before, even where every day is traded."""


class ContextBuilder:
    """Gathers quotes, trends, portfolio and movers for a prompt.

    Parameters
    ----------
    broker : Broker
        Where the data comes from.
    cache : Cache, optional
        Keeps a live broker's quotes for a minute.
    scanner : MarketScanner, optional
        Finds the movers; by default one on the same broker.
    clock : callable, optional
        Tells the time that prices' ages count from.
    """

    def __init__(
        self,
        broker: Broker,
        cache: "Cache | None" = None,
        scanner: MarketScanner | None = None,
        clock: Callable[[], datetime] = times.now,
    ) -> None:
        self._broker, self._cache, self._clock = broker, cache, clock
        self._scanner = scanner or MarketScanner(broker)

    def build(self, symbols: Sequence[str], user_prompt: str, watchlist: Sequence[str]) -> MarketContext:
        """Gather the market for one turn.

        Symbols come in this order, each once: the watchlist's, `symbols`, those that the prompt names, in capitals or
        as one calls them. Whatever the broker fails to give becomes one of the context's problems; the turn goes on.

        Raises
        ------
        SymbolError
            If the watchlist or `symbols` hold something that is not a symbol.
        """
        given = (*validate_symbols(watchlist), *validate_symbols(symbols, "symbols"))
        problems: list[str] = []
        own = self._own(problems)
        universe = frozenset(own.values())
        named = reader(universe).all(user_prompt)
        known = dict.fromkeys((*given, *symbols_in(user_prompt, universe), *(name for name in named if name in own)))
        asked = tuple(dict.fromkeys((*known, *named)))  # of the rest it is told that there is no price
        portfolio = self._ask("the portfolio", self._broker.portfolio, problems)
        held = dict.fromkeys(position.symbol for position in portfolio.positions) if portfolio else {}
        prices = self._prices(tuple(known), tuple(held), own)
        return self._found(
            symbols=asked,
            quotes=prices.quotes,
            trends=prices.trends,
            missing=tuple(symbol for symbol in asked if symbol not in prices.quotes),
            portfolio=portfolio,
            movers=self._ask("the day's movers", self._scanner.scan, problems),
            data_date=self._ask("the date of its data", self._broker.data_date, problems),
            problems=(*problems, *prices.problems),
        )

    def quotes(self, symbols: Sequence[str]) -> MarketContext:
        """Ask for the last prices of some symbols, and for nothing else."""
        problems: list[str] = []
        asked = tuple(symbols)
        quotes = self._quotes(asked, self._own(problems), problems) if asked else {}
        missing = tuple(symbol for symbol in asked if symbol not in quotes)
        return self._found(symbols=asked, quotes=quotes, missing=missing, problems=(*problems, *self._trouble()))

    def _found(self, **found: Any) -> MarketContext:
        return MarketContext(
            **found,
            at=times.aware(times.naive(self._clock(), "clock")),
            live=self._broker.live,
            source=self._broker.name,
        )

    def _own(self, problems: list[str]) -> dict[str, str]:
        """Return how the broker spells the symbols of its universe."""
        universe = self._ask("its symbols", self._broker.symbols, problems) or ()
        return {canonical(symbol): symbol for symbol in universe}

    def _quotes(self, symbols: Sequence[str], own: Mapping[str, str], problems: list[str]) -> dict[str, Quote]:
        wanted = [own.get(symbol, symbol) for symbol in symbols]
        given = self._ask("quotes", lambda: dict(self._broker.quotes(wanted)), problems) or {}
        return {canonical(symbol): quote for symbol, quote in given.items()}

    def _prices(self, asked: tuple[str, ...], held: tuple[str, ...], own: Mapping[str, str]) -> MarketContext:
        """Return quotes and trends, a live broker's from the cache if fresh; `own` is how it spells symbols."""
        cache = self._cache if self._broker.live else None
        key = f"market {self._broker.name}: {' '.join(asked)}, {' '.join(held)}"
        kept = cache.get(key) if cache else None
        if kept is not None:
            return MarketContext.from_dict(kept)
        problems: list[str] = []
        quotes = self._quotes(tuple(dict.fromkeys(asked + held)), own, problems)
        trends = {}
        for symbol in asked:
            trend = self._ask(f"bars of {symbol}", partial(self._trend, symbol, own.get(symbol, symbol)), problems)
            if trend is not None:
                trends[symbol] = trend
        problems += self._trouble()
        found = MarketContext(quotes=quotes, trends=trends, problems=tuple(problems))
        if cache and not problems:
            cache.set(key, found.to_dict(), expire_minutes=QUOTE_MINUTES)
        return found

    def _trouble(self) -> tuple[str, ...]:
        told = getattr(self._broker, "trouble", None)  # what a LiveBroker says of itself
        return tuple(map(masked, told if isinstance(told, tuple) else ()))

    def _trend(self, symbol: str, own: str) -> Trend | None:
        return measure_trend(symbol, self._broker.bars(own, YEAR_OF_BARS))

    def daily(self, symbol: str, days: int, now: datetime) -> "tuple[pd.DataFrame, list[Position], list[str]]":
        """Return a symbol's last daily bars as known at a moment, newest last, what is held of it, and problems.

        Raises
        ------
        ValueError
            If there are none; the message says how to bring some.
        """
        own = {canonical(each): each for each in self._broker.symbols()}.get(symbol, symbol)
        bars = self._broker.bars(own, days).dropna(subset="close")
        hour = time(0) if self._broker.live else CLOSED
        bars = bars.iloc[: reached(bars["date"].to_numpy("datetime64[D]"), times.naive(now), hour)]
        problems: list[str] = []
        if bars.empty:
            why = " ".join(getattr(self._broker, "trouble", ())) or (
                "Lab.open(broker=df) brings yours, with columns symbol, date and close: see help(lab.broker)."
            )
            msg = f"There are no daily bars of {symbol} up to {now:%Y-%m-%d} ({self._broker.name}). {why}"
            raise ValueError(msg)
        portfolio = self._ask("the portfolio", self._broker.portfolio, problems)
        return bars, [each for each in portfolio.positions if each.symbol == symbol] if portfolio else [], problems

    def _ask(self, what: str, call: Callable[[], T], problems: list[str]) -> T | None:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - a broker is foreign code: whatever it raises, the turn goes on
            problems.append(failure(self._broker.name, what, error))
            return None


def failure(source: str, what: str, error: Exception) -> str:
    """Return in words what a source could not give, and why."""
    # An address may carry a key, and this text is sent to the model.
    words = re.sub(r"(?<=://)\S+", "...", one_line(str(error)))
    return masked(f"{source} could not give {what} ({type(error).__name__}: {words:.200}).")


def measure_trend(symbol: str, bars: "pd.DataFrame") -> Trend | None:
    """Measure how a symbol got to its last close.

    Parameters
    ----------
    symbol : str
        The symbol.
    bars : pandas.DataFrame
        Daily bars, newest last: date, high, low, close (USD; oil closed below 0). Rows without a close, or with a
        close of 0, are passed over.

    Returns
    -------
    Trend or None
        None if no row is left. What takes more bars than there are, or is a share of a price of 0 or less, is None.
    """
    date, low, high, close = (bars[name].to_numpy() for name in ("date", "low", "high", "close"))
    there = np.flatnonzero(bars["close"].notna().to_numpy() & (close != 0))
    if not len(there):
        return None
    date, low, high, close = (column[there] for column in (date, low, high, close))
    year = date > date[-1] - np.timedelta64(52, "W")

    def change(days: int) -> float | None:
        return above(close[-1 - days]) if len(close) > days else None

    def above(base: float) -> float | None:
        return 100 * (close[-1] / base - 1) if base > 0 else None

    return Trend(
        symbol=symbol,
        date=bars["date"].iloc[there[-1]],
        change_5=change(5),
        change_20=change(20),
        change_60=change(60),
        low=np.fmin(low, close)[year].min(),
        high=np.fmax(high, close)[year].max(),
        since=bars["date"].iloc[there[0]].date() if year.all() else None,
        from_mean_50=above(close[-50:].mean()) if len(close) >= 50 else None,
    )

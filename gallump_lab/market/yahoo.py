"""Live prices from Yahoo Finance, by the package yfinance."""

import re
import warnings
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from typing import Any, ClassVar

from gallump_lab.lazy import pd
from gallump_lab.market.live import LiveBroker
from gallump_lab.market.market_context import Quote

YEARS = 10
"""So many are fetched of a symbol that was never asked for before."""
TIMEOUT = 10
"""Seconds that a request may take; a turn does not wait for it."""

_MINOR = {"GBp": "GBP", "ZAc": "ZAR", "ILA": "ILS"}
"""What Yahoo gives in hundredths."""
_COINS = "BTC ETH SOL XRP DOGE LTC ADA AVAX BNB DOT LINK ATOM".split()


class YahooBroker(LiveBroker):
    """Prices of Yahoo Finance: last trades, some of them late, each with its time, and daily bars.

    Symbols are Yahoo's: AAPL, BRK.B or BRK-B, ^GSPC, SIE.DE, 0700.HK, BTC-USD or BTC, ES=F. Nothing is fetched but one
    answer for each symbol that a prompt needs, at most once a minute. yfinance (the extra `live`, Apache 2.0) keeps
    Yahoo's cookie in your cache folder; its errors are raised from now on, not logged. Yahoo means personal use.

    Parameters
    ----------
    positions : pandas.DataFrame or path, optional
        What you hold.
    session : curl_cffi.requests.Session, optional
        What asks Yahoo, for a proxy of your own.
    **options
        rates, names, wait and clock of `LiveBroker`.

    Raises
    ------
    ImportError
        If yfinance is not installed.

    Examples
    --------
    >>> lab = Lab.open("lab.duckdb", broker=YahooBroker(positions="positions.csv"))
    """

    name = "Yahoo Finance"
    names: ClassVar[Mapping[str, str]] = {coin: f"{coin}-USD" for coin in _COINS}

    def __init__(self, positions: Any = None, *, session: Any = None, **options: Any) -> None:
        super().__init__(positions, **options)
        self._yfinance, self._session = _yfinance(), session

    def fetch_bars(self, symbol: str, start: date | None) -> "pd.DataFrame":
        """Return a symbol's bars, as traded, and its last trade, all of one answer."""
        # A single letter is a class of shares, unless it is London's, Frankfurt's, Tokyo's or Vancouver's.
        ticker = self._yfinance.Ticker(re.sub(r"(?<=[A-Z])\.(?=[^FLTV]$)", "-", symbol), session=self._session)
        ticker._tz = "UTC"  # noqa: SLF001 - else it asks for the exchange's first, and once more for all that is unknown
        begin = start - timedelta(days=1) if start else self._clock().date() - timedelta(days=round(365.25 * YEARS))
        try:
            frame = ticker.history(start=begin, auto_adjust=False, actions=True, timeout=TIMEOUT)
        except self._yfinance.exceptions.YFTickerMissingError:  # which takes whatever it is for a delisting
            return pd.DataFrame()
        told = ticker.history_metadata
        unit = 100 if told["currency"] in _MINOR else 1
        split = frame["Stock Splits"].where(frame["Stock Splits"] > 0, 1.0)
        # Yahoo's prices and dividends are per share of today.
        shares = split[::-1].cumprod()[::-1].shift(-1, fill_value=1.0)
        prices = {name.lower(): frame[name] * shares / unit for name in ("Open", "High", "Low", "Close")}
        paid = {"volume": frame["Volume"] / shares, "split": split, "dividend": frame["Dividends"] * shares / unit}
        bars = pd.DataFrame({"date": frame.index.date, **prices, **paid}).reset_index(drop=True)
        zone, currency = told["exchangeTimezoneName"], _MINOR.get(told["currency"], told["currency"])
        bars.attrs = {"zone": zone, "currency": currency}
        price, at = told.get("regularMarketPrice"), told.get("regularMarketTime")
        if price is not None and at is not None:
            volume = told.get("regularMarketVolume")
            made = at.to_pydatetime()
            bars.attrs["quote"] = Quote(symbol=symbol, date=made.date(), price=price / unit, volume=volume, at=made)
        return bars


@cache
def _yfinance() -> Any:
    try:
        import yfinance
    except ImportError as error:
        msg = "YahooBroker needs yfinance, which is an extra. Install it: pip install 'gallump-lab[live]'."
        raise ImportError(msg) from error
    # Else a request that failed is told as a symbol that may be delisted.
    yfinance.config.debug.hide_exceptions = False
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")  # what its authors are told
    return yfinance

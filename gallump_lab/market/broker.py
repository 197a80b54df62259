"""Where market data comes from: the broker protocol, and the broker that serves files."""

import math
import warnings
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gallump_lab.bundled import bundled
from gallump_lab.lazy import np, pd
from gallump_lab.market.bars import Bars, make_bars, make_portfolio, read_table, source_name
from gallump_lab.market.market_context import Portfolio, Quote
from gallump_lab.reading.symbols import canonical
from gallump_lab.reading.text_files import Problems
from gallump_lab.store import times

if TYPE_CHECKING:
    import numpy.typing as npt

CLOSED = time(21)
"""UTC: from then on a day's bar is known; US markets have closed by then, summer and winter."""

_PRICES = ("open", "high", "low", "close")


class Broker(Protocol):
    """What the lab asks of a source of market data. Nothing in it places an order.

    Whatever a method raises is told in the prompt in words; the turn goes on.
    """

    @property
    def name(self) -> str:
        """What it is called in the prompt."""

    @property
    def live(self) -> bool:
        """Whether quotes change by the minute and cost a call; they are then kept for a minute."""

    def symbols(self) -> frozenset[str]:
        """Return the universe; it may be empty, then words in capitals are no symbols and nothing is scanned."""

    def data_date(self) -> date | None:
        """Return the day of the universe's newest daily bar, cheaply; None if there is none."""

    def quotes(self, symbols: Iterable[str]) -> dict[str, Quote]:
        """Return the last price of each symbol; one without data is left out."""

    def bars(self, symbol: str, days: int) -> "pd.DataFrame":
        """Return at most the last `days` daily bars, newest last: date, open, high, low, close, volume.

        Prices are USD on one split basis, that of the last bar; an unknown symbol has no rows.
        """

    def portfolio(self) -> Portfolio:
        """Return cash and positions."""


class FileBroker:
    """Daily bars and positions from files, each read once; by default the bundled bars and a sample portfolio.

    Prices are adjusted for the splits up to the last bar seen, and for nothing else (no dividends). Rows that cannot be
    used are left out: a warning names them, `problems` holds them, and the prompt is told how many they are.

    Parameters
    ----------
    bars : path, optional
        CSV or parquet with the columns symbol, date, open, high, low, close and volume (see `bars.make_bars`); None for
        the bundled bars of AAPL, FB, GOOG, IBM and MSFT up to 2013-03-01.
    positions : path, optional
        CSV or parquet with the columns symbol, quantity and entry (see `bars.make_portfolio`). None for the sample
        portfolio with the bundled bars, and for an empty one with your own.
    clock : callable, optional
        Tells the time, UTC: a bar is seen once its day's market has closed (`CLOSED`), so that nothing later than the
        moment is known. None for every bar of the file.

    Raises
    ------
    MarketFileError
        If a file cannot be used; the message names file, column and row.
    """

    live = False

    def __init__(
        self,
        bars: str | Path | None = None,
        positions: str | Path | None = None,
        *,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._clock, self.name = clock, "bundled sample of daily bars"
        faults, others = Problems(), Problems()
        if bars is not None:
            self._bars = make_bars(read_table(Path(bars), faults), str(bars), faults)
            self.name = source_name(Path(bars).name, faults)
        if positions is not None:
            self._portfolio = make_portfolio(read_table(Path(positions), others), Path(positions).name, others)
        else:
            self._portfolio = _sample_portfolio() if bars is None else Portfolio()
        self.problems = tuple(
            f"{path}, {words}" for path, told in ((bars, faults), (positions, others)) for words in told.describe()
        )
        """What was left out of the files or taken otherwise, in words."""
        if self.problems:
            warnings.warn("\n".join(self.problems), UserWarning, stacklevel=2)

    def __repr__(self) -> str:
        """Return what it serves, then what was left out."""
        head = f"<FileBroker {self.name!r}: {len(self._bars)} symbols, bars up to {self.data_date()}>"
        return "\n".join([head, *self.problems])

    @cached_property
    def _bars(self) -> Bars:
        """The bundled bars, read when they are first asked for; a file's are read, and judged, at once."""
        return _sample_bars()

    @cached_property
    def _dates(self) -> "npt.NDArray[Any]":
        return np.unique(np.concatenate([columns["date"] for columns in self._bars.values()]))

    def symbols(self) -> frozenset[str]:
        """Return the symbols of which the file holds a bar that is seen."""
        return frozenset(symbol for symbol, columns in self._bars.items() if self._seen(columns["date"]))

    def data_date(self) -> date | None:
        """Return the day of the newest bar seen."""
        seen = self._seen(self._dates)
        return _day(self._dates[seen - 1]) if seen else None

    def quotes(self, symbols: Iterable[str]) -> dict[str, Quote]:
        """Return each symbol's last close with its day; a symbol without bars is left out."""
        found = {}
        for symbol in symbols:
            last = self._window(symbol, 2)
            if len(last["date"]):
                close, volume = last["close"], last["volume"][-1]
                found[symbol] = Quote(
                    symbol=symbol,
                    date=_day(last["date"][-1]),
                    price=close[-1],
                    previous=close[0] if len(close) > 1 else None,
                    volume=None if math.isnan(volume) else volume,
                )
        return found

    def bars(self, symbol: str, days: int) -> "pd.DataFrame":
        """Return at most the last `days` bars seen, newest last; an unknown symbol has no rows."""
        return pd.DataFrame(self._window(symbol, days))

    def portfolio(self) -> Portfolio:
        """Return the file's positions; they are as the file says, whatever the clock."""
        return self._portfolio

    def _seen(self, dates: "npt.NDArray[Any]") -> int:
        """Count the days, oldest first, whose bars are known by now."""
        return len(dates) if self._clock is None else reached(dates, times.naive(self._clock(), "clock"))

    def _window(self, symbol: str, days: int) -> "dict[str, npt.NDArray[Any]]":
        """Return the last bars seen, prices per share and volumes in shares of the last of them."""
        nothing = {name: column[:0] for name, column in next(iter(self._bars.values())).items()}
        columns = self._bars.get(canonical(symbol), nothing)
        stop = self._seen(columns["date"])
        window = {name: column[max(stop - days, 0) : stop] for name, column in columns.items()}
        ratio = window["shares"] / window["shares"][-1:]
        return {
            "date": window["date"],
            **{name: window[name] * ratio for name in _PRICES},
            "volume": window["volume"] / ratio,
        }


def reached(days: "npt.NDArray[Any]", at: datetime, hour: time = CLOSED) -> int:
    """Count the days, oldest first, of which an hour has come by a moment, UTC; by default, whose bars are known."""
    newest = at.date() if at.time() >= hour else at.date() - timedelta(days=1)
    return int(days.searchsorted(np.datetime64(newest), side="right"))


@cache
def _sample_bars() -> Bars:
    return make_bars(read_table(bundled("bars.parquet"), Problems()), "the sample", Problems())


@cache
def _sample_portfolio() -> Portfolio:
    return make_portfolio(read_table(bundled("portfolio.csv"), Problems()), "a sample, made up", Problems())


def _day(moment: Any) -> date:
    day: date = moment.astype("datetime64[D]").item()
    return day

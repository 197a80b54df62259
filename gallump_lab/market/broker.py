"""Where market data comes from: the broker protocol, and the broker that serves files."""

import copy
import math
import warnings
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from gallump_lab.bundled import bundled
from gallump_lab.lazy import np, pd
from gallump_lab.market.bars import Bars, Rates, make_bars, named, source_name
from gallump_lab.market.market_context import Portfolio, Quote
from gallump_lab.market.positions import make_portfolio
from gallump_lab.reading.shown import visible
from gallump_lab.reading.symbols import canonical
from gallump_lab.reading.text_files import Problems, counted
from gallump_lab.store import times

if TYPE_CHECKING:
    import numpy.typing as npt

CLOSED = time(21)
"""UTC: from then on a day's bar is known; US markets have closed by then, summer and winter."""
SAMPLE_TIME = datetime(2013, 3, 1, 22, tzinfo=UTC)
"""The evening of the last bundled bars."""
_SAMPLE_FOR = timedelta(days=31)
"""So long after it the bundled bars are prices still; later they would only mislead."""

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


class FrameBroker:
    """Daily bars and positions from frames; what was understood is in `read`, what was left out in `problems`.

    Each of these is understood, whatever the case and spacing of the names ("Adj Close", adjClose):

    - a row a bar: symbol (AAPL), date (2024-01-02), open, high, low, close (185.64), volume; all but symbol, date and
      close may be missing;
    - one symbol: the same without a symbol, the days in a column or the index, and `symbol="AAPL"`;
    - two-level columns as yfinance gives them, fields and symbols in either order, the days in the index;
    - closes: a column a symbol, the days in a column or the index;
    - of each a path too, of a CSV, parquet or Excel (the extra `excel`) file.

    Prices are adjusted for the splits up to the last bar seen, if a column `split` tells them (see `bars.make_bars`),
    and for nothing else; of Close and Adj Close the first is taken. Rows that cannot be used are left out: a warning
    names them, `problems` holds them, and the prompt is told how many they are.

    Parameters
    ----------
    bars : pandas.DataFrame or path, optional
        Daily bars in USD; without them there are no prices.
    positions : pandas.DataFrame or path, optional
        A row a position: symbol (AAPL), quantity (100; -50 if sold short), and what was paid, if it is known: entry or
        Average Cost (150.25) per share, or Cost Basis (15,025.00) for all; perhaps currency (EUR), account and others
        (see `positions.make_portfolio`). In a broker's export lines before the header and after the last position are
        passed over.
    symbol : str, optional
        What the bars are of, where nothing in them tells.
    rates : mapping of str to float, optional
        USD per unit of other currencies, {"EUR": 1.08}; what names a currency without a rate is left out.
    clock : callable, optional
        Tells the time, UTC: a bar is seen once its day's market has closed (`CLOSED`), so that nothing later than the
        moment is known. None for every bar.

    Raises
    ------
    MarketFileError
        If a source cannot be used; the message names its columns, or column and row, and how to mend it.

    Examples
    --------
    >>> import pandas as pd
    >>> FrameBroker(pd.DataFrame({"AAPL": [185.64, 184.25]}, index=pd.to_datetime(["2024-01-02", "2024-01-03"])))
    <FrameBroker 'your bars': 1 symbol, bars up to 2024-01-03>
    your bars: columns symbol, date, close; the close stands for open, high, low.
    """

    live = False
    name = "no prices yet; bring yours by Lab.open(broker=df), or FileBroker or YahooBroker of gallump_lab.market"
    read: tuple[str, ...] = ()
    """What was understood, in words."""
    problems: tuple[str, ...] = ()
    """What was left out or taken otherwise, in words."""
    _portfolio = Portfolio()
    _has_sample = False

    def __init__(
        self,
        bars: Any = None,
        positions: Any = None,
        *,
        symbol: str | None = None,
        rates: Rates | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._clock, faults, others = clock, Problems(), Problems()
        if bars is not None:
            source = named(bars, "your bars")
            self._bars = make_bars(bars, source, faults, symbol, rates)
            self.name = source_name(source, faults)
            self._tell(source, faults)
        elif self._has_sample and positions is None:
            self._portfolio, self.name = _sample_portfolio(), "bundled sample of daily bars"
        else:
            self._bars = {}
        if positions is not None:
            source = named(positions, "your positions")
            self._portfolio = make_portfolio(positions, source, others, rates)
            self._tell(source, others)

    def at(self, clock: Callable[[], datetime]) -> Self:
        """Return the same as a lab's clock sees it, unless it has its own; `problems` count the bars that lie ahead."""
        if self._clock is not None:
            return self
        found = copy.copy(self)
        found._clock = clock  # noqa: SLF001 (its own kind)
        today = np.datetime64(clock().date())
        if ahead := sum(int((columns["date"] > today).sum()) for columns in self._bars.values()):
            found.problems += (f"{self.name}, {counted(ahead, 'bars')} after {today}, the lab's day: not seen before.",)
        return found

    def _tell(self, source: str, found: Problems) -> None:
        """Keep what was understood and what was left out of a source; the latter warns."""
        self.read += (f"{source}: {'; '.join(found.read)}.",)
        self.problems += (told := tuple(f"{source}, {words}" for words in found.describe()))
        if told:
            warnings.warn("\n".join(told), UserWarning, stacklevel=3)

    def __repr__(self) -> str:
        """Return what it serves, what was understood, and what was left out."""
        count, day = counted(len(self._bars), "symbols"), self.data_date()
        head = f"<{type(self).__name__} {self.name!r}: {count}{f', bars up to {day}' if day else ''}>"
        return visible("\n".join([head, *self.read, *self.problems]))

    @cached_property
    def _bars(self) -> Bars:
        """The bundled bars, read when they are first asked for, where no others were given."""
        return _sample_bars()

    @cached_property
    def _dates(self) -> "npt.NDArray[Any]":
        days = [columns["date"] for columns in self._bars.values()]
        return np.unique(np.concatenate([*days, np.empty(0, "datetime64[us]")]))

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
        nothing = dict.fromkeys((*_PRICES, "volume", "shares"), np.empty(0)) | {"date": np.empty(0, "datetime64[us]")}
        columns = self._bars.get(canonical(symbol), nothing)
        stop = self._seen(columns["date"])
        window = {name: column[max(stop - days, 0) : stop] for name, column in columns.items()}
        ratio = window["shares"] / window["shares"][-1:]
        return {
            "date": window["date"],
            **{name: window[name] * ratio for name in _PRICES},
            "volume": window["volume"] / ratio,
        }


class FileBroker(FrameBroker):
    """Daily bars and positions from files, each read once; by default the bundled bars and a sample portfolio.

    What a file may hold, and what of it is taken, is as with `FrameBroker`. In CSV the least is, of bars and of
    positions::

        symbol,date,close           Symbol,Quantity,Average Cost
        AAPL,2024-01-02,185.64      AAPL,100,$150.25

    Parameters
    ----------
    bars : path, optional
        CSV, parquet or Excel. If neither these nor positions are given, they are the bundled bars of AAPL, FB, GOOG,
        IBM and MSFT up to 2013-03-01, with a sample portfolio.
    positions : path, optional
        The same kinds of file.
    symbol, rates, clock
        See `FrameBroker`.
    """

    _has_sample = True


def served(source: "Broker | pd.DataFrame | None", clock: Callable[[], datetime]) -> Broker:
    """Return a broker as it is, a frame's bars as one; for None the bundled one if the clock stands in its time."""
    if source is None:
        sample = times.naive(clock(), "clock") < times.naive(SAMPLE_TIME + _SAMPLE_FOR)
        return FileBroker(clock=clock) if sample else FrameBroker()
    if not callable(getattr(source, "quotes", None)):  # a frame may have a column of that name
        source = FrameBroker(source)
    if isinstance(source, FrameBroker) and type(source) in {FrameBroker, FileBroker}:
        return source.at(clock)  # a subclass holds more than the clock
    return cast("Broker", source)


def reached(days: "npt.NDArray[Any]", at: datetime, hour: time = CLOSED) -> int:
    """Count the days, oldest first, of which an hour has come by a moment, UTC; by default, whose bars are known."""
    newest = at.date() if at.time() >= hour else at.date() - timedelta(days=1)
    return int(days.searchsorted(np.datetime64(newest), side="right"))


@cache
def _sample_bars() -> Bars:
    return make_bars(bundled("bars.parquet"), "the sample", Problems())


@cache
def _sample_portfolio() -> Portfolio:
    return make_portfolio(bundled("portfolio.csv"), "a sample, made up", Problems())


def _day(moment: Any) -> date:
    day: date = moment.astype("datetime64[D]").item()
    return day

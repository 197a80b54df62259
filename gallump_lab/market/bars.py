"""Bars and positions from a frame, whatever it comes from, or from a file: what cannot be used is left out and told."""

import glob
import math
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gallump_lab.lazy import duckdb, np, pd
from gallump_lab.market.market_context import Portfolio, Position, one_line
from gallump_lab.reading.dates import exchange_day
from gallump_lab.reading.numbers import NOTHING, decimal_sign, read_number
from gallump_lab.reading.symbols import SymbolError, validate_symbol
from gallump_lab.reading.text_files import Problems, check_readable, counted, read_csv
from gallump_lab.store import scratch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Bars: TypeAlias = "dict[str, dict[str, NDArray[Any]]]"
"""Columns by symbol, as `make_bars` returns them."""

_KEY = ["symbol", "date"]
_PRICES = ["open", "high", "low", "close"]
_NUMBERS = [*_PRICES, "volume"]
ROUNDED = 0.005
"""An open or a close may lie outside the day's range by so much of it, as sources round."""


class MarketFileError(ValueError):
    """A source of bars or positions cannot be used; the message names it, column and row, and how to mend it."""


def make_bars(frame: "pd.DataFrame", source: str, problems: Problems) -> Bars:
    """Make daily bars from a frame.

    A row that cannot be used (no symbol or date, an unreadable number, a price of 0, a high below its low, a symbol's
    day once more with other values) is left out and told.

    Parameters
    ----------
    frame : pandas.DataFrame
        The columns symbol, date, open, high, low, close (USD) and volume, in any order; a row without a close is passed
        over. An optional column `split` says that prices before that day are per old share: 2 on the day of a
        two-for-one split, 1 or empty otherwise. Without it prices are taken as they are.
    source : str
        What it is called in messages.
    problems : Problems
        Takes what was left out.

    Returns
    -------
    dict of str to dict of str to numpy.ndarray
        For each symbol its columns, oldest bar first: date (datetime64), open, high, low, close, volume (NaN if
        unknown) and shares (what one share of before the first bar has become by that day).

    Raises
    ------
    MarketFileError
        If it lacks a column, holds no bar, or a split cannot be read: without it all earlier prices would be on another
        basis.

    Examples
    --------
    >>> import pandas as pd
    >>> day = {"symbol": "AAPL", "date": "2024-01-02", "open": 187, "high": 188, "low": 184, "close": 186, "volume": 82}
    >>> make_bars(pd.DataFrame([day]), "mine", Problems())["AAPL"]["close"].tolist()
    [186.0]
    """
    cells = _Cells(frame, source, (*_KEY, *_NUMBERS), ("split",))
    symbols = cells.symbols()
    rows = pd.DataFrame({"row": cells.rows, "symbol": symbols, "date": np.array(cells.days(symbols), "datetime64[us]")})
    rows["split"] = cells.numbers("split")
    cells.check("split", rows["split"] <= 0, "must be above 0")
    told = rows[cells.sound() & rows["split"].notna()]
    first = told.groupby(_KEY)["split"].transform("first").reindex(rows.index)
    cells.check("split", first.notna() & (first != rows["split"]), "must be that of the day's other rows")
    for place in sorted(cells.faults):
        if cells.text["split"][place] is not None and rows["split"][place] != 1:
            where = f"{source}, {cells.label} {cells.rows[place]}"
            msg = f"{where}: {cells.faults[place]}. All earlier prices rest on the split of that day."
            raise MarketFileError(msg)
    for name in _NUMBERS:
        rows[name] = cells.numbers(name)
    for name in _PRICES:
        cells.check(name, rows[name] == 0, "must be a price, or empty if it is not known")
    cells.check("high", rows["high"] < rows["low"], "must be at least the low")
    for name in ("open", "close"):
        beyond = (rows[name] < rows["low"] * (1 - ROUNDED)) | (rows[name] > rows["high"] * (1 + ROUNDED))
        cells.check(name, beyond, "must lie between the low and the high")
    cells.check("volume", rows["volume"] < 0, "must be 0 or more")
    cells.leave_out(problems)
    bars = rows[cells.sound() & rows["close"].notna()].drop_duplicates([*_KEY, *_NUMBERS])
    twice = bars.duplicated(_KEY, keep=False)
    for row in bars.loc[twice, "row"]:
        problems.leave_out(f"{cells.label} {row}", "it must be the only row of its symbol and day, not one of several")
    # A day whose row was left out keeps its split.
    splits = told.drop_duplicates(_KEY)[[*_KEY, "split"]]
    bars = bars[~twice].drop(columns="split").merge(splits, how="outer", on=_KEY).sort_values(_KEY)
    bars["shares"] = bars["split"].fillna(1.0).groupby(bars["symbol"]).cumprod()
    bars = bars[bars["close"].notna()]
    if bars.empty:
        msg = " ".join([f"{source} holds no row with a close; give daily bars.", *problems.describe()[:3]])
        raise MarketFileError(msg)
    for name in _PRICES:
        bars[name] = bars[name].fillna(bars["close"])
    columns = ["date", *_NUMBERS, "shares"]
    return {str(symbol): {name: own[name].to_numpy() for name in columns} for symbol, own in bars.groupby("symbol")}


def make_portfolio(frame: "pd.DataFrame", source: str, problems: Problems) -> Portfolio:
    """Make a portfolio from a frame.

    A row that cannot be used is left out, told, and counted in the portfolio's source.

    Parameters
    ----------
    frame : pandas.DataFrame
        The columns symbol, quantity and entry (USD per share, 0 if nothing was paid). In a row with the symbol CASH, or
        USD with no other entry than 1 (there is a fund of that symbol), the quantity is USD. A symbol may have several
        rows, one for each lot.
    source : str
        Where it comes from, in words.
    problems : Problems
        Takes what was left out.

    Raises
    ------
    MarketFileError
        If it lacks a column or holds no row that can be used.
    """
    cells = _Cells(frame, source, ("symbol", "quantity", "entry"))
    symbols = np.array(cells.symbols(), object)
    quantity, entry = cells.numbers("quantity"), cells.numbers("entry")
    paid = ~np.isnan(entry) & ~np.isin(entry, (0, 1))
    is_cash = (symbols == "CASH") | ((symbols == "USD") & ~paid)
    cells.check("quantity", np.isnan(quantity), "must be a number")
    cells.check("entry", is_cash & paid, "must be empty for cash")
    cells.check("entry", ~is_cash & np.isnan(entry), "must be the price paid in USD, or 0 if nothing was paid")
    cells.check("entry", entry < 0, "must be 0 or more")
    cells.leave_out(problems)
    cash = quantity[cells.sound() & is_cash]
    held = [each[cells.sound() & ~is_cash] for each in (symbols, quantity, entry)]
    positions = tuple(
        Position(symbol=symbol, quantity=number, entry=price) for symbol, number, price in zip(*held, strict=True)
    )
    if problems.left_out and not (len(cash) or positions):
        msg = " ".join([f"{source} holds no position that can be used.", *problems.describe()[:3]])
        raise MarketFileError(msg)
    return Portfolio(cash=math.fsum(cash), positions=positions, source=source_name(source, problems))


def read_table(path: Path, problems: Problems) -> "pd.DataFrame":
    """Read the cells of a CSV or parquet file as texts; the frame's index numbers its lines or rows.

    Raises
    ------
    MarketFileError
        If it cannot be read.
    """
    check_readable(path, MarketFileError)
    try:
        if path.suffix.lower() != ".parquet":
            return read_csv(path, problems)
        with scratch() as con:
            con.execute("set timezone = 'UTC'")
            file = con.read_parquet(glob.escape(str(path)))
            frame: pd.DataFrame = file.project("columns(*)::varchar").df()
    except (duckdb.Error, ValueError) as error:
        what = "cannot be read as parquet: " if isinstance(error, duckdb.Error) else ""
        msg = f"{path} {what}{str(error).splitlines()[0]}"
        raise MarketFileError(msg) from error
    return frame.set_index(pd.RangeIndex(1, len(frame) + 1, name="row"))


def source_name(source: str, problems: Problems) -> str:
    """Return a source's name, with the number of its rows that were left out."""
    source = one_line(source)  # a file's name may hold bytes that are no text
    return f"{source}, {counted(problems.left_out, 'rows')} left out" if problems.left_out else source


class _Cells:
    """A frame's cells as texts by column, and the first fault of each row that cannot be used."""

    def __init__(self, frame: "pd.DataFrame", source: str, needed: Sequence[str], optional: Sequence[str] = ()) -> None:
        own = {str(name).strip().lower(): place for place, name in reversed([*enumerate(frame.columns)])}
        if absent := [name for name in needed if name not in own]:
            has = ", ".join(map(str, frame.columns)) or "nothing"
            msg = f"{source} lacks the column{'s' * (len(absent) > 1)} {', '.join(absent)}; it has {has:.500}."
            raise MarketFileError(msg)
        self.label = str(frame.index.name or "row")
        """What a row is called."""
        self.rows: list[Any] = frame.index.tolist()
        """The number of each row in its source."""
        self.text: dict[str, list[str | None]] = {
            name: [*map(_given, frame.iloc[:, own[name]])] if name in own else [None] * len(frame)
            for name in (*needed, *optional)
        }
        self.faults: dict[int, str] = {}
        """By a row's place: what is wrong with it."""
        figures = {cell for name, cells in self.text.items() if name not in _KEY for cell in cells if cell is not None}
        self._sign = decimal_sign(figures)

    def symbols(self) -> list[str | None]:
        """Return each row's symbol; None where it is faulty."""
        return self._read("symbol", self.text["symbol"], _symbol, "must be given, not empty")

    def days(self, symbols: Sequence[str | None]) -> list[date | None]:
        """Return each row's day at the exchange of its symbol; None where it is faulty."""
        exchanges = {symbol: symbol.rpartition(".")[2] if symbol and "." in symbol else "" for symbol in {*symbols}}
        cells = [text and (text, exchanges[symbol]) for text, symbol in zip(self.text["date"], symbols, strict=True)]
        return self._read("date", cells, lambda cell: exchange_day(*cell), "must be given, not empty")

    def numbers(self, name: str) -> "NDArray[Any]":
        """Return a column's numbers; NaN where there is nothing or it is faulty."""
        return np.array(self._read(name, self.text[name], lambda cell: read_number(cell, self._sign)), float)

    def _read(self, name: str, cells: Sequence[Any], read: Callable[[Any], Any], missing: str = "") -> list[Any]:
        values, faults = {None: None}, {None: missing} if missing else {}
        for cell in {*cells} - {None}:  # most stand in several rows
            try:
                values[cell] = read(cell)
            except ValueError as error:
                values[cell], faults[cell] = None, str(error)
        for place in [place for place, cell in enumerate(cells) if cell in faults] if faults else ():
            self.faults.setdefault(place, f"{name} {faults[cells[place]]}")
        return [values[cell] for cell in cells]

    def check(self, name: str, wrong: "ArrayLike", words: str) -> None:
        """Keep as a fault of a column where something is wrong with a row that has none yet."""
        for place in np.flatnonzero(wrong).tolist():
            cell = self.text[name][place]
            self.faults.setdefault(place, f"{name} {words}, not {'empty' if cell is None else repr(cell)[:60]}")

    def sound(self) -> "NDArray[Any]":
        """Return for each row whether it has no fault."""
        found = np.ones(len(self.rows), bool)
        found[list(self.faults)] = False
        return found

    def leave_out(self, problems: Problems) -> None:
        """Tell of the rows that have a fault."""
        for place, why in sorted(self.faults.items()):
            problems.leave_out(f"{self.label} {self.rows[place]}", why)


def _given(cell: object) -> str | None:
    text = "" if cell is None else str(cell).strip()
    return None if text.lower() in NOTHING else text


def _symbol(text: str) -> str:
    try:
        return validate_symbol(text)
    except SymbolError:
        msg = f"must be a symbol such as AAPL, BRK.B or ^GSPC, not {text!r:.60}"
        raise ValueError(msg) from None

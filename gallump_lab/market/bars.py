"""Bars and positions from a frame, whatever it comes from, or from a file: what cannot be used is left out and told."""

import glob
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from zipfile import BadZipFile

from gallump_lab.lazy import duckdb, np, pd
from gallump_lab.market.frames import ADJUSTED, BARS, a_row_a_bar
from gallump_lab.market.market_context import one_line
from gallump_lab.reading.columns import Names, places, plain
from gallump_lab.reading.dates import exchange_day
from gallump_lab.reading.numbers import NOTHING, Decimal, decimal_sign, read_number
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
_WORDS = {*_KEY, "kind", "name", "currency", "account", "side"}
_MEND = (
    "Bars have a row for each symbol and day with the columns symbol, date and close; or days in the index, and the "
    'symbol given by symbol="AAPL"; or two-level columns; or closes, a column a symbol.'
)
_BASIS = ("the close as traded, not adjusted for dividends", "the close adjusted for dividends")
_EXCEL = frozenset({".xlsx", ".xlsm", ".xls"})
ROUNDED = 0.005
"""An open or a close may lie outside the day's range by so much of it, as sources round."""


class MarketFileError(ValueError):
    """A source of bars or positions cannot be used; the message names it, column and row, and how to mend it."""


def make_bars(
    frame: "pd.DataFrame | pd.Series[Any]", source: str, problems: Problems, symbol: str | None = None
) -> Bars:
    """Make daily bars from a frame.

    A row that cannot be used (no symbol or date, an unreadable number, a price of 0, a high below its low, a symbol's
    day once more with other values) is left out and told.

    Parameters
    ----------
    frame : pandas.DataFrame
        In any of the forms of `FrameBroker`: symbol, date, close (USD), and perhaps open, high, low (the close stands
        for them) and volume; a row without a close is passed over. Of `Close` and `Adj Close` the first is taken, as it
        is on the basis of the others; if there is only the second, it alone. An optional column `split` says that
        prices before that day are per old share: 2 on the day of a two-for-one split, 1 or empty otherwise. Without it
        prices are taken as they are.
    source : str
        What it is called in messages.
    problems : Problems
        Takes what was left out, and what was understood.
    symbol : str, optional
        What the bars are of, where the frame does not say it.

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
    cells = _bar_cells(frame, source, problems, symbol)
    symbols = cells.symbols()
    rows = pd.DataFrame(
        {"row": range(len(symbols)), "symbol": symbols, "date": np.array(cells.days(symbols), "datetime64[us]")}
    )
    rows["split"] = cells.numbers("split")
    cells.check("split", rows["split"] <= 0, "must be above 0")
    told = rows[cells.sound() & rows["split"].notna()]
    first = told.groupby(_KEY)["split"].transform("first").reindex(rows.index)
    cells.check("split", first.notna() & (first != rows["split"]), "must be that of the day's other rows")
    for place in sorted(cells.faults):
        if cells.text["split"][place] is not None and rows["split"][place] != 1:
            where = f"{source}, {cells.where(place)}"
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
        problems.leave_out(cells.where(row), "it must be the only row of its symbol and day, not one of several")
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


def _bar_cells(frame: Any, source: str, problems: Problems, symbol: str | None) -> "Cells":
    """Return the cells of a frame of bars, and tell what was understood."""
    if not isinstance(frame, (pd.DataFrame, pd.Series)):
        msg = f"{source} must be a pandas DataFrame of daily bars, or FileBroker(path) for a file, not {frame!r:.60}."
        raise MarketFileError(msg)
    frame = a_row_a_bar(frame, symbol)
    names = [plain(name) for name in frame.columns]
    there, adjusted = places(names, BARS), not {*names}.isdisjoint(ADJUSTED)
    alone = adjusted and names[there["close"]] in ADJUSTED
    if alone:  # the day's range is on another basis
        frame = frame.iloc[:, [place for place in range(len(names)) if place not in map(there.get, _PRICES[:3])]]
    cells = Cells(frame, source, BARS, (*_KEY, "close"), _MEND)
    closes = ", ".join(name for name in _PRICES if name not in cells.names)
    said = [cells.understood(), _BASIS[alone] if adjusted else "", f"the close stands for {closes}" if closes else ""]
    problems.read.append("; ".join(filter(None, said)) + ".")
    return cells


def read_table(
    path: Path, problems: Problems, is_header: Callable[[Iterable[object]], bool] | None = None
) -> "pd.DataFrame":
    """Read the cells of a CSV, parquet or Excel file as texts; the frame's index numbers its lines or rows.

    Of a workbook the first sheet is read; `is_header` tells the header of CSV and Excel, which otherwise is their first
    line.

    Raises
    ------
    MarketFileError
        If it cannot be read.
    """
    check_readable(path, MarketFileError)
    kind = path.suffix.lower()
    try:
        if kind != ".parquet":
            return read_csv(_sheet(path) if kind in _EXCEL else path, problems, is_header)
        with scratch() as con:
            con.execute("set timezone = 'UTC'")
            file = con.read_parquet(glob.escape(str(path)))
            frame: pd.DataFrame = file.project("columns(*)::varchar").df()
    except (duckdb.Error, ValueError) as error:
        what = "cannot be read as parquet: " if isinstance(error, duckdb.Error) else ""
        msg = f"{path} {what}{str(error).splitlines()[0]}"
        raise MarketFileError(msg) from error
    return frame.set_index(pd.RangeIndex(1, len(frame) + 1, name="row"))


def _sheet(path: Path) -> io.StringIO:
    """Return the first sheet of a workbook as CSV, each row on the line of its number."""
    try:
        sheet = pd.read_excel(path, header=None, dtype=object)
    except ImportError as error:
        msg = "is an Excel file, which takes an extra: pip install 'gallump-lab[excel]'. Or save it as CSV"
        raise ValueError(msg) from error
    except (BadZipFile, KeyError, ValueError) as error:
        msg = f"cannot be read as Excel: {str(error).rstrip('.')}. Save it as .xlsx or CSV"
        raise ValueError(msg) from error
    return io.StringIO(sheet.to_csv(header=False, index=False))


def source_name(source: str, problems: Problems) -> str:
    """Return a source's name, with the number of its rows that were left out."""
    source = one_line(source)  # a file's name may hold bytes that are no text
    return f"{source}, {counted(problems.left_out, 'rows')} left out" if problems.left_out else source


class Cells:
    """A frame's cells as texts by column, and the first fault of each row that cannot be used."""

    def __init__(self, frame: "pd.DataFrame", source: str, known: Names, needed: Sequence[str], mend: str) -> None:
        own = places(frame.columns, known)
        if absent := [name for name in needed if name not in own]:
            has = ", ".join(map(str, frame.columns)) or "nothing"
            msg = f"{source} lacks the column{'s' * (len(absent) > 1)} {', '.join(absent)}; it has {has:.500}. {mend}"
            raise MarketFileError(msg)
        self.label = str(frame.index.name or "row")
        """What a row is called."""
        self.rows: list[Any] = frame.index.tolist()
        """The number of each row in its source."""
        self.names = {name: str(frame.columns[place]).strip() for name, place in own.items()}
        """By column: what it is called in the frame."""
        self.unused = [str(name) for place, name in enumerate(frame.columns) if place not in own.values() and str(name)]
        self.text: dict[str, list[str | None]] = {
            name: [*map(given, frame.iloc[:, own[name]])] if name in own else [None] * len(frame) for name in known
        }
        self.faults: dict[int, str] = {}
        """By a row's place: what is wrong with it."""

    def understood(self) -> str:
        """Return in words which columns are taken under another name, and which are not used."""
        taken = [f"{name} is {self.names[name]!r}" for name in self.names if name != self._called(name)]
        unused = f"not used: {', '.join(self.unused):.300}" if self.unused else ""
        return "; ".join(filter(None, [", ".join(taken), unused])) or f"columns {', '.join(self.names)}"

    def _called(self, name: str) -> str:
        own = self.names.get(name, name)
        return name if own.lower() == name else own

    def where(self, place: int) -> str:
        """Return in words where a row stands in its source."""
        row = self.rows[place]
        parts = [str(part).removesuffix(" 00:00:00") for part in (row if isinstance(row, tuple) else (row,))]
        return f"{self.label} {' '.join(parts)}"

    @cached_property
    def _sign(self) -> Decimal | None:
        """The decimal sign of all its numbers."""
        figures = (cells for name, cells in self.text.items() if name not in _WORDS)
        return decimal_sign({cell for cells in figures for cell in cells if cell is not None})

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
            self.faults.setdefault(place, f"{self._called(name)} {faults[cells[place]]}")
        return [values[cell] for cell in cells]

    def check(self, name: str, wrong: "ArrayLike", words: str) -> None:
        """Keep as a fault of a column where something is wrong with a row that has none yet."""
        for place in np.flatnonzero(wrong).tolist():
            cell = self.text[name][place]
            self.faults.setdefault(
                place, f"{self._called(name)} {words}, not {'empty' if cell is None else repr(cell)[:60]}"
            )

    def sound(self) -> "NDArray[Any]":
        """Return for each row whether it has no fault."""
        found = np.ones(len(self.rows), bool)
        found[list(self.faults)] = False
        return found

    def leave_out(self, problems: Problems) -> None:
        """Tell of the rows that have a fault."""
        for place, why in sorted(self.faults.items()):
            problems.leave_out(self.where(place), why)


def given(cell: object) -> str | None:
    """Return a cell as text; None where it holds nothing."""
    text = "" if cell is None else str(cell).strip()
    return None if text.lower() in NOTHING else text


def _symbol(text: str) -> str:
    try:
        return validate_symbol(text)
    except SymbolError:
        msg = f"must be a symbol such as AAPL, BRK.B or ^GSPC, not {text!r:.60}"
        raise ValueError(msg) from None

"""Bars and positions from a frame, whatever it comes from, or from a file: what cannot be used is left out and told."""

import glob
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from zipfile import BadZipFile

from gallump_lab.lazy import duckdb, np, pd
from gallump_lab.market.frames import ADJUSTED, BARS, MarketFileError, a_row_a_bar
from gallump_lab.market.market_context import one_line
from gallump_lab.reading.columns import Names, places, plain
from gallump_lab.reading.dates import exchange_day, iso_days
from gallump_lab.reading.numbers import NOTHING, Decimal, currency, decimal_sign, read_number
from gallump_lab.reading.symbols import validate_symbol
from gallump_lab.reading.text_files import Problems, check_readable, counted, read_csv
from gallump_lab.store import scratch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Bars: TypeAlias = "dict[str, dict[str, NDArray[Any]]]"
"""Columns by symbol, as `make_bars` returns them."""
Rates: TypeAlias = Mapping[str, float]
"""USD per unit of other currencies: {"EUR": 1.08}; of GBX (pence) a hundredth of GBP's, unless it has its own."""

_KEY = ["symbol", "date"]
_PRICES = ["open", "high", "low", "close"]
_NUMBERS = [*_PRICES, "volume"]
_WORDS = {*_KEY, "kind", "name", "currency", "account", "side"}
_MEND = (
    "Bars have a row for each symbol and day with the columns symbol, date and close; or days in the index, and the "
    'symbol given by FrameBroker(df, symbol="AAPL"); or two-level columns; or closes, a column a symbol.'
)
_ASIDE = {"name", "kind", "account", "cost", "price", "value"}
_MISSING = "must be given, not empty"
ROUNDED = 0.005
"""An open or a close may lie outside the day's range by so much of it, as sources round."""


def make_bars(
    given: Any, source: str, problems: Problems, symbol: str | None = None, rates: Rates | None = None
) -> Bars:
    """Make daily bars from a frame.

    A row that cannot be used (no symbol or date, an unreadable number, a price of 0, a high below its low, a currency
    without a rate, a symbol's day once more with other values) is left out and told.

    Parameters
    ----------
    given : pandas.DataFrame or path
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
    rates : mapping of str to float, optional
        See `Rates`; one rate for all days.

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
    cells = _bar_cells(as_frame(given, source, problems, is_header), source, problems, symbol)
    rate = cells.rates(cells.currencies(_PRICES), rates)
    symbols = cells.symbols()
    days, splits = np.array(cells.days(symbols), "datetime64[us]"), cells.numbers("split")
    rows = pd.DataFrame({"row": range(len(symbols)), "symbol": symbols, "date": days, "split": splits})
    cells.check("split", rows["split"] <= 0, "must be above 0")
    told = rows[cells.sound() & rows["split"].notna()]
    first = told.groupby(_KEY)["split"].transform("first").reindex(rows.index)
    cells.check("split", first.notna() & (first != rows["split"]), "must be that of the day's other rows")
    for place in sorted(cells.faults):
        if cells.text["split"][place] is not None and rows["split"][place] != 1:
            msg = f"{source}, {cells.where(place)}: {cells.faults[place]}. All earlier prices rest on that day's split."
            raise MarketFileError(msg)
    rows = rows.assign(**{name: cells.numbers(name) for name in _NUMBERS})
    for name in _PRICES:
        cells.check(name, rows[name] == 0, "must be a price, or empty if it is not known")
    cells.check("high", rows["high"] < rows["low"], "must be at least the low")
    for name in ("open", "close"):
        beyond = (rows[name] < rows["low"] * (1 - ROUNDED)) | (rows[name] > rows["high"] * (1 + ROUNDED))
        cells.check(name, beyond, "must lie between the low and the high")
    cells.check("volume", rows["volume"] < 0, "must be 0 or more")
    cells.leave_out(problems)
    rows[_PRICES] = rows[_PRICES].mul(rate, axis=0)
    bars = rows[cells.sound() & rows["close"].notna()].drop_duplicates([*_KEY, *_NUMBERS])
    twice = bars.duplicated(_KEY, keep=False)
    for row in bars.loc[twice, "row"]:
        problems.leave_out(cells.where(row), "it must be the only row of its symbol and day, not one of several")
    # A day whose row was left out keeps its split.
    told = told.drop_duplicates(_KEY)[[*_KEY, "split"]]
    bars = bars[~twice].drop(columns="split").merge(told, how="outer", on=_KEY).sort_values(_KEY)
    bars["shares"] = bars["split"].fillna(1.0).groupby(bars["symbol"]).cumprod()
    bars = bars[bars["close"].notna()]
    if bars.empty:
        msg = " ".join([f"{source} holds no row with a close; give daily bars.", *problems.describe()[:3]])
        raise MarketFileError(msg)
    if below := int((bars["close"] < 0).sum()):
        cells.read.append(f"{counted(below, 'closes')} below 0, taken as given")
    bars[_PRICES] = bars[_PRICES].apply(lambda prices: prices.fillna(bars["close"]))
    columns = ["date", *_NUMBERS, "shares"]
    problems.read += cells.read
    return {str(symbol): {name: own[name].to_numpy() for name in columns} for symbol, own in bars.groupby("symbol")}


def is_header(names: Iterable[str]) -> bool:
    """Return whether a line names the columns of bars, below others such as a title."""
    names = [name for name in names if name]
    return len(names) > 1 and "date" in places(names, BARS) and not any(name[0].isdigit() for name in names)


def _bar_cells(frame: "pd.DataFrame", source: str, problems: Problems, symbol: str | None) -> "Cells":
    """Return the cells of a frame of bars."""
    frame = a_row_a_bar(frame, problems, symbol)
    cells = Cells(frame, source, BARS, (*_KEY, "close"), _MEND)
    adjusted = [str(name) for name in frame.columns if re.fullmatch(ADJUSTED, plain(name))]
    if alone := cells.names["close"] in adjusted:  # the day's range is on another basis
        for name in cells.names.keys() & {*_PRICES[:3]}:
            cells.text[name] = [None] * len(frame)
            del cells.names[name]
    if adjusted:
        cells.read.append(f"the close {'' if alone else 'as traded, not '}adjusted for dividends")
    if closes := ", ".join(name for name in _PRICES if name not in cells.names):
        cells.read.append(f"the close stands for {closes}")
    return cells


def as_frame(given: Any, source: str, problems: Problems, header: Callable[[Iterable[str]], bool]) -> "pd.DataFrame":
    """Return what a path leads to, or what is a frame or can become one: a series, frames by symbol, polars, Arrow.

    Of a workbook the first sheet is read. The cells of a file are texts; the frame's index numbers its lines or rows.

    Raises
    ------
    MarketFileError
        If it is none of them, or the file cannot be read.
    """
    if isinstance(given, (str, Path)):
        return _read_file(check_readable(Path(given), MarketFileError), problems, header)
    frame = given.to_pandas() if hasattr(given, "to_pandas") else given
    if isinstance(frame, dict) and frame and all(isinstance(each, pd.DataFrame) for each in frame.values()):
        frame = pd.concat(frame)
    frame = frame.to_frame(frame.name) if isinstance(frame, pd.Series) else frame
    if not isinstance(frame, pd.DataFrame):
        msg = f"{source} must be a DataFrame, or a path of a CSV, parquet or Excel file, not {given!r:.60}."
        raise MarketFileError(msg)
    return frame


def _read_file(path: Path, problems: Problems, header: Callable[[Iterable[str]], bool]) -> "pd.DataFrame":
    kind = path.suffix.lower()
    try:
        if kind != ".parquet":
            return read_csv(_sheet(path) if kind in (".xlsx", ".xlsm", ".xls") else path, problems, header)
        with scratch() as con:
            con.execute("set timezone = 'UTC'")
            frame: pd.DataFrame = con.read_parquet(glob.escape(str(path))).project("columns(*)::varchar").df()
    except (duckdb.Error, ValueError) as error:
        what = "cannot be read as parquet: " if isinstance(error, duckdb.Error) else ""
        msg = f"{path} {what}{str(error).splitlines()[0]}"
        raise MarketFileError(msg) from error
    return frame.set_index(pd.RangeIndex(1, len(frame) + 1, name="row"))


def _sheet(path: Path) -> io.StringIO:
    """Return the first sheet of a workbook as CSV, each row on the line of its number."""
    try:
        sheet = pd.read_excel(path, header=None, dtype=object)
    except (BadZipFile, ImportError, KeyError, ValueError) as error:
        why = str(error).rstrip(".")
        if isinstance(error, ImportError):
            why = "it takes an extra, pip install 'gallump-lab[excel]'"
        msg = f"cannot be read as Excel: {why}. Or save it as CSV"
        raise ValueError(msg) from error
    return io.StringIO(sheet.replace(r"\s+", " ", regex=True).to_csv(header=False, index=False))


def named(given: Any, name: str) -> str:
    """Return the name of a file, if a path is given; else the name that is."""
    return one_line(Path(given).name) if isinstance(given, (str, Path)) else name  # it may hold bytes that are no text


def source_name(source: str, problems: Problems) -> str:
    """Return a source's name, with the number of its rows that were left out."""
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
        columns = {name: frame.iloc[:, place].tolist() for name, place in own.items()}
        self.text = {name: [*map(filled, columns.get(name, [None] * len(frame)))] for name in known}
        self.faults: dict[int, str] = {}
        """By a row's place: what is wrong with it."""
        main = {name: called for name, called in self.names.items() if name not in _ASIDE}
        taken = [f"{called!r} is the {name}" for name, called in main.items() if name not in plain(called)]
        unused = [str(name) for place, name in enumerate(frame.columns) if place not in own.values() and str(name)]
        self.read = [", ".join(taken)] if taken else []
        """What was understood, in words."""
        self.read += [f"not used: {', '.join(unused):.300}"] if unused else []
        self.read = self.read or [f"columns {', '.join(main.values())}"]

    def _called(self, name: str) -> str:
        own = self.names.get(name, name)
        return name if own.lower() == name else own

    def where(self, place: int) -> str:
        """Return in words where a row stands in its source."""
        row = self.rows[place]
        parts = [str(part).removesuffix(" 00:00:00") for part in (row if isinstance(row, tuple) else (row,))]
        return f"{self.label} {' '.join(parts)}"

    def currencies(self, money: Iterable[str]) -> list[str]:
        """Return the currency that each row or a number of it names, else ""; leave bare numbers in the cells."""
        known = {cell: (currency(cell)[1] or cell.upper()) if cell else "" for cell in {*self.text["currency"]}}
        codes = [known[cell] for cell in self.text["currency"]]
        for name in money:
            header = currency(self.names.get(name, ""))[1]
            cells = {cell for cell in self.text[name] if cell}
            if not header and re.fullmatch(r"[\d.,-]*", "".join(cells)):
                continue  # bare numbers, which may be many
            parted = {cell: currency(cell) for cell in cells}
            named = {cell: code or ("USD" if "$" in cell else header) for cell, (_, code) in parted.items()}
            if any(named.values()):
                codes = [code or named.get(cell or "", "") for code, cell in zip(codes, self.text[name], strict=True)]
                self.text[name] = [cell and (parted[cell][0] or None) for cell in self.text[name]]
        return codes

    def rates(self, codes: Iterable[str], given: Rates | None) -> "NDArray[Any]":
        """Return the USD per unit of each row's currency; a row in one without a rate is faulty.

        Raises
        ------
        MarketFileError
            If a rate is no number above 0.
        """
        rates = {"USD": 1.0} | {code.upper(): rate for code, rate in (given or {}).items()}
        if not all(isinstance(rate, (int, float)) and 0 < rate < math.inf for rate in rates.values()):
            msg = f"rates must hold USD per unit of each currency, such as {{'EUR': 1.08}}, not {given!r:.100}."
            raise MarketFileError(msg)
        rates |= {"GBX": rates["GBP"] / 100} if "GBP" in rates and "GBX" not in rates else {}
        for place, code in enumerate(codes):
            if code and code not in rates:
                self.faults.setdefault(place, f"it is in {code}; give rates={{{code!r}: USD per {code}}} to take it")
        self.read += [f"{code} at {rates[code]:g} USD" for code in sorted(rates.keys() & {*codes} - {"USD"})]
        return np.array([rates.get(code, 1.0) for code in codes])

    @cached_property
    def _sign(self) -> Decimal | None:
        """The decimal sign of all its numbers."""
        figures = (cells for name, cells in self.text.items() if name not in _WORDS)
        return decimal_sign({cell for cells in figures for cell in cells if cell is not None})

    def symbols(self) -> list[str | None]:
        """Return each row's symbol; None where it is faulty."""
        return self._read("symbol", self.text["symbol"], lambda cell: validate_symbol(cell, ""), _MISSING)

    def days(self, symbols: Sequence[str | None]) -> list[date | None]:
        """Return each row's day at the exchange of its symbol; None where it is faulty."""
        exchanges = {symbol: symbol.rpartition(".")[2] if symbol and "." in symbol else "" for symbol in {*symbols}}
        told = iso_days({text for text in self.text["date"] if text})
        self.read += [f"{text} is {day}" for text, day in [*told.items()][:1]]
        texts = zip(self.text["date"], symbols, strict=True)
        cells = [text and (told.get(text, text), exchanges[symbol]) for text, symbol in texts]
        return self._read("date", cells, lambda cell: exchange_day(*cell), _MISSING)

    def numbers(self, name: str) -> "NDArray[Any]":
        """Return a column's numbers; NaN where there is nothing or it is faulty."""
        return np.array(self._read(name, self.text[name], lambda cell: read_number(cell, self._sign)), float)

    def _read(self, name: str, cells: Sequence[Any], read: Callable[[Any], Any], missing: str = "") -> list[Any]:
        values, faults = {None: None}, {None: missing} if missing else {}
        for cell in {*cells} - {None}:  # most stand in several rows
            try:
                values[cell] = read(cell)
            except ValueError as error:
                values[cell], faults[cell] = None, str(error).strip()
        for place in [place for place, cell in enumerate(cells) if cell in faults] if faults else ():
            self.faults.setdefault(place, f"{self._called(name)} {faults[cells[place]]}")
        return [values[cell] for cell in cells]

    def check(self, name: str, wrong: "ArrayLike", words: str) -> None:
        """Keep as a fault of a column where something is wrong with a row that has none yet."""
        for place in np.flatnonzero(wrong).tolist():
            cell = self.text[name][place]
            found = "empty" if cell is None else repr(cell)[:60]
            self.faults.setdefault(place, f"{self._called(name)} {words}, not {found}")

    def sound(self) -> "NDArray[Any]":
        """Return for each row whether it has no fault."""
        found = np.ones(len(self.rows), bool)
        found[list(self.faults)] = False
        return found

    def leave_out(self, problems: Problems) -> None:
        """Tell of the rows that have a fault."""
        for place, why in sorted(self.faults.items()):
            problems.leave_out(self.where(place), why)


def filled(cell: object) -> str | None:
    """Return a cell as text; None where it holds nothing."""
    text = "" if cell is None else str(cell).strip()
    return None if text.lower() in NOTHING else text

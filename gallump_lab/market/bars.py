"""Bars and positions from CSV or parquet: a row that cannot be used is left out and named, the rest is read."""

import glob
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, tzinfo
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from zoneinfo import ZoneInfo

from gallump_lab.market.market_context import Portfolio, Position, one_line
from gallump_lab.reading.dates import exchange_day
from gallump_lab.reading.numbers import NOTHING, decimal_sign, read_number
from gallump_lab.reading.symbols import SymbolError, validate_symbol
from gallump_lab.reading.text_files import Problems, RowsError, check_readable, counted, parse_json, read_csv
from gallump_lab.store import scratch

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_Texts: TypeAlias = Mapping[str, str | None]
_Numbers: TypeAlias = tuple[float | None, ...]
Bars: TypeAlias = "dict[str, dict[str, NDArray[Any]]]"
"""Columns by symbol, as `read_bars` returns them."""

_PRICES = ("open", "high", "low", "close")
_INSTANT = "strftime(make_timestamp(epoch_us({0})), '%Y-%m-%d %H:%M:%S.%f') || '+00:00'"


class MarketFileError(ValueError):
    """A file of bars or positions cannot be used; the message names file, column and row, and how to mend it."""


def read_bars(path: Path, problems: Problems) -> Bars:
    """Read daily bars.

    A row that cannot be used (no symbol or date, an unreadable number, a price of 0, a high below its low, a symbol's
    day once more with other values) is left out and named in `problems`.

    Parameters
    ----------
    path : Path
        CSV or parquet with the columns symbol, date, open, high, low, close (USD) and volume, in any order; a row
        without a close is passed over. An optional column `split` says that prices before that day are per old share:
        2 on the day of a two-for-one split, 1 or empty otherwise. Without it prices are taken as they are.
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
        If the file cannot be read, lacks a column, holds no bar, or a split cannot be read: without it all earlier
        prices would be on another basis.
    """
    table = _Table(path, problems, ("symbol", "date", *_PRICES, "volume"), ("split",))
    bars: dict[str, dict[date, tuple[int, _Numbers]]] = defaultdict(dict)
    splits: dict[str, dict[date, float]] = defaultdict(dict)
    twice: dict[tuple[str, date], list[int]] = {}
    again = 0
    for number, texts in table.rows:
        try:
            symbol = table.symbol(texts)
            day = _day_and_split(table, number, texts, symbol, splits[symbol])
            numbers = _bar(table, texts)
        except _Fault as fault:
            table.faults[fault.args].append(number)
            continue
        first, known = bars[symbol].setdefault(day, (number, numbers))
        if first != number and known == numbers:
            again += 1
        elif first != number:
            twice.setdefault((symbol, day), [first]).append(number)
    table.leave_out(problems)
    if again:
        problems.note(f"{counted(again, 'rows')} of a symbol and day stand there again, word for word.")
    for (symbol, day), places in twice.items():
        why = f"both hold {symbol} on {day}, with other values; keep one of them"
        problems.leave_out(f"{table.label}s {places[0]} and {places[-1]}", why, records=len(places))
        del bars[symbol][day]
    found = {symbol: _columns(bars[symbol], splits[symbol]) for symbol in sorted(bars)}
    found = {symbol: columns for symbol, columns in found.items() if len(columns["date"])}
    if not found:
        msg = f"{path} holds no row with a close{_why(problems)} Give a file with daily bars."
        raise MarketFileError(msg)
    return found


def _day_and_split(table: "_Table", number: int, texts: _Texts, symbol: str, splits: dict[date, float]) -> date:
    """Return a row's day and put its split, if it tells one, beside the symbol's others."""
    try:
        split = table.number(texts, "split")
        table.check(texts, "split", split is not None and split <= 0, "must be above 0: all earlier prices rest on it")
        day = table.day(texts, symbol)
        if split is None:
            return day
        same = splits.setdefault(day, split) == split
        table.check(texts, "split", not same, "is not what another row of that day says; keep one of them")
    except _Fault as fault:
        if texts["split"] in (None, "1"):
            raise
        msg = f"{table.describe(number, fault)}. All earlier prices rest on the split of that day."
        raise MarketFileError(msg) from fault
    return day


def _bar(table: "_Table", texts: _Texts) -> _Numbers:
    """Return a row's prices and its volume."""
    values = {name: table.number(texts, name) for name in (*_PRICES, "volume")}
    for name in _PRICES:
        table.check(texts, name, values[name] == 0, "must not be 0; leave it empty if the price is not known")
    high, low, volume = (values[name] for name in ("high", "low", "volume"))
    table.check(texts, "high", high is not None and low is not None and high < low, "is below the low")
    table.check(texts, "volume", volume is not None and volume < 0, "must not be below 0")
    return tuple(values.values())


def _columns(bars: dict[date, tuple[int, _Numbers]], splits: dict[date, float]) -> "dict[str, NDArray[Any]]":
    """Return a symbol's columns, oldest bar first; the split of a day whose row was left out counts."""
    import numpy as np

    days, rows, shares = [], [], 1.0
    for day in sorted({*bars, *splits}):
        shares *= splits.get(day, 1.0)
        *prices, volume = bars[day][1] if day in bars else [None] * 5
        close = prices[-1]
        if close is not None:
            rows.append([*(close if price is None else price for price in prices), volume, shares])
            days.append(day)
    numbers = np.array(rows, "float").reshape(-1, 6)
    return {
        "date": np.array(days, "datetime64[us]"),
        **dict(zip((*_PRICES, "volume", "shares"), numbers.T, strict=True)),
    }


def read_portfolio(path: Path, source: str, problems: Problems) -> Portfolio:
    """Read a portfolio.

    A row that cannot be used is left out, named in `problems` and counted in the portfolio's source.

    Parameters
    ----------
    path : Path
        CSV or parquet with the columns symbol, quantity and entry (USD per share, 0 if nothing was paid). In a row with
        the symbol CASH, or USD with no other entry than 1 (there is a fund of that symbol), the quantity is USD. A
        symbol may have several rows, one for each lot.
    source : str
        Where it comes from, in words.
    problems : Problems
        Takes what was left out.

    Raises
    ------
    MarketFileError
        If the file cannot be read, lacks a column or holds no row that can be used.
    """
    table = _Table(path, problems, ("symbol", "quantity", "entry"))
    cash: list[float] = []
    positions: list[Position] = []
    for number, texts in table.rows:
        try:
            symbol, quantity, entry = table.symbol(texts), table.number(texts, "quantity"), table.number(texts, "entry")
            paid = entry not in (None, 0, 1)
            is_cash = symbol == "CASH" or (symbol == "USD" and not paid)
            table.check(texts, "quantity", quantity is None, "is empty; give a value")
            table.check(texts, "entry", is_cash and paid, "is no price of cash; leave it empty")
            empty = "is empty; give the price paid in USD, 0 if nothing was paid"
            table.check(texts, "entry", not is_cash and entry is None, empty)
            table.check(texts, "entry", entry is not None and entry < 0, "must not be below 0")
            if is_cash:
                cash.append(quantity or 0.0)
            else:
                positions.append(Position(symbol=symbol, quantity=quantity or 0.0, entry=entry or 0.0))
        except _Fault as fault:
            table.faults[fault.args].append(number)
    table.leave_out(problems)
    if problems.left_out and not (cash or positions):
        msg = f"{path} holds no position that can be used{_why(problems)}"
        raise MarketFileError(msg)
    return Portfolio(cash=math.fsum(cash), positions=tuple(positions), source=source_name(source, problems))


def source_name(source: str, problems: Problems) -> str:
    """Return a source's name, with the number of its rows that were left out."""
    source = one_line(source)  # a file's name may hold bytes that are no text
    return f"{source}, {counted(problems.left_out, 'rows')} left out" if problems.left_out else source


def _why(problems: Problems) -> str:
    told = problems.describe()
    return f": {' '.join(told[:3])}" if told else "."


class _Fault(ValueError):
    """What is wrong with a row: the column, its text, and what is wrong with that."""


class _Table:
    """A file's rows as texts, how their cells are read, and the faults of those that cannot be used."""

    def __init__(self, path: Path, problems: Problems, needed: Sequence[str], optional: Sequence[str] = ()) -> None:
        frame, self._own, zone = _load(path, problems, needed, optional)
        self._path = path
        self.label = str(frame.index.name)
        """What a row is called."""
        self.faults: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        columns = {
            name: [_given(text) for text in frame[self._own[name]]] if name in self._own else [None] * len(frame)
            for name in (*needed, *optional)
        }
        self.rows = (
            (int(number), dict(zip(columns, texts, strict=True)))
            for number, *texts in zip(frame.index, *columns.values(), strict=True)
        )
        """The number of each row and its cells, once; None where there is nothing."""
        numeric = [texts for name, texts in columns.items() if name not in ("symbol", "date")]
        sign = decimal_sign({text for texts in numeric for text in texts if text is not None})
        self._symbol, self._number = cache(_symbol), cache(lambda text: read_number(text, sign))
        self._day = cache(lambda text, exchange: exchange_day(text, exchange, zone))

    def symbol(self, texts: _Texts) -> str:
        """Return a row's symbol."""
        return str(self._read(texts, "symbol", self._symbol))

    def number(self, texts: _Texts, name: str) -> float | None:
        """Return the number in a column of a row; None where there is nothing."""
        return None if texts[name] is None else self._read(texts, name, self._number)

    def day(self, texts: _Texts, symbol: str) -> date:
        """Return a row's day at the exchange of its symbol."""
        exchange = symbol.rpartition(".")[2] if "." in symbol else ""
        day: date = self._read(texts, "date", lambda text: self._day(text, exchange))
        return day

    def _read(self, texts: _Texts, name: str, read: Callable[[str], Any]) -> Any:
        text = texts[name]
        if text is None:
            raise _Fault(name, text, "is empty; give a value")
        try:
            return read(text)
        except ValueError as error:
            raise _Fault(name, text, str(error)) from error

    def check(self, texts: _Texts, name: str, wrong: bool, words: str) -> None:  # noqa: FBT001
        """Raise a fault if something is wrong with a row's cell."""
        if wrong:
            raise _Fault(name, texts[name], words)

    def leave_out(self, problems: Problems) -> None:
        """Tell the faults: rows with the same in one line."""
        for fault, numbers in self.faults.items():
            more = f" and {len(numbers) - 1:,} more" if len(numbers) > 1 else ""
            problems.leave_out(f"{self.label} {numbers[0]}{more}", self._said(*fault), records=len(numbers))

    def describe(self, number: int, fault: _Fault) -> str:
        """Return where a fault stands and what it is."""
        return f"{self._path}, {self.label} {number}, {self._said(*fault.args)}"

    def _said(self, name: str, text: str | None, words: str) -> str:
        return f"column {self._own[name]}: {'the cell' if text is None else repr(text)[:60]} {words}"


def _given(text: object) -> str | None:
    found = str(text).strip()
    return None if text is None or found.lower() in NOTHING else found


def _symbol(text: str) -> str:
    try:
        return validate_symbol(text)
    except SymbolError:
        msg = "is no symbol such as AAPL, BRK.B or ^GSPC"
        raise ValueError(msg) from None


def _load(
    path: Path, problems: Problems, needed: Sequence[str], optional: Sequence[str]
) -> "tuple[pd.DataFrame, dict[str, str], tzinfo | None]":
    """Load a file's cells, its names of the columns, and the time zone of a parquet's dates, if it says so."""
    import duckdb

    check_readable(path, MarketFileError)
    parquet = path.suffix.lower() == ".parquet"
    try:
        if parquet:
            return _parquet(path, needed, optional)
        frame, left_out = read_csv(path)
    except (duckdb.Error, RowsError) as error:
        msg = f"{path} cannot be read as {'parquet' if parquet else 'CSV'}: {str(error).splitlines()[0]}."
        raise MarketFileError(msg) from error
    for where, why in left_out:
        problems.leave_out(where, why)
    frame = frame.loc[:, ~frame.columns.duplicated()]
    return frame, _own_names(path, [*frame.columns], needed, optional), None


def _own_names(path: Path, there: Sequence[str], needed: Sequence[str], optional: Sequence[str]) -> dict[str, str]:
    """Return the file's names of the columns that are read."""
    own: dict[str, str] = {}
    for name in map(str, there):
        own.setdefault(name.strip().lower(), name)
    absent = [name for name in needed if name not in own]
    if absent:
        has = ", ".join(own) or "nothing"
        msg = f"{path} lacks the column{'s' * (len(absent) > 1)} {', '.join(absent)}; it has {has:.500}."
        raise MarketFileError(msg)
    return {name: own[name] for name in (*needed, *optional) if name in own}


def _parquet(
    path: Path, needed: Sequence[str], optional: Sequence[str]
) -> "tuple[pd.DataFrame, dict[str, str], tzinfo | None]":
    import pandas as pd

    place = glob.escape(str(path))
    with scratch() as con:
        source = con.read_parquet(place)
        own = _own_names(path, source.columns, needed, optional)
        zoned = {name for name, kind in zip(source.columns, source.types, strict=True) if "ZONE" in str(kind)}
        cells = {f'"{name}"': _INSTANT if name in zoned else "{0}" for name in own.values()}
        frame = source.project(", ".join(f"{how.format(cell)}::varchar as {cell}" for cell, how in cells.items())).df()
        said = con.execute("select value from parquet_kv_metadata(?) where key = 'pandas'::blob", [place]).fetchone()
    frame = frame.astype(object)
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame.where(frame.notna(), None), own, _zone(said[0] if said else b"", own.get("date"))


def _zone(said: bytes, column: str | None) -> tzinfo | None:
    """Return a column's time zone as pandas wrote it beside a parquet's columns; None if it did not."""
    try:
        columns = parse_json(said.decode())["columns"]
        return ZoneInfo(next(each["metadata"]["timezone"] for each in columns if each["name"] == column))
    except (ValueError, TypeError, KeyError, StopIteration, OSError):
        return None

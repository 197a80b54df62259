"""Bars and positions from CSV or parquet: a row that cannot be used is left out and named, the rest is read."""

import glob
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, tzinfo
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
    from numpy.typing import ArrayLike, NDArray

Bars: TypeAlias = "dict[str, dict[str, NDArray[Any]]]"
"""Columns by symbol, as `read_bars` returns them."""

_KEY = ["symbol", "date"]
_PRICES = ["open", "high", "low", "close"]
_NUMBERS = [*_PRICES, "volume"]
_PLAIN = frozenset("-.0123456789")
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
    import pandas as pd

    table = _Table(path, problems, (*_KEY, *_NUMBERS), ("split",))
    rows = pd.DataFrame({"symbol": pd.Series(table.symbols(), dtype=object), "row": table.rows})
    splits = _days_and_splits(table, rows)
    for name in _NUMBERS:
        rows[name] = table.numbers(name)
    for name in _PRICES:
        table.check(name, rows[name] == 0, "must not be 0; leave it empty if the price is not known")
    table.check("high", rows["high"] < rows["low"], "is below the low")
    table.check("volume", rows["volume"] < 0, "must not be below 0")
    table.leave_out(problems)
    # A day whose row was left out keeps its split.
    bars = _each_once(rows[table.sound()], table.label, problems).merge(splits, how="outer", on=_KEY).sort_values(_KEY)
    bars["shares"] = bars["split"].fillna(1.0).groupby(bars["symbol"]).cumprod()
    bars = bars[bars["close"].notna()]
    if bars.empty:
        msg = f"{path} holds no row with a close{_why(problems)} Give a file with daily bars."
        raise MarketFileError(msg)
    for name in _PRICES:
        bars[name] = bars[name].fillna(bars["close"])
    columns = ["date", *_NUMBERS, "shares"]
    return {str(symbol): {name: own[name].to_numpy() for name in columns} for symbol, own in bars.groupby("symbol")}


def _days_and_splits(table: "_Table", rows: "pd.DataFrame") -> "pd.DataFrame":
    """Put their days into the rows, and return the split of each symbol and day that has one."""
    import numpy as np

    faulty = set(table.faults)
    split = table.numbers("split")
    table.check("split", split <= 0, "must be above 0: all earlier prices rest on it")
    rows["date"] = np.array(table.days(rows["symbol"].tolist()), "datetime64[us]")
    told = rows[_KEY].assign(split=split)[table.sound() & ~np.isnan(split)]
    first = told.groupby(_KEY)["split"].transform("first").reindex(rows.index)
    table.check("split", first.notna() & (first != split), "is not what another row of that day says; keep one of them")
    for place in sorted(table.faults.keys() - faulty):
        if table.text("split", place) not in (None, "1"):
            where = f"{table.path}, {table.label} {table.rows[place]}"
            msg = f"{where}, {table.describe(place)}. All earlier prices rest on the split of that day."
            raise MarketFileError(msg)
    splits: pd.DataFrame = told.drop_duplicates(_KEY)
    return splits


def _each_once(rows: "pd.DataFrame", label: str, problems: Problems) -> "pd.DataFrame":
    """Return one row a symbol and day; none, and a problem, where there are several that differ."""
    import numpy as np

    first = rows.groupby(_KEY)["row"].transform("first")
    own, known = rows[_NUMBERS].to_numpy(), rows.set_index("row").loc[first, _NUMBERS].to_numpy()
    same = ((own == known) | (np.isnan(own) & np.isnan(known))).all(axis=1)
    if again := int((same & (rows["row"] != first)).sum()):
        problems.note(f"{counted(again, 'rows')} of a symbol and day stand there again, word for word.")
    others = rows.assign(first=first)[~same].groupby([*_KEY, "first"], sort=False)["row"].agg(["last", "size"])
    for (symbol, day, opening), last, size in others.itertuples():
        why = f"both hold {symbol} on {day.date()}, with other values; keep one of them"
        problems.leave_out(f"{label}s {opening} and {last}", why, records=size + 1)
    return rows[(rows["row"] == first) & ~first.isin(first[~same])]


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
    import numpy as np

    table = _Table(path, problems, ("symbol", "quantity", "entry"))
    symbols = np.array(table.symbols(), object)
    quantity, entry = table.numbers("quantity"), table.numbers("entry")
    empty = np.isnan(entry)
    paid = ~empty & ~np.isin(entry, (0, 1))
    is_cash = (symbols == "CASH") | ((symbols == "USD") & ~paid)
    table.check("quantity", np.isnan(quantity), "is empty; give a value")
    table.check("entry", is_cash & paid, "is no price of cash; leave it empty")
    table.check("entry", ~is_cash & empty, "is empty; give the price paid in USD, 0 if nothing was paid")
    table.check("entry", entry < 0, "must not be below 0")
    table.leave_out(problems)
    cash = quantity[table.sound() & is_cash]
    held = [each[table.sound() & ~is_cash] for each in (symbols, quantity, entry)]
    positions = tuple(
        Position(symbol=symbol, quantity=number, entry=price) for symbol, number, price in zip(*held, strict=True)
    )
    if problems.left_out and not (len(cash) or positions):
        msg = f"{path} holds no position that can be used{_why(problems)}"
        raise MarketFileError(msg)
    return Portfolio(cash=math.fsum(cash), positions=positions, source=source_name(source, problems))


def source_name(source: str, problems: Problems) -> str:
    """Return a source's name, with the number of its rows that were left out."""
    source = one_line(source)  # a file's name may hold bytes that are no text
    return f"{source}, {counted(problems.left_out, 'rows')} left out" if problems.left_out else source


def _why(problems: Problems) -> str:
    told = problems.describe()
    return f": {' '.join(told[:3])}" if told else "."


class _Table:
    """A file's cells by column, how they are read, and the first fault of each row that cannot be used."""

    def __init__(self, path: Path, problems: Problems, needed: Sequence[str], optional: Sequence[str] = ()) -> None:
        frame, self._own, self._zone = _load(path, problems, needed, optional)
        self.path = path
        self.label = str(frame.index.name)
        """What a row is called."""
        self.rows: list[int] = frame.index.tolist()
        """The number of each row in the file."""
        self.faults: dict[int, tuple[str, str | None, str]] = {}
        """By a row's place: the column, its text, and what is wrong with that."""
        self._cells: dict[str, list[str | None]] = {
            name: frame[self._own[name]].tolist() if name in self._own else [None] * len(frame)
            for name in (*needed, *optional)
        }
        numeric = {name: cells for name, cells in self._cells.items() if name not in _KEY}
        self._plain = {name: found for name, cells in numeric.items() if (found := _plain_numbers(cells)) is not None}
        if len(self._plain) < len(numeric):
            self._plain = {}  # beside 1.234.567 a plain 1.234 may be another number
            given = {_given(cell) for cells in numeric.values() for cell in set(cells)}
            self._sign = decimal_sign(text for text in given if text is not None)

    def text(self, name: str, place: int) -> str | None:
        """Return a cell's text; None where there is nothing."""
        return _given(self._cells[name][place])

    def symbols(self) -> list[str | None]:
        """Return each row's symbol; None where it is faulty."""
        return self._read("symbol", lambda cell: _symbol(_needed(cell)), self._cells["symbol"])

    def days(self, symbols: list[str | None]) -> list[date | None]:
        """Return each row's day at the exchange of its symbol; None where it is faulty."""
        exchanges = {symbol: symbol.rpartition(".")[2] if symbol and "." in symbol else "" for symbol in set(symbols)}
        cells = [*zip(self._cells["date"], (exchanges[symbol] for symbol in symbols), strict=True)]
        return self._read("date", lambda cell: exchange_day(_needed(cell[0]), cell[1], self._zone), cells)

    def numbers(self, name: str) -> "NDArray[Any]":
        """Return a column's numbers; NaN where there is nothing or it is faulty."""
        import numpy as np

        def number(cell: str | None) -> float:
            text = _given(cell)
            return math.nan if text is None else read_number(text, self._sign)

        return self._plain[name] if self._plain else np.array(self._read(name, number, self._cells[name]), float)

    def _read(self, name: str, read: Callable[[Any], Any], cells: list[Any]) -> list[Any]:
        values, faults = {}, {}
        for cell in set(cells):  # most stand in several rows
            try:
                values[cell] = read(cell)
            except ValueError as error:
                values[cell], faults[cell] = None, str(error)
        for place in [place for place, cell in enumerate(cells) if cell in faults] if faults else ():
            self.faults.setdefault(place, (name, self.text(name, place), faults[cells[place]]))
        return [values[cell] for cell in cells]

    def check(self, name: str, wrong: "ArrayLike", words: str) -> None:
        """Keep as a fault of a column where something is wrong with a row that has none yet."""
        import numpy as np

        for place in np.flatnonzero(wrong).tolist():
            self.faults.setdefault(place, (name, self.text(name, place), words))

    def sound(self) -> "NDArray[Any]":
        """Return for each row whether it has no fault."""
        import numpy as np

        found = np.ones(len(self.rows), bool)
        found[list(self.faults)] = False
        return found

    def leave_out(self, problems: Problems) -> None:
        """Note the faults: rows with the same in one line."""
        alike = defaultdict[tuple[str, str | None, str], list[int]](list)
        for place, fault in sorted(self.faults.items()):
            alike[fault].append(place)
        for places in alike.values():
            more = f" and {len(places) - 1:,} more" if len(places) > 1 else ""
            where = f"{self.label} {self.rows[places[0]]}{more}"
            problems.leave_out(where, self.describe(places[0]), records=len(places))

    def describe(self, place: int) -> str:
        """Return what is wrong with a row: the column, its text and why."""
        name, text, words = self.faults[place]
        return f"column {self._own[name]}: {'the cell' if text is None else repr(text)[:60]} {words}"


def _given(text: object) -> str | None:
    found = str(text).strip()
    return None if text is None or found.lower() in NOTHING else found


def _needed(cell: object) -> str:
    text = _given(cell)
    if text is None:
        msg = "is empty; give a value"
        raise ValueError(msg)
    return text


def _plain_numbers(cells: list[str | None]) -> "NDArray[Any] | None":
    """Return a column's numbers at once if it is written as programs write, as most are; None if it is not."""
    import numpy as np

    if not _PLAIN.issuperset("".join(cell or "" for cell in cells)):
        return None
    try:
        found = np.array([cell or "nan" for cell in cells], object).astype(float)
    except ValueError:
        return None
    return None if np.isinf(found).any() else found


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

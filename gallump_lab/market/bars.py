"""Reading bars and positions from CSV or parquet: a row that cannot be used is left out and named, the rest is read."""

import glob
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from zoneinfo import ZoneInfo

from gallump_lab.market.days import exchange_day, hours_ahead
from gallump_lab.market.market_context import Portfolio, Position
from gallump_lab.reading.numbers import NOTHING, decimal_sign, read_number
from gallump_lab.reading.symbols import SymbolError, validate_symbol
from gallump_lab.reading.text_files import Problems, RowsError, check_readable, counted, parse_json, read_csv
from gallump_lab.store import scratch

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Bars: TypeAlias = "dict[str, dict[str, NDArray[Any]]]"
"""Columns by symbol, as `read_bars` gives them."""

CASH = "CASH"
"""The symbol of a positions file's row whose quantity is cash in USD; its entry is empty, 0 or 1."""

_PRICES = ("open", "high", "low", "close")
_KINDS: Mapping[str, tuple[str, str]] = {
    "symbol": ("symbols", r"VARCHAR|ENUM.*"),
    "date": ("dates", r"VARCHAR|DATE|TIMESTAMP.*"),
}
_NUMBER = ("numbers", r"VARCHAR|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")
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
    rows, zone = _load(path, problems, ("symbol", "date", *_PRICES, "volume"), ("split",))
    rows.read_symbols()
    rows.read_days(zone)
    rows.read_numbers(*_PRICES, "volume", "split")
    found, by = rows.found, ["symbol", "date"]
    known, split = found["symbol"].notna(), rows.given("split") & (found["split"] != 1)
    rows.refuse("split", known & split & ~(found["split"] > 0), "must be above 0: all earlier prices rest on it")
    rows.refuse("date", known & split & found["date"].isna(), "is no date, and the split of that day needs one")
    other = found.groupby(by)["split"].transform("nunique") > 1
    rows.refuse("split", other, "is not what another row of that day says; keep one of them")
    for name in _PRICES:
        rows.mark(name, found[name] == 0, "must not be 0; leave it empty if the price is not known")
    rows.mark("high", found["high"] < found["low"], "is below the low")
    rows.mark("volume", found["volume"] < 0, "must not be below 0")
    rows.leave_out(problems)
    found = _daily(found, rows.label, problems)
    found["shares"] = found.groupby("symbol")["split"].cumprod()
    found = found[found["close"].notna()]
    if found.empty:
        msg = f"{path} holds no row with a close{_why(problems)} Give a file with daily bars."
        raise MarketFileError(msg)
    for name in ("open", "high", "low"):
        found[name] = found[name].fillna(found["close"])
    columns = ("date", *_PRICES, "volume", "shares")
    return {str(symbol): {name: bars[name].to_numpy() for name in columns} for symbol, bars in found.groupby("symbol")}


def read_portfolio(path: Path, source: str, problems: Problems) -> Portfolio:
    """Read a portfolio.

    A row that cannot be used is left out, named in `problems` and counted in the portfolio's source.

    Parameters
    ----------
    path : Path
        CSV or parquet with the columns symbol, quantity and entry (USD per share, 0 if nothing was paid). In the row
        with the symbol CASH the quantity is USD and the entry empty or 1. A symbol may have several rows, one for each
        lot.
    source : str
        Where it comes from, in words.
    problems : Problems
        Takes what was left out.

    Raises
    ------
    MarketFileError
        If the file cannot be read, lacks a column or holds no row that can be used.
    """
    rows, _ = _load(path, problems, ("symbol", "quantity", "entry"))
    rows.read_symbols()
    rows.read_numbers("quantity", "entry")
    found = rows.found
    cash = found["symbol"] == CASH
    rows.mark("quantity", found["quantity"].isna(), "is empty; give a value")
    rows.mark("entry", ~cash & found["entry"].isna(), "is empty; give the price paid in USD, 0 if nothing was paid")
    rows.mark("entry", found["entry"] < 0, "must not be below 0")
    rows.mark(
        "entry", cash & ~found["entry"].isin([0, 1]) & found["entry"].notna(), "is no price of cash; leave it empty"
    )
    rows.leave_out(problems)
    good = found[found["fault"].isna()]
    if good.empty and problems.left_out:
        msg = f"{path} holds no position that can be used{_why(problems)}"
        raise MarketFileError(msg)
    held = [*zip(good["symbol"], good["quantity"], good["entry"], strict=True)]
    return Portfolio(
        cash=math.fsum(quantity for symbol, quantity, _ in held if symbol == CASH),
        positions=tuple(
            Position(symbol=symbol, quantity=quantity, entry=entry)
            for symbol, quantity, entry in held
            if symbol != CASH
        ),
        source=named(source, problems),
    )


def named(source: str, problems: Problems) -> str:
    """Return a source's name, with the number of its rows that were left out."""
    return f"{source}, {counted(problems.left_out, 'rows')} left out" if problems.left_out else source


def _why(problems: Problems) -> str:
    told = problems.describe()
    return f": {' '.join(told[:3])}" if told else "."


def _daily(found: "pd.DataFrame", label: str, problems: Problems) -> "pd.DataFrame":
    """Bring checked rows to one a symbol and day, in order; the split of a row that was left out stays."""
    by = ["symbol", "date"]
    found = found[found["symbol"].notna() & found["date"].notna()].sort_values(by, kind="stable")
    good = found[found["fault"].isna()]
    again = good.duplicated([*by, *_PRICES, "volume", "split"])
    if again.any():
        problems.note(f"{counted(int(again.sum()), 'rows')} of a symbol and day stand there again, word for word.")
    good = good[~again]
    twice = good[good.duplicated(by, keep=False)].rename_axis("at").reset_index()
    for symbol, day, first, last, number in (
        twice.groupby(by)["at"].agg(["min", "max", "size"]).reset_index().itertuples(index=False)
    ):
        why = f"both hold {symbol} on {day:%Y-%m-%d}, with other values; keep one of them"
        problems.leave_out(f"{label}s {first} and {last}", why, records=number)
    found.loc[found["fault"].notna() | found.index.isin(twice["at"]), ["close"]] = math.nan
    found["split"] = found.groupby(by)["split"].transform("max").fillna(1)
    return found.assign(gap=found["close"].isna()).sort_values([*by, "gap"], kind="stable").drop_duplicates(by)


class Rows:
    """Rows of texts on their way to values; what is wrong with one is told, and the others go on.

    Parameters
    ----------
    texts : pandas.DataFrame
        A row a record, None where there is nothing; the index, whose name says what a row is called, holds its number.
    names : mapping of str to str
        What the user calls the columns.
    source : Path or str
        What the rows come from, for messages.
    """

    def __init__(self, texts: "pd.DataFrame", names: Mapping[str, str], source: Path | str) -> None:
        import pandas as pd

        self._names, self._source = names, source
        self.label = str(texts.index.name or "row")
        """What a row is called."""
        self.found = pd.DataFrame({"fault": pd.Series(None, index=texts.index, dtype=object)})
        """Values by column, and in "fault" the first that is wrong with a row: column, text, what is wrong."""
        self._texts: dict[str, list[str | None]] = {}  # the different texts of a column, and last what is nothing
        self._places: dict[str, NDArray[np.intp]] = {}  # where a row's text stands there
        for name in texts.columns:
            self._places[name], different = pd.factorize(texts[name])
            self._texts[name] = [*(text.strip() or None for text in different), None]

    def read_symbols(self) -> None:
        """Read the symbols, each in its one form."""
        self._read("symbol", _symbol, "object")

    def read_days(self, zone: tzinfo | None) -> None:
        """Read the days of bars, as days of the symbols' exchanges; see `exchange_day`."""
        import numpy as np
        import pandas as pd

        ahead = {symbol: hours_ahead(symbol) for symbol in self.found["symbol"].dropna().unique()}
        exchange, clocks = pd.factorize(self.found["symbol"].map(ahead).astype(float), use_na_sentinel=False)
        places, texts = self._places["date"], self._texts["date"]
        pairs, rows = np.unique(np.stack([places, exchange]), axis=1, return_inverse=True)
        keys = [(texts[text], None if math.isnan(clocks[clock]) else clocks[clock]) for text, clock in pairs.T]
        self._read("date", lambda key: exchange_day(key[0], key[1], zone), "datetime64[us]", keys, rows)

    def given(self, name: str) -> "pd.Series[bool]":
        """Say in which rows something stands in a column of numbers."""
        return self._by_row(name, [_is_given(text) for text in self._texts[name]], "bool")

    def read_numbers(self, *names: str) -> None:
        """Read columns of numbers, whose decimal sign they tell together; nothing is NaN."""
        sign = decimal_sign(
            {text for name in names for text in self._texts[name] if text is not None and _is_given(text)}
        )
        for name in names:
            self._read(name, lambda text: read_number(text, sign) if _is_given(text) else None, "float", needed=False)

    def mark(self, name: str, wrong: "pd.Series[bool]", words: "str | pd.Series[str]") -> None:
        """Return what is wrong in a column of those rows that are right so far."""
        import pandas as pd

        where = self.found["fault"].isna() & wrong
        if where.any():
            texts = self._by_row(name, self._texts[name], "object")[where]
            told = [words] * len(texts) if isinstance(words, str) else words[where]
            faults = [*zip([name] * len(texts), texts, told, strict=True)]
            self.found.loc[where, "fault"] = pd.Series(faults, index=texts.index, dtype=object)

    def refuse(self, name: str, wrong: "pd.Series[bool]", words: str) -> None:
        """Refuse all rows for what is wrong in a column of some."""
        if wrong.any():
            number = self.found.index[wrong][0]
            text = self._by_row(name, self._texts[name], "object")[number]
            msg = f"{self._source}, {self.label} {number}, {self._said((name, text, words))}."
            raise MarketFileError(msg)

    def leave_out(self, problems: Problems) -> None:
        """Tell the faults: rows with the same in one line."""
        faults: dict[Any, list[int]] = {}
        for number, fault in self.found["fault"].dropna().items():
            faults.setdefault(fault, []).append(int(str(number)))
        for fault, numbers in faults.items():
            more = f" and {len(numbers) - 1:,} more" if len(numbers) > 1 else ""
            problems.leave_out(f"{self.label} {numbers[0]}{more}", self._said(fault), records=len(numbers))

    def _by_row(self, name: str, values: Sequence[object], kind: str, places: Any = None) -> "pd.Series[Any]":
        """Return for each row the value that belongs to its text."""
        import numpy as np
        import pandas as pd

        places = self._places[name] if places is None else places
        return pd.Series(np.array(values, kind)[places], index=self.found.index)

    def _read(  # noqa: PLR0913 (what a column is read by)
        self,
        name: str,
        read: Callable[[Any], object],
        kind: str,
        keys: Sequence[Any] | None = None,
        places: Any = None,
        *,
        needed: bool = True,
    ) -> None:
        """Read what each different text, or key in its place, states; say what is wrong with the rows of the others."""
        values: list[object] = []
        faults: list[str | None] = []
        for key in self._texts[name] if keys is None else keys:
            value, fault = None, None
            if (key[0] if isinstance(key, tuple) else key) is None:
                fault = "is empty; give a value" if needed else None
            else:
                try:
                    value = read(key)
                except ValueError as error:
                    fault = str(error)
            values.append(value)
            faults.append(fault)
        self.found[name] = self._by_row(name, values, kind, places)
        told = self._by_row(name, faults, "object", places)
        self.mark(name, told.notna(), told)

    def _said(self, fault: tuple[str, str | None, str]) -> str:
        name, text, words = fault
        return f"column {self._names[name]}: {repr(text)[:60] if isinstance(text, str) else 'the cell'} {words}"


def _is_given(text: str | None) -> bool:
    return text is not None and text.lower() not in NOTHING


def _symbol(text: str) -> str:
    try:
        return validate_symbol(text)
    except SymbolError:
        msg = "is no symbol such as AAPL, BRK.B or ^GSPC"
        raise ValueError(msg) from None


def _load(
    path: Path, problems: Problems, needed: Sequence[str], optional: Sequence[str] = ()
) -> tuple[Rows, tzinfo | None]:
    """Load a file's cells as texts, and the time zone that a parquet's dates were written in, if it says so."""
    import duckdb

    check_readable(path, MarketFileError)
    zone = None
    parquet = path.suffix.lower() == ".parquet"
    try:
        if parquet:
            frame, own, zone = _parquet(path, needed, optional)
        else:
            frame, left_out = read_csv(path)
            for where, why in left_out:
                problems.leave_out(where, why)
            frame = frame.loc[:, ~frame.columns.duplicated()]
            own = _columns(path, [*frame.columns], needed, optional)
    except (duckdb.Error, RowsError) as error:
        msg = f"{path} cannot be read as {'parquet' if parquet else 'CSV'}: {str(error).splitlines()[0]}."
        raise MarketFileError(msg) from error
    texts = frame[[*own.values()]].set_axis([*own], axis=1).reindex(columns=[*needed, *optional])
    return Rows(texts.astype(object), own, path), zone


def _columns(path: Path, there: Sequence[str], needed: Sequence[str], optional: Sequence[str]) -> dict[str, str]:
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
        kinds = dict(zip(source.columns, map(str, source.types), strict=True))
        own = _columns(path, source.columns, needed, optional)
        cells = []
        for name, column in own.items():
            what, kind = _KINDS.get(name, _NUMBER)
            if not re.fullmatch(kind, kinds[column]):
                msg = f"{path}, column {column}: it must hold {what}, not {kinds[column]:.60}."
                raise MarketFileError(msg)
            cell = f'"{column}"'
            cells.append(f"{_INSTANT.format(cell) if 'ZONE' in kinds[column] else cell}::varchar as {cell}")
        frame = source.project(", ".join(cells)).df().astype(object)
        said = con.execute("select value from parquet_kv_metadata(?) where key = 'pandas'::blob", [place]).fetchone()
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame.where(frame.notna(), None), own, _zone(said[0] if said else b"", own.get("date"))


def _zone(said: bytes, column: str | None) -> tzinfo | None:
    """Return a column's time zone as pandas wrote it beside a parquet's columns; None if it did not."""
    try:
        columns = parse_json(said.decode())["columns"]
        return ZoneInfo(next(each["metadata"]["timezone"] for each in columns if each["name"] == column))
    except (ValueError, TypeError, KeyError, StopIteration, OSError):
        return None

"""Frames of daily bars as people have them, brought into one form: a row a bar."""

import re
from contextlib import suppress
from datetime import date
from typing import Any

from gallump_lab.lazy import np, pd
from gallump_lab.reading.columns import Names, places
from gallump_lab.reading.dates import exchange_day
from gallump_lab.reading.numbers import readings
from gallump_lab.reading.symbols import SymbolError, validate_symbol

ADJUSTED = ("adj_close", "adjclose", "adjusted_close", "close_adj", "closeadj", "close_adjusted", "adj_closing_price")
"""Names of a close that is adjusted for dividends too; it counts where there is no other."""
BARS: Names = {
    "symbol": ("ticker", "ticker_symbol", "isin"),
    "date": ("day", "datetime", "timestamp", "time", "trade_date", "datum"),
    "open": ("opening_price", "px_open"),
    "high": ("day_high", "px_high"),
    "low": ("day_low", "px_low"),
    "close": ("close_last", "last", "last_price", "closing_price", "price", "settle", "px_last", *ADJUSTED),
    "volume": ("vol", "px_volume"),
    "split": ("split_factor", "split_coefficient"),
}
"""The columns of bars."""


def a_row_a_bar(given: Any, symbol: str | None = None) -> "pd.DataFrame":
    """Return bars with a row for each symbol and day, under the names that they have.

    Parameters
    ----------
    given : pandas.DataFrame or pandas.Series
        A row a bar; or two-level columns, one of fields and one of symbols; or closes, a column a symbol. Days, and
        symbols too, may stand in the index.
    symbol : str, optional
        What the bars are of where nothing in them tells; else `given.attrs` may hold it.
    """
    symbol = symbol or next((str(given.attrs[name]) for name in ("symbol", "ticker") if given.attrs.get(name)), None)
    if isinstance(given, pd.Series):
        given = given.to_frame("close" if symbol else given.name)
    frame = _stacked(_two_lines(given))
    frame = with_index(frame, BARS)
    found = places(frame.columns, BARS)
    if "date" in found and not found.keys() & {"symbol", "close"}:
        frame = _melted(frame, found)
    return frame if symbol is None or "symbol" in found else frame.assign(symbol=symbol)


def with_index(frame: "pd.DataFrame", known: Names) -> "pd.DataFrame":
    """Return a frame with what its index holds as columns too, after its own; an index of row numbers holds nothing."""
    frame, index = frame.copy(deep=False), frame.index
    for level, own in enumerate(index.names if own_index(frame) else ()):
        values = index.get_level_values(level)
        name = own if own is not None and places([own], known) else _kind(next(iter(values), None))
        if name:
            frame.insert(len(frame.columns), name, values, allow_duplicates=True)
    return frame


def own_index(frame: "pd.DataFrame") -> bool:
    """Return whether the index of a frame may hold more than the numbers of its rows or lines."""
    return not isinstance(frame.index, pd.RangeIndex) and frame.index.name not in ("line", "row")


def _kind(value: object) -> str:
    """Return what a value of an index without a known name is: a date, a symbol, or nothing."""
    if isinstance(value, (date, np.datetime64, pd.Period)):
        return "date"
    if isinstance(value, str):
        with suppress(ValueError):
            return "date" if exchange_day(value) else ""
        return "symbol"
    return ""


def _two_lines(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a frame that was written to a file with two-level columns as it was before."""
    second = [] if frame.empty else [str(cell) for cell in frame.iloc[0, 1:] if not pd.isna(cell)]
    if len(second) < max(len(frame.columns) - 1, 1) or any(map(readings, second)):
        return frame
    first = [re.sub(r"\.\d+$", "", str(name)) for name in frame.columns[1:]]  # pandas makes Close.1 of the next Close
    days = frame.iloc[1:, 0]
    under = frame.iloc[1:, 1:].set_axis(pd.MultiIndex.from_arrays([first, second]), axis=1)
    return under.set_index(days.rename("date"))[~days.str.casefold().isin(["date", *BARS["date"]]).to_numpy()]


def _stacked(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a frame of two-level columns, fields and symbols, with a row for each symbol."""
    if frame.columns.nlevels != 2:
        return frame
    names = [frame.columns.get_level_values(level) for level in (0, 1)]
    known = [len(places(level.unique(), BARS)) for level in names]
    fields = known.index(max(known))
    day = next((name for name in frame.columns if "date" in places(name, BARS)), None)
    frame = frame if day is None else frame.set_index([day])
    frame = frame.rename_axis(index="date") if own_index(frame) or day else frame
    frame = frame.loc[:, ~frame.columns.duplicated()]
    frame.columns = frame.columns.set_names(["symbol", "field"] if fields else ["field", "symbol"])
    return pd.DataFrame(frame.stack("symbol", future_stack=True))


def _melted(frame: "pd.DataFrame", found: dict[str, int]) -> "pd.DataFrame":
    """Return closes, a column a symbol, with a row for each symbol; as it is where columns are no symbols."""
    others = frame.drop(columns=frame.columns[found["date"]])
    names = [str(name) for name in others.columns]
    try:
        symbols = [validate_symbol(name) for name in names]
    except SymbolError:
        return frame
    if len(found) - 1 > len(names) / 2 or any(name not in (name.upper(), name.lower()) for name in names):
        return frame
    days, count = frame.iloc[:, found["date"]], len(names)
    closes = {"symbol": symbols * len(frame), "date": np.repeat(days.to_numpy(object), count)}
    return pd.DataFrame(closes | {"close": others.to_numpy(object).ravel()}, index=frame.index.repeat(count))

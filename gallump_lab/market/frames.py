"""Frames of daily bars as people have them, brought into one form: a row a bar."""

import re
from contextlib import suppress
from datetime import date

from gallump_lab.lazy import np, pd
from gallump_lab.reading.columns import Names, places
from gallump_lab.reading.dates import exchange_day
from gallump_lab.reading.numbers import currency, readings
from gallump_lab.reading.symbols import SymbolError, validate_symbol
from gallump_lab.reading.text_files import Problems

ADJUSTED = r"adj(usted)?_?clos(e|ing_price)|close_?adj(usted)?"
"""Names of a close that is adjusted for dividends too; it counts where there is no other."""
BARS: Names = {
    "symbol": ("ticker(_symbol)?", "isin"),
    "date": ("day|date_?time|timestamp|time|(exchange|price|trad(e|ing))_date|datum", "(index|unnamed_0)?"),
    "open": ("(opening|open|px)_(price|open)|er\u00f6ffnung(skurs)?",),
    "high": ("(day|px)_high|high_price|(tages)?hoch",),
    "low": ("(day|px)_low|low_price|(tages)?tief",),
    "close": (
        "close_(last|price|px)|closing_price|px_(last|close)|schluss(kurs)?",
        "(last_)?price|last|settle",
        ADJUSTED,
    ),
    "volume": ("((px|traded)_)?vol(ume|umen)?(_traded)?|shares_traded",),
    "split": ("split_(factor|coefficient)",),
    "currency": ("ccy|currency_code|w\u00e4hrung",),
}
"""The columns of bars."""


class MarketFileError(ValueError):
    """A source of bars or positions cannot be used; the message names it, column and row, and how to mend it."""


def a_row_a_bar(frame: "pd.DataFrame", problems: Problems, symbol: str | None = None) -> "pd.DataFrame":
    """Return bars with a row for each symbol and day, under the names that they have.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a bar; or two-level columns, one of fields and one of symbols; or closes, a column a symbol. Days, and
        symbols too, may stand in the index.
    problems : Problems
        Takes the columns among those of symbols that are none.
    symbol : str, optional
        What the bars are of where nothing in them tells; else the frame's `attrs` may hold it.
    """
    symbol = symbol or next((str(frame.attrs[name]) for name in ("symbol", "ticker") if frame.attrs.get(name)), None)
    if symbol and len(frame.columns) == 1 and not places(frame.columns, BARS):
        frame = frame.set_axis(["close"], axis=1)
    frame = with_index(_stacked(_two_lines(frame)), BARS)
    found = places(frame.columns, BARS)
    if "date" in found and not found.keys() & {"symbol", "close"}:
        frame = _melted(frame, found, problems)
    return frame if symbol is None or "symbol" in found else frame.assign(symbol=symbol)


def with_index(frame: "pd.DataFrame", known: Names) -> "pd.DataFrame":
    """Return a frame with what its index holds as columns too, after its own; an index of row numbers holds nothing."""
    frame, index, there = frame.copy(deep=False), frame.index, places(frame.columns, known).keys()
    for level, own in enumerate(index.names if own_index(frame) else ()):
        values = index.get_level_values(level)
        name = own if own is not None and places([own], known) else _kind(next(iter(values), None))
        if name and not places([name], known).keys() <= there:
            frame.insert(len(frame.columns), name, values, allow_duplicates=True)
    return frame


def own_index(frame: "pd.DataFrame") -> bool:
    """Return whether the index of a frame may hold more than the numbers of its rows or lines."""
    return not isinstance(frame.index, pd.RangeIndex) and frame.index.name not in ("line", "row")


def _kind(value: object) -> str:
    """Return what a value of an index without a known name is: a date, a symbol, or nothing."""
    if re.match(r"\d+([./-])\d+\1\d", str(value)):
        return "date"  # in whatever order
    with suppress(ValueError):
        return "date" if isinstance(value, (date, np.datetime64)) or exchange_day(str(value)) else ""
    return "symbol" if isinstance(value, str) else ""


def _two_lines(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a frame that was written to a file with two-level columns as it was before."""
    second = [] if frame.empty else [str(cell) for cell in frame.iloc[0, 1:] if not pd.isna(cell)]
    if len(second) < max(len(frame.columns) - 1, 1) or any(readings(currency(cell)[0]) for cell in second):
        return frame
    first = [re.sub(r"\.\d+$", "", str(name)) for name in frame.columns[1:]]  # pandas makes Close.1 of the next Close
    days = frame.iloc[1:, 0]
    under = frame.iloc[1:, 1:].set_axis(pd.MultiIndex.from_arrays([first, second]), axis=1)
    return under.set_index(days.rename("date"))[~days.isin([day for day in days[:2] if places([day], BARS)]).to_numpy()]


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


def _melted(frame: "pd.DataFrame", found: dict[str, int], problems: Problems) -> "pd.DataFrame":
    """Return closes, a column a symbol, with a row for each symbol; as it is where columns are no symbols."""
    day = frame.columns[found["date"]]
    names = [name for name in frame.columns if name != day]
    symbols = [name for name in names if is_symbol(name)]
    if max(len(found) - 1, len(names) - len(symbols)) * 2 > len(names):
        return frame
    for name in sorted({*map(str, names)} - {*symbols}):
        problems.leave_out(f"column {name!r:.60}", "its name is no symbol")
    frame = frame[[day, *symbols]]
    return frame.melt([day], var_name="symbol", value_name="close", ignore_index=False)


def is_symbol(name: object) -> bool:
    """Return whether a name, all in one case, may be a symbol."""
    with suppress(SymbolError):
        return isinstance(name, str) and name in {name.upper(), name.lower()} and validate_symbol(name) != ""
    return False

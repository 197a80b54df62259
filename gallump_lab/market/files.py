"""Reading bars and positions from CSV or parquet, with errors that name file, column and row."""

import glob
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gallump_lab.market.records import Portfolio, Position
from gallump_lab.market.symbols import SymbolError, validate_symbol
from gallump_lab.reading.files import readable
from gallump_lab.store import scratch

if TYPE_CHECKING:
    import numpy.typing as npt
    from duckdb import DuckDBPyConnection

Bars: TypeAlias = "dict[str, dict[str, npt.NDArray[Any]]]"
"""Columns by symbol, as `read_bars` gives them."""

CASH = "CASH"
"""The symbol of a positions file's row whose quantity is cash in USD; its entry is empty."""

_RAW = """
    create table raw as
    select row_number() over () as "row", columns(lambda c: lower(c) in (
        'symbol', 'date', 'open', 'high', 'low', 'close', 'volume', 'split', 'quantity', 'entry'))
    from source"""
_FIRST_FAULT = """
    select "row", name, cell, wrong from (
        select "row", lower(name) as name, cell, try_cast(cell as double) as number, case
            when not list_contains($columns, lower(name)) then null
            when cell is null then if(list_contains($required, lower(name)), 'is empty; give a value', null)
            when name ilike 'symbol' then null
            when name ilike 'date' then
                if(coalesce(isfinite(try_cast(cell as date)), false), null, 'is no date; write it as 2013-03-01')
            when number is null or isinf(number) then 'is no number; write it as 1234.5'
            when name ilike 'volume' and number < 0 then 'must not be below 0'
            when name not ilike 'volume' and name not ilike 'quantity' and number <= 0 then 'must be above 0'
        end as wrong
        from raw unpivot include nulls (cell for name in (columns(* exclude "row")::varchar)))
    where wrong is not null order by "row", name limit 1"""
_TWICE = """
    select min("row"), max("row"), symbol, day
    from (select "row", upper(trim(symbol)) as symbol, date::varchar::date as day from raw)
    group by symbol, day having count(*) > 1 order by 1 limit 1"""
_BARS = """
    create table bars as
    with typed as (
        select upper(trim(symbol)) as symbol, date::varchar::date as date,
            nullif(open::double, 'nan') as open, nullif(high::double, 'nan') as high, nullif(low::double, 'nan') as low,
            nullif(close::double, 'nan') as close, volume::double as volume,
            coalesce(nullif(split::double, 'nan'), 1) as split
        from raw),
    basis as (select *, product(split) over (partition by symbol order by date) as shares from typed)
    select symbol, date, coalesce(open, close) as open, coalesce(high, close) as high, coalesce(low, close) as low,
        close, coalesce(volume, 'nan') as volume, shares
    from basis where close is not null order by symbol, date"""

_POSITIONS = """
    select "row", upper(trim(symbol)), quantity::double, nullif(entry::double, 'nan')
    from raw order by 1"""


class MarketFileError(ValueError):
    """A file of bars or positions cannot be used; the message names file, column and row, and how to mend it."""


def read_bars(path: Path) -> Bars:
    """Read daily bars.

    Parameters
    ----------
    path : Path
        CSV or parquet with the columns symbol, date, open, high, low, close (USD) and volume, in any order; a row
        without a close is passed over. An optional column `split` says that prices before that day are per old share:
        2 on the day of a two-for-one split, 1 or empty otherwise. Without it prices are taken as they are.

    Returns
    -------
    dict of str to dict of str to numpy.ndarray
        For each symbol its columns, oldest bar first: date (datetime64), open, high, low, close, volume (NaN if
        unknown) and shares (what one share of before the first bar has become by that day).

    Raises
    ------
    MarketFileError
        If the file cannot be read, lacks a column, holds no bar, a bad value or a symbol's day twice.
    """
    columns = ("symbol", "date", "open", "high", "low", "close", "volume")
    with scratch() as con:
        _load(con, path, columns, optional="split", required=("symbol", "date"))
        con.execute("alter table raw add column if not exists split double default 1")
        twice = con.execute(_TWICE).fetchone()
        if twice:
            msg = f"{path}: rows {twice[0]} and {twice[1]} both hold {twice[2]} on {twice[3]}. Keep one of them."
            raise MarketFileError(msg)
        con.execute(_BARS)
        counts = con.execute("select symbol, count(*) from bars group by symbol order by symbol").fetchall()
        table: dict[str, Any] = con.execute("select * exclude symbol from bars order by symbol, date").fetchnumpy()
    if not counts:
        msg = f"{path} holds no row with a close. Give a file with daily bars."
        raise MarketFileError(msg)
    found: Bars = {}
    start = 0
    for symbol, count in counts:
        found[symbol] = {name: column[start : start + count] for name, column in table.items()}
        start += count
    return found


def read_portfolio(path: Path, source: str) -> Portfolio:
    """Read a portfolio.

    Parameters
    ----------
    path : Path
        CSV or parquet with the columns symbol, quantity and entry (USD per share; empty in the row with the symbol
        CASH, whose quantity is USD). A symbol may have several rows, one for each lot.
    source : str
        Where it comes from, in words.

    Raises
    ------
    MarketFileError
        If the file cannot be read, lacks a column or holds a value that cannot be used.
    """
    with scratch() as con:
        _load(con, path, ("symbol", "quantity", "entry"), required=("symbol", "quantity"))
        rows = con.execute(_POSITIONS).fetchall()
    for row, symbol, quantity, entry in rows:
        if math.isnan(quantity) or (entry is None and symbol != CASH):
            msg = f"{path}, row {row}: {symbol} needs a quantity and an entry price in USD."
            raise MarketFileError(msg)
    return Portfolio(
        cash=math.fsum(quantity for _, symbol, quantity, entry in rows if entry is None),
        positions=tuple(
            Position(symbol=symbol, quantity=quantity, entry=entry)
            for _, symbol, quantity, entry in rows
            if entry is not None
        ),
        source=source,
    )


def _load(
    con: "DuckDBPyConnection", path: Path, columns: Sequence[str], *, required: Sequence[str], optional: str = ""
) -> None:
    """Load a file's rows, numbered from 1 after the header, into the table `raw` and check each cell."""
    import duckdb

    readable(path, MarketFileError)
    place, parquet = glob.escape(str(path)), path.suffix.lower() == ".parquet"
    try:
        if parquet:
            source = con.read_parquet(place)
        else:
            source = con.read_csv(place, header=True, skiprows=0, sep=",", all_varchar=True)
        names = [name.lower() for name in source.columns]
        absent = [name for name in columns if name not in names]
        if absent:
            msg = f"{path} lacks the column{'s' * (len(absent) > 1)} {', '.join(absent)}; it has {', '.join(names)}."
            raise MarketFileError(msg)
        source.create_view("source")
        con.execute(_RAW)
    except duckdb.Error as error:
        kind = "parquet" if parquet else "CSV (UTF-8, one header line, as many values between commas in each line)"
        msg = f"{path} cannot be read as {kind}: {str(error).splitlines()[0]}"
        raise MarketFileError(msg) from error
    fault = con.execute(_FIRST_FAULT, {"columns": [*columns, optional], "required": list(required)}).fetchone()
    if fault:
        row, name, cell, wrong = fault
        msg = f"{path}, row {row}, column {name}: {'the cell' if cell is None else repr(cell)} {wrong}."
        raise MarketFileError(msg)
    for row, symbol in con.execute('select min("row"), trim(symbol) from raw group by 2 order by 1').fetchall():
        try:
            validate_symbol(symbol)
        except SymbolError as error:
            msg = f"{path}, row {row}, column symbol: {error}"
            raise MarketFileError(msg) from error

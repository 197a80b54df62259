"""Whole days of live sources as traded: read from what a source gives, adjusted, and kept in the lab for good."""

import math
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from gallump_lab.lazy import np, pd
from gallump_lab.market.bars import make_bars
from gallump_lab.market.frames import BARS, a_row_a_bar
from gallump_lab.reading.columns import places
from gallump_lab.reading.dates import exchange_day
from gallump_lab.reading.text_files import Problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gallump_lab.market.market_context import Quote
    from gallump_lab.store import Store

_PRICES = ("open", "high", "low", "close")
_COLUMNS = (*_PRICES, "volume", "split", "dividend")


def _rows(rows: "Iterable[Sequence[Any]]" = ()) -> "pd.DataFrame":
    frame = pd.DataFrame(list(rows), columns=["day", *_COLUMNS])
    return frame.astype({"day": "datetime64[us]"} | dict.fromkeys(_COLUMNS, float))


@dataclass
class Known:
    """What is known of a symbol: its whole days as traded, in its own currency, the oldest first."""

    bars: "pd.DataFrame" = field(default_factory=_rows)
    currency: str = "USD"
    split: float = 1.0
    """By how many a share of the last whole day has been multiplied since."""
    unsaved: date | None = None
    """The first day that the lab does not hold yet."""

    def adjusted(self, rate: float = 1.0, quote: "Quote | None" = None) -> "pd.DataFrame":
        """Return the days on the split basis of the last of them, or of a later quote, at a rate of their currency.

        The column `adj_close` is adjusted for dividends too: before an ex-date it is multiplied by 1 - dividend / close
        before (Center for Research in Security Prices, as Yahoo has it).
        """
        bars = self.bars
        later = len(bars) and quote is not None and quote.date > bars["day"].iloc[-1].date()
        cells = {name: bars[name].to_numpy() for name in _COLUMNS}
        shares = cells["split"].cumprod()
        ratio = shares / (shares[-1:].prod() * (self.split if later else 1.0))
        prices = {name: cells[name] * ratio * rate for name in _PRICES}
        left = np.ones(len(bars) + 1)
        left[1:-1] = 1 - cells["dividend"][1:] * ratio[1:] * rate / prices["close"][:-1]
        after = left[:0:-1].cumprod()[::-1]
        return pd.DataFrame(
            {"date": bars["day"], **prices, "volume": cells["volume"] / ratio, "adj_close": prices["close"] * after}
        )


def as_traded(frame: "pd.DataFrame", symbol: str, source: str, problems: Problems) -> "pd.DataFrame":
    """Return what a source gave as days, oldest first; what cannot be used is left out and told."""
    columns = next(iter(make_bars(frame, source, problems, symbol).values()))
    shares, days = columns["shares"], columns["date"]
    dividend, flat = np.zeros(len(days)), a_row_a_bar(frame, Problems(), symbol)
    own = places(flat.columns, {"date": BARS["date"], "dividend": ("dividends",)})
    if "dividend" in own:
        paid = pd.to_numeric(flat.iloc[:, own["dividend"]], errors="coerce").fillna(0).to_numpy()
        exchange = symbol.rpartition(".")[2] if "." in symbol else ""
        for place in np.flatnonzero(paid).tolist():
            day = exchange_day(str(flat.iloc[place, own["date"]]), exchange)
            at = days.searchsorted(np.datetime64(day))
            dividend[at : at + 1] += paid[place]
    found = {name: columns[name] for name in (*_PRICES, "volume")}
    found |= {"split": shares / np.concatenate([[1.0], shares[:-1]]), "dividend": dividend}
    return pd.DataFrame({"day": days.astype("datetime64[us]"), **found}).astype(dict.fromkeys(_COLUMNS, float))


def in_lab(store: "Store | None", source: str) -> frozenset[str]:
    """Return the symbols of which the lab holds a source's bars."""
    if store is None:
        return frozenset()
    with store.read() as con:
        found = con.execute("select distinct symbol from bars where source = ?", [source]).fetchall()
    return frozenset(symbol for (symbol,) in found)


def load(store: "Store | None", source: str, symbol: str) -> Known:
    """Return what the lab holds of a symbol."""
    if store is None:
        return Known()
    sql = f"select day, {', '.join(_COLUMNS)}, currency from bars where source = ? and symbol = ? order by day"  # noqa: S608 (constant)
    with store.read() as con:
        found = con.execute(sql, [source, symbol]).fetchall()
    return Known(_rows(row[:-1] for row in found), found[-1][-1] if found else "USD")


def save(store: "Store | None", source: str, symbol: str, known: Known) -> None:
    """Write the days that the lab does not hold yet."""
    if store is None or known.unsaved is None:
        return
    bars = known.bars[known.bars["day"] >= pd.Timestamp(known.unsaved)]
    days = [day.date() for day in bars["day"]]
    columns = [[None if math.isnan(cell) else cell for cell in bars[name].tolist()] for name in _COLUMNS]
    with store.write() as con:
        con.execute(
            "delete from bars where source = ? and symbol = ? and day in (select unnest(?::date[]))",
            [source, symbol, days],
        )
        con.execute(
            "insert into bars select ?, ?, ?, unnest(?::date[])" + ", unnest(?::double[])" * len(_COLUMNS),
            [source, symbol, known.currency, days, *columns],
        )
    known.unsaved = None

"""Positions from a frame or a broker's export, whoever wrote it."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import starmap
from typing import TYPE_CHECKING, Any

from gallump_lab.lazy import np, pd, regex
from gallump_lab.market.bars import Cells, MarketFileError, given, source_name
from gallump_lab.market.frames import with_index
from gallump_lab.market.market_context import Portfolio, Position
from gallump_lab.reading.columns import Names, places
from gallump_lab.reading.numbers import CURRENCIES, currency, readings
from gallump_lab.reading.text_files import Problems, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

POSITIONS: Names = {
    "symbol": ("ticker", "ticker_symbol", "symbol_cusip", "instrument", "security_symbol", "stock", "security", "isin"),
    "quantity": ("qty", "shares", "units", "amount_of_shares", "number_of_shares", "no_of_shares", "position",
                 "quantity_shares", "share_quantity", "total_quantity", "holding", "anzahl", "st\u00fcck"),
    "entry": ("entry_price", "avg_entry_price", "average_entry_price", "average_cost", "avg_cost", "average_price",
              "avg_price", "average_cost_basis", "avg_cost_basis", "average_cost_share", "avg_cost_share", "cost_share",
              "average_cost_per_share", "avg_cost_per_share", "cost_per_share", "cost_per_unit", "cost_basis_per_share",
              "cost_basis_share", "average_share_price", "average_purchase_price", "average_buy_price", "avg_buy_price",
              "average_price_paid", "average_open_price", "unit_cost", "cost_price", "purchase_price", "price_paid",
              "buy_price", "open_price", "kaufkurs", "einstandskurs", "einstandspreis", "kaufpreis"),
    "total": ("cost_basis_total", "total_cost_basis", "total_cost", "cost_basis", "cost", "book_value", "book_cost",
              "cost_value", "amount_invested", "total_invested", "invested", "cost_basis_amount", "einstandswert"),
    "price": ("last_price", "current_price", "market_price", "last", "close_price", "mark_price", "mark", "close",
              "closing_price", "price_share", "share_price", "kurs"),
    "value": ("market_value", "mkt_value", "mkt_val", "current_value", "total_value", "position_value",
              "kurswert", "marktwert"),
    "currency": ("ccy", "currency_code", "local_currency", "trading_currency", "w\u00e4hrung"),
    "kind": ("security_type", "asset_class", "asset_type", "asset_category", "instrument_type", "product_type", "type"),
    "name": ("description", "security_description", "security_name", "company", "company_name", "bezeichnung"),
    "account": ("account_number", "account_name", "account_id", "account_name_number", "portfolio", "depot"),
    "side": ("long_short", "position_side", "direction"),
}  # fmt: skip
"""The columns of positions: `entry` is paid per share, `total` for all of them."""

_MONEY = ("entry", "total", "price", "value")
_MEND = (
    "Positions have a row for each with the columns symbol, quantity and what was paid: entry (or Average Cost, Avg "
    "Price) per share, or Cost Basis for all. FileBroker(positions=path) finds them below other lines of an export."
)
_TOTAL = regex(r"(?i)(grand |account |sub-?|portfolio |positions? )?totals?\b|summe\b|gesamt")
_CASH = regex(r"(?i)((total|core|settled|net|available) )?cash\b|\S+\*\*")
_SWEEP = regex(r"(?i).*\b(money market|(cash|deposit) sweep)\b")
_OPTION = regex(r"(?i).*\boptions?\b|(.*\s)?(call|put)(\s.*)?$|.*\d\s+[CP]$|-?[A-Z]+ *\d{6}[CP]\d")
_OCC = regex(r"[A-Z]{1,6} *\d{6}[CP]\d{8}")
_OTHER = regex(r"(?i)(?!.*\b(funds?|etfs?)\b).*\b(bonds?|fixed income|treasur(y|ies)|futures?|warrants?|crypto\w*)\b")
_FUND = regex(r"(?i).*\bfunds?\b")
_FAR, _NEAR = 5, 3
"""How many times the price lies from what was paid a share, if this is unlikely, and if it is likely."""


def is_header(names: Iterable[object]) -> bool:
    """Return whether a line of an export names the columns of positions."""
    return places(names, POSITIONS).keys() >= {"symbol", "quantity"}


def make_portfolio(
    frame: "pd.DataFrame | pd.Series[Any]", source: str, problems: Problems, rates: Mapping[str, float] | None = None
) -> Portfolio:
    """Make a portfolio from a frame.

    A row that cannot be used is left out, told, and counted in the portfolio's source; so are options (unless they have
    an OCC symbol and their price per share), bonds and futures, and what is in a currency without a rate. Total rows
    and lines without a position are passed over. `problems.read` tells what was understood.

    Parameters
    ----------
    frame : pandas.DataFrame
        The columns symbol, quantity and entry (USD per share, 0 if nothing was paid), or others of `POSITIONS`: where
        there is a total instead of an entry, it is divided by the quantity. A row whose symbol or name is CASH or a
        currency that has no entry other than 1, or that is of the money market, is cash. The lots of a symbol are
        summed, over all accounts.
    source : str
        Where it comes from, in words.
    problems : Problems
        Takes what was left out, and what was understood.
    rates : mapping of str to float, optional
        USD per unit of other currencies: {"EUR": 1.08}.

    Raises
    ------
    MarketFileError
        If it lacks a column or holds no row that can be used, or a rate is no number above 0.
    """
    given_rates = {code.upper(): rate for code, rate in (rates or {}).items()}
    if not all(isinstance(rate, (int, float)) and 0 < rate < math.inf for rate in given_rates.values()):
        msg = f"rates must hold USD per unit of each currency, such as {{'EUR': 1.08}}, not {rates!r:.100}."
        raise MarketFileError(msg)
    dollars = {"USD": 1.0} | given_rates
    passed = Counter[str]()
    cells = _cells(frame, source, passed)
    own, codes = [cell or "unnamed" for cell in cells.text["symbol"]], np.array(_currencies(cells), object)
    _sort_out(cells)
    symbols = np.array(cells.symbols(), object)
    quantity = cells.numbers("quantity")
    short = [(side or "").lower().startswith(("short", "sell", "sold")) for side in cells.text["side"]]
    quantity = np.where(short, -abs(quantity), quantity)
    entry, how = _paid(cells, symbols, quantity)
    pays = ~np.isnan(entry) & ~np.isin(entry, (0, 1))
    in_currency = np.isin(symbols, [*CURRENCIES]) & ~pays
    codes = np.where(in_currency, symbols, codes)
    is_cash = (symbols == "CASH") | in_currency
    quantity = np.where(is_cash & np.isnan(quantity), cells.numbers("value"), quantity)
    cells.check("quantity", np.isnan(quantity), "must be a number")
    cells.check("entry", is_cash & pays & ("entry" in cells.names), "must be empty for cash")
    unpaid, paid = ~is_cash & ~np.isfinite(entry) & (quantity != 0), "entry" if "entry" in cells.names else "total"
    cells.check(paid, unpaid, "must be the price paid in USD, or 0 if nothing was paid")
    cells.check(paid, entry < 0, "must be 0 or more")
    for place, code in enumerate(codes):
        if code not in dollars:
            cells.faults.setdefault(place, f"it is in {code}; give rates={{{code!r}: USD per {code}}} to take it")
    cells.leave_out(problems)
    sound, rate = cells.sound(), np.array([dollars.get(code, 1.0) for code in codes])
    lots: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    held = sound & ~is_cash & (quantity != 0)
    for symbol, number, price in zip(symbols[held], quantity[held], (entry * rate)[held], strict=True):
        lots.setdefault((symbol, number < 0), []).append((number, price))
    positions, cash = tuple(starmap(_summed, lots.items())), (quantity * rate)[sound & is_cash]
    if problems.left_out and not (len(cash) or positions):
        msg = " ".join([f"{source} holds no position that can be used.", *problems.describe()[:3]])
        raise MarketFileError(msg)
    passed.update(["positions of 0"] * int((sound & ~is_cash & (quantity == 0)).sum()))
    funds = np.array([bool(_FUND.match(kind or "")) for kind in cells.text["kind"]], bool)
    accounts = len({*cells.text["account"]} - {None})
    summed = f"{counted(int(held.sum()), 'lots')} of {counted(max(accounts, 1), 'accounts')} summed"
    said = [
        counted(len(positions), "positions"),
        cells.understood(),
        how,
        summed if int(held.sum()) > len(lots) or accounts > 1 else "",
        *(f"{name} is cash" for name in dict.fromkeys(np.array(own, object)[sound & is_cash])),
        *(f"{code} at {dollars[code]:g} USD" for code in sorted({*codes[sound]} - {"USD"})),
        *(f"{symbol} is a fund, taken as shares" for symbol in dict.fromkeys(symbols[held & funds])),
        f"passed over: {', '.join(counted(count, what) for what, count in passed.items())}" if passed else "",
    ]
    problems.read.append("; ".join(filter(None, said)) + ".")
    return Portfolio(cash=math.fsum(cash), positions=positions, source=source_name(source, problems))


def _cells(frame: "pd.DataFrame | pd.Series[Any]", source: str, passed: Counter[str]) -> Cells:
    """Return the cells of the rows that hold a position, and count the others by what they are."""
    if not isinstance(frame, (pd.DataFrame, pd.Series)):
        msg = f"{source} must be a pandas DataFrame of positions, or FileBroker(positions=path), not {frame!r:.60}."
        raise MarketFileError(msg)
    frame = with_index(frame.to_frame() if isinstance(frame, pd.Series) else frame, POSITIONS)
    there = places(frame.columns, POSITIONS)
    known = {place: name for name, place in there.items()}
    columns = [[*map(given, frame.iloc[:, place])] for place in range(len(frame.columns))]
    kept = []
    for row in zip(*columns, strict=True):
        what = _passed({known.get(place, str(place)): cell for place, cell in enumerate(row) if cell is not None})
        passed.update([what] if what else [])
        kept.append(not what)
    paid = "total" if "total" in there and "entry" not in there else "entry"
    return Cells(frame.loc[kept], source, POSITIONS, ("symbol", "quantity", paid), _MEND)


def _passed(row: Mapping[str, str]) -> str:
    """Return what a row is that holds no position, in the plural; empty if it holds one."""
    if is_header(row.values()):
        return "more headers"
    if any(map(_TOTAL.match, (next(iter(row.values()), ""), row.get("symbol") or row.get("name", "")))):
        return "total rows"
    return "" if len(row) > 1 else "lines without a position"


def _paid(cells: Cells, symbols: "NDArray[Any]", quantity: "NDArray[Any]") -> tuple["NDArray[Any]", str]:
    """Return what was paid per share, NaN if unknown, and in words how it was taken from a total."""
    entry, total = cells.numbers("entry"), cells.numbers("total")
    each = _is_each(total, abs(quantity), cells.numbers("price"))
    contracts = [100 if _OCC.fullmatch(symbol or "") else 1 for symbol in symbols]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = total / (1 if each else abs(quantity) * contracts)
    taken = np.isnan(entry) & np.isfinite(share)
    how = (
        f"{cells.names.get('total')!r} is taken per share"
        if each
        else (f"{cells.names.get('total')!r} is taken for all shares, and divided by the quantity")
    )
    return np.where(taken, np.where(quantity < 0, abs(share), share), entry), how * bool(taken.any())


def _is_each(total: "NDArray[Any]", quantity: "NDArray[Any]", price: "NDArray[Any]") -> bool:
    """Return whether what is called a total was paid per share, as the prices of two positions or more tell."""
    many = (quantity > 1) & (price > 0) & (total > 0)
    total, quantity, price = total[many], quantity[many], price[many]
    far, near = abs(np.log(total / quantity / price)) > np.log(_FAR), abs(np.log(total / price)) < np.log(_NEAR)
    return len(price) > 1 and bool((far & near).all())


def _summed(key: tuple[str, bool], lots: list[tuple[float, float]]) -> Position:
    """Return lots as one position, at the mean of what was paid."""
    quantity = math.fsum(number for number, _ in lots)
    entry = math.fsum(number * entry for number, entry in lots) / quantity if len(lots) > 1 else lots[0][1]
    return Position(symbol=key[0], quantity=quantity, entry=entry)


def _currencies(cells: Cells) -> list[str]:
    """Return each row's currency, and leave the numbers without it in the cells."""
    own = [currency(cell or "")[1] or (cell or "").upper() for cell in cells.text["currency"]]
    for name in ("quantity", *_MONEY):
        header = currency(cells.names.get(name, ""))[1]
        parted = [currency(cell or "") for cell in cells.text[name]]
        cells.text[name] = [number or None for number, _ in parted]
        if name != "price":  # it only tells whether another is a total
            of_cells = [number and (code or ("USD" if "$" in number else header)) for number, code in parted]
            own = [known or code for known, code in zip(own, of_cells, strict=True)]
    for name in ("price", "value"):  # what is no number is not needed
        cells.text[name] = [cell if cell and readings(cell) else None for cell in cells.text[name]]
    return [code or currency(cell or "")[1] or "USD" for code, cell in zip(own, cells.text["symbol"], strict=True)]


def _sort_out(cells: Cells) -> None:
    """Name cash as such, and find at fault what is no share."""
    for place, row in enumerate(zip(*(cells.text[name] for name in ("symbol", "name", "kind")), strict=True)):
        symbol, name, kind = (cell or "" for cell in row)
        if _CASH.match(symbol or name or kind) or any(map(_SWEEP.match, (symbol, name, kind))):
            cells.text["symbol"][place] = "CASH"
        elif not _OCC.fullmatch(symbol) and (_OPTION.match(symbol) or _OPTION.match(kind)):
            cells.faults[place] = "options are not taken, unless by their OCC symbol such as AAPL240119C00190000"
        elif _OTHER.match(kind):
            cells.faults[place] = f"only shares, funds and cash are taken, not {kind!r:.40}"

"""Positions from a frame or a broker's export, whoever wrote it."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from itertools import starmap
from typing import TYPE_CHECKING, Any

from gallump_lab.lazy import np, pd, regex
from gallump_lab.market.bars import Cells, Rates, as_frame, filled, source_name
from gallump_lab.market.frames import MarketFileError, is_symbol, with_index
from gallump_lab.market.market_context import Portfolio, Position
from gallump_lab.reading.columns import Names, places
from gallump_lab.reading.numbers import CURRENCIES, currency, readings
from gallump_lab.reading.text_files import Problems, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAID = "cost|paid|purchase|buy(ing)?|bought|entry|open|book|invested|einstands?|kaufs?|revient|fill(ed)?"
_EACH = "average|avg|unit|share|price|px|kurs|preis|prix|\u00f8|durchschn(itt(lich(er)?)?)?"
_MANY = "quantity|qty|quantit\u00e9|shares|units"
POSITIONS: Names = {
    "symbol": ("((security|stock|ticker)_)?symbole?(_(cusip|isin))?|ticker", "(financial_)?instrument",
               "((security|stock)_)?code", "stock|security", "isin", "wkn"),
    "quantity": (rf"((total|share|current)_)?({_MANY})(_(shares|units|held|owned))?|(number|no|amount)_of_shares",
                 r"position(_size)?|holdings?|(anzahl|st\u00fcck|stk|menge|bestand)(_nom(inale?)?)?"),
    "entry": (rf"(?=.*({_PAID}|average|avg))(?=.*({_EACH}))((basis|per|de|{_PAID}|{_EACH})_?)+|pru",),
    "cost": (rf"(?=.*(cost|paid|purchase|book|invested|einstand|kauf))((total|amount|basis|value|wert|{_PAID})_?)+",),
    "price": ("((last|current|market|mkt|clos(e|ing)|mark|akt|share|unit)_)*(price|px|kurs)(_(share|unit))?|last|close",
              "mark"),
    "value": ("((total|current|market|mkt|position)_)*val(ue)?|(kurs|markt)?wert",),
    "currency": ("((local|trading)_)?currency(_code)?|ccy|w\u00e4hrung|whg|devise",),
    "kind": ("((security|asset|instrument|product)_)?(type|class|category)",),
    "name": ("((security|company)_)?(description|name)|company|bezeichnung|wertpapier",),
    "account": ("account(_(number|name|id))*|portfolio|depot",),
    "side": ("long_short|position_side|direction",),
}  # fmt: skip
"""The columns of positions: `entry` is paid per share, `cost` for all of them."""

_MEND = (
    "Positions have a row for each with the columns symbol, quantity and what was paid: entry (or Average Cost, Avg "
    "Price) per share, or Cost Basis for all."
)
_TOTAL = regex(r"(?i)(grand |account |sub-?|portfolio |positions? )?totals?\b|summe\b|gesamt")
_CASH = regex(r"(?i)((core|settled|net|available) )?cash\b|\S+\*\*|(verrechnungs|geld|giro)konto|(bar)?guthaben")
_SWEEP = regex(r"(?i).*\b(money market|(cash|deposit) sweep)\b")
_OPTION = regex(r"(?i)(?=.*\d)(.*\s)?(calls?|puts?)\b|.*\d\s+[CP]$|-?[A-Z]+ *\d{6}[CP]\d")
_OCC = regex(r"[A-Z]{1,6} *\d{6}[CP]\d{8}")
_OTHER = regex(r"(?i)(?!.*\b(funds?|etfs?)\b).*\b(bonds?|fixed income|treasur(y|ies)|futures?|warrants?|crypto\w*)\b")
_BOND = regex(r".*\d ?%.*\d/\d")
_FAR, _NEAR = 5, 3
"""How many times the price lies from what was paid a share, if this is unlikely, and if it is likely."""


def is_header(names: Iterable[object]) -> bool:
    """Return whether a line of an export names the columns of positions."""
    return places(names, POSITIONS).keys() >= {"symbol", "quantity"}


def make_portfolio(given: Any, source: str, problems: Problems, rates: Rates | None = None) -> Portfolio:
    """Make a portfolio from a frame.

    A row that cannot be used is left out, told, and counted in the portfolio's source; so are options (unless they have
    an OCC symbol and their price per share), bonds and futures, and what is in a currency without a rate. Total rows
    and lines without a position are passed over. `problems.read` tells what was understood.

    Parameters
    ----------
    given : pandas.DataFrame or path
        The columns symbol, quantity and entry (USD per share, 0 if nothing was paid, empty if it is not known), or
        others of `POSITIONS`: where there is a total instead of an entry, it is divided by the quantity. A row whose
        symbol or name is CASH or a currency that has no entry other than 1, or that is of the money market, is cash.
        The lots of a symbol are summed, over all accounts.
    source : str
        Where it comes from, in words.
    problems : Problems
        Takes what was left out, and what was understood.
    rates : mapping of str to float, optional
        See `bars.Rates`.

    Raises
    ------
    MarketFileError
        If it lacks a column or holds no row that can be used, or a rate is no number above 0.
    """
    cells, passed = _held(with_index(as_frame(given, source, problems, is_header), POSITIONS), source)
    called = np.array([symbol or "unnamed" for symbol in cells.text["symbol"]])
    codes = cells.currencies(["quantity", "entry", "cost", "value", "price"])
    codes = [code or currency(symbol)[1] for code, symbol in zip(codes, called, strict=True)]
    _sort_out(cells)
    symbols, quantity = np.array(cells.symbols(), object), cells.numbers("quantity")
    short = [(side or "").lower().startswith(("short", "sell", "sold")) for side in cells.text["side"]]
    quantity = np.where(short, -abs(quantity), quantity)
    entry, how = _paid(cells, symbols, quantity)
    pays = ~np.isnan(entry) & ~np.isin(entry, (0, 1))
    in_currency = np.isin(symbols, [*CURRENCIES]) & ~pays
    is_cash = (symbols == "CASH") | in_currency
    quantity = np.where(is_cash & np.isnan(quantity), cells.numbers("value"), quantity)
    cells.check("quantity", np.isnan(quantity), "must be a number")
    cells.check("entry", is_cash & pays & ("entry" in cells.names), "must be empty for cash")
    cells.check("entry" if "entry" in cells.names else "cost", entry < 0, "must be 0 or more")
    rate = cells.rates(np.where(in_currency, symbols, codes), rates)
    cells.leave_out(problems)
    held = cells.sound() & ~is_cash & (quantity != 0)
    lots: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for symbol, number, price in zip(symbols[held], quantity[held], (entry * rate)[held], strict=True):
        lots.setdefault((symbol, number < 0), []).append((number, price))
    positions, cash = tuple(starmap(_summed, lots.items())), (quantity * rate)[cells.sound() & is_cash]
    if problems.left_out and not (len(cash) or positions):
        msg = " ".join([f"{source} holds no position that can be used.", *problems.describe()[:3]])
        raise MarketFileError(msg)
    passed.update(["positions of 0"] * int((cells.sound() & ~is_cash & (quantity == 0)).sum()))
    accounts = len({*cells.text["account"]} - {None})
    summed = f"{counted(int(held.sum()), 'lots')} summed" + f" over {accounts} accounts" * (accounts > 1)
    unknown = [each.symbol for each in positions if each.entry is None]
    said = [
        counted(len(positions), "positions"),
        *cells.read,
        how,
        summed if held.sum() > len(lots) or accounts > 1 else "",
        f"what was paid is unknown of {', '.join(unknown):.100}" if unknown else "",
        f"cash is {', '.join(dict.fromkeys(called[cells.sound() & is_cash]))}" if len(cash) else "",
        f"passed over {' and '.join(counted(count, what) for what, count in passed.items())}" if passed else "",
        f"left out {counted(problems.left_out, 'rows')}" if problems.left_out else "",
    ]
    problems.read += filter(None, said)
    return Portfolio(cash=math.fsum(cash), positions=positions, source=source_name(source, problems))


def _held(frame: "pd.DataFrame", source: str) -> tuple[Cells, Counter[str]]:
    """Return the cells of the rows that hold a position, and count the others by what they are."""
    there, passed, kept = places(frame.columns, POSITIONS), Counter[str](), []
    texts = [there[name] for name in ("symbol", "name") if name in there]
    figures = [there[name] for name in ("quantity", "entry", "cost", "value") if name in there]
    for row in frame.itertuples(index=False, name=None):
        cells = [*map(filled, row)]
        labels = [next(filter(None, cells), None), *(cells[place] for place in texts)]
        what = "total rows" if any(_TOTAL.match(label or "") for label in labels) else ""
        pair = [cells[there[name]] for name in ("symbol", "quantity") if name in there]
        wordy = (
            len(pair) == 2 and all(pair) and is_symbol(pair[0]) and not places(pair, POSITIONS)
        )  # "ten" of KO is told
        if not wordy and not any(re.search(r"\d", cells[place] or "") for place in figures):
            what = what or "lines without a position"
        passed.update([what] if what else [])
        kept.append(not what)
    return Cells(frame.loc[kept], source, POSITIONS, ("symbol", "quantity"), _MEND), passed


def _sort_out(cells: Cells) -> None:
    """Name cash as such, find at fault what is no share, and pass over a price or value that is no number."""
    for place, row in enumerate(zip(*(cells.text[name] for name in ("symbol", "name", "kind")), strict=True)):
        symbol, name, kind = (cell or "" for cell in row)
        if _CASH.match(symbol or name or kind) or any(map(_SWEEP.match, (symbol, name, kind))):
            cells.text["symbol"][place] = "CASH"
        elif not _OCC.fullmatch(symbol) and (any(map(_OPTION.match, (symbol, name))) or "option" in kind.lower()):
            cells.faults[place] = "options are not taken, unless by their OCC symbol such as AAPL240119C00190000"
        elif _OTHER.match(kind) or _BOND.match(name):
            cells.faults[place] = f"only shares, funds and cash are taken, not {(kind or name)!r:.60}"
    for column in ("price", "value"):
        cells.text[column] = [cell if cell and readings(cell) else None for cell in cells.text[column]]


def _paid(cells: Cells, symbols: "NDArray[Any]", quantity: "NDArray[Any]") -> tuple["NDArray[Any]", str]:
    """Return what was paid per share, NaN if unknown, and in words how it was taken from a total."""
    entry, total, price = map(cells.numbers, ("entry", "cost", "price"))
    size = abs(quantity) * [100 if _OCC.fullmatch(symbol or "") else 1 for symbol in symbols]
    each = _is_each(total, abs(quantity), price)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = total / (1 if each else size)
    taken = np.isnan(entry) & np.isfinite(share)
    way = "per share" if each else "for all shares, and divided by the quantity"
    how = f"{cells.names.get('cost')!r} is taken {way}" if taken.any() else ""
    return np.where(taken, np.where(quantity < 0, abs(share), share), entry), how


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
    return Position(symbol=key[0], quantity=quantity, entry=None if math.isnan(entry) else entry)

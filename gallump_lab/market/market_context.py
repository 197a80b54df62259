"""The market as one turn saw it: quotes, trends, movers and portfolio, recorded as one, and their lines in a prompt."""

import datetime as dt
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from gallump_lab.lazy import fields_told, np
from gallump_lab.reading.symbols import validate_symbol
from gallump_lab.store import times

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Level = Literal["fresh", "old", "stale"]

TRADE_MINUTES = 20
"""So long a last trade is fresh, beside what its source lags."""
AHEAD = dt.timedelta(days=1)
"""A close that is later by more is none; an exchange's day may begin before UTC's."""
STALE_DAYS = 5
"""A price is stale once more business days have passed since."""


@dataclass(frozen=True, kw_only=True)
class _Record:
    """Has plain types in its fields: a broker may hold numpy's floats, Decimal or pandas' timestamps."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value, what = getattr(self, each.name), f"{type(self).__name__}.{each.name}"
            if value is not None and float in {each.type, *get_args(each.type)}:
                value = float(value)
                if not math.isfinite(value):
                    msg = f"{what} must be a finite number, or None where it may be unknown, not {value!r}."
                    raise ValueError(msg)
            elif each.name == "symbol":
                value = validate_symbol(value)
            elif isinstance(value, dt.datetime):
                value = times.aware(times.naive(value, what)) if each.name == "at" else value.date()
            object.__setattr__(self, each.name, value)


@fields_told
@dataclass(frozen=True, kw_only=True)
class Quote(_Record):
    """The last known price of a symbol, with its date."""

    symbol: str
    date: dt.date
    """The day the price is of."""
    price: float
    """USD: that day's close, or a live broker's last trade."""
    previous: float | None = None
    """USD: the close before, on the same split basis; None if there is none."""
    volume: float | None = None
    """Units traded that day; None if unknown."""
    at: dt.datetime | None = None
    """When it was made, the last trade, UTC; None for a daily close."""
    delay: float | None = None
    """Minutes that the source says it lags; None if it says nothing."""

    @property
    def change(self) -> float | None:
        """Percent from the close before; None if there is none above 0."""
        return 100 * (self.price / self.previous - 1) if self.previous and self.previous > 0 else None


@dataclass(frozen=True, kw_only=True)
class Trend(_Record):
    """How a symbol got to its last daily close; what its history is too short for is None."""

    symbol: str
    date: dt.date
    """The day of the last close."""
    change_5: float | None = None
    """Percent over 5 bars."""
    change_20: float | None = None
    """Percent over 20 bars."""
    change_60: float | None = None
    """Percent over 60 bars."""
    low: float
    """USD: the lowest price of the 52 weeks up to `date`."""
    high: float
    """USD: the highest price of the same weeks."""
    since: dt.date | None = None
    """The first bar's day if the history is shorter than those 52 weeks."""
    from_mean_50: float | None = None
    """Percent that the last close stands above the mean of the last 50 closes."""


@dataclass(frozen=True, kw_only=True)
class Mover(_Record):
    """A symbol that the scanner found."""

    symbol: str
    change: float
    """Percent from the close before."""
    volume_ratio: float | None = None
    """The day's volume over the mean of the 20 bars before; None if unknown."""


@dataclass(frozen=True, kw_only=True)
class Movers:
    """What stands out in a broker's universe on one day."""

    date: dt.date
    gainers: tuple[Mover, ...] = ()
    """Largest gain first."""
    losers: tuple[Mover, ...] = ()
    """Largest loss first."""
    unusual: tuple[Mover, ...] = ()
    """Volume of at least twice the usual, largest ratio first."""


@fields_told
@dataclass(frozen=True, kw_only=True)
class Position(_Record):
    """What is held of one symbol."""

    symbol: str
    quantity: float
    """Shares or units; negative if sold short."""
    entry: float | None
    """USD paid per share or unit, on the split basis of the last close; None if unknown."""


@dataclass(frozen=True, kw_only=True)
class Portfolio(_Record):
    """Cash and positions."""

    cash: float = 0.0
    """USD."""
    positions: tuple[Position, ...] = ()
    source: str = ""
    """Where it comes from, in words."""


@dataclass(frozen=True, kw_only=True)
class MarketContext:
    """The market as one turn saw it; recorded with the turn, so that a replay gives the same lines.

    `from_dict(json.loads(json.dumps(context.to_dict()))) == context` always holds.
    """

    symbols: tuple[str, ...] = ()
    """Symbols asked for: the watchlist's first, then those that the prompt names."""
    quotes: Mapping[str, Quote] = field(default_factory=dict)
    """By symbol, of the symbols asked for and of the positions held."""
    trends: Mapping[str, Trend] = field(default_factory=dict)
    """By symbol, of the symbols asked for."""
    missing: tuple[str, ...] = ()
    """Symbols asked for of which there is no quote."""
    portfolio: Portfolio | None = None
    movers: Movers | None = None
    data_date: dt.date | None = None
    """The newest bar's day in the whole universe."""
    at: dt.datetime | None = None
    """When it was gathered, UTC: what prices' ages count from; None in records that do not tell them."""
    live: bool = False
    """Whether quotes are a live broker's last trades; else they are daily closes."""
    source: str = ""
    """The broker's name."""
    problems: tuple[str, ...] = ()
    """What the broker failed to give, and why, in words."""

    def to_dict(self) -> dict[str, Any]:
        """Return the context as JSON values."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=lambda day: day.isoformat()))
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "MarketContext":
        """Read what `to_dict` gave."""
        return _reader().validate_python(plain)

    def market_lines(self) -> tuple[str, ...]:
        """Return the prompt's lines about the market, most important first, each one physical line.

        They tell what is known of the symbols asked for (quotes, gaps, trouble, trends), then the universe's movers.
        """
        if not (self.symbols or self.movers or self.problems):
            return ()
        quotes = (self.quotes[symbol] for symbol in self.symbols if symbol in self.quotes)
        found = [self._basis(), *(_quote(quote, self.at) for quote in quotes)]
        if self.missing:
            found.append(f"No data for {', '.join(self.missing)}: the price is not known here.")
        found += [f"Trouble: {problem}" for problem in self.problems]
        found += [_trend(self.trends[symbol]) for symbol in self.symbols if symbol in self.trends]
        if self.movers:
            day = self.movers.date
            for title, movers in (("Gainers of", self.movers.gainers), ("Losers of", self.movers.losers)):
                found += _listed(f"{title} {day}", [f"{one.symbol} {_percent(one.change)}" for one in movers])
            unusual = [f"{one.symbol} {one.volume_ratio:.1f} times its 20-bar mean" for one in self.movers.unusual]
            found += _listed(f"Unusual volume on {day}", unusual)
        return tuple(map(one_line, found))

    def portfolio_lines(self) -> tuple[str, ...]:
        """Return the prompt's lines about the portfolio, each one physical line.

        They tell what it is worth, then each position, the largest first and those without a price last.
        """
        portfolio = self.portfolio
        if portfolio is None or not (portfolio.positions or portfolio.cash):
            return ()
        priced = [(held, self.quotes[held.symbol]) for held in portfolio.positions if held.symbol in self.quotes]
        priced.sort(key=lambda pair: -abs(pair[0].quantity * pair[1].price))
        unpriced = [held for held in portfolio.positions if held.symbol not in self.quotes]
        found = [_total(portfolio, priced, unpriced), *(_position(held, quote, self.at) for held, quote in priced)]
        found += [f"{_holding(held)}; no data, value unknown" for held in unpriced]
        return tuple(map(one_line, found))

    def _basis(self) -> str:
        if not (self.live or self.data_date or self.quotes):
            return f"Source: {self.source}."
        newest = f" The newest is of {self.data_date}." if self.data_date else ""
        if self.live:
            return f"Source: {self.source}. Last trades, each at the time given, in USD.{newest}"
        return f"Source: {self.source}. Daily closes of the dates given, in USD, not live prices.{newest}"


def freshness(quote: Quote, now: dt.datetime) -> tuple[str, Level]:
    """Say how old a price is, in words, and whether it can stand for the current one.

    A last trade is fresh for 20 minutes and what its source lags, a daily close until a business day has passed since
    (see `close_age`). Then a price is old, and after 5 business days stale.
    """
    closed, level = close_age(quote.date, now)
    if quote.at is None:
        return closed, level
    if quote.at - now > dt.timedelta(minutes=TRADE_MINUTES):
        return "of a time to come", "stale"
    minutes = max(int((now - quote.at).total_seconds() // 60), 0)
    hours = minutes // 60
    age = f"{minutes or 'under 1'} min" if hours < 1 else f"{hours} h" if hours < 48 else f"{hours // 24:,} days"
    if now - quote.at <= dt.timedelta(minutes=TRADE_MINUTES + (quote.delay or 0)):
        level = "fresh"
    elif level == "fresh":
        level = "old"
    return f"{age} old", level


def close_age(day: dt.date, now: dt.datetime) -> tuple[str, Level]:
    """Say how old a daily close is: fresh as long as it can be the newest, for no business day has passed whole since.

    Days are UTC's. Holidays are not known: after one, the newest close is old.
    """
    today = now.astimezone(dt.UTC).date()
    if day - today > AHEAD:
        return f"close of {day}, a day to come", "stale"
    passed = np.busday_count(day, today) - np.is_busday(day)
    level: Level = "fresh" if passed <= 0 else "old" if passed <= STALE_DAYS else "stale"
    days = (today - day).days
    return f"close of {day}" + (f", {days:,} days old" if level != "fresh" else ""), level


@cache
def _reader() -> "TypeAdapter[MarketContext]":
    from pydantic import TypeAdapter  # takes a while to import

    return TypeAdapter(MarketContext)


def one_line(text: str) -> str:
    """Bring a text onto one line: whatever is not printable becomes a space, and spaces become one."""
    printable = text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(printable.split())


def _quote(quote: Quote, now: dt.datetime | None) -> str:
    words = f"{quote.symbol}: {usd(quote.price)} {_when(quote, now)}"
    if quote.change is not None and quote.previous is not None:
        words += f", {_percent(quote.change)} from {usd(quote.previous)} the close before"
    if quote.volume is not None:
        words += f", volume {_number(quote.volume)}"
    return words


def _when(quote: Quote, now: dt.datetime | None) -> str:
    words, level = freshness(quote, now) if now else ("", None)
    stale = " (stale: not a current price)" if level == "stale" else ""
    if quote.at:
        return ", ".join(filter(None, (f"at {quote.at:%Y-%m-%d %H:%M} UTC", words))) + stale
    return f"at the {words or f'close of {quote.date}'}{stale}"


def _trend(trend: Trend) -> str:
    changes = (("5", trend.change_5), ("20", trend.change_20), ("60", trend.change_60))
    words = [f"{_percent(change)} in {days} bars" for days, change in changes if change is not None]
    weeks = f"since {trend.since}" if trend.since else "of 52 weeks"
    words.append(f"range {weeks} {usd(trend.low)} to {usd(trend.high)}")
    if trend.from_mean_50 is not None:
        words.append(f"{_percent(trend.from_mean_50)} from the 50-bar mean")
    return f"{trend.symbol} trend to {trend.date}: {', '.join(words)}"


def _listed(title: str, words: list[str]) -> list[str]:
    return [f"{title}: {', '.join(words)}"] if words else []


def _total(portfolio: Portfolio, priced: list[tuple[Position, Quote]], unpriced: list[Position]) -> str:
    value = math.fsum(held.quantity * quote.price for held, quote in priced)
    title = f"Portfolio ({portfolio.source})" if portfolio.source else "Portfolio"
    without = f", not counting {', '.join(held.symbol for held in unpriced)}" if unpriced else ""
    total, cash = usd(portfolio.cash + value), usd(portfolio.cash)
    return f"{title}: total {total} USD, cash {cash}, positions {usd(value)}{without}"


def _position(held: Position, quote: Quote, now: dt.datetime | None) -> str:
    value = held.quantity * quote.price
    words = f"{_holding(held)}, {usd(quote.price)} {_when(quote, now)}, value {usd(value)}"
    if held.entry is None:
        return words
    gain, paid = held.quantity * (quote.price - held.entry), abs(held.quantity) * held.entry
    percent = f" ({_percent(100 * gain / paid)})" if paid else ""
    return f"{words}, unrealised {usd(gain, sign='+')} USD{percent}"


def _holding(held: Position) -> str:
    entry = "unknown" if held.entry is None else usd(held.entry)
    return f"{held.symbol}: {_number(held.quantity)} at entry {entry}"


def usd(value: float, sign: str = "") -> str:
    """Return cents, or four digits of what is worth less than a dollar."""
    return f"{value:{sign},.2f}" if abs(value) >= 1 or round(value, 2) == value else f"{value:{sign}.4g}"


def _percent(value: float) -> str:
    return f"{round(value, 1) + 0.0:+,.1f}%"


def _number(value: float) -> str:
    whole, _, part = f"{value:,.8f}".partition(".")
    return f"{whole}.{part}".rstrip("0").rstrip(".")

"""What the market room hands on: quotes, trends, movers, a portfolio, and all of them as one recorded context."""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Self

from gallump_lab.market import lines
from gallump_lab.reading.symbols import validate_symbol
from gallump_lab.store import times


def _checked(record: object, *numbers: str) -> None:
    """Bring a record's fields to plain types: a broker may hold numpy's floats, Decimal or pandas' timestamps."""

    def put(name: str, value: object) -> None:
        object.__setattr__(record, name, value)

    for name in numbers:
        value = getattr(record, name)
        if value is not None:
            put(name, float(value))
            if not math.isfinite(float(value)):
                what = f"{type(record).__name__}.{name}"
                msg = f"{what} must be a finite number, or None where it may be unknown, not {value!r}."
                raise ValueError(msg)
    if hasattr(record, "symbol"):
        put("symbol", validate_symbol(record.symbol))
    if isinstance(getattr(record, "date", None), dt.datetime):
        put("date", record.date.date())  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True)
class Quote:
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
    """When a live broker gave it, UTC; None for a daily close."""

    def __post_init__(self) -> None:
        _checked(self, "price", "previous", "volume")
        if self.at is not None:
            object.__setattr__(self, "at", times.aware(times.naive(self.at, "Quote.at")))

    @property
    def change(self) -> float | None:
        """Percent from the close before; None if there is none above 0."""
        return 100 * (self.price / self.previous - 1) if self.previous and self.previous > 0 else None


@dataclass(frozen=True, kw_only=True)
class Trend:
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

    def __post_init__(self) -> None:
        _checked(self, "change_5", "change_20", "change_60", "low", "high", "from_mean_50")


@dataclass(frozen=True, kw_only=True)
class Mover:
    """A symbol that the scanner found."""

    symbol: str
    change: float
    """Percent from the close before."""
    volume_ratio: float | None = None
    """The day's volume over the mean of the 20 bars before; None if unknown."""

    def __post_init__(self) -> None:
        _checked(self, "change", "volume_ratio")


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


@dataclass(frozen=True, kw_only=True)
class Position:
    """What is held of one symbol."""

    symbol: str
    quantity: float
    """Shares or units; negative if sold short."""
    entry: float
    """USD paid per share or unit, on the split basis of the last close."""

    def __post_init__(self) -> None:
        _checked(self, "quantity", "entry")


@dataclass(frozen=True, kw_only=True)
class Portfolio:
    """Cash and positions."""

    cash: float = 0.0
    """USD."""
    positions: tuple[Position, ...] = ()
    source: str = ""
    """Where it comes from, in words."""

    def __post_init__(self) -> None:
        _checked(self, "cash")


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
    live: bool = False
    """Whether quotes are a live broker's last trades; else they are daily closes."""
    source: str = ""
    """The broker's name."""
    problems: tuple[str, ...] = ()
    """What the broker failed to give, and why, in words."""

    def to_dict(self) -> dict[str, Any]:
        """Return the context as JSON values."""
        plain: dict[str, Any] = _plain(self)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        portfolio, movers = plain["portfolio"], plain["movers"]
        return cls(
            symbols=tuple(plain["symbols"]),
            quotes={symbol: _record(Quote, quote) for symbol, quote in plain["quotes"].items()},
            trends={symbol: _record(Trend, trend) for symbol, trend in plain["trends"].items()},
            missing=tuple(plain["missing"]),
            portfolio=portfolio and _record(Portfolio, portfolio, positions=Position),
            movers=movers and _record(Movers, movers, gainers=Mover, losers=Mover, unusual=Mover),
            data_date=_day(plain["data_date"]),
            live=plain["live"],
            source=plain["source"],
            problems=tuple(plain["problems"]),
        )

    def market_lines(self) -> tuple[str, ...]:
        """Return the prompt's lines about the market, most important first, each one physical line."""
        return lines.market_lines(self)

    def portfolio_lines(self) -> tuple[str, ...]:
        """Return the prompt's lines about the portfolio, most important first, each one physical line."""
        return lines.portfolio_lines(self)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)


def _record(kind: Any, plain: Mapping[str, Any], **parts: Any) -> Any:
    """Make a record of its JSON values; `parts` names the fields that hold records, and their kind."""
    values = dict(plain)
    for name in values.keys() & {"date", "since"}:
        values[name] = _day(values[name])
    if values.get("at") is not None:
        values["at"] = dt.datetime.fromisoformat(values["at"])
    for name, part in parts.items():
        values[name] = tuple(_record(part, one) for one in values[name])
    record = kind(**values)
    if "symbol" in values:  # as it was recorded, whatever its form today: a replay gives the same lines
        object.__setattr__(record, "symbol", values["symbol"])
    return record

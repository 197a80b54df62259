"""The words in which a prompt speaks of the market: each line one physical line, each price with its day."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gallump_lab.market.records import MarketContext, Portfolio, Position, Quote, Trend


def one_line(text: str) -> str:
    """Bring a text onto one line: whatever is not printable becomes a space, and spaces become one."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def market_lines(context: "MarketContext") -> tuple[str, ...]:
    """Return what is known of the symbols asked for: quotes, gaps, trouble, trends, then the universe's movers."""
    if not (context.symbols or context.movers or context.problems):
        return ()
    quotes = [context.quotes[symbol] for symbol in context.symbols if symbol in context.quotes]
    trends = [context.trends[symbol] for symbol in context.symbols if symbol in context.trends]
    found = [_basis(context), *map(_quote, quotes)]
    if context.missing:
        found.append(f"No data for {', '.join(context.missing)}: the price is not known here.")
    found += [f"Trouble: {problem}" for problem in context.problems]
    found += map(_trend, trends)
    if context.movers:
        day, movers = context.movers.date, context.movers
        found += _listed(f"Gainers of {day}", [f"{one.symbol} {_percent(one.change)}" for one in movers.gainers])
        found += _listed(f"Losers of {day}", [f"{one.symbol} {_percent(one.change)}" for one in movers.losers])
        unusual = [f"{one.symbol} {one.volume_ratio:.1f} times its 20-bar mean" for one in movers.unusual]
        found += _listed(f"Unusual volume on {day}", unusual)
    return tuple(map(one_line, found))


def portfolio_lines(context: "MarketContext") -> tuple[str, ...]:
    """Return what the portfolio is worth, then each position, the largest first and those without a price last."""
    portfolio = context.portfolio
    if portfolio is None or not (portfolio.positions or portfolio.cash):
        return ()
    priced = [(held, context.quotes[held.symbol]) for held in portfolio.positions if held.symbol in context.quotes]
    priced.sort(key=lambda pair: -abs(pair[0].quantity * pair[1].price))
    unpriced = [held for held in portfolio.positions if held.symbol not in context.quotes]
    found = [_total(portfolio, priced, unpriced), *(_position(held, quote) for held, quote in priced)]
    found += [
        f"{held.symbol}: {_number(held.quantity)} at entry {_usd(held.entry)}; no data, value unknown"
        for held in unpriced
    ]
    return tuple(map(one_line, found))


def _basis(context: "MarketContext") -> str:
    newest = f" The newest is of {context.data_date}." if context.data_date else ""
    if context.live:
        return f"Source: {context.source}. Last trades, each at the time given, in USD.{newest}"
    return f"Source: {context.source}. Daily closes of the dates given, in USD, not live prices.{newest}"


def _quote(quote: "Quote") -> str:
    words = f"{quote.symbol}: {_usd(quote.price)} {_when(quote)}"
    if quote.change is not None and quote.previous is not None:
        words += f", {_percent(quote.change)} from {_usd(quote.previous)} the close before"
    if quote.volume is not None:
        words += f", volume {_number(quote.volume)}"
    return words


def _when(quote: "Quote") -> str:
    return f"at {quote.at:%Y-%m-%d %H:%M} UTC" if quote.at else f"at the close of {quote.date}"


def _trend(trend: "Trend") -> str:
    changes = (("5", trend.change_5), ("20", trend.change_20), ("60", trend.change_60))
    words = [f"{_percent(change)} in {days} bars" for days, change in changes if change is not None]
    weeks = f"since {trend.since}" if trend.since else "of 52 weeks"
    words.append(f"range {weeks} {_usd(trend.low)} to {_usd(trend.high)}")
    if trend.from_mean_50 is not None:
        words.append(f"{_percent(trend.from_mean_50)} from the 50-bar mean")
    return f"{trend.symbol} trend to {trend.date}: {', '.join(words)}"


def _listed(title: str, words: list[str]) -> list[str]:
    return [f"{title}: {', '.join(words)}"] if words else []


def _total(portfolio: "Portfolio", priced: list[tuple["Position", "Quote"]], unpriced: list["Position"]) -> str:
    value = math.fsum(held.quantity * quote.price for held, quote in priced)
    title = f"Portfolio ({portfolio.source})" if portfolio.source else "Portfolio"
    without = f", not counting {', '.join(held.symbol for held in unpriced)}" if unpriced else ""
    total, cash = _usd(portfolio.cash + value), _usd(portfolio.cash)
    return f"{title}: total {total} USD, cash {cash}, positions {_usd(value)}{without}"


def _position(held: "Position", quote: "Quote") -> str:
    gain = held.quantity * (quote.price - held.entry)
    paid = abs(held.quantity) * held.entry
    percent = f" ({_percent(100 * gain / paid)})" if paid else ""
    return (
        f"{held.symbol}: {_number(held.quantity)} at entry {_usd(held.entry)}, {_usd(quote.price)} {_when(quote)}, "
        f"value {_usd(held.quantity * quote.price)}, unrealised {_usd(gain, sign='+')} USD{percent}"
    )


def _usd(value: float, sign: str = "") -> str:
    """Return cents, or four digits of what is worth less than a dollar."""
    return f"{value:{sign},.2f}" if abs(value) >= 1 or round(value, 2) == value else f"{value:{sign}.4g}"


def _percent(value: float) -> str:
    return f"{round(value, 1) + 0.0:+,.1f}%"


def _number(value: float) -> str:
    whole, _, part = f"{value:,.8f}".partition(".")
    return f"{whole}.{part}".rstrip("0").rstrip(".")

"""Laws of the market room: a recorded context comes back exactly, its lines are lines, and nobody looks ahead."""

import json
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab.market import (
    FileBroker,
    MarketContext,
    Mover,
    Movers,
    Portfolio,
    Position,
    Quote,
    Trend,
    freshness,
    validate_symbol,
)

SYMBOLS = st.from_regex(r"\^?[A-Za-z0-9]{1,5}([.\-=/:][A-Za-z0-9]{1,3}){0,2}", fullmatch=True).map(validate_symbol)
NUMBERS = st.floats(-1e12, 1e12) | st.integers(-(10**12), 10**12)
PRICES = st.floats(1e-9, 1e12)
TEXTS = st.text(max_size=40)


def perhaps(strategy):
    return st.none() | strategy


def listed(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


MOMENTS = st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
QUOTES = st.builds(
    Quote,
    symbol=SYMBOLS,
    date=st.dates(),
    price=PRICES,
    previous=perhaps(PRICES),
    volume=perhaps(PRICES),
    at=perhaps(MOMENTS),
    delay=perhaps(st.floats(0, 60)),
)
TRENDS = st.builds(
    Trend,
    symbol=SYMBOLS,
    date=st.dates(),
    low=PRICES,
    high=PRICES,
    since=perhaps(st.dates()),
    **dict.fromkeys(("change_5", "change_20", "change_60", "from_mean_50"), perhaps(NUMBERS)),
)
MOVERS = listed(st.builds(Mover, symbol=SYMBOLS, change=NUMBERS, volume_ratio=perhaps(PRICES)))
RATED = listed(st.builds(Mover, symbol=SYMBOLS, change=NUMBERS, volume_ratio=PRICES))


@st.composite
def contexts(draw):
    quotes = {quote.symbol: quote for quote in draw(listed(QUOTES))}
    trends = {trend.symbol: trend for trend in draw(listed(TRENDS))}
    holding = st.builds(Position, symbol=st.sampled_from([*quotes, "HELD"]), quantity=NUMBERS, entry=st.none() | PRICES)
    return MarketContext(
        symbols=tuple(dict.fromkeys([*quotes, *trends, *draw(listed(SYMBOLS))])),
        quotes=quotes,
        trends=trends,
        missing=draw(listed(SYMBOLS)),
        portfolio=draw(perhaps(st.builds(Portfolio, cash=NUMBERS, positions=listed(holding), source=TEXTS))),
        movers=draw(perhaps(st.builds(Movers, date=st.dates(), gainers=MOVERS, losers=MOVERS, unusual=RATED))),
        data_date=draw(perhaps(st.dates())),
        at=draw(perhaps(MOMENTS)),
        live=draw(st.booleans()),
        source=draw(TEXTS),
        problems=draw(listed(TEXTS)),
    )


@settings(max_examples=40)
@given(contexts())
def test_a_recorded_context_comes_back_exactly_and_says_the_same_in_single_lines(context):
    again = MarketContext.from_dict(json.loads(json.dumps(context.to_dict(), allow_nan=False)))
    assert again == context
    assert again.to_dict() == context.to_dict()
    assert again.market_lines() == context.market_lines()
    assert again.portfolio_lines() == context.portfolio_lines()
    for line in context.market_lines() + context.portfolio_lines():
        assert line.isprintable()
        assert line == line.strip() != ""


@given(QUOTES, st.lists(MOMENTS, min_size=2, max_size=5).map(sorted))
def test_a_price_never_gets_fresher_as_time_goes_by(quote, moments):
    levels = ["fresh", "old", "stale"]
    days = datetime.combine(quote.date, time(0), UTC)
    found = [freshness(quote, now) for now in moments if now >= max(days, quote.at or days)]
    assert [levels.index(level) for _, level in found] == sorted(levels.index(level) for _, level in found)
    assert all(words.isprintable() and words for words, _ in found)
    at_once = quote.at or datetime.combine(quote.date, time(21), UTC)
    assert freshness(quote, at_once)[1] == "fresh"
    if at_once < datetime(9999, 1, 1, tzinfo=UTC):
        assert freshness(quote, max(at_once, datetime.combine(quote.date, time(), UTC)) + timedelta(11))[1] == "stale"


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2013, 4, 1)))  # noqa: DTZ001
def test_at_any_moment_bars_are_those_of_the_past_and_returns_those_of_the_whole(moment):
    def closes(broker):
        bars = broker.bars("AAPL", 10_000)
        return bars["date"].dt.date.to_numpy(), bars["close"].to_numpy()

    seen, close = closes(FileBroker(clock=lambda: moment.replace(tzinfo=UTC)))
    dates, whole = closes(FileBroker())
    known = [day for day in dates if datetime.combine(day, time(21)) <= moment]
    assert list(seen) == known
    np.testing.assert_allclose(close[1:] / close[:-1], (whole[1:] / whole[:-1])[: max(len(known) - 1, 0)], rtol=1e-12)
    assert all(isinstance(day, date) for day in seen)

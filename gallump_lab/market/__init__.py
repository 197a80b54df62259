"""The guide's market context: bars, quotes, portfolio and scanner for a prompt."""

from gallump_lab.market.broker import Broker, FileBroker, FrameBroker
from gallump_lab.market.context_builder import ContextBuilder
from gallump_lab.market.frames import MarketFileError
from gallump_lab.market.live import LiveBroker
from gallump_lab.market.market_context import (
    MarketContext,
    Mover,
    Movers,
    Portfolio,
    Position,
    Quote,
    Trend,
    freshness,
)
from gallump_lab.market.scanner import MarketScanner
from gallump_lab.market.yahoo import YahooBroker
from gallump_lab.reading.symbols import SymbolError, validate_symbol, validate_symbols

__all__ = [
    "Broker",
    "ContextBuilder",
    "FileBroker",
    "FrameBroker",
    "LiveBroker",
    "MarketContext",
    "MarketFileError",
    "MarketScanner",
    "Mover",
    "Movers",
    "Portfolio",
    "Position",
    "Quote",
    "SymbolError",
    "Trend",
    "YahooBroker",
    "freshness",
    "validate_symbol",
    "validate_symbols",
]

"""The watchlist's prices as the chat shows them: how high, how far from the close before, and how old by now."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gallump_lab.market.market_context import MarketContext, Quote, freshness

if TYPE_CHECKING:
    from gallump_lab.lab import Lab

AGAIN_SECONDS = (3, 10)
"""After so long a live market that was late is asked once more."""


def asked(lab: "Lab", watchlist: Sequence[str]) -> Iterator[MarketContext]:
    """Ask the market for prices, and a live one again that had trouble to give all."""
    for pause in (*AGAIN_SECONDS, None):
        found = lab.quotes(watchlist)
        yield found
        if pause is None or not (found.live and found.missing and found.problems):
            return
        time.sleep(pause)


class Strip:
    """What is known of the watchlist's prices, by whatever way it came last."""

    def __init__(self) -> None:
        self._known = MarketContext()

    def learn(self, found: MarketContext) -> None:
        """Take what the market told; what is gathered before what is known only fills its gaps."""
        known = self._known
        late = known.at is not None and found.at is not None and found.at < known.at
        first, last = (found, known) if late else (known, found)
        symbols = tuple(dict.fromkeys((*known.symbols, *found.symbols)))
        self._known = replace(last, symbols=symbols, quotes={**first.quotes, **last.quotes})

    def describe(self, watchlist: Sequence[str], now: datetime) -> dict[str, Any]:
        """Return what there is to show: a row for each symbol, and what is amiss; a lab without prices says that."""
        known = self._known
        if known.source.startswith("no prices"):
            return {"rows": [], "words": known.source[:1].upper() + known.source[1:]}
        rows = [{"symbol": each, **priced(known.quotes.get(each), now)} for each in watchlist]
        for row in rows:
            if row["symbol"] not in known.symbols:
                row["words"] = "asking …"
        return {"rows": rows, "words": " ".join(known.problems)}


def priced(quote: Quote | None, now: datetime | None) -> dict[str, Any]:
    """Return a price with its change in percent, its age in words and its level; without `now` the day alone."""
    if quote is None:
        return {"price": None, "change": None, "words": "no price", "level": None}
    words, level = freshness(quote, now) if now else (f"of {quote.date}", None)
    return {"price": quote.price, "change": quote.change, "words": words, "level": level}

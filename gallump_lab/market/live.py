"""Live prices: what every source of them needs, so that one of your own is two methods."""

import math
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from gallump_lab.lazy import pd
from gallump_lab.market.bar_cache import Known, as_traded, in_lab, load, save
from gallump_lab.market.bars import Rates, named
from gallump_lab.market.context_builder import failure
from gallump_lab.market.market_context import Portfolio, Quote
from gallump_lab.market.positions import make_portfolio
from gallump_lab.reading.names import well_known
from gallump_lab.reading.shown import visible
from gallump_lab.reading.symbols import canonical
from gallump_lab.reading.text_files import Problems
from gallump_lab.store import Store, StoreError, times

QUOTE_MINUTES, BAR_MINUTES = 1, 15
"""How long the answers of a source are used before it is asked again."""
AT_ONCE = 8
"""At most so many calls of a source at a time."""
ABANDONED = 60.0
"""Seconds after which a call that has not come back is made once more."""
PAUSES = (60.0, 900.0)
"""Seconds that a source is left alone when it is asked too often, at first and at most; each time twice as long."""
MOVED = 0.02
"""A bar whose close differs by more of it from what the source gave before is on another split basis."""

# Well-known symbols of coins, futures, indices and exchanges in Europe that are another share's in America: a wrong
# price would be worse than none.
_SEVERAL = frozenset(
    "SPX NDX ALV BAS BAYN BMW SIE VOW3 DHL MUV2 RHM IFX ADS DBK VNA ENEL ISP ENI NESN NOVN ROG UBSG ULVR HSBA AIR MC "
    "VHYL BTC ETH SOL XRP DOGE LTC ADA AVAX BNB DOT LINK SUI TON HYPE UNI ATOM ARB PEPE ES NQ YM RTY MES MNQ ZN ZB ZF "
    "ZT GC SI CL NG HG ZC ZW".split()
)


class LiveBroker:
    """Last trades and daily bars from a source that is asked while one chats; the base of `YahooBroker` and your own.

    A subclass has a `name`, under which the lab keeps its days, and two methods, each one plain call that waits for its
    answer: `fetch_bars` and, unless daily closes will do, `fetch_quotes`. This class asks them for the symbols that a
    prompt needs and no others, at the same time, in the background; a turn waits for them no longer than `wait`, and
    has the last known price, with its time, of what has not come by then. Whole days are kept in the lab for good, as
    traded, with splits and dividends. After an answer 429 the source is left alone for a while. `trouble` tells what
    was wrong, in words.

    Parameters
    ----------
    positions : pandas.DataFrame or path, optional
        What you hold, as `FrameBroker` and `FileBroker` take it; or override `portfolio`.
    rates : mapping of str to float, optional
        USD per unit of other currencies, {"EUR": 1.08}; what has no rate is left out, and told.
    names : mapping of str to str, optional
        What the source calls symbols that mean several things: {"CL": "CL=F"} for oil, {"CL": "CL"} for Colgate. Those
        are not asked for without it.
    wait : float
        Seconds that a turn waits at most.
    clock : callable, optional
        Tells the time, UTC.

    Attributes
    ----------
    zone : str
        The time zone in which the source's days begin, where `fetch_bars` does not tell it.

    Examples
    --------
    A source of your own in full: Alpaca's market data, by its documentation (not tried live)::

        import json, os
        from datetime import date, timedelta
        from urllib.parse import urlencode
        from urllib.request import Request, urlopen

        import pandas as pd
        from gallump_lab.market import LiveBroker, Quote

        class Alpaca(LiveBroker):
            name, address = "Alpaca", "https://data.alpaca.markets"

            def fetch_bars(self, symbol, start):
                asked = {"symbols": symbol, "start": start or date.today() - timedelta(days=1825)}
                how = {"timeframe": "1Day", "adjustment": "raw", "feed": "iex", "limit": 10000}
                answer = self.get("v2/stocks/bars", **how, **asked)
                names = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
                bars = pd.DataFrame(answer["bars"].get(symbol, [])).rename(columns=names)
                if bars.empty:
                    return bars
                bars = bars.assign(date=bars["t"].str[:10], split=1.0, dividend=0.0)
                kinds = "forward_split,reverse_split,cash_dividend"
                actions = self.get("v1/corporate-actions", types=kinds, limit=1000, **asked)["corporate_actions"]
                for each in (*actions.get("forward_splits", ()), *actions.get("reverse_splits", ())):
                    bars.loc[bars["date"] == each["ex_date"], "split"] = each["new_rate"] / each["old_rate"]
                for each in actions.get("cash_dividends", ()):
                    bars.loc[bars["date"] == each["ex_date"], "dividend"] = each["rate"]
                return bars

            def fetch_quotes(self, symbols):
                answer = self.get("v2/stocks/trades/latest", symbols=",".join(symbols), feed="iex")
                found = {}
                for symbol, trade in answer["trades"].items():
                    at = pd.Timestamp(trade["t"]).tz_convert(self.zone)
                    found[symbol] = Quote(symbol=symbol, price=trade["p"], date=at, at=at)
                return found

            def get(self, path, **asked):
                keys = ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY")
                headers = {key: os.environ[key.replace("-", "_")] for key in keys}
                request = Request(f"{self.address}/{path}?{urlencode(asked)}", headers=headers)
                with urlopen(request, timeout=10) as answer:
                    return json.load(answer)

        lab = Lab.open("lab.duckdb", broker=Alpaca())
    """

    live, zone = True, "America/New_York"
    names: ClassVar[Mapping[str, str]] = {}
    read: tuple[str, ...] = ()
    """What was understood of the positions, in words."""
    problems: tuple[str, ...] = ()
    """What was left out of them or taken otherwise, in words."""
    fetch_quotes: Callable[[Sequence[str]], Mapping[str, Quote]] | None = None

    def __init__(
        self,
        positions: Any = None,
        *,
        rates: Rates | None = None,
        names: Mapping[str, str] | None = None,
        wait: float = 2.0,
        clock: Callable[[], datetime] = times.now,
    ) -> None:
        self._rates = {"USD": 1.0} | {code.upper(): rate for code, rate in (rates or {}).items()}
        self._names = {**self.names, **{canonical(symbol): own for symbol, own in (names or {}).items()}}
        self._wait, self._clock = wait, clock
        self._store: Store | None = None
        self._held: frozenset[str] | None = None
        self._known: dict[str, Known] = {}
        self._quotes: dict[str, Quote] = {}
        self._due: dict[tuple[str, str], datetime] = {}
        """When something of a symbol is asked for again."""
        self._jobs: dict[str, tuple[threading.Thread, float]] = {}
        """By symbol, and "" for last trades: who asks, and since when."""
        self._troubles: dict[str, str] = {}
        self._asked: list[str] = []
        self._slots, self._lock = threading.BoundedSemaphore(AT_ONCE), threading.Lock()
        self._pause, self._until = 0.0, datetime.min.replace(tzinfo=UTC)
        self._portfolio = Portfolio()
        if positions is not None:
            source, problems = named(positions, "your positions"), Problems()
            self._portfolio = make_portfolio(positions, source, problems, rates)
            self.read = (f"{source}: {'; '.join(problems.read)}.",)
            self.problems = tuple(f"{source}, {words}" for words in problems.describe())
            if self.problems:
                warnings.warn("\n".join(self.problems), UserWarning, stacklevel=2)

    def __repr__(self) -> str:
        """Return what is asked, what was understood of the positions, and what was left out."""
        head = f"<{type(self).__name__} {self.name!r}: asked while you chat>"
        return visible("\n".join([head, *self.read, *self.problems]))

    @property
    def name(self) -> str:
        """What the source is called."""
        return type(self).__name__

    def fetch_bars(self, symbol: str, start: date | None) -> "pd.DataFrame":
        """Return a symbol's daily bars from a day on, as traded; all that one may want where none is given.

        The columns are date, open, high, low, close and volume; where there was any, split (2 on the day of a
        two-for-one split) and dividend (per share, on the ex-date). No rows where there is nothing. Of `frame.attrs`
        these are read: "currency" (USD by default), "zone" and "quote", a last trade that comes with the bars.
        """
        raise NotImplementedError

    def attach(self, store: Store, clock: Callable[[], datetime]) -> None:
        """Take the lab in which whole days are kept.

        Raises
        ------
        ValueError
            If the lab's time is not the source's: its prices would be of another time than all else.
        """
        if abs(times.naive(clock(), "clock()") - times.naive(self._clock(), "clock()")) > timedelta(days=1):
            msg = f"{self.name} gives the prices of today, but this lab's clock stands at {clock():%Y-%m-%d}. Open it "
            raise ValueError(msg + "without a clock, or with bars of that time: broker=FrameBroker(bars).")
        self._store, self._held = store, None
        self._known.clear()

    def symbols(self) -> frozenset[str]:
        """Return the symbols that a prompt may name: well-known ones, those held, and those asked for before."""
        if self._held is None:
            self._held = in_lab(self._store, self.name)
        held = {position.symbol for position in self._portfolio.positions}
        return (well_known() - _SEVERAL) | self._names.keys() | held | self._known.keys() | self._held

    def data_date(self) -> date | None:
        """Return None: there is no universe to scan, which would have all of it fetched."""
        return None

    def portfolio(self) -> Portfolio:
        """Return the positions that were given."""
        return self._portfolio

    def quotes(self, symbols: Iterable[str]) -> dict[str, Quote]:
        """Return each symbol's last known price, after asking for those that are older than a minute."""
        self._asked = [*dict.fromkeys(map(canonical, symbols))]
        self._begin(self._asked, quotes=True)
        return {symbol: quote for symbol in self._asked if (quote := self._quote(symbol))}

    def bars(self, symbol: str, days: int) -> "pd.DataFrame":
        """Return the last whole days, adjusted for splits; `adj_close` is so for dividends too, as CRSP computes it."""
        self._asked = [*dict.fromkeys([*self._asked, canonical(symbol)])]
        self._begin([canonical(symbol)], quotes=False)
        known = self._known.get(canonical(symbol))
        rate = self._rates.get(known.currency) if known else None
        if known is None or rate is None:
            return Known().adjusted()
        return known.adjusted(rate, self._quotes.get(canonical(symbol))).tail(days)

    @property
    def trouble(self) -> tuple[str, ...]:
        """What was wrong with what was asked for last, in words."""
        late = [symbol for symbol in self._asked if self._running(symbol) or self._running("")]
        said = []
        if self._clock() < self._until:
            said.append(f"{self.name} was asked too often, and is left alone until {self._until:%Y-%m-%d %H:%M} UTC.")
        if late:
            said.append(f"{self.name} has not answered yet for {', '.join(late)}; what is known of them may be older.")
        said += [self._troubles.get(symbol, "") for symbol in ("", *self._asked)]
        said += [
            f"{symbol} means several things; {type(self).__name__}(names={{{symbol!r}: ...}}) tells {self.name} which."
            for symbol in self._asked
            if not self._is_clear(symbol)
        ]
        for symbol in self._asked:
            code = self._known[symbol].currency if symbol in self._known else "USD"
            if code not in self._rates:
                mend = f"{type(self).__name__}(rates={{{code!r}: USD per {code}}})"
                said.append(f"{symbol} is in {code}, not USD; {mend} takes it.")
        return tuple(dict.fromkeys(filter(None, said)))

    def _begin(self, symbols: Sequence[str], *, quotes: bool) -> None:
        """Ask for what is due, and wait for it as long as a turn may."""
        now, symbols = self._clock(), [*filter(self._is_clear, symbols)]
        if quotes and self.fetch_quotes is not None:
            old = [symbol for symbol in symbols if self._is_due("quote", symbol, now)]
            if old and now >= self._until:
                self._start("", self._ask_quotes, self.fetch_quotes, old)
        for symbol in symbols:
            if symbol not in self._known or self._is_due("bars", symbol, now):
                self._start(symbol, self._ask_bars, symbol)
        for symbol in (*symbols, ""):
            if symbol in self._jobs:
                thread, begun = self._jobs[symbol]
                thread.join(max(begun + self._wait - time.monotonic(), 0))

    def _start(self, key: str, target: Callable[..., None], *given: Any) -> None:
        with self._lock:
            if not self._running(key) or self._jobs[key][1] + ABANDONED < time.monotonic():
                thread = threading.Thread(target=target, args=given, name=f"gallump-market {key}", daemon=True)
                self._jobs[key] = thread, time.monotonic()
                thread.start()

    def _running(self, key: str) -> bool:
        return key in self._jobs and self._jobs[key][0].is_alive()

    def _is_clear(self, symbol: str) -> bool:
        return symbol in self._names or symbol not in _SEVERAL

    def _own(self, symbol: str) -> str:
        """Return what the source calls a symbol."""
        return self._names.get(symbol, symbol)

    def _is_due(self, what: str, symbol: str, now: datetime) -> bool:
        return self._due.get((what, symbol), now) <= now

    def _again(self, what: str, symbols: Iterable[str], minutes: float) -> None:
        self._due.update({(what, symbol): self._clock() + timedelta(minutes=minutes) for symbol in symbols})

    def _ask_quotes(self, fetch: Callable[[Sequence[str]], Mapping[str, Quote]], symbols: Sequence[str]) -> None:
        with self._slots:
            try:
                given = {name: quote for name, quote in fetch([*map(self._own, symbols)]).items() if quote.price}
                nothing = ", ".join(symbol for symbol in symbols if self._own(symbol) not in given)
                self._quotes |= {symbol: given[self._own(symbol)] for symbol in symbols if self._own(symbol) in given}
                self._troubles[""] = f"{self.name} gave no last trade of {nothing}." if nothing else ""
            except Exception as error:  # noqa: BLE001 - a source is foreign code: whatever it raises, the turn goes on
                self._troubles[""] = self._said("last trades", error)
            self._again("quote", symbols, QUOTE_MINUTES)

    def _ask_bars(self, symbol: str) -> None:
        with self._slots:
            try:
                known = self._known.get(symbol) or load(self._store, self.name, self._own(symbol))
            except StoreError:  # the chat itself will tell
                return
            self._known[symbol] = known
            if self._clock() < self._until or not self._is_due("bars", symbol, self._clock()):
                return
            minutes = QUOTE_MINUTES
            try:
                self._troubles[symbol] = self._take(symbol, known)
                is_quoted = self.fetch_quotes is None and (len(known.bars) > 0 or symbol in self._quotes)
                minutes, self._pause = QUOTE_MINUTES if is_quoted else BAR_MINUTES, 0.0
            except Exception as error:  # noqa: BLE001 - as above
                self._troubles[symbol] = self._said(symbol, error)
            self._again("bars", [symbol], minutes)
            with suppress(StoreError):  # it is tried again after the next answer
                save(self._store, self.name, self._own(symbol), known)

    def _take(self, symbol: str, known: Known) -> str:
        """Fetch what is new of a symbol's bars; return what was wrong with them."""
        old, problems = known.bars, Problems()
        for start in dict.fromkeys((old["day"].iloc[-1].date() if len(old) else None, None)):
            frame = self.fetch_bars(self._own(symbol), start)
            if frame is None or frame.empty:
                return f"{self.name} gave nothing for {symbol}."
            rows = as_traded(frame, symbol, self.name, problems)
            both = old.merge(rows, on="day")
            if not (abs(both["close_y"] / both["close_x"] - 1) > MOVED).any():
                break
        today = self._clock().astimezone(ZoneInfo(frame.attrs.get("zone") or self.zone)).date()
        whole = rows["day"] < pd.Timestamp(today)
        # What is known stays, unless it was on another basis, and all was asked for anew.
        found = pd.concat([old, rows[whole]]).drop_duplicates("day", keep="last" if start is None else "first")
        found = found.sort_values("day", ignore_index=True)
        if not found.equals(old):
            first = rows["day"].iloc[0].date()
            known.unsaved = min(known.unsaved or first, first)
        known.bars, known.currency = found, frame.attrs.get("currency", "USD")
        known.split = rows.loc[~whole, "split"].to_numpy().prod().item()
        if quote := frame.attrs.get("quote"):
            self._quotes[symbol] = quote
        return " ".join(f"{symbol}, {words}" for words in problems.describe())

    def _said(self, what: str, error: Exception) -> str:
        """Return in words what a source raised; where it was asked too often, leave it alone instead."""
        answer = getattr(error, "response", error)
        status = getattr(answer, "status_code", getattr(answer, "code", None))
        if status != 429 and "RateLimit" not in type(error).__name__:
            return failure(self.name, what, error)
        asked = str((getattr(answer, "headers", None) or {}).get("Retry-After", ""))
        with self._lock:
            if self._clock() >= self._until:
                self._pause = min(max(2 * self._pause, PAUSES[0]), PAUSES[1])
                pause = max(self._pause, float(asked) if asked.isdecimal() else 0)
                self._until = self._clock() + timedelta(seconds=pause)
        return ""

    def _quote(self, symbol: str) -> Quote | None:
        """Return the last trade with the close before, or the last whole day's close where that is newer."""
        known, quote = self._known.get(symbol) or Known(), self._quotes.get(symbol)
        rate, days = self._rates.get(known.currency), known.adjusted(quote=quote)
        if len(days) and (quote is None or quote.date < days["date"].iloc[-1].date()):
            last = days.iloc[-1]
            volume = None if math.isnan(last["volume"]) else last["volume"]
            quote = Quote(symbol=symbol, date=last["date"], price=last["close"], volume=volume)
        if quote is None or rate is None:
            return None
        before = days.loc[days["date"] < pd.Timestamp(quote.date), "close"]
        previous = quote.previous if quote.previous or before.empty else before.iloc[-1]
        return replace(quote, symbol=symbol, price=quote.price * rate, previous=previous and previous * rate)

"""What happens: each analyst's trades set over the real bars, and the statements that are made about them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sample_source.bars import LAST, Bars, price, rounded, tick
from sample_source.draw import Draw

SAME = {"raise": "stop", "retarget": "target", "resize": "size", "exit_stop": "exit", "exit_gain": "exit"} | {
    "exit_flat": "exit"
}
"""Which attribute of a trade a way of speaking is about; the others are their own."""

MONTHS = "January February March April May June July August September October November December".split()


_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(kw_only=True)
class Fact:
    """One thing that an analyst states, and later where it was said."""

    analyst: dict[str, Any]
    day: date
    symbol: str | None
    phrase: str
    """The list of phrases that says it, or "said" if it is written out."""
    value: str = ""
    """What answers a question about it."""
    words: dict[str, str] = field(default_factory=dict)
    trade: int = 0
    """The number of the analyst's trade, 0 for none."""
    said: dict[str, Any] = field(default_factory=dict)
    session: str = ""
    conversation: str = ""
    key: str = ""
    text: str = ""
    """The message it stands in, by its key and its whole text."""
    at: datetime = _NEVER
    ended: datetime = _NEVER
    """When its session was over."""
    echoed: str = ""
    """Who repeats the value in a later message: "", "user" or "assistant"."""
    insight: str = ""

    @property
    def attribute(self) -> str:
        """What it is about: stop, target, ..., or "said"."""
        return SAME.get(self.phrase, self.phrase)

    @property
    def name(self) -> str:
        """Who states it."""
        return str(self.analyst["name"])


class Trader:
    """One analyst's trades, each run against the bars: bought at an open, trailed, and sold where the bars say."""

    def __init__(self, analyst: dict[str, Any], bars: Bars) -> None:
        self.analyst, self.bars = analyst, bars
        self.draw = Draw(f"trades of {analyst['name']}")
        self.used: set[tuple[str, str]] = set()

    def facts(self) -> list[Fact]:
        """Give everything stated about all trades, oldest first."""
        found = [
            fact
            for number, (symbol, start, checks) in enumerate(self.analyst["trades"], 1)
            for fact in self._trade(number, symbol, date.fromisoformat(start), checks)
        ]
        return sorted(found, key=lambda fact: fact.day)

    def _fresh(self, symbol: str, value: float) -> float:
        """Give a price near the value that this analyst has not named for the symbol yet."""
        value = rounded(value)
        while (symbol, price(value)) in self.used:
            value = round(value + tick(value), 2)
        self.used.add((symbol, price(value)))
        return value

    def _trade(self, number: int, symbol: str, start: date, checks: list[int]) -> Iterator[Fact]:
        analyst, draw, bars = self.analyst, self.draw, self.bars
        day = bars.trading_day(start)
        earlier = bars.trading_day(day - timedelta(days=draw.whole(4, 9)))
        cost = bars.on(symbol, day).open
        down = analyst["stop_percent"] / 100 * (0.85 + draw.whole(0, 3) / 10)
        up = analyst["target_percent"] / 100 * (0.8 + draw.whole(0, 4) / 10)
        held = _Holding(
            analyst=analyst,
            symbol=symbol,
            number=number,
            cost=cost,
            stop=self._fresh(symbol, cost * (1 - down)),
            target=self._fresh(symbol, cost * (1 + up)),
            weight=f"{draw.one(analyst['sizes']):g}",
        )
        self.used.add((symbol, price(cost)))
        if draw.chance(0.75) and len(bars.before(symbol, earlier)) > 20:
            level = self._fresh(symbol, bars.before(symbol, earlier)[-1].close * 0.975)
            yield held.fact("level", price(level), earlier)
        yield held.fact("entry", price(cost), day, n=str(draw.one(analyst["shares"])))
        yield held.fact("size", held.weight, day)
        yield held.fact("stop", price(held.stop), day)
        yield held.fact("target", price(held.target), day)
        if draw.chance(0.7):
            yield self._call(held, day, cost, higher=True)

        days = sorted({bars.trading_day(day + timedelta(days=days)) for days in checks})
        reviews = [bars.trading_day(date.fromisoformat(text)) for text in analyst["reviews"]]
        for at in sorted({*days, *(r for r in reviews if day < r < days[-1])}):
            sold = self._sold(held, day, at)
            if sold or at == days[-1]:
                cost_now = bars.on(symbol, at).open
                phrase = "exit_gain" if cost_now > cost * 1.04 else "exit_flat"
                yield sold or held.fact(phrase, price(cost_now), at)
                if sold and sold.phrase == "exit_stop" and draw.chance(0.7):
                    yield self._call(held, at, cost_now, higher=False)
                return
            yield from self._moved(held, at)
            day = at

    def _sold(self, held: "_Holding", since: date, at: date) -> Fact | None:
        """Say whether the bars between two talks reached the stop, or the target."""
        for bar in self.bars.between(held.symbol, since, at):
            if bar.low < held.stop - 0.01:
                fill = min(held.stop, bar.open)
                return held.fact("exit_stop", price(fill - min(fill - bar.low, max(0.01, fill * 0.0004))), at)
            if bar.high > held.target + 0.01 and not self.draw.chance(0.4):
                fill = max(held.target, bar.open)
                return held.fact("exit_gain", price(fill + min(bar.high - fill, max(0.01, fill * 0.0004))), at)
        return None

    def _moved(self, held: "_Holding", at: date) -> Iterator[Fact]:
        """Change at least one of stop, target and weight."""
        draw, before = self.draw, (held.stop, held.target)
        close = self.bars.before(held.symbol, at)[-1].close
        higher = max(held.stop * 1.012, close * (1 - self.analyst["stop_percent"] / 100 * 0.8))
        if higher < close * 0.985 and (close > held.cost or draw.chance(0.5)):
            held.stop = self._fresh(held.symbol, higher)
            yield held.fact("raise", price(held.stop), at, q=price(before[0]))
        if close > held.target * 0.95 or draw.chance(0.35):
            held.target = self._fresh(held.symbol, max(held.target, close) * (1.02 + draw.whole(0, 4) / 100))
            yield held.fact("retarget", price(held.target), at, q=price(before[1]))
        if before == (held.stop, held.target) or draw.chance(0.3):
            held.weight = draw.one([size for size in _steps(self.analyst["sizes"]) if size != held.weight])
            yield held.fact("resize", held.weight, at)
        if draw.chance(0.25):
            yield self._call(held, at, close, higher=True)

    def _call(self, held: "_Holding", day: date, close: float, *, higher: bool) -> Fact:
        """Make a forecast for the end of a month, two to five months on."""
        month = day.month + self.draw.whole(2, 5)
        share = self.draw.whole(4, 14) / 100
        value = self._fresh(held.symbol, close * (1 + share if higher else 1 - share / 2))
        return held.fact("call", price(value), day, d="above" if higher else "below", m=MONTHS[(month - 1) % 12])


@dataclass(kw_only=True)
class _Holding:
    """A trade while it is open."""

    analyst: dict[str, Any]
    symbol: str
    number: int
    cost: float
    stop: float
    target: float
    weight: str

    def fact(self, phrase: str, value: str, day: date, **words: str) -> Fact:
        """State something about it."""
        return Fact(
            analyst=self.analyst,
            day=day,
            symbol=self.symbol,
            phrase=phrase,
            value=value,
            words=words,
            trade=self.number,
        )


def _steps(sizes: list[float]) -> list[str]:
    """Give the sizes of an analyst and the ones between, as they are said."""
    middles = [round((a + b) / 2, 2) for a, b in pairwise(sizes)]
    return [f"{size:g}" for size in sorted({*sizes, *middles, sizes[0] / 2})]


def written(analyst: dict[str, Any]) -> list[Fact]:
    """Give what the analyst's file writes out; the day is the first of the month if only that is given."""
    found = []
    for said in analyst["say"]:
        exact = len(said["when"]) > 7
        found.append(
            Fact(
                analyst=analyst,
                day=date.fromisoformat(said["when"] if exact else said["when"] + "-01"),
                symbol=said.get("symbol"),
                phrase="said",
                value=said["answer"],
                said=said,
            )
        )
    return found


@dataclass(kw_only=True)
class Session:
    """One sitting of one analyst with the assistant."""

    analyst: dict[str, Any]
    day: date
    symbol: str | None
    kind: str
    """trade, review, chat (statements without a trade) or desk (nothing worth remembering)."""
    facts: list[Fact] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The session's id, such as mara-2011-03-18."""
        return f"{self.analyst['name'].lower()}-{self.day}"

    @property
    def conversation(self) -> str:
        """The analyst and the theme: clusters for statistics."""
        theme = self.kind if self.kind in {"review", "desk"} else self.symbol or "rules"
        return f"{self.analyst['name'].lower()}-{theme.lower()}"


def sessions(analyst: dict[str, Any], bars: Bars, desks: int) -> list[Session]:
    """Set an analyst's statements into sessions, a day each, and add some sessions in which nothing is stated."""
    draw = Draw(f"sessions of {analyst['name']}")
    found: dict[date, Session] = {}
    for text in analyst["reviews"]:
        day = bars.trading_day(date.fromisoformat(text))
        found[day] = Session(analyst=analyst, day=day, symbol=None, kind="review")
    for fact in Trader(analyst, bars).facts():
        made = Session(analyst=analyst, day=fact.day, symbol=fact.symbol, kind="trade")
        found.setdefault(fact.day, made).facts.append(fact)
    for fact in written(analyst):
        if fact.day.day > 1:
            day = bars.trading_day(fact.day)
        else:
            inside = [s for s in found.values() if (s.day.year, s.day.month) == (fact.day.year, fact.day.month)]
            inside = [s for s in inside if sum(f.phrase == "said" for f in s.facts) < (4 if s.kind == "review" else 1)]
            same = [s for s in inside if fact.symbol and s.symbol == fact.symbol]
            fitting = same or [s for s in inside if s.kind == "review"]
            some = bars.trading_day(fact.day + timedelta(days=draw.whole(1, 25)))
            day = fitting[0].day if fitting else some
        fact.day = day
        made = Session(analyst=analyst, day=day, symbol=fact.symbol, kind="chat")
        found.setdefault(day, made).facts.append(fact)
    span = (LAST - date(2011, 3, 7)).days
    while desks:
        day = bars.trading_day(date(2011, 3, 7) + timedelta(days=draw.whole(0, span - 5)))
        if day not in found:
            found[day] = Session(analyst=analyst, day=day, symbol=None, kind="desk")
            desks -= 1
    for session in found.values():  # why first, then at which prices, then what else is on somebody's mind
        session.facts.sort(key=lambda f: 1 if f.trade else 0 if f.said["kind"] == "thesis" else 2)
    return sorted(found.values(), key=lambda session: session.day)

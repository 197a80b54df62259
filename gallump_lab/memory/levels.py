"""Stops, targets, entries, positions, sizes, forecasts: what a clause states of a symbol that a newer one replaces.

Wrong is worse than nothing: a clause teaches a value only if each of its words is one of the lexicon's, so that there
is one way to read it. Anything else, a name, a doubt, a comparison, leaves it a sentence to remember.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gallump_lab.memory import lexicon
from gallump_lab.memory.records import Kind
from gallump_lab.reading.dates import Named, times
from gallump_lab.reading.numbers import numbers
from gallump_lab.reading.periods import Horizon, deadline

Spans = Callable[[str], Sequence[tuple[int, int, str]]]
"""Returns where a text names symbols: start, stop and symbol of each."""

VALUED = frozenset({"stop", "target", "entry level", "position", "size", "forecast", "support", "resistance"})
"""Attributes of a symbol of which the newest holds."""
_KINDS: dict[str | None, Kind] = {"position": "position", "size": "position", None: "position", "forecast": "thesis"}

_Stated = tuple[str | None, str]
"""An attribute and its value; no attribute for what replaces nothing, such as the sale of a part."""


@dataclass(frozen=True, kw_only=True)
class Stance:
    """What a clause states of a symbol."""

    text: str
    """The clause, or clauses, in its author's words."""
    symbol: str
    attribute: str | None
    """None for what replaces nothing, such as the sale of a part."""
    value: str
    until: datetime | None = None

    @property
    def kind(self) -> Kind:
        """The kind of insight that it makes."""
        return _KINDS.get(self.attribute, "level")


def claims(text: str, about: str | None, at: datetime, spans: Spans) -> list[Stance]:
    """Return what a statement claims of symbols, in its order; of an attribute that it corrects, the last.

    Parameters
    ----------
    text : str
        A sentence, or several of which one corrects the other.
    about : str, optional
        The symbol that was spoken of before it.
    at : datetime
        When it was said, in the time zone whose days count: a month or day without a year is the next one.
    spans : callable
        Returns where a text names symbols: start, stop and symbol of each.

    Examples
    --------
    >>> aapl = lambda text: [(m.start(), m.end(), "AAPL") for m in re.finditer("AAPL", text)]
    >>> [(each.attribute, each.value) for each in claims("AAPL stop 180, no wait, 185", None, datetime.now(UTC), aapl)]
    [('stop', '185')]
    """
    limit = deadline(text, at)
    bare = _without(text, [limit] if limit else [])
    if lexicon.DOUBTS.search(bare) or lexicon.QUOTED.search(bare):
        return []
    bare = lexicon.WHEN.sub(lambda when: " " * len(when[0]), _without(bare, times(bare, at.date())))
    whole = _Clause(bare, spans)
    about = whole.symbols[0] if len(whole.symbols) == 1 else about
    planned = _planned(whole) if about and len(whole.symbols) < 2 and whole.understood else None
    if about and planned:
        found = [Stance(text=text, symbol=about, attribute=planned[0], value=planned[1])]
    else:
        found = _read(text, bare, about, spans, text[limit.start : limit.stop].rstrip(".") if limit else None)
    until = limit.over(at.tzinfo) if limit else None
    return [replace(each, until=until) for each in found if each.value]


def understood(text: str) -> bool:
    """Return whether each word of a text is one that levels and trades are told with."""
    return _Clause(text, lambda _: ()).understood


class _Clause:
    """A clause as words, of which those that are understood have meanings."""

    def __init__(self, text: str, spans: Spans) -> None:
        named = spans(text)
        spelt = _spelt(text, named)
        self.text = text
        self.symbols = [*dict.fromkeys(symbol for _, _, symbol in named)]
        self.words = lexicon.TOKEN.findall(spelt)
        self._meanings: list[frozenset[str]] = [lexicon.MEANS.get(word, frozenset()) for word in self.words]
        self.means = frozenset().union(*self._meanings)
        known = all(word in lexicon.MEANS or word[0].isupper() for word in self.words)
        self.understood = known and not lexicon.APART.search(spelt)
        self.prices = {place: word[1:] for place, word in enumerate(self.words) if word[0] == "N"}
        """By their places among the words."""
        self.percents = [word[1:] for word in self.words if word[0] == "P"]
        said = (word for word, means in zip(self.words, self._meanings, strict=True) if "attribute" in means)
        self.attributes = [*dict.fromkeys(lexicon.ATTRIBUTES.get(word, word.strip("_")) for word in said)]

    def only(self, meaning: str) -> bool:
        """Return whether every word has a meaning."""
        said = zip(self.words, self._meanings, strict=True)
        return bool(self.words) and all(meaning in means or word in {"that", "it"} for word, means in said)

    def after(self, place: int, meaning: str) -> bool:
        """Return whether the word before a place has a meaning; symbols are passed over."""
        before = [means for word, means in zip(self.words[:place], self._meanings, strict=False) if word != "S"]
        return bool(before) and meaning in before[-1]

    def price(self) -> str | None:
        """Return the one price that holds, without those that gave way to another; None where that is not one."""
        values = {
            value
            for place, value in self.prices.items()
            if not self.after(place, "old") and lexicon.GIVES_WAY.isdisjoint(self.words[place + 1 : place + 2])
        }
        return values.pop() if len(values) == 1 else None

    def paid(self) -> list[int]:
        """Return the places of what is told as a price: "at 180", "from 180"."""
        return [place for place in self.prices if self.after(place, "price")]


def _spelt(text: str, named: Sequence[tuple[int, int, str]]) -> str:
    """Write a clause in lower case: S for a symbol, N and P for a price and a percentage, ? for other numbers."""
    marks = [(start, stop, "S") for start, stop, _ in named]
    for each in numbers(text):
        if not any(start <= each.start < stop for start, stop, _ in marks):
            kind = {"": "N", "%": "P"}.get(each.unit) if each.value and each.value > 0 else None
            marks.append((each.start, each.stop, f"{kind}{each}" if kind else "?"))
    found, place = "", 0
    for start, stop, mark in sorted(marks):
        found += f"{text[place:start].lower()} {mark} "
        place = stop
    found = (found + text[place:].lower()).replace("\u2019", "'").replace("\u2192", "->")
    for pattern, name in lexicon.PHRASES:
        found = pattern.sub(name, found)
    return found


def _without(text: str, parts: Iterable[Horizon | Named]) -> str:
    """Put spaces in the place of parts of a text."""
    for each in parts:
        text = text[: each.start] + " " * (each.stop - each.start) + text[each.stop :]
    return text


def _read(text: str, bare: str, about: str | None, spans: Spans, ends: str | None) -> list[Stance]:
    """Read a statement clause by clause; `bare` is the text with spaces in the place of its dates.

    `ends` names until when it holds.
    """
    found: list[Stance] = []
    topic: Stance | None = None  # what a bare number after it would go on with
    begun, taken_back = 0, False
    for start, stop in _pieces(bare):
        clause = _Clause(bare[start:stop], spans)
        if lexicon.OPTIONS.search(clause.text):  # whose a level after it is, nobody knows
            about = None
        elif clause.symbols:
            about = clause.symbols[0] if len(clause.symbols) == 1 else None
        if topic and clause.only("anew"):
            taken_back = True
            continue
        if not clause.understood or about is None:
            if topic and clause.prices and lexicon.BACK.match(clause.text):
                found.remove(topic)
            topic = None
            continue
        stated = _forecast(clause, ends) or _levelled(clause) or _traded(clause) or _planned(clause) or _weighed(clause)
        goes_on = False
        if stated is None and topic:
            other = about != topic.symbol
            stated = _continued(clause, topic, other=other, taken_back=taken_back)
            goes_on = (stated is not None or taken_back) and not (stated and other)
            if goes_on:
                found.remove(topic)
        begun = begun if goes_on else start
        if stated:
            said = text[begun:stop].strip()
            claim = Stance(text=said, symbol=about, attribute=stated[0], value=stated[1])
            found.append(claim)
            topic = claim if claim.value or not topic else None
        else:
            topic = None
        taken_back = False
    return [each for each in found if not (taken_back and each is topic)]


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Cut a statement into clauses, also before a second attribute with a number of its own: "SL 431 TP 505"."""
    start = 0
    for begin, end in [*(match.span() for match in lexicon.CLAUSE.finditer(text)), (len(text), len(text))]:
        if text[start:begin].strip():
            yield start, begin
        start = end


def _planned(clause: _Clause) -> _Stated | None:
    """Recognise a level at which something is to be done: "if it loses 24 I'm out", "sell at 480", "buy under 27"."""
    means, price = clause.means, clause.price()
    if price is None or clause.attributes or len(clause.prices) > 1:
        return None
    if means & {"leave", "sell"} and "down" in means and "part" not in means:
        return "stop", price
    if "sell" in means and not means & {"down", "part"}:
        return "target", price
    return ("entry level", price) if "buy" in means and not means & {"sell", "sold"} else None


def _levelled(clause: _Clause) -> _Stated | None:
    """Recognise a level by its name: "my stop is 420", "500 target", "no stop any more"."""
    if len(clause.attributes) != 1:
        return None
    (attribute,), means, value = clause.attributes, clause.means, clause.price() or ""
    if "if" in means or (attribute == "stop" and "i'd" in clause.words) or ("plural" in means and not clause.symbols):
        return None
    if attribute == "stop" and "_hit" in clause.words and value:
        return "position", f"closed at {value}"
    if attribute == "stop" and not value:
        if "trail" in means and len(clause.percents) == 1:
            value = f"{clause.percents[0]}% trailing"
        elif "even" in means:
            value = "breakeven"
    if not value and not clause.prices and not clause.percents and "remove" in means:
        value = "none"
    return attribute, value


def _traded(clause: _Clause, *, bought: bool = False) -> _Stated | None:
    """Recognise what was done, as against what is planned: bought, sold, a part of it sold."""
    means, prices = clause.means, clause.prices
    if clause.attributes or "later" in means or _market(clause):
        return None
    paid = clause.paid()
    if not paid and len(prices) == 1 and "." in min(prices.values()):
        paid = [*prices]
    others = [value for place, value in prices.items() if place not in paid[-1:]]
    price = f" at {prices[paid[-1]]}" if paid else ""
    counts = [value for value in others if "." not in value or paid]
    if len(counts) < len(others) or means & {"down", "up"}:
        return None
    if ("part" in means and means & {"reduced", "sold"}) or ("sold" in means and len(counts) == 2):
        return None, f"reduced{price}"
    if "sold" in means:  # so many of them may be all or a part
        return (None, f"sold {counts[0]}{price}") if counts and "all" not in means else ("position", f"closed{price}")
    if (bought or "bought" in means) and len(counts) < 2:
        return "position", f"{' '.join(counts)}{price}".strip()
    return None


def _market(clause: _Clause) -> bool:
    """Return whether a company, or the market, is who deals: "AAPL closed at 441"."""
    if "closed" in clause.words and not {*clause.words} & {"i", "we", "my", "our", "position", "trade", "S"}:
        return True
    does = {"bought", "sold", "closed", "added", "booked", "own", "paid"}
    return any(one == "S" and other in does for one, other in zip(clause.words, clause.words[1:], strict=False))


def _weighed(clause: _Clause) -> _Stated | None:
    """Recognise a position's weight: "FB is 6% of my book"."""
    if "book" not in clause.means or len(clause.percents) != 1 or clause.prices:
        return None
    return "size", f"{clause.percents[0]}%"


def _forecast(clause: _Clause, ends: str | None) -> _Stated | None:
    """Recognise where a price is expected: "above 900 by December"."""
    means, price = clause.means, clause.price()
    away = means & {"bought", "sold", "buy", "sell", "leave", "remove", "if", "reduced"}
    if price is None or clause.attributes or away or not (ends or ("expect" in means and means & {"up", "down"})):
        return None
    way = "below " if "down" in means else "above " if "_expect" in clause.words else ""
    way = "above " if "up" in means else way
    return "forecast", f"{way}{price}" + (f" {ends}" if ends else "")


def _continued(clause: _Clause, topic: Stance, *, other: bool, taken_back: bool) -> _Stated | None:
    """Recognise a value that goes on with what was said: "no wait, 185", "and on MSFT 26", "150 at 214.30".

    `other` tells whether it is of another symbol.
    """
    price, attribute = clause.price(), topic.attribute
    if attribute == "position":
        if taken_back:
            return None if other else _corrected(clause, topic, price)
        return (None if other else _completed(clause, topic, price)) or _traded(clause, bought=not topic.value)
    if price is None or clause.attributes or clause.means & {"bought", "sold", "buy", "sell"}:
        return None
    if "shares" in clause.means:  # how many, not where
        return None if other else (attribute, topic.value)
    if other or not topic.value or taken_back or "anew" in clause.means:
        return attribute, price
    return attribute, ""  # one of two


def _corrected(clause: _Clause, topic: Stance, price: str | None) -> _Stated | None:
    """Recognise what holds of a trade after all: "sorry, 80 shares, not 60", "no wait, at 341"."""
    held, at, paid = topic.value.partition(" at ")
    if price and "shares" in clause.means:
        return "position", f"{price}{at}{paid}"
    return ("position", f"{held} at {price}") if price and [*clause.prices][-1] in clause.paid() else None


def _completed(clause: _Clause, topic: Stance, price: str | None) -> _Stated | None:
    """Recognise the rest of a trade: its price, or how many."""
    value = topic.value
    if price and value == "closed":
        return "position", f"closed at {price}"
    if price and value.startswith("at ") and "shares" in clause.means:
        return "position", f"{price} {value}"
    if price and value.replace(".", "").isdigit() and [*clause.prices][-1] in clause.paid():
        return "position", f"{value} at {price}"
    return None

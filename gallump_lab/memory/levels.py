"""Stops, targets, entries, positions, sizes, forecasts: what a clause states of a symbol that a newer one replaces.

Wrong is worse than nothing: a clause teaches a value only if each of its words is one of those below, so that there is
one way to read it. Anything else, a name, a doubt, a comparison, leaves it a sentence to remember.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gallump_lab.memory import lexicon
from gallump_lab.memory.records import Kind
from gallump_lab.reading.dates import Named, times
from gallump_lab.reading.horizons import DEADLINES, Horizon, horizons
from gallump_lab.reading.numbers import numbers
from gallump_lab.reading.periods import DAY, midnight

Spans = Callable[[str], Sequence[tuple[int, int, str]]]
"""Gives where a text names symbols: start, stop and symbol of each."""

VALUED = frozenset({"stop", "target", "entry level", "position", "size", "forecast", "support", "resistance"})
"""Attributes of a symbol of which the newest holds."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a clause states of a symbol."""

    text: str
    """The clause, or clauses, in its author's words."""
    symbol: str
    kind: Kind
    attribute: str | None
    """None for what replaces nothing, such as the sale of a part."""
    value: str
    until: datetime | None = None


_KINDS: dict[str | None, Kind] = {"position": "position", "size": "position", None: "position", "forecast": "thesis"}


@dataclass(frozen=True, kw_only=True)
class _Figure:
    """A number of a clause."""

    value: str
    place: int
    """Of its word in the clause."""
    whole: bool


class _Clause:
    """A clause as words, of which those that are understood have meanings.

    Parameters
    ----------
    text : str
        Its author's words.
    spans : callable
        Gives where a text names symbols: start, stop and symbol of each.
    """

    def __init__(self, text: str, spans: Spans) -> None:
        self.text = text
        named = spans(text)
        self.symbols = [*dict.fromkeys(symbol for _, _, symbol in named)]
        spelt = _spelt(text, named)
        self.words = lexicon.TOKEN.findall(spelt)
        self.means = {meaning for word in self.words for meaning in lexicon.MEANS.get(word, ())}
        self.understood = all(
            word in lexicon.MEANS or word[0].isupper() for word in self.words
        ) and not lexicon.APART.search(spelt)
        self.prices: list[_Figure] = []
        self.percents: list[_Figure] = []
        for place, word in enumerate(self.words):
            if word[0] in "NP":
                figure = _Figure(value=word[1:], place=place, whole="." not in word)
                (self.prices if word[0] == "N" else self.percents).append(figure)
        self.attributes = [
            *dict.fromkeys(map(_attribute, filter(lambda word: self._is(word, "attribute"), self.words)))
        ]

    @staticmethod
    def _is(word: str, meaning: str) -> bool:
        return meaning in lexicon.MEANS.get(word, ())

    def only(self, meaning: str) -> bool:
        """Return whether every word has a meaning."""
        return all(self._is(word, meaning) or word in {"that", "it"} for word in self.words)

    def near(self, figure: _Figure, meaning: str, step: int = -1) -> bool:
        """Return whether the word before a number, or after it, has a meaning; symbols are passed over."""
        place = figure.place + step
        while 0 <= place < len(self.words) and self.words[place] == "S":
            place += step
        return 0 <= place < len(self.words) and self._is(self.words[place], meaning)

    def price(self) -> str | None:
        """Return the one price that holds, without those that gave way to another; None where that is not one."""
        newer = [
            each
            for each in self.prices
            if not self.near(each, "old") and self.words[each.place + 1 : each.place + 2] not in lexicon.GIVES_WAY
        ]
        values = {each.value for each in newer}
        return values.pop() if len(values) == 1 else None


def _spelt(text: str, named: Sequence[tuple[int, int, str]]) -> str:
    """Write a clause in lower case: S for a symbol, N and P for a price and a percentage, ? for other numbers."""
    marks = [(start, stop, "S") for start, stop, _ in named]
    for each in numbers(text):
        if any(start <= each.start < stop for start, stop, _ in marks):
            continue
        kind = "N" if each.unit == "" else "P" if each.unit == "%" else "?"
        sure = each.value is not None and each.value > 0
        marks.append((each.start, each.stop, f"{kind}{each}" if sure and kind != "?" else "?"))
    found, place = "", 0
    for start, stop, mark in sorted(marks):
        found += f"{text[place:start].lower()} {mark} "
        place = stop
    found = (found + text[place:].lower()).replace("\u2019", "'").replace("\u2192", "->")
    for pattern, name in lexicon.PHRASES:
        found = pattern.sub(name, found)
    return found


def _attribute(word: str) -> str:
    return lexicon.ATTRIBUTES.get(word, word.strip("_"))


def claims(text: str, about: str | None, at: datetime, spans: Spans) -> list[Claim]:
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
        Gives where a text names symbols: start, stop and symbol of each.

    Examples
    --------
    >>> aapl = lambda text: [(m.start(), m.end(), "AAPL") for m in re.finditer("AAPL", text)]
    >>> [(each.attribute, each.value) for each in claims("AAPL stop 180, no wait, 185", None, datetime.now(UTC), aapl)]
    [('stop', '185')]
    """
    limit = next((each for each in horizons(text, at) if each.lead in DEADLINES), None)
    bare = _without(text, [limit] if limit else [])
    if lexicon.DOUBTS.search(bare) or lexicon.QUOTED.search(bare):
        return []
    bare = lexicon.WHEN.sub(lambda when: " " * len(when[0]), _without(bare, times(bare, at.date())))
    whole = _Clause(bare, spans)
    about = whole.symbols[0] if len(whole.symbols) == 1 else about
    planned = _planned(whole, about) if len(whole.symbols) < 2 and whole.understood else None
    if planned:
        found = [replace(planned, text=text)]
    else:
        found = _Reading(text, about, spans, limit.name if limit else None).read(bare)
    until = midnight(limit.until + DAY, at.tzinfo) if limit else None
    return [replace(each, until=until) for each in found if each.value]


def _without(text: str, parts: Iterable[Horizon | Named]) -> str:
    """Put spaces in the place of parts of a text."""
    for each in parts:
        text = text[: each.start] + " " * (each.stop - each.start) + text[each.stop :]
    return text


def understood(text: str) -> bool:
    """Return whether each word of a text is one that levels and trades are told with."""
    return _Clause(text, lambda _: ()).understood


class _Reading:
    """A statement that is read clause by clause.

    Parameters
    ----------
    text : str
        Its author's words.
    about : str, optional
        The symbol that is spoken of at its beginning.
    spans : callable
        As in `claims`.
    ends : str, optional
        Until when it holds, by name.
    """

    def __init__(self, text: str, about: str | None, spans: Spans, ends: str | None) -> None:
        self._text, self._about, self._spans, self._ends = text, about, spans, ends
        self._found: list[Claim] = []
        self._topic: Claim | None = None  # what a bare number after it would go on with
        self._begun = 0
        self._taken_back = False

    def read(self, bare: str) -> list[Claim]:
        """Return the claims; `bare` is the text with spaces in the place of its dates."""
        for start, stop in _pieces(bare):
            clause = _Clause(bare[start:stop], self._spans)
            if clause.symbols:
                self._about = clause.symbols[0] if len(clause.symbols) == 1 else None
            self._hear(clause, start, stop)
        if self._topic and self._taken_back:
            self._found.remove(self._topic)
        return self._found

    def _hear(self, clause: "_Clause", start: int, stop: int) -> None:
        topic = self._topic
        if lexicon.OPTIONS.search(clause.text):  # whose a level after it is, nobody knows
            self._about = None
        about = self._about
        if topic and clause.words and clause.only("anew"):
            self._taken_back = True
            return
        if not clause.understood or about is None:
            if topic and clause.prices and lexicon.BACK.match(clause.text):
                self._found.remove(topic)
            self._topic = None
            return
        claim = _forecast(clause, about, self._ends) or _claim(clause, about)
        if claim is None and topic:
            claim = _continued(clause, about, topic, taken_back=self._taken_back)
            if (claim or self._taken_back) and (claim is None or claim.symbol == topic.symbol):
                self._found.remove(topic)
                start = self._begun
        if claim:
            claim = replace(claim, text=self._text[start:stop].strip())
            self._found.append(claim)
            self._begun = start
        self._topic = claim if claim and (claim.value or not topic) else None
        self._taken_back = False


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Cut a statement into clauses, also before a second attribute with a number of its own: "SL 431 TP 505"."""
    start = 0
    for match in lexicon.CLAUSE.finditer(text):
        if text[start : match.start()].strip():
            yield start, match.start()
        start = match.end()
    if text[start:].strip():
        yield start, len(text)


def _planned(clause: _Clause, about: str | None) -> Claim | None:
    """Recognise a level at which something is to be done: "if it loses 24 I'm out", "sell at 480", "buy under 27"."""
    means, price = clause.means, clause.price()
    if about is None or price is None or clause.attributes or len(clause.prices) > 1:
        return None
    if means & {"leave", "sell"} and "down" in means and not means & {"bought", "part"} - {"bought"}:
        return Claim(text=clause.text, symbol=about, kind="level", attribute="stop", value=price)
    if "sell" in means and "down" not in means and "part" not in means:
        return Claim(text=clause.text, symbol=about, kind="level", attribute="target", value=price)
    if "buy" in means and not means & {"sell", "sold"}:
        return Claim(text=clause.text, symbol=about, kind="level", attribute="entry level", value=price)
    return None


def _claim(clause: _Clause, about: str) -> Claim | None:
    return _levelled(clause, about) or _traded(clause, about) or _planned(clause, about) or _weighed(clause, about)


def _levelled(clause: _Clause, about: str) -> Claim | None:
    """Recognise a level by its name: "my stop is 420", "500 target", "no stop any more"."""
    if len(clause.attributes) != 1:
        return None
    (attribute,), means, value = clause.attributes, clause.means, clause.price() or ""
    if "if" in means or (attribute == "stop" and "i'd" in clause.words):
        return None
    if "plural" in means and not clause.symbols:
        return None
    if attribute == "stop" and "_hit" in clause.words and value:
        value = f"closed at {value}"
        return Claim(text=clause.text, symbol=about, kind="position", attribute="position", value=value)
    if attribute == "stop" and not value:
        if "trail" in means and len(clause.percents) == 1:
            value = f"{clause.percents[0].value}% trailing"
        elif "even" in means:
            value = "breakeven"
    if not value and not clause.prices and not clause.percents and "remove" in means:
        value = "none"
    kind = _KINDS.get(attribute, "level")
    return Claim(text=clause.text, symbol=about, kind=kind, attribute=attribute, value=value)


def _traded(clause: _Clause, about: str, *, bought: bool = False) -> Claim | None:
    """Recognise what was done, as against what is planned: bought, sold, a part of it sold."""
    means = clause.means
    if clause.attributes or "later" in means or _market(clause):
        return None
    paid = [each for each in clause.prices if clause.near(each, "price")]
    others = [each for each in clause.prices if each not in paid[-1:]]
    price = f" at {paid[-1].value}" if paid else ""
    if not paid and len(others) == 1 and not others[0].whole:
        price, others = f" at {others[0].value}", []
    counts = [each.value for each in others if each.whole or paid]
    if len(counts) < len(others) or means & {"down", "up"}:
        return None
    made = Claim(text=clause.text, symbol=about, kind="position", attribute="position", value="")
    if ("part" in means and means & {"reduced", "sold"}) or ("sold" in means and len(counts) == 2):
        return replace(made, attribute=None, value=f"reduced{price}")
    if "sold" in means:  # so many of them may be all or a part
        part = counts and "all" not in means
        return replace(
            made, attribute=None if part else "position", value=f"{f'sold {counts[0]}' if part else 'closed'}{price}"
        )
    if (bought or "bought" in means) and len(counts) < 2:
        return replace(made, value=f"{' '.join(counts)}{price}".strip())
    return None


def _market(clause: _Clause) -> bool:
    """Return whether a company, or the market, is who deals: "AAPL closed at 441"."""
    pairs = zip(clause.words, clause.words[1:], strict=False)
    if "closed" in clause.words and not {*clause.words} & {"i", "we", "my", "our", "position", "trade", "S"}:
        return True
    return any(
        one == "S" and other in {"bought", "sold", "closed", "added", "booked", "own", "paid"} for one, other in pairs
    )


def _weighed(clause: _Clause, about: str) -> Claim | None:
    """Recognise a position's weight: "FB is 6% of my book"."""
    if "book" not in clause.means or len(clause.percents) != 1 or clause.prices:
        return None
    value = f"{clause.percents[0].value}%"
    return Claim(text=clause.text, symbol=about, kind="position", attribute="size", value=value)


def _forecast(clause: _Clause, about: str, ends: str | None) -> Claim | None:
    """Recognise where a price is expected: "above 900 by December"."""
    means, price = clause.means, clause.price()
    away = means & {"bought", "sold", "buy", "sell", "leave", "remove", "if", "reduced"}
    if price is None or clause.attributes or away or not (ends or ("expect" in means and means & {"up", "down"})):
        return None
    way = (
        "above "
        if means & {"up"} or ("_expect" in clause.words and "down" not in means)
        else "below "
        if "down" in means
        else ""
    )
    value = f"{way}{price}" + (f" by {ends}" if ends else "")
    return Claim(text=clause.text, symbol=about, kind="thesis", attribute="forecast", value=value)


def _continued(clause: _Clause, about: str, topic: Claim, *, taken_back: bool) -> Claim | None:
    """Recognise a value that goes on with what was said: "no wait, 185", "and on MSFT 26", "150 at 214.30"."""
    price = clause.price()
    if topic.attribute == "position":
        return _corrected(clause, topic, price) if taken_back else _completed(clause, about, topic, price)
    if price is None or clause.attributes or clause.means & {"bought", "sold", "buy", "sell"}:
        return None
    if "shares" in clause.means:  # how many, not where
        return topic
    if about != topic.symbol or not topic.value or taken_back or "anew" in clause.means:
        return replace(topic, symbol=about, value=price)
    return replace(topic, value="")  # one of two


def _corrected(clause: _Clause, topic: Claim, price: str | None) -> Claim | None:
    """Recognise what holds of a trade after all: "sorry, 80 shares, not 60", "no wait, at 341"."""
    held, at, paid = topic.value.partition(" at ")
    if price and "shares" in clause.means:
        return replace(topic, value=f"{price}{at}{paid}")
    return replace(topic, value=f"{held} at {price}") if price and clause.near(clause.prices[-1], "price") else None


def _completed(clause: _Clause, about: str, topic: Claim, price: str | None) -> Claim | None:
    """Recognise the rest of a trade: its price, how many, or the next one."""
    value = topic.value
    if price and value == "closed":
        return replace(topic, value=f"closed at {price}")
    if price and value.startswith("at ") and "shares" in clause.means:
        return replace(topic, value=f"{price} {value}")
    if price and value.replace(".", "").isdigit() and clause.near(clause.prices[-1], "price"):
        return replace(topic, value=f"{value} at {price}")
    return _traded(clause, about, bought=not value)

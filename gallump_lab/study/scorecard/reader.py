"""Texts taken apart, and what the metrics know of a history: how rare words are, names, symbols, prices of the day."""

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from gallump_lab.lazy import np, regex
from gallump_lab.memory.records import Message
from gallump_lab.memory.statements import spoken
from gallump_lab.memory.text import plain, terms
from gallump_lab.memory.vectors import BUILT_IN
from gallump_lab.reading.dates import Named, times
from gallump_lab.reading.names import Symbols
from gallump_lab.reading.numbers import numbers
from gallump_lab.reading.periods import WORDS
from gallump_lab.study.scorecard.history import History, Stated

if TYPE_CHECKING:
    import pandas as pd

_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_SPELT = regex(
    rf"\b(?P<first>{'|'.join(WORDS)})(?:[- ](?P<second>{'|'.join(list(WORDS)[:9])}))?(?P<half> and a half)?"
    rf"(?:[- ](?P<scale>{'|'.join(_SCALES)}))?\b(?P<share>\s?(?:%|per ?cent\b))?",
    re.IGNORECASE,
)
_CLAUSE = regex(
    r"[.!?;:()\n]+(?=\s|$)|[,\u2013\u2014](?=\s)|\s[-(]|\s(?=(?:and|but|because|so|since|while|which|who|although|if|or"
    r"|unless|until)\s)",
    re.IGNORECASE,
)
_SENTENCE = regex(r"[.!?;\n]+(?=\s|$)")
_WORD = regex(r"[^\W\d_]+(?:[&.\u2019'-][^\W\d_]+)*")


class Amount(NamedTuple):
    """A number as it stands in a text."""

    value: float
    """As it is written, without its sign: 62 of "62 percent"."""
    share: float | None
    """As a fraction, where a percent sign or basis points say that it is one: 0.62."""
    text: str
    start: int
    stop: int

    def same(self, others: Iterable["Amount"]) -> bool:
        """Return whether one of others is the same; 0.62 is also 62 percent, and 3.4 is not 340."""
        return any(
            math.isclose(self.value, each.value, rel_tol=1e-6)
            or ((self.share, each.share) != (None, None) and math.isclose(self.fraction, each.fraction, rel_tol=1e-6))
            for each in others
        )

    @property
    def fraction(self) -> float:
        """Its share, where it is one, else its value."""
        return self.value if self.share is None else self.share


class Word(NamedTuple):
    """A word that says something."""

    term: str
    """Its stem, as recall matches it."""
    text: str
    start: int


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A text taken apart, in the order of the text."""

    text: str
    numbers: Sequence[Amount]
    dates: Sequence[Named]
    words: Sequence[Word]
    clauses: Sequence[tuple[int, int]]


@lru_cache(maxsize=50_000)
def read(text: str, said: date) -> Reading:
    """Take a text apart.

    Parameters
    ----------
    text : str
        A statement or a message.
    said : datetime.date
        The day on which it was said; "yesterday" and dates without a year count from it.
    """
    dates = times(text, said)
    apart = text
    for each in dates:
        apart = _without(apart, each.start, each.stop)
    return Reading(
        text=text,
        numbers=_amounts(apart),
        dates=dates,
        words=[Word(term, m[0], m.start()) for m in _WORD.finditer(apart) for term in terms(m[0])],
        clauses=[*_cut(text, _CLAUSE)],
    )


def _without(text: str, start: int, stop: int) -> str:
    return f"{text[:start]}{' ' * (stop - start)}{text[stop:]}"


def _amounts(text: str) -> list[Amount]:
    """Return a text's numbers, in digits or in words."""
    found = []
    for each in numbers(text):
        if each.value is not None:
            parts = {"%": 100, "bps": 10_000}.get(each.unit)
            value = abs(each.value)
            share = value / parts if parts else None
            found.append(Amount(value, share, text[each.start : each.stop], each.start, each.stop))
    for amount in found:
        text = _without(text, amount.start, amount.stop)
    for match in _SPELT.finditer(text):
        if match[0].lower() != "one":  # "the best one"
            value = WORDS[match["first"].lower()] + WORDS.get((match["second"] or "").lower(), 0)
            value = (value + 0.5 * bool(match["half"])) * _SCALES.get((match["scale"] or "").lower(), 1)
            found.append(Amount(value, value / 100 if match["share"] else None, match[0], *match.span()))
    return sorted(found, key=lambda number: number.start)


def _cut(text: str, border: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    start = 0
    for match in border.finditer(text):
        if text[start : match.start()].strip():
            yield start, match.start()
        start = match.end() if not match[0].isspace() else match.start()
    if text[start:].strip():
        yield start, len(text)


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text at sentence ends, semicolons and line breaks."""
    return _cut(text, _SENTENCE)


@lru_cache(maxsize=50_000)
def bare(word: str) -> str:
    """Return a word without case, accents and possessive, as names are compared."""
    return re.sub(r"['\u2019]s?$", "", plain(word.casefold()))


BACK = 6
"""Where a message names no symbol, so many messages before it may say which is meant."""
FRESH = timedelta(days=10)
"""An older bar tells nothing of a day's prices."""
FEW = 1_000
"""Messages from which on a history tells how rare its words are."""
TELLING = 700.0
"""A word whose vector is so long tells all of its bits, as names of particular things do."""
RARE = 8.0
"""Bits that a word tells at most: what a history never said may be as common elsewhere."""
_NAME = regex(r"(?<![\w'\u2019])[A-Z][\w&]*(?:[-.][A-Z][\w&]*)*(?:['\u2019]s)?(?!\w)")
_INSIDE = regex(r"[\w,;'\u2019)] $")
_PIECE = regex(r"[^\W_]+(?:['\u2019][^\W_]+)?")

Prices = tuple[float, float, float, float]
"""A day's open, high, low and close."""


class Reader:
    """Reads insights against a history; the metrics share one.

    Parameters
    ----------
    history : History
        The recorded talk. How rare words are is estimated on all of it.
    bars : callable, optional
        From a symbol to its daily bars: date, open, high, low, close. With it a number may be a price of its day.
    """

    def __init__(self, history: History, bars: "Callable[[str], pd.DataFrame] | None" = None) -> None:
        self.history, self._bars = history, bars
        self.kept: dict[Any, Any] = {}
        """What metrics keep of an insight, or of a message by its id."""
        self.mentioned = cache(self._mentioned)
        self._prices = cache(self._read_prices)

    def of(self, message: Message) -> Reading:
        """Take a message apart."""
        return read(message.text, message.created_at.date())

    def stated(self, insight: Stated) -> Reading:
        """Take an insight apart; it speaks from the day of its newest source."""
        cited = self.history.cited(insight)
        return read(insight.text, (cited[-1].created_at if cited else insight.valid_from).date())

    def bits(self, term: str) -> float:
        """Return what a term's presence in a message tells, in bits: log2((n + 1) / (df + 1/2)), at least 0.

        Spärck Jones 1972, "A statistical interpretation of term specificity", with half a message for the unseen; n is
        `FEW` at least, since a short history cannot tell rare from common.
        """
        n = max(len(self.history.messages), FEW)
        return max(math.log2((n + 1) / (self._frequency[term] + 0.5)), 0)

    def told(self, word: Word) -> float:
        """Return what a word tells, in bits: its `bits`, at most `RARE`, times (length of its vector / `TELLING`)^2.

        The square of a word vector's length grows with what the word tells of its context (Oyama, Yokoi and Shimodaira
        2023, "Norm of Word Embedding Encodes Information Gain"), so "things" and "somehow" tell little even where a
        history has never used them. The factor is at most 1.
        """
        return min(self.bits(word.term), RARE) * min(_length(word.text.lower()) / TELLING, 1.0) ** 2

    @cached_property
    def _frequency(self) -> Counter[str]:
        messages = self.history.messages.values()
        return Counter(term for each in messages for term in {word.term for word in self.of(each).words})

    @cached_property
    def _symbols(self) -> Symbols:
        messages = [*self.history.messages.values()]
        return spoken(messages, {each.symbol for each in messages if each.symbol})

    def _mentioned(self, text: str) -> Sequence[str]:
        """Return the symbols that a text names, each once, in its order."""
        return self._symbols.all(text)

    def symbols(self, insight: Stated) -> Sequence[str]:
        """Return the symbols that an insight names, and its own."""
        own = [insight.symbol] if insight.symbol else []
        return list(dict.fromkeys([*self.mentioned(insight.text), *own]))

    def meant(self, message: Message) -> Sequence[str]:
        """Return the symbols that a message speaks of: what it names, else the last named before it, and its field."""
        return self._meant[message.message_id]

    @cached_property
    def _meant(self) -> Mapping[int, Sequence[str]]:
        found: dict[int, Sequence[str]] = {}
        for session in self.history.sessions.values():
            last: dict[str, tuple[int, Sequence[str]]] = {}
            for place, message in enumerate(session):
                named = self.mentioned(message.text)
                if named:
                    last[message.role] = place, named
                before, earlier = last.get(message.role, (place, ()))
                carried = [*(earlier if place - before <= BACK else ()), *filter(None, [message.symbol])]
                found[message.message_id] = named or list(dict.fromkeys(carried))
        return found

    def words(self, message: Message) -> frozenset[str]:
        """Return every word of a message, as names are compared."""
        return frozenset(bare(match[0]) for match in _PIECE.finditer(message.text))

    def later(self, message: Message, at: datetime) -> Sequence[Message]:
        """Return what the same one said after a message up to a moment, in order of arrival."""
        after, voice = (message.created_at, message.message_id), (message.speaker, message.role)
        return [
            each
            for each in self.history.messages.values()
            if (each.speaker, each.role) == voice
            if after < (each.created_at, each.message_id) and each.created_at <= at
        ]

    @cached_property
    def speakers(self) -> frozenset[str]:
        """The speakers' names, as names are compared."""
        return frozenset(bare(each.speaker) for each in self.history.messages.values() if each.speaker)

    def names(self, reading: Reading) -> list[str]:
        """Return the names in a statement: words with a capital, at its start only if they are known."""
        found = []
        for match in _NAME.finditer(reading.text):
            known = bare(match[0]) in self.speakers or self.mentioned(match[0])
            inside = _INSIDE.search(reading.text[: match.start()][-2:])
            dated = any(each.start < match.end() and match.start() < each.stop for each in reading.dates)
            if (known or inside) and not dated and match[0] != "I":
                found.append(match[0])
        return list(dict.fromkeys(found))

    def paid(self, number: Amount, symbols: Collection[str], days: Iterable[date]) -> bool:
        """Return whether a number is a symbol's open, high, low or close of one of the days, or of the bar before."""
        asked = [day - timedelta(days=back) for day in days for back in (0, 1)]
        prices = (price for symbol in symbols for day in asked for price in self.day(symbol, day) or ())
        return any(abs(price - number.value) < 0.0051 for price in prices)

    def day(self, symbol: str, day: date) -> Prices | None:
        """Return a symbol's last open, high, low and close up to a day; None without bars of the last days."""
        days, prices = self._prices(symbol)
        place = bisect_right(days, day) - 1
        return prices[place] if place >= 0 and day - days[place] <= FRESH else None

    def _read_prices(self, symbol: str) -> tuple[list[date], list[Prices]]:
        if self._bars is None:
            return [], []
        frame = self._bars(symbol)
        rows = frame[["open", "high", "low", "close"]].astype(float).itertuples(index=False, name=None)
        return [date(each.year, each.month, each.day) for each in frame["date"]], [*rows]


@lru_cache(maxsize=50_000)
def _length(word: str) -> float:
    """Return the length of a word's vector."""
    return float(np.linalg.norm(BUILT_IN.embed([word])[0].astype(np.float64)))

"""What the metrics know of a history, computed once: how rare words are, which names go with which symbol, readings."""

import math
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gallump_lab.memory.records import Message
from gallump_lab.memory.rules import ALIASES
from gallump_lab.memory.text import statement, terms
from gallump_lab.memory.vectors import BUILT_IN
from gallump_lab.study.scorecard.directions import pointers
from gallump_lab.study.scorecard.reading import Number, Reading, Word, bare, read, sentences
from gallump_lab.study.scorecard.stated import History, Score, Stated

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Bars = Callable[[str], "pd.DataFrame"]
"""Gives a symbol's daily bars: date, open, high, low, close; an unknown symbol has none."""

Prices = tuple[float, float, float, float]
"""A day's open, high, low and close."""

FEWEST, CHANCE = 5, 10.83
"""A word must go with a symbol in so many messages to become its name, and so much above chance (p 0.001)."""
SESSIONS = 3
"""And in so many sessions: the words of one talk go together by themselves."""
AS_MUCH = 0.4
"""A name goes with its symbol at least so strongly as the word that goes with it best."""
BACK = 6
"""Where a message names no symbol, so many messages before it may say which is meant."""
FRESH = timedelta(days=10)
"""An older bar tells nothing of a day's prices."""
_PRICES = ("open", "high", "low", "close")
LIKE, EQUAL = 0.35, 0.75
"""Two words whose cosine is below the first have nothing in common; above the second they mean the same."""
FEW = 1_000
"""Messages from which on a history tells how rare its words are."""
TELLING = 700.0
"""A word whose vector is so long tells all of its bits, as names of particular things do."""
RARE = 8.0
"""Bits that a word tells at most: what a history never said may be as common elsewhere."""
_NAME = re.compile(r"(?<![\w'\u2019])[A-Z][\w&]*(?:[-.][A-Z][\w&]*)*(?:['\u2019]s)?(?!\w)")
_SMALL = re.compile(r"(?<![\w'\u2019])[a-z][\w&]+")
_AFTER = re.compile(r"[\w,;'\u2019)] $")
_WORD = re.compile(r"[^\W_]+(?:[.-][^\W_]+)*")


class Reader:
    """Reads insights against a history; the metrics share one.

    Parameters
    ----------
    history : History
        The recorded talk. What it teaches (rarity of words, names of symbols) is estimated on all of it.
    bars : callable, optional
        From a symbol to its daily bars. With it a number may be a price that the market paid.
    """

    def __init__(self, history: History, bars: Bars | None = None) -> None:
        self.history, self._bars = history, bars
        self._prices: dict[str, tuple[list[date], list[Prices]]] = {}
        self.kept: dict[Stated, Any] = {}
        self.kept_values: dict[int, Any] = {}
        self.kept_scores: dict[tuple[str, Stated], Score] = {}
        self._mentioned: dict[str, list[str]] = {}
        self._words: dict[int, frozenset[str]] = {}
        self._vectors: dict[str, tuple[NDArray[np.float64], float]] = {}

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
        return min(self.bits(word.term), RARE) * min(self.length(word.text.lower()) / TELLING, 1.0) ** 2

    @cached_property
    def _frequency(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for message in self.history.messages.values():
            found.update({word.term for word in self.of(message).words})
        return found

    def said(self, stated: str) -> int:
        """Count how often the history has a sentence that states just that (`memory.text.statement`)."""
        return self._sentences[stated]

    @cached_property
    def _sentences(self) -> Counter[str]:
        return Counter(
            statement(message.text[start:stop])
            for message in self.history.messages.values()
            for start, stop in sentences(message.text)
        )

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The symbols that the history knows."""
        return frozenset(each.symbol for each in self.history.messages.values() if each.symbol)

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Learn which words name which symbol: few, but surely.

        What people say teaches it, not what an assistant says: its phrases go with whatever it was asked. A word is a
        name of the symbol in whose messages it stands most, if it is written as a name (`_a_name`), stands there in
        `SESSIONS` sessions or more, and their log-likelihood ratio (Dunning 1993, "Accurate methods for the statistics
        of surprise and coincidence") reaches `AS_MUCH` of the best word's. A symbol itself is its first name, and those
        of well-known companies count (`memory.rules.ALIASES`). The field may be another symbol than the one spoken of;
        that is noise.
        """
        total: Counter[str] = Counter()
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        sessions: dict[tuple[str, str], set[str]] = defaultdict(set)
        for message in self._people:
            if message.symbol:
                total[message.symbol] += 1
                for word in {bare(word.text) for word in self.of(message).words}:
                    seen[word][message.symbol] += 1
                    sessions[word, message.symbol].add(message.session_id)
        strength: dict[str, dict[str, float]] = defaultdict(dict)
        n = sum(total.values())
        for word, by in seen.items():
            symbol, together = min(by.items(), key=lambda each: (-each[1], each[0]))
            if together < FEWEST or len(sessions[word, symbol]) < SESSIONS or not self._a_name(word):
                continue
            if (ratio := _ratio(together, by.total(), total[symbol], n)) > CHANCE:
                strength[symbol][word] = ratio
        names = {symbol.casefold(): symbol for symbol in sorted(self.symbols)}
        names |= {name: symbol for name, symbol in ALIASES.items() if symbol in self.symbols and name not in names}
        for symbol, words in strength.items():
            best = max(words.values())
            for word, ratio in words.items():
                if ratio >= AS_MUCH * best:
                    names.setdefault(word, symbol)
        return names

    def _a_name(self, word: str) -> bool:
        """Return whether a word is a symbol, or is written with a capital, points nowhere and is no person."""
        large, small = self._written
        if word.upper() in self.symbols:
            return True
        return large[word] > small[word] and not pointers(word) and word not in self.speakers

    @cached_property
    def _people(self) -> Sequence[Message]:
        """The messages of people; an assistant has no name."""
        return [each for each in self.history.messages.values() if each.role == "user" or each.speaker is not None]

    @cached_property
    def _ordinary(self) -> frozenset[str]:
        """Symbols, in lower case, that are other words too: they count in capitals alone."""
        small: Counter[str] = Counter()
        own: Counter[str] = Counter()
        known = {symbol.casefold(): symbol for symbol in self.symbols}
        for message in self._people:
            for word in {match[0] for match in _WORD.finditer(message.text)} & known.keys():
                small[word] += 1
                own[word] += message.symbol == known[word]
        return frozenset(
            word for word in known if not terms(word) or pointers(word) or small[word] > max(2 * own[word], 1)
        )

    def mentioned(self, text: str) -> Sequence[str]:
        """Return the symbols that a text names, each once, in its order."""
        found = self._mentioned.get(text)
        if found is None:
            pairs = ((match[0], bare(match[0])) for match in _WORD.finditer(text))
            named = [
                self.aliases[word]
                for said, word in pairs
                if word in self.aliases and (word not in self._ordinary or said.isupper())
            ]
            found = self._mentioned[text] = list(dict.fromkeys(named))
        return found

    def meant(self, message: Message) -> Sequence[str]:
        """Return the symbols that a message speaks of: what it names, else the last named before it, or its field."""
        if named := self.mentioned(message.text):
            return named
        for earlier in reversed(self.around(message, BACK, 0)):
            if earlier.role == message.role and (named := self.mentioned(earlier.text)):
                return list(dict.fromkeys([*named, *([message.symbol] if message.symbol else [])]))
        return [message.symbol] if message.symbol else []

    def words(self, message: Message) -> frozenset[str]:
        """Return every word of a message, as names are compared."""
        found = self._words.get(message.message_id)
        if found is None:
            spelt = re.finditer(r"[^\W_]+(?:['\u2019][^\W_]+)?", message.text)
            found = self._words[message.message_id] = frozenset(bare(match[0]) for match in spelt)
        return found

    def later(self, message: Message, at: datetime) -> Sequence[Message]:
        """Return what the same one said after a message up to a moment, in order of arrival."""
        after = (message.created_at, message.message_id)
        return [
            each
            for each in self._by_voice[message.speaker, message.role]
            if after < (each.created_at, each.message_id) and each.created_at <= at
        ]

    @cached_property
    def _by_voice(self) -> Mapping[tuple[str | None, str], Sequence[Message]]:
        found: dict[tuple[str | None, str], list[Message]] = defaultdict(list)
        for message in self.history.messages.values():
            found[message.speaker, message.role].append(message)
        return found

    def around(self, message: Message, before: int, after: int) -> list[Message]:
        """Return a message's neighbours in its session."""
        session = self.history.sessions[message.session_id]
        place = self._place[message.message_id]
        return [*session[max(place - before, 0) : place], *session[place + 1 : place + 1 + after]]

    @cached_property
    def _place(self) -> Mapping[int, int]:
        return {
            each.message_id: place for session in self.history.sessions.values() for place, each in enumerate(session)
        }

    @cached_property
    def speakers(self) -> Mapping[str, str]:
        """The speakers' names, without case."""
        return {bare(each.speaker): each.speaker for each in self.history.messages.values() if each.speaker}

    @cached_property
    def _written(self) -> tuple[Counter[str], Counter[str]]:
        large: Counter[str] = Counter()
        small: Counter[str] = Counter()
        for message in self.history.messages.values():
            large.update(
                bare(m[0]) for m in _NAME.finditer(message.text) if _AFTER.search(message.text[: m.start()][-2:])
            )
            small.update(bare(m[0]) for m in _SMALL.finditer(message.text))
        return large, small

    def names(self, reading: Reading) -> list[str]:
        """Return the names in a statement: words with a capital, at its start only if the history writes them so."""
        large, small = self._written
        found = []
        for match in _NAME.finditer(reading.text):
            word = bare(match[0])
            inside = _AFTER.search(reading.text[: match.start()][-2:])
            known = word in self.aliases or word in self.speakers or large[word] > small[word]
            dated = any(each.start < match.end() and match.start() < each.stop for each in reading.dates)
            if not dated and word != "i" and (known or (inside and small[word] <= large[word])):
                found.append(match[0])
        return list(dict.fromkeys(found))

    def vector(self, word: str) -> "NDArray[np.float64]":
        """Return a word's vector, of length 1, or 0 where it has none."""
        return self._vector(word)[0]

    def length(self, word: str) -> float:
        """Return the length of a word's vector."""
        return self._vector(word)[1]

    def _vector(self, word: str) -> "tuple[NDArray[np.float64], float]":
        import numpy as np

        found = self._vectors.get(word)
        if found is None:
            row = BUILT_IN.embed([word])[0].astype(np.float64)
            length = float(np.sqrt(row @ row))
            found = self._vectors[word] = (row / length if length else row, length)
        return found

    def likeness(self, words: Sequence[str], others: Sequence[str]) -> "NDArray[np.float64]":
        """Return the cosine of each word with each of others."""
        import numpy as np

        if not words or not others:
            return np.zeros((len(words), len(others)))
        found: NDArray[np.float64] = (
            np.stack([self.vector(each) for each in words]) @ np.stack([self.vector(each) for each in others]).T
        )
        return np.rint(found * 1e9) / 1e9  # the same on every processor

    def paid(self, number: Number, symbols: Iterable[str], days: Iterable[date]) -> bool:
        """Return whether a number is a symbol's open, high, low or close of one of the days, or of the bar before."""
        asked = [day - timedelta(days=back) for day in days for back in (0, 1)]
        return any(
            abs(price - number.value) < 0.0051
            for symbol in symbols
            for day in asked
            for price in self.day(symbol, day) or ()
        )

    def day(self, symbol: str | None, day: date) -> Prices | None:
        """Return a symbol's last open, high, low and close up to a day; None without bars of the last days."""
        if self._bars is None or symbol is None:
            return None
        if symbol not in self._prices:
            frame = self._bars(symbol)
            rows = [
                (float(row[0]), float(row[1]), float(row[2]), float(row[3]))
                for row in frame[list(_PRICES)].itertuples(index=False)
            ]
            self._prices[symbol] = ([date(each.year, each.month, each.day) for each in frame["date"]], rows)
        days, rows = self._prices[symbol]
        place = bisect_right(days, day) - 1
        return rows[place] if place >= 0 and day - days[place] <= FRESH else None


def _ratio(together: int, word: int, symbol: int, n: int) -> float:
    """Return the log-likelihood ratio of a word and a symbol, negative where they shun each other."""
    expected = word * symbol / n
    cells = [
        (together, expected),
        (word - together, word - expected),
        (symbol - together, symbol - expected),
        (n - word - symbol + together, n - word - symbol + expected),
    ]
    found = 2 * sum(seen * math.log(seen / by_chance) for seen, by_chance in cells if seen and by_chance > 0)
    return found if together > expected else -found


def soft(cosine: float) -> float:
    """Return how far two words of that cosine mean the same, 0 to 1."""
    return min(max((cosine - LIKE) / (EQUAL - LIKE), 0.0), 1.0)

"""What the metrics know of a history, computed once: readings, how rare words are, names, prices of the day."""

import math
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gallump_lab.memory.records import Message
from gallump_lab.memory.statements import Symbols
from gallump_lab.memory.text import statement
from gallump_lab.memory.vectors import BUILT_IN
from gallump_lab.study.scorecard.prose import Amount, Reading, Word, bare, read, sentences
from gallump_lab.study.scorecard.stated import History, Stated

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Bars = Callable[[str], "pd.DataFrame"]
"""Gives a symbol's daily bars: date, open, high, low, close; an unknown symbol has none."""

Prices = tuple[float, float, float, float]
"""A day's open, high, low and close."""

BACK = 6
"""Where a message names no symbol, so many messages before it may say which is meant."""
FRESH = timedelta(days=10)
"""An older bar tells nothing of a day's prices."""
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
_INSIDE = re.compile(r"[\w,;'\u2019)] $")
_SPELT = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")


class Reader:
    """Reads insights against a history; the metrics share one.

    Parameters
    ----------
    history : History
        The recorded talk. What it teaches (rarity of words, names) is estimated on all of it.
    bars : callable, optional
        From a symbol to its daily bars. With it a number may be a price that the market paid.
    """

    def __init__(self, history: History, bars: Bars | None = None) -> None:
        self.history, self._bars = history, bars
        self.kept: dict[Stated, Any] = {}
        self.kept_values: dict[int, Any] = {}
        """What metrics keep of insights, and of messages."""
        self._prices: dict[str, tuple[list[date], list[Prices]]] = {}
        self._mentioned: dict[str, Sequence[str]] = {}
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
        _, length = self._vector(word.text.lower())
        return min(self.bits(word.term), RARE) * min(length / TELLING, 1.0) ** 2

    @cached_property
    def _frequency(self) -> Counter[str]:
        messages = self.history.messages.values()
        return Counter(term for each in messages for term in {word.term for word in self.of(each).words})

    def said(self, stated: str) -> int:
        """Count how often the history has a sentence that states just that (`memory.text.statement`)."""
        return self._sentences[stated]

    @cached_property
    def _sentences(self) -> Counter[str]:
        messages = self.history.messages.values()
        return Counter(statement(each.text[start:stop]) for each in messages for start, stop in sentences(each.text))

    @cached_property
    def _symbols(self) -> Symbols:
        messages = [*self.history.messages.values()]
        return Symbols(messages, {each.symbol for each in messages if each.symbol})

    def mentioned(self, text: str) -> Sequence[str]:
        """Return the symbols that a text names, each once, in its order."""
        if text not in self._mentioned:
            self._mentioned[text] = self._symbols.all(text)
        return self._mentioned[text]

    def symbols(self, insight: Stated) -> Sequence[str]:
        """Return the symbols that an insight names, and its own."""
        own = [insight.symbol] if insight.symbol else []
        return list(dict.fromkeys([*self.mentioned(insight.text), *own]))

    def meant(self, message: Message) -> Sequence[str]:
        """Return the symbols that a message speaks of: what it names, else the last named before it, and its field."""
        own = [message.symbol] if message.symbol else []
        if named := self.mentioned(message.text):
            return named
        before = (each for each in reversed(self.around(message, BACK, 0)) if each.role == message.role)
        named = next((named for each in before if (named := self.mentioned(each.text))), [])
        return list(dict.fromkeys([*named, *own]))

    def words(self, message: Message) -> frozenset[str]:
        """Return every word of a message, as names are compared."""
        return frozenset(bare(match[0]) for match in _SPELT.finditer(message.text))

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
        sessions = self.history.sessions.values()
        return {each.message_id: place for session in sessions for place, each in enumerate(session)}

    @cached_property
    def speakers(self) -> frozenset[str]:
        """The speakers' names, as names are compared."""
        return frozenset(bare(each.speaker) for each in self.history.messages.values() if each.speaker)

    @cached_property
    def _written(self) -> tuple[Counter[str], Counter[str]]:
        """How often words are written with a capital inside a sentence, and how often without."""
        large: Counter[str] = Counter()
        small: Counter[str] = Counter()
        for message in self.history.messages.values():
            text = message.text
            large.update(bare(m[0]) for m in _NAME.finditer(text) if _INSIDE.search(text[: m.start()][-2:]))
            small.update(bare(m[0]) for m in _SMALL.finditer(text))
        return large, small

    def names(self, reading: Reading) -> list[str]:
        """Return the names in a statement: words with a capital, at its start only if the history writes them so."""
        large, small = self._written
        found = []
        for match in _NAME.finditer(reading.text):
            word = bare(match[0])
            inside = _INSIDE.search(reading.text[: match.start()][-2:])
            known = word in self.speakers or self.mentioned(match[0]) or large[word] > small[word]
            dated = any(each.start < match.end() and match.start() < each.stop for each in reading.dates)
            if not dated and word != "i" and (known or (inside and small[word] <= large[word])):
                found.append(match[0])
        return list(dict.fromkeys(found))

    def _vector(self, word: str) -> "tuple[NDArray[np.float64], float]":
        """Return a word's vector, of length 1 or 0 where it has none, and the length that it had."""
        import numpy as np

        found = self._vectors.get(word)
        if found is None:
            row = BUILT_IN.embed([word])[0].astype(np.float64)
            length = float(np.sqrt(row @ row))
            found = self._vectors[word] = (row / length if length else row, length)
        return found

    def likeness(self, words: Sequence[str], others: Sequence[str]) -> "NDArray[np.float64]":
        """Return how far each word means the same as each of others, 0 to 1: by cosine, from `LIKE` to `EQUAL`."""
        import numpy as np

        if not words or not others:
            return np.zeros((len(words), len(others)))
        mine, theirs = (np.stack([self._vector(word)[0] for word in each]) for each in (words, others))
        cosine = np.rint(mine @ theirs.T * 1e9) / 1e9  # the same on every processor
        found: NDArray[np.float64] = np.clip((cosine - LIKE) / (EQUAL - LIKE), 0.0, 1.0)
        return found

    def paid(self, number: Amount, symbols: Iterable[str], days: Iterable[date]) -> bool:
        """Return whether a number is a symbol's open, high, low or close of one of the days, or of the bar before."""
        asked = [day - timedelta(days=back) for day in days for back in (0, 1)]
        prices = (price for symbol in symbols for day in asked for price in self.day(symbol, day) or ())
        return any(abs(price - number.value) < 0.0051 for price in prices)

    def day(self, symbol: str, day: date) -> Prices | None:
        """Return a symbol's last open, high, low and close up to a day; None without bars of the last days."""
        if self._bars is None:
            return None
        if symbol not in self._prices:
            frame = self._bars(symbol)
            rows = frame[["open", "high", "low", "close"]].astype(float).itertuples(index=False, name=None)
            self._prices[symbol] = ([date(each.year, each.month, each.day) for each in frame["date"]], [*rows])
        days, prices = self._prices[symbol]
        place = bisect_right(days, day) - 1
        return prices[place] if place >= 0 and day - days[place] <= FRESH else None

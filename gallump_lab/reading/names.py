"""What texts call symbols: the one place that decides which of its words name something that is traded."""

import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from functools import cache, lru_cache

from gallump_lab.bundled import bundled
from gallump_lab.lazy import regex
from gallump_lab.reading.symbols import canonical, symbols_in

VERSION = "names-1"
"""Names how symbols are found; it changes whenever the same text would give others."""

_SAME = {"FB": "META", "GOOGL": "GOOG"}
"""What is traded under two symbols, or was."""
_RENAMED = frozenset(_SAME.values())
"""Who writes one of these means it, though the other be known."""
TRADED = regex(
    r"\b(?:stops?|stop-?loss|sl|tp|tgt|targets?|bought|sold|buy(?:ing)?|sell(?:ing)?|long|short(?:ed)?|shares?|stock"
    r"|position|earnings|calls?|puts|price|entry|cheap|expensive|trim(?:med)?|dividend|valuation|trading"
    r"|trades? (?:at|above|below)|chart|bullish|bearish|breakeven)\b|@ ?\$?\d|>",
    re.IGNORECASE,
)

_TICKER = regex(
    r"(?<![\w$.'/&-])(?P<ticker>[A-Z]{2,5}(?:\.[A-Z])?)(?![\w&/-]|\.\w|'(?!s\b))(?=:|,? (?i:stop|target|tgt|tp"
    r"|sl|at|@|is|position|shares|stock|looks?|trades?|earnings|now|down|up|chart|from|puts?|calls?)\b|,? [$@>]?\s?\d)"
    r"|(?i:bought|sold|buy|sell|buying|selling|long|short|shorted|own|hold|holding|(?:stop|target|sl|tp)(?: on| "
    r"for)?|out of|\d) (?P<after>[A-Z]{2,5}(?:\.[A-Z])?)(?![\w&/-]|\.\w|'(?!s\b))"
)
"""A word in capitals where a symbol would stand."""
_PLACED = regex(
    r"(?<![\w$])(?:(?:(?i:stop|target|tp|sl|thesis|case|view|size|position|stake|shares|puts?|calls?|earnings) "
    r"(?i:on|for|of|in)|(?i:my|raise|long|short|own|hold)|(?i:long|short|own|hold|bought|sold|buy|sell|have) \d[\d,.]*)"
    r" (?P<ticker>[A-Z]{2,5})"
    r"(?= (?i:stop|target|size|position|stake|thesis|puts?|calls?|shares|at|from)\b|[:,.;!?]|$| ?@)"
    r"|(?:^|[.!?] )(?P<first>[A-Z]{2,5})(?=:| (?:at |@ ?)?\$?\d| (?i:stop|target|size|thesis|earnings)\b))",
    re.MULTILINE,
)
"""A word in capitals where nothing but a symbol would stand."""
_SHOUTED = regex(r"\b[A-Z]{2,}\b")
_LOWER = regex(r"\b[a-z]{2,}\b")
_CUT = regex(r"[.!?]\s|\n")
_SPELT = regex(
    r"(?<![\w$^@])(?<!\w\.)\$?\^?[^\W_]++(?!@\w|\.(?:com|org|net)\b)(?:[.\-=/][^\W_]{1,3}(?![^\W_]))?",
)
_NEAR = 60
"""So many characters before and after a name one looks for talk of trading."""


def key(symbol: str) -> str:
    """Return what the listings of a symbol share: SAP of SAP.DE, BTC of BTC-USD, EURUSD of EURUSD=X, but BRK.B."""
    base, suffix = (*re.split(r"[.\-=/]", symbol, maxsplit=1), "")[:2]
    base = base if len(suffix) > 1 or suffix in {"X", "F"} else symbol
    return _SAME.get(base, base)


def plain(symbol: str) -> bool:
    """Return whether a symbol is one in lower case too: neither a word nor an abbreviation."""
    word = symbol.lower()
    return len(symbol) > 2 and word not in _those("words") and symbol not in _those("acronyms")


class Symbols:
    """What texts call symbols: the well-known ones, those that are known, and what is traded in capitals.

    Parameters
    ----------
    known : collection of str
        Symbols that count as such, in lower case too. One that is a word (ALL, NOW) counts as a cashtag, or in capitals
        where a symbol would stand.
    own : collection of str
        Symbols that count wherever they stand in capitals.
    """

    def __init__(self, known: Collection[str] = (), own: Collection[str] = ()) -> None:
        given, own = set(map(canonical, known)), set(map(canonical, own))
        sure = {symbol for symbol in given if len(symbol) > 1 and not _wordy(symbol)} | own
        self._sure = frozenset(sure)
        listed = {key(symbol): symbol for symbol in sorted(sure, reverse=True)}
        self._listed = {base: symbol for base, symbol in listed.items() if base not in sure}  # SAP is SAP.DE
        self._capitals = frozenset(_names().values()) - _those("stressed") | sure
        self._placed = (given | _those("stressed")) - self._capitals
        bases = {*self._listed, *sure}
        self._names = {symbol.lower(): symbol for symbol in self._capitals if plain(symbol)} | _names()
        self._names |= {base.lower(): base for base in bases if len(base) > 1 and base.isalpha() and not _wordy(base)}
        self.read = lru_cache(maxsize=100_000)(self._read)

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        """Return where a text names symbols, as (start, stop, symbol), in its order."""
        words = [match for match in _SPELT.finditer(text) if self._tells(match[0])]
        guessed = {*self._guessed(text)} if any(self._new(match[0]) for match in words) else set[int]()
        return [
            (match.start(), match.end(), symbol if match[0] in _RENAMED else self._listed.get(symbol, symbol))
            for match in words
            for symbol in self._named(match, guessed)
        ]

    def _tells(self, word: str) -> bool:
        """Return whether a word may name a symbol: all others are passed over."""
        if word.isalnum():
            return word.lower() in self._names or (word.isupper() and len(word) > 1) or _pair(word) != ""
        return not word.lstrip("$")[0].isdigit()

    def _new(self, word: str) -> bool:
        """Return whether a word may be a symbol in the right place."""
        new = word.isupper() and word.isalpha() and len(word) > 1 and word not in self._capitals
        return new and (word in self._placed or not _wordy(word))

    def _read(self, run: str) -> tuple[str, ...] | None:
        """Return what a text without white space names; None where only what stands around it tells."""
        words = [match[0] for match in _SPELT.finditer(run)]
        for word in words:
            if self._new(word) or (word in _those("not_sure") and self._names[word] not in self._sure):
                return None
        return tuple(self.all(run)) if any(map(self._tells, words)) else ()

    def all(self, text: str) -> list[str]:
        """Return the symbols that a text names, each once, in its order."""
        return [*dict.fromkeys(symbol for _, _, symbol in self.spans(text))]

    def of(self, text: str) -> str | None:
        """Return the first symbol that a text names."""
        return next(iter(self.all(text)), None)

    def _named(self, match: re.Match[str], guessed: Collection[int]) -> Sequence[str]:
        """Return the symbols that a word, with its suffix, names; mostly one or none."""
        word = match[0]
        if pair := _pair(word):
            return [pair]
        if word in self._capitals or match.start() in guessed:
            return [word]
        if not word.isalnum() and (found := symbols_in(word, self._capitals)):
            return found
        low = word.lower()
        parts = [low] if low in self._names else low.split("/") if "/" in low else [re.split(r"[.\-=]", low)[0]]
        return [self._names[part] for part in parts if part in self._names and self._means(part, match)]

    def _means(self, name: str, match: re.Match[str]) -> bool:
        """Return whether a name that means something else too stands for its symbol here."""
        sure = match[0] not in _those("not_sure") or self._names[name] in self._sure
        return sure or TRADED.search(match.string, max(match.start() - _NEAR, 0), match.end() + _NEAR) is not None

    def _guessed(self, text: str) -> Iterator[int]:
        """Return where words in capitals stand as symbols would that are not known as such, or are words too."""
        begin = 0
        for end in [*(cut.end() for cut in _CUT.finditer(text)), len(text)]:
            line, start, begin = text[begin:end].rstrip(), begin, end
            if len(_SHOUTED.findall(line)) > max(len(_LOWER.findall(line)), 3):
                continue  # SHOUTED AS A WHOLE
            for match in _PLACED.finditer(line):
                group = match.lastgroup or ""
                if match[group] in self._placed or (group == "ticker" and not _wordy(match[group])):
                    yield start + match.start(group)
            if TRADED.search(line):
                for match in _TICKER.finditer(line):
                    group = match.lastgroup or ""
                    if not _wordy(match[group]):
                        yield start + match.start(group)


def calls(text: str, symbol: str) -> bool:
    """Return whether a text names a symbol that is not well known, in lower case too."""
    word = symbol.lower()
    if symbol in _names() or not plain(symbol) or word not in text.lower():
        return False
    return re.search(rf"(?<![\w$]){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


@lru_cache(maxsize=16)
def reader(known: frozenset[str] = frozenset()) -> Symbols:
    """Return what reads texts of those who know these symbols."""
    return Symbols(known)


def well_known() -> frozenset[str]:
    """Return the well-known symbols."""
    return frozenset(_names().values())


def folded(word: str) -> str:
    """Return the symbol of a well-known name, in lower case; any other word as it is."""
    return _names().get(word, word).lower()


@cache
def _those(name: str) -> frozenset[str]:
    """Return the words of one of the lists that ship with the package, in data/symbols.toml."""
    return frozenset(tomllib.loads(bundled("symbols.toml").read_text(encoding="utf-8"))[name].split())


@cache
def _names() -> dict[str, str]:
    """Return the symbol of each well-known name, and of each symbol as its own name."""
    pairs = (entry.partition("=") for entry in _those("well_known"))
    return {name: symbol for symbol, _, names in pairs for name in (symbol, *filter(None, names.split(",")))}


def _pair(word: str) -> str:
    """Return the pair of currencies that a word is, such as EURUSD of eur/usd; "" if it is none."""
    pair = word.replace("/", "").upper() if 5 < len(word) < 8 else ""
    return pair if {pair[:3], pair[3:]} <= _those("currencies") else ""


def _wordy(symbol: str) -> bool:
    """Return whether a symbol is a word or a well-known abbreviation too."""
    return symbol in _those("acronyms") or symbol.lower() in _those("words")

"""From text to what retrieval works with: terms to match on, passages to recall, lines as they stand in a prompt."""

import hashlib
import re
import threading
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from gallump_lab import tokens
from gallump_lab.lazy import regex
from gallump_lab.reading.names import VERSION as NAMES
from gallump_lab.reading.names import key

if TYPE_CHECKING:
    import Stemmer

VERSION = f"text-3 {NAMES}"
"""Names how terms, symbols and passages are made; it changes whenever the same text would give others."""

PASSAGE_TOKENS = 80
"""A passage holds whole sentences up to so many cl100k tokens; a longer sentence is a passage of its own."""

LONGEST = 240
"""cl100k tokens; what is longer between two sentence ends is cut."""

BROKEN_OFF = "[broken off]"
"""Ends a reply in a prompt that did not come to its end."""

NOTE = "**Offline analyst: no model was asked.**"
"""Begins a note of the offline analyst. Of all that it says only what it found is made passages of: where a symbol
stands, and what the rule says of it. The rest is said in every note, or quotes what stands elsewhere."""
_FOUND = regex(r"^\*\*[^*\s]+\*\* (?:closed|traded) at .*?(?: By rule: .*?\.(?=\s|$)|\Z)", re.MULTILINE)
"""Of a note that broke off its last line, as far as it came."""

_STOP_WORDS = frozenset(
    """
    a about am an and any are as at be been but by can could did do does doing for from had has have he her him
    his how i if in into is it its itself just me my no nor not of on or our she should so some such than that the
    their them then there these they this those to us was we were what when where which who why will with would
    you your
    """.split()
)
_FILLERS = frozenset("a an the is am are so well then just really very again also still yes ok okay please".split())
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_KINDS = {
    "ticker": r"\b[A-Z]{1,5}[.-][A-Z]{1,2}\b",
    "number": r"\d[\d,]*(?:\.\d+)?(?![^\W_])",
    "cjk": rf"[{_CJK}]+",
    "word": rf"[^\W_{_CJK}]+(?:['\u2019][^\W_{_CJK}]+)?",
    "sign": r"[\u2190-\u27bf\U0001f000-\U0001faff]",
}
_TOKEN = regex("|".join(_KINDS.values()))
_KIND = regex("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()))
_LOCAL = threading.local()


def _stemmer() -> "Stemmer.Stemmer":
    if not hasattr(_LOCAL, "stemmer"):  # one for each thread: they are not to be shared
        import Stemmer

        _LOCAL.stemmer = Stemmer.Stemmer("english", 0)
    found: Stemmer.Stemmer = _LOCAL.stemmer
    return found


def terms(text: str) -> list[str]:
    """Cut a text into the terms that BM25 counts.

    Words are case-folded, freed of accents, stemmed (English, Snowball) and dropped if they say nothing; tickers such
    as BRK.B and numbers such as 1,250.50 stay whole; CJK goes by pairs of characters.

    Returns
    -------
    list of str
        In the order of the text, repeated as they repeat.
    """
    return [term for run in text.split() for terms, _ in _kept(run) for term in terms]


def words(text: str) -> list[str]:
    """Cut a text into the words that say something, in lower case and without accents, and its tickers and numbers."""
    return [word for run in text.split() for _, word in _kept(run) if word]


def runs(text: str) -> list[str]:
    """Cut a text at its white space, over which no word or term reaches."""
    return unicodedata.normalize("NFKC", text).split()


@lru_cache(maxsize=20_000)
def statement(text: str) -> str:
    """Return what two texts share that state the same: their words, stemmed, without fillers, each between spaces.

    A negation is a word, and nothing that tells a plan from a fact, or one direction from another, is a filler.
    """
    return f" {' '.join(filter(None, map(_stated, text.split())))} "


_NOT = regex(r"n['\u2019]t\b", re.IGNORECASE)
_IS = regex(r"\b(\w+)['\u2019](?:s|m|re)\b", re.IGNORECASE)


@lru_cache(maxsize=100_000)
def _stated(run: str) -> str:
    spelt = run if run.isalnum() else _NOT.sub(" not", _IS.sub(r"\1", run))
    return " ".join(term for piece in _pieces(spelt) for term in _said(piece))


def _said(piece: str) -> Sequence[str]:
    if _kind(piece) != "word":
        return _read(piece)[0]
    word = plain(piece.casefold())
    return () if word in _FILLERS else (_stemmer().stemWord(word),)


def _pieces(text: str) -> list[str]:
    return _TOKEN.findall(unicodedata.normalize("NFKC", text))


def _kind(piece: str) -> str:
    if piece.isascii() and piece.isalpha():
        return "word"
    found = _KIND.fullmatch(piece)
    return (found and found.lastgroup) or ""


def held(run: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Return the terms, and the word, of each piece of what has no white space."""
    return tuple(map(_read, _pieces(run)))


_kept = lru_cache(maxsize=100_000)(held)
"""What is said recurs."""


def _read(piece: str) -> tuple[tuple[str, ...], str]:
    """Return a piece's terms, and the piece as `words` does."""
    kind = _kind(piece)
    if kind == "word":
        word = _word(piece)
        return (_stemmer().stemWord(_irregular().get(word, word)),) if word else (), word
    if kind == "ticker":
        return (piece.replace("-", ".").casefold(),), piece
    if kind == "number":
        number = piece.replace(",", "")
        return (number.rstrip("0").rstrip(".") if "." in number else number,), piece
    if kind == "cjk":
        return tuple(piece[i : i + 2] for i in range(max(len(piece) - 1, 1))), piece
    return (piece,), piece


_FORMS = """
bear bore|become became|begin began begun|bend bent|bite bit|bleed bled|break broke broken|bring brought
build built|buy bought|catch caught|child children|choose chose chosen|cling clung|creep crept|deal dealt|dig dug
draw drew drawn|dream dreamt|drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed|feel felt
fight fought|find found|fly flew flown|foot feet|forget forgot forgotten|forgive forgave forgiven
freeze froze frozen|get got gotten|give gave given|go went gone|grow grew grown|hear heard|hide hid hidden
hold held|keep kept|knife knives|know knew known|lay laid|lead led|learn learnt|lend lent|life lives|lose lost
make made|man men|mean meant|meet met|mistake mistook|overcome overcame|pay paid|person people|ride rode ridden
ring rang rung|rise rose risen|run ran|see saw seen|seek sought|sell sold|send sent|shake shook shaken|shoot shot
sing sang sung|sink sank sunk|sit sat|sleep slept|slide slid|speak spoke spoken|spend spent|spring sprang sprung
stand stood|steal stole stolen|stick stuck|strike struck|swear swore sworn|sweep swept|swim swam swum|swing swung
take took taken|teach taught|tear tore torn|tell told|think thought|throw threw thrown|understand understood
wake woke woken|wear wore worn|weep wept|wife wives|win won|withdraw withdrew withdrawn|woman women
write wrote written|come came|say said|target tgt|stop sl
"""
"""Forms that a stemmer does not lead back to their word, and what traders write for it."""


@lru_cache(maxsize=1)
def _irregular() -> dict[str, str]:
    return {form: word for word, *forms in map(str.split, re.split(r"[|\n]", _FORMS.strip())) for form in forms}


_ENDING = regex(r"(n['\u2019]t|['\u2019].*)$")


def _word(piece: str) -> str:
    """Return a word as it is compared; nothing of one that says nothing."""
    word = plain(piece.casefold())
    if "'" in word or "\u2019" in word:
        word = _ENDING.sub("", word)
    return "" if word in _STOP_WORDS else word


def plain(word: str) -> str:
    """Return a text without its accents."""
    if word.isascii():
        return word
    return "".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn")


def symbol_id(symbol: str) -> int:
    """Return the number of the term that stands in the postings of a passage which names a symbol, however listed."""
    return term_id(f"${key(symbol)}")


@lru_cache(maxsize=100_000)
def term_id(term: str) -> int:
    """Return a term's number, the same in every lab: 64 bits of its BLAKE2b, signed."""
    return int.from_bytes(hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest(), signed=True)


class Passage(NamedTuple):
    """A run of whole sentences of one message."""

    start: int
    stop: int
    """Characters of the message's text, from and to."""
    tokens: int
    """cl100k tokens of `indented(text[start:stop])` and its line break."""


_LINE = regex(r"[^\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_END = regex(
    r"""[.!?\u2026\u3002\uff01\uff1f](?:(?<=[\u3002\uff01\uff1f])
    |(?<![.!?\u2026].)[.!?\u2026]*+["')\]\u201d\u2019*_]*+(?=\s))""",
    re.VERBOSE,
)
_SHORT = frozenset(
    "e.g. i.e. etc. vs. approx. resp. cf. no. mr. mrs. ms. dr. inc. corp. co. ltd. st. u.s. u.k.".split()
)
_PIECE = regex(r"\S{1,20}")
_WORD = regex(r"[^\W_]+(?:[.,'\u2019-][^\W_]+)*")
_APART = regex(r"[^\W_][.!?] [^\W_]")
"""Two sentences that meet so share no token: together they cost what they cost apart."""


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text at line ends and sentence ends; what is too long for a sentence, at white space."""
    for line in _LINE.finditer(text):
        start, last = line.span()
        for end in [*(m.end() for m in _END.finditer(text, start, last)), last]:
            before = text[max(start, end - 12) : end]
            if end < last and before.rsplit(maxsplit=1)[-1].casefold().lstrip("(\"'") in _SHORT:
                continue
            if piece := text[start:end].lstrip():
                yield end - len(piece), end - len(piece) + len(piece.rstrip())
            start = end


def _units(text: str) -> Iterator[tuple[int, int, int]]:
    """Return each sentence with its cost; one longer than `LONGEST` in pieces of at most `PASSAGE_TOKENS`."""
    for start, stop in sentences(text):
        cost = _cost(text[start:stop])
        if cost <= LONGEST:
            yield start, stop, cost
            continue
        begin = end = start
        used = 0
        for piece in _PIECE.finditer(text, start, stop):
            more = tokens.count(text[end : piece.end()])
            if used and used + more > PASSAGE_TOKENS - 2:
                yield begin, end, _cost(text[begin:end])
                begin, used = piece.start(), 0
            used, end = used + more, piece.end()
        yield begin, end, _cost(text[begin:end])


def passages(text: str) -> list[Passage]:
    """Cut a text into passages of at most `PASSAGE_TOKENS` in whole sentences.

    A longer sentence is a passage of its own; what is longer than `LONGEST` is no sentence (a pasted table, a hash) and
    is cut at white space, or anywhere if it has none.

    Returns
    -------
    list of Passage
        In order, without overlap; together they hold all of the text but white space, or, of a `NOTE`, what it found.
    """
    if text.startswith(NOTE):
        spans = [match.span() for match in _FOUND.finditer(text)]
        return [Passage(start=start, stop=stop, tokens=_cost(text[start:stop])) for start, stop in spans]
    found: list[Passage] = []
    for start, stop, cost in _units(text):
        last = found[-1] if found else None
        if last and last.tokens + cost <= PASSAGE_TOKENS + 2:
            apart = last.stop + 1 == start and stop - last.start <= tokens.RUN and _APART.match(text, last.stop - 2)
            together = last.tokens + cost if apart else _cost(text[last.start : stop])
            if together <= PASSAGE_TOKENS:
                found[-1] = Passage(start=last.start, stop=stop, tokens=together)
                continue
        found.append(Passage(start=start, stop=stop, tokens=cost))
    return found


def remembered(text: str) -> str:
    """Return what a message says; of a `NOTE`, what it found."""
    return "\n".join(_FOUND.findall(text)) if text.startswith(NOTE) else text


def _cost(text: str) -> int:
    return tokens.count(indented(text) + "\n")


def indented(text: str) -> str:
    """Return a text as it stands in a prompt: every line starts with a space, so none can pass for a heading.

    A prompt's token counts add up because of it: the tokenizer never joins a line break with a space and a word after
    it.
    """
    return " " + "\n ".join(text.splitlines())


def ending(state: str, rest: str) -> tuple[str, int]:
    """Return what ends the last passage of a message that broke off, and its cl100k tokens."""
    if state == "complete" or rest.strip():
        return "", 0
    return f"\n{indented(BROKEN_OFF)}", _cost(BROKEN_OFF)


def shared(text: str, about: Collection[str]) -> list[tuple[int, int]]:
    """Return where a text says one of the terms `about`: from and to, word by word."""
    return [word.span() for word in _WORD.finditer(text) if not set(about).isdisjoint(terms(word[0]))]


def one_line(text: str) -> str:
    """Return a text on one line, its white space folded."""
    return " ".join(text.split())


def storable(text: str) -> str:
    """Join surrogate pairs and replace halves of them, which UTF-8 cannot hold."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

"""What a statement says, taken apart: numbers, dates, words and clauses with their places, and words that point."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from gallump_lab.memory.text import plain, terms
from gallump_lab.reading.dates import Named, times
from gallump_lab.reading.numbers import numbers
from gallump_lab.reading.periods import WORDS

_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_SPELT = re.compile(
    rf"\b(?P<first>{'|'.join(WORDS)})(?:[- ](?P<second>{'|'.join(list(WORDS)[:9])}))?(?P<half> and a half)?"
    rf"(?:[- ](?P<scale>{'|'.join(_SCALES)}))?\b(?P<share>\s?(?:%|per ?cent\b))?",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[.!?;:()\n]+(?=\s|$)|[,\u2013\u2014](?=\s)|\s[-(]|\s(?=(?:and|but|because|so|since|while|which|who|although|if|or"
    r"|unless|until)\s)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?;\n]+(?=\s|$)")
_WORD = re.compile(r"[^\W\d_]+(?:[&.\u2019'-][^\W\d_]+)*")


class Amount(NamedTuple):
    """A number as it stands in a text."""

    value: float
    """As it is written, without its sign: 62 of "62 percent"."""
    share: float | None
    """As a fraction, where a percent sign or basis points say that it is one: 0.62."""
    text: str
    start: int
    stop: int


class Word(NamedTuple):
    """A word that says something."""

    term: str
    """Its stem, as recall matches it."""
    text: str
    start: int
    stop: int


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
    apart = "".join(text)
    for each in dates:
        apart = f"{apart[: each.start]}{' ' * (each.stop - each.start)}{apart[each.stop :]}"
    return Reading(
        text=text,
        numbers=_amounts(apart),
        dates=dates,
        words=[Word(term, m[0], m.start(), m.end()) for m in _WORD.finditer(apart) for term in terms(m[0])],
        clauses=list(_cut(text, _CLAUSE)),
    )


def same(one: Amount, other: Amount) -> bool:
    """Return whether two numbers are the same; 0.62 is also 62 percent, and 3.4 is not 340."""
    if _near(one.value, other.value):
        return True
    mine, its = (each.value if each.share is None else each.share for each in (one, other))
    return (one.share, other.share) != (None, None) and _near(mine, its)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * max(abs(one), 1)


def _amounts(text: str) -> list[Amount]:
    """Return a text's numbers, in digits or in words."""
    found = []
    for each in numbers(text):
        if each.value is not None:
            parts = {"%": 100, "bps": 10_000}.get(each.unit)
            value, written = abs(each.value), text[each.start : each.stop]
            found.append(Amount(value, value / parts if parts else None, written, each.start, each.stop))
            text = f"{text[: each.start]}{' ' * len(written)}{text[each.stop :]}"
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


# Words that point somewhere: up or down, in or out of a position, always or never. A pair of opposites a piece.
_OPPOSITES = {
    "level": """
        above over exceed surpass beyond | below under beneath; up upward upside | down downward downside; rise rising
        rose climb grow grew growth increase jump rally soar surge rebound recover | fall fell fallen drop decline
        decrease slide slid slump sink sank plunge dip tumble; raise | lower cut reduce; high higher highest peak top
        | low lower lowest trough bottom; more greater larger bigger | less fewer smaller; most | least; maximum max
        ceiling cap | minimum min floor; gain profit win won winner | loss lose lost loser; positive plus | negative
        minus; better best | worse worst; double | halve; strong | weak; bullish bull optimistic | bearish bear
        pessimistic; expensive | cheap; overweight | underweight
    """,
    "trade": """
        buy bought buyer purchase acquire accumulate | sell sold sale seller dump trim unload realise stop; enter entry
        open opened add | exit leave left closed quit; long | short; own hold held keep kept | part ended
    """,
    "plan": "target objective goal profit | stop floor invalidation bail",
    "ever": "always | never; allow permit accept | forbid reject refuse",
    "not": "| not no none nothing nobody never neither without cannot",
    "time": "before | after; start began begun | stop stopped end finish; early earlier | late later; first | last",
    "liking": """
        love like enjoy | hate dislike; trust | distrust; prefer want | avoid; happy glad excited | sad unhappy upset;
        great good favorite | terrible bad boring; easy | hard difficult; safe | risky dangerous; agree | disagree;
        remember | forget forgot; support | oppose
    """,
}
_AS_WRITTEN = frozenset({"positive", "closed"})
"""Their stems are other words' too."""
_SIGNS: dict[str, list[tuple[str, str, int]]] = {}
for _axis, _text in _OPPOSITES.items():
    for _place, _pair in enumerate(_text.split(";")):
        for _sign, _side in zip((1, -1), _pair.split("|"), strict=True):
            for _said in _side.split():
                for _key in {_said} if _said in _AS_WRITTEN else {_said, *terms(_said)}:
                    _SIGNS.setdefault(_key, []).append((_axis, f"{_axis} {_place}", _sign))
TO, DEAL, PLAN = "level 2", "trade 0", "plan 0"
"""The pairs of rising and falling, of buying and selling, and of target and stop."""
_PIECE = re.compile(
    r"[^\W_]+?(?=n['\u2019]t\b)|n['\u2019]t\b|\d[\d,]*(?:\.\d+)?|[^\W_]+(?:['\u2019][^\W_]+)?", re.IGNORECASE
)
_ROUND = 5
"""So many words before and after one that points say what it points at."""


class Pointer(NamedTuple):
    """A word that points somewhere."""

    word: str
    start: int
    poles: Sequence[tuple[str, str, int]]
    """Its axis, its pair of opposites, and its side there, 1 or -1."""
    about: frozenset[str]
    """The terms around it."""
    after: Sequence[str]
    """The next three terms."""


@lru_cache(maxsize=50_000)
def pointers(text: str) -> Sequence[Pointer]:
    """Return the words of a text that point somewhere, in its order."""
    pieces = list(_PIECE.finditer(text))
    words = ["not" if piece[0].lower() in {"n't", "n\u2019t"} else piece[0].lower() for piece in pieces]
    stems = [terms(word) for word in words]
    found = []
    for place, word in enumerate(words):
        poles = _SIGNS.get(word) or next((_SIGNS[term] for term in stems[place] if term in _SIGNS), None)
        if poles:
            before = [term for each in stems[max(place - _ROUND, 0) : place] for term in each]
            after = [term for each in stems[place + 1 : place + 1 + _ROUND] for term in each]
            found.append(Pointer(word, pieces[place].start(), poles, frozenset([*before, *after]), after[:3]))
    return found


def agreement(one: Pointer, other: Pointer) -> float:
    """Return how far two words point one way: 1 and -1 on one pair of opposites, 0.4 and -0.4 on one axis, or 0."""
    found = [
        sign * its_sign * (1.0 if pair == its_pair else 0.4)
        for axis, pair, sign in one.poles
        for its_axis, its_pair, its_sign in other.poles
        if axis == its_axis
    ]
    return max(found, key=abs, default=0.0)


def denials(text: str) -> Sequence[Pointer]:
    """Return the words that deny."""
    return [pointer for pointer in pointers(text) if any(axis == "not" for axis, _, _ in pointer.poles)]

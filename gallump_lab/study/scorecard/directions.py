"""Words that point somewhere: up or down, in or out of a position, always or never."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gallump_lab.memory.text import terms

_OPPOSITES = {
    "level": """
        above over exceed exceeded surpass beyond | below under beneath
        up upward upwards upside | down downward downwards downside
        rise rising rose risen climb grow grew grown growth increase jump rally rallied soar surge rebound recover |
        fall fell fallen drop dropped decline decrease slide slid slump sink sank plunge dip tumble
        raise | lower cut reduce
        high higher highest peak top | low lower lowest trough bottom
        more greater larger bigger | less fewer smaller
        most | least
        maximum max ceiling cap | minimum min floor
        gain profit win won winner | loss lose lost loser
        strong stronger strength improve | weak weaker weakness worsen
        positive plus | negative minus
        better best | worse worst
        expand expansion | shrink shrank shrunk contract contraction
        success succeed succeeded | failure fail failed
        double | halve
        upgrade | downgrade
        bullish bull optimistic | bearish bear pessimistic
        overweight | underweight
        expensive dear | cheap
    """,
    "trade": """
        buy bought purchase acquire accumulate buyer | sell sold sale dump trim unload liquidate seller
        enter entered entry open opened add | exit leave left closed quit
        long | short
        own hold held keep kept | part ended
        invest bid fill filled paid pay cost grab booked picked scoop nibble step |
        out gone flat flatten stop stopped target objective realise realize reduction invalidation bail
    """,
    "plan": """
        target objective goal profit | stop floor invalidation bail
    """,
    "ever": """
        always | never
        allow permit accept | forbid forbidden reject refuse
    """,
    "not": """
        | not no none nothing nobody never neither without cannot
    """,
    "time": """
        before | after
        start began begun begin | stop stopped end finish
        early earlier | late later
        first | last
    """,
    "liking": """
        love like enjoy | hate dislike
        trust | distrust
        prefer want | avoid
        happy glad excited excite | sad unhappy upset
        great awesome amazing wonderful fun favorite favourite good | terrible awful boring annoying bad disappointing
        easy | hard difficult
        safe | risky dangerous
        agree | disagree
        remember | forget forgot forgotten
        support | oppose
    """,
}

_AS_WRITTEN = frozenset("positive booked closed".split())
"""Their stems are other words' too."""


def _tables() -> dict[str, list[tuple[str, str, int]]]:
    found: dict[str, list[tuple[str, str, int]]] = {}
    for axis, text in _OPPOSITES.items():
        pairs = re.sub(r"\|\s*\n", "| ", text).strip().splitlines()
        for place, pair in enumerate(pairs):
            for sign, said in zip((1, -1), pair.split("|"), strict=True):
                for word in said.split():
                    for key in dict.fromkeys([word, *terms(word)]) if word not in _AS_WRITTEN else [word]:
                        found.setdefault(key, []).append((axis, f"{axis} {place}", sign))
    return found


_SIGNS = _tables()
TO, DEAL, PLAN = "level 2", "trade 0", "plan 0"
"""The pairs of rising and falling, of buying and selling, and of target and stop."""
_WORD = re.compile(
    r"[^\W_]+?(?=n['\u2019]t\b)|n['\u2019]t\b|\d[\d,]*(?:\.\d+)?|[^\W_]+(?:['\u2019][^\W_]+)?", re.IGNORECASE
)
_ROUND = 5
"""So many words before and after one that points say what it points at."""


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """A word that points somewhere."""

    word: str
    start: int
    poles: Sequence[tuple[str, str, int]]
    """Its axis, its pair of opposites, and its side there, 1 or -1."""
    about: frozenset[str]
    """The terms around it."""
    after: Sequence[str]
    """The next three terms."""


@lru_cache(maxsize=20_000)
def pointers(text: str) -> Sequence[Pointer]:
    """Return the words of a text that point somewhere, in its order."""
    pieces = list(_WORD.finditer(text))
    words = ["not" if piece[0].lower() in {"n't", "n\u2019t"} else piece[0].lower() for piece in pieces]
    stemmed = [terms(word) for word in words]
    found = []
    for place, word in enumerate(words):
        poles = _SIGNS.get(word) or next((_SIGNS[term] for term in stemmed[place] if term in _SIGNS), None)
        if poles:
            about = [*stemmed[max(place - _ROUND, 0) : place], *stemmed[place + 1 : place + 1 + _ROUND]]
            found.append(
                Pointer(
                    word=word,
                    start=pieces[place].start(),
                    poles=poles,
                    about=frozenset(term for each in about for term in each),
                    after=[term for each in stemmed[place + 1 : place + 1 + _ROUND] for term in each][:3],
                )
            )
    return found


def agreement(one: Pointer, other: Pointer) -> float:
    """Return how far two words point one way: 1 and -1 on one pair of opposites, 0.4 and -0.4 on one axis, or 0."""
    best = 0.0
    for axis, pair, sign in one.poles:
        for its_axis, its_pair, its_sign in other.poles:
            if axis == its_axis:
                value = sign * its_sign * (1.0 if pair == its_pair else 0.4)
                best = max(best, value, key=abs)
    return best


@lru_cache(maxsize=100_000)
def opposite(word: str, other: str) -> bool:
    """Return whether two words are on opposite sides of one pair, such as buy and sell."""
    return any(agreement(one, two) == -1 for one in pointers(word) for two in pointers(other))


def denials(text: str) -> Sequence[Pointer]:
    """Return the words that deny."""
    return [pointer for pointer in pointers(text) if any(axis == "not" for axis, _, _ in pointer.poles)]

"""Masking: what looks like a key or a password gives way to a visible word, before it is stored or sent.

That is what has the shape of a secret (`secret_shapes`) or is called one (`secret_words`) and, whatever its shape, the
keys that this process is given.
"""

import os
import re
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gallump_lab import secret_shapes as shapes
from gallump_lab import secret_words

SHORTEST = 8
"""Characters of a key in force that is masked wherever it stands; a shorter one is a word that any text may hold."""

_MASKS = {what: f"[{what} removed]" for what in shapes.KINDS}
_CONTEXT = 200  # characters of a stream that are looked back to for what its next ones are
_kept: dict[str, None] = {}


class Secret(NamedTuple):
    """Something that looks like a secret."""

    what: str
    """In words: "API key", "password", ..."""
    text: str


class _Span(NamedTuple):
    """Where a secret stands in a text."""

    start: int
    stop: int
    what: str


def keep(secret: str) -> None:
    """Let a further secret of this process be masked wherever it stands; it is held in memory alone."""
    _kept[secret.strip()] = None


def in_force() -> list[str]:
    """Give the keys that this process is given; words that any text may hold ("ollama") are none."""
    names = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GALLUMP_LAB_TOKEN")
    given = [*(os.environ.get(name, "").strip() for name in names), *_kept]
    return [
        key
        for key in given
        if len(key) >= SHORTEST and not (len(key) < 16 and key.isalpha()) and not any(key in m for m in _MASKS.values())
    ]


def _spans(text: str) -> list[_Span]:
    """Find every secret, in no order; where two overlap, both."""
    if not text.isascii() and shapes.UNSEEN.search(text):  # a paste may bring them; a key has none
        places = [place for place, c in enumerate(text) if not shapes.UNSEEN.match(c)]
        spans = _spans("".join(text[place] for place in places))
        return [_Span(places[span.start], places[span.stop - 1] + 1, span.what) for span in spans]
    small = text.lower()
    short = (*shapes.SHORT, *secret_words.RULES)
    rules = (*shapes.LONG, *short) if shapes.RUN.search(text) else short
    found = [
        _Span(*each.span("secret"), rule.what)
        for rule in rules
        if any(hint in small for hint in rule.hints)
        for each in rule.pattern.finditer(text)
        if rule.check(each)
    ]
    for key in in_force():
        if key in text:
            found += [_Span(*each.span(), shapes.KEY) for each in re.finditer(re.escape(key), text)]
    return found


def _apart(spans: list[_Span]) -> Iterator[_Span]:
    """Join secrets that overlap, and give them in order."""
    last: _Span | None = None
    for span in sorted(spans, key=lambda each: each.start):
        if last is None or span.start >= last.stop:
            if last:
                yield last
            last = span
        else:
            last = last._replace(stop=max(last.stop, span.stop))
    if last:
        yield last


def masked(text: str) -> str:
    """Give a text with a word in the place of each secret, such as "[API key removed]"; any other as it is.

    What has been masked stays as it is when it is masked again.
    """
    while spans := _spans(text):  # once more, for what a secret stood in the way of
        text = _without(spans, text)
    return text


def _without(spans: list[_Span], text: str, begin: int = 0) -> str:
    """Give a text from `begin` on, masked."""
    pieces = []
    for span in _apart(spans):
        if span.stop > begin:
            pieces += [text[begin : max(begin, span.start)], _MASKS[span.what]]
            begin = span.stop
    return "".join(pieces) + text[begin:]


def found(text: str) -> list[Secret]:
    """Give what `masked` takes out of a text, in order."""
    return [Secret(span.what, text[span.start : span.stop]) for span in _apart(_spans(text))]


def told(text: str, where: str = "question") -> str | None:
    """Say in words what is masked in a question, or in what else one wrote; None where nothing is."""
    kinds = list(dict.fromkeys(secret.what for secret in found(text)))
    if not kinds:
        return None
    named = " and ".join(f"{'an' if kind[0] in 'Aa' else 'a'} {kind}" for kind in kinds)
    return (
        f"What looked like {named} in your {where} was masked before it was stored or sent. If it is real, revoke it."
    )


def warn(where: str, *texts: object, stacklevel: int = 2) -> None:
    """Warn of what is masked in an insight, a question or a note.

    `stacklevel` 2 points at the caller of the function that calls this.
    """
    for text in texts:
        if isinstance(text, str) and (words := told(text, where)):
            warnings.warn(words, UserWarning, stacklevel=stacklevel + 1)
            return


def _settled(text: str) -> int:
    """Say up to where a growing text holds nothing that what follows can make part of a secret."""
    settled, last = len(text), len(text.rstrip(shapes.PRINTED))
    word = text[last:]
    if (
        shapes.BEGUN.search(text, last)
        or any(start in word for start in (*shapes.STARTS, "://"))
        or (len(word) >= SHORTEST and shapes.digits(word))
        or any(word.endswith(key[:end]) for key in in_force() for end in range(4, len(key)))
    ):
        settled = last
    end = text[-400:].lower()
    if any(name in end for name in shapes.NAMES) and (named := shapes.NAMED.search(text, max(0, len(text) - 400))):
        settled = min(settled, named.start())
    if (number := shapes.NUMBER.search(text, max(0, len(text) - 60))) and (
        shapes.digits(number[0]) >= SHORTEST or shapes.CARDS.search(text, max(0, number.start() - 60), number.start())
    ):  # few digits alone are a price, not the beginning of a card's number
        settled = min(settled, number.start())
    if opened := shapes.OPEN.search(text, max(0, text.rfind("-----BEGIN"))):
        settled = min(settled, opened.start())
    for span in sorted(_spans(text), reverse=True):
        if span.start < settled < span.stop:
            settled = span.start
    return settled


class Stream:
    """Masks a text that comes in pieces: what may be the beginning of a secret waits for what follows.

    Parameters
    ----------
    tell : callable
        Gets the pieces, masked.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._before = self._waiting = ""
        self._enough = 0

    def add(self, piece: str) -> None:
        """Take a piece, and hand on what is settled by now."""
        self._waiting += piece
        if len(self._waiting) >= self._enough:
            self._hand_on(max(0, _settled(self._before + self._waiting) - len(self._before)))
            self._enough = len(self._waiting) * 11 // 10  # so that a long one is not looked through for each piece

    def end(self) -> None:
        """Hand on what still waits: nothing follows."""
        self._hand_on(len(self._waiting))

    def _hand_on(self, until: int) -> None:
        if until:
            text = self._before + self._waiting[:until]
            said = _without(_spans(text), text, len(self._before))
            self._before, self._waiting = text[-_CONTEXT:], self._waiting[until:]
            self._tell(said)

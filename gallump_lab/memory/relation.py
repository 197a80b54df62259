"""How one statement stands to another: it says the same, takes the other's place, or contradicts it.

This is decided here and nowhere else; the ledger, the prompt and the scorecard read it.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, Protocol

from gallump_lab.lazy import regex
from gallump_lab.memory.text import statement, terms
from gallump_lab.reading.periods import MONTHS
from gallump_lab.reading.symbols import canonical

Relation = Literal["same", "newer", "older", "contradicts"]

SAME = 0.8
"""A statement says the same as one with the same numbers that has all of its words, and shares so much of them (Dice
1945: twice what both have, over what they have together). One other word may be another meaning."""
RELATED = 0.15
"""Two statements on a subject speak of the same thing if they share so much of their content words (Dice)."""
ALIKE = 0.6
"""From here on two statements speak of the same thing, and may be the opposite of each other."""
TOGETHER = timedelta(days=1)
"""Of two figures further apart the later one is another reading of the same thing: both may be true."""
_HELD = frozenset({"stop", "target", "size"})
"""What goes with a position: once that is closed none of it holds."""
_OPPOSITES = (
    "above below|over under|buy sell|bought sold|long short|up down|rise fall|higher lower|more less|bullish bearish"
    "|before after"
)
_SIDES = {word: (pair, side) for pair in _OPPOSITES.split("|") for side, word in enumerate(pair.split())}
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_TIME = regex(
    rf"\b(?:\d{{4}}-\d\d(?:-\d\d)?|(?:\d\d?(?:st|nd|rd|th)?(?: of)? )?(?:{_MONTH})\b\.?(?: \d\d?\b)?(?:,? \d{{4}}\b)?"
    r"|(?:in|of|since|by|for|during|until|through|fy) (?:19|20)\d\d|[qh][1-4](?: \d{4})?"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|yesterday|today|tomorrow|spring|summer|autumn|winter"
    r"|(?:last|this|next|first|second|third|fourth) (?:day|session|week|month|quarter|half|year)"
    r"|(?:day|week|month|quarter|year) \d+)\b",
    re.IGNORECASE,
)
"""What names a time, or tells one from another."""
_NEGATIONS = frozenset({"no", "not", "never", "without", "neither", "nor"})
_WORD = regex(r"[a-z]+")
_DONE = frozenset({"bought", "sold", "added", "trimmed", "shorted", "covered"})
"""Trades that were made: two at different figures are two events."""


class Assertion(Protocol):
    """What somebody states, as `relation` compares it; an insight is one, whoever holds it."""

    @property
    def text(self) -> str:
        """One statement."""

    @property
    def symbol(self) -> str | None:
        """What it is about."""

    @property
    def speaker(self) -> str | None:
        """Whose statement it is."""

    @property
    def attribute(self) -> str | None:
        """What of the symbol it states, such as "stop"."""

    @property
    def value(self) -> str | None:
        """What it states of the attribute, in short."""

    @property
    def valid_from(self) -> datetime:
        """Since when it holds."""

    @property
    def valid_until(self) -> datetime | None:
        """Until when it holds, where it says so."""


def relation(old: Assertion, new: Assertion) -> Relation | None:
    """Return how a new statement stands to an old one; None if they have nothing to do with each other.

    Only statements about the same symbol by the same speaker do. What holds at no common time neither says the same
    nor contradicts.

    Returns
    -------
    "same", "newer", "older", "contradicts" or None
        "same": the new one says no more than the old one, which so is said again.
        "newer", "older": they state the same attribute, the new one since later or earlier; the one that holds since
        later takes the other's place. A position that is closed takes that of its stop, target and size too.
        "contradicts": both cannot be true, and neither is the later value. They name the same times, and one says the
        opposite of the other or, in the same words and within `TOGETHER`, another number: of several numbers one may
        say which thing is meant. Two trades at different prices are two events.

    Examples
    --------
    >>> stop = Learnt(text="stop 180", kind="level", symbol="AAPL", attribute="stop", value="180", valid_from=monday)
    >>> relation(stop, replace(stop, text="stop 185", value="185", valid_from=friday))
    'newer'
    """
    if not _one_subject(old, new):
        return None
    together = (old.valid_until is None or old.valid_until >= new.valid_from) and (
        new.valid_until is None or new.valid_until >= old.valid_from
    )
    if together and _says_no_more(old, new):
        return "same"
    return succession(old, new) or ("contradicts" if together and _contradicts(old, new) else None)


def succession(old: Assertion, new: Assertion) -> Literal["newer", "older"] | None:
    """Return which of two statements takes the other's place, as `relation` does.

    What each says is not compared: a value that comes back is newer than when it was said first.
    """
    if not _one_subject(old, new) or old.valid_from == new.valid_from:
        return None
    before, after = sorted((old, new), key=lambda each: each.valid_from)
    if not _same_attribute(old, new) and not _closes(after, before):
        return None
    return "newer" if new is after else "older"


def rivals(attribute: str | None) -> list[str] | None:
    """Return the attributes whose values a value of one may succeed, or give way to; None for all."""
    if attribute is None:
        return None
    return [attribute, *_HELD] if attribute == "position" else [attribute, "position"]


def _closes(new: Assertion, old: Assertion) -> bool:
    """Return whether a position is closed with which an older level of it goes."""
    return new.attribute == "position" and (new.value or "").startswith("closed") and old.attribute in _HELD


def _one_subject(one: Assertion, other: Assertion) -> bool:
    """Return whether two statements are about one symbol, however it is spelt, by one speaker."""
    if one.speaker != other.speaker:
        return False
    return one.symbol == other.symbol or canonical(one.symbol or "") == canonical(other.symbol or "")


def _same_attribute(one: Assertion, other: Assertion) -> bool:
    """Return whether two statements state the same attribute.

    Without a value of both an attribute is only a subject, such as a thesis or a rule: several may stand side by side,
    so the statements must speak of the same thing.
    """
    if one.attribute is None or one.attribute != other.attribute:
        return False
    if _valued(one, other):
        return True
    about = {*terms(f"{one.symbol} {one.speaker}")}
    mine, theirs = (_read(each.text).content - about for each in (one, other))
    return 2 * len(mine & theirs) >= RELATED * (len(mine) + len(theirs))


def _valued(one: Assertion, other: Assertion) -> bool:
    return one.value is not None and other.value is not None


def _apart(one: Assertion, other: Assertion) -> bool:
    """Return whether two statements are of different attributes."""
    return bool(one.attribute and other.attribute) and one.attribute != other.attribute


def _says_no_more(old: Assertion, new: Assertion) -> bool:
    other_horizon = old.valid_until and new.valid_until and old.valid_until != new.valid_until
    if other_horizon or _apart(old, new):
        return False
    if _valued(old, new) and _same_attribute(old, new):
        return old.value == new.value
    mine, theirs = _read(old.text), _read(new.text)
    same = mine.numbers == theirs.numbers and mine.words >= theirs.words and _share(mine, theirs) >= SAME
    return same and not _opposed(mine, theirs)


def _contradicts(one: Assertion, other: Assertion) -> bool:
    if _apart(one, other):
        return False
    if _valued(one, other) and _same_attribute(one, other):
        return one.value != other.value
    mine, theirs = _read(one.text), _read(other.text)
    if mine.times != theirs.times or (mine.done and theirs.done and mine.numbers != theirs.numbers):
        return False
    if _opposed(mine, theirs):
        return _share(mine, theirs) >= ALIKE
    at_once = abs(one.valid_from - other.valid_from) <= TOGETHER
    another = len(mine.numbers - theirs.numbers) == len(theirs.numbers - mine.numbers) == 1
    return at_once and another and mine.words == theirs.words


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A text as it is compared."""

    content: frozenset[str]
    words: frozenset[str]
    numbers: frozenset[str]
    sides: frozenset[tuple[str, int]]
    times: frozenset[str]
    denied: bool
    done: bool


@lru_cache(maxsize=20_000)
def _read(text: str) -> _Read:
    said = statement(text).split()
    plainly = _WORD.findall(text.lower().replace("n't", " not"))
    return _Read(
        content=frozenset(terms(text)),
        words=frozenset(word for word in said if not word[0].isdigit()),
        numbers=frozenset(word for word in said if word[0].isdigit()),
        sides=frozenset(_SIDES[word] for word in plainly if word in _SIDES),
        times=frozenset(named.lower() for named in _TIME.findall(text)),
        denied=sum(word in _NEGATIONS for word in plainly) % 2 == 1,
        done=not _DONE.isdisjoint(plainly),
    )


def _share(one: _Read, other: _Read) -> float:
    together = len(one.words) + len(other.words)
    return 2 * len(one.words & other.words) / together if together else 0.0


def _opposed(one: _Read, other: _Read) -> bool:
    """Return whether one says the opposite of the other: denied against not, or the other side of a pair, not both."""
    mine, theirs = one.sides - other.sides, other.sides - one.sides
    return (one.denied != other.denied) != any((pair, 1 - side) in theirs for pair, side in mine)

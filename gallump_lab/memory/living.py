"""What a new insight does to those that stand: it joins them, says the same again, takes one's place, or contradicts.

- A statement that says no more than one that stands *supports* it: its sources are added, and it counts as said again.
- A newer value of the same attribute of the same symbol and speaker *supersedes* the older, which stays in the history.
- What contradicts another of the same attribute and time is *disputed*: both stay, and both say so. One such pair is
  enough, that with the newest, so that a hundred readings of one thing do not each speak against all the others.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from gallump_lab.memory import ledger
from gallump_lab.memory.ledger import Known
from gallump_lab.memory.records import Learnt
from gallump_lab.memory.text import statement, terms
from gallump_lab.reading.periods import MONTHS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAME = 0.8
"""A statement says the same as one with the same numbers that has all of its words, and shares so much of them (Dice
1945: twice what both have, over what they have together). One other word may be another meaning."""
RELATED = 0.15
"""Two statements on a subject speak of the same thing if they share so much of their content words (Dice)."""
ALIKE = 0.6
"""From here on two statements speak of the same thing, and may be the opposite of each other."""
TOGETHER = timedelta(days=1)
"""Of two figures further apart the later one is another reading of the same thing: both may be true."""
_OPPOSITES = (
    "above below",
    "over under",
    "buy sell",
    "bought sold",
    "long short",
    "up down",
    "rise fall",
    "higher lower",
    "more less",
    "bullish bearish",
    "before after",
)
_SIDES = {word: (pair, side) for pair, both in enumerate(_OPPOSITES) for side, word in enumerate(both.split())}
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_TIME = re.compile(
    rf"\b(?:\d{{4}}-\d\d(?:-\d\d)?|(?:\d\d?(?:st|nd|rd|th)?(?: of)? )?(?:{_MONTH})\b\.?(?: \d\d?\b)?(?:,? \d{{4}}\b)?"
    r"|(?:in|of|since|by|for|during|until|through|fy) (?:19|20)\d\d|[qh][1-4](?: \d{4})?"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|yesterday|today|tomorrow|spring|summer|autumn|winter"
    r"|(?:last|this|next|first|second|third|fourth) (?:day|session|week|month|quarter|half|year)"
    r"|(?:day|week|month|quarter|year) \d+)\b",
    re.IGNORECASE,
)
"""What names a time, or tells one from another."""
_NEGATIONS = frozenset({"no", "not", "never", "without", "neither", "nor"})
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What became of a new insight."""

    insight_id: int
    """Its own, or that of the one it says again."""
    new: bool
    retired: bool = False
    """Whether it is one that was retired, and stays so."""


class Standing:
    """The insights of a lab, kept up while new ones come in, inside one transaction.

    Parameters
    ----------
    con : DuckDBPyConnection
        The lab, inside a write step.
    now : datetime
        The clock's time, naive UTC.
    """

    def __init__(self, con: "DuckDBPyConnection", now: datetime) -> None:
        self._con, self._now = con, now
        self._about: dict[tuple[str | None, str | None], list[Known]] = {}

    def _of(self, made: Learnt) -> list[Known]:
        """Return all about the same symbol by the same speaker, superseded ones too."""
        about = made.symbol, made.speaker
        if about not in self._about:
            self._about[about] = ledger.about(self._con, *about)
        return self._about[about]

    def settle(self, given: Learnt, *, known_from: datetime | None, distiller: str) -> Settled:
        """Store an insight, or what it says of one that stands.

        Parameters
        ----------
        given : Learnt
            The insight.
        known_from : datetime, optional
            When it was learnt, with a time zone; the clock's time by default.
        distiller : str
            Who made it.

        Raises
        ------
        ValueError
            As `ledger.checked`; nothing is stored.
        """
        made, learnt = ledger.checked(self._con, given, known_from, self._now)
        about, holds = self._of(made), made.valid_from or learnt
        for place, each in reversed([*enumerate(about)]):
            if each.ended is None and _overlap(each, made, holds) and says_same(each, made):
                further = set(made.sources) - {*each.sources}
                ledger.record(self._con, each.insight_id, "supported", learnt, self._now, sources=further)
                about[place] = each._replace(sources=[*each.sources, *sorted(further)])
                return Settled(insight_id=each.insight_id, new=False, retired=each.retired)
        insight_id = ledger.write(self._con, made, learnt, self._now, distiller)
        newer: list[Known] = []
        against: Known | None = None
        for place, each in enumerate(about):
            if same_attribute(each, made) and each.valid_from > holds:  # this one is old and came late
                newer += [each] if not each.retired else []
            elif same_attribute(each, made) and each.valid_from < holds:
                if each.ended is None or learnt < each.ended:
                    ledger.replaced(self._con, each.insight_id, insight_id, self._now)
                    about[place] = each._replace(ended=learnt)
            elif each.ended is None and not each.retired and _overlap(each, made, holds) and contradict(each, made):
                against = each
        if against is not None:
            ledger.record(self._con, insight_id, "disputed", learnt, self._now, other=against.insight_id)
            ledger.record(self._con, against.insight_id, "disputed", learnt, self._now, other=insight_id)
        first = min(newer, key=lambda each: (each.known_from, each.valid_from, each.insight_id), default=None)
        if first:
            ledger.replaced(self._con, insight_id, first.insight_id, self._now)
        about.append(
            Known(
                insight_id=insight_id,
                kind=made.kind,
                symbol=made.symbol,
                speaker=made.speaker,
                attribute=made.attribute,
                value=made.value,
                text=made.text,
                valid_from=holds,
                valid_until=made.valid_until,
                confirmed=holds,
                sources=made.sources,
                pinned=False,
                retired=False,
                known_from=learnt,
                ended=first and first.known_from,
            )
        )
        return Settled(insight_id=insight_id, new=True)


def _overlap(one: Known, other: Learnt, holds: datetime) -> bool:
    """Return whether there is a time at which both insights hold."""
    return (one.valid_until is None or one.valid_until >= holds) and (
        other.valid_until is None or other.valid_until >= one.valid_from
    )


def same_attribute(one: Known, other: Learnt) -> bool:
    """Return whether two insights state the same attribute of one symbol and speaker.

    Without a value of both an attribute is only a subject, such as a thesis or a rule: several may stand side by side,
    so the statements must speak of the same thing.
    """
    if one.attribute is None or one.attribute != other.attribute:
        return False
    if one.value is not None and other.value is not None:
        return True
    about = {*terms(f"{one.symbol} {one.speaker}")}
    mine, theirs = ({*terms(each.text)} - about for each in (one, other))
    return 2 * len(mine & theirs) >= RELATED * (len(mine) + len(theirs))


def says_same(one: Known, other: Learnt) -> bool:
    """Return whether an insight about the same symbol and speaker says no more than one that stands."""
    if one.attribute and other.attribute and one.attribute != other.attribute:
        return False
    if one.valid_until and other.valid_until and one.valid_until != other.valid_until:
        return False
    if same_attribute(one, other) and one.value is not None and other.value is not None:
        return one.value == other.value
    mine, theirs = _read(one.text), _read(other.text)
    same = mine.numbers == theirs.numbers and mine.words >= theirs.words and _share(mine, theirs) >= SAME
    return same and not _opposed(mine, theirs)


def contradict(one: Known, other: Learnt) -> bool:
    """Return whether two insights about one symbol and speaker cannot both be true, and neither is the later value.

    They state the same attribute, or none, and name the same times. One says the opposite of the other, or, in the
    same words and at the same time, another number: of several numbers one may say which thing is meant.
    """
    if same_attribute(one, other):
        if one.value is not None and other.value is not None:
            return one.value != other.value
    elif one.attribute and other.attribute:
        return False
    mine, theirs = _read(one.text), _read(other.text)
    if mine.times != theirs.times:
        return False
    if _opposed(mine, theirs):
        return _share(mine, theirs) >= ALIKE
    together = other.valid_from is not None and abs(one.valid_from - other.valid_from) <= TOGETHER
    another = len(mine.numbers - theirs.numbers) == len(theirs.numbers - mine.numbers) == 1
    return together and another and mine.words == theirs.words


@dataclass(frozen=True, kw_only=True)
class _Read:
    words: frozenset[str]
    numbers: frozenset[str]
    sides: frozenset[tuple[int, int]]
    times: frozenset[str]
    denied: bool


@lru_cache(maxsize=20_000)
def _read(text: str) -> _Read:
    said = statement(text).split()
    plainly = _WORD.findall(text.lower().replace("n't", " not"))
    return _Read(
        words=frozenset(word for word in said if not word[0].isdigit()),
        numbers=frozenset(word for word in said if word[0].isdigit()),
        sides=frozenset(_SIDES[word] for word in plainly if word in _SIDES),
        times=frozenset(named.lower() for named in _TIME.findall(text)),
        denied=sum(word in _NEGATIONS for word in plainly) % 2 == 1,
    )


def _share(one: _Read, other: _Read) -> float:
    together = len(one.words) + len(other.words)
    return 2 * len(one.words & other.words) / together if together else 0.0


def _opposed(one: _Read, other: _Read) -> bool:
    """Return whether one says the opposite of the other: denied against not, or the other side of a pair, not both."""
    return (one.denied != other.denied) != any(_against(one, other))


def _against(one: _Read, other: _Read) -> Iterator[bool]:
    for pair, side in one.sides - other.sides:
        yield (pair, 1 - side) in other.sides - one.sides

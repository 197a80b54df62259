"""What a new insight does to those that stand: it joins them, says the same again, takes one's place, or contradicts.

- A statement that says no more than one that stands *supports* it: its sources are added, and it counts as said again.
- A newer value of the same attribute of the same symbol and speaker *supersedes* the older, which stays in the history.
- What contradicts another and is no later value of the same attribute is *disputed*: both stay, and both say so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from gallump_lab.memory import ledger
from gallump_lab.memory.ledger import Known
from gallump_lab.memory.records import Learnt
from gallump_lab.memory.text import statement

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAME = 0.8
"""Two statements with the same numbers say the same if they share so much of their words (Dice 1945: twice what both
have, over what they have together)."""
ALIKE = 0.6
"""From here on two statements speak of the same thing, and may contradict each other."""
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
    "always never",
    "before after",
    "with without",
)
_SIDES = {word: (pair, side) for pair, both in enumerate(_OPPOSITES) for side, word in enumerate(both.split())}
_NEGATIONS = frozenset({"no", "not", "never", "without", "neither", "nor"})
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What became of a new insight."""

    insight_id: int
    """Its own, or that of the one it says again."""
    new: bool


class Standing:
    """The insights that stand in a lab, kept up while new ones come in, inside one transaction.

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
        for each in ledger.standing(con):
            self._of(each).append(each)

    def _of(self, each: Known | Learnt) -> list[Known]:
        """Give what stands about the same symbol by the same speaker."""
        return self._about.setdefault((each.symbol, each.speaker), [])

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
        about = self._of(made)
        if same := next((each for each in reversed(about) if says_same(each, made)), None):
            ledger.record(
                self._con, same.insight_id, "supported", learnt, self._now, sources=set(made.sources) - {*same.sources}
            )
            about[about.index(same)] = replace(same, sources=[*same.sources, *made.sources])
            return Settled(insight_id=same.insight_id, new=False)
        holds = made.valid_from or learnt
        insight_id = ledger.write(self._con, made, learnt, self._now, distiller)
        stands = True
        for other in [each for each in about if not each.retired]:
            if same_attribute(other, made) and other.valid_from != holds:
                if other.valid_from < holds:
                    ledger.replaced(self._con, other.insight_id, insight_id, self._now)
                    about.remove(other)
                else:  # an old statement that came late
                    self._squeeze_in(insight_id, made, holds, learnt, other)
                    stands = False
            elif contradict(other, made):
                ledger.record(self._con, insight_id, "disputed", learnt, self._now, other=other.insight_id)
                ledger.record(self._con, other.insight_id, "disputed", learnt, self._now, other=insight_id)
        if stands:
            about.append(_known(insight_id, made, holds))
        return Settled(insight_id=insight_id, new=True)

    def _squeeze_in(self, insight_id: int, made: Learnt, holds: datetime, learnt: datetime, newer: Known) -> None:
        """Put an insight before a newer one that stands, and after those that the newer one took the place of."""
        older = self._con.execute(
            "select insight_id from insights i join insight_events e using (insight_id) "
            "where superseded_by = ? and attribute = ? and i.symbol is not distinct from ? "
            "and speaker is not distinct from ? and valid_from < ?",
            [newer.insight_id, made.attribute, made.symbol, made.speaker, holds],
        ).fetchall()
        for (old,) in older:
            ledger.record(self._con, old, "superseded", learnt, self._now, other=insight_id)
        ledger.replaced(self._con, insight_id, newer.insight_id, self._now)


def _known(insight_id: int, made: Learnt, holds: datetime) -> Known:
    return Known(
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
    )


def same_attribute(one: Known, other: Learnt) -> bool:
    """Tell whether two insights state the same attribute of one symbol and speaker."""
    return one.attribute is not None and one.attribute == other.attribute


def says_same(one: Known, other: Learnt) -> bool:
    """Tell whether two insights about one symbol and speaker say the same."""
    if one.attribute and other.attribute and one.attribute != other.attribute:
        return False
    if same_attribute(one, other) and one.value is not None and other.value is not None:
        return one.value == other.value
    mine, theirs = _read(one.text), _read(other.text)
    return mine.numbers == theirs.numbers and not _opposed(mine, theirs) and _share(mine, theirs) >= SAME


def contradict(one: Known, other: Learnt) -> bool:
    """Tell whether two insights about one symbol and speaker cannot both be true, and neither is the later value."""
    if same_attribute(one, other):
        return one.value != other.value or one.value is None
    if one.attribute and other.attribute:
        return False
    mine, theirs = _read(one.text), _read(other.text)
    differ = _opposed(mine, theirs) or bool(mine.numbers and theirs.numbers and mine.numbers != theirs.numbers)
    return differ and _share(mine, theirs) >= ALIKE


@dataclass(frozen=True, kw_only=True)
class _Read:
    words: frozenset[str]
    numbers: frozenset[str]
    sides: frozenset[tuple[int, int]]
    denied: bool


@lru_cache(maxsize=20_000)
def _read(text: str) -> _Read:
    said = statement(text).split()
    plainly = _WORD.findall(text.lower().replace("n't", " not"))
    return _Read(
        words=frozenset(word for word in said if not word[0].isdigit()),
        numbers=frozenset(word for word in said if word[0].isdigit()),
        sides=frozenset(_SIDES[word] for word in plainly if word in _SIDES),
        denied=sum(word in _NEGATIONS for word in plainly) % 2 == 1,
    )


def _share(one: _Read, other: _Read) -> float:
    together = len(one.words) + len(other.words)
    return 2 * len(one.words & other.words) / together if together else 0.0


def _opposed(one: _Read, other: _Read) -> bool:
    """Tell whether one says the opposite of the other: denied against not, or the other side of a pair."""
    return one.denied != other.denied or any(_against(one, other))


def _against(one: _Read, other: _Read) -> Iterator[bool]:
    for pair, side in one.sides - other.sides:
        yield (pair, 1 - side) in other.sides - one.sides

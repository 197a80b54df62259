"""Which candidates of a question state what no longer holds, or never did, and what holds instead.

It is decided from the candidates alone, in ranking, so it is alike at every budget. Only what the question is about is
marked: the same passage may answer another.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from itertools import pairwise

from gallump_lab.lazy import any_of, regex
from gallump_lab.memory.asked import rarity
from gallump_lab.memory.figures import (
    ATTRIBUTES,
    CHANGES,
    NAMED,
    Clause,
    Figure,
    features,
    read,
    replaced,
    spoken_of,
    stated,
)
from gallump_lab.memory.records import ContextItem
from gallump_lab.memory.text import terms
from gallump_lab.reading import dates, names

CLOSED, HEARSAY, PLAN = "closed", "hearsay", "a plan"

_IDLE = features(
    "again now right latest number current currently today moment actual exactly last count remind tell gave give "
    "said say set get have value price one time really these days new make go going went think want up much many "
    "high big point line put take final work run running working open total end year decide plan more whats "
    "morning night week evening both all each every list show gimme since until after before under over thing "
    "also per still allow myself out near early late"
) | frozenset(terms("level levels"))
"""Words of a question that do not say what it is about."""

_BEFORE = any_of(r"before (?:i|we|he|she|they|it|you)\b.*")
"""Until when, which is not what is asked for."""
_ALL = any_of(r"started|began|so far|all|history|changed?|each|every|steps?|over time")
"""Whoever asks so wants the old ones too, unless as of today."""
_TODAY = any_of("now|current(?:ly)?|at the moment|today|in force")
_WHETHER = regex(
    r"\b(?:still|left|any ?more|out there|do with|happen\w*|end(?:ed)? up)\b"
    r"|^\W*(?:and |so )?(?:have|has|do|does|did|am|is|are|was|any)\b",
    re.IGNORECASE,
)
_NOW, _DID = any_of("now"), any_of("did|was|were|had")
_PERCENT = regex(r"%|\b(?:pct|percent|weight|share)\b", re.IGNORECASE)
_MANY = any_of(r"how many|how much\b.*\b(?:hold|left|own)")
_SUPPOSED = any_of(r"plan\w*|would|i'?d|wait\w*|want\w*|idea|if|thinking|consider\w*|maybe|condition\w*|hypothe\w*")
_YOU = any_of("you|your")
_TOLD = any_of(r"(?:i|we)\b.{0,15}\b(?:give|gave|told?|tell)")
_I_SAID = any_of("(?:did|do) (?:i|we) (?:say|tell|think)|(?:i|we) (?:said|told)")
_WHO_SAYS = any_of(
    r"says?|said|told|think|reckons?|rumou?r|heard|suggest\w*|hear|consensus|street|analysts|forecasts?|estimates?"
)

_LEVELS = frozenset({"STOP", "TARGET", "ENTRY"})
"""Each symbol has its own."""

_TAKEN_BACK = regex(
    r"^\W*(?:(?:hm+|oh|ah|ok|stop|well)\W+(?:\w+\W+)?)?(?:no wait|wait|sorry|sry|actually|correction|typo|i mixed"
    r"|i mean|i meant|scratch that|my mistake|oops|make (?:it|that))\b",
    re.IGNORECASE,
)

_IN_WORDS = regex(
    r"(?i)\b(?:(break[ -]?even|b/e|(?<=to )(?:my )?(?:entry|cost))|(?:took|pull|remov|scrap|cancel|no)(?:l?ed|ing)?"
    r"(?: the| my)?(?: [\w.]+)? (?:stop|target))\b"
)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What is wrong with a candidate."""

    words: str
    """As `ContextItem.outdated` has it."""
    successor: int | None = None
    """The candidate that states it anew, by its id."""


@cache
def known_symbols() -> frozenset[str]:
    """Return the features of well-known symbols that are no words."""
    return frozenset[str]().union(*(features(symbol) for symbol in names.well_known() if names.plain(symbol)))


@lru_cache(maxsize=64)
def _with_known(symbols: frozenset[str]) -> frozenset[str]:
    return known_symbols() | symbols


def symbols_of(slots: Sequence[ContextItem]) -> set[frozenset[str]]:
    """Return the features of each symbol that candidates have."""
    return {features(symbol) for symbol in {slot.symbol for slot in slots} if symbol}


_Change = tuple[ContextItem, frozenset[str], Figure]
"""Who states a new figure, the keys of the old ones, and the new one."""


class Succession:
    """A question among its candidates: what they state anew, end, take back or suppose."""

    def __init__(self, question: str, slots: Sequence[ContextItem], now: datetime, others: frozenset[str]) -> None:
        spans, rest = dates.spans(question, now)
        self._rest = rest
        ends = [end for begin, end in spans if any(begin <= when(slot)[0] < end for slot in slots)]
        self._live = [slot for slot in slots if not ends or when(slot)[0] < max(ends)]
        self._slots = sorted(slots, key=lambda slot: slot.item_id)
        wanted = features(_BEFORE.sub("", rest)) - _IDLE - others
        self._sized = "SIZE" in wanted or _MANY.search(rest) is not None
        wanted -= {"SIZE"}
        self._clauses = {slot.item_id: read(slot.text) for slot in slots}
        told = [stated(slot.text) for slot in slots]
        held = {each: sum(each in said for said in told) for each in wanted}
        self._weights = {each: round(1_000 * rarity(len(slots), number)) for each, number in held.items() if number}
        self._wanted = frozenset(self._weights)
        self._attributes = self._wanted & ATTRIBUTES
        things = self._wanted - NAMED - features("long short") or self._wanted - NAMED
        rarest = max((self._weights[each] for each in things), default=0)
        self._subject = frozenset(each for each in things if self._weights[each] >= 0.6 * rarest)
        self._total = sum(self._weights.values())
        self._you = _YOU.search(rest) is not None and not _TOLD.search(rest)
        self._role = "assistant" if self._you else "user"
        self._own = sorted((slot for slot in self._live if slot.role == self._role), key=when, reverse=True)
        self._said, self._taken_up = dict[int, frozenset[str]](), dict[int, frozenset[str]]()
        self._context()
        self._figures: dict[str, list[tuple[ContextItem, Clause, Figure]]] = {}
        for slot in self._live:
            for clause in self._clauses[slot.item_id]:
                for figure in clause.figures:
                    self._figures.setdefault(figure.key, []).append((slot, clause, figure))

    @property
    def names_subject(self) -> bool:
        """Whether it says of what it asks."""
        return bool(self._subject)

    @property
    def of_levels(self) -> bool:
        """Whether it asks of levels, which each symbol has its own of."""
        return bool(self._attributes & _LEVELS)

    @property
    def _of_state(self) -> bool:
        """Whether it is asked how something stands, or how much of it there is."""
        asked = any(words.search(self._rest) for words in (_WHETHER, _MANY, _PERCENT))
        return bool(self._attributes) or asked

    def _context(self) -> None:
        """Find what each message speaks of, and what it takes up from the one before it.

        Where the question names symbols, only what is said of these is read on: a clause without one goes on with the
        one before it.
        """
        self._symbols = symbols = _with_known(frozenset[str]().union(*symbols_of(self._slots)) - known_symbols())
        asked, others = self._wanted & symbols, symbols - self._wanted
        said: dict[int | None, frozenset[str]] = {}
        for slot in self._slots:
            said[slot.message_id] = said.get(slot.message_id, frozenset()) | spoken_of(slot.text)
        before: dict[str | None, frozenset[str]] = {}
        spoken: dict[object, frozenset[str]] = {}
        for slot in self._slots:
            mine, clauses = said[slot.message_id], self._clauses[slot.item_id]
            about = spoken.get(slot.message_id, spoken.get(slot.session_id, frozenset()))
            begins = clauses[0].around if clauses else mine
            another = not begins.isdisjoint(others) and mine.isdisjoint(self._subject)
            taken_up = frozenset[str]() if another else before.get(slot.session_id, frozenset())
            self._said[slot.item_id], self._taken_up[slot.item_id] = mine, taken_up
            kept = []
            for clause in clauses if asked else ():
                named = clause.features & symbols
                about = named or (asked if clause.features & self._subject else about)
                if not about or about & asked:
                    kept.append(clause)
            self._clauses[slot.item_id] = tuple(kept) if asked else clauses
            spoken[slot.message_id] = about
            if slot.role == "user":
                spoken[slot.session_id] = about
                own = not (mine.isdisjoint(symbols) and mine.isdisjoint(self._wanted))
                before[slot.session_id] = mine if own else mine | before.get(slot.session_id, frozenset())
            else:
                questions = (clause.around for clause in clauses if clause.asks)
                before[slot.session_id] = before.get(slot.session_id, frozenset()).union(*questions)

    def _near(self, slot: ContextItem, clause: frozenset[str] = frozenset()) -> float:
        """Return how much of what is wanted a passage speaks of, 0 to 1: most if a clause of it does."""
        said, taken_up = self._said[slot.item_id], self._taken_up[slot.item_id]
        return sum(
            weight * (10 if each in clause else 9 if each in said else 7 if each in taken_up else 0)
            for each, weight in self._weights.items()
        ) / (10 * self._total or 1)

    def _on_subject(self, slot: ContextItem) -> bool:
        about = self._said[slot.item_id] | self._taken_up[slot.item_id]
        return not self._subject or not self._subject.isdisjoint(about)

    def marks(self) -> dict[int, Mark]:
        """Return what is outdated of the candidates, by their ids."""
        found: dict[int, Mark] = {}
        if not self._total:
            return found
        if not _ALL.search(self._rest) or _TODAY.search(self._rest):
            for old, new in self._ended():
                found.setdefault(old.item_id, _mark(CLOSED, new))
            held = _WHETHER.search(self._rest) and not self._attributes and not self._sized  # not how much of it
            for change in (*(() if held else (*self._stated(), *self._replaced())), *self._taken_back()):
                for old in self._old(*change):
                    new, _, figure = change
                    found.setdefault(old.item_id, _mark(new.text[figure.start : figure.stop].strip(), new))
            for old, new, said in self._reworded():
                found.setdefault(old.item_id, _mark(said, new))
        if not self._you:
            for slot, words in self._unsure():
                found.setdefault(slot.item_id, Mark(words=words))
        return {item: _last(found, mark) for item, mark in found.items()}

    def _replaced(self) -> Iterator[_Change]:
        for slot in self._own:
            keys = {figure.key for clause in read(slot.text) for figure in clause.figures}
            if any(other is not slot for key in keys for other, *_ in self._figures.get(key, ())):
                read_on = {figure for clause in self._clauses[slot.item_id] for figure in clause.figures}
                yield from ((slot, olds, new) for olds, new in replaced(slot.text) if new in read_on)

    def _taken_back(self) -> Iterator[_Change]:
        """Find what corrects the message before it: "sorry, 3"."""
        for before, slot in pairwise(sorted(self._own, key=lambda slot: slot.item_id)):
            if before.session_id == slot.session_id and _TAKEN_BACK.match(slot.text):
                new = [figure for clause in self._clauses[slot.item_id] for figure in clause.figures]
                old = [figure for clause in self._clauses[before.item_id] for figure in clause.figures]
                yield from ((slot, frozenset(each.key for each in old if each.like(to)), to) for to in new[:1])

    def _stated(self) -> Iterator[_Change]:
        """Find the newest figure of what is asked for, and the older ones."""
        if self.of_levels and not self._subject:
            return
        asked = self._attributes or self._wanted
        percent = not self._attributes and _PERCENT.search(self._rest) is not None
        for slot in self._own:
            for clause in self._clauses[slot.item_id]:
                given = [each for each in clause.figures if not percent or each.unit == "%"]
                if not given or not self._on_subject(slot):
                    continue
                if not self._answers(slot, clause, percent=percent) or not clause.sure:
                    continue
                new = given[-1]
                olds = frozenset(
                    each.key
                    for other in self._own
                    if _later(slot, other) and self._on_subject(other)
                    for old in self._clauses[other.item_id]
                    if (percent and self._subject) or (old.features if self._attributes else old.around) & asked
                    for each in old.figures
                    if each.unit == new.unit and each.like(new)
                )
                yield slot, olds, new
                return

    def _reworded(self) -> Iterator[tuple[ContextItem, ContextItem, str]]:
        """Find the newest level that is told in words, and who states an older one in figures."""
        for new in filter(self._on_subject, self._own):
            for clause in self._clauses[new.item_id]:
                told = clause.features & self._attributes and clause.sure and not clause.figures
                if told and (said := _IN_WORDS.search(clause.text)):
                    for old in self._live:
                        stated = (c.figures and c.features & self._attributes for c in self._clauses[old.item_id])
                        alike = self._subject or old.symbol == new.symbol
                        if alike and _later(new, old) and self._on_subject(old) and any(stated):
                            yield old, new, said[1] or "none"
                    return

    def _answers(self, slot: ContextItem, clause: Clause, *, percent: bool) -> bool:
        if self._attributes:
            return bool(clause.features & self._attributes) and self._near(slot, clause.features) >= 0.5
        sized = self._sized and "SIZE" in clause.features
        told = (percent and clause.around & self._subject) or (
            (sized if self._sized else clause.around & self._wanted) and self._near(slot, clause.features) >= 0.4
        )
        if not told:
            return False
        now = len(clause.around & self._wanted) + sized > 1 and _NOW.search(clause.sentence)  # a price now is no change
        return bool(now or CHANGES(clause.sentence))

    def _old(self, new: ContextItem, olds: frozenset[str], figure: Figure) -> Iterator[ContextItem]:
        """Find the candidates that state an old figure of what is asked for."""
        for slot, clause, old in (place for key in olds for place in self._figures.get(key, ())):
            about = self._said[new.item_id] & clause.features & self._wanted or (
                self._near(slot) >= 0.5 and (self._near(new) > 0 or len(figure.key) > 2 or figure.unit)
            )
            if (
                about
                and old.like(figure)
                and _later(new, slot)
                and all(each.key != figure.key for each in clause.figures)
                and self._of_what_is_asked(slot, clause, old)
                and not any(old.key in keys for keys, _ in replaced(slot.text))
            ):
                yield slot

    def _of_what_is_asked(self, slot: ContextItem, clause: Clause, figure: Figure) -> bool:
        """Return whether a clause's figure is not one of another attribute than the question's."""
        if figure.unit == "%":
            return not self._attributes
        others = clause.features & ATTRIBUTES - ({"ENTRY"} if self._sized else set())
        return not others or bool(others & self._attributes) or slot.role != self._role

    def _ended(self) -> Iterator[tuple[ContextItem, ContextItem]]:
        """Find what says that a thing is over, and what was said of it before."""
        whether = _WHETHER.search(self._rest) is not None
        now = self._attributes and not _DID.search(self._rest)
        if not self._subject or not (whether or now):
            return
        for new in filter(self._on_subject, self._own):
            clauses = self._clauses[new.item_id]
            if any(self._ends(new, clause, whether=whether) for clause in clauses):
                for slot in self._live:
                    if (
                        _later(new, slot)
                        and any(
                            clause.figures and (clause.around & self._subject or self._near(slot) >= 0.5)
                            for clause in self._clauses[slot.item_id]
                        )
                        and self._on_subject(slot)
                        and not any(
                            (clause.around & self._subject or not self._said[slot.item_id] & self._subject)
                            and clause.ends
                            and clause.sure
                            for clause in self._clauses[slot.item_id]
                        )
                    ):
                        yield slot, new
                return
            sets = (each.sure and each.figures and each.features & self._attributes for each in clauses)
            if not whether and any(sets) and not any(each.ends for each in clauses):
                return  # what ended before has begun anew

    def _ends(self, slot: ContextItem, clause: Clause, *, whether: bool) -> bool:
        if not whether and self._attributes & clause.features:
            return False
        about = clause.around | self._said[slot.item_id]
        if slot.role == "user" and not about & self._symbols:  # "bailed at 402": of which the message before speaks
            about |= self._taken_up[slot.item_id] & self._symbols
        ends = (each.ends for each in self._clauses[slot.item_id] if each.sentence == clause.sentence)
        return bool(about & self._subject) and any(ends) and clause.sure

    def _unsure(self) -> Iterator[tuple[ContextItem, str]]:
        """Find what others say, and plans, where it is asked what is so."""
        others = _WHO_SAYS.search(_I_SAID.sub("", self._rest)) is not None
        states = self._of_state and not _SUPPOSED.search(self._rest)
        for slot in self._live:
            about, clauses = self._on_subject(slot), self._clauses[slot.item_id]
            own = any(clause.figures and clause.features & self._attributes and clause.sure for clause in clauses)
            for clause in clauses if slot.role == "user" else ():
                if not about and not clause.around & self._subject:
                    continue
                if clause.reported and not (others or own or self._beside(clause, clauses)):
                    yield slot, HEARSAY
                elif clause.figures and states and clause.supposed:
                    yield slot, PLAN

    def _beside(self, clause: Clause, clauses: Sequence[Clause]) -> bool:
        """Return whether a clause is of something else than what its passage says of the subject itself."""
        own = (other.around & self._subject and not other.reported for other in clauses)
        return not clause.figures and clause.around.isdisjoint(self._subject) and any(own)


def _last(found: Mapping[int, Mark], mark: Mark) -> Mark:
    """Return the mark of what states it last, where that which states it anew is outdated itself."""
    while mark.successor is not None and (newer := found.get(mark.successor)) and newer.successor is not None:
        mark = newer
    return mark


def _mark(words: str, new: ContextItem) -> Mark:
    return Mark(words=f"{words} since {when(new)[0]:%Y-%m-%d}", successor=new.item_id)


def _later(new: ContextItem, old: ContextItem) -> bool:
    """Return whether what one states may take the place of another: it is of the same speaker, or of no analyst."""
    same = new.speaker == old.speaker or new.role != old.role
    return same and new.message_id != old.message_id and when(new) > when(old)


def when(slot: ContextItem) -> tuple[datetime, int]:
    """Return when a passage was said, and its place among those of one moment."""
    if slot.created_at is None:
        msg = f"passage {slot.item_id} has no time"
        raise ValueError(msg)
    return slot.created_at, slot.item_id

"""A question's candidates with what is outdated marked, and what holds instead before it; see `succession`."""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from gallump_lab import tokens
from gallump_lab.lazy import any_of
from gallump_lab.memory import kinds
from gallump_lab.memory.figures import CHANGES, features, read
from gallump_lab.memory.records import ContextItem
from gallump_lab.memory.succession import CLOSED, HEARSAY, PLAN, Mark, Succession, symbols_of, when

FIRST = 32
"""So many candidates are looked at; the outcome does not depend on how many more there are."""
LEVELS = frozenset({"STOP", "TARGET"})
"""What an analyst may have moved since, in words or elsewhere."""
OLD = 30
"""After so many days a level that was not said again tells its age."""
UNCONFIRMED = "not confirmed for"
_REASON = any_of(
    "why|reason|who|when (?:did|do|does|was|is|were|are|will|have|had)|how come|ever",
    "how many (?:days|weeks|months|years|hours|times)",
)
"""Not asking for what holds."""


def settle(  # noqa: PLR0913 (what a question is)
    candidates: Sequence[ContextItem],
    question: str,
    now: datetime,
    factor: float,
    symbols: Sequence[str] = (),
    *,
    memo: dict[frozenset[int], dict[int, Mark]] | None = None,
) -> list[ContextItem]:
    """Mark what is outdated of a question's candidates, and put what holds instead before it.

    What holds instead takes the best place of those that it outdates: a mark that is wrong loses nothing. Where it is
    asked what held earlier, that takes the place of what holds instead. Nothing moves before what is pinned.

    Parameters
    ----------
    candidates : sequence of ContextItem
        Passages in rank order; the first `FIRST` are looked at.
    question : str
        What is asked at `now`, in the time zone whose days count.
    factor : float
        The model's tokens per cl100k token: a mark costs some.
    symbols : sequence of str
        What the question is about.
    memo : dict, optional
        Keeps the marks by candidates, which several settings share.
    """
    first, rest = candidates[:FIRST], candidates[FIRST:]
    memo, these = {} if memo is None else memo, frozenset(slot.item_id for slot in first)
    if these not in memo:
        memo[these] = _marks(question, sorted(first, key=lambda slot: slot.item_id), now, symbols)
    found, earlier = memo[these], kinds.asks_earlier(question)
    words = _unconfirmed(first, now) | {item: mark.words for item, mark in found.items()}
    place = {slot.item_id: number for number, slot in enumerate(first)}
    lifted = dict(place)
    for item, mark in found.items():
        if mark.successor is not None and not first[place[item]].signals.get("pin"):
            better, other = (item, mark.successor) if earlier else (mark.successor, item)
            lifted[better] = min(place[other], lifted[better])

    def standing(slot: ContextItem) -> tuple[int, bool]:
        return lifted[slot.item_id], lifted[slot.item_id] == place[slot.item_id]

    # What takes the place of something near the question is as near.
    near = {mark.successor for item, mark in found.items() if "far" not in first[place[item]].signals}
    if earlier and first:  # and what something near the question has taken the place of
        news = {item: first[place[mark.successor]] for item, mark in found.items() if mark.successor is not None}
        near |= {item for item, new in news.items() if "far" not in new.signals}
        near |= set() if found else _told_otherwise(first)
    first = [brought_near(slot) if slot.item_id in near else slot for slot in first]
    return [*(marked(slot, words.get(slot.item_id), factor) for slot in sorted(first, key=standing)), *rest]


def _marks(question: str, candidates: Sequence[ContextItem], now: datetime, symbols: Sequence[str]) -> dict[int, Mark]:
    """Return what is outdated of a question's candidates, by their ids; it is asked at `now`, whose time zone counts.

    Where it is asked why, when or whether ever, nothing is: all that was said tells. Of several symbols that it names,
    each is decided by itself, and so is each symbol where levels are asked for without one; else it is about those that
    were given with it.
    """
    if not candidates or _REASON.search(question):
        return {}
    named = sorted((symbol for symbol in symbols_of(candidates) if symbol <= features(question)), key=sorted)
    if len(named) > 1:
        every = frozenset[str]().union(*named)
        by = {symbol: Succession(question, candidates, now, every - symbol).marks() for symbol in named}
        return {slot.item_id: mark for slot in candidates if (mark := _of_each(slot, by, by))}
    asked = Succession(question, candidates, now, frozenset())
    found = asked.marks()
    if asked.names_subject:
        return found
    if asked.of_levels:  # "What are my stops?"
        told = Counter(slot.symbol for slot in candidates if slot.symbol and slot.role == "user")
        each = [symbol for symbol, times in told.items() if times > 1]
        by = {features(name): Succession(f"{question} {name}", candidates, now, frozenset()).marks() for name in each}
        found |= {slot.item_id: mark for slot in candidates if (mark := _of_each(slot, by, ()))}
    return found or Succession(" ".join((question, *symbols)), candidates, now, frozenset()).marks()


def _of_each(
    slot: ContextItem, by: Mapping[frozenset[str], Mapping[int, Mark]], otherwise: Collection[frozenset[str]]
) -> Mark | None:
    """Return a candidate's mark, if it is outdated of every symbol that it speaks of, or else of these."""
    own = features(slot.symbol) if slot.symbol else None
    spoken = [symbol for symbol in by if symbol <= features(slot.text)] or [symbol for symbol in by if symbol == own]
    found = [by[symbol].get(slot.item_id) for symbol in spoken or otherwise]
    return found[-1] if found and all(found) else None


def _told_otherwise(slots: Sequence[ContextItem]) -> set[int]:
    """Return what shares most with the best candidate, a change, where nothing older is near: what held before it."""
    new, in_time = slots[0], sorted(slots, key=when)
    older = [slot for slot in in_time[: in_time.index(new)] if slot.role == new.role == "user"]
    near = ["far" not in slot.signals for slot in (new, *older)]
    if not older or not near[0] or any(near[1:]) or not CHANGES(new.text):
        return set()
    said = features(new.text)
    best = max(older, key=lambda slot: len(said & features(slot.text)))
    return {best.item_id} if said & features(best.text) else set()


def brought_near(slot: ContextItem) -> ContextItem:
    """Return a slot that counts as near the question, whatever its signals say."""
    far = slot.signals.get("far", 0)
    signals = {name: gained for name, gained in slot.signals.items() if name != "far"}
    return replace(slot, score=slot.score - far, signals=signals) if far else slot


def _unconfirmed(slots: Sequence[ContextItem], now: datetime) -> dict[int, str]:
    """Return how old levels are that analysts stated and did not state again, by candidates' ids, in words."""
    found, since = dict[int, str](), set[Hashable]()
    for slot in sorted(slots, key=when, reverse=True):
        if slot.role == "user" and slot.symbol:
            levels = {
                (slot.speaker, slot.symbol, name, figure.key)
                for clause in read(slot.text)
                if clause.figures and clause.features & LEVELS and clause.sure
                for name in clause.features & LEVELS
                for figure in clause.figures
            }
            days = (now - when(slot)[0]).days
            if levels - since and days >= OLD:
                age = f"{days // 7} weeks" if days < 2 * OLD else f"{days // 30} months"
                found[slot.item_id] = f"{UNCONFIRMED} {age}"
            since |= levels
    return found


def marked(slot: ContextItem, mark: str | None, factor: float) -> ContextItem:
    """Return a slot whose line begins with why it is outdated or how old, in words; itself where it is neither."""
    if mark is None:
        return slot
    lead = f"[{told(mark)}] "
    cost = slot.tokens + tokens.scaled(_counted(lead), factor)
    marks = (None, mark) if mark.startswith(UNCONFIRMED) else (mark, None)
    return replace(slot, line=lead + slot.line, tokens=cost, outdated=marks[0], unconfirmed=marks[1])


def told(mark: str) -> str:
    """Return a mark as it is shown."""
    return mark if mark.startswith((CLOSED, HEARSAY, PLAN, UNCONFIRMED)) else f"superseded: {mark}"


_counted = lru_cache(maxsize=1_000)(tokens.count)

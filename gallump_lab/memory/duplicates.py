"""What says the same: of equal statements a prompt holds one, the newest."""

from collections.abc import Hashable, Sequence
from datetime import UTC, datetime

from gallump_lab.memory.packing import PassedOver
from gallump_lab.memory.records import ContextItem, Reason
from gallump_lab.memory.text import statement
from gallump_lab.reading.symbols import canonical

FIRST = 60
"""So many candidates change places among each other; the order does not depend on how many more are looked at."""

_NEVER = datetime.min.replace(tzinfo=UTC)


def newest_first(candidates: Sequence[ContextItem]) -> list[ContextItem]:
    """Let the newest of equal statements, or a pinned one, take the best place; the others keep their order."""
    first, rest = candidates[:FIRST], candidates[FIRST:]
    equals: dict[Hashable, list[ContextItem]] = {}
    for slot in first:
        equals.setdefault((_who(slot), statement(slot.text)), []).append(slot)
    for group in equals.values():
        best = max(group, key=lambda slot: (slot.signals.get("pin", 0), *when(slot)))
        group.sort(key=lambda slot: slot is not best)
    return [*(equals[_who(slot), statement(slot.text)].pop(0) for slot in first), *rest]


def already_said(hot_slots: Sequence[ContextItem], excluded: PassedOver = lambda _: None) -> PassedOver:
    """Say of WARM's candidates, asked in their order, which HOT shows already or which say no more than another does.

    A statement is a duplicate if it equals an earlier one, or is a part of one that is not older.
    """
    standing: dict[int | None, str] = {}
    said: dict[Hashable, list[tuple[datetime, str]]] = {}
    for slot in hot_slots:
        if slot.kept:
            standing[slot.message_id] = f"{standing.get(slot.message_id, '')}\n{slot.text}"
            said.setdefault(_who(slot), []).append((slot.created_at or _NEVER, statement(slot.text)))

    def passed_over(slot: ContextItem) -> Reason | None:
        if why := excluded(slot):
            return why
        if slot.text in standing.get(slot.message_id, ""):
            return "in HOT"
        at, stated, others = slot.created_at or _NEVER, statement(slot.text), said.setdefault(_who(slot), [])
        if any(stated in other and (stated == other or at <= then) for then, other in others):
            return "duplicate"
        others.append((at, stated))
        return None

    return passed_over


def _who(slot: ContextItem) -> Hashable:
    """Return whom a statement must be of, and about what, to be another's duplicate."""
    return slot.speaker or slot.role, slot.symbol and canonical(slot.symbol)


def says(whole: ContextItem, part: ContextItem) -> bool:
    """Return whether one slot states all that another does, said by the same of the same symbol."""
    return _who(whole) == _who(part) and statement(part.text) in statement(whole.text)


def when(slot: ContextItem) -> tuple[datetime, int]:
    """Return what puts slots in the order in which they were said."""
    return slot.created_at or _NEVER, slot.item_id

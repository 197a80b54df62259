"""Filling a budget. It knows no query: it takes candidates in rank order, each with its cost.

kept(b) is the longest prefix that fits, so kept(500) is part of kept(600): a larger budget never loses an item. Of
equal statements a prompt holds one, the newest.
"""

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gallump_lab.memory.records import ContextItem, Item, Reason, Tier
from gallump_lab.memory.text import statement
from gallump_lab.reading.symbols import canonical

if TYPE_CHECKING:
    import pandas as pd

NEAR_MISSES = 20
FIRST = 60
"""So many candidates change places among each other; the order does not depend on how many more are looked at."""
TIERS: tuple[Tier, ...] = ("hot", "warm", "cold")
_NEVER = datetime.min.replace(tzinfo=UTC)

PassedOver = Callable[[ContextItem], Reason | None]


def pack(
    candidates: Sequence[ContextItem],
    budget: int,
    *,
    most: int | None = None,
    passed_over: PassedOver = lambda _: None,
    excluded: Collection[Item] = (),
) -> list[ContextItem]:
    """Keep the longest prefix of the candidates that fits.

    Parameters
    ----------
    candidates : sequence of ContextItem
        In rank order.
    budget : int
        The model's tokens.
    most : int, optional
        At most so many items.
    passed_over : callable
        Says why a candidate is left out without taking room ("in HOT", "duplicate", ...), None where it is not.
    excluded : collection of (kind, item_id)
        What the analyst left out.

    Returns
    -------
    list of ContextItem
        All candidates, decided: `kept` and `reason` set.
    """
    decided: list[ContextItem] = []
    used, kept, full = 0, 0, False
    for slot in candidates:
        why = "excluded" if (slot.kind, slot.item_id) in excluded else passed_over(slot)
        if why is None:
            full = full or used + slot.tokens > budget or (most is not None and kept >= most)
            why = "over budget" if full else "kept"
        if why == "kept":
            used, kept = used + slot.tokens, kept + 1
        decided.append(replace(slot, kept=why == "kept", reason=why))
    return decided


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


def already_said(hot: Sequence[ContextItem]) -> PassedOver:
    """Return what says of WARM's candidates, asked in their order, which are in HOT already or say what another does.

    A statement is a duplicate if it equals an earlier one, or is a part of one that is not older.
    """
    standing: dict[int | None, str] = {}
    said: dict[Hashable, list[tuple[datetime, str]]] = {}
    for slot in hot:
        if slot.kept:
            standing[slot.message_id] = f"{standing.get(slot.message_id, '')}\n{slot.text}"
            said.setdefault(_who(slot), []).append((slot.created_at or _NEVER, statement(slot.text)))

    def passed_over(slot: ContextItem) -> Reason | None:
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


def shown(slots: Sequence[ContextItem]) -> list[ContextItem]:
    """Return what a turn records of a tier: all that was kept, and the first `NEAR_MISSES` that were not."""
    found, missed = [], 0
    for slot in slots:
        missed += not slot.kept
        if slot.kept or missed <= NEAR_MISSES:
            found.append(slot)
    return found


def used(slots: Sequence[ContextItem]) -> dict[str, int]:
    """Sum the kept slots' tokens by tier."""
    return {tier: sum(slot.tokens for slot in slots if slot.kept and slot.tier == tier) for tier in TIERS}


_COLUMNS = "tier rank kept reason tokens score symbol role created_at message_id kind item_id text".split()


def frame(slots: Sequence[ContextItem]) -> "pd.DataFrame":
    """Return slots as a DataFrame, one row each, with a column `signal_...` for each signal (millionths)."""
    import pandas as pd

    rows = [
        {name: getattr(slot, name) for name in _COLUMNS}
        | {f"signal_{name}": value for name, value in slot.signals.items()}
        for slot in slots
    ]
    signals = dict.fromkeys(f"signal_{name}" for slot in slots for name in slot.signals)
    return pd.DataFrame(rows, columns=[*_COLUMNS, *signals])

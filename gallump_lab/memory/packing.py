"""Filling a budget. It knows no query: it takes candidates in rank order, each with its cost.

kept(b) is the longest prefix that fits, so kept(500) is part of kept(600): a larger budget never loses an item.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gallump_lab.memory.records import ContextItem, Reason, Tier

if TYPE_CHECKING:
    import pandas as pd

NEAR_MISSES = 20

PassedOver = Callable[[ContextItem], Reason | None]


def pack(
    candidates: Sequence[ContextItem],
    budget: int,
    *,
    most: int | None = None,
    passed_over: PassedOver = lambda _: None,
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

    Returns
    -------
    list of ContextItem
        All candidates, decided: `kept` and `reason` set.
    """
    decided, used, kept, full = [], 0, 0, False
    for slot in candidates:
        why = passed_over(slot)
        if why is None:
            full = full or used + slot.tokens > budget or (most is not None and kept >= most)
            why = "over budget" if full else "kept"
        if why == "kept":
            used, kept = used + slot.tokens, kept + 1
        decided.append(
            slot if (slot.kept, slot.reason) == (why == "kept", why) else replace(slot, kept=why == "kept", reason=why)
        )
    return decided


def shown(slots: Sequence[ContextItem]) -> list[ContextItem]:
    """Return what a turn records of a tier: all that was kept, and the first `NEAR_MISSES` that were not."""
    found, missed = [], 0
    for slot in slots:
        missed += not slot.kept
        if slot.kept or missed <= NEAR_MISSES:
            found.append(slot)
    return found


TIERS: tuple[Tier, ...] = ("hot", "warm", "cold")


def used(slots: Sequence[ContextItem]) -> dict[str, int]:
    """Sum the kept slots' tokens by tier."""
    return {tier: sum(slot.tokens for slot in slots if slot.kept and slot.tier == tier) for tier in TIERS}


_COLUMNS = (
    "tier",
    "rank",
    "kept",
    "reason",
    "tokens",
    "score",
    "symbol",
    "role",
    "created_at",
    "message_id",
    "kind",
    "item_id",
    "text",
)


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

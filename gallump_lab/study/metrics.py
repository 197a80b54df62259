"""The standard measures of a ranking, with binary relevance."""

import math
from collections.abc import Collection, Iterable, Sequence

from gallump_lab.memory.records import ContextItem

CUTOFF = 10
"""nDCG looks at the first so many messages."""


def order(slots: Iterable[ContextItem]) -> list[int]:
    """Return the messages of ranked passages, each where its first passage stands."""
    return list(dict.fromkeys(slot.message_id for slot in slots if slot.message_id is not None))


def recall_at(ranked: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Return the share of the relevant that stands among the first k; NaN if nothing is relevant."""
    return len(set(relevant).intersection(ranked[:k])) / len(relevant) if relevant else math.nan


def ndcg(ranked: Sequence[int], relevant: Collection[int], k: int = CUTOFF) -> float:
    """Return the normalised discounted cumulative gain of the first k; NaN if nothing is relevant.

    A relevant item at rank r gains 1 / log2(r + 1) (Jarvelin and Kekalainen 2002, "Cumulated gain-based evaluation of
    IR techniques").
    """
    if not relevant:
        return math.nan
    gained, best = 0.0, 0.0
    for rank, item in enumerate(ranked[:k], 1):
        gained += gain(rank) if item in relevant else 0.0
    for rank in range(1, min(k, len(relevant)) + 1):
        best += gain(rank)
    return gained / best


def gain(rank: int) -> float:
    """Return what a relevant item at a rank (from 1) gains."""
    return 1 / math.log2(rank + 1)


def reciprocal_rank(ranked: Sequence[int], relevant: Collection[int]) -> float:
    """Return 1 / the rank of the first that is relevant, 0 if none is found; NaN if nothing is relevant."""
    if not relevant:
        return math.nan
    return next((1 / rank for rank, item in enumerate(ranked, 1) if item in relevant), 0.0)

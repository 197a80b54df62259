"""What each budget of a grid gives one question, from one ranking.

Of each thing that a question needs (a passage, a word of the answer) the ranking tells at how many tokens of a tier it
comes in: its price. Packing keeps prefixes, so the prices say all, and a thousand budgets cost comparisons instead of
prompts. The figures equal `measure` of the packed tiers to the last digit.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from gallump_lab import tokens
from gallump_lab.memory.cold import Shown
from gallump_lab.memory.packing import TIERS, already_said, says
from gallump_lab.memory.records import ContextItem
from gallump_lab.memory.text import terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]


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


ENOUGH = 80
"""Leniently, a message is held by half of its tokens, or by so many of them."""
MEASURES = ("recall", "hit_rate", "full_recall", "partial_recall", "coverage", "ndcg", "waste")


@dataclass(frozen=True, kw_only=True)
class Qrels:
    """What one question needs."""

    evidence: Mapping[int, Sequence[ContextItem]]
    """The messages that the answer rests on, each as its passages."""
    words: frozenset[str]
    """The reference answer's content words, stemmed; empty where there is no answer."""
    cited: Mapping[int, frozenset[int]]
    """The messages that each insight rests on, by insight id."""

    def carries(self, insight: ContextItem) -> float:
        """Return the share of the answer's words that an insight carries; 0 where there is no answer."""
        return len(self.words & said(insight.text)) / len(self.words) if self.words else 0.0

    def by_insight(self, message_id: int, insight: ContextItem, share: float) -> bool:
        """Return whether an insight cites a message and carries so large a share of the answer's words."""
        return message_id in self.cited.get(insight.item_id, ()) and self.carries(insight) >= share

    def useful(self, slot: ContextItem) -> bool:
        """Return whether a slot holds something that the question needs."""
        if slot.kind == "insight":
            return any(self.by_insight(message_id, slot, 0.5) for message_id in self.evidence)
        return slot.message_id in self.evidence or any(
            says(slot, part) for parts in self.evidence.values() for part in parts
        )


@lru_cache(maxsize=50_000)
def said(text: str) -> frozenset[str]:
    """Return a text's content words, stemmed."""
    return frozenset(terms(text))


@lru_cache(maxsize=50_000)
def length(text: str) -> int:
    """Count a text's cl100k tokens."""
    return tokens.count(text)


def measure(needs: Qrels, kept: Sequence[ContextItem]) -> dict[str, float]:
    """Measure what a prompt's slots hold of what a question needs.

    Parameters
    ----------
    needs : Qrels
        With evidence.
    kept : sequence of ContextItem
        What stands in the prompt, each tier in rank order.

    Returns
    -------
    dict of str to float
        recall: the share of the evidence messages of which every sentence is in; hit_rate, full_recall: whether one, or
        each of them is; partial_recall: the share of which half of the tokens is in, or 80 of them; coverage: the share
        of the reference answer's content words that stand in the kept text (NaN without an answer); ndcg: of WARM's
        first ten messages, with binary gains (Jarvelin and Kekalainen 2002); waste: the share of the tokens that hold
        nothing that the question needs (NaN if there are none).
    """
    shown = [slot for slot in kept if slot.kind != "insight"]
    learnt = [slot for slot in kept if slot.kind == "insight"]
    strict, lenient = [], []
    for message_id, parts in needs.evidence.items():
        held = [part for part in parts if any(says(slot, part) for slot in shown)]
        strict.append(len(held) == len(parts) or any(needs.by_insight(message_id, slot, 1.0) for slot in learnt))
        lenient.append(
            sum(length(part.text) for part in held) >= least(parts)
            or any(needs.by_insight(message_id, slot, 0.5) for slot in learnt)
        )
    words: frozenset[str] = frozenset().union(*(said(slot.text) for slot in kept))
    used = sum(slot.tokens for slot in kept)
    return {
        "recall": sum(strict) / len(strict),
        "hit_rate": float(any(strict)),
        "full_recall": float(all(strict)),
        "partial_recall": sum(lenient) / len(lenient),
        "coverage": len(needs.words & words) / len(needs.words) if needs.words else float("nan"),
        "ndcg": ndcg(order(slot for slot in kept if slot.tier == "warm"), needs.evidence.keys()),
        "waste": 1 - sum(slot.tokens for slot in kept if needs.useful(slot)) / used if used else float("nan"),
    }


def least(parts: "Sequence[ContextItem]") -> float:
    """Return how many of a message's tokens hold it leniently."""
    return min(sum(length(part.text) for part in parts) / 2, ENOUGH)


SPENT = ("tokens_hot", "tokens_warm", "tokens_cold")
HELD = ("hot_holds", "warm_holds", "cold_holds")
"""The share of the evidence messages that a tier holds by itself."""
COLUMNS = (*MEASURES, *SPENT, *HELD)
NEVER = 2**62
"""The price of what no budget brings."""


@dataclass(frozen=True, kw_only=True)
class _Tier:
    """One tier's slots, as far as they stand in a prompt: at which tokens each ends, and what it gives."""

    ends: "Ints"
    useful: "Flags"
    parts: "Ints"
    """The price of each passage that the question needs."""
    words: "Ints"
    """The price of each word of the answer."""

    def used(self, budgets: "Ints") -> "tuple[Ints, Ints]":
        """Return the tokens that are spent of each budget, and those of them that the question needs."""
        import numpy as np

        kept = np.searchsorted(self.ends, budgets, side="right")
        costs = np.diff(self.ends, prepend=0)
        spent, needed = (np.concatenate([[0], np.cumsum(each)]) for each in (costs, costs * self.useful))
        return spent[kept], needed[kept]


@dataclass(frozen=True, kw_only=True)
class _Beside:
    """What COLD holds beside the other tiers, by the budgets of WARM and COLD in the last two axes."""

    strict: "Flags"
    """(evidence, WARM, COLD): whether an insight holds the message; leniently, in the next."""
    lenient: "Flags"
    words: "Flags"
    """(words of the answer, WARM, COLD)."""
    spent: "Ints"
    needed: "Ints"


class _Learnt:
    """COLD's insights and what each gives. Which of them stand in a prompt depends on what WARM shows already."""

    def __init__(self, needs: Qrels, words: Sequence[str], cold: Sequence[ContextItem]) -> None:
        import numpy as np

        self._slots = cold
        self._costs = np.array([slot.tokens for slot in cold], np.int64)
        self._useful = self._costs * np.array([needs.useful(slot) for slot in cold], bool)
        self._strict, self._lenient = (
            np.array([[needs.by_insight(each, slot, share) for slot in cold] for each in needs.evidence], np.int64)
            for share in (1.0, 0.5)
        )
        carried = [[word in said(slot.text) for slot in cold] for word in words]
        self._words = np.array(carried, np.int64).reshape(len(words), len(cold))

    def beside(
        self, hot: Sequence[ContextItem], warm: Sequence[ContextItem], ends: "Ints", budgets: Mapping[str, "Ints"]
    ) -> _Beside:
        """Fill each budget of COLD beside each of WARM."""
        import numpy as np

        prices = self._prices(hot, warm, ends)
        masks, which = np.unique(prices > budgets["warm"][:, None], axis=0, return_inverse=True)
        rows = []
        for mask in masks:
            inside = (mask[:, None] & (np.cumsum(mask * self._costs)[:, None] <= budgets["cold"])).astype(np.int64)
            rows.append(
                (
                    self._strict @ inside > 0,
                    self._lenient @ inside > 0,
                    self._words @ inside > 0,
                    self._costs @ inside,
                    self._useful @ inside,
                )
            )
        strict, lenient, words, spent, needed = (
            np.stack(each, axis=-2).take(which.ravel(), axis=-2) for each in zip(*rows, strict=True)
        )
        return _Beside(strict=strict, lenient=lenient, words=words, spent=spent, needed=needed)

    def _prices(self, hot: Sequence[ContextItem], warm: Sequence[ContextItem], ends: "Ints") -> "Ints":
        """Return at how many tokens of WARM each insight is shown already; -1 if HOT shows it, `NEVER` if none does."""
        import numpy as np

        shown = Shown(hot)
        prices = np.array([-1 if shown.holds(slot) else NEVER for slot in self._slots], np.int64)
        resting: dict[int | None, list[int]] = {}
        for place in np.flatnonzero(prices == NEVER).tolist():
            for message_id in self._slots[place].sources:
                resting.setdefault(message_id, []).append(place)
        for slot, end in zip(warm, ends.tolist(), strict=True):
            if slot.message_id in resting:
                shown.add(slot)
                for place in resting[slot.message_id]:
                    if prices[place] == NEVER and shown.holds(self._slots[place]):
                        prices[place] = end
        return prices


def tally(
    needs: Qrels,
    hot: Sequence[ContextItem],
    warm: Sequence[ContextItem],
    cold: Sequence[ContextItem],
    budgets: Mapping[str, "Ints"],
) -> "dict[str, Floats]":
    """Measure what each combination of budgets holds of what a question needs.

    Parameters
    ----------
    needs : Qrels
        What the question needs, with evidence.
    hot, warm, cold : sequence of ContextItem
        Each tier's candidates in the order in which they are kept.
    budgets : mapping of str to array of int
        The model's tokens of hot, warm and cold, ascending.

    Returns
    -------
    dict of str to array
        For each of `COLUMNS` (hot, warm, cold): see `measure`; tokens that are used; what a tier holds alone.
    """
    import numpy as np

    parts = [part for each in needs.evidence.values() for part in each]
    words = sorted(needs.words)
    learnt = _Learnt(needs, words, cold)
    standing = [replace(slot, kept=True) for slot in hot]
    session = _tier(needs, parts, words, hot)
    said_so: dict[int, list[bool]] = {}
    kept = np.searchsorted(session.ends, budgets["hot"], side="right")
    shape = tuple(len(budgets[tier]) for tier in TIERS)
    found = {name: np.full(shape, np.nan) for name in COLUMNS}
    spans = _spans(needs)
    for number in np.unique(kept).tolist():
        seen = _seen(warm, standing[:number], int(budgets["warm"][-1]))
        recalled = _tier(needs, parts, words, seen, said_so)
        end = int(session.ends[number - 1]) if number else 0
        spent_hot, needed_hot = (each[0] for each in session.used(np.array([end])))
        spent_warm, needed_warm = recalled.used(budgets["warm"])
        beside = learnt.beside(standing[:number], seen, recalled.ends, budgets)
        in_hot, in_warm = session.parts[:, None] <= end, recalled.parts[:, None] <= budgets["warm"]
        held = in_hot | in_warm
        strict = np.stack([held[span].all(0) for span in spans])
        lenient = np.stack([_lengths(parts[span]) @ held[span] >= least(parts[span]) for span in spans])
        cells = {
            "strict": strict[:, :, None] | beside.strict,
            "partial_recall": lenient[:, :, None] | beside.lenient,
        }
        known = (session.words[:, None] <= end) | (recalled.words[:, None] <= budgets["warm"])
        known = known[:, :, None] | beside.words
        used = spent_hot + spent_warm[:, None] + beside.spent
        needed = needed_hot + needed_warm[:, None] + beside.needed
        with np.errstate(invalid="ignore"):
            block = {
                "recall": cells["strict"].sum(0) / len(spans),
                "hit_rate": cells["strict"].any(0),
                "full_recall": cells["strict"].all(0),
                "partial_recall": cells["partial_recall"].sum(0) / len(spans),
                "coverage": known.sum(0) / len(words) if words else np.nan,
                "ndcg": _ndcg(needs, seen, recalled.ends, budgets["warm"])[:, None],
                "waste": 1 - needed / np.where(used > 0, used, np.nan),
                "tokens_hot": spent_hot,
                "tokens_warm": spent_warm[:, None],
                "tokens_cold": beside.spent,
                "hot_holds": np.stack([in_hot[span].all(0) for span in spans]).sum(0)[:, None] / len(spans),
                "warm_holds": np.stack([in_warm[span].all(0) for span in spans]).sum(0)[:, None] / len(spans),
                "cold_holds": beside.strict.sum(0) / len(spans),
            }
        for name, values in block.items():
            found[name][kept == number] = values
    return found


def _seen(warm: Sequence[ContextItem], standing: Sequence[ContextItem], most: int) -> list[ContextItem]:
    """Return what is not passed over, as far as so many tokens reach."""
    over, seen, used = already_said(standing), [], 0
    for slot in warm:
        if over(slot) is None:
            used += slot.tokens
            if used > most:
                break
            seen.append(slot)
    return seen


def _tier(
    needs: Qrels,
    parts: Sequence[ContextItem],
    words: Sequence[str],
    slots: Sequence[ContextItem],
    known: dict[int, list[bool]] | None = None,
) -> _Tier:
    """Price a tier's slots; `known` keeps which of the parts each of them says, from one call to the next."""
    import numpy as np

    ends = np.cumsum([slot.tokens for slot in slots], dtype=np.int64)
    known = {} if known is None else known
    for slot in slots:
        if id(slot) not in known:
            known[id(slot)] = [says(slot, part) for part in parts]
    rows = [known[id(slot)] for slot in slots]
    prices = np.full(len(parts), NEVER)
    bought = dict[str, int]()
    useful = []
    for slot, row, end in zip(slots, rows, ends.tolist(), strict=True):
        for place, is_said in enumerate(row):
            if is_said and prices[place] == NEVER:
                prices[place] = end
        for word in needs.words & said(slot.text):
            bought.setdefault(word, end)
        useful.append(slot.message_id in needs.evidence or any(row))
    return _Tier(
        ends=ends,
        useful=np.array(useful, bool),
        parts=prices,
        words=np.array([bought.get(word, NEVER) for word in words], np.int64),
    )


def _spans(needs: Qrels) -> list[slice]:
    """Return where each evidence message's passages stand among all of them."""
    spans, begin = [], 0
    for parts in needs.evidence.values():
        spans.append(slice(begin, begin + len(parts)))
        begin += len(parts)
    return spans


def _lengths(parts: Sequence[ContextItem]) -> "Ints":
    import numpy as np

    return np.array([length(part.text) for part in parts], np.int64)


def _ndcg(needs: Qrels, seen: Sequence[ContextItem], ends: "Ints", budgets: "Ints") -> "Floats":
    """Return WARM's nDCG at each budget."""
    import numpy as np

    prices = dict[int, int]()
    for slot, end in zip(seen, ends.tolist(), strict=True):
        prices.setdefault(slot.message_id or 0, end)
    gained, best = np.zeros(len(budgets)), 0.0
    for rank, (message_id, price) in enumerate(list(prices.items())[:CUTOFF], 1):
        if message_id in needs.evidence:
            gained += gain(rank) * (price <= budgets)
    for rank in range(1, min(CUTOFF, len(needs.evidence)) + 1):
        best += gain(rank)
    return gained / best

"""What each budget of a grid gives one question, from one ranking.

Of each thing that a question needs (a passage, a word of the answer) the ranking tells at how many tokens of a tier it
comes in: its price. Packing keeps prefixes, so the prices say all, and a thousand budgets cost comparisons instead of
prompts. The figures equal `evidence.measure` of the packed tiers to the last digit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gallump_lab.memory.cold import Shown
from gallump_lab.memory.packing import TIERS, already_said, says
from gallump_lab.memory.records import ContextItem
from gallump_lab.study import metrics
from gallump_lab.study.evidence import MEASURES, Qrels, least, length, said

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

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
        For each of `COLUMNS` (hot, warm, cold): see `evidence.measure`; tokens that are used; what a tier holds alone.
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
            "lenient": lenient[:, :, None] | beside.lenient,
        }
        known = (session.words[:, None] <= end) | (recalled.words[:, None] <= budgets["warm"])
        known = known[:, :, None] | beside.words
        used = spent_hot + spent_warm[:, None] + beside.spent
        needed = needed_hot + needed_warm[:, None] + beside.needed
        with np.errstate(invalid="ignore"):
            block = {
                "recall": cells["strict"].sum(0) / len(spans),
                "any": cells["strict"].any(0),
                "all": cells["strict"].all(0),
                "lenient": cells["lenient"].sum(0) / len(spans),
                "coverage": known.sum(0) / len(words) if words else np.nan,
                "ndcg": _ndcg(needs, seen, recalled.ends, budgets["warm"])[:, None],
                "wasted": 1 - needed / np.where(used > 0, used, np.nan),
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
    for rank, (message_id, price) in enumerate(list(prices.items())[: metrics.CUTOFF], 1):
        if message_id in needs.evidence:
            gained += metrics.gain(rank) * (price <= budgets)
    for rank in range(1, min(metrics.CUTOFF, len(needs.evidence)) + 1):
        best += metrics.gain(rank)
    return gained / best

"""What a question needs, how much of it stands in a prompt, and in the prompts of a whole grid of budgets.

A message that the answer rests on is held when a prompt states all of it: in HOT, in WARM, or in an insight that cites
it and carries the answer's words. What counts is what is said, so a statement in the place of its equal counts.

Packing keeps prefixes. So one pass over a tier's candidates tells what its first n hold, for every n, and a thousand
budgets cost a look-up each instead of a prompt: `tally` gives what `measure` would give of each packed prompt.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gallump_lab import tokens
from gallump_lab.memory.cold import Shown
from gallump_lab.memory.context import already_said, says
from gallump_lab.memory.records import TIERS, ContextItem
from gallump_lab.memory.text import terms
from gallump_lab.study.statistics import Floats, Ints

Flags = NDArray[np.bool_]
CUTOFF = 10
"""nDCG looks at the first so many messages."""
ENOUGH = 80
"""In part, a message is held by half of its tokens, or by so many of them."""
NO_ANSWER = frozenset({"no answer", "no-answer"})
"""The kinds of a question of which it is known that nothing was said; any other without evidence is not labelled."""
HEARSAY, EARLIER = "hearsay", "earlier"
"""The kind of a question whose stale messages report or suppose, and of one that asks for what held before a change."""
PERFECT = "perfect ranking"
SHOWN = ("precision", "stale", "hearsay", "falsely_marked")
"""Of what WARM shows; `NOTHING` counts its tokens where nothing was said."""
NOTHING = "nothing_said"
MEASURES = ("recall", "hit_rate", "full_recall", "partial_recall", "coverage", "ndcg", "waste", *SHOWN)
SPENT = ("tokens_hot", "tokens_warm", "tokens_cold")
HELD = ("hot_holds", "warm_holds", "cold_holds")
"""The share of the evidence messages that a tier holds by itself."""
COLUMNS = (*MEASURES, NOTHING, *SPENT, *HELD)


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
    return sum(_gain(rank) for rank, item in enumerate(ranked[:k], 1) if item in relevant) / _best(relevant, k)


def _gain(rank: int) -> float:
    return 1 / math.log2(rank + 1)


def _best(relevant: Collection[int], k: int = CUTOFF) -> float:
    return sum(_gain(rank) for rank in range(1, min(k, len(relevant)) + 1))


def reciprocal_rank(ranked: Sequence[int], relevant: Collection[int]) -> float:
    """Return 1 / the rank of the first that is relevant, 0 if none is found; NaN if nothing is relevant."""
    if not relevant:
        return math.nan
    return next((1 / rank for rank, item in enumerate(ranked, 1) if item in relevant), 0.0)


@dataclass(frozen=True, kw_only=True)
class Qrels:
    """What one question needs."""

    evidence: Mapping[int, Sequence[ContextItem]]
    """The messages that the answer rests on, each as its passages."""
    words: frozenset[str]
    """The reference answer's content words, stemmed; empty where there is no answer."""
    cited: Mapping[int, frozenset[int]]
    """The messages that each insight rests on, by insight id."""
    stale: frozenset[int] = frozenset()
    """The messages that state a value which isn't or is no longer so."""
    kind: str = "question"

    @property
    def perfect(self) -> list[ContextItem]:
        """What a perfect ranking gives: the evidence alone, messages that take the fewest tokens first.

        Packed, it holds as many evidence messages as any ranking can within as many tokens, unless one states another.
        """
        parts = sorted(self.evidence.values(), key=lambda parts: sum(part.tokens for part in parts))
        return [part for message in parts for part in message]


@lru_cache(maxsize=50_000)
def _said(text: str) -> frozenset[str]:
    return frozenset(terms(text))


@dataclass(frozen=True, kw_only=True)
class _Prefixes:
    """What the first n of some slots hold and take, for each n from 0 (the first axis)."""

    held: Flags
    """(n, rows of `Needed`)."""
    used: Ints
    """Tokens."""
    useful: Ints
    """Tokens of slots that hold something that the question needs."""
    right: Ints
    """Tokens of slots whose message is evidence."""

    def kept(self, budgets: Ints) -> Ints:
        """Return how many slots each budget keeps."""
        return np.searchsorted(self.used[1:], budgets, side="right")

    def at(self, number: int | Ints) -> tuple[Flags, Ints, Ints]:
        """Return what the first so many hold and take."""
        return self.held[number], self.used[number], self.useful[number]


class Needed:
    """What one question needs as rows: its evidence's passages in whole, the same in part, its answer's words.

    Beside them, what may be wrong with a slot: that it marks this evidence as outdated, that it does not mark what is.
    """

    def __init__(self, needs: Qrels) -> None:
        self._needs, self.evidence, self._words = needs, needs.evidence, sorted(needs.words)
        self._parts = [(message_id, part) for message_id, parts in needs.evidence.items() for part in parts]
        ends = np.cumsum([0, *map(len, needs.evidence.values())]).tolist()
        self._spans = [slice(*each) for each in pairwise(ends)]
        self._lengths = np.array([tokens.count(part.text) for _, part in self._parts], np.int64)
        # By the identity of slots, so these must stay.
        self._columns: dict[int, tuple[ContextItem, list[bool]]] = {}
        self._prefixes: dict[tuple[int, ...], _Prefixes] = {}

    def _column(self, slot: ContextItem) -> list[bool]:
        """Return which rows a slot holds; an insight holds a message as a whole, or not at all."""
        _, found = self._columns.get(id(slot), (slot, None))
        if found is None:
            unmarked = slot.outdated is None
            said = _said(slot.text)
            if slot.kind == "insight":
                carries = len(self._needs.words & said) / max(len(self._words), 1)
                sources = self._needs.cited.get(slot.item_id, ())
                cited = [message_id in sources for message_id, _ in self._parts]
                whole, half = ([each and carries >= share for each in cited] for share in (1.0, 0.5))
            else:
                whole = half = [says(slot, part) for _, part in self._parts]
            found = [*whole, *half, *(word in said for word in self._words)]
            found += [not unmarked and slot.message_id == message_id for message_id in self.evidence]
            found.append(unmarked and slot.message_id in self._needs.stale)
            self._columns[id(slot)] = slot, found
        return found

    def prefixes(self, slots: Sequence[ContextItem]) -> _Prefixes:
        """Return what the first n slots hold and take, for each n; once of the same slots."""
        key = tuple(map(id, slots))
        if key not in self._prefixes:
            self._prefixes[key] = self._prefixes_of(slots)
        return self._prefixes[key]

    def _prefixes_of(self, slots: Sequence[ContextItem]) -> _Prefixes:
        rows = 2 * len(self._parts)
        held = np.zeros((len(slots) + 1, rows + len(self._words) + len(self.evidence) + 1), bool)
        takes = np.zeros((3, len(slots) + 1), np.int64)
        if slots:
            held[1:] = [*map(self._column, slots)]
            takes[0, 1:] = [slot.tokens for slot in slots]
            right = np.array([slot.message_id in self.evidence for slot in slots])
            takes[1:, 1:] = takes[0, 1:] * np.stack([held[1:, :rows].any(1) | right, right])
        used, useful_tokens, right_tokens = takes.cumsum(1)
        return _Prefixes(held=np.logical_or.accumulate(held), used=used, useful=useful_tokens, right=right_tokens)

    def whole(self, held: Flags) -> Flags:
        """Return of each evidence message (the last axis) whether every sentence is held."""
        return np.stack([held[..., span].all(-1) for span in self._spans], -1)

    def figures(self, held: Flags, used: Ints, useful: Ints) -> "dict[str, Any]":
        """Measure prompts by which rows they hold (the last axis), and their tokens; nothing where nothing was said."""
        if not self.evidence:
            return {}
        number, words, whole = len(self._parts), len(self._words), self.whole(held)
        lengths = held[..., number : 2 * number] * self._lengths
        half = [lengths[..., span].sum(-1) >= min(self._lengths[span].sum() / 2, ENOUGH) for span in self._spans]
        with np.errstate(invalid="ignore"):
            return {
                "recall": whole.mean(-1),
                "hit_rate": whole.any(-1),
                "full_recall": whole.all(-1),
                "partial_recall": np.mean(half, axis=0),
                "coverage": held[..., 2 * number : 2 * number + words].sum(-1) / (words or np.nan),
                "waste": 1 - useful / np.where(used > 0, used, np.nan),
            }

    def shown(self, held: Flags, used: Ints, right: Ints) -> "dict[str, Any]":
        """Measure what WARM shows by which rows it holds, its tokens, and those of evidence; what can be scored."""
        found = {}
        if self._needs.stale:
            found["hearsay" if self._needs.kind == HEARSAY else "stale"] = held[..., -1]
        if not self.evidence:
            return found | {NOTHING: used}
        if self._needs.kind != EARLIER:
            found["falsely_marked"] = held[..., -1 - len(self.evidence) : -1].mean(-1)
        return found | {"precision": right / np.where(used > 0, used, np.nan)}


def measure(needs: Qrels, kept: Sequence[ContextItem]) -> dict[str, float]:
    """Measure what a prompt's slots hold of what a question needs.

    Parameters
    ----------
    needs : Qrels
        Without evidence nothing was said, and only what is shown all the same is scored.
    kept : sequence of ContextItem
        What stands in the prompt, each tier in rank order.

    Returns
    -------
    dict of str to float
        recall: the share of the evidence messages of which every sentence is in; hit_rate, full_recall: whether one, or
        each of them is; partial_recall: the share of which half of the tokens is in, or 80 of them; coverage: the share
        of the reference answer's content words that stand in the kept text (NaN without an answer); ndcg: of WARM's
        first ten messages, with binary gains (Jarvelin and Kekalainen 2002); waste: the share of the tokens that hold
        nothing that the question needs (NaN if there are none). Of WARM alone: precision: the share of its tokens whose
        message is evidence (the rest is noise; NaN if there are none); stale: whether a message that states an outdated
        value is shown without a mark, hearsay: the same of what others said or what was only supposed, each NaN where
        there is none; falsely_marked: the share of the evidence messages that are shown as outdated (NaN where what
        held earlier is asked for); nothing_said: its tokens where nothing was said, else NaN.
    """
    needed, recalled = Needed(needs), [slot for slot in kept if slot.tier == "warm"]
    warm = needed.prefixes(recalled)
    found = needed.figures(*needed.prefixes(kept).at(-1)) | needed.shown(*warm.at(-1)[:2], warm.right[-1])
    found["ndcg"] = ndcg(order(recalled), needs.evidence)
    return {name: float(found.get(name, math.nan)) for name in (*MEASURES, NOTHING)}


def tally(
    needed: Needed,
    hot: Sequence[ContextItem],
    warm: Sequence[ContextItem],
    cold: Sequence[ContextItem],
    budgets: Mapping[str, Ints],
) -> dict[str, Floats]:
    """Measure what each combination of budgets holds of what a question needs.

    Parameters
    ----------
    needed : Needed
        What the question needs; the same for each of its rankings, it saves time.
    hot, warm, cold : sequence of ContextItem
        Each tier's candidates in the order in which they are kept.
    budgets : mapping of str to array of int
        The model's tokens of hot, warm and cold, ascending.

    Returns
    -------
    dict of str to array
        For each of `COLUMNS` (hot, warm, cold): see `measure`; tokens that are used; what a tier holds alone. NaN is
        unscored.
    """
    session = needed.prefixes(hot)
    kept, all_of_it = session.kept(budgets["hot"]), [replace(slot, kept=True) for slot in hot]
    found = {name: np.full([len(budgets[tier]) for tier in TIERS], np.nan) for name in COLUMNS}
    for number in np.unique(kept).tolist():
        standing = all_of_it[:number]
        seen = _not_said(warm, standing, int(budgets["warm"][-1]))
        recalled = needed.prefixes(seen)
        which = recalled.kept(budgets["warm"])
        # The axes of what follows: WARM's budgets, COLD's budgets, rows.
        in_hot, used_hot, useful_hot = session.at(number)
        in_warm, used_warm, useful_warm = recalled.at(which[:, None])
        in_cold, used_cold, useful_cold = _learnt(needed, standing, seen, cold, which, budgets["cold"])
        block: dict[str, Any] = needed.figures(
            in_hot | in_warm | in_cold, used_hot + used_warm + used_cold, useful_hot + useful_warm + useful_cold
        )
        block |= needed.shown(in_warm, used_warm, recalled.right[which[:, None]])
        block |= {"tokens_hot": used_hot, "tokens_warm": used_warm, "tokens_cold": used_cold}
        if needed.evidence:
            block["ndcg"] = _gains(seen, needed.evidence)[which[:, None]]
            block |= {
                name: needed.whole(held).mean(-1) for name, held in zip(HELD, (in_hot, in_warm, in_cold), strict=True)
            }
        for name, values in block.items():
            found[name][kept == number] = values
    return found


def _not_said(warm: Sequence[ContextItem], standing: Sequence[ContextItem], most: int) -> list[ContextItem]:
    """Return what is not passed over, as far as so many tokens reach."""
    over, seen, used = already_said(standing), [], 0
    for slot in warm:
        if over(slot) is None:
            used += slot.tokens
            if used > most:
                break
            seen.append(slot)
    return seen


def _gains(seen: Sequence[ContextItem], evidence: Collection[int]) -> Floats:
    """Return the nDCG of the first n slots, for each n."""
    ranks = {item: rank for rank, item in enumerate(order(seen)[:CUTOFF], 1) if item in evidence}
    gains = [_gain(ranks.pop(slot.message_id)) if slot.message_id in ranks else 0.0 for slot in seen]
    return np.cumsum([0.0, *gains]) / _best(evidence)


def _learnt(  # noqa: PLR0913, PLR0917 (all that decides what COLD shows)
    needed: Needed,
    hot: Sequence[ContextItem],
    warm: Sequence[ContextItem],
    cold: Sequence[ContextItem],
    kept: Ints,
    budgets: Ints,
) -> tuple[Flags, Ints, Ints]:
    """Return what COLD holds and takes at each budget, beside HOT and the first so many of WARM.

    An insight that the other tiers show already is passed over, so what stands in COLD depends on WARM.
    """
    never = len(warm) + 1
    shown = Shown(hot)
    since = np.array([0 if shown.holds(slot) else never for slot in cold], np.int64)
    resting: dict[int | None, list[int]] = {}
    for place in np.flatnonzero(since).tolist():
        for message_id in cold[place].sources:
            resting.setdefault(message_id, []).append(place)
    for number, slot in enumerate(warm, 1):
        if slot.message_id in resting:
            shown.add(slot)
            for place in resting[slot.message_id]:
                if since[place] == never and shown.holds(cold[place]):
                    since[place] = number
    rests = since > kept[:, None]
    choices, which = np.unique(rests, axis=0, return_inverse=True) if cold else (rests[:1], np.zeros(len(kept), int))
    tables = [needed.prefixes([cold[place] for place in np.flatnonzero(choice).tolist()]) for choice in choices]
    held, used, useful = zip(*(table.at(table.kept(budgets)) for table in tables), strict=True)
    return np.stack(held)[which.ravel()], np.stack(used)[which.ravel()], np.stack(useful)[which.ravel()]

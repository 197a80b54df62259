"""What a question needs, and how much of it stands in a prompt.

A message that the answer rests on is held when a prompt states all of it: in HOT, in WARM, or in an insight that cites
it and carries the answer's words. What counts is what is said, so a statement in the place of its equal counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gallump_lab import tokens
from gallump_lab.memory.packing import says
from gallump_lab.memory.records import ContextItem
from gallump_lab.memory.text import terms
from gallump_lab.study.metrics import ndcg, order

ENOUGH = 80
"""Leniently, a message is held by half of its tokens, or by so many of them."""
MEASURES = ("recall", "any", "all", "lenient", "coverage", "ndcg", "wasted")


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
        recall: the share of the evidence messages of which every sentence is in (strict); any, all: whether one, or
        each of them is; lenient: the share of which half of the tokens is in, or 80 of them; coverage: the share of the
        reference answer's content words that stand in the kept text (NaN without an answer); ndcg: of WARM's first ten
        messages, with binary gains (Jarvelin and Kekalainen 2002); wasted: the share of the tokens that hold nothing
        that the question needs (NaN if there are none).
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
        "any": float(any(strict)),
        "all": float(all(strict)),
        "lenient": sum(lenient) / len(lenient),
        "coverage": len(needs.words & words) / len(needs.words) if needs.words else float("nan"),
        "ndcg": ndcg(order(slot for slot in kept if slot.tier == "warm"), needs.evidence.keys()),
        "wasted": 1 - sum(slot.tokens for slot in kept if needs.useful(slot)) / used if used else float("nan"),
    }


def least(parts: "Sequence[ContextItem]") -> float:
    """Return how many of a message's tokens hold it leniently."""
    return min(sum(length(part.text) for part in parts) / 2, ENOUGH)

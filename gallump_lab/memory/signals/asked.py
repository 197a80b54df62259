"""A question as the signals see it."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gallump_lab.config import Recall
from gallump_lab.memory.text import plain, term_id, terms, words
from gallump_lab.reading import dates
from gallump_lab.store.times import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import View
    from gallump_lab.memory.records import AsOf

    Places = NDArray[np.int64]

MILLION = 1_000_000

Spans = list[tuple[int, int]]
"""Times from (included) and to (excluded), in microseconds since 1970, one after the other."""

QUERY_TERMS = 64
"""Of a long question so many different terms are matched: those that occur in it most often, earlier ones first."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Where a term stands."""

    idf: float
    places: "Places"
    """The passages that hold it."""
    frequency: "NDArray[np.uint16]"
    """How often it stands in each."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, taken apart."""

    words: list[str]
    """What it asks for, without the names and dates that only say whom and when."""
    found: list[Found]
    """The same words' terms, where they stand."""
    idf: "Callable[[str], float]"
    """How rare a word is; one that stands nowhere is as rare as can be."""
    speakers: list[int]
    """Hashes of the speakers whom it names."""
    symbols: list[int]
    """The hashes of its symbol's spellings; empty for none."""
    spans: Spans
    """The times that it names."""
    at: int
    """When it is asked, in microseconds since 1970."""
    settings: Recall


_OF_TALK = frozenset(terms("say said says tell told talk talked mention mentioned discuss discussed speak spoke"))
"""Where a question asks for what was said at a time, these say nothing of it."""


def needed(question: str) -> list[int]:
    """Return the numbers of the terms whose postings a question needs."""
    return [term_id(term) for term, _ in Counter(terms(question)).most_common(QUERY_TERMS)]


def named(question: str, moment: "AsOf") -> tuple[Spans, str]:
    """Return the times that a question asks for at a moment, and the question without the words that name them."""
    spans, rest = dates.spans(question, moment.now)
    return [(microseconds(begin), microseconds(end)) for begin, end in spans], rest


def ask(  # noqa: PLR0913 (a question's givens)
    view: "View",
    question: str,
    *,
    postings: "dict[int, tuple[Places, NDArray[np.uint16]]]",
    symbols: list[int],
    moment: "AsOf",
    settings: Recall,
) -> Asked:
    """Take a question apart.

    Parameters
    ----------
    postings : dict
        For each of the question's terms the places that hold it, and how often each does.
    symbols : list of int
        The hashes of its symbol's spellings; empty for none.
    """
    plainly = plain(question)
    said = [name for name, key in view.speakers.items() if _names(plainly, name) and (view.speaker == key).any()]
    spans, rest = named(question, moment)
    dropped = {term for name in said for term in terms(name)} | (_OF_TALK if spans else set())
    kept = [word for word in words(rest) if not dropped.issuperset(terms(word))]
    known = {
        number: Found(idf=rarity(len(view), len(places)), places=places, frequency=frequency)
        for number, (places, frequency) in postings.items()
    }
    rarest = rarity(len(view), 0)

    def idf(word: str) -> float:
        return max((known[n].idf if n in known else rarest for n in map(term_id, terms(word))), default=rarest)

    wanted = dict.fromkeys(term_id(term) for word in kept for term in terms(word))
    return Asked(
        words=kept,
        found=[known[number] for number in wanted if number in known],
        idf=idf,
        speakers=[view.speakers[name] for name in said],
        symbols=symbols,
        spans=spans,
        at=microseconds(moment.now),
        settings=settings,
    )


def _names(question: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", question, re.IGNORECASE) is not None


def rarity(passages: int, holding: int) -> float:
    """Weigh a term by how rare it is, as Lucene does: ln(1 + (N - df + 0.5) / (df + 0.5))."""
    return math.log1p((passages - holding + 0.5) / (holding + 0.5))

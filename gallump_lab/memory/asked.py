"""A question taken apart: what it asks for, of whom and when, and where its terms stand among a moment's passages."""

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from gallump_lab.config import Recall
from gallump_lab.lazy import np
from gallump_lab.memory import text, vectors
from gallump_lab.memory.kinds import ASKED, asks_assistant, asks_figure, asks_level, asks_many, parted
from gallump_lab.memory.text import term_id, terms
from gallump_lab.reading import dates, names
from gallump_lab.store.times import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gallump_lab.memory.corpus import Places, View
    from gallump_lab.memory.records import AsOf

    Ints = NDArray[np.int64]
    Postings = dict[int, tuple[Places, NDArray[np.uint16]]]

Spans = list[tuple[int, int]]
"""Times from (included) and to (excluded), in microseconds since 1970, one after the other."""


QUERY_TERMS = 64
"""Of a long question so many different terms are matched: those that occur in it most often, earlier ones first."""
YOUNG = 20
"""As if so many passages more held none of a term: in a young lab a word that all hold still says something."""
_PROPER = re.compile(r"(?<=[a-z,] )[A-Z][\w'&-]{2,}")
"""What is written as a name where no sentence begins."""
_OF_TALK = frozenset(
    terms("say said says tell told talk talked mention mentioned discuss discussed speak spoke remind")
)
"""These say nothing of what was said."""


@dataclass(frozen=True, kw_only=True)
class TermPlaces:
    """Where a term stands."""

    idf: float
    places: "Places"
    """The passages that hold it."""
    frequency: "NDArray[np.uint16]"
    """How often it stands in each."""
    stated: "NDArray[np.bool_]"
    """Whether it stands there in what states something."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, taken apart, and the passages among which it is asked."""

    view: "View"
    words: list[str]
    """What it asks for, without the names and dates that only say whom and when."""
    found: list[TermPlaces]
    """The same words' terms, where they stand."""
    vector: "Callable[[], Ints]"
    """Gives its vector, scaled to a length of about 1,000; zeros if it has no words. Words count by their rarity."""
    speakers: list[int]
    """Hashes of the speakers whom it names."""
    symbols: list[int]
    """The hashes of the symbols that it is about, as the view has them."""
    naming: "Places"
    """The passages that name one of them, in order."""
    spans: Spans
    """The times that it names."""
    at: int
    """When it is asked, in microseconds since 1970."""
    settings: Recall
    of_assistant: bool
    """Whether it wants what the assistant said."""
    many: bool
    """Whether it wants many pieces."""
    figure: bool
    """Whether it wants a figure."""
    bare: bool
    """Whether it wants a level, and its words do not say of what: then the symbol that was given with it tells."""
    strange: bool
    """Whether it names a symbol, or another name, that nobody has spoken of but to ask."""
    weights: "Mapping[str, int]"
    """What each of its terms weighs, in millionths, whether anything holds it or not."""
    answered: "Mapping[int, int]"
    """The places of what replies to similar questions rested on, with what each gains."""
    hints: "Mapping[int, int]"
    """What the best hint to a passage gives it, by its place."""
    echoes: "Places"
    """The passages that repeat it word for word, though nothing shows that it asks: it was asked before."""


def needed(question: str, symbols: Collection[str] = ()) -> list[int]:
    """Return the numbers of the terms whose postings a question about some symbols needs."""
    found = [term_id(term) for term, _ in Counter(terms(question)).most_common(QUERY_TERMS)]
    return [*dict.fromkeys((*found, *_naming(symbols)))]


def _naming(symbols: Collection[str]) -> list[int]:
    """Return the numbers of the terms that name symbols: in lower case too, before the lab knew it as one."""
    low = (term for symbol in map(names.key, symbols) if names.plain(symbol) for term in terms(symbol.lower()))
    return [*map(text.symbol_id, symbols), *map(term_id, low)]


def about(view: "View", question: str, given: Collection[str], known: Collection[str] = ()) -> list[str]:
    """Return the symbols that a question is about at a moment: those that it names, or where it names none, the given.

    Well-known symbols count, those that were given or are `known`, and those of the messages until then.
    """
    low = question.lower()
    there = (
        symbol
        for symbol, number in view.symbols.items()
        if names.key(symbol).lower() in low and (view.symbol == number).any()
    )
    return names.reader(frozenset((*given, *known, *there))).all(question) or [*given]


def rarity(passages: int, holding: int) -> float:
    """Weigh a term by how rare it is, as Lucene does: ln(1 + (N - df + 0.5) / (df + 0.5))."""
    return math.log1p((passages - holding + 0.5) / (holding + 0.5))


def named_times(question: str, moment: "AsOf") -> tuple[Spans, str]:
    """Return the times that a question asks for at a moment, and the question without the words that name them."""
    spans, rest = dates.spans(question, moment.now)
    return [(microseconds(begin), microseconds(end)) for begin, end in spans], rest


def ask(  # noqa: PLR0913 (a question's givens)
    view: "View",
    question: str,
    *,
    postings: "Postings",
    symbols: Collection[str],
    moment: "AsOf",
    settings: Recall,
) -> Asked:
    """Take a question apart; `postings` says for each of its terms which places hold it and how often."""
    plain = text.plain(question)
    speakers = [
        name
        for name, key in view.speakers.items()
        if re.search(rf"\b{re.escape(name)}\b", plain, re.IGNORECASE) and (view.speaker == key).any()
    ]
    spans, rest = named_times(question, moment)
    dropped = {term for name in speakers for term in terms(name)}
    said = [word for word in text.words(rest) if not dropped.issuperset(terms(word))]
    kept = [word for word in said if not _OF_TALK.issuperset(terms(word))] or ([] if spans else said)
    keys = {*map(names.key, symbols)}
    called = [span for span in names.reader(frozenset(symbols)).spans(question) if names.key(span[2]) in keys]
    meant = {term_id(term): symbol for begin, end, symbol in called for term in terms(question[begin:end])}
    size = len(view) + YOUNG
    known = {}
    for number, own in postings.items():  # what names MU holds "micron" too, once
        places, often = _union([own, *(postings[n] for n in _naming([meant[number]]))]) if number in meant else own
        known[number] = TermPlaces(
            idf=rarity(size, len(own[0]) or len(places)),
            places=places,
            frequency=often & np.uint16(ASKED - 1),
            stated=often < ASKED,
        )
    rarest = rarity(size, 0)

    def idf(word: str) -> float:
        return max((known[n].idf if n in known else rarest for n in map(term_id, terms(word))), default=rarest)

    @cache
    def vector() -> "Ints":
        if not kept:
            return np.zeros(vectors.DIMENSIONS, np.int64)
        weights = {word: round(vectors.WEIGHT * idf(word)) for word in kept}
        (found,) = vectors.of(view.embedder, [" ".join(kept)], weights.__getitem__)
        length = max(math.isqrt(sum(value * value for value in found.tolist())), 1)  # 64 bits would not do
        scaled: Ints = np.rint(1000 * found / length).astype(np.int64)
        return scaled

    spoken = [key for name, key in view.symbols.items() if names.key(name) in keys]
    naming = np.unique(np.concatenate([postings[n][0] for n in _naming(symbols)] or [np.zeros(0, np.int64)]))
    proper = (term_id(term) for name in _PROPER.findall(rest) for term in terms(name) if term not in dropped)
    named = any((postings[number][1] < ASKED).any() for number in _naming(symbols))
    strange = (
        not (named or np.isin(view.symbol[view.stated > 0], np.array(spoken, np.uint64)).any())
        if called
        else any(number in known and not known[number].stated.any() for number in proper)
    )
    wanted = dict.fromkeys(term_id(term) for word in kept for term in terms(word))
    return Asked(
        view=view,
        words=kept,
        found=[known[number] for number in wanted if number in known],
        vector=vector,
        speakers=[view.speakers[name] for name in speakers],
        symbols=spoken,
        naming=naming,
        spans=spans,
        at=microseconds(moment.now),
        settings=settings,
        of_assistant=asks_assistant(question),
        many=asks_many(question),
        figure=asks_figure(question),
        bare=not called and asks_level(question),
        strange=strange,
        weights={term: round(1e6 * idf(word)) for word in kept for term in terms(word)},
        answered={},
        hints={},
        echoes=_echoes(view, question, postings) if parted(question, "user")[0] else np.zeros(0, np.int64),
    )


def _echoes(view: "View", question: str, postings: "Postings") -> "Places":
    """Return the places of the passages that have each of a question's terms as often as it has, and no other."""
    asked = Counter(map(term_id, terms(question)))
    found = np.flatnonzero(view.terms == asked.total())
    for number, often in asked.items():
        places, frequency = postings.get(number, (found[:0], np.zeros(0, np.uint16)))
        found = np.intersect1d(found, places[(frequency & np.uint16(ASKED - 1)) == often], assume_unique=True)
    return found


def _union(found: "Sequence[tuple[Places, NDArray[np.uint16]]]") -> "tuple[Places, NDArray[np.uint16]]":
    """Return the places of any of some postings, in order, each with how often the first of them has it."""
    places, first = np.unique(np.concatenate([places for places, _ in found]), return_index=True)
    return places, np.concatenate([often for _, often in found])[first]

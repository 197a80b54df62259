"""COLD's candidates: the insights that were alive at a moment, in order of what they are worth to a question.

The signals are those of recall where they apply: words in common (BM25), likeness in meaning, the asked symbols, words
of time, and age. Scores are sums of whole millionths and statistics are those of the insights alive at the moment, so
that a replay orders them alike. Unlike passages, insights are few and short: all of them are scored.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from gallump_lab import tokens
from gallump_lab.config import Cold
from gallump_lab.memory import ledger, vectors
from gallump_lab.memory.asked import QUERY_TERMS, named_times, rarity
from gallump_lab.memory.ledger import Known
from gallump_lab.memory.records import AsOf, ContextItem, Kind, PassedOver, Reason
from gallump_lab.memory.signals import MILLION, decay, within
from gallump_lab.memory.text import terms, words
from gallump_lab.reading.names import key
from gallump_lab.store import times

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

CANDIDATES = 200
"""So many insights are candidates; no budget holds more."""
K1, B = 0.5, 0.4
"""BM25's term saturation and length normalisation, as in recall."""
KINDS: Mapping[Kind, str] = {
    "thesis": "thesis view reason case forecast",
    "level": "level price",
    "position": "position holding",
    "preference": "rule preference principle habit limit",
    "lesson": "lesson mistake",
    "fact": "",
}
"""Words by which one asks for a kind of insight; they count as if it said them."""
_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)  # noqa: DTZ001 (naive UTC, as insights have it)
SHOWN = 0.5
"""An insight says no more than the prompt does already where the messages that it rests on show so much of it."""


def candidates(  # noqa: PLR0913 (a moment's givens)
    con: "DuckDBPyConnection",
    question: str,
    *,
    symbols: Collection[str],
    moment: AsOf,
    settings: Cold,
    factor: float,
    plain: bool = False,
    pinned: Sequence[int] = (),
    stood: Sequence[Known] | None = None,
    least: float = -math.inf,
) -> list[ContextItem]:
    """Order the insights that were alive at a moment by what they are worth to a question.

    Parameters
    ----------
    con : DuckDBPyConnection
        A lab or a snapshot of it, inside a read step.
    question : str
        What is asked.
    symbols : collection of str
        What the question is about.
    moment : AsOf
        Insights and their events up to it.
    settings : Cold
        How much each signal counts.
    factor : float
        The model's tokens per cl100k token.
    plain : bool
        Give each as its text alone, as the guide does, without symbol and date.
    pinned : sequence of int
        Insights that stand first for this question, in this order; those pinned for good come after them.
    stood : sequence of Known, optional
        What `ledger.standing` gives for the moment, where it has been read before.
    least : float
        Those that are `too_far` by it are left out.
    """
    import numpy as np

    found = ledger.alive(con, moment, stood)
    if not found:
        return []
    first = {insight_id: place for place, insight_id in enumerate(pinned)}
    gains = _gains(found, question, symbols, moment, settings)
    gains["pin"] = 10 * MILLION * np.array([each.pinned or each.insight_id in first for each in found], np.int64)
    score = np.sum([*gains.values()], axis=0)
    for_this = [first.get(each.insight_id, len(first)) for each in found]
    unpinned = [not each.pinned for each in found]
    newest = [-each.insight_id for each in found]
    near = (score - gains.get("recency", 0) >= least * MILLION) | (gains["pin"] > 0)
    slots = []
    for rank, place in enumerate(np.lexsort((newest, -score, unpinned, for_this))[:CANDIDATES].tolist(), 1):
        if not near[place]:
            continue
        each = found[place]
        since = times.aware(each.valid_from, moment.at.tzinfo)
        line = each.text if plain else f"- {_label(each, since)}: {each.text}"
        gained = {name: int(column[place]) for name, column in gains.items()}
        slots.append(
            ContextItem(
                tier="cold",
                kind="insight",
                item_id=each.insight_id,
                message_id=None,
                rank=rank,
                text=each.text,
                line=line,
                tokens=tokens.scaled(_cost(line), factor),
                score=int(score[place]),
                signals={name: value for name, value in gained.items() if value or name != "pin"},
                symbol=each.symbol,
                created_at=since,
                speaker=each.speaker,
                sources=tuple(each.sources),
            )
        )
    return slots


def _gains(
    found: Sequence[Known], question: str, symbols: Collection[str], moment: AsOf, settings: Cold
) -> "dict[str, Ints]":
    """Return what each signal gives each insight, times its weight."""
    import numpy as np

    spans, asked = named_times(question, moment)
    texts = [*map(_whole, found)]
    kept = [_counted(f"{text} {KINDS[each.kind]}") for text, each in zip(texts, found, strict=True)]
    said = words(asked)
    wanted = frozenset(chain(terms(asked), said, *map(terms, said)))
    held = Counter(term for counts in kept for term in wanted & counts.keys())
    about = {*map(key, symbols)}
    ways: dict[str, Callable[[], Ints]] = {
        "words": lambda: _words(asked, kept, held),
        "meaning": lambda: _meaning(said, texts, held),
        "symbol": lambda: np.array([MILLION * (key(each.symbol or "") in about) for each in found], np.int64),
        "dates": lambda: MILLION * within(_microseconds([each.valid_from for each in found]), spans),
        "recency": lambda: decay(_microseconds([each.confirmed for each in found]), times.microseconds(moment.now)),
    }
    return {
        name: np.rint(weight * way()).astype(np.int64)
        for name, way in ways.items()
        if (weight := getattr(settings, name))
    }


def _words(asked: str, kept: "Sequence[Mapping[str, int]]", held: Mapping[str, int]) -> "Ints":
    """Return each insight's share of what the question's words weigh; see `memory.signals.words`."""
    import numpy as np

    wanted = [term for term, _ in Counter(terms(asked)).most_common(QUERY_TERMS) if term in held]
    idf = {term: rarity(len(kept), held[term]) for term in wanted}
    total = sum(idf.values())
    score = np.zeros(len(kept), np.int64)
    lengths = [sum(counts.values()) for counts in kept]
    mean = max(sum(lengths) / len(kept), 1.0)
    for place, counts in enumerate(kept):
        if not idf.keys().isdisjoint(counts):
            spread = K1 * (1 - B + B * (lengths[place] / mean))
            score[place] = sum(
                round(MILLION * idf[term] / total * counts[term] * (K1 + 1) / (counts[term] + spread))
                for term in wanted
                if term in counts
            )
    return score


def _meaning(said: Sequence[str], texts: Sequence[str], held: Mapping[str, int]) -> "Ints":
    """Return each insight's cosine with the question, 0 where it points away."""
    import numpy as np

    if not said:
        return np.zeros(len(texts), np.int64)
    number = len(texts)
    weights = {
        word: round(vectors.WEIGHT * max(rarity(number, held.get(term, 0)) for term in [*terms(word), word]))
        for word in said
    }
    question = vectors.of(vectors.BUILT_IN, [" ".join(said)], weights.__getitem__)[0].astype(np.float64)
    question = np.rint(1000 * question / max(np.sqrt(question @ question), 1))
    codes = np.frombuffer(b"".join(map(_code, texts)), np.uint64).reshape(number, -1)
    rows = vectors.decode(codes).astype(np.float64)
    # Whole numbers below 2**53, so the order of summing does not matter. BLAS would wait for its threads.
    norm = np.sqrt(np.einsum("ij,ij->i", rows, rows)) * np.sqrt(question @ question)
    likeness = np.einsum("ij,j->i", rows, question)
    cosine: Ints = np.maximum(np.rint(MILLION * likeness / np.maximum(norm, 1)), 0).astype(np.int64)
    return cosine


def _microseconds(moments: Sequence[datetime]) -> "Ints":
    """Count each time's microseconds since 1970, from naive UTC."""
    import numpy as np

    return np.array([(each - _EPOCH) // _MICROSECOND for each in moments], np.int64)


def prepare(insights: Iterable[Known]) -> None:
    """Analyse insights before the first question meets them; what was found is kept in the process."""
    for each in insights:
        _counted(f"{_whole(each)} {KINDS[each.kind]}")
        _code(_whole(each))
        _cost(f"- {_label(each, each.valid_from)}: {each.text}")


def _whole(each: Known) -> str:
    """Return all that an insight says: its symbol, its speaker and its text."""
    return " ".join(filter(None, (each.symbol, each.speaker, each.text)))


@lru_cache(maxsize=50_000)
def _counted(text: str) -> Mapping[str, int]:
    return Counter(terms(text))


@lru_cache(maxsize=50_000)
def _code(text: str) -> bytes:
    """Return what a text means, as a code; insights do not change, so it is kept."""
    return vectors.encode(vectors.of(vectors.BUILT_IN, [text])).tobytes()


@lru_cache(maxsize=50_000)
def _cost(line: str) -> int:
    return tokens.count(f"{line}\n")


def _label(each: Known, since: datetime) -> str:
    dated = f"since {since:%Y-%m-%d}"
    return f"{each.symbol}, {dated}" if each.symbol else dated


def too_far(insight: ContextItem, least: float) -> bool:
    """Return whether an insight has too little to do with the question, its age left out."""
    return not insight.signals.get("pin") and insight.score - insight.signals.get("recency", 0) < least * MILLION


class Shown:
    """What a prompt's other tiers show of the messages that an insight rests on; slots are added one after the other.

    The more slots there are the more insights are shown: one that is shown stays so.
    """

    def __init__(self, slots: Iterable[ContextItem] = ()) -> None:
        self._said: dict[int, set[str]] = {}
        for slot in slots:
            self.add(slot)

    def add(self, slot: ContextItem) -> None:
        """Take in a slot that stands in the prompt."""
        if slot.message_id is not None:
            self._said.setdefault(slot.message_id, set()).update(_counted(slot.line))

    def holds(self, insight: ContextItem) -> bool:
        """Return whether the prompt shows half of an insight's words, and all of its numbers, where they were said."""
        said = [self._said[each] for each in insight.sources if each in self._said]
        if not said:
            return False
        wanted = _counted(insight.text)
        missing = [term for term in wanted if not any(term in each for each in said)]
        return len(missing) <= (1 - SHOWN) * len(wanted) and not any(term[0].isdigit() for term in missing)


def passing_over(hot: Sequence[ContextItem], warm: Sequence[ContextItem], least: float) -> PassedOver:
    """Return which of COLD's candidates are too far from the question, and which the tiers before show already."""
    standing = Shown(slot for slot in hot if slot.kept)
    both = Shown(slot for slot in (*hot, *warm) if slot.kept)

    def passed_over(slot: ContextItem) -> Reason | None:
        if too_far(slot, least):
            return "below threshold"
        if standing.holds(slot):
            return "in HOT"
        return "in WARM" if both.holds(slot) else None

    return passed_over

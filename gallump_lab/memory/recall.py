"""WARM: what earlier talk holds that a question needs. Ranking knows no budget; packing knows no question."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from functools import lru_cache, partial
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from gallump_lab import tokens
from gallump_lab.config import Recall
from gallump_lab.lazy import np
from gallump_lab.memory import answered, corpus, hints, signals
from gallump_lab.memory.asked import Asked, ask, needed
from gallump_lab.memory.corpus import View
from gallump_lab.memory.kinds import VERSION as KINDS
from gallump_lab.memory.lately import Lately
from gallump_lab.memory.records import AsOf, ContextItem, Message, frame
from gallump_lab.memory.signals import MILLION
from gallump_lab.memory.text import VERSION as TEXT
from gallump_lab.memory.text import ending, indented
from gallump_lab.reading.shown import visible

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

    from gallump_lab.memory.asked import Ints, Postings
    from gallump_lab.memory.corpus import Places

Slot = Callable[..., ContextItem]
"""Makes a slot of a passage; it takes the slot's further fields."""

CANDIDATES = 60
"""So many passages are candidates at least, and as many more as the budget may hold."""

LEAST = 8
"""No passage costs fewer tokens: its date and speaker alone take as many."""

FAR_TOO = 32
"""So many that are too far from the question are shown as such; what is outdated is looked for among them too."""

FIRST = 60
"""So many passages, the best by words and the nearest in meaning, of all and of the analysts' own, are scored by every
signal."""

ENOUGH, STRANGE = 2, 4
"""So many times `Recall.least` the best passage must have to do with a question, that WARM shows anything."""

MANY = 0.7
"""So much of `Recall.share` is enough where many pieces are asked for, and for what was said when the question says."""

VERSION = f"{TEXT} {KINDS} signals-7 {FIRST} outdated-4 insights-3"
"""Names how passages and insights are found and shown, whatever the embedding model; a replay under another says so."""


def version(model: str, missing: int) -> str:
    """Name how passages were found once, with which embedding model and how many passages it had no code of."""
    return f"{VERSION} {model}" + (f" without {missing}" if missing else "")


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """What a recall found, kept or not, and why."""

    query: str
    budget: int
    """The model's tokens that it could spend."""
    slots: tuple[ContextItem, ...]
    notice: str | None = None
    """In words, when passages are not embedded yet."""

    @property
    def tokens(self) -> int:
        """The model's tokens of what was kept."""
        return sum(slot.tokens for slot in self.slots if slot.kept)

    @property
    def frame(self) -> "pd.DataFrame":
        """One row for each passage considered, in rank order.

        Columns tier, rank, kept, reason, outdated (what holds instead), unconfirmed, cited, tokens, score (millionths),
        symbol, role, created_at, message_id, kind, item_id (the passage), text, `signal_...` (millionths, of each).
        """
        return frame(self.slots)

    def __repr__(self) -> str:
        """Return how much was kept, what is not embedded yet, and each that was kept in a line, with why."""
        kept = [slot for slot in self.slots if slot.kept]
        head = f"Recalled {len(kept)} of {len(self.slots)} passages considered, {self.tokens} of {self.budget} tokens"
        if self.slots and all(slot.reason == "below threshold" for slot in self.slots):
            head = f"Nothing matches well: all {len(self.slots)} passages considered have too little to do with it"
        if hot := sum(slot.reason == "in HOT" for slot in self.slots):
            head += f"; HOT shows {hot} of them already"
        short = partial(shorten, width=110, placeholder=" …")
        lines = (f"{slot.rank:3} {short(slot.line)}\n    {why(slot)}" for slot in kept)
        return visible("\n".join([head, *filter(None, [self.notice]), *lines]))


_WORDS = {
    "words": "shares its words",
    "meaning": "alike in meaning",
    "speaker": "said by whom you name",
    "role user": "your own words",
    "role assistant": "the analyst's words",
    "symbol": "on the same symbol",
    "dates": "from the time you name",
    "recency": "recent",
    "figures": "has a figure",
    "wishes": "a standing rule or wish",
    "answered": "answered this before",
    "hints": "found by the model's hint",
    "message": "goes with a match in its message",
    "pin": "pinned by you",
}


def why(slot: ContextItem) -> str:
    """Return in words what speaks for an item, the most first."""
    gains = sorted(((gain, name) for name, gain in slot.signals.items() if gain > 0), reverse=True)
    words = ((_WORDS.get(f"{name} {slot.role}") or _WORDS.get(name, name), gain) for gain, name in gains)
    return ", ".join(f"{word} {gain / MILLION:.2f}" for word, gain in words)


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Passages in order of relevance, with what each signal gave."""

    passage_ids: list[int]
    scores: "Ints"
    signals: "Mapping[str, Ints]"
    """By signal, a value a passage, in millionths; a passage's score is their sum."""

    def given(self, first: int) -> Iterator[dict[str, Any]]:
        """Return rank, score and signals, what each gave, of so many first passages."""
        columns = [(name, name in signals.SIGNALS, column[:first].tolist()) for name, column in self.signals.items()]
        for place, score in enumerate(self.scores[:first].tolist()):
            gained = {name: column[place] for name, always, column in columns if always or column[place]}
            yield {"rank": place + 1, "score": score, "signals": gained}


def rank(  # noqa: PLR0913 (a moment's givens)
    con: "DuckDBPyConnection",
    view: View,
    question: str,
    *,
    symbols: Collection[str] = (),
    moment: AsOf,
    settings: Recall,
    memo: dict[Hashable, Any] | None = None,
) -> Ranked:
    """Order the passages of a moment by relevance to a question about some symbols (see `asked.about`).

    The best `FIRST` by BM25, the nearest `FIRST` in meaning, of all passages and of the analysts' own, the newest
    `FIRST` of the times that the question names, and up to three passages before and after each of them in its
    session, are scored by every signal (see `gallump_lab.memory.signals`). Scores are sums of whole millionths, so they
    are the same on every machine; ties go to the earlier passage. Document frequencies and the average length are those
    of the moment. `memo` keeps what others' ranking of the same question at the same moment can use.
    """
    if not len(view):
        return Ranked(passage_ids=[], scores=np.zeros(0, np.int64), signals={})
    shared, memo = memo is not None, {} if memo is None else memo

    def once(key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in memo:
            memo[key] = make()
        return memo[key]

    plain = once(
        ("asked", view.embedder.name),
        lambda: ask(
            view,
            question,
            postings=once("postings", lambda: postings(con, view, question, symbols)),
            symbols=symbols,
            moment=moment,
            settings=settings,
        ),
    )
    asked = replace(plain, settings=settings)
    if settings.hints:
        asked = replace(asked, hints=once("hints", lambda: hints.found(con, plain, moment)))
    best = np.unique(np.concatenate(_first(asked, once)))
    if settings.answered:
        asked = replace(
            asked, answered=once(("answered", best.tobytes()), lambda: answered.found(con, plain, best, moment))
        )
        best = np.union1d(best, np.array([*asked.answered], np.int64))
    these = best.tobytes()
    places = once(these, lambda: _with_neighbours(view, best))

    def gained(name: str, score: "Callable[[Asked, Places], Ints]") -> Any:
        if not shared:
            return score(asked, places)
        same = (name, view.embedder.name, settings.neighbours, settings.k1, settings.b)
        return once((*same, these), lambda: shared_of(same, score))

    def shared_of(same: Hashable, score: "Callable[[Asked, Places], Ints]") -> Any:
        values, known = once(same, lambda: (np.zeros(len(view), np.int64), np.zeros(len(view), bool)))
        if len(new := places[~known[places]]):
            values[new], known[new] = score(asked, new), True
        return values[places]

    gains = {
        name: np.rint(weight * gained(name, score)).astype(np.int64)
        for name, score in signals.SIGNALS.items()
        if (weight := getattr(settings, name))
    }
    which = once(("message", these), lambda: np.unique(view.message_id[places], return_inverse=True)[1])
    gains["message"] = _beside_best(asked, places, which, sum(gains.values(), np.zeros(len(places), np.int64)))
    gains["far"] = signals.FAR * _too_far(gains, asked, np.isin(places, asked.echoes))
    scores = sum(gains.values(), np.zeros(len(places), np.int64))
    order = np.lexsort((places, -scores))
    return Ranked(
        passage_ids=view.passage_id[places[order]].tolist(),
        scores=scores[order],
        signals={name: gained[order] for name, gained in gains.items() if name in signals.SIGNALS or gained.any()},
    )


def _first(asked: Asked, once: Callable[[Hashable, Callable[[], Any]], Any]) -> "list[Places]":
    """Return which passages are scored by every signal, but for their neighbours."""
    view, settings = asked.view, asked.settings
    first = []
    if settings.words:
        first = [once(("words", settings.k1, settings.b), lambda: _best(view, signals.plain_words(asked)))]
    if settings.meaning:
        nearest = once(("meaning", view.embedder.name), lambda: _best(view, signals.nearness(asked)))
        first += [nearest[view.codes[nearest].any(1)]]
    if not first:  # what remains tells no question from another: the newest
        first = [np.arange(max(0, len(view) - FIRST), len(view))]
    elif not asked.words:  # it says only when, or who spoke
        first = [np.flatnonzero(signals.speaker(asked, np.arange(len(view))))[-FIRST:]]
    if asked.spans and (settings.dates or not asked.words):  # whatever the words say
        first += [np.flatnonzero(signals.within(view.created_at, asked.spans))[-FIRST:]]
    return [*first, np.array([*asked.hints], np.int64)]


def _best(view: View, score: Any) -> "Places":
    """Return the first of all passages, and the first of the analysts' own: the assistant's are many."""
    own = np.flatnonzero(view.role == corpus.USER)
    return np.union1d(signals.top(score, FIRST), own[signals.top(score[own], FIRST)])


def _beside_best(asked: Asked, places: "Places", which: "Places", scores: "Ints") -> "Ints":
    """Return what lifts further passages of a message (`which`) to near its best; of the role that is asked for."""
    if not asked.settings.message or not len(places):
        return np.zeros(len(places), np.int64)
    best = np.full(which.max() + 1, signals.FAR)
    np.maximum.at(best, which, scores)
    wanted = asked.view.role[places] == (corpus.ASSISTANT if asked.of_assistant else corpus.USER)
    lift = np.maximum(best[which] - signals.BESIDE_BEST - scores, 0) * wanted
    found: Ints = np.rint(asked.settings.message * lift).astype(np.int64)
    return found


def _too_far(gains: "Mapping[str, Ints]", asked: Asked, echoes: Any) -> Any:
    """Return which passages have too little to do with the question, or score too far below the best of the others.

    What only repeats the question tells nothing about it. Where even the best has little to do with it, all are: more
    of a question that names what nobody spoke of.
    """
    settings = asked.settings
    about = np.sum([gains[name] for name in (*signals.ABOUT, "message") if name in gains], axis=0)
    enough = (STRANGE if asked.strange else ENOUGH) * settings.least * MILLION
    about = np.where(echoes, 0, about)
    near = (about >= settings.least * MILLION) & (np.max(about, initial=0) >= enough)
    scores = np.sum([*gains.values()], axis=0)
    of_then = bool(asked.spans) & (gains.get("dates", np.zeros(1)) >= settings.dates * MILLION)
    share = settings.share * np.where(of_then | asked.many, MANY, 1)
    best = max((scores - gains.get("answered", 0))[near], default=0)  # being asked again drops nothing
    return ~near | (scores < share * best)


def _with_neighbours(view: View, best: "Places") -> "Places":
    """Return places and those up to three passages beside them, in order."""
    around = np.unique(np.concatenate([best, *(view.beside(best, steps) for steps in signals.WORDS_BESIDE)]))
    found: Places = around[around != corpus.NONE]
    return found


def pinned_first(ranked: Ranked, view: View, pinned: Sequence[int]) -> Ranked:
    """Put what the analyst pinned before all else, if it was there at the moment; its signal is `pin`."""
    first = [item for item in dict.fromkeys(pinned) if view.holds(item)]
    if not first:
        return ranked
    order = [*first, *(item for item in ranked.passage_ids if item not in first)]
    place = {item: number for number, item in enumerate(ranked.passage_ids)}
    places, known = np.array([place.get(item, 0) for item in order]), np.array([item in place for item in order])
    columns = {name: column[places] * known if len(place) else known * 0 for name, column in ranked.signals.items()}
    pinned_now = np.arange(len(order)) < len(first)
    if "far" in columns:
        columns["far"][pinned_now] = 0
    columns["pin"] = (int(ranked.scores.max(initial=0)) + MILLION) * pinned_now
    return Ranked(passage_ids=order, scores=np.sum([*columns.values()], axis=0), signals=columns)


def postings(con: "DuckDBPyConnection", view: View, question: str, symbols: Collection[str] = ()) -> "Postings":
    """Return for each term and symbol of a question the places of the passages that hold it, and how often."""
    found, wanted = {}, needed(question, symbols) if len(view) else ()
    for term, (ids, frequency) in view.lately.postings(con, wanted).items():
        places = view.places.take(ids, mode="clip")
        there = places.view(np.uint32) < len(view)  # NONE is large then
        found[term] = (places[there].astype(np.int64), frequency[there])
    return found


def most(warm: int) -> int:
    """Return how many candidates a budget of so many tokens may come to hold."""
    return max(CANDIDATES, warm // LEAST)


def candidates(  # noqa: PLR0913 (what a line is made of)
    con: "DuckDBPyConnection",
    view: View,
    ranked: Ranked,
    factor: float,
    *,
    most: int,
    zone: tzinfo | None = UTC,
    memo: dict[int, Slot] | None = None,
) -> list[ContextItem]:
    """Return the first `most` ranked passages as slots, dated in a time zone; `FAR_TOO` of what is too far.

    `memo` keeps what others' candidates can use; what else is given must be the same.
    """
    far, memo = int(np.count_nonzero(ranked.signals.get("far", ())[:most])), {} if memo is None else memo
    first = ranked.passage_ids[: min(most, len(ranked.passage_ids)) - max(far - FAR_TOO, 0)]
    new = [item for item in first if item not in memo]
    message_ids = view.message_id[view.places[new]].tolist()
    spans = [*zip(message_ids, new, *view.spans[new].T.tolist(), strict=True)]
    memo.update(_slots(con, view.lately, spans, factor, zone))
    return [memo[item](**given) for item, given in zip(first, ranked.given(len(first)), strict=True)]


def slots(
    con: "DuckDBPyConnection", passage_ids: Sequence[int], factor: float, zone: tzinfo | None = UTC
) -> dict[int, ContextItem]:
    """Return passages as slots, by id, each with its message, its speaker and what it costs in a prompt."""
    spans = con.execute(
        "select message_id, passage_id, start, stop, tokens from passages where passage_id in (select unnest(?))",
        [passage_ids],
    ).fetchall()
    return {item: slot() for item, slot in _slots(con, Lately(), spans, factor, zone).items()}


def _slots(
    con: "DuckDBPyConnection", lately: Lately, spans: Sequence[Sequence[int]], factor: float, zone: tzinfo | None
) -> dict[int, Slot]:
    """Return slots of passages whose message ids and spans (see `slot`) are known, by passage id."""
    rows = lately.messages(con, [message_id for message_id, *_ in spans])
    said = {message_id: Message.of(row, zone) for message_id, row in rows.items()}
    found = {}
    for message_id, *span in spans:
        message = said[message_id]
        by = filter(None, (f"{message.created_at:%Y-%m-%d}", message.symbol, message.speaker or message.role))
        found[span[0]] = slot(message, span, " ".join(by) + ":", factor)
    return found


def slot(message: Message, span: Sequence[int], label: str, factor: float) -> Slot:
    """Return what makes a passage of a message a slot; `span` is its id, start, stop and tokens, `label` leads it.

    It is one of WARM's where the further fields that are given say nothing else.
    """
    item, start, stop, cost = span
    end, more = ending(message.state, message.text[stop:])
    said = message.text[start:stop]
    return partial(
        message.item,
        said,
        tier="warm",
        rank=0,
        kind="passage",
        item_id=item,
        line=label + indented(said) + end,
        tokens=tokens.scaled(_counted(label) + cost + more, factor),
    )


_counted = lru_cache(maxsize=10_000)(tokens.count)


def of_messages(con: "DuckDBPyConnection", message_ids: Sequence[int], factor: float) -> dict[int, list[ContextItem]]:
    """Return messages as their passages, by message id, each in the order of its text."""
    rows = con.execute(
        "select passage_id from passages where message_id in (select unnest(?))", [list(map(int, message_ids))]
    ).fetchall()
    found: dict[int, list[ContextItem]] = {}
    for _, slot in sorted(slots(con, [item for (item,) in rows], factor).items()):
        found.setdefault(slot.message_id or 0, []).append(slot)
    return found

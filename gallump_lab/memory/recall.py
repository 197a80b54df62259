"""WARM: what earlier talk holds that a question needs. Ranking knows no budget; packing knows no question."""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gallump_lab import tokens
from gallump_lab.config import Budget, Recall
from gallump_lab.memory.packing import frame
from gallump_lab.memory.records import Message, Moment, Slot
from gallump_lab.memory.text import VERSION as TEXT
from gallump_lab.memory.text import indented, one_line, storable, term_id, terms
from gallump_lab.store import times

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]

CANDIDATES = 100
"""So many passages are candidates at least, and as many more as the budget may hold."""

LEAST = 8
"""No passage costs fewer tokens: its date and speaker alone take as many."""

SCORED = 1_000
"""So many passages, the best by BM25, are scored by the other signals."""

QUERY_TERMS = 64
"""Of a long question so many different terms are matched: those that occur in it most often, earlier ones first."""

VERSION = f"{TEXT} bm25-1 {SCORED} {QUERY_TERMS}"
"""Names how passages are found and shown, embedding model included; a replay under another name says so."""

MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """What a recall found, kept or not, and why."""

    query: str
    budget: int
    """The model's tokens that it could spend."""
    slots: tuple[Slot, ...]

    @property
    def tokens(self) -> int:
        """The model's tokens of what was kept."""
        return sum(slot.tokens for slot in self.slots if slot.kept)

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a candidate, in rank order; signals and score in millionths."""
        return frame(self.slots)

    def __repr__(self) -> str:
        """Say what was kept, a line each, then how much was not."""
        kept = [slot for slot in self.slots if slot.kept]
        head = f"Recalled {len(kept)} of {len(self.slots)} candidates, {self.tokens} of {self.budget} tokens"
        return "\n".join([head, *(f"{slot.rank:3} {one_line(slot.line)[:110]}" for slot in kept)])


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Passages in order of relevance, with what each signal gave."""

    passage_ids: list[int]
    scores: list[int]
    signals: list[dict[str, int]]
    """In millionths; a passage's score is their sum."""


def checked(query: str) -> str:
    """Give a query as it can be matched; an empty one finds nothing.

    Raises
    ------
    ValueError
        If it is no text.
    """
    if not isinstance(query, str):
        msg = f"query must be text, not {query!r}."
        raise ValueError(msg)  # noqa: TRY004 (every bad argument is a ValueError)
    return storable(query)


def budget(config: Budget, warm: int) -> Budget:
    """Give a budget with another share of WARM, in a window that holds it.

    Raises
    ------
    ValueError
        If `warm` is not a whole number of tokens.
    """
    if not isinstance(warm, int) or isinstance(warm, bool) or warm < 0:
        msg = f"tokens must be a whole number of at least 0, not {warm!r}."
        raise ValueError(msg)
    return replace(config, warm=warm, window=config.window + warm)


def rank(con: "DuckDBPyConnection", question: str, *, symbol: str | None, moment: Moment, settings: Recall) -> Ranked:
    """Order the passages up to a moment by relevance to a question.

    BM25 with Lucene's idf, ln(1 + (N - df + 0.5) / (df + 0.5)) (Robertson and Zaragoza 2009, "The Probabilistic
    Relevance Framework: BM25 and Beyond"), over the passages that had arrived (and, with `as_of`, that speak of no
    later time): document frequencies and the average length are those of the moment. Each term's share is rounded to a
    millionth, so a score is a sum of integers and the same on every machine; ties go to the earlier passage. A passage
    of the question's symbol gains `Recall.symbol` times the best BM25 score.
    """
    import numpy as np

    asked = [term_id(term) for term, _ in Counter(terms(question)).most_common(QUERY_TERMS)]
    newest, number, length = _corpus(con, moment)
    term, passage, frequency, terms_in = _postings(con, asked, newest, moment)
    if not len(passage):
        return Ranked(passage_ids=[], scores=[], signals=[])
    _, which, held_by = np.unique(term, return_inverse=True, return_counts=True)
    idf = np.log1p((number - held_by + 0.5) / (held_by + 0.5))[which]
    norm = settings.k1 * (1 - settings.b + settings.b * terms_in * (number / length))
    shares = np.rint(MILLION * idf * frequency * (settings.k1 + 1) / (frequency + norm)).astype(np.int64)
    ids, where = np.unique(passage, return_inverse=True)
    bm25 = np.zeros(len(ids), np.int64)
    np.add.at(bm25, where, shares)

    best = np.lexsort((ids, -bm25))[:SCORED]
    ids, bm25 = ids[best], bm25[best]
    same = np.isin(ids, _of_symbol(con, ids, symbol)) if symbol and settings.symbol else np.zeros(len(ids), bool)
    bonus = np.where(same, int(bm25[0]) * round(settings.symbol * 1000) // 1000, 0)
    scores = bm25 + bonus
    order = np.lexsort((ids, -scores))
    return Ranked(
        passage_ids=ids[order].tolist(),
        scores=scores[order].tolist(),
        signals=[{"bm25": int(bm25[i]), "symbol": int(bonus[i])} for i in order],
    )


def pinned_first(con: "DuckDBPyConnection", ranked: Ranked, pinned: list[int], moment: Moment) -> Ranked:
    """Put what the analyst pinned before all else, if it was there at the moment; its signal is `pin`."""
    if not pinned:
        return ranked
    as_of = moment.as_of and times.naive(moment.as_of)
    rows = con.execute(
        "select passage_id from passages join messages using (message_id) where passage_id in (select unnest(?)) "
        "and message_id <= ? and created_at <= coalesce(?::timestamp, created_at)",
        [pinned, moment.seen_message, as_of],
    ).fetchall()
    there = {passage for (passage,) in rows}
    signals = dict(zip(ranked.passage_ids, ranked.signals, strict=True))
    first = [passage for passage in dict.fromkeys(pinned) if passage in there]
    order = [*first, *(passage for passage in ranked.passage_ids if passage not in there)]
    best = max(ranked.scores, default=0) + MILLION
    found = [signals.get(passage, {}) | ({"pin": best} if passage in there else {}) for passage in order]
    return Ranked(passage_ids=order, scores=[sum(each.values()) for each in found], signals=found)


def _corpus(con: "DuckDBPyConnection", moment: Moment) -> tuple[int, int, int]:
    """Give the newest passage of the moment, the number of passages and the sum of their lengths in terms."""
    if moment.as_of is None:
        sql = (
            "select coalesce(max(passage_id), 0), count(*), coalesce(sum(terms), 0) from passages where message_id <= ?"
        )
        found = con.execute(sql, [moment.seen_message]).fetchone()
    else:
        found = con.execute(
            "select coalesce(max(passage_id), 0), count(*), coalesce(sum(terms), 0) from passages join messages using "
            "(message_id) where message_id <= ? and created_at <= ?",
            [moment.seen_message, times.naive(moment.as_of)],
        ).fetchone()
    newest, number, length = found or (0, 0, 0)
    return newest, number, max(int(length), 1)


def _postings(con: "DuckDBPyConnection", asked: list[int], newest: int, moment: Moment) -> "tuple[Ids, ...]":
    """Give the postings of the asked terms: term, passage, how often, and the passage's length."""
    import numpy as np

    if moment.as_of is None:
        found = con.execute(
            "select term, passage_id, frequency, terms from postings "
            "where term in (select unnest(?::bigint[])) and passage_id <= ?",
            [asked, newest],
        ).fetchnumpy()
    else:
        found = con.execute(
            "select term, passage_id, frequency, postings.terms from postings join passages using (passage_id) "
            "join messages using (message_id) "
            "where term in (select unnest(?::bigint[])) and passage_id <= ? and created_at <= ?",
            [asked, newest, times.naive(moment.as_of)],
        ).fetchnumpy()
    return tuple(np.asarray(column, np.int64) for column in found.values())


def _of_symbol(con: "DuckDBPyConnection", ids: "Ids", symbol: str) -> "Ids":
    import numpy as np

    found = con.execute(
        "select passage_id from passages join messages using (message_id) "
        "where symbol = ? and passage_id in (select unnest(?))",
        [symbol, ids.tolist()],
    ).fetchnumpy()
    return np.asarray(found["passage_id"], np.int64)


def candidates(con: "DuckDBPyConnection", ranked: Ranked, factor: float, most: int) -> list[Slot]:
    """Give the first `most` ranked passages as slots, each with its message, speaker and what it costs in a prompt."""
    rows = con.execute(
        "select passage_id, start, stop, passages.tokens, message_id, session_id, role, text, symbol, created_at, "
        "state from passages join messages using (message_id) where passage_id in (select unnest(?))",
        [ranked.passage_ids[:most]],
    ).fetchall()
    found = {
        row[0]: (row[1:4], Message(**dict(zip(_MESSAGE, row[4:], strict=True)) | {"created_at": times.aware(row[9])}))
        for row in rows
    }
    labels: dict[str, int] = {}
    slots = []
    for number, (item, score, signals) in enumerate(
        zip(ranked.passage_ids[:most], ranked.scores, ranked.signals, strict=False), 1
    ):
        (start, stop, cost), message = found[item]
        label = " ".join(filter(None, (f"{message.created_at:%Y-%m-%d}", message.symbol, message.role))) + ":"
        labels[label] = labels.get(label) or tokens.count(label)
        slots.append(
            Slot(
                tier="warm",
                kind="passage",
                item_id=item,
                message_id=message.message_id,
                rank=number,
                text=message.text[start:stop],
                line=label + indented(message.text[start:stop]),
                tokens=tokens.scaled(labels[label] + cost, factor),
                score=score,
                signals=signals,
                role=message.role,
                symbol=message.symbol,
                session_id=message.session_id,
                created_at=message.created_at,
            )
        )
    return slots


_MESSAGE = ("message_id", "session_id", "role", "text", "symbol", "created_at", "state")


def statement(slot: Slot) -> Hashable:
    """Give what two duplicates share: who said what of which symbol, without case and white space."""
    return slot.role, slot.symbol, one_line(slot.text).casefold()

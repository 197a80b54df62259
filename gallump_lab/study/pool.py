"""Which messages to label for a question: what several retrievers find, so that no one of them sets its own test.

Pooling is how test collections are judged (Sparck Jones and van Rijsbergen 1975): what no retriever of the pool finds
stays without a label, which is not the same as being of no use.
"""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gallump_lab.config import Recall
from gallump_lab.memory import context as memory
from gallump_lab.memory import recall
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.labels import Question
from gallump_lab.memory.records import AsOf, Role
from gallump_lab.memory.text import term_id
from gallump_lab.store import Catalogue, configs, times
from gallump_lab.study.past import zone_of
from gallump_lab.study.rank import RETRIEVERS

if TYPE_CHECKING:
    from gallump_lab.memory.corpus import View

DEPTH = 10
"""So many messages of each retriever are candidates."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A message to be labelled."""

    message_id: int
    role: Role
    text: str
    symbol: str | None
    speaker: str | None
    created_at: datetime
    """The time it speaks of, UTC."""
    found: tuple[tuple[int, int], ...]
    """Where in the text the best passages of the retrievers stand that look at words or meaning: from and to, in order;
    nothing where none of them found it."""


def pool(  # noqa: PLR0913 (what a study may choose)
    catalogue: Catalogue,
    corpus: Corpus,
    asked: Question,
    also: Collection[int] = (),
    *,
    retrievers: Mapping[str, Recall] | None = None,
    depth: int = DEPTH,
) -> list[Candidate]:
    """Gather the messages to label for a question, in an order that tells nothing of their ranks.

    Nothing later than the question is used, by arrival and by the time it speaks of. The order is the same each time.

    Parameters
    ----------
    catalogue : Catalogue
        A lab's store or a snapshot; a retriever takes a step.
    corpus : Corpus
        Its passages in memory.
    asked : Question
        The question.
    also : collection of int
        Further messages, such as those that have a label.
    retrievers : mapping of str to Recall, optional
        `study.RETRIEVERS` by default.
    depth : int
        So many messages of each retriever.
    """
    at, seen = times.aware(asked.asked_at), asked.seen_message
    with catalogue.read() as con:
        seen = memory.newest(con)[0] if seen is None else seen
        zone = zone_of(con, configs.applied(con))
    moment = AsOf(at=at.astimezone(zone), seen_message=seen, seen_insight=0, as_of=at)
    memo: dict[Hashable, Any] = {}
    found: dict[int, set[int]] = {message_id: set() for message_id in also}
    for settings in (RETRIEVERS if retrievers is None else retrievers).values():
        memory.prepare(corpus, catalogue, settings.embedder)
        with catalogue.read() as con:
            view = corpus.at(con, moment, settings.embedder)
            ranked = recall.rank(
                con, view, asked.text, symbol=asked.symbol, moment=moment, settings=settings, memo=memo
            )
        for message_id, passage in _first(view, ranked.passage_ids, depth).items():
            found.setdefault(message_id, set()).update({passage} if settings.words or settings.meaning else ())
    return _read(catalogue, found, asked.text)


def _first(view: "View", ranked: list[int], depth: int) -> dict[int, int]:
    """Return the first messages of a ranking, each with its best passage."""
    found: dict[int, int] = {}
    for passage in ranked:
        found.setdefault(int(view.message_id[view.places[passage]]), passage)
        if len(found) == depth:
            break
    return found


def _read(catalogue: Catalogue, found: Mapping[int, set[int]], question: str) -> list[Candidate]:
    with catalogue.read() as con:
        rows = con.execute(
            "select m.message_id, role, text, symbol, speaker, created_at, "
            "list((start, stop) order by start) filter (passage_id in (select unnest($passages))) "
            "from messages m left join passages p on p.message_id = m.message_id "
            "where m.message_id in (select unnest($messages)) group by all",
            {"messages": list(found), "passages": [each for passages in found.values() for each in passages]},
        ).fetchall()
    names = ("message_id", "role", "text", "symbol", "speaker")
    candidates = [
        Candidate(**dict(zip(names, row, strict=False)), created_at=times.aware(row[-2]), found=tuple(row[-1] or ()))
        for row in rows
    ]
    return sorted(candidates, key=lambda each: term_id(f"{question}\n{each.message_id}"))

"""One question after the other: each retriever's candidates, as they would have stood when it was asked."""

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gallump_lab.config import Config, Layout, Recall
from gallump_lab.memory import cold as learnt
from gallump_lab.memory import context as memory
from gallump_lab.memory import hot as newest
from gallump_lab.memory import ledger, outdated, recall
from gallump_lab.memory.asked import about, needed
from gallump_lab.memory.corpus import Corpus, View
from gallump_lab.memory.records import AsOf, ContextItem
from gallump_lab.memory.signals import COLUMNS
from gallump_lab.memory.succession import Mark
from gallump_lab.memory.text import terms
from gallump_lab.memory.vectors import Embedder
from gallump_lab.store import Snapshot, times
from gallump_lab.study.statistics import Ints
from gallump_lab.study.tally import Qrels
from gallump_lab.study.tempo import layouts

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

AT_ONCE = 32
"""What so many questions need is read in one statement each."""


@dataclass(frozen=True, kw_only=True)
class RankedQuestion:
    """One question and what does not depend on a retriever."""

    question_id: int
    text: str
    kind: str
    conversation: str
    needs: Qrels
    hot: Mapping[Layout, Sequence[ContextItem]]
    """By layout."""
    cold: Sequence[ContextItem]


class Outcome(NamedTuple):
    """What became of one question."""

    asked: RankedQuestion | None
    """None if all that it rests on came later."""
    found: list[Ints]
    """By retriever, a table of its best passages: their ids, scores and what each of `signals.COLUMNS` gave."""
    outdated: list[dict[int, str]]
    """By retriever, what holds instead of those of them that are known to be outdated, in words."""
    later: bool
    """Whether anything that it rests on came later."""
    missing: dict[str, int]
    """How many passages had no code yet, by embedder."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is the same for all questions."""

    retrievers: Mapping[str, Recall]
    config: Config
    """What is applied, with budgets as large as can be swept."""
    factor: float
    zone: tzinfo
    embedders: Sequence[Embedder]


class Ranker:
    """Ranks questions, and keeps what they share; asked in order of time, they share most."""

    def __init__(self, snapshot: Snapshot, task: Task) -> None:
        self.snapshot, self.task, self.corpus = snapshot, task, Corpus(task.embedders)
        self._layouts = {layout: replace(task.config, layout=layout) for layout in layouts(task.config)}
        memory.prepare(self.corpus, snapshot)
        with snapshot.read() as con:
            self.seen_insight = memory.newest(con)[1]
            events = con.execute("select known_from from insight_events order by known_from").fetchall()
        self._events = [known_from for (known_from,) in events]
        self._stood: tuple[int, list[ledger.Known]] = -1, []
        self._whole_of: dict[str, View] = {}

    def outcomes(self, questions: "pd.DataFrame") -> Iterator[Outcome]:
        """Rank one question after the other."""
        with self.snapshot.read() as con:
            for begin in range(0, len(questions), AT_ONCE):
                rows: list[Any] = [*questions.iloc[begin : begin + AT_ONCE].itertuples()]
                whole = self._whole(con, next(iter(self.task.retrievers.values())).embedder)
                whole.lately.postings(
                    con, [term for row in rows for term in needed(row.sought, self._about(whole, row))]
                )
                said = recall.of_messages(con, [each for row in rows for each in row.evidence], self.task.factor)
                for row in rows:
                    yield self._outcome(con, row, said)

    def _outcome(self, con: "DuckDBPyConnection", row: Any, said: Mapping[int, Sequence[ContextItem]]) -> Outcome:
        """Rank one question under each retriever; `said` is the evidence of several."""
        config, factor, at = self.task.config, self.task.factor, row.asked_at.to_pydatetime()
        moment = AsOf(
            at=at.astimezone(self.task.zone),
            seen_message=int(row.seen_message),
            seen_insight=self.seen_insight,
            as_of=at,
        )
        views = {
            name: self._whole(con, name).at(moment)
            for name in {settings.embedder for settings in self.task.retrievers.values()}
        }
        any_view = next(iter(views.values()))
        labelled = np.array([*row.evidence, *row.stale], np.int64)
        there = set(labelled[np.isin(labelled, any_view.message_id)].tolist())
        known = there.intersection(row.evidence)
        if len(row.evidence) and not known:
            return Outcome(None, [], [], later=True, missing={})
        evidence = {message: passages for message, passages in said.items() if message in known}
        session, cluster = (value if isinstance(value, str) else None for value in (row.session_id, row.conversation))
        symbols = self._about(any_view, row)
        memo: dict[Hashable, Any] = {}
        found = [
            recall.rank(con, views[each.embedder], row.sought, symbols=symbols, moment=moment, settings=each, memo=memo)
            for each in self.task.retrievers.values()
        ]
        hot = {
            layout: newest.hot(con, any_view, session, moment, laid_out, factor)[2]
            for layout, laid_out in self._layouts.items()
        }
        cold = learnt.candidates(
            con,
            row.sought,
            symbols=frozenset(symbols),
            moment=moment,
            settings=config.cold,
            factor=factor,
            plain=config.template == "guide",
            stood=self._standing(con, moment),
            least=config.cold.least,
        )
        needs = Qrels(
            evidence=evidence,
            words=frozenset(terms(row.answer)) if isinstance(row.answer, str) else frozenset(),
            cited={},  # the same of all questions: whoever gathers these adds it
            stale=frozenset(there - known),
            kind=row.kind,
        )
        asked = RankedQuestion(
            question_id=int(row.question_id),
            text=row.text,
            kind=row.kind,
            conversation=cluster or next((first.session_id for first, *_ in evidence.values()), session) or "",
            needs=needs,
            hot=hot,
            cold=cold,
        )
        missing = {
            each.embedder: view.missing
            for each in self.task.retrievers.values()
            if each.meaning and (view := views[each.embedder]).missing
        }
        first = [*{item for ranked in found for item in ranked.passage_ids[: outdated.FIRST]}]
        any_view.lately.messages(con, any_view.message_id[any_view.places[first]].tolist())  # all at once
        most = recall.most(config.budget.warm)
        tables, marks, made, marked = [], [], dict[int, recall.Slot](), dict[frozenset[int], dict[int, Mark]]()
        for ranked, settings in zip(found, self.task.retrievers.values(), strict=True):
            slots = recall.candidates(
                con, views[settings.embedder], ranked, factor, most=outdated.FIRST, zone=self.task.zone, memo=made
            )
            settled = outdated.settle(slots, row.sought, moment.now, factor, symbols, memo=marked)
            order = [*(slot.rank - 1 for slot in settled), *range(len(slots), min(most, len(ranked.passage_ids)))]
            table = _table(ranked, most)[order]
            near = [place for place, slot in enumerate(settled) if "far" not in slot.signals]
            table[near, 1] -= table[near, -1]
            table[near, -1] = 0
            tables.append(table)
            marks.append({slot.item_id: mark for slot in settled if (mark := slot.outdated or slot.unconfirmed)})
        return Outcome(asked, tables, marks, later=len(known) < len(row.evidence), missing=missing)

    def _about(self, view: View, row: Any) -> list[str]:
        """Return the symbols that a question is about."""
        given = [row.symbol] if isinstance(row.symbol, str) else []
        return given if self.task.config.template == "guide" else about(view, row.sought, given)

    def _whole(self, con: "DuckDBPyConnection", model: str) -> View:
        """Return all passages with a model's codes; a snapshot's are read once."""
        if model not in self._whole_of:
            self._whole_of[model] = self.corpus.now(con, model)
        return self._whole_of[model]

    def _standing(self, con: "DuckDBPyConnection", moment: AsOf) -> list[ledger.Known]:
        """Return the insights that stood at a moment; they change with events only."""
        number = bisect_right(self._events, times.naive(moment.now))
        if number != self._stood[0]:
            self._stood = number, ledger.standing(con, moment)
        return self._stood[1]


def _table(ranked: recall.Ranked, most: int) -> Ints:
    """Return the first of the ranked, a row each."""
    first = ranked.passage_ids[:most]
    none = np.zeros(len(first), np.int64)
    columns = [first, ranked.scores[:most], *(ranked.signals.get(name, none)[:most] for name in COLUMNS)]
    return np.array(columns, np.int64).T

"""Rank once: every question's candidates under each retriever, as they would have stood when it was asked."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]

from gallump_lab.brain.prices import price
from gallump_lab.config import Config, Recall, zone
from gallump_lab.memory import cold as learnt
from gallump_lab.memory import context as memory
from gallump_lab.memory import labels, ledger, recall
from gallump_lab.memory.context import newest_first
from gallump_lab.memory.corpus import Corpus, View
from gallump_lab.memory.records import AsOf, ContextItem, check, not_embedded
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.memory.text import terms
from gallump_lab.memory.vectors import Embedder
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Snapshot, runs
from gallump_lab.study.statistics import Ints
from gallump_lab.study.tally import Qrels
from gallump_lab.tokens import OFFLINE

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

OFF: dict[str, Any] = dict.fromkeys(SIGNALS, 0.0) | {"neighbours": 0.0}
RETRIEVERS: dict[str, Recall] = {
    "newest first": Recall(**OFF | {"recency": 1.0}),
    "BM25": Recall(**OFF | {"words": 1.0}),
    "vectors": Recall(**OFF | {"meaning": 1.0}),
    "both": Recall(**OFF | {"words": 1.0, "meaning": 1.0}),
    "all signals": Recall(),
}
"""Retrievers to compare: plain ones, and the default."""


class NothingToMeasure(ValueError):
    """A study needs questions of which it is known which messages they rest on; there are none."""


@dataclass(frozen=True, kw_only=True)
class RankedQuestion:
    """One question and what does not depend on a retriever."""

    question_id: int
    text: str
    kind: str
    conversation: str
    needs: Qrels
    hot: Sequence[ContextItem]
    cold: Sequence[ContextItem]


@dataclass(frozen=True, kw_only=True)
class Rankings:
    """Every question's candidates; `study.rank` makes it, `study.sweep` and `study.relevance` use it."""

    asked: Sequence[RankedQuestion]
    retrievers: Mapping[str, Recall]
    found: Mapping[str, Sequence[Ints]]
    """By retriever, a table a question: its WARM candidates in the order in which they are kept, each with its passage
    id, its score and what each of `SIGNALS` gave (millionths)."""
    passages: Mapping[int, ContextItem]
    """Every passage that is a candidate somewhere, by its id."""
    config: Config
    """What was applied in the lab."""
    limits: Mapping[str, int]
    """Up to how many tokens hot, warm and cold can be swept."""
    factor: float
    """How many of the model's tokens one cl100k token is."""
    model: str
    """Who answers, in whose tokens all is counted."""
    data_hash: str
    """Of the snapshot."""
    notes: Sequence[str] = ()
    """What was left out, or could not be found, in words."""

    def candidates(self, retriever: str, place: int) -> list[ContextItem]:
        """Return one question's WARM candidates in order, as they stand in `passages`: without rank and score."""
        return [self.passages[item] for item in self.found[retriever][place][:, 0].tolist()]

    def warm(self, retriever: str, place: int) -> list[ContextItem]:
        """Return one question's WARM candidates, ranked and scored."""
        return [
            replace(
                self.passages[item],
                rank=rank,
                score=score,
                signals={name: gained for name, gained in zip(SIGNALS, signals, strict=True) if gained},
            )
            for rank, (item, score, *signals) in enumerate(self.found[retriever][place].tolist(), 1)
        ]

    @property
    def unit(self) -> str:
        """What tokens are counted here, in words."""
        return f"tokens of {self.model}"

    @property
    def usd(self) -> float:
        """What a token costs in a prompt, USD; NaN where the model's price is not known."""
        found = price(self.model, self.config.model.prices)
        return found.input / 1e6 if found else math.nan

    @property
    def conversations(self) -> list[str]:
        """Return each question's cluster."""
        return [each.conversation for each in self.asked]

    def __repr__(self) -> str:
        """Count what was ranked, and say in whose tokens."""
        asked, talks = counted(len(self.asked), "questions"), counted(len(set(self.conversations)), "conversations")
        names = f"{counted(len(self.retrievers), 'retrievers')}: {', '.join(self.retrievers)}"
        unit = f"Counted in {self.unit}, {self.factor:g} to a cl100k token."
        if self.model == OFFLINE != self.config.model.name:
            unit += f" With a key another would answer: study.rank(..., model={self.config.model.name!r})."
        return "\n".join([f"Rankings: {asked} in {talks}, {names}", unit, *self.notes])


def rank(  # noqa: PLR0913 (what a study may choose)
    snapshot: Snapshot,
    retrievers: Mapping[str, Recall] | Sequence[str] | None = None,
    questions: "pd.DataFrame | None" = None,
    *,
    hot: int = 8_000,
    warm: int = 4_000,
    cold: int = 2_000,
    model: str | None = None,
    embedders: Iterable[Embedder] = (),
) -> Rankings:
    """Order every question's candidates under each retriever, as they would have stood when it was asked.

    Nothing later than the question is used, by arrival and by the time it speaks of. An interrupt keeps what is done.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gives.
    retrievers : mapping of str to Recall, or sequence of str, optional
        Settings by name, or names of `study.RETRIEVERS`; by default what is applied in the lab.
    questions : pandas.DataFrame, optional
        Rows of `lab.questions`; by default all.
    hot, warm, cold : int
        Up to so many tokens each tier can be swept.
    model : str, optional
        Whose tokens; by default those of who answered in the lab when the snapshot was taken, the offline analyst
        where there was no key. They are counted by the lab's own factor, as its prompts are.
    embedders : iterable of Embedder
        Your own, if a retriever names one.

    Raises
    ------
    NothingToMeasure
        If no question has evidence that was there when it was asked.
    ValueError
        If a retriever or its embedder is unknown, or a number cannot be used.

    Examples
    --------
    >>> ranks = study.rank(lab.snapshot(), ["BM25", "all signals"])
    """
    checked_snapshot(snapshot)
    named = model is None or (isinstance(model, str) and model.strip())
    check(named, "model", "a model's name such as 'claude-sonnet-5-5'", model)
    limits = {"hot": hot, "warm": warm, "cold": cold}
    if not all(isinstance(tokens, int) and tokens >= 0 for tokens in limits.values()):
        msg = f"hot, warm and cold must be whole numbers of tokens of at least 0, not {hot!r}, {warm!r} and {cold!r}."
        raise ValueError(msg)
    corpus = Corpus(embedders)
    memory.prepare(corpus, snapshot)
    wanted = labels.questions(snapshot) if questions is None else questions
    rows: list[Any] = [row for row in wanted.itertuples() if len(cast("list[int]", row.evidence))]
    done: list[tuple[RankedQuestion, list[Ints]] | None] = []
    with snapshot.read() as con:
        applied = runs.applied(con)
        model = model or snapshot.model or applied.model.answering
        window = applied.budget.window + sum(limits.values())
        largest = replace(applied, budget=replace(applied.budget, window=window, **limits))
        factor = memory.learnt_factor(con, model, applied)
        ranker = _Ranker(con, corpus, largest, _named(retrievers, applied.recall), factor)
        try:
            done.extend(map(ranker.question, tqdm(rows, desc="Ranking", unit=" questions", delay=2)))
        except KeyboardInterrupt:
            if not done:
                raise
    ranked = [each for each in done if each]
    if not ranked:
        msg = (
            f"None of {len(wanted):,} questions rests on messages that were there when it was asked. Give some of "
            "these grade 3 (lab.label(...) or lab.labeller()), or import a dataset with questions."
        )
        raise NothingToMeasure(msg)
    notes = {
        f"{len(wanted) - len(rows):,} questions without evidence were left out.": len(wanted) - len(rows),
        f"Interrupted: {len(rows) - len(done):,} questions are not ranked.": len(rows) - len(done),
        f"{ranker.later:,} rest on messages that came after they were asked; these are left out.": ranker.later,
    }
    return Rankings(
        asked=[asked for asked, _ in ranked],
        retrievers=ranker.retrievers,
        found={name: [tables[place] for _, tables in ranked] for place, name in enumerate(ranker.retrievers)},
        passages=ranker.passages,
        config=applied,
        limits=limits,
        data_hash=snapshot.hash,
        factor=factor,
        model=model,
        notes=[*(words for words, number in notes.items() if number), *not_embedded(ranker.missing)],
    )


class _Ranker:
    """Ranks one question after the other, and keeps what they share.

    Parameters
    ----------
    config : Config
        What is applied, with budgets as large as can be swept.
    """

    def __init__(
        self,
        con: "DuckDBPyConnection",
        corpus: Corpus,
        config: Config,
        retrievers: Mapping[str, Recall],
        factor: float,
    ) -> None:
        self.con, self.corpus, self.config, self.retrievers, self.factor = con, corpus, config, retrievers, factor
        self.zone, self.cited, self.seen_insight = zone_of(con, config), ledger.cited(con), memory.newest(con)[1]
        self.passages: dict[int, ContextItem] = {}
        self.missing: dict[str, int] = {}
        self.later = 0
        self._views: dict[str, tuple[AsOf, View]] = {}

    def question(self, row: Any) -> tuple[RankedQuestion, list[Ints]] | None:
        """Rank one question's candidates under each retriever; None if all that it rests on came later."""
        at = row.asked_at.to_pydatetime()
        moment = AsOf(
            at=at.astimezone(self.zone), seen_message=int(row.seen_message), seen_insight=self.seen_insight, as_of=at
        )
        there = np.isin(row.evidence, self._view(moment, next(iter(self.retrievers.values()))).message_id)
        self.later += not there.all()
        if not there.any():
            return None
        evidence = recall.of_messages(self.con, np.asarray(row.evidence)[there].tolist(), self.factor)
        symbol, session, cluster = (
            value if isinstance(value, str) else None for value in (row.symbol, row.session_id, row.conversation)
        )
        memo: dict[Hashable, Any] = {}
        found = []
        for settings in self.retrievers.values():
            view = self._view(moment, settings)
            ranked = recall.rank(self.con, view, row.text, symbol=symbol, moment=moment, settings=settings, memo=memo)
            found.append(self._table(ranked))
        _, _, hot = memory.hot(self.con, session, moment, self.config, self.factor)
        cold = learnt.candidates(
            self.con,
            row.text,
            symbols=frozenset(filter(None, [symbol])),
            moment=moment,
            settings=self.config.cold,
            factor=self.factor,
            plain=self.config.template == "guide",
        )
        needs = Qrels(
            evidence=evidence,
            words=frozenset(terms(row.answer)) if isinstance(row.answer, str) else frozenset(),
            cited=self.cited,
        )
        asked = RankedQuestion(
            question_id=int(row.question_id),
            text=row.text,
            kind=row.kind,
            conversation=cluster or next(iter(evidence.values()))[0].session_id or "",
            needs=needs,
            hot=hot,
            cold=[slot for slot in cold if not learnt.too_far(slot, self.config.cold.least)],
        )
        return asked, found

    def _view(self, moment: AsOf, settings: Recall) -> View:
        """Return a moment's passages; questions that follow each other often share theirs."""
        model = settings.embedder
        if model not in self._views or self._views[model][0] != moment:
            self._views[model] = moment, self.corpus.at(self.con, moment, model)
        view = self._views[model][1]
        if view.missing and settings.meaning:
            self.missing[model] = max(view.missing, self.missing.get(model, 0))
        return view

    def _table(self, ranked: recall.Ranked) -> Ints:
        """Return as many of the ranked as any budget may hold, the newest of equal statements first."""
        first = ranked.passage_ids[: recall.most(self.config.budget.warm)]
        unknown = [item for item in first if item not in self.passages]
        self.passages.update(recall.slots(self.con, unknown, self.factor, self.zone))
        place = {item: number for number, item in enumerate(ranked.passage_ids)}
        moved = [place[slot.item_id] for slot in newest_first([self.passages[item] for item in first])]
        none = [0] * len(place)
        columns = [ranked.passage_ids, ranked.scores, *(ranked.signals.get(name, none) for name in SIGNALS)]
        return np.array(columns, np.int64)[:, np.array(moved, np.int64)].T


def _named(retrievers: object, applied: Recall) -> dict[str, Recall]:
    """Return settings by name, of what a caller gave."""
    known = {"applied": applied} | RETRIEVERS
    given = ["applied"] if retrievers is None else [retrievers] if isinstance(retrievers, str) else retrievers
    if isinstance(given, Sequence):
        given = {name: known.get(name) for name in given}
    if not given or not isinstance(given, Mapping) or not all(isinstance(each, Recall) for each in given.values()):
        msg = (
            f"retrievers must be some of {', '.join(map(repr, known))}, or settings by name ({{'mine': Recall(...)}}), "
            f"not {retrievers!r}."
        )
        raise ValueError(msg)
    return dict(given)


def zone_of(con: "DuckDBPyConnection", config: Config) -> tzinfo:
    """Return whose days a lab's questions mean: the configuration's time zone, else its newest turn's, else UTC's."""
    newest = con.execute("select max_by(time_zone, turn_id) from turns where time_zone is not null").fetchone()
    return zone(config.time_zone or (newest and newest[0]) or "UTC")


def checked_snapshot(snapshot: object) -> None:
    """Check that a study was given a snapshot; a ValueError says so if not."""
    if not isinstance(snapshot, Snapshot):
        msg = f"snapshot must be what lab.snapshot() gives, not {snapshot!r}."
        raise ValueError(msg)  # noqa: TRY004 (every bad argument is a ValueError)


def checked_ranks(ranks: object) -> None:
    """Check that a study was given ranks; a ValueError says so if not."""
    if not isinstance(ranks, Rankings):
        msg = f"ranks must be what study.rank(snapshot) gives, not {ranks!r}."
        raise ValueError(msg)  # noqa: TRY004 (every bad argument is a ValueError)

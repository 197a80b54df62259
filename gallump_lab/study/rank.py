"""Rank once: every question's candidates under each retriever, as they would have stood when it was asked."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

from gallump_lab.config import Config, Recall
from gallump_lab.memory import cold as learnt
from gallump_lab.memory import context as memory
from gallump_lab.memory import labels, ledger, recall
from gallump_lab.memory.context import newest_first
from gallump_lab.memory.corpus import Corpus, View
from gallump_lab.memory.recall import Ranked
from gallump_lab.memory.records import AsOf, ContextItem
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.memory.text import terms
from gallump_lab.memory.vectors import Embedder
from gallump_lab.store import Snapshot, runs
from gallump_lab.study.past import checked_snapshot, one_by_one, zone_of
from gallump_lab.study.rankings import RankedQuestion, Ranking, Rankings
from gallump_lab.study.tally import Qrels

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
    limits = {"hot": hot, "warm": warm, "cold": cold}
    _check(limits, model)
    corpus = Corpus(embedders)
    memory.prepare(corpus, snapshot)
    wanted = labels.questions(snapshot) if questions is None else questions
    rows: list[Any] = [row for row in wanted.itertuples() if len(cast("list[int]", row.evidence))]
    if not rows:
        msg = (
            f"None of {len(wanted):,} questions says which messages it rests on. Give some messages grade 3 "
            "(lab.label(...) or lab.labeller()), or import a dataset with questions."
        )
        raise NothingToMeasure(msg)
    with snapshot.read() as con:
        applied = runs.applied(con)
        model = model or snapshot.model or applied.model.answering
        window = applied.budget.window + sum(limits.values())
        ranker = _Ranker(
            con=con,
            corpus=corpus,
            config=replace(applied, budget=replace(applied.budget, window=window, **limits)),
            retrievers=_named(retrievers, applied.recall),
            factor=memory.learnt_factor(con, model, applied),
            zone=zone_of(con, applied),
            seen_insight=memory.newest(con)[1],
            cited=ledger.cited(con),
        )
        each = one_by_one(rows, ranker.question, "Ranking", "questions")
    done = [one for one in each if one]
    if not done:
        msg = (
            f"All {len(each):,} questions rest on messages that came after they were asked, so nothing can be found "
            "for them. Give asked_at a time after these messages."
        )
        raise NothingToMeasure(msg)
    return Rankings(
        asked=[asked for asked, _ in done],
        retrievers=ranker.retrievers,
        found={name: [rankings[place] for _, rankings in done] for place, name in enumerate(ranker.retrievers)},
        passages=ranker.passages,
        config=applied,
        limits=limits,
        data_hash=snapshot.hash,
        factor=ranker.factor,
        model=model,
        unlabelled=len(wanted) - len(rows),
        left=len(rows) - len(each),
        later=ranker.later,
        missing=ranker.missing,
    )


@dataclass(kw_only=True)
class _Ranker:
    """Ranks one question after the other, and keeps what they share."""

    con: "DuckDBPyConnection"
    corpus: Corpus
    config: Config
    """What is applied, with budgets as large as can be swept."""
    retrievers: Mapping[str, Recall]
    factor: float
    zone: tzinfo
    """Whose days the questions mean."""
    seen_insight: int
    cited: Mapping[int, frozenset[int]]
    passages: dict[int, ContextItem] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    later: int = 0
    _views: dict[str, tuple[AsOf, View]] = field(default_factory=dict)

    def question(self, row: Any) -> tuple[RankedQuestion, list[Ranking]] | None:
        """Rank one question's candidates under each retriever; None if all that it rests on came later."""
        import numpy as np

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
            found.append(self._ranking(ranked))
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
        asked = RankedQuestion(
            question_id=int(row.question_id),
            text=row.text,
            kind=row.kind,
            conversation=cluster or next(iter(evidence.values()))[0].session_id or "",
            needs=Qrels(
                evidence=evidence,
                words=frozenset(terms(row.answer)) if isinstance(row.answer, str) else frozenset(),
                cited=self.cited,
            ),
            hot=_within(hot, self.config.budget.hot),
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

    def _ranking(self, ranked: Ranked) -> Ranking:
        """Return as many of the ranked as any budget may hold, the newest of equal statements first."""
        import numpy as np

        first = ranked.passage_ids[: recall.most(self.config.budget.warm)]
        unknown = [item for item in first if item not in self.passages]
        self.passages.update(recall.slots(self.con, unknown, self.factor, self.zone))
        place = {item: number for number, item in enumerate(ranked.passage_ids)}
        moved = [place[slot.item_id] for slot in newest_first([self.passages[item] for item in first])]
        none = [0] * len(place)
        rows = [ranked.passage_ids, ranked.scores, *(ranked.signals.get(name, none) for name in SIGNALS)]
        table = np.array(rows, np.int64)[:, np.array(moved, np.int64)]
        return Ranking(items=table[0], scores=table[1], signals=table[2:].T)


def _within(slots: Sequence[ContextItem], most: int) -> list[ContextItem]:
    """Leave out what no budget of so many tokens could hold."""
    ends = accumulate(slot.tokens for slot in slots)
    return [slot for slot, end in zip(slots, ends, strict=True) if end - slot.tokens <= most]


def _named(retrievers: object, applied: Recall) -> dict[str, Recall]:
    known = {"applied": applied} | RETRIEVERS
    given = "applied" if retrievers is None else retrievers
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Sequence):
        given = {str(name): known.get(str(name)) for name in given}
    if isinstance(given, Mapping):
        found = {name: settings for name, settings in given.items() if isinstance(settings, Recall)}
        if found and len(found) == len(given):
            return found
    msg = (
        f"retrievers must be some of {', '.join(map(repr, known))}, or settings by name ({{'mine': Recall(...)}}), not "
        f"{retrievers!r}."
    )
    raise ValueError(msg)


def _check(limits: Mapping[str, int], model: str | None) -> None:
    for tier, tokens in limits.items():
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
            msg = f"{tier} must be a whole number of tokens of at least 0, not {tokens!r}."
            raise ValueError(msg)
    if model is not None and (not isinstance(model, str) or not model.strip()):
        msg = f"model must be a model's name such as 'claude-sonnet-5-5', not {model!r}."
        raise ValueError(msg)

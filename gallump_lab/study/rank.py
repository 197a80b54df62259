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
from gallump_lab.memory.corpus import Corpus, View
from gallump_lab.memory.packing import newest_first
from gallump_lab.memory.recall import Ranked
from gallump_lab.memory.records import AsOf, ContextItem
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.memory.text import terms
from gallump_lab.memory.vectors import Embedder
from gallump_lab.store import Snapshot, runs
from gallump_lab.study.rankings import Asked, Ranking, Rankings
from gallump_lab.study.replay import checked_snapshot, zone_of
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
    factor: float | None = None,
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
    factor : float, optional
        Count in units of your own instead, so many per cl100k token: 1 for cl100k tokens.
    embedders : iterable of Embedder
        Your own, if a retriever names one.

    Raises
    ------
    NothingToMeasure
        If no question has evidence that was there when it was asked.
    ValueError
        If a retriever or its embedder is unknown, or a number cannot be used.
    """
    from tqdm import tqdm  # type: ignore[import-untyped]

    checked_snapshot(snapshot)
    _check(hot=hot, warm=warm, cold=cold, model=model, factor=factor)
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
        window = applied.budget.window + hot + warm + cold
        largest = replace(applied.budget, hot=hot, warm=warm, cold=cold, window=window)
        model = model or snapshot.model or applied.model.answering
        own = memory.learnt_factor(con, model, applied)
        known = _Known(
            corpus=corpus,
            config=replace(applied, budget=largest),
            retrievers=_named(retrievers, applied.recall),
            factor=own if factor is None else float(factor),
            zone=zone_of(con, applied),
            seen_insight=memory.newest(con)[1],
            cited=ledger.cited(con),
        )
        each: list[tuple[Asked, list[Ranking]] | None] = []
        try:
            each.extend(_one(con, row, known) for row in tqdm(rows, desc="Ranking", unit=" questions", delay=2))
        except KeyboardInterrupt:
            if not each:
                raise
    done = [one for one in each if one]
    if not done:
        msg = (
            f"All {len(each):,} questions rest on messages that came after they were asked, so nothing can be found "
            "for them. Give asked_at a time after these messages."
        )
        raise NothingToMeasure(msg)
    return Rankings(
        asked=[asked for asked, _ in done],
        retrievers=known.retrievers,
        found={name: [rankings[place] for _, rankings in done] for place, name in enumerate(known.retrievers)},
        passages=known.passages,
        config=applied,
        limits={"hot": hot, "warm": warm, "cold": cold},
        data_hash=snapshot.hash,
        factor=known.factor,
        model=model,
        own_factor=own,
        unlabelled=len(wanted) - len(rows),
        left=len(rows) - len(each),
        later=known.later,
        missing=known.missing,
    )


@dataclass(kw_only=True)
class _Known:
    """What holds for every question of a snapshot."""

    corpus: Corpus
    config: Config
    retrievers: Mapping[str, Recall]
    factor: float
    zone: tzinfo
    """Whose days the questions mean."""
    seen_insight: int
    cited: Mapping[int, frozenset[int]]
    passages: dict[int, ContextItem] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    later: int = 0
    _views: dict[str, tuple[Any, View]] = field(default_factory=dict)

    def at(self, con: "DuckDBPyConnection", moment: AsOf, settings: Recall) -> View:
        """Return a moment's passages; questions that follow each other often share theirs."""
        model, key = settings.embedder, (moment.seen_message, moment.as_of)
        if model not in self._views or self._views[model][0] != key:
            self._views[model] = key, self.corpus.at(con, moment, model)
        view = self._views[model][1]
        if view.missing and settings.meaning:
            self.missing[model] = max(view.missing, self.missing.get(model, 0))
        return view


def _one(con: "DuckDBPyConnection", row: Any, known: _Known) -> tuple[Asked, list[Ranking]] | None:
    """Rank one question's candidates under each retriever; None if all that it rests on came later."""
    import numpy as np

    at = row.asked_at.to_pydatetime()
    moment = AsOf(
        at=at.astimezone(known.zone), seen_message=int(row.seen_message), seen_insight=known.seen_insight, as_of=at
    )
    there = np.isin(row.evidence, known.at(con, moment, next(iter(known.retrievers.values()))).message_id)
    known.later += not there.all()
    if not there.any():
        return None
    evidence = recall.of_messages(con, np.asarray(row.evidence)[there].tolist(), known.factor)
    symbol, session, cluster = (
        value if isinstance(value, str) else None for value in (row.symbol, row.session_id, row.conversation)
    )
    memo: dict[Hashable, Any] = {}
    ranked = [
        recall.rank(
            con, known.at(con, moment, settings), row.text, symbol=symbol, moment=moment, settings=settings, memo=memo
        )
        for settings in known.retrievers.values()
    ]
    _, _, hot = memory.hot(con, session, moment, known.config, known.factor)
    cold = learnt.candidates(
        con,
        row.text,
        symbols=frozenset(filter(None, [symbol])),
        moment=moment,
        settings=known.config.cold,
        factor=known.factor,
        plain=known.config.template == "guide",
    )
    least = known.config.cold.least
    asked = Asked(
        question_id=int(row.question_id),
        text=row.text,
        kind=row.kind,
        conversation=cluster or next(iter(evidence.values()))[0].session_id or "",
        needs=Qrels(
            evidence=evidence,
            words=frozenset(terms(row.answer)) if isinstance(row.answer, str) else frozenset(),
            cited=known.cited,
        ),
        hot=_within(hot, known.config.budget.hot),
        cold=[slot for slot in cold if not learnt.too_far(slot, least)],
    )
    return asked, [_ranking(con, each, known) for each in ranked]


def _ranking(con: "DuckDBPyConnection", ranked: Ranked, known: _Known) -> Ranking:
    import numpy as np

    first = ranked.passage_ids[: recall.most(known.config.budget.warm)]
    known.passages.update(
        recall.slots(con, [item for item in first if item not in known.passages], known.factor, known.zone)
    )
    place = {item: number for number, item in enumerate(first)}
    moved = [place[slot.item_id] for slot in newest_first([known.passages[item] for item in first])]
    signals = np.zeros((len(moved), len(SIGNALS)), np.int64)
    for column, name in enumerate(SIGNALS):
        if name in ranked.signals:
            signals[:, column] = [ranked.signals[name][number] for number in moved]
    return Ranking(
        items=np.array([first[number] for number in moved], np.int64),
        scores=np.array([ranked.scores[number] for number in moved], np.int64),
        signals=signals,
    )


def _within(slots: Sequence[ContextItem], most: int) -> list[ContextItem]:
    """Leave out what no budget of so many tokens could hold."""
    ends = accumulate(slot.tokens for slot in slots)
    return [slot for slot, end in zip(slots, ends, strict=True) if end - slot.tokens <= most]


def _named(retrievers: Mapping[str, Recall] | Sequence[str] | None, applied: Recall) -> dict[str, Recall]:
    known = {"applied": applied} | RETRIEVERS
    if retrievers is None:
        return {"applied": applied}
    given = [retrievers] if isinstance(retrievers, str) else retrievers
    found = dict(given) if isinstance(given, Mapping) else {name: known.get(name) for name in given}
    if not found:
        msg = f"retrievers is empty; there are {', '.join(known)}, or give settings by name."
        raise ValueError(msg)
    if strangers := [name for name, settings in found.items() if not isinstance(settings, Recall)]:
        msg = (
            f"retrievers: {', '.join(map(repr, strangers))} unknown; there are {', '.join(known)}, or give settings: "
            "{'mine': Recall(...)}."
        )
        raise ValueError(msg)
    return {name: settings for name, settings in found.items() if settings is not None}


def _check(*, model: str | None, factor: float | None, **most: int) -> None:
    for tier, tokens in most.items():
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
            msg = f"{tier} must be a whole number of tokens of at least 0, not {tokens!r}."
            raise ValueError(msg)
    if model is not None and (not isinstance(model, str) or not model.strip()):
        msg = f"model must be a model's name such as 'claude-sonnet-5-5', not {model!r}."
        raise ValueError(msg)
    if factor is not None and (not isinstance(factor, (int, float)) or not 0.1 <= factor <= 10):
        msg = f"factor must be a number from 0.1 to 10 (tokens per cl100k token), not {factor!r}."
        raise ValueError(msg)

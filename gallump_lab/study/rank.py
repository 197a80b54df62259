"""Rank once: every question's candidates under each retriever, as they would have stood when it was asked."""

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import tzinfo
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gallump_lab.brain.models import price
from gallump_lab.config import Config, Layout, Recall, zone
from gallump_lab.memory import context as memory
from gallump_lab.memory import labels, ledger, outdated, recall
from gallump_lab.memory.records import ContextItem, check, check_rows, not_embedded
from gallump_lab.memory.signals import COLUMNS, SIGNALS
from gallump_lab.memory.vectors import Embedder
from gallump_lab.progress import progress
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Snapshot, runs
from gallump_lab.study import workers
from gallump_lab.study.colours import SPOKEN
from gallump_lab.study.ranker import Outcome, RankedQuestion, Ranker, Task
from gallump_lab.study.statistics import Ints
from gallump_lab.study.tally import NO_ANSWER, PERFECT
from gallump_lab.study.tempo import Talk, usage
from gallump_lab.tokens import OFFLINE

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

OFF: dict[str, Any] = dict.fromkeys((*SIGNALS, "neighbours", "message", "least", "share"), 0.0)
RETRIEVERS: dict[str, Recall] = {
    "newest first": Recall(**OFF | {"recency": 1.0}),
    "BM25": Recall(**OFF | {"words": 1.0}),
    "vectors": Recall(**OFF | {"meaning": 1.0}),
    "BM25 + vectors": Recall(**OFF | {"words": 1.0, "meaning": 1.0}),
    "all signals": Recall(),
}
"""Retrievers to compare: plain ones, and the default."""
NEEDED = "question_id text answer kind asked_at session_id symbol conversation evidence stale seen_message".split()
"""Columns of a question."""
CONVERSATION = "a conversation: as the data name it, else the session in which the answer was said"


class NothingToMeasure(ValueError):
    """A study needs questions of which it is known which messages they rest on; there are none."""


@dataclass(frozen=True, kw_only=True)
class Rankings:
    """Every question's candidates; `study.rank` makes it, `study.sweep` and `study.relevance` use it."""

    asked: Sequence[RankedQuestion]
    retrievers: Mapping[str, Recall]
    found: Mapping[str, Sequence[Ints]]
    """By retriever, a table a question: its WARM candidates in the order in which they are kept, each with its passage
    id, its score and what each of `signals.COLUMNS` gave (millionths)."""
    outdated: Mapping[str, Sequence[Mapping[int, str]]]
    """By retriever, what holds instead of those of a question's candidates that are outdated, by their ids."""
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
    talk: Talk
    """What a turn costs is counted on."""
    data_hash: str
    """Of the snapshot."""
    notes: Sequence[str] = ()
    """What was left out, or could not be found, in words."""

    def candidates(self, retriever: str, place: int) -> list[ContextItem]:
        """Return what WARM may hold of one question, in order, without rank and score; of `PERFECT` its evidence."""
        if retriever == PERFECT:
            return self.asked[place].needs.perfect
        found, marks = self.found[retriever][place], self.outdated[retriever][place]
        near = found[found[:, -1] == 0, 0].tolist()  # the last of `COLUMNS` is "far"
        return [outdated.marked(self.passages[item], marks.get(item), self.factor) for item in near]

    def warm(self, retriever: str, place: int) -> list[ContextItem]:
        """Return one question's WARM candidates, ranked and scored, with those that are too far from it."""
        marks = self.outdated[retriever][place]
        return [
            replace(
                outdated.marked(self.passages[item], marks.get(item), self.factor),
                rank=rank,
                score=score,
                signals={name: gained for name, gained in zip(COLUMNS, signals, strict=True) if gained},
            )
            for rank, (item, score, *signals) in enumerate(self.found[retriever][place].tolist(), 1)
        ]

    @property
    def answerable(self) -> int:
        """How many of the questions rest on something that was said."""
        return sum(bool(each.needs.evidence) for each in self.asked)

    @property
    def unit(self) -> str:
        """What tokens are counted here, in words."""
        return f"tokens of {self.model}"

    @property
    def usd(self) -> float:
        """What a token costs in a prompt, USD; NaN where the model's price is not known."""
        found = price(self.model, self.config.model.prices)
        return found.input / 1e6 if found else math.nan

    def turn_usd(self, layout: Layout, hot: int) -> float:
        """Return what a turn of the talk costs without WARM and COLD, USD; NaN where it is not known."""
        config = replace(self.config, layout=layout, budget=replace(self.config.budget, hot=hot, warm=0, cold=0))
        found = self.talk.turns(config, self.model, self.factor)
        return float(usage(found, self.model, config.model.prices)["usd"].mean())

    @property
    def conversations(self) -> list[str]:
        """Return each question's cluster."""
        return [each.conversation for each in self.asked]

    def __repr__(self) -> str:
        """Count what was ranked, and say in whose tokens."""
        asked, talks = counted(len(self.asked), "questions"), counted(len(set(self.conversations)), "conversations")
        named = ", ".join(SPOKEN.get(name, name) for name in self.retrievers)
        names = f"{counted(len(self.retrievers), 'retrievers')}: {named}"
        unit = f"Counted in {self.unit}, {self.factor:g} to a cl100k token."
        if self.model == OFFLINE != self.config.model.name:
            unit += f" With a key another would answer: study.rank(..., model={self.config.model.name!r})."
        return "\n".join([f"Rankings: {asked} in {talks} ({CONVERSATION})", names, unit, *self.notes])


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
    executor: Executor | None = None,
    folder: str | Path | None = None,
) -> Rankings:
    """Order every question's candidates under each retriever, as they would have stood when it was asked.

    Nothing later than the question is used, by arrival and by the time it speaks of. An interrupt keeps what is done.
    Questions without evidence are left out but for those of a kind in `study.tally.NO_ANSWER`, where nothing was said.

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
        Your own, if a retriever names one. An executor's workers get them pickled.
    executor : concurrent.futures.Executor, optional
        More cores or machines: a `ProcessPoolExecutor`, dask's `client.get_executor()`, mpi4py's `MPIPoolExecutor`. The
        figures are the same to the last digit. Each worker reads the snapshot once and holds it in memory. What a lost
        worker had is ranked here, with a warning.
    folder : path, optional
        Where the snapshot's file for the workers is written, named by its hash, and kept. By default a temporary
        folder; workers on other machines need one that all share, under the same path.

    Raises
    ------
    NothingToMeasure
        If no question has evidence that was there when it was asked.
    ValueError
        If a retriever or its embedder is unknown, or a number cannot be used.

    Examples
    --------
    >>> ranks = study.rank(lab.snapshot(), ["BM25", "all signals"])
    >>> with ProcessPoolExecutor() as executor:
    ...     ranks = study.rank(lab.snapshot(), executor=executor)
    """
    checked_snapshot(snapshot)
    named = model is None or (isinstance(model, str) and model.strip())
    check(named, "model", "a model's name such as 'claude-sonnet-5-5'", model)
    limits = {"hot": hot, "warm": warm, "cold": cold}
    for tier, limit in limits.items():
        check(isinstance(limit, int) and limit >= 0, tier, "a whole number of tokens of at least 0", limit)
    if questions is not None:
        check_rows(questions, "questions", "lab.questions", *NEEDED)
    wanted = labels.questions(snapshot) if questions is None else questions
    rows = wanted[(wanted["evidence"].map(len) > 0) | wanted["kind"].isin(NO_ANSWER)]
    rows = rows.assign(sought=rows.get("rewritten", rows["text"]).combine_first(rows["text"]))
    with snapshot.read() as con:
        applied = runs.applied(con)
        model = model or snapshot.model or applied.model.answering
        window = applied.budget.window + sum(limits.values())
        task = Task(
            retrievers=_named(retrievers, applied.recall),
            config=replace(applied, budget=replace(applied.budget, window=window, **limits)),
            factor=memory.learnt_factor(con, model, applied),
            zone=zone_of(con, applied),
            embedders=tuple(embedders),
        )
    done: list[Outcome] = []
    outcomes = (
        Ranker(snapshot, task).outcomes(rows)
        if executor is None
        else workers.outcomes(snapshot, task, rows, executor, folder)
    )
    try:
        done.extend(progress(outcomes, total=len(rows), desc="Ranking", unit=" questions", delay=2))
    except KeyboardInterrupt:
        if not done:
            raise
    kept = [each for each in done if each.asked]
    asked, found = [each.asked for each in kept if each.asked], [each.found for each in kept]
    if not any(each.needs.evidence for each in asked):
        msg = (
            f"None of {len(wanted):,} questions rests on messages that were there when it was asked. Give some of "
            "these grade 3 (lab.label(...) or lab.labeller()), or import a dataset with questions."
        )
        raise NothingToMeasure(msg)
    with snapshot.read() as con:
        ids = {item for tables in found for table in tables for item in table[:, 0].tolist()}
        passages, cited = recall.slots(con, [*ids], task.factor, task.zone), ledger.cited(con)
        talk = Talk.of(con)
    later, missing = sum(each.later for each in done), dict[str, int]()
    for name, number in chain.from_iterable(each.missing.items() for each in done):
        missing[name] = max(number, missing.get(name, 0))
    notes = {
        f"{len(wanted) - len(rows):,} questions without evidence were left out.": len(wanted) - len(rows),
        f"Interrupted: {len(rows) - len(done):,} questions are not ranked.": len(rows) - len(done),
        f"{later:,} rest on messages that came after they were asked; these are left out.": later,
    }
    return Rankings(
        asked=[replace(each, needs=replace(each.needs, cited=cited)) for each in asked],
        retrievers=task.retrievers,
        found={
            name: [_newest_first(tables[place], passages) for tables in found]
            for place, name in enumerate(task.retrievers)
        },
        outdated={name: [each.outdated[place] for each in kept] for place, name in enumerate(task.retrievers)},
        passages=passages,
        config=applied,
        limits=limits,
        data_hash=snapshot.hash,
        factor=task.factor,
        model=model,
        talk=talk,
        notes=[*(words for words, number in notes.items() if number), *not_embedded(missing)],
    )


def _newest_first(table: Ints, passages: Mapping[int, ContextItem]) -> Ints:
    """Return a table with the newest of equal statements first, as a prompt has them."""
    near = np.count_nonzero(table[: memory.FIRST, -1] == 0)
    first = [passages[item] for item in table[:near, 0].tolist()]
    place = {slot.item_id: number for number, slot in enumerate(first)}
    moved = [place[slot.item_id] for slot in memory.newest_first(first)]
    return np.concatenate([table[moved], table[len(moved) :]]) if moved != sorted(moved) else table


def _named(retrievers: object, applied: Recall) -> dict[str, Recall]:
    """Return settings by name, of what a caller gave."""
    known = {"applied": applied} | RETRIEVERS
    given: Any = ["applied"] if retrievers is None else [retrievers] if isinstance(retrievers, str) else retrievers
    if isinstance(given, Sequence):
        given = {name: known.get(name) for name in given}
    good = isinstance(given, Mapping) and given and all(isinstance(each, Recall) for each in given.values())
    names = f"some of {', '.join(map(repr, known))}"
    check(good, "retrievers", f"{names}, or settings by name ({{'mine': Recall(...)}})", retrievers)
    others = f"settings by other names than {PERFECT!r}, which all are compared with"
    check(PERFECT not in given, "retrievers", others, retrievers)
    return dict(given)


def zone_of(con: "DuckDBPyConnection", config: Config) -> tzinfo:
    """Return whose days a lab's questions mean: the configuration's time zone, else its newest turn's, else UTC's."""
    newest = con.execute("select max_by(time_zone, turn_id) from turns where time_zone is not null").fetchone()
    return zone(config.time_zone or (newest and newest[0]) or "UTC")


def checked_snapshot(snapshot: object) -> None:
    """Check that a study was given a snapshot; a ValueError says so if not."""
    check(isinstance(snapshot, Snapshot), "snapshot", "what lab.snapshot() gives", snapshot)


def checked_ranks(ranks: object) -> None:
    """Check that a study was given ranks; a ValueError says so if not."""
    check(isinstance(ranks, Rankings), "ranks", "what study.rank(snapshot) gives", ranks)

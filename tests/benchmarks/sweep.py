"""What a thousand budgets cost once the questions are ranked, beside building each context anew.

    python tests/benchmarks/sweep.py --format sample
    python tests/benchmarks/sweep.py --format locomo --path locomo.json [--configurations 1,100,1000]

Imports the dataset into one lab, ranks its questions once and sweeps grids of so many configurations. Prints JSON on
the last line: questions, ranking_s, sweep_s (by number of configurations), rebuild_s_per_configuration (every
question's context built anew, the mean of a few configurations), and equal: of how many random configurations the
sweep's figures were the rebuilt contexts' to the last digit, and of how many they were compared.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gallump_lab import Budget, Lab, datasets, study
from gallump_lab.memory import context as memory
from gallump_lab.memory import labels, records
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import AsOf
from gallump_lab.store import Snapshot
from gallump_lab.study.rank import Rankings
from gallump_lab.study.tally import MEASURES, measure
from gallump_lab.tokens import OFFLINE

COMPARED, TIMED = 50, 3
NAME = "all signals"
Figures = dict[str, float]


def grid(number: int) -> dict[str, list[int]]:
    """Give budgets of so many combinations: a tenth in each direction, or as near as it goes."""
    side = round(number ** (1 / 3))
    counts = {"hot": side, "warm": -(-number // side**2), "cold": side}
    most = {"hot": 4_000, "warm": 2_000, "cold": 800}
    return {
        tier: [int(each) for each in np.linspace(most[tier] / 2 if count == 1 else 0, most[tier], count)]
        for tier, count in counts.items()
    }


def rebuild(  # noqa: PLR0917 (all that a context is built from)
    snapshot: Snapshot, corpus: Corpus, ranks: Rankings, name: str, budget: Budget, places: Iterable[int]
) -> list[Figures]:
    """Build the contexts of some questions anew under a retriever and a budget, and measure what stands there."""
    asked_of = {row.question_id: row for row in labels.questions(snapshot).itertuples()}
    config = replace(ranks.config, budget=budget, recall=ranks.retrievers[name])
    found = []
    with snapshot.read() as con:
        seen_insight = memory.newest(con)[1]
        for place in places:
            asked = ranks.asked[place]
            row: Any = asked_of[asked.question_id]
            at = row.asked_at.to_pydatetime()
            context = memory.context(
                con,
                corpus,
                asked.text,
                session_id=row.session_id if isinstance(row.session_id, str) else None,
                symbol=row.symbol if isinstance(row.symbol, str) else None,
                moment=AsOf(at=at, seen_message=int(row.seen_message), seen_insight=seen_insight, as_of=at),
                config=config,
                factor=ranks.factor,
            )
            used = {f"tokens_{tier}": tokens for tier, tokens in records.used(context.slots).items()}
            found.append(measure(asked.needs, [slot for slot in context.slots if slot.kept]) | used)
    return found


def main() -> None:
    """Run the benchmark."""
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--format", choices=("locomo", "beam", "desk", "sample"), default="sample")
    parse.add_argument("--path", type=Path)
    parse.add_argument("--configurations", default="1,100,1000")
    given = parse.parse_args()
    if given.format != "sample" and not given.path:
        parse.error("--path says where the dataset is.")
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab.open(Path(folder) / "lab.duckdb")
        lab.import_dataset(datasets.sample() if given.format == "sample" else datasets.read(given.path, given.format))
        snapshot, corpus = lab.snapshot(), Corpus()
    memory.prepare(corpus, snapshot)
    begin = time.perf_counter()
    ranks = study.rank(snapshot, NAME, model=OFFLINE)  # in cl100k tokens
    figures: dict[str, Any] = {"questions": len(ranks.asked), "ranking_s": time.perf_counter() - begin, "sweep_s": {}}
    for number in (int(each) for each in given.configurations.split(",")):
        begin = time.perf_counter()
        sweep = study.sweep(ranks, grid(number))
        rows = math.prod(map(len, sweep.grid.values()))
        sweep.frame  # noqa: B018 (its intervals are part of the time)
        figures["sweep_s"][str(number)] = time.perf_counter() - begin
        print(f"{rows:,} configurations: {figures['sweep_s'][str(number)]:.2f} s")
    dice = np.random.default_rng(0)
    everyone = range(len(ranks.asked))
    begin = time.perf_counter()
    real = np.flatnonzero(sweep.real)
    for row in dice.choice(real, size=TIMED).tolist():
        rebuild(snapshot, corpus, ranks, NAME, sweep.budget(row), everyone)
    figures["rebuild_s_per_configuration"] = (time.perf_counter() - begin) / TIMED
    equal = 0
    for row in dice.choice(real, size=COMPARED).tolist():
        places = dice.integers(len(ranks.asked), size=20)
        anew = rebuild(snapshot, corpus, ranks, NAME, sweep.budget(row), places.tolist())
        same = [
            np.array_equal(sweep.measured[name][places, row], [each[name] for each in anew], equal_nan=True)
            for name in MEASURES
        ]
        equal += all(same)
    figures["equal"] = [equal, COMPARED]
    print(json.dumps({name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}))


if __name__ == "__main__":
    sys.exit(main())

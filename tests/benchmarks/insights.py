"""What insights are worth: what distilling brings, what its metrics see, and COLD against the same tokens in WARM.

    python tests/benchmarks/insights.py --format sample
    python tests/benchmarks/insights.py --format locomo --path locomo.json [--seed 1] [--picture faults.png]

Prints tables, and JSON on the last line:

- `distilling`: of the offline rules on the dataset's own talk: insights, tokens and milliseconds a session; coverage
  (the share of sessions' salient statements that insights carry) within 200 tokens a session; redundancy (the share
  that says no more than an earlier one); `utility`: evidence recall and answer coverage of labelled questions with
  COLD, with its tokens in WARM, and without them, and the differences.
- `given`: support and utility of the insights that the dataset brings: the sample's own, LoCoMo's observations.
- `faults` (see faults.py): made of the given insights: by fault the metric that is meant to see it, its area under the
  ROC curve, and how many were made.

Each [value, low, high], with 95% intervals clustered by conversation (by session for coverage and faults). LoCoMo's
conversations are a lab each: figures are pooled over questions, sessions or insights; areas are means weighted by the
number of faults, without an interval.
"""

import argparse
import json
import math
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import faults
import numpy as np
import pandas as pd

from gallump_lab import Lab, datasets, study
from gallump_lab.datasets import Dataset
from gallump_lab.datasets.table import INSIGHTS, frame
from gallump_lab.study import statistics
from gallump_lab.study.scorecard.utility import MEASURES, WAYS
from gallump_lab.tokens import OFFLINE


def parts(form: str, path: Path | None) -> Iterator[Dataset]:
    """Give the dataset's conversations, each for a lab of its own."""
    if form == "sample":
        yield datasets.sample()
    else:
        given = datasets.read(path or "", form)
        yield from replace(given, insights=observed(json.loads(Path(path or "").read_text("utf-8")), given)).split()


def observed(samples: list[dict[str, Any]], given: Dataset) -> pd.DataFrame:
    """Return the facts that LoCoMo's authors noted of each session, known half an hour after its last message."""
    at = {(row.conversation, row.key): row.created_at for row in given.messages.itertuples()}
    ends = given.messages.groupby("session_id")["created_at"].max()
    found = []
    for sample in samples:
        name = sample["sample_id"]
        for session, speakers in sample["observation"].items():
            known = ends[f"{name} {session.removesuffix('_observation')}"]
            for text, named in (each for noted in speakers.values() for each in noted):
                sources = [key for key in re.findall(r"D\d+:\d+", str(named)) if (name, key) in at]
                if sources:
                    newest = max(at[name, key] for key in sources)
                    row = {"kind": "fact", "text": text, "sources": sources, "valid_from": newest, "conversation": name}
                    found.append(row | {"known_from": max(known, newest) + timedelta(minutes=30)})
    return frame(found, INSIGHTS)


def opened(part: Dataset, folder: Path, *, given: bool) -> Lab:
    """Give a lab with a conversation, with the insights that come with it or without."""
    newest = part.messages["created_at"].max().to_pydatetime()
    lab = Lab.open(folder / f"{len(list(folder.iterdir()))}.duckdb", clock=lambda: newest + timedelta(days=1))
    lab.import_dataset(part if given else replace(part, insights=part.insights.iloc[:0]))
    return lab


def judged(lab: Lab) -> Any:
    """Judge a lab's insights beside HOT as one message, in cl100k tokens."""
    lab.apply(replace(lab.config, layout="single"))
    snapshot = lab.snapshot()
    return study.insights(snapshot, study.rank(snapshot, hot=2_000, warm=700, cold=200, model=OFFLINE))


def pooled(cards: list[Any]) -> dict[str, Any]:
    """Sum up several labs' utility."""
    clusters = [f"{number} {each}" for number, card in enumerate(cards) for each in card.utility.conversations]
    measured = {
        (way, measure): np.concatenate([card.utility.measured[way][measure] for card in cards])
        for way in WAYS
        for measure in MEASURES
    }
    weights = [len(card.utility.conversations) for card in cards]
    found: dict[str, Any] = {"questions": len(clusters)}
    for measure in MEASURES:
        for way in WAYS:
            found[f"{measure} {way}"] = shown(statistics.shares(measured[way, measure], clusters).interval())
        for other in WAYS[1:]:
            less = measured[WAYS[0], measure] - measured[other, measure]
            found[f"{measure} difference to {other}"] = shown(statistics.differences(less, clusters).interval())
    for way in WAYS:
        found[f"tokens {way}"] = round(float(np.average([card.utility.tokens[way] for card in cards], weights=weights)))
    return found


def shown(interval: tuple[float, float, float]) -> list[float | None]:
    return [None if math.isnan(each) else round(each, 4) for each in interval]


def seen(tables: list[pd.DataFrame]) -> Mapping[str, Any]:
    """Give the area of each fault's own metric; of several labs the mean, weighted by the faults made."""
    every = pd.concat([table for table in tables if not table.empty])
    found = {}
    for fault, metric in faults.SEES.items():
        rows = every[(every["fault"] == fault) & (every["metric"] == metric)].dropna(subset=["auc"])
        if rows.empty:
            found[fault] = {"metric": metric, "auc": None, "made": 0}
            continue
        area = float(np.average(rows["auc"], weights=rows["n_bad"]))
        low, high = (rows["low"].iloc[0], rows["high"].iloc[0]) if len(rows) == 1 else (math.nan, math.nan)
        found[fault] = {"metric": metric, "auc": shown((area, low, high)), "made": int(rows["n_bad"].sum())}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", choices=["sample", "locomo"], default="sample")
    parser.add_argument("--path", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="where to draw which metric sees which fault, as PNG")
    asked = parser.parse_args()
    own, given, tables, seconds, sessions = [], [], [], 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for part in parts(asked.format, asked.path):
            lab = opened(part, Path(folder), given=False)
            started = time.perf_counter()
            done = lab.distill(by="rules")
            seconds, sessions = seconds + time.perf_counter() - started, sessions + done.sessions
            own.append(judged(lab))
            given.append(judged(opened(part, Path(folder), given=True)))
            tables.append(faults.table(given[-1], asked.seed))
    if asked.picture:
        faults.picture(tables[0]).save(asked.picture)
    by_session = pd.concat([card.sessions.assign(lab=number) for number, card in enumerate(own)])
    clusters = by_session["lab"].astype(str) + by_session["session_id"]
    counts = [len(card.insights) for card in own]
    support = np.concatenate([card.frame["support"] for card in given])
    result = {
        "format": asked.format,
        "distilling": {
            "sessions": sessions,
            "insights_a_session": round(by_session["insights"].mean(), 2),
            "tokens_a_session": round(by_session["tokens"].mean(), 1),
            "most_tokens_a_session": int(by_session["tokens"].max()),
            "ms_a_session": round(1000 * seconds / max(sessions, 1), 1),
            "coverage": shown(statistics.shares(by_session["coverage"], clusters).interval()),
            "redundancy": round(float(np.average([card.redundancy for card in own], weights=counts)), 4),
            "utility": pooled(own),
        },
        "given": {
            "insights": len(support),
            "support_mean": round(float(np.nanmean(support)), 3),
            "support_quartiles": np.nanquantile(support, [0.25, 0.5, 0.75]).round(3).tolist(),
            "utility": pooled(given),
        },
        "faults": seen(tables),
    }
    print(pd.DataFrame(result["faults"]).T.to_string())
    for name in ("distilling", "given"):
        print(f"\n{name}\n{pd.Series(result[name]['utility']).to_string()}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

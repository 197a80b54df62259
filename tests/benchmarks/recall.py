"""How much of what labelled questions need is recalled, beside plain rankings in the same run.

    python tests/benchmarks/recall.py --format sample
    python tests/benchmarks/recall.py --format locomo --path locomo.json [--tokens 200,500,1000,2000]
    python tests/benchmarks/recall.py --format beam --path folder [--retriever NAME] [--ablation]
    python tests/benchmarks/recall.py --format desk --path data/desk

Prints tables, and JSON on the last line: questions (with evidence), recall_at_5, recall_at_10, ndcg_at_10, mrr (the
reciprocal rank of the first evidence), and for each number of tokens

- recall (every sentence of the evidence message is in), partial_recall (half of its tokens, or 80 of them) and coverage
  (the share of the reference answer's content words that stand in the kept text);
- noise (the share of WARM's tokens whose message is no evidence) and falsely_marked (the share of the evidence that is
  shown as outdated);
- unmarked (the share of the questions with stale messages of which one is shown as if it were current), which is
  outdated, or hearsay where the question is of that kind;
- nothing_said (WARM's tokens where nothing was said);

each as [value, low, high] with 95% intervals clustered by conversation (t, G - 1 degrees; null below five
conversations, and where nothing is scored). `kinds` holds the same for each kind of question, `peers` for

- perfect ranking: the evidence alone, messages that take the fewest tokens first, packed as ours;
- bm25s: BM25 over whole messages (bm25s, stemmed, English stop words), packed greedily;
- plain mix: half bm25s, half WordLlama's own cosine, neighbours lent 0.3 back and 0.15 ahead, packed greedily.

Datasets of several conversations are a lab for each; the sample is one lab. Questions that are not labelled are left
out.
"""

import argparse
import json
import logging
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gallump_lab import Lab, datasets, study, tokens
from gallump_lab.config import Recall
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.memory.text import terms
from gallump_lab.study import statistics
from gallump_lab.study.rank import Rankings
from gallump_lab.study.tally import HEARSAY, NOTHING, PERFECT, ndcg, recall_at, reciprocal_rank

Rows = list[dict[str, Any]]
RANKED = ("recall_at_5", "recall_at_10", "ndcg_at_10", "mrr")
MEASURES = ("recall", "partial_recall", "coverage")
BESIDE = ("noise", "unmarked", "outdated", "hearsay", "falsely_marked", NOTHING)


def labs(form: str, path: Path | None, folder: Path) -> Iterator[Lab]:
    """Give a lab for each conversation; the sample's are one lab."""
    if form == "sample":
        yield Lab.sample()
        return
    for number, part in enumerate(datasets.read(path or "", form).split()):  # type: ignore[arg-type]
        lab = Lab.open(folder / f"{number}.duckdb")
        lab.import_dataset(part)
        yield lab


def ours(ranks: Rankings, budgets: list[int]) -> dict[str, Rows]:
    """Measure the package's retrievers and a perfect ranking: WARM alone."""
    found: dict[str, Rows] = {}
    for name, measured in study.relevance(ranks, budgets).measured.items():
        for budget in budgets:
            stale, hearsay = measured[f"stale_{budget}"], measured[f"hearsay_{budget}"]
            measured |= {f"outdated_{budget}": stale, f"unmarked_{budget}": np.fmax(stale, hearsay)}
            measured |= {f"noise_{budget}": 1 - measured[f"precision_{budget}"]}
        found[name] = [
            {"kind": asked.kind, "conversation": asked.conversation}
            | {measure: float(values[place]) for measure, values in measured.items()}
            for place, asked in enumerate(ranks.asked)
        ]
    return found


def _row(kind: str, conversation: str, ranked: list[int], evidence: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "conversation": conversation,
        "recall_at_5": recall_at(ranked, evidence, 5),
        "recall_at_10": recall_at(ranked, evidence, 10),
        "ndcg_at_10": ndcg(ranked, evidence),
        "mrr": reciprocal_rank(ranked, evidence),
    }


def peers(lab: Lab, ranks: Rankings, budgets: list[int]) -> dict[str, Rows]:
    """Measure plain rankings of whole messages, which look at the same messages as ours did."""
    import bm25s
    import Stemmer
    import wordllama

    said = lab.messages
    texts = [
        f"{who if isinstance(who, str) else role}: {text}"
        for who, role, text in zip(said["speaker"], said["role"], said["text"], strict=True)
    ]
    costs = [tokens.count(text) for text in texts]
    home = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=home, disable_download=True)
    stemmer = Stemmer.Stemmer("english")

    def cut(given: list[str]) -> Any:
        return bm25s.tokenize(given, stopwords="en", stemmer=stemmer, show_progress=False)

    index = bm25s.BM25(method="lucene")
    index.index(cut(texts), show_progress=False)
    questions = [asked.text for asked in ranks.asked]
    vectors = model.embed(texts, norm=True)
    dense = model.embed(questions, norm=True) @ vectors.T
    ids = said["message_id"].to_numpy()
    content = [frozenset(terms(text)) for text in said["text"]]
    asked_at = lab.questions.set_index("question_id")["asked_at"]
    found: dict[str, Rows] = {"bm25s": [], "plain mix": []}
    for place, asked in enumerate(ranks.asked):
        lexical = np.zeros(len(texts))
        where, scores = index.retrieve(cut([asked.text]), k=len(texts), show_progress=False)
        lexical[where[0]] = scores[0]
        lexical /= lexical.max() + 1e-9
        mixed = 0.5 * lexical + 0.5 * dense[place]
        lent = mixed.copy()
        lent[1:] += 0.3 * mixed[:-1]
        lent[:-1] += 0.15 * mixed[1:]
        evidence, needed, nan = asked.needs.evidence, asked.needs.words, math.nan
        there = (said["created_at"] <= asked_at[asked.question_id]).to_numpy()
        for name, score in (("bm25s", lexical), ("plain mix", lent)):
            order = [int(i) for i in np.argsort(-score, kind="stable") if there[i]]
            row = _row(asked.kind, asked.conversation, [int(ids[i]) for i in order], evidence)
            for budget in budgets:
                used, kept = 0, []
                for i in order:
                    if used + costs[i] <= budget:
                        used += costs[i]
                        kept.append(i)
                shown = {int(ids[i]) for i in kept}
                held = len(shown.intersection(evidence)) / len(evidence) if evidence else nan
                words = frozenset[str]().union(*(content[i] for i in kept))
                row[f"recall_{budget}"] = row[f"partial_recall_{budget}"] = held
                row[f"coverage_{budget}"] = len(needed & words) / len(needed) if evidence and needed else nan
                wrong = sum(costs[i] for i in kept if int(ids[i]) not in evidence)
                row[f"noise_{budget}"] = wrong / used if evidence and used else nan
                stale = float(not shown.isdisjoint(asked.needs.stale)) if asked.needs.stale else nan
                told = asked.kind == HEARSAY
                row |= {f"unmarked_{budget}": stale, f"falsely_marked_{budget}": nan}
                row |= {f"outdated_{budget}": nan if told else stale, f"hearsay_{budget}": stale if told else nan}
                row[f"{NOTHING}_{budget}"] = nan if evidence else used
            found[name].append(row)
    return found


def ablations(settings: Recall) -> dict[str, Recall]:
    """Give settings with one signal off each, and what they are built up from, step by step."""
    built = replace(settings, **dict.fromkeys((*SIGNALS, "neighbours"), 0.0))
    steps = {}
    for name in "words meaning neighbours speaker role symbol dates recency figures wishes".split():
        built = replace(built, **{name: getattr(settings, name)})
        steps[f"+ {name}"] = built
    return study.ablations(settings) | steps


def summary(rows: Rows, budgets: list[int]) -> dict[str, Any]:
    """Estimate every measure with its interval."""
    conversations = [row["conversation"] for row in rows]

    def of(name: str, whole: int = 1) -> list[float | None]:
        given = [row[name] / whole for row in rows]
        ends = statistics.shares(given, conversations).interval()
        return [None if math.isnan(end) else round(end * whole, 4) for end in ends]

    found: dict[str, Any] = {"questions": sum(not math.isnan(row["mrr"]) for row in rows)}
    found |= {name: of(name) for name in RANKED}
    found["tokens"] = {
        str(budget): {name: of(f"{name}_{budget}", budget if name == NOTHING else 1) for name in (*MEASURES, *BESIDE)}
        for budget in budgets
    }
    return found


def table(found: dict[str, dict[str, Any]], budgets: list[int]) -> None:
    """Print a line a retriever: what it finds, and what it shows beside that."""
    width = max(map(len, found)) + 2

    def cell(value: float | None, low: float | None = None, form: str = ".3f") -> str:
        return "-" if value is None else f"{value:{form}}" + ("" if low is None else f" ±{value - low:.3f}")

    names = [f"{name}@{budget}" for name in MEASURES for budget in budgets]
    print(f"{'':{width}}{'n':>5} R@5   R@10  nDCG  MRR   ", *names)
    for name, each in found.items():
        cells = [(kind, each["tokens"][str(budget)][kind]) for kind in MEASURES for budget in budgets]
        line = [cell(value, low if kind == "recall" else None) for kind, (value, low, _) in cells]
        print(f"{name:{width}}{each['questions']:>5}", *(cell(each[key][0]) for key in RANKED), *line)
    scored = [
        kind for kind in BESIDE if any(each["tokens"][str(budgets[0])][kind][0] is not None for each in found.values())
    ]
    print(" " * width, *(f"{name}@{budget}" for name in scored for budget in budgets))
    for name, each in found.items():
        cells = [(kind, each["tokens"][str(budget)][kind]) for kind in scored for budget in budgets]
        print(
            f"{name:{width}}", *(cell(value, form=".0f" if kind == NOTHING else ".3f") for kind, (value, *_) in cells)
        )


def main() -> None:
    """Run the benchmark."""
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--format", choices=("sample", "locomo", "beam", "desk"), default="sample")
    parse.add_argument("--path", type=Path)
    parse.add_argument("--tokens", default="200,500,1000,2000")
    parse.add_argument("--retriever", default="all signals", choices=[*study.RETRIEVERS])
    parse.add_argument("--ablation", action="store_true", help="also with each signal off, and built up step by step")
    given = parse.parse_args()
    logging.disable(logging.DEBUG)  # bm25s's
    if given.format != "sample" and not given.path:
        parse.error("--path says where the dataset is.")
    budgets = sorted({int(each) for each in given.tokens.split(",")})
    retrievers = {given.retriever: study.RETRIEVERS[given.retriever]}
    if given.ablation:
        retrievers |= ablations(study.RETRIEVERS["all signals"])
    others = (PERFECT, "bm25s", "plain mix")
    rows: dict[str, Rows] = {name: [] for name in (*retrievers, *others)}
    with tempfile.TemporaryDirectory() as folder:
        for lab in labs(given.format, given.path, Path(folder)):
            ranks = study.rank(lab.snapshot(), retrievers, warm=max(budgets), model=tokens.OFFLINE)  # in cl100k tokens
            for name, measured in (ours(ranks, budgets) | peers(lab, ranks, budgets)).items():
                rows[name] += measured
    found = {name: summary(each, budgets) for name, each in rows.items()}
    table(found, budgets)
    kinds = {}
    for kind in sorted({row["kind"] for row in rows[given.retriever]}):
        chosen = {
            name: summary([row for row in rows[name] if row["kind"] == kind], budgets)
            for name in (given.retriever, *others)
        }
        print(f"\n{kind}")
        table(chosen, budgets)
        kinds[kind] = chosen[given.retriever]
    named = {name: found[name] for name in others}
    print(json.dumps(found[given.retriever] | {"retriever": given.retriever, "kinds": kinds, "peers": named}))


if __name__ == "__main__":
    sys.exit(main())

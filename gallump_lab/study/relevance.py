"""Which retriever finds what the questions need, what each signal is worth, and where it fails and why."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gallump_lab.config import Recall
from gallump_lab.memory.context import says
from gallump_lab.memory.records import ContextItem, check
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.study import pictures, statistics
from gallump_lab.study.rank import Rankings, checked_ranks
from gallump_lab.study.ranker import RankedQuestion
from gallump_lab.study.statistics import Floats, shown, verdict
from gallump_lab.study.tally import NOTHING, PERFECT, SHOWN, Needed, ndcg, order, recall_at, reciprocal_rank, tally

if TYPE_CHECKING:
    from gallump_lab.study.pictures import Picture

TOKENS = (200, 500, 1_000)
WITHOUT = "without "


def ablations(settings: Recall | None = None) -> dict[str, Recall]:
    """Return retrievers with one signal off each, beside the whole: for `study.rank`.

    Parameters
    ----------
    settings : Recall, optional
        The whole; the default's by default. Signals that it has off are left out, and `answered`, which a what-if is
        without.

    Examples
    --------
    >>> study.relevance(study.rank(snapshot, study.ablations())).signals()
    """
    whole = settings or Recall()
    on = [name for name in (*SIGNALS, "neighbours") if name != "answered" and getattr(whole, name)]
    return {"all signals": whole} | {f"{WITHOUT}{name}": _without(whole, name) for name in on}


def _without(settings: Recall, name: str) -> Recall:
    off: dict[str, Any] = {name: 0.0}
    return replace(settings, **off)


def relevance(ranks: Rankings, at_tokens: Sequence[int] = TOKENS) -> "Relevance":
    """Compare the retrievers of some ranks side by side: WARM alone, as `lab.recall` gives it.

    Parameters
    ----------
    ranks : Rankings
        What `study.rank` gives, of one retriever or several.
    at_tokens : sequence of int
        The budgets to measure recall within, in the ranks' tokens (`ranks.unit`).

    Raises
    ------
    ValueError
        If `ranks` are none, a budget is no positive whole number, or lies beyond what was ranked.

    Examples
    --------
    >>> study.relevance(ranks, at_tokens=[500]).differences()
    """
    checked_ranks(ranks)
    most = ranks.limits["warm"]
    given = set(at_tokens) if isinstance(at_tokens, Iterable) else ()
    good = given and all(isinstance(each, int) and 0 < each <= most for each in given)
    reach = f"whole numbers from 1 to {most:,}, which the ranks reach to (study.rank(..., warm=...) goes further)"
    check(good, "at_tokens", f"{reach}, such as [200, 500]", at_tokens)
    return Relevance(ranks, tuple(sorted(given)))


class Relevance:
    """Retrievers side by side on the same questions; `study.relevance` makes it.

    Attributes
    ----------
    ranks : Rankings
        What was compared.
    at_tokens : tuple of int
        The budgets, in the ranks' tokens.
    measured : dict of str to dict of str to array of float
        By retriever, and for the "perfect ranking" of `study.tally.Qrels`, and by measure, a value a question; NaN is
        unscored.
    main : str
        The measure that is compared by default: recall within 500 tokens, or within the largest budget.
    """

    def __init__(self, ranks: Rankings, at_tokens: tuple[int, ...]) -> None:
        self.ranks, self.at_tokens = ranks, at_tokens
        needed = [Needed(asked.needs) for asked in ranks.asked]
        self.measured: dict[str, dict[str, Floats]] = {
            name: self._measure(name, needed) for name in (*ranks.retrievers, PERFECT)
        }
        self.main = f"recall_{500 if 500 in at_tokens else at_tokens[-1]}"

    def _measure(self, retriever: str, needed: Sequence[Needed]) -> dict[str, Floats]:
        none = np.zeros(1, np.int64)
        grid = {"hot": none, "warm": np.array(self.at_tokens), "cold": none}
        rows = []
        for place, wanted in enumerate(needed):
            warm = self.ranks.candidates(retriever, place)
            messages, evidence = order(warm), wanted.evidence
            cells = tally(wanted, [], warm, [], grid)
            row = {
                "recall_at_5": recall_at(messages, evidence, 5),
                "recall_at_10": recall_at(messages, evidence, 10),
                "ndcg_at_10": ndcg(messages, evidence),
                "mrr": reciprocal_rank(messages, evidence),
            }
            for measure in ("recall", "partial_recall", "coverage", *SHOWN, NOTHING):
                names = (f"{measure}_{budget}" for budget in self.at_tokens)
                row |= zip(names, cells[measure][0, :, 0].tolist(), strict=True)
            rows.append(row)
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a retriever, and one of a perfect ranking: how far there is to go.

        recall_at_5, recall_at_10, ndcg_at_10 and mrr (of messages in rank order); for each budget recall_500 (strict:
        every sentence is in), partial_recall_500, coverage_500, precision_500, stale_500, hearsay_500,
        falsely_marked_500 and nothing_said_500 (see `study.tally.measure`); each with its 95% interval in `..._low` and
        `..._high` (NaN below five conversations); unit: whose tokens the budgets are.
        """
        rows = []
        for name, values in self.measured.items():
            row: dict[str, Any] = {"retriever": name, "unit": self.ranks.unit}
            for measure in values:
                row |= zip((measure, f"{measure}_low", f"{measure}_high"), self._share(name, measure), strict=True)
            rows.append(row)
        return pd.DataFrame(rows)

    def _share(self, retriever: str, measure: str) -> statistics.Interval:
        """Return a measure's mean with its interval; tokens are a share of their budget."""
        name, _, budget = measure.rpartition("_")
        whole = int(budget) if name == NOTHING else 1
        found = statistics.shares(self.measured[retriever][measure] / whole, self.ranks.conversations).interval()
        return found[0] * whole, found[1] * whole, found[2] * whole

    def differences(self, measure: str | None = None) -> pd.DataFrame:
        """Compare every two retrievers, paired by question, with Holm's adjustment for the number of comparisons.

        Returns
        -------
        pandas.DataFrame
            retriever, other, difference, low, high (95%), p (adjusted), verdict in words.
        """
        return self._compared([*itertools.combinations(self.ranks.retrievers, 2)], measure or self.main)

    def signals(self, measure: str | None = None) -> pd.DataFrame:
        """Return what each signal is worth: what is lost without it, as `differences` does.

        Raises
        ------
        ValueError
            If the ranks hold no ablations: `study.rank(snapshot, study.ablations())`.
        """
        settings, pairs = self.ranks.retrievers, []
        for part in (name for name in settings if name.startswith(WITHOUT)):
            off = part.removeprefix(WITHOUT)
            wholes = [name for name in settings if name != part and _without(settings[name], off) == settings[part]]
            pairs += [(whole, part) for whole in wholes[:1]]
        if not pairs:
            msg = "These ranks hold no ablations. Rank them: study.rank(snapshot, study.ablations())."
            raise ValueError(msg)
        found = self._compared(pairs, measure or self.main)
        found.insert(0, "signal", [part.removeprefix(WITHOUT) for _, part in pairs])
        return found.sort_values("difference", ascending=False, ignore_index=True)

    def _compared(self, pairs: list[tuple[str, str]], measure: str) -> pd.DataFrame:
        known = next(iter(self.measured.values()))
        check(measure in known, "measure", f"one of {', '.join(known)}", measure)
        if not pairs:
            return pd.DataFrame(columns=["retriever", "other", "difference", "low", "high", "p", "verdict"])
        gains = [self.measured[one][measure] - self.measured[other][measure] for one, other in pairs]
        found = statistics.differences(np.stack(gains, 1), self.ranks.conversations)
        frame = pd.DataFrame(pairs, columns=["retriever", "other"])
        frame = frame.assign(difference=found.value, low=found.low, high=found.high, p=statistics.holm(found.p))
        intervals = zip(frame["difference"], frame["low"], frame["high"], strict=True)
        return frame.assign(verdict=[*map(verdict, intervals, frame["p"])])

    def worst(self, retriever: str | None = None, number: int = 10) -> pd.DataFrame:
        """Return the questions that a retriever serves worst: the evidence that it finds last, or not at all.

        Returns
        -------
        pandas.DataFrame
            question_id, kind, text, the main measure, found (the rank of the first evidence message; missing: nowhere
            among the candidates).
        """
        measured = self.measured[retriever or next(iter(self.measured))]
        rows = [(each.question_id, each.kind, each.text) for each in self.ranks.asked]
        frame = pd.DataFrame(rows, columns=["question_id", "kind", "text"]).assign(**{self.main: measured[self.main]})
        frame["found"] = np.where(measured["mrr"] > 0, measured["mrr"], np.nan)
        worst = frame.dropna(subset=self.main).sort_values(
            [self.main, "found"], na_position="first", kind="stable", ignore_index=True
        )
        return worst.head(number).assign(found=lambda each: (1 / each["found"]).round().astype("Int64"))

    def trace(self, question_id: int, retriever: str | None = None, number: int = 5) -> "Trace":
        """Show what outranked a question's evidence, and by which signals.

        Raises
        ------
        ValueError
            If there is no such question among the ranked ones.
        """
        places = [place for place, asked in enumerate(self.ranks.asked) if asked.question_id == question_id]
        if not places:
            msg = f"question_id {question_id!r} was not ranked; `worst()` lists some that were."
            raise ValueError(msg)
        name = retriever or next(iter(self.measured))
        return Trace(self.ranks.asked[places[0]], name, self.ranks.warm(name, places[0]), number)

    def plot(self) -> "Picture":
        """Draw each retriever's recall within each budget, with its interval."""
        return pictures.retrievers(self)

    def plot_signals(self) -> "Picture":
        """Draw what is lost without each signal, with its interval."""
        return pictures.signals(self)

    def __repr__(self) -> str:
        """Return each retriever's main measure and what it shows beside, and what can be said of their differences."""
        head = f"Relevance on {self.ranks.answerable:,} questions: {self.main.replace('_', ' within ')}"
        width = max(map(len, self.measured))
        lines = [f"{name:{width}}  {shown(self._share(name, self.main))}{self._beside(name)}" for name in self.measured]
        return "\n".join([f"{head} {self.ranks.unit}", *lines, *statistics.caution(self.ranks.conversations)])

    def _beside(self, retriever: str) -> str:
        """Return in words what a retriever shows within the main budget, where it is scored."""
        words = {
            "precision": "{:.0%} of its tokens are evidence",
            "stale": "outdated values shown as current {:.0%}",
            NOTHING: "{:,.0f} tokens where nothing is known",
        }
        budget = self.main.rpartition("_")[2]
        found = {said: self._share(retriever, f"{name}_{budget}")[0] for name, said in words.items()}
        return "".join(f", {said.format(value)}" for said, value in found.items() if not np.isnan(value))


@dataclass(frozen=True)
class Trace:
    """One question's ranking looked at closely: what outranked its evidence, and why."""

    asked: RankedQuestion
    retriever: str
    slots: Sequence[ContextItem]
    """WARM's candidates, ranked and scored."""
    number: int
    """So many that are no evidence are shown."""

    @property
    def frame(self) -> pd.DataFrame:
        """The evidence's passages and the first others: rank, evidence, score, each signal (millionths), text."""
        missing = {part.item_id: part for parts in self.asked.needs.evidence.values() for part in parts}
        parts, rows, others = [*missing.values()], [], 0
        for slot in self.slots:
            held = [part.item_id for part in parts if says(slot, part)]
            others += not held
            if held or others <= self.number:
                signals = {name: slot.signals.get(name, 0) for name in SIGNALS}
                rows.append(
                    {"rank": slot.rank, "evidence": bool(held), "score": slot.score, **signals, "text": slot.text}
                )
            for item in held:
                missing.pop(item, None)
        rows += [{"evidence": True, "text": part.text} for part in missing.values()]
        table = pd.DataFrame(rows, columns=["rank", "evidence", "score", *SIGNALS, "text"])
        return table.astype(dict.fromkeys(("rank", "score", *SIGNALS), "Int64"))

    def __repr__(self) -> str:
        """Return what was asked, where the evidence stands, and what the first has more than it."""
        table = self.frame
        lines = [f"{self.asked.text} ({self.retriever})"]
        for row in table.astype({"rank": object}).to_dict("records"):
            place = f"{row['rank']:4}" if isinstance(row["rank"], int) else "   -"
            lines.append(f"{'*' if row['evidence'] else ' '}{place}  {' '.join(row['text'].split())[:96]}")
        held, rest = table[table["evidence"] & table["rank"].notna()], table[~table["evidence"]]
        if not len(held):
            lines.append("The evidence was not considered: it shares too little with the question.")
        elif len(rest) and rest["rank"].iloc[0] < held["rank"].iloc[0]:
            gained = (rest.iloc[0][list(SIGNALS)] - held.iloc[0][list(SIGNALS)]).astype(int)
            best = sorted(filter(gained.get, SIGNALS), key=lambda name: -abs(gained[name]))[:3]
            said = ", ".join(f"{name} {gained[name] / 1e6:+.2f}" for name in best)
            lines.append(f"What the first has more than the evidence: {said}")
        return "\n".join(lines)

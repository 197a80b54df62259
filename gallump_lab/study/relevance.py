"""Which retriever finds what the questions need, what each signal is worth, and where it fails and why."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gallump_lab.config import Recall
from gallump_lab.memory.packing import says
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.study import plots, statistics
from gallump_lab.study.best import shown, verdict
from gallump_lab.study.rankings import Rankings
from gallump_lab.study.tally import ndcg, order, recall_at, reciprocal_rank, tally

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from gallump_lab.picture import Picture

    Floats = NDArray[np.float64]


class Trace:
    """One question's ranking looked at closely."""

    def __init__(self, ranks: Rankings, retriever: str, place: int, number: int) -> None:
        self.asked, self.retriever = ranks.asked[place], retriever
        self._number, self._slots = number, ranks.warm(retriever, place)

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """The evidence's passages and the first others: rank, evidence, score, each signal (millionths), text."""
        import pandas as pd

        parts = [part for each in self.asked.needs.evidence.values() for part in each]
        rows: list[dict[str, Any]] = []
        others = 0
        found = set()
        for slot in self._slots:
            held = [part.item_id for part in parts if says(slot, part)]
            found.update(held)
            if held or others < self._number:
                others += not held
                rows.append(
                    {"rank": slot.rank, "evidence": bool(held), "score": slot.score}
                    | {name: slot.signals.get(name, 0) for name in SIGNALS}
                    | {"text": slot.text}
                )
        rows += [
            {"rank": None, "evidence": True, "score": None, "text": part.text}
            for part in parts
            if part.item_id not in found
        ]
        table = pd.DataFrame(rows, columns=["rank", "evidence", "score", *SIGNALS, "text"])
        return table.astype(dict.fromkeys(("rank", "score", *SIGNALS), "Int64"))

    def __repr__(self) -> str:
        """Return what was asked, where the evidence stands, and what the first has more than it."""
        import pandas as pd

        table = self.frame
        lines = [f"{self.asked.text} ({self.retriever})"]
        held = table[table["evidence"] & table["rank"].notna()]
        rest = table[~table["evidence"]]
        for _, row in table.iterrows():
            mark = "*" if row["evidence"] else " "
            rank = "   -" if pd.isna(row["rank"]) else f"{row['rank']:4}"
            lines.append(f"{mark}{rank}  {' '.join(str(row['text']).split())[:96]}")
        if len(held) and len(rest) and rest["rank"].iloc[0] < held["rank"].iloc[0]:
            ahead, behind = rest.iloc[0], held.iloc[0]
            gained = {name: int(ahead[name] - behind[name]) for name in SIGNALS if ahead[name] != behind[name]}
            best = sorted(gained.items(), key=lambda item: -abs(item[1]))[:3]
            lines.append(
                "The first against the evidence: " + ", ".join(f"{name} {value / 1e6:+.2f}" for name, value in best)
            )
        elif not len(held):
            lines.append("The evidence is not among the candidates: it shares too little with the question.")
        return "\n".join(lines)


TOKENS = (200, 500, 1_000)
WITHOUT = "without "


def ablations(settings: Recall | None = None) -> dict[str, Recall]:
    """Return retrievers with one signal off each, beside the whole: for `study.rank`.

    Parameters
    ----------
    settings : Recall, optional
        The whole; the default's by default. Signals that it has off are left out.
    """
    whole = Recall() if settings is None else settings
    on = [name for name in (*SIGNALS, "neighbours") if getattr(whole, name)]
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
        If a budget is no positive whole number, or lies beyond what was ranked.
    """
    most = ranks.limits["warm"]
    if not isinstance(at_tokens, Sequence) or isinstance(at_tokens, str) or not at_tokens:
        msg = f"at_tokens must be a list of budgets, such as [200, 500], not {at_tokens!r}."
        raise ValueError(msg)
    for each in at_tokens:
        if not isinstance(each, int) or isinstance(each, bool) or not 0 < each <= most:
            msg = (
                f"at_tokens must be whole numbers from 1 to {most:,}, which the ranks reach to "
                f"(study.rank(..., warm=...)), not {each!r}."
            )
            raise ValueError(msg)
    return Relevance(ranks, tuple(sorted(set(at_tokens))))


class Relevance:
    """Retrievers side by side on the same questions; `study.relevance` makes it.

    Attributes
    ----------
    ranks : Rankings
        What was compared.
    at_tokens : tuple of int
        The budgets, in the ranks' tokens.
    measured : dict of str to dict of str to array of float
        By retriever and measure, a value a question; NaN is unscored.
    """

    def __init__(self, ranks: Rankings, at_tokens: tuple[int, ...]) -> None:
        self.ranks, self.at_tokens = ranks, at_tokens
        self.measured: dict[str, dict[str, Floats]] = {name: self._measure(name) for name in ranks.retrievers}
        self.main = f"recall_{500 if 500 in at_tokens else at_tokens[-1]}"

    def _measure(self, retriever: str) -> "dict[str, Floats]":
        import numpy as np

        none = np.zeros(1, np.int64)
        grid = {"hot": none, "warm": np.array(self.at_tokens), "cold": none}
        rows = []
        for place, asked in enumerate(self.ranks.asked):
            warm = [self.ranks.passages[item] for item in self.ranks.found[retriever][place].items.tolist()]
            ordered, evidence = order(warm), asked.needs.evidence
            cells = tally(asked.needs, [], warm, [], grid)
            rows.append(
                {
                    "recall_at_5": recall_at(ordered, evidence, 5),
                    "recall_at_10": recall_at(ordered, evidence, 10),
                    "ndcg_at_10": ndcg(ordered, evidence),
                    "mrr": reciprocal_rank(ordered, evidence),
                }
                | {
                    f"{measure}_{budget}": float(cells[measure][0, number, 0])
                    for measure in ("recall", "partial_recall", "coverage")
                    for number, budget in enumerate(self.at_tokens)
                }
            )
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """One row a retriever.

        recall_at_5, recall_at_10, ndcg_at_10 and mrr (of messages in rank order); for each budget recall_500 (strict:
        every sentence is in), partial_recall_500 and coverage_500 (see `study.tally.measure`); each with its 95%
        interval in `..._low` and `..._high` (NaN below five conversations); unit: whose tokens the budgets are.
        """
        import pandas as pd

        rows = []
        for name, values in self.measured.items():
            row: dict[str, Any] = {"retriever": name, "unit": self.ranks.unit}
            for measure, each in values.items():
                row[measure], row[f"{measure}_low"], row[f"{measure}_high"] = statistics.shares(
                    each, self.ranks.conversations
                ).interval()
            rows.append(row)
        return pd.DataFrame(rows)

    def differences(self, measure: str | None = None) -> "pd.DataFrame":
        """Compare every two retrievers, paired by question, with Holm's adjustment for the number of comparisons.

        Returns
        -------
        pandas.DataFrame
            retriever, other, difference, low, high (95%), p (adjusted), verdict in words.
        """
        pairs = list(itertools.combinations(self.measured, 2))
        return self._compared(pairs, measure or self.main)

    def signals(self, measure: str | None = None) -> "pd.DataFrame":
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

    def _compared(self, pairs: list[tuple[str, str]], measure: str) -> "pd.DataFrame":
        import numpy as np
        import pandas as pd

        known = next(iter(self.measured.values()))
        if measure not in known:
            msg = f"measure must be one of {', '.join(known)}, not {measure!r}."
            raise ValueError(msg)
        columns = ["retriever", "other", "difference", "low", "high", "p", "verdict"]
        if not pairs:
            return pd.DataFrame(columns=columns)
        table = np.stack([self.measured[one][measure] - self.measured[other][measure] for one, other in pairs], 1)
        found = statistics.differences(table, self.ranks.conversations)
        p = statistics.holm(found.p)
        rows = []
        for place, (one, other) in enumerate(pairs):
            interval = found.interval(place)
            rows.append([one, other, *interval, p[place], _verdict(interval, p[place])])
        return pd.DataFrame(rows, columns=columns)

    def worst(self, retriever: str | None = None, number: int = 10) -> "pd.DataFrame":
        """Return the questions that a retriever serves worst: the evidence that it finds last, or not at all.

        Returns
        -------
        pandas.DataFrame
            question_id, kind, text, the main measure, found (the rank of the first evidence message; missing: nowhere
            among the candidates).
        """
        import pandas as pd

        name = self._known(retriever)
        rows = []
        for place, asked in enumerate(self.ranks.asked):
            first = self.measured[name]["mrr"][place]
            rows.append(
                {
                    "question_id": asked.question_id,
                    "kind": asked.kind,
                    "text": asked.text,
                    self.main: self.measured[name][self.main][place],
                    "found": round(1 / first) if first else None,
                }
            )
        table = pd.DataFrame(rows).astype({"found": "Int64"})
        order = table["found"].fillna(10**9)
        return (
            table.assign(order=order)
            .sort_values([self.main, "order"], ascending=[True, False], kind="stable")
            .drop(columns="order")
            .head(number)
            .reset_index(drop=True)
        )

    def trace(self, question_id: int, retriever: str | None = None, number: int = 5) -> "Trace":
        """Show what outranked a question's evidence, and by which signals.

        Raises
        ------
        ValueError
            If there is no such question among the ranked ones.
        """
        name = self._known(retriever)
        places = [place for place, asked in enumerate(self.ranks.asked) if asked.question_id == question_id]
        if not places:
            msg = f"question_id {question_id!r} was not ranked; `worst()` lists some that were."
            raise ValueError(msg)
        return Trace(self.ranks, name, places[0], number)

    def _known(self, retriever: str | None) -> str:
        name = next(iter(self.measured)) if retriever is None else retriever
        if name not in self.measured:
            msg = f"retriever must be one of {', '.join(self.measured)}, not {retriever!r}."
            raise ValueError(msg)
        return name

    def plot(self) -> "Picture":
        """Draw each retriever's recall within each budget, with its interval."""
        return plots.retrievers(self)

    def plot_signals(self) -> "Picture":
        """Draw what is lost without each signal, with its interval."""
        return plots.signals(self)

    def __repr__(self) -> str:
        """Return the main measure of each retriever, and what can be said of their differences."""
        head = f"Relevance on {len(self.ranks.asked):,} questions: {self.main.replace('_', ' within ')}"
        lines = [f"{head} {self.ranks.unit}"]
        width = max(map(len, self.measured))
        for name, values in self.measured.items():
            interval = statistics.shares(values[self.main], self.ranks.conversations).interval()
            lines.append(f"{name:{width}}  {shown(interval)}")
        lines += [each for each in [statistics.caution(self.ranks.conversations)] if each]
        lines += [f"Interrupted: {self.ranks.left:,} questions are not in it."] if self.ranks.left else []
        return "\n".join(lines)


def _verdict(interval: tuple[float, float, float], p: float) -> str:
    if not math.isnan(p) and p >= 0.05 and not interval[1] <= 0 <= interval[2]:
        return "a difference inside the noise of so many comparisons"
    return verdict(interval)

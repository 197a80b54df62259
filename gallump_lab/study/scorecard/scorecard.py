"""The scorecard: every insight judged by metrics that are each a small function, and the set as a whole."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from gallump_lab import tokens
from gallump_lab.config import Budget
from gallump_lab.market.broker import Broker, FileBroker
from gallump_lab.store import Snapshot, times
from gallump_lab.study import statistics
from gallump_lab.study.rank import NothingToMeasure, rank
from gallump_lab.study.rankings import Rankings
from gallump_lab.study.replay import checked_snapshot
from gallump_lab.study.scorecard import arguments, charts
from gallump_lab.study.scorecard.coverage import coverage
from gallump_lab.study.scorecard.faults import inject
from gallump_lab.study.scorecard.metrics import METRICS
from gallump_lab.study.scorecard.outcome import Outcome, Summary, summary
from gallump_lab.study.scorecard.outcome import of as outcome_of
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.recorded import recorded
from gallump_lab.study.scorecard.records import History, Score, Stated
from gallump_lab.study.scorecard.redundancy import repeated
from gallump_lab.study.scorecard.roc import auc
from gallump_lab.study.scorecard.utility import Utility, Worth, interval, utility
from gallump_lab.study.scorecard.verdicts import verdict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from gallump_lab.picture import Picture

ALL_BARS = 10**6


def insights(  # noqa: PLR0913 (what a study may choose)
    snapshot: Snapshot,
    ranks: Rankings | None = None,
    *,
    chosen: "pd.DataFrame | None" = None,
    at: datetime | None = None,
    budget: Budget | None = None,
    broker: Broker | None = None,
) -> "Scorecard":
    """Judge a lab's insights: whether each is true, new, current, specific and useful, and the set worth its tokens.

    Nothing is sent. The same snapshot gives the same figures.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gives.
    ranks : Rankings, optional
        Of the labelled questions, for utility; by default they are ranked here, which takes the longest.
    chosen : pandas.DataFrame, optional
        Rows of `lab.insights.frame` to judge; by default those that a prompt could hold at the moment: neither
        superseded nor retired, nor past their own horizon.
    at : datetime, optional
        The moment for which staleness is judged, with a time zone; the newest message's time by default.
    budget : Budget, optional
        For utility; by default what is applied in the lab.
    broker : Broker, optional
        Whose bars tell prices and outcomes; the bundled daily bars by default.

    Returns
    -------
    Scorecard

    Raises
    ------
    ValueError
        If there is no insight to judge, or an argument cannot be used.
    """
    checked_snapshot(snapshot)
    if at is not None:
        times.naive(at, "at")
    arguments.check(ranks, budget, broker)
    found = recorded(snapshot)
    moment = arguments.moment(found, at)
    judged, left_out = arguments.judged(found, chosen, moment)
    if budget is None and ranks is not None:
        ranks.check_own()
    budget = found.config.budget if budget is None else budget
    trouble = ""
    if ranks is None:
        try:
            ranks = rank(snapshot, hot=budget.hot, warm=budget.warm + budget.cold, cold=budget.cold)
        except NothingToMeasure as error:
            trouble = str(error)
    return Scorecard(
        judged,
        found.insights,
        History(found.messages),
        at=moment or judged[-1].valid_from,
        broker=FileBroker() if broker is None else broker,
        utility=None if ranks is None else utility(ranks, budget=budget),
        grades=found.grades,
        left_out=left_out,
        trouble=trouble,
    )


class Scorecard:
    """A lab's insights, judged; `study.insights` makes it.

    Attributes
    ----------
    insights : list of Stated
        Those that are judged, in order of arrival.
    utility : Utility or None
        What the tier and each insight are worth to the labelled questions; None where there are none.
    at : datetime
        The moment for which staleness is judged.
    left_out : mapping of str to int
        How many of the lab's other insights are not judged, by reason.
    trouble : str
        Why utility was not measured, and what to do; empty where it was.
    """

    def __init__(  # noqa: PLR0913 (what it is made of)
        self,
        judged: Sequence[Stated],
        everything: Sequence[Stated],
        history: History,
        *,
        at: datetime,
        broker: Broker,
        utility: Utility | None = None,
        grades: Mapping[int, int] | None = None,
        left_out: Mapping[str, int] | None = None,
        trouble: str = "",
    ) -> None:
        self.insights, self.utility, self.at = list(judged), utility, at
        self.left_out, self.trouble = dict(left_out or {}), trouble
        self._everything, self._history = everything, history
        self._graded = dict(grades or {})
        self._bars = partial(_bars, broker, {})
        self._reader = Reader(history, self._bars)
        self._kept: dict[tuple[str, Stated, datetime], Score] = {}

    def scores(self, metric: str) -> list[Score]:
        """Return one metric's score of each insight, with its reason.

        Raises
        ------
        ValueError
            If there is no such metric.
        """
        if metric not in METRICS:
            msg = f"metric must be one of {', '.join(METRICS)}, not {metric!r}."
            raise ValueError(msg)
        return [self._score(metric, each, self.at) for each in self.insights]

    def _score(self, metric: str, one: Stated, at: datetime) -> Score:
        """Judge an insight beside the others that stand, as of a moment."""
        known = (metric, one, at)
        if known not in self._kept:
            others = [each for each in self.insights if each.insight_id != one.insight_id]
            self._kept[known] = METRICS[metric].judge(one, others, self._reader, at)
        return self._kept[known]

    @cached_property
    def _scores(self) -> dict[str, list[Score]]:
        return {name: self.scores(name) for name in METRICS}

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """What became of each insight's forecast, one an insight; `outcome` sums them up."""
        return [outcome_of(each, self._bars(each.symbol or "")) for each in self.insights]

    @property
    def outcome(self) -> Summary:
        """How many forecasts are decided, how many bore out, and how often such moves come anyway."""
        return summary(self.outcomes)

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """One row an insight; what was not scored is NaN, and `why` tells the reason.

        Returns
        -------
        pandas.DataFrame
            insight_id, kind, symbol, text, tokens (cl100k, as a prompt shows it); support and its parts numbers, dates,
            names, direction, claim; redundancy, specificity (bits a token), contradiction, staleness; shown (in how
            many questions' prompts it stands), helped (how many of them would hold less without it), recall_lost and
            coverage_lost (without it, a question's mean where it is shown); outcome (1 bore out, 0 did not) and
            base_rate (of such moves); grade (people's); verdict (see `charts.VERDICTS`); why, in words.
        """
        import pandas as pd

        rows = []
        for place, each in enumerate(self.insights):
            scores = {name: found[place] for name, found in self._scores.items()}
            worth = self._worth(each.insight_id)
            came = self.outcomes[place]
            word, why = verdict(scores, worth)
            rows.append(
                {
                    "insight_id": each.insight_id,
                    "kind": each.kind,
                    "symbol": each.symbol,
                    "text": each.text,
                    "tokens": tokens.count(f"{each.text}\n"),
                }
                | {name: score.value for name, score in scores.items()}
                | {
                    "shown": math.nan if worth is None else worth.shown,
                    "helped": math.nan if worth is None else worth.helped,
                    "recall_lost": math.nan if worth is None else worth.recall,
                    "coverage_lost": math.nan if worth is None else worth.coverage,
                    "outcome": came.bore_out,
                    "base_rate": came.base_rate,
                    "grade": self._graded.get(each.insight_id, math.nan),
                    "verdict": word,
                    "why": why,
                }
            )
        return pd.DataFrame(rows)

    def _worth(self, insight_id: int) -> Worth | None:
        return None if self.utility is None else self.utility.worth.get(insight_id, Worth())

    def reasons(self, insight_id: int) -> dict[str, str]:
        """Tell of each metric what was missing for the best score of an insight, or why it was not scored.

        Raises
        ------
        ValueError
            If the insight is not judged here.
        """
        places = [place for place, each in enumerate(self.insights) if each.insight_id == insight_id]
        if not places:
            msg = f"insight_id {insight_id!r} is not judged here; `frame` lists those that are."
            raise ValueError(msg)
        told = {name: found[places[0]].why for name, found in self._scores.items()}
        told["outcome"] = self.outcomes[places[0]].why
        return {name: why for name, why in told.items() if why}

    @cached_property
    def sessions(self) -> "pd.DataFrame":
        """One row a session that insights rest on: its insights, their tokens, and coverage.

        Coverage is the share of the session's salient statements that some insight carries, superseded ones too; see
        `gallump_lab.study.scorecard.coverage`.
        """
        import pandas as pd

        by_session: dict[str, list[Stated]] = {}
        for each in self._everything:
            for session in {message.session_id for message in self._history.cited(each)}:
                by_session.setdefault(session, []).append(each)
        rows = [
            {
                "session_id": session,
                "insights": len(by_session.get(session, ())),
                "tokens": sum(tokens.count(f"{each.text}\n") for each in by_session.get(session, ())),
                "coverage": coverage(messages, by_session.get(session, ()), self._reader).value,
            }
            for session, messages in self._history.sessions.items()
        ]
        return pd.DataFrame(rows, columns=["session_id", "insights", "tokens", "coverage"])

    @property
    def coverage(self) -> tuple[float, float, float]:
        """The share of sessions' salient statements that insights carry, a session's mean, with its 95% interval."""
        return statistics.shares(self.sessions["coverage"], self.sessions["session_id"]).interval()

    @property
    def redundancy(self) -> float:
        """The share of the insights that say no more than an earlier one."""
        return repeated(self.insights, self._reader).value

    def grades(self) -> "pd.DataFrame":
        """Return how well each metric tells insights that people find useful (grades 2, 3) from others (0, 1).

        Returns
        -------
        pandas.DataFrame
            metric, auc, low, high, n_good, n_bad, unscored; empty without grades.
        """
        import pandas as pd

        useful = [each for each in self.insights if self._graded.get(each.insight_id, 0) >= 2]
        others = [each for each in self.insights if self._graded.get(each.insight_id, 9) < 2]
        rows = []
        for name in METRICS if useful or others else ():
            good, bad = (self._values(name, each, [self.at] * len(each)) for each in (useful, others))
            found = auc(good, bad, self._clusters(useful), self._clusters(others))
            rows.append(_area(name, found))
        return pd.DataFrame(rows, columns=["metric", *_AREA])

    def faults(self, seed: int = 0) -> "pd.DataFrame":
        """Make bad insights of these, and say which metric sees which fault.

        Each fault is made of every insight of which it can be; a metric's scores of the bad ones are compared with
        those of the very insights they were made of, so that what kind of insight can have the fault plays no part.
        All are judged as of the day after the original was said: it was current then, whatever came later.

        Parameters
        ----------
        seed : int
            For the faults' dice.

        Returns
        -------
        pandas.DataFrame
            fault, metric, auc (1: it sees all, one half: nothing), low and high (95%, clustered by session), n_good,
            n_bad, unscored.
        """
        import pandas as pd

        made: dict[str, list[tuple[Stated, Stated]]] = {}
        for fault, original, bad in inject(self._everything, self._history, seed, self.insights):
            made.setdefault(fault, []).append((original, bad))
        rows = []
        for fault, pairs in made.items():
            goods, bads = [good for good, _ in pairs], [bad for _, bad in pairs]
            clusters, moments = self._clusters(goods), [self._day_after(good) for good in goods]
            for name in METRICS:
                scored = [self._values(name, each, moments) for each in (goods, bads)]
                found = auc(scored[0], scored[1], clusters, clusters)
                rows.append({"fault": fault} | _area(name, found))
        return pd.DataFrame(rows, columns=["fault", "metric", *_AREA])

    def _values(self, metric: str, judged: Sequence[Stated], moments: Sequence[datetime]) -> "NDArray[np.float64]":
        """Return a metric's scores as of some moments so that more is better."""
        import numpy as np

        found = [self._score(metric, each, at).value for each, at in zip(judged, moments, strict=True)]
        return METRICS[metric].better * np.array(found, np.float64)

    def _day_after(self, each: Stated) -> datetime:
        """Return a moment at which an insight was current: the day after it was said."""
        return max((said.created_at for said in self._history.cited(each)), default=each.valid_from) + timedelta(days=1)

    def _clusters(self, judged: Sequence[Stated]) -> list[str]:
        """Return the session that each insight comes of."""
        found = []
        for each in judged:
            cited = self._history.cited(each)
            found.append(cited[-1].session_id if cited else "")
        return found

    def plot(self) -> "Picture":
        """Draw what COLD's tokens are worth: evidence recall and answer coverage with the tier and without.

        Raises
        ------
        NothingToMeasure
            If there are no labelled questions.
        """
        if self.utility is None:
            raise NothingToMeasure(self.trouble)
        return charts.worth(self.utility)

    def plot_verdicts(self) -> "Picture":
        """Draw how many insights of each kind earn their place, and what is wrong with the others."""
        return charts.verdicts(self)

    def plot_faults(self, seed: int = 0) -> "Picture":
        """Draw which metric sees which fault; see `faults`."""
        return charts.faults(self.faults(seed))

    def __repr__(self) -> str:
        """Return what the set holds, what it is worth, and what its insights are found to be."""
        found = len(self.insights)
        lines = [f"Scorecard of {found:,} insights at {self.at:%Y-%m-%d}"]
        if self.left_out:
            others = [f"{number:,} {reason}" for reason, number in sorted(self.left_out.items())]
            lines[0] += f", of {found + sum(self.left_out.values()):,}; not judged: {', '.join(others)}"
        within = interval(self.coverage, ".2f")
        lines.append(f"coverage of sessions' salient statements {within}, redundancy {self.redundancy:.3f}")
        if self.utility is None:
            lines.append(f"utility was not measured: {self.trouble}")
        else:
            for measure, name in (("recall", "evidence recall"), ("coverage", "answer coverage")):
                more = interval(self.utility.difference(measure=measure), "+.3f")
                lines.append(f"{name} against its tokens in WARM: {more}")
        counted = Counter(self.frame["verdict"])
        lines.append(", ".join(f"{counted[name]:,} {name}" for name in charts.VERDICTS if counted[name]))
        return "\n".join(lines)


_AREA = ("auc", "low", "high", "n_good", "n_bad", "unscored")


def _area(metric: str, found: Any) -> dict[str, Any]:
    return {"metric": metric, "auc": found.value} | {name: getattr(found, name) for name in _AREA[1:]}


def _bars(broker: Broker, kept: "dict[str, pd.DataFrame]", symbol: str) -> "pd.DataFrame":
    """Return all bars of a symbol, each symbol's once."""
    if symbol not in kept:
        kept[symbol] = broker.bars(symbol, ALL_BARS)
    return kept[symbol]

"""The scorecard: every insight judged by metrics that are each a small function, and the set as a whole."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gallump_lab import tokens
from gallump_lab.config import Budget
from gallump_lab.market.broker import Broker, FileBroker
from gallump_lab.store import Snapshot
from gallump_lab.study import statistics
from gallump_lab.study.rank import NothingToMeasure, Rankings, checked_snapshot, rank
from gallump_lab.study.scorecard import charts, claims, outcome
from gallump_lab.study.scorecard.coverage import coverage, specificity
from gallump_lab.study.scorecard.outcome import Outcome, Summary
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.redundancy import contradiction, redundancy, repeated
from gallump_lab.study.scorecard.staleness import staleness
from gallump_lab.study.scorecard.stated import Recorded, Score, Stated, chosen_of, moment_of, recorded
from gallump_lab.study.scorecard.utility import Utility, Worth, interval, utility

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from gallump_lab.study.pictures import Picture

ALL_BARS = 10**6
SUPPORTED = 0.35
"""Below so much support an insight is not supported: on the sample 3 percent of the good ones, nine in ten with a
changed number, symbol, date or source, seven in ten with a turned direction or an invented clause."""
DOUBT = 0.5
"""From so much redundancy, contradiction or staleness on an insight is in doubt."""
DOUBTS = {
    "support": "not supported",
    "staleness": "out of date",
    "contradiction": "contradicted",
    "redundancy": "repeats another",
}
"""The metrics that speak against an insight, the worst first, and what they say."""

Judge = Callable[[Stated, Sequence[Stated], Reader, datetime], Score]
"""Scores an insight beside the others that stand, by what its history teaches, as of a moment."""
METRICS: Mapping[str, tuple[Judge, int]] = {
    "support": (lambda one, _others, reader, _at: claims.support(one, reader), 1),
    **{
        name: (lambda one, _others, reader, _at, part=part: part(one, reader), 1)  # type: ignore[misc]
        for name, part in claims.PARTS.items()
    },
    "redundancy": (lambda one, others, reader, _at: redundancy(one, others, reader), -1),
    "specificity": (lambda one, _others, reader, _at: specificity(one, reader), 1),
    "contradiction": (lambda one, others, reader, _at: contradiction(one, others, reader), -1),
    "staleness": (lambda one, _others, reader, at: staleness(one, reader, at), -1),
}
"""The metrics that need no questions and no bars, by name, each with 1 if more is better, -1 if less is."""


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

    Examples
    --------
    >>> card = study.insights(lab.snapshot())
    >>> card.frame[["text", "verdict", "why"]]
    """
    checked_snapshot(snapshot)
    _check(ranks, budget, broker)
    found = recorded(snapshot)
    moment = moment_of(found, at)
    judged, left_out = chosen_of(found, chosen, moment)
    budget = found.config.budget if budget is None else budget
    trouble = ""
    if ranks is None:
        try:
            ranks = rank(snapshot, hot=budget.hot, warm=budget.warm + budget.cold, cold=budget.cold)
        except NothingToMeasure as error:
            trouble = str(error)
    return Scorecard(
        found,
        judged,
        at=moment or judged[-1].valid_from,
        broker=FileBroker() if broker is None else broker,
        utility=None if ranks is None else utility(ranks, budget=budget),
        left_out=left_out,
        trouble=trouble,
    )


class Scorecard:
    """A lab's insights, judged; `study.insights` makes it.

    Attributes
    ----------
    insights : list of Stated
        Those that are judged, in order of arrival.
    known : sequence of Stated
        All of the lab's, superseded and retired ones too.
    history : History
        The talk that they rest on.
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
        found: Recorded,
        judged: Sequence[Stated],
        *,
        at: datetime,
        broker: Broker,
        utility: Utility | None,
        left_out: Mapping[str, int],
        trouble: str,
    ) -> None:
        self.insights, self.known, self.history = list(judged), found.insights, found.history
        self.at, self.utility, self.left_out, self.trouble = at, utility, dict(left_out), trouble
        self._grades, self._broker = found.grades, broker
        self._kept_bars: dict[str, pd.DataFrame] = {}
        self._reader = Reader(self.history, self._bars)

    def _bars(self, symbol: str) -> "pd.DataFrame":
        """Return all bars of a symbol, each symbol's once."""
        if symbol not in self._kept_bars:
            self._kept_bars[symbol] = self._broker.bars(symbol, ALL_BARS)
        return self._kept_bars[symbol]

    def score(self, metric: str, insight: Stated, at: datetime | None = None) -> Score:
        """Return a metric's score of an insight, also of one that the lab has not, beside those that are judged.

        Parameters
        ----------
        metric : str
            One of `METRICS`.
        insight : Stated
            The insight; it takes the place of the judged one of its id.
        at : datetime, optional
            As of which moment; the scorecard's by default.

        Raises
        ------
        ValueError
            If there is no such metric.
        """
        if metric not in METRICS:
            msg = f"metric must be one of {', '.join(METRICS)}, not {metric!r}."
            raise ValueError(msg)
        others = [each for each in self.insights if each.insight_id != insight.insight_id]
        return METRICS[metric][0](insight, others, self._reader, at or self.at)

    def scores(self, metric: str) -> list[Score]:
        """Return one metric's score of each insight, with its reason; raises as `score`."""
        return [self.score(metric, each) for each in self.insights]

    @cached_property
    def _scores(self) -> Mapping[str, Sequence[Score]]:
        return {name: self.scores(name) for name in METRICS}

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """What became of each insight's forecast, one an insight; `outcome` sums them up."""
        return [outcome.of(each, self._bars(each.symbol or "")) for each in self.insights]

    @property
    def outcome(self) -> Summary:
        """How many forecasts are decided, how many bore out, and how often such moves come anyway."""
        return outcome.summary(self.outcomes)

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
            base_rate (of such moves); grade (people's); verdict (see `VERDICTS`); why, in words.
        """
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for place, (each, came) in enumerate(zip(self.insights, self.outcomes, strict=True)):
            scores = {name: found[place] for name, found in self._scores.items()}
            worth = None if self.utility is None else self.utility.worth.get(each.insight_id, Worth())
            row = {name: getattr(each, name) for name in ("insight_id", "kind", "symbol", "text")}
            row["tokens"] = tokens.count(f"{each.text}\n")
            row |= {name: score.value for name, score in scores.items()}
            row["shown"], row["helped"] = (math.nan, math.nan) if worth is None else (worth.shown, worth.helped)
            row["recall_lost"] = math.nan if worth is None else worth.recall
            row["coverage_lost"] = math.nan if worth is None else worth.coverage
            row["outcome"], row["base_rate"] = came.bore_out, came.base_rate
            row["grade"] = self._grades.get(each.insight_id, math.nan)
            row["verdict"], row["why"] = _verdict(scores, worth)
            rows.append(row)
        return pd.DataFrame(rows)

    def reasons(self, insight_id: int) -> dict[str, str]:
        """Return by metric what an insight lacks for the best score, or why it was not scored.

        Raises
        ------
        ValueError
            If the insight is not judged here.
        """
        for place, each in enumerate(self.insights):
            if each.insight_id == insight_id:
                lacks = {name: found[place].why for name, found in self._scores.items()}
                return {name: why for name, why in (lacks | {"outcome": self.outcomes[place].why}).items() if why}
        msg = f"insight_id {insight_id!r} is not judged here; `frame` lists those that are."
        raise ValueError(msg)

    @cached_property
    def sessions(self) -> "pd.DataFrame":
        """One row a session: session_id, and of its insights, superseded ones too, their number, tokens and coverage.

        Coverage is the share of the session's salient statements that some insight carries; see `coverage`.
        """
        import pandas as pd

        of: dict[str, list[Stated]] = {session: [] for session in self.history.sessions}
        for each in self.known:
            for session in {message.session_id for message in self.history.cited(each)}:
                of[session].append(each)
        rows = [
            {
                "session_id": session,
                "insights": len(of[session]),
                "tokens": sum(tokens.count(f"{each.text}\n") for each in of[session]),
                "coverage": coverage(messages, of[session], self._reader).value,
            }
            for session, messages in self.history.sessions.items()
        ]
        return pd.DataFrame(rows, columns=["session_id", "insights", "tokens", "coverage"])

    @property
    def coverage(self) -> tuple[float, float, float]:
        """The share of sessions' salient statements that insights carry, a session's mean, with its 95% interval."""
        return statistics.shares(self.sessions["coverage"], self.sessions["session_id"]).interval()

    @property
    def redundancy(self) -> float:
        """The share of the insights that say no more than an earlier one."""
        return repeated(self.insights).value

    def grades(self) -> "pd.DataFrame":
        """Return how well each metric tells insights that people find useful (grades 2, 3) from others (0, 1).

        Returns
        -------
        pandas.DataFrame
            metric, auc (area under the ROC curve: 1 tells all apart, one half none), low and high (95%, clustered by
            session), n_good, n_bad, unscored; empty without grades.
        """
        import pandas as pd

        graded = [(each, self._grades[each.insight_id]) for each in self.insights if each.insight_id in self._grades]
        sides = [[each for each, grade in graded if (grade >= 2) == good] for good in (True, False)]
        sessions = [[self._session(each) for each in side] for side in sides]
        rows = [
            {"metric": name} | statistics.auc(*(self._values(name, side) for side in sides), *sessions)._asdict()
            for name in (METRICS if graded else ())
        ]
        return pd.DataFrame(rows, columns=["metric", *statistics.Area._fields])

    def _session(self, insight: Stated) -> str:
        """Return the session that an insight comes of; empty where it cites none."""
        return next((message.session_id for message in reversed(self.history.cited(insight))), "")

    def _values(self, metric: str, judged: Sequence[Stated]) -> "NDArray[np.float64]":
        """Return a metric's scores so that more is better."""
        import numpy as np

        return METRICS[metric][1] * np.array([self.score(metric, each).value for each in judged], np.float64)

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
        return charts.verdicts(self.frame)

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


def _verdict(scores: Mapping[str, Score], worth: Worth | None) -> tuple[str, str]:
    """Return in a word what is to be said of an insight, the worst first, and in words why.

    Where utility was not measured (`worth` is None) the best that can be said is that nothing is against it.
    """
    for metric, name in DOUBTS.items():
        value = scores[metric].value
        if value < SUPPORTED if metric == "support" else value >= DOUBT:
            return name, scores[metric].why
    if worth is None:
        scored = [metric for metric in DOUBTS if not math.isnan(scores[metric].value)]
        if not scored:
            return "not measured", scores["support"].why
        lacks = "" if "support" in scored else f" Not support: {scores['support'].why}"
        return "nothing against it", f"Scored: {', '.join(scored)}.{lacks}"
    if not worth.shown:
        return "not shown", "No labelled question's prompt holds it."
    asked = f"{worth.shown:,} question{'s' * (worth.shown != 1)}"
    if not worth.helped:
        return "shown, helped nobody", f"It stands in the prompts of {asked}, which lose nothing without it."
    return "helps", f"{worth.helped:,} of {asked} would hold less without it."


def _check(ranks: object, budget: object, broker: object) -> None:
    """Refuse arguments of another kind; None is always right."""
    if ranks is not None and not isinstance(ranks, Rankings):
        msg = f"ranks must be what study.rank(snapshot) gives, not {ranks!r}; leave it out to rank here."
        raise ValueError(msg)
    if budget is not None and not isinstance(budget, Budget):
        msg = f"budget must be a Budget, such as Budget(cold=300), not {budget!r}."
        raise ValueError(msg)
    if broker is not None and not callable(getattr(broker, "bars", None)):
        msg = (
            f"broker must have a method bars(symbol, days), as FileBroker has; {type(broker).__name__} has none. "
            "Leave it out for the bundled bars."
        )
        raise ValueError(msg)

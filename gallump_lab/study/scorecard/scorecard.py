"""The scorecard: every insight judged by metrics that are each a small function, and the set as a whole."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property, partial
from typing import Any

from gallump_lab import tokens
from gallump_lab.config import Budget
from gallump_lab.lazy import alt, pd
from gallump_lab.market.broker import Broker, FileBroker
from gallump_lab.memory.records import check
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Snapshot
from gallump_lab.study import statistics
from gallump_lab.study.pictures import Picture, picture
from gallump_lab.study.rank import NothingToMeasure, Rankings, checked_ranks, checked_snapshot, rank
from gallump_lab.study.scorecard import outcome
from gallump_lab.study.scorecard.history import Recorded, Score, Stated, chosen_of, moment_of, recorded
from gallump_lab.study.scorecard.metrics import METRICS, coverage
from gallump_lab.study.scorecard.outcome import Outcome, Summary
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.standing import repeated
from gallump_lab.study.scorecard.utility import MEASURES, Utility, Worth, utility

ALL_BARS = 10**6
SUPPORTED = 0.35
"""Below so much support an insight is not supported: on the sample 5 percent of the good ones, nearly all with a
changed number, symbol, date or source, half of those with a turned direction or an invented clause."""
DOUBT = 0.5
"""From so much redundancy, contradiction or staleness on an insight is in doubt."""
DOUBTS = {
    "support": "not supported",
    "staleness": "out of date",
    "contradiction": "contradicted",
    "redundancy": "repeats another",
}
"""The metrics that speak against an insight, the worst first, and what they say."""

VERDICTS = {
    "helps": "#2FA488",
    "nothing against it": "#99D8C9",
    "shown, helped nobody": "#7C6A52",
    "not shown": "#BBBBBB",
    "not measured": "#DDDDDD",
    "repeats another": "#7285A0",
    "contradicted": "#D566DE",
    "out of date": "#7040F6",
    "not supported": "#F7236E",
}
"""What is said of an insight, from best to worst, with its colour.

"nothing against it" is the best word where there are no labelled questions to measure utility with, and "not measured"
is said where no metric could be scored either.
"""


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
    if ranks is not None:
        checked_ranks(ranks)
    check(budget is None or isinstance(budget, Budget), "budget", "a Budget, such as Budget(cold=300)", budget)
    can = broker is None or callable(getattr(broker, "bars", None))
    check(can, "broker", "a broker with a method bars(symbol, days)", broker)
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
        self._grades, self._bars = found.grades, cache(partial(broker.bars, days=ALL_BARS))
        self._reader = Reader(self.history, self._bars)

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
        """
        others = [each for each in self.insights if each.insight_id != insight.insight_id]
        return METRICS[metric][0](insight, others, self._reader, at or self.at)

    @cached_property
    def _scores(self) -> Mapping[str, Sequence[Score]]:
        return {name: [self.score(name, each) for each in self.insights] for name in METRICS}

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

    @cached_property
    def sessions(self) -> "pd.DataFrame":
        """One row a session: session_id, and of its insights, superseded ones too, their number, tokens and coverage.

        Coverage is the share of the session's salient statements that some insight carries; see `coverage`.
        """
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
        rows: list[dict[str, Any]] = []
        graded = [each for each in self.insights if each.insight_id in self._grades]
        sides = [[each for each in graded if (self._grades[each.insight_id] >= 2) == good] for good in (True, False)]
        cited = [[self.history.cited(each) for each in side] for side in sides]
        sessions = [[each[-1].session_id if each else "" for each in side] for side in cited]
        for name in METRICS if graded else ():
            values = [[METRICS[name][1] * self.score(name, each).value for each in side] for side in sides]
            rows.append({"metric": name} | statistics.auc(*values, *sessions)._asdict())
        return pd.DataFrame(rows, columns=["metric", *statistics.Area._fields])

    def plot(self) -> Picture:
        """Draw what COLD's tokens are worth: evidence recall and answer coverage with the tier and without.

        Raises
        ------
        NothingToMeasure
            If there are no labelled questions.
        """
        if self.utility is None:
            raise NothingToMeasure(self.trouble)
        return self.utility.plot()

    def plot_verdicts(self) -> Picture:
        """Draw how many insights of each kind earn their place, and what is wrong with the others."""
        found = self.frame.groupby(["kind", "verdict"]).size().rename("insights").reset_index()
        names = [name for name in VERDICTS if name in set(found["verdict"])]
        found["place"] = found["verdict"].map(names.index)
        order = found.groupby("kind")["insights"].sum().sort_values(ascending=False).index.tolist()
        colours = alt.Scale(domain=names, range=[VERDICTS[name] for name in names])
        chart = (
            alt.Chart(found)
            .mark_bar()
            .encode(
                y=alt.Y("kind:N", sort=order, title=None),
                x=alt.X("insights:Q", title="insights"),
                color=alt.Color("verdict:N", sort=names, title=None, scale=colours),
                order=alt.Order("place:Q"),
                tooltip=["kind", "verdict", "insights"],
            )
        )
        totals = self.frame["verdict"].value_counts()
        words = f"Insights: {'; '.join(f'{name}: {totals[name]:,}' for name in names)}"
        return picture(chart, words, "Which insights earn their place", "by kind", width=460, height={"step": 24})

    def __repr__(self) -> str:
        """Return what the set holds, what it is worth, and what its insights are found to be."""
        found = len(self.insights)
        lines = [f"Scorecard of {found:,} insights at {self.at:%Y-%m-%d}"]
        if self.left_out:
            others = [f"{number:,} {reason}" for reason, number in sorted(self.left_out.items())]
            lines[0] += f", of {found + sum(self.left_out.values()):,}; not judged: {', '.join(others)}"
        within = statistics.shown(self.coverage, ".2f")
        lines.append(f"insights carry {within} of what sessions stated; {self.redundancy:.3f} repeats another")
        if self.utility is None:
            lines.append(f"utility was not measured: {self.trouble}")
        else:
            for measure, name in MEASURES.items():
                more = statistics.shown(self.utility.difference(measure=measure), "+.3f")
                lines.append(f"{name}: {more} against its tokens in WARM")
        totals = Counter(self.frame["verdict"])
        lines.append("; ".join(f"{name}: {totals[name]:,}" for name in VERDICTS if totals[name]))
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
    asked = counted(worth.shown, "questions")
    if not worth.helped:
        return "shown, helped nobody", f"It stands in the prompts of {asked}, which would hold as much without it."
    return "helps", f"{worth.helped:,} of {asked} would hold less without it."

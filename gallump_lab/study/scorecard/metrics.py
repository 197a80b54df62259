"""The metrics of single insights that need no questions and no bars, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gallump_lab.study.scorecard.claims import PARTS, part, support
from gallump_lab.study.scorecard.contradiction import contradiction
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.records import Score, Stated
from gallump_lab.study.scorecard.redundancy import redundancy
from gallump_lab.study.scorecard.specificity import specificity
from gallump_lab.study.scorecard.staleness import staleness

Others = Sequence[Stated]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric as the scorecard uses it."""

    judge: Callable[[Stated, Others, Reader, datetime], Score]
    """Of an insight, the others that stand beside it, what the history teaches, and the moment."""
    better: int
    """1 if more is better, -1 if less is."""


METRICS: Mapping[str, Metric] = {
    "support": Metric(judge=lambda one, _others, reader, _at: support(one, reader), better=1),
    **{
        name: Metric(judge=lambda one, _others, reader, _at, name=name: part(name, one, reader), better=1)  # type: ignore[misc]
        for name in PARTS
    },
    "redundancy": Metric(judge=lambda one, others, reader, _at: redundancy(one, others, reader), better=-1),
    "specificity": Metric(judge=lambda one, _others, reader, _at: specificity(one, reader), better=1),
    "contradiction": Metric(judge=lambda one, others, reader, _at: contradiction(one, others, reader), better=-1),
    "staleness": Metric(judge=lambda one, _others, reader, at: staleness(one, reader, at), better=-1),
}

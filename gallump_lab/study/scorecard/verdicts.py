"""The verdict on an insight: a word for what is to be said of it, and why."""

import math
from collections.abc import Mapping

from gallump_lab.study.scorecard.records import Score
from gallump_lab.study.scorecard.utility import Worth

SUPPORTED = 0.35
"""Below so much support an insight is not supported: on the sample 3 percent of the good ones, nine in ten with a
changed number, symbol, date or source, seven in ten with a turned direction or an invented clause."""
DOUBT = 0.5
"""From so much redundancy, contradiction or staleness on an insight is in doubt."""
_DOUBTS = {
    "support": "not supported",
    "staleness": "out of date",
    "contradiction": "contradicted",
    "redundancy": "repeats another",
}
"""The metrics that speak against an insight, the worst first, and what they say."""


def verdict(scores: Mapping[str, Score], worth: Worth | None) -> tuple[str, str]:
    """Say in a word what is to be said of an insight, the worst first, and in words why.

    Parameters
    ----------
    scores : mapping
        By metric.
    worth : Worth or None
        None where utility was not measured: then the best that can be said is that nothing is against it.
    """
    for metric, name in _DOUBTS.items():
        value = scores[metric].value
        if value < SUPPORTED if metric == "support" else value >= DOUBT:
            return name, scores[metric].why
    if worth is None:
        return _unasked(scores)
    if not worth.shown:
        return "not shown", "No labelled question's prompt holds it."
    asked = f"{worth.shown:,} question{'s' * (worth.shown != 1)}"
    if not worth.helped:
        return "shown, helped nobody", f"It stands in the prompts of {asked}, which lose nothing without it."
    return "helps", f"{worth.helped:,} of {asked} would hold less without it."


def _unasked(scores: Mapping[str, Score]) -> tuple[str, str]:
    scored = [metric for metric in _DOUBTS if not math.isnan(scores[metric].value)]
    if not scored:
        return "not measured", scores["support"].why
    lacks = "" if "support" in scored else f" Not support: {scores['support'].why}"
    return "nothing against it", f"Scored: {', '.join(scored)}.{lacks}"

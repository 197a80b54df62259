"""How well a metric tells faulty insights from good ones: the area under the ROC curve, with an interval that holds.

The area is the probability that a faulty insight scores worse than a good one, plus half that of a tie (Bamber 1975,
"The area above the ordinal dominance graph"): 1 where every faulty one scores worse, one half where the metric sees
nothing, 0 where it has it the wrong way round.

Insights of one conversation resemble each other, so its interval is cluster-robust: the jackknife's over conversations,
of the area's log-odds, with Student's t (see `gallump_lab.study.statistics`). Where conversations agree they show no
spread, so no interval is narrower than so many independent insights would give (Newcombe 2006, "Confidence intervals
for an effect size measure based on the Mann-Whitney statistic. Part 2", method 5, after Hanley and McNeil 1982). That
one has a width even where all faulty ones score worse.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gallump_lab.study.statistics import CLUSTERS, LEVEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Words = NDArray[np.str_]


@dataclass(frozen=True, kw_only=True)
class Area:
    """The area under a ROC curve, with its interval."""

    value: float
    """NaN where no good or no faulty insight was scored."""
    low: float
    """NaN where the good or the faulty ones come from fewer than five conversations."""
    high: float
    n_good: int
    """How many good insights were scored."""
    n_bad: int
    """How many faulty ones."""
    unscored: int
    """How many of either had no score: NaN."""


def auc(good: "ArrayLike", bad: "ArrayLike", good_clusters: "ArrayLike", bad_clusters: "ArrayLike") -> Area:
    """Return the area under the ROC curve: P(bad < good) + P(bad = good) / 2, that is U / (n_good n_bad).

    U is Mann and Whitney's (1947, "On a test of whether one of two random variables is stochastically larger than the
    other").

    Parameters
    ----------
    good, bad : array of float
        Scores of good and of faulty insights, the higher the better; NaN is unscored and left out.
    good_clusters, bad_clusters : array
        The conversation (or session) of each; a faulty insight has that of the one it was made of.

    Raises
    ------
    ValueError
        If there is not one conversation for each score.
    """
    import numpy as np
    from scipy import special  # type: ignore[import-untyped]

    one, other = _scored("good", good, good_clusters), _scored("bad", bad, bad_clusters)
    n, m = len(one[0]), len(other[0])
    unscored = np.size(good) + np.size(bad) - n - m
    if not n or not m:
        return Area(value=np.nan, low=np.nan, high=np.nan, n_good=n, n_bad=m, unscored=unscored)
    wins, left, goods, bads = _without_each(one, other)
    value, number = wins / (n * m), len(left)
    low = high = np.nan
    # The fewer conversations decide: twenty with good insights do not make up for five with faulty ones.
    fewest = min(int((goods > 0).sum()), int((bads > 0).sum()))
    if fewest >= CLUSTERS:
        odds = _log_odds(value, min(n, m))
        without = _log_odds(left / ((n - goods) * (m - bads)), np.minimum(n - goods, m - bads))
        spread = (number - 1) / number * ((without - odds) ** 2).sum()
        reach = special.stdtrit(fewest - 1, (1 + LEVEL) / 2) * np.sqrt(spread)
        least, most = independent(value, n, m)
        low = min(float(special.expit(odds - reach)), least, value)
        high = max(float(special.expit(odds + reach)), most, value)
    return Area(value=value, low=low, high=high, n_good=n, n_bad=m, unscored=unscored)


def independent(value: float, n_good: int, n_bad: int) -> tuple[float, float]:
    """Return the interval of an area if all insights were independent: Newcombe's method 5.

    Its ends are the areas a whose distance from `value` is z times Hanley and McNeil's standard error at a:
    sqrt(a (1 - a) (1 + k (1 - a) / (2 - a) + k a / (1 + a)) / (n m)), where k is (n + m) / 2 - 1.
    """
    return _least(value, n_good, n_bad), 1 - _least(1 - value, n_good, n_bad)


def fault_table(
    scores: "Mapping[str, tuple[ArrayLike, Mapping[str, ArrayLike]]]",
    clusters: "tuple[ArrayLike, Mapping[str, ArrayLike]]",
) -> "pd.DataFrame":
    """Return which metric sees which fault.

    Parameters
    ----------
    scores : mapping
        By name of a metric: the scores of the good insights, and by name of a fault those of the faulty ones; the
        higher the better.
    clusters : tuple
        In the same order: the conversations of the good insights, and by name of a fault those of the faulty ones.

    Returns
    -------
    pandas.DataFrame
        One row a metric and fault: metric, fault, auc, low, high, n_good, n_bad, unscored; see `Area`.

    Raises
    ------
    ValueError
        If the conversations of a fault are missing, or there is not one for each score.
    """
    import pandas as pd

    of_good, of_bad = clusters
    rows = []
    for metric, (good, faulty) in scores.items():
        for fault, bad in faulty.items():
            if fault not in of_bad:
                msg = f"clusters has no conversations of the fault {fault!r}, only of {', '.join(of_bad) or 'none'}."
                raise ValueError(msg)
            found = auc(good, bad, of_good, of_bad[fault])
            numbers = {"n_good": found.n_good, "n_bad": found.n_bad, "unscored": found.unscored}
            area = {"auc": found.value, "low": found.low, "high": found.high}
            rows.append({"metric": metric, "fault": fault} | area | numbers)
    return pd.DataFrame(rows, columns=["metric", "fault", "auc", "low", "high", "n_good", "n_bad", "unscored"])


def _scored(name: str, scores: "ArrayLike", clusters: "ArrayLike") -> "tuple[Floats, Words]":
    """Leave out what has no score."""
    import numpy as np

    values, groups = np.asarray(scores, np.float64), np.asarray(clusters, str)
    if values.ndim != 1 or values.shape != groups.shape:
        msg = (
            f"{name} must be a list of scores with one conversation each, "
            f"not of the shapes {values.shape} and {groups.shape}."
        )
        raise ValueError(msg)
    scored = ~np.isnan(values)
    return values[scored], groups[scored]


def _without_each(good: "tuple[Floats, Words]", bad: "tuple[Floats, Words]") -> "tuple[float, Floats, Floats, Floats]":
    """Return U, and by conversation: U without it, and how many good and faulty insights it holds."""
    import numpy as np

    names, group = np.unique(np.concatenate([good[1], bad[1]]), return_inverse=True)
    mine, yours, number = group[: len(good[0])], group[len(good[0]) :], len(names)
    beaten, beating = _beaten(good[0], bad[0]), len(good[0]) - _beaten(bad[0], good[0])
    inside = [_beaten(good[0][mine == each], bad[0][yours == each]).sum() for each in range(number)]
    lost = np.bincount(mine, beaten, number) + np.bincount(yours, beating, number) - np.array(inside)
    wins = float(beaten.sum())
    goods, bads = (np.bincount(each, minlength=number).astype(np.float64) for each in (mine, yours))
    return wins, wins - lost, goods, bads


def _beaten(scores: "Floats", others: "Floats") -> "Floats":
    """Count for each score the others that are lower, and half of those that are equal."""
    import numpy as np

    ordered = np.sort(others)
    found: Floats = (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / 2
    return found


def _log_odds(area: "Floats | float", n: "Floats | int") -> "Floats":
    """Return the log-odds of an area, half an insight told and half a one mistaken added to the fewer of both kinds."""
    import numpy as np

    found: Floats = np.log((area * n + 0.5) / ((1 - area) * n + 0.5))
    return found


def _least(value: float, n_good: int, n_bad: int) -> float:
    """Return the lower end of the interval of independent insights."""
    from scipy import optimize, special

    if value <= 0:
        return 0.0
    z, k = float(special.ndtri((1 + LEVEL) / 2)), (n_good + n_bad) / 2 - 1

    def apart(area: float) -> float:
        spread = area * (1 - area) * (1 + k * (1 - area) / (2 - area) + k * area / (1 + area))
        return (value - area) ** 2 * n_good * n_bad - z * z * spread

    # At an area of 1 both terms vanish, so that end is left out of the search.
    found: float = optimize.brentq(apart, 0.0, min(value, 1 - 1e-12))
    return found

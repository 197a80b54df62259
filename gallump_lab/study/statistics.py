"""Statistics that hold where questions come in clusters: those of one conversation resemble each other.

Intervals are cluster-robust: the variance is the jackknife's over conversations, with Student's t of G - 1 degrees for
G of them (MacKinnon, Nielsen and Webb 2023, "Cluster-robust inference: A guide to empirical practice"). A share's is
taken of its log-odds, so it lies within 0 and 1. Where all conversations agree they show no spread, so no interval is
narrower than so many independent questions would give: of yes and no Clopper and Pearson's (1934), made for counts; of
fractions, such as the part of an answer's words, Student's, with half a 0 and half a 1 more than was seen; likewise for
differences half a question won and half one lost (after Agresti and Min 2005). Below five conversations there is none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # type: ignore[import-untyped]

from gallump_lab.reading.text_files import counted

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CLUSTERS = 5
"""Of fewer conversations no interval is given."""
LEVEL = 0.95
Interval = tuple[float, float, float]
"""A value, its low and its high; NaN where there is none."""


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """Means with their intervals, a value a column of what was given."""

    value: Floats
    """NaN where nothing was scored."""
    low: Floats
    """NaN below five conversations."""
    high: Floats
    p: Floats
    """The two-sided probability of a mean so far from 0 if the true one is 0; NaN for shares."""
    n: NDArray[np.int64]
    """How many questions were scored."""
    clusters: NDArray[np.int64]
    """In how many conversations."""

    def interval(self, column: int = 0) -> Interval:
        """Return one column's value, low and high."""
        return float(self.value[column]), float(self.low[column]), float(self.high[column])


def shares(values: ArrayLike, clusters: ArrayLike) -> Estimates:
    """Estimate the mean of values from 0 to 1.

    Parameters
    ----------
    values : array of float
        (questions,) or (questions, columns); NaN is unscored and left out of its column.
    clusters : array
        (questions,): the conversation of each.

    Examples
    --------
    >>> shares([1, 0, 1, 1, 1], ["a", "b", "c", "d", "e"]).interval()
    """
    sums, counts = _by_cluster(values, clusters)
    total, n = sums.sum(0), counts.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        odds, without = _log_odds(total, n), _log_odds(total - sums, n - counts)
        reach = _reach(without - odds, counts)
        least, most = _alone(values, total, n)
        low, high = np.fmin(special.expit(odds - reach), least), np.fmax(special.expit(odds + reach), most)
    return _estimates(mean, np.minimum(low, mean), np.maximum(high, mean), np.full(mean.shape, np.nan), counts)


def differences(values: ArrayLike, clusters: ArrayLike) -> Estimates:
    """Estimate the mean of differences of shares, paired by question, and how likely it is by chance.

    The arguments are those of `shares`; the values lie within -1 and 1.
    """
    sums, counts = _by_cluster(values, clusters)
    total, n, freedom = sums.sum(0), counts.sum(0), (counts > 0).sum(0) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, times = total / n, special.stdtrit(freedom, (1 + LEVEL) / 2)
        reach = np.fmax(_reach((total - sums) / (n - counts) - mean, counts), times / (n + 2))
        p = 2 * special.stdtr(freedom, -np.abs(mean) / (reach / times))
    return _estimates(mean, np.maximum(mean - reach, -1), np.minimum(mean + reach, 1), p, counts)


def means(values: ArrayLike, clusters: ArrayLike) -> Estimates:
    """Estimate the mean of amounts from 0 on, such as USD; the arguments are those of `shares`."""
    sums, counts = _by_cluster(values, clusters)
    total, n = sums.sum(0), counts.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        reach = _reach((total - sums) / (n - counts) - mean, counts)
    return _estimates(mean, np.maximum(mean - reach, 0), mean + reach, np.full(mean.shape, np.nan), counts)


def _estimates(mean: Floats, low: Floats, high: Floats, p: Floats, counts: Floats) -> Estimates:
    """Return estimates, without what so few conversations cannot tell."""
    number = (counts > 0).sum(0)
    low, high, p = (np.where(number >= CLUSTERS, each, np.nan) for each in (low, high, p))
    n = counts.sum(0).astype(np.int64)
    return Estimates(value=mean, low=low, high=high, p=p, n=n, clusters=number.astype(np.int64))


def _by_cluster(values: ArrayLike, clusters: ArrayLike) -> tuple[Floats, Floats]:
    """Sum and count the scored values of each conversation: (conversations, columns) each."""
    given = np.asarray(values, np.float64)
    table = given if given.ndim > 1 else given[:, None]
    _, group = np.unique(np.asarray(clusters, str), return_inverse=True)
    number = int(group.max(initial=-1)) + 1
    # One after the other, so that a column's sum does not depend on how many there are.
    scored = ~np.isnan(table)
    sums = [np.bincount(group, column, number) for column in np.where(scored, table, 0).T]
    counts = [np.bincount(group, column, number) for column in scored.T]
    return np.stack(sums, 1), np.stack(counts, 1)


def _log_odds(sums: Floats, n: Floats) -> Floats:
    """Return the log-odds of a share, half a success and half a failure added (Haldane 1956, Anscombe 1956)."""
    found: Floats = np.log((sums + 0.5) / (n - sums + 0.5))
    return found


def _alone(values: ArrayLike, sums: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Return each column's interval as if its questions were independent: exact of yes and no, else Student's."""
    given = np.asarray(values, np.float64).reshape(-1, len(n))
    mean = (sums + 0.5) / (n + 1)
    spread = (np.nansum(given**2, 0) + 0.5) / (n + 1) - mean**2
    reach = special.stdtrit(np.maximum(n - 1, 1), (1 + LEVEL) / 2) * np.sqrt(spread / (n + 1))
    counts = np.all((given == 0) | (given == 1) | np.isnan(given), axis=0)
    tail, none = (1 - LEVEL) / 2, n - sums
    low = np.where(sums > 0, special.betaincinv(sums, none + 1, tail), 0)
    high = np.where(none > 0, special.betaincinv(sums + 1, none, 1 - tail), 1)
    return np.where(counts, low, np.maximum(mean - reach, 0)), np.where(counts, high, np.minimum(mean + reach, 1))


def _reach(shifts: Floats, counts: Floats) -> Floats:
    """Return half an interval's width from how far each conversation's absence shifts the estimate."""
    there = counts > 0
    number, spread = there.sum(0), np.where(there, shifts, 0) ** 2
    found: Floats = special.stdtrit(number - 1, (1 + LEVEL) / 2) * np.sqrt((number - 1) / number * spread.sum(0))
    return found


def holm(p: ArrayLike) -> Floats:
    """Adjust the probabilities of several comparisons so that the chance of any false one stays below the level.

    Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure"; NaN stays NaN and counts as no comparison.
    """
    found = np.array(p, np.float64)
    order = np.argsort(found, kind="stable")[: np.count_nonzero(~np.isnan(found))]
    steps = np.arange(len(order), 0, -1) * found[order]
    found[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return found


def caution(clusters: Sequence[Any]) -> list[str]:
    """Return in words that the conversations are too few for an interval; nothing where they are not."""
    number = len(set(map(str, clusters)))
    words = f"only {counted(number, 'conversations')}; an interval needs {CLUSTERS}: the means are of these alone "
    return [f"{words}and say nothing of others."] if number < CLUSTERS else []


def shown(interval: Interval, form: str = ".3f") -> str:
    """Return an interval as it is read, its figures in a format such as "+.3f" or ".0%"."""
    value, low, high = interval
    return f"{value:{form}}" + ("" if math.isnan(low) else f" [{low:{form}}, {high:{form}}]")


def verdict(gain: Interval, p: float = 0.0) -> str:
    """Return in words whether a difference is one; `p` is adjusted for the number of comparisons."""
    _, low, high = gain
    if math.isnan(low):
        return "too few conversations to tell it from chance"
    if low <= 0 <= high:
        return "a difference inside the noise"
    if p >= 1 - LEVEL:
        return "a difference inside the noise of so many comparisons"
    return "better, beyond chance" if low > 0 else "worse, beyond chance"


class Area(NamedTuple):
    """The area under a ROC curve, with its interval."""

    auc: float
    """NaN where no good or no bad one was scored."""
    low: float
    """NaN where the good or the bad ones come from fewer than five conversations."""
    high: float
    n_good: int
    """How many good ones were scored."""
    n_bad: int
    unscored: int
    """How many of either had no score: NaN."""


def auc(good: ArrayLike, bad: ArrayLike, good_clusters: ArrayLike, bad_clusters: ArrayLike) -> Area:
    """Return the area under the ROC curve: P(bad < good) + P(bad = good) / 2 (Mann and Whitney 1947's U / n m).

    It is the mean of the good ones' placements (the share of the bad that each exceeds), and of the bad ones' (DeLong,
    DeLong and Clarke-Pearson 1988). Each mean has its interval, clustered by conversation (`shares`); their squared
    reaches add up to that of the area (Zou and Donner 2008).

    Parameters
    ----------
    good, bad : array of float
        Scores of good and of bad ones, the higher the better; NaN is unscored and left out.
    good_clusters, bad_clusters : array
        The conversation of each.

    Raises
    ------
    ValueError
        If there is not one conversation for each score.

    Examples
    --------
    >>> auc([3, 2], [1, 2], ["a", "b"], ["a", "b"]).auc
    0.875
    """
    scored = []
    for name, scores, clusters in (("good", good, good_clusters), ("bad", bad, bad_clusters)):
        values, groups = np.asarray(scores, np.float64), np.asarray(clusters, str)
        if values.ndim != 1 or values.shape != groups.shape:
            msg = f"{name} needs one conversation for each score: {values.size:,}, not {groups.size:,}."
            raise ValueError(msg)
        scored.append((values[~np.isnan(values)], groups[~np.isnan(values)]))
    (one, mine), (other, yours) = scored
    n, m = len(one), len(other)
    unscored = np.size(good) + np.size(bad) - n - m
    if not n or not m:
        return Area(math.nan, math.nan, math.nan, n, m, unscored)
    sides = [shares(_exceeded(one, other), mine), shares(1 - _exceeded(other, one), yours)]
    value = float(sides[0].value[0])
    down = math.hypot(*(value - float(each.low[0]) for each in sides))
    up = math.hypot(*(float(each.high[0]) - value for each in sides))
    # Unlike min and max, these keep NaN.
    return Area(value, float(np.maximum(value - down, 0)), float(np.minimum(value + up, 1)), n, m, unscored)


def _exceeded(scores: Floats, others: Floats) -> Floats:
    """Return for each score the share of others that are lower, and half of those that are equal."""
    ordered = np.sort(others)
    found: Floats = (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / 2
    return found / len(others)

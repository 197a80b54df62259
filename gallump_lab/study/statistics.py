"""Statistics that hold where questions come in clusters: those of one conversation resemble each other.

A mean's interval is cluster-robust: the variance is taken between conversations, with Student's t of G - 1 degrees for
G conversations (Liang and Zeger 1986, "Longitudinal data analysis using generalized linear models"; Cameron and Miller
2015, "A Practitioner's Guide to Cluster-Robust Inference"). Below five conversations there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

CLUSTERS = 5
"""Of fewer conversations no interval is given."""
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """Means with their intervals, a value a column of what was given."""

    value: "Floats"
    """NaN where nothing was scored."""
    low: "Floats"
    """NaN below five conversations."""
    high: "Floats"
    n: "NDArray[np.int64]"
    """How many questions were scored."""
    clusters: "NDArray[np.int64]"
    """In how many conversations."""
    p: "Floats"
    """The two-sided probability of a value so far from 0 if the true one is 0."""


def estimates(values: "ArrayLike", clusters: "ArrayLike", *, level: float = LEVEL) -> Estimates:
    """Estimate the mean of each column, with a cluster-robust interval.

    Parameters
    ----------
    values : array of float
        (questions,) or (questions, columns); NaN is unscored and left out of its column.
    clusters : array
        (questions,): the conversation of each.
    level : float
        Of the interval.
    """
    import numpy as np
    from scipy import special  # type: ignore[import-untyped]

    given = np.asarray(values, np.float64)
    table = given.reshape(len(given), -1)
    _, group = np.unique(np.asarray(clusters, str), return_inverse=True)
    scored = ~np.isnan(table)
    sums, counts = (np.zeros((group.max(initial=-1) + 1, table.shape[1])) for _ in range(2))
    np.add.at(sums, group, np.where(scored, table, 0))
    np.add.at(counts, group, scored)
    n, number = counts.sum(0), (counts > 0).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(0) / n
        residuals = sums - counts * mean
        error = np.sqrt(number / (number - 1) * (residuals**2).sum(0)) / n
        reach = special.stdtrit(number - 1, (1 + level) / 2) * error
        apart = np.where(error > 0, mean / error, np.where(mean == 0, 0, np.inf * np.sign(mean)))
        p = 2 * special.stdtr(number - 1, -np.abs(apart))
    enough = number >= CLUSTERS
    return Estimates(
        value=mean,
        low=np.where(enough, mean - reach, np.nan),
        high=np.where(enough, mean + reach, np.nan),
        n=n.astype(np.int64),
        clusters=number.astype(np.int64),
        p=np.where(enough, p, np.nan),
    )


def holm(p: "ArrayLike") -> "Floats":
    """Adjust the probabilities of several comparisons so that the chance of any false one stays below the level.

    Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure"; NaN stays NaN and counts as no comparison.
    """
    import numpy as np

    given = np.asarray(p, np.float64)
    found = np.full(given.shape, np.nan)
    (places,) = np.nonzero(~np.isnan(given))
    order = places[np.argsort(given[places], kind="stable")]
    steps = np.arange(len(order), 0, -1) * given[order]
    found[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return found


def interval(estimate: "Estimates", column: int = 0, *, share: bool = True) -> tuple[float, float, float]:
    """Give one column's value, low and high; a share's ends lie within 0 and 1."""
    low, high = float(estimate.low[column]), float(estimate.high[column])
    if share:
        low, high = max(low, 0.0) if low == low else low, min(high, 1.0) if high == high else high  # noqa: PLR0124
    return float(estimate.value[column]), low, high


def caution(clusters: Sequence[Any]) -> str:
    """Say in words when the conversations are too few for an interval; empty otherwise."""
    number = len(set(map(str, clusters)))
    if number >= CLUSTERS:
        return ""
    return (
        f"{number} conversation{'s' * (number != 1)} of {CLUSTERS} that an interval takes: the means are of these "
        "alone and say nothing of others."
    )

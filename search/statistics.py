"""Student's and Welch's means, intervals and differences over seeds; pure functions on scipy.

Pages and tables use `search.moderation`, which needs fewer seeds; these serve where nothing is known of the
spread beforehand: pairs of seeds, a study's own figures.

Accuracies are fractions, one a seed; entry i of every arm used seed i, so that arms can be paired where that
is worth it. Intervals are Student-t, 95 % unless said. A percentile bootstrap of 5 seeds covers 83 % where it
says 95: see test_percentile_bootstrap_covers_too_little.

An arm whose seeds all agree has variance 0. The formulas are taken to their limit: an interval of width 0,
p-value 0 where two such arms differ and 1 where they do not. No seed moved the result; another still may.

ValueError, from every function of seeds: fewer than 2 in an arm (one has no interval), or a value not finite.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import sqrt
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Values = Sequence[float] | Array
Method = Literal["paired", "welch", "moderated"]

CONFIDENCE = 0.95
SIGNIFICANT = 0.05  # p, corrected for all comparisons made, below which two designs are distinguishable
AGREE = 1e-12  # seeds that differ by no more agree but for rounding
NORMAL = float(stats.norm.ppf((1 + CONFIDENCE) / 2))  # standard errors to either side
PAIRING_LEVEL = 0.05  # the correlation over seeds must be this significant before arms are paired


class Interval(NamedTuple):
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float


class Difference(NamedTuple):
    """Mean of `variant - baseline`, its 95 % interval and two-sided p-value; positive favours the variant."""

    mean: float
    low: float
    high: float
    p_value: float
    method: Method

    def columns(self, p_name: str) -> dict[str, float]:
        """As tables name them; the p-value by `p_name`, which says whether it is corrected in the end."""
        names = ("difference", "difference_low", "difference_high", p_name)
        return dict(zip(names, self[:4], strict=True))


class Correlation(NamedTuple):
    """Pearson's r over seeds; `p_value` is one-sided: the chance of so large an r if seeds do not pair."""

    r: float
    p_value: float


class _Moments(NamedTuple):
    mean: float
    squared_error: float  # of the mean: variance / num_seeds
    dof: int


def standard_error(accuracy: Values, num_images: int) -> Array:
    """Of an accuracy measured on `num_images` images, each right or wrong by itself (binomial)."""
    a = np.asarray(accuracy, dtype=np.float64)
    return np.sqrt(a * (1 - a) / num_images)


def wilson(share: float, num_images: int) -> tuple[float, float]:
    """95 % interval of a share that was seen in `num_images` images, each by itself; it always has a width.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    z2 = NORMAL**2 / num_images
    centre = (share + z2 / 2) / (1 + z2)
    half = sqrt(z2 * share * (1 - share) + z2**2 / 4) / (1 + z2)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def matched_difference(lost: int, won: int, num_images: int) -> Interval:
    """Difference of the accuracies of two networks on the same images, with its 95 % interval for new ones.

    Half an image is added to each cell of the fourfold table, so that the interval has a width even where no
    image was lost or won.

    Source: Agresti and Min (2005), Simple improved confidence intervals for comparing matched proportions.
    """
    b, c, n = lost + 0.5, won + 0.5, num_images + 2
    centre = (c - b) / n
    half = NORMAL * sqrt(b + c - (c - b) ** 2 / n) / n
    return Interval((won - lost) / num_images, centre - half, centre + half)


def centre_and_scale(columns: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each column, (num_columns,); 1 for one that varies by rounding alone.

    The mean of equal numbers may miss them by their last digit, and what is divided by that miss is anything.
    """
    centre, scale = columns.mean(axis=0), columns.std(axis=0)
    return centre, np.where(scale <= AGREE * np.maximum(np.abs(centre), 1), 1.0, scale)


def mean_interval(values: Values, confidence: float = CONFIDENCE) -> Interval:
    """Mean with its Student-t interval.

    Source: Student (1908). Raises ValueError also where confidence lies outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, but got confidence={confidence}")
    mean, squared_error, dof = _moments("values", values)
    half_width = float(stats.t.ppf((1 + confidence) / 2, dof)) * sqrt(squared_error)
    return Interval(mean, mean - half_width, mean + half_width)


def welch_difference(baseline: Values, variant: Values) -> Difference:
    """Difference of two independent arms, each with its own variance.

    Source: Welch (1947), with Satterthwaite's degrees of freedom.
    """
    b, v = _seeds("baseline", baseline), _seeds("variant", variant)
    if max(np.ptp(b), np.ptp(v)) <= AGREE:
        return _without_variance(b, v, "welch")
    with warnings.catch_warnings():
        # One arm without variance is no loss of precision, but scipy takes it for one.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        test = stats.ttest_ind(v, b, equal_var=False)
    return _t_test(b, v, test, "welch")


def paired_difference(baseline: Values, variant: Values) -> Difference:
    """Difference taken seed by seed; ValueError also where the arms differ in number of seeds.

    Source: Student (1908).
    """
    b, v = _pairs(baseline, variant)
    if np.ptp(_seeds("variant - baseline", v - b)) <= AGREE:
        return _without_variance(b, v, "paired")
    return _t_test(b, v, stats.ttest_rel(v, b), "paired")


def seed_correlation(baseline: Values, variant: Values) -> Correlation | None:
    """How far a seed that is good for one arm is good for the other.

    None where it is not defined: fewer than 3 seeds, or an arm whose seeds all agree. ValueError also where
    the arms differ in number of seeds.
    """
    b, v = _pairs(baseline, variant)
    if len(b) < 3 or np.ptp(b) == 0 or np.ptp(v) == 0:
        return None
    r, p_value = stats.pearsonr(b, v, alternative="greater")
    return Correlation(float(r), float(p_value))


def holm(p_values: Values) -> tuple[float, ...]:
    """Adjust p-values for being several, in the order given; the tests may depend on one another.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"a p-value lies in [0, 1], but got p_values={p.tolist()}")
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return tuple(np.minimum(adjusted, 1).tolist())


def _finite(name: str, values: Values) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"every value must be finite, but got {name}={array.tolist()}")
    return array


def _seeds(name: str, values: Values) -> Array:
    array = _finite(name, values)
    if len(array) < 2:
        raise ValueError(f"an interval needs at least 2 seeds, but got {name}={array.tolist()}")
    return array


def _moments(name: str, values: Values) -> _Moments:
    array = _seeds(name, values)
    # From the first value on, equal values have variance 0 exactly; in np.var three times 0.1 has not.
    shifted = array - array[0]
    return _Moments(float(array[0] + shifted.mean()), float(shifted.var(ddof=1)) / len(array), len(array) - 1)


def _pairs(baseline: Values, variant: Values) -> tuple[Array, Array]:
    if len(baseline) != len(variant):
        sizes = f"len(baseline)={len(baseline)}, len(variant)={len(variant)}"
        raise ValueError(f"paired arms need as many seeds each, but got {sizes}")
    return _finite("baseline", baseline), _finite("variant", variant)


def _without_variance(b: Array, v: Array, method: Method) -> Difference:
    gap = float(v.mean() - b.mean())
    gap = 0.0 if abs(gap) <= AGREE else gap
    return Difference(gap, gap, gap, float(gap == 0), method)


def _t_test(b: Array, v: Array, test: Any, method: Method) -> Difference:
    low, high = test.confidence_interval(CONFIDENCE)
    return Difference(float(v.mean() - b.mean()), float(low), float(high), float(test.pvalue), method)

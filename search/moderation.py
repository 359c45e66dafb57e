"""How far seeds move a design's error, and the intervals and differences that follow; from one seed on.

A design's own few seeds say little about their variance, the seeds of many designs say much. So the
variance of the log error over seeds is moderated (empirical Bayes): what designs of such an error are
known to have, worth `degrees_of_freedom` seeds, is averaged with what the design's own seeds show. The
logarithm, because there the variance hardly depends on the design, and no interval runs past 100 %.

Accuracies are fractions, one a seed; entry i of every arm used seed i. NaN: the run died or is absent,
and has no part in any mean, interval or difference (`search.deaths` says which died).

ValueError, from every function of seeds: no live run, or an infinite value.

Source: Smyth (2004), Linear models and empirical Bayes methods for assessing differential expression,
whose implementation is limma's squeezeVar. `python -m studies.seed_variance` chose the constants,
`python -m studies.coverage` shows what the claims cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import log, sqrt
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from search.statistics import (
    AGREE,
    CONFIDENCE,
    PAIRING_LEVEL,
    Array,
    Difference,
    Interval,
    Values,
    paired_difference,
    seed_correlation,
    wilson,
)

LEAST_PAIRS = 5  # seeds in common before arms may be paired: 3 pair by luck, and then far too narrowly
COUNTING = 0.5  # share of a binomial's variance that seeds were never seen to fall below
# The knee on other images, in least errors of the study; MNIST's is at twice what the best designs err. On
# Fashion-MNIST and CIFAR-10 designs that err on 9 to 35 % of the images scatter by 0.01 to 0.06 on the log
# error, where MNIST's knee would have 0.2 to 0.4.
KNEE = 2.0


@dataclass(frozen=True)
class Prior:
    """The variance over seeds of a log error that is expected before a design's own seeds are looked at.

    It is `level` up to an error of `knee`, and rises in proportion to the error from there.
    """

    level: float
    knee: float  # an error rate, a fraction
    degrees_of_freedom: float  # how many it is worth beside a design's own
    num_images: int  # that accuracies are measured on
    num_runs: int  # that the level was fitted to

    def __post_init__(self) -> None:
        assert self.degrees_of_freedom > 4, "with fewer the t of one seed has no fourth moment"

    def variance(self, error: float) -> float:
        """Of a single run's log error, at this error rate.

        A level was found on so many images. On few, an error is a handful of images and its logarithm
        scatters as counts do, so the variance is never below a share of the binomial's.
        """
        counted = COUNTING * (1 - error) / (self.num_images * error)
        return max(self.level * max(1.0, error / self.knee), counted)

    def on_other_images(self, num_images: int, designs: Iterable[Values]) -> Prior:
        """This prior for images on which even the best of `designs` may err more often than on MNIST.

        Args: `num_images`: that accuracies are measured on. `designs`: the accuracies of each.
        """
        live = [own for own in map(_finite, designs) if len(own)]
        least_error = min((1 - float(own.mean()) for own in live), default=0.0)
        return replace(self, num_images=num_images, num_runs=0, knee=max(self.knee, KNEE * least_error))


MNIST = Prior(level=0.0072, knee=0.015, degrees_of_freedom=8, num_images=10_000, num_runs=614)


class Moderated(NamedTuple):
    """What the live seeds of one design say about its log error."""

    log_error: float  # their mean
    variance: float  # of a single run's log error, moderated
    num_seeds: int
    degrees_of_freedom: float

    @property
    def standard_error(self) -> float:
        """Of `log_error`."""
        return sqrt(self.variance / self.num_seeds)


def log_errors(accuracies: Values, num_images: int) -> Array:
    """Of each run, (num_seeds,); NaN stays NaN. No error at all counts as half an image."""
    logs: Array = np.log(np.maximum(1 - np.asarray(accuracies, dtype=np.float64), 0.5 / num_images))
    return logs


def moderated(accuracies: Values, prior: Prior) -> Moderated:
    """Mean log error of the live runs, with the moderated variance of one of them.

    Args:
        accuracies: of one design, (num_seeds,); one live run is enough.
    """
    logs = log_errors(_live(accuracies), prior.num_images)
    mean = float(logs.mean())
    dof = prior.degrees_of_freedom + len(logs) - 1
    squares = float(np.square(logs - mean).sum())
    expected = prior.variance(float(np.exp(mean)))
    return Moderated(mean, (prior.degrees_of_freedom * expected + squares) / dof, len(logs), dof)


def accuracy_interval(accuracies: Values, prior: Prior, confidence: float = CONFIDENCE) -> Interval:
    """Mean accuracy of the live runs with its moderated interval, taken on the log error; within [0, 1].

    The limits are those of the geometric mean of the errors, which few seeds do not tell from the
    arithmetic one; where seeds lie so far apart that it fell outside, the interval is widened to hold
    the mean.
    """
    live = _live(accuracies)
    own = moderated(live, prior)
    half_width = float(stats.t.ppf((1 + confidence) / 2, own.degrees_of_freedom)) * own.standard_error
    low, high = (1 - float(np.exp(own.log_error + end)) for end in (half_width, -half_width))
    mean = float(live.mean())
    return Interval(mean, min(mean, max(low, 0.0)), max(mean, high))


def new_images_interval(accuracies: Values, prior: Prior) -> Interval:
    """Mean accuracy of the live runs with its 95 % interval for fresh seeds and new images together.

    `accuracy_interval` is of seeds, on these test images. Here these are a sample, too, by which Wilson's
    interval goes; the distances of the two ends are added in quadrature. Seeds and images are crossed, and
    by COUNTING of the binomial's variance, or more, runs differ because each errs on other images. So much
    is in both intervals, and for the mean of k seeds a k-th of it, which is left out of the images'.

    It always has a width: 98.13 to 100 % where five seeds class all of 200 images rightly.

    Source: Wilson (1927); Zou and Donner (2008), Construction of confidence limits about effect measures: the
    sum of two estimates from the limits of each (MOVER); the variance of readers crossed with cases, here of
    seeds with images: Gallas (2006), One-shot estimate of MRMC variance.
    """
    live = _live(accuracies)
    mean, *seeds = accuracy_interval(live, prior)
    images = wilson(mean, prior.num_images)
    apart = 1 - COUNTING / len(live)
    low, high = (
        float(np.hypot(of_seeds - mean, sqrt(apart) * (of_images - mean)))
        for of_seeds, of_images in zip(seeds, images, strict=True)
    )
    return Interval(mean, max(mean - low, 0.0), min(mean + high, 1.0))


def one_error_below(interval: Interval, num_live: int, prior: Prior, confidence: float = CONFIDENCE) -> float:
    """The accuracy one standard error below the mean whose `accuracy_interval` of `num_live` runs this is."""
    log_low, log_high = (float(log_errors([it], prior.num_images)[0]) for it in (interval.low, interval.high))
    quantile = float(stats.t.ppf((1 + confidence) / 2, prior.degrees_of_freedom + num_live - 1))
    log_mean = float(log_errors([interval.mean], prior.num_images)[0])
    return 1 - float(np.exp(log_mean + (log_low - log_high) / 2 / quantile))


def seed_columns(accuracies: Values, prior: Prior) -> dict[str, float]:
    """Of one design's test accuracies, as tables name them; NaN, but for the counts, if no run lived."""
    values = np.asarray(accuracies, dtype=np.float64)
    num_live = int(np.isfinite(values).sum())
    absent = Interval(np.nan, np.nan, np.nan)
    interval = accuracy_interval(values, prior) if num_live else absent
    new_images = new_images_interval(values, prior) if num_live else absent
    return {
        "num_seeds": len(values),
        "num_dead": len(values) - num_live,
        "test_accuracy_mean": interval.mean,
        "test_accuracy_low": interval.low,
        "test_accuracy_high": interval.high,
        "new_images_low": new_images.low,
        "new_images_high": new_images.high,
    }


def difference(baseline: Values, variant: Values, prior: Prior) -> Difference:
    """Mean accuracy of `variant` less that of `baseline`, with interval and p-value; `method` says how.

    "moderated": each arm's variance is its moderated one, carried from the log error to the accuracy by
    the delta method (times the squared error); the difference of the two t posteriors, Behrens and
    Fisher's, is Patil's t. "paired": seed by seed, where the same seeds live in both arms, LEAST_PAIRS
    or more, and correlate (one-sided p < 0.05), but for differences that all agree: these would have an
    interval of no width.

    Interval and p-value are of one t statistic, so the interval leaves out 0 exactly where p is below
    0.05. Satterthwaite's degrees of freedom take the two variances for known better than they are: with
    them equal arms of 1 to 3 seeds differ "significantly" in 6 to 7 % of simulated studies, not in 5.

    Source: Patil (1965), Approximation to the Behrens-Fisher distributions.
    """
    b, v = (np.asarray(arm, dtype=np.float64) for arm in (baseline, variant))
    alive = np.isfinite(b)
    if len(b) == len(v) and alive.sum() >= LEAST_PAIRS and np.array_equal(alive, np.isfinite(v)):
        correlation = seed_correlation(b[alive], v[alive])
        if correlation is not None and correlation.p_value < PAIRING_LEVEL and np.ptp((v - b)[alive]) > AGREE:
            return paired_difference(b[alive], v[alive])
    gap, squared_scale, dof = _gap(b, v, prior)
    scale = sqrt(squared_scale)
    half_width = float(stats.t.ppf((1 + CONFIDENCE) / 2, dof)) * scale
    p_value = 2 * float(stats.t.sf(abs(gap) / scale, dof))
    low, high = max(-1.0, gap - half_width), min(1.0, gap + half_width)
    return Difference(gap, low, high, p_value, "moderated")


def fitted(designs: Sequence[Values], num_images: int, fallback: Prior = MNIST) -> Prior:
    """The prior of a study on other images: its level is that which makes its own runs most likely.

    The rest is `fallback.on_other_images`. So is the level, with `num_runs` 0, where the designs have fewer
    degrees of freedom of their own than it is worth.

    Args:
        designs: the accuracies of each, all under one recipe and on the same images; those with one live
            run have no say in the level.
        num_images: that they were measured on.

    Source: Smyth (2004), section 6.2; by maximum likelihood, as the degrees of freedom are given.
    """
    prior = fallback.on_other_images(num_images, designs)
    several = [live for live in (_finite(own) for own in designs) if len(live) > 1]
    num_runs = num_fitted(map(len, several), fallback)
    if not num_runs:
        return prior
    means, variances, dofs = moments(several, num_images)

    def negative_log_likelihood(log_level: float) -> float:
        trial = replace(prior, level=float(np.exp(log_level)))
        expected = np.array([trial.variance(error) for error in np.exp(means)])
        return -log_likelihood(variances, dofs, expected, prior.degrees_of_freedom)

    limits = (log(1e-6), log(1.0))
    best = optimize.minimize_scalar(negative_log_likelihood, bounds=limits, method="bounded")
    return replace(prior, level=float(np.exp(best.x)), num_runs=num_runs)


def num_fitted(live_runs: Iterable[int], fallback: Prior = MNIST) -> int:
    """How many runs `fitted` fits the level to, given how many of each design live; 0: they are too few."""
    several = [count for count in live_runs if count > 1]
    return sum(several) if sum(several) - len(several) >= fallback.degrees_of_freedom else 0


def moments(designs: Sequence[Values], num_images: int) -> tuple[Array, Array, Array]:
    """Mean and variance of each design's log errors, and its degrees of freedom, (num_designs,) each.

    Every design has two live runs or more. Accuracies go in steps of an image: equal ones have a
    variance of rounding, for one of 0 would make any model infinitely likely.
    """
    logs = [log_errors(own, num_images) for own in designs]
    means = np.array([own.mean() for own in logs])
    rounding = np.square(1 / (num_images * np.exp(means))) / 6
    variances = np.maximum([own.var(ddof=1) for own in logs], rounding)
    return means, variances, np.array([len(own) - 1.0 for own in logs])


def log_likelihood(variances: Array, dofs: Array, expected: Array, prior_dof: float) -> float:
    """Of sample variances, if what is `expected` is worth `prior_dof`: then variance / expected is F."""
    logs: Array = stats.f.logpdf(variances / expected, dofs, prior_dof) - np.log(expected)
    return float(logs.sum())


def _gap(baseline: Values, variant: Values, prior: Prior) -> tuple[float, float, float]:
    """Difference of the mean accuracies; squared scale and degrees of freedom of its t posterior."""
    means, squared_errors, dofs = [], [], []
    for arm in (baseline, variant):
        live = _live(arm)
        own = moderated(live, prior)
        means.append(float(live.mean()))
        squared_errors.append((float(np.exp(own.log_error)) * own.standard_error) ** 2)
        dofs.append(own.degrees_of_freedom)
    c, nu = np.array(squared_errors), np.array(dofs)
    # Patil's t has the posterior's variance and fourth moment.
    second = float((c * nu / (nu - 2)).sum())
    fourth = float((c**2 * nu**2 / ((nu - 2) ** 2 * (nu - 4))).sum())
    dof = 4 + second**2 / fourth
    return means[1] - means[0], second * (dof - 2) / dof, dof


def _finite(accuracies: Values) -> Array:
    array = np.asarray(accuracies, dtype=np.float64)
    if np.isinf(array).any():
        raise ValueError(f"every accuracy must be finite or NaN, but got {array.tolist()}")
    return array[~np.isnan(array)]


def _live(accuracies: Values) -> Array:
    live = _finite(accuracies)
    if len(live) == 0:
        raise ValueError(f"an interval needs a live run, but got accuracies={list(accuracies)}")
    return live

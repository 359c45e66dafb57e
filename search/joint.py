"""All runs of a study in one estimate of all its designs, and what follows for the front; pure.

The search ran each candidate once, on fewer images; few were trained again. Each of these runs says something
about its own design, and through the features something about its neighbours. Log errors are modelled as

    log error of a run = f(features) + what the features do not see + offset of its source + noise of its seed

with a Gaussian process f, an independent deviation of each design (the nugget), an unknown offset of each
source (a search on fewer images errs more), and the moderated variance of the seeds. From the posterior whole
sets of true accuracies are drawn, and each question is answered once in every draw: who is on the front, what
beats the reference. So luck in picking the best is allowed for, as it is in every draw.

Intervals are percentiles of the draws, 90 %: from the 5th to the 95th. What they cover in simulated studies,
`python -m studies.coverage` shows.

Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, sections 2.2, 2.7 (unknown
means) and 5.4 (marginal likelihood); the questions asked of joint draws as in Branke and Zhang (2019),
Identifying efficient solutions via simulation: myopic multi-objective budget allocation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import cdist

from search.moderation import Moderated
from search.statistics import CONFIDENCE, Array, centre_and_scale

NUM_DRAWS = 4_000
PERCENTILES = (0.05, 0.95)  # of the draws, that an interval reaches between
CLEARLY = 0.001  # of accuracy: what a difference in practice begins with
# Hyperparameters, weighted by their marginal likelihood; the best alone would be too sure of itself.
LENGTH_SCALES = (1.0, 2.0, 4.0, 8.0)  # in standard deviations of the features
AMPLITUDES = (0.5, 1.0, 2.0, 4.0)  # standard deviation of f, on the log error
NUGGETS = (0.01, 0.03, 0.06, 0.09, 0.12, 0.18)  # standard deviation of designs about f
VAGUE = 10.0  # standard deviation of an offset, on the log error: nothing is known of it


class Observation(NamedTuple):
    """What runs of one source say of one design."""

    design: int  # its row in the features
    source: int
    log_error: float
    variance: float  # of `log_error`, from the seeds

    @staticmethod
    def of(design: int, source: int, runs: Moderated) -> Observation:
        """The live runs of a design in one source, by the variance of their t posterior."""
        dof = runs.degrees_of_freedom
        return Observation(design, source, runs.log_error, runs.standard_error**2 * dof / (dof - 2))


class Joint(NamedTuple):
    """The posterior of all designs."""

    accuracies: Array  # (num_draws, num_designs): each row a set of true mean accuracies, drawn together
    nugget: float  # its posterior mean


class Placement(NamedTuple):
    """Where one design stands among the candidates; each range a median with its 90 % interval."""

    gap: tuple[float, float, float]  # its accuracy less that of the best candidate no larger
    beaten: float  # probability that some candidate no larger is more accurate
    clearly_beaten: float  # the same, by more than CLEARLY
    parameter_ratio: tuple[float, float, float]  # of the smallest candidate as accurate; inf: none is
    unreached: float  # probability that no candidate is as accurate


def estimate(
    features: Array,
    observations: Sequence[Observation],
    source: int,
    seed: int = 0,
    num_draws: int = NUM_DRAWS,
    nuggets: Sequence[float] = NUGGETS,
) -> Joint:
    """Draw true accuracies of all designs together, as `source` would measure them.

    Args:
        features: (num_designs, num_features). A row of NaN is a design that they do not describe: it is
            judged by its own runs alone.
        observations: a design may have none, or one of each source.
        source: whose offset the accuracies have, such as that of the fresh runs; one of the observations'.
        seed: of the draws.
        nuggets: those considered.

    Raises:
        ValueError: no observation is of that source.
    """
    if all(observation.source != source for observation in observations):
        raise ValueError(f"an estimate needs runs of its source, but none is of source={source}")
    design, sources = (np.array([o[i] for o in observations]) for i in (0, 1))
    values, variances = (np.array([o[i] for o in observations]) for i in (2, 3))
    distances = _squared_distances(features)
    of_source = VAGUE**2 * (sources == source)
    noise = np.diag(variances) + VAGUE**2 * (sources[:, None] == sources)

    def covariance(length_scale: float, amplitude: float, nugget: float) -> Array:
        smooth = amplitude**2 * np.exp(-distances / (2 * length_scale**2))
        return smooth + nugget**2 * np.eye(len(features))

    def factor(prior: Array) -> tuple[Array, Array]:
        lower = cholesky(prior[np.ix_(design, design)] + noise, lower=True)
        return lower, solve_triangular(lower, values, lower=True)

    grid = list(product(LENGTH_SCALES, AMPLITUDES, nuggets))
    likelihoods = []
    for cell in grid:
        lower, whitened = factor(covariance(*cell))
        likelihoods.append(-float(whitened @ whitened) / 2 - float(np.log(np.diag(lower)).sum()))
    weights = np.exp(np.array(likelihoods) - max(likelihoods))
    weights /= weights.sum()

    rng = np.random.default_rng(seed)
    drawn = []
    for cell, count in zip(grid, rng.multinomial(num_draws, weights), strict=True):
        if count:
            prior = covariance(*cell)
            lower, whitened = factor(prior)
            cross = solve_triangular(lower, prior[design] + of_source[:, None], lower=True)
            remaining = prior + VAGUE**2 - cross.T @ cross
            rounding = 1e-9 * np.eye(len(prior))
            normal = rng.standard_normal((len(prior), count))
            deviations = cholesky(remaining + rounding, lower=True) @ normal
            drawn.append((cross.T @ whitened)[:, None] + deviations)
    accuracies = 1 - np.exp(np.minimum(np.concatenate(drawn, axis=1).T, 0))
    return Joint(accuracies, float(weights @ [cell[2] for cell in grid]))


def on_front(accuracies: Array, sizes: Array) -> Array:
    """Probability of each candidate that no other one no larger is more accurate, (num_candidates,).

    Args:
        accuracies: joint draws of the candidates alone, (num_draws, num_candidates).
        sizes: their parameters, (num_candidates,).
    """
    order = np.argsort(sizes)
    best_so_far = np.maximum.accumulate(accuracies[:, order], axis=1)
    # Of equal sizes each is held against all.
    last_no_larger = np.searchsorted(sizes[order], sizes, side="right") - 1
    best: Array = np.mean(accuracies >= best_so_far[:, last_no_larger], axis=0)
    return best


def challenger(accuracies: Array, sizes: Array, at_most: float) -> int | None:
    """Position of the most accurate candidate, on average, of `at_most` parameters; None: there is none.

    Args:
        accuracies: joint draws of the candidates alone, (num_draws, num_candidates).
        sizes: their parameters, (num_candidates,).
    """
    means = np.where(sizes <= at_most, accuracies.mean(axis=0), -np.inf)
    return int(np.argmax(means)) if np.isfinite(means).any() else None


def place(design: Array, size: float, accuracies: Array, sizes: Array, more_errors: float = 0) -> Placement:
    """Where a design stands among the candidates, itself not among them.

    Without a candidate no larger its gap is inf and the probability of being beaten 0.

    Args:
        design: its draws, (num_draws,), of the same joint draws as the candidates'.
        size: its parameters.
        accuracies: of the candidates, (num_draws, num_candidates).
        sizes: their parameters, (num_candidates,).
        more_errors: the share by which a candidate may err more often and still be called as accurate.
    """
    no_larger = accuracies[:, sizes <= size]
    gaps = design - no_larger.max(axis=1, initial=-np.inf)
    as_accurate = accuracies >= 1 - (1 - design[:, None]) * (1 + more_errors)
    ratios = np.where(as_accurate, sizes / size, np.inf).min(axis=1, initial=np.inf)
    return Placement(
        gap=_range(gaps),
        beaten=float(np.mean(gaps < 0)),
        clearly_beaten=float(np.mean(gaps < -CLEARLY)),
        parameter_ratio=_range(ratios),
        unreached=float(np.mean(ratios == np.inf)),
    )


def front_range(accuracies: Array, sizes: Array, at_most: float) -> tuple[float, float]:
    """What the best candidate of `at_most` parameters reaches: a range of 90 %.

    It lies between the 2.5th and the 97.5th percentile of the draws. In simulated studies it holds the truth
    in 88 to 89 % of cases (`studies.coverage`), as the draws are a little too sure, and is called by that.

    Args:
        accuracies: joint draws of the candidates alone, (num_draws, num_candidates).
        sizes: their parameters, (num_candidates,); one has `at_most` or fewer.
    """
    best = accuracies[:, sizes <= at_most].max(axis=1)
    low, high = np.quantile(best, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _range(draws: Array) -> tuple[float, float, float]:
    # inverted_cdf takes a value that was drawn; interpolating towards inf would give NaN.
    median, low, high = np.quantile(draws, [0.5, *PERCENTILES], method="inverted_cdf")
    return float(median), float(low), float(high)


def _squared_distances(features: Array) -> Array:
    """Between designs, in standard deviations of the features; inf to one that they do not describe."""
    described = ~np.isnan(features).any(axis=1)
    centre, scale = centre_and_scale(features[described])
    standard = (features[described] - centre) / scale
    distances = np.full((len(features), len(features)), np.inf)
    np.fill_diagonal(distances, 0)
    distances[np.ix_(described, described)] = cdist(standard, standard, "sqeuclidean")
    return distances

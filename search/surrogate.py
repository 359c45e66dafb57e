"""A model of accuracy, and the candidates of largest expected hypervolume improvement; pure.

Of the two objectives the number of parameters is exact before training, so only accuracy is modelled, and the
expected hypervolume improvement (Emmerich, Giannakoglou and Naujoks, 2006) has a single uncertain variable.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.spatial.distance import cdist

from lightcnn.architecture import Architecture
from lightcnn.cost import num_parameters
from search.pareto import front
from search.space import Space
from search.statistics import centre_and_scale

Array = NDArray[np.float64]

LEAST_ERROR = 1e-3  # accuracies are modelled by the logarithm of the error, which must not be that of 0
# The reference point's error over the least one known: what errs more often dominates nothing, however small.
REFERENCE_ERROR = 10
LENGTH_SCALES = (1.0, 2.0, 4.0, 8.0)  # in standard deviations of the features
NOISES = (0.01, 0.03, 0.1, 0.3)  # variance of a run, as a share of the variance over all runs
PSEUDO_RUNS = 1.0  # whole runs whose log errors kept their distances, but for PSEUDO_VARIANCE
PSEUDO_VARIANCE = 0.1
MAX_LEARNT = 300  # latest trials that the model learns from; the time it takes grows with their third power
MAX_COMPARED = 150  # values by which length scale and noise are chosen
# Gauss and Hermite's nodes: the mean over a normal variable of a function that is no polynomial.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(24)


def features(candidates: Sequence[Architecture], space: Space) -> Array:
    """What the model sees of each candidate: coordinates in the space, and two sizes by their logarithm.

    These are the parameters, and the features that reach the linear layers, channels times positions.

    Returns:
        (len(candidates), space.num_coordinates + 2).
    """
    rows = [
        [
            *space.coordinates(candidate),
            np.log(num_parameters(candidate)),
            np.log(candidate.blocks[-1].channels * candidate.grid**2),
        ]
        for candidate in candidates
    ]
    return np.array(rows, dtype=float)


class Pool(NamedTuple):
    """Candidates as the model sees them."""

    features: Array  # (num_candidates, num_features)
    sizes: Array  # parameters, (num_candidates,)

    @staticmethod
    def of(candidates: Sequence[Architecture], space: Space) -> Pool:
        """All `candidates`, members of the space."""
        sizes = np.array([num_parameters(candidate) for candidate in candidates], dtype=float)
        return Pool(features(candidates, space), sizes)


class GaussianProcess:
    """Regression with a linear kernel and Matérn's of order 5/2 on standardised features and values.

    The linear part carries the trend to where nothing was trained, as accuracy rises with size nearly
    everywhere; without it the model returns to the mean. Length scale and noise are those of a small grid
    with the greatest marginal likelihood of at most MAX_COMPARED of the values. Source: Rasmussen and
    Williams (2006), Gaussian Processes for Machine Learning, sections 4.2 and 5.4, and algorithm 2.1.

    Args:
        inputs: (num_values, num_features).
        values: (num_values,).
        variances: of each value, beyond the noise that all have; (num_values,). None: no more than that.
    """

    trend = 1.0  # variance of the linear part for one standard deviation of a feature; the other part has 1

    def __init__(self, inputs: Array, values: Array, variances: Array | None = None) -> None:
        self._centre, self._scale = centre_and_scale(inputs)
        self._mean, self._deviation = float(values.mean()), float(values.std()) or 1.0
        self._inputs = (inputs - self._centre) / self._scale
        targets = (values - self._mean) / self._deviation
        own = np.zeros(len(values)) if variances is None else variances / self._deviation**2
        line = self.trend * self._inputs @ self._inputs.T
        distances = _squared_distances(self._inputs, self._inputs)

        def smooth(length_scale: float, chosen: slice) -> Array:
            covariance: Array = (
                self.correlation(distances[chosen, chosen], length_scale) + line[chosen, chosen]
            )
            return covariance

        def factor(covariance: Array, noise: float, chosen: slice) -> Array:
            noisy = covariance.copy()
            noisy[np.diag_indices_from(noisy)] += noise + own[chosen]
            lower: Array = cholesky(noisy, lower=True, overwrite_a=True, check_finite=False)
            return lower

        some = slice(None, None, -(-len(targets) // MAX_COMPARED))

        def likelihood(covariance: Array, noise: float) -> float:
            lower = factor(covariance, noise, some)
            whitened = solve_triangular(lower, targets[some], lower=True, check_finite=False)
            return -float(whitened @ whitened) / 2 - float(np.log(np.diag(lower)).sum())

        likelihoods: dict[tuple[float, float], float] = {}
        for length_scale in LENGTH_SCALES:
            covariance = smooth(length_scale, some)
            likelihoods |= {(length_scale, noise): likelihood(covariance, noise) for noise in NOISES}
        self._length_scale, self._noise = max(likelihoods, key=lambda pair: likelihoods[pair])
        self._lower = factor(smooth(self._length_scale, slice(None)), self._noise, slice(None))
        self._weights = cho_solve((self._lower, True), targets, check_finite=False)

    @staticmethod
    def correlation(squared_distances: Array, length_scale: float) -> Array:
        """Of the part that is not linear, by how far apart two points are."""
        scaled = np.sqrt(5 * squared_distances) / length_scale
        correlations: Array = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
        return correlations

    def supposing(self, inputs: Array) -> GaussianProcess:
        """This model with values at `inputs` as it expects them: it expects the same, and is surer."""
        standard = (inputs - self._centre) / self._scale
        across = solve_triangular(self._lower, self._kernel(standard).T, lower=True, check_finite=False)
        own = self.correlation(_squared_distances(standard, standard), self._length_scale)
        own += self.trend * standard @ standard.T + self._noise * np.eye(len(standard)) - across.T @ across
        surer = copy(self)
        surer._inputs = np.concatenate([self._inputs, standard])
        surer._weights = np.concatenate([self._weights, np.zeros(len(standard))])
        corner = np.zeros((len(self._lower), len(standard)))
        surer._lower = np.block(
            [[self._lower, corner], [across.T, cholesky(own, lower=True, check_finite=False)]]
        )
        return surer

    def _kernel(self, standard: Array) -> Array:
        """Covariance of standardised inputs with those learnt from."""
        kernel = self.correlation(_squared_distances(standard, self._inputs), self._length_scale)
        kernel += self.trend * standard @ self._inputs.T
        return kernel

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the values at `inputs`, without the noise of a single run."""
        standard = (inputs - self._centre) / self._scale
        kernel = self._kernel(standard)
        whitened = solve_triangular(self._lower, kernel.T, lower=True, check_finite=False)
        variance = 1 + self.trend * np.square(standard).sum(axis=1) - np.square(whitened).sum(axis=0)
        deviation = np.sqrt(np.maximum(variance, 1e-12)) * self._deviation
        return self._mean + self._deviation * (kernel @ self._weights), deviation


def final_log_errors(curves: Sequence[Sequence[float]]) -> tuple[Array, Array]:
    """Log errors after the last epoch, and the variance of those that are foreseen; 0 where it was reached.

    What a shorter curve would have come to is the least-squares line of the whole ones' last log errors on
    those after as many epochs. A run is stopped by what it had reached by then, which the line is given, so
    it is right for those that were stopped as well, which the mean gain of the others need not be.
    PSEUDO_RUNS keep the line near slope 1 as long as few are whole.

    Args:
        curves: validation accuracies of each run, one an epoch; at least one is whole, that is the longest.
    """
    num_epochs = np.array([len(curve) for curve in curves])
    last = max(num_epochs)
    whole = log_error([curve for curve in curves if len(curve) == last])
    values = log_error([curve[-1] for curve in curves])
    variances = np.zeros(len(curves))
    finals = whole[:, -1]
    for epoch in set(num_epochs.tolist()) - {last}:
        shorter, so_far = num_epochs == epoch, whole[:, epoch - 1]
        away = so_far - so_far.mean()
        slope = (away @ finals + PSEUDO_RUNS) / (away @ away + PSEUDO_RUNS)
        missed = finals - finals.mean() - slope * away
        values[shorter] = finals.mean() + slope * (values[shorter] - so_far.mean())
        variances[shorter] = (missed @ missed + PSEUDO_RUNS * PSEUDO_VARIANCE) / (len(whole) + PSEUDO_RUNS)
    return values, variances


def log_error(accuracy: ArrayLike) -> Array:
    """The scale on which accuracies are modelled."""
    errors: Array = np.log(np.maximum(1 - np.asarray(accuracy, dtype=float), LEAST_ERROR))
    return errors


def expected_hypervolume_improvement(
    sizes: Array, means: Array, deviations: Array, known_sizes: Array, known: Array, largest: float = 0.0
) -> Array:
    """Hypervolume that each candidate is expected to add to the front of the known ones.

    The hypervolume is the front's area in (log of the parameters, accuracy) up to a reference point: the
    largest candidate's size, and the accuracy with REFERENCE_ERROR times the least error known. A candidate
    adds to each step of the front, from its own size on, what it rises above that step.

    Args:
        sizes: candidates' parameters.
        means: of their log errors, as predicted.
        deviations: of the same.
        known_sizes: parameters of what was trained.
        known: their accuracies, fractions.
        largest: parameters up to which the hypervolume reaches, if no candidate and nothing known has more.
    """
    members = front(known_sizes, known)
    floor = max(1 - REFERENCE_ERROR * (1 - float(known.max())), 0)
    edges = np.log([1, *known_sizes[members], max(sizes.max(), known_sizes.max(), largest)])
    levels = np.maximum([floor, *known[members]], floor)
    log_errors = np.minimum(means[:, None] + deviations[:, None] * NODES, 0)  # (candidates, nodes)
    values = 1 - np.exp(log_errors)
    improvements = np.zeros(len(sizes))
    for left, right, level in zip(edges[:-1], edges[1:], levels, strict=True):
        width = np.maximum(right - np.maximum(left, np.log(sizes)), 0)
        above = np.maximum(values - level, 0) @ WEIGHTS / WEIGHTS.sum()
        improvements += width * above
    return improvements


def _squared_distances(one: Array, other: Array) -> Array:
    return cdist(one, other, "sqeuclidean")

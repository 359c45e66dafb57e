"""A model of accuracy, and the candidates of largest expected hypervolume improvement; pure.

Of the two objectives the number of parameters is exact before training, so only accuracy is modelled, and the
expected hypervolume improvement (Emmerich, Giannakoglou and Naujoks, 2006) has a single uncertain variable.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.spatial.distance import cdist

from lightcnn.architecture import Architecture
from lightcnn.cost import num_macs, num_parameters
from search.pareto import front
from search.space import Space

Array = NDArray[np.float64]

LEAST_ERROR = 1e-3  # accuracies are modelled by the logarithm of the error, which must not be that of 0
# The reference point's error over the least one known: what errs more often dominates nothing, however small.
REFERENCE_ERROR = 10
LENGTH_SCALES = (1.0, 2.0, 4.0, 8.0)  # in standard deviations of the features
NOISES = (0.01, 0.03, 0.1, 0.3)  # variance of a run, as a share of the variance over all runs
MAX_LEARNT = 300  # latest trials that the model learns from; the time it takes grows with their third power
MAX_COMPARED = 150  # values by which length scale and noise are chosen
# Gauss and Hermite's nodes: the mean over a normal variable of a function that is no polynomial.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(24)


def features(candidates: Sequence[Architecture], space: Space) -> Array:
    """What the model sees of each candidate: coordinates in the space, log parameters, log MACs.

    Returns:
        (len(candidates), len(space.dimensions) + 2).
    """
    rows = [
        [*space.coordinates(candidate), np.log(num_parameters(candidate)), np.log(num_macs(candidate))]
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
    """Regression with a squared-exponential kernel on standardised features and values.

    Length scale and noise are those of a small grid with the greatest marginal likelihood of at most
    MAX_COMPARED of the values. Source: Rasmussen and Williams (2006), Gaussian Processes for Machine
    Learning, algorithm 2.1.
    """

    def __init__(self, inputs: Array, values: Array) -> None:
        self._centre, self._scale = inputs.mean(axis=0), inputs.std(axis=0)
        self._scale[self._scale == 0] = 1
        self._mean, self._deviation = float(values.mean()), float(values.std()) or 1.0
        self._inputs = (inputs - self._centre) / self._scale
        targets = (values - self._mean) / self._deviation
        distances = _squared_distances(self._inputs, self._inputs)

        def factor(length_scale: float, noise: float, chosen: slice) -> Array:
            covariance = np.exp(-distances[chosen, chosen] / (2 * length_scale**2))
            covariance[np.diag_indices_from(covariance)] += noise
            lower: Array = cholesky(covariance, lower=True, check_finite=False)
            return lower

        some = slice(None, None, -(-len(targets) // MAX_COMPARED))

        def likelihood(length_scale: float, noise: float) -> float:
            lower = factor(length_scale, noise, some)
            whitened = solve_triangular(lower, targets[some], lower=True, check_finite=False)
            return -float(whitened @ whitened) / 2 - float(np.log(np.diag(lower)).sum())

        self._length_scale, noise = max(product(LENGTH_SCALES, NOISES), key=lambda pair: likelihood(*pair))
        self._lower = factor(self._length_scale, noise, slice(None))
        self._weights = cho_solve((self._lower, True), targets, check_finite=False)

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the values at `inputs`, without the noise of a single run."""
        standard = (inputs - self._centre) / self._scale
        kernel = np.exp(-_squared_distances(standard, self._inputs) / (2 * self._length_scale**2))
        whitened = solve_triangular(self._lower, kernel.T, lower=True, check_finite=False)
        variance = 1 - np.square(whitened).sum(axis=0)
        deviation = np.sqrt(np.maximum(variance, 1e-12)) * self._deviation
        return self._mean + self._deviation * (kernel @ self._weights), deviation


def promising(pool: Pool, trained: Pool, curves: Sequence[Sequence[float]]) -> list[int]:
    """Positions in `pool`, those first that promise most hypervolume, given what was trained so far.

    Args:
        trained: what was trained; of its features the latest are enough, from which the model learns.
        curves: validation accuracies of each of `trained`, one an epoch; shorter where a run was stopped.
            What that would have come to is guessed from how the others went on from there.
    """
    accuracies = final_accuracies(curves)
    learnt = trained.features[-MAX_LEARNT:]
    model = GaussianProcess(learnt, log_error(accuracies[-len(learnt) :]))
    improvements = expected_hypervolume_improvement(
        pool.sizes, *model.predict(pool.features), trained.sizes, accuracies
    )
    return [int(i) for i in np.argsort(-improvements, kind="stable")]


def final_accuracies(curves: Sequence[Sequence[float]]) -> Array:
    """Last accuracies; of a shorter curve, moved by the others' median gain on the scale of log errors."""
    num_epochs = max(map(len, curves))
    whole = log_error([curve for curve in curves if len(curve) == num_epochs])
    gains = np.median(whole[:, -1:] - whole, axis=0)  # still to come after each epoch
    lasts = log_error([curve[-1] for curve in curves]) + [gains[len(curve) - 1] for curve in curves]
    finals: Array = 1 - np.exp(lasts)
    return finals


def log_error(accuracy: ArrayLike) -> Array:
    """The scale on which accuracies are modelled."""
    errors: Array = np.log(np.maximum(1 - np.asarray(accuracy, dtype=float), LEAST_ERROR))
    return errors


def expected_hypervolume_improvement(
    sizes: Array, means: Array, deviations: Array, known_sizes: Array, known: Array
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
    """
    members = front(known_sizes, known)
    floor = max(1 - REFERENCE_ERROR * (1 - float(known.max())), 0)
    edges = np.log([1, *known_sizes[members], max(sizes.max(), known_sizes.max())])
    levels = np.maximum([floor, *known[members]], floor)
    values = 1 - np.exp(means[:, None] + deviations[:, None] * NODES)  # (candidates, nodes)
    improvements = np.zeros(len(sizes))
    for left, right, level in zip(edges[:-1], edges[1:], levels, strict=True):
        width = np.maximum(right - np.maximum(left, np.log(sizes)), 0)
        above = np.maximum(values - level, 0) @ WEIGHTS / WEIGHTS.sum()
        improvements += width * above
    return improvements


def _squared_distances(one: Array, other: Array) -> Array:
    return cdist(one, other, "sqeuclidean")

"""In which order a pool's candidates are worth a run, given what was trained and what is under way; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from search.surrogate import (
    MAX_LEARNT,
    Array,
    GaussianProcess,
    Pool,
    expected_hypervolume_improvement,
    final_log_errors,
)

RENEWED = 16  # candidates whose improvements are computed anew at a time
GONE = -1.0  # improvement of a candidate that was taken or is not wanted; all others have 0 or more


class Prospects:
    """The candidates of a pool, those first that promise most hypervolume, given what was trained so far.

    Where something is under way, or a candidate was taken, the model is as sure as it will be when that has
    ended, so that the next is not its neighbour, suggested for what is about to be known. What it will come
    to is no part of the front until it has: a front of expectations turns later suggestions to what is left
    beside it, which costs more than it brings (`python -m studies.parallel`).

    Source: Desautels, Krause and Burdick (2014), Parallelizing exploration-exploitation tradeoffs in Gaussian
    process bandit optimization.

    Args:
        trained: what was trained; of its features the latest are enough, from which the model learns.
        curves: validation accuracies of each of `trained`, one an epoch; shorter where a run was stopped.
            What that would have come to is taken from how the others went on from there, with a variance
            of its own.
        running: features of what is under way, (num_running, num_features). None: nothing is.
    """

    def __init__(
        self, pool: Pool, trained: Pool, curves: Sequence[Sequence[float]], running: Array | None = None
    ) -> None:
        values, variances = final_log_errors(curves)
        learnt = trained.features[-MAX_LEARNT:]
        self._model = GaussianProcess(learnt, values[-len(learnt) :], variances[-len(learnt) :])
        # A single run's luck is no part of the front to be improved: the best of many is the luckiest too.
        values[-len(learnt) :] = self._model.predict(learnt)[0]
        self._pool, self._sizes, self._known = pool, trained.sizes, 1 - np.exp(values)
        if running is not None:
            self._suppose(running)
        self._improvements = self._promised(np.arange(len(pool.sizes)))
        self._latest: int | None = None  # that was taken; not yet supposed
        self._is_stale = np.zeros(len(pool.sizes), dtype=bool)  # computed before that

    def take(self, is_wanted: Callable[[int], bool]) -> int | None:
        """Position in the pool of the wanted candidate that promises most; None if none is wanted.

        One that is not wanted is not asked about again.
        """
        if self._latest is not None:
            self._suppose(self._pool.features[[self._latest]])
            self._latest, self._is_stale = None, self._improvements >= 0
        while self._improvements[best := int(np.argmax(self._improvements))] >= 0:
            if self._is_stale[best]:
                # Who knows more nearly always expects less to be gained, so the first of the order are enough
                # to compute anew: the lazy choice of Minoux (1978), Accelerated greedy algorithms.
                order = np.argsort(-np.where(self._is_stale, self._improvements, GONE), kind="stable")
                first = order[:RENEWED][self._is_stale[order[:RENEWED]]]
                self._improvements[first] = self._promised(first)
                self._is_stale[first] = False
                continue
            self._improvements[best] = GONE
            if is_wanted(best):
                self._latest = best
                return best
        return None

    def _promised(self, chosen: NDArray[np.int64]) -> Array:
        """Expected improvements by some of the pool."""
        return expected_hypervolume_improvement(
            self._pool.sizes[chosen],
            *self._model.predict(self._pool.features[chosen]),
            self._sizes,
            self._known,
            float(self._pool.sizes.max()),
        )

    def _suppose(self, inputs: Array) -> None:
        """That runs of candidates with such features have come out as the model expects."""
        self._model = self._model.supposing(inputs)

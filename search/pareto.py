"""The Pareto front of accuracy (up) against parameters (down), and what stands on it.

All functions take one entry a candidate and answer with positions into those entries, so they serve arrays
and DataFrame columns alike (`table.iloc[front(table["num_parameters"], table["val_accuracy"])]`). A candidate
whose accuracy or size is NaN (it failed) is never in an answer.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

SETTLED = 0.95  # probability from which on a verdict says so


class Verdict(StrEnum):
    """Where a design stands beside the front of the candidates no larger than it."""

    ON_FRONT = "ON_FRONT"
    NEAR_FRONT = "NEAR_FRONT"
    DOMINATED = "DOMINATED"
    UNDECIDED = "UNDECIDED"

    @classmethod
    def _missing_(cls, value: object) -> Verdict | None:
        # What an earlier version wrote: no significant difference to the best candidate no larger.
        return cls.UNDECIDED if value == "INDISTINGUISHABLE" else None

    @staticmethod
    def of(beaten: float, clearly_beaten: float) -> Verdict:
        """The rule: a probability counts as settled at 0.05 or less, or 0.95 or more.

        Args:
            beaten: probability that some candidate no larger is more accurate, `search.joint.Placement`.
            clearly_beaten: the same by more than 0.1 points.

        Returns:
            ON_FRONT: none is. DOMINATED: some is. NEAR_FRONT: it is open whether some is, but none by more
            than 0.1 points. Else UNDECIDED.
        """
        if beaten <= 1 - SETTLED:
            return Verdict.ON_FRONT
        if beaten >= SETTLED:
            return Verdict.DOMINATED
        return Verdict.NEAR_FRONT if clearly_beaten <= 1 - SETTLED else Verdict.UNDECIDED

    @property
    def says(self) -> str:
        """What a sentence makes of it, after "the design is"."""
        return {
            Verdict.ON_FRONT: "on the front",
            Verdict.NEAR_FRONT: "on the front or within 0.1 points of it",
            Verdict.DOMINATED: "dominated",
            Verdict.UNDECIDED: "on the front or below it, which is not settled",
        }[self]


def _measured(
    num_parameters: ArrayLike, accuracy: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    parameters, accuracies = np.asarray(num_parameters, dtype=float), np.asarray(accuracy, dtype=float)
    if parameters.ndim != 1 or parameters.shape != accuracies.shape:
        raise ValueError(
            "num_parameters and accuracy must be of one length, "
            f"but got shapes {parameters.shape} and {accuracies.shape}"
        )
    known = ~(np.isnan(parameters) | np.isnan(accuracies))
    return np.where(known, parameters, np.nan), np.where(known, accuracies, np.nan)


def front(num_parameters: ArrayLike, accuracy: ArrayLike) -> list[int]:
    """Positions of the candidates that no other one beats, smallest first.

    A candidate is beaten by another that is no larger and no less accurate, and better in one of the two. Of
    candidates equal in both, the first is kept.

        >>> front([6218, 2870, 2870, 9000], [0.986, 0.984, 0.984, 0.986])
        [1, 0]
    """
    parameters, accuracies = _measured(num_parameters, accuracy)
    kept: list[int] = []
    best = -np.inf
    for i in np.lexsort((-accuracies, parameters)):  # by size, then most accurate first; stable, NaN last
        if accuracies[i] > best:
            kept.append(int(i))
            best = accuracies[i]
    return kept


def shortfall(num_parameters: ArrayLike, accuracy: ArrayLike) -> NDArray[np.float64]:
    """How much less accurate each candidate is than the most accurate one no larger; 0 on the front.

    >>> shortfall([6218, 2870, 9000], [0.986, 0.984, 0.981]).round(3).tolist()
    [0.0, 0.0, 0.005]
    """
    parameters, accuracies = _measured(num_parameters, accuracy)
    order = np.argsort(parameters, kind="stable")  # NaN last
    best_so_far = np.maximum.accumulate(np.nan_to_num(accuracies, nan=-np.inf)[order])
    # Of equal sizes each is held against all.
    best = best_so_far[np.searchsorted(parameters[order], parameters, side="right") - 1]
    return np.where(np.isnan(accuracies), np.nan, best - accuracies)


def hypervolume(
    num_parameters: ArrayLike, accuracy: ArrayLike, max_parameters: float, least_accuracy: float
) -> float:
    """Area that the front covers in (log10 of the parameters, accuracy), up to the reference point.

    That is (`max_parameters`, `least_accuracy`): what is larger or less accurate covers nothing.

        >>> round(hypervolume([100, 1_000], [0.95, 0.98], 10_000, 0.90), 3)
        0.13
    """
    parameters, accuracies = _measured(num_parameters, accuracy)
    inside = [i for i in front(parameters, accuracies) if parameters[i] <= max_parameters]
    sizes = np.log10([*parameters[inside], max_parameters])
    heights = np.maximum(accuracies[inside] - least_accuracy, 0)
    return float(np.sum(np.diff(sizes) * heights))


def smallest_as_accurate(num_parameters: ArrayLike, accuracy: ArrayLike, at_least: float) -> int | None:
    """Position of the smallest candidate with an accuracy of `at_least` or more; None if there is none.

    Of several of that size it is the most accurate one, of equal ones the first.
    """
    parameters, accuracies = _measured(num_parameters, accuracy)
    order = [int(i) for i in np.lexsort((-accuracies, parameters)) if accuracies[i] >= at_least]
    return order[0] if order else None


def most_accurate_no_larger(num_parameters: ArrayLike, accuracy: ArrayLike, at_most: float) -> int | None:
    """Position of the most accurate candidate with `at_most` parameters or fewer; None if there is none.

    Of several equally accurate ones it is the smallest, of equal ones the first.
    """
    parameters, accuracies = _measured(num_parameters, accuracy)
    order = [int(i) for i in np.lexsort((parameters, -accuracies)) if parameters[i] <= at_most]
    return order[0] if order else None

"""Dimensions of a search space: what candidates differ in, as Optuna's distributions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import Trial

from lightcnn.architecture import Architecture


def _always(candidate: Architecture) -> bool:
    return True


@dataclass(frozen=True)
class Dimension:
    """One thing that candidates differ in."""

    name: str  # as Optuna calls it
    title: str  # as the page calls it
    distribution: BaseDistribution
    is_active: Callable[[Architecture], bool] = _always  # whether a candidate's network depends on it

    @property
    def shown(self) -> tuple[Any, ...]:
        """The values that the page shows: all, but of sizes the largest powers of 2."""
        kind = self.distribution
        if isinstance(kind, CategoricalDistribution):
            return tuple(kind.choices)
        assert isinstance(kind, IntDistribution)
        if not kind.log:
            return tuple(range(kind.low, kind.high + 1))
        powers = tuple(2**k for k in range(20) if kind.low <= 2**k <= kind.high)
        return powers[-4:] or (kind.low,)

    @property
    def least(self) -> Any:
        """Its first value, for candidates that do not depend on it."""
        kind = self.distribution
        if isinstance(kind, CategoricalDistribution):
            return kind.choices[0]
        assert isinstance(kind, IntDistribution)
        return kind.low

    def holds(self, value: Any) -> bool:
        """Whether it has that value."""
        kind = self.distribution
        if isinstance(kind, CategoricalDistribution):
            return bool(value in kind.choices)
        assert isinstance(kind, IntDistribution)
        return isinstance(value, int) and kind.low <= value <= kind.high


def suggested(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    """A value that Optuna suggests for `trial`."""
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    assert isinstance(distribution, IntDistribution)
    return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)


def drawn(rng: np.random.Generator, distribution: BaseDistribution) -> Any:
    """A value as Optuna's random sampler draws it."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(rng.integers(len(distribution.choices)))]
    assert isinstance(distribution, IntDistribution)
    low, high = distribution.low, distribution.high
    if not distribution.log:
        return int(rng.integers(low, high + 1))
    return min(max(round(float(np.exp(rng.uniform(*_log_range(low, high))))), low), high)


def moved(rng: np.random.Generator, distribution: BaseDistribution, value: Any) -> Any:
    """A value near `value`: any other choice, the next number, or of a size up to twice or half as much.

    Where there is no other, or the range ends, it may be the same.
    """
    if isinstance(distribution, CategoricalDistribution):
        others = [choice for choice in distribution.choices if choice != value] or [value]
        return others[int(rng.integers(len(others)))]
    assert isinstance(distribution, IntDistribution)
    near = round(value * float(2 ** rng.uniform(-1, 1))) if distribution.log else value
    if near == value:
        near += int(rng.choice([-1, 1]))
    return min(max(near, distribution.low), distribution.high)


@cache
def _log_range(low: int, high: int) -> tuple[float, float]:
    return float(np.log(low - 0.5)), float(np.log(high + 0.5))

"""A sampler by regularised evolution: the latest trials are a population, whose best have children."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from lightcnn.architecture import Architecture, parse
from search.execution.runs import RunState
from search.records import RunRecord, judged_and_under_way
from search.space import Space

POPULATION = 100  # latest trials that parents come from, as an early one's luck is to be forgotten
TOURNAMENT = 25  # of them that compete to be the parent
NUM_FIRST = 10  # trials at random
TRIES = 100  # mutations, of which the first that is wanted is suggested


class EvolutionSampler(BaseSampler):
    """For one trial: a mutation of the best of a sample of the latest trials.

    Best is the most accurate of those no larger than one of the sample, drawn each time, so that parents
    come from all along the front. Runs that were stopped are no parents. Source: Real, Aggarwal, Huang and
    Le (2019), Regularized evolution for image classifier architecture search, which has one objective.
    """

    def __init__(self, seed: int, space: Space, is_wanted: Callable[[Architecture], bool]) -> None:
        self._rng, self._space, self._is_wanted = np.random.default_rng(seed), space, is_wanted

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The whole space."""
        return self._space.distributions()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All parameters of the trial; none while there are too few to choose from."""
        judged, _, _ = judged_and_under_way(study)
        latest = [record for record in judged[-2 * POPULATION :] if record.state == RunState.COMPLETE]
        if len(judged) < NUM_FIRST or not latest:
            return {}
        for _ in range(TRIES):
            child = self._space.mutated(self._parent(latest[-POPULATION:]), self._rng)
            if child is not None and self._is_wanted(child):
                return self._space.parameters(child)
        return {}

    def _parent(self, population: Sequence[RunRecord]) -> Architecture:
        sample = self._rng.choice(len(population), size=min(TOURNAMENT, len(population)), replace=False)
        competing = [population[i] for i in sample]
        no_larger = [it for it in competing if it.num_parameters <= competing[0].num_parameters]
        best = max(no_larger, key=lambda it: it.val_accuracy or 0.0)
        return parse(best.architecture, self._space.task)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never called, as whoever asks draws at random where `sample_relative` gives nothing."""
        raise NotImplementedError(f"{param_name} is not sampled by itself")

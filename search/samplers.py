"""Who suggests candidates, and that only new ones within the budget become trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from lightcnn.architecture import Architecture, Task
from search import space

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed, multivariate=True, n_ei_candidates=8),
    "nsga2": lambda seed: NSGAIISampler(seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed),
}

# A sampler that has converged repeats itself: with TPE, four of five suggestions by the thousandth trial.
# After so many unwanted suggestions, the candidate is drawn at random among the wanted ones.
PATIENCE = 3
MAX_DRAWS = 20_000  # random draws without a wanted candidate, after which the space counts as used up


class OnlyWanted(BaseSampler):
    """For one trial: the first of another sampler's suggestions that is wanted.

    What is unwanted (over budget, or known) never becomes a trial: nothing is trained or stored for it, and
    trials are numbered without gaps. The sampler is made anew for each trial, from a seed of the trial's own,
    so what it suggests follows from the study's history alone, interrupted or not.
    """

    def __init__(
        self,
        name: str,
        seed: list[int],
        task: Task,
        is_wanted: Callable[[Architecture], bool],
        fallback: Architecture,
    ) -> None:
        self._make, self._seed, self._task = SAMPLERS[name], seed, task
        self._is_wanted, self._fallback = is_wanted, fallback

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The whole space, which is the same in every trial."""
        return space.distributions(self._task)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All parameters of the trial."""
        for attempt in range(PATIENCE):
            seed = np.random.SeedSequence([*self._seed, attempt]).generate_state(1)[0]
            sampler = self._make(int(seed))
            suggested = sampler.sample_relative(study, trial, search_space)
            if not suggested:  # too few trials to learn from, or a sampler that never learns
                break
            for name, distribution in search_space.items():  # NSGA-II leaves out what it mutates
                if name not in suggested:
                    suggested[name] = sampler.sample_independent(study, trial, name, distribution)
            if self._is_wanted(space.architecture(suggested, self._task)):
                return suggested
        return space.parameters(self._fallback)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never called, as `sample_relative` gives every parameter."""
        raise NotImplementedError(f"{param_name} is not in the search space")


def draw_wanted(
    seed: list[int], task: Task, is_wanted: Callable[[Architecture], bool]
) -> Architecture | None:
    """A wanted candidate drawn at random; None if the space seems to hold no more."""
    rng = np.random.default_rng(seed)
    draws = (space.draw(rng, task) for _ in range(MAX_DRAWS))
    return next((candidate for candidate in draws if is_wanted(candidate)), None)

"""Who suggests candidates, and that only new ones within the budget become trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from lightcnn.architecture import Architecture, parse
from search.execution.runs import RunState
from search.records import RunRecord, finished_and_under_way
from search.space import Space
from search.surrogate import MAX_LEARNT, Array, Pool, features, promising

IsWanted = Callable[[Architecture], bool]

SAMPLERS: dict[str, Callable[[int, Space, IsWanted], BaseSampler]] = {
    "tpe": lambda seed, *_: TPESampler(seed=seed, multivariate=True, n_ei_candidates=8),
    "nsga2": lambda seed, *_: NSGAIISampler(seed=seed),
    "random": lambda seed, *_: RandomSampler(seed=seed),
    "gp": lambda seed, *_: GPSampler(seed=seed),
    "surrogate": lambda _, space, is_wanted: SurrogateSampler(space, is_wanted),
}

# A sampler that has converged repeats itself: with TPE, four of five suggestions by the thousandth trial.
# After so many unwanted suggestions, the candidate is drawn at random among the wanted ones.
PATIENCE = 3
NUM_RANDOM = 10  # trials before a model has enough to learn from
POOL_DRAWS = 4_000  # that the surrogate chooses from
POOL_LASTS = 1_000  # trials, after which its best are used up and it is drawn anew
# With many slots the next trial ends while the last is being learnt from. So a ranking serves until one trial
# has ended for each so many under way; with fewer under way, every suggestion knows all that has ended.
RUNNING_A_RANKING = 8
MAX_DRAWS = 20_000  # random draws without a wanted candidate, after which the space counts as used up


def suggestion(
    sampler: BaseSampler, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
) -> dict[str, Any]:
    """All parameters that `sampler` suggests; none while it has too little to learn from, or never learns."""
    suggested = sampler.sample_relative(study, trial, search_space)
    if suggested:
        for name, distribution in search_space.items():  # NSGA-II leaves out what it mutates
            if name not in suggested:
                suggested[name] = sampler.sample_independent(study, trial, name, distribution)
    return suggested


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
        space: Space,
        is_wanted: IsWanted,
        fallback: Architecture,
    ) -> None:
        self._make, self._seed, self._space = SAMPLERS[name], seed, space
        self._is_wanted, self._fallback = is_wanted, fallback

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The whole space, which is the same in every trial."""
        return self._space.distributions()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All parameters of the trial."""
        for attempt in range(PATIENCE):
            seed = np.random.SeedSequence([*self._seed, attempt]).generate_state(1)[0]
            sampler = self._make(int(seed), self._space, self._is_wanted)
            suggested = suggestion(sampler, study, trial, search_space)
            if not suggested:  # too few trials to learn from, or a sampler that never learns
                break
            candidate = self._space.architecture(suggested)
            if candidate is not None and self._is_wanted(candidate):
                return suggested
        return self._space.parameters(self._fallback)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never called, as `sample_relative` gives every parameter."""
        raise NotImplementedError(f"{param_name} is not in the search space")


class SurrogateSampler(BaseSampler):
    """Models accuracy alone, and suggests the wanted candidate of a pool that promises most hypervolume.

    The pool is drawn from the space if none is given.
    """

    def __init__(
        self, space: Space, is_wanted: IsWanted, pool: tuple[Sequence[Architecture], Pool] | None = None
    ) -> None:
        self._space, self._is_wanted, self._pool = space, is_wanted, pool

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The whole space."""
        return self._space.distributions()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All parameters of the trial; none while there is too little to learn from."""
        records, num_running = finished_and_under_way(study)
        known = [it for it in records.values() if it.state in (RunState.COMPLETE, RunState.PRUNED)]
        if len(known) < NUM_RANDOM:
            return {}
        ranked = self._ranked(study, known, num_running)
        best = next((candidate for candidate in ranked if self._is_wanted(candidate)), None)
        return {} if best is None else self._space.parameters(best)

    def _ranked(self, study: Study, known: list[RunRecord], num_running: int) -> Iterator[Architecture]:
        """The pool's candidates, those first that promise most."""
        num_known, ranking = _RANKINGS.get(study, (0, []))
        if self._pool or not ranking or len(known) - num_known > num_running // RUNNING_A_RANKING:
            candidates, pool = self._pool or _drawn_pool(self._space, len(known) // POOL_LASTS)
            latest = [_features_of(record.architecture, self._space) for record in known[-MAX_LEARNT:]]
            sizes = np.array([record.num_parameters for record in known], dtype=float)
            trained = Pool(np.concatenate(latest), sizes)
            order = promising(pool, trained, [record.accuracies for record in known])
            _RANKINGS[study] = len(known), (ranking := [candidates[i] for i in order])
        return iter(ranking)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never called, as `OnlyWanted` draws where `sample_relative` gives nothing."""
        raise NotImplementedError(f"{param_name} is not sampled by itself")


# Of each study: how many finished trials it was made from, and what promised most.
_RANKINGS: WeakKeyDictionary[Study, tuple[int, list[Architecture]]] = WeakKeyDictionary()


@lru_cache(maxsize=10_000)
def _features_of(text: str, space: Space) -> Array:
    return features([parse(text, space.task)], space)


@lru_cache(maxsize=1)
def _drawn_pool(space: Space, number: int) -> tuple[list[Architecture], Pool]:
    rng = np.random.default_rng(number)
    candidates = list(dict.fromkeys(space.draw(rng) for _ in range(POOL_DRAWS)))
    return candidates, Pool.of(candidates, space)


def draw_wanted(seed: list[int], space: Space, is_wanted: IsWanted) -> Architecture | None:
    """A wanted candidate drawn at random; None if the space seems to hold no more."""
    rng = np.random.default_rng(seed)
    draws = (space.draw(rng) for _ in range(MAX_DRAWS))
    return next((candidate for candidate in draws if is_wanted(candidate)), None)

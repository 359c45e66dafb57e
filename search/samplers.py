"""Who suggests candidates, and that only new ones within the budget become trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from lightcnn.architecture import Architecture, parse
from search.evolution import EvolutionSampler
from search.execution.runs import RunState
from search.pareto import front
from search.prospects import Prospects
from search.records import RunRecord, judged_and_under_way
from search.space import Space
from search.surrogate import MAX_LEARNT, Array, Pool, features

IsWanted = Callable[[Architecture], bool]

SAMPLERS: dict[str, Callable[[int, Space, IsWanted], BaseSampler]] = {
    "tpe": lambda seed, *_: TPESampler(seed=seed, multivariate=True, n_ei_candidates=8),
    "nsga2": lambda seed, *_: NSGAIISampler(seed=seed),
    "random": lambda seed, *_: RandomSampler(seed=seed),
    "gp": lambda seed, *_: GPSampler(seed=seed),
    "evolution": lambda seed, space, is_wanted: EvolutionSampler(seed, space, is_wanted),
    "surrogate": lambda _, space, is_wanted: SurrogateSampler(space, is_wanted),
}

# A sampler that has converged repeats itself: with TPE, four of five suggestions by the thousandth trial.
# After so many unwanted suggestions, the candidate is drawn at random among the wanted ones.
PATIENCE = 3
NUM_RANDOM = 10  # trials before a model has enough to learn from
POOL_DRAWS = 4_000  # at random, that the surrogate chooses from
NEIGHBOURS = 100  # mutations of each network on the front, that it chooses from as well
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

    The pool is drawn from the space if none is given, and joined by neighbours of the front: in a large space
    hardly any random draw improves on what was found. Source of the local search: White, Neiswanger and
    Savani (2021), BANANAS: Bayesian optimization with neural architectures for neural architecture search.

    Args:
        neighbours: how many of each network on the front.
    """

    def __init__(
        self,
        space: Space,
        is_wanted: IsWanted,
        pool: tuple[Sequence[Architecture], Pool] | None = None,
        neighbours: int = NEIGHBOURS,
    ) -> None:
        self._space, self._is_wanted, self._pool, self._neighbours = space, is_wanted, pool, neighbours

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The whole space."""
        return self._space.distributions()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All parameters of the trial; none while there is too little to learn from."""
        known, under_way, num_over = judged_and_under_way(study)
        if len(known) < NUM_RANDOM:
            return {}
        memory = _MEMORIES.setdefault(study, _Memory())
        is_old = num_over - memory.num_over > len(under_way) // RUNNING_A_RANKING
        if self._pool or memory.prospects is None or is_old:
            trained, curves = self._trained(memory, known)
            found = _best([*memory.best, *known[-MAX_LEARNT:]])
            candidates, pool = self._pool or self._pool_around(found, len(known))
            if not candidates:
                return {}
            memory.candidates = candidates
            memory.prospects = Prospects(pool, trained, curves, self._running(memory, under_way))
            memory.num_over = num_over
        best = memory.prospects.take(lambda i: self._is_wanted(memory.candidates[i]))
        return {} if best is None else self._space.parameters(memory.candidates[best])

    def _trained(self, memory: _Memory, known: Sequence[RunRecord]) -> tuple[Pool, list[list[float]]]:
        """The latest, which the model learns from, after the best of those before; and their curves."""
        memory.best = _best([*memory.best, *known[memory.num_earlier : -MAX_LEARNT]])
        memory.num_earlier = max(len(known) - MAX_LEARNT, 0)
        latest = known[-MAX_LEARNT:]
        records = [*memory.best, *latest]
        seen = np.concatenate([_features_of(record.architecture, self._space) for record in latest])
        sizes = np.array([record.num_parameters for record in records], dtype=float)
        return Pool(seen, sizes), [record.accuracies for record in records]

    def _pool_around(self, found: Sequence[RunRecord], num_known: int) -> tuple[list[Architecture], Pool]:
        """What was drawn, and the neighbours of what was `found` best; as far as they are wanted.

        What costs too much is no part of the hypervolume that there is to be gained.
        """
        near = (_neighbours(it.architecture, self._space, self._neighbours) for it in found)
        groups = [(some, pool) for some, pool in (_drawn_pool(self._space, num_known), *near) if some]
        candidates = [candidate for some, _ in groups for candidate in some]
        wanted = [i for i, candidate in enumerate(candidates) if self._is_wanted(candidate)]
        whole = Pool(*map(np.concatenate, zip(*(pool for _, pool in groups), strict=True)))
        return [candidates[i] for i in wanted], Pool(whole.features[wanted], whole.sizes[wanted])

    def _running(self, memory: _Memory, under_way: Sequence[FrozenTrial]) -> Array | None:
        """Features of those under way, but for the one that is to be suggested."""
        seen: dict[int, Array] = {}
        for trial in under_way:
            if trial.number in memory.running:
                seen[trial.number] = memory.running[trial.number]
                continue
            is_whole = trial.params.keys() == self._space.distributions().keys()
            candidate = self._space.architecture(trial.params) if is_whole else None
            if candidate is not None:
                seen[trial.number] = features([candidate], self._space)
        memory.running = seen
        return np.concatenate([*seen.values()]) if seen else None

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never called, as `OnlyWanted` draws where `sample_relative` gives nothing."""
        raise NotImplementedError(f"{param_name} is not sampled by itself")


@dataclass
class _Memory:
    """Of a study, from one suggestion to the next."""

    num_over: int = 0  # trials that were when the prospects were made
    candidates: Sequence[Architecture] = ()
    prospects: Prospects | None = None
    running: dict[int, Array] = field(
        default_factory=dict
    )  # features of what is under way, by Optuna's number
    num_earlier: int = 0  # finished trials before the latest
    best: list[RunRecord] = field(default_factory=list)  # of those


_MEMORIES: WeakKeyDictionary[Study, _Memory] = WeakKeyDictionary()


def _best(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The front of those that were trained to their end."""
    whole = [record for record in records if record.state == RunState.COMPLETE]
    best = front([it.num_parameters for it in whole], [it.val_accuracy or 0.0 for it in whole])
    return [whole[i] for i in best]


@lru_cache(maxsize=1_000)
def _neighbours(text: str, space: Space, number: int) -> tuple[list[Architecture], Pool]:
    """Mutations of a network, always the same, of so many tries those that are others."""
    rng, network = np.random.default_rng([*text.encode()]), parse(text, space.task)
    mutations = (space.mutated(network, rng) for _ in range(number))
    candidates = [it for it in dict.fromkeys(mutations) if it is not None]
    return candidates, Pool.of(candidates, space)


@lru_cache(maxsize=10_000)
def _features_of(text: str, space: Space) -> Array:
    return features([parse(text, space.task)], space)


class _Drawing:
    """A pool that is drawn little by little, the same however it is divided."""

    def __init__(self, space: Space, number: int) -> None:
        self._space, self._rng, self._num_draws = space, np.random.default_rng(number), 0
        self._candidates: dict[Architecture, None] = {}
        self._parts: list[Pool] = []

    def draw(self, num_draws: int) -> None:
        """Bring it to so many draws, if it has fewer."""
        before = len(self._candidates)
        for _ in range(self._num_draws, num_draws):
            self._candidates.setdefault(self._space.draw(self._rng))
        self._num_draws = max(self._num_draws, num_draws)
        if new := [*self._candidates][before:]:
            self._parts.append(Pool.of(new, self._space))

    def whole(self) -> tuple[list[Architecture], Pool]:
        """All of it, each candidate once."""
        self.draw(POOL_DRAWS)
        if len(self._parts) > 1:
            self._parts = [Pool(*map(np.concatenate, zip(*self._parts, strict=True)))]
        return [*self._candidates], self._parts[0]


@lru_cache(maxsize=2)
def _drawing(space: Space, number: int) -> _Drawing:
    return _Drawing(space, number)


def _drawn_pool(space: Space, num_known: int) -> tuple[list[Architecture], Pool]:
    """The pool after so many trials; its successor is drawn meanwhile, so that no slot has to wait for it."""
    number, since = divmod(num_known, POOL_LASTS)
    pool = _drawing(space, number).whole()  # first, as the last two that are asked for are kept
    _drawing(space, number + 1).draw(POOL_DRAWS * since // POOL_LASTS)
    return pool


def draw_wanted(seed: list[int], space: Space, is_wanted: IsWanted) -> Architecture | None:
    """A wanted candidate drawn at random; None if the space seems to hold no more."""
    rng = np.random.default_rng(seed)
    draws = (space.draw(rng) for _ in range(MAX_DRAWS))
    return next((candidate for candidate in draws if is_wanted(candidate)), None)

"""Searches played on LightCNN-Bench: who suggests, who is stopped, what it costs, and what it finds.

A run has the recorded curve of one of the network's seeds, drawn; one that is stopped is known up to there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.trial import TrialState, create_trial

from lightcnn.architecture import Architecture, parse
from lightcnn.cost import num_macs
from lightcnn.designs import LIGHTCNN
from search.prospects import Prospects
from search.samplers import NUM_RANDOM
from search.stopping import Rivals, StoppingRule, is_exempt
from search.surrogate import (
    GaussianProcess,
    Pool,
    expected_hypervolume_improvement,
    log_error,
)
from studies.samplers import SPACE, Snapping
from studies.tabular_bench import MAX_PARAMETERS, SEARCH, TASK, of_budget

Array = NDArray[np.float64]
# Suggests a network's position, given those met, their accuracies so far, and a seed.
Suggest = Callable[[Sequence[int], Sequence[Array], int], int]

# Last log errors and their variances, of curves that may have been cut short.
Foresee = Callable[[Sequence[Sequence[float]]], tuple[Array, Array]]

MOST_ERRORS = 0.1  # what errs more often counts as if it erred so often: such networks are of no use
NUM_SIZES = 200  # that regret is the mean over
# Log error within which of the best no larger a candidate is trained again: of two equal designs the worse by
# so much still has one chance in ten to be the better (1.28 standard deviations of a difference, 0.08 a run).
CLOSE = 0.15


class Bench(NamedTuple):
    """Networks with the whole curves of several seeds, smallest first."""

    networks: list[Architecture]
    sizes: Array  # parameters, (num_networks,)
    curves: Array  # validation accuracies, (num_networks, num_seeds, num_epochs)

    @staticmethod
    def of(table: pd.DataFrame) -> Bench:
        """The networks of the table whose runs with the search's budget all came to their end."""
        wide = of_budget(table, SEARCH).pivot_table(
            index=["num_parameters", "architecture"], columns=["seed", "epoch"], values="val_accuracy"
        )
        wide = wide.dropna().sort_index()
        networks = [parse(text, TASK) for text in wide.index.get_level_values("architecture")]
        sizes = wide.index.get_level_values("num_parameters").to_numpy(dtype=float)
        return Bench(networks, sizes, wide.to_numpy(dtype=float).reshape(len(sizes), -1, SEARCH[0]))

    def regret(self, found: Sequence[int]) -> float:
        """By how much more the best of `found` errs than the best of all, on the log error: 0.1 is 10 %.

        A network's error is the geometric mean over its seeds, MOST_ERRORS at most. At each budget of
        parameters the best no larger count; the mean is over budgets, uniform on the log scale from the
        least with which MOST_ERRORS can be had up to MAX_PARAMETERS.
        """
        errors = np.minimum(log_error(self.curves[:, :, -1]).mean(axis=1), np.log(MOST_ERRORS))
        of_found = np.full(len(errors), np.log(MOST_ERRORS))
        of_found[list(found)] = errors[list(found)]
        least = self.sizes[int(np.argmax(errors < np.log(MOST_ERRORS)))]
        budgets = np.geomspace(least, MAX_PARAMETERS, NUM_SIZES)
        best = np.searchsorted(self.sizes, budgets * (1 + 1e-9), side="right") - 1
        return float((np.minimum.accumulate(of_found) - np.minimum.accumulate(errors))[best].mean())


class Step(NamedTuple):
    """Where a search stands after a trial."""

    epochs: int  # spent by all trials so far
    regret: float
    retrained: int  # how many candidates would be trained again


def play(
    bench: Bench, rule: StoppingRule | None, suggest: Suggest | None, repetition: int, num_epochs: int
) -> list[Step]:
    """One search, a trial after the other, until it has spent `num_epochs` or met all: a line a trial.

    LightCNN is the first trial if the bench holds it, and the first NUM_RANDOM are drawn at random. The draws
    are the repetition's own, the same for every rule and sampler.

    Args:
        rule: None: no run is stopped.
        suggest: None: all are drawn at random.
    """
    rng = np.random.default_rng(repetition)
    num_networks, num_seeds, whole = bench.curves.shape
    runs = bench.curves[np.arange(num_networks), rng.integers(num_seeds, size=num_networks)]
    reference = [i for i, network in enumerate(bench.networks) if str(network) == LIGHTCNN]
    order = list(dict.fromkeys([*reference, *rng.permutation(num_networks).tolist()]))
    met: list[int] = []
    curves: list[Array] = []
    steps: list[Step] = []
    spent = 0
    while spent < num_epochs and len(met) < num_networks:
        if suggest is None or len(met) < NUM_RANDOM:
            i = next(j for j in order if j not in met)
        else:
            i = suggest(met, curves, int(np.random.SeedSequence([repetition, len(met)]).generate_state(1)[0]))
        others = Rivals((int(bench.sizes[j]), curve.tolist()) for j, curve in zip(met, curves, strict=True))
        is_spared = is_exempt(repetition, len(met)) or i in reference
        end = (
            whole if rule is None or is_spared else _end(rule, int(bench.sizes[i]), runs[i].tolist(), others)
        )
        met.append(i)
        curves.append(runs[i][:end])
        spent += end
        complete = [j for j, curve in zip(met, curves, strict=True) if len(curve) == whole]
        near = worth_retraining(bench.sizes[complete], log_error(runs[complete, -1]))
        steps.append(Step(spent, bench.regret([complete[j] for j in near]), len(near)))
    return steps


def _end(rule: StoppingRule, size: int, run: list[float], others: Rivals) -> int:
    """The epoch that a run is stopped after, or its last."""
    for rung in rule.rungs:
        if rule.num_better_than(size, run[:rung], others) >= rule.num_better:
            return rung
    return len(run)


def worth_retraining(sizes: Array, log_errors: Array) -> list[int]:
    """Positions of the candidates that err hardly more than the best that is no larger."""
    best = [log_errors[sizes <= size].min() for size in sizes]
    return [int(i) for i in np.flatnonzero(log_errors <= np.array(best) + CLOSE)]


def surrogate(bench: Bench) -> Suggest:
    """The search's own model."""
    pool = Pool.of(bench.networks, SPACE)

    def suggest(met: Sequence[int], curves: Sequence[Array], seed: int) -> int:
        trained = Pool(pool.features[met], pool.sizes[met])
        best = Prospects(pool, trained, [*map(list, curves)]).take(lambda i: i not in met)
        assert best is not None  # as long as some are not met
        return best

    return suggest


class Earlier(GaussianProcess):
    """The model before it was changed: it had no trend, and a squared-exponential kernel."""

    trend = 0.0

    @staticmethod
    def correlation(squared_distances: Array, length_scale: float) -> Array:
        """As of infinitely smooth functions."""
        correlations: Array = np.exp(-squared_distances / (2 * length_scale**2))
        return correlations


def variant(bench: Bench, model: type[GaussianProcess], foresee: Foresee) -> Suggest:
    """A model held against the search's; Earlier sees the MACs, not what reaches the linear layers."""
    pool = Pool.of(bench.networks, SPACE)
    features = pool.features.copy()
    if model is Earlier:
        features[:, -1] = np.log([num_macs(network) for network in bench.networks])

    def suggest(met: Sequence[int], curves: Sequence[Array], seed: int) -> int:
        values, variances = foresee([*map(list, curves)])
        fitted = model(features[met], values, variances)
        gains = expected_hypervolume_improvement(
            pool.sizes, *fitted.predict(features), pool.sizes[met], 1 - np.exp(values)
        )
        gains[list(met)] = -1
        return int(np.argmax(gains))

    return suggest


def as_if_whole(curves: Sequence[Sequence[float]]) -> tuple[Array, Array]:
    """For `variant`: last log errors moved by the others' median gain, and no variance; as it was."""
    whole = max(map(len, curves))
    complete = log_error([curve for curve in curves if len(curve) == whole])
    gains = np.median(complete[:, -1:] - complete, axis=0)
    values = log_error([curve[-1] for curve in curves]) + [gains[len(curve) - 1] for curve in curves]
    return values, np.zeros(len(curves))


class Tpe:
    """For one search: Optuna's TPE on the whole space, moved to the nearest network not yet met."""

    def __init__(self, bench: Bench) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._bench, self._num_told = bench, 0
        self._study = optuna.create_study(directions=["maximize", "minimize"])

    def __call__(self, met: Sequence[int], curves: Sequence[Array], seed: int) -> int:
        """As `Suggest`."""
        networks, sizes, all_curves = self._bench
        for i, curve in zip(met[self._num_told :], curves[self._num_told :], strict=True):
            is_whole = len(curve) == all_curves.shape[-1]
            told = create_trial(
                state=TrialState.COMPLETE if is_whole else TrialState.PRUNED,
                params=SPACE.parameters(networks[i]),
                distributions=SPACE.distributions(),
                values=[curve[-1], sizes[i]] if is_whole else None,
            )
            self._study.add_trial(told)
        self._num_told = len(met)
        unmet = [network for i, network in enumerate(networks) if i not in met]
        self._study.sampler = Snapping("tpe", seed, unmet, ([], Pool(np.empty((0, 0)), np.empty(0))))
        asked = self._study.ask()
        network = SPACE.suggest(asked)
        self._study.tell(asked, state=TrialState.FAIL)  # which it learns nothing from
        assert network is not None  # as the bench's networks are members of the space
        return networks.index(network)

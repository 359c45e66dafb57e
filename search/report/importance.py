"""What mattered for accuracy at equal size: each search parameter's share of it, by a model of the trials.

Size is held fixed: all candidates considered have about as many parameters as the reference, or whatever adds
channels would matter most. A parameter's importance is Sobol's total effect: how much of the accuracy's
variance over such candidates remains once all other parameters are known. It is that of the search's own
surrogate, which sees a candidate and not Optuna's parameters: a width of a block that a candidate does not
have changes nothing and counts for nothing. Accuracy is taken by the logarithm of the error, or the few
candidates that fail altogether would decide everything.

Sources: Jansen (1999), Analysis of variance designs for model output (the estimator); Politis, Romano and
Wolf (1999), Subsampling (the interval, from half samples, whose scatter is that of the whole).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightcnn.architecture import Architecture, parse
from lightcnn.cost import num_parameters
from search.cells import rows
from search.dimensions import Dimension
from search.execution.runs import RunState
from search.space import Space
from search.surrogate import GaussianProcess, features, final_log_errors, log_error
from search.tables import Tables

Array = NDArray[np.float64]
Parameters = Mapping[str, Any]
Sizes = tuple[float, float]  # fewest and most parameters

LEAST_TRIALS = 20  # for a model of six parameters to say anything
MOST_TRIALS = 400  # of a longer search so many, drawn: the model's cost grows with their cube
NUM_CANDIDATES = 300  # random ones that the variance is taken over
NUM_HALVES = 30  # refits
PATIENCE = 20  # draws of one parameter, the others kept, for a candidate of that size
SAME_SIZE = 1.3  # times the reference's parameters, or one in so many: what counts as equal
NUM_DRAWN = 600  # at a value, for candidates of that size
FEW = 12  # parameters; of more, each value has fewer draws
LEAST_OF_A_VALUE = 10


@dataclass(frozen=True)
class Effect:
    """What one search parameter does to the accuracy."""

    dimension: Dimension
    share: float  # of the variance of the log error; shares overlap where parameters act together
    low: float  # of its 95 % interval
    high: float
    accuracies: dict[str, float]  # expected at some of its values, the others random


@dataclass(frozen=True)
class Importance:
    """The parameters, the most important one first, and how good the model is that says so."""

    effects: tuple[Effect, ...]
    explained: float  # share of the variance of trials that a model fitted to the others explains
    num_trials: int
    sizes: Sizes  # of the candidates considered


def importance(tables: Tables) -> Importance | None:
    """The importance of each search parameter; None where there is too little to learn it from."""
    if tables.settings is None:
        return None
    space = tables.settings.space
    architectures, log_errors, variances = _measured(tables, space)
    if len(architectures) < LEAST_TRIALS:
        return None
    sizes = _about_the_references(tables, architectures)
    rng = np.random.default_rng(0)
    drawn = rng.permutation(len(architectures))[:MOST_TRIALS]
    inputs = features([architectures[i] for i in drawn], space)
    values, noises = log_errors[drawn], variances[drawn]
    bases, varied = _variations(rng, space, sizes)
    if not bases:
        return None
    points = features([*bases, *(one for others in varied.values() for one in others)], space)

    def shares(model: GaussianProcess) -> Array:
        means = model.predict(points)[0].reshape(1 + len(varied), len(bases))
        spread = float(means[0].var()) or 1.0
        half_squares: Array = np.square(means[1:] - means[0]).mean(axis=1) / 2
        return half_squares / spread

    whole = GaussianProcess(inputs, values, noises)
    halves, explained = [], []
    for _ in range(NUM_HALVES):
        order = rng.permutation(len(values))
        half, rest = order[: len(order) // 2], order[len(order) // 2 :]
        model = GaussianProcess(inputs[half], values[half], noises[half])
        halves.append(shares(model))
        missed = np.square(values[rest] - model.predict(inputs[rest])[0]).mean()
        explained.append(1 - float(missed) / (float(values[rest].var()) or 1.0))
    errors = 1.96 * np.std(halves, axis=0, ddof=1)
    effects = [
        Effect(
            dimension,
            float(share),
            max(float(share - error), 0.0),
            float(share + error),
            _at(whole, dimension, space, sizes),
        )
        for dimension, share, error in zip(space.dimensions, shares(whole), errors, strict=True)
    ]
    effects.sort(key=lambda effect: -effect.share)
    return Importance(tuple(effects), float(np.mean(explained)), len(values), sizes)


def _about_the_references(tables: Tables, architectures: Sequence[Architecture]) -> Sizes:
    """Sizes about the reference's, or about the middle one's of the trials where none is near it."""
    own = np.array([num_parameters(it) for it in architectures])
    size = float(tables.reference_row["num_parameters"])
    if not ((own >= size / SAME_SIZE) & (own <= size * SAME_SIZE)).any():
        size = float(np.median(own))
    return size / SAME_SIZE, size * SAME_SIZE


def _measured(tables: Tables, space: Space) -> tuple[list[Architecture], Array, Array]:
    """The trials that were judged, their log errors, and variances of those.

    Of stopped ones it is what they would have come to, if their curves are there.
    """
    curves = {
        trial: own["val_accuracy"].tolist()
        for trial, own in tables.curves.dropna(subset=["val_accuracy"]).groupby("trial")
    }
    judged = [
        row
        for row in rows(tables.trials)
        if (row["state"] == RunState.COMPLETE or (row["state"] == RunState.PRUNED and row["trial"] in curves))
        and _is_readable(row["architecture"], space)
    ]
    if not any(row["state"] == RunState.COMPLETE for row in judged):
        return [], np.empty(0), np.empty(0)
    architectures = [parse(row["architecture"], space.task) for row in judged]
    whole = max(row["epochs"] for row in judged)
    if all(len(curves.get(row["trial"], ())) == whole for row in judged if row["state"] == RunState.COMPLETE):
        return architectures, *final_log_errors([curves[row["trial"]] for row in judged])
    complete = [i for i, row in enumerate(judged) if row["state"] == RunState.COMPLETE]
    accuracies = [judged[i]["val_accuracy"] for i in complete]
    return [architectures[i] for i in complete], log_error(accuracies), np.zeros(len(complete))


def _is_readable(text: str, space: Space) -> bool:
    try:
        return parse(text, space.task) in space
    except ValueError:
        return False


def _variations(
    rng: np.random.Generator, space: Space, sizes: Sizes
) -> tuple[list[Architecture], dict[str, list[Architecture]]]:
    """Random candidates of such sizes, and for each parameter the same with that one drawn again.

    None, where a space hardly has any.
    """
    bases: list[Architecture] = []
    varied: dict[str, list[Architecture]] = {dimension.name: [] for dimension in space.dimensions}
    for _ in range(NUM_DRAWN * NUM_CANDIDATES // 10):
        parameters = space.draw_parameters(rng)
        if (base := _within(space, sizes, parameters)) is None:
            continue
        bases.append(base)
        for name, others in varied.items():
            draws = (
                _within(space, sizes, parameters | {name: space.draw_parameters(rng)[name]})
                for _ in range(PATIENCE)
            )
            others.append(next((drawn for drawn in draws if drawn is not None), base))
        if len(bases) == NUM_CANDIDATES:
            return bases, varied
    return [], varied


def _within(space: Space, sizes: Sizes, parameters: Parameters) -> Architecture | None:
    """The candidate of `parameters`; None if it is of another size, or its head is inactive."""
    candidate = space.architecture(parameters)
    low, high = sizes
    return candidate if candidate is not None and low <= num_parameters(candidate) <= high else None


def _at(model: GaussianProcess, dimension: Dimension, space: Space, sizes: Sizes) -> dict[str, float]:
    """Expected accuracy at values of one parameter, over candidates of such sizes that use it."""
    rng = np.random.default_rng(1)
    expected = {}
    num_drawn = NUM_DRAWN * FEW // max(FEW, len(space.dimensions))
    for value in dimension.shown:
        drawn = (
            _within(space, sizes, space.draw_parameters(rng) | {dimension.name: value})
            for _ in range(num_drawn)
        )
        used = [candidate for candidate in drawn if candidate is not None and dimension.is_active(candidate)]
        if len(used) >= LEAST_OF_A_VALUE:
            means = model.predict(features(used, space))[0]
            expected[str(value)] = 1 - float(np.exp(means.mean()))
    return expected

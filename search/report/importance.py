"""What mattered for accuracy: each search parameter's share of it, by a model of the study's own trials.

A parameter's importance is Sobol's total effect: how much of the accuracy's variance over random candidates
remains once all other parameters are known. It is that of the search's own surrogate, which sees a candidate
and not Optuna's parameters: a width of a block that a candidate does not have changes nothing and counts for
nothing. Candidates over the budget do not occur, as none was trained. Accuracy is taken by the logarithm of
the error, or the few candidates that fail altogether would decide everything.

Sources: Jansen (1999), Analysis of variance designs for model output (the estimator); Politis, Romano and
Wolf (1999), Subsampling (the interval, from half samples, whose scatter is that of the whole).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightcnn.architecture import Architecture, Task, parse
from lightcnn.cost import num_parameters
from search import space
from search.surrogate import GaussianProcess, features, final_accuracies, log_error
from search.tables import Tables, rows

Array = NDArray[np.float64]
Parameters = Mapping[str, Any]

LEAST_TRIALS = 20  # for a model of six parameters to say anything
MOST_TRIALS = 400  # of a longer search so many, drawn: the model's cost grows with their cube
NUM_CANDIDATES = 300  # random ones that the variance is taken over
NUM_HALVES = 30  # refits
PATIENCE = 20  # draws of one parameter, the others kept, for a candidate within the budget
WIDTHS_SHOWN = (4, 8, 16, 32)


@dataclass(frozen=True)
class Effect:
    """What one search parameter does to the accuracy."""

    parameter: str  # as `search.space` calls it
    share: float  # of the variance of the log error; shares overlap where parameters act together
    low: float  # of its 95 % interval
    high: float
    accuracies: dict[str, float]  # expected at some of its values, the others random; fractions


@dataclass(frozen=True)
class Importance:
    """The parameters, the most important one first, and how good the model is that says so."""

    effects: tuple[Effect, ...]
    explained: float  # share of the variance of trials that a model fitted to the others explains
    num_trials: int


def importance(tables: Tables) -> Importance | None:
    """The importance of each search parameter; None where there is too little to learn it from."""
    task, budget = tables.task, tables.setting("max_parameters")
    if task is None or not isinstance(budget, int):
        return None
    architectures, accuracies = _measured(tables, task)
    if len(architectures) < LEAST_TRIALS:
        return None
    rng = np.random.default_rng(0)
    drawn = rng.permutation(len(architectures))[:MOST_TRIALS]
    inputs = features([architectures[i] for i in drawn], space.max_blocks(task))
    values = log_error(accuracies[drawn])
    bases, varied = _variations(rng, task, budget)
    names = list(space.distributions(task))
    points = features([*bases, *(one for name in names for one in varied[name])], space.max_blocks(task))

    def shares(model: GaussianProcess) -> Array:
        means = model.predict(points)[0].reshape(1 + len(names), NUM_CANDIDATES)
        spread = float(means[0].var()) or 1.0
        half_squares: Array = np.square(means[1:] - means[0]).mean(axis=1) / 2
        return half_squares / spread

    whole = GaussianProcess(inputs, values)
    halves, explained = [], []
    for _ in range(NUM_HALVES):
        order = rng.permutation(len(values))
        half, rest = order[: len(order) // 2], order[len(order) // 2 :]
        model = GaussianProcess(inputs[half], values[half])
        halves.append(shares(model))
        missed = np.square(values[rest] - model.predict(inputs[rest])[0]).mean()
        explained.append(1 - float(missed) / (float(values[rest].var()) or 1.0))
    errors = 1.96 * np.std(halves, axis=0, ddof=1)
    effects = [
        Effect(
            name,
            float(share),
            max(float(share - error), 0.0),
            float(share + error),
            _at(whole, name, task, budget),
        )
        for name, share, error in zip(names, shares(whole), errors, strict=True)
    ]
    effects.sort(key=lambda effect: -effect.share)
    return Importance(tuple(effects), float(np.mean(explained)), len(values))


def _measured(tables: Tables, task: Task) -> tuple[list[Architecture], Array]:
    """The trials that were judged, stopped ones by what they would have come to if their curves are there."""
    curves = {
        trial: own["val_accuracy"].tolist()
        for trial, own in tables.curves.dropna(subset=["val_accuracy"]).groupby("trial")
    }
    judged = [
        row
        for row in rows(tables.trials)
        if (row["state"] == "COMPLETE" or (row["state"] == "PRUNED" and row["trial"] in curves))
        and _is_readable(row["architecture"], task)
    ]
    if not any(row["state"] == "COMPLETE" for row in judged):
        return [], np.empty(0)
    architectures = [parse(row["architecture"], task) for row in judged]
    whole = max(row["epochs"] for row in judged)
    if all(len(curves.get(row["trial"], ())) == whole for row in judged if row["state"] == "COMPLETE"):
        return architectures, final_accuracies([curves[row["trial"]] for row in judged])
    complete = [i for i, row in enumerate(judged) if row["state"] == "COMPLETE"]
    return [architectures[i] for i in complete], np.array([judged[i]["val_accuracy"] for i in complete])


def _is_readable(text: str, task: Task) -> bool:
    try:
        parse(text, task)
    except ValueError:
        return False
    return True


def _draw(rng: np.random.Generator, task: Task) -> dict[str, Any]:
    """All search parameters, drawn as a random search draws them."""
    widths = [name for name in space.distributions(task) if name.startswith("width_")]
    return {
        "num_blocks": int(rng.integers(1, space.max_blocks(task) + 1)),
        **dict(zip(widths, space.draw_widths(rng, len(widths)), strict=True)),
        "head": str(rng.choice(space.HEADS)),
    }


def _variations(
    rng: np.random.Generator, task: Task, budget: int
) -> tuple[list[Architecture], dict[str, list[Architecture]]]:
    """Random candidates within the budget, and for each parameter the same with that one drawn again."""

    def within(parameters: Parameters) -> Architecture | None:
        candidate = space.architecture(parameters, task)
        return candidate if num_parameters(candidate) <= budget else None

    bases: list[Architecture] = []
    varied: dict[str, list[Architecture]] = {name: [] for name in space.distributions(task)}
    while len(bases) < NUM_CANDIDATES:
        parameters = _draw(rng, task)
        if (base := within(parameters)) is None:
            continue
        bases.append(base)
        for name, others in varied.items():
            draws = (within(parameters | {name: _draw(rng, task)[name]}) for _ in range(PATIENCE))
            others.append(next((drawn for drawn in draws if drawn is not None), base))
    return bases, varied


def _at(model: GaussianProcess, name: str, task: Task, budget: int) -> dict[str, float]:
    """Expected accuracy at values of one parameter, over candidates within the budget that use it."""
    rng = np.random.default_rng(1)
    values: dict[str, tuple[Any, ...]] = {
        "num_blocks": tuple(range(1, space.max_blocks(task) + 1)),
        "head": space.HEADS,
    }
    expected = {}
    for value in values.get(name, WIDTHS_SHOWN):
        draws = (_draw(rng, task) | {name: value} for _ in range(NUM_CANDIDATES))
        used = [
            space.architecture(parameters, task)
            for parameters in draws
            if not name.startswith("width_") or parameters["num_blocks"] >= int(name.removeprefix("width_"))
        ]
        used = [candidate for candidate in used if num_parameters(candidate) <= budget]
        if used:
            means = model.predict(features(used, space.max_blocks(task)))[0]
            expected[str(value)] = 1 - float(np.exp(means.mean()))
    return expected

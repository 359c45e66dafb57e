"""The search space: Optuna trial -> Architecture; the only file that calls `suggest_*`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import Trial

from lightcnn.architecture import Architecture, Task, template
from lightcnn.cost import num_parameters

MAX_BLOCKS = 4
WIDTHS = (2, 32)  # channels of a block; sampled on a log scale
HEADS = ("gap", "flatten")

# Every trial is given all the widths and uses the first `num_blocks` of them. With widths that depend on the
# number of blocks the space would have no fixed dimension, and the GP sampler, the multivariate TPE and the
# crossover of NSGA-II would model the number of blocks and the head only.


def suggest(trial: Trial, task: Task) -> Architecture:
    """The candidate that `trial` stands for."""
    return architecture(
        {
            "num_blocks": trial.suggest_int("num_blocks", 1, max_blocks(task)),
            **{name: trial.suggest_int(name, *WIDTHS, log=True) for name in _width_names(task)},
            "head": trial.suggest_categorical("head", HEADS),
        },
        task,
    )


def distributions(task: Task) -> dict[str, BaseDistribution]:
    """What `suggest` asks for, for a sampler that wants to know beforehand."""
    return {
        "num_blocks": IntDistribution(1, max_blocks(task)),
        **{name: IntDistribution(*WIDTHS, log=True) for name in _width_names(task)},
        "head": CategoricalDistribution(HEADS),
    }


def architecture(parameters: Mapping[str, Any], task: Task) -> Architecture:
    """The candidate that Optuna's `parameters` stand for."""
    widths = [parameters[name] for name in _width_names(task)]
    return template(tuple(widths[: parameters["num_blocks"]]), parameters["head"], task)


def parameters(candidate: Architecture) -> dict[str, Any]:
    """Optuna's parameters for `candidate`, a member of the space; the inverse of `architecture`."""
    widths = [block.channels for block in candidate.blocks]
    names = _width_names(candidate.task)
    unused = [WIDTHS[0]] * (len(names) - len(widths))
    return {
        "num_blocks": len(widths),
        **dict(zip(names, widths + unused, strict=True)),
        "head": candidate.head,
    }


def draw(rng: np.random.Generator, task: Task) -> Architecture:
    """A candidate drawn as Optuna's random sampler draws: log-uniform widths."""
    widths = draw_widths(rng, int(rng.integers(1, max_blocks(task) + 1)))
    return template(tuple(widths), str(rng.choice(HEADS)), task)


def draw_widths(rng: np.random.Generator, count: int) -> list[int]:
    """So many widths, drawn as Optuna draws an integer on a log scale."""
    low, high = WIDTHS
    drawn = np.exp(rng.uniform(np.log(low - 0.5), np.log(high + 0.5), size=count))
    return [int(width) for width in np.clip(np.rint(drawn), low, high)]


def smallest(task: Task) -> Architecture:
    """The member of the space with the fewest parameters."""
    return min(
        (
            template((WIDTHS[0],) * num_blocks, head, task)
            for num_blocks in range(1, max_blocks(task) + 1)
            for head in HEADS
        ),
        key=num_parameters,
    )


def max_blocks(task: Task) -> int:
    """How many blocks the images allow, up to MAX_BLOCKS: each but the last halves the maps' side."""
    return min(MAX_BLOCKS, task.image_size.bit_length())


def _width_names(task: Task) -> list[str]:
    return [f"width_{i + 1}" for i in range(max_blocks(task))]

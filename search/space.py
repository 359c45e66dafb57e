"""The search space: Optuna trial -> Architecture; the only file that calls `suggest_*`."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.trial import FixedTrial, FrozenTrial, Trial

from lightcnn.architecture import Architecture, Task, template
from lightcnn.cost import num_parameters

MAX_BLOCKS = 4
WIDTHS = (2, 32)  # channels of a block; sampled on a log scale
HEADS = ("gap", "flatten")

# Every trial is given all the widths and uses the first `num_blocks` of them. With widths that depend on the
# number of blocks the space would have no fixed dimension, and the GP sampler, the multivariate TPE and the
# crossover of NSGA-II would model the number of blocks and the head only.


def suggest(trial: Trial | FixedTrial | FrozenTrial, task: Task) -> Architecture:
    """The candidate that `trial` stands for."""
    num_blocks = trial.suggest_int("num_blocks", 1, max_blocks(task))
    widths = [trial.suggest_int(f"width_{i + 1}", *WIDTHS, log=True) for i in range(max_blocks(task))]
    head = trial.suggest_categorical("head", HEADS)
    return template(tuple(widths[:num_blocks]), head, task)


def parameters(architecture: Architecture) -> dict[str, Any]:
    """Optuna's parameters for `architecture`, a member of the space: what `suggest` turns back into it."""
    widths = [block.channels for block in architecture.blocks]
    unused = [WIDTHS[0]] * (max_blocks(architecture.task) - len(widths))
    return {
        "num_blocks": len(widths),
        **{f"width_{i + 1}": width for i, width in enumerate(widths + unused)},
        "head": architecture.head,
    }


def draw(rng: np.random.Generator, task: Task) -> Architecture:
    """A candidate drawn as Optuna's random sampler draws: log-uniform widths."""
    low, high = WIDTHS
    edges = np.log(low - 0.5), np.log(high + 0.5)
    widths = np.clip(
        np.rint(np.exp(rng.uniform(*edges, size=rng.integers(1, max_blocks(task) + 1)))), low, high
    )
    return template(tuple(int(width) for width in widths), str(rng.choice(HEADS)), task)


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

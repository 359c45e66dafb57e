"""What re-training keeps in a study's folder: its runs, and the weights of each."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from torch import nn

from lightcnn.architecture import Architecture
from lightcnn.cost import num_parameters
from lightcnn.errors import Failure, UserError
from lightcnn.training import Recipe, trained_network, weights_alone
from search.cells import Row, absent, rows
from search.execution.display import Display
from search.execution.runs import Run, TrainingData
from search.execution.schedule import train_runs
from search.execution.slots import Slots
from search.storage import write_whole
from search.tables import RUNS


def kept_runs(folder: Path) -> pd.DataFrame:
    """The table of `folder`/runs.csv; empty if there is none yet. UserError if it was damaged by hand."""
    return RUNS.read_if_there(folder)


def one_network(
    architecture: Architecture, recipe: Recipe, data: TrainingData, slots: Slots, folder: Path
) -> tuple[int, nn.Sequential]:
    """One trained network of `architecture` and its seed: kept in `folder`/weights, or trained now and kept.

    Of several kept ones it is the one most accurate on the images it was trained on, then the lowest seed:
    the test set has no say, and a seed that learnt nothing is passed over. Without any, seed 0 is trained.

    Args:
        data: the images to train on; the recipe and they are those of the runs already there.

    Raises:
        UserError: a file there was damaged by hand.
        Failure: the run failed twice, or its loss was no longer finite.
    """
    text = str(architecture)
    accuracies = {
        int(row["seed"]): row["train_accuracy"]
        for row in rows(kept_runs(folder))
        if row["architecture"] == text and not absent(row["train_accuracy"])
    }
    names = [path.name.split(".") for path in (folder / "weights").glob(f"{text}.*.pt")]
    seeds = sorted(int(name[-2]) for name in names if name[-2].isdecimal())
    seed = max(seeds, key=lambda seed: accuracies.get(seed, 0.0), default=0)
    if not seeds:
        run = Run(architecture, recipe.of_size(num_parameters(architecture)), seed, data)
        with Display(f"training {text}", 1, num_slots=1) as display:
            [(_, progress)] = train_runs(iter([(text, run)]), slots, display)
        if progress.error is not None or progress.diverged:
            reason = progress.error or "its loss was no longer finite"
            raise Failure(f"{text} with seed {seed} could not be trained: {reason}")
        assert progress.state is not None  # as it is over without an error
        keep_weights(weights_file(folder, text, seed), progress.state)
    path = weights_file(folder, text, seed)
    content = path.read_bytes()
    try:
        return seed, trained_network(architecture, content)
    except Exception:  # torch's reader raises whatever the damage leads it to
        raise UserError(
            f"{path} must hold the weights of {text}, but does not; without it another is taken or trained"
        ) from None


def keep_weights(path: Path, state: bytes) -> None:
    """Write the weights of a run's `state` to `path`."""
    path.parent.mkdir(exist_ok=True)
    write_whole(path, weights_alone(state))


def weights_of(folder: Path, row: Row) -> Path:
    """Where the weights of the run lie whose line of runs.csv is `row`."""
    return weights_file(folder, row["architecture"], int(row["seed"]))


def weights_file(folder: Path, architecture: str, seed: int) -> Path:
    """Where the weights of that run lie, if they are kept."""
    return folder / "weights" / f"{architecture}.{seed}.pt"

"""What does every network of a grid around LightCNN reach? LightCNN-Bench, a table to replay searches on.

Expected: a table of whole validation curves in which hundreds of searches can be replayed in seconds, so that
the stopping rule, the search's epochs and images, and its sampler are chosen by figures.

    python -m studies.tabular_bench

The grid is the template with 1 to 4 blocks and the heads of the search's space: the first block has 4, 8 or
16 channels, the others 4, 8, 16 or 32 (no 32 where there are four blocks), up to 65,000 parameters. Each
network is trained on MNIST with the search's recipe, epochs and images, with 3 seeds, and judged on 10,000
other images after each epoch; every seventh, by size, with other epochs and images as well. It takes an hour
on 2 cores with the compiled engine, keeps each run as it ends, resumes, and trains nothing twice. The test
images are not read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lightcnn.architecture import Architecture, parse
from lightcnn.cost import num_macs, num_parameters, peak_activation_bytes
from lightcnn.data import DATASETS, recorded_sums
from lightcnn.errors import UserError
from lightcnn.fetching import find_files
from lightcnn.initialisation import Initialisation
from lightcnn.training import FAST
from search.command import (
    Parser,
    about_this_run,
    add_data_options,
    run_command,
)
from search.device_options import add_device_options, engine_of, slots_of
from search.execution.display import log_line
from search.execution.runs import Run, RunProgress, TrainingData
from search.execution.slots import open_slots
from search.recipe_options import add_initialisation_option, initialisation_of
from search.run_options import NUM_TRAINING
from search.settings import Engine, SettingsFile, engine_name, held_study
from search.space import Space
from studies.filling import filled

DATASET = "mnist"
TASK = DATASETS[DATASET].task
MAX_PARAMETERS = 65_000
REFERENCE_POINT = (65_000.0, 0.9)  # parameters and accuracy, of the replays' hypervolumes
FULL = (FAST.epochs, 50_000)
SEARCH = (FAST.epochs, NUM_TRAINING)  # the search's own: every network has it
# Budgets (epochs, images) from twice FULL's cost down to an eighth of it: how well do they rank?
OTHERS = (
    (16, 50_000),
    (16, 25_000),
    (4, 50_000),
    (2, 50_000),
    (8, 25_000),
    (4, 25_000),
    (2, 25_000),
    (8, 12_500),
)
EVERY = 7  # of the grid by size, one network in so many has all budgets
NUM_SEEDS = 3
TABLE = "curves.csv"


@dataclass(frozen=True)
class RecipeOfAll:
    """What the recipes of all runs share; their epochs differ."""

    learning_rate: float = FAST.learning_rate
    batch_size: int = FAST.batch_size
    warmup: float | None = FAST.warmup
    initialisation: Initialisation = "pytorch"  # the first tables had nothing else


@dataclass(frozen=True)
class TableSettings:
    """What decides the table's figures."""

    dataset: str
    recipe: RecipeOfAll
    sha256: dict[str, str]
    engine: Engine = "torch"


class Cell(NamedTuple):
    """One run of the table."""

    architecture: str
    epochs: int
    train_images: int
    seed: int


def grid() -> list[Architecture]:
    """The networks of the table, smallest first."""
    space = Space(TASK)
    members = [
        space.architecture(
            {"num_blocks": num_blocks, "head": head}
            | {f"width_{block}": width for block, width in enumerate((first, *others), start=1)}
        )
        for num_blocks in range(1, space.depth + 1)
        for first in (4, 8, 16)
        for others in product((4, 8, 16, 32) if num_blocks < 4 else (4, 8, 16), repeat=num_blocks - 1)
        for head in space.heads
    ]
    networks = [network for network in members if network is not None]  # None: the head is inactive there
    return sorted(
        (network for network in networks if num_parameters(network) <= MAX_PARAMETERS), key=num_parameters
    )


def cells() -> list[Cell]:
    """Every run of the table, in the order of training: one seed of each first."""
    texts = [str(network) for network in grid()]
    some = texts[::EVERY]
    everywhere = [Cell(text, *SEARCH, 0) for text in texts]
    full = [Cell(text, *FULL, seed) for seed in range(NUM_SEEDS) for text in some]
    others = [Cell(text, *budget, 0) for budget in OTHERS for text in some]
    seeds = [Cell(text, *SEARCH, seed) for seed in range(1, NUM_SEEDS) for text in texts]
    return list(dict.fromkeys([*everywhere, *full, *others, *seeds]))


def read(path: Path) -> pd.DataFrame:
    """The table: a line an epoch of a run; accuracies are fractions, `seconds` those of the whole run.

    Raises:
        UserError: there is none.
    """
    if not path.exists():
        raise UserError(f"{path} must exist; python -m studies.tabular_bench makes it")
    return pd.read_csv(path)


def of_budget(table: pd.DataFrame, budget: tuple[int, int]) -> pd.DataFrame:
    """The lines of the runs with `budget`, epochs and images."""
    return table[(table["epochs"] == budget[0]) & (table["train_images"] == budget[1])]


def first_runs(table: pd.DataFrame) -> pd.DataFrame:
    """The lines of the runs that every network has: the search's budget, the first seed."""
    return of_budget(table[table["seed"] == 0], SEARCH)


def curve(cell: Cell, progress: RunProgress) -> list[dict[str, Any]]:
    """The table's lines for one run."""
    network = progress.run.architecture
    return [
        {
            **cell._asdict(),
            "num_blocks": len(network.blocks),
            "head": network.head,
            "num_parameters": num_parameters(network),
            "num_macs": num_macs(network),
            "peak_activation_bytes": peak_activation_bytes(network),
            "seconds": round(progress.seconds, 2),
            "epoch": epoch.epoch,
            "train_loss": round(epoch.train_loss, 5),
            "val_accuracy": epoch.val_accuracy,
            "val_loss": None if epoch.val_loss is None else round(epoch.val_loss, 5),
        }
        for epoch in progress.epochs
    ]


def fill(options: argparse.Namespace) -> None:
    """Train what the table lacks."""
    slots = slots_of(options, "tabular_bench", TableSettings)
    dataset = DATASETS[DATASET]
    files = find_files(DATASET, options.data_dir)
    engine = engine_of(options, slots, "tabular_bench", TableSettings)
    shared = RecipeOfAll(initialisation=initialisation_of(options, FAST, "tabular_bench", TableSettings))
    settings = TableSettings(DATASET, shared, recorded_sums(dataset), engine_name(engine))
    file = SettingsFile(settings, about_this_run(options.command))
    with held_study(options.out, "tabular_bench", options.fresh, file, log_line) as folder:
        path = folder / TABLE

        def run_of(cell: Cell) -> Run:
            images = TrainingData(dataset, files, num_train_images=cell.train_images)
            recipe = replace(FAST, epochs=cell.epochs, initialisation=shared.initialisation)
            return Run(parse(cell.architecture, TASK), recipe, cell.seed, images)

        with open_slots(slots, options.epoch_timeout, engine) as executor:
            filled(path, cells(), run_of, curve, executor, "tabular_bench")
    print(f"The table: {path}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.tabular_bench", (__doc__ or "").partition("\n")[0])
    add_initialisation_option(parser, FAST)
    add_data_options(parser)
    add_device_options(parser)
    options = parser.parse_args(argv)
    return run_command(parser, lambda: fill(options))


if __name__ == "__main__":
    sys.exit(main())

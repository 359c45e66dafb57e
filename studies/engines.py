"""Do the engine and PyTorch train networks of the same accuracy?

Expected: seeds do not pair, as rounding takes two engines different ways within an epoch, but the means over
ten seeds differ by no more than chance lets them.

    python -m studies.engines

LightCNN and two narrow designs, each with the recipe of a search on 25,000 images, but PyTorch's initial
weights, ten seeds with either; they are judged on the validation images, the test set stays closed. Writes
`runs.csv`, a line a run, and `summary.csv`, a line a design: both means, and the difference with its
moderated interval.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lightcnn.architecture import parse
from lightcnn.data import DATASETS
from lightcnn.errors import Failure, UserError
from lightcnn.fetching import find_files
from lightcnn.training import FAST
from search.command import Parser, add_data_options, at_least, run_command
from search.deaths import live
from search.device_options import add_device_options, engine_of, slots_of
from search.execution.display import log_line
from search.execution.runs import Run, RunProgress, TrainingData
from search.execution.slots import open_slots
from search.image_facts import ImageFacts
from search.moderation import MNIST, difference
from search.run_options import NUM_TRAINING
from search.settings import AblationSettings
from search.statistics import Array
from search.storage import move_aside, study_folder, write_table
from studies.filling import filled

DATASET = DATASETS["mnist"]
DESIGNS = ("8-16-32-gap", "4-6-8-gap", "9-7-8-flatten")
ENGINES = ("native", "torch")


class Cell(NamedTuple):
    """One run."""

    architecture: str
    engine: str
    seed: int


def train(options: argparse.Namespace, folder: Path) -> pd.DataFrame:
    """A line for each design, engine and seed; what `folder`/runs.csv has is not trained again.

    Raises:
        UserError: there is no engine to be compared.
    """
    slots = slots_of(options, "engines", AblationSettings)
    engine = engine_of(options, slots, "engines", AblationSettings)
    if engine is None:
        raise UserError("two engines are compared, so there must be a compiled one, but there is none")
    data = TrainingData(DATASET, find_files("mnist", options.data_dir), num_train_images=NUM_TRAINING)

    def run_of(cell: Cell) -> Run:
        # PyTorch's, with which the runs in reports/ were made: others must not be mixed with them.
        recipe = replace(FAST, epochs=options.epochs, initialisation="pytorch")
        return Run(parse(cell.architecture, DATASET.task), recipe, cell.seed, data)

    def line(cell: Cell, progress: RunProgress) -> list[dict[str, Any]]:
        measured = {"val_accuracy": progress.epochs[-1].val_accuracy, "seconds": round(progress.seconds, 2)}
        return [{**cell._asdict(), **measured}]

    for name, library in zip(ENGINES, (engine, None), strict=True):
        cells = [Cell(text, name, seed) for seed in range(options.seeds) for text in DESIGNS]
        with open_slots(slots, options.epoch_timeout, library) as executor:
            table = filled(folder / "runs.csv", cells, run_of, line, executor, name)
    return table


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """A line a design: the engines' means, and the engine's less PyTorch's with its 95 % interval."""
    share = ImageFacts.of(DATASET).largest_class_share
    lines = []
    for text, own in runs.groupby("architecture", sort=False):
        accuracies: dict[str, Array] = {
            str(name): live(it.sort_values("seed")["val_accuracy"].to_numpy(dtype=float), share, 10_000)
            for name, it in own.groupby("engine")
        }
        if not all(np.isfinite(it).any() for it in accuracies.values()):
            raise Failure(f"every run of {text} died with one of the engines, so there is nothing to compare")
        gap = difference(accuracies["torch"], accuracies["native"], MNIST)
        seconds = own.groupby("engine")["seconds"].median()
        lines.append(
            {
                "architecture": text,
                **{f"{name}_mean": round(float(np.nanmean(it)), 5) for name, it in accuracies.items()},
                "difference": round(gap.mean, 5),
                "difference_low": round(gap.low, 5),
                "difference_high": round(gap.high, 5),
                "p_value": round(gap.p_value, 3),
                "seconds_ratio": round(float(seconds["torch"] / seconds["native"]), 1),
            }
        )
    return pd.DataFrame(lines)


def compare(options: argparse.Namespace) -> None:
    """Train what is missing, print, and keep both tables in `out`/engines."""
    folder = study_folder(options.out, "engines")
    if options.fresh and (aside := move_aside(folder)):
        log_line(f"the earlier runs are now in {aside}")
    summary = summarise(train(options, folder))
    write_table(summary, folder / "summary.csv")
    log_line(f"The tables: {folder}")
    print(summary.to_string(index=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.engines", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=at_least(2), default=10, metavar="N", help="of each design")
    parser.add_argument("--epochs", type=at_least(1), default=FAST.epochs, metavar="E", help="of each run")
    add_data_options(parser)
    add_device_options(parser)
    options = parser.parse_args(argv)
    return run_command(parser, lambda: compare(options))


if __name__ == "__main__":
    sys.exit(main())

"""What does each ingredient of a recipe bring to small networks of the wide space?

Expected: a peak rate of 0.02 to 0.03; affine augmentation costs the smallest network and pays with size;
weight decay, smoothed labels and averaged weights bring little after a rate that falls to zero; dropout costs
networks that do not even learn their training images; a teacher brings most to the smallest.

    python -m studies.recipes

Three networks, of 690, 2,126 and 6,022 parameters, each with the base recipe and with one ingredient more or
other, then with some together, on 50,000 training images; the 10,000 validation images judge after the last
epoch, and the test images are not read. The teacher (`studies.teacher`) is four networks of 18,026 parameters
trained on the same 50,000; it sees what its student sees, augmented alike. `runs.csv` has a line a run,
`summary.csv` a line for each design and recipe: mean accuracy, and the difference to the base recipe, with
moderated 95 % intervals.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lightcnn.architecture import parse
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS, recorded_sums
from lightcnn.fetching import find_files
from lightcnn.training import FAST
from search.command import Parser, about_this_run, add_data_options, at_least, run_command
from search.deaths import live
from search.device_options import add_device_options, engine_of, slots_of
from search.execution.display import log_line
from search.execution.runs import Run, RunProgress, TrainingData
from search.execution.slots import open_slots
from search.image_facts import ImageFacts
from search.moderation import MNIST, accuracy_interval, difference
from search.settings import AblationSettings, SettingsFile, engine_name, held_study
from search.statistics import holm
from search.storage import write_table
from studies.filling import filled, lacking
from studies.ingredients import BASELINES
from studies.teacher import Lesson, taught

DATASET = DATASETS["mnist"]
DESIGNS = tuple(BASELINES.values())
Changes = Mapping[str, Any]
# What differs from the base recipe, by its fields; where a temperature is named there is a teacher.
RECIPES: tuple[Changes, ...] = (
    {},
    {"learning_rate": 0.01},
    {"learning_rate": 0.03},
    {"weight_decay": 0.01},
    {"label_smoothing": 0.1},
    {"averaging": 0.998},
    {"dropout": 0.1},
    {"dropout": 0.5},
    {"augmentation": 0.5},
    {"augmentation": 1.0},
    {"temperature": 1.0},
    {"temperature": 4.0},
    {"augmentation": 1.0, "temperature": 4.0},
    {"augmentation": 1.0, "temperature": 4.0, "weight_decay": 0.01},
)


class Cell(NamedTuple):
    """One run."""

    recipe: str  # the name of one of RECIPES
    architecture: str
    seed: int


def name_of(changes: Changes) -> str:
    """A recipe's name in the tables: all that differs from the base, so that it cannot mean another."""
    words = [f"{field.replace('_', ' ')} {value:g}" for field, value in changes.items()]
    return ", ".join(words).replace("temperature", "teacher at temperature") or "base"


BY_NAME = {name_of(changes): changes for changes in RECIPES}


def line(cell: Cell, progress: RunProgress) -> list[dict[str, Any]]:
    """The run's line of the table; a run that diverged has the accuracy of its last epoch."""
    last = progress.epochs[-1]
    return [
        {
            **cell._asdict(),
            "num_parameters": num_parameters(progress.run.architecture),
            "epochs": len(progress.epochs),
            "train_loss": round(last.train_loss, 5),
            "val_accuracy": last.val_accuracy,
            "seconds": round(progress.seconds, 2),
        }
    ]


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """A line for each design and recipe.

    Args:
        runs: as `line` makes them.

    Returns:
        `val_accuracy` of the runs that live and its `difference` to the base recipe's, each with its 95 %
        interval, `p_holm` corrected for the recipes of a design, and `seconds_ratio` of the medians. Empty
        where no run of either lives.
    """
    share = ImageFacts.of(DATASET).largest_class_share
    lines = []
    for text, own in runs.groupby("architecture", sort=False):
        accuracies = {
            name: live(it.sort_values("seed")["val_accuracy"].to_numpy(dtype=float), share, MNIST.num_images)
            for name, it in own.groupby("recipe", sort=False)
        }
        seconds = own.groupby("recipe")["seconds"].median()
        of_design: list[dict[str, Any]] = []
        for name, values in accuracies.items():
            of_design.append(
                {
                    "architecture": text,
                    "num_parameters": own["num_parameters"].iloc[0],
                    "recipe": name,
                    "num_seeds": len(values),
                    "num_dead": int(np.isnan(values).sum()),
                }
            )
            if np.isfinite(values).any():
                interval = accuracy_interval(values, MNIST)
                of_design[-1] |= dict(
                    zip(("val_accuracy", "val_accuracy_low", "val_accuracy_high"), interval, strict=True)
                )
                if name != "base" and np.isfinite(accuracies.get("base", np.array([]))).any():
                    of_design[-1] |= difference(accuracies["base"], values, MNIST).columns("p_holm")
            of_design[-1]["seconds_ratio"] = round(float(seconds[name] / seconds.get("base", np.nan)), 2)
        compared = [it for it in of_design if "p_holm" in it]
        for it, p_value in zip(compared, holm([it["p_holm"] for it in compared]), strict=True):
            it["p_holm"] = p_value
        lines += of_design
    return pd.DataFrame(lines).round(5)


def study(options: argparse.Namespace) -> None:
    """Train what the table lacks, the teacher if need be, then summarise and print."""
    slots = slots_of(options, "recipes", AblationSettings)
    data = TrainingData(DATASET, find_files(DATASET.name, options.data_dir))
    engine = engine_of(options, slots, "recipes", AblationSettings)
    base = replace(FAST, epochs=options.epochs)
    sums = recorded_sums(DATASET)
    settings = AblationSettings(DATASET.name, base, data.num_images, sums, engine_name(engine))
    file = SettingsFile(settings, about_this_run(options.command, options.data_dir))
    cells = [Cell(name, text, seed) for seed in range(options.seeds) for name in BY_NAME for text in DESIGNS]
    with held_study(options.out, "recipes", options.fresh, file, log_line) as folder:
        path = folder / "runs.csv"
        with open_slots(slots, options.epoch_timeout, engine) as executor:
            lessons = {lesson_of(cell): None for cell in lacking(path, cells)}
            files = taught((it for it in lessons if it), folder, base, data, executor)

            def run_of(cell: Cell) -> Run:
                recipe = replace(base, **BY_NAME[cell.recipe])
                lesson = lesson_of(cell)
                teacher = None if lesson is None else files[lesson]
                return Run(parse(cell.architecture, DATASET.task), recipe, cell.seed, data, teacher)

            runs = filled(path, cells, run_of, line, executor, "recipes")
        summary = summarise(runs)
        write_table(summary, folder / "summary.csv")
        log_line(f"The tables: {folder}")
        print(summary.drop(columns="architecture").to_string(index=False))


def lesson_of(cell: Cell) -> Lesson | None:
    """What a run asks of the teacher; None if it has none."""
    changes = BY_NAME[cell.recipe]
    if "temperature" not in changes:
        return None
    return Lesson(changes.get("augmentation", 0.0), changes["temperature"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.recipes", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=at_least(1), default=5, metavar="N", help="of each recipe and design")
    parser.add_argument("--epochs", type=at_least(1), default=30, metavar="E", help="of each run")
    add_data_options(parser)
    add_device_options(parser)
    options = parser.parse_args(argv)
    return run_command(parser, lambda: study(options))


if __name__ == "__main__":
    sys.exit(main())

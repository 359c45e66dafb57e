"""Which initialisation keeps narrow networks alive, and does it cost wide ones anything?

Expected: PyTorch's random convolution biases silence whole blocks of 2 or 3 channels, so zero biases let
most runs live that now die, He's larger weights nearly all; wide networks are as accurate with any of them.

    python -m studies.initialisation

Each design is trained with each initialisation of `lightcnn.initialisation` by the search's recipe and on its
images, with the same seeds, and judged on the 10,000 validation images; the test images are not read. An
hour on 2 busy cores with the compiled engine; each run is kept as it ends, and the command resumes.
`accuracies.csv` has a line a run, `deaths.csv` the runs that died, `differences.csv` how accurate those are
that lived.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lightcnn.architecture import Architecture, parse
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS, recorded_sums
from lightcnn.fetching import find_files
from lightcnn.initialisation import INITIALISATIONS, Initialisation
from lightcnn.training import FAST, Recipe
from search.command import Parser, about_this_run, add_data_options, run_command
from search.deaths import LEAST_WIDTHS, Deaths, is_dead, live
from search.device_options import add_device_options, engine_of, slots_of
from search.execution.display import log_line
from search.execution.runs import Run, RunProgress, TrainingData, images_of
from search.execution.slots import open_slots
from search.moderation import MNIST, difference, log_errors
from search.run_options import NUM_TRAINING
from search.settings import Engine, SettingsFile, engine_name, held_study
from search.statistics import mean_interval
from search.storage import write_table
from studies.filling import filled

DATASET = "mnist"
TASK = DATASETS[DATASET].task
RECIPE = replace(FAST, initialisation="pytorch")  # each arm puts its own initialisation there
# Narrow: with a block of less than 5 channels; no wider run was ever seen to die.
NARROW = (
    *("2-2-2-2-gap", "3-3-2-2-flatten", "2-2-8-2-flatten", "9-2-23-2-flatten", "19-9-25-2-flatten"),
    *("3-3-3-gap", "4-4-gap", "4-4-4-4-gap", "4-6-8-gap"),
    *("4-3-pool2", "3-5-2-pool3", "16-2-7-pool3", "2-8-3-pool4"),
)
WIDE = (
    *("6-10-14-gap", "8-16-32-gap", "14-31-26-29-gap", "8-16-32-pool2", "5-14-15-pool3", "7-8-6-pool4"),
    *("19-24-pool4", "9-7-8-flatten", "8-16-32-flatten", "8-16-32-flatten-128"),
)
SLOW = ("flatten-512-256",)  # the MLP, which PyTorch trains
SEEDS = {
    **dict.fromkeys(NARROW, 20),
    **dict.fromkeys(NARROW[:3], 50),  # where most runs die and a run costs least
    **dict.fromkeys(WIDE, 10),
    **dict.fromkeys(SLOW, 5),
}
TABLE = "accuracies.csv"


@dataclass(frozen=True)
class InitialisationSettings:
    """What decides the runs; designs and seeds may grow."""

    dataset: str
    recipe: Recipe  # of the first arm
    train_images: int
    sha256: dict[str, str]
    engine: Engine = "torch"


class Cell(NamedTuple):
    """One run."""

    initialisation: Initialisation
    architecture: str
    seed: int


def cells() -> list[Cell]:
    """Every run, seed by seed, so that an interruption leaves all arms and designs alike."""
    return [
        Cell(initialisation, text, seed)
        for seed in range(max(SEEDS.values()))
        for text, initialisation in product(SEEDS, INITIALISATIONS)
        if seed < SEEDS[text]
    ]


def line(cell: Cell, progress: RunProgress) -> dict[str, object]:
    """The run's line of the table; a run that diverged has the accuracy of its last epoch."""
    network, last = progress.run.architecture, progress.epochs[-1]
    return {
        **cell._asdict(),
        "head": network.head,
        "num_parameters": num_parameters(network),
        "epochs": len(progress.epochs),
        "val_accuracy": last.val_accuracy,
        "seconds": round(progress.seconds, 2),
    }


def groups(texts: Sequence[str]) -> dict[str, list[str]]:
    """The designs that are counted together, by name."""

    def is_narrow(network: Architecture) -> bool:
        return any(block.channels < LEAST_WIDTHS[-1] for block in network.blocks)

    networks = {text: parse(text, TASK) for text in texts}
    found = {
        f"{width}, {head}": [
            text
            for text, network in networks.items()
            if is_narrow(network) == (width == "narrow") and head in ("all heads", _kind(network))
        ]
        for width, head in product(("narrow", "wide"), ("all heads", "GAP", "other heads"))
    }
    return {name: own for name, own in found.items() if own}


def deaths(runs: pd.DataFrame, largest_class_share: float) -> pd.DataFrame:
    """How many runs died of each design and group, for each initialisation.

    Args:
        runs: a line a run, as `line` makes them.
        largest_class_share: of the images that the accuracies are measured on.

    Returns:
        A line each with `designs`, `initialisation`, `num_dead`, `num_runs`, and the rate with its 95 %
        interval.
    """
    died = is_dead(runs["val_accuracy"].to_numpy(), largest_class_share, MNIST.num_images)
    texts = list(dict.fromkeys(runs["architecture"]))
    lines = []
    for (name, own), initialisation in product(
        [*groups(texts).items(), *((text, [text]) for text in texts)], INITIALISATIONS
    ):
        which = (runs["architecture"].isin(own) & (runs["initialisation"] == initialisation)).to_numpy()
        if which.any():
            found = Deaths(int(died[which].sum()), int(which.sum()))
            rates = (found.num_dead / found.num_runs, *found.rate_interval)
            lines.append(
                {
                    "designs": name,
                    "initialisation": initialisation,
                    **found._asdict(),
                    **dict(zip(("rate", "rate_low", "rate_high"), rates, strict=True)),
                }
            )
    return pd.DataFrame(lines).round(4)


def differences(runs: pd.DataFrame, largest_class_share: float) -> pd.DataFrame:
    """How much more accurate the live runs of one initialisation are than another's, by design and group.

    A design's difference is `search.moderation.difference`. A group's is the mean over its designs, its
    interval Student's t over them, so that what differs from design to design is in it. So is the ratio of
    the errors, the geometric mean; a design's has no interval. Left out are designs without a live run, and
    those that two initialisations do not tell apart: zero biases of convolutions, where there are none.

    Returns:
        A line each with `designs`, `baseline`, `initialisation`, `num_designs`, `difference` in accuracy with
        its 95 % interval and p-value, and `error_ratio`, errors over the baseline's, with its interval.
    """
    accuracies = {
        key: live(own.sort_values("seed")["val_accuracy"].to_numpy(), largest_class_share, MNIST.num_images)
        for key, own in runs.groupby(["architecture", "initialisation"])
    }
    means = {  # of the log errors
        key: float(np.nanmean(log_errors(own, MNIST.num_images)))
        for key, own in accuracies.items()
        if np.isfinite(own).any()
    }
    lines: list[dict[str, Any]] = []
    for arms in combinations(INITIALISATIONS, 2):
        pairs = {
            text: ((text, arms[0]), (text, arms[1]))
            for text in dict.fromkeys(runs["architecture"])
            if all((text, arm) in means for arm in arms)
            and not np.array_equal(accuracies[text, arms[0]], accuracies[text, arms[1]], equal_nan=True)
        }
        gaps = {
            text: difference(accuracies[before], accuracies[after], MNIST)
            for text, (before, after) in pairs.items()
        }
        logs = {text: means[after] - means[before] for text, (before, after) in pairs.items()}
        for name, own in groups(list(pairs)).items():
            if len(own) > 1:
                gap = mean_interval([gaps[text].mean for text in own])
                ratio = np.exp(mean_interval([logs[text] for text in own]))
                lines.append(_line(name, arms, len(own), (*gap, np.nan), tuple(ratio)))
        for text, own_gap in gaps.items():
            lines.append(_line(text, arms, 1, own_gap[:4], (np.exp(logs[text]), np.nan, np.nan)))
    return pd.DataFrame(lines).round(5)


def _line(
    name: str, arms: tuple[str, str], num_designs: int, gap: tuple[float, ...], ratio: tuple[float, ...]
) -> dict[str, Any]:
    return {
        "designs": name,
        **dict(zip(("baseline", "initialisation"), arms, strict=True)),
        "num_designs": num_designs,
        **dict(zip(("difference", "difference_low", "difference_high", "p_value"), gap, strict=True)),
        **dict(zip(("error_ratio", "error_ratio_low", "error_ratio_high"), ratio, strict=True)),
    }


def _kind(network: Architecture) -> str:
    return "GAP" if network.head == "gap" else "other heads"


def study(options: argparse.Namespace) -> None:
    """Train what the table lacks, then make the other tables and print those of the groups."""
    slots = slots_of(options, "initialisation", InitialisationSettings)
    dataset = DATASETS[DATASET]
    data = TrainingData(dataset, find_files(DATASET, options.data_dir), num_train_images=NUM_TRAINING)
    engine = engine_of(options, slots, "initialisation", InitialisationSettings)
    settings = InitialisationSettings(
        DATASET, RECIPE, NUM_TRAINING, recorded_sums(dataset), engine_name(engine)
    )
    file = SettingsFile(settings, about_this_run(options.command, options.data_dir))
    with held_study(options.out, "initialisation", options.fresh, file, log_line) as folder:
        with open_slots(slots, options.epoch_timeout, engine) as executor:
            table = filled(
                folder / TABLE,
                cells(),
                lambda cell: Run(
                    parse(cell.architecture, TASK),
                    replace(RECIPE, initialisation=cell.initialisation),
                    cell.seed,
                    data,
                ),
                lambda cell, progress: [line(cell, progress)],
                executor,
                "initialisation",
            )
        _, validation = images_of(data, "cpu")
        assert validation is not None
        share = float(validation.labels.bincount().max()) / len(validation)
        for name, found in (("deaths", deaths(table, share)), ("differences", differences(table, share))):
            write_table(found, folder / f"{name}.csv")
            print(f"{name}.csv\n{found.to_string(index=False)}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.initialisation", (__doc__ or "").partition("\n")[0])
    add_data_options(parser)
    add_device_options(parser)
    options = parser.parse_args(argv)
    return run_command(parser, lambda: study(options))


if __name__ == "__main__":
    sys.exit(main())

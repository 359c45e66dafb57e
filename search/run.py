"""Search around LightCNN: `python -m search.run --trials 100`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
from rich.console import Console
from rich.table import Table

from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS
from lightcnn.designs import DESIGNS
from lightcnn.fetching import find_files
from lightcnn.training import FAST
from search import space
from search.command import Parser, about_this_run, add_data_options, add_device_options, at_least, run_command
from search.loop import Search, search
from search.progress import Display, log_console
from search.records import finished, finished_designs, study_tables
from search.report import write_report
from search.runs import TrainingData
from search.samplers import SAMPLERS
from search.storage import agree, move_aside, only_driver, open_study, study_folder, write_table
from search.tables import Row, read_study, rows, written
from search.verdict import standing, verdict
from search.workers import SlotExecutor, choose_slots

NUM_VALIDATION = 10_000  # images of the training set that judge the candidates


def parser() -> Parser:
    """The command line."""
    it = Parser(
        "python -m search.run",
        "Search for small networks around LightCNN, and place it among what was found.",
    )
    group = it.add_argument_group("what is searched")
    group.add_argument(
        "--trials",
        type=at_least(1),
        required=True,
        metavar="N",
        help="finished trials in all, resumed ones included",
    )
    group.add_argument(
        "--epochs", type=at_least(1), default=FAST.epochs, metavar="E", help="epochs of each run"
    )
    group.add_argument(
        "--seed",
        type=at_least(0),
        default=0,
        metavar="S",
        help="of the sampler and the runs; with --workers 1 on the CPU, the same seed gives the same search",
    )
    group.add_argument("--dataset", choices=list(DATASETS), default="mnist", help="what is learnt")
    group.add_argument(
        "--max-parameters",
        type=at_least(1),
        default=30_000,
        metavar="P",
        help="larger candidates are refused before training and are no trials",
    )
    group.add_argument("--sampler", choices=list(SAMPLERS), default="tpe", help="who suggests candidates")
    group.add_argument(
        "--train-images",
        type=at_least(1),
        metavar="N",
        help="train on N images, classes in proportion; by default on all but the 10,000 validation images",
    )
    group.add_argument("--no-baselines", action="store_true", help="do not train the named designs as well")
    add_data_options(it)
    it.add_argument(
        "--name", metavar="STUDY", help="folder of the study in --out; by default the data set's name"
    )
    add_device_options(it)
    return it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    it = parser()
    options = it.parse_args(arguments)
    return run_command(it, lambda: _run(options, arguments))


def _run(options: argparse.Namespace, arguments: list[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = log_console()
    slots = choose_slots(options.devices, options.workers, options.workers_per_device)
    settings = _settings(options)
    folder = study_folder(options.out, options.name or options.dataset)
    with only_driver(folder):
        if options.fresh and (aside := move_aside(folder)):
            console.print(f"the earlier run is now in {aside}", markup=False)
        agree(folder, _recorded(settings), about_this_run("search.run", arguments))
        study = open_study(folder, lambda line: console.print(line, markup=False))
        with_designs = not options.no_baselines
        executor = SlotExecutor(slots)
        try:
            num_done = len(finished(study)) + len(finished_designs(study))
            missing = max(options.trials - len(finished(study)), 0)
            if with_designs:
                missing += len(DESIGNS) - 1 - len(finished_designs(study))  # LightCNN is a trial
            with Display("search", num_done + missing, num_done, console) as display:
                search(study, settings, options.trials, with_designs, executor, len(slots), display)
        finally:
            executor.shutdown(kill=True)
            if finished(study):
                for name, table in study_tables(study, settings.task, settings.max_parameters).items():
                    write_table(table, folder / name)
                page = write_report(folder)
        if all(record.state == "FAILED" for record in finished(study).values()):
            raise RuntimeError(f"no trial could be trained; see the reasons in {folder / 'trials.csv'}")
        _conclude(folder)
        print(f"The page: {page}")


def _settings(options: argparse.Namespace) -> Search:
    """The search that the options ask for, its data found.

    Raises:
        ValueError: an option's value is out of the range that the others leave it.
    """
    dataset = DATASETS[options.dataset]
    task = dataset.task
    least = space.smallest(task)
    if options.max_parameters < num_parameters(least):
        raise ValueError(
            f"--max-parameters must admit the smallest candidate, {least} with {num_parameters(least)}, "
            f"but got {options.max_parameters}"
        )
    available = dataset.num_training_images - NUM_VALIDATION
    if options.train_images is not None and not task.num_classes <= options.train_images <= available:
        raise ValueError(
            f"--train-images must be from {task.num_classes} to {available}, the images that validation "
            f"leaves, but got {options.train_images}"
        )
    data = TrainingData(
        options.dataset, find_files(options.dataset, options.data_dir), NUM_VALIDATION, options.train_images
    )
    recipe = replace(FAST, epochs=options.epochs)
    return Search(task, recipe, options.seed, options.sampler, options.max_parameters, data)


def _recorded(settings: Search) -> dict[str, Any]:
    """What must agree for a search to be gone on with; the data's folder may move, its bytes are checked."""
    recorded = asdict(settings)
    del recorded["data"]["folder"]
    training_files = DATASETS[settings.data.dataset].files[:2]
    recorded["data"]["sha256"] = {file.name: file.sha256 for file in training_files}
    recorded["space"] = {
        "max_blocks": space.MAX_BLOCKS,
        "widths": list(space.WIDTHS),
        "heads": list(space.HEADS),
    }
    return recorded


def _conclude(folder: Path) -> None:
    """Print the front, LightCNN, the baselines, and what a user wants to know of them."""
    tables = read_study(folder)
    states = tables.trials["state"].value_counts(sort=False)
    shown = Table(title="trials: " + ", ".join(f"{n:,} {str(state).lower()}" for state, n in states.items()))
    shown.add_column("")
    shown.add_column("architecture", overflow="fold")
    for heading in ("parameters", "validation", "paper says"):
        shown.add_column(heading, justify="right")
    for row in rows(tables.front):
        shown.add_row("front", *_cells(row), "")
    shown.add_section()
    for row in rows(tables.designs):
        shown.add_row(row["name"], *_cells(row), written(row["paper_accuracy"], "fraction"))
    Console(highlight=False).print(shown)
    for sentence in verdict(standing(tables)):
        print(sentence)


def _cells(row: Row) -> tuple[str, str, str]:
    return (
        row["architecture"],
        written(row["num_parameters"], "count"),
        written(row["val_accuracy"], "fraction"),
    )


if __name__ == "__main__":
    sys.exit(main())

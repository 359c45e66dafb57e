"""Search around LightCNN: `python -m search.run --trials 100`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study
from rich.console import Console
from rich.table import Table

from lightcnn.architecture import Architecture, Task, parse
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS, Dataset, recorded_sums
from lightcnn.designs import DESIGNS, LIGHTCNN, designs_for
from lightcnn.fetching import find_dataset
from lightcnn.training import FAST
from search import space
from search.command import Parser, about_this_run, add_data_options, add_device_options, at_least, run_command
from search.evaluation import Arm, kept_runs, retrain
from search.execution.checkpoints import Checkpoints
from search.execution.display import Display, log_line
from search.execution.runs import TrainingData
from search.execution.slots import SlotExecutor, choose_slots
from search.loop import Search, search
from search.records import finished, finished_designs, study_tables, write_tables
from search.report.page import open_page, write_report
from search.report.verdict import early_stopping, placed, verdict
from search.samplers import SAMPLERS
from search.standing import contenders, rivals
from search.stopping import default_rule
from search.storage import held_study, open_study
from search.tables import LIGHTCNN_NAME, Row, read_study, rows, written

# Of the training images, a sixth judges the candidates, 10,000 at most: of MNIST's 60,000 these are as many.
VALIDATION_SHARE, NUM_VALIDATION = 6, 10_000
# Of the 50,000 that are left: half the cost, and candidates are ranked about as well (reports/budgets).
NUM_TRAINING = 25_000
FEW_SEEDS = 2  # of a re-trained design that decides nothing about LightCNN or the user's own


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
    group.add_argument(
        "--dataset",
        default="mnist",
        metavar="NAME|FOLDER",
        help=f"what is learnt: {', '.join(DATASETS)}, or a folder with your images in train/<class>/ and "
        "test/<class>/; those that are no squares of one size up to 64 pixels are resized",
    )
    group.add_argument(
        "--max-parameters",
        type=at_least(1),
        default=30_000,
        metavar="P",
        help="larger candidates are refused before training and are no trials",
    )
    group.add_argument(
        "--sampler", choices=list(SAMPLERS), default="surrogate", help="who suggests candidates"
    )
    group.add_argument(
        "--train-images",
        type=at_least(1),
        metavar="N",
        help=f"search with N images, classes in proportion; by default {NUM_TRAINING:,}, or all if fewer are "
        f"left by validation, which takes a sixth of the training images, {NUM_VALIDATION:,} at most",
    )
    group.add_argument(
        "--no-early-stopping",
        action="store_true",
        help="train every candidate to its end, even one that smaller ones beat from the start",
    )
    group.add_argument("--no-baselines", action="store_true", help="do not train the named designs as well")
    group = it.add_argument_group("what is re-trained on all training images and tested")
    group.add_argument(
        "--seeds",
        type=at_least(0),
        default=5,
        metavar="N",
        help="fresh seeds for LightCNN, designs you place, and the candidates that these are held against; "
        f"the rest of the front, what is near it, and the named designs get {FEW_SEEDS} of them; "
        "0 leaves the test set closed",
    )
    group.add_argument(
        "--place",
        action="append",
        default=[],
        metavar="DESIGN",
        help="place a design of yours beside the front as well, such as 8-12-16-gap; may be repeated",
    )
    add_data_options(it)
    it.add_argument(
        "--name", metavar="STUDY", help="folder of the study in --out; by default the data set's name"
    )
    it.add_argument("--open", action="store_true", help="open the page in a browser when all is done")
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
    slots = choose_slots(options.devices, options.workers, options.workers_per_device)
    settings = _settings(options)
    places = [_placed(text, settings.task, options.seeds) for text in options.place]
    placed_texts = [str(arm.architecture) for arm in places]
    dataset = settings.data.dataset
    if reason := _left_out(settings.task):
        log_line(f"left out: {reason}")
    recorded, about = _recorded(settings), about_this_run("search.run", arguments) | _about(dataset)
    name = options.name or dataset.name
    with held_study(options.out, name, options.fresh, recorded, about, log_line) as folder:
        study = open_study(folder, log_line)
        kept_runs(folder)  # damage by hand is better told now than when the search is done
        with_designs = not options.no_baselines
        executor = SlotExecutor(slots, options.epoch_timeout)
        try:
            num_done = len(finished(study)) + len(finished_designs(study))
            missing = max(options.trials - len(finished(study)), 0)
            if with_designs:
                # LightCNN is a trial.
                missing += len(designs_for(settings.task)) - 1 - len(finished_designs(study))
            with Display("search", num_done + missing, num_done) as display:
                search(
                    study,
                    settings,
                    options.trials,
                    with_designs,
                    executor,
                    len(slots),
                    display,
                    Checkpoints(folder, display.say),
                )
            if all(record.state == "FAILED" for record in finished(study).values()):
                raise RuntimeError(f"no trial could be trained; see the reasons in {folder / 'trials.csv'}")
            if options.seeds:
                retrain(
                    "re-training",
                    _seeds_of_arms(study, settings, with_designs, places, options.seeds),
                    settings.recipe,
                    replace(settings.data, num_validation=0, num_train_images=None),
                    executor,
                    len(slots),
                    folder,
                )
        finally:
            executor.shutdown(kill=True)
            if finished(study):
                sums = recorded["data"]["sha256"]
                write_tables(folder, study, settings.task, settings.max_parameters, sums, placed_texts)
                page = write_report(folder)
        _conclude(folder, placed_texts)
        print(f"The page: {page}")
    if options.open:
        open_page(page)


def _placed(text: str, task: Task, num_seeds: int) -> Arm:
    """A design of the user's own, under its canonical text."""
    if not num_seeds:
        raise ValueError(f"--place {text} needs --seeds of at least 1, but got 0")
    architecture = parse(text, task)
    return Arm(str(architecture), architecture)


def _seeds_of_arms(
    study: Study, settings: Search, with_designs: bool, places: list[Arm], num_seeds: int
) -> dict[Arm, int]:
    """What is re-trained, each once, and with how many seeds.

    LightCNN, the designs of the user's own, and what these are held against have `num_seeds`; the named
    designs, the rest of the front, and what is near it have FEW_SEEDS at most.
    """
    trials = study_tables(study, settings.task, settings.max_parameters)["trials.csv"]
    num_images = settings.data.num_validation
    near = contenders(trials, settings.max_parameters, num_images)
    arms = [
        Arm(design.name, design.architecture(settings.task))
        for design in designs_for(settings.task)
        if with_designs or design.name == LIGHTCNN_NAME
    ]
    judged = [parse(LIGHTCNN, settings.task), *(arm.architecture for arm in places)]
    deciding = {str(architecture) for architecture in judged}
    for architecture in judged:
        at_most = min(num_parameters(architecture), settings.max_parameters)
        deciding.update(rivals(trials, at_most, num_images))
    arms += [*places, *(Arm(text, parse(text, settings.task)) for text in near)]
    named: dict[Architecture, Arm] = {}
    for arm in arms:  # one that is both named and a candidate goes by its name
        named.setdefault(arm.architecture, arm)
    return {
        arm: num_seeds if str(arm.architecture) in deciding else min(num_seeds, FEW_SEEDS)
        for arm in named.values()
    }


def _settings(options: argparse.Namespace) -> Search:
    """The search that the options ask for, its data found.

    Raises:
        ValueError: an option's value is out of the range that the others leave it.
    """
    dataset, folder = find_dataset(options.dataset, options.data_dir)
    task = dataset.task
    try:
        parse(LIGHTCNN, task)
    except ValueError as error:
        raise ValueError(f"LightCNN must fit the images of {dataset.title}, but {error}") from None
    least = space.smallest(task)
    if options.max_parameters < num_parameters(least):
        raise ValueError(
            f"--max-parameters must admit the smallest candidate, {least} with {num_parameters(least)}, "
            f"but got {options.max_parameters}"
        )
    num_images = dataset.num_training_images
    if num_images < VALIDATION_SHARE * task.num_classes:
        raise ValueError(
            f"{dataset.title} must have at least {VALIDATION_SHARE} training images a class, as one of "
            f"{VALIDATION_SHARE} judges, but has {num_images} for {task.num_classes} classes"
        )
    num_validation = min(num_images // VALIDATION_SHARE, NUM_VALIDATION)
    available = num_images - num_validation
    num_training = min(NUM_TRAINING, available) if options.train_images is None else options.train_images
    if not task.num_classes <= num_training <= available:
        raise ValueError(
            f"--train-images must be from {task.num_classes} to {available}, the images that validation "
            f"leaves, but got {num_training}"
        )
    data = TrainingData(dataset, folder, num_validation, num_training)
    recipe = replace(FAST, epochs=options.epochs)
    stopping = None if options.no_early_stopping else default_rule(recipe.epochs)
    return Search(task, recipe, options.seed, options.sampler, options.max_parameters, data, stopping)


def _recorded(settings: Search) -> dict[str, Any]:
    """What must agree for a search to be gone on with; the data's folder may move, its bytes are checked."""
    recorded = asdict(settings)
    del recorded["data"]["folder"]
    dataset = settings.data.dataset
    recorded["data"] |= {"dataset": dataset.name, "sha256": recorded_sums(dataset)}
    recorded["space"] = {
        "max_blocks": space.MAX_BLOCKS,
        "widths": list(space.WIDTHS),
        "heads": list(space.HEADS),
    }
    return recorded


def _left_out(task: Task) -> str:
    """Which named designs are impossible for the images, and why; nothing if all are possible."""
    names = [design.name for design in DESIGNS if design not in designs_for(task)]
    side = task.image_size
    return f"{'; '.join(names)} (images of {side}x{side} pixels are too small)" if names else ""


def _about(dataset: Dataset) -> dict[str, str]:
    """What the page tells of a user's own images."""
    about = {
        "folder": dataset.title,
        "images": dataset.preparation,
        "classes": ", ".join(dataset.classes),
        "left_out": _left_out(dataset.task),
    }
    return about if dataset.preparation else {}


def _conclude(folder: Path, places: list[str]) -> None:
    """Print the front, LightCNN, the baselines, and what a user wants to know of them."""
    tables = read_study(folder)
    states = tables.trials["state"].value_counts(sort=False)
    shown = Table(title="trials: " + ", ".join(f"{n:,} {str(state).lower()}" for state, n in states.items()))
    shown.add_column("")
    shown.add_column("architecture", overflow="fold")
    with_claims = tables.designs["paper_accuracy"].notna().any()
    for heading in ("parameters", "validation", "test", *(["paper says"] if with_claims else [])):
        shown.add_column(heading, justify="right")
    for row in rows(tables.front):
        shown.add_row("front", *_cells(row))
    shown.add_section()
    for row in rows(tables.designs):
        claim = [written(row["paper_accuracy"], "fraction")] if with_claims else []
        shown.add_row(row["name"], *_cells(row), *claim)
    Console(highlight=False).print(shown)
    for sentence in verdict(tables):
        print(sentence)
    if (saved := early_stopping(tables)) is not None:
        print(saved)
    texts = dict(zip(tables.designs["name"], tables.designs["architecture"], strict=True))
    for name, sentences in placed(tables).items():
        if texts[name] in places and name != LIGHTCNN_NAME:
            print(*sentences)


def _cells(row: Row) -> tuple[str, str, str, str]:
    return (
        row["architecture"],
        written(row["num_parameters"], "count"),
        written(row["val_accuracy"], "fraction"),
        written(row.get("test_accuracy_mean"), "fraction"),
    )


if __name__ == "__main__":
    sys.exit(main())

"""The command line of a search: `python -m search.run --trials 100`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.study import Study

from lightcnn.architecture import Task, parse
from lightcnn.data import DATASETS, WHITE, Dataset
from lightcnn.designs import DESIGNS
from lightcnn.errors import Failure, UserError
from lightcnn.fetching import find_dataset
from lightcnn.splitting import class_quotas
from lightcnn.training import FAST
from search.budget import check_possible
from search.budget_options import budget_of
from search.cells import rows
from search.command import about_this_run, check_train_images, run_command
from search.device_options import engine_of, slots_of
from search.evaluation import Arm, retrain
from search.execution.checkpoints import Checkpoints
from search.execution.display import Ahead, Display, log_line
from search.execution.runs import RunState, TrainingData, rehearse
from search.execution.slots import open_slots
from search.forecast import retraining_ahead
from search.image_facts import ImageFacts
from search.loop import num_runs, search
from search.recipe_options import augmented_recipe, initialisation_of
from search.records import RunRecord, finished, finished_designs, try_failed_again
from search.report.page import open_page, write_report
from search.report.serve import LivePage, served
from search.report.terminal import print_findings
from search.results import study_tables, write_tables
from search.run_options import NUM_TRAINING, NUM_VALIDATION, VALIDATION_SHARE, parser
from search.settings import (
    DataSettings,
    Reference,
    SearchSettings,
    SettingsFile,
    engine_name,
    held_study,
    read,
)
from search.space import USUAL, Space
from search.standing import seeds_of_arms
from search.stopping import default_rule
from search.storage import JOURNAL, SETTINGS, open_study
from search.tables import RUNS, Tables, read_study
from search.weights import kept_runs
from search.words import parse_words, signature

TRIALS_TO_GO_BY = 5  # finished ones, from which on the display tells how much re-training will follow


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    it = parser()
    options = it.parse_args(argv)
    return run_command(it, lambda: _show(*_search(options)))


def run_search(**words: Any) -> Tables:
    """Search as `python -m search.run` does, its options as keywords: `run_search(trials=10, seeds=0)`.

    Progress goes to stderr, line by line. The study lies in a folder, as the command leaves it, and the same
    call resumes it.

    Returns:
        what the study has, `trials`, `front` and `designs` above all, as `search.read_study` reads it.

    Raises:
        UserError: an option breaks a rule, or the study was begun with others.
        Failure: what the search needs did not work, such as the data set's download.
        KeyboardInterrupt: interrupted; what was finished is kept.
    """
    folder, _ = _search(parse_words(parser(), words))
    return read_study(folder)


run_search.__signature__ = signature(parser())  # type: ignore[attr-defined]


def _show(folder: Path, places: list[str]) -> None:
    """What the command prints when it is done."""
    print_findings(folder, places)
    print(f"The page: {folder / 'report.html'}")


def _search(options: argparse.Namespace) -> tuple[Path, list[str]]:
    """Do what the options ask for; the study's folder, and the architectures that they place."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings, data = _settings(options)
    name = options.name or data.dataset.name
    slots = slots_of(options, name, SearchSettings)
    engine = engine_of(options, slots, name, SearchSettings)
    initialisation = initialisation_of(options, settings.recipe, name, SearchSettings)
    recipe = augmented_recipe(options, replace(settings.recipe, initialisation=initialisation), name)
    settings = replace(settings, engine=engine_name(engine), recipe=recipe)
    places = [_placed(text, settings.task, options.seeds) for text in options.place]
    placed_texts = tuple(str(arm.architecture) for arm in places)
    if reason := _left_out(settings):
        log_line(f"left out: {reason}")
    about = about_this_run(options.command, options.data_dir) | _about(data.dataset, settings)
    images = ImageFacts.of(data.dataset)
    file = SettingsFile(settings, about, placed_texts, images)
    with held_study(options.out, name, options.fresh, file, log_line) as folder:
        study = open_study(folder, log_line)
        if options.retry_failed:
            try_failed_again(study)
        kept_runs(folder)  # damage by hand is better reported now than when the search is done
        with_designs = not options.no_baselines
        all_images, final = replace(data, num_validation=0, num_train_images=None), settings.final_recipe

        def arms() -> dict[Arm, int]:
            trials = study_tables(study, settings)["trials.csv"]
            return seeds_of_arms(
                trials, settings, images, places, options.seeds, with_designs, options.least_chance
            )

        def re_trainings() -> Ahead | None:
            if not options.seeds:
                return None
            if (num_finished := len(finished(study))) < min(TRIALS_TO_GO_BY, options.trials):
                return Ahead("re-training", None)
            return retraining_ahead(
                arms(),
                certain={arm.architecture for arm in places}
                | {design.architecture(settings.task) for design in settings.designs},
                done={(row["architecture"], row["seed"]) for row in rows(kept_runs(folder))},
                records=_records(study),
                growth=max(options.trials / num_finished, 1),
                epochs=lambda size: final.of_size(size).epochs * all_images.num_images / data.num_images,
            )

        page = folder / "report.html"
        live = LivePage(page, [folder / JOURNAL, folder / RUNS.file], partial(write_page, folder, study))
        with (
            served(live) if options.serve else nullcontext(),
            finally_written(folder, study, live),
            open_slots(slots, options.epoch_timeout, engine, partial(rehearse, data)) as executor,
        ):
            with Display(
                "search",
                *num_runs(study, settings, options.trials, with_designs),
                num_slots=executor.num_slots,
                seconds=[record.seconds for record in _records(study)],
                ahead=re_trainings,
            ) as display:
                checkpoints = Checkpoints(folder, display.say)
                search(study, settings, data, options.trials, with_designs, executor, display, checkpoints)
            if all(record.state == RunState.FAILED for record in finished(study).values()):
                raise Failure(
                    f"no trial could be trained, for the reasons in {folder / 'trials.csv'}; "
                    "--retry-failed tries them again"
                )
            if options.seeds:
                retrain("re-training", arms(), final, all_images, executor, folder)
    if options.open:
        open_page(page)
    return folder, list(placed_texts)


def _records(study: Study) -> list[RunRecord]:
    return [*finished(study).values(), *finished_designs(study).values()]


@contextmanager
def finally_written(folder: Path, study: Study, live: LivePage) -> Iterator[None]:
    """The tables and the page of what is finished are written when the block is left, however it is left."""
    try:
        yield
    finally:
        live.finish()  # waits until no other thread writes them
        write_page(folder, study)


def write_page(folder: Path, study: Study) -> None:
    """Write the tables and the page of what is finished, if anything is."""
    if finished(study):
        # What earlier calls placed is in the file.
        write_tables(folder, study, read(folder / SETTINGS, SearchSettings))
        write_report(folder)


def _placed(text: str, task: Task, num_seeds: int) -> Arm:
    """A design of the user's own, by its text or the name of a hand-made one."""
    if not num_seeds:
        raise UserError(f"--place {text} needs --seeds of at least 1, but got 0")
    named = Reference.of(text, task)
    return Arm(named.name, parse(named.architecture, task))


def _settings(options: argparse.Namespace) -> tuple[SearchSettings, TrainingData]:
    """The search that the options ask for, and its data, found and checked.

    Raises:
        UserError: an option's value is out of the range that the others leave it.
    """
    if options.background is not None and options.dataset in DATASETS:
        raise UserError(f"--background must go with a folder of images, but got {options.dataset}")
    background = options.background or WHITE
    dataset, folder = find_dataset(options.dataset, options.data_dir, background=background)
    task = dataset.task
    usual = USUAL[options.space]
    space = Space(
        task,
        options.widths or usual.widths,
        options.max_blocks or usual.max_blocks,
        options.heads or usual.heads,
        options.space,
    )
    if options.max_blocks and space.depth < options.max_blocks:
        log_line(f"--max-blocks {options.max_blocks}: the images allow {space.depth}")
    try:
        reference = Reference.of(options.reference, task)
    except UserError as error:
        raise UserError(f"{options.reference} must fit the images of {dataset.title}, but {error}") from None
    budget = budget_of(options)
    # Nothing costs less for being wider, so the narrowest are enough to know.
    check_possible(budget, space.narrowest())
    data = _data(dataset, folder, options.train_images)
    recipe = replace(FAST, epochs=options.epochs)
    return SearchSettings(
        space=space,
        reference=reference,
        recipe=recipe,
        seed=options.seed,
        sampler=options.sampler,
        budget=budget,
        data=DataSettings.of(data),
        stopping=None if options.no_early_stopping else default_rule(recipe.epochs),
        # The same number says nothing more: one study, however it was asked for.
        final_epochs=None if options.final_epochs == (options.epochs,) * 2 else options.final_epochs,
    ), data


def _data(dataset: Dataset, folder: Path, num_train_images: int | None) -> TrainingData:
    """The images that a search trains on and those that judge. UserError where they are too few."""
    num_images, num_classes = dataset.num_training_images, dataset.task.num_classes
    counts = np.array(dataset.class_counts)  # none of a published data set, which has enough of each class
    few = [f"{counts[i]} of {dataset.classes[i]!r}" for i in np.flatnonzero(counts < VALIDATION_SHARE)]
    if few:
        raise UserError(
            f"{dataset.title} must have at least {VALIDATION_SHARE} training images of each class, as one of "
            f"{VALIDATION_SHARE} judges, but has {', '.join(few)}"
        )
    num_validation = min(num_images // VALIDATION_SHARE, NUM_VALIDATION)
    available = num_images - num_validation
    if num_train_images is not None:
        which = ", the images that validation leaves"
        check_train_images(num_train_images, available, num_classes, which)
    num_train_images = num_train_images or min(NUM_TRAINING, available)
    if len(counts):
        judging = class_quotas(counts, num_validation)
        for part, which in (
            (judging, f"{num_validation:,} that judge"),
            (class_quotas(counts - judging, num_train_images), f"{num_train_images:,} that are trained on"),
        ):
            if not part.all():
                raise UserError(
                    f"{dataset.title} must have an image of each class among the {which}, "
                    f"but has none of {dataset.classes[part.argmin()]!r}"
                )
    return TrainingData(dataset, folder, num_validation, num_train_images)


def _left_out(settings: SearchSettings) -> str:
    """Which hand-made designs the images do not allow, and why; "" if they allow all, or none is meant."""
    if len(settings.designs) == 1:
        return ""
    names = [design.name for design in DESIGNS if design not in settings.designs]
    side = settings.task.image_size
    return f"{'; '.join(names)} (images of {side}x{side} pixels are too small)" if names else ""


def _about(dataset: Dataset, settings: SearchSettings) -> dict[str, str]:
    """What the page says of a user's own images."""
    about = {
        "folder": dataset.title,
        "images": dataset.preparation,
        "classes": ", ".join(dataset.classes),
        "left_out": _left_out(settings),
    }
    return about if dataset.preparation else {}


if __name__ == "__main__":
    sys.exit(main())

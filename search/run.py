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

import optuna
from optuna.study import Study

from lightcnn.errors import Failure
from search.cells import rows
from search.command import about_this_run, run_command
from search.device_options import engine_of, slots_of
from search.evaluation import Arm, retrain
from search.execution.checkpoints import Checkpoints
from search.execution.display import Ahead, Display, log_line
from search.execution.runs import RunState, rehearse
from search.execution.slots import open_slots
from search.forecast import retraining_ahead
from search.image_facts import ImageFacts
from search.loop import num_runs, search
from search.recipe_options import augmented_recipe, initialisation_of
from search.records import RunRecord, finished, finished_designs, try_failed_again
from search.report.page import open_page, write_report
from search.report.serve import LivePage, served
from search.report.terminal import print_findings
from search.request import about_images, left_out, placed_arm, requested
from search.results import study_tables, write_tables
from search.run_options import parser
from search.settings import (
    SearchSettings,
    SettingsFile,
    engine_name,
    held_study,
    read,
)
from search.standing import seeds_of_arms
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
    settings, data = requested(options)
    name = options.name or data.dataset.name
    slots = slots_of(options, name, SearchSettings)
    engine = engine_of(options, slots, name, SearchSettings)
    initialisation = initialisation_of(options, settings.recipe, name, SearchSettings)
    recipe = augmented_recipe(options, replace(settings.recipe, initialisation=initialisation), name)
    settings = replace(settings, engine=engine_name(engine), recipe=recipe)
    places = [placed_arm(text, settings.task, options.seeds) for text in options.place]
    placed_texts = tuple(str(arm.architecture) for arm in places)
    if reason := left_out(settings):
        log_line(f"left out: {reason}")
    about = about_this_run(options.command, options.data_dir) | about_images(data.dataset, settings)
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


if __name__ == "__main__":
    sys.exit(main())

"""An ablation as a command or a call: train what is missing, then tables, findings and page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from lightcnn.data import DATASETS
from lightcnn.fetching import find_files
from search.ablation import Ablation, AblationTables, alive, read_ablation, summarise
from search.command import (
    Parser,
    about_this_run,
    add_data_options,
    at_least,
    check_train_images,
    run_command,
)
from search.device_options import add_device_options, engine_of, slots_of
from search.evaluation import retrain
from search.execution.display import log_line, result_line
from search.execution.runs import TrainingData, rehearse
from search.execution.slots import open_slots
from search.image_facts import ImageFacts
from search.recipe_options import add_initialisation_option, initialisation_of
from search.report.ablation_page import count_of, findings, write_ablation_report
from search.settings import AblationSettings, SettingsFile, engine_name, held_study
from search.tables import CLAIMS, SUMMARY
from search.words import parse_words

DATASET = "mnist"

# What the paper claims, from the runs and their summary: columns `claim`, `measured`, `verdict`, which begins
# with holds, fails or undecided. A run that died has no test accuracy.
Claims = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]


def main(
    ablation: Ablation,
    doc: str | None,
    claims: Claims | None = None,
    argv: Sequence[str] | None = None,
    program: str | None = None,
) -> int:
    """Run a study's command and return its exit code.

    Args:
        doc: the study file's docstring: its question on the first line, then what is expected and why.
        program: what the user calls; None: the study file of the ablation's name.
    """
    parser = _parser(ablation, doc, program or f"python -m studies.{ablation.name}")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: _show(*_train(ablation, doc, claims, options)))


def run_ablation(
    ablation: Ablation, doc: str | None = None, claims: Claims | None = None, **words: Any
) -> AblationTables:
    """Train an ablation as the studies' commands do, their options as keywords: `seeds=2`.

    Progress goes to stderr, line by line. Tables and page lie in the folder of the ablation's name, and the
    same call trains what is missing.

    Args:
        doc: its question on the first line, then what is expected and why; for the page.

    Raises:
        UserError: an option breaks a rule, or the folder holds runs of other settings.
        Failure: what the runs need did not work, such as the data set's download.
        KeyboardInterrupt: interrupted; what was finished is kept.
    """
    options = parse_words(_parser(ablation, doc, f"run_ablation({ablation.name})"), words)
    return _train(ablation, doc, claims, options)[1]


def _parser(ablation: Ablation, doc: str | None, program: str) -> Parser:
    """The options of the ablation, which `program` runs."""
    parser = Parser(program, _question(ablation, doc)[0])
    group = parser.add_argument_group("what is trained")
    group.add_argument(
        "--seeds", type=at_least(1), default=ablation.num_seeds, metavar="N", help="runs of each arm"
    )
    group.add_argument(
        "--epochs", type=at_least(1), default=ablation.recipe.epochs, metavar="E", help="epochs of each run"
    )
    add_initialisation_option(group, ablation.recipe)
    group.add_argument(
        "--train-images",
        type=at_least(1),
        metavar="N",
        help="train on N images, classes in proportion; by default on all of them",
    )
    add_data_options(parser)
    add_device_options(parser)
    return parser


def _question(ablation: Ablation, doc: str | None) -> tuple[str, str]:
    """The question that it asks, and what is expected and why."""
    question, _, text = (doc or ablation.name).partition("\n")
    return question, text


def _train(
    ablation: Ablation, doc: str | None, claims: Claims | None, options: argparse.Namespace
) -> tuple[Path, AblationTables]:
    """Do what the options ask for; the study's folder and its tables."""
    ablation = replace(
        ablation, recipe=replace(ablation.recipe, epochs=options.epochs), num_seeds=options.seeds
    )
    slots = slots_of(options, ablation.name, AblationSettings)
    dataset = DATASETS[DATASET]
    available = dataset.num_training_images
    if options.train_images is not None:
        check_train_images(options.train_images, available, dataset.task.num_classes)
    data = TrainingData(dataset, find_files(DATASET, options.data_dir), 0, options.train_images)
    engine = engine_of(options, slots, ablation.name, AblationSettings)
    initialisation = initialisation_of(options, ablation.recipe, ablation.name, AblationSettings)
    recipe = replace(ablation.recipe, initialisation=initialisation)
    settings = AblationSettings(
        DATASET,
        recipe,
        options.train_images or available,
        {file.name: file.sha256 for file in dataset.files},
        engine_name(engine),
    )
    about = about_this_run(options.command, options.data_dir)
    about |= dict(zip(("question", "text"), _question(ablation, doc), strict=True))
    file = SettingsFile(settings, about, images=ImageFacts.of(dataset))
    with held_study(options.out, ablation.name, options.fresh, file, log_line) as folder:
        rehearsal = partial(rehearse, data)
        with open_slots(slots, options.epoch_timeout, engine, rehearsal) as executor:
            num_seeds = dict.fromkeys(ablation.arms, ablation.num_seeds)
            runs = retrain(ablation.name, num_seeds, recipe, data, executor, folder)
        living = alive(runs, file.images)
        summary = summarise(ablation, living)
        SUMMARY.write(summary, folder)
        if claims is not None:
            CLAIMS.write(claims(living, summary), folder)
        write_ablation_report(folder)
        return folder, read_ablation(folder)


def _show(folder: Path, tables: AblationTables) -> None:
    """What the command prints when it is done."""
    for sentence in findings(tables.summary):
        result_line(sentence)
    if not tables.claims.empty:
        result_line(count_of(tables.claims))
        for row in tables.claims.itertuples():
            result_line(f"{row.verdict}: {row.claim} Measured: {row.measured}")
    print(f"The page: {folder / 'report.html'}")

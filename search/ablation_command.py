"""The command line of a study file: train what is missing, then tables, findings and page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pandas as pd

from lightcnn.data import DATASETS
from lightcnn.fetching import find_files
from search.ablation import Ablation, alive, summarise
from search.command import (
    Parser,
    about_this_run,
    add_data_options,
    add_initialisation_option,
    at_least,
    check_train_images,
    initialisation_of,
    run_command,
)
from search.device_options import add_device_options, engine_of, slots_of
from search.evaluation import retrain
from search.execution.display import log_line, result_line
from search.execution.runs import TrainingData, rehearse
from search.execution.slots import open_slots
from search.report.ablation_page import count_of, findings, write_ablation_report
from search.settings import AblationSettings, ImageFacts, SettingsFile, engine_name, held_study
from search.tables import CLAIMS, SUMMARY

DATASET = "mnist"

# What the paper claims, from the runs and their summary: columns `claim`, `measured`, `verdict`, which begins
# with holds, fails or undecided. A run that died has no test accuracy.
Claims = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]


def main(
    ablation: Ablation, doc: str | None, claims: Claims | None = None, argv: Sequence[str] | None = None
) -> int:
    """Run a study's command and return its exit code.

    Args:
        doc: the study file's docstring: its question on the first line, then what is expected and why.
    """
    question, _, text = (doc or ablation.name).partition("\n")
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = Parser(f"python -m studies.{ablation.name}", question)
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
    options = parser.parse_args(arguments)
    recipe = replace(ablation.recipe, epochs=options.epochs)
    wanted = replace(ablation, recipe=recipe, num_seeds=options.seeds)
    return run_command(parser, lambda: _run(wanted, question, text, claims, options, arguments))


def _run(
    ablation: Ablation,
    question: str,
    text: str,
    claims: Claims | None,
    options: argparse.Namespace,
    arguments: list[str],
) -> None:
    slots = slots_of(options)
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
    about = about_this_run(f"studies.{ablation.name}", arguments, options.data_dir)
    about |= {"question": question, "text": text}
    file = SettingsFile(settings, about, images=ImageFacts.of(dataset))
    with held_study(options.out, ablation.name, options.fresh, file, log_line) as folder:
        rehearsal = partial(rehearse, data)
        with open_slots(slots, options.epoch_timeout, engine, rehearsal) as executor:
            num_seeds = dict.fromkeys(ablation.arms, ablation.num_seeds)
            runs = retrain(ablation.name, num_seeds, recipe, data, executor, folder)
        living = alive(runs, file.images)
        summary = summarise(ablation, living)
        SUMMARY.write(summary, folder)
        answers = None if claims is None else claims(living, summary)
        if answers is not None:
            CLAIMS.write(answers, folder)
        page = write_ablation_report(folder)
    for sentence in findings(summary):
        result_line(sentence)
    if answers is not None:
        result_line(count_of(answers))
        for row in answers.itertuples():
            result_line(f"{row.verdict}: {row.claim} Measured: {row.measured}")
    print(f"The page: {page}")

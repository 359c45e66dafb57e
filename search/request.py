"""What the options of a search ask for: its settings, its data, and the designs to be placed."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from lightcnn.architecture import Task, parse
from lightcnn.data import DATASETS, WHITE, Dataset
from lightcnn.designs import DESIGNS
from lightcnn.errors import UserError
from lightcnn.fetching import find_dataset
from lightcnn.splitting import class_quotas
from lightcnn.training import FAST
from search.budget import check_possible
from search.budget_options import budget_of
from search.command import check_train_images
from search.evaluation import Arm
from search.execution.display import log_line
from search.execution.runs import TrainingData
from search.run_options import NUM_TRAINING, NUM_VALIDATION, VALIDATION_SHARE
from search.settings import DataSettings, Reference, SearchSettings
from search.space import USUAL, Space
from search.stopping import default_rule


def placed_arm(text: str, task: Task, num_seeds: int) -> Arm:
    """A design of the user's own, by its text or the name of a hand-made one."""
    if not num_seeds:
        raise UserError(f"--place {text} needs --seeds of at least 1, but got 0")
    named = Reference.of(text, task)
    return Arm(named.name, parse(named.architecture, task))


def requested(options: argparse.Namespace) -> tuple[SearchSettings, TrainingData]:
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


def left_out(settings: SearchSettings) -> str:
    """Which hand-made designs the images do not allow, and why; "" if they allow all, or none is meant."""
    if len(settings.designs) == 1:
        return ""
    names = [design.name for design in DESIGNS if design not in settings.designs]
    side = settings.task.image_size
    return f"{'; '.join(names)} (images of {side}x{side} pixels are too small)" if names else ""


def about_images(dataset: Dataset, settings: SearchSettings) -> dict[str, str]:
    """What the page says of a user's own images."""
    about = {
        "folder": dataset.title,
        "images": dataset.preparation,
        "classes": ", ".join(dataset.classes),
        "left_out": left_out(settings),
    }
    return about if dataset.preparation else {}

"""What an export takes from a study's folder, a search's or an ablation's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lightcnn.architecture import Architecture, parse
from lightcnn.data import DATASETS, WHITE, Dataset
from lightcnn.designs import DESIGNS
from lightcnn.errors import UserError
from lightcnn.fetching import find_dataset
from lightcnn.training import Recipe
from search.cells import Row, absent, rows
from search.execution.runs import TrainingData
from search.settings import AblationSettings, Engine, SearchSettings, read
from search.standing import candidates
from search.storage import SETTINGS
from search.tables import SUMMARY, read_study


@dataclass(frozen=True)
class Source:
    """A study whose designs can be taken away."""

    study: str
    recipe: Recipe  # of the networks that it keeps
    dataset: str
    images: str  # a published data set's name, or the folder of the user's own, as the study was given it
    data_dir: Path | None  # where the study found a published data set's files, if it was told
    sha256: Mapping[str, str]  # of the data set's files, by name
    background: str  # what transparent images of the user's own were laid on
    num_train_images: int | None  # None: all of them
    engine: Engine
    designs: Mapping[str, str]  # architectures by name
    figures: tuple[Row, ...]  # what the study found, of any design
    candidates: pd.DataFrame | None  # within the search's budget; None: an ablation has none
    max_parameters: int | None = None  # of the candidates

    def architecture(self, design: str, dataset: Dataset) -> Architecture:
        """The design of that name or text.

        Raises:
            UserError: it is neither.
        """
        names = {it.name: it.text for it in DESIGNS} | dict(self.designs)
        try:
            return parse(names.get(design, design), dataset.task)
        except ValueError as error:
            listed = "; ".join(names)  # there are commas in them
            raise UserError(f"--design must be an architecture or one of {listed}; but {error}") from None

    def figures_of(self, architecture: str) -> Row | None:
        """What the study found of `architecture`, of a re-training if there was one."""
        found = [row for row in self.figures if row["architecture"] == architecture]
        retrained = [row for row in found if not absent(row.get("test_accuracy_mean"))]
        searched = [row for row in found if not absent(row.get("val_accuracy"))]
        return next(iter(retrained + searched), None)

    def data(self, folder: str | None, data_dir: Path | None) -> TrainingData:
        """The images that the kept networks were trained on.

        Args:
            folder: where images of the user's own lie; by default, where they lay for the study.
            data_dir: where a published data set's files lie; by default as `folder`.

        Raises:
            UserError: they are other images.
        """
        recorded = self.data_dir if self.data_dir and self.data_dir.is_dir() else None
        dataset, images_folder = find_dataset(
            folder or self.images, data_dir or (None if folder else recorded), background=self.background
        )
        there = {file.name: file.sha256 for file in dataset.files}
        # Of a published data set a search records the training files, of a folder all of them.
        is_whole = dataset in DATASETS.values() or there.keys() == self.sha256.keys()
        if not is_whole or any(there.get(name) != it for name, it in self.sha256.items()):
            raise UserError(
                f"{self.study} must be exported with its own images, those of {self.dataset!r}, "
                f"but got {dataset.title}; --dataset names their folder"
            )
        return TrainingData(dataset, images_folder, num_validation=0, num_train_images=self.num_train_images)


def source_of(folder: Path) -> Source:
    """What the study in `folder` offers.

    Raises:
        UserError: it is no study's folder, or a file there was damaged by hand.
    """
    if (folder / SUMMARY.file).exists():
        summary, file = SUMMARY.read(folder), read(folder / SETTINGS, AblationSettings)
        own = file.settings
        num_images = DATASETS[own.dataset].num_training_images
        return Source(
            study=folder.resolve().name,
            recipe=own.recipe,
            dataset=own.dataset,
            images=own.dataset,
            data_dir=_data_dir(file.about),
            sha256=own.sha256,
            background=WHITE,
            num_train_images=own.train_images if own.train_images < num_images else None,
            engine=own.engine,
            designs=dict(zip(summary["arm"], summary["architecture"], strict=True)),
            figures=tuple(rows(summary)),
            candidates=None,
        )
    tables = read_study(folder)
    settings = (
        tables.settings or read(folder / SETTINGS, SearchSettings).settings
    )  # which says what is missing
    return Source(
        study=tables.study,
        recipe=settings.final_recipe,
        dataset=settings.data.dataset,
        images=str(tables.about.get("folder") or settings.data.dataset),
        data_dir=_data_dir(tables.about),
        sha256=settings.data.sha256,
        background=settings.data.background,
        num_train_images=None,
        engine=settings.engine,
        designs=dict(zip(tables.designs["name"], tables.designs["architecture"], strict=True)),
        figures=tuple(row for it in (tables.front, tables.designs, tables.trials) for row in rows(it)),
        candidates=candidates(tables.trials, settings),
        max_parameters=settings.budget.max_parameters,
    )


def _data_dir(about: Mapping[str, Any]) -> Path | None:
    return Path(str(about["data_dir"])) if about.get("data_dir") else None


def title_of(dataset: Dataset) -> str:
    """What files that travel call `dataset`: of a folder of images its name alone, not where it lies."""
    return dataset.title if dataset in DATASETS.values() else dataset.name

"""A teacher: an ensemble of larger networks, and what it makes of the training images of each epoch."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lightcnn.architecture import Architecture, parse
from lightcnn.augmentation import NUM_COPIES, augmented
from lightcnn.cost import num_parameters
from lightcnn.data import LabelledImages
from lightcnn.engine.build import load
from lightcnn.training import Recipe, scores
from search.cells import rows
from search.execution.runs import Run, RunProgress, TrainingData, images_of, slot_device, slot_engine
from search.execution.slots import Slots
from search.storage import write_table, write_whole
from search.weights import keep_weights, weights_file, weights_of
from studies.filling import filled

NETWORK = "16vbln-28svbl-48svbln-60svbl-72sbln-80svbl-gap"  # 18,026 parameters
NUM_NETWORKS = 4
AUGMENTATION = 1.0  # with which they are trained


class Lesson(NamedTuple):
    """What the teacher is asked."""

    augmentation: float  # of the images that it sees, as its student does
    temperature: float


class _Cell(NamedTuple):
    architecture: str
    seed: int


def taught(
    lessons: Iterable[Lesson],
    folder: Path,
    recipe: Recipe,
    data: TrainingData,
    slots: Slots,
    first_seed: int = 0,
) -> dict[Lesson, Path]:
    """Files with the targets of each of `lessons`, in `folder`/weights; what is there is not made again.

    The teacher's networks are trained by `recipe`, augmented, on the students' images and no others. A line
    for each is in `folder`/teacher.csv.

    Args:
        folder: which the workers of a cluster must find under the same path.
        first_seed: of the teacher's networks, which have it and the next. No student of their design may.
    """
    files = {}
    for lesson in lessons:
        num_copies = min(recipe.epochs, NUM_COPIES) if lesson.augmentation else 1
        file = folder / "weights" / "targets-{:g}-{:g}-{}.npy".format(*lesson, num_copies)
        if not file.exists():
            network = parse(NETWORK, data.dataset.task)
            states = _networks(folder, recipe, data, slots, first_seed)
            jobs = [
                slots.submit(targets_of, network, states, data, *lesson, copy) for copy in range(num_copies)
            ]
            targets = np.stack([job.result() for job in jobs])
            content = io.BytesIO()
            np.save(content, targets)
            write_whole(file, content.getvalue())
        files[lesson] = file
    return files


def targets_of(
    network: Architecture,
    states: Sequence[bytes],
    data: TrainingData,
    augmentation: float,
    temperature: float,
    copy: int,
) -> np.ndarray:
    """In a worker: the mean softmax of the networks, (num_images, num_classes), float32.

    Args:
        states: the networks' weights.
        copy: which of the augmented copies of the images they see.
    """
    training, _ = images_of(data, slot_device())
    engine, device = slot_engine(), slot_device()
    if augmentation:
        library = None if engine is None else load(engine)
        images = augmented(training.images, augmentation, copy, library)
        training = LabelledImages(images, training.labels)
    each = [scores(network, state, training, device, engine) / temperature for state in states]
    mean = sum(own.double().softmax(1) for own in each) / len(each)
    found: np.ndarray = mean.float().cpu().numpy()  # type: ignore[union-attr]  # there are states
    return found


def _networks(folder: Path, recipe: Recipe, data: TrainingData, slots: Slots, first_seed: int) -> list[bytes]:
    """The weights of the teacher's networks, trained unless they are there."""
    path = folder / "teacher.csv"
    if path.exists():  # weights are not kept with the tables, so a line may be there without them
        table = pd.read_csv(path)
        write_table(table.loc[[weights_of(folder, row).exists() for row in rows(table)]], path)

    def run_of(cell: _Cell) -> Run:
        own = replace(recipe, augmentation=AUGMENTATION)
        return Run(parse(cell.architecture, data.dataset.task), own, cell.seed, data)

    def line(cell: _Cell, progress: RunProgress) -> list[dict[str, Any]]:
        assert progress.state is not None  # as it ended without an error
        keep_weights(weights_file(folder, *cell), progress.state)
        return [
            {
                **cell._asdict(),
                "num_parameters": num_parameters(progress.run.architecture),
                "val_accuracy": progress.epochs[-1].val_accuracy,
                "seconds": round(progress.seconds, 2),
            }
        ]

    cells = [_Cell(NETWORK, first_seed + i) for i in range(NUM_NETWORKS)]
    filled(path, cells, run_of, line, slots, "teacher")
    return [weights_file(folder, *cell).read_bytes() for cell in cells]

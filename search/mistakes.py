"""What tested runs took the test images for: kept in the reading that tests them, as it is the only one."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lightcnn.data import LabelledImages
from search.cells import Row, rows
from search.columns import COLUMNS, Column
from search.tables import Table

NUM_WORST = 8  # of a run's mistakes that are kept with their pictures
QUALITY = 80  # of WebP: some 250 bytes for a digit, 2,000 for a photograph of 64x64 pixels

_RUN = (COLUMNS["architecture"], COLUMNS["seed"])
_CLASSES = (Column("true_class", "class", "count"), Column("predicted_class", "taken for", "count"))
_IMAGE = Column("image", "test image", "count")


def _filled(file: str, *columns: Column) -> Table:
    return Table(file, columns, filled=tuple(column.name for column in columns))


# Classes are by their numbers, from 0, as labels are; what no run did has no line.
CONFUSIONS = _filled("confusions.csv", *_RUN, *_CLASSES, Column("num_images", "test images", "count"))
MISTAKES = _filled("mistakes.csv", *_RUN, _IMAGE, *_CLASSES, Column("confidence", "softmax", "fraction"))
PICTURES = _filled("pictures.csv", _IMAGE, Column("webp", "picture, base64", "text"))


@dataclass(frozen=True)
class Mistake:
    """An image that was taken for another class than its own."""

    image: int  # its place in the test set
    true_class: int
    predicted_class: int
    confidence: float  # softmax of the class that it was taken for
    webp: str  # the picture, base64


@dataclass(frozen=True)
class Answers:
    """What one run took the test images for.

    confusion: (num_classes, num_classes), images of the class of the row that were taken for the column's.
    worst: its NUM_WORST most confident mistakes, the most confident first.
    """

    confusion: NDArray[np.int64]
    worst: tuple[Mistake, ...]

    @property
    def accuracy(self) -> float:
        """A fraction."""
        return int(np.trace(self.confusion)) / int(self.confusion.sum())


def answers_of(classes: Tensor, confidence: Tensor, test: LabelledImages, num_classes: int) -> Answers:
    """Of a run that took the images of `test` for `classes` with such `confidence`, (num_images,) each."""
    labels = test.labels.cpu()
    confusion = torch.bincount(labels * num_classes + classes, minlength=num_classes**2)
    wrong = torch.nonzero(classes != labels).flatten()
    worst = wrong[torch.argsort(confidence[wrong], descending=True, stable=True)[:NUM_WORST]]
    return Answers(
        confusion.reshape(num_classes, num_classes).numpy(),
        tuple(
            Mistake(i, int(labels[i]), int(classes[i]), float(confidence[i]), _webp(test.images[i]))
            for i in worst.tolist()
        ),
    )


def keep_answers(folder: Path, tested: Sequence[tuple[Row, Answers]]) -> None:
    """Add the answers of runs, each with its line of runs.csv, to the tables in `folder`."""
    runs = {(row["architecture"], row["seed"]) for row, _ in tested}
    lines = {CONFUSIONS: _of_others(CONFUSIONS, folder, runs), MISTAKES: _of_others(MISTAKES, folder, runs)}
    pictures = {int(row["image"]): row for row in rows(PICTURES.read_if_there(folder))}
    for row, answers in tested:
        run = {"architecture": row["architecture"], "seed": row["seed"]}
        for pair in np.argwhere(answers.confusion).tolist():
            count = int(answers.confusion[tuple(pair)])
            classes = dict(zip(("true_class", "predicted_class"), pair, strict=True))
            lines[CONFUSIONS].append({**run, **classes, "num_images": count})
        for it in answers.worst:
            lines[MISTAKES].append({**run, **vars(it), "confidence": round(it.confidence, 6)})
            pictures[it.image] = {"image": it.image, "webp": it.webp}
    for table, all_lines in lines.items():
        table.write(table.frame({name: row[name] for name in table.required} for row in all_lines), folder)
    PICTURES.write(PICTURES.frame(pictures[image] for image in sorted(pictures)), folder)


def _of_others(table: Table, folder: Path, runs: Iterable[tuple[str, int]]) -> list[dict[str, object]]:
    """Lines of a table that are not of `runs`, whose earlier reading was broken off before it counted."""
    return [it for it in rows(table.read_if_there(folder)) if (it["architecture"], it["seed"]) not in runs]


def _webp(image: Tensor) -> str:
    """A test image, (C, H, W), float32 in [0, 1], as a picture."""
    pixels = (image.cpu() * 255).round().to(torch.uint8)
    form = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(form.numpy()).save(buffer, "WEBP", quality=QUALITY, method=6)
    return base64.b64encode(buffer.getvalue()).decode()

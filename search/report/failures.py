"""Which classes fail: what the seeds of each re-trained design took the test images for, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightcnn.errors import UserError
from search.cells import Row, interval, percent, rows
from search.deaths import is_dead
from search.mistakes import CONFUSIONS, MISTAKES, NUM_WORST, PICTURES
from search.moderation import MNIST, new_images_interval
from search.tables import Tables

Matrices = NDArray[np.int64]  # (num_seeds, num_classes, num_classes), rows true


def failures(folder: Path, tables: Tables) -> dict[str, Any] | None:
    """What the reading of the test set recorded in `folder`, as JSON; None: it recorded nothing.

    `classes`: names, and `counts`: test images of each. `designs`, by architecture: how many `seeds`, those
    that died left out; `confusion`, summed over them, as (class, taken for, images) where there were any; of
    each class its `accuracy` with its 95 % interval for new images, in words, "" where it has no test image;
    and the `worst` images, each with its class, what it was taken for, and the softmax of that. `pictures` by
    image: WebP, base64.

    Raises:
        UserError: a file there was damaged by hand.
    """
    confusions, mistakes, pictures = (
        rows(it.read_if_there(folder)) for it in (CONFUSIONS, MISTAKES, PICTURES)
    )
    kept = {int(it["image"]): it["webp"] for it in pictures}
    if not confusions:
        return None
    names = _names(folder, tables, confusions)
    runs: dict[str, dict[int, NDArray[np.int64]]] = {}
    for line in confusions:
        of_seeds = runs.setdefault(line["architecture"], {})
        matrix = of_seeds.setdefault(int(line["seed"]), np.zeros((len(names),) * 2, np.int64))
        matrix[int(line["true_class"]), int(line["predicted_class"])] = line["num_images"]
    designs, shown = {}, set()
    for text, of_seeds in runs.items():
        alive = {seed: it for seed, it in of_seeds.items() if not _is_dead(it, tables)}
        own = [it for it in mistakes if it["architecture"] == text and it["seed"] in alive]
        own = [it for it in own if it["image"] in kept]
        worst = _worst(own) if alive else []
        designs[text] = {"seeds": len(alive), **_of(np.array([*alive.values()])), "worst": worst}
        shown |= {image for image, *_ in worst}
    first = next(iter(next(iter(runs.values())).values()))
    return {
        "classes": names,
        "counts": first.sum(axis=1).tolist(),
        "designs": designs,
        "pictures": {image: kept[image] for image in sorted(shown)},
    }


def _names(folder: Path, tables: Tables, confusions: Sequence[Row]) -> tuple[str, ...]:
    """Of the classes; UserError where a line is of none of them, or of no image."""
    most = int(max(max(it["true_class"], it["predicted_class"]) for it in confusions))
    names = tables.images.classes or tuple(map(str, range(most + 1)))
    for line, it in enumerate(confusions, start=2):
        for name, low, high in (
            *((name, 0, len(names) - 1) for name in ("true_class", "predicted_class")),
            ("num_images", 1, tables.images.num_test),
        ):
            if not low <= it[name] <= high:
                raise UserError(
                    f"{folder / CONFUSIONS.file}:{line}: {name} must be from {low} to {high}, "
                    f"but is {it[name]:.0f}"
                )
    return names


def _is_dead(matrix: NDArray[np.int64], tables: Tables) -> bool:
    accuracy = np.trace(matrix) / matrix.sum()
    return bool(is_dead([accuracy], tables.images.largest_class_share, int(matrix.sum()))[0])


def _of(matrices: Matrices) -> dict[str, Any]:
    if not len(matrices):
        return {"confusion": [], "accuracy": []}
    confusion = matrices.sum(axis=0)
    cells = [(i, j, int(confusion[i, j])) for i, j in np.argwhere(confusion).tolist()]
    counts = matrices[0].sum(axis=1)
    right = np.diagonal(matrices, axis1=1, axis2=2)
    accuracies = []
    for count, own in zip(counts.tolist(), right.T, strict=True):
        if count:
            mean, low, high = new_images_interval(own / count, replace(MNIST, num_images=count))
        accuracies.append(f"{percent(mean)} ({interval(low, high)})" if count else "")
    return {"confusion": cells, "accuracy": accuracies}


def _worst(mistakes: Sequence[Row]) -> list[tuple[int, int, int, float]]:
    """Each image once, with the seed that was most confidently wrong about it."""
    found: dict[int, tuple[int, int, int, float]] = {}
    for it in sorted(mistakes, key=lambda it: (-it["confidence"], it["image"])):
        image, true, predicted = (int(it[name]) for name in ("image", "true_class", "predicted_class"))
        found.setdefault(image, (image, true, predicted, it["confidence"]))
    return [*found.values()][:NUM_WORST]

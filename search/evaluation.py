"""Final accuracies of trained runs; the one reader of the test set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lightcnn.data import LabelledImages, load_test_images, load_training_images
from lightcnn.training import measure, trained_network
from search.runs import Run


@dataclass(frozen=True)
class Accuracies:
    """Of one finished run, fractions: on the 60,000 training images and on the test images."""

    train: float
    test: float


def final_accuracies(run: Run, state: bytes) -> Accuracies:
    """In a worker: what the weights in `state` reach. Call it once all choices are made."""
    network = trained_network(run.architecture, state)
    train_images, test_images = _images(run.data.dataset, run.data.folder)
    return Accuracies(measure(network, train_images)[0], measure(network, test_images)[0])


@lru_cache(maxsize=1)
def _images(dataset: str, folder: Path) -> tuple[LabelledImages, LabelledImages]:
    return load_training_images(dataset, folder), load_test_images(dataset, folder)

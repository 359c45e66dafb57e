"""Final accuracies of trained runs; the one reader of the test set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lightcnn.data import LabelledImages, load_test_images
from lightcnn.training import measure, trained_network
from search.runs import Run, images_of, slot_device


@dataclass(frozen=True)
class Accuracies:
    """Of one finished run, fractions: on the images it was trained on and on the test images."""

    train: float
    test: float


def final_accuracies(run: Run, state: bytes) -> Accuracies:
    """In a worker: what the weights in `state` reach. Call it once all choices are made."""
    device = slot_device()
    network = trained_network(run.architecture, state).to(device)
    training, _ = images_of(run.data, device)
    test = _test_images(run.data.dataset, run.data.folder, device)
    return Accuracies(measure(network, training)[0], measure(network, test)[0])


@lru_cache(maxsize=1)
def _test_images(dataset: str, folder: Path, device: str) -> LabelledImages:
    return load_test_images(dataset, folder).to(device)

"""What a study must know of its images besides how many train: for intervals, dead runs, and classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightcnn.data import Dataset

UNBALANCED = 1.5  # times its equal share, from which on the largest class is named beside the designs


@dataclass(frozen=True)
class Majority:
    """The largest class of the training images: what to name for every image, if nothing else is known."""

    name: str
    training_share: float
    test_share: float


@dataclass(frozen=True)
class ImageFacts:
    """Of a data set; by default MNIST's, as an earlier version recorded nothing else."""

    num_test: int = 10_000
    largest_class_share: float = 0.1135  # of training or test images: what naming one class for all reaches
    classes: tuple[str, ...] = ()  # by label; none where an earlier version did not record them
    majority: Majority | None = None  # None: the classes are about as large, or it was not recorded

    @staticmethod
    def of(dataset: Dataset) -> ImageFacts:
        """Of `dataset`."""
        return ImageFacts(
            dataset.num_test_images, dataset.largest_class_share, dataset.classes, _majority(dataset)
        )


def _majority(dataset: Dataset) -> Majority | None:
    """The published data sets are balanced, or nearly; of a user's own the counts tell."""
    if not dataset.class_counts:
        return None
    training, test = (np.array(it) / sum(it) for it in (dataset.class_counts, dataset.test_class_counts))
    largest = int(training.argmax())
    if training[largest] <= UNBALANCED / len(training):
        return None
    return Majority(dataset.classes[largest], float(training[largest]), float(test[largest]))

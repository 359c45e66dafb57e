"""What a run meets in one epoch: which copies of the images, in which order, and what dropout keeps."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lightcnn.augmentation import augmented
from lightcnn.data import LabelledImages


def copies_with_targets(
    training: LabelledImages,
    targets: np.ndarray | None,
    augmentation: float,
    epoch: int,
    library: ctypes.CDLL | None,
) -> LabelledImages:
    """What is learnt in a 0-based `epoch`: the images or their copies, with what a teacher makes of them.

    Args:
        targets: as `lightcnn.training.train` takes them.
        augmentation: its strength.
        library: the compiled engine, as `augmented` takes it.
    """
    if targets is not None:
        taught = torch.tensor(targets[epoch % len(targets)], device=training.labels.device)
        training = replace(training, targets=taught)
    if augmentation:
        training = replace(training, images=augmented(training.images, augmentation, epoch, library))
    return training


def order_of(num_images: int, seed: int, epoch: int) -> Tensor:
    """Indices of the images, (num_images,), int64, in an order drawn from (seed, epoch)."""
    return torch.randperm(num_images, generator=_generator(seed, epoch))


def kept_features(num_images: int, num_features: int, dropout: float, seed: int, epoch: int) -> Tensor:
    """What dropout leaves of each image, (num_images, num_features), bool, drawn from (seed, epoch).

    Source: Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting.
    """
    return torch.rand(num_images, num_features, generator=_generator(seed, epoch, 1)) >= dropout


def _generator(*numbers: int) -> torch.Generator:
    """What is drawn from it follows from `numbers`."""
    mixed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(mixed)

"""Which images train and which judge: parts of a data set with the classes in their proportions."""

import numpy as np
import torch


def split(
    labels: torch.Tensor, num_validation: int = 10_000, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of the training and of the validation part: disjoint, together everything, stratified by class.

    Args:
        labels: (num_images,), int64.

    Returns:
        (training, validation), int64, each ascending.
    """
    if not 1 <= num_validation < len(labels):
        raise ValueError(f"num_validation must be from 1 to {len(labels) - 1}, but got {num_validation}")
    chosen = _stratified_choice(labels, num_validation, seed)
    return torch.nonzero(~chosen).flatten(), torch.nonzero(chosen).flatten()


def stratified_subset(labels: torch.Tensor, indices: torch.Tensor, size: int, seed: int = 0) -> torch.Tensor:
    """`size` of the `indices`, in their order, with the classes in the proportions of `labels[indices]`."""
    if not 1 <= size <= len(indices):
        raise ValueError(f"size must be from 1 to {len(indices)}, but got {size}")
    return indices[_stratified_choice(labels[indices], size, seed)]


def class_quotas(counts: np.ndarray, size: int) -> np.ndarray:
    """How many of each class are among `size` images that keep the proportions of `counts`.

    Each class gets its share rounded down; what then lacks goes to the largest remainders.

    Args:
        counts: (num_classes,), int64.
    """
    quotas, remainders = np.divmod(counts * size, counts.sum())
    lacking = size - int(quotas.sum())
    quotas[np.argsort(-remainders, kind="stable")[:lacking]] += 1
    return quotas


def _stratified_choice(labels: torch.Tensor, size: int, seed: int) -> torch.Tensor:
    """A mask, (num_images,), true for `size` images: from each class its proportion, drawn at random.

    The draw sorts uniform numbers because numpy's are the same in every version so far, unlike its choice and
    shuffle.
    """
    classes = labels.numpy()
    counts = np.bincount(classes)
    quotas = class_quotas(counts, size)
    order = np.lexsort(
        (np.random.default_rng(seed).random(len(classes)), classes)
    )  # by class, shuffled within
    rank_in_class = np.arange(len(classes)) - (np.cumsum(counts) - counts)[classes[order]]
    chosen = np.zeros(len(classes), dtype=bool)
    chosen[order] = rank_in_class < quotas[classes[order]]
    return torch.from_numpy(chosen)

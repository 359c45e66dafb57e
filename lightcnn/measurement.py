"""What a trained network makes of images: scores, classes, accuracy and loss; by PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightcnn.data import LabelledImages

# Bounds memory. Maps of 250 images are about what a cache holds: 1,000 take twice as long with wide networks.
EVALUATION_BATCH = 250
EVALUATION_BATCH_GPU = 2_500  # where a batch takes as long, however few its images are


def measure(network: nn.Module, data: LabelledImages) -> tuple[float, float]:
    """Accuracy (fraction) and mean cross-entropy of `network`, in evaluation mode, on `data`."""
    device = data.labels.device
    correct = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    for scores, labels in _scored(network, data):
        correct += (scores.argmax(1) == labels).sum()
        loss += functional.cross_entropy(scores, labels, reduction="sum")
    # One look at the end: a look at every batch would make a GPU wait for each.
    return correct.item() / len(data), loss.item() / len(data)


def scores_of(network: nn.Module, data: LabelledImages) -> Tensor:
    """Of `network`, in evaluation mode, before softmax, (num_images, num_classes)."""
    return torch.cat([scores for scores, _ in _scored(network, data)])


def classified(network: nn.Module, data: LabelledImages) -> tuple[Tensor, Tensor]:
    """What `network`, in evaluation mode, takes each image for, and the softmax of that class, on the CPU.

    Returns:
        (num_images,), int64, and (num_images,), float32; 0 where the scores are not finite.
    """
    scores = scores_of(network, data)
    classes = scores.argmax(1)
    confidence = scores.softmax(1).gather(1, classes[:, None]).flatten()
    return classes.cpu(), confidence.nan_to_num(0).cpu()


def _scored(network: nn.Module, data: LabelledImages) -> list[tuple[Tensor, Tensor]]:
    """Scores, (num_images, num_classes), and labels of a batch each."""
    was_training = network.training
    network.eval()
    size = EVALUATION_BATCH if data.labels.device.type == "cpu" else EVALUATION_BATCH_GPU
    batches = zip(torch.split(data.images, size), torch.split(data.labels, size), strict=True)
    with torch.inference_mode():
        scored = [(network(laid_out(images)), labels) for images, labels in batches]
    network.train(was_training)
    return scored


def laid_out(images: Tensor) -> Tensor:
    """As convolutions are fastest: channels innermost on a CPU; on a GPU they are 10 % slower with that."""
    return images.contiguous(memory_format=torch.channels_last) if images.device.type == "cpu" else images

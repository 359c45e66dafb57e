"""What a step of training does beyond Adam on the cross-entropy of labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightcnn.data import LabelledImages


@dataclass(frozen=True)
class Update:
    """How each step changes the weights; by default as Adam does, and nothing else."""

    weight_decay: float = 0.0  # share of every parameter that a step of rate 1 would take: AdamW's
    averaging: float = 0.0  # share that a step keeps of the weights' running mean, the result; 0: no mean
    temperature: float = 1.0  # of softmax where targets are learnt instead of labels
    dropout: float = 0.0  # share of the first linear layer's inputs that is left out, drawn for each image

    @property
    def gain(self) -> float:
        """By which the inputs that dropout keeps grow, so that their mean stays the same."""
        return 1 / (1 - self.dropout)

    def average(self, means: nn.Module, network: nn.Module) -> None:
        """Move `means`, which holds the running means of the weights of `network`, on by a step."""
        if self.averaging:
            with torch.no_grad():
                for mean, weight in zip(means.parameters(), network.parameters(), strict=True):
                    mean.lerp_(weight, 1 - self.averaging)


PLAIN = Update()


def loss_of(scores: Tensor, batch: LabelledImages, temperature: float) -> Tensor:
    """The loss that is trained on: mean cross-entropy with the labels, or with targets where there are some.

    Args:
        scores: (num_images, num_classes).
        temperature: T, of targets alone: the loss is T^2 times the cross-entropy of softmax(scores / T), so
            that gradients are as large with any. Source: Hinton, Vinyals and Dean (2015), Distilling the
            knowledge in a neural network, section 2.
    """
    if batch.targets is None:
        return functional.cross_entropy(scores, batch.labels)
    return temperature**2 * functional.cross_entropy(scores / temperature, batch.targets)

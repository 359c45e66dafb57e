"""The plan as exported files compute it: ReLU and max pooling belong to the layer before them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lightcnn.architecture import Architecture, plan
from lightcnn.operations import AveragePool, Convolution, Linear, MaxPool, Relu, Shape


@dataclass(frozen=True)
class Step:
    """A layer with the ReLU and the max pooling that follow it.

    weight, bias: of PyTorch's shapes; none of a pooling.
    """

    operation: Convolution | AveragePool | Linear
    name: str  # of the layer in the network's state_dict
    weight: NDArray[np.floating[Any]] | None = None
    bias: NDArray[np.floating[Any]] | None = None
    relu: bool = False
    max_pool: bool = False  # 2x2; before the ReLU or after it is the same

    @property
    def output_shape(self) -> Shape:
        """Of one image."""
        shape = self.operation.output_shape
        return MaxPool(shape).output_shape if self.max_pool else shape

    def __call__(self, values: Tensor) -> Tensor:
        """What the step computes, (B, *input_shape) -> (B, *output_shape), in the precision of `values`."""
        match self.operation:
            case Convolution(padding=padding):
                values = functional.conv2d(values, *self._parameters(values), padding=padding)
            case AveragePool(grid=grid):
                values = functional.adaptive_avg_pool2d(values, grid)
            case Linear():
                values = functional.linear(values.flatten(1), *self._parameters(values))
        values = values.relu() if self.relu else values
        return functional.max_pool2d(values, 2) if self.max_pool else values

    def _parameters(self, values: Tensor) -> tuple[Tensor, Tensor]:
        return torch.as_tensor(self.weight).to(values.dtype), torch.as_tensor(self.bias).to(values.dtype)


def steps_of(architecture: Architecture, network: nn.Sequential) -> list[Step]:
    """The steps of `network`, a trained module of `architecture`.

    What passes between them is never negative, as an image is not: each layer with weights but the last ends
    in ReLU, and a mean of such values is one.
    """
    steps: list[Step] = []
    for (name, module), operation in zip(network.named_children(), plan(architecture)[1:], strict=True):
        match operation:
            case Convolution() | Linear():
                weight, bias = (it.detach().cpu().contiguous().numpy() for it in module.parameters())
                steps.append(Step(operation, name, weight, bias))
            case AveragePool():
                steps.append(Step(operation, name))
            case MaxPool():
                steps[-1] = replace(steps[-1], max_pool=True)
            case Relu():
                steps[-1] = replace(steps[-1], relu=True)
    assert all(step.relu or step.weight is None for step in steps[:-1])
    return steps

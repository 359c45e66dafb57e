"""The plan as exported files compute it: to a layer belongs what follows it, and batch norm is folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lightcnn.architecture import Architecture, plan
from lightcnn.batch_norm import EPSILON, ShiftedNorm
from lightcnn.operations import (
    LEAK,
    Add,
    AveragePool,
    BatchNorm,
    Convolution,
    LeakyRelu,
    Linear,
    MaxPool,
    Relu,
    Shape,
)

IMAGE = -1  # as the source of a sum: what the first step reads


@dataclass(frozen=True)
class Step:
    """A layer with the sum, the activation and the max pooling that follow it.

    weight, bias: of PyTorch's shapes; none of a pooling, and no bias of a depthwise convolution.
    """

    operation: Convolution | AveragePool | Linear
    name: str  # of the layer in the network's state_dict, the first of those that share it
    weight: NDArray[np.floating[Any]] | None = None
    bias: NDArray[np.floating[Any]] | None = None
    source: int | None = None  # the step whose output is added, or IMAGE
    slope: float = 1.0  # of the activation below zero: 0 of ReLU, 1 where there is none
    max_pool: bool = False  # 2x2; before the activation or after it is the same

    @property
    def output_shape(self) -> Shape:
        """Of one image."""
        shape = self.operation.output_shape
        return MaxPool(shape).output_shape if self.max_pool else shape

    def __call__(self, values: Tensor, added: Tensor | None = None) -> Tensor:
        """What the step computes, (B, *input_shape) -> (B, *output_shape), in the precision of `values`."""
        match self.operation:
            case Convolution(padding=padding, stride=stride) as it:
                groups = it.channels if it.depthwise else 1
                values = functional.conv2d(values, *self._parameters(values), stride, padding, groups=groups)
            case AveragePool(grid=grid):
                values = functional.adaptive_avg_pool2d(values, grid)
            case Linear():
                values = functional.linear(values.flatten(1), *self._parameters(values))
        values = values if added is None else values + added
        values = activated(values, self.slope)
        return functional.max_pool2d(values, 2) if self.max_pool else values

    def _parameters(self, values: Tensor) -> tuple[Tensor, Tensor | None]:
        weight, bias = (
            None if it is None else torch.as_tensor(it).to(values.dtype) for it in (self.weight, self.bias)
        )
        assert weight is not None
        return weight, bias


def activated(values: Tensor, slope: float) -> Tensor:
    """`values`, those below zero times `slope`."""
    return values if slope == 1 else values.relu() if slope == 0 else functional.leaky_relu(values, slope)


def outputs(steps: Sequence[Step], images: Tensor) -> Iterator[Tensor]:
    """What each of `steps` makes of `images`, (B, C, H, W); the last are the scores."""
    given = [images]  # at IMAGE + 1, and then of each step
    for step in steps:
        given.append(step(given[-1], None if step.source is None else given[step.source + 1]))
        yield given[-1]


def steps_of(architecture: Architecture, network: nn.Sequential) -> list[Step]:
    """The steps of `network`, a trained module of `architecture`."""
    operations = plan(architecture)
    steps: list[Step] = []
    made_by = [IMAGE]  # of each operation, the step that it belongs to
    for number, (operation, module) in enumerate(zip(operations[1:], network, strict=True)):
        match operation:
            case Convolution() | Linear():
                shares = operation.shares if isinstance(operation, Convolution) else None
                name = str(number if shares is None else shares - 1)
                steps.append(Step(operation, name, _numbers(module.weight), _numbers(module.bias)))
            case BatchNorm():
                assert isinstance(module, ShiftedNorm)
                steps[-1] = _folded(steps[-1], module, str(number - 1))
            case Add(source=source):
                steps[-1] = replace(steps[-1], source=made_by[source])
            case AveragePool():
                steps.append(Step(operation, str(number)))
            case MaxPool():
                steps[-1] = replace(steps[-1], max_pool=True)
            case Relu():
                steps[-1] = replace(steps[-1], slope=0.0)
            case LeakyRelu():
                steps[-1] = replace(steps[-1], slope=LEAK)
        made_by.append(len(steps) - 1)
    return steps


def _numbers(parameter: Any) -> NDArray[np.float32] | None:
    return None if parameter is None else parameter.detach().cpu().contiguous().numpy()


def _folded(step: Step, norm: ShiftedNorm, name: str) -> Step:
    """A convolution that does what it and the batch norm behind it do; its weights are its own."""
    assert step.weight is not None
    mean, variance, shift = (
        it.detach().cpu().double().numpy() for it in (norm.mean, norm.variance, norm.bias)
    )
    scale = 1 / np.sqrt(variance + EPSILON)
    weight = step.weight.astype(np.float64) * scale[:, np.newaxis, np.newaxis, np.newaxis]
    return replace(
        step,
        name=name,
        weight=weight.astype(np.float32),
        bias=(shift - mean * scale).astype(np.float32),
    )

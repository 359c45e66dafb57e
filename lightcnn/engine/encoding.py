"""The plan of operations as the compiled engine reads it: a row of numbers."""

from __future__ import annotations

from lightcnn.architecture import Architecture, plan
from lightcnn.operations import (
    Add,
    AveragePool,
    BatchNorm,
    Convolution,
    Flatten,
    Input,
    LeakyRelu,
    Linear,
    MaxPool,
    Operation,
    Relu,
)

IMAGE = -1  # as the layer whose output is added


def encode(architecture: Architecture) -> list[int]:
    """The plan as engine.cpp reads it, convolutions alone where each is plain and followed by ReLU."""
    operations = plan(architecture)
    by_layers = not all(map(_is_plain, operations))
    layers: dict[
        int, int
    ] = {}  # by position in the plan, the number of the layer that an operation belongs to
    numbers: list[int] = []
    for position, operation in enumerate(operations):
        layers[position] = layers.get(position - 1, IMAGE) + isinstance(operation, Convolution)
        match operation:
            case Convolution() if by_layers:
                owner = position if operation.shares is None else operation.shares
                numbers += (7, operation.channels, operation.kernel_size, operation.padding, operation.stride)
                numbers += (int(operation.depthwise), int(operation.bias), layers[owner])
            case Add():
                numbers += (9, layers[operation.source])
            case _:
                numbers += _numbers(operation)
    return numbers


def _is_plain(operation: Operation) -> bool:
    if isinstance(operation, Convolution):
        return operation == Convolution(
            operation.input_shape, operation.channels, operation.kernel_size, operation.padding
        )
    return not isinstance(operation, BatchNorm | Add | LeakyRelu)


def _numbers(operation: Operation) -> tuple[int, ...]:
    """Of one operation: its `Kind` in engine.cpp, and what that needs."""
    match operation:
        case Input(output_shape=(channels, side, _)):
            return (0, channels, side)
        case Convolution():
            return (1, operation.channels, operation.kernel_size, operation.padding)
        case MaxPool():
            return (2,)
        case Relu():
            return (3,)
        case AveragePool():
            return (4, operation.grid, *(end for window in operation.windows for end in window))
        case Flatten():
            return (5,)
        case Linear():
            return (6, operation.units)
        case BatchNorm():
            return (8,)
        case LeakyRelu():
            return (10,)
    raise AssertionError(f"no numbers for {operation}")

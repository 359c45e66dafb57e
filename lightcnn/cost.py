"""Parameters, MACs and peak activation bytes of an architecture, in closed form, before anything is built."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from lightcnn.architecture import Architecture

BYTES_PER_VALUE = 4  # float32


@dataclass(frozen=True)
class Layer:
    """One step of a network for one image."""

    name: str
    output_shape: tuple[int, ...]  # (channels, height, width), or (features,) once flattened
    num_parameters: int = 0
    num_macs: int = 0  # multiply-accumulates of convolutions and linear layers; pooling and ReLU count none


def layer_table(architecture: Architecture) -> list[Layer]:
    """Every step from the image to the class scores, the image first; ReLU changes no shape and has no line.

    >>> from lightcnn.architecture import Task, parse
    >>> for layer in layer_table(parse("4-pool2", Task(image_size=28, in_channels=1, num_classes=10))):
    ...     print(layer.name, layer.output_shape, layer.num_parameters)
    image (1, 28, 28) 0
    conv 3x3 1-4 (4, 28, 28) 40
    average pooling to 2x2 (4, 2, 2) 0
    flatten (16,) 0
    linear 16-10 (10,) 170
    """
    task = architecture.task
    channels, side = task.in_channels, task.image_size
    layers = [Layer("image", (channels, side, side))]
    for block in architecture.blocks:
        k, out = block.kernel_size, block.channels
        side = block.convolved_side(side)
        weights = k * k * channels * out
        layers.append(
            Layer(f"conv {k}x{k} {channels}-{out}", (out, side, side), weights + out, weights * side * side)
        )
        channels = out
        if block.max_pool:
            side //= 2
            layers.append(Layer("max pooling 2x2", (channels, side, side)))
    grid = architecture.grid
    if grid != side:
        name = "global average pooling" if grid == 1 else f"average pooling to {grid}x{grid}"
        layers.append(Layer(name, (channels, grid, grid)))
    features = channels * grid * grid
    layers.append(Layer("flatten", (features,)))
    for width in (*architecture.hidden, task.num_classes):
        layers.append(
            Layer(f"linear {features}-{width}", (width,), features * width + width, features * width)
        )
        features = width
    return layers


def num_parameters(architecture: Architecture) -> int:
    """Weights and biases."""
    return sum(layer.num_parameters for layer in layer_table(architecture))


def num_macs(architecture: Architecture) -> int:
    """Multiply-accumulates for one image."""
    return sum(layer.num_macs for layer in layer_table(architecture))


def peak_activation_bytes(architecture: Architecture) -> int:
    """The most bytes of activations held at once for one image: the largest input plus output of one step.

    float32; ReLU works in place and flatten is a view, so neither counts. It bounds the RAM of a device that
    computes step by step, where weights stay in flash.
    """
    sizes = [math.prod(layer.output_shape) for layer in layer_table(architecture) if layer.name != "flatten"]
    return BYTES_PER_VALUE * max(before + after for before, after in pairwise(sizes))

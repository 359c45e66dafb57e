"""Parameters, MACs, bytes of weights and activations of an architecture, before anything is built."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Literal

from lightcnn.architecture import Architecture, plan
from lightcnn.operations import Flatten, Relu

Numbers = Literal["float32", "int8"]  # that weights and activations are held in
BYTES_PER_VALUE: dict[Numbers, int] = {"float32": 4, "int8": 1}


def num_parameters(architecture: Architecture) -> int:
    """Weights and biases."""
    return sum(operation.num_parameters for operation in plan(architecture))


def num_macs(architecture: Architecture) -> int:
    """Multiply-accumulates for one image."""
    return sum(operation.num_macs for operation in plan(architecture))


def num_biases(architecture: Architecture) -> int:
    """Output channels of the layers with weights: of each a bias and, in int8, a scale."""
    return sum(operation.output_shape[0] for operation in plan(architecture) if operation.num_parameters)


def weight_bytes(architecture: Architecture, numbers: Numbers = "float32") -> int:
    """Bytes of the weights and biases; in int8 of int8 weights, int32 biases and float32 scales."""
    biases = num_biases(architecture)
    if numbers == "float32":
        return BYTES_PER_VALUE[numbers] * num_parameters(architecture)
    return BYTES_PER_VALUE[numbers] * (num_parameters(architecture) - biases) + (4 + 4) * biases


def peak_activation_bytes(architecture: Architecture, numbers: Numbers = "float32") -> int:
    """The most bytes of activations held at once for one image: the largest input plus output of one step.

    ReLU works in place and flatten is a view, so neither counts. It bounds the RAM of a device that computes
    step by step, where weights stay in flash.
    """
    steps = [it for it in plan(architecture) if not isinstance(it, Relu | Flatten)]
    sizes = [prod(step.output_shape) for step in steps]
    return BYTES_PER_VALUE[numbers] * max(before + after for before, after in pairwise(sizes))

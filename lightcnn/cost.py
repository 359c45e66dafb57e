"""Parameters, MACs and peak activation bytes of an architecture, from its plan, before anything is built."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from lightcnn.architecture import Architecture, plan
from lightcnn.operations import Flatten, Relu

BYTES_PER_VALUE = 4  # float32


def num_parameters(architecture: Architecture) -> int:
    """Weights and biases."""
    return sum(operation.num_parameters for operation in plan(architecture))


def num_macs(architecture: Architecture) -> int:
    """Multiply-accumulates for one image."""
    return sum(operation.num_macs for operation in plan(architecture))


def peak_activation_bytes(architecture: Architecture) -> int:
    """The most bytes of activations held at once for one image: the largest input plus output of one step.

    float32; ReLU works in place and flatten is a view, so neither counts. It bounds the RAM of a device that
    computes step by step, where weights stay in flash.
    """
    steps = [it for it in plan(architecture) if not isinstance(it, Relu | Flatten)]
    sizes = [prod(step.output_shape) for step in steps]
    return BYTES_PER_VALUE * max(before + after for before, after in pairwise(sizes))

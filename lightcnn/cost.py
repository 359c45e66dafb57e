"""Parameters, MACs, bytes of weights and activations of an architecture, before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from lightcnn.architecture import Architecture, plan
from lightcnn.operations import Add, BatchNorm, Convolution, Flatten, LeakyRelu, Linear, Relu

Numbers = Literal["float32", "int8"]  # that weights and activations are held in
BYTES_PER_VALUE: dict[Numbers, int] = {"float32": 4, "int8": 1}


def num_parameters(architecture: Architecture) -> int:
    """Weights and biases, as they are trained."""
    return sum(operation.num_parameters for operation in plan(architecture))


def num_macs(architecture: Architecture) -> int:
    """Multiply-accumulates for one image."""
    return sum(operation.num_macs for operation in plan(architecture))


@dataclass(frozen=True)
class Deployed:
    """What a device holds of a network, each batch norm folded into the convolution before it.

    A block applied several times is held once where it has no batch norm. With one, what the norm makes of
    its last convolution differs from application to application, and is held for each.
    """

    weights: int
    biases: int  # of float32
    channels: int  # of all layers with weights: in int8 each has a scale, and a bias where it has any
    integer_biases: int  # of int8, which belong to the scale of the input, so to an application

    @property
    def num_parameters(self) -> int:
        """Weights and biases in float32."""
        return self.weights + self.biases


def deployed(architecture: Architecture) -> Deployed:
    """What a device holds of `architecture`."""
    operations = plan(architecture)
    weights = biases = channels = integer_biases = 0
    for operation, following in zip(operations, (*operations[1:], None), strict=True):
        if not isinstance(operation, Convolution | Linear):
            continue
        units = operation.output_shape[0]
        norm = isinstance(following, BatchNorm)
        has_bias = isinstance(operation, Linear) or operation.bias or norm
        if isinstance(operation, Linear) or operation.shares is None or norm:
            weights += operation.num_weights
            biases += units * has_bias
        channels += units
        integer_biases += units * has_bias
    return Deployed(weights, biases, channels, integer_biases)


def weight_bytes(architecture: Architecture, numbers: Numbers = "float32") -> int:
    """Bytes of what is deployed; in int8 of int8 weights, int32 biases and float32 scales."""
    held = deployed(architecture)
    if numbers == "float32":
        return BYTES_PER_VALUE[numbers] * held.num_parameters
    return BYTES_PER_VALUE[numbers] * held.weights + 4 * held.integer_biases + 4 * held.channels


def peak_activation_bytes(architecture: Architecture, numbers: Numbers = "float32") -> int:
    """The most bytes of activations held at once for one image: the largest input plus output of one step.

    To them comes what a later sum will read. Activations, batch norm and sums work in place and flatten is a
    view, so none of them counts. It bounds the RAM of a device that computes step by step, where weights
    stay in flash.
    """
    operations = plan(architecture)
    sizes = [prod(operation.output_shape) for operation in operations]
    sums = [(it.source, number) for number, it in enumerate(operations) if isinstance(it, Add)]
    return BYTES_PER_VALUE[numbers] * max(
        sizes[number - 1] + sizes[number] + sum(sizes[i] for i, end in sums if i + 1 < number < end)
        for number, operation in enumerate(operations)
        if number and not isinstance(operation, BatchNorm | Add | Relu | LeakyRelu | Flatten)
    )

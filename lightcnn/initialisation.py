"""The weights that a run begins with: three ways to draw them from its seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from lightcnn.architecture import Architecture, plan
from lightcnn.network import Network, build
from lightcnn.operations import LEAK, Convolution, LeakyRelu, Linear, Operation, Relu

Initialisation = Literal["pytorch", "zero-bias", "he"]
# With PyTorch's own, a block of 2 or 3 channels is often silent: its biases outweigh what its inputs bring,
# on every image, and no gradient flows back. `python -m studies.initialisation` counts the runs that die.
INITIALISATIONS: dict[Initialisation, str] = {
    "pytorch": "PyTorch's own, weights and biases uniform within 1 / sqrt(fan-in)",
    "zero-bias": "PyTorch's own, but all biases of convolutions zero",
    "he": "He's, uniform with variance 2 / fan-in before a ReLU, 1 / fan-in before the scores; biases zero",
}


def initial_network(architecture: Architecture, initialisation: Initialisation, seed: int) -> Network:
    """The network on the CPU, its weights drawn from `seed`; the caller's generator is left alone.

    Source: for "he", He, Zhang, Ren and Sun (2015), Delving deep into rectifiers.
    """
    operations = plan(architecture)[1:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(architecture)
        for number, (operation, layer) in enumerate(zip(operations, network, strict=True)):
            if isinstance(layer, nn.Conv2d | nn.Linear) and getattr(operation, "shares", None) is None:
                _change(layer, initialisation, _activation(operations[number:]))
    return network


def _activation(operations: Sequence[Operation]) -> Relu | LeakyRelu | None:
    """What stands behind the first of `operations` before the next with weights; None: nothing does."""
    for operation in operations[1:]:
        if isinstance(operation, Relu | LeakyRelu):
            return operation
        if isinstance(operation, Convolution | Linear):
            break
    return None


def _change(
    layer: nn.Conv2d | nn.Linear, initialisation: Initialisation, activation: Relu | LeakyRelu | None
) -> None:
    """Give a layer that has PyTorch's weights those of `initialisation`."""
    if initialisation == "he":
        match activation:
            case Relu():
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            case LeakyRelu():
                nn.init.kaiming_uniform_(layer.weight, a=LEAK, nonlinearity="leaky_relu")
            case None:
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear")
    if layer.bias is not None and (
        initialisation == "he" or (initialisation == "zero-bias" and isinstance(layer, nn.Conv2d))
    ):
        nn.init.zeros_(layer.bias)

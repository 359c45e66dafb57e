"""The weights that a run begins with: three ways to draw them from its seed."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from lightcnn.architecture import Architecture
from lightcnn.network import build

Initialisation = Literal["pytorch", "zero-bias", "he"]
# With PyTorch's own, a block of 2 or 3 channels is often silent: its biases outweigh what its inputs bring,
# on every image, and no gradient flows back. `python -m studies.initialisation` counts the runs that die.
INITIALISATIONS: dict[Initialisation, str] = {
    "pytorch": "PyTorch's own, weights and biases uniform within 1 / sqrt(fan-in)",
    "zero-bias": "PyTorch's own, but all biases of convolutions zero",
    "he": "He's, uniform with variance 2 / fan-in before a ReLU, 1 / fan-in before the scores; biases zero",
}


def initial_network(architecture: Architecture, initialisation: Initialisation, seed: int) -> nn.Sequential:
    """The network on the CPU, its weights drawn from `seed`; the caller's generator is left alone.

    Source: for "he", He, Zhang, Ren and Sun (2015), Delving deep into rectifiers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(architecture)
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                _change(layer, initialisation, gives_scores=layer is network[-1])
    return network


def _change(layer: nn.Conv2d | nn.Linear, initialisation: Initialisation, gives_scores: bool) -> None:
    """Give a layer that has PyTorch's weights those of `initialisation`."""
    assert layer.bias is not None
    if initialisation == "he":
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear" if gives_scores else "relu")
        nn.init.zeros_(layer.bias)
    elif initialisation == "zero-bias" and isinstance(layer, nn.Conv2d):
        nn.init.zeros_(layer.bias)

"""Plan of operations -> torch module: the reference of what a network computes."""

from __future__ import annotations

from torch import nn

from lightcnn.architecture import Architecture, plan
from lightcnn.operations import AveragePool, Convolution, Flatten, Linear, MaxPool, Operation, Relu


def build(architecture: Architecture) -> nn.Sequential:
    """The network, with PyTorch's default initialisation drawn from its global generator.

    Shapes of LightCNN (`8-16-32-gap` on 28x28x1), B images:
        input                    (B,  1, 28, 28)
        conv 1-8,   max pool     (B,  8, 28, 28) -> (B,  8, 14, 14)
        conv 8-16,  max pool     (B, 16, 14, 14) -> (B, 16,  7,  7)
        conv 16-32               (B, 32,  7,  7)
        global average pooling   (B, 32,  1,  1)
        flatten, linear 32-10    (B, 32) -> (B, 10) class scores, no softmax
    """
    return nn.Sequential(*(_module(operation) for operation in plan(architecture)[1:]))


def _module(operation: Operation) -> nn.Module:
    match operation:
        case Convolution(input_shape=(channels, *_)):
            return nn.Conv2d(channels, operation.channels, operation.kernel_size, padding=operation.padding)
        case MaxPool():
            return nn.MaxPool2d(2)
        case Relu():
            return nn.ReLU(inplace=True)
        case AveragePool():
            return nn.AdaptiveAvgPool2d(operation.grid)
        case Flatten():
            return nn.Flatten()
        case Linear(input_shape=(features,)):
            return nn.Linear(features, operation.units)
    raise AssertionError(f"no module for {operation}")

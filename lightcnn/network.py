"""Plan of operations -> torch module: the reference of what a network computes."""

from __future__ import annotations

from torch import Tensor, nn

from lightcnn.architecture import Architecture, plan
from lightcnn.batch_norm import ShiftedNorm
from lightcnn.operations import (
    LEAK,
    Add,
    AveragePool,
    BatchNorm,
    Convolution,
    Flatten,
    LeakyRelu,
    Linear,
    MaxPool,
    Operation,
    Relu,
)


class Network(nn.Sequential):
    """The layers of a plan, one for each operation but the image; a sum reads an earlier output as well."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        layers: list[nn.Module] = []
        for operation in operations[1:]:
            shares = getattr(operation, "shares", None)
            layers.append(_layer(operation, None if shares is None else layers[shares - 1]))
        super().__init__(*layers)
        self._sources = {
            number: operation.source
            for number, operation in enumerate(operations)
            if isinstance(operation, Add)
        }
        self._flatten = next(i for i, it in enumerate(operations) if isinstance(it, Flatten))

    def forward(self, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> (B, num_classes), scores without softmax.

        Args:
            kept: (B, num_features), dropout's factors of the first linear layer's inputs; None: no dropout.
        """
        values, summands = images, {}
        for number, layer in enumerate(self, start=1):
            if number - 1 in self._sources.values():
                summands[number - 1] = values
            source = self._sources.get(number)
            values = layer(values) if source is None else values + summands[source]
            if number == self._flatten and kept is not None:
                values = values * kept
        return values


def build(architecture: Architecture) -> Network:
    """The network, with PyTorch's default initialisation drawn from its global generator.

    Shapes of LightCNN (`8-16-32-gap` on 28x28x1), B images:
        input                    (B,  1, 28, 28)
        conv 1-8,   max pool     (B,  8, 28, 28) -> (B,  8, 14, 14)
        conv 8-16,  max pool     (B, 16, 14, 14) -> (B, 16,  7,  7)
        conv 16-32               (B, 32,  7,  7)
        global average pooling   (B, 32,  1,  1)
        flatten, linear 32-10    (B, 32) -> (B, 10) class scores, no softmax
    """
    return Network(plan(architecture))


def _layer(operation: Operation, twin: nn.Module | None) -> nn.Module:
    """A module for `operation`; `twin` is the one whose weights it shares."""
    match operation:
        case Convolution():
            return _convolution(operation) if twin is None else twin
        case BatchNorm(output_shape=(channels, *_)):
            return ShiftedNorm(channels, twin.bias if isinstance(twin, ShiftedNorm) else None)
        case Add():
            return nn.Identity()  # the sum is the network's
        case MaxPool():
            return nn.MaxPool2d(2)
        case Relu():
            return nn.ReLU(inplace=True)
        case LeakyRelu():
            return nn.LeakyReLU(LEAK, inplace=True)
        case AveragePool():
            return nn.AdaptiveAvgPool2d(operation.grid)
        case Flatten():
            return nn.Flatten()
        case Linear(input_shape=(features,)):
            return nn.Linear(features, operation.units)
    raise AssertionError(f"no module for {operation}")


def _convolution(it: Convolution) -> nn.Conv2d:
    channels = it.input_shape[0]
    return nn.Conv2d(
        channels,
        it.channels,
        it.kernel_size,
        it.stride,
        it.padding,
        groups=channels if it.depthwise else 1,
        bias=it.bias,
    )

"""The operations that a network is made of, each with the shapes and the cost of one image.

A shape is (channels, height, width), or (features,) once flattened. Sums, pooling and activations have no
parameters and count no multiply-accumulates (MACs).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Input:
    """The image."""

    output_shape: Shape
    name = "image"
    num_parameters = num_macs = 0


@dataclass(frozen=True)
class Convolution:
    """A square convolution; without a bias where batch norm follows, whose shift is one.

    shares: position in the plan of the convolution whose weights it uses; None: it has its own.
    """

    input_shape: Shape
    channels: int
    kernel_size: int
    padding: int  # pixels of zeros on each side
    stride: int = 1
    depthwise: bool = False  # each channel is made of the input's channel of that number alone
    bias: bool = True
    shares: int | None = None

    @property
    def name(self) -> str:
        size = f"{self.kernel_size}x{self.kernel_size}"
        what = f"conv {size} {self.input_shape[0]}-{self.channels}"
        if self.depthwise:
            what = f"depthwise {size} {self.channels}"
        return what + ", stride 2" * (self.stride == 2) + ", the same weights" * (self.shares is not None)

    @property
    def output_shape(self) -> Shape:
        side = (self.input_shape[1] + 2 * self.padding - self.kernel_size) // self.stride + 1
        return (self.channels, side, side)

    @property
    def num_parameters(self) -> int:
        return 0 if self.shares is not None else self.num_weights + self.channels * self.bias

    @property
    def num_macs(self) -> int:
        return self.num_weights * prod(self.output_shape[1:])

    @property
    def num_weights(self) -> int:
        """Without biases, whoever's they are."""
        return self.kernel_size**2 * (1 if self.depthwise else self.input_shape[0]) * self.channels


@dataclass(frozen=True)
class BatchNorm:
    """Each channel less its mean, by its standard deviation, plus a shift: a parameter a channel.

    Mean and deviation are the batch's in training, and those of training images afterwards. There is no
    scale: what follows can multiply as well, and the convolution before it has no bias, so that it costs
    nothing. Source: Ioffe and Szegedy (2015), Batch normalization.

    shares: position in the plan of the norm whose shift it uses; None: it has its own.
    """

    output_shape: Shape
    shares: int | None = None
    name = "batch norm"
    num_macs = 0  # once folded into the convolution before it

    @property
    def num_parameters(self) -> int:
        return 0 if self.shares is not None else self.output_shape[0]


@dataclass(frozen=True)
class Add:
    """The sum with what an earlier operation gave, the one at position `source` of the plan."""

    output_shape: Shape
    source: int
    name = "sum with the block's input"
    num_parameters = num_macs = 0


@dataclass(frozen=True)
class MaxPool:
    """The largest of each 2x2 pixels; an odd last row or column is left out."""

    input_shape: Shape
    name = "max pooling 2x2"
    num_parameters = num_macs = 0

    @property
    def output_shape(self) -> Shape:
        channels, side, _ = self.input_shape
        return (channels, side // 2, side // 2)


@dataclass(frozen=True)
class Relu:
    """max(x, 0), in place."""

    output_shape: Shape
    name = "ReLU"
    num_parameters = num_macs = 0


LEAK = 0.1  # LeakyReLU's slope below zero


@dataclass(frozen=True)
class LeakyRelu:
    """x where it is positive, else LEAK * x, in place."""

    output_shape: Shape
    name = "LeakyReLU"
    num_parameters = num_macs = 0


@dataclass(frozen=True)
class AveragePool:
    """Means over a grid x grid raster of windows that cover the maps, as in PyTorch's AdaptiveAvgPool2d.

    Where `grid` does not divide the side, the windows overlap: see `windows`.
    """

    input_shape: Shape
    grid: int
    num_parameters = num_macs = 0

    @property
    def name(self) -> str:
        return "global average pooling" if self.grid == 1 else f"average pooling to {self.grid}x{self.grid}"

    @property
    def output_shape(self) -> Shape:
        return (self.input_shape[0], self.grid, self.grid)

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """(start, stop) of each along one side; with a side of 7 and a grid of 3: (0, 3), (2, 5), (4, 7)."""
        side = self.input_shape[1]
        return tuple((i * side // self.grid, -(-(i + 1) * side // self.grid)) for i in range(self.grid))


@dataclass(frozen=True)
class Flatten:
    """The maps as one row of features, channel by channel."""

    input_shape: Shape
    name = "flatten"
    num_parameters = num_macs = 0

    @property
    def output_shape(self) -> Shape:
        return (prod(self.input_shape),)


@dataclass(frozen=True)
class Linear:
    """A matrix product with a bias a unit."""

    input_shape: Shape
    units: int

    @property
    def name(self) -> str:
        return f"linear {self.input_shape[0]}-{self.units}"

    @property
    def output_shape(self) -> Shape:
        return (self.units,)

    @property
    def num_parameters(self) -> int:
        return self.num_weights + self.units

    @property
    def num_macs(self) -> int:
        return self.num_weights

    @property
    def num_weights(self) -> int:
        """Without biases."""
        return self.input_shape[0] * self.units


Operation = (
    Input | Convolution | BatchNorm | Add | MaxPool | Relu | LeakyRelu | AveragePool | Flatten | Linear
)

"""The operations that a network is made of, each with the shapes and the cost of one image.

A shape is (channels, height, width), or (features,) once flattened. Pooling and ReLU have no parameters and
count no multiply-accumulates (MACs).
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
    """A square convolution with stride 1 and a bias a channel."""

    input_shape: Shape
    channels: int
    kernel_size: int
    padding: int  # pixels of zeros on each side

    @property
    def name(self) -> str:
        return f"conv {self.kernel_size}x{self.kernel_size} {self.input_shape[0]}-{self.channels}"

    @property
    def output_shape(self) -> Shape:
        side = self.input_shape[1] + 2 * self.padding - self.kernel_size + 1
        return (self.channels, side, side)

    @property
    def num_parameters(self) -> int:
        return self._num_weights + self.channels

    @property
    def num_macs(self) -> int:
        return self._num_weights * prod(self.output_shape[1:])

    @property
    def _num_weights(self) -> int:
        return self.kernel_size**2 * self.input_shape[0] * self.channels


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
        return self.num_macs + self.units

    @property
    def num_macs(self) -> int:
        return self.input_shape[0] * self.units


Operation = Input | Convolution | MaxPool | Relu | AveragePool | Flatten | Linear

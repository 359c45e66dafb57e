"""A network in 8 bits: integers and their scales, from which the int8 ONNX and the int8 C are written.

A value is a whole number times a scale. Values between layers are unsigned bytes; 0 stands for 0 where they
are never negative, as an image is not and what ReLU gives, and else another byte does, the zero point.
Weights are signed, with a scale a channel and no zero points. Sums are of 32 bits.

Source: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, and onnxruntime's static quantisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightcnn.errors import Failure
from lightcnn.measurement import EVALUATION_BATCH
from lightcnn.operations import AveragePool
from search.export.steps import Step, activated, outputs

LARGEST = 255  # of an unsigned byte
PIXEL_SCALE = np.float32(1 / LARGEST)  # the first step takes an image's bytes


class Grid(NamedTuple):
    """What a byte stands for: (byte - zero) * scale."""

    scale: np.float32
    zero: int = 0


@dataclass(frozen=True)
class QuantizedStep:
    """A step with integers for weights.

    weight: int8, of the shape of the step's; of a pooling (pixels of a map, windows), 1 where a pixel is in a
        window.
    weight_scale: float32, (channels,); of a pooling (windows,), 1 by their numbers of pixels.
    bias: int32, (channels,), in units of input scale times weight scale; none where the step has none.
    """

    step: Step
    weight: NDArray[np.int8]
    weight_scale: NDArray[np.float32]
    bias: NDArray[np.int32] | None
    input: Grid
    output: Grid | None  # None of the last step, whose scores are float32
    added: Grid | None = None  # of the step's source

    @property
    def multiplier(self) -> NDArray[np.float32]:
        """What makes outputs of sums, in the order in which onnxruntime rounds it."""
        product = self.input.scale * self.weight_scale
        return product if self.output is None else product / self.output.scale

    @property
    def added_multiplier(self) -> np.float32:
        """What makes outputs of the bytes that are added."""
        assert self.added is not None and self.output is not None
        return np.float32(self.added.scale / self.output.scale)

    def sums(self, values: Tensor) -> Tensor:
        """The integer sums of the bytes `values`, (B, *input_shape), in float64, which holds them exactly."""
        weight = self.weight.astype(np.float64)
        if isinstance(self.step.operation, AveragePool):
            return (values - self.input.zero).flatten(2) @ torch.from_numpy(weight)
        bias = None if self.bias is None else self.bias.astype(np.float64)
        plain = replace(self.step, weight=weight, bias=bias, source=None, slope=1.0, max_pool=False)
        return plain(values - self.input.zero)


def quantize(steps: Sequence[Step], images: Tensor) -> list[QuantizedStep]:
    """`steps` in 8 bits; the largest values between them are those that `images` lead to.

    Args:
        images: (num_images, C, H, W), training images.

    Raises:
        Failure: a layer is too wide for sums of 32 bits.
    """
    least, most = np.zeros((2, len(steps)))
    with torch.inference_mode():
        for some in torch.split(images, EVALUATION_BATCH):
            for i, values in enumerate(outputs(steps, some)):
                least[i], most[i] = min(least[i], float(values.min())), max(most[i], float(values.max()))
    grids = [Grid(PIXEL_SCALE), *map(_grid, least[:-1], most[:-1])]
    return [
        _quantize(
            step,
            grids[i],
            grids[i + 1] if i + 1 < len(steps) else None,
            None if step.source is None else grids[step.source + 1],
        )
        for i, step in enumerate(steps)
    ]


def _grid(least: float, most: float) -> Grid:
    """Bytes for values from `least`, 0 or below, to `most`; a layer whose outputs are all 0 may have any."""
    scale = np.float32((most - least) / LARGEST or 1)
    return Grid(scale, round(-least / float(scale)))


def _quantize(step: Step, entry: Grid, output: Grid | None, added: Grid | None) -> QuantizedStep:
    if isinstance(step.operation, AveragePool):
        matrix = window_matrix(step.operation)
        scale = (1 / matrix.sum(axis=0, dtype=np.float64)).astype(np.float32)
        return QuantizedStep(step, matrix, scale, None, entry, output)
    assert step.weight is not None
    rows = step.weight.reshape(len(step.weight), -1).astype(np.float64)
    biases = np.zeros(len(rows)) if step.bias is None else step.bias
    # A scale is large enough for the bias, too, to fit into 32 bits with its sum.
    least = np.abs(biases) / (float(entry.scale) * 2**30)
    scale = np.maximum(np.abs(rows).max(axis=1) / 127, least).astype(np.float32)
    scale[scale == 0] = 1
    weight = np.rint(rows / scale[:, np.newaxis]).clip(-127, 127).astype(np.int8).reshape(step.weight.shape)
    bias = np.rint(biases / (entry.scale * scale).astype(np.float64)).astype(np.int32)
    products = LARGEST * np.abs(weight.reshape(rows.shape).astype(np.int64)).sum(axis=1)
    if (products + np.abs(bias.astype(np.int64))).max() >= 2**31:
        raise Failure(f"int8 needs sums of 32 bits, but {step.operation.name} has {rows.shape[1]:,} inputs")
    return QuantizedStep(step, weight, scale, None if step.bias is None else bias, entry, output, added)


def window_matrix(pool: AveragePool) -> NDArray[np.int8]:
    """(pixels of a map, windows), row by row: 1 where the pixel is in the window, else 0."""
    inside = np.zeros((pool.input_shape[1], pool.grid), np.int8)
    for i, (start, stop) in enumerate(pool.windows):
        inside[start:stop, i] = 1
    return np.kron(inside, inside)


def bytes_of(images: Tensor) -> Tensor:
    """The pixels that `images`, float32 from 0 to 1, were made of: uint8, of the same shape."""
    return (images * LARGEST).round().to(torch.uint8)


def integer_scores(quantized: Sequence[QuantizedStep], images: Tensor) -> Tensor:
    """What the steps compute in exact integer arithmetic: the reference of the int8 files.

    Args:
        images: (B, C, H, W), float32 from 0 to 1.

    Returns:
        Scores, (B, num_classes), float32.
    """
    given = [bytes_of(images).double()]
    for it in quantized:
        sums, shape = it.sums(given[-1]), it.step.output_shape
        multiplier = torch.from_numpy(it.multiplier)
        if not isinstance(it.step.operation, AveragePool):
            multiplier = multiplier.reshape(-1, *[1] * (len(shape) - 1))
        scaled = sums.float() * multiplier
        if it.output is None:
            return scaled
        if it.added is not None:
            assert it.step.source is not None
            other = (given[it.step.source + 1] - it.added.zero).float()
            scaled = scaled + other * torch.from_numpy(np.asarray(it.added_multiplier))
        values = (activated(scaled, it.step.slope).round() + it.output.zero).clamp(0, LARGEST).double()
        values = torch.nn.functional.max_pool2d(values, 2) if it.step.max_pool else values
        given.append(values.reshape(-1, *shape))
    raise AssertionError("the last step gives scores")

"""A network in 8 bits: integers and their scales, from which the int8 ONNX and the int8 C are written.

A value is a whole number times a scale. Values between layers are never negative, so that they are unsigned
and 0 stands for 0: there are no zero points. Weights are signed, with a scale a channel. Sums are of 32 bits.

Source: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, and onnxruntime's static quantisation, but for its zero points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightcnn.errors import Failure
from lightcnn.operations import AveragePool
from lightcnn.torch_run import EVALUATION_BATCH
from search.export.steps import Step

LARGEST = 255  # of an unsigned byte
PIXEL_SCALE = np.float32(1 / LARGEST)  # the first step takes an image's bytes


@dataclass(frozen=True)
class QuantizedStep:
    """A step with integers for weights.

    weight: int8, of the shape of the step's; of a pooling (pixels of a map, windows), 1 where a pixel is in a
        window.
    weight_scale: float32, (channels,); of a pooling (windows,), 1 by their numbers of pixels.
    bias: int32, (channels,), in units of input scale times weight scale; none of a pooling.
    """

    step: Step
    weight: NDArray[np.int8]
    weight_scale: NDArray[np.float32]
    bias: NDArray[np.int32] | None
    input_scale: np.float32
    output_scale: np.float32 | None  # None of the last step, whose scores are float32

    @property
    def multiplier(self) -> NDArray[np.float32]:
        """What makes outputs of sums, in the order in which onnxruntime rounds it."""
        product = self.input_scale * self.weight_scale
        return product if self.output_scale is None else product / self.output_scale

    def sums(self, values: Tensor) -> Tensor:
        """The integer sums of `values`, (B, *input_shape), both in float64, which holds them exactly."""
        weight = self.weight.astype(np.float64)
        if self.bias is None:
            return values.flatten(2) @ torch.from_numpy(weight)
        plain = replace(
            self.step, weight=weight, bias=self.bias.astype(np.float64), relu=False, max_pool=False
        )
        return plain(values)


def quantize(steps: Sequence[Step], images: Tensor) -> list[QuantizedStep]:
    """`steps` in 8 bits; the largest values between them are those that `images` lead to.

    Args:
        images: (num_images, C, H, W), training images.

    Raises:
        Failure: a layer is too wide for sums of 32 bits.
    """
    largest = np.zeros(len(steps))
    with torch.inference_mode():
        for values in torch.split(images, EVALUATION_BATCH):
            for i, step in enumerate(steps):
                values = step(values)
                largest[i] = max(largest[i], float(values.max()))
    input_scale, quantized = PIXEL_SCALE, []
    for i, step in enumerate(steps):
        # A layer whose outputs are all 0 may have any scale.
        output_scale = np.float32(largest[i] / LARGEST or 1) if i + 1 < len(steps) else None
        quantized.append(_quantize(step, input_scale, output_scale))
        input_scale = output_scale or input_scale
    return quantized


def _quantize(step: Step, input_scale: np.float32, output_scale: np.float32 | None) -> QuantizedStep:
    if isinstance(step.operation, AveragePool):
        matrix = window_matrix(step.operation)
        scale = (1 / matrix.sum(axis=0, dtype=np.float64)).astype(np.float32)
        return QuantizedStep(step, matrix, scale, None, input_scale, output_scale)
    assert step.weight is not None and step.bias is not None
    rows = step.weight.reshape(len(step.weight), -1).astype(np.float64)
    # A scale is large enough for the bias, too, to fit into 32 bits with its sum.
    least = np.abs(step.bias) / (float(input_scale) * 2**30)
    scale = np.maximum(np.abs(rows).max(axis=1) / 127, least).astype(np.float32)
    scale[scale == 0] = 1
    weight = np.rint(rows / scale[:, np.newaxis]).clip(-127, 127).astype(np.int8).reshape(step.weight.shape)
    bias = np.rint(step.bias / (input_scale * scale).astype(np.float64)).astype(np.int32)
    products = LARGEST * np.abs(weight.reshape(rows.shape).astype(np.int64)).sum(axis=1)
    if (products + np.abs(bias.astype(np.int64))).max() >= 2**31:
        raise Failure(f"int8 needs sums of 32 bits, but {step.operation.name} has {rows.shape[1]:,} inputs")
    return QuantizedStep(step, weight, scale, bias, input_scale, output_scale)


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
    values = bytes_of(images).double()
    for it in quantized:
        sums, shape = it.sums(values), it.step.output_shape
        multiplier = torch.from_numpy(it.multiplier)
        if it.bias is not None:
            multiplier = multiplier.reshape(-1, *[1] * (len(shape) - 1))
        scaled = sums.float() * multiplier
        if it.output_scale is None:
            return scaled
        values = scaled.round().clamp(0, LARGEST).double()
        values = torch.nn.functional.max_pool2d(values, 2) if it.step.max_pool else values
        values = values.reshape(-1, *shape)
    raise AssertionError("the last step gives scores")

"""A network as C without malloc or dependencies, in float32 or in 8 bits, from its steps."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lightcnn.architecture import Architecture, Task
from lightcnn.operations import AveragePool, Convolution, Linear
from search.export.quantization import QuantizedStep, integer_scores
from search.export.runner import TOLERANCE
from search.export.steps import Step, outputs
from search.export.templates import template

C_TYPES = {np.dtype(np.float32): "float", np.dtype(np.int8): "int8_t", np.dtype(np.int32): "int32_t"}


@dataclass(frozen=True)
class Source:
    """Plain C for one image at a time: all weights in it, no malloc, its buffers the caller's.

    Everything that it defines begins with `name`, so that several link into one program.
    """

    name: str
    header_file: str
    header: str
    text: str
    declaration: str
    arena_bytes: int
    quantized: bool  # whether the image is bytes


def c_name(stem: str) -> str:
    """What the names in the C of a file begin with: an identifier made of the file's `stem`."""
    identifier = re.sub(r"[^0-9A-Za-z]", "_", stem)
    return identifier if re.match(r"[A-Za-z]", identifier) else f"model_{identifier}"


def to_c(
    architecture: Architecture,
    steps: Sequence[Step],
    stem: str,
    quantized: Sequence[QuantizedStep] | None = None,
) -> Source:
    """The network of `steps` as C.

    Args:
        stem: of the files, before .c and .h.
        quantized: the steps in 8 bits, to be written instead.
    """
    name, task = c_name(stem), architecture.task
    arena, starts = _arena(steps)
    places = ["image", *(f"arena + {start}" if start else "arena" for start in starts)]
    layers: list[dict[str, Any]] = []
    tables: dict[str, NDArray[Any]] = {}
    shared: dict[tuple[str, str, bytes], str] = {}  # by layer, what it is, and its values
    for number, step in enumerate(steps):
        integers = quantized[number] if quantized else None
        names = {}
        for what, values in _constants(step, integers).items():
            names[what] = shared.setdefault((step.name, what, values.tobytes()), f"{name}_{what}_{number}")
            tables[names[what]] = values
        added = "0" if step.source is None else places[step.source + 1]
        layers.append(_layer(step, integers, names, added) | {"places": places[number : number + 2]})
    expected = _expected(task, steps, quantized)
    shown = {
        "name": name,
        "macro": name.upper(),
        "header": f"{stem}.h",
        "architecture": str(architecture),
        "quantized": quantized is not None,
        "value": "uint8_t" if quantized else "float",
        "weight": "int8_t" if quantized else "float",
        "sum": "int32_t" if quantized else "float",
        "image": (task.in_channels, task.image_size, task.image_size),
        "num_classes": task.num_classes,
        "arena": arena,
        "arena_bytes": arena * (1 if quantized else 4),
        "tables": [(C_TYPES[it.dtype], table, it.size, _text(it)) for table, it in tables.items()],
        "kinds": {layer["kind"] for layer in layers[:-1]},
        "layers": layers[:-1],
        "last": layers[-1],
        "expected": _text(expected),
        "tolerance": "0.0f" if quantized else _number(np.float32(TOLERANCE) * np.abs(expected).max()),
    }
    header, text = (template(f"network.{it}.j2").render(shown) for it in ("h", "c"))
    declaration = next(line for line in header.splitlines() if line.startswith("void "))
    return Source(
        name, f"{stem}.h", header, text, declaration, arena * (1 if quantized else 4), quantized is not None
    )


def _arena(steps: Sequence[Step]) -> tuple[int, list[int]]:
    """How many values the arena holds, and where in it the output of each step but the last begins."""
    sizes = [prod(step.output_shape) for step in steps[:-1]]
    if all(step.source is None for step in steps):
        # A step reads from one end and writes to the other, so that the largest pair is enough.
        arena = max([1, *sizes[:1], *(before + after for before, after in pairwise(sizes))])
        return arena, [arena - size if number % 2 else 0 for number, size in enumerate(sizes)]
    last_read = [number + 1 for number in range(len(sizes))]
    for number, step in enumerate(steps):
        if step.source is not None and step.source >= 0:
            last_read[step.source] = number
    starts: list[int] = []
    for number, size in enumerate(sizes):  # the first gap between what is still to be read
        start = 0
        for other in sorted((it for it in range(number) if last_read[it] >= number), key=starts.__getitem__):
            if start + size > starts[other]:
                start = max(start, starts[other] + sizes[other])
        starts.append(start)
    return max(start + size for start, size in zip(starts, sizes, strict=True)), starts


def _constants(step: Step, integers: QuantizedStep | None) -> dict[str, NDArray[Any]]:
    """The tables of a step, in the order of the arguments of the function that takes them."""
    weights, biases = (integers.weight, integers.bias) if integers else (step.weight, step.bias)
    tables = {"multipliers": integers.multiplier} if integers else {}
    if isinstance(step.operation, AveragePool):
        return tables
    assert weights is not None
    if biases is None:
        return {"weights": weights, **tables}
    if integers and integers.bias is not None and isinstance(step.operation, Linear):
        # It reads every input, so what the zero point takes from each can be taken from the sum.
        biases = integers.bias - integers.input.zero * integers.weight.sum(axis=1, dtype=np.int32)
    return {"weights": weights, "biases": biases, **tables}


def _layer(
    step: Step, integers: QuantizedStep | None, tables: Mapping[str, str], added: str
) -> dict[str, Any]:
    """What the template needs of a step: the function that computes it, its arguments, and what they mean."""
    pool = 2 if step.max_pool else 1
    zeros = [integers.input.zero, integers.output.zero] if integers and integers.output else []
    sizes: list[Any]
    match step.operation:
        case Convolution(input_shape=(channels, side, _), kernel_size=kernel, padding=padding) as it:
            kind, sizes = "convolution", [channels, side, it.channels, kernel, padding, pool]
            is_summed = step.source is not None
            if it.depthwise or it.stride > 1 or step.slope or is_summed or any(zeros):
                tables = {"weights": tables["weights"], "biases": "0", **tables}
                how = [
                    added,
                    *_bytes(integers),
                    _number(np.float32(step.slope)),
                    int(it.depthwise),
                    it.stride,
                ]
                kind, sizes = "block", [*how, *sizes]
        case AveragePool(input_shape=(channels, side, _), grid=grid):
            kind, sizes = "average", [channels, side, grid]
            if any(zeros):
                kind, sizes = "average_of_signed", [*zeros, *sizes]
        case Linear(input_shape=(length,), units=units):
            kind, sizes = "linear", [length, units]
    comment = step.operation.name + ", max pooling 2x2" * step.max_pool
    return {"kind": kind, "sizes": sizes, "tables": tables, "comment": comment}


def _bytes(integers: QuantizedStep | None) -> list[Any]:
    """What the bytes of a block stand for: those that are added, then its input's and its output's zero."""
    if integers is None or integers.output is None:
        return []
    added = integers.added
    of_added = ["0.0f", 0] if added is None else [_number(integers.added_multiplier), added.zero]
    return [*of_added, integers.input.zero, integers.output.zero]


def _expected(
    task: Task, steps: Sequence[Step], quantized: Sequence[QuantizedStep] | None
) -> NDArray[np.float32]:
    """The scores of the test image that the C makes."""
    shape = (1, task.in_channels, task.image_size, task.image_size)
    image = (37 * torch.arange(prod(shape)) % 256).reshape(shape).float() / 255
    if quantized:
        return integer_scores(quantized, image)[0].numpy()
    *_, last = outputs(steps, image)
    scores: NDArray[np.float32] = last[0].numpy()
    return scores


def _text(values: NDArray[Any]) -> str:
    """The numbers of a table, some on each line."""
    numbers = ", ".join(map(_number, values.ravel()))
    return textwrap.fill(numbers, 110, initial_indent="    ", subsequent_indent="    ")


def _number(value: np.generic) -> str:
    """A constant that C reads as `value`: 9 digits tell each float32 from the next."""
    return f"{value:.8e}f" if isinstance(value, np.floating) else str(value)

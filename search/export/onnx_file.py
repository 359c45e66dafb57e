"""ONNX written from the steps of a network, in float32 or in 8 bits; what onnxruntime computes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightcnn.architecture import Task
from lightcnn.operations import AveragePool, Convolution, Linear
from search.export.quantization import Grid, QuantizedStep, window_matrix
from search.export.runner import Runner
from search.export.steps import Step

OPSET, IR_VERSION = 13, 7  # the lowest with a scale a channel, and what came with it
LOWEST_RUNTIME = "1.6"  # the onnxruntime that takes them, by its table of versions


def to_onnx(
    steps: Sequence[Step],
    task: Task,
    about: Mapping[str, str],
    quantized: Sequence[QuantizedStep] | None = None,
) -> bytes:
    """The network as ONNX: input `images`, (num_images, C, H, W), any number of them; output `scores`.

    Args:
        about: metadata.
        quantized: the steps in 8 bits; by default they are float32. Integers are written with QuantizeLinear
            and DequantizeLinear around each layer, which a runtime fuses with it into a layer of integers.
    """
    from onnx import TensorProto, checker, helper

    graph = _Graph()
    for number, step in enumerate(steps):
        is_map = number == 0 or len(steps[number - 1].output_shape) == 3
        graph.append(step, quantized[number] if quantized else None, is_map=is_map)
    graph.nodes[-1].output[0] = "scores"
    shape = ("num_images", task.in_channels, task.image_size, task.image_size)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "network",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ("num_images", task.num_classes))],
            graph.constants,
        ),
        producer_name="search.export",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, dict(about))
    checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


class _Graph:
    """A chain of nodes, each of which takes what the `last` one gives, and the constants beside it."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._held: dict[str, NDArray[Any]] = {}  # their values, by name
        self.last = "images"
        self.given = ["images"]  # at IMAGE + 1, and then of each step, for sums

    def append(self, step: Step, integers: QuantizedStep | None, is_map: bool) -> None:
        """The nodes of `step`, in float32 or, if given, in `integers`.

        Args:
            is_map: whether its input is (num_images, channels, side, side) and not yet flat.
        """
        if integers and self.last == "images":
            self.chain("QuantizeLinear", *self.grid(f"{step.name}.input", integers.input))
            self.given = [self.last]
        pool = step.operation if isinstance(step.operation, AveragePool) else None
        uniform = _uniform_windows(pool) if pool and not integers else None
        if isinstance(step.operation, Linear) and is_map:
            self.chain("Flatten", axis=1)
        if pool and not uniform:
            pixels = np.array([0, pool.input_shape[0], pool.input_shape[1] ** 2])
            self.chain("Reshape", self.constant(f"{step.name}.shape", pixels))
        if integers:
            self.chain("DequantizeLinear", *self.grid(f"{step.name}.input", integers.input))
        weights = self.integer_weights(integers) if integers else self.weights(step)
        match step.operation:
            case Convolution(kernel_size=side, padding=padding) as it:
                more: dict[str, Any] = {"group": it.channels} if it.depthwise else {}
                more |= {"strides": [it.stride] * 2} if it.stride > 1 else {}
                self.chain("Conv", *weights, kernel_shape=[side, side], pads=[padding] * 4, **more)
            case Linear():
                self.chain("Gemm", *weights, transB=1)
            case AveragePool() if uniform:
                self.chain("AveragePool", kernel_shape=[uniform[0]] * 2, strides=[uniform[1]] * 2)
            case AveragePool():
                self.chain("MatMul", *weights)
        if step.source is not None:
            added = self.given[step.source + 1]
            if integers and integers.added:
                scale = self.grid(f"{step.name}.added", integers.added)
                added = self.node("DequantizeLinear", added, *scale)
            self.chain("Add", added)
        rounded = integers.output if integers else None
        if step.slope == 0 and rounded is None:  # else rounding to bytes leaves nothing negative
            self.chain("Relu")
        elif 0 < step.slope < 1:
            self.chain("LeakyRelu", alpha=step.slope)
        if rounded is not None:
            self.chain("QuantizeLinear", *self.grid(f"{step.name}.output", rounded))
        if step.max_pool:
            self.chain("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        self.given.append(self.last)

    def weights(self, step: Step) -> list[str]:
        """The names of the constants of a step in float32."""
        if isinstance(step.operation, AveragePool):
            if _uniform_windows(step.operation):
                return []
            matrix = window_matrix(step.operation)
            return [self.constant(f"{step.name}.windows", (matrix / matrix.sum(axis=0)).astype(np.float32))]
        held = {"weight": step.weight, "bias": step.bias}
        return [self.constant(f"{step.name}.{what}", it) for what, it in held.items() if it is not None]

    def integer_weights(self, it: QuantizedStep) -> list[str]:
        """The names of what DequantizeLinear makes of a step's integers."""
        tables: dict[str, tuple[NDArray[Any], NDArray[np.float32]]] = {"weight": (it.weight, it.weight_scale)}
        if it.bias is not None:
            tables["bias"] = (it.bias, it.input.scale * it.weight_scale)
        names = []
        for what, (values, scale) in tables.items():
            name, axis = f"{it.step.name}.{what}", 1 if isinstance(it.step.operation, AveragePool) else 0
            inputs = [self.constant(name, values), *self.scale(name, scale, values.dtype.type)]
            names.append(self.node("DequantizeLinear", *inputs, axis=axis))
        return names

    def grid(self, name: str, grid: Grid) -> list[str]:
        """The names of the scale and the zero point of bytes."""
        return [
            self.constant(f"{name}_scale", np.asarray(grid.scale)),
            self.constant(f"{name}_zero_point", np.asarray(grid.zero, np.uint8)),
        ]

    def scale(self, name: str, scale: NDArray[np.float32], dtype: type[np.generic]) -> list[str]:
        """The names of a scale and of its zero point, which is 0 and says which integers are meant."""
        return [
            self.constant(f"{name}_scale", scale),
            self.constant(f"{name}_zero_point", np.zeros(np.shape(scale), dtype)),
        ]

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """The name of a constant: `name`, but for a block applied again, whose values are others there."""
        from onnx import numpy_helper

        while (held := self._held.setdefault(name, values)) is not values:
            if np.array_equal(held, values):
                return name
            name += "_again"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The name of what a new node gives."""
        from onnx import helper

        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def chain(self, kind: str, *inputs: str, **attributes: Any) -> None:
        """A new node at the chain's end."""
        self.last = self.node(kind, self.last, *inputs, **attributes)


def _uniform_windows(pool: AveragePool) -> tuple[int, int] | None:
    """Side and stride of the windows, as ONNX's AveragePool has them; None where they differ."""
    starts, stops = np.array(pool.windows).T
    sides, strides = {*(stops - starts).tolist()}, {*np.diff(starts).tolist()}
    return (sides.pop(), strides.pop() if strides else 1) if len(sides) == 1 and len(strides) <= 1 else None


def session_of(content: bytes) -> Any:
    """An onnxruntime session of the ONNX model in `content`, on one CPU thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def onnx_runner(content: bytes) -> Runner:
    """What onnxruntime computes with the ONNX model in `content`, on one CPU thread."""
    session = session_of(content)

    def predict(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["scores"], {"images": images.numpy()})[0])

    def ready(image: Tensor) -> Any:
        feed = {"images": image.unsqueeze(0).numpy()}
        return lambda: session.run(["scores"], feed)

    return Runner(predict, ready)

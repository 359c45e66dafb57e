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
from search.export.quantization import QuantizedStep, window_matrix
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
        graph.append(step, quantized[number] if quantized else None, is_first=number == 0, is_map=is_map)
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
        self.last = "images"

    def append(self, step: Step, integers: QuantizedStep | None, is_first: bool, is_map: bool) -> None:
        """The nodes of `step`, in float32 or, if given, in `integers`.

        Args:
            is_map: whether its input is (num_images, channels, side, side) and not yet flat.
        """
        if integers and is_first:
            self.chain("QuantizeLinear", *self.scale(f"{step.name}.input", integers.input_scale, np.uint8))
        pool = step.operation if isinstance(step.operation, AveragePool) else None
        uniform = _uniform_windows(pool) if pool and not integers else None
        if isinstance(step.operation, Linear) and is_map:
            self.chain("Flatten", axis=1)
        if pool and not uniform:
            pixels = np.array([0, pool.input_shape[0], pool.input_shape[1] ** 2])
            self.chain("Reshape", self.constant(f"{step.name}.shape", pixels))
        if integers:
            self.chain("DequantizeLinear", *self.scale(f"{step.name}.input", integers.input_scale, np.uint8))
        weights = self.integer_weights(integers) if integers else self.weights(step)
        match step.operation:
            case Convolution(kernel_size=side, padding=padding):
                self.chain("Conv", *weights, kernel_shape=[side, side], pads=[padding] * 4)
            case Linear():
                self.chain("Gemm", *weights, transB=1)
            case AveragePool() if uniform:
                self.chain("AveragePool", kernel_shape=[uniform[0]] * 2, strides=[uniform[1]] * 2)
            case AveragePool():
                self.chain("MatMul", *weights)
        if (
            integers and integers.output_scale is not None
        ):  # without ReLU: unsigned bytes hold nothing negative
            self.chain("QuantizeLinear", *self.scale(f"{step.name}.output", integers.output_scale, np.uint8))
        elif step.relu:
            self.chain("Relu")
        if step.max_pool:
            self.chain("MaxPool", kernel_shape=[2, 2], strides=[2, 2])

    def weights(self, step: Step) -> list[str]:
        """The names of the constants of a step in float32."""
        if isinstance(step.operation, AveragePool):
            if _uniform_windows(step.operation):
                return []
            matrix = window_matrix(step.operation)
            return [self.constant(f"{step.name}.windows", (matrix / matrix.sum(axis=0)).astype(np.float32))]
        assert step.weight is not None and step.bias is not None
        return [
            self.constant(f"{step.name}.weight", step.weight),
            self.constant(f"{step.name}.bias", step.bias),
        ]

    def integer_weights(self, it: QuantizedStep) -> list[str]:
        """The names of what DequantizeLinear makes of a step's integers."""
        tables: dict[str, tuple[NDArray[Any], NDArray[np.float32]]] = {"weight": (it.weight, it.weight_scale)}
        if it.bias is not None:
            tables["bias"] = (it.bias, it.input_scale * it.weight_scale)
        names = []
        for what, (values, scale) in tables.items():
            name, axis = f"{it.step.name}.{what}", 1 if it.bias is None else 0
            inputs = [self.constant(name, values), *self.scale(name, scale, values.dtype.type)]
            names.append(self.node("DequantizeLinear", *inputs, axis=axis))
        return names

    def scale(self, name: str, scale: NDArray[np.float32] | np.float32, dtype: type[np.generic]) -> list[str]:
        """The names of a scale and of its zero point, which is 0 and says which integers are meant."""
        return [
            self.constant(f"{name}_scale", np.asarray(scale)),
            self.constant(f"{name}_zero_point", np.zeros(np.shape(scale), dtype)),
        ]

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """The name of a constant; of equal names there is one."""
        from onnx import numpy_helper

        if name not in {it.name for it in self.constants}:
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

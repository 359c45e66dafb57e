"""A trained network in the formats that other tools read, and what each of them computes."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lightcnn.architecture import Task
from lightcnn.errors import Failure, UserError

Predictor = Callable[[Tensor], Tensor]  # images, (B, C, H, W), float32 -> scores, (B, num_classes)

OPSET = 20
# Of the largest score: what float32 sums in another order may differ by, with a wide margin.
TOLERANCE = 1e-4
# suffix -> the packages that write and check it; the longest suffix that fits is meant
FORMATS = {
    ".int8.onnx": ("onnx", "onnxscript", "onnxruntime"),
    ".onnx": ("onnx", "onnxscript", "onnxruntime"),
    ".safetensors": ("safetensors",),
    ".c": ("onnx", "onnxscript", "onnxruntime", "emx-onnx-cgen"),
}


def format_of(path: Path) -> str:
    """Which of FORMATS `path` asks for by its suffix.

    Raises:
        UserError: none; or one whose packages are not all installed.
    """
    suffix = next((it for it in FORMATS if path.name.endswith(it) and path.name != it), None)
    if suffix is None:
        raise UserError(
            f"--to must be a file that ends in one of {', '.join(FORMATS)}, but got {str(path)!r}"
        )
    missing = [name for name in FORMATS[suffix] if find_spec(name.replace("-", "_")) is None]
    if missing:
        raise UserError(
            f"--to {path} needs {', '.join(missing)}, which python -m pip install -e '.[export]' brings"
        )
    return suffix


def to_onnx(network: nn.Sequential, task: Task) -> bytes:
    """`network` as ONNX: input `images`, (num_images, C, H, W), any number of them; output `scores`.

    Raises:
        Failure: the exporter has no way to say one of its layers.
    """
    example = torch.zeros(2, task.in_channels, task.image_size, task.image_size)
    try:
        program = torch.onnx.export(
            network.eval(),
            (example,),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["scores"],
            dynamic_shapes=({0: torch.export.Dim("num_images")},),
            verbose=False,
        )
    except RuntimeError as error:
        raise Failure(f"ONNX could not be written: {str(error).splitlines()[0]}") from None
    assert program is not None  # as with dynamo=True
    model = program.model_proto
    # The exporter's notes on where each node came from: a third of a small file, with paths of this machine.
    for item in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        item.ClearField("metadata_props")
    content: bytes = model.SerializeToString()
    return content


def onnx_predictor(content: bytes) -> Predictor:
    """What onnxruntime computes with the ONNX model in `content`, on one CPU thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["scores"], {"images": images.numpy()})[0])


def to_int8(content: bytes, images: Tensor) -> bytes:
    """The ONNX model in `content` with int8 weights (a scale a channel) and int8 activations (one a tensor).

    Args:
        images: (num_images, C, H, W), training images; the ranges of the activations are taken from them.

    Source: onnxruntime's static quantisation, QDQ form.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Calibration(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = iter([{"images": images.numpy()}])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._batches, None)

    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, quantised = (Path(folder, name) for name in ("plain", "prepared", "quantised"))
        plain.write_bytes(content)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            *(prepared, quantised, Calibration()),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
        return quantised.read_bytes()


def to_safetensors(network: nn.Sequential, about: Mapping[str, str]) -> bytes:
    """The weights under the names of `network.state_dict()`, with `about` as metadata."""
    from safetensors.torch import save

    weights = {name: weight.contiguous() for name, weight in network.state_dict().items()}
    return save(weights, dict(about))


@dataclass(frozen=True)
class Source:
    """Plain C without malloc: for one image at a time, all weights in it."""

    text: str
    name: str  # of the function to call
    declaration: str
    stack_bytes: int  # of the buffers between its layers


def to_c(content: bytes, name: str) -> Source:
    """The ONNX model in `content` as C.

    Args:
        name: what the function is called, once made an identifier.

    Raises:
        Failure: the generator has no way to say one of its layers.
    """
    identifier = "model_" * (not name[:1].isalpha()) + re.sub(r"[^0-9A-Za-z]", "_", name)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.onnx").write_bytes(content)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "emx_onnx_cgen", "compile", "model.onnx", "model.c"),
                *("--model-name", identifier, "--input-dim", "num_images=1"),
                *("--large-temp-threshold", "0"),  # no malloc, however large a buffer
                *("--large-weight-threshold", "0"),  # all weights in the file
            ],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
            raise Failure(f"C could not be written: {said[-1]}")
        text = Path(folder, "model.c").read_text(encoding="utf-8")
    entry = re.search(r"^(void (\w+)\(const float images\b.*\)) \{\n((?:    .*\n)*)\}", text, re.MULTILINE)
    if entry is None:
        raise Failure("the C that was written has no function that takes images")
    buffers = re.findall(r"^    float \w+((?:\[\d+\])+);", entry[3], re.MULTILINE)
    values = sum(prod(map(int, re.findall(r"\d+", sizes))) for sizes in buffers)
    return Source(text, entry[2], f"{entry[1]};", 4 * values)


def c_compiler() -> str | None:
    """The system's C compiler, None if it has none."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def c_predictor(source: Source, compiler: str, folder: Path, num_classes: int) -> Predictor:
    """What `source` computes, compiled by `compiler` to a library in `folder`.

    Raises:
        Failure: it could not be compiled.
    """
    (folder / "model.c").write_text(source.text, encoding="utf-8")
    command = [compiler, "-std=c99", "-O2", "-shared", "-fPIC", "-o", "model.so", "model.c", "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"the C that was written did not compile: {done.stderr.strip().splitlines()[0]}")
    function = getattr(ctypes.CDLL(str(folder / "model.so")), source.name)
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_void_p], None

    def predict(images: Tensor) -> Tensor:
        scores = torch.empty(len(images), num_classes)
        for image, row in zip(images.contiguous(), scores, strict=True):
            function(image.data_ptr(), row.data_ptr())
        return scores

    return predict


def largest_difference(what: str, predict: Predictor, network: nn.Sequential, images: Tensor) -> float:
    """The most that a score of `predict` differs from the network's on `images`.

    Raises:
        Failure: more than TOLERANCE of the largest score.
    """
    with torch.inference_mode():
        expected, found = network(images), predict(images)
    difference = float((expected - found).abs().max())
    allowed = TOLERANCE * float(expected.abs().max())
    if not difference <= allowed:  # NaN differs, too
        raise Failure(
            f"{what} must compute what the network does, to within {allowed:.2g}, "
            f"but a score differs by {difference:.2g}"
        )
    return difference

"""The formats that a trained network is written in, each checked against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from lightcnn.architecture import Architecture
from lightcnn.data import Dataset
from lightcnn.errors import Failure, UserError
from search.export.c_compiled import Sizes, c_compiler, c_runner, cortex_compiler, cortex_m4_sizes
from search.export.c_source import Source, to_c
from search.export.onnx_file import IR_VERSION, LOWEST_RUNTIME, OPSET, onnx_runner, to_onnx
from search.export.quantization import QuantizedStep, integer_scores, quantize
from search.export.raw_input import TIMED, behind_preprocessing, ready_for_raw
from search.export.runner import Predictor, Runner, largest_difference, scores
from search.export.steps import Step, steps_of

LOWEST_WITH_PREPROCESSING = "1.26"  # the onnxruntime that can still run it after fusing what it fuses


@dataclass(frozen=True)
class Exported:
    """The network that is taken away, and what every format needs of it.

    images: (num_images, C, H, W), training images that formats are checked on and ranges taken from.
    about: metadata.
    raw: the data set whose preprocessing is put in front of ONNX; None: none is.
    """

    network: nn.Sequential
    architecture: Architecture
    images: Tensor
    about: Mapping[str, str]
    raw: Dataset | None = None

    @cached_property
    def steps(self) -> list[Step]:
        """Its layers, in float32."""
        return steps_of(self.architecture, self.network)

    @cached_property
    def quantized(self) -> list[QuantizedStep]:
        """Its layers, in 8 bits."""
        return quantize(self.steps, self.images)

    @property
    def integers(self) -> Predictor:
        """What the quantised layers compute, exactly."""
        return lambda images: integer_scores(self.quantized, images)

    @property
    def same(self) -> str:
        """What checked scores are compared with."""
        return f"the network's on {len(self.images):,} training images"


@dataclass(frozen=True)
class Written:
    """The files of a format by name, the one asked for first, and what the card says of them.

    runner: of the network alone. from_raw: of a file that takes a raw image, the scores of one.
    """

    files: Mapping[str, bytes]
    what: str
    usage: str | None = None  # Markdown
    runner: Runner | None = None
    on_device: Sizes | None = None
    from_raw: Callable[[], object] | None = None


@dataclass(frozen=True)
class Format:
    """write: makes the files of a name. packages: what it needs installed."""

    write: Callable[[Exported, str], Written]
    packages: tuple[str, ...] = ()


def _kind(exported: Exported) -> str:
    lowest = LOWEST_RUNTIME if exported.raw is None else LOWEST_WITH_PREPROCESSING
    return f"ONNX of opset {OPSET} and IR version {IR_VERSION}, for onnxruntime {lowest} or later"


def _onnx(exported: Exported, name: str) -> Written:
    content = to_onnx(exported.steps, exported.architecture.task, exported.about)
    runner = onnx_runner(content)
    difference = largest_difference(name, runner.predict, exported.network, exported.images)
    what = f"{_kind(exported)}; its scores differ from {exported.same} by {difference:.1g} at most"
    return _written_onnx(exported, name, content, what, runner)


def _int8_onnx(exported: Exported, name: str) -> Written:
    content = to_onnx(exported.steps, exported.architecture.task, exported.about, exported.quantized)
    runner = onnx_runner(content)
    what = (
        f"{_kind(exported)}; int8 weights and 8-bit activations, of ranges on {len(exported.images):,} "
        "training images; "
        f"onnxruntime's scores and those of exact integer arithmetic {_beside_integers(exported, runner)}"
    )
    return _written_onnx(exported, name, content, what, runner)


def _written_onnx(exported: Exported, name: str, content: bytes, what: str, runner: Runner) -> Written:
    if exported.raw is None:
        return Written({name: content}, what, runner=runner)
    content, checked = behind_preprocessing(exported.raw, content)
    return Written({name: content}, f"{what}; {checked}", runner=runner, from_raw=ready_for_raw(content))


def _safetensors(exported: Exported, name: str) -> Written:
    from safetensors.torch import save

    # Copies, as a block that is applied several times names its weights as often.
    weights = {key: weight.contiguous().clone() for key, weight in exported.network.state_dict().items()}
    text, task = str(exported.architecture), exported.architecture.task
    usage = (
        f"`build(parse({text!r}, Task({task.image_size}, {task.in_channels}, {task.num_classes})))`, of "
        f"`lightcnn.network` and `lightcnn.architecture`, makes the module for "
        f"`load_state_dict(safetensors.torch.load_file({name!r}))`."
    )
    return Written({name: save(weights, dict(exported.about))}, "the weights, float32", usage)


def _c(exported: Exported, name: str) -> Written:
    source = to_c(exported.architecture, exported.steps, name.removesuffix(".c"))

    def checked(runner: Runner) -> str:
        difference = largest_difference(name, runner.predict, exported.network, exported.images)
        return f"its scores differ from {exported.same} by {difference:.1g} at most"

    return _written_c(exported, source, name, "plain C without malloc", checked)


def _int8_c(exported: Exported, name: str) -> Written:
    source = to_c(exported.architecture, exported.steps, name.removesuffix(".c"), exported.quantized)

    def checked(runner: Runner) -> str:
        images = exported.images
        if not torch.equal(scores(runner.predict, images), scores(exported.integers, images)):
            raise Failure(f"{name} must compute exact integer arithmetic, but a score differs")
        onnx = to_onnx(exported.steps, exported.architecture.task, exported.about, exported.quantized)
        beside = _beside_integers(exported, onnx_runner(onnx))
        return f"its scores are those of exact integer arithmetic; onnxruntime's of the int8 ONNX {beside}"

    return _written_c(exported, source, name, "plain C without malloc, of 8 bits", checked)


def _written_c(
    exported: Exported, source: Source, name: str, what: str, checked: Callable[[Runner], str]
) -> Written:
    runner = None
    if (compiler := c_compiler()) is None:
        how = "not compiled, as no C compiler was found (cc, gcc or clang)"
    else:
        runner = c_runner(source, compiler, exported.architecture.task.num_classes)
        how = f"compiled by {Path(compiler).name}, {checked(runner)}"
    macro = source.name.upper()
    image = "the bytes of its pixels" if source.quantized else "as above"
    usage = (
        f"In C or C++, an image at a time, with `{source.header_file}`; `{name}` needs `-lm`:\n\n"
        f"```c\n{source.declaration}\n```\n\n"
        f"`image` is {image}, `arena` memory of the caller's, {source.arena_bytes:,} bytes (`{macro}_ARENA` "
        f"values). All names begin with `{source.name}`: designs link into one program. Compiled with "
        f"`-D{macro}_MAIN` it is one that checks itself."
    )
    on_device = None
    if (cross := cortex_compiler()) is not None:
        with suppress(Failure, OSError):  # such as one without a C library: the card then has no sizes
            on_device = cortex_m4_sizes(source, cross)
    files = {name: source.text.encode(), source.header_file: source.header.encode()}
    return Written(files, f"{what}; {how}", usage, runner, on_device)


def _beside_integers(exported: Exported, runner: Runner) -> str:
    """How the scores of onnxruntime compare with exact ones.

    They may differ on processors whose 8-bit products are added in 16 bits (x86 without VNNI).
    """
    found, exact = (scores(it, exported.images) for it in (runner.predict, exported.integers))
    different = int((found != exact).any(dim=1).sum())
    images = f"{len(found):,} training images"
    if not different:
        return f"are the same bit for bit on {images}"
    return f"differ on {different:,} of {images}, by {float((found - exact).abs().max()):.1g} at most"


FORMATS = {  # by suffix; the first one that fits is meant
    ".int8.onnx": Format(_int8_onnx, ("onnx", "onnxruntime")),
    ".onnx": Format(_onnx, ("onnx", "onnxruntime")),
    ".safetensors": Format(_safetensors, ("safetensors",)),
    ".int8.c": Format(_int8_c, ("onnx", "onnxruntime")),
    ".c": Format(_c),
}


def calls_to_time(written: Mapping[str, Written], image: Tensor) -> dict[str, Callable[[], object]]:
    """What is timed, by its name on the card; `image`, (C, H, W), is what a network alone takes."""
    calls = {}
    for name, it in written.items():
        if it.runner is not None:
            alone = ", the network alone" if it.from_raw is not None else ""
            calls[f"`{name}`{alone}"] = it.runner.ready(image)
        if it.from_raw is not None:
            calls[f"`{name}`, all of it, on a raw image of {TIMED[1]}x{TIMED[0]} pixels"] = it.from_raw
    return calls


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
    missing = [name for name in FORMATS[suffix].packages if find_spec(name) is None]
    if missing:
        raise UserError(
            f"--to {path} needs {', '.join(missing)}, which python -m pip install -e '.[export]' brings"
        )
    return suffix

"""The C that was written, compiled: run on this machine, measured for a Cortex-M4."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lightcnn.errors import Failure
from search.export.c_source import Source
from search.export.quantization import bytes_of
from search.export.runner import Runner

CORTEX_M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")


def c_compiler() -> str | None:
    """The system's C compiler, None if it has none."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def cortex_compiler() -> str | None:
    """GCC for Cortex-M, None if the system has none."""
    return shutil.which("arm-none-eabi-gcc")


def c_runner(source: Source, compiler: str, num_classes: int) -> Runner:
    """What `source` computes, compiled by `compiler` into a library.

    Raises:
        Failure: it could not be compiled, or not be loaded.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "network.so")
        _compile(
            source, [compiler, "-std=c99", "-O2", "-shared", "-fPIC", "-o", library.name], folder, ["-lm"]
        )
        try:
            function = getattr(ctypes.CDLL(str(library)), f"{source.name}_classify")
        except OSError as error:
            raise Failure(
                f"a library in {folder} could not be loaded ({error}); TMPDIR can name another"
            ) from None
    function.argtypes, function.restype = [ctypes.c_void_p] * 3, None
    return _runner(function, source, num_classes)


def _runner(function: Callable[[int, int, int], None], source: Source, num_classes: int) -> Runner:
    arena = torch.empty(source.arena_bytes, dtype=torch.uint8)

    def values(images: Tensor) -> Tensor:
        return (bytes_of(images) if source.quantized else images).contiguous()

    def predict(images: Tensor) -> Tensor:
        scores = torch.empty(len(images), num_classes)
        for image, row in zip(values(images), scores, strict=True):
            function(image.data_ptr(), row.data_ptr(), arena.data_ptr())
        return scores

    def ready(image: Tensor) -> Callable[[], object]:
        taken, scores = values(image), torch.empty(num_classes)
        places = taken.data_ptr(), scores.data_ptr(), arena.data_ptr()

        def call() -> object:
            function(*places)
            return taken, scores, arena  # which must live as long as their places

        return call

    return Runner(predict, ready)


@dataclass(frozen=True)
class Sizes:
    """Bytes on a Cortex-M4: of code and constants, of variables, of stack, and of the caller's arena."""

    text: int
    data: int
    stack: int
    arena: int


def cortex_m4_sizes(source: Source, compiler: str) -> Sizes:
    """What `source` takes on a Cortex-M4 with GCC's -Os, without the caller's image and scores.

    The stack is the sum over its functions, none of which calls itself, so at most that; what the C library's
    functions take is not in it.

    Raises:
        Failure: it could not be compiled.
    """
    with tempfile.TemporaryDirectory() as folder:
        _compile(source, [compiler, *CORTEX_M4, "-Os", "-fstack-usage", "-c", "-o", "network.o"], folder)
        size = compiler.removesuffix("gcc") + "size"
        done = subprocess.run([size, "network.o"], cwd=folder, capture_output=True, text=True)
        found = re.search(r"^\s*(\d+)\s+(\d+)\s+(\d+)", done.stdout, re.MULTILINE)
        if found is None:
            raise Failure(f"{size} gave no sizes: {done.stderr.strip()}")
        text, data, bss = map(int, found.groups())
        usage = Path(folder, "network.su").read_text(encoding="utf-8")
        stack = sum(int(line.split("\t")[1]) for line in usage.splitlines())
        return Sizes(text, data + bss, stack, source.arena_bytes)


def _compile(source: Source, command: list[str], folder: str, libraries: Sequence[str] = ()) -> None:
    Path(folder, source.header_file).write_text(source.header, encoding="utf-8")
    Path(folder, "network.c").write_text(source.text, encoding="utf-8")
    done = subprocess.run([*command, "network.c", *libraries], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Failure(f"the C that was written did not compile: {lines[0]}")

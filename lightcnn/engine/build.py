"""The engine is compiled into the cache at first use, and compared with PyTorch before it is trusted."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import math
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from filelock import FileLock
from platformdirs import user_cache_path
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from lightcnn.architecture import Task, parse
from lightcnn.data import LabelledImages
from lightcnn.engine.native import NativeNetwork, open_library
from lightcnn.errors import Failure
from lightcnn.network import build as build_network

FOLDER = Path(__file__).parent
SOURCES = ("engine.cpp", "convolution.h", "layers.h", "resampling.h", "vectors.h")
# -ffp-contract=off: a compiler may not join a product and a sum as it likes; the source says where they are.
FLAGS = (
    *("-O3", "-std=c++17", "-shared", "-fPIC", "-fvisibility=hidden"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"),
)
# By what PyTorch says of the CPU, never "native": a home folder may be shared by machines.
MACHINE_FLAGS = {
    "AVX512": ("-march=x86-64-v4", "-mprefer-vector-width=512"),
    "AVX2": ("-march=x86-64-v3",),
}
MAX_COMPILE_SECONDS = 600  # ziglang takes a minute the first time


class EngineError(Failure):
    """The engine cannot be built, loaded or trusted: what is wrong, and what mends it."""


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def prepare(say: Callable[[str], None] = _say) -> Path | None:
    """The compiled engine for this machine, built if need be; None and one line to `say` if there is none.

    For the process that starts the others: those only need `load`, with the path that this returns.
    """
    try:
        return require(say)
    except EngineError as error:
        say(f"training with PyTorch, 2 to 34 times slower: {error}")
        return None


def require(say: Callable[[str], None] = _say) -> Path:
    """As `prepare`, where there must be an engine.

    Raises:
        EngineError: there is none, and why.
    """
    try:
        return _prepare(say)
    except OSError as error:
        cache = "a cache that can be written and executed mends it (XDG_CACHE_HOME moves it)"
        raise EngineError(f"{error}; {cache}") from error


@cache
def load(path: Path) -> ctypes.CDLL:
    """The engine that `prepare` returned, once for each process.

    Raises:
        EngineError: the file is not the one that was built, or computes something else than PyTorch.
        OSError: it cannot be read or executed.
    """
    # Mapping a truncated file would end the process, so the sum comes first.
    if not _is_whole(path):
        raise EngineError(f"{path} is damaged; a new start builds it again")
    try:
        library = open_library(path)
    except AttributeError as error:
        raise EngineError(f"{path} is not an engine ({error}); removing it mends it") from error
    inexact = gradient_error(library)
    if inexact > 1e-4:
        raise EngineError(
            f"the engine that was compiled computes wrong gradients (relative error {inexact:.1g}); another "
            "compiler in CXX, or without any `pip install ziglang`, mends it"
        )
    return library


def compilers() -> list[list[str]]:
    """The commands that could compile the engine, best first: $CXX, the system's, ziglang."""
    candidates = [shlex.split(os.environ.get("CXX", "")), ["g++"], ["clang++"], ["c++"]]
    found = [command for command in candidates if command and shutil.which(command[0])]
    if importlib.util.find_spec("ziglang"):
        found.append([sys.executable, "-m", "ziglang", "c++"])
    return found


def machine_flags() -> tuple[str, ...]:
    """Those for this CPU.

    Raises:
        EngineError: an x86 CPU without AVX2, on which PyTorch may be the faster one.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    if capability not in MACHINE_FLAGS and platform.machine().lower() in ("x86_64", "amd64"):
        raise EngineError(
            f"the engine needs a CPU with AVX2, but this one has {capability}; nothing mends it"
        )
    return MACHINE_FLAGS.get(capability, ())


def compile_engine(compiler: list[str], flags: tuple[str, ...], folder: Path) -> Path:
    """The library that `compiler` makes with `flags`, from `folder` if it is there already and whole.

    Raises:
        EngineError: the compiler fails.
        OSError: `folder` cannot be written.
    """
    digest = hashlib.sha256(
        "\n".join([*compiler, _run([*compiler, "--version"]), *flags, sysconfig.get_platform()]).encode()
    )
    for name in SOURCES:
        digest.update((FOLDER / name).read_bytes())
    path = folder / f"engine-{digest.hexdigest()[:16]}.so"
    if _is_whole(path):  # without the lock: a cache may be read-only
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not _is_whole(path):
            part = path.with_suffix(f".{os.getpid()}.part")
            try:
                _run([*compiler, *_spelt_for(compiler, flags), str(FOLDER / SOURCES[0]), "-o", str(part)])
                _sum_file(path).write_text(_sha256(part), encoding="ascii")
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    return path


def gradient_error(library: ctypes.CDLL) -> float:
    """How far the engine's gradients are from PyTorch's, relative to the largest, for small networks."""
    worst = 0.0
    for text in ("3-5k5v-pool2-7", "2-2n-3-flatten", "3bl-3brx2n-4k5sbn-3sld-gap"):
        architecture = parse(text, Task(image_size=13, in_channels=2, num_classes=5))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = build_network(architecture)
            data = LabelledImages(torch.rand(21, 2, 13, 13), torch.randint(5, (21,)))
        loss = functional.cross_entropy(network(data.images), data.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        expected = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])  # type: ignore[union-attr]
        parameters = parameters_to_vector(network.parameters()).detach()
        native_loss, gradient = NativeNetwork(architecture, library).gradient(data, parameters)
        errors = [
            ((gradient - expected).abs().max() / expected.abs().max()).item(),
            abs(loss.item() - native_loss),
        ]
        worst = max(worst, *errors) if not any(map(math.isnan, errors)) else math.inf
    return worst


def _prepare(say: Callable[[str], None]) -> Path:
    flags = (*FLAGS, *machine_flags())
    failure = EngineError("no C++ compiler was found; a C++ compiler or `pip install ziglang` mends it")
    for compiler in compilers():
        try:
            path = compile_engine(compiler, flags, user_cache_path("lightcnn-search"))
            load(path)
            return path
        except EngineError as error:  # the next one may do better
            failure = error
    raise failure


def _spelt_for(compiler: list[str], flags: tuple[str, ...]) -> list[str]:
    """The `flags` as `compiler` writes them: zig knows x86_64_v3 where all others know x86-64-v3."""
    if not {"zig", "ziglang"} & {Path(word).name for word in compiler}:
        return list(flags)
    return [flag.replace("=x86-64-v", "=x86_64_v") for flag in flags]


def _run(command: list[str]) -> str:
    """What `command` prints."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=MAX_COMPILE_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _compiler_failure(command, str(error)) from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        errors = [line for line in lines if "error" in line] or lines or [f"exit status {done.returncode}"]
        raise _compiler_failure(command, errors[0])
    return done.stdout


def _compiler_failure(command: list[str], why: str) -> EngineError:
    return EngineError(
        f"{Path(command[0]).name} could not compile the engine: {why}; another C++ compiler in CXX or "
        "`pip install ziglang` mends it"
    )


def _sum_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_whole(path: Path) -> bool:
    """Whether `path` holds what was once built under its name."""
    try:
        return _sum_file(path).read_text(encoding="ascii") == _sha256(path)
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return False

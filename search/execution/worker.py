"""In a worker of a Dask cluster: what it must be, and a job done as in a slot of the driver's machine."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

import lightcnn
import search
from lightcnn.data import DATASETS, Dataset
from lightcnn.decoded_images import keep
from lightcnn.engine.build import require
from lightcnn.errors import Failure, UserError
from lightcnn.fetching import find_files
from search.execution.process import KEEP_MEMORY, set_up_thread
from search.execution.runs import Run, TrainingData
from search.execution.slots import ENGINE

_one_at_a_time = threading.Lock()  # whatever the worker's number of threads, and of drivers


class NotFit(Failure):
    """What this worker lacks for the study's jobs, on one line."""


class ImagesNeeded(Exception):
    """This worker does not have the images of a user's folder, whole; the driver has them."""


@cache
def versions() -> dict[str, str]:
    """What must be the same in driver and workers for the same run to be the same.

    The package's own version has a sum of its source, as it grows between releases.
    """
    code = hashlib.sha256()
    for package in (lightcnn, search):
        folder = Path(package.__path__[0])
        for path in sorted(it for end in ("py", "cpp", "h") for it in folder.rglob(f"*.{end}")):
            code.update(path.relative_to(folder.parent).as_posix().encode() + b"\0" + path.read_bytes())
    own = f"{version('lightcnn-search')} (source {code.hexdigest()[:8]})"
    python = ".".join(platform.python_version_tuple()[:2])
    libraries = {name: version(name) for name in ("torch", "optuna", "distributed")}
    return {"python": python, "lightcnn-search": own} | libraries


def do(device: str, is_native: bool, fn: Callable[..., Any], *args: Any) -> Any:
    """What `fn(*args)` gives here, where runs and data in `args` name this worker's own folder of images.

    Args:
        device: "cpu", or "cuda": the GPU that the worker's CUDA_VISIBLE_DEVICES names first.
        is_native: train with the compiled engine, this worker's own.

    Raises:
        NotFit: a GPU, the engine, or the right images cannot be had here.
        ImagesNeeded: see there.
    """
    with _one_at_a_time:
        set_up_thread()
        _keep_memory()
        try:
            os.environ |= _environment(device, is_native)
            args = tuple(_with_images_here(it) for it in args)
        except (Failure, UserError) as error:
            raise NotFit(" ".join(str(error).split())) from None
        return fn(*args)


def receive(dataset: Dataset, contents: Mapping[str, bytes]) -> None:
    """Keep the decoded images of a user's folder, by file name, in this worker's cache."""
    with _one_at_a_time:
        keep(dataset, contents, _image_folders())


def _environment(device: str, is_native: bool) -> dict[str, str]:
    """By which jobs know their device and engine."""
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": "", ENGINE: str(require()) if is_native else ""}
    if not torch.cuda.is_available():
        raise NotFit("it offers a GPU, but PyTorch sees none there")
    return {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES") or "0", ENGINE: ""}


@cache
def _keep_memory() -> None:
    """As a slot's environment has it, for a process that has begun: Dask's nanny sets the opposite."""
    if platform.libc_ver()[0] == "glibc":
        parameters = {"MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3}  # malloc.h's numbers
        for name, value in KEEP_MEMORY.items():
            ctypes.CDLL(None).mallopt(parameters[name], int(value))


def _with_images_here(it: Any) -> Any:
    if isinstance(it, Run):
        return replace(it, data=_with_images_here(it.data))
    return replace(it, folder=_folder_of(it.dataset)) if isinstance(it, TrainingData) else it


@cache
def _folder_of(dataset: Dataset) -> Path:
    """The folder on this machine with the data set's checked files: found or fetched."""
    if dataset in DATASETS.values():
        return find_files(dataset.name)
    try:
        return keep(dataset, {}, _image_folders())
    except KeyError:  # of what is missing or damaged there
        raise ImagesNeeded from None


def _image_folders() -> Path:
    return user_cache_path("lightcnn-search") / "image-folders"

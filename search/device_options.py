"""Where the command lines train: devices or a cluster, slots on them, and what trains there."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

from lightcnn.engine.build import EngineError, prepare, require
from lightcnn.errors import Failure, UserError
from search.command import at_least
from search.execution.devices import WORKERS_PER_DEVICE, WORKERS_PER_DEVICE_MPS, Slot, choose_slots
from search.execution.display import log_line
from search.settings import Engine, begun_with

if TYPE_CHECKING:
    from search.execution.cluster import Cluster


class SettingsWithEngine(Protocol):
    """The settings of whatever trains."""

    @property
    def engine(self) -> Engine:
        """What trained on the CPU."""


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """What `choose_slots` and `open_slots` take: devices, workers, the engine, the time limit of a job."""
    group = parser.add_argument_group("where it trains")
    group.add_argument(
        "--devices",
        default="auto",
        metavar="LIST",
        help="cpu, a list such as cuda:0,cuda:1, or auto: the CPU where the compiled engine trains, whose "
        "results are the same on any machine, else every visible GPU, else the CPU",
    )
    group.add_argument(
        "--workers",
        type=at_least(1),
        metavar="W",
        help="runs at a time; by default one a CPU core, or --workers-per-device on each GPU",
    )
    group.add_argument(
        "--workers-per-device",
        type=at_least(1),
        metavar="K",
        help=f"runs at a time on each GPU; by default {WORKERS_PER_DEVICE}, and {WORKERS_PER_DEVICE_MPS} "
        "where NVIDIA's MPS is running, by which it serves them at the same time (reports/gpu)",
    )
    group.add_argument(
        "--cluster",
        metavar="URL",
        help="tcp://HOST:PORT of a Dask scheduler: on its workers instead, one run at a time on each "
        "(python -m pip install -e '.[cluster]')",
    )
    group.add_argument(
        "--engine",
        choices=("auto", "native", "torch"),
        default="auto",
        help="what trains on the CPU: native, compiled at its first use, is 2 to 34 times as fast as torch; "
        "auto takes it where it can be had, and resumes a study with what it was begun with",
    )
    group.add_argument(
        "--epoch-timeout",
        type=at_least(1),
        default=1_800,
        metavar="SECONDS",
        help="a worker that takes longer over one epoch is killed, and the epoch tried once more",
    )


def slots_of(options: argparse.Namespace, name: str, kind: type[SettingsWithEngine]) -> list[Slot] | Cluster:
    """The slots that the options of `add_device_options` ask for.

    Args:
        name: of the study.
        kind: of its settings.

    Raises:
        UserError: as `choose_slots` and `find_cluster`; --cluster with what it decides, or without Dask.
        Failure: as `find_cluster`.
    """
    if options.cluster is None:
        devices = options.devices
        if devices == "auto" and torch.cuda.is_available() and _wanted(options, name, kind) != "torch":
            with suppress(EngineError):  # without it the GPUs train
                require(log_line)
                devices = "cpu"
        return choose_slots(devices, options.workers, options.workers_per_device)
    for option, default in (
        ("devices", "auto"),
        ("workers", None),
        ("workers-per-device", None),
    ):
        if (value := getattr(options, option.replace("-", "_"))) != default:
            raise UserError(f"--{option} must not go with --cluster, which has its workers, but got {value}")
    try:
        from search.execution.cluster import find_cluster  # here: Dask is an extra
    except ModuleNotFoundError as error:
        raise UserError(f"--cluster needs `python -m pip install -e '.[cluster]'`, but {error}") from None
    return find_cluster(options.cluster, log_line)


def engine_of(
    options: argparse.Namespace, slots: list[Slot] | Cluster, name: str, kind: type[SettingsWithEngine]
) -> Path | None:
    """The compiled engine that `--engine` asks for, built if need be; None: PyTorch.

    `auto` keeps to the engine of the study to be resumed, if there is one.

    Args:
        slots: where it trains.
        name, kind: as for `slots_of`.

    Raises:
        UserError: it is asked for on GPUs.
        Failure: it is asked for and cannot be had.
    """
    wanted = _wanted(options, name, kind)
    devices = {slot.device for slot in slots} if isinstance(slots, list) else {slots.device}
    if wanted == "torch" or (wanted == "auto" and devices != {"cpu"}):
        return None
    if wanted == "auto":
        return prepare(log_line)
    asked = "--engine native" if options.engine == "native" else "the study was begun with --engine native"
    if devices != {"cpu"}:
        raise UserError(f"{asked}, which trains on the CPU, but got {', '.join(sorted(devices))}")
    try:
        return require(log_line)
    except EngineError as error:
        raise Failure(f"{asked}, but {error}") from None


def _wanted(options: argparse.Namespace, name: str, kind: type[SettingsWithEngine]) -> str:
    """The engine that the options ask for, `auto` in the study to be resumed the one that it has."""
    earlier = None if options.fresh else begun_with(options.out / name, kind)
    return earlier.engine if options.engine == "auto" and earlier else str(options.engine)

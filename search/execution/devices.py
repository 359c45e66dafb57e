"""The devices that train, and how many runs at a time each has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from joblib import cpu_count

from lightcnn.errors import UserError
from search.execution.process import KEEP_MEMORY

# Processes take turns on a GPU: one fills it with captured steps, while the other is between two of its runs.
WORKERS_PER_DEVICE = 2
WORKERS_PER_DEVICE_MPS = 8  # where their kernels run at the same time
MPS_DAEMON = "nvidia-cuda-mps-control"  # it comes with NVIDIA's driver


@dataclass(frozen=True)
class Slot:
    """Where one job at a time is trained: a device, and what the slot's process is allowed to see of it."""

    device: str  # "cpu" or "cuda:<index>"
    cuda_visible_devices: str  # "" hides every GPU

    def environment(self) -> dict[str, str]:
        """Environment of the slot's process: its own device, one thread, and memory that it keeps."""
        return (
            {"CUDA_VISIBLE_DEVICES": self.cuda_visible_devices}
            | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
            | KEEP_MEMORY
        )


def choose_slots(devices: str, workers: int | None, workers_per_device: int | None = None) -> list[Slot]:
    """The slots that `--devices`, `--workers` and `--workers-per-device` ask for.

    Args:
        devices: `auto` (every visible GPU, else the CPU), `cpu`, or a list such as `cuda:0,cuda:1`.
        workers: slots in all; None: `workers_per_device` on each GPU, or one a CPU core. More busy threads
            than cores cost many times the work.
        workers_per_device: None: two; or with NVIDIA's MPS eight, but no more than one a core beyond two.

    Raises:
        UserError: an unknown device, one that is not there, or fewer than 1 worker.
    """
    for name, value in (("workers", workers), ("workers-per-device", workers_per_device)):
        if value is not None and value < 1:
            raise UserError(f"--{name} must be at least 1, but got {value}")
    num_gpus = torch.cuda.device_count()
    if devices == "auto":
        devices = ",".join(f"cuda:{i}" for i in range(num_gpus)) or "cpu"
    names = devices.split(",")
    if names == ["cpu"]:
        return [Slot("cpu", "")] * (workers or cpu_count())
    there = [f"cuda:{i}" for i in range(num_gpus)]
    for name in names:
        if name not in there:
            raise UserError(
                "--devices must be auto, cpu or a list of this machine's GPUs "
                f"({', '.join(there) or 'it has none'}), but got {name!r}"
            )
    # The user's own CUDA_VISIBLE_DEVICES renumbers the GPUs: cuda:0 is the first that it names.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(num_gpus)))).split(",")
    each = [Slot(name, visible[there.index(name)]) for name in names]
    if workers_per_device is None:
        shared = min(WORKERS_PER_DEVICE_MPS, cpu_count() // len(each)) if mps_is_running() else 0
        workers_per_device = max(WORKERS_PER_DEVICE, shared)
    return [each[i % len(each)] for i in range(workers or workers_per_device * len(each))]


def mps_is_running() -> bool:
    """Whether NVIDIA's Multi-Process Service is there, by which a GPU serves processes at the same time.

    Source: its documentation for the folder; the file with the daemon's process was seen with driver 580.
    """
    pid_file = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")) / f"{MPS_DAEMON}.pid"
    try:
        serves_us = pid_file.stat().st_uid in (0, os.getuid())  # root's daemon serves any user
        return serves_us and Path(f"/proc/{int(pid_file.read_text())}").exists()  # or it was killed
    except (OSError, ValueError):
        return False

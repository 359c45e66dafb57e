"""What the command lines share: one-line errors, common options, and how a command ends."""

from __future__ import annotations

import argparse
import errno
import platform
import shlex
import signal
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import torch
from joblib import cpu_count

from search.execution.slots import WORKERS_PER_DEVICE

GOES_ON = "what was finished is kept, and the same command goes on from there"
LIBRARIES = ("torch", "torchvision", "optuna", "numpy", "joblib", "plotly")


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line, without the usage, and whose options are not abbreviated."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Print `message` on one line and exit with 2."""
        self.exit(2, f"error: {' '.join(message.split())}\n")


def at_least(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """An argparse type: a whole number from `least` to `most`."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, but got {text!r}")
        if value > most:
            raise argparse.ArgumentTypeError(f"must be a whole number of at most {most}, but got {text!r}")
        return value

    return number


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """What `search.execution.slots` takes: devices, workers, and the time limit of a job."""
    group = parser.add_argument_group("where it trains")
    group.add_argument(
        "--devices",
        default="auto",
        metavar="LIST",
        help="auto (every visible GPU, else the CPU), cpu, or a list such as cuda:0,cuda:1",
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
        default=WORKERS_PER_DEVICE,
        metavar="K",
        help="runs at a time on each GPU: small networks leave most of it idle",
    )
    group.add_argument(
        "--epoch-timeout",
        type=at_least(1),
        default=1_800,
        metavar="SECONDS",
        help="a worker that takes longer over one epoch is killed, and the epoch tried once more",
    )


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """`--data-dir`, `--train-images`, `--out` and `--fresh`."""
    group = parser.add_argument_group("where things are")
    group.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="folder with a published data set's files; by default they are fetched once into a cache folder",
    )
    group.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    group.add_argument(
        "--fresh", action="store_true", help="move an earlier run of the same name aside and start over"
    )


def about_this_run(module: str, arguments: list[str]) -> dict[str, Any]:
    """What is recorded beside results: the command, the versions and the machine."""
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "command": f"python -m {module} {shlex.join(arguments)}".strip(),
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
        "machine": f"{platform.system()} {platform.machine()}, {cpu_count()} cores, {_cpu_model()}",
        "gpus": ", ".join(devices) or "none",
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere Python knows a little
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown CPU"


def run_command(parser: Parser, work: Callable[[], None]) -> int:
    """Do `work` and turn how it ends into an exit code and, unless it went well, one line on stderr.

    0 done, 2 a `ValueError`, which is what a user can cause, 1 another failure, 130 interrupted, by Ctrl-C or
    by the SIGTERM of a scheduler.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        work()
    except ValueError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print(f"interrupted; {GOES_ON}", file=sys.stderr)
        return 130
    except (OSError, RuntimeError) as error:
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        print(f"failed: {error}; {GOES_ON}" if is_full else f"failed: {error}", file=sys.stderr)
        return 1
    return 0

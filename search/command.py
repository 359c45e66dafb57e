"""What the command lines share: one-line errors, common options, and how a command ends."""

from __future__ import annotations

import argparse
import errno
import math
import platform
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import torch
from joblib import cpu_count

from lightcnn.errors import Failure, UserError
from search.environment import VARIABLE, options_in_environment
from search.execution.display import log_line
from search.streams import mend_streams

RESUMES = "what was finished is kept, and the same command resumes it"
LIBRARIES = ("torch", "torchvision", "optuna", "numpy", "joblib", "plotly")


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says_nothing = action.default is None or action.default == [] or isinstance(action.default, bool)
        return action.help if says_nothing else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line, without the usage, and whose options are not abbreviated.

    What the environment adds to them (`search.environment`) is said.
    """

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False, formatter_class=_Help)

    def error(self, message: str) -> NoReturn:
        """For argparse: an error of whoever gave the options."""
        raise UserError(message)

    def refuse(self, error: UserError) -> NoReturn:
        """Print `error` on one line and exit with 2."""
        log_line(f"error: {' '.join(str(error).split())}")
        self.exit(2)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """The options of a command line, as `parsed` has them; what is wrong in it ends the program."""
        try:
            return self.parsed(sys.argv[1:] if args is None else args)
        except UserError as error:
            self.refuse(error)

    def parsed(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options in `arguments` and in the environment, both of which the result's `command` names.

        Raises:
            UserError: an option is not known, is missing, or breaks its rule.
        """
        added = options_in_environment(self._option_string_actions)
        arguments = [*arguments, *added]
        options = super().parse_args(arguments)
        if added:
            log_line(f"{VARIABLE} adds {shlex.join(added)}")
        options.command = f"{self.prog} {shlex.join(arguments)}".strip()
        return options


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


def number_between(least: int, most: int) -> Callable[[str], float]:
    """An argparse type: a number from `least` to `most`."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least} to {most}, but got {text!r}")
        return value

    return number


def check_train_images(wanted: int, available: int, num_classes: int, which: str = "") -> None:
    """UserError unless every class can have one of the `wanted` training images, and there are as many.

    Args:
        which: what the available images are, for the message.
    """
    if not num_classes <= wanted <= available:
        raise UserError(f"--train-images must be from {num_classes} to {available}{which}, but got {wanted}")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """`--data-dir`, `--train-images`, `--out` and `--fresh`."""
    group = parser.add_argument_group("where things are")
    group.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="folder with a published data set's files, or for your own images once decoded; by default a "
        "cache folder, into which published ones are fetched once",
    )
    group.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    group.add_argument(
        "--fresh", action="store_true", help="move an earlier run of the same name aside and start over"
    )


def about_this_run(command: str = "", data_dir: Path | None = None) -> dict[str, Any]:
    """What is recorded beside results: the command, the versions and the machine.

    Args:
        command: as `Parser.parsed` has it.
        data_dir: where a published data set's files lie, if the user said so.
    """
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "command": command,
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
        "machine": f"{platform.system()} {platform.machine()}, {cpu_count()} cores, {_cpu_model()}",
        "gpus": ", ".join(devices) or "none",
        **({"data_dir": str(data_dir)} if data_dir else {}),
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere Python knows a little
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown CPU"


def run_command(parser: Parser, work: Callable[[], None]) -> int:
    """Do `work` and turn how it ends into an exit code and, unless it went well, one line on stderr.

    0 done, 2 a `UserError`, 1 another failure, 130 interrupted, by Ctrl-C or by the SIGTERM of a scheduler.
    What nobody foresaw is a fault of this program: its traceback is shown, and how to report it.
    """
    mend_streams()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        work()
    except UserError as error:
        parser.refuse(error)
    except KeyboardInterrupt:
        log_line(f"interrupted; {RESUMES}")
        return 130
    except (OSError, Failure) as error:
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        log_line(f"failed: {error}; {RESUMES}" if is_full else f"failed: {error}")
        return 1
    except Exception:
        traceback.print_exc()
        log_line(f"this is a fault of the program, please report it with the lines above; {RESUMES}")
        return 1
    return 0

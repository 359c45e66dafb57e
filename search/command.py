"""What the command lines share: one-line errors, common options, and how a command ends."""

from __future__ import annotations

import argparse
import errno
import platform
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, Protocol

import torch
from joblib import cpu_count

from lightcnn.engine.build import EngineError, prepare, require
from lightcnn.errors import Failure, UserError
from lightcnn.initialisation import INITIALISATIONS, Initialisation
from lightcnn.training import Recipe
from search.environment import VARIABLE, options_in_environment
from search.execution.display import log_line
from search.execution.slots import WORKERS_PER_DEVICE, Slot, choose_slots
from search.settings import Engine, begun_with
from search.streams import mend_streams

RESUMES = "what was finished is kept, and the same command resumes it"
LIBRARIES = ("torch", "torchvision", "optuna", "numpy", "joblib", "plotly")


class SettingsWithEngine(Protocol):
    """The settings of whatever trains."""

    @property
    def engine(self) -> Engine:
        """What trained on the CPU."""


class RecipeOfRuns(Protocol):
    """What the recipes of a study's runs share."""

    @property
    def initialisation(self) -> Initialisation:
        """What their weights begin with."""


class SettingsWithRecipe(Protocol):
    """The settings of a study with one recipe."""

    @property
    def recipe(self) -> RecipeOfRuns:
        """That of its runs."""


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
        help="runs at a time on each GPU; more than two bring nothing (reports/gpu)",
    )
    group.add_argument(
        "--engine",
        choices=("auto", "native", "torch"),
        default="auto",
        help="what trains on the CPU: native, compiled at its first use, is 4 to 30 times as fast as torch; "
        "auto takes it where it can be had, and resumes a study with what it was begun with",
    )
    group.add_argument(
        "--epoch-timeout",
        type=at_least(1),
        default=1_800,
        metavar="SECONDS",
        help="a worker that takes longer over one epoch is killed, and the epoch tried once more",
    )


def slots_of(options: argparse.Namespace) -> list[Slot]:
    """The slots that the options of `add_device_options` ask for. UserError as `choose_slots`."""
    return choose_slots(options.devices, options.workers, options.workers_per_device)


def engine_of(
    options: argparse.Namespace, slots: list[Slot], name: str, kind: type[SettingsWithEngine]
) -> Path | None:
    """The compiled engine that `--engine` asks for, built if need be; None: PyTorch.

    `auto` keeps to the engine of the study to be resumed, if there is one.

    Args:
        name: of the study.
        kind: of its settings.

    Raises:
        Failure: it is asked for and cannot be had.
    """
    earlier = None if options.fresh else begun_with(options.out / name, kind)
    wanted = earlier.engine if options.engine == "auto" and earlier else options.engine
    if wanted == "torch" or (wanted == "auto" and any(slot.device != "cpu" for slot in slots)):
        return None
    if wanted == "auto":
        return prepare(log_line)
    try:
        return require(log_line)
    except EngineError as error:
        asked = (
            "--engine native" if options.engine == "native" else "the study was begun with --engine native"
        )
        raise Failure(f"{asked}, but {error}") from None


def add_initialisation_option(parser: argparse._ActionsContainer, recipe: Recipe) -> None:
    """`--initialisation`, which `initialisation_of` reads; `recipe` is that of new studies."""
    parser.add_argument(
        "--initialisation",
        choices=list(INITIALISATIONS),
        help="how the weights that a run begins with are drawn; by default "
        f"{recipe.initialisation}, or as in the study to be resumed",
    )


def initialisation_of(
    options: argparse.Namespace, recipe: Recipe, name: str, kind: type[SettingsWithRecipe]
) -> Initialisation:
    """What `--initialisation` asks for, else that of the study to be resumed, else that of `recipe`.

    Args:
        name: of the study.
        kind: of its settings.
    """
    asked: Initialisation | None = options.initialisation
    earlier = None if asked or options.fresh else begun_with(options.out / name, kind)
    return asked or (earlier.recipe if earlier else recipe).initialisation


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

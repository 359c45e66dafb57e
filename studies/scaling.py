"""How many slots can one driver keep busy, and does a trial cost it more as the study grows?

Expected: with runs of 2 seconds, 16 and 64 slots are at least 90 % busy as long as runs are left, up to 2,000
trials, and a trial costs the driver less than 30 ms of its own time.

    python -m studies.scaling

The search is the real one with its real journal, sampler and checkpoints; the slots are simulated: a job
takes the time that it is said to take, and no core, and its accuracies are made up. Busy is the share of the
slots' time that jobs filled, from when all of them had a run until no run was left to start. Runs are judged
at two rungs but never stopped, so that each has its full length in three jobs. Run it on a machine that does
nothing else.
"""

from __future__ import annotations

import heapq
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from rich.console import Console
from threadpoolctl import threadpool_limits

from lightcnn.architecture import Architecture
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS
from lightcnn.training import FAST, Epoch, Piece
from search.budget import Budget
from search.command import Parser, about_this_run, run_command
from search.execution.checkpoints import Checkpoints
from search.execution.display import Display
from search.execution.runs import TrainingData
from search.loop import search
from search.settings import DataSettings, Reference, SearchSettings
from search.space import Space
from search.stopping import StoppingRule
from search.storage import open_study, study_folder, write_table

DATASET = DATASETS["mnist"]
DATA = TrainingData(DATASET, Path())
SETTINGS = SearchSettings(
    space=Space(DATASET.task),
    reference=Reference.of("LightCNN", DATASET.task),
    recipe=FAST,
    seed=0,
    sampler="surrogate",
    budget=Budget(30_000),
    data=DataSettings.of(DATA),
    stopping=StoppingRule(rungs=(2, 4), num_better=1_000_000, margin=0.0),
)
SLOTS = (2, 16, 64)
STUDY_SIZES = (100, 500, 2_000)  # trials at which the next ones are measured
RUN_SECONDS = 2.0
STATE = bytes(75_000)  # of LightCNN with its optimiser


class SimulatedSlots(Executor):
    """Answers each job with made-up epochs after the seconds that its share of a run takes."""

    def __init__(self, num_slots: int, run_seconds: float) -> None:
        self.num_slots = num_slots
        self.starts: list[float] = []  # of the runs
        self._run_seconds = run_seconds
        self._jobs: list[tuple[float, float]] = []  # when each was submitted, and when it was done
        self._due: list[tuple[float, int, Future[Piece], Piece]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        threading.Thread(target=self._answer, daemon=True).start()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Part of Executor."""
        run, start, stop, _ = args
        seconds = self._run_seconds * (stop - start) / run.recipe.epochs
        error = _error(run.architecture)
        epochs = tuple(Epoch(it + 1, 0.1, 1 - error * (1 + 1 / (it + 1)), 0.1) for it in range(start, stop))
        future: Future[Piece] = Future()
        with self._changed:
            now = time.perf_counter()
            if start == 0:
                self.starts.append(now)
            self._jobs.append((now, now + seconds))
            piece = Piece(epochs, STATE, False, seconds)
            heapq.heappush(self._due, (now + seconds, next(self._numbers), future, piece))
            self._changed.notify()
        return future

    def _answer(self) -> None:
        while True:
            with self._changed:
                left = self._due[0][0] - time.perf_counter() if self._due else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                _, _, future, piece = heapq.heappop(self._due)
            future.set_result(piece)

    def share_busy(self) -> float:
        """Of the slots, from when all of them had a run until the last run was begun."""
        begin, end = self.starts[self.num_slots - 1], self.starts[-1]
        filled = sum(max(min(stop, end) - max(start, begin), 0) for start, stop in self._jobs)
        return filled / (self.num_slots * (end - begin))


@lru_cache(maxsize=1_000)
def _error(architecture: Architecture) -> float:
    """Made up: falls with the parameters, and scatters as designs do."""
    scatter = np.random.default_rng(list(str(architecture).encode())).normal()
    return float(np.exp(-0.45 * np.log(num_parameters(architecture)) + 0.3 * scatter))


def _lines(size: int) -> list[tuple[int, int, float, float]]:
    """For a study of `size` trials, by number of slots: share busy, the driver's milliseconds a trial."""
    with (
        tempfile.TemporaryDirectory() as name,
        Display("", 0, num_slots=1, console=Console(quiet=True)) as display,
    ):
        study, checkpoints = open_study(Path(name), print), Checkpoints(Path(name), print)

        def bring_to(num_trials: int, slots: SimulatedSlots) -> None:
            with threadpool_limits(1):  # as in `open_slots`
                search(study, SETTINGS, DATA, num_trials, False, slots, display, checkpoints)

        bring_to(size, instant := SimulatedSlots(1, 0.0))
        own = 1_000 * statistics.median(np.diff(instant.starts[-40:]))
        lines, reached = [], size
        for num_slots in SLOTS:
            reached += 8 * num_slots
            bring_to(reached, slots := SimulatedSlots(num_slots, RUN_SECONDS))
            lines.append((size, num_slots, slots.share_busy(), own))
            print("{} trials, {} slots: {:.1%} busy, {:.1f} ms a trial".format(*lines[-1]), flush=True)
        return lines


def measure(out: Path) -> None:
    """Measure, print, and keep it in `out`/scaling/scaling.csv."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lines = []
    for size in STUDY_SIZES:
        lines += _lines(size)
    table = pd.DataFrame(lines, columns=["num_trials", "num_slots", "share_busy", "driver_ms_per_trial"])
    machine = about_this_run()["machine"]
    write_table(table.round(4).assign(machine=machine), study_folder(out, "scaling") / "scaling.csv")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.scaling", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: measure(options.out))


if __name__ == "__main__":
    sys.exit(main())

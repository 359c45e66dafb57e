"""How many slots can one driver keep busy, and does a trial cost it more as the study grows?

Expected: with runs of 2 seconds 64 slots are at least 95 % busy and 256 at least 80 %, as long as runs are
left; a trial costs the driver less than 20 ms of its own time, at 10,000 trials as at 200; the journal grows
with the trials, and the page stays under 3 MB.

    python -m studies.scaling

The search is the real one with its real journal, sampler, checkpoints and page; the slots are simulated: a
job takes the time that it is said to take, and no core, and its accuracies are made up. Runs differ in
length, as those of a search do, from half to one and a half times the mean; in two cells all are equally
long, which is the worst case, as what began together ends together. Busy is the share of the slots' time
that jobs filled, from when as many runs had begun as there are slots until none was left to begin. Runs are
judged at two rungs but never stopped, so that each has its full length in three jobs. The driver's time a
trial is how long one takes it where jobs take none. Run it on a machine that does nothing else; it takes
nine minutes.
"""

from __future__ import annotations

import heapq
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
import plotly.graph_objects as go
from plotly.subplots import make_subplots
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
from search.records import finished
from search.report.page import write_report
from search.report.pictures import pictures_of
from search.report.style import AXIS, BLUE, GREEN, LAYOUT, VERMILLION
from search.results import write_tables
from search.settings import DataSettings, Reference, SearchSettings, SettingsFile, held_study, read
from search.space import Space
from search.stopping import StoppingRule
from search.storage import JOURNAL, open_study, study_folder, write_table, write_whole
from search.storage import SETTINGS as SETTINGS_FILE

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
SPREAD = 0.5  # how far the seconds of a run are from their mean at most, as a share of it
# Trials in the study when the measurement begins, slots, mean seconds of a run, and their spread.
CELLS = (
    *((200, 16, seconds, SPREAD) for seconds in (0.5, 2.0, 5.0)),
    *((2_000, 64, seconds, SPREAD) for seconds in (0.5, 2.0, 5.0)),
    *((10_000, slots, 2.0, SPREAD) for slots in (16, 64)),
    *((10_000, 256, seconds, SPREAD) for seconds in (0.5, 2.0, 5.0)),
    *((10_000, slots, 2.0, 0.0) for slots in (64, 256)),
)
STUDY_SIZES = (200, 500, 1_000, 2_000, 5_000, 10_000)  # trials at which the driver's own time is measured
INSTANT_SLOTS = 64  # that it is measured with
NUM_TIMED = 200  # trials, the last before such a size, or those that its cells have left of them
RUNS_A_SLOT = 6  # in a cell
STATE = bytes(75_000)  # of LightCNN with its optimiser


Line = tuple[float, ...]


class SimulatedSlots(Executor):
    """Answers each job with made-up epochs after the seconds that its share of a run takes.

    Args:
        run_seconds: their mean.
        spread: share of the mean that a run takes less or more at most, evenly distributed.
    """

    def __init__(self, num_slots: int, run_seconds: float, spread: float = 0.0) -> None:
        self.num_slots = num_slots
        self.starts: list[float] = []  # of the runs
        self._run_seconds, self._spread = run_seconds, spread
        self._jobs: list[tuple[float, float]] = []  # when each was submitted, and when it was done
        self._due: list[tuple[float, int, Future[Piece], Piece]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        threading.Thread(target=self._answer, daemon=True).start()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Part of Executor."""
        run, start, stop, _ = args
        factor = 1 + self._spread * np.random.default_rng(run.seed).uniform(-1, 1)
        seconds = self._run_seconds * factor * (stop - start) / run.recipe.epochs
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

    def runs_a_second(self) -> float:
        """That were begun, over the same time."""
        begin, end = self.starts[self.num_slots - 1], self.starts[-1]
        return (len(self.starts) - self.num_slots) / (end - begin)

    def share_busy(self) -> float:
        """Of the slots, from when as many runs had begun as there are slots until the last one was."""
        begin, end = self.starts[self.num_slots - 1], self.starts[-1]
        filled = sum(max(min(stop, end) - max(start, begin), 0) for start, stop in self._jobs)
        return filled / (self.num_slots * (end - begin))


@lru_cache(maxsize=1_000)
def _error(architecture: Architecture) -> float:
    """Made up: falls with the parameters, and scatters as designs do."""
    scatter = np.random.default_rng(list(str(architecture).encode())).normal()
    return float(np.exp(-0.45 * np.log(num_parameters(architecture)) + 0.3 * scatter))


def _measured(folder: Path) -> tuple[list[Line], list[Line]]:
    """Lines of the growing study, and lines of the cells."""
    study, checkpoints = open_study(folder, print), Checkpoints(folder, print)
    growth: list[Line] = []
    cells: list[Line] = []
    with Display("", 0, num_slots=1, console=Console(quiet=True, highlight=False)) as display:

        def bring_to(num_trials: int, slots: SimulatedSlots) -> None:
            with threadpool_limits(1):  # as in `open_slots`
                search(study, SETTINGS, DATA, num_trials, False, slots, display, checkpoints)

        for size in STUDY_SIZES:  # larger than what the cells of the one before have made of it
            bring_to(size - NUM_TIMED, SimulatedSlots(INSTANT_SLOTS, 0.0))
            num_timed = size - len(finished(study))
            began, cpu_began = time.perf_counter(), time.process_time()
            bring_to(size, SimulatedSlots(INSTANT_SLOTS, 0.0))
            own = 1_000 * (time.perf_counter() - began) / num_timed
            cpu = 1_000 * (time.process_time() - cpu_began) / num_timed
            write_tables(folder, study, read(folder / SETTINGS_FILE, SearchSettings))
            began = time.perf_counter()
            page = write_report(folder).stat().st_size
            page_seconds = time.perf_counter() - began
            growth.append((size, own, cpu, (folder / JOURNAL).stat().st_size, page, page_seconds))
            words = "{} trials: {:.1f} ms a trial, {:.1f} of the processor, journal {:,}, page {:,}, {:.1f} s"
            print(words.format(*growth[-1]))
            for at, num_slots, seconds, spread in CELLS:
                if at == size:
                    num_trials, slots = len(finished(study)), SimulatedSlots(num_slots, seconds, spread)
                    bring_to(num_trials + RUNS_A_SLOT * num_slots, slots)
                    measured = (slots.share_busy(), slots.runs_a_second())
                    cells.append((num_trials, num_slots, seconds, spread, *measured))
                    words = "{} trials, {} slots, {} s ± {:.0%}: {:.1%} busy, {:.0f} runs a second"
                    print(words.format(*cells[-1]))
    return growth, cells


def measure(out: Path) -> None:
    """Measure, print, and keep it in `out`/scaling: scaling.csv, growth.csv, and a plot of both."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with (
        tempfile.TemporaryDirectory() as name,
        held_study(Path(name), "study", False, SettingsFile(SETTINGS, {}), print) as folder,
    ):
        growth, cells = _measured(folder)
    growth_columns = [
        *("num_trials", "driver_ms_per_trial", "driver_cpu_ms_per_trial"),
        *("journal_bytes", "page_bytes", "page_seconds"),
    ]
    cell_columns = ["num_trials", "num_slots", "run_seconds", "spread", "share_busy", "runs_per_second"]
    machine = about_this_run()["machine"]
    tables = {
        "growth": pd.DataFrame(growth, columns=growth_columns).round(2),
        "scaling": pd.DataFrame(cells, columns=cell_columns).round(4),
    }
    target = study_folder(out, "scaling")
    for kind, table in tables.items():
        write_table(table.assign(machine=machine), target / f"{kind}.csv")
    write_whole(target / "scaling.svg", pictures_of(_figure(*tables.values()), ["svg"])["svg"])


def _figure(growth: pd.DataFrame, cells: pd.DataFrame) -> go.Figure:
    """The driver's time and the page as the study grows; how busy slots are by how many runs they ask for."""
    figure = make_subplots(
        1, 3, subplot_titles=("driver's ms a trial", "page and journal, MB", "slots busy, %")
    )
    sizes = growth["num_trials"]
    line = {"mode": "lines+markers", "showlegend": False}
    figure.add_scatter(x=sizes, y=growth["driver_ms_per_trial"], line={"color": BLUE}, **line, row=1, col=1)
    for name, colour in (("page", BLUE), ("journal", VERMILLION)):
        megabytes = growth[f"{name}_bytes"] / 1e6
        named = {"mode": "lines+markers", "line": {"color": colour}, "name": name}
        figure.add_scatter(x=sizes, y=megabytes, **named, row=1, col=2)
    for (slots, colour), symbol in zip(
        ((16, GREEN), (64, BLUE), (256, VERMILLION)), ("circle", "square", "diamond"), strict=True
    ):
        own = cells[(cells["num_slots"] == slots) & (cells["spread"] > 0)].sort_values("run_seconds")
        marker = {"color": colour, "symbol": symbol, "size": 9}
        named = {"mode": "markers", "marker": marker, "name": f"{slots} slots"}
        figure.add_scatter(x=own["run_seconds"], y=100 * own["share_busy"], **named, row=1, col=3)
    for column, title in enumerate(("trials", "trials", "seconds a run"), start=1):
        figure.update_xaxes(title={"text": title}, **AXIS, row=1, col=column)
        figure.update_yaxes(rangemode="tozero", **AXIS, row=1, col=column)
    figure.update_xaxes(type="log", tickvals=[0.5, 2, 5], row=1, col=3)
    figure.update_layout(**{**LAYOUT, "margin": {"l": 10, "r": 10, "t": 40, "b": 10}})
    figure.update_layout(legend={"orientation": "h", "y": -0.25})
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.scaling", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: measure(options.out))


if __name__ == "__main__":
    sys.exit(main())

"""What stands in for the real thing in several test files: settings, slots that answer at once, tables."""

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

from lightcnn.architecture import Task
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS
from lightcnn.training import FAST, Epoch, Piece
from search.budget import Budget
from search.execution.display import Display
from search.execution.runs import TrainingData, train_piece
from search.execution.slots import SlotExecutor
from search.loop import search
from search.settings import DataSettings, Reference, SearchSettings
from search.space import Space
from search.tables import Tables

MNIST = Task(image_size=28, in_channels=1, num_classes=10)
SPACE = Space(MNIST)
DATA = TrainingData(DATASETS["mnist"], Path("nowhere"))
SETTINGS = SearchSettings(
    space=SPACE,
    reference=Reference.of("LightCNN", MNIST),
    recipe=replace(FAST, epochs=2),
    seed=0,
    sampler="random",
    budget=Budget(30_000),
    data=DataSettings.of(DATA),
)


class PretendingSlots:
    """Answers each job at once, with its first epoch; accuracy grows with size and wobbles with the seed."""

    def __init__(self, interrupt_at=None, broken=(), diverging=(), num_slots=1):
        self.interrupt_at, self.broken, self.diverging, self.jobs = interrupt_at, broken, diverging, []
        self.num_slots = num_slots

    def submit(self, fn, run, epoch, stop, state):
        self.jobs.append((str(run.architecture), run.seed, epoch))
        if len(self.jobs) == self.interrupt_at:
            raise KeyboardInterrupt
        future = Future()
        if str(run.architecture) in self.broken:
            future.set_exception(MemoryError("no room"))
            return future
        accuracy = 1 - 1 / (2 + num_parameters(run.architecture)) ** 0.5 - (run.seed % 7) / 1_000
        loss = float("nan") if str(run.architecture) in self.diverging else 0.1
        future.set_result(Piece((Epoch(epoch + 1, loss, accuracy, loss),), b"state", loss != 0.1, 1.0))
        return future


class ScriptedSlots:
    """Answers at once: with `errors` for the (seed, epoch) that they name, else with a made-up epoch."""

    def __init__(self, errors=(), diverge_at=(), num_slots=2):
        self.num_slots = num_slots
        self.errors, self.diverge_at, self.jobs = dict(errors), set(diverge_at), []

    def submit(self, fn, run, epoch, stop, state):
        assert fn is train_piece
        self.jobs.append((run.seed, epoch, state))
        future = Future()
        if remaining := self.errors.get((run.seed, epoch)):
            self.errors[run.seed, epoch] = remaining[1:]
            future.set_exception(remaining[0])
        else:
            diverged = (run.seed, epoch) in self.diverge_at
            measured = Epoch(epoch + 1, 0.1, 0.9, 0.2)
            future.set_result(Piece((measured,), f"{run.seed} after {epoch + 1}".encode(), diverged, 1.5))
        return future


class SlotInThisProcess(SlotExecutor):
    """One slot without a process, which does each job at once; `broken` jobs fail."""

    def __init__(self, broken=lambda fn, *args: False):
        super().__init__([])
        self.num_slots = 1
        self.submitted, self.broken = [], broken

    def submit(self, fn, /, *args, **kwargs):
        self.submitted.append(fn)
        future = Future()
        if self.broken(fn, *args):
            future.set_exception(OSError("on fire"))
        else:
            future.set_result(fn(*args))
        return future


class Watching(list):
    """The runs that were shown, each with its number of epochs."""

    def show(self, key, progress):
        self.append((key, len(progress.epochs)))

    def say(self, line):
        self.append(line)


def new_study():
    """An empty study in memory: accuracy up, parameters down."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(directions=["maximize", "minimize"])


def run_search(study, settings=SETTINGS, trials=12, designs=False, slots=None):
    """Bring `study` to so many trials on `slots`, which are returned; by default on such as pretend."""
    slots = slots or PretendingSlots()
    with Display("test", trials, num_slots=slots.num_slots) as display:
        search(study, settings, DATA, trials, designs, slots, display)
    return slots


def study_of(trials, front=(), curves=(), times=(), designs=(), settings=SETTINGS):
    """Tables from lines of trials: state, architecture, parameters, accuracy, epochs, seconds."""
    names = ("state", "architecture", "num_parameters", "val_accuracy", "epochs", "seconds")
    table = pd.DataFrame([dict(zip(names, line, strict=True)) for line in trials], columns=names)
    table.insert(0, "trial", range(len(table)))
    light = ("LightCNN", "8-16-32-gap", 6218, None, 0.9861, None)
    columns = ["name", "architecture", "num_parameters", "paper_parameters", "paper_accuracy", "val_accuracy"]
    return Tables(
        study="small",
        trials=table,
        front=table[table["architecture"].isin(list(front))],
        designs=pd.DataFrame([light, *designs], columns=columns),
        test_readings=pd.DataFrame(columns=["read_at", "num_runs"]),
        curves=pd.DataFrame(curves, columns=["trial", "epoch", "train_loss", "val_accuracy", "val_loss"]),
        times=pd.DataFrame(times, columns=["trial", "ended_at"]),
        settings=settings,
        about={},
    )


def study_where(log_error, number=60, stopped=0, settings=SETTINGS):
    """A study of random candidates with the log errors that `log_error` gives; the last were `stopped`."""
    rng = np.random.default_rng(1)
    drawn = {}
    while len(drawn) < number:
        candidate = settings.space.draw(rng)
        if settings.budget.admits(candidate):
            drawn[str(candidate)] = candidate
    trials, curves = [], []
    for i, (text, candidate) in enumerate(drawn.items()):
        final = 1 - float(np.exp(log_error(candidate)))
        half = 1 - 2 * (1 - final)  # as far as a stopped one comes: twice the errors
        is_stopped = i >= number - stopped
        state, last, epochs = ("PRUNED", half, 1) if is_stopped else ("COMPLETE", final, 2)
        trials.append((state, text, num_parameters(candidate), last, epochs, 1))
        curves += [(i, 1, 0.1, half, 0.1), (i, 2, 0.1, final, 0.1)][:epochs]
    return study_of(trials, curves=curves, settings=settings)

"""What stands in for the real thing in several test files: settings, slots that answer at once, tables."""

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lightcnn.architecture import Task
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS
from lightcnn.training import FAST, Epoch, Piece
from search.execution.runs import TrainingData
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
    max_parameters=30_000,
    data=DataSettings.of(DATA),
)


class PretendingSlots:
    """Answers each job at once; accuracy grows with size and wobbles with the seed."""

    def __init__(self, interrupt_at=None, broken=(), diverging=(), num_slots=1):
        self.interrupt_at, self.broken, self.diverging, self.jobs = interrupt_at, broken, diverging, []
        self.num_slots = num_slots

    def submit(self, fn, run, epoch, state):
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

"""How much faster does the tool train candidates than the script that people write, and what does it cost?

Expected: at least 4 times the plain script's candidate-epochs a minute on 2 cores, a search of 100 trials at
least 50 times as fast as that script with the paper's 50 epochs for each, a driver that spends less
than 50 ms on a trial at 100 trials and 150 ms at 2,000, and less than 1.2 GiB in every process.

    python -m studies.throughput

Both train LightCNN with batches of 64 on the same 50,000 images and measure 10,000 after each epoch, turn and
turn about in this one run; the medians are compared. The plain script is torchvision's MNIST with ToTensor,
a DataLoader, and `study.optimize` in one process with PyTorch's own number of threads. Start-up is left out
on both sides. The floor is what the multiplications alone would take at the speed of this machine's
matrix product. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import psutil
import torch
from rich.console import Console

from lightcnn.architecture import parse
from lightcnn.cost import num_macs, num_parameters
from lightcnn.data import DATASETS
from lightcnn.designs import LIGHTCNN
from lightcnn.errors import Failure
from lightcnn.fetching import find_files
from lightcnn.training import FAST, PAPER, Epoch, Piece
from search.command import Parser, about_this_run, at_least, run_command
from search.execution.display import Display
from search.execution.runs import Run, RunProgress, TrainingData
from search.execution.schedule import train_runs
from search.execution.slots import SlotExecutor, choose_slots, open_slots
from search.loop import search
from search.run_options import NUM_TRAINING
from search.settings import DataSettings, Reference, SearchSettings
from search.space import Space
from search.storage import open_study, study_folder, write_table

DATASET = "mnist"
TASK = DATASETS[DATASET].task
NUM_IMAGES = 50_000

# The script that people write, as a process of its own so that PyTorch chooses its threads.
PLAIN_SCRIPT = """
import sys, time
import optuna, torch, torchvision
from torch import nn
from torch.utils.data import DataLoader, random_split

root, epochs = sys.argv[1], int(sys.argv[2])
dataset = torchvision.datasets.MNIST(root, train=True, transform=torchvision.transforms.ToTensor())
training, validation = random_split(dataset, [50_000, 10_000])

def objective(trial):
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(32, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        began = time.perf_counter()
        model.train()
        for images, labels in DataLoader(training, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in DataLoader(validation, batch_size=64):
                correct += (model(images).argmax(1) == labels).sum().item()
        print(time.perf_counter() - began, flush=True)
    return correct / len(validation)

optuna.logging.set_verbosity(optuna.logging.WARNING)
optuna.create_study(direction="maximize").optimize(objective, n_trials=1)
"""


class Clock:
    """Notes when each epoch of each run ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def show(self, key: Hashable, progress: RunProgress) -> None:
        """Part of `search.execution.runs.Watcher`."""
        if progress.epochs:
            self.ends.append(time.perf_counter())


class Instant(Executor):
    """Answers every job at once with a made-up epoch, so that what is left is the driver's own time."""

    num_slots = 1

    def __init__(self) -> None:
        self.starts: list[float] = []  # of the runs

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Part of Executor."""
        run, epoch = args[0], args[1]
        if epoch == 0:
            self.starts.append(time.perf_counter())
        accuracy = 1 - num_parameters(run.architecture) ** -0.5 - run.seed % 97 / 100_000
        future: Future[Any] = Future()
        future.set_result(Piece((Epoch(epoch + 1, 0.1, accuracy, 0.1),), b"", False, 0.0))
        return future


def plain_epoch_seconds(folder: Path, epochs: int) -> list[float]:
    """Seconds of each epoch of the plain script; its files lie as torchvision wants them, without a copy."""
    with tempfile.TemporaryDirectory() as root:
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for file in DATASETS[DATASET].files:
            (raw / file.name).symlink_to((folder / file.name).resolve())
        script = [sys.executable, "-c", PLAIN_SCRIPT, root, str(epochs)]
        done = subprocess.run(script, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"the plain script failed: {done.stderr.strip().splitlines()[-1]}")
    return [float(line) for line in done.stdout.split()]


def tool_epoch_seconds(slots: SlotExecutor, data: TrainingData, epochs: int) -> float:
    """Seconds between the ends of candidate-epochs over all slots: what one costs the machine."""
    runs = (
        (seed, Run(parse(LIGHTCNN, TASK), replace(FAST, epochs=epochs + 1), seed, data))
        for seed in range(slots.num_slots)
    )
    clock = Clock()
    list(train_runs(iter(runs), slots, clock))
    warm = clock.ends[slots.num_slots - 1 :]  # the first epoch of each slot holds its start-up
    return (warm[-1] - warm[0]) / (len(warm) - 1)


def matrix_product_rate() -> float:
    """Multiply-accumulates a second of one thread, in products of 1024 x 1024 matrices."""
    size, threads = 1024, torch.get_num_threads()
    torch.set_num_threads(1)
    a, b = torch.rand(size, size), torch.rand(size, size)
    seconds = []
    for _ in range(30):
        began = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    return size**3 / statistics.median(seconds)


def driver_seconds(data: TrainingData) -> tuple[float, float]:
    """The driver's own time a trial, around the 100th and the 2,000th of one search: medians of 40 trials."""
    settings = SearchSettings(
        space=Space(TASK),
        reference=Reference.of("LightCNN", TASK),
        recipe=FAST,
        seed=0,
        sampler="surrogate",
        max_parameters=30_000,
        data=DataSettings.of(data),
    )
    slots = Instant()
    with tempfile.TemporaryDirectory() as folder, Display("", 0, console=Console(quiet=True)) as display:
        search(open_study(Path(folder), print), settings, data, 2_000, False, slots, display)
    seconds = [later - earlier for earlier, later in pairwise(slots.starts)]
    return statistics.median(seconds[59:99]), statistics.median(seconds[-40:])


def peak_gib(pid: int) -> float:
    """The most memory that a process has held so far (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def measure(epochs: int, rounds: int, out: Path) -> None:
    """Measure everything, print it, and keep it in `out`/throughput/throughput.csv."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = TrainingData(DATASETS[DATASET], find_files(DATASET))
    plain, tool = [], []
    with open_slots(choose_slots("cpu", None)) as slots:
        for _ in range(rounds):
            plain += plain_epoch_seconds(data.folder, epochs)
            tool.append(tool_epoch_seconds(slots, data, epochs))
        pids = [
            child.pid for child in psutil.Process().children() if "LokyProcess" in " ".join(child.cmdline())
        ]
        worker_memory = max(peak_gib(pid) for pid in pids)
    # Forward once, backward twice: towards the weights and towards the inputs.
    floor = 3 * num_macs(parse(LIGHTCNN, TASK)) * NUM_IMAGES / matrix_product_rate() / slots.num_slots
    plain_epoch, tool_epoch = statistics.median(plain), statistics.median(tool)
    # A search by its defaults, every candidate as dear as LightCNN, against the paper's epochs for each.
    plain_search = 100 * PAPER.epochs * plain_epoch
    tool_search = 100 * FAST.epochs * tool_epoch * NUM_TRAINING / NUM_IMAGES
    at_100, at_2000 = driver_seconds(data)
    rows = [
        ("plain script, candidate-epochs a minute", 60 / plain_epoch, ""),
        ("this tool, candidate-epochs a minute", 60 / tool_epoch, ""),
        ("ratio of these two", plain_epoch / tool_epoch, "at least 4"),
        ("plain script, hours for 100 trials of 50 epochs", plain_search / 3600, ""),
        ("this tool, minutes for 100 trials, none stopped early", tool_search / 60, ""),
        ("ratio of these two", plain_search / tool_search, "at least 50"),
        ("this tool's epoch over the floor of the matrix product", tool_epoch / floor, ""),
        ("driver's milliseconds a trial at 100 trials", 1_000 * at_100, "under 50"),
        ("driver's milliseconds a trial at 2,000 trials", 1_000 * at_2000, "under 150"),
        ("peak memory of the driver, GiB", peak_gib(os.getpid()), "under 1.2"),
        ("peak memory of the largest worker, GiB", worker_memory, "under 1.2"),
    ]
    machine = about_this_run("studies.throughput", [])["machine"]
    print(machine)
    for name, value, aim in rows:
        print(f"{name:56} {value:8.2f}  {aim}".rstrip())
    table = pd.DataFrame(rows, columns=["figure", "value", "aim"]).round({"value": 3}).assign(machine=machine)
    write_table(table, study_folder(out, "throughput") / "throughput.csv")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.throughput", "Measure the tool beside the plain script, in one run.")
    parser.add_argument("--epochs", type=at_least(1), default=2, metavar="E", help="timed epochs of each run")
    parser.add_argument("--rounds", type=at_least(1), default=3, metavar="N", help="turns of each side")
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: measure(options.epochs, options.rounds, options.out))


if __name__ == "__main__":
    sys.exit(main())

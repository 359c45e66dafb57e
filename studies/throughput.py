"""How fast is a step of training, beside PyTorch, the script that people write, and the core's peak?

Expected: the compiled engine trains LightCNN at 70 % of the core's peak and more, with batch norm at 60 % of
that share; designs of under 1,000 parameters at least 10 times as fast as PyTorch does; and a search of 100
trials is at least 50 times as fast as the plain script with the paper's 50 epochs for each.

    python -m studies.throughput

Seven of the template's architectures and three of the wide space, batches of 64, in turns in this one run;
medians are compared. The plain script is torchvision's MNIST with ToTensor, a DataLoader, and
`study.optimize` in one process with PyTorch's own number of threads: it has all cores, while the tool trains
a candidate on each.
The floor is what the multiplications alone would take at the speed of a core's matrix product, the best of
PyTorch's and of numpy's. Start-up is left out on all sides. Run it on a machine that does nothing else;
`ATEN_CPU_CAPABILITY=avx2` before the command has engine and PyTorch do without AVX-512.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import torch

from lightcnn.architecture import parse
from lightcnn.cost import num_macs, num_parameters
from lightcnn.data import DATASETS
from lightcnn.designs import LIGHTCNN
from lightcnn.engine.build import require
from lightcnn.errors import Failure
from lightcnn.fetching import find_files
from lightcnn.training import FAST, PAPER, Piece
from search.command import Parser, about_this_run, at_least, run_command
from search.execution.devices import choose_slots
from search.execution.runs import Run, TrainingData, train_piece
from search.execution.slots import Slots, open_slots
from search.run_options import NUM_TRAINING
from search.storage import study_folder, write_table
from studies.ingredients import BASELINES

DATASET = "mnist"
TASK = DATASETS[DATASET].task
ARCHITECTURES = (
    *("2-2-2-2-gap", "4-pool2", "4-6-8-gap", "7-8-6-pool4"),
    *("9-7-8-flatten", LIGHTCNN, "14-31-26-29-gap"),
    *("8b-16b-32b-gap", BASELINES["2126"], BASELINES["6022"]),
)
NUM_STEPS = 200

# The script that people write, as a process of its own so that PyTorch chooses its threads. It prints the
# milliseconds of a step for each architecture.
PLAIN_SCRIPT = """
import sys, time
import optuna, torch, torchvision
from torch import nn
from torch.utils.data import DataLoader, Subset
from lightcnn.architecture import Task, parse
from lightcnn.network import build

root, steps, *texts = sys.argv[1:]
dataset = torchvision.datasets.MNIST(root, train=True, transform=torchvision.transforms.ToTensor())
training = Subset(dataset, range(64 * int(steps)))

def objective(trial):
    text = trial.suggest_categorical("architecture", texts)
    model = build(parse(text, Task(28, 1, 10)))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    began = time.perf_counter()
    for images, labels in DataLoader(training, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    print(text, 1_000 * (time.perf_counter() - began) / int(steps), flush=True)
    return 0.0

optuna.logging.set_verbosity(optuna.logging.WARNING)
search_space = {"architecture": texts}
optuna.create_study(sampler=optuna.samplers.GridSampler(search_space)).optimize(objective)
"""

# As a process of its own, so that OpenBLAS may be told the kernels that it has for the machine.
MATRIX_PRODUCT = """
import statistics, time
import numpy as np, torch

torch.set_num_threads(1)
size, rates = 1024, []
ones = np.ones((size, size), np.float32)
tensor = torch.from_numpy(ones)
for product in (lambda: ones @ ones, lambda: tensor @ tensor):
    seconds = []
    for _ in range(40):
        began = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - began)
    rates.append(size**3 / statistics.median(seconds))
print(max(rates))
"""


def plain_milliseconds(folder: Path) -> dict[str, float]:
    """Of a step of the plain script; its files lie as torchvision wants them, without a copy."""
    with tempfile.TemporaryDirectory() as root:
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for file in DATASETS[DATASET].files:
            (raw / file.name).symlink_to((folder / file.name).resolve())
        lines = _output([sys.executable, "-c", PLAIN_SCRIPT, root, str(NUM_STEPS), *ARCHITECTURES], {})
    return {text: float(milliseconds) for text, milliseconds in map(str.split, lines)}


def tool_milliseconds(slots: Slots, data: TrainingData) -> dict[str, float]:
    """Of a step in a slot."""

    def milliseconds(text: str) -> float:
        run = Run(parse(text, TASK), replace(FAST, epochs=1), 0, data)
        piece: Piece = slots.submit(train_piece, run, 0, 1, None).result()
        return 1_000 * piece.seconds / NUM_STEPS

    return {text: milliseconds(text) for text in ARCHITECTURES}


def matrix_product_rate() -> float:
    """Multiply-accumulates a second of one thread, in products of 1024 x 1024 matrices."""
    avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    kernels = {"OPENBLAS_CORETYPE": "SkylakeX" if avx512 else "Haswell"}
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return max(
        float(_output([sys.executable, "-c", MATRIX_PRODUCT], threads | it)[0]) for it in ({}, kernels)
    )


def measure(rounds: int, out: Path) -> None:
    """Measure everything, print it, and keep it in `out`/throughput: steps.csv and search.csv."""
    data = TrainingData(DATASETS[DATASET], find_files(DATASET), 0, 64 * NUM_STEPS)
    plain, torch_alone, engine, rates = [], [], [], []
    [slot] = choose_slots("cpu", 1)
    with open_slots([slot]) as with_torch, open_slots([slot], engine=require()) as with_engine:
        for slots in (with_torch, with_engine):  # which import, and read the images
            tool_milliseconds(slots, data)
        for _ in range(rounds):
            plain.append(plain_milliseconds(data.folder))
            torch_alone.append(tool_milliseconds(with_torch, data))
            engine.append(tool_milliseconds(with_engine, data))
            rates.append(matrix_product_rate())
        workers = [it for it in psutil.Process().children() if "LokyProcess" in " ".join(it.cmdline())]
        worker_memory = max(peak_gib(worker.pid) for worker in workers)

    def median(turns: list[dict[str, float]], text: str) -> float:
        return float(statistics.median(turn[text] for turn in turns))

    rate = statistics.median(rates)
    about = about_this_run()
    machine = f"{about['machine']}, {torch.backends.cpu.get_cpu_capability()}"
    lines = []
    for text in ARCHITECTURES:
        network = parse(text, TASK)
        # Forward once, backward twice: towards the weights and towards the inputs.
        floor = 1_000 * 3 * 64 * num_macs(network) / rate
        by_plain, by_torch, by_engine = (median(turns, text) for turns in (plain, torch_alone, engine))
        lines.append(
            {
                "architecture": text,
                "num_parameters": num_parameters(network),
                "plain_ms": by_plain,
                "torch_ms": by_torch,
                "engine_ms": by_engine,
                "floor_ms": floor,
                "torch_over_engine": by_torch / by_engine,
                "torch_share_of_peak": floor / by_torch,
                "engine_share_of_peak": floor / by_engine,
            }
        )
    steps = pd.DataFrame(lines)
    # A search by its defaults, every candidate as dear as LightCNN, against the paper's epochs for each.
    num_slots = len(choose_slots("cpu", None))
    light = steps.set_index("architecture").loc[LIGHTCNN]
    plain_hours = 100 * PAPER.epochs * 50_000 / 64 * light["plain_ms"] / 3.6e6
    tool_minutes = 100 * FAST.epochs * NUM_TRAINING / 64 * light["engine_ms"] / num_slots / 6e4
    rows = [
        ("matrix product, billion multiply-accumulates a second of one core", rate / 1e9, ""),
        ("plain script, hours for 100 trials of 50 epochs", plain_hours, ""),
        (f"this tool, minutes for 100 trials on {num_slots} cores, none stopped early", tool_minutes, ""),
        ("ratio of these two", 60 * plain_hours / tool_minutes, "at least 50"),
        ("peak memory of the driver, GiB", peak_gib(os.getpid()), "under 1.2"),
        ("peak memory of the larger worker, GiB", worker_memory, "under 1.2"),
    ]
    print(machine)
    print(steps.round(3).to_string(index=False))
    for name, value, aim in rows:
        print(f"{name:66} {value:8.2f}  {aim}".rstrip())
    folder, instructions = study_folder(out, "throughput"), torch.backends.cpu.get_cpu_capability().lower()
    write_table(steps.round(4).assign(machine=machine), folder / f"steps.{instructions}.csv")
    search = pd.DataFrame(rows, columns=["figure", "value", "aim"]).round({"value": 3})
    write_table(search.assign(machine=machine), folder / f"search.{instructions}.csv")


def peak_gib(pid: int) -> float:
    """The most memory that a process has held so far (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def _output(command: list[str], environment: dict[str, str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    if done.returncode:
        raise Failure(f"the process measured failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.splitlines()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.throughput", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=at_least(1), default=5, metavar="N", help="turns of each side")
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: measure(options.rounds, options.out))


if __name__ == "__main__":
    sys.exit(main())

"""What does a GPU bring to networks of this size, and how is it filled best?

Expected: a step captured as a CUDA graph is several times as fast as a plain one; as each leaves most of the
GPU idle, several runs at the same time train more epochs a second, which NVIDIA's Multi-Process Service (MPS)
lets processes do; and the compiled engine on the machine's cores is no slower for images of 28x28 pixels.

    python -m studies.gpu

Epochs of 25,000 MNIST images in batches of 64, validated on 10,000, counted over all runs that train at a
time: plain and captured steps in 1 to 8 slots on one GPU; captured ones in 1 to 16 slots that MPS serves (a
daemon of the study's own); 8 and 32 runs in one process whose captured steps are taken in turns, each on a
stream of its own; 8 and 32 seeds of one architecture stacked by `torch.func` (grouped convolutions), captured
as well, without validation; and the compiled engine on one core and on all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn import functional

from lightcnn.architecture import parse
from lightcnn.data import DATASETS
from lightcnn.designs import LIGHTCNN
from lightcnn.engine.build import require
from lightcnn.errors import UserError
from lightcnn.fetching import find_files
from lightcnn.initialisation import initial_network
from lightcnn.torch_run import GpuRun
from lightcnn.training import FAST
from search.command import Parser, about_this_run, run_command
from search.execution.devices import MPS_DAEMON, choose_slots, mps_is_running
from search.execution.runs import Run, TrainingData, images_of, train_piece
from search.execution.slots import Slots, open_slots
from search.storage import study_folder, write_table

DATASET = "mnist"
TASK = DATASETS[DATASET].task
ARCHITECTURES = (LIGHTCNN, "4-6-8-gap")
NUM_IMAGES = 25_000
NUM_SLOTS = (1, 2, 4, 8)
NUM_SLOTS_MPS = (1, 2, 4, 8, 16)
NUM_TOGETHER = (8, 32)
NUM_EPOCHS = 4


@contextmanager
def mps() -> Iterator[Path]:
    """Processes that begin in the block, and end before it, share their GPU by MPS; its daemon's folder."""
    with TemporaryDirectory() as folder:
        os.environ |= {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        try:
            subprocess.run([MPS_DAEMON, "-d"], check=True)
            yield Path(folder)
        finally:
            subprocess.run([MPS_DAEMON], input="quit -t 5", text=True, check=False)
            del os.environ["CUDA_MPS_PIPE_DIRECTORY"], os.environ["CUDA_MPS_LOG_DIRECTORY"]


def train_together(text: str, data: TrainingData, num_runs: int, captured: bool = True) -> int:
    """In a GPU's slot: `num_runs` runs of NUM_EPOCHS epochs, their steps taken in turns; epochs in all."""
    training, validation = images_of(data, "cuda")
    assert validation is not None
    architecture = parse(text, TASK)
    runs = [
        GpuRun(initial_network(architecture, FAST.initialisation, seed), None, captured)
        for seed in range(num_runs)
    ]
    order, rates = torch.randperm(len(training)), [1e-3] * -(-len(training) // FAST.batch_size)
    for _ in range(NUM_EPOCHS):
        for run in runs:
            run.begin_epoch(training, order, FAST.batch_size, rates)
        for _ in rates:
            for run in runs:
                run.take_step()
        for run in runs:
            run.mean_loss()
            run.measure(validation)
    return num_runs * NUM_EPOCHS


def be_ready(data: TrainingData, meeting: Path, num_slots: int) -> int:
    """In a GPU's slot: train, so that all is loaded, and wait until all slots have; the number of epochs.

    Args:
        meeting: a folder in which each slot leaves a file.
    """
    num_epochs = train_together(LIGHTCNN, data, 1)
    (meeting / str(os.getpid())).touch()
    while len(list(meeting.iterdir())) < num_slots:
        time.sleep(0.1)
    return num_epochs


def train_stacked(text: str, data: TrainingData, num_runs: int) -> int:
    """In a GPU's slot: `num_runs` seeds as one network with an axis more, in one captured step; epochs."""
    training, _ = images_of(data, "cuda")
    architecture = parse(text, TASK)
    networks = [
        initial_network(architecture, FAST.initialisation, seed).to("cuda") for seed in range(num_runs)
    ]
    stacked = {name: weight.detach() for name, weight in stack_module_state(list(networks))[0].items()}
    adam = torch.optim.Adam(
        stacked.values(), lr=torch.tensor(1e-3, device="cuda"), fused=True, capturable=True
    )
    num_steps = len(training) // FAST.batch_size
    orders = torch.stack([torch.randperm(len(training)) for _ in range(num_runs)]).to("cuda")
    batches = orders[:, : num_steps * FAST.batch_size].view(num_runs, num_steps, FAST.batch_size)
    position = torch.zeros(1, dtype=torch.int64, device="cuda")

    def loss_of(weights: dict[str, torch.Tensor], images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(functional_call(networks[0], weights, (images,)), labels)

    gradients_of = vmap(grad_and_value(loss_of))

    def step() -> None:
        batch = batches[:, position].squeeze(1)
        gradients, _ = gradients_of(stacked, training.images[batch], training.labels[batch])
        for name, weight in stacked.items():
            weight.grad = gradients[name]
        adam.step()
        position.add_(1)

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            step()
        for _ in range(NUM_EPOCHS):
            position.zero_()
            for _ in range(num_steps):
                graph.replay()
            torch.cuda.synchronize()
    return num_runs * NUM_EPOCHS


def train_by_engine(run: Run) -> int:
    """In a core's slot: epochs of `run` for some seconds; how many."""
    return len(train_piece(run, 0, NUM_EPOCHS, None).epochs)


def epochs_a_second(slots: Slots, jobs: Sequence[Callable[[], int]]) -> float:
    """Of `jobs`, all at a time, each of which gives its number of epochs."""
    began = time.perf_counter()
    num_epochs: int = sum(future.result() for future in [slots.submit(job) for job in jobs])
    return num_epochs / (time.perf_counter() - began)


@contextmanager
def gpu_slots(data: TrainingData, num_slots: int) -> Iterator[Slots]:
    """Slots on the first GPU that have trained already."""
    with open_slots(choose_slots("cuda:0", num_slots)) as slots, TemporaryDirectory() as meeting:
        epochs_a_second(slots, [partial(be_ready, data, Path(meeting), num_slots)] * num_slots)
        yield slots


def measure(out: Path) -> None:
    """Measure everything, print it, and keep it in `out`/gpu/epochs.csv."""
    if not torch.cuda.is_available():
        raise UserError("this study needs a GPU, and PyTorch sees none")
    if mps_is_running():
        raise UserError(f"this study needs a GPU without MPS, but {MPS_DAEMON} is running")
    if shutil.which(MPS_DAEMON) is None:
        raise UserError(f"this study needs {MPS_DAEMON}, which comes with NVIDIA's driver, on the path")
    data = TrainingData(DATASETS[DATASET], find_files(DATASET), num_train_images=NUM_IMAGES)
    about = about_this_run()
    machine = f"{about['gpus']}; {about['machine']}"
    print(machine)
    folder, lines = study_folder(out, "gpu"), []

    def add(
        slots: Slots, num_slots: int, text: str, way: str, job: Callable[[], int], num_runs: int = 1
    ) -> None:
        rate = epochs_a_second(slots, [job] * num_slots)
        place = {"architecture": text, "way": way, "slots": num_slots, "runs_a_slot": num_runs}
        lines.append(place | {"epochs_a_second": round(rate, 2), "machine": machine})
        write_table(pd.DataFrame(lines), folder / "epochs.csv")
        print(*place.values(), f"{rate:.2f} epochs a second", flush=True)

    with gpu_slots(data, max(NUM_SLOTS)) as gpu:
        for text in ARCHITECTURES:
            for num_slots in NUM_SLOTS:
                for way, captured in (("plain steps", False), ("captured step", True)):
                    add(gpu, num_slots, text, way, partial(train_together, text, data, 1, captured))
            for num_runs in NUM_TOGETHER:
                for way, train in (
                    ("captured steps in turns", train_together),
                    ("stacked by torch.func, captured", train_stacked),
                ):
                    add(gpu, 1, text, way, partial(train, text, data, num_runs), num_runs)
    with mps(), gpu_slots(data, max(NUM_SLOTS_MPS)) as gpu:
        for text in ARCHITECTURES:
            for num_slots in NUM_SLOTS_MPS:
                add(gpu, num_slots, text, "captured step, MPS", partial(train_together, text, data, 1))
    cores = choose_slots("cpu", None)
    with open_slots(cores, engine=require()) as cpu:
        light, narrow = (
            partial(train_by_engine, Run(parse(text, TASK), FAST, 0, data)) for text in ARCHITECTURES
        )
        epochs_a_second(cpu, [narrow] * len(cores))
        for text, job in zip(ARCHITECTURES, (light, narrow), strict=True):
            for num_slots in (1, len(cores)):
                add(cpu, num_slots, text, "compiled engine on cores", job)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.gpu", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: measure(options.out))


if __name__ == "__main__":
    sys.exit(main())

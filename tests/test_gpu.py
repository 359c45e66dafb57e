"""Training on a real GPU: the captured step against plain ones and the CPU, and slots that share it."""

import os
import shutil
import signal
import subprocess
import sys
import warnings
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import psutil
import pytest
import torch
from joblib import cpu_count

from lightcnn.architecture import Task, parse
from lightcnn.data import DATASETS, load_training_images
from lightcnn.designs import LIGHTCNN
from lightcnn.initialisation import initial_network
from lightcnn.splitting import split
from lightcnn.torch_run import CpuRun, GpuRun
from lightcnn.training import FAST, train, trained_network
from search.execution.devices import MPS_DAEMON, choose_slots, mps_is_running
from search.execution.runs import TrainingData, images_of
from search.execution.slots import open_slots
from studies.gpu import NUM_EPOCHS, mps, train_together

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

MNIST = Task(image_size=28, in_channels=1, num_classes=10)
TEXTS = (
    LIGHTCNN,
    "2-4-6-8-pool2",
    "9-7-flatten-16",
    "flatten-32",
    "7vbln-9svbl-10svblp-pool2",
    "6k5d-8b-8sbrx2-gap",
)
# Sums in another order, magnified by ten to twenty steps of Adam.
TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def images(mnist_folder):
    """600 images to train on, 9 full batches and a smaller one, and 2,600 to validate with."""
    everything = load_training_images(DATASETS["mnist"], mnist_folder)
    _, held_out = split(everything.labels, 2_600)
    return everything.subset(torch.arange(600)), everything.subset(held_out)


def epochs(run, images, device, rates=(1e-3,) * 10):
    """Losses of two epochs, what is measured after them, and the weights then."""
    training, validation = (part.to(device) for part in images)
    order = torch.arange(600).flip(0)
    losses = [run.train_epoch(training, order, 64, rates) for _ in range(2)]
    weights = [weight.cpu() for weight in run.content()["network"].values()]
    return losses, run.measure(validation), weights


def assert_close(one, other):
    assert one[0] == pytest.approx(other[0], abs=TOLERANCE)
    assert one[1][0] == pytest.approx(other[1][0], abs=0.01)
    assert one[1][1] == pytest.approx(other[1][1], abs=10 * TOLERANCE)
    for a, b in zip(one[2], other[2], strict=True):
        torch.testing.assert_close(a, b, atol=TOLERANCE, rtol=0.01)


@pytest.mark.parametrize("text", TEXTS)
def test_the_captured_step_computes_what_plain_steps_do_and_the_cpu(text, images):
    rates = tuple(1e-3 * (i + 1) / 10 for i in range(10))  # each batch has its own
    network = parse(text, MNIST)
    captured = epochs(GpuRun(initial_network(network, "he", 0), None), images, "cuda", rates)
    plain = epochs(GpuRun(initial_network(network, "he", 0), None, captured=False), images, "cuda", rates)
    on_cpu = epochs(CpuRun(initial_network(network, "he", 0), None), images, "cpu", rates)
    assert_close(captured, plain)
    assert_close(captured, on_cpu)


@pytest.mark.parametrize("learns_from", ["smoothed labels", "a teacher"])
def test_all_that_a_recipe_has_is_learnt_as_on_the_cpu(learns_from, images):
    taught = learns_from == "a teacher"
    drawn = np.random.default_rng(0).dirichlet([0.1] * 10, size=(2, 600)).astype(np.float32)
    recipe = replace(
        FAST,
        epochs=2,
        learning_rate=1e-3,
        weight_decay=0.01,
        averaging=0.9,
        label_smoothing=0.0 if taught else 0.1,
        temperature=4.0 if taught else 1.0,
        augmentation=1.0,
        dropout=0.3,
    )
    on_gpu, on_cpu = (
        train(
            parse("7vbln-9svbl-10svblp-pool2", MNIST),
            recipe,
            *(part.to(device) for part in images),
            seed=0,
            device=device,
            targets=drawn if taught else None,
        )
        for device in ("cuda", "cpu")
    )
    for one, other in zip(on_gpu.epochs, on_cpu.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=TOLERANCE)
        assert one.val_loss == pytest.approx(other.val_loss, abs=10 * TOLERANCE)


def test_pieces_are_close_to_the_whole_and_a_state_moves_between_gpu_and_cpu(images):
    network, recipe = parse(LIGHTCNN, MNIST), replace(FAST, epochs=2, learning_rate=1e-3)
    whole = train(network, recipe, *(part.to("cuda") for part in images), seed=1, device="cuda")
    for first, second in (("cuda", "cuda"), ("cpu", "cuda"), ("cuda", "cpu")):
        state, losses = None, []
        for epoch, device in enumerate((first, second)):
            parts = [part.to(device) for part in images]
            piece = train(
                network, recipe, *parts, seed=1, start=epoch, stop=epoch + 1, state=state, device=device
            )
            state, losses = piece.state, [*losses, piece.epochs[0].train_loss]
        assert losses == pytest.approx([epoch.train_loss for epoch in whole.epochs], abs=TOLERANCE)
    assert next(trained_network(network, state).parameters()).device.type == "cpu"


def test_a_diverged_run_is_told(images):
    parts = [part.to("cuda") for part in images]
    piece = train(parse(LIGHTCNN, MNIST), replace(FAST, learning_rate=1e30), *parts, seed=0, device="cuda")
    assert piece.diverged


def test_the_host_waits_for_the_gpu_a_few_times_an_epoch_not_at_every_step(images):
    training, validation = (part.to("cuda") for part in images)
    run = GpuRun(initial_network(parse(LIGHTCNN, MNIST), "he", 0), None)
    order = torch.arange(600)
    run.train_epoch(training, order, 8, (1e-3,) * 75)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run.train_epoch(training, order, 8, (1e-3,) * 75)
            run.measure(validation)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = [str(it.message) for it in caught if "synchronizing CUDA operation" in str(it.message)]
    assert 0 < len(waits) <= 5, waits  # order and rates in; loss, accuracy and validation loss out


@pytest.mark.parametrize("space", ["template", "wide"])
def test_a_search_on_gpu_slots(space, tmp_path, mnist_folder):
    command = f"-m search.run --space {space} --trials 4 --epochs 2 --train-images 2000 --seeds 1"
    told = subprocess.run(
        [
            sys.executable,
            *command.split(),
            "--devices",
            "cuda:0",
            "--out",
            tmp_path,
            "--data-dir",
            mnist_folder,
        ],
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    assert LIGHTCNN in told.stdout
    assert "FAILED" not in (tmp_path / "mnist" / "trials.csv").read_text()


def begin_to_train_and_die(data):
    """In a slot: it dies while the GPU has work of its own."""
    training, _ = images_of(data, "cuda")
    run = GpuRun(initial_network(parse(LIGHTCNN, MNIST), "he", 0), None)
    rates = [1e-3] * -(-len(training) // 64)
    run.begin_epoch(training, torch.arange(len(training)), 64, rates)
    for _ in rates:
        run.take_step()
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(
    shutil.which(MPS_DAEMON) is None or mps_is_running(), reason="MPS is not there, or running already"
)
def test_slots_that_mps_serves_outlive_one_that_is_killed_in_mid_step(mnist_folder):
    data = TrainingData(DATASETS["mnist"], mnist_folder, num_train_images=25_000)
    job = partial(train_together, LIGHTCNN, data, 1)
    with mps() as folder:
        assert mps_is_running()
        assert len(choose_slots("cuda:0", None)) == max(2, min(8, cpu_count()))
        daemon = int((folder / f"{MPS_DAEMON}.pid").read_text())
        with open_slots(choose_slots("cuda:0", 4), epoch_timeout=60) as slots:
            before = [slots.submit(job) for _ in range(4)]
            dead = slots.submit(begin_to_train_and_die, data)
            after = [slots.submit(job) for _ in range(11)]
            assert isinstance(dead.exception(), BrokenExecutor)
            assert [future.result() for future in before + after] == [NUM_EPOCHS] * 15
            assert slots.num_slots == 4
    assert not psutil.pid_exists(daemon)

"""Designs trained again on fresh seeds, then tested together; the one reader of the test set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightcnn.architecture import Architecture, parse
from lightcnn.cost import num_parameters
from lightcnn.data import Dataset, LabelledImages, load_test_images
from lightcnn.errors import Failure, UserError
from lightcnn.torch_run import EVALUATION_BATCH, measure
from lightcnn.training import Recipe, trained_network, weights_alone
from search.cells import absent, rows
from search.execution.checkpoints import Checkpoints
from search.execution.display import Display
from search.execution.runs import Run, RunProgress, TrainingData, images_of, relative_cost, slot_device
from search.execution.schedule import train_runs
from search.execution.slots import SlotExecutor
from search.storage import uninterrupted, write_whole
from search.tables import RUNS, TEST_READINGS

MAX_FAILURES = 4  # runs that fail, each twice, before the cause is looked for elsewhere


@dataclass(frozen=True)
class Arm:
    """A design that is trained with each of several seeds."""

    name: str
    architecture: Architecture


@dataclass(frozen=True)
class Accuracies:
    """Of one finished run, fractions: on the images it was trained on and on the test images."""

    train: float
    test: float


def retrain(
    title: str,
    num_seeds: Mapping[Arm, int],
    recipe: Recipe,
    data: TrainingData,
    slots: SlotExecutor,
    folder: Path,
) -> pd.DataFrame:
    """Train each arm with its number of seeds, 0, 1, ..., then read the test set, once, for all of them.

    What `folder`/runs.csv already holds is not trained or tested again. A run is kept there as it ends, its
    weights in `folder`/weights; its accuracies are filled in when no run is left to train, so that no choice
    can follow from them. When that was, `folder`/test_readings.csv says, a line each time.

    Args:
        title: what the progress display calls it.
        num_seeds: of each arm.
        data: the images to train on; the recipe and they are those of the runs already there.

    Returns:
        The lines of runs.csv for these arms and seeds, under the arms' names.

    Raises:
        UserError: a file there was damaged by hand.
        Failure: a run failed twice, when the others are tested; MAX_FAILURES runs did, at once; or a
            run could not be tested, twice.
    """
    kept = [
        row
        for row in rows(kept_runs(folder))
        if not absent(row["test_accuracy"]) or _weights(folder, row).exists()
    ]
    arms = {str(arm.architecture): arm for arm in num_seeds}
    done = {(row["architecture"], row["seed"]) for row in kept}
    # Those that take longest first, so that no slot has to wait for another at the end.
    by_cost = sorted(arms.items(), key=lambda item: -relative_cost(item[1].architecture))
    missing = [
        (arm, seed)
        # Seed by seed, so that an interruption leaves all arms alike.
        for seed in range(max(num_seeds.values(), default=0))
        for text, arm in by_cost
        if seed < num_seeds[arm] and (text, seed) not in done
    ]

    def runs() -> Iterator[tuple[tuple[Arm, int], Run]]:
        for arm, seed in missing:
            yield (arm, seed), Run(arm.architecture, recipe, seed, data)

    num_runs = sum(num_seeds.values())
    failures: list[str] = []
    with Display(
        title,
        num_runs,
        num_runs - len(missing),
        num_slots=slots.num_slots,
        seconds=[row["seconds"] for row in kept if not absent(row["seconds"])],
    ) as display:
        for (arm, seed), progress in train_runs(runs(), slots, display, Checkpoints(folder, display.say)):
            if progress.error is not None:
                failures.append(f"{arm.name} with seed {seed} failed twice: {progress.error}")
                if len(failures) == MAX_FAILURES:
                    raise Failure(f"{MAX_FAILURES} runs failed, the last being {failures[-1]}")
            else:
                _keep(folder, kept, arm, progress)
    wanted = [
        row
        for row in kept
        if row["architecture"] in arms and row["seed"] < num_seeds[arms[row["architecture"]]]
    ]
    _read_test_set(folder, kept, [row for row in wanted if absent(row["test_accuracy"])], recipe, data, slots)
    if failures:
        raise Failure(f"{'; '.join(failures)}; the same command tries again")
    table = RUNS.frame(wanted)
    return table.assign(arm=[arms[text].name for text in table["architecture"]])


def final_accuracies(run: Run, state: bytes) -> Accuracies:
    """In a worker: what the weights in `state` reach."""
    device = slot_device()
    network = trained_network(run.architecture, state).to(device)
    training, _ = images_of(run.data, device)
    test = _test_images(run.data.dataset, run.data.folder, device)
    return Accuracies(measure(network, training)[0], measure(network, test)[0])


@lru_cache(maxsize=1)
def _test_images(dataset: Dataset, folder: Path, device: str) -> LabelledImages:
    return load_test_images(dataset, folder).to(device)


def one_network(
    architecture: Architecture, recipe: Recipe, data: TrainingData, slots: SlotExecutor, folder: Path
) -> tuple[int, nn.Sequential]:
    """One trained network of `architecture` and its seed: kept in `folder`/weights, or trained now and kept.

    Of several kept ones it is the one most accurate on the images it was trained on, then the lowest seed:
    the test set has no say, and a seed that learnt nothing is passed over. Without any, seed 0 is trained.

    Args:
        data: the images to train on; the recipe and they are those of the runs already there.

    Raises:
        UserError: a file there was damaged by hand.
        Failure: the run failed twice, or its loss was no longer finite.
    """
    text = str(architecture)
    accuracies = {
        int(row["seed"]): row["train_accuracy"]
        for row in rows(kept_runs(folder))
        if row["architecture"] == text and not absent(row["train_accuracy"])
    }
    names = [path.name.split(".") for path in (folder / "weights").glob(f"{text}.*.pt")]
    seeds = sorted(int(name[-2]) for name in names if name[-2].isdecimal())
    seed = max(seeds, key=lambda seed: accuracies.get(seed, 0.0), default=0)
    if not seeds:
        run = Run(architecture, recipe, seed, data)
        with Display(f"training {text}", 1, num_slots=1) as display:
            [(_, progress)] = train_runs(iter([(text, run)]), slots, display)
        if progress.error is not None or progress.diverged:
            reason = progress.error or "its loss was no longer finite"
            raise Failure(f"{text} with seed {seed} could not be trained: {reason}")
        assert progress.state is not None  # as it is over without an error
        _keep_weights(_weights_file(folder, text, seed), progress.state)
    path = _weights_file(folder, text, seed)
    content = path.read_bytes()
    try:
        return seed, trained_network(architecture, content)
    except Exception:  # torch's reader raises whatever the damage leads it to
        raise UserError(
            f"{path} must hold the weights of {text}, but does not; without it another is taken or trained"
        ) from None


def right_on_test_images(
    predictors: Mapping[str, Callable[[Tensor], Tensor]],
    data: TrainingData,
    folder: Path,
    exported: str,
) -> dict[str, NDArray[np.bool_]]:
    """Which test images each of the `predictors` classes rightly: one reading, recorded in `folder`.

    For what is made of a network when every choice is over, such as its int8 version. It was trained on all
    training images, so that only test images are new to it.

    Args:
        predictors: images, (num_images, channels, height, width), float32 -> scores, (num_images, classes).
        exported: the architecture, for the line in test_readings.csv.

    Returns:
        For each predictor (num_test_images,), in the order of the test set.
    """
    earlier = rows(TEST_READINGS.read_if_there(folder))
    test = load_test_images(data.dataset, data.folder)
    with torch.inference_mode():
        starts = range(0, len(test), EVALUATION_BATCH)
        batches = [test.subset(torch.arange(len(test))[i : i + EVALUATION_BATCH]) for i in starts]
        right = {
            name: torch.cat([predict(it.images).argmax(1) == it.labels for it in batches]).numpy()
            for name, predict in predictors.items()
        }
    _record_reading(folder, earlier, len(predictors), exported)
    return right


def kept_runs(folder: Path) -> pd.DataFrame:
    """The table of `folder`/runs.csv; empty if there is none yet. UserError if it was damaged by hand."""
    return RUNS.read_if_there(folder)


def _keep(folder: Path, kept: list[dict[str, Any]], arm: Arm, progress: RunProgress) -> None:
    row = {
        "arm": arm.name,
        "architecture": str(arm.architecture),
        "num_parameters": num_parameters(arm.architecture),
        "seed": progress.run.seed,
        "epochs": len(progress.epochs),
        "train_accuracy": None,
        "test_accuracy": None,
        "seconds": round(progress.seconds, 2),
    }
    assert progress.state is not None  # as the run is over without an error
    with uninterrupted():
        _keep_weights(_weights(folder, row), progress.state)
        kept.append(row)
        RUNS.write(RUNS.frame(kept), folder)


def _read_test_set(
    folder: Path,
    kept: list[dict[str, Any]],
    untested: list[dict[str, Any]],
    recipe: Recipe,
    data: TrainingData,
    slots: SlotExecutor,
) -> None:
    """Fill in the accuracies of the `untested` among the `kept` runs; no reading where there are none."""
    if not untested:
        return
    earlier = rows(TEST_READINGS.read_if_there(folder))
    task = data.dataset.task

    def submit(row: dict[str, Any]) -> Future[Accuracies]:
        run = Run(parse(row["architecture"], task), recipe, int(row["seed"]), data)
        return slots.submit(final_accuracies, run, _weights(folder, row).read_bytes())

    futures = [submit(row) for row in untested]
    # All are measured before any is kept, so that a failure leaves no part of a reading.
    results = []
    for row, future in zip(untested, futures, strict=True):
        if future.exception() is not None:
            future = submit(row)
        if (error := future.exception()) is not None:
            raise Failure(
                f"{row['architecture']} with seed {row['seed']} could not be tested, twice: "
                f"{type(error).__name__}: {error}; the same command tries again"
            )
        results.append(future.result())
    for row, accuracies in zip(untested, results, strict=True):
        row |= {"train_accuracy": accuracies.train, "test_accuracy": accuracies.test}
    with uninterrupted():
        _record_reading(folder, earlier, len(untested))
        RUNS.write(RUNS.frame(kept), folder)


def _record_reading(
    folder: Path, earlier: list[dict[str, Any]], num_runs: int, exported: str | None = None
) -> None:
    reading: dict[str, Any] = {
        "read_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "num_runs": num_runs,
    }
    if exported is not None:
        reading["exported"] = exported
    TEST_READINGS.write(TEST_READINGS.frame([*earlier, reading]), folder)


def _keep_weights(path: Path, state: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    write_whole(path, weights_alone(state))


def _weights(folder: Path, row: dict[str, Any]) -> Path:
    return _weights_file(folder, row["architecture"], int(row["seed"]))


def _weights_file(folder: Path, architecture: str, seed: int) -> Path:
    return folder / "weights" / f"{architecture}.{seed}.pt"

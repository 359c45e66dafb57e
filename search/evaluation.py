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
from torch import Tensor

from lightcnn.architecture import Architecture, parse
from lightcnn.cost import num_parameters
from lightcnn.data import Dataset, LabelledImages, load_test_images
from lightcnn.errors import Failure
from lightcnn.measurement import EVALUATION_BATCH, classified, measure
from lightcnn.training import Recipe, trained_network
from search.cells import absent, rows
from search.execution.checkpoints import Checkpoints
from search.execution.display import Display
from search.execution.runs import Run, RunProgress, TrainingData, images_of, relative_cost, slot_device
from search.execution.schedule import train_runs
from search.execution.slots import NoSlots, Slots
from search.mistakes import Answers, answers_of, keep_answers
from search.storage import uninterrupted
from search.tables import RUNS, TEST_READINGS
from search.weights import keep_weights, kept_runs, weights_of

MAX_FAILURES = 4  # runs that fail, each twice, before the cause is looked for elsewhere


@dataclass(frozen=True)
class Arm:
    """A design that is trained with each of several seeds."""

    name: str
    architecture: Architecture


@dataclass(frozen=True)
class Tested:
    """What a finished run makes of the images that it was trained on, and of the test images."""

    train_accuracy: float  # a fraction
    test: Answers


def retrain(
    title: str,
    num_seeds: Mapping[Arm, int],
    recipe: Recipe,
    data: TrainingData,
    slots: Slots,
    folder: Path,
    teacher: Path | None = None,
) -> pd.DataFrame:
    """Train each arm with its number of seeds, 0, 1, ..., then read the test set, once, for all of them.

    What `folder`/runs.csv already holds is not trained or tested again. A run is kept there as it ends, its
    weights in `folder`/weights; its accuracies are filled in when no run is left to train, so that no choice
    can follow from them, and beside them what it made of the test images (`search.mistakes`). When that was,
    `folder`/test_readings.csv says, a line each time.

    Args:
        title: what the progress display calls it.
        num_seeds: of each arm.
        data: the images to train on; the recipe and they are those of the runs already there.
        teacher: the file of its targets, as a `Run` names it, that of the runs already there; None: they
            learn the labels, or no run is left to train.

    Returns:
        The lines of runs.csv for these arms and seeds, under the arms' names.

    Raises:
        UserError: a file there was damaged by hand.
        Failure: a run failed twice, when the others are tested; MAX_FAILURES did, at once; one could not be
            tested, twice; or no slot is left.
    """
    kept = [
        row
        for row in rows(kept_runs(folder))
        if not absent(row["test_accuracy"]) or weights_of(folder, row).exists()
    ]
    arms = {str(arm.architecture): arm for arm in num_seeds}

    def recipe_of(architecture: Architecture) -> Recipe:
        return recipe.of_size(num_parameters(architecture))

    def cost(architecture: Architecture) -> float:
        return relative_cost(architecture) * recipe_of(architecture).epochs

    done = {(row["architecture"], row["seed"]) for row in kept}
    # Those that take longest first, so that no slot has to wait for another at the end.
    by_cost = sorted(arms.items(), key=lambda item: -cost(item[1].architecture))
    missing = [
        (arm, seed)
        # Seed by seed, so that an interruption leaves all arms alike.
        for seed in range(max(num_seeds.values(), default=0))
        for text, arm in by_cost
        if seed < num_seeds[arm] and (text, seed) not in done
    ]

    def runs() -> Iterator[tuple[tuple[Arm, int], Run]]:
        for arm, seed in missing:
            yield (arm, seed), Run(arm.architecture, recipe_of(arm.architecture), seed, data, teacher)

    num_runs = sum(num_seeds.values())
    failures: list[str] = []
    with Display(
        title,
        num_runs,
        num_runs - len(missing),
        num_slots=slots.num_slots,
        seconds=[row["seconds"] for row in kept if not absent(row["seconds"])],
    ) as display:
        checkpoints = Checkpoints(folder, display.say, "unfinished-again")
        for (arm, seed), progress in train_runs(runs(), slots, display, checkpoints):
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


def tested(run: Run, state: bytes) -> Tested:
    """In a worker: what the weights in `state` reach."""
    device = slot_device()
    network = trained_network(run.architecture, state).to(device)
    training, _ = images_of(run.data, device)
    test = _test_images(run.data.dataset, run.data.folder, device)
    answers = answers_of(*classified(network, test), test, run.architecture.task.num_classes)
    return Tested(measure(network, training)[0], answers)


@lru_cache(maxsize=1)
def _test_images(dataset: Dataset, folder: Path, device: str) -> LabelledImages:
    return load_test_images(dataset, folder).to(device)


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
        keep_weights(weights_of(folder, row), progress.state)
        kept.append(row)
        RUNS.write(RUNS.frame(kept), folder)


def _read_test_set(
    folder: Path,
    kept: list[dict[str, Any]],
    untested: list[dict[str, Any]],
    recipe: Recipe,
    data: TrainingData,
    slots: Slots,
) -> None:
    """Fill in the accuracies of the `untested` among the `kept` runs; no reading where there are none."""
    if not untested:
        return
    earlier = rows(TEST_READINGS.read_if_there(folder))

    def submit(row: dict[str, Any]) -> Future[Tested]:
        architecture = parse(row["architecture"], data.dataset.task)
        run = Run(architecture, recipe.of_size(num_parameters(architecture)), int(row["seed"]), data)
        return slots.submit(tested, run, weights_of(folder, row).read_bytes())

    futures = [submit(row) for row in untested]
    # All are measured before any is kept, so that a failure leaves no part of a reading.
    results = []
    for row, future in zip(untested, futures, strict=True):
        if future.exception() is not None:
            future = submit(row)
        if isinstance(error := future.exception(), NoSlots):
            raise error
        if error is not None:
            raise Failure(
                f"{row['architecture']} with seed {row['seed']} could not be tested, twice: "
                f"{type(error).__name__}: {error}; the same command tries again"
            )
        results.append(future.result())
    for row, it in zip(untested, results, strict=True):
        row |= {"train_accuracy": it.train_accuracy, "test_accuracy": it.test.accuracy}
    with uninterrupted():
        keep_answers(folder, [(row, it.test) for row, it in zip(untested, results, strict=True)])
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

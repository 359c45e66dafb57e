"""Runs, trained epoch by epoch: what a worker does, and the loop that keeps the slots busy."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from lightcnn.architecture import Architecture
from lightcnn.data import LabelledImages, load_training_images, split, stratified_subset
from lightcnn.training import Epoch, Piece, Recipe, train

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class TrainingData:
    """Which of a data set's training images a run sees. The test images are not among them."""

    dataset: str
    folder: Path  # verified files, the same for driver and workers
    num_validation: int = 10_000  # images split off to measure each epoch; 0: train on all of them
    num_train_images: int | None = None  # a stratified part of what is left; None: all of it
    split_seed: int = 0


@dataclass(frozen=True)
class Run:
    """One candidate trained once with one seed."""

    architecture: Architecture
    recipe: Recipe
    seed: int
    data: TrainingData


@dataclass(frozen=True)
class Outcome:
    """A run so far, or ended: by its last epoch, early, by divergence, or by an error despite a retry."""

    run: Run
    epochs: tuple[Epoch, ...] = ()
    state: bytes | None = None
    diverged: bool = False
    seconds: float = 0.0  # of training, in the worker
    stopped: str | None = None  # why it was stopped early
    error: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing of the run is left to train."""
        ended = self.diverged or self.stopped is not None or self.error is not None
        return ended or len(self.epochs) == self.run.recipe.epochs

    def extended(self, piece: Piece) -> Outcome:
        """The run after one more piece."""
        return replace(
            self,
            epochs=self.epochs + piece.epochs,
            state=piece.state,
            diverged=piece.diverged,
            seconds=self.seconds + piece.seconds,
        )


class Watcher(Protocol):
    """Who is told how the runs go."""

    def show(self, key: Hashable, outcome: Outcome) -> None:
        """A run has started, has trained one more epoch, or is over."""


def never(key: Hashable, outcome: Outcome) -> None:
    """Stops no run early."""


def train_runs(
    runs: Iterator[tuple[K, Run]],
    executor: Executor,
    num_slots: int,
    watcher: Watcher,
    reason_to_stop: Callable[[K, Outcome], str | None] = never,
) -> Iterator[tuple[K, Outcome]]:
    """Train `runs` with `num_slots` jobs under way, and yield each with its key as it ends.

    One job is one epoch: what a crash can lose, and where a run can be stopped. `runs` is advanced only when
    a slot is free and all earlier outcomes were taken, in the caller's thread, so it may ask a sampler. A job
    that raises, or whose process dies, is tried once more from the epoch before; a second failure of the same
    run ends it with its reason, and no other run notices.

    Args:
        reason_to_stop: asked after each epoch that is not a run's last; None lets it go on.
    """
    in_flight: dict[Future[Piece], tuple[K, Outcome]] = {}
    retried: set[K] = set()

    def submit(key: K, outcome: Outcome) -> None:
        future = executor.submit(train_epoch, outcome.run, len(outcome.epochs), outcome.state)
        in_flight[future] = (key, outcome)

    while True:
        while len(in_flight) < num_slots and (following := next(runs, None)) is not None:
            key, run = following
            watcher.show(key, Outcome(run))
            submit(key, Outcome(run))
        if not in_flight:
            return
        for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
            key, outcome = in_flight.pop(future)
            error = future.exception()
            if error is None:
                outcome = outcome.extended(future.result())
                if not outcome.is_over:
                    outcome = replace(outcome, stopped=reason_to_stop(key, outcome))
            elif key in retried:
                outcome = replace(outcome, error=f"{type(error).__name__}: {error}".splitlines()[0])
            else:
                retried.add(key)
            if outcome.is_over:
                yield key, outcome  # and is shown as ended only after the caller has kept it
            else:
                submit(key, outcome)
            watcher.show(key, outcome)


def train_epoch(run: Run, epoch: int, state: bytes | None) -> Piece:
    """In a worker: train the 0-based `epoch` of `run` from `state`, on the one device that the slot shows."""
    training, validation = images_of(run.data, slot_device())
    span = epoch, epoch + 1
    return train(
        run.architecture, run.recipe, training, validation, run.seed, *span, state, device=slot_device()
    )


def slot_device() -> str:
    """In a worker: the one device that its slot shows it, and never the CPU in a GPU's stead."""
    return "cuda" if os.environ["CUDA_VISIBLE_DEVICES"] else "cpu"


@lru_cache(maxsize=1)
def images_of(data: TrainingData, device: str) -> tuple[LabelledImages, LabelledImages | None]:
    """In a worker: the images to train on and those to validate with, if any; kept for its next jobs."""
    images = load_training_images(data.dataset, data.folder)
    chosen, held_out = torch.arange(len(images)), None
    if data.num_validation:
        chosen, held_out = split(images.labels, data.num_validation, data.split_seed)
    if data.num_train_images is not None:
        chosen = stratified_subset(images.labels, chosen, data.num_train_images, data.split_seed)
    # Indexing copies, so all of the images are taken as they are.
    training = images if len(chosen) == len(images) else images.subset(chosen)
    return training.to(device), None if held_out is None else images.subset(held_out).to(device)

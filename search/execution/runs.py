"""A run, and what a worker does for it: some epochs at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from lightcnn.architecture import Architecture, template
from lightcnn.cost import num_macs
from lightcnn.data import Dataset, LabelledImages, load_training_images
from lightcnn.engine.native import supports
from lightcnn.splitting import split, stratified_subset
from lightcnn.training import Epoch, Piece, Recipe, train
from search.execution.slots import ENGINE, JOB_SECONDS

NUM_REHEARSED = 64  # images


class RunState(StrEnum):
    """How a run ended."""

    COMPLETE = "COMPLETE"  # trained to its last epoch
    PRUNED = "PRUNED"  # stopped early by the rule; Optuna's word
    DIVERGED = "DIVERGED"  # its loss was no longer finite
    FAILED = "FAILED"  # an error, twice


@dataclass(frozen=True)
class TrainingData:
    """Which of a data set's training images a run sees. The test images are not among them."""

    dataset: Dataset
    folder: Path  # verified files, the same for driver and workers
    num_validation: int = 10_000  # images split off to measure each epoch; 0: train on all of them
    num_train_images: int | None = None  # a stratified part of what is left; None: all of it
    split_seed: int = 0

    @property
    def num_images(self) -> int:
        """How many a run trains on."""
        return self.num_train_images or self.dataset.num_training_images - self.num_validation


@dataclass(frozen=True)
class Run:
    """One candidate trained once with one seed."""

    architecture: Architecture
    recipe: Recipe
    seed: int
    data: TrainingData
    teacher: Path | None = None  # a file of numpy's with the `targets` of `train`; None: it learns the labels


@dataclass(frozen=True)
class RunProgress:
    """A run under way, or just ended: by its last epoch, early, by divergence, or by an error twice."""

    run: Run
    epochs: tuple[Epoch, ...] = ()
    state: bytes | None = None
    diverged: bool = False
    seconds: float = 0.0  # of training, in the worker
    stopped: str | None = None  # why it was stopped early
    spared_at: int | None = None  # the epoch at which it was due to be stopped, but was exempted at random
    error: str | None = None

    @property
    def ended(self) -> RunState | None:
        """How it ended; None while something of it is left to train."""
        if self.error is not None:
            return RunState.FAILED
        if self.diverged:
            return RunState.DIVERGED
        if self.stopped is not None:
            return RunState.PRUNED
        return RunState.COMPLETE if len(self.epochs) == self.run.recipe.epochs else None

    @property
    def is_over(self) -> bool:
        """Whether nothing of the run is left to train."""
        return self.ended is not None

    def extended(self, piece: Piece) -> RunProgress:
        """The run after one more piece."""
        return replace(
            self,
            epochs=self.epochs + piece.epochs,
            state=piece.state,
            diverged=piece.diverged,
            seconds=self.seconds + piece.seconds,
        )


def relative_cost(architecture: Architecture) -> float:
    """How long a run takes beside others, for their order: that which ends last is best begun first.

    It is the multiply-accumulates of an image, four times as many where only PyTorch trains the network.
    """
    return num_macs(architecture) * (1 if supports(architecture) else 4)


def train_piece(run: Run, start: int, stop: int, state: bytes | None) -> Piece:
    """In a worker: train the 0-based epochs [start, stop) of `run` from `state`, or the first of them.

    It ends with the epoch in which JOB_SECONDS are over.
    """
    training, validation = images_of(run.data, slot_device())
    return train(
        run.architecture,
        run.recipe,
        training,
        validation,
        run.seed,
        start,
        stop,
        state,
        device=slot_device(),
        engine=slot_engine(),
        enough_seconds=JOB_SECONDS,
        targets=None if run.teacher is None else np.load(run.teacher, mmap_mode="r"),
    )


def rehearse(data: TrainingData) -> None:
    """In a worker: train a small network on a few of the images, as any worker in order can.

    The images stay in memory for the runs to come.
    """
    training, _ = images_of(data, slot_device())
    few = training.subset(torch.arange(min(len(training), NUM_REHEARSED)))
    smallest, recipe = template((1,), "gap", data.dataset.task), Recipe(1, 1e-3, NUM_REHEARSED, None)
    train(smallest, recipe, few, None, seed=0, device=slot_device(), engine=slot_engine())


def slot_device() -> str:
    """In a worker: the one device that its slot shows it, and never the CPU in a GPU's stead."""
    return "cuda" if os.environ["CUDA_VISIBLE_DEVICES"] else "cpu"


def slot_engine() -> Path | None:
    """In a worker: the compiled engine that its slot was given; None: PyTorch."""
    named = os.environ.get(ENGINE)
    return Path(named) if named else None


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

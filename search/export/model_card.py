"""The Markdown page beside an exported network: what it is, how good it is, how to feed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightcnn.architecture import Architecture, plan
from lightcnn.cost import deployed, num_macs, num_parameters, peak_activation_bytes, weight_bytes
from lightcnn.data import Dataset
from lightcnn.initialisation import INITIALISATIONS
from lightcnn.operations import Add, BatchNorm, Convolution, LeakyRelu, Operation, Relu
from lightcnn.training import Recipe
from search.cells import Row, absent, counted, interval, intervals, percent
from search.export.c_compiled import Sizes
from search.export.preprocessing import classes_json, preprocessing_of, script
from search.export.runner import ROUNDS
from search.export.source import title_of
from search.export.templates import template
from search.statistics import matched_difference, wilson

INT8_NAME, NETWORK_NAME = "int8", "network"  # what was tested
Right = NDArray[np.bool_]  # (num_test_images,): whether each was classed rightly


@dataclass(frozen=True)
class Card:
    """What a model card says."""

    study: str
    architecture: Architecture
    how_chosen: str
    figures: Row | None  # of the architecture in the study's tables
    dataset: Dataset
    recipe: Recipe
    num_train_images: int | None  # None: all
    seed: int
    right: Mapping[str, Right]
    files: Sequence[tuple[str, int, str]]  # name, bytes, what it is and how it was checked
    missing: Sequence[str]  # names of what could not be written
    with_preprocessing: bool  # in the ONNX
    usage: Sequence[str]  # Markdown, a paragraph each
    latencies: Mapping[str, float]  # seconds, by what was timed, in Markdown
    machine: str  # where they were measured
    on_device: Mapping[str, Sizes]  # by file; empty without a compiler for it
    command: str


def model_card(card: Card) -> str:
    """The page, in Markdown."""
    architecture = card.architecture
    layers = plan(architecture)
    relu_alone = all(_goes_without_saying(it) for it in layers)
    preprocessing, onnx = (
        preprocessing_of(card.dataset),
        [it[0] for it in card.files if it[0].endswith(".onnx")],
    )
    return template("model_card.md.j2").render(
        vars(card),
        title=title_of(card.dataset),
        task=architecture.task,
        num_parameters=num_parameters(architecture),
        deployed=deployed(architecture),
        num_macs=num_macs(architecture),
        float32_bytes=weight_bytes(architecture),
        int8_bytes=weight_bytes(architecture, "int8"),
        peak_activation_bytes=peak_activation_bytes(architecture),
        layers=[it for it in layers if not (relu_alone and isinstance(it, Relu))],
        relu_alone=relu_alone,
        has_norm=any(isinstance(it, BatchNorm) for it in layers),
        accuracies=[f"The design: {design_accuracy(card.figures)}.", *own_accuracies(card.right)],
        preprocessing=preprocessing,
        classes=classes_json(card.dataset),
        script=script(onnx[0], preprocessing, card.with_preprocessing) if onnx else None,
        rounds=ROUNDS,
        compiled=any(".c`" in name for name in card.latencies),
        initialisation=INITIALISATIONS[card.recipe.initialisation],
        additions=additions(card.recipe),
        strength=card.recipe.strength(num_parameters(card.architecture)),
        thousands="{:,}".format,
    )


def _goes_without_saying(operation: Operation) -> bool:
    """Whether a ReLU behind each layer with weights is all that there is to say of activations."""
    odd = isinstance(operation, BatchNorm | Add | LeakyRelu)
    return not odd and not (isinstance(operation, Convolution) and operation.depthwise)


def additions(recipe: Recipe) -> list[str]:
    """What `recipe` adds to plain training, a phrase each; augmentation is said with the images."""
    said = {
        f"Decoupled weight decay {recipe.weight_decay:g}": recipe.weight_decay,
        f"Running means of the weights, of which each step keeps {recipe.averaging:g}": recipe.averaging,
        f"Labels smoothed, {recipe.label_smoothing:g} shared by all classes": recipe.label_smoothing,
        f"Dropout of {recipe.dropout:g} before the first linear layer": recipe.dropout,
    }
    return [phrase for phrase, share in said.items() if share]


def design_accuracy(figures: Row | None) -> str:
    """What the study's tables say of a design, with its interval where they give one."""
    if figures is not None and not absent(figures.get("test_accuracy_mean")):
        mean, num_seeds = percent(figures["test_accuracy_mean"]), int(figures["num_seeds"])
        if not (limits := intervals(figures)):
            return f"test accuracy {mean} with one seed, which gives no interval"
        return f"mean test accuracy {mean} over {counted(num_seeds, 'seed')}, 95 % intervals {limits}"
    if figures is not None and not absent(figures.get("val_accuracy")):
        return (
            f"validation accuracy {percent(figures['val_accuracy'])} in one run of the search, which "
            "flatters what was picked by it; it was not trained again with other seeds"
        )
    return "the study has no figure of it"


def own_accuracies(right: Mapping[str, Right]) -> list[str]:
    """What the exported network and its int8 version reach on the test images, a sentence each.

    The intervals are for new images, not over seeds: Wilson's for one network, Agresti and Min's for the
    difference of two on the same images.
    """
    network = right[NETWORK_NAME]
    sentences = [f"This network: test accuracy {_with_interval(network)}."]
    if INT8_NAME in right:
        int8 = right[INT8_NAME]
        lost, won = int((network & ~int8).sum()), int((int8 & ~network).sum())
        mean, low, high = matched_difference(lost, won, len(network))
        points = f"{100 * mean:+.2f} points (95 % interval {interval(low, high, '+')})"
        sentences.append(
            f"Its int8 version: test accuracy {_with_interval(int8)}; that is {points}, as {lost} images "
            f"were lost and {won} won."
        )
    return sentences


def _with_interval(right: Right) -> str:
    limits = interval(*wilson(float(right.mean()), len(right)))
    return f"{percent(right.mean())}, 95 % interval for new images {limits} ({len(right):,} test images)"

"""python -m search.export reports/<study> --design 8-12-16-gap --to model.onnx: a trained network as a file.

The weights are those that the study kept, or are trained now by its recipe. What is written computes what the
network does, which is checked on training images, and a model card beside it says how good it is.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lightcnn.architecture import Architecture, parse
from lightcnn.data import load_training_images
from lightcnn.engine.build import prepare
from lightcnn.errors import UserError
from lightcnn.splitting import stratified_subset
from search.cells import Row, absent, rows
from search.command import Parser, at_least, run_command
from search.evaluation import one_network, right_on_test_images
from search.execution.display import log_line
from search.execution.runs import TrainingData
from search.execution.slots import choose_slots, open_slots
from search.export.formats import (
    FORMATS,
    Predictor,
    c_compiler,
    c_predictor,
    format_of,
    largest_difference,
    onnx_predictor,
    to_c,
    to_int8,
    to_onnx,
    to_safetensors,
)
from search.export.model_card import INT8_NAME, NETWORK_NAME, Card, model_card
from search.export.source import source_of
from search.storage import only_driver, write_whole

NUM_IMAGES = 1_000  # training images that formats are checked on and int8 ranges taken from


@dataclass(frozen=True)
class Written:
    """A file to be, and what the card says of it."""

    content: bytes
    what: str
    usage: str | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = Parser(
        "python -m search.export", "Take a design of a study away: its trained network as a file."
    )
    parser.add_argument(
        "study", type=Path, metavar="STUDY", help="a search's or an ablation's folder, e.g. reports/mnist"
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--design", metavar="DESIGN", help="an architecture such as 8-12-16-gap, or a name such as LightCNN"
    )
    which.add_argument(
        "--budget",
        type=at_least(1),
        metavar="P",
        help="the best design of the study's front with P parameters or fewer",
    )
    parser.add_argument(
        "--to",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help=f"what to write, by how it ends: {', '.join(FORMATS)}; may be repeated. "
        "A model card, the first one's name with .md, comes with it",
    )
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="folder with the data set's files, as for search.run"
    )
    parser.add_argument(
        "--dataset", metavar="FOLDER", help="where images of your own lie that the study was made with"
    )
    parser.add_argument(
        "--devices", default="auto", metavar="LIST", help="where to train, if need be; as for search.run"
    )
    options = parser.parse_args(arguments)
    return run_command(parser, lambda: _run(options, arguments))


def _run(options: argparse.Namespace, arguments: list[str]) -> None:
    source = source_of(options.study)
    if options.budget is not None and source.front is None:
        raise UserError(
            f"--budget needs the front of a search, but {options.study} holds an ablation; --design takes one"
        )
    card_path, targets = _targets(options.to)
    slots = choose_slots(options.devices, 1)
    data = source.data(options.dataset, options.data_dir)
    dataset = data.dataset
    if source.front is None or options.design is not None:
        architecture, how_chosen = source.architecture(options.design, dataset), "Chosen by name."
    else:
        architecture = parse(best_within(source.front, options.budget)["architecture"], dataset.task)
        how_chosen = (
            f"The best design of the study's front with {options.budget:,} parameters or fewer: by "
            "validation accuracy, or by mean training accuracy over fresh seeds where that is lower."
        )
    engine = prepare(log_line) if source.engine == "native" else None
    folder = options.study.resolve()
    with only_driver(folder):
        with open_slots(slots, engine=engine) as executor:
            seed, network = one_network(architecture, source.recipe, data, executor, folder)
        network = network.to(memory_format=torch.contiguous_format).eval()
        files = _written(network, architecture, targets, _some_images(data), dataset.title)
        predictors: dict[str, Predictor] = {NETWORK_NAME: network}
        for path, suffix in targets.items():
            if suffix == ".int8.onnx":
                predictors[INT8_NAME] = onnx_predictor(files[path].content)
        right = right_on_test_images(predictors, data, folder, str(architecture))
    card = Card(
        study=source.study,
        architecture=architecture,
        how_chosen=how_chosen,
        figures=source.figures_of(str(architecture)),
        dataset=dataset,
        recipe=source.recipe,
        num_train_images=source.num_train_images,
        seed=seed,
        right=right,
        files=[(path.name, len(file.content), file.what) for path, file in files.items()],
        usage=[file.usage for file in files.values() if file.usage],
        command=f"python -m search.export {shlex.join(arguments)}",
    )
    for path, file in files.items():
        write_whole(path, file.content)
        print(f"{path}: {file.what}")
    write_whole(card_path, model_card(card))
    print(f"{card_path}: the model card")


def best_within(front: pd.DataFrame, budget: int) -> Row:
    """The best member of `front`, the table of front.csv, with `budget` parameters or fewer.

    By validation accuracy, as the test set chooses nothing: its figure of the chosen design then stays a fair
    one. But where re-training fell short of it on the training images themselves, by that mean: a design that
    some seeds fail to train is no bargain.

    Raises:
        UserError: all members are larger.
    """
    within = front[front["num_parameters"] <= budget]
    if within.empty:
        raise UserError(
            f"--budget must admit the smallest design of the front, {int(front['num_parameters'].min())} "
            f"parameters, but got {budget}"
            if len(front)
            else "--budget needs a study with a front, but its front.csv has no line"
        )

    def accuracy(row: Row) -> float:
        retrained: Any = row.get("train_accuracy_mean")
        return min(float(row["val_accuracy"]), math.inf if absent(retrained) else float(retrained))

    return max(rows(within), key=accuracy)


def _targets(paths: Sequence[Path]) -> tuple[Path, dict[Path, str]]:
    """Where the card goes, and the format of each file.

    Raises:
        UserError: an unknown format, or a place that cannot be written.
    """
    targets = {path: format_of(path) for path in paths}
    first, suffix = next(iter(targets.items()))
    card = first.with_name(first.name.removesuffix(suffix) + ".md")
    for path in (*targets, card):
        if path.is_dir():
            raise UserError(f"--to must be a file, but {path} is a folder")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise UserError(
                f"--to must be in a folder that can be written, but got {path}: {error.strerror}"
            ) from None
    return card, targets


def _some_images(data: TrainingData) -> Tensor:
    """NUM_IMAGES training images, (num_images, C, H, W), classes in proportion."""
    training = load_training_images(data.dataset, data.folder)
    return training.images[stratified_subset(training.labels, torch.arange(len(training)), NUM_IMAGES)]


def _written(
    network: nn.Sequential, architecture: Architecture, targets: dict[Path, str], images: Tensor, title: str
) -> dict[Path, Written]:
    """The content of each of `targets`, checked.

    Raises:
        Failure: a format cannot say the network, or computes something else.
    """
    same = f"the network's on {len(images):,} training images"
    onnx = to_onnx(network, architecture.task) if set(targets.values()) - {".safetensors"} else b""
    written = {}
    for path, suffix in targets.items():
        if suffix == ".onnx":
            difference = largest_difference(str(path), onnx_predictor(onnx), network, images)
            what = f"ONNX; onnxruntime's scores differ from {same} by {difference:.1g} at most"
            written[path] = Written(onnx, what)
        elif suffix == ".int8.onnx":
            what = f"ONNX, int8 weights and activations, calibrated on {len(images):,} training images"
            written[path] = Written(to_int8(onnx, images), what)
        elif suffix == ".safetensors":
            task = architecture.task
            about = {"architecture": str(architecture), "dataset": title}
            usage = (
                f"`build(parse({str(architecture)!r}, Task({task.image_size}, {task.in_channels}, "
                f"{task.num_classes})))`, of `lightcnn.network` and `lightcnn.architecture`, makes the "
                f"module for `load_state_dict(safetensors.torch.load_file({path.name!r}))`."
            )
            written[path] = Written(to_safetensors(network, about), "the weights, float32", usage)
        else:
            written[path] = _c(onnx, path, network, images, architecture.task.num_classes)
    return written


def _c(onnx: bytes, path: Path, network: nn.Sequential, images: Tensor, num_classes: int) -> Written:
    source = to_c(onnx, path.stem)
    if (compiler := c_compiler()) is None:
        checked = "not compiled, as no C compiler was found (cc, gcc or clang)"
    else:
        with tempfile.TemporaryDirectory() as folder:
            predict = c_predictor(source, compiler, Path(folder), num_classes)
            difference = largest_difference(str(path), predict, network, images)
        checked = (
            f"compiled by {Path(compiler).name}, its scores differ from the network's on {len(images):,} "
            f"training images by {difference:.1g} at most"
        )
    usage = (
        f"In C, for one image at a time, with `images` and `scores` as above; `{path.name}` needs `-lm`, and "
        f"{source.stack_bytes:,} bytes of stack for what lies between its layers:\n\n"
        f"```c\n{source.declaration}\n```"
    )
    return Written(source.text.encode(), f"plain C without malloc; {checked}", usage)


if __name__ == "__main__":
    sys.exit(main())

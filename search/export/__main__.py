"""python -m search.export reports/<study> --design 8-12-16-gap --to model.onnx: a trained network as a file.

The weights are those that the study kept, or are trained now by its recipe. What is written computes what the
network does, which is checked on training images, and a model card beside it says how good it is.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from lightcnn.architecture import Architecture, Task, parse
from lightcnn.cost import num_parameters
from lightcnn.data import load_training_images
from lightcnn.engine.build import prepare
from lightcnn.errors import Failure, UserError
from lightcnn.splitting import stratified_subset
from search.budget import Budget, check_possible
from search.budget_options import add_budget_options, as_options, budget_of, limits_asked
from search.cells import Row, absent, rows
from search.command import Parser, about_this_run, at_least, run_command
from search.evaluation import right_on_test_images
from search.execution.devices import choose_slots
from search.execution.display import log_line
from search.execution.runs import TrainingData
from search.execution.slots import open_slots
from search.export.formats import FORMATS, Exported, Written, calls_to_time
from search.export.model_card import INT8_NAME, NETWORK_NAME, Card, model_card
from search.export.preprocessing import metadata
from search.export.runner import Predictor, latencies
from search.export.source import source_of, title_of
from search.export.targets import Targets, sha256_of, sums_of, targets_of, with_sums
from search.storage import only_driver, uninterrupted, write_whole
from search.weights import one_network
from search.words import parse_words

NUM_IMAGES = 1_000  # training images that formats are checked on and int8 ranges taken from


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    it = _parser()
    options = it.parse_args(argv)
    return run_command(it, lambda: _show(*_export(options)))


def export_design(study: Path | str, **words: Any) -> list[Path]:
    """Take a design away as `python -m search.export` does, its options as keywords.

    `export_design("reports/mnist", design="LightCNN", to=["model.onnx", "model.c"])`

    Args:
        study: the folder of a search or an ablation.

    Returns:
        the files of `to` and the model card.

    Raises:
        UserError: an option breaks a rule.
        Failure: a file could not be had; the others are there.
    """
    files, failures = _export(parse_words(_parser(), words, str(study)))
    _raise_any(failures)
    return [*files]


def _parser() -> Parser:
    """The command line."""
    parser = Parser(
        "python -m search.export", "Take a design of a study away: its trained network as a file."
    )
    parser.add_argument(
        "study", type=Path, metavar="STUDY", help="a search's or an ablation's folder, e.g. reports/mnist"
    )
    which = parser.add_argument_group("which design", "Its name, or what it may cost.")
    which.add_argument(
        "--design", metavar="DESIGN", help="an architecture such as 8-12-16-gap, or a name such as LightCNN"
    )
    add_budget_options(which, "as many as the study's candidates may have")
    which.add_argument(
        "--budget",
        dest="max_parameters",
        type=at_least(1),
        metavar="P",
        help="another name of --max-parameters",
    )
    parser.add_argument(
        "--to",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help=f"what to write, by how it ends: {', '.join(FORMATS)}; may be repeated, "
        "in one folder. A model card, the first one's name with .md, comes with it, and a header with C. "
        "What an earlier export wrote there is replaced, and nothing else",
    )
    parser.add_argument(
        "--with-preprocessing",
        action="store_true",
        help="the ONNX takes an image as it was decoded, uint8, (height, width, 4), and does the rest itself",
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
    return parser


def _show(files: dict[Path, str], failures: dict[str, str]) -> None:
    """What the command prints when it is done. Failure if something could not be written."""
    for path, what in files.items():
        print(f"{path}: {what}")
    _raise_any(failures)


def _raise_any(failures: dict[str, str]) -> None:
    if failures:
        raise Failure("; ".join(f"{name} was not written: {reason}" for name, reason in failures.items()))


def _export(options: argparse.Namespace) -> tuple[dict[Path, str], dict[str, str]]:
    """Do what the options ask for; the files asked for and the card, and why some could not be had."""
    if options.design is None and not limits_asked(options):
        raise UserError("--design is required, or a limit such as --max-parameters")
    if options.design is not None and limits_asked(options):
        raise UserError("--design is not allowed with limits such as --max-parameters")
    source = source_of(options.study)
    if options.design is None and source.candidates is None:
        raise UserError(
            f"limits need the candidates of a search, but {options.study} holds an ablation; --design takes "
            "one of its arms"
        )
    targets = targets_of(options.to)
    if options.with_preprocessing and not any(it.endswith(".onnx") for it in targets.formats.values()):
        raise UserError("--with-preprocessing needs a file that ends in .onnx, but --to names none")
    slots = choose_slots(options.devices, 1)
    data = source.data(options.dataset, options.data_dir)
    dataset = data.dataset
    if source.candidates is None or options.design is not None:
        architecture, how_chosen = source.architecture(options.design, dataset), "Chosen by name."
        which = f"--design {shlex.quote(options.design)}"
    else:
        budget = budget_of(options, source.max_parameters)
        architecture = best_within(source.candidates, budget, dataset.task)
        how_chosen = (
            f"The best candidate of the study within {budget}: by validation accuracy, or by mean training "
            "accuracy over fresh seeds where that is lower."
        )
        which = as_options(budget)
    engine = prepare(log_line) if source.engine == "native" else None
    folder = options.study.resolve()
    with only_driver(folder):
        with open_slots(slots, engine=engine) as executor:
            seed, network = one_network(architecture, source.recipe, data, executor, folder)
        network = network.to(memory_format=torch.contiguous_format).eval()
        about = {"architecture": str(architecture), "dataset": title_of(dataset), **metadata(dataset)}
        raw = dataset if options.with_preprocessing else None
        exported = Exported(network, architecture, _some_images(data), about, raw)
        written, failures = _written(exported, targets)
        right = right_on_test_images(_to_be_tested(exported, written), data, folder, str(architecture))
    card = Card(
        study=source.study,
        architecture=architecture,
        how_chosen=how_chosen,
        figures=source.figures_of(str(architecture)),
        dataset=dataset,
        recipe=source.recipe.of_size(num_parameters(architecture)),
        num_train_images=source.num_train_images,
        seed=seed,
        right=right,
        files=[
            (name, len(content), it.what if name == asked else f"the header of `{asked}`")
            for asked, it in written.items()
            for name, content in it.files.items()
        ],
        missing=list(failures),
        with_preprocessing=options.with_preprocessing,
        usage=[it.usage for it in written.values() if it.usage],
        latencies=latencies(calls_to_time(written, exported.images[0])),
        machine=about_this_run()["machine"],
        on_device={name: it.on_device for name, it in written.items() if it.on_device is not None},
        command=_command(options, which),
    )
    _write(targets, written, model_card(card))
    files = {targets.folder / name: it.what for name, it in written.items()}
    return files | {targets.folder / targets.card: "the model card"}, failures


def _written(exported: Exported, targets: Targets) -> tuple[dict[str, Written], dict[str, str]]:
    """The content of the files by the name that asked for it, checked; why others could not be had.

    Raises:
        Failure: none could be.
    """
    written, failures = {}, {}
    for name, suffix in targets.formats.items():
        try:
            written[name] = FORMATS[suffix].write(exported, name)
        except (Failure, OSError, ImportError) as error:  # of this format's tools
            failures[name] = str(error)
    if not written:
        _raise_any(failures)
    return written, failures


def _to_be_tested(exported: Exported, written: dict[str, Written]) -> dict[str, Predictor]:
    """What the test set is read for: the network, and its integers if a file holds them."""
    predictors: dict[str, Predictor] = {NETWORK_NAME: exported.network}
    for name, it in written.items():
        if ".int8." in name and INT8_NAME not in predictors:
            predictors[INT8_NAME] = exported.integers if it.runner is None else it.runner.predict
    return predictors


def _write(targets: Targets, written: dict[str, Written], card: str) -> None:
    """Write the files, then the card, with the sums by which a later export knows them again."""
    # What could not be written now may be there from before, and still be this command's.
    sums = {
        name: it
        for name, it in (sums_of(targets.folder / targets.card) or {}).items()
        if (targets.folder / name).exists()
    }
    for it in written.values():
        sums |= sha256_of(it.files)
    with uninterrupted():
        for it in written.values():
            for name, content in it.files.items():
                write_whole(targets.folder / name, content)
        write_whole(targets.folder / targets.card, with_sums(card, sums))


def _command(options: argparse.Namespace, which: str) -> str:
    """The command again, without what is of this machine: absolute paths, and where data lies.

    Args:
        which: the options that chose the design.
    """

    def shown(path: Path) -> str:
        return shlex.quote(path.name if path.is_absolute() or ".." in path.parts else str(path))

    to = " ".join(f"--to {shown(path)}" for path in options.to)
    raw = " --with-preprocessing" if options.with_preprocessing else ""
    return f"python -m search.export {shown(options.study)} {which} {to}{raw}"


def best_within(candidates: pd.DataFrame, budget: Budget, task: Task) -> Architecture:
    """The best of the `candidates`, lines of trials.csv, within `budget`; of equals the smallest.

    By validation accuracy, as the test set chooses nothing: its figure of the chosen design then stays a fair
    one. But where re-training fell short of it on the training images themselves, by that mean: a design that
    some seeds fail to train is no bargain.

    Raises:
        UserError: none is within it.
    """
    lines = {parse(row["architecture"], task): row for row in rows(candidates)}
    if not lines:
        raise UserError("limits need a study with a candidate that was trained to its end, but it has none")
    check_possible(budget, [*lines])

    def worth(design: Architecture) -> tuple[float, int]:
        row: Row = lines[design]
        retrained: Any = row.get("train_accuracy_mean")
        accuracy = min(float(row["val_accuracy"]), math.inf if absent(retrained) else float(retrained))
        return accuracy, -num_parameters(design)

    return max(filter(budget.admits, lines), key=worth)


def _some_images(data: TrainingData) -> Tensor:
    """NUM_IMAGES training images or all, if fewer, (num_images, C, H, W), classes in proportion."""
    training = load_training_images(data.dataset, data.folder)
    size = min(NUM_IMAGES, len(training))
    return training.images[stratified_subset(training.labels, torch.arange(len(training)), size)]


if __name__ == "__main__":
    sys.exit(main())

"""The options of a search."""

from __future__ import annotations

import argparse
import re

from lightcnn.data import DATASETS
from lightcnn.decoding import colour
from lightcnn.training import FAST, LARGE, SMALL
from search.allocation import LEAST_CHANCE
from search.budget_options import MAX_PARAMETERS, add_budget_options
from search.command import Parser, add_data_options, at_least, number_between
from search.device_options import add_device_options
from search.recipe_options import add_augmentation_option, add_initialisation_option
from search.samplers import SAMPLERS
from search.space import USUAL

# Of the training images, a sixth judges the candidates, 10,000 at most: of MNIST's 60,000 these are as many.
VALIDATION_SHARE, NUM_VALIDATION = 6, 10_000
# Of the 50,000 that are left: half the cost, and candidates are ranked about as well (reports/budgets).
NUM_TRAINING = 25_000


def parser() -> Parser:
    """The command line."""
    it = Parser(
        "python -m search.run",
        "Search for small networks around a reference design, and place it among what was found.",
    )
    group = it.add_argument_group("what is searched")
    group.add_argument(
        "--trials",
        type=at_least(1),
        required=True,
        metavar="N",
        help="finished trials in all, resumed ones included",
    )
    group.add_argument(
        "--epochs", type=at_least(1), default=FAST.epochs, metavar="E", help="epochs of each run"
    )
    add_initialisation_option(group, FAST)
    add_augmentation_option(group)
    group.add_argument(
        "--seed",
        type=at_least(0),
        default=0,
        metavar="S",
        help="of the sampler and the runs; with --workers 1 on the CPU, the same seed gives the same search",
    )
    group.add_argument(
        "--dataset",
        default="mnist",
        metavar="NAME|FOLDER",
        help=f"what is learnt: {', '.join(DATASETS)}, or a folder with your images in train/<class>/ and "
        "test/<class>/; those that are no squares of one size up to 64 pixels are resized",
    )
    group.add_argument(
        "--background",
        type=_colour,
        metavar="COLOUR",
        help="what transparent images of your own are laid on, a name or #rrggbb; by default white",
    )
    template, wide = USUAL["template"], USUAL["wide"]
    group.add_argument(
        "--space",
        choices=list(USUAL),
        default="template",
        help="LightCNN's template, or a wide space around it: stages of blocks, plain or separable, of other "
        "kernels, with batch norm, residual sums, shared weights",
    )
    group.add_argument(
        "--widths",
        type=_widths,
        metavar="LOW:HIGH",
        help="channels of a block, sampled on a log scale; by default {}:{}, ".format(*template.widths)
        + "or {}:{} of the wide space".format(*wide.widths),
    )
    group.add_argument(
        "--max-blocks",
        type=at_least(1, 20),
        metavar="N",
        help="blocks of a candidate at most, or stages in the wide space, each of which but the last halves "
        f"the maps' side; by default {template.max_blocks}, or {wide.max_blocks} of the wide space",
    )
    group.add_argument(
        "--heads",
        type=lambda text: tuple(text.split(",")),
        metavar="LIST",
        help="gap, flatten, and pool2, pool3, ... (average pooling to 2x2, 3x3, ...); by default "
        f"{','.join(template.heads)}, without flatten in the wide space",
    )
    group.add_argument(
        "--reference",
        default="LightCNN",
        metavar="DESIGN",
        help="what all others are held against: an architecture such as 16-32-64-gap, in the space and the "
        "budget or not, or the name of a hand-made design",
    )
    group.add_argument(
        "--sampler", choices=list(SAMPLERS), default="surrogate", help="who suggests candidates"
    )
    group.add_argument(
        "--train-images",
        type=at_least(1),
        metavar="N",
        help=f"search with N images, classes in proportion; by default {NUM_TRAINING:,}, or all if fewer are "
        f"left by validation, which takes a sixth of the training images, {NUM_VALIDATION:,} at most",
    )
    group.add_argument(
        "--no-early-stopping",
        action="store_true",
        help="train every candidate to its end, even one that smaller ones beat from the start",
    )
    group.add_argument(
        "--no-baselines", action="store_true", help="do not train the hand-made designs as well"
    )
    group.add_argument(
        "--retry-failed",
        action="store_true",
        help="train the FAILED trials of an earlier call again, under their numbers and with their seeds",
    )
    group = it.add_argument_group(
        "what a candidate may cost", "What costs more is refused before training and is no trial."
    )
    add_budget_options(group, f"{MAX_PARAMETERS:,}, or what --max-weight-bytes has room for")
    group = it.add_argument_group("what is re-trained on all training images and tested")
    group.add_argument(
        "--seeds",
        type=at_least(0),
        default=5,
        metavar="N",
        help="fresh seeds for the reference, designs you place, and the best candidate no larger than each; "
        "candidates that may be on the front, and hand-made designs, are trained again once; 0 leaves the "
        "test set closed",
    )
    group.add_argument(
        "--least-chance",
        type=number_between(0, 1),
        default=LEAST_CHANCE,
        metavar="P",
        help="train each candidate again whose chance of being on the front is at least P; after 1,500 "
        "trials 200 reach 0.1",
    )
    group.add_argument(
        "--final-epochs",
        type=_epochs,
        metavar="E[:E]",
        help="epochs of each of these runs, by default as many as the search's; 30:120 is 30 with "
        f"{LARGE:,} parameters or more, 120 with {SMALL:,} or fewer; may change until the first run is done",
    )
    group.add_argument(
        "--place",
        action="append",
        default=[],
        metavar="DESIGN",
        help="place a design of yours beside the front as well, such as 8-12-16-gap, or a hand-made one by "
        "its name; may be repeated",
    )
    add_data_options(it)
    it.add_argument(
        "--name", metavar="STUDY", help="folder of the study in --out; by default the data set's name"
    )
    it.add_argument(
        "--serve",
        action="store_true",
        help="open the page in a browser at once, and keep it up to date while the search runs; no other "
        "machine reaches it",
    )
    it.add_argument("--open", action="store_true", help="open the page in a browser when all is done")
    add_device_options(it)
    return it


def _epochs(text: str) -> tuple[int, int]:
    """An argparse type: epochs of large networks, and of small ones if they have others."""
    large, _, small = text.partition(":")
    number = at_least(1)
    return number(large), number(small if ":" in text else large)


def _colour(text: str) -> str:
    """An argparse type: a colour as #rrggbb."""
    try:
        return colour(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be an opaque colour such as white or #ffffff, but got {text!r}"
        ) from None


def _widths(text: str) -> tuple[int, int]:
    """An argparse type: LOW:HIGH."""
    match = re.fullmatch(r"([0-9]{1,6}):([0-9]{1,6})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"must be two whole numbers such as 4:64, but got {text!r}")
    return int(match[1]), int(match[2])

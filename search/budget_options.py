"""The options of a budget, of a search as of an export."""

from __future__ import annotations

import argparse
from typing import get_args

from lightcnn.cost import BYTES_PER_VALUE, Numbers
from lightcnn.errors import UserError
from search.budget import Budget
from search.command import at_least

MAX_PARAMETERS = 30_000  # of a candidate, if nothing else is said


def add_budget_options(group: argparse._ArgumentGroup, default: str) -> None:
    """The limits of `search.budget.Budget`.

    Args:
        default: of the number of parameters, in words.
    """
    for option, unit, what in (
        ("--max-parameters", "P", f"weights and biases; by default {default}"),
        ("--max-weight-bytes", "BYTES", "of weights and biases: flash"),
        ("--max-activation-bytes", "BYTES", "of activations at their peak: RAM"),
        ("--max-macs", "N", "multiply-accumulates for an image"),
    ):
        group.add_argument(option, type=at_least(1), metavar=unit, help=what)
    group.add_argument(
        "--weights",
        choices=get_args(Numbers),
        default="float32",
        help="how weights and activations are held where the bytes are: float32 takes 4 for each, int8 one, "
        "and 8 for each channel's bias and scale",
    )


def limits_asked(options: argparse.Namespace) -> bool:
    """Whether one of the limits was given."""
    names = ("max_parameters", "max_weight_bytes", "max_activation_bytes", "max_macs")
    return any(getattr(options, name) is not None for name in names)


def as_options(budget: Budget) -> str:
    """The options that ask for `budget`."""
    limits = [f"{limit.option} {limit.most}" for limit in budget.limits]
    return " ".join([*limits, *([f"--weights {budget.weights}"] if budget.weights != "float32" else [])])


def budget_of(options: argparse.Namespace, max_parameters: int | None = None) -> Budget:
    """The limits that the options of `add_budget_options` ask for.

    Args:
        max_parameters: by default; None: MAX_PARAMETERS, or what --max-weight-bytes has room for.

    Raises:
        UserError: `--weights` without bytes that it is about.
    """
    weight_bytes, activation_bytes = options.max_weight_bytes, options.max_activation_bytes
    if options.weights != "float32" and weight_bytes is None and activation_bytes is None:
        raise UserError(
            f"--weights {options.weights} says what a byte is and needs --max-weight-bytes or "
            "--max-activation-bytes"
        )
    if max_parameters is None:
        each = BYTES_PER_VALUE[options.weights]
        max_parameters = MAX_PARAMETERS if weight_bytes is None else max(weight_bytes // each, 1)
    return Budget(
        options.max_parameters or max_parameters,
        weight_bytes,
        activation_bytes,
        options.max_macs,
        options.weights,
    )

"""What a candidate may cost: limits on parameters, flash, RAM and multiply-accumulates, all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from lightcnn.architecture import Architecture
from lightcnn.cost import (
    BYTES_PER_VALUE,
    Numbers,
    num_macs,
    num_parameters,
    peak_activation_bytes,
    weight_bytes,
)
from lightcnn.errors import UserError


class Limit(NamedTuple):
    """The most that a candidate may have of something."""

    option: str  # that sets it
    unit: str
    most: int
    cost: Callable[[Architecture], int]  # what an architecture has of it


@dataclass(frozen=True)
class Budget:
    """What a candidate may cost at most. None: as much as it likes."""

    max_parameters: int
    max_weight_bytes: int | None = None
    max_activation_bytes: int | None = None  # at their peak
    max_macs: int | None = None  # for one image
    weights: Numbers = "float32"  # what a byte of weights and of activations holds

    @property
    def limits(self) -> Iterator[Limit]:
        """Those that are set."""
        weights, activations = (
            partial(it, numbers=self.weights) for it in (weight_bytes, peak_activation_bytes)
        )
        for option, unit, most, cost in (
            ("--max-parameters", "parameters", self.max_parameters, num_parameters),
            ("--max-weight-bytes", f"bytes of {self.weights} weights", self.max_weight_bytes, weights),
            (
                "--max-activation-bytes",
                f"bytes of {self.weights} activations",
                self.max_activation_bytes,
                activations,
            ),
            ("--max-macs", "MACs", self.max_macs, num_macs),
        ):
            if most is not None:
                yield Limit(option, unit, most, cost)

    def admits(self, architecture: Architecture) -> bool:
        """Whether `architecture` is within all limits."""
        return all(limit.cost(architecture) <= limit.most for limit in self.limits)

    def most(self, cost: str) -> int | None:
        """The most that a candidate may have of `cost`, as trials.csv names it and counts it; None: any."""
        match cost:
            case "num_parameters":
                return self.max_parameters
            case "num_macs":
                return self.max_macs
            case "peak_activation_bytes" if self.max_activation_bytes is not None:
                return self.max_activation_bytes // BYTES_PER_VALUE[self.weights] * BYTES_PER_VALUE["float32"]
        return None

    def __str__(self) -> str:
        return ", ".join(f"{limit.most:,} {limit.unit}" for limit in self.limits)


def check_possible(budget: Budget, designs: Sequence[Architecture]) -> None:
    """UserError unless one of the `designs`, of which there is at least one, is within `budget`."""
    if any(budget.admits(design) for design in designs):
        return
    for limit in reversed([*budget.limits]):  # parameters last, which may follow from bytes
        costs = [limit.cost(design) for design in designs]
        if (least := min(costs)) > limit.most:
            smallest = designs[costs.index(least)]
            raise UserError(
                f"{limit.option} must admit the smallest candidate, {smallest} with {least}, "
                f"but got {limit.most}"
            )
    raise UserError(f"the limits must admit a candidate, but none is within {budget} at once")

"""The search space as a value: named dimensions, and Optuna trial <-> Architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import Trial

from lightcnn.architecture import Architecture, Task, template
from lightcnn.errors import UserError

MAX_WIDTH = 999_999  # what an architecture's text can say


@dataclass(frozen=True)
class Dimension:
    """One thing that candidates differ in."""

    name: str  # as Optuna calls it
    title: str  # as the page calls it
    distribution: BaseDistribution
    shown: tuple[Any, ...]  # the values that the page shows
    first_block: int = 1  # it means something where a candidate has at least so many blocks

    def is_active(self, candidate: Architecture) -> bool:
        """Whether the candidate's network depends on it."""
        return len(candidate.blocks) >= self.first_block


@dataclass(frozen=True)
class Space:
    """The LightCNN template with 1 to `max_blocks` blocks, their widths, and a head.

    Every trial is given all the dimensions and uses the first `num_blocks` of the widths: with widths that
    depend on the number of blocks the space would have no fixed dimension, and the GP sampler, the
    multivariate TPE and the crossover of NSGA-II would model the number of blocks and the head only.

    No network stands there twice: `pool<side>` is inactive where the last maps are no larger than its side,
    as there it is flatten or nothing, and so is flatten where they are single pixels, as that is gap.

    Raises:
        UserError: an empty range, an unknown head, one that stands there twice, or none that the images
        allow.
    """

    task: Task
    widths: tuple[int, int] = (2, 32)  # channels of a block, sampled on a log scale
    max_blocks: int = 4  # fewer where the images are small: each block but the last halves the maps' side
    heads: tuple[str, ...] = ("gap", "pool2", "pool3", "pool4", "flatten")

    def __post_init__(self) -> None:
        low, high = self.widths
        if not 1 <= low <= high <= MAX_WIDTH:
            raise UserError(
                f"widths must lie between 1 and {MAX_WIDTH}, the smaller first, but got {low}:{high}"
            )
        if self.max_blocks < 1:
            raise UserError(f"a space needs at least 1 block, but got max_blocks={self.max_blocks}")
        # `template` raises where it is no head at all, and large images tell any two apart.
        names = tuple(template((1,), head, Task(10_000, 1, 1)).head for head in self.heads)
        if not names or len(set(names)) < len(names) or names != self.heads:
            raise UserError(
                "a space needs at least one head, each of them once and by its own name (gap, not pool1), "
                f"but got heads={','.join(self.heads)}"
            )
        if not any(self._active_heads(num_blocks) for num_blocks in range(1, self.depth + 1)):
            raise UserError(
                f"a space needs a head that images of {self.task.image_size}x{self.task.image_size} pixels "
                f"allow, but got heads={','.join(self.heads)}"
            )

    @property
    def depth(self) -> int:
        """The most blocks of a candidate: `max_blocks`, or fewer where the images allow no more."""
        return min(self.max_blocks, self.task.image_size.bit_length())

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """In the order in which they are suggested."""
        low, high = self.widths
        powers = tuple(2**k for k in range(20) if low <= 2**k <= high)
        widths = (
            Dimension(
                f"width_{block}",
                f"channels of block {block}",
                IntDistribution(low, high, log=True),
                powers[-4:] or (low,),
                first_block=block,
            )
            for block in range(1, self.depth + 1)
        )
        depths = tuple(range(1, self.depth + 1))
        return (
            Dimension("num_blocks", "number of blocks", IntDistribution(1, self.depth), depths),
            *widths,
            Dimension("head", "head", CategoricalDistribution(self.heads), self.heads),
        )

    def distributions(self) -> dict[str, BaseDistribution]:
        """What `suggest` asks for, for a sampler that wants to know beforehand."""
        return {dimension.name: dimension.distribution for dimension in self.dimensions}

    def suggest(self, trial: Trial) -> Architecture | None:
        """The candidate that `trial` stands for; None if its head is inactive."""
        return self.architecture(
            {name: _suggested(trial, name, kind) for name, kind in self.distributions().items()}
        )

    def architecture(self, parameters: Mapping[str, Any]) -> Architecture | None:
        """The candidate that Optuna's `parameters` stand for; None if their head is inactive."""
        num_blocks, head = parameters["num_blocks"], parameters["head"]
        if head not in self._active_heads(num_blocks):
            return None
        widths = tuple(parameters[f"width_{block}"] for block in range(1, num_blocks + 1))
        return template(widths, head, self.task)

    def parameters(self, candidate: Architecture) -> dict[str, Any]:
        """Optuna's parameters for `candidate`, a member of the space; the inverse of `architecture`."""
        widths = [block.channels for block in candidate.blocks]
        unused = [self.widths[0]] * (self.depth - len(widths))
        named = {f"width_{block}": width for block, width in enumerate(widths + unused, start=1)}
        return {"num_blocks": len(widths), **named, "head": candidate.head}

    def __contains__(self, candidate: Architecture) -> bool:
        """Whether some parameters stand for `candidate`."""
        low, high = self.widths
        return (
            1 <= len(candidate.blocks) <= self.depth
            and candidate.head in self._active_heads(len(candidate.blocks))
            and all(low <= block.channels <= high for block in candidate.blocks)
            and self.architecture(self.parameters(candidate)) == candidate
        )

    def coordinates(self, candidate: Architecture) -> list[float]:
        """What a model of accuracy sees: a number for each dimension, sizes by their logarithm.

        A width that the candidate does not have is that of its last block. Heads lie on one scale from 0,
        gap, to 1, flatten: the logarithm of the side pooled to, over that of the maps' own side.
        """
        widths = [block.channels for block in candidate.blocks]
        widths += widths[-1:] * (self.depth - len(widths))
        head = np.log(candidate.grid) / np.log(candidate.map_side) if candidate.grid > 1 else 0.0
        return [len(candidate.blocks), *np.log(widths), float(head)]

    def draw_parameters(self, rng: np.random.Generator) -> dict[str, Any]:
        """All of Optuna's parameters, each drawn as its random sampler draws it."""
        return {name: _drawn(rng, kind) for name, kind in self.distributions().items()}

    def draw(self, rng: np.random.Generator) -> Architecture:
        """A candidate drawn at random."""
        while (candidate := self.architecture(self.draw_parameters(rng))) is None:
            pass  # an inactive head
        return candidate

    def narrowest(self) -> list[Architecture]:
        """Of each depth and head the member with the narrowest blocks."""
        low = self.widths[0]
        return [
            template((low,) * num_blocks, head, self.task)
            for num_blocks, head in product(range(1, self.depth + 1), self.heads)
            if head in self._active_heads(num_blocks)
        ]

    def _active_heads(self, num_blocks: int) -> tuple[str, ...]:
        side = self.task.image_size >> (num_blocks - 1)

        least = {"gap": 1, "flatten": 2}  # side of the last maps
        return tuple(
            head for head in self.heads if side >= (least.get(head) or int(head.removeprefix("pool")) + 1)
        )


def _suggested(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    assert isinstance(distribution, IntDistribution)
    return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)


def _drawn(rng: np.random.Generator, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(rng.integers(len(distribution.choices)))]
    assert isinstance(distribution, IntDistribution)
    low, high = distribution.low, distribution.high
    if not distribution.log:
        return int(rng.integers(low, high + 1))
    drawn = np.exp(rng.uniform(np.log(low - 0.5), np.log(high + 0.5)))
    return int(np.clip(np.rint(drawn), low, high))

"""The search space as a value: named dimensions, and Optuna trial <-> Architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import Trial

from lightcnn.architecture import Architecture, Task, template
from lightcnn.errors import UserError
from search import wide
from search.dimensions import Dimension, drawn, moved, suggested
from search.plan_features import NUM_FEATURES, plan_features

MAX_WIDTH = 999_999  # what an architecture's text can say

Kind = Literal["template", "wide"]


class Usual(NamedTuple):
    """The ranges of a kind of space, where nothing else is asked for."""

    widths: tuple[int, int]
    max_blocks: int
    heads: tuple[str, ...]


USUAL: dict[Kind, Usual] = {
    "template": Usual((2, 32), 4, ("gap", "pool2", "pool3", "pool4", "flatten")),
    "wide": Usual((2, 64), 3, ("gap", "pool2", "pool3", "pool4")),
}


@dataclass(frozen=True)
class Space:
    """What may be searched, of one of two kinds.

    The template is LightCNN's with 1 to `max_blocks` blocks, their widths, and a head. The wide space has up
    to `max_blocks` stages of blocks of other kinds as well, and a head: see `search.wide`.

    Every trial is given all the dimensions and uses the first `num_blocks` of the widths: with widths that
    depend on the number of blocks the space would have no fixed dimension, and the GP sampler, the
    multivariate TPE and the crossover of NSGA-II would model the number of blocks and the head only.

    No network of the template stands there twice: `pool<side>` is inactive where the last maps are no larger
    than its side, as there it is flatten or nothing, and so is flatten where they are single pixels, as that
    is gap.

    Raises:
        UserError: an empty range, an unknown head, one that stands there twice, or none that the images
        allow.
    """

    task: Task
    widths: tuple[int, int] = USUAL["template"].widths  # channels of a block, sampled on a log scale
    # Fewer where the images are small: each block or stage but the last halves the maps' side.
    max_blocks: int = USUAL["template"].max_blocks
    heads: tuple[str, ...] = USUAL["template"].heads
    kind: Kind = "template"  # earlier versions had nothing else

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
        if not self.narrowest():
            raise UserError(
                f"a space needs a head that images of {self.task.image_size}x{self.task.image_size} pixels "
                f"allow, but got heads={','.join(self.heads)}"
            )

    @property
    def depth(self) -> int:
        """The most blocks of a candidate, or stages: `max_blocks`, or fewer if the images allow no more."""
        return min(self.max_blocks, self.task.image_size.bit_length())

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """In the order in which they are suggested."""
        if self.kind == "wide":
            return (*wide.dimensions(self.widths, self.depth), self._heads)
        width = IntDistribution(*self.widths, log=True)
        widths = (
            Dimension(
                f"width_{block}",
                f"channels of block {block}",
                width,
                partial(_has_blocks, number=block),
            )
            for block in range(1, self.depth + 1)
        )
        depths = IntDistribution(1, self.depth)
        return (Dimension("num_blocks", "number of blocks", depths), *widths, self._heads)

    @property
    def _heads(self) -> Dimension:
        return Dimension("head", "head", CategoricalDistribution(self.heads))

    def distributions(self) -> dict[str, BaseDistribution]:
        """What `suggest` asks for, for a sampler that wants to know beforehand."""
        return {dimension.name: dimension.distribution for dimension in self.dimensions}

    def suggest(self, trial: Trial) -> Architecture | None:
        """The candidate that `trial` stands for; None if there is none, as where its head is inactive."""
        return self.architecture(
            {name: suggested(trial, name, kind) for name, kind in self.distributions().items()}
        )

    def architecture(self, parameters: Mapping[str, Any]) -> Architecture | None:
        """The candidate that Optuna's `parameters` stand for; None if there is none."""
        if self.kind == "wide":
            return wide.architecture(parameters, self.task)
        num_blocks, head = parameters["num_blocks"], parameters["head"]
        if head not in self._active_heads(num_blocks):
            return None
        widths = tuple(parameters[f"width_{block}"] for block in range(1, num_blocks + 1))
        return template(widths, head, self.task)

    def parameters(self, candidate: Architecture) -> dict[str, Any]:
        """Optuna's parameters for `candidate`, a member of the space; the inverse of `architecture`."""
        return {it.name: it.least for it in self.dimensions} | self._own_parameters(candidate)

    def _own_parameters(self, candidate: Architecture) -> dict[str, Any]:
        """Those of `parameters` on which `candidate` depends."""
        if self.kind == "wide":
            return wide.parameters(candidate, self.heads)
        widths = {f"width_{i}": block.channels for i, block in enumerate(candidate.blocks, start=1)}
        return {"num_blocks": len(widths), **widths, "head": candidate.head}

    def __contains__(self, candidate: Architecture) -> bool:
        """Whether some parameters stand for `candidate`."""
        if self.kind == "wide":
            parameters = self.parameters(candidate) if candidate.blocks else {}
            return (
                len(parameters) == len(self.dimensions)
                and all(it.holds(parameters[it.name]) for it in self.dimensions)
                and self.architecture(parameters) == candidate
            )
        low, high = self.widths
        return (
            1 <= len(candidate.blocks) <= self.depth
            and candidate.head in self._active_heads(len(candidate.blocks))
            and all(low <= block.channels <= high for block in candidate.blocks)
            and self.architecture(self.parameters(candidate)) == candidate
        )

    def coordinates(self, candidate: Architecture) -> list[float]:
        """What a model of accuracy sees, `num_coordinates` numbers, sizes by their logarithm.

        In the wide space they follow from the plan, as its dimensions say little of a network by themselves.
        Of the template there is one for each dimension.

        A width that the candidate does not have is that of its last block. Heads lie on one scale from 0,
        gap, to 1, flatten: the logarithm of the side pooled to, over that of the maps' own side.
        """
        if self.kind == "wide":
            return plan_features(candidate)
        widths = [block.channels for block in candidate.blocks]
        widths += widths[-1:] * (self.depth - len(widths))
        head = np.log(candidate.grid) / np.log(candidate.map_side) if candidate.grid > 1 else 0.0
        return [len(candidate.blocks), *np.log(widths), float(head)]

    @property
    def num_coordinates(self) -> int:
        """How many numbers `coordinates` gives."""
        return NUM_FEATURES if self.kind == "wide" else len(self.dimensions)

    def draw_parameters(self, rng: np.random.Generator) -> dict[str, Any]:
        """All of Optuna's parameters, each drawn as its random sampler draws it."""
        return {name: drawn(rng, kind) for name, kind in self.distributions().items()}

    def draw(self, rng: np.random.Generator) -> Architecture:
        """A candidate drawn at random."""
        while (candidate := self.architecture(self.draw_parameters(rng))) is None:
            pass  # such as where its head is inactive
        return candidate

    def mutated(self, candidate: Architecture, rng: np.random.Generator) -> Architecture | None:
        """A neighbour of `candidate`: one or two dimensions moved, and what they make active drawn at random.

        None if that is no candidate, or the same network.
        """
        own = self._own_parameters(candidate)
        parameters = self.draw_parameters(rng) | own
        for name in rng.choice([*own], size=min(int(rng.integers(1, 3)), len(own)), replace=False):
            parameters[name] = moved(rng, self.distributions()[name], own[name])
        found = self.architecture(parameters)
        return None if found == candidate else found

    def narrowest(self) -> list[Architecture]:
        """Of each depth and head the member with the narrowest blocks; of the wide space, its smallest."""
        low = self.widths[0]
        if self.kind == "wide":
            return wide.smallest(low, self.heads, self.task)
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


def _has_blocks(candidate: Architecture, number: int) -> bool:
    return len(candidate.blocks) >= number

"""The wide space: stages of one to three blocks, plain or separable, and how parameters stand for them.

A stage ends where maps are made smaller: its last block pools, or the first one of the next has stride 2. Its
first block changes the number of channels. Those after it have widths of their own, or the first one's with a
residual sum, with shared weights, or with both. The network's first block is plain, as an image has few
channels to convolve apart.

A parameter that a candidate has no use for (those of a stage or block that is not there; a padding of 1x1
kernels) changes nothing, and `parameters` gives it its least or first value. Nearly all parameters stand for
a candidate: only those do not that leave no maps, or smaller ones than the head asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

from optuna.distributions import CategoricalDistribution, IntDistribution

from lightcnn.architecture import MAX_TEXT, Architecture, Task
from lightcnn.block import Block
from lightcnn.errors import UserError
from search.dimensions import Dimension

MOST_BLOCKS = 3  # of a stage
CONVOLUTIONS = {  # kernel size, and whether it is separable
    "3x3": (3, False),
    "1x1": (1, False),
    "5x5": (5, False),
    "separable 3x3": (3, True),
    "separable 5x5": (5, True),
}
STEMS = ("3x3", "5x5")
ACTIVATIONS = ("ReLU", "LeakyReLU")
POOLING, STRIDE = REDUCTIONS = ("max pooling", "stride 2")
EVERYWHERE, FIRST, NOWHERE = PADDINGS = ("all blocks", "the first block", "no block")
OWN, RESIDUAL, SHARED, BOTH = LATER = ("own widths", "residual", "shared weights", "shared and residual")

Parameters = Mapping[str, Any]


def dimensions(widths: tuple[int, int], num_stages: int) -> Iterator[Dimension]:
    """What candidates of at most `num_stages` stages differ in, but for the head."""
    width, either = IntDistribution(*widths, log=True), CategoricalDistribution((False, True))
    kinds = CategoricalDistribution(tuple(CONVOLUTIONS))
    yield Dimension("num_stages", "number of stages", IntDistribution(1, num_stages))
    yield Dimension("batch_norm", "batch norm", either)
    yield Dimension("activation", "activation", CategoricalDistribution(ACTIVATIONS))
    yield Dimension("reduction", "what makes maps smaller", CategoricalDistribution(REDUCTIONS), _reduces)
    yield Dimension("pooled_last", "pooling of the last stage", either, _may_pool_last)
    yield Dimension("stem", "kernel of the first block", CategoricalDistribution(STEMS))
    for stage in range(1, num_stages + 1):
        there, later = partial(_has, stage=stage), partial(_has, stage=stage, block=2)
        for name, title, distribution, is_active in (
            ("blocks", "number of blocks", IntDistribution(1, MOST_BLOCKS), there),
            ("convolution", "convolution", kinds, later if stage == 1 else there),
            ("padded", "padding", CategoricalDistribution(PADDINGS), there),
            ("later", "later blocks", CategoricalDistribution(LATER), later),
        ):
            yield Dimension(f"{name}_{stage}", f"{title} of stage {stage}", distribution, is_active)
        for block in range(1, MOST_BLOCKS + 1):
            yield Dimension(
                f"width_{stage}_{block}",
                f"channels of block {block} of stage {stage}",
                width,
                partial(_has, stage=stage, block=block),
            )


def architecture(parameters: Parameters, task: Task) -> Architecture | None:
    """The candidate of `parameters`; None if the maps become too small for it, or its text too long."""
    num_stages, strided = parameters["num_stages"], parameters["reduction"] == STRIDE
    blocks: list[Block] = []
    for stage in range(1, num_stages + 1):
        own = _stage(parameters, stage)
        if strided and stage > 1:
            own[0] = replace(own[0], stride=2)
        if not strided and (stage < num_stages or parameters["pooled_last"]):
            own[-1] = replace(own[-1], max_pool=True)
        blocks += own
    try:
        found = _with_head(Architecture(tuple(blocks), 1, task), parameters["head"])
    except UserError:
        return None
    return None if found is None or len(str(found)) > MAX_TEXT else found


def _with_head(pooled: Architecture, head: str) -> Architecture | None:
    """`pooled` with another head than GAP; None where it is GAP after all.

    Raises:
        UserError: the maps are smaller than it asks for.
    """
    if head == "gap":
        return pooled
    grid = pooled.map_side if head == "flatten" else int(head.removeprefix("pool"))
    return replace(pooled, grid=grid) if grid > 1 else None


def _stage(parameters: Parameters, stage: int) -> list[Block]:
    """Its blocks, without what makes maps smaller."""
    kernel, separable = CONVOLUTIONS[parameters[f"convolution_{stage}"]]
    padded = parameters[f"padded_{stage}"]
    first = Block(
        parameters[f"width_{stage}_1"],
        kernel,
        padded != NOWHERE,
        max_pool=False,
        separable=separable,
        batch_norm=parameters["batch_norm"],
        leaky=parameters["activation"] == "LeakyReLU",
    )
    plain = replace(first, padded=padded == EVERYWHERE)
    if stage == 1:
        stem, _ = CONVOLUTIONS[parameters["stem"]]
        first = replace(first, kernel_size=stem, padded=padded != NOWHERE, separable=False)
    number, later = parameters[f"blocks_{stage}"] - 1, parameters[f"later_{stage}"]
    if later == OWN:
        widths = [parameters[f"width_{stage}_{block}"] for block in range(2, number + 2)]
        return [first, *(replace(plain, channels=width) for width in widths)]
    same = plain if later == SHARED else replace(plain, padded=True, residual=True)
    if later == RESIDUAL or number == 0:
        return [first, *[same] * number]
    return [first, replace(same, applications=number)]


def parameters(candidate: Architecture, heads: Sequence[str]) -> dict[str, Any]:
    """The inverse of `architecture`, for those of the parameters on which `candidate` depends.

    What it gives for no member of the space is no member's.
    """
    reduction, stages = _stages(candidate)
    first = stages[0][0]
    # As `heads` call it: flatten is average pooling to the maps' own side, too.
    head = candidate.head if candidate.head in heads else f"pool{candidate.grid}"
    found: dict[str, Any] = {
        "num_stages": len(stages),
        "batch_norm": first.batch_norm,
        "activation": ACTIVATIONS[first.leaky],
        "reduction": reduction,
        "pooled_last": candidate.blocks[-1].max_pool,
        "stem": _convolution(first),
        "head": head,
    }
    for number, (entry, *rest) in enumerate(stages, start=1):
        times = sum(block.applications for block in rest)
        padded = FIRST if not all(block.padded for block in rest) else EVERYWHERE
        later = LATER[any(block.residual for block in rest) + 2 * (len(rest) < times)]
        found |= {
            f"blocks_{number}": 1 + times,
            f"padded_{number}": padded if entry.padded else NOWHERE,
            f"later_{number}": later,
        }
        if number > 1 or rest:
            found[f"convolution_{number}"] = _convolution(entry if number > 1 else rest[0])
        widths = [block.channels for block in (entry, *(rest if later == OWN else ()))]
        found |= {f"width_{number}_{block}": width for block, width in enumerate(widths, start=1)}
    return found


def _convolution(block: Block) -> str:
    return "separable " * block.separable + f"{block.kernel_size}x{block.kernel_size}"


def _stages(candidate: Architecture) -> tuple[str, list[list[Block]]]:
    """What makes maps smaller, and the blocks of each stage; no stages where there are no blocks."""
    strided = any(block.stride == 2 for block in candidate.blocks)
    stages: list[list[Block]] = []
    begins = True
    for block in candidate.blocks:
        if begins or block.stride == 2:
            stages.append([])
        stages[-1].append(block)
        begins = block.max_pool
    return (STRIDE if strided else POOLING), stages


def smallest(width: int, heads: Sequence[str], task: Task) -> list[Architecture]:
    """Of each head and stem the networks of a single block: none has less of anything that costs."""
    found = []
    for head, kernel, padded, pooled in product(heads, (3, 5), (True, False), (True, False)):
        with suppress(UserError):
            block = Block(width, kernel, padded, pooled)
            found.append(_with_head(Architecture((block,), 1, task), head))
    return [it for it in found if it is not None]


def _has(candidate: Architecture, stage: int, block: int = 1) -> bool:
    """Whether the candidate has the stage, and in it so many blocks that stand there by themselves."""
    _, stages = _stages(candidate)
    return len(stages) >= stage and len(stages[stage - 1]) >= block


def _reduces(candidate: Architecture) -> bool:
    return any(block.max_pool or block.stride == 2 for block in candidate.blocks)


def _may_pool_last(candidate: Architecture) -> bool:
    return _stages(candidate)[0] == POOLING

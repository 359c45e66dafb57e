"""Architecture: a frozen description of everything that can be trained, with a text form and a plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from lightcnn.block import Block, append_block, parse_block
from lightcnn.errors import UserError
from lightcnn.operations import AveragePool, Flatten, Input, Linear, Operation, Relu, Shape


@dataclass(frozen=True)
class Task:
    """What a data set asks of a network: square images in, a score for each class out."""

    image_size: int  # pixels a side
    in_channels: int
    num_classes: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise UserError(f"a task needs {name} of at least 1, but got {name}={value}")


@dataclass(frozen=True)
class Architecture:
    """Convolution blocks, average pooling of the last maps to a `grid` x `grid` raster, and linear layers.

    `grid` is one scale with global average pooling (1) at one end and flatten (the maps' own side) at the
    other. `hidden` holds the widths of the linear layers before the one that gives the class scores.
    Equal values are the same network, so `dataclasses.replace` makes a variant.

    The text form names the blocks' channels, the head and the hidden widths: `8-16-32-gap`,
    `8-16-32-flatten-128`, `4-pool2`, `flatten-512-256`. Every block but the last ends in max pooling. A block
    that differs says so after its channels, in this order: `k5` kernel size 5, `s` separable, `v` no padding
    ("valid"), `b` batch norm, `l` LeakyReLU, `r` residual sum, `x2` applied 2 times with the same weights,
    and one of `p` pools although it is last, `n` does not pool although it is not, `d` stride 2 instead.
    LeNet-5 is `6k5-16k5vp-flatten-120-84`.

    Raises:
        UserError: a width below 1, an even kernel, an image too small for the blocks, or a grid larger than
            the last maps.
    """

    blocks: tuple[Block, ...]
    grid: int
    task: Task
    hidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.hidden):
            raise UserError(f"a hidden layer needs at least 1 unit, but got hidden={self.hidden}")
        side = self.map_side
        if not 1 <= self.grid <= side:
            raise UserError(
                f"the last maps can be pooled to a side of 1 to {side}, their own, but got grid={self.grid}"
            )

    @cached_property
    def map_side(self) -> int:
        """Side of the maps that leave the last block; of the image if there are no blocks."""
        return _map_side(self.blocks, self.task)

    @property
    def head(self) -> str:
        """`gap`, `flatten` or `pool<grid>`."""
        if self.grid == 1:
            return "gap"
        return "flatten" if self.grid == self.map_side else f"pool{self.grid}"

    def __str__(self) -> str:
        return self._text

    @cached_property  # as a search looks thousands of them up at every step
    def _text(self) -> str:
        last = len(self.blocks) - 1
        blocks = [block.text(is_last=i == last) for i, block in enumerate(self.blocks)]
        return "-".join([*blocks, self.head, *map(str, self.hidden)])


def plan(architecture: Architecture) -> tuple[Operation, ...]:
    """The operations of `architecture` in order, from the image to the class scores.

    Activations stand after max pooling: the same function as before it, on a quarter of the elements. Maps
    that have the grid's side already are not pooled.

    >>> for operation in plan(parse("4-pool2", Task(image_size=28, in_channels=1, num_classes=10))):
    ...     print(operation.name, operation.output_shape, operation.num_parameters)
    image (1, 28, 28) 0
    conv 3x3 1-4 (4, 28, 28) 40
    ReLU (4, 28, 28) 0
    average pooling to 2x2 (4, 2, 2) 0
    flatten (16,) 0
    linear 16-10 (10,) 170
    """
    operations = [*_convolutional_part(architecture.blocks, architecture.task)]

    def shape() -> Shape:
        return operations[-1].output_shape

    if architecture.grid != shape()[1]:
        operations.append(AveragePool(shape(), architecture.grid))
    operations.append(Flatten(shape()))
    for units in architecture.hidden:
        operations.append(Linear(shape(), units))
        operations.append(Relu(shape()))
    operations.append(Linear(shape(), architecture.task.num_classes))
    return tuple(operations)


def num_features(architecture: Architecture) -> int:
    """Inputs of the first linear layer."""
    return next(operation.input_shape[0] for operation in plan(architecture) if isinstance(operation, Linear))


@lru_cache(maxsize=4096)  # as an architecture is made, compared with others of its blocks, and counted
def _convolutional_part(blocks: tuple[Block, ...], task: Task) -> tuple[Operation, ...]:
    """The image and the operations of the blocks.

    Raises:
        UserError: the maps that reach a block do not allow it.
    """
    side = task.image_size
    operations: list[Operation] = [Input((task.in_channels, side, side))]
    for number, block in enumerate(blocks, start=1):
        append_block(operations, block, f"block {number} of {len(blocks)}")
    return tuple(operations)


def _map_side(blocks: tuple[Block, ...], task: Task) -> int:
    return _convolutional_part(blocks, task)[-1].output_shape[1]


def template(channels: tuple[int, ...], head: str, task: Task, hidden: tuple[int, ...] = ()) -> Architecture:
    """The LightCNN template: 3x3 blocks, max pooling after each but the last, then `head` and `hidden`.

    Args:
        channels: of each block.
        head: `gap`, `flatten` or `pool<grid>`.
    """
    last = len(channels) - 1
    blocks = tuple(Block(width, max_pool=i != last) for i, width in enumerate(channels))
    return Architecture(blocks, _grid(head, blocks, task), task, hidden)


MAX_TEXT = 200  # characters: it names files
_HEAD = re.compile(r"gap|flatten|pool(?P<grid>[0-9]{1,4})")
_WIDTH = re.compile(r"[0-9]{1,6}")


def parse(text: str, task: Task) -> Architecture:
    """The architecture that `text` names; `parse(str(a), a.task) == a`.

    Raises:
        UserError: the text does not follow the form, or names an impossible network.
    """
    if len(text) > MAX_TEXT:
        raise _unreadable(f"{text[:20]}...", f"it is longer than {MAX_TEXT} characters")
    words = text.split("-")
    heads = [i for i, word in enumerate(words) if _HEAD.fullmatch(word)]
    if len(heads) != 1:
        raise _unreadable(text, "it needs exactly one of gap, flatten and pool<side>")
    block_words, head, hidden = words[: heads[0]], words[heads[0]], words[heads[0] + 1 :]
    for word in hidden:
        if not _WIDTH.fullmatch(word):
            raise _unreadable(text, f"{word!r} is not the width of a hidden layer")
    last = len(block_words) - 1
    blocks = tuple(_parse_block(word, text, is_last=i == last) for i, word in enumerate(block_words))
    return Architecture(blocks, _grid(head, blocks, task), task, tuple(map(int, hidden)))


def _parse_block(word: str, text: str, is_last: bool) -> Block:
    block = parse_block(word, is_last)
    if block is None:
        raise _unreadable(text, f"{word!r} is not a block")
    return block


def _grid(head: str, blocks: tuple[Block, ...], task: Task) -> int:
    match = _HEAD.fullmatch(head)
    if match is None:
        raise UserError(f"a head is gap, flatten or pool<side>, but got head={head!r}")
    if head == "gap":
        return 1
    return _map_side(blocks, task) if head == "flatten" else int(match["grid"])


def _unreadable(text: str, why: str) -> UserError:
    return UserError(
        f"an architecture reads like 8-16-32-gap, 8-16-32-flatten-128 or 4-pool2, but got {text!r}: {why}"
    )

"""Architecture: a frozen description of everything that can be trained, with a text form that parses back."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """What a data set asks of a network: square images in, a score for each class out."""

    image_size: int  # pixels a side
    in_channels: int
    num_classes: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"a task needs {name} of at least 1, but got {name}={value}")


@dataclass(frozen=True)
class Block:
    """A convolution with ReLU and, if `max_pool`, 2x2 max pooling."""

    channels: int
    kernel_size: int = 3
    padded: bool = True  # padding keeps the maps' size; False: no padding
    max_pool: bool = True

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise ValueError(f"a block needs at least 1 channel, but got channels={self.channels}")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"a kernel size must be odd, but got kernel_size={self.kernel_size}")

    @property
    def padding(self) -> int:
        """Pixels of zero padding on each side of the maps."""
        return self.kernel_size // 2 if self.padded else 0

    def convolved_side(self, side: int) -> int:
        """Side of the maps after the convolution, before pooling."""
        return side + 2 * self.padding - self.kernel_size + 1

    def output_side(self, side: int) -> int:
        """Side of the maps that leave the block."""
        return self.convolved_side(side) // (2 if self.max_pool else 1)


@dataclass(frozen=True)
class Architecture:
    """Convolution blocks, average pooling of the last maps to a `grid` x `grid` raster, and linear layers.

    `grid` is one scale with global average pooling (1) at one end and flatten (the maps' own side) at the
    other. `hidden` holds the widths of the linear layers before the one that gives the class scores.
    Equal values are the same network, so `dataclasses.replace` makes a variant.

    The text form names the blocks' channels, the head and the hidden widths: `8-16-32-gap`,
    `8-16-32-flatten-128`, `4-pool2`, `flatten-512-256`. Every block but the last ends in max pooling. A block
    that differs says so after its channels: `k5` kernel size 5, `v` no padding ("valid"), `p` pools although
    it is last, `n` does not pool although it is not. LeNet-5 is `6k5-16k5vp-flatten-120-84`.

    Raises:
        ValueError: a width below 1, an even kernel, an image too small for the blocks, or a grid larger than
            the last maps.
    """

    blocks: tuple[Block, ...]
    grid: int
    task: Task
    hidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"a hidden layer needs at least 1 unit, but got hidden={self.hidden}")
        side = last_side(self.blocks, self.task.image_size)
        if not 1 <= self.grid <= side:
            raise ValueError(
                f"the last maps can be pooled to a side of 1 to {side}, their own, but got grid={self.grid}"
            )

    @property
    def map_side(self) -> int:
        """Side of the maps that leave the last block; of the image if there are no blocks."""
        return last_side(self.blocks, self.task.image_size)

    @property
    def head(self) -> str:
        """`gap`, `flatten` or `pool<grid>`."""
        if self.grid == 1:
            return "gap"
        return "flatten" if self.grid == self.map_side else f"pool{self.grid}"

    def __str__(self) -> str:
        last = len(self.blocks) - 1
        blocks = [_block_text(block, is_last=i == last) for i, block in enumerate(self.blocks)]
        return "-".join([*blocks, self.head, *map(str, self.hidden)])


def last_side(blocks: tuple[Block, ...], image_size: int) -> int:
    """Side of the maps that leave the last of `blocks`.

    Raises:
        ValueError: a block would leave maps of no pixels.
    """
    side = image_size
    for number, block in enumerate(blocks, start=1):
        out = block.output_side(side)
        if out < 1:
            raise ValueError(
                f"each block must leave maps of at least 1x1 pixels, but block {number} of {len(blocks)} "
                f"gets {side}x{side} and leaves none: image_size={image_size} is too small for these blocks"
            )
        side = out
    return side


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
_BLOCK = re.compile(r"(?P<channels>[0-9]{1,6})(k(?P<kernel>[0-9]{1,3}))?(?P<valid>v)?(?P<pool>[pn])?")
_HEAD = re.compile(r"gap|flatten|pool(?P<grid>[0-9]{1,4})")
_WIDTH = re.compile(r"[0-9]{1,6}")


def parse(text: str, task: Task) -> Architecture:
    """The architecture that `text` names; `parse(str(a), a.task) == a`.

    Raises:
        ValueError: the text does not follow the form, or names an impossible network.
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
    match = _BLOCK.fullmatch(word)
    if match is None:
        raise _unreadable(text, f"{word!r} is not a block")
    return Block(
        channels=int(match["channels"]),
        kernel_size=int(match["kernel"] or 3),
        padded=match["valid"] is None,
        max_pool=match["pool"] == "p" or (match["pool"] is None and not is_last),
    )


def _block_text(block: Block, is_last: bool) -> str:
    kernel = "" if block.kernel_size == 3 else f"k{block.kernel_size}"
    valid = "" if block.padded else "v"
    pool = {True: "p", False: "n"}[block.max_pool] if block.max_pool == is_last else ""
    return f"{block.channels}{kernel}{valid}{pool}"


def _grid(head: str, blocks: tuple[Block, ...], task: Task) -> int:
    match = _HEAD.fullmatch(head)
    if match is None:
        raise ValueError(f"a head is gap, flatten or pool<side>, but got head={head!r}")
    if head == "gap":
        return 1
    return last_side(blocks, task.image_size) if head == "flatten" else int(match["grid"])


def _unreadable(text: str, why: str) -> ValueError:
    return ValueError(
        f"an architecture reads like 8-16-32-gap, 8-16-32-flatten-128 or 4-pool2, but got {text!r}: {why}"
    )

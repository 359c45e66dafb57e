"""Block: one convolution with all that belongs to it, its word in the text form, and its operations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lightcnn.errors import UserError
from lightcnn.operations import Add, BatchNorm, Convolution, LeakyRelu, MaxPool, Operation, Relu, Shape


@dataclass(frozen=True)
class Block:
    """A convolution, batch norm, a residual sum, 2x2 max pooling, and an activation, in this order.

    Only convolution and activation are always there. A separable convolution is a depthwise one, a channel
    for each of its input, and a 1x1 convolution of them, with nothing in between (Howard et al., 2017,
    MobileNets). The residual sum adds what the block reads (He et al., 2015).

    A block of several applications is applied to its own output again, with the same weights, a batch norm's
    shift included; each application has statistics of its own. Pooling follows the last.

    Raises:
        UserError: a value out of its range, or two that do not go together.
    """

    channels: int
    kernel_size: int = 3
    padded: bool = True  # padding keeps the maps' size; False: no padding, where a kernel has any
    max_pool: bool = True
    separable: bool = False
    batch_norm: bool = False
    leaky: bool = False  # LeakyReLU instead of ReLU
    stride: int = 1  # 2: it skips every other row and column, instead of pooling
    residual: bool = False
    applications: int = 1

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise UserError(f"a block needs at least 1 channel, but got channels={self.channels}")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise UserError(f"a kernel size must be odd, but got kernel_size={self.kernel_size}")
        if self.stride not in (1, 2):
            raise UserError(f"a block's stride is 1 or 2, but got stride={self.stride}")
        if self.applications < 1:
            raise UserError(f"a block is applied at least once, but got applications={self.applications}")
        for is_so, rule in (
            (self.separable and self.kernel_size == 1, "a separable block needs a kernel of 3 or more"),
            (self.stride == 2 and self.max_pool, "a block has max pooling or stride 2, not both"),
            (self.stride == 2 and self.residual, "a block with a residual sum has stride 1"),
            (self.stride == 2 and self.applications > 1, "a block applied several times has stride 1"),
        ):
            if is_so:
                raise UserError(f"{rule}, but got {self._word()}")
        if self.kernel_size == 1:  # has no padding to leave out
            object.__setattr__(self, "padded", True)

    def text(self, is_last: bool) -> str:
        """The block's word in an architecture's text; `is_last` decides what goes without saying."""
        reduction = self._reduction()
        return self._word() + ("" if reduction == _usual_reduction(is_last) else reduction)

    def _reduction(self) -> str:
        return "d" if self.stride == 2 else "p" if self.max_pool else "n"

    def _word(self) -> str:
        """All but how the block makes its maps smaller."""
        return "".join(
            (
                str(self.channels),
                "" if self.kernel_size == 3 else f"k{self.kernel_size}",
                "s" * self.separable,
                "v" * (not self.padded),
                "b" * self.batch_norm,
                "l" * self.leaky,
                "r" * self.residual,
                "" if self.applications == 1 else f"x{self.applications}",
            )
        )


_WORD = re.compile(
    r"(?P<channels>[0-9]{1,6})(k(?P<kernel>[0-9]{1,3}))?(?P<separable>s)?(?P<valid>v)?(?P<norm>b)?(?P<leaky>l)?"
    r"(?P<residual>r)?(x(?P<applications>[0-9]{1,2}))?(?P<reduction>[pnd])?"
)


def parse_block(word: str, is_last: bool) -> Block | None:
    """The block that `word` stands for; None if it is no word for one.

    Raises:
        UserError: the block is impossible.
    """
    match = _WORD.fullmatch(word)
    if match is None:
        return None
    reduction = match["reduction"] or _usual_reduction(is_last)
    return Block(
        channels=int(match["channels"]),
        kernel_size=int(match["kernel"] or 3),
        padded=match["valid"] is None,
        max_pool=reduction == "p",
        separable=match["separable"] is not None,
        batch_norm=match["norm"] is not None,
        leaky=match["leaky"] is not None,
        stride=2 if reduction == "d" else 1,
        residual=match["residual"] is not None,
        applications=int(match["applications"] or 1),
    )


def _usual_reduction(is_last: bool) -> str:
    return "n" if is_last else "p"


def append_block(operations: list[Operation], block: Block, which: str) -> None:
    """Append the operations of `block` to those before it, the first of which is the image.

    Args:
        which: how an error calls the block.

    Raises:
        UserError: the maps that reach the block do not allow it.
    """
    begin = len(operations)
    before = operations[-1].output_shape
    if block.applications > 1 and before[0] != block.channels:
        raise UserError(
            f"a block applied several times must have as many channels as it reads, but {which} reads "
            f"{before[0]} and has {block.channels}"
        )
    padding = block.kernel_size // 2 if block.padded else 0
    if block.stride == 2 and before[1] + 2 * padding - block.kernel_size == 0:
        raise UserError(f"stride 2 must make maps smaller, but {which} makes 1x1 of them without it")
    for application in range(block.applications):
        own = len(operations)
        entry = operations[-1].output_shape
        kernel, around, stride = block.kernel_size, padding, block.stride
        if block.separable:
            shares = _twin(operations, own, begin)
            operations.append(Convolution(entry, entry[0], kernel, around, stride, True, False, shares))
            kernel, around, stride = 1, 0, 1
        shares = _twin(operations, own, begin)
        operations.append(
            Convolution(
                operations[-1].output_shape,
                block.channels,
                kernel,
                around,
                stride,
                bias=not block.batch_norm,
                shares=shares,
            )
        )
        if block.batch_norm:
            operations.append(BatchNorm(operations[-1].output_shape, _twin(operations, own, begin)))
        made = operations[-1].output_shape
        if block.residual:
            if made != entry:
                raise UserError(
                    f"a residual sum needs maps of one shape, but {which} makes {_by(made)} of {_by(entry)}"
                )
            operations.append(Add(made, own - 1))
        if block.max_pool and application + 1 == block.applications:
            operations.append(MaxPool(made))
        after = operations[-1].output_shape
        if after[1] < 1:
            side = before[1]
            raise UserError(
                f"each block must leave maps of at least 1x1 pixels, but {which} gets {side}x{side} and "
                f"leaves none: image_size={operations[0].output_shape[1]} is too small for these blocks"
            )
        operations.append(LeakyRelu(after) if block.leaky else Relu(after))


def _twin(operations: Sequence[Operation], own: int, begin: int) -> int | None:
    """Where what comes next stands in the first application, which began at `begin`, as this one at `own`."""
    return begin + len(operations) - own if own > begin else None


def _by(shape: Shape) -> str:
    return "x".join(map(str, shape))

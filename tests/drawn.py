"""Hypothesis strategies: architectures that hold all that a plan can."""

from hypothesis import strategies as st

from lightcnn.architecture import Architecture, Task
from lightcnn.block import Block


@st.composite
def blocks(draw, max_channels=9, kernels=(1, 3, 5)):
    """A block of the template or a wider one, half of them each; some are impossible, and drawn again."""
    channels, kernel = draw(st.integers(1, max_channels)), draw(st.sampled_from(kernels))
    padded, reduction = draw(st.booleans()), draw(st.sampled_from("pn"))
    if draw(st.booleans()):
        return Block(channels, kernel, padded, reduction == "p")
    stride = draw(st.sampled_from([1, 1, 2]))
    return Block(
        channels,
        kernel,
        padded,
        max_pool=reduction == "p" and stride == 1,
        separable=kernel > 1 and draw(st.booleans()),
        batch_norm=draw(st.booleans()),
        leaky=draw(st.booleans()),
        stride=stride,
        residual=stride == 1 and draw(st.booleans()),
        applications=draw(st.integers(1, 3)) if stride == 1 else 1,
    )


@st.composite
def architectures(draw, sides=(5, 40), max_blocks=5, **of_blocks):
    """Any architecture; blocks that the maps before them do not allow are left out."""
    task = Task(draw(st.integers(*sides)), draw(st.integers(1, 4)), draw(st.integers(2, 12)))
    chosen: tuple[Block, ...] = ()
    channels = task.in_channels
    for _ in range(draw(st.integers(0, max_blocks))):
        block = draw(blocks(**of_blocks))
        if block.residual or block.applications > 1:  # which need as many channels as there are
            block = Block(**{**vars(block), "channels": channels})
        try:
            Architecture((*chosen, block), 1, task)
        except ValueError:
            continue
        chosen, channels = (*chosen, block), block.channels
    grid = draw(st.integers(1, Architecture(chosen, 1, task).map_side))
    return Architecture(chosen, grid, task, tuple(draw(st.lists(st.integers(1, 20), max_size=3))))

"""What a model of accuracy sees of any network: numbers that follow from its plan of operations."""

from __future__ import annotations

from math import log, log2

from lightcnn.architecture import Architecture, plan
from lightcnn.cost import num_macs, peak_activation_bytes
from lightcnn.operations import Add, BatchNorm, Convolution, LeakyRelu, MaxPool

NUM_LEVELS = 4  # of resolution: the image's own, a half, a quarter, and an eighth or less
NUM_FEATURES = 2 * NUM_LEVELS + 13


def plan_features(architecture: Architecture) -> list[float]:
    """NUM_FEATURES numbers; sizes and channels by their logarithm.

    Of each level of resolution, how many convolutions look around (larger than 1x1) and the most channels;
    of the whole network, how it is made and what the last maps see of the image.
    """
    operations = plan(architecture)
    image = architecture.task.image_size
    looks, channels = [0.0] * NUM_LEVELS, [0.0] * NUM_LEVELS
    field = step = 1  # pixels of the image that an output sees along a side, and from one to the next
    convolutions = [it for it in operations if isinstance(it, Convolution)]
    for operation in operations:
        if isinstance(operation, MaxPool):
            field, step = field + step, step * 2
        if isinstance(operation, Convolution):
            side = operation.output_shape[1]
            level = min(max(round(log2(image / side)), 0), NUM_LEVELS - 1)
            looks[level] += operation.kernel_size > 1
            channels[level] = max(channels[level], log(1 + operation.channels))
            field += (operation.kernel_size - 1) * step
            step *= operation.stride
    looking = [it for it in convolutions if it.kernel_size > 1]

    def share(chosen: list[Convolution]) -> float:
        return len(chosen) / max(len(looking), 1)

    return [
        *looks,
        *channels,
        log(num_macs(architecture)),
        log(peak_activation_bytes(architecture)),
        len(convolutions),
        share([it for it in looking if it.depthwise]),
        share([it for it in looking if it.kernel_size > 3]),
        share([it for it in looking if it.padding]),
        sum(isinstance(it, Convolution) and it.shares is not None for it in operations),
        sum(isinstance(it, Add) for it in operations),
        sum(isinstance(it, Convolution) and it.stride == 2 for it in operations),
        any(isinstance(it, BatchNorm) for it in operations),
        any(isinstance(it, LeakyRelu) for it in operations),
        log(architecture.grid),
        min(field / image, 2.0),
    ]

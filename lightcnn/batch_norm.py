"""Batch norm in PyTorch: a shift and no scale, statistics that are settled before a network is measured."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

EPSILON = 1e-5  # added to the variance
SETTLED_ON = 5_000  # training images, as many as validation: statistics of maps need no more


class ShiftedNorm(nn.Module):
    """Batch norm by the batch's own statistics in training, else by those that `settle` left.

    bias: the shift of another norm, where a block is applied several times.
    """

    def __init__(self, channels: int, bias: nn.Parameter | None = None) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels)) if bias is None else bias
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        return torch.batch_norm(
            maps,
            weight=torch.ones_like(self.bias),  # PyTorch's kernels for GPUs ask for a scale, too
            bias=self.bias,
            running_mean=None if self.training else self.mean,
            running_var=None if self.training else self.variance,
            training=self.training,
            momentum=0.0,
            eps=EPSILON,
            cudnn_enabled=torch.backends.cudnn.enabled,
        )


def settled_batches(num_images: int, batch_size: int) -> int:
    """Of so many training images, from how many batches statistics are taken: whole ones, or the only one."""
    return max(min(num_images, SETTLED_ON) // batch_size, 1)


def settle(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Leave in each norm of `network` the statistics of what reaches it; it must be in training mode.

    They are those over `batches` of images, (B, C, H, W), all of one size, each of which is normalised by its
    own on the way, as in training. So they follow from the weights alone, which a running mean would lag
    behind. Source: Wu and Johnson (2021), Rethinking "Batch" in BatchNorm, section 3.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, ShiftedNorm)]
    if not norms:
        return
    moments: dict[nn.Module, list[Tensor]] = {norm: [] for norm in norms}

    def watch(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        maps = inputs[0].double()
        moments[norm].append(torch.stack([maps.mean(dim=(0, 2, 3)), maps.square().mean(dim=(0, 2, 3))]))

    hooks = [norm.register_forward_pre_hook(watch) for norm in norms]
    try:
        with torch.no_grad():
            for images in batches:
                network(images)
    finally:
        for hook in hooks:
            hook.remove()
    for norm in norms:
        mean, square = torch.stack(moments[norm]).mean(dim=0)
        norm.mean.copy_(mean)
        norm.variance.copy_((square - mean.square()).clamp(min=0))

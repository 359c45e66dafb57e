"""Affine augmentation: a copy of the training images for each epoch, a little moved, turned and stretched."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor
from torch.nn import functional

# After so many epochs the copies come again. So what a teacher makes of them can be computed once for all
# runs, which is why a run's own seed has no part in them either.
NUM_COPIES = 32
# At strength 1 every image is moved along both axes, turned, stretched along both and sheared, each evenly
# distributed up to these.
SHIFT = 1 / 28  # of the side
TURN = 0.0875  # tangent of half the angle: 10 degrees
STRETCH = 0.1
SHEAR = 0.1
_CHUNK = 1_000  # images: bounds memory


def augmented(images: Tensor, strength: float, epoch: int, library: ctypes.CDLL | None = None) -> Tensor:
    """The copy of the training images that a 0-based `epoch` has; black where an image ends.

    The copy follows from `strength` and `epoch` alone: with `library` bit for bit, on any CPU.

    Args:
        images: (num_images, channels, side, side), float32, contiguous.
        strength: 1 is up to a pixel in 28, 10 degrees, 10 % stretched along each axis, and 10 % sheared.
        library: the compiled engine, three times as fast; None: PyTorch, on the images' device.
    """
    num_images, channels, side, _ = images.shape
    maps = drawn_maps(num_images, side, strength, epoch % NUM_COPIES)
    copies = torch.empty_like(images)
    if library is not None:
        assert images.dtype == torch.float32 and images.is_contiguous() and images.device.type == "cpu"
        library.resample_images(
            images.data_ptr(), num_images, channels, side, maps.data_ptr(), copies.data_ptr()
        )
        return copies
    maps = maps.to(images.device)
    numbers = torch.arange(side, dtype=torch.float32, device=images.device)
    y, x = torch.meshgrid(numbers, numbers, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # (side, side, 3)
    for of_images, of_maps, to in zip(
        *(torch.split(whole, _CHUNK) for whole in (images, maps, copies)), strict=True
    ):
        read_at = torch.einsum("hwc,nrc->nhwr", pixels, of_maps)
        to.copy_(functional.grid_sample(of_images, (2 * read_at + 1) / side - 1, align_corners=False))
    return copies


def drawn_maps(num_images: int, side: int, strength: float, draw: int) -> Tensor:
    """Where each pixel of a copy is read in its image, (num_images, 2, 3), float32.

    Pixel (x, y) is read at `map @ (x, y, 1)`. All about the centre: stretched, sheared, turned, then moved.
    """
    generator = torch.Generator().manual_seed(draw)
    uniform = 2 * torch.rand(6, num_images, generator=generator, dtype=torch.float64) - 1
    # Nothing but sums, products and quotients, which are the same on any CPU, as sines need not be.
    right, down = strength * SHIFT * side * uniform[:2]
    half = strength * TURN * uniform[2]
    cosine, sine = (1 - half**2) / (1 + half**2), 2 * half / (1 + half**2)
    across, along = 1 + strength * STRETCH * uniform[3:5]
    shear = strength * SHEAR * uniform[5]
    first = torch.stack([cosine / across, shear * cosine / across - sine / along])
    second = torch.stack([sine / across, shear * sine / across + cosine / along])
    centre = (side - 1) / 2
    rows = [
        torch.stack([*row, centre * (1 - row.sum(0)) + moved])
        for row, moved in ((first, right), (second, down))
    ]
    return torch.stack(rows).permute(2, 0, 1).float().contiguous()

"""An image file -> the pixels that a network sees: upright, on a background, in one colour mode and size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps
from PIL.ExifTags import Base

from lightcnn.data import WHITE, DataError

GREY_MODES = ("1", "L", "LA", "La")  # Pillow's names; those of more than 8 bits a channel start with I or F


class Done(Enum):
    """What was done to an image beside its decoding, as the page tells it of a number of them."""

    TURNED = "turned upright, as their EXIF orientation says"
    FLATTENED = "with transparent parts, laid on {background}"
    RESIZED = "of another size, resized to this"
    FIRST_FRAME = "of several frames, of which the first was taken"


@dataclass(frozen=True)
class Preprocessing:
    """What is done to any image before the network sees it; a file's card and metadata say the same.

    Turned upright (EXIF orientation), laid on `background` where it is transparent, converted to `mode`, and
    resized to a square of `side` pixels whatever its proportions: Pillow's bilinear filter, antialiased, as
    torchvision's Resize, across the columns and then across the rows. Where the size fits, nothing changes.
    """

    side: int
    mode: str  # Pillow's: "L" or "RGB"
    background: str = WHITE  # as `colour` gives it

    def pixels(self, image: Image.Image) -> tuple[np.ndarray, set[Done]]:
        """The pixels of `image`, (channels, side, side), uint8, and what was done for them."""
        turned, is_animated = _is_turned(image), getattr(image, "is_animated", False)  # a TIFF forgets both
        rgba = upright(image)
        ground = Image.new("RGBA", rgba.size, self.background)
        flat = Image.alpha_composite(ground, rgba).convert(self.mode)
        # Columns, then rows: in one call Pillow 13 takes those of a tall image in the other order than 12.
        resized = flat
        for size in ((self.side, flat.height), (self.side, self.side)):
            resized = resized.resize(size, Image.Resampling.BILINEAR)
        done = {
            Done.TURNED: turned,
            Done.FLATTENED: rgba.getchannel("A").getextrema() != (255, 255),
            Done.RESIZED: flat.size != resized.size,
            Done.FIRST_FRAME: is_animated,
        }
        pixels = np.asarray(resized).reshape(self.side, self.side, len(self.mode)).transpose(2, 0, 1)
        return pixels, {what for what, is_so in done.items() if is_so}


def upright(image: Image.Image) -> Image.Image:
    """`image` as a viewer shows it, in the mode RGBA; of an animation the first frame."""
    return ImageOps.exif_transpose(image).convert("RGBA")


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image of 8 bits a channel; what goes wrong with it within the block is a DataError."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"its mode is {image.mode}")  # Pillow would clip its values at 255
            yield image
    except Exception as error:  # Pillow's decoders raise whatever they run into
        raise DataError(f"{path} must be a readable image of 8 bits a channel, but: {error}") from error


def is_grey(image: Image.Image, background: str) -> bool:
    """Whether `image`, of which no more than the header need be read, has no colour, laid on `background`."""
    ground_is_grey = len({*ImageColor.getrgb(background)}) == 1
    return image.mode in GREY_MODES and (ground_is_grey or not image.has_transparency_data)


def colour(text: str) -> str:
    """The colour that `text` names for Pillow (`white`, `#fff`, `rgb(255, 255, 255)`), as #rrggbb.

    Raises:
        ValueError: it names none, or one that is itself transparent.
    """
    red, green, blue, alpha = (*ImageColor.getrgb(text), 255)[:4]
    if alpha != 255:
        raise ValueError(f"{text!r} is transparent itself")
    return f"#{red:02x}{green:02x}{blue:02x}"


def _is_turned(image: Image.Image) -> bool:
    return image.getexif().get(Base.Orientation, 1) in range(2, 9)

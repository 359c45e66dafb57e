"""ONNX that takes an image as it was decoded, of any size, and does the preprocessing itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from lightcnn.data import DATASETS, Dataset
from lightcnn.decoding import Preprocessing, opened, upright
from lightcnn.errors import Failure
from lightcnn.image_files import list_parts
from search.export.onnx_file import IR_VERSION, OPSET, session_of
from search.export.preprocessing import RAW_INPUT, preprocessing_of
from search.export.templates import template

NUM_FILES = 200  # training files that the pixels are compared on, where the images are a user's own
# And noise of these heights and widths, from a pixel to a photograph's proportions.
NOISE = [(1, 1), (1, 90), (90, 1), (7, 5), (28, 28), (64, 64), (65, 63), (120, 80), (200, 31), (480, 640)]

TIMED = (240, 320)  # height and width of the raw image that the clock is held to

Pixels = NDArray[np.uint8]  # (height, width, 4), RGBA, upright


def front(it: Preprocessing) -> Any:
    """The preprocessing as ONNX: `image`, uint8, (height, width, 4) -> `pixels`, float32, (1, C, S, S).

    Its integers are Pillow's: AlphaComposite.c for the ground, Convert.c for grey, Resample.c for the size.
    There an output pixel is a sum of 22-bit fractions, rounded to a byte after the columns and the rows each;
    here either is a product with a matrix built from the shape, whose sums are exact in double precision.
    """
    from onnx import checker, parser

    text = template("preprocessing.onnx.j2").render(
        ir_version=IR_VERSION,
        opset=OPSET,
        raw_input=RAW_INPUT,
        channels=len(it.mode),
        side=it.side,
        middles=[number + 0.5 for number in range(it.side)],
        ground=ImageColor.getrgb(it.background),
    )
    model = parser.parse_model(text)
    checker.check_model(model, full_check=True)
    return model


def behind_preprocessing(dataset: Dataset, content: bytes) -> tuple[bytes, str]:
    """The ONNX network in `content` behind the preprocessing of `dataset`; how that was checked, in words.

    Raises:
        Failure: a pixel is not the one that the tool's own decoding gives.
    """
    import onnx

    it = preprocessing_of(dataset)
    first = front(it)
    joined = onnx.compose.merge_models(
        first, onnx.load_model_from_string(content), io_map=[("pixels", "images")], name="network"
    )
    del joined.opset_import[1:]  # the same one again
    session = session_of(first.SerializeToString())
    num_images = 0
    for rgba in _examples(dataset):
        expected, _ = it.pixels(Image.fromarray(rgba))
        (found,) = session.run(["pixels"], {RAW_INPUT: rgba})
        if not np.array_equal(found[0], expected.astype(np.float32) / 255):
            height, width, _ = rgba.shape
            raise Failure(
                "the preprocessing in ONNX must give the pixels of the tool's own decoding, but does not for "
                f"an image of {width}x{height} pixels"
            )
        num_images += 1
    checked = (
        f"its preprocessing gives the pixels of the tool's own decoding, bit for bit, for {num_images:,} "
    )
    return joined.SerializeToString(), checked + "images of many sizes"


def ready_for_raw(content: bytes) -> Callable[[], object]:
    """What computes the scores of one raw image, of size TIMED, with the whole ONNX in `content`."""
    session = session_of(content)
    feed = {RAW_INPUT: np.random.default_rng(0).integers(0, 256, (*TIMED, 4), np.uint8)}
    return lambda: session.run(None, feed)


def _examples(dataset: Dataset) -> Iterator[Pixels]:
    """Images as the preprocessing takes them: noise, and training files if there are any."""
    rng = np.random.default_rng(0)
    for height, width in NOISE:
        yield rng.integers(0, 256, (height, width, 4), np.uint8)
    if dataset not in DATASETS.values():
        files = [path for path, _ in list_parts(Path(dataset.title))[0].samples]
        for path in files[:: math.ceil(len(files) / NUM_FILES)]:
            with opened(path) as image:
                yield np.asarray(upright(image))

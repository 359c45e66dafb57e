"""A user's own images, a folder for each class -> a data set, decoded once into files that are checked."""

import hashlib
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lightcnn.architecture import Task
from lightcnn.data import WHITE, DataFile, Dataset, read_file
from lightcnn.decoded_images import keep
from lightcnn.decoding import Done, Preprocessing, is_grey, opened
from lightcnn.image_files import list_parts

MAX_SIDE = 64  # pixels


def read_image_folder(
    source: Path, cache: Path, say: Callable[[str], None], background: str = WHITE
) -> tuple[Dataset, Path]:
    """The data set in `source`/train/<class>/ and `source`/test/<class>/; a folder with its decoded images.

    Images and classes are what a user sees there (`lightcnn.image_files`); each is prepared as
    `Preprocessing` says. The training images decide its form. The side is the longest of any of them,
    64 pixels at most. All have three channels if one of them has colour, else one.

    The decoded images lie in `cache` (`lightcnn.decoded_images`), so that no worker decodes, and what is
    trained on is what was found now.

    Args:
        background: what transparent images are laid on, #rrggbb.

    Raises:
        DataError: `source` is not laid out like that, an image cannot be read, or `cache` not be written.
    """
    training, test, left_out = list_parts(source)
    num_images = len(training.samples) + len(test.samples)
    say(f"reading {num_images:,} images in {source}, to be kept decoded in {cache} ...")

    longest, mode = 0, "L"
    for path, _ in training.samples:
        with opened(path) as image:  # its header only
            longest = max(longest, *image.size)
            mode = mode if is_grey(image, background) else "RGB"
    side = min(longest, MAX_SIDE)
    preprocessing = Preprocessing(side, mode, background)
    done, contents = Counter[Done](), {}
    for name, part in (("train", training), ("test", test)):
        images = np.empty((len(part.samples), len(mode), side, side), np.uint8)
        for i, (path, _) in enumerate(part.samples):
            with opened(path) as image:
                images[i], with_it = preprocessing.pixels(image)
            done.update(with_it)
        contents[f"{name}-images.npy"] = _npy(images)
        contents[f"{name}-labels.npy"] = _npy(np.array([label for _, label in part.samples]))

    notes = [
        f"{done[it]:,} of {num_images:,} images {it.value.format(background=background)}"
        for it in Done
        if done[it]
    ]
    if left_out:
        notes.append(f"left out: {left_out}")
    for note in notes:
        say(note)
    files = [DataFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()]
    counts, test_counts = (
        tuple(np.bincount([label for _, label in part.samples], minlength=len(training.classes)).tolist())
        for part in (training, test)
    )
    dataset = Dataset(
        source.resolve().name,
        str(source),
        tuple(files),
        _read_arrays,
        task=Task(side, len(mode), len(training.classes)),
        num_training_images=len(training.samples),
        num_test_images=len(test.samples),
        largest_class_share=max(max(it) / sum(it) for it in (counts, test_counts)),
        classes=tuple(training.classes),
        preparation="; ".join([f"{side}x{side} pixels, {'grey' if mode == 'L' else 'colour'}", *notes]),
        class_counts=counts,
        test_class_counts=test_counts,
        background=background,
    )
    return dataset, keep(dataset, contents, cache)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _read_arrays(dataset: Dataset, folder: Path, part: int) -> tuple[np.ndarray, np.ndarray]:
    """The arrays that `read_image_folder` wrote."""
    images, labels = (
        np.load(io.BytesIO(read_file(dataset, file, folder)), allow_pickle=False)
        for file in dataset.files[2 * part : 2 * part + 2]
    )
    return images, labels

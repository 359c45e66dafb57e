"""A user's own images, a folder for each class -> a data set, decoded once into files that are checked."""

import hashlib
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from lightcnn.architecture import Task
from lightcnn.data import DataError, DataFile, Dataset, read_file

MAX_SIDE = 64  # pixels
GREY_MODES = ("1", "L", "LA")  # Pillow's names; those of more than 8 bits a channel start with I or F

Sample = tuple[str, int]  # an image file and its label


def read_image_folder(source: Path, cache: Path, say: Callable[[str], None]) -> tuple[Dataset, Path]:
    """The data set in `source`/train/<class>/ and `source`/test/<class>/; a folder with its decoded images.

    The training images decide the form. The side is the longest of any of them, 64 pixels at most; an image
    that is no square of that side is resized to it, whatever its proportions (bilinear with antialiasing, as
    torchvision's Resize). All have three channels if one of them has colour, else one. An alpha channel is
    dropped.

    The decoded images lie in `cache`, in a folder named by their sum, so that no worker decodes, and what is
    trained on is what was found now. It may be deleted when no search runs.

    Raises:
        DataError: `source` is not laid out like that, or an image cannot be read.
    """
    classes, training = _samples(source, "train")
    test_classes, test = _samples(source, "test")
    for part, extra in (("train", {*classes} - {*test_classes}), ("test", {*test_classes} - {*classes})):
        if extra:
            raise DataError(
                f"{source} must have the same classes in train and test, but only {part} has {min(extra)!r}"
            )
    if len(classes) < 2:
        raise DataError(
            f"{source} must have at least 2 classes, but has {len(classes)}: {', '.join(classes)}"
        )
    num_images = len(training) + len(test)
    say(f"reading {num_images:,} images in {source} ...")

    longest, mode = 0, "L"
    for path, _ in training:
        with _opened(path) as image:  # its header only
            longest = max(longest, *image.size)
            mode = mode if image.mode in GREY_MODES else "RGB"
    side = min(longest, MAX_SIDE)
    num_resized, contents = 0, {}
    for part, samples in (("train", training), ("test", test)):
        images = np.empty((len(samples), len(mode), side, side), np.uint8)
        for i, (path, _) in enumerate(samples):
            with _opened(path) as image:
                pixels = image.convert(mode)
            if pixels.size != (side, side):
                num_resized += 1
                pixels = pixels.resize((side, side), Image.Resampling.BILINEAR)
            images[i] = np.asarray(pixels).reshape(side, side, len(mode)).transpose(2, 0, 1)
        contents[f"{part}-images.npy"] = _npy(images)
        contents[f"{part}-labels.npy"] = _npy(np.array([label for _, label in samples]))

    preparation = f"{side}x{side} pixels, {'grey' if mode == 'L' else 'colour'}"
    if num_resized:
        preparation += f"; {num_resized:,} of {num_images:,} images had another size and were resized to this"
    files = [DataFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()]
    dataset = Dataset(
        source.resolve().name,
        str(source),
        tuple(files),
        _read_arrays,
        task=Task(side, len(mode), len(classes)),
        num_training_images=len(training),
        num_test_images=len(test),
        largest_class_share=max(_largest_share(samples) for samples in (training, test)),
        classes=tuple(classes),
        preparation=preparation,
    )
    return dataset, _keep(dataset, contents, cache)


def _samples(source: Path, part: str) -> tuple[list[str], list[Sample]]:
    """The classes of a part, in alphabetical order, and its images."""
    from torchvision.datasets import ImageFolder  # here: a second that no worker needs to spend
    from torchvision.datasets.folder import IMG_EXTENSIONS

    folder = source / part
    if not folder.is_dir():
        raise DataError(f"{source} must hold the folders train and test, but {part} is missing")
    try:
        listing = ImageFolder(folder, allow_empty=True)
    except FileNotFoundError:
        raise DataError(
            f"{folder} must hold a folder of images for each class, but holds no folder"
        ) from None
    empty = {*range(len(listing.classes))} - {*listing.targets}
    if empty:
        name = listing.classes[min(empty)]
        raise DataError(f"{folder / name} must hold images ({', '.join(IMG_EXTENSIONS)}), but holds none")
    return listing.classes, listing.samples


def _largest_share(samples: list[Sample]) -> float:
    return max(Counter(label for _, label in samples).values()) / len(samples)


@contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    """An image of 8 bits a channel; what goes wrong with it within the block is a DataError."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"its mode is {image.mode}")  # Pillow would clip its values at 255
            yield image
    except Exception as error:  # Pillow's decoders raise whatever they run into
        raise DataError(f"{path} must be a readable image of 8 bits a channel, but: {error}") from error


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _keep(dataset: Dataset, contents: dict[str, bytes], cache: Path) -> Path:
    """The folder in `cache` with the data set's files; what is missing or damaged there is written, whole."""
    sums = "".join(file.sha256 for file in dataset.files)
    folder = cache / hashlib.sha256(sums.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for file in dataset.files:
        try:
            read_file(dataset, file, folder)
        except DataError:
            with tempfile.TemporaryDirectory(dir=cache, prefix="writing-") as workspace:
                written = Path(workspace) / file.name
                written.write_bytes(contents[file.name])
                written.replace(folder / file.name)
    return folder


def _read_arrays(dataset: Dataset, folder: Path, part: int) -> tuple[np.ndarray, np.ndarray]:
    """The arrays that `read_image_folder` wrote."""
    images, labels = (
        np.load(io.BytesIO(read_file(dataset, file, folder)), allow_pickle=False)
        for file in dataset.files[2 * part : 2 * part + 2]
    )
    return images, labels

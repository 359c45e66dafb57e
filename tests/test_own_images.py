"""Folders of images as users have them, each made here: what counts, and the pixels that are trained on."""

import os
import shutil

import numpy as np
import pytest
from PIL import ExifTags, Image

from lightcnn import fetching
from lightcnn.data import DataError, load_test_images, load_training_images
from lightcnn.fetching import find_dataset
from search import run

CLASSES = ("bars", "poles")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "user_cache_path", lambda name: tmp_path / "cache")
    return tmp_path / "cache" / "image-folders"


def scene(seed, shape=(24, 40)):
    """A colour image without a symmetry, in patches of 8x8 pixels: a JPEG keeps it well."""
    rows, columns = shape[0] // 8, shape[1] // 8
    patches = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3))
    return Image.fromarray(np.kron(patches, np.ones((8, 8, 1))).astype(np.uint8))


def folder_of(folder, save, number=2, classes=CLASSES):
    """`number` images a class and part; `save(image, stem)` writes the image, with an ending of its own."""
    seed = 0
    for part in ("train", "test"):
        for name in classes:
            (folder / part / name).mkdir(parents=True)
            for i in range(number):
                save(scene(seed), folder / part / name / f"{i:02}")
                seed += 1
    return folder


def as_png(image, stem):
    image.save(f"{stem}.png")


def load(folder, **options):
    """(data set, training images, test images, what was said beside the first line)"""
    said = []
    dataset, files = find_dataset(str(folder), say=said.append, **options)
    assert said[0].startswith("reading ")
    training, test = load_training_images(dataset, files), load_test_images(dataset, files)
    return dataset, training, test, said[1:]


def pixels(images):
    return (255 * images.images).round().byte().numpy()


def upright_pixels(tmp_path):
    """What the same images are, saved plainly."""
    _, training, test, _ = load(folder_of(tmp_path / "plain", as_png))
    return np.concatenate([pixels(training), pixels(test)])


# How what is to be seen is stored under each value of the tag, by its definition in Exif 2.3, 4.6.4: where
# row and column 0 of what is stored are to be seen.
STORED = {
    1: lambda seen: seen,  # top, left
    2: lambda seen: seen[:, ::-1],  # top, right
    3: lambda seen: seen[::-1, ::-1],  # bottom, right
    4: lambda seen: seen[::-1],  # bottom, left
    5: lambda seen: seen.swapaxes(0, 1),  # left, top
    6: lambda seen: seen.swapaxes(0, 1)[::-1],  # right, top
    7: lambda seen: seen[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda seen: seen[::-1].swapaxes(0, 1),  # left, bottom
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(
    ("ending", "tolerance"), [("png", 0), ("webp", 0), ("tiff", 0), ("jpg", 12), ("avif", 12), ("mpo", 12)]
)
def test_images_stand_upright(ending, tolerance, orientation, tmp_path):
    def turned(image, stem):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(image))))
        options = {"lossless": True} if ending == "webp" else {"quality": 95}
        stored.save(f"{stem}.{ending}", exif=exif, **options)

    dataset, training, test, said = load(folder_of(tmp_path / "turned", turned))
    found = np.concatenate([pixels(training), pixels(test)]).astype(int)
    assert np.abs(found - upright_pixels(tmp_path)).mean() <= tolerance
    note = "8 of 8 images turned upright, as their EXIF orientation says"
    assert (note in said) == (note in dataset.preparation) == (orientation != 1)


def test_a_nonsensical_orientation_is_none(tmp_path):
    def odd(image, stem):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 9
        image.save(f"{stem}.png", exif=exif)

    _, training, _, said = load(folder_of(tmp_path / "odd", odd))
    assert (pixels(training) == upright_pixels(tmp_path)[:4]).all() and "EXIF" not in " ".join(said)


INK = np.zeros((16, 16), np.uint8)  # how much black ink there is
INK[4:12, 2:6] = 255
INK[13] = 128


def in_ink(mode, ending):
    """Saves black ink on a transparent ground in one of the ways that formats have for it."""

    def save(_, stem):
        black, ink = Image.new("L", INK.shape, 0), Image.fromarray(INK)
        key = Image.fromarray(np.where(INK > 200, 0, 255).astype(np.uint8))
        path, transparency = f"{stem}.{ending}", {}
        image = Image.merge("LA", (black, ink))
        if mode in ("L", "RGB", "1"):
            image = key.convert(mode)
            transparency = {"transparency": {"L": 255, "1": 1, "RGB": (255, 255, 255)}[mode]}
        elif mode == "P":
            image = image.convert("RGBA")
            if ending == "png":  # a GIF gets its palette as it is saved
                image = image.quantize(4, Image.Quantize.FASTOCTREE)
        else:
            image = image.convert(mode)
        image.save(path, **transparency, **({"lossless": True} if ending == "webp" else {}))

    return save


@pytest.mark.parametrize(
    ("mode", "ending"),
    [
        *(("LA", "png"), ("RGBA", "png"), ("RGBA", "webp"), ("RGBA", "tiff"), ("LA", "tiff"), ("P", "png")),
        *(("P", "gif"), ("L", "png"), ("RGB", "png"), ("1", "png"), ("RGBA", "tga"), ("RGBA", "ico")),
    ],
)
def test_transparency_is_laid_on_the_background(mode, ending, tmp_path):
    folder = folder_of(tmp_path / "ink", in_ink(mode, ending))
    with Image.open(folder / "train" / "bars" / f"00.{ending}") as stored:
        assert stored.has_transparency_data and min(stored.convert("RGBA").getextrema()[3]) == 0
    for options, value in (({}, 255), ({"background": "#808080"}, 128)):
        dataset, training, test, said = load(folder, **options)
        for part in (training, test):
            images = pixels(part)
            assert (images[..., 4:12, 2:6] == 0).all() and (images[..., :4, :] == value).all()
            if mode in ("LA", "RGBA"):  # the others have no half of it
                assert (images[..., 13, :] == round(value * (255 - 128) / 255)).all()
        note = f"8 of 8 images with transparent parts, laid on {dataset.background}"
        assert said == [note] and dataset.preparation.endswith(f"; {note}")
        assert dataset.background == options.get("background", "#ffffff")
    one, other = (load(folder, background=it)[0] for it in ("#ff0000", "#0000ff"))
    assert one.task.in_channels == other.task.in_channels == 3  # of grey images, too
    assert one.files != other.files  # and so is the folder of their decodings


def test_what_is_opaque_is_not_said_to_be_transparent(tmp_path):
    folder = folder_of(tmp_path / "opaque", lambda image, stem: image.convert("RGBA").save(f"{stem}.png"))
    _, training, _, said = load(folder, background="#123456")
    assert (pixels(training) == upright_pixels(tmp_path)[:4]).all()
    assert "transparent" not in " ".join(said)


def test_the_background_on_the_command_line(tmp_path, capsys):
    for wrong in ("nothing", "#ff", "#ffffff80", "rgba(0, 0, 0, 0)"):
        line = refused(capsys, "--dataset", tmp_path, "--background", wrong)
        assert line.endswith(f"must be an opaque colour such as white or #ffffff, but got {wrong!r}")
    line = refused(capsys, "--dataset", "mnist", "--background", "white")
    assert line == "--background must go with a folder of images, but got mnist"


def refused(capsys, *arguments):
    """The last line of a search that ends at once."""
    with pytest.raises(SystemExit) as caught:
        run.main([*map(str, arguments), "--trials", "1"])
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("error: ")


def test_hidden_files_are_no_images_and_hidden_folders_no_classes(tmp_path):
    folder = folder_of(tmp_path / "mine", as_png)
    before = load(folder)
    image = folder / "train" / "bars" / "00.png"
    for part in ("train", "test"):
        for place in (folder / part, folder / part / "bars"):
            for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX", "$RECYCLE.BIN", ".git"):
                (place / name).mkdir()
                shutil.copy(image, place / name / "x.png")
            for name in ("._00.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
                (place / name).write_bytes(b"no image")
    (folder / ".cache").mkdir()
    again = load(folder)
    assert again[0] == before[0] and again[3] == before[3]


def test_each_folder_counts_once_however_it_is_linked(tmp_path):
    folder = folder_of(tmp_path / "mine", as_png)
    (folder / "train" / "bars" / "deep" / "deeper").mkdir(parents=True)
    shutil.copy(folder / "test" / "bars" / "00.png", folder / "train" / "bars" / "deep" / "deeper")
    before = load(folder)[0]
    assert before.class_counts == (3, 2)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder / "train" / "bars" / "deep", elsewhere)
    (folder / "train" / "bars" / "deep").symlink_to(elsewhere)  # as good as the folder itself
    (elsewhere / "deeper" / "again").symlink_to("..")
    (folder / "train" / "bars" / "self").symlink_to(".")
    (folder / "train" / "bars" / "up").symlink_to("..")  # whose poles are no bars
    (folder / "train" / "bars" / "top").symlink_to(tmp_path)
    (folder / "train" / "poles" / "others").symlink_to("../bars")
    (folder / "test" / "poles" / "trained on").symlink_to(folder / "train" / "poles")
    (folder / "test" / "poles" / "endless").symlink_to("endless")
    dataset, _, _, said = load(folder)
    assert dataset.files == before.files
    assert said[1:] == ["left out: 1 without an ending in test"]


@pytest.mark.parametrize(
    ("link", "to"), [("train/more", "train/bars"), ("test/poles", "train/poles"), ("train/poles", ".")]
)
def test_a_class_is_a_folder_of_its_own(link, to, tmp_path):
    folder = folder_of(tmp_path / "mine", as_png)
    shutil.rmtree(folder / link, ignore_errors=True)
    (folder / link).symlink_to(folder / to)
    with pytest.raises(DataError, match=r"must be a folder of its own, but is the same as .*mine"):
        load(folder)


def test_the_test_part_is_not_the_training_part(tmp_path):
    folder = folder_of(tmp_path / "mine", as_png)
    shutil.rmtree(folder / "test")
    (folder / "test").symlink_to("train")
    with pytest.raises(DataError, match=r"/test must be a folder of its own, but is the same as \S+/train$"):
        load(folder)


@pytest.mark.parametrize("ending", ["gif", "jp2", "jfif", "tga", "pnm", "qoi", "pcx", "dib", "PNG", "apng"])
def test_what_pillow_reads_is_read(ending, tmp_path):
    folder = folder_of(tmp_path / "mine", lambda image, stem: image.save(f"{stem}.{ending}"))
    _, training, _, said = load(folder)
    assert np.abs(pixels(training).astype(int) - upright_pixels(tmp_path)[:4]).mean() < 20  # a GIF dithers
    assert "left out" not in " ".join(said)


def test_what_is_left_out_is_counted_by_kind_and_part(tmp_path):
    folder = folder_of(tmp_path / "mine", as_png)
    for name in ("a.heic", "B.HEIC", "c.pdf", "notes"):
        (folder / "train" / "poles" / name).write_bytes(b"")
    shutil.copy(folder / "train" / "poles" / "00.png", folder / "test" / "astray.png")
    (folder / "val").mkdir()
    (folder / "README.md").write_text("of no part")
    dataset, training, test, said = load(folder)
    line = (
        "left out: 2 .heic, 1 .pdf, 1 without an ending in train; 1 .png in no class in test; the folder val"
    )
    assert said[-1] == line and line in dataset.preparation
    assert (len(training), len(test)) == (4, 4)
    for path in (folder / "train" / "poles").glob("*.png"):
        path.unlink()
    with pytest.raises(
        DataError, match=r"poles must hold images, but holds none that can be read \(2 \.heic,"
    ):
        load(folder)


@pytest.mark.parametrize("ending", ["gif", "apng", "webp", "tiff", "avif", "mpo"])
def test_of_several_frames_the_first_is_taken(ending, tmp_path):
    def animated(image, stem):
        frames = [image.point(lambda value: 255 - value), Image.new("RGB", image.size, "blue")]
        options = {"lossless": True} if ending == "webp" else {"quality": 95} if ending != "gif" else {}
        image.save(f"{stem}.{ending}", save_all=True, append_images=frames, **options)

    dataset, training, test, said = load(folder_of(tmp_path / "mine", animated))
    found = np.concatenate([pixels(training), pixels(test)]).astype(int)
    assert np.abs(found - upright_pixels(tmp_path)).mean() < 20
    note = "8 of 8 images of several frames, of which the first was taken"
    assert said.count(note) == 1 and note in dataset.preparation


def test_each_class_needs_its_images(tmp_path, capsys):
    folder = folder_of(tmp_path / "mine", as_png, 6, ("a", "b", "c"))
    for path in [*(folder / "train" / "b").iterdir()][1:]:
        path.unlink()
    (folder / "train" / "c" / "05.png").unlink()
    for i in range(20):  # enough of them in all
        shutil.copy(folder / "test" / "a" / "00.png", folder / "train" / "a" / f"copy {i}.png")
    assert refused(capsys, "--dataset", folder) == (
        f"{folder} must have at least 6 training images of each class, as one of 6 judges, "
        "but has 1 of 'b', 5 of 'c'"
    )


def test_a_rare_class_is_not_lost_among_the_images_that_are_used(tmp_path, capsys, monkeypatch):
    folder = folder_of(tmp_path / "mine", as_png, 6, ("a", "rare"))
    for i in range(60):
        shutil.copy(folder / "test" / "a" / "00.png", folder / "train" / "a" / f"copy {i}.png")
    assert refused(capsys, "--dataset", folder, "--train-images", 4) == (
        f"{folder} must have an image of each class among the 4 that are trained on, but has none of 'rare'"
    )
    monkeypatch.setattr("search.request.NUM_VALIDATION", 4)
    assert refused(capsys, "--dataset", folder) == (
        f"{folder} must have an image of each class among the 4 that judge, but has none of 'rare'"
    )


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b"bell\x07"])
def test_names_that_no_page_can_hold_are_refused(name, tmp_path, capsys):
    folder = folder_of(tmp_path / "mine", as_png, 6)
    for part in ("train", "test"):
        (folder / part / "bars").rename(folder / part / os.fsdecode(name))
    line = refused(capsys, "--dataset", folder)
    assert line.startswith(f"{folder}/train must have names in valid UTF-8 without control characters, but ")
    assert line.endswith(ascii(os.fsdecode(name)))


def test_a_folder_whose_own_path_is_not_utf_8(tmp_path):
    folder = folder_of(tmp_path / os.fsdecode(b"caf\xe9") / "mine", as_png)
    with pytest.raises(DataError, match="must have names in valid UTF-8"):
        load(folder)


def test_names_in_any_language_are_kept(tmp_path):
    classes = ("naïve 🧑‍🚀", "犬", "a|b`c")
    assert load(folder_of(tmp_path / "mine", as_png, 2, classes))[0].classes == tuple(sorted(classes))


def test_what_intervals_need_to_know_of_the_images(tmp_path):
    for part, counts in (("train", (6, 12)), ("test", (3, 1))):
        for name, count in zip("ab", counts, strict=True):
            folder = tmp_path / "own" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.new("L", (8, 8), 9 * i).save(folder / f"{i}.png")
    dataset = load(tmp_path / "own")[0]
    assert dataset.num_test_images == 4
    assert dataset.largest_class_share == 0.75  # of the test images; 2 / 3 of the training images

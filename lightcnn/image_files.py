"""Which files of a user's folder are images, and of what class: what its user sees there, each once."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lightcnn.data import DataError

# What Pillow has an ending for but does not decode by itself.
NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PALM", "PDF", "WMF"}
# What operating systems and disk stations leave beside a user's files, in small letters.
SYSTEM_FILES = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle", "lost+found"),
    *("$recycle.bin", "system volume information"),
}

Identity = tuple[int, int]  # of a folder, under whatever name: its device and its number there


@dataclass(frozen=True)
class Part:
    """The images of a part, train or test."""

    classes: list[str]  # in alphabetical order
    samples: list[tuple[Path, int]]  # an image file and its label; by class, folder and name
    left_out: Counter[str]  # files by their ending that are visible and no image


def list_parts(source: Path) -> tuple[Part, Part, str]:
    """The images in `source`/train/<class>/ and `source`/test/<class>/, at any depth, and what was left out.

    An image is a file with an ending of a format that Pillow decodes. Hidden files and folders and those of
    the system are not looked at. A folder counts once, however many links lead to it; a class as itself.

    Raises:
        DataError: `source` is not laid out like that.
    """
    _check_name(source, str(source.resolve()))
    for name in ("train", "test"):
        if not (source / name).is_dir():
            raise DataError(f"{source} must hold the folders train and test, but {name} is missing")
    classes = {name: _visible_folders(source / name) for name in ("train", "test")}
    seen = {_identity(it): it for it in (*source.resolve().parents, source, source / "train")}
    for folder in (source / "test", *classes["train"], *classes["test"]):
        if (earlier := seen.setdefault(_identity(folder), folder)) != folder:
            raise DataError(f"{folder} must be a folder of its own, but is the same as {earlier}")
    training, test = (_part(source / name, folders, {*seen}) for name, folders in classes.items())
    for part, extra in (
        ("train", {*training.classes} - {*test.classes}),
        ("test", {*test.classes} - {*training.classes}),
    ):
        if extra:
            raise DataError(
                f"{source} must have the same classes in train and test, but only {part} has {min(extra)!r}"
            )
    if len(training.classes) < 2:
        raise DataError(
            f"{source} must have at least 2 classes, but has {len(training.classes)}: "
            f"{', '.join(training.classes)}"
        )
    return training, test, _told(source, training, test)


def _part(folder: Path, classes: list[Path], seen: set[Identity]) -> Part:
    if not classes:
        raise DataError(f"{folder} must hold a folder of images for each class, but holds no folder")
    endings = _endings()
    samples: list[tuple[Path, int]] = []
    left_out = Counter(f"{_kind(it)} in no class" for it in _visible(folder) if not it.is_dir())
    for label, top in enumerate(classes):
        _check_name(folder, top.name)
        files = [it for below in _folders(top, seen) for it in _visible(below) if not it.is_dir()]
        images = [it for it in files if it.suffix.lower() in endings]
        others = Counter(_kind(it) for it in files if it.suffix.lower() not in endings)
        if not images:
            held = f"none that can be read ({_listed(others)})" if others else "none"
            raise DataError(f"{top} must hold images, but holds {held}")
        samples += [(it, label) for it in images]
        left_out += others
    return Part([it.name for it in classes], samples, left_out)


def _folders(top: Path, seen: set[Identity]) -> list[Path]:
    """`top` and what is visible below it, without those `seen`, which they join; in alphabetical order."""
    found, waiting = [], [top]
    while waiting:
        found.append(folder := waiting.pop(0))
        for below in _visible_folders(folder):
            if (identity := _identity(below)) not in seen:
                seen.add(identity)
                waiting.append(below)
    return sorted(found, key=str)


def _visible(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda it: it.name):
        if not path.name.startswith(".") and path.name.lower() not in SYSTEM_FILES:
            yield path


def _visible_folders(folder: Path) -> list[Path]:
    return [it for it in _visible(folder) if it.is_dir()]


def _identity(folder: Path) -> Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _endings() -> set[str]:
    """Of the files that Pillow decodes, in small letters."""
    return {ending for ending, name in Image.registered_extensions().items() if name not in NOT_DECODED}


def _check_name(folder: Path, name: str) -> None:
    """Names come onto the page and the card, which are UTF-8, and into lines."""
    if any(unicodedata.category(character) in ("Cs", "Cc") for character in name):
        raise DataError(
            f"{folder} must have names in valid UTF-8 without control characters, but got {name!a}"
        )


def _kind(path: Path) -> str:
    return path.suffix.lower() or "without an ending"


def _listed(kinds: Counter[str]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))


def _told(source: Path, training: Part, test: Part) -> str:
    """What of `source` is visible and was left out, "" if nothing was."""
    told = [
        f"{_listed(part.left_out)} in {name}"
        for name, part in (("train", training), ("test", test))
        if part.left_out
    ]
    told += [f"the folder {it.name}" for it in _visible_folders(source) if it.name not in ("train", "test")]
    return "; ".join(told)

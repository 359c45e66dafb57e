"""Decoded images are kept where the user says, no more of them than a size, and none that is in use goes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightcnn import decoded_images, fetching
from lightcnn.data import DataError, load_training_images
from lightcnn.fetching import find_dataset

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "user_cache_path", lambda name: tmp_path / "cache")
    monkeypatch.setattr(decoded_images, "_held", {})
    return tmp_path / "cache" / "image-folders"


def pictures(folder, seed):
    rng = np.random.default_rng(seed)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (folder / part / name).mkdir(parents=True)
            Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(folder / part / name / "1.png")
    return folder


def kept(folder, **options):
    """Where the decoded images of `folder` are, as of a process that has ended."""
    dataset, where = find_dataset(str(folder), say=lambda line: None, **options)
    load_training_images(dataset, where)
    decoded_images._held.pop(where).release()
    return where


def size(folder):
    return sum(path.stat().st_size for path in folder.glob("*.npy"))


def test_the_longest_unused_go(tmp_path, cache, monkeypatch):
    folders = [pictures(tmp_path / f"mine {i}", i) for i in range(4)]
    where = {kept(it): it for it in folders[:3]}
    for age, it in enumerate(sorted(where)):
        for path in it.glob("*.npy"):
            os.utime(path, (1_000 + age, 1_000 + age))
    first, second, third = sorted(where)
    assert kept(where[first]) == first  # which is now the last used, and `second` the first to go
    (cache / "of the user's").mkdir()
    (cache / "of the user's" / "large.npy").write_bytes(bytes(100_000))
    (first / "writing-x").mkdir()
    monkeypatch.setattr(decoded_images.keep, "__defaults__", (3 * size(first),))
    fourth = kept(folders[3])
    assert {it.name for it in cache.iterdir() if it.is_dir()} == {
        *(first.name, third.name, fourth.name, "of the user's")
    }
    kept(where[first])
    assert second not in cache.iterdir() and not [*first.glob("writing-*")]


def test_what_a_living_process_uses_stays(tmp_path, cache, monkeypatch):
    """And what is used here, although it alone is too large; a dead process holds nothing."""
    used, other = pictures(tmp_path / "used", 0), pictures(tmp_path / "other", 1)
    code = (
        "import sys\nfrom pathlib import Path\nfrom lightcnn.fetching import find_dataset\n"
        "print(find_dataset(sys.argv[1], Path(sys.argv[2]), say=lambda line: None)[1], flush=True)\ninput()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, used, tmp_path / "cache"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    where = Path(process.stdout.readline().strip())
    try:
        monkeypatch.setattr(decoded_images.keep, "__defaults__", (1,))
        dataset, here = find_dataset(str(other), say=lambda line: None)
        assert where.parent == here.parent == cache and where.is_dir()
    finally:
        process.kill()
        process.communicate()
    find_dataset(str(other), say=lambda line: None)
    assert not where.exists() and len(load_training_images(dataset, here)) == 2


def test_the_users_folder_for_data_is_where_they_lie(tmp_path, cache):
    said = []
    _, where = find_dataset(str(pictures(tmp_path / "mine", 0)), tmp_path / "data", say=said.append)
    assert where.parent == tmp_path / "data" / "image-folders" and not cache.exists()
    assert said[0].endswith(f", to be kept decoded in {where.parent} ...")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/image-folders must be a folder that can be written"):
        find_dataset(str(tmp_path / "mine"), tmp_path / "file", say=lambda line: None)

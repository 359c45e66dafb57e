"""A search on a real Dask cluster: a scheduler and workers of their own over TCP, killed and joined."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytest.importorskip("distributed", reason="Dask is not installed")

from clusters import cluster

from lightcnn.data import DATASETS, locate
from lightcnn.errors import Failure
from search import run
from search.execution.cluster import EMPTY_SECONDS, find_cluster

# Long enough that what happens in its midst does; which candidates it has does not hang on who is first.
SEARCH = ["--trials", 6, "--epochs", 12, "--train-images", 2000, "--max-parameters", 4000, "--no-baselines"]
SEARCH += ["--sampler", "random", "--no-early-stopping", "--seeds", 0, "--name", "it"]
BRIEF = ["--trials", 2, "--epochs", 1, "--train-images", 300, "--max-parameters", 1000, "--no-baselines"]
BRIEF += ["--seeds", 0, "--name", "it"]


def begin(*arguments):
    """A search in a process of its own."""
    command = [sys.executable, "-m", "search.run", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def execute(*arguments):
    with begin(*arguments) as process:
        said = process.stderr.read()
    return process.returncode, said


def results(out):
    """What a search found, without what it took."""
    tables = [pd.read_csv(out / "it" / f"{name}.csv") for name in ("trials", "curves")]
    return [table.drop(columns=["seconds"], errors="ignore") for table in tables]


def assert_same(out, expected):
    for ours, theirs in zip(results(out), results(expected), strict=True):
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


@pytest.fixture(scope="module")
def on_slots(tmp_path_factory, mnist_folder):
    """The search on slots of this machine."""
    out = tmp_path_factory.mktemp("local")
    code, said = execute(*SEARCH, "--workers", 2, "--out", out)
    assert code == 0, said
    return out


@pytest.mark.slow
def test_a_search_has_the_same_results_as_on_local_slots(on_slots, two_workers, tmp_path):
    code, said = execute(*SEARCH, "--cluster", two_workers.address, "--out", tmp_path)
    assert code == 0, said
    assert_same(tmp_path, on_slots)


@pytest.mark.slow
def test_a_worker_that_is_killed_and_one_that_joins(on_slots, tmp_path):
    with cluster(tmp_path) as it:
        first = it.begin_workers(1)
        it.wait_for(1)
        with begin(*SEARCH, "--cluster", it.address, "--out", tmp_path) as driver:
            said = driver.stderr.readline()
            it.begin_workers(1)
            it.wait_for(2)
            said += driver.stderr.readline()
            it.kill(first)
            said += driver.stderr.read()
        assert driver.returncode == 0, said
        assert "has left the cluster; what it was at goes on elsewhere" in said
        assert said.count("\nsearch ") + said.startswith("search ") == 6, said
    assert_same(tmp_path, on_slots)


@pytest.mark.slow
def test_the_same_command_resumes_what_the_end_of_a_scheduler_left(on_slots, tmp_path):
    with cluster(tmp_path) as it:
        arguments = (*SEARCH, "--cluster", it.address, "--out", tmp_path)
        it.begin_workers(2)
        it.wait_for(2)
        with begin(*arguments) as driver:
            lines = [driver.stderr.readline() for _ in range(2)]
            it.kill(it.processes[0])
            began = time.monotonic()
            rest = driver.stderr.read()
        assert driver.returncode == 1
        assert time.monotonic() - began < EMPTY_SECONDS / 3  # it does not wait for workers to come
        *_, last = rest.splitlines()
        assert last == (
            f"failed: the scheduler at {it.address} has gone; what was finished is kept, and with a "
            "scheduler there again the same command resumes it"
        )
        assert "Traceback" not in rest
        it.kill(it.processes[0])
        it.begin_scheduler()
        it.begin_workers(2)
        it.wait_for(2)
        code, said = execute(*arguments)
        assert code == 0, said
        assert f"search {len(lines)}/6" not in said
    assert_same(tmp_path, on_slots)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "other"),
    [("optuna", "4.9.9"), ("torch", "2.0.0"), ("lightcnn-search", "9.0"), ("python", "3.99")],
)
def test_versions_that_differ_are_named_before_anything_is_trained(name, other, tmp_path):
    preload = tmp_path / "other_versions.py"
    preload.write_text(
        "import importlib.metadata as metadata, platform\n"
        "def lie(real):\n"
        f"    return lambda *names: {other!r} if names == ({name!r},) else real(*names)\n"
        "metadata.version = lie(metadata.version)\n"
        f"if {name!r} == 'python': platform.python_version_tuple = lambda: ('3', '99', '1')\n"
    )
    with cluster(tmp_path) as it:
        it.begin_workers(1, "--preload", str(preload), "--no-nanny")
        it.wait_for(1)
        code, said = execute(*BRIEF, "--cluster", it.address, "--out", tmp_path / "out")
    assert code == 1
    [line] = said.splitlines()
    assert re.fullmatch(
        r"failed: every machine of a cluster must be like this one, but tcp://127\.0\.0\.1:\d+ has "
        rf"{name} {re.escape(other)}.* instead of .*",
        line,
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_cluster_without_the_package(tmp_path):
    with cluster(tmp_path) as it:
        (tmp_path / "lib").mkdir()
        (tmp_path / "lib" / "search.py").write_text("raise ImportError('not installed')")
        it.begin_workers(
            1, "--no-nanny", PYTHONPATH=f"{tmp_path / 'lib'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        )
        it.wait_for(1)
        with pytest.raises(Failure) as caught:
            find_cluster(it.address, print)
    assert re.search(r"but tcp://\S+ cannot import lightcnn-search .*not installed", str(caught.value))


def altered(mnist_folder, folder):
    """A copy of MNIST's files, with a wrong bit in the training images."""
    folder.mkdir()
    for file in DATASETS["mnist"].files:
        shutil.copy(locate(DATASETS["mnist"], file, mnist_folder), folder / file.name)
    path = folder / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    return path


@pytest.mark.slow
def test_a_worker_with_wrong_images_is_left_out_with_a_line(mnist_folder, tmp_path):
    path = altered(mnist_folder, tmp_path / "altered")
    wrong = (
        rf"tcp://127\.0\.0\.1:\d+(:| is left out:) {path} must have the SHA-256 "
        rf"{DATASETS['mnist'].files[0].sha256}, but has [0-9a-f]{{64}}"
    )
    with cluster(tmp_path) as it:
        it.begin_workers(1, LIGHTCNN_DATA=str(path.parent))
        it.wait_for(1)
        alone = execute(*BRIEF, "--cluster", it.address, "--out", tmp_path)
        it.begin_workers(1)
        it.wait_for(2)
        code, said = execute(*BRIEF, "--cluster", it.address, "--out", tmp_path)
    assert alone[0] == 1
    left_out, failed = alone[1].splitlines()
    assert re.fullmatch(wrong, left_out)
    assert re.fullmatch(
        rf"failed: no worker can train here, whatever the network \({wrong}\); mend that and give the same "
        "command again",
        failed,
    )
    assert code == 0, said
    assert [line for line in said.splitlines() if re.fullmatch(wrong, line)]
    assert set(pd.read_csv(tmp_path / "it" / "trials.csv")["state"]) == {"COMPLETE"}


@pytest.mark.slow
def test_images_of_a_users_own_are_sent_to_who_has_none(tmp_path):
    source, cache = tmp_path / "dots", tmp_path / "a-worker's"
    rng = np.random.default_rng(0)
    for part, shade in ((part, shade) for part in ("train", "test") for shade in (60, 180)):
        (source / part / f"{shade}").mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(shade - 60, shade + 60, (8, 8)).astype(np.uint8)
            Image.fromarray(pixels).save(source / part / f"{shade}" / f"{i}.png")
    arguments = ["--dataset", source, "--trials", 2, "--epochs", 2, "--seeds", 1, "--sampler", "random"]
    arguments += ["--no-baselines", "--reference", "2-gap", "--engine", "torch", "--max-parameters", 500]
    arguments += ["--name", "it", "--no-early-stopping", "--data-dir", tmp_path / "the driver's"]
    with cluster(tmp_path) as it:
        it.begin_workers(1, XDG_CACHE_HOME=str(cache))
        it.wait_for(1)
        code, said = execute(*arguments, "--cluster", it.address, "--out", tmp_path / "sent")
    assert code == 0, said
    [folder] = (it for it in (cache / "lightcnn-search" / "image-folders").iterdir() if it.is_dir())
    assert {path.name for path in folder.glob("*.npy")} == {
        f"{part}-{what}.npy" for part in ("train", "test") for what in ("images", "labels")
    }
    code, said = execute(*arguments, "--workers", 1, "--out", tmp_path / "local")
    assert code == 0, said
    assert_same(tmp_path / "sent", tmp_path / "local")


def test_where_no_cluster_is(capsys, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        assert run.main(["--trials", "1", "--cluster", address, "--out", str(tmp_path)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"failed: --cluster must name a Dask scheduler that answers, but {address}: ")
    assert list(tmp_path.iterdir()) == []


URL = "--cluster must be tcp://HOST:PORT or tls://HOST:PORT, but got "
ITS_OWN = "must not go with --cluster, which has its workers, but got "


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["host:8786"], f"{URL}'host:8786'"),
        (["tcp://host"], f"{URL}'tcp://host'"),
        (["tcp://host:port"], f"{URL}'tcp://host:port'"),
        (["tcp://host:99999"], f"{URL}'tcp://host:99999'"),
        (["tcp://host:1", "--workers", "2"], f"--workers {ITS_OWN}2"),
        (["tcp://host:1", "--devices", "cpu"], f"--devices {ITS_OWN}cpu"),
        (["tcp://host:1", "--workers-per-device", "1"], f"--workers-per-device {ITS_OWN}1"),
    ],
)
def test_what_a_user_may_not_say(options, message, capsys):
    with pytest.raises(SystemExit) as caught:
        run.main(["--trials", "1", "--cluster", *options])
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_without_dask(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "search.execution.cluster", None)
    with pytest.raises(SystemExit):
        run.main(["--trials", "1", "--cluster", "tcp://host:1"])
    assert "error: --cluster needs `python -m pip install -e '.[cluster]'`, but " in capsys.readouterr().err

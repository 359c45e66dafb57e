"""What an export leaves beside other files, when a format cannot be written, and of one's own few images."""

import ctypes
import html
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightcnn.errors import UserError
from search.export import c_compiled, formats
from search.export.__main__ import main
from search.export.c_compiled import c_compiler
from search.export.runner import Runner
from search.export.targets import C_HEADERS, sums_of, targets_of

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A search of one's own images, 48 for training: the folder that commands are given in."""
    folder, rng = tmp_path_factory.mktemp("elsewhere"), np.random.default_rng(0)
    for number in range(72):
        part, label = ("train" if number < 48 else "test"), ("bars", "poles")[number % 2]
        stripes = np.kron(rng.integers(0, 2, 6), np.ones((12, 2), int)) * 200 + rng.integers(0, 56, (12, 12))
        image = Image.fromarray((stripes.T if number % 2 else stripes).astype(np.uint8))
        place = folder / "my pictures" / part / label / f"{number:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place)
    arguments = "--trials 2 --epochs 1 --seeds 0 --no-baselines --workers 1 --widths 2:4 --max-blocks 2"
    command = [sys.executable, "-m", "search.run", *arguments.split()]
    done = subprocess.run(
        [*command, "--dataset", "my pictures", "--out", "my results"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def environment(folder):
    return os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}


@pytest.fixture
def there(elsewhere, monkeypatch):
    """As if the tests were commands given in the folder of the study."""
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere / "cache"))
    return elsewhere


def export(folder, *names, design="2-gap"):
    to = [it for name in names for it in ("--to", str(folder / name))]
    return main(["my results/my pictures", "--design", design, *to])


def refused(capsys, folder, *names):
    with pytest.raises(SystemExit) as ended:
        export(folder, *names)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_pages_command_takes_ones_own_images_away(elsewhere):
    """Literally, but for the design and the Python: 48 training images, names with spaces, no option."""
    page = (elsewhere / "my results" / "my pictures" / "report.html").read_text(encoding="utf-8")
    command = html.unescape(re.search(r'data-command="([^"]+)"', page)[1])
    assert command == "python -m search.export 'my results/my pictures' --design DESIGN --to model.onnx"
    words = shlex.split(command.replace("DESIGN", "2-3-gap"))
    done = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=elsewhere,
        env=environment(elsewhere),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    card = (elsewhere / "model.md").read_text(encoding="utf-8")
    assert "the network's on 48 training images" in card and "classes my pictures images" in card
    assert str(elsewhere) not in card


def test_nothing_foreign_is_replaced(there, tmp_path, capsys):
    (tmp_path / "README.md").write_text("mine")
    said = refused(capsys, tmp_path, "README.safetensors")
    assert said.startswith(
        f"error: --to README.safetensors would replace {tmp_path / 'README.md'}, as its card,"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"
    for name, asked in (("a.safetensors", "a.safetensors"), ("b.c", "b.c"), ("c.h", "c.c")):
        (tmp_path / name).write_text("mine")
        assert f"--to would replace {tmp_path / name}, but " in refused(capsys, tmp_path, asked)
        assert (tmp_path / name).read_text() == "mine"


def test_what_the_command_wrote_is_replaced_until_it_is_changed(there, tmp_path, capsys):
    names = ("net.safetensors", "net.c")
    assert export(tmp_path, *names) == 0
    assert export(tmp_path, *names) == 0  # the same again, as after an interruption
    assert export(tmp_path, *names, design="3-gap") == 0
    assert (tmp_path / "net.md").read_text().startswith("# 3-gap\n")
    assert {*sums_of(tmp_path / "net.md")} == {*names, "net.h"}
    # A card of one file alone would leave the others without theirs.
    assert f"replace {tmp_path / 'net.md'}, the card of net.c, net.h, too" in refused(
        capsys, tmp_path, names[0]
    )
    for name in ("net.h", "net.safetensors", "net.md"):
        before = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(before + b"\n")
        assert "was changed since" in refused(capsys, tmp_path, *names)
        (tmp_path / name).write_bytes(before)
    (tmp_path / "net.c").unlink()
    (tmp_path / "net.h").unlink()
    assert export(tmp_path, names[0]) == 0


def test_names_that_clash_are_told(tmp_path):
    def told(*names):
        with pytest.raises(UserError) as caught:
            targets_of([tmp_path / name for name in names])
        return str(caught.value)

    assert told("a/m.c", "b/m.onnx") == (
        f"--to must name files in one folder, as one card describes them, but got {tmp_path / 'b'}, too"
    )
    assert told("a-b.c", "m.onnx", "A_b.c").endswith("differ in letters and digits, but got a-b.c and A_b.c")
    assert "differ in letters and digits" in told("net.int8.c", "net_int8.c")
    for name in ("math.c", "STDINT.c"):
        assert told(name).startswith(f"--to {name} would need a header ")
    assert "whose header can be included, but got 'a\"b.c'" in told('a"b.c')
    assert not list(tmp_path.iterdir())
    assert C_HEADERS.fullmatch("string") and not C_HEADERS.fullmatch("strings")
    files = targets_of([tmp_path / name for name in ("m.int8.c", "m.c", "math.int8.c", "m.c")])
    assert files.card == "m.md" and {*files.files} == {
        *("m.int8.c", "m.c", "math.int8.c", "m.int8.h", "m.h", "math.int8.h")
    }


def unusable(*arguments, **named):
    raise PermissionError(13, "Permission denied", "/mnt/no/exec/it.so")


class NoLibraries:
    """The module ctypes, but for loading one."""

    CDLL = staticmethod(unusable)

    def __getattr__(self, name):
        return getattr(ctypes, name)


@pytest.mark.skipif(c_compiler() is None, reason="needs a C compiler")
def test_a_format_that_fails_leaves_the_others(there, tmp_path, capsys, monkeypatch):
    """The C cannot be loaded where TMPDIR is mounted noexec; so it is for any tool of any format."""
    names = ("net.c", "net.safetensors", "net.int8.c")
    monkeypatch.setattr(c_compiled, "ctypes", NoLibraries())  # there alone: others load theirs as they like
    assert export(tmp_path, *names) == 1
    said = capsys.readouterr()
    *_, failed = said.err.splitlines()
    assert failed.startswith("failed: net.c was not written: a library in ") and "TMPDIR" in failed
    assert "; net.int8.c was not written: " in failed
    assert said.out.splitlines() == [
        f"{tmp_path / 'net.safetensors'}: the weights, float32",
        f"{tmp_path / 'net.md'}: the model card",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"net.safetensors", "net.md"}
    card = (tmp_path / "net.md").read_text()
    assert "Asked for, too, but not written: net.c, net.int8.c." in card and "int8 version: test" not in card
    monkeypatch.undo()
    monkeypatch.chdir(there)
    monkeypatch.setenv("XDG_CACHE_HOME", str(there / "cache"))
    assert export(tmp_path, *names) == 0
    # What a format wrote earlier stays its own when it fails later, and the next export may replace it.
    monkeypatch.setattr(formats, "onnx_runner", unusable)
    assert export(tmp_path, *names) == 1
    assert (tmp_path / "net.int8.c").exists() and "not written: net.int8.c." in (
        tmp_path / "net.md"
    ).read_text()
    monkeypatch.undo()
    monkeypatch.chdir(there)
    monkeypatch.setenv("XDG_CACHE_HOME", str(there / "cache"))
    assert export(tmp_path, *names) == 0


def test_where_no_format_can_be_written_nothing_is(there, tmp_path, capsys, monkeypatch):
    """And the test set stays closed."""
    readings = Path("my results", "my pictures", "test_readings.csv")
    before = readings.read_text() if readings.exists() else None
    noise = Runner(lambda images: torch.zeros(len(images), 2), lambda image: lambda: None)
    monkeypatch.setattr(formats, "onnx_runner", lambda content: noise)
    assert export(tmp_path, "m.onnx") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("failed: m.onnx was not written: m.onnx must compute what the network does")
    assert not list(tmp_path.iterdir())
    assert before == (readings.read_text() if readings.exists() else None)

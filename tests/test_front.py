"""The committed front: its networks have the accuracy that their cards say, by a stranger's lines."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPORTS = Path(__file__).parents[1] / "reports"
EXPORTS = sorted(path for path in (REPORTS / "front" / "export").glob("*.onnx"))


@pytest.fixture(scope="module")
def downloaded(mnist_folder, tmp_path_factory):
    """A folder in which torchvision finds what it would download."""
    folder = tmp_path_factory.mktemp("stranger")
    raw = folder / "mnist" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in mnist_folder.glob("*-ubyte"):
        shutil.copy(path, raw / path.name)
    return folder


@pytest.mark.parametrize("network", EXPORTS, ids=lambda path: path.name)
def test_a_strangers_lines_give_the_accuracy_of_the_card(network, downloaded):
    page = (REPORTS / "README.md").read_text("utf-8")
    script = re.search(r"^```python\n(import numpy, onnxruntime.*?)^```", page, re.DOTALL | re.MULTILINE)[1]
    shown = re.search(r'"(reports/front/export/\S+?\.onnx)"', script)[1]
    assert (REPORTS.parent / shown).is_file()
    done = subprocess.run(
        [sys.executable, "-c", script.replace(shown, str(network))],
        cwd=downloaded,
        capture_output=True,
        text=True,
        check=True,
    )
    card = (network.parent / f"{network.name.split('.')[0]}.md").read_text("utf-8")
    whose = "Its int8 version" if network.name.endswith(".int8.onnx") else "This network"
    accuracy = re.search(rf"{whose}: test accuracy ([\d.]+) %", card)[1]
    assert f"{100 * float(done.stdout):.2f}" == accuracy


def test_there_are_such_networks():
    assert len(EXPORTS) >= 9

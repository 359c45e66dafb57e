"""The committed fronts: their networks have the accuracy that their cards say, also by a stranger's lines."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from lightcnn.data import DATASETS, load_test_images

REPORTS = Path(__file__).parents[1] / "reports"
EXPORTS = sorted(REPORTS.glob("front*/export/*.onnx"))


def accuracy_by_the_card(network):
    card = (network.parent / f"{network.name.split('.')[0]}.md").read_text("utf-8")
    whose = "Its int8 version" if network.name.endswith(".int8.onnx") else "This network"
    return re.search(rf"{whose}: test accuracy ([\d.]+) %", card)[1]


@pytest.fixture(scope="module")
def test_images(mnist_folder):
    return load_test_images(DATASETS["mnist"], mnist_folder)


@pytest.mark.parametrize("network", EXPORTS, ids=lambda path: str(path.relative_to(REPORTS)))
def test_the_network_has_the_accuracy_of_its_card(network, test_images):
    session = onnxruntime.InferenceSession(network)
    (scores,) = session.run(None, {"images": test_images.images.numpy()})
    accuracy = (scores.argmax(1) == test_images.labels.numpy()).mean()
    assert f"{100 * accuracy:.2f}" == accuracy_by_the_card(network)


def test_a_strangers_lines_count_the_same(mnist_folder, tmp_path):
    page = (REPORTS / "README.md").read_text("utf-8")
    script = re.search(r"^```python\n(import numpy, onnxruntime.*?)^```", page, re.DOTALL | re.MULTILINE)[1]
    shown = re.search(r'"(reports/front/export/\S+?\.onnx)"', script)[1]
    raw = tmp_path / "mnist" / "MNIST" / "raw"  # where torchvision finds what it would download
    raw.mkdir(parents=True)
    for path in mnist_folder.glob("*-ubyte"):
        shutil.copy(path, raw / path.name)
    network = REPORTS.parent / shown
    done = subprocess.run(
        [sys.executable, "-c", script.replace(shown, str(network))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{100 * float(done.stdout):.2f}" == accuracy_by_the_card(network)


def test_there_are_such_networks():
    assert len(EXPORTS) == 2 * (13 + 5)

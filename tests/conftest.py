"""What several test files need."""

import os
import shutil

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the tests share the cores with their workers
os.environ.pop("LIGHTCNN_OPTIONS", None)  # a user's own are not the tests'

import pytest
import torch

from lightcnn.fetching import find_files

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mnist_folder():
    """Real MNIST, fetched as on a user's machine."""
    return find_files("mnist")


@pytest.fixture(scope="module")
def browser():
    """The installed Chromium; who asks for it is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()

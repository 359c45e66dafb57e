"""What several test files need."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the tests share the cores with their workers

import pytest
import torch

from lightcnn.fetching import find_files

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mnist_folder():
    """Real MNIST, fetched as on a user's machine."""
    return find_files("mnist")

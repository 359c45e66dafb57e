"""Some of the faults of `python -m tests.faults`, fewer of each: all take minutes."""

import random

import pytest

from tests.faults import scenes

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("scene", "number"), [(scenes.kill_drivers, 2), (scenes.kill_workers, 2), (scenes.tear_journals, 1)]
)
def test_random_faults(scene, number, tmp_path):
    scene(tmp_path, random.Random(1), number)


@pytest.mark.parametrize(
    "scene",
    [
        *(scenes.hang_worker, scenes.fill_disk, scenes.interrupted_is_the_same),
        *(scenes.forbid_semaphores, scenes.close_streams),
    ],
)
def test_single_faults(scene, tmp_path):
    try:
        scene(tmp_path / "out")
    except PermissionError as error:
        pytest.skip(str(error))

"""The faults of `python -m tests.faults`, fewer of each."""

import random

import pytest

from tests.faults import scenes


@pytest.mark.parametrize(
    ("scene", "number"), [(scenes.kill_drivers, 3), (scenes.kill_workers, 3), (scenes.tear_journals, 2)]
)
def test_random_faults(scene, number, tmp_path):
    scene(tmp_path, random.Random(1), number)


@pytest.mark.parametrize(
    "scene",
    [
        *(scenes.hang_worker, scenes.exhaust_memory, scenes.fill_disk, scenes.forbid_writing),
        *(scenes.interrupt_twice, scenes.two_drivers, scenes.interrupted_is_the_same),
    ],
)
def test_single_faults(scene, tmp_path):
    try:
        scene(tmp_path / "out")
    except PermissionError as error:
        pytest.skip(str(error))

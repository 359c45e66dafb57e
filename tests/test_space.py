"""The search space: what it holds and that a candidate can be put back into it."""

import numpy as np
import optuna
from fakes import MNIST, SPACE
from optuna.trial import FixedTrial

from lightcnn.architecture import Task, parse
from lightcnn.cost import num_parameters
from lightcnn.designs import LIGHTCNN
from search.space import Space


def test_candidates_can_be_put_back():
    rng = np.random.default_rng(0)
    drawn = [SPACE.draw(rng) for _ in range(300)]
    assert all(SPACE.suggest(FixedTrial(SPACE.parameters(a))) == a for a in drawn)
    light = parse(LIGHTCNN, MNIST)
    assert SPACE.suggest(FixedTrial(SPACE.parameters(light))) == light


def test_distributions_are_what_is_suggested():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for task in (MNIST, Task(image_size=3, in_channels=3, num_classes=2)):
        trial, space = study.ask(), Space(task)
        suggested = space.suggest(trial)
        assert study.trials[-1].distributions == space.distributions()
        assert space.architecture(trial.params) == suggested


def test_draws_reach_all_of_the_space():
    rng = np.random.default_rng(1)
    drawn = [SPACE.draw(rng) for _ in range(2_000)]
    assert {len(a.blocks) for a in drawn} == {1, 2, 3, 4}
    assert {a.head for a in drawn} == set(SPACE.heads)
    assert {block.channels for a in drawn for block in a.blocks} == set(range(2, 33))


def test_smallest():
    # 2-gap: 20 + 30; each further block of 2 adds 38.
    assert (str(SPACE.smallest()), num_parameters(SPACE.smallest())) == ("2-gap", 50)
    rng = np.random.default_rng(2)
    assert min(num_parameters(SPACE.draw(rng)) for _ in range(2_000)) >= 50


def test_small_images_allow_fewer_blocks():
    assert [Space(Task(size, 1, 10)).depth for size in (1, 2, 3, 4, 8, 28)] == [1, 2, 2, 3, 4, 4]
    tiny = Task(image_size=3, in_channels=3, num_classes=2)
    rng = np.random.default_rng(3)
    assert {len(Space(tiny).draw(rng).blocks) for _ in range(50)} == {1, 2}

"""Neighbours of a network, evolution by them, and the model that chooses among them."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import MNIST, SETTINGS, SPACE, new_study, run_search

from lightcnn.architecture import parse, plan
from lightcnn.cost import num_parameters
from search.evolution import POPULATION, EvolutionSampler
from search.records import finished
from search.samplers import NUM_RANDOM, SurrogateSampler
from search.space import USUAL, Space
from search.surrogate import features

WIDE = Space(MNIST, *USUAL["wide"], "wide")
SPACES = {"template": SPACE, "wide": WIDE, "one width": replace(SPACE, widths=(5, 5), max_blocks=2)}


def num_moved(one, other, space):
    """Of the parameters on which both depend, how many differ."""
    first, second = space.parameters(one), space.parameters(other)
    return sum(first[name] != second[name] for name in first)


@pytest.mark.parametrize("name", SPACES)
def test_neighbours_are_other_members(name):
    space, rng = SPACES[name], np.random.default_rng(0)
    tries = valid = 0
    for _ in range(100):
        network = space.draw(rng)
        for _ in range(10):
            tries += 1
            if (found := space.mutated(network, rng)) is not None:
                valid += 1
                assert found in space and found != network and plan(found) != plan(network)
    assert valid > (0.5 if name == "one width" else 0.8) * tries


def test_most_neighbours_are_near():
    rng, network = np.random.default_rng(0), parse("8vbln-10svbl-16svbln-16svbl-gap", MNIST)
    found = [it for it in (WIDE.mutated(network, rng) for _ in range(300)) if it is not None]
    assert np.median([num_moved(network, it, WIDE) for it in found]) <= 2
    widths = {tuple(block.channels for block in it.blocks) for it in found}
    assert len(widths) > 20 and len({it.head for it in found}) >= 3


def test_evolution_varies_the_best_of_the_latest():
    study = new_study()
    settings = replace(SETTINGS, sampler="evolution")
    run_search(study, settings, trials=60)
    records = finished(study)
    texts = [records[i].architecture for i in range(60)]
    for i in range(NUM_RANDOM + 5, 60):
        child = parse(texts[i], MNIST)
        parents = [parse(text, MNIST) for text in texts[max(i - POPULATION, 0) : i]]
        assert min(num_moved(child, it, SPACE) for it in parents) <= 3


def test_where_nothing_is_wanted_evolution_suggests_nothing():
    study = new_study()
    run_search(study, trials=NUM_RANDOM + 2)
    sampler = EvolutionSampler(0, SPACE, lambda _: False)
    assert sampler.sample_relative(study, study.ask()._cached_frozen_trial, SPACE.distributions()) == {}


def test_the_model_chooses_among_neighbours_as_well():
    study = new_study()
    run_search(study, replace(SETTINGS, space=WIDE), trials=NUM_RANDOM + 5)
    found = list(finished(study).values())
    plain, local = (
        {*SurrogateSampler(WIDE, lambda _: True, neighbours=number)._pool_around(found, len(found))[0]}
        for number in (0, 100)
    )
    added = local - plain
    assert plain < local and len(added) > 30 * len(found)
    parents = [parse(record.architecture, MNIST) for record in found]
    assert np.mean([min(num_moved(it, parent, WIDE) for parent in parents) <= 2 for it in added]) > 0.5


def test_what_is_not_wanted_is_no_part_of_the_pool():
    study = new_study()
    run_search(study, replace(SETTINGS, space=WIDE), trials=NUM_RANDOM + 5)
    found = list(finished(study).values())
    cheap, pool = SurrogateSampler(WIDE, lambda it: num_parameters(it) <= 500)._pool_around(found, len(found))
    everything, _ = SurrogateSampler(WIDE, lambda _: True)._pool_around(found, len(found))
    assert cheap == [it for it in everything if num_parameters(it) <= 500]
    assert pool.sizes.tolist() == [num_parameters(it) for it in cheap]
    assert np.array_equal(pool.features, features(cheap, WIDE))


def test_where_nothing_is_wanted_the_model_suggests_nothing():
    study = new_study()
    run_search(study, replace(SETTINGS, space=WIDE), trials=NUM_RANDOM + 2)
    sampler = SurrogateSampler(WIDE, lambda _: False)
    assert sampler.sample_relative(study, study.ask()._cached_frozen_trial, WIDE.distributions()) == {}

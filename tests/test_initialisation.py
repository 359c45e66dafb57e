"""Initial weights: what each kind draws, that the seed alone decides, and what becomes of narrow blocks."""

from dataclasses import replace
from math import sqrt

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from lightcnn.architecture import Task, parse
from lightcnn.data import LabelledImages
from lightcnn.engine import build as engine_build
from lightcnn.initialisation import INITIALISATIONS, initial_network
from lightcnn.network import build
from lightcnn.training import FAST, PAPER, Recipe, train, trained_network

MNIST = Task(image_size=28, in_channels=1, num_classes=10)
COLOUR = Task(image_size=17, in_channels=3, num_classes=4)
NETWORKS = [
    *(parse(text, MNIST) for text in ("2-2-2-2-gap", "8-16-32-flatten-128", "flatten-70-30", "flatten")),
    parse("6k5v-9-pool3-20", COLOUR),
]


def layers(architecture, initialisation):
    network = initial_network(architecture, initialisation, seed=0)
    return [layer for layer in network if isinstance(layer, nn.Conv2d | nn.Linear)]


@pytest.mark.parametrize("architecture", NETWORKS, ids=str)
@pytest.mark.parametrize("seed", [0, 5])
def test_pytorchs_are_what_they_have_been(architecture, seed):
    torch.manual_seed(seed)
    expected = parameters_to_vector(build(architecture).parameters())
    network = initial_network(architecture, "pytorch", seed)
    assert torch.equal(parameters_to_vector(network.parameters()), expected)


@pytest.mark.parametrize("architecture", NETWORKS, ids=str)
def test_zero_biases_change_the_biases_of_convolutions_alone(architecture):
    pairs = zip(layers(architecture, "pytorch"), layers(architecture, "zero-bias"), strict=True)
    for before, after in pairs:
        assert torch.equal(before.weight, after.weight)
        if isinstance(after, nn.Conv2d):
            assert before.bias.any() and not after.bias.any()
        else:
            assert torch.equal(before.bias, after.bias)


@pytest.mark.parametrize("architecture", NETWORKS, ids=str)
def test_hes_have_the_variance_that_what_follows_asks_for(architecture):
    """Uniform within sqrt(6 / fan-in) has variance 2 / fan-in, within sqrt(3 / fan-in) 1 / fan-in."""
    *before_relu, scores = layers(architecture, "he")
    for layer, squared in [*((own, 6) for own in before_relu), (scores, 3)]:
        weights = layer.weight.detach()
        limit = sqrt(squared / weights[0].numel())
        assert not layer.bias.any()
        assert weights.abs().max() <= limit
        if weights.numel() > 250:
            assert weights.abs().max() > 0.98 * limit
            assert weights.var().item() == pytest.approx(limit**2 / 3, rel=0.15)


@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_the_seed_alone_decides(initialisation):
    def drawn(seed):
        network = initial_network(NETWORKS[0], initialisation, seed)
        return parameters_to_vector(network.parameters())

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = drawn(7)
    assert torch.equal(torch.get_rng_state(), before)  # the caller's generator is left alone
    torch.manual_seed(2)
    assert torch.equal(drawn(7), first)
    assert not torch.equal(drawn(8), first)


@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_both_engines_begin_with_the_same(initialisation):
    """At a rate of zero nothing is learnt, so what a run ends with is what it began with."""
    engine = engine_build.prepare(pytest.skip)
    recipe = Recipe(epochs=2, learning_rate=0.0, batch_size=7, initialisation=initialisation)
    images = LabelledImages(torch.rand(20, 3, 17, 17), torch.arange(20) % 4)
    architecture = NETWORKS[-1]
    expected = initial_network(architecture, initialisation, seed=3).state_dict()
    for library in (None, engine):
        piece = train(architecture, recipe, images, None, seed=3, engine=library)
        found = trained_network(architecture, piece.state).state_dict()
        assert all(torch.equal(found[name], expected[name]) for name in expected | found)


@pytest.mark.parametrize("unknown", ["xavier", "He", "", None])
def test_an_unknown_one_is_refused(unknown):
    with pytest.raises(ValueError) as caught:
        replace(FAST, initialisation=unknown)
    assert str(caught.value) == (
        f"an initialisation is one of pytorch, zero-bias, he, but got initialisation={unknown!r}"
    )


def test_the_recipes():
    assert (PAPER.initialisation, FAST.initialisation) == ("pytorch", "he")
    assert Recipe(8, 1e-3, 64).initialisation == "pytorch"  # as settings that lack it were meant


def test_narrow_blocks_are_silent_with_pytorchs_alone():
    """A block is silent when all its ReLUs are 0 on all images: nothing flows back, and the run is dead."""
    images = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))

    def is_silent(network):
        maps = images
        for layer in network:
            maps = layer(maps)
            if isinstance(layer, nn.ReLU) and not maps.any():
                return True
        return False

    with torch.inference_mode():
        num_silent = {
            initialisation: sum(is_silent(initial_network(NETWORKS[0], initialisation, s)) for s in range(60))
            for initialisation in INITIALISATIONS
        }
    assert num_silent["pytorch"] >= 10 and num_silent["zero-bias"] <= 1 and num_silent["he"] <= 1

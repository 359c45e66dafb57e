"""Wide networks in PyTorch: sums, shared weights, batch norm and its statistics, their first weights."""

from dataclasses import replace
from math import sqrt

import pytest
import torch
from torch import nn
from torch.nn import functional

from lightcnn.architecture import Task, parse
from lightcnn.batch_norm import SETTLED_ON, settle, settled_batches
from lightcnn.data import LabelledImages
from lightcnn.initialisation import initial_network
from lightcnn.network import build
from lightcnn.training import FAST, train, trained_network

TASK = Task(image_size=12, in_channels=2, num_classes=5)
TEXTS = ["4vbln-6svbl-6brx2n-8d-pool2", "4bn-4blrx3-7k5s-gap-6"]


def drawn_images(num_images, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(num_images, 2, 12, 12, generator=generator)
    return LabelledImages(images, torch.randint(5, (num_images,), generator=generator))


def test_a_wide_network_written_out():
    network = build(parse("4bn-4srx2-3vld-gap", TASK)).double()
    images = drawn_images(7).images.double()
    weights = {name: it.detach() for name, it in network.state_dict().items()}
    first = functional.conv2d(images, weights["0.weight"], padding=1)
    mean, variance = (
        first.mean(dim=(0, 2, 3), keepdim=True),
        first.var(dim=(0, 2, 3), keepdim=True, correction=0),
    )
    maps = ((first - mean) / (variance + 1e-5).sqrt() + weights["1.bias"].reshape(1, -1, 1, 1)).relu()
    for _ in range(2):
        depthwise = functional.conv2d(maps, weights["3.weight"], padding=1, groups=4)
        maps = (functional.conv2d(depthwise, weights["4.weight"], weights["4.bias"]) + maps).relu_()
    maps = functional.max_pool2d(maps, 2)
    maps = functional.conv2d(maps, weights["12.weight"], weights["12.bias"], stride=2)
    maps = torch.where(maps > 0, maps, 0.1 * maps)
    expected = functional.linear(maps.mean(dim=(2, 3)), weights["16.weight"], weights["16.bias"])
    torch.testing.assert_close(network(images), expected)
    assert len({*map(id, network.parameters())}) == len([*network.parameters()]) == 9
    assert torch.equal(weights["3.weight"], weights["7.weight"])


def test_settled_statistics_are_those_of_the_maps():
    """Each batch is normalised by its own on the way."""
    network = build(parse("3b-4b-gap", TASK))
    data, order = drawn_images(50), torch.randperm(50, generator=torch.Generator().manual_seed(1))
    batches = data.images[order[:48]].split(16)
    settle(network, batches)
    first = torch.cat([network[0](batch) for batch in batches]).double()
    torch.testing.assert_close(network[1].mean, first.mean(dim=(0, 2, 3)).float())
    torch.testing.assert_close(network[1].variance, first.var(dim=(0, 2, 3), correction=0).float())
    second = torch.cat([network[4](_through(network, batch)) for batch in batches])
    torch.testing.assert_close(network[5].mean, second.double().mean(dim=(0, 2, 3)).float())
    # What was settled is what it measures with, whatever else is in the batch.
    network.eval()
    torch.testing.assert_close(network(data.images)[:1], network(data.images[:1]))


def _through(network, batch):
    for layer in [*network][:4]:
        batch = layer(batch)
    return batch


def test_how_many_batches_settle():
    assert [settled_batches(number, 64) for number in (1, 63, 64, 200, 25_000)] == [
        1,
        1,
        1,
        3,
        SETTLED_ON // 64,
    ]
    assert settled_batches(100_000, 60_000) == 1


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_equal_the_whole(text):
    architecture, recipe = parse(text, TASK), replace(FAST, epochs=3, batch_size=32)
    images = drawn_images(65), drawn_images(20, seed=1)  # the last batch holds one image
    whole = train(architecture, recipe, *images, seed=3)
    state, epochs = None, ()
    for start, stop in ((0, 1), (1, 3)):
        piece = train(architecture, recipe, *images, seed=3, start=start, stop=stop, state=state)
        state, epochs = piece.state, epochs + piece.epochs
    assert epochs == whole.epochs and state == whole.state and not whole.diverged
    network = trained_network(architecture, state).eval()
    with torch.inference_mode():
        loss = functional.cross_entropy(network(images[1].images), images[1].labels)
    assert loss.item() == pytest.approx(whole.epochs[-1].val_loss, rel=1e-5)


def test_first_weights_suit_what_follows():
    """He's variance: 2 / fan-in before ReLU, 2 / (1 + slope squared) before LeakyReLU, 1 before neither."""
    network = initial_network(parse("30l-40s-gap", TASK), "he", seed=0)
    layers = [layer for layer in network if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer, squared in zip(layers, (6 / 1.01, 3, 6, 3), strict=True):
        limit = sqrt(squared / layer.weight[0].numel())
        assert 0.97 * limit < layer.weight.abs().max() <= limit
        assert layer.bias is None or not layer.bias.any()

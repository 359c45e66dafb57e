"""Training: pieces equal the whole, rates, divergence, and that it learns real MNIST."""

import io
from dataclasses import replace

import pytest
import torch

from lightcnn.architecture import Task, parse
from lightcnn.data import DATASETS, LabelledImages, load_training_images
from lightcnn.measurement import measure
from lightcnn.splitting import split, stratified_subset
from lightcnn.training import FAST, PAPER, Recipe, train, trained_network

MNIST = Task(image_size=28, in_channels=1, num_classes=10)
SMALL = parse("4-6-gap", MNIST)


@pytest.fixture(scope="module")
def images(mnist_folder):
    """600 images to train on and 1,500 to validate with."""
    everything = load_training_images(DATASETS["mnist"], mnist_folder)
    rest, held_out = split(everything.labels, 1_500)
    return everything.subset(stratified_subset(everything.labels, rest, 600)), everything.subset(held_out)


@pytest.mark.parametrize("recipe", [replace(FAST, epochs=4), replace(PAPER, epochs=4)])
def test_pieces_equal_the_whole_bit_for_bit(recipe, images):
    whole = train(SMALL, recipe, *images, seed=3)
    state, epochs = None, ()
    for start, stop in ((0, 1), (1, 3), (3, 4)):
        piece = train(SMALL, recipe, *images, seed=3, start=start, stop=stop, state=state)
        state, epochs = piece.state, epochs + piece.epochs
    assert epochs == whole.epochs
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    for one, other in zip(
        trained_network(SMALL, whole.state).parameters(),
        trained_network(SMALL, state).parameters(),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_result_follows_from_the_seed_alone(images):
    recipe = replace(FAST, epochs=1)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = train(SMALL, recipe, *images, seed=0)
    assert torch.equal(torch.get_rng_state(), before)  # the caller's generator is left alone
    torch.manual_seed(2)
    assert train(SMALL, recipe, *images, seed=0).epochs == first.epochs
    assert train(SMALL, recipe, *images, seed=1).epochs != first.epochs


def test_each_epoch_has_an_order_of_its_own(images):
    """With a rate of zero nothing is learnt, so only the order of the batches can change an epoch's loss."""
    still = Recipe(epochs=2, learning_rate=0.0, batch_size=599)
    first, second = train(SMALL, still, *images, seed=0).epochs
    assert first.train_loss != second.train_loss
    assert first.val_loss == second.val_loss


def test_rates():
    """20 steps with a tenth of warm-up: 2 steps up to the peak of 1, 18 down to 0."""
    recipe = Recipe(epochs=1, learning_rate=1.0, batch_size=1, warmup=0.1)
    rates = [recipe.rate(step, 20) for step in range(20)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[3:] == pytest.approx([(20 - step) / 18 for step in range(3, 20)])
    assert [PAPER.rate(step, 20) for step in (0, 19)] == [1e-3, 1e-3]


@pytest.mark.parametrize("batch_size", [64, 600])  # with 600, the only step is the one that breaks it
def test_divergence_is_reported(batch_size, images):
    piece = train(SMALL, Recipe(epochs=3, learning_rate=1e30, batch_size=batch_size), *images, seed=0)
    assert piece.diverged
    assert len(piece.epochs) == 1
    assert not train(SMALL, replace(FAST, epochs=1), *images, seed=0).diverged


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_trains_to_about_the_same(images):
    recipe = replace(FAST, epochs=2)
    there = [part.to("cuda") for part in images]
    whole = train(SMALL, recipe, *there, seed=0, device="cuda")
    assert whole.epochs[-1].train_loss == pytest.approx(
        train(SMALL, recipe, *images, seed=0).epochs[-1].train_loss, rel=0.1
    )
    first = train(SMALL, recipe, *there, seed=0, stop=1, device="cuda")
    assert train(SMALL, recipe, *there, seed=0, start=1, state=first.state, device="cuda").epochs


def test_without_validation(images):
    epoch = train(SMALL, replace(FAST, epochs=1), images[0], None, seed=0).epochs[0]
    assert (epoch.val_accuracy, epoch.val_loss) == (None, None)


def test_measure_by_hand():
    class Scores(torch.nn.Module):
        def forward(self, images):
            return images[:, :, 0, 0]

    scores = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 3.0]]).reshape(3, 2, 1, 1)
    accuracy, loss = measure(Scores(), LabelledImages(scores, torch.tensor([0, 1, 1])))
    assert accuracy == pytest.approx(2 / 3)  # of equal scores, argmax takes the first
    assert loss == pytest.approx((0.126928 + 0.693147 + 0.048587) / 3, abs=1e-6)  # log(1 + exp(-margin))


def test_measure_does_not_train():
    """Statistics of a batch norm are taken from training batches alone, and used when measuring."""
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(2), torch.nn.Flatten())
    data = LabelledImages(torch.tensor([[4.0, 0.0], [0.0, 9.0]]).reshape(2, 2, 1, 1), torch.tensor([0, 1]))
    before = network[0].running_mean.clone()
    for training in (True, False):
        network.train(training)
        _, loss = measure(network, data)
        assert torch.equal(network[0].running_mean, before)
        assert loss == pytest.approx((0.018150 + 0.000123) / 2, abs=1e-5)  # as with no norm at all
        assert [module.training for module in network.modules()] == [training] * 3


def test_it_learns_mnist(mnist_folder):
    """A tenth of the images and two epochs: far from the end, and far beyond chance."""
    everything = load_training_images(DATASETS["mnist"], mnist_folder)
    rest, held_out = split(everything.labels)
    training = everything.subset(stratified_subset(everything.labels, rest, 6_000))
    architecture = parse("8-16-32-flatten", MNIST)
    piece = train(architecture, replace(FAST, epochs=2), training, everything.subset(held_out), seed=0)
    assert piece.epochs[-1].val_accuracy > 0.95


@pytest.mark.parametrize(("start", "stop", "state"), [(0, 9, None), (2, 2, b""), (1, 2, None), (0, 1, b"")])
def test_impossible_pieces(start, stop, state, images):
    with pytest.raises(ValueError, match=f"but got start={start}, stop={stop}, state="):
        train(SMALL, FAST, *images, seed=0, start=start, stop=stop, state=state)


def test_impossible_recipe():
    with pytest.raises(ValueError, match="but got epochs=0, batch_size=64"):
        replace(FAST, epochs=0)


@pytest.mark.parametrize("text", ["4-6-gap", "flatten-16"])
def test_a_state_made_on_a_gpu_goes_on_on_the_cpu(text, images):
    """There the weights are laid out otherwise, and Adam's rate is a tensor."""
    network, recipe = parse(text, MNIST), replace(FAST, epochs=2)
    first = train(network, recipe, *images, seed=3, stop=1)
    content = torch.load(io.BytesIO(first.state), weights_only=True)
    for kept in content["optimizer"]["state"].values():
        kept |= {name: kept[name].contiguous() for name in ("exp_avg", "exp_avg_sq")}
    content["optimizer"]["param_groups"][0] |= {"lr": torch.tensor(0.1), "capturable": True}
    content["network"] = {name: weight.contiguous() for name, weight in content["network"].items()}
    as_on_gpu = io.BytesIO()
    torch.save(content, as_on_gpu)
    here, there = (
        train(network, recipe, *images, seed=3, start=1, state=state).epochs
        for state in (first.state, as_on_gpu.getvalue())
    )
    assert here == there

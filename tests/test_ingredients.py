"""What a recipe may add to Adam on labels: each with the engine as with PyTorch, and each by hand."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_engine import drawn_images, engine, gradient_by_torch  # noqa: F401  # a fixture
from torch.nn.utils import parameters_to_vector

from lightcnn.architecture import Task, num_features, parse
from lightcnn.cost import num_parameters
from lightcnn.engine.build import load
from lightcnn.engine.native import NativeNetwork
from lightcnn.epoch_data import kept_features
from lightcnn.initialisation import initial_network
from lightcnn.network import build
from lightcnn.torch_run import CpuRun
from lightcnn.training import Recipe, scores, smoothed, train, trained_network
from lightcnn.update import Update, loss_of

TASK = Task(image_size=14, in_channels=3, num_classes=7)
TEXTS = ("4-6-gap", "4bn-6svbl-6brx2-gap")
STEPS = Recipe(epochs=10, learning_rate=3e-3, batch_size=64, warmup=0.2)
INGREDIENTS = {
    "weight decay": {"weight_decay": 2.0},
    "label smoothing": {"label_smoothing": 0.2},
    "averaging": {"averaging": 0.9},
    "augmentation": {"augmentation": 1.0},
    "teacher": {"temperature": 3.0},
    "dropout": {"dropout": 0.4},
    "all": {
        "weight_decay": 1.0,
        "averaging": 0.8,
        "augmentation": 2.0,
        "temperature": 0.5,
        "dropout": 0.2,
    },
}


def images_of(architecture):
    return drawn_images(architecture, 3 * 64 - 5), drawn_images(architecture, 35, seed=1)


def teaching(name, num_images):
    """Of a teacher, for two epochs; None where there is none."""
    if name not in ("teacher", "all"):
        return None
    generator = np.random.default_rng(0)
    return generator.dirichlet(np.full(TASK.num_classes, 0.3), (2, num_images)).astype(np.float32)


def weights(architecture, state):
    return torch.cat([it.detach().flatten() for it in trained_network(architecture, state).parameters()])


def gradients(text, data, update, library):
    """By the engine and by PyTorch in float64, each with the loss."""
    architecture = parse(text, TASK)
    torch.manual_seed(0)
    network = build(architecture)
    parameters = parameters_to_vector(network.parameters()).detach()
    ours = NativeNetwork(architecture, load(library)).gradient(data, parameters, update)
    return ours, gradient_by_torch(network.double(), data, update)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 0.5])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("num_images", [1, 37, 64])
def test_gradients_of_soft_targets(text, temperature, num_images, engine):  # noqa: F811
    data = replace(
        drawn_images(parse(text, TASK), num_images),
        targets=torch.from_numpy(np.random.default_rng(1).dirichlet([0.3] * 7, num_images)).float(),
    )
    (loss, gradient), (expected_loss, expected) = gradients(
        text, data, Update(temperature=temperature), engine
    )
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    assert (gradient.double() - expected).abs().max() < 3e-5 * expected.abs().max()


@pytest.mark.parametrize("text", [*TEXTS, "4-6-flatten", "4-pool2-9", "5bn-3sl-flatten-8"])
@pytest.mark.parametrize("num_images", [1, 37, 64])
def test_gradients_under_dropout(text, num_images, engine):  # noqa: F811
    """Heads with windows and without, plain networks and layers, one linear layer and two."""
    architecture = parse(text, TASK)
    kept = kept_features(num_images, num_features(architecture), 0.4, 3, 5)
    data = replace(drawn_images(architecture, num_images), kept=kept)
    (loss, gradient), (expected_loss, expected) = gradients(text, data, Update(dropout=0.4), engine)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    assert (gradient.double() - expected).abs().max() < 3e-5 * expected.abs().max()
    whole, _ = gradients(text, replace(data, kept=None), Update(dropout=0.4), engine)
    assert whole[0] != loss  # a network that dropped features once sees all of them again


def test_features_are_kept_by_image_seed_and_epoch():
    kept = kept_features(2_000, 50, 0.3, 1, 2)
    assert kept.dtype == torch.bool
    # 100,000 draws: the share has a standard deviation of 0.0014; of an image's 50, of 0.065.
    assert abs(kept.float().mean().item() - 0.7) < 0.006
    assert 0.06 < kept.float().mean(1).std() < 0.07
    assert torch.equal(kept, kept_features(2_000, 50, 0.3, 1, 2))
    assert not torch.equal(kept, kept_features(2_000, 50, 0.3, 1, 3))
    assert not torch.equal(kept, kept_features(2_000, 50, 0.3, 2, 2))


def test_dropout_by_hand():
    """Of four inputs of 1 two are kept, with a gain of 4; weights of 1 then add up to 8."""
    network = build(parse("flatten", Task(2, 1, 2)))
    with torch.no_grad():
        network[1].weight.fill_(1)
        network[1].bias.zero_()
    kept = torch.tensor([[True, False, False, True]])
    images = torch.ones(1, 1, 2, 2)
    assert network(images, kept * Update(dropout=0.75).gain).tolist() == [[8.0, 8.0]]
    assert network(images).tolist() == [[4.0, 4.0]]


@pytest.mark.parametrize("name", INGREDIENTS)
@pytest.mark.parametrize("text", TEXTS)
def test_the_engine_trains_as_pytorch_does(text, name, engine):  # noqa: F811
    """Runs of 30 steps stay together, and go another way than without the ingredient."""
    architecture, recipe = parse(text, TASK), replace(STEPS, **INGREDIENTS[name])
    data, validation = images_of(architecture)
    targets = teaching(name, len(data))
    ours, theirs, without = (
        train(architecture, it, data, validation, 1, engine=library, targets=taught)
        for it, library, taught in ((recipe, engine, targets), (recipe, None, targets), (STEPS, engine, None))
    )
    for one, other in zip(ours.epochs, theirs.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-4)
        assert one.val_loss == pytest.approx(other.val_loss, rel=1e-3)
    one, other, plain = (weights(architecture, piece.state) for piece in (ours, theirs, without))
    moved = (one - plain).abs().max()
    assert moved > 3e-3
    assert (one - other).abs().max() < moved / 20


@pytest.mark.parametrize("name", INGREDIENTS)
@pytest.mark.parametrize("by_engine", [True, False])
def test_pieces_equal_the_whole_bit_for_bit(by_engine, name, engine):  # noqa: F811
    architecture = parse("4bn-4sbx2-gap", TASK)
    recipe, (data, validation) = replace(STEPS, epochs=4, **INGREDIENTS[name]), images_of(architecture)
    known = {"engine": engine if by_engine else None, "targets": teaching(name, len(data))}
    whole = train(architecture, recipe, data, validation, 3, **known)
    state, epochs = None, ()
    for start, stop in ((0, 1), (1, 3), (3, 4)):
        piece = train(architecture, recipe, data, validation, 3, start, stop, state, **known)
        state, epochs = piece.state, epochs + piece.epochs
    assert epochs == whole.epochs
    assert torch.equal(weights(architecture, state), weights(architecture, whole.state))


def test_a_rate_of_zero_decays_nothing_and_decay_is_decoupled():
    """Without a gradient, of an empty update, AdamW's step is the decay alone: 1 - rate * decay."""
    network = build(parse("flatten", Task(2, 1, 2)))
    with torch.no_grad():
        network[1].weight.fill_(1)
        network[1].bias.fill_(-2)
    data = drawn_images(parse("4-gap", Task(4, 1, 2)), 4)
    data.images.zero_()  # no weight has a gradient
    data = replace(data, images=data.images[:, :, :2, :2].contiguous())
    run = CpuRun(network, None, Update(weight_decay=0.5))
    run.train_epoch(data, torch.arange(4), 2, [0.1, 0.0])
    assert run.content()["network"]["1.weight"] == pytest.approx(torch.full((2, 4), 0.95), rel=1e-6)


def test_smoothed_labels():
    found = smoothed(torch.tensor([2, 0]), 4, 0.2)
    assert found.tolist() == [
        pytest.approx([0.05, 0.05, 0.85, 0.05]),
        pytest.approx([0.85, 0.05, 0.05, 0.05]),
    ]


def test_smoothing_is_that_of_pytorch():
    data = drawn_images(parse("4-gap", TASK), 9)
    scores = torch.randn(9, 7)
    ours = loss_of(scores, replace(data, targets=smoothed(data.labels, 7, 0.1)), 1.0)
    theirs = torch.nn.functional.cross_entropy(scores, data.labels, label_smoothing=0.1)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)


def test_a_temperature_by_hand():
    """Scores (2 ln 3, 0) at T = 2: softmax is (3/4, 1/4); T^2 times half the two log losses."""
    data = replace(drawn_images(parse("4-gap", Task(14, 1, 2)), 1), targets=torch.tensor([[0.5, 0.5]]))
    loss = loss_of(torch.tensor([[2 * np.log(3), 0.0]]), data, 2.0).item()
    assert loss == pytest.approx(4 * 0.5 * -(np.log(0.75) + np.log(0.25)), rel=1e-6)


def test_a_teacher_is_heard_in_turn():
    """Epochs at a rate of zero, in one batch: each has the loss of its own targets, the third the first's."""
    architecture = parse("4-6-gap", TASK)
    data, validation = images_of(architecture)
    recipe = Recipe(epochs=3, learning_rate=0.0, batch_size=len(data))
    first, second, third = train(
        architecture, recipe, data, validation, 0, targets=teaching("teacher", len(data))
    ).epochs
    assert first.train_loss == pytest.approx(third.train_loss, rel=1e-6)
    assert first.train_loss != pytest.approx(second.train_loss, rel=1e-4)
    assert first.val_loss == second.val_loss  # which is of labels


@pytest.mark.parametrize("by_engine", [True, False])
def test_the_mean_of_weights_by_hand(by_engine, engine):  # noqa: F811
    """Two steps of one epoch each: m1 = 0.75 w0 + 0.25 w1, m2 = 0.75 m1 + 0.25 w2."""
    architecture, decay = parse("4-6-gap", TASK), 0.75
    data, validation = images_of(architecture)
    recipe = Recipe(epochs=2, learning_rate=0.01, batch_size=len(data))
    library = engine if by_engine else None

    def run(averaging, stop):
        own = replace(recipe, averaging=averaging)
        return train(architecture, own, data, validation, 1, stop=stop, engine=library)

    steps = [weights(architecture, run(0.0, stop).state) for stop in (1, 2)]
    before = parameters_to_vector(initial_network(architecture, "pytorch", 1).parameters()).detach()
    first = decay * before + (1 - decay) * steps[0]
    expected = decay * first + (1 - decay) * steps[1]
    whole = run(decay, 2)
    assert torch.allclose(weights(architecture, whole.state), expected, rtol=1e-5, atol=1e-6)
    raw = torch.load(io.BytesIO(whole.state), weights_only=True)["optimizer"]["parameters"]
    raw = raw if by_engine else torch.cat([it.flatten() for it in raw])
    assert torch.equal(raw, steps[1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight_decay": -1.0},
        {"averaging": 1.5},
        {"label_smoothing": float("nan")},
        {"augmentation": 9.0},
        {"dropout": 1.0},
        {"augmented_from": -1},
        {"temperature": 0.0},
    ],
)
def test_impossible_ingredients(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} must be from [^,]*, but got {value}"):
        replace(STEPS, **wrong)


def test_a_teacher_and_smoothed_labels_are_one_too_many():
    architecture = parse("4-6-gap", TASK)
    data, validation = images_of(architecture)
    with pytest.raises(ValueError, match="a teacher needs label_smoothing=0, but got"):
        train(
            architecture,
            replace(STEPS, label_smoothing=0.1),
            data,
            validation,
            0,
            targets=teaching("teacher", len(data)),
        )


@pytest.mark.parametrize("text", [*TEXTS, "3k5v-5-pool2-7"])
def test_scores_are_those_of_pytorch(text, engine):  # noqa: F811
    architecture = parse(text, TASK)
    data, validation = images_of(architecture)
    state = train(architecture, replace(STEPS, epochs=1), data, None, 0, engine=engine).state
    ours, theirs = (scores(architecture, state, validation, engine=it) for it in (engine, None))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        expected = trained_network(architecture, state).eval()(validation.images)
    torch.testing.assert_close(theirs, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("num_parameters", "strength"),
    [(1, 0), (699, 0), (700, 0), (1_050, 0.5), (1_400, 1), (2_100, 2), (10**6, 2)],
)
def test_small_networks_are_augmented_less(num_parameters, strength):
    assert replace(STEPS, augmentation=2.0, augmented_from=700).strength(num_parameters) == strength
    assert replace(STEPS, augmentation=2.0).strength(num_parameters) == 2.0


@pytest.mark.parametrize(
    ("num_parameters", "epochs"),
    [(10, 160), (700, 160), (701, 160), (2_214, 80), (6_218, 43), (7_000, 40), (10**6, 40)],
)
def test_small_networks_are_trained_longer(num_parameters, epochs):
    longer = replace(STEPS, epochs=40, small_epochs=160)
    assert longer.of_size(num_parameters) == replace(STEPS, epochs=epochs)
    assert replace(STEPS, epochs=40).of_size(num_parameters) == replace(STEPS, epochs=40)


def test_a_run_is_of_one_size():
    architecture = parse("4-6-gap", TASK)
    with pytest.raises(ValueError, match="a recipe of one size, but got small_epochs=9"):
        train(architecture, replace(STEPS, small_epochs=9), *images_of(architecture), 0)


def test_small_networks_are_trained_at_all():
    with pytest.raises(ValueError, match="small_epochs must be at least 1, but got 0"):
        replace(STEPS, small_epochs=0)


@pytest.mark.parametrize(("times", "strength"), [(1, 0.0), (1 / 2, 0.5), (1 / 3, 1.0)])
def test_a_run_is_augmented_by_its_size(times, strength, engine):  # noqa: F811
    architecture = parse("4-6-gap", TASK)
    size = num_parameters(architecture)

    def trained(recipe):
        data, validation = images_of(architecture)
        return train(architecture, recipe, data, validation, 0, stop=1, engine=engine).epochs

    by_size = replace(STEPS, augmentation=1.0, augmented_from=size * times)
    assert trained(by_size) == trained(replace(STEPS, augmentation=strength))
    assert trained(by_size) != trained(replace(STEPS, augmentation=strength + 0.1))


@pytest.mark.parametrize("by_engine", [True, False])
def test_batch_norms_settle_on_images_that_are_not_augmented(by_engine, engine):  # noqa: F811
    """At a rate of zero the weights stay, so that augmentation changes nothing that is measured."""
    architecture = parse("4bn-6svbl-6brx2-gap", TASK)
    still = replace(STEPS, epochs=1, learning_rate=0.0)
    plain, turned = (
        train(architecture, recipe, *images_of(architecture), 0, engine=engine if by_engine else None).epochs[
            0
        ]
        for recipe in (still, replace(still, augmentation=3.0))
    )
    assert plain.train_loss != turned.train_loss
    assert plain.val_loss == turned.val_loss

"""The compiled engine against PyTorch: gradients, Adam, whole runs, the same bits however it is called."""

from dataclasses import replace

import pytest
import torch
from drawn import architectures
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from lightcnn.architecture import Task, parse, plan
from lightcnn.batch_norm import ShiftedNorm
from lightcnn.data import LabelledImages
from lightcnn.engine import build
from lightcnn.engine.native import NativeNetwork, supports
from lightcnn.measurement import measure
from lightcnn.network import build as build_network
from lightcnn.operations import BatchNorm
from lightcnn.training import FAST, Recipe, train, trained_network, weights_alone
from lightcnn.update import PLAIN, Update, loss_of

MNIST = Task(image_size=28, in_channels=1, num_classes=10)
SMALL = parse("4-6-gap", Task(image_size=14, in_channels=1, num_classes=10))


@pytest.fixture(scope="session")
def engine():
    path = build.prepare(pytest.skip)
    assert path is not None
    return path


def drawn_images(architecture, num_images, seed=0, levels=None):
    """Random images and labels; with few `levels` of grey there are ties in max pooling."""
    task = architecture.task
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(num_images, task.in_channels, task.image_size, task.image_size, generator=generator)
    if levels:
        images = (images * levels).floor() / levels
    return LabelledImages(images, torch.randint(task.num_classes, (num_images,), generator=generator))


def gradient_by_torch(network, data, update=PLAIN):
    """Loss and flat gradient, in the network's precision."""
    network.zero_grad()
    dtype = next(network.parameters()).dtype
    targets = None if data.targets is None else data.targets.to(dtype)
    kept = None if data.kept is None else data.kept * update.gain
    scores = network(data.images.to(dtype), kept)
    loss = loss_of(scores, replace(data, targets=targets), update.temperature)
    loss.backward()
    return loss.item(), torch.cat([parameter.grad.flatten() for parameter in network.parameters()])


def blurred(values):
    """In float64, each moved by about eight times the precision of float32."""
    return values.double() * (1 + 2.0**-20 * torch.randn(values.shape, dtype=torch.float64))


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    architectures((4, 15), 3, max_channels=14, kernels=(1, 3, 3, 5, 7)).filter(supports),
    st.integers(1, 67),
    st.integers(0, 5),
    st.sampled_from([None, 1, 2]),
)
@example(parse("3n-4-pool3", Task(15, 3, 10)), 37, 0, None)  # overlapping windows: 7 pixels in 3
@example(parse("28-14-32-flatten", MNIST), 64, 0, 2)
@example(parse("8-16-32-gap", MNIST), 64, 0, None)
@example(parse("6k5-16k5vp-flatten-120-84", MNIST), 3, 0, None)
@example(parse("8vbln-10svbl-16svbln-16svbl-18sbln-20svbl-gap", MNIST), 64, 0, None)
@example(parse("4sn-5k5s-gap", Task(15, 3, 10)), 37, 0, None)  # depthwise
@example(parse("4k1n-9k1-gap", Task(15, 3, 10)), 37, 0, None)
@example(parse("4d-9sd-3k1d-gap", Task(15, 3, 10)), 37, 0, None)  # stride 2
@example(parse("4ln-5l-flatten", Task(15, 3, 10)), 37, 0, 2)  # LeakyReLU
@example(parse("3lr-3srx2-gap", Task(15, 3, 10)), 37, 0, None)  # sums, of the image as well; shared weights
@example(parse("4b-5bl-6bp-gap", Task(15, 3, 10)), 37, 0, None)  # batch norm
@example(parse("4bn-4bx3-6bd-gap", Task(15, 3, 10)), 1, 0, None)
@example(parse("4bn-4blrx2-pool2-5", Task(15, 3, 10)), 16, 0, None)
def test_gradients_are_as_exact_as_those_of_pytorch(engine, architecture, num_images, seed, levels):
    torch.manual_seed(seed)
    network = build_network(architecture)
    norms = [it for it in plan(architecture) if isinstance(it, BatchNorm)]
    # A norm of equal values, or of a single one, gives 0 but for rounding, which then decides what a ReLU
    # lets through.
    assume(not norms or levels != 1)
    assume(num_images > 1 or all(it.output_shape[1] > 1 for it in norms))
    data = drawn_images(architecture, num_images, seed, levels)
    parameters = parameters_to_vector(network.parameters()).detach()
    loss, gradient = NativeNetwork(architecture, build.load(engine)).gradient(data, parameters)
    _, single = gradient_by_torch(network, data)
    expected_loss, expected = gradient_by_torch(network.double(), data)
    largest = expected.abs().max().item()
    assume(largest > 1e-9)

    def error(found):
        return (found.double() - expected).abs().max().item() / largest

    # Where little is left of large sums, or rounding decides what a ReLU lets through or which of two pixels
    # is larger, float32 has few digits, whoever adds: small changes of weights and maps change as much.
    if levels is None:  # else equal pixels are meant
        for layer in set(network):  # blocks share some
            layer.register_forward_hook(lambda layer, inputs, maps: blurred(maps))
    loss_error, gradient_error = 0.0, 4 * error(single)
    for _ in range(5):
        vector_to_parameters(blurred(parameters), network.parameters())
        blurred_loss, blurred_gradient = gradient_by_torch(network, data)
        loss_error = max(loss_error, 4 * abs(blurred_loss - expected_loss))
        gradient_error = max(gradient_error, 4 * error(blurred_gradient))
    assert loss == pytest.approx(expected_loss, rel=1e-6, abs=loss_error)
    assert error(gradient) < max(3e-5, gradient_error)


def test_black_images_through_norms(engine):
    """The first norm sees zeros alone, the later ones what padding makes of its shift."""
    architecture = parse("4b-5bl-6bp-gap", Task(15, 3, 10))
    torch.manual_seed(0)
    network = build_network(architecture)
    for norm in (it for it in network if isinstance(it, ShiftedNorm)):
        torch.nn.init.uniform_(norm.bias, -1, 1)
    data = drawn_images(architecture, 37, levels=1)
    parameters = parameters_to_vector(network.parameters()).detach()
    loss, gradient = NativeNetwork(architecture, build.load(engine)).gradient(data, parameters)
    expected_loss, expected = gradient_by_torch(network.double(), data)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    torch.testing.assert_close(gradient.double(), expected, atol=1e-4 * expected.abs().max().item(), rtol=0)


def test_of_equal_pixels_the_first_gets_the_gradient(engine):
    """Without weights every pixel of a window ties, and the gradient says which of them was taken."""
    architecture = parse("3-2p-flatten", SMALL.task)
    network = build_network(architecture)
    with torch.no_grad():
        for layer in (network[0], network[3]):
            layer.weight.zero_()
            layer.bias.fill_(0.5)
    data = drawn_images(architecture, 20)
    parameters = parameters_to_vector(network.parameters()).detach()
    _, gradient = NativeNetwork(architecture, build.load(engine)).gradient(data, parameters)
    _, expected = gradient_by_torch(network, data)
    assert torch.allclose(gradient, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "text", ["4-6-gap", "3k5v-5-pool2-7", "4sl-4srn-6sd-gap", "4bn-6svbl-6brx2-gap", "4bd-6bp-gap"]
)
def test_adam_over_30_steps(text, engine):
    """The whole path, rates and ragged last batch included: 30 steps stay together to a thousandth."""
    architecture = parse(text, replace(SMALL.task, in_channels=3))
    data = drawn_images(architecture, 3 * 64 - 5)
    recipe = Recipe(epochs=10, learning_rate=3e-3, batch_size=64, warmup=0.2)
    ours = train(architecture, recipe, data, data, seed=1, engine=engine)
    theirs = train(architecture, recipe, data, data, seed=1)
    for one, other in zip(ours.epochs, theirs.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-5)
        assert one.val_loss == pytest.approx(other.val_loss, rel=1e-5)
        assert one.val_accuracy == pytest.approx(other.val_accuracy, abs=1.1 / len(data))
    for one, other in zip(
        trained_network(architecture, ours.state).parameters(),
        trained_network(architecture, theirs.state).parameters(),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def images():
    return drawn_images(SMALL, 150), drawn_images(SMALL, 35, seed=1)


@pytest.mark.parametrize("text", [str(SMALL), "4bn-6svbl-6brx2-gap"])
def test_pieces_equal_the_whole_bit_for_bit(text, images, engine):
    recipe, architecture = replace(FAST, epochs=4), parse(text, SMALL.task)
    whole = train(architecture, recipe, *images, seed=3, engine=engine)
    state, epochs = None, ()
    for start, stop in ((0, 1), (1, 3), (3, 4)):
        piece = train(architecture, recipe, *images, 3, start, stop, state, engine=engine)
        state, epochs = piece.state, epochs + piece.epochs
    assert epochs == whole.epochs
    assert state == whole.state


@pytest.mark.parametrize("batch_size", [16, 40, 64])
def test_statistics_are_settled_as_by_pytorch(batch_size, engine):
    """After an epoch at a rate of zero: what PyTorch's are, and what a network measures with afterwards."""
    architecture = parse("4bn-6svbl-6brx2-gap", SMALL.task)
    training, validation = drawn_images(architecture, 150), drawn_images(architecture, 35, seed=1)
    recipe = Recipe(epochs=1, learning_rate=0.0, batch_size=batch_size)
    ours, theirs = (
        train(architecture, recipe, training, validation, seed=1, engine=it) for it in (engine, None)
    )
    assert ours.epochs[0].val_loss == pytest.approx(theirs.epochs[0].val_loss, rel=1e-5)
    one, other = (trained_network(architecture, piece.state) for piece in (ours, theirs))
    for (name, found), expected in zip(one.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6, msg=name)
        assert found.abs().sum() > 0
    assert measure(one, validation)[1] == pytest.approx(ours.epochs[0].val_loss, rel=1e-5)


def test_states_are_not_exchanged(images, engine):
    recipe = replace(FAST, epochs=2)
    for one, other in ((engine, None), (None, engine)):
        state = train(SMALL, recipe, *images, seed=0, stop=1, engine=one).state
        with pytest.raises(ValueError, match=r"PyTorch.*compiled engine|compiled engine.*PyTorch"):
            train(SMALL, recipe, *images, seed=0, start=1, state=state, engine=other)
        trained_network(SMALL, weights_alone(state))


def test_networks_without_convolutions_are_left_to_pytorch(images, engine):
    architecture = parse("flatten-7", SMALL.task)
    assert not supports(architecture) and supports(SMALL)
    with pytest.raises(ValueError, match="but got flatten-7"):
        NativeNetwork(architecture, build.load(engine))
    recipe = replace(FAST, epochs=1)
    with_engine = train(architecture, recipe, *images, seed=0, engine=engine)
    assert with_engine.state == train(architecture, recipe, *images, seed=0).state


@pytest.mark.parametrize("batch_size", [64, 150])  # with 150, the only step is the one that breaks it
def test_divergence_is_reported(batch_size, images, engine):
    recipe = Recipe(epochs=3, learning_rate=1e30, batch_size=batch_size)
    piece = train(SMALL, recipe, *images, seed=0, engine=engine)
    assert piece.diverged
    assert len(piece.epochs) == 1


@pytest.mark.parametrize("text", ["4-6-gap", "4n-6-flatten-5", "4bn-6s-gap", "4ln-5d-gap"])
def test_what_is_not_a_number_is_not_hidden_by_relu(text, engine):
    architecture = parse(text, SMALL.task)
    data = drawn_images(architecture, 20)
    data.images[3] = float("nan")
    parameters = parameters_to_vector(build_network(architecture).parameters()).detach()
    native = NativeNetwork(architecture, build.load(engine))
    assert native.gradient(data, parameters)[0] != native.gradient(data, parameters)[0]


def test_thread_settings_change_nothing(images, engine):
    recipe = replace(FAST, epochs=1)
    expected = train(SMALL, recipe, *images, seed=0, engine=engine)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert train(SMALL, recipe, *images, seed=0, engine=engine).state == expected.state
    finally:
        torch.set_num_threads(threads)


def test_it_leaves_the_float_settings_alone(images, engine):
    tiny = torch.tensor([1e-40])
    train(SMALL, replace(FAST, epochs=1), *images, seed=0, engine=engine)
    assert (tiny * 0.5).item() > 0


def test_images_outside_its_memory_are_refused(images, engine):
    network = NativeNetwork(SMALL, build.load(engine))
    parameters = torch.zeros(network.num_parameters)
    labels = torch.full_like(images[0].labels, 10)
    with pytest.raises(ValueError, match="labels must be"):
        network.gradient(LabelledImages(images[0].images, labels), parameters)
    with pytest.raises(ValueError, match="images must be"):
        network.gradient(LabelledImages(images[0].images[:, :, 1:], images[0].labels), parameters)
    order = torch.arange(150) + 1
    with pytest.raises(ValueError, match="order must be"):
        network.train(
            images[0], order, 64, [0.1] * 3, 0, parameters, (parameters, parameters), torch.zeros(0), Update()
        )
    with pytest.raises(ValueError, match="targets must be"):
        network.gradient(replace(images[0], targets=torch.zeros(150, 9)), parameters)
    with pytest.raises(ValueError, match="what is kept must be"):
        network.gradient(replace(images[0], kept=torch.ones(150, 9, dtype=torch.bool)), parameters)

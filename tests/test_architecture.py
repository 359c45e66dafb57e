"""Architectures: their text form, their cost in closed form against built modules, and the named designs."""

import math
from contextlib import suppress
from dataclasses import fields, replace
from itertools import product

import pytest
import torch
from drawn import architectures
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lightcnn.architecture import Architecture, Task, parse, plan, template
from lightcnn.block import Block
from lightcnn.cost import deployed, num_macs, num_parameters, peak_activation_bytes, weight_bytes
from lightcnn.designs import DESIGNS, LIGHTCNN, designs_for
from lightcnn.errors import UserError
from lightcnn.network import build
from lightcnn.operations import Add, AveragePool, Relu

MNIST = Task(image_size=28, in_channels=1, num_classes=10)
COLOUR = Task(image_size=32, in_channels=3, num_classes=7)


@given(architectures())
@settings(max_examples=300, deadline=None)
def test_text_form_parses_back(architecture):
    assert parse(str(architecture), architecture.task) == architecture


@given(architectures())
@settings(max_examples=300, deadline=None)
def test_cost_equals_what_a_built_network_does(architecture):
    network = build(architecture).eval()
    macs, sizes = [], []
    sums = [(it.source, number) for number, it in enumerate(plan(architecture)) if isinstance(it, Add)]
    task = architecture.task
    values = torch.zeros(1, task.in_channels, task.image_size, task.image_size)
    given = [values]
    with torch.inference_mode():
        for number, layer in enumerate(network, start=1):
            values = layer(values)
            if isinstance(layer, nn.Conv2d):
                macs.append(layer.weight.numel() * values.shape[2] * values.shape[3])
            elif isinstance(layer, nn.Linear):
                macs.append(layer.weight.numel())
            # The others work in place, or are views.
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.MaxPool2d | nn.AdaptiveAvgPool2d):
                waiting = [given[i].numel() for i, end in sums if i < number - 1 and number < end]
                sizes.append(4 * (given[-1].numel() + values.numel() + sum(waiting)))
            given.append(values)
    assert values.shape == (1, task.num_classes)
    assert num_parameters(architecture) == sum(p.numel() for p in network.parameters())
    assert num_macs(architecture) == sum(macs)
    assert peak_activation_bytes(architecture) == max(sizes)


def every_block():
    """Each value of each field with each of the others, those that go together."""
    names = [field.name for field in fields(Block)]
    values = ((1, 2), (1, 3), *[(True, False)] * 5, (1, 2), (True, False), (1, 2))
    for chosen in product(*values):
        with suppress(UserError):
            yield Block(**dict(zip(names, chosen, strict=True)))


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_of_each_network_there_is_one_text(side):
    task, found = Task(side, 1, 2), set()
    for block in every_block():
        for others in ((), (Block(2, max_pool=False),)):
            for grid in range(1, side + 1):
                with suppress(UserError):
                    found.add(Architecture((block, *others), grid, task))
    assert len(found) > 50
    assert len({plan(it) for it in found}) == len({str(it) for it in found}) == len(found)
    assert all(parse(str(it), task) == it for it in found)


def test_a_wide_network_is_counted_by_hand():
    """As trained, as deployed, MACs and activations; a block of two applications, with a norm and without."""
    architecture = parse("4vbl-6sn-6brx2-5d-pool2", MNIST)
    assert [(it.name, it.output_shape, it.num_parameters) for it in plan(architecture)] == [
        ("image", (1, 28, 28), 0),
        ("conv 3x3 1-4", (4, 26, 26), 36),
        ("batch norm", (4, 26, 26), 4),
        ("max pooling 2x2", (4, 13, 13), 0),
        ("LeakyReLU", (4, 13, 13), 0),
        ("depthwise 3x3 4", (4, 13, 13), 36),
        ("conv 1x1 4-6", (6, 13, 13), 30),
        ("ReLU", (6, 13, 13), 0),
        ("conv 3x3 6-6", (6, 13, 13), 324),
        ("batch norm", (6, 13, 13), 6),
        ("sum with the block's input", (6, 13, 13), 0),
        ("ReLU", (6, 13, 13), 0),
        ("conv 3x3 6-6, the same weights", (6, 13, 13), 0),
        ("batch norm", (6, 13, 13), 0),
        ("sum with the block's input", (6, 13, 13), 0),
        ("max pooling 2x2", (6, 6, 6), 0),
        ("ReLU", (6, 6, 6), 0),
        ("conv 3x3 6-5, stride 2", (5, 3, 3), 275),
        ("ReLU", (5, 3, 3), 0),
        ("average pooling to 2x2", (5, 2, 2), 0),
        ("flatten", (20,), 0),
        ("linear 20-10", (10,), 210),
    ]
    trained = 40 + 36 + 30 + 330 + 275 + 210
    assert num_parameters(architecture) == trained
    # The block that is applied twice is folded twice, each time with a shift of its own.
    held = deployed(architecture)
    assert held.num_parameters == trained + 330
    channels = 4 + 4 + 6 + 6 + 6 + 5 + 10
    assert (held.channels, held.integer_biases) == (channels, channels - 4)  # a depthwise one has no bias
    assert weight_bytes(architecture) == 4 * (trained + 330)
    assert weight_bytes(architecture, "int8") == held.weights + 4 * (channels - 4) + 4 * channels
    macs = 36 * 26**2 + (36 + 24 + 2 * 324) * 13**2 + 270 * 3**2 + 200
    assert num_macs(architecture) == macs
    assert peak_activation_bytes(architecture) == 4 * (28**2 + 4 * 26**2)  # the first convolution
    # Without a norm, the weights of both applications are the same in what is deployed.
    plain = parse("6-6x2n-gap", MNIST)
    assert deployed(plain).num_parameters == num_parameters(plain) == 60 + 330 + 70
    assert weight_bytes(plain, "int8") == 54 + 324 + 60 + 8 * (6 + 2 * 6 + 10)
    # A sum's input waits while a separable block computes.
    assert peak_activation_bytes(parse("4n-4sr-gap", MNIST)) == 4 * 3 * 4 * 784


def test_six_separable_blocks_are_said_in_a_line():
    """Three stages of two blocks, all separable but the first, without padding in the first two."""
    assert num_parameters(parse("8vbln-10svbl-16svbln-16svbl-18sbln-20svbl-gap", MNIST)) == 2_126


def without_relu(architecture):
    return [operation for operation in plan(architecture) if not isinstance(operation, Relu)]


def test_the_plan_of_lightcnn_is_the_papers():
    table = without_relu(parse(LIGHTCNN, MNIST))
    assert [(layer.name, layer.output_shape, layer.num_parameters) for layer in table] == [
        ("image", (1, 28, 28), 0),
        ("conv 3x3 1-8", (8, 28, 28), 80),
        ("max pooling 2x2", (8, 14, 14), 0),
        ("conv 3x3 8-16", (16, 14, 14), 1_168),
        ("max pooling 2x2", (16, 7, 7), 0),
        ("conv 3x3 16-32", (32, 7, 7), 4_640),
        ("global average pooling", (32, 1, 1), 0),
        ("flatten", (32,), 0),
        ("linear 32-10", (10,), 330),
    ]
    # 9 * 8 * 784 + 72 * 16 * 196 + 144 * 32 * 49 + 320; and the first pooling: (8 * 784 + 8 * 196) * 4 bytes
    assert num_macs(parse(LIGHTCNN, MNIST)) == 56_448 + 225_792 + 225_792 + 320
    assert peak_activation_bytes(parse(LIGHTCNN, MNIST)) == 31_360


def test_layer_shapes_are_those_of_the_built_network():
    architecture = parse("6k5-16k5vp-flatten-120-84", COLOUR)
    shapes = []
    network = build(architecture)
    for layer in network:
        layer.register_forward_hook(lambda layer, _, out: shapes.append((type(layer), tuple(out.shape[1:]))))
    network(torch.zeros(2, 3, 32, 32))
    assert [shape for kind, shape in shapes if kind is not nn.ReLU] == [
        layer.output_shape for layer in without_relu(architecture)[1:]
    ]


@pytest.mark.parametrize("grid", range(1, 8))
def test_the_windows_of_average_pooling_are_pytorchs(grid):
    """They overlap where the grid does not divide the side."""
    for side in range(grid, 30):
        maps = torch.rand(2, side, side)
        windows = AveragePool((2, side, side), grid).windows
        pooled = [
            [maps[:, top:end, left:right].mean(dim=(1, 2)) for left, right in windows] for top, end in windows
        ]
        by_hand = torch.stack([torch.stack(row, dim=-1) for row in pooled], dim=-2)
        torch.testing.assert_close(nn.AdaptiveAvgPool2d(grid)(maps), by_hand)
        assert windows[0][0] == 0 and windows[-1][1] == side


def test_the_windows_on_the_last_maps_of_mnist():
    assert AveragePool((1, 7, 7), 2).windows == ((0, 4), (3, 7))
    assert AveragePool((1, 7, 7), 3).windows == ((0, 3), (2, 5), (4, 7))
    assert AveragePool((1, 7, 7), 4).windows == ((0, 2), (1, 4), (3, 6), (5, 7))
    assert AveragePool((1, 14, 14), 2).windows == ((0, 7), (7, 14))


@pytest.mark.parametrize(
    ("head", "num_inputs"), [("gap", 3), ("pool2", 12), ("pool3", 27), ("pool4", 48), ("flatten", 147)]
)
def test_each_head_is_counted_by_hand(head, num_inputs):
    """Three 3x3 blocks, whose last maps are 7x7: 3 inputs of the linear layer for each pixel pooled to."""
    architecture = template((2, 2, 3), head, MNIST)
    convolutions = (9 * 1 * 2 + 2) + (9 * 2 * 2 + 2) + (9 * 2 * 3 + 3)
    assert num_parameters(architecture) == convolutions + 10 * num_inputs + 10
    macs = 784 * 9 * 2 + 196 * 9 * 4 + 49 * 9 * 6  # pooling counts none
    assert num_macs(architecture) == macs + 10 * num_inputs


def test_named_designs_have_the_papers_parameters():
    assert {design.name: num_parameters(design.architecture(MNIST)) for design in DESIGNS} == {
        "LightCNN": 6_218,
        "LightCNN, GAP removed": 21_578,
        "LightCNN, GAP removed, hidden layer": 208_010,
        "MLP": 535_818,
        "Classic CNN": 81_002,
        "Medium-Light": 3_212,
        "Ultra-Light": 210,
        "LeNet-5": 61_706,
    }
    # "13 times fewer" than the classic CNN, "less than 10 %" of it
    assert round(81_002 / 6_218) == 13
    assert all(str(design.architecture(MNIST)) == design.text for design in DESIGNS)


@pytest.mark.parametrize(
    ("sides", "left_out"),
    [
        ((64, 16), set()),
        ((15, 12), {"Classic CNN"}),
        ((11, 8), {"Classic CNN", "LeNet-5"}),
        ((7, 4), {"Classic CNN", "LeNet-5", "LightCNN, GAP removed"}),
    ],
)
def test_named_designs_that_the_images_allow(sides, left_out):
    for side in sides:
        possible = {design.name for design in designs_for(Task(side, 3, 10))}
        assert {design.name for design in DESIGNS} - possible == left_out


def test_equal_networks_are_equal_values():
    assert parse("8-16-32-pool7", MNIST) == parse("8-16-32-flatten", MNIST)
    assert parse("8-16-32-pool1", MNIST) == template((8, 16, 32), "gap", MNIST)
    assert str(parse("08p-16n-4n-pool1", MNIST)) == "8-16n-4-gap"
    light = parse(LIGHTCNN, MNIST)
    assert str(replace(light, grid=light.map_side)) == "8-16-32-flatten"
    assert parse("8-16-32-gap", MNIST) != parse("8-16-32-gap", COLOUR)


READS_LIKE = "an architecture reads like 8-16-32-gap, 8-16-32-flatten-128 or 4-pool2, but got "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", READS_LIKE + "'': it needs exactly one of gap, flatten and pool<side>"),
        ("8-16", READS_LIKE + "'8-16': it needs exactly one of gap, flatten and pool<side>"),
        ("8-gap-gap", READS_LIKE + "'8-gap-gap': it needs exactly one of gap, flatten and pool<side>"),
        ("8-x-gap", READS_LIKE + "'8-x-gap': 'x' is not a block"),
        ("8--gap", READS_LIKE + "'8--gap': '' is not a block"),
        ("8-gap-", READS_LIKE + "'8-gap-': '' is not the width of a hidden layer"),
        ("8-gap-1.5", READS_LIKE + "'8-gap-1.5': '1.5' is not the width of a hidden layer"),
        ("٣-gap", READS_LIKE + "'٣-gap': '٣' is not a block"),
        ("8-0-32-gap", "a block needs at least 1 channel, but got channels=0"),
        ("8k4-gap", "a kernel size must be odd, but got kernel_size=4"),
        ("8-gap-0", "a hidden layer needs at least 1 unit, but got hidden=(0,)"),
        ("8-pool29", "the last maps can be pooled to a side of 1 to 28, their own, but got grid=29"),
        ("8-pool0", "the last maps can be pooled to a side of 1 to 28, their own, but got grid=0"),
        (
            "8-8-8-8-8-8-gap",
            "each block must leave maps of at least 1x1 pixels, but block 5 of 6 gets 1x1 and leaves none: "
            "image_size=28 is too small for these blocks",
        ),
        ("8k1s-gap", "a separable block needs a kernel of 3 or more, but got 8k1s"),
        ("8rd-8-gap", "a block with a residual sum has stride 1, but got 8r"),
        ("8-8x2d-gap", "a block applied several times has stride 1, but got 8x2"),
        ("8x0-gap", "a block is applied at least once, but got applications=0"),
        (
            "8-4x2-gap",
            "a block applied several times must have as many channels as it reads, but block 2 of 2 reads 8 "
            "and has 4",
        ),
        (
            "8n-8vr-gap",
            "a residual sum needs maps of one shape, but block 2 of 2 makes 8x26x26 of 8x28x28",
        ),
        (
            "4k27v-2vd-gap",
            "each block must leave maps of at least 1x1 pixels, but block 2 of 2 gets 1x1 and leaves none: "
            "image_size=28 is too small for these blocks",
        ),
        (
            "4k27vn-2vd-gap",
            "each block must leave maps of at least 1x1 pixels, but block 2 of 2 gets 2x2 and leaves none: "
            "image_size=28 is too small for these blocks",
        ),
        (
            "4k27v-2d-gap",
            "stride 2 must make maps smaller, but block 2 of 2 makes 1x1 of them without it",
        ),
        (
            "8k31v-gap",
            "each block must leave maps of at least 1x1 pixels, but block 1 of 1 gets 28x28 and leaves none: "
            "image_size=28 is too small for these blocks",
        ),
    ],
)
def test_what_is_no_architecture(text, message):
    with pytest.raises(ValueError) as caught:
        parse(text, MNIST)
    assert str(caught.value) == message


@given(st.text(alphabet="0123456789-gaplotenkvpsbrdx ", max_size=30))
@settings(max_examples=500, deadline=None)
def test_any_text_parses_or_is_a_value_error(text):
    try:
        architecture = parse(text, MNIST)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert parse(str(architecture), MNIST) == architecture
        assert math.isfinite(num_parameters(architecture))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 3, "max_pool": False}, "a block's stride is 1 or 2, but got stride=3"),
        ({"stride": 2}, "a block has max pooling or stride 2, not both, but got 8"),
        ({"applications": -1}, "a block is applied at least once, but got applications=-1"),
    ],
)
def test_what_no_text_says_is_no_block(changes, message):
    with pytest.raises(UserError) as caught:
        Block(8, **changes)
    assert str(caught.value) == message


def test_task_and_head_are_checked():
    with pytest.raises(ValueError, match=r"a task needs num_classes of at least 1, but got num_classes=0"):
        Task(28, 1, 0)
    with pytest.raises(ValueError, match=r"a head is gap, flatten or pool<side>, but got head='max'"):
        template((8,), "max", MNIST)

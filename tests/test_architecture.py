"""Architectures: their text form, their cost in closed form against built modules, and the named designs."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lightcnn.architecture import Architecture, Block, Task, parse, plan, template
from lightcnn.cost import num_macs, num_parameters, peak_activation_bytes
from lightcnn.designs import DESIGNS, LIGHTCNN, designs_for
from lightcnn.network import build
from lightcnn.operations import AveragePool, Relu

MNIST = Task(image_size=28, in_channels=1, num_classes=10)
COLOUR = Task(image_size=32, in_channels=3, num_classes=7)


@st.composite
def architectures(draw):
    task = Task(draw(st.integers(5, 40)), draw(st.integers(1, 4)), draw(st.integers(2, 12)))
    blocks: tuple[Block, ...] = ()
    for _ in range(draw(st.integers(0, 5))):
        block = Block(
            draw(st.integers(1, 9)),
            draw(st.sampled_from([1, 3, 5])),
            draw(st.booleans()),
            draw(st.booleans()),
        )
        try:
            Architecture((*blocks, block), 1, task)
        except ValueError:
            break
        blocks += (block,)
    grid = draw(st.integers(1, Architecture(blocks, 1, task).map_side))
    return Architecture(blocks, grid, task, tuple(draw(st.lists(st.integers(1, 20), max_size=3))))


@given(architectures())
@settings(max_examples=300, deadline=None)
def test_text_form_parses_back(architecture):
    assert parse(str(architecture), architecture.task) == architecture


@given(architectures())
@settings(max_examples=300, deadline=None)
def test_cost_equals_what_a_built_network_does(architecture):
    network = build(architecture).eval()
    macs, sizes = [], []

    def watch(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(layer.weight.numel() * output.shape[2] * output.shape[3])
        elif isinstance(layer, nn.Linear):
            macs.append(layer.weight.numel())
        if not isinstance(layer, nn.ReLU | nn.Flatten):  # in place, and a view
            sizes.append(4 * (inputs[0].numel() + output.numel()))

    for layer in network:
        layer.register_forward_hook(watch)
    task = architecture.task
    with torch.inference_mode():
        scores = network(torch.zeros(1, task.in_channels, task.image_size, task.image_size))
    assert scores.shape == (1, task.num_classes)
    assert num_parameters(architecture) == sum(p.numel() for p in network.parameters())
    assert num_macs(architecture) == sum(macs)
    assert peak_activation_bytes(architecture) == max(sizes)


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


@given(st.text(alphabet="0123456789-gaplotenkvp x", max_size=30))
@settings(max_examples=500, deadline=None)
def test_any_text_parses_or_is_a_value_error(text):
    try:
        architecture = parse(text, MNIST)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert parse(str(architecture), MNIST) == architecture
        assert math.isfinite(num_parameters(architecture))


def test_task_and_head_are_checked():
    with pytest.raises(ValueError, match=r"a task needs num_classes of at least 1, but got num_classes=0"):
        Task(28, 1, 0)
    with pytest.raises(ValueError, match=r"a head is gap, flatten or pool<side>, but got head='max'"):
        template((8,), "max", MNIST)

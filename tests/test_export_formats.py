"""What is written of a network, beside the network: ONNX and C, in float32 and in 8 bits, of any layers."""

import math
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load

from lightcnn.architecture import Architecture, Task, parse
from lightcnn.batch_norm import settle
from lightcnn.cost import deployed
from lightcnn.errors import Failure
from lightcnn.network import build
from search.export.c_compiled import Sizes, c_compiler, c_runner, cortex_compiler, cortex_m4_sizes
from search.export.c_source import _arena, c_name, to_c
from search.export.formats import FORMATS, Exported
from search.export.onnx_file import onnx_runner, to_onnx
from search.export.quantization import integer_scores, quantize
from search.export.runner import largest_difference
from search.export.steps import steps_of

MNIST, COLOUR = Task(image_size=28, in_channels=1, num_classes=10), Task(17, 3, 4)
DESIGNS = [
    ("8-16-32-gap", MNIST),
    ("4-pool2", MNIST),  # over even windows
    ("2-3-4-pool2", MNIST),  # the last maps have 7x7 pixels: windows of one size that overlap
    ("2-3-4-pool4", MNIST),  # windows of several sizes
    ("6k5-16k5vp-flatten-120-84", MNIST),
    ("6k5-3vn-pool3-7", COLOUR),
    ("3-flatten", COLOUR),
    ("8vbln-10svbl-12sb-gap", MNIST),
    ("4bn-4brx2-6k5sd-7bl-pool3", COLOUR),  # three applications, folded by statistics of their own
    ("5ln-5lrx3n-5srx2-8d-gap-6", COLOUR),  # weights that stay shared; a sum's input waits
    ("3slr-3lr-6k1d-pool2", COLOUR),  # the image itself is added
    ("gap", COLOUR),
    ("flatten-6", COLOUR),
    ("flatten", COLOUR),
]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wshadow", "-Wdouble-promotion", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
COMPILERS = {"C": ["gcc", "-std=c99"], "C++": ["g++", "-std=c++11", "-x", "c++"]}


@dataclass
class Example:
    """A network as it was drawn, and images of noise."""

    architecture: Architecture

    @cached_property
    def network(self):
        torch.manual_seed(0)
        network = build(self.architecture)
        settle(network, self.images.split(25))
        return network.eval()

    @cached_property
    def images(self):
        task = self.architecture.task
        shape = (50, task.in_channels, task.image_size, task.image_size)
        return torch.randint(256, shape, generator=torch.Generator().manual_seed(0)) / 255

    @cached_property
    def steps(self):
        return steps_of(self.architecture, self.network)

    @cached_property
    def quantized(self):
        return quantize(self.steps, self.images)

    def source(self, stem, quantized=False):
        return to_c(self.architecture, self.steps, stem, self.quantized if quantized else None)


@pytest.fixture(scope="module", params=DESIGNS, ids=lambda design: design[0])
def example(request):
    return Example(parse(*request.param))


def test_onnx_in_float32(example):
    content = to_onnx(example.steps, example.architecture.task, {"made": "here"})
    runner = onnx_runner(content)
    assert largest_difference("ONNX", runner.predict, example.network, example.images) < 1e-5
    model = onnx.load_model_from_string(content)
    assert [(it.key, it.value) for it in model.metadata_props] == [("made", "here")]
    state = example.network.state_dict()
    held = {it.name: onnx.numpy_helper.to_array(it) for it in model.graph.initializer}
    if not any("mean" in name for name in state):  # else batch norm is folded
        for name, weight in example.network.named_parameters():
            np.testing.assert_array_equal(held[name], weight.detach())
    size = sum(it.size for name, it in held.items() if re.search(r"\.(weight|bias)", name))
    assert size == deployed(example.architecture).num_parameters
    used = {name for node in model.graph.node for name in node.input}
    assert {*held} <= used


def test_8_bits_are_near_the_network(example):
    with torch.inference_mode():
        expected = example.network(example.images)
    difference = (integer_scores(example.quantized, example.images) - expected).abs().max()
    assert 0 < difference < 0.03 * (expected.abs().max() + expected.std())
    for it in example.quantized:
        assert it.weight.dtype == np.int8
        assert it.bias is None or it.bias.dtype == np.int32


def test_the_int8_onnx_computes_the_integers(example):
    """Bit for bit, but on x86 without VNNI, where sums of 16 bits may saturate in onnxruntime."""
    content = to_onnx(example.steps, example.architecture.task, {}, example.quantized)
    found = onnx_runner(content).predict(example.images)
    expected = integer_scores(example.quantized, example.images)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and "vnni" in cpuinfo.read_text():
        assert torch.equal(found, expected)
    else:
        assert (found - expected).abs().max() < 0.1 * expected.abs().max()


def test_a_layer_that_is_silent_and_weights_of_no_size():
    """Where there is nothing to divide by: a layer without output, a channel without weights, or nearly."""
    dead = Example(parse("3-2-gap", COLOUR))
    with torch.no_grad():
        dead.network[0].weight[0], dead.network[0].weight[1] = 1e-12, 0
        dead.network[0].bias[:] = torch.tensor([5.0, 0, 0.1])
        dead.network[3].bias[:] = -100
    expected = dead.network(dead.images).detach()
    assert torch.allclose(integer_scores(dead.quantized, dead.images), expected, atol=1e-2)
    content = to_onnx(dead.steps, COLOUR, {}, dead.quantized)
    assert torch.allclose(onnx_runner(content).predict(dead.images), expected, atol=1e-2)


def test_sums_that_32_bits_do_not_hold_are_told():
    wide = Example(parse("flatten", Task(320, 1, 2)))
    with torch.no_grad():
        wide.network[1].weight[:] = 1
    with pytest.raises(Failure, match=r"sums of 32 bits, but linear 102400-2 has 102,400 inputs"):
        quantize(wide.steps, wide.images[:2])


def test_something_else_is_told(example):
    other = -example.images
    with pytest.raises(Failure, match="it must compute what the network does, to within "):
        largest_difference("it", lambda images: example.network(other), example.network, example.images)
    with pytest.raises(Failure, match="a score differs by nan"):
        largest_difference(
            "it", lambda images: example.network(images) * math.nan, example.network, example.images
        )


@pytest.mark.skipif(c_compiler() is None, reason="needs a C compiler")
def test_c_computes_the_network_and_its_integers(example):
    classes = example.architecture.task.num_classes
    runner = c_runner(example.source("net"), c_compiler(), classes)
    assert largest_difference("C", runner.predict, example.network, example.images) < 1e-5
    runner = c_runner(example.source("net", quantized=True), c_compiler(), classes)
    assert torch.equal(runner.predict(example.images), integer_scores(example.quantized, example.images))


def write(source, folder, stem):
    (folder / source.header_file).write_text(source.header)
    (folder / f"{stem}.c").write_text(source.text)
    return folder / f"{stem}.c"


@pytest.mark.slow
@pytest.mark.parametrize("language", COMPILERS)
@pytest.mark.parametrize("quantized", [False, True], ids=["float32", "int8"])
def test_c_without_a_warning_that_tests_itself(example, quantized, language, tmp_path):
    """The arena there is as large as the header says, so that the sanitizers see one value too few."""
    compiler = COMPILERS[language]
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"needs {compiler[0]}")
    source, program = example.source("net", quantized), tmp_path / "program"
    path = write(source, tmp_path, "net")
    command = [*compiler, *WARNINGS, *SANITIZERS, "-O1", "-DNET_MAIN", "-o", program, path, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.split()) == example.architecture.task.num_classes
    assert not re.search(r"[ \t]$", source.text + source.header, re.MULTILINE)
    assert not re.search(r"\b(malloc|calloc|realloc|alloca)\b", source.text)
    expected = re.search(r"expected\[\d+\] = \{\n +(\S+?)f?[,\n]", source.text)[1]
    path.write_text(source.text.replace(expected, str(float(expected) + 1)))  # another score is told
    assert subprocess.run([*compiler, "-DNET_MAIN", "-o", program, path, "-lm"]).returncode == 0
    assert subprocess.run([program], stdout=subprocess.DEVNULL).returncode == 1


USER = """#include "exp.h"
#include "main.int8.h"
#include "exp.h"
#include <stdio.h>
static float image[EXP_CHANNELS * EXP_HEIGHT * EXP_WIDTH], arena[EXP_ARENA];
static uint8_t image8[MAIN_INT8_CHANNELS * MAIN_INT8_HEIGHT * MAIN_INT8_WIDTH], arena8[MAIN_INT8_ARENA];
int main() {
    float scores[EXP_NUM_CLASSES];
    exp_classify(image, scores, arena);
    for (int i = 0; i < EXP_NUM_CLASSES; i++) printf("%.9g\\n", scores[i]);
    main_int8_classify(image8, scores, arena8);
    for (int i = 0; i < MAIN_INT8_NUM_CLASSES; i++) printf("%.9g\\n", scores[i]);
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_two_designs_in_one_program_of_c_plus_plus(tmp_path):
    """Their files named like functions of C, compiled as C, as Arduino does, and called from C++."""
    one, other = Example(parse("8-16-32-gap", MNIST)), Example(parse("2-3-4-pool4", MNIST))
    write(one.source("exp"), tmp_path, "exp")
    write(other.source("main.int8", quantized=True), tmp_path, "main.int8")
    (tmp_path / "user.cpp").write_text(USER)
    subprocess.run(["gcc", "-c", "exp.c", "main.int8.c"], cwd=tmp_path, check=True)
    subprocess.run(["g++", "-o", "it", "user.cpp", "exp.o", "main.int8.o", "-lm"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "it"], capture_output=True, text=True, check=True).stdout.split()
    black = torch.zeros(1, 1, 28, 28)
    expected = [*one.network(black)[0].tolist(), *integer_scores(other.quantized, black)[0].tolist()]
    np.testing.assert_allclose([float(it) for it in printed], expected, rtol=1e-5, atol=1e-6)
    symbols = subprocess.run(
        ["nm", "exp.o", "main.int8.o"], cwd=tmp_path, capture_output=True, text=True
    ).stdout
    defined = re.findall(r"^[0-9a-f]+ [A-Za-z] (\w+)$", symbols, re.MULTILINE)
    assert defined and all(name.startswith(("exp_", "main_int8_")) for name in defined)


def test_the_arena_is_what_two_neighbours_need():
    """Of LightCNN pooled while it is convolved: 8x14x14 values and 16x7x7, or 16x7x7 and 32x7x7."""
    example = Example(parse("8-16-32-gap", MNIST))
    assert example.source("net").arena_bytes == 4 * (8 * 14 * 14 + 16 * 7 * 7)
    assert example.source("net", quantized=True).arena_bytes == 8 * 14 * 14 + 16 * 7 * 7
    assert Example(parse("flatten", MNIST)).source("net").arena_bytes == 4  # no array of C is empty


@pytest.mark.skipif(cortex_compiler() is None, reason="needs arm-none-eabi-gcc")
def test_sizes_on_a_cortex_m4():
    example = Example(parse("8-16-32-gap", MNIST))
    float32, int8 = (
        cortex_m4_sizes(example.source("net", quantized), cortex_compiler()) for quantized in (False, True)
    )
    assert 0 < float32.text - 4 * 6_218 < 2_000 and 0 < int8.text - (6_152 + 8 * 66) < 2_000
    assert isinstance(int8, Sizes) and float32.data == int8.data == 0
    assert 0 < float32.stack < 500 and 0 < int8.stack < 500


def test_names_in_c():
    assert [c_name(stem) for stem in ("net", "8-16.int8", "_x", "größe", "a b")] == [
        *("net", "model_8_16_int8", "model__x", "gr__e", "a_b")
    ]


def test_safetensors_are_loaded_again(example):
    """Of a block that is applied several times as well, and with what its batch norms measure with."""
    it = example.architecture
    images = (example.images, example.network(example.images))
    written = FORMATS[".safetensors"].write(Exported(example.network, it, images[0], {}), "it.safetensors")
    torch.manual_seed(1)
    other = build(parse(str(it), it.task)).eval()
    other.load_state_dict(load(written.files["it.safetensors"]))
    torch.testing.assert_close(other(images[0]), images[1])


@pytest.mark.parametrize("text", ["4bn-4srx2n-4srn-9s-gap", "5lrn-7sn-7srp-7k5srx3n-2-gap", "8-16-32-gap"])
def test_no_step_writes_over_what_is_still_read(text):
    steps = Example(parse(text, Task(17, 5, 4))).steps
    arena, starts = _arena(steps)
    places = [
        range(start, start + math.prod(it.output_shape)) for start, it in zip(starts, steps, strict=False)
    ]
    assert max(place.stop for place in places) == arena
    for number, place in enumerate(places):
        later = steps[number:]  # which read what was there before, and what this one gives
        read = {number - 1, *(it.source for it in later if it.source is not None and it.source < number)}
        for other in (places[i] for i in read if i >= 0):
            assert place.stop <= other.start or other.stop <= place.start

"""How the engine comes about: compiled, cached, checked, or done without in one line."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lightcnn.architecture import Task, num_features, parse
from lightcnn.augmentation import augmented
from lightcnn.data import LabelledImages
from lightcnn.engine import build
from lightcnn.engine.encoding import encode
from lightcnn.engine.native import NativeNetwork, open_library
from lightcnn.epoch_data import kept_features
from lightcnn.network import build as build_network
from lightcnn.training import FAST, train
from lightcnn.update import Update

ROOT = Path(__file__).parents[1]
PREPARE = "from lightcnn.engine.build import prepare; print(prepare())"
TASK = Task(image_size=14, in_channels=1, num_classes=10)


@pytest.fixture(scope="module")
def compiler():
    found = build.compilers()
    if not found:
        pytest.skip("no C++ compiler")
    return found[0]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and the cheapest build."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "user_cache_path", lambda name: tmp_path / name)
    monkeypatch.setattr(build, "FLAGS", ("-O0", *build.FLAGS[1:]))
    build.load.cache_clear()
    return tmp_path / "lightcnn-search"


def prepared():
    """What `prepare` returns, and what it says."""
    lines = []
    return build.prepare(lines.append), lines


def test_without_a_compiler_one_line_says_what_to_do(cache, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    path, lines = prepared()
    assert path is None
    assert lines == [
        "training with PyTorch, 2 to 34 times slower: no C++ compiler was found; a C++ compiler or "
        "`pip install ziglang` mends it"
    ]


def test_it_is_built_once_and_a_damaged_file_again(compiler, cache):
    path, lines = prepared()
    assert lines == []
    assert path.parent == cache
    built = path.stat().st_mtime_ns
    assert prepared() == (path, [])
    assert path.stat().st_mtime_ns == built
    contents = path.read_bytes()
    path.unlink()  # this process has it mapped
    path.write_bytes(contents[: len(contents) // 2])
    build.load.cache_clear()
    with pytest.raises(build.EngineError, match="is damaged"):
        build.load(path)
    assert prepared() == (path, [])
    assert len(path.read_bytes()) > len(contents) // 2
    assert not list(cache.glob("*.part"))


def test_another_source_or_flag_is_another_file(compiler, tmp_path, monkeypatch):
    names = {build.compile_engine(compiler, ("-O0", *build.FLAGS[1:]), tmp_path).name}
    names.add(build.compile_engine(compiler, ("-O0", "-DOTHER", *build.FLAGS[1:]), tmp_path).name)
    assert len(names) == 2


def test_a_compiler_that_fails_is_named(cache, monkeypatch, tmp_path):
    broken = tmp_path / "broken-c++"
    broken.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho 'error: no such header' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setattr(build, "compilers", lambda: [[str(broken)]])
    path, (line,) = prepared()
    assert path is None
    assert "broken-c++ could not compile the engine: error: no such header; another C++ compiler" in line


def test_zig_is_given_its_own_names_of_processors(tmp_path, monkeypatch):
    """A command that stands in for zig: it knows no x86-64-v3, as the real one."""
    stand_in = tmp_path / "zig"
    stand_in.write_text(
        '#!/bin/sh\nfor word; do case "$word" in *x86-64-v*) exit 1; esac; last=$word; done\n'
    )
    with stand_in.open("a") as script:
        script.write('[ "$1" = c++ ] && [ "$2" != --version ] && echo library > "$last"; exit 0\n')
    stand_in.chmod(0o755)
    flags = (*build.FLAGS, "-march=x86-64-v3")
    assert build.compile_engine([str(stand_in), "c++"], flags, tmp_path).read_text() == "library\n"


def test_a_cache_that_cannot_be_written(compiler, cache):
    cache.write_text("a file where the folder should be")
    path, (line,) = prepared()
    assert path is None
    assert "XDG_CACHE_HOME" in line


def test_a_wrong_engine_is_refused(compiler, cache, tmp_path, monkeypatch):
    """A source whose ReLU lets half of the negative numbers through."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in build.SOURCES:
        text = (build.FOLDER / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace("x < 0.0f ? Vector{} : x", "x < 0.0f ? 0.5f * x : x"))
    monkeypatch.setattr(build, "FOLDER", folder)
    monkeypatch.setattr(build, "compilers", lambda: [compiler])
    path, (line,) = prepared()
    assert path is None
    assert "computes wrong gradients" in line


def test_a_cpu_without_avx2(cache, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    path, (line,) = prepared()
    assert path is None
    assert "needs a CPU with AVX2" in line


@pytest.mark.slow
def test_two_processes_at_once(compiler, tmp_path):
    """Both get the same file; one waits for the other."""
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PREPARE],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    (one, first_lines), (other, second_lines) = (process.communicate() for process in running)
    assert (first_lines, second_lines) == ("", "")
    assert one == other
    assert Path(one.strip()).is_file()


WIDE = ("7vbln-11sbl-13k1bn-13brx2n-9k5sd-pool2", "6k5l-6lrn-5sd-5x3n-flatten-7")


@pytest.mark.slow
def test_every_vector_width_gives_the_same_bits(compiler, tmp_path):
    capability = torch.backends.cpu.get_cpu_capability()
    if capability != "AVX512":
        pytest.skip(f"this CPU has {capability}")
    found = set()
    for flags in build.MACHINE_FLAGS.values():
        library = open_library(build.compile_engine(compiler, (*build.FLAGS, *flags), tmp_path))
        found.add(fingerprint(library))
    assert len(found) == 1


def fingerprint(library):
    """Loss, weights and accuracy of some steps with networks that have something of everything."""
    values = []
    for text in ("5-7k5v-13-pool2-9", "9-3n-gap", "4-flatten", *WIDE):
        architecture = parse(text, Task(image_size=21, in_channels=3, num_classes=10))
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(75, 3, 21, 21, generator=generator)
        data = LabelledImages(images, torch.randint(10, (75,), generator=generator))
        native = NativeNetwork(architecture, library)
        torch.manual_seed(0)
        network = build_network(architecture)
        parameters = torch.nn.utils.parameters_to_vector(network.parameters()).detach().clone()
        moments = torch.zeros_like(parameters), torch.zeros_like(parameters)
        statistics = torch.zeros(native.num_statistics)
        for update, targets in (
            (Update(), None),
            (Update(0.1, 0.9, 3.0, 0.4), torch.rand(75, 10, generator=generator).softmax(1)),
        ):
            averages = parameters.clone() if update.averaging else None
            kept = kept_features(75, num_features(architecture), 0.4, 0, 0) if update.dropout else None
            seen = replace(data, images=augmented(images, 1.0, 0, library), targets=targets, kept=kept)
            values.append(
                native.train(
                    seen,
                    torch.arange(75),
                    25,
                    [0.01] * 3,
                    0,
                    parameters,
                    moments,
                    statistics,
                    update,
                    averages,
                )
            )
            values += [*parameters.tolist(), *statistics.tolist()]
            values += [] if averages is None else averages.tolist()
            values += native.measure(data, parameters, statistics)
    return tuple(values)


def test_training_needs_no_compiler(compiler, cache, monkeypatch):
    """A worker gets the path and loads it."""
    path, _ = prepared()
    build.load.cache_clear()
    monkeypatch.setattr(build.subprocess, "run", None)
    data = LabelledImages(torch.rand(20, 1, 14, 14), torch.arange(20) % 10)
    piece = train(parse("4-gap", TASK), FAST, data, None, seed=0, stop=1, engine=path)
    assert piece.epochs


SANITIZED = """
#include "engine.cpp"
#include <cstdio>

// Trains and measures a network; every array has exactly the length that it must have.
static void drive(std::vector<int32_t> plan, int channels, int side, int features, int classes, int count,
                  int batch) {
    void* network = network_create(plan.data(), int(plan.size()));
    if (!network) std::printf("refused\\n"), std::exit(1);
    const size_t parameters = network_num_parameters(network);
    std::vector<float> images(size_t(count) * channels * side * side), weights(parameters), first(parameters),
        second(parameters), statistics(network_num_statistics(network));
    unsigned state = 1;
    const auto next = [&state] { return (state = state * 1664525u + 1013904223u) >> 8; };
    for (float& pixel : images) pixel = next() / 16777216.0f;
    for (float& weight : weights) weight = next() / 16777216.0f - 0.5f;
    std::vector<int64_t> labels(count), order(count);
    for (int i = 0; i < count; i++) labels[i] = next() % classes, order[i] = count - 1 - i;
    const std::vector<double> rates((count + batch - 1) / batch, 0.01);
    std::vector<float> targets(size_t(count) * classes, 1.0f / classes), averages(weights), scores(targets);
    std::vector<uint8_t> kept(size_t(count) * features);
    for (uint8_t& it : kept) it = next() % 2;
    std::vector<float> maps(6 * count), copies(images.size());
    for (float& number : maps) number = next() / 8388608.0f - 1;
    maps[2] = 1e9f, maps[5] = -1e9f;
    resample_images(images.data(), count, channels, side, maps.data(), copies.data());
    double loss = 0;
    for (float* learnt : {static_cast<float*>(nullptr), targets.data()})
        loss = network_train(network, copies.data(), labels.data(), learnt, learnt ? 2 : 1,
                             learnt ? kept.data() : nullptr, 2, order.data(), count, batch, rates.data(),
                             0.1, 0.9, 0, images.data(), count / batch, weights.data(), first.data(),
                             second.data(), learnt ? averages.data() : nullptr, statistics.data());
    network_measure(network, images.data(), labels.data(), count, weights.data(), statistics.data(), &loss,
                    scores.data());
    std::vector<float> gradient(parameters);
    network_gradient(network, images.data(), labels.data(), targets.data(), 1, kept.data(), 2, count,
                     weights.data(), gradient.data());
    network_free(network);
    std::printf("%g\\n", loss);
}

int main() {
DRIVES
    const int32_t nonsense[] = {0, 1, 4, 1, 3};
    if (network_create(nonsense, 5) || network_create(nonsense, 0)) return 1;
}
"""


@pytest.mark.slow
def test_sanitizers_are_silent(compiler, tmp_path):
    """Addresses and undefined behaviour, in a program of its own."""
    drives = []
    for text, channels, side in (
        ("8-16-32-gap", 1, 28),
        ("7-3k5v-pool2-9-5", 3, 13),
        ("5n-6k7-flatten", 4, 9),
        ("1k1-flatten-17", 2, 3),
        ("3-pool3", 1, 7),
        *((text, 3, 21) for text in WIDE),
        ("3bd-4k7sbl-flatten", 2, 6),
        ("2lr-2x3-2srx2n-gap", 2, 9),
    ):
        architecture = parse(text, Task(image_size=side, in_channels=channels, num_classes=10))
        numbers = ", ".join(map(str, encode(architecture)))
        features = num_features(architecture)
        drives.append(f"    drive({{{numbers}}}, {channels}, {side}, {features}, 10, 37, 20);")
    main = tmp_path / "main.cpp"
    main.write_text(SANITIZED.replace("DRIVES", "\n".join(drives)))
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    flags = [flag for flag in build.FLAGS if flag not in ("-shared", "-O3")]
    command = [*compiler, "-O1", "-g", *flags, *build.machine_flags(), *sanitizers, f"-I{build.FOLDER}"]
    made = subprocess.run([*command, str(main), "-o", str(tmp_path / "main")], capture_output=True, text=True)
    if "cannot find" in made.stderr:
        pytest.skip("no sanitizers here")
    assert made.returncode == 0, made.stderr
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) == len(drives)

"""`python -m search.export` as a user runs it: a real tiny study, every format, and bad input."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lightcnn.architecture import Task, parse
from lightcnn.cost import num_parameters, peak_activation_bytes, weight_bytes
from lightcnn.data import DATASETS, load_training_images
from lightcnn.errors import UserError
from lightcnn.initialisation import INITIALISATIONS
from lightcnn.network import build
from lightcnn.training import AUGMENTED, FAST, trained_network
from search import export_design
from search.ablation import Ablation
from search.ablation_command import main as run_ablation
from search.budget import Budget
from search.evaluation import Arm
from search.export import formats
from search.export.__main__ import best_within, main
from search.export.c_compiled import c_compiler, cortex_compiler
from search.export.model_card import Card, design_accuracy, model_card, own_accuracies
from search.export.onnx_file import onnx_runner
from search.export.runner import largest_difference
from search.weights import one_network

pytestmark = pytest.mark.slow

MNIST = Task(image_size=28, in_channels=1, num_classes=10)
DESIGN = "2-pool2"
ASKED = ("net.onnx", "net.int8.onnx", "net.c", "net.int8.c", "net.safetensors")


@pytest.fixture(scope="module")
def study(tmp_path_factory, mnist_folder):
    """The folder of a tiny search without re-training."""
    out = tmp_path_factory.mktemp("reports")
    arguments = (
        "--trials 2 --epochs 1 --train-images 100 --seeds 0 --no-baselines --workers 1 --name tiny --out"
    )
    done = subprocess.run(
        [sys.executable, "-m", "search.run", *arguments.split(), out], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out / "tiny"


@pytest.fixture(scope="module")
def taken(study, tmp_path_factory):
    """Where a design was exported to, in every format; its weights were trained by the export."""
    folder = tmp_path_factory.mktemp("taken") / "new"
    wanted = [it for name in ASKED for it in ("--to", folder / name)]
    assert main([str(it) for it in (study, "--design", DESIGN, *wanted)]) == 0
    return folder


@pytest.fixture(scope="module")
def images(mnist_folder):
    return load_training_images(DATASETS["mnist"], mnist_folder).images[:200]


def kept(study):
    return trained_network(parse(DESIGN, MNIST), (study / "weights" / f"{DESIGN}.0.pt").read_bytes())


def refused(capsys, *arguments):
    """The one line that the command refuses `arguments` with."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1 and said.startswith("error: ")
    return said.removeprefix("error: ").rstrip()


def test_every_format_computes_what_the_network_does(study, taken, images):
    assert {path.name for path in taken.iterdir()} == {*ASKED, "net.h", "net.int8.h", "net.md"}
    network = kept(study)
    float32, int8 = (onnx_runner((taken / name).read_bytes()).predict for name in ASKED[:2])
    largest_difference("ONNX", float32, network, images)
    weights = load_file(taken / "net.safetensors")
    assert all(torch.equal(weights[name], kept_one) for name, kept_one in network.state_dict().items())
    with torch.inference_mode():
        assert (int8(images).argmax(1) == network(images).argmax(1)).float().mean() > 0.9
    model = onnx.load(taken / "net.int8.onnx")
    assert onnx.TensorProto.INT8 in {it.data_type for it in model.graph.initializer}
    for name in ASKED[:2]:
        model = onnx.load(taken / name)
        assert (model.ir_version, [(it.domain, it.version) for it in model.opset_import]) == (7, [("", 13)])


def test_a_call_writes_what_the_command_does(study, taken, tmp_path, capsys):
    called, typed = tmp_path / "called", tmp_path / "typed"
    study = shutil.copytree(study, tmp_path / "tiny")
    files = export_design(study, design=DESIGN, to=[called / "net.c", called / "net.onnx"])
    assert capsys.readouterr().out == ""
    to = ("--to", f"{typed}/net.c", "--to", f"{typed}/net.onnx")
    assert main([str(study), "--design", DESIGN, *to]) == 0
    assert files == [called / name for name in ("net.c", "net.onnx", "net.md")]
    for path in files[:2]:
        assert path.read_bytes() == (typed / path.name).read_bytes(), path.name
    capsys.readouterr()
    said = refused(capsys, study, "--to", "net.c")
    with pytest.raises(UserError) as raised:
        export_design(study, to="net.c")
    assert str(raised.value) == said == "--design is required, or a limit such as --max-parameters"


def test_files_tell_nothing_of_the_machine(study, taken):
    for path in taken.iterdir():
        content = path.read_bytes()
        assert not re.search(rb"site-packages|/tmp|/home|\.py\b|" + str(study.parent).encode(), content), path


def test_the_card(taken):
    card = (taken / "net.md").read_text(encoding="utf-8")
    assert "{" not in card.split("```")[0] and "\n\n\n" not in card
    for told in (
        *("# 2-pool2\n", "| parameters, as trained (float32) | 110 |", "| bytes of weights, float32 | 440 |"),
        "| 98 weights (int8), 12 biases (int32), 12 scales (float32) |",
        *(
            "from the study tiny",
            "| bytes of weights, int8 | 194 |",
            "| conv 3x3 1-2 | 2x28x28 | 20 | 14,112 |",
        ),
        *(
            "60,000 training",
            "1 epoch,",
            "The design: the study has no figure of it.",
            "(num_images, 1, 28, 28)",
        ),
        *("Seed 0", "divided by 255", "This network: test accuracy ", "Its int8 version: test accuracy "),
        *("(10,000 test images)", "onnxruntime 1.6 or later", "memory of the caller's, 6,304 bytes"),
        "python -m search.export tiny --design 2-pool2 --to net.onnx --to ",
        *("Initial weights: ", INITIALISATIONS[FAST.initialisation]),
    ):
        assert told in card, told
    for path in taken.glob("net.*[!md]"):
        assert f"| `{path.name}` | {path.stat().st_size:,} | " in card, path
    differences = [float(it) for it in re.findall(r"network's on \S+ training images by (\S+) at most", card)]
    assert len(differences) == 1 + (c_compiler() is not None) and max(differences) < 1e-3
    measured = [float(it) for it in re.findall(r"test accuracy ([\d.]+) %", card)]
    assert all(30 < accuracy < 90 for accuracy in measured)  # one epoch of 110 parameters
    with_time = ASKED[:4] if c_compiler() else ASKED[:2]
    times = {name: float(it) for name, it in re.findall(r"\| `(\S+)` \| ([\d.e+]+) \|\n", card)}
    assert tuple(times) == with_time and all(0 < it < 1e6 for it in times.values())
    if cortex_compiler():
        [*_, (text, data, stack, arena)] = re.findall(
            r"int8\.c` \| (\d+) \| (\d+) \| (\d+) \| (\S+) \|", card
        )
        assert 194 < int(text) < 2000 and int(data) == 0 < int(stack) < 300 and arena == "1,576"


def test_weights_are_trained_once_and_each_reading_is_recorded(study, taken, tmp_path, mnist_folder):
    shutil.copytree(study, tmp_path / "tiny")
    weights = tmp_path / "tiny" / "weights" / f"{DESIGN}.0.pt"
    before, readings = weights.stat().st_mtime_ns, tmp_path / "tiny" / "test_readings.csv"
    earlier = pd.read_csv(readings)
    assert earlier[["num_runs", "exported"]].to_numpy().tolist() == [[2, DESIGN]]
    to = tmp_path / "net.safetensors"
    assert main([str(it) for it in (tmp_path / "tiny", "--design", DESIGN, "--to", to)]) == 0
    assert weights.stat().st_mtime_ns == before
    assert pd.read_csv(readings)["num_runs"].tolist() == [2, 1]


def test_the_seed_is_the_one_most_accurate_on_its_training_images(tmp_path):
    (tmp_path / "weights").mkdir()
    architecture = parse("2-gap", MNIST)
    networks = [build(architecture) for _ in range(4)]
    for seed, network in enumerate(networks):
        torch.save({"network": network.state_dict()}, tmp_path / "weights" / f"2-gap.{seed}.pt")
    torch.save({"network": networks[0].state_dict()}, tmp_path / "weights" / "2-gap-16.0.pt")
    runs = "arm,architecture,num_parameters,seed,epochs,train_accuracy,test_accuracy,seconds\n"
    for seed, (train, test) in enumerate([(0.2, 0.9), (0.5, 0.1), (0.5, 0.2)]):
        runs += f"a,2-gap,50,{seed},1,{train},{test},1\n"
    (tmp_path / "runs.csv").write_text(runs)
    seed, network = one_network(architecture, None, None, None, tmp_path)
    assert seed == 1 and torch.equal(network[0].weight, networks[1][0].weight)


@pytest.mark.parametrize("damaged", [b"", b"no weights", b"\x80\x02.", b"PK\x03\x04"])
def test_damaged_weights_are_told(tmp_path, damaged):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "2-gap.1.pt").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"2-gap\.1\.pt must hold the weights of 2-gap, but does not"):
        one_network(parse("2-gap", MNIST), None, None, None, tmp_path)


SMALL, FAIR, FRAGILE, LARGE = "2-gap", "8-gap", "4-pool2", "8-16-gap"  # 50, 170, 210, 1,418 parameters


def test_a_budget_picks_by_validation_unless_fresh_seeds_fail_to_train():
    names = ["architecture", "val_accuracy", "train_accuracy_mean", "test_accuracy_mean"]
    lines = [
        # The test accuracies would choose the other way round.
        (SMALL, 0.90, 0.93, 0.99),
        (FAIR, 0.95, 0.97, 0.90),
        (FRAGILE, 0.96, 0.55, 0.91),
        (LARGE, 0.97, np.nan, 0.89),
    ]
    candidates = pd.DataFrame(lines, columns=names)

    def best(budget, among=candidates):
        return str(best_within(among, budget, MNIST))

    assert [best(Budget(it)) for it in (50, 209, 210, 1_418)] == [SMALL, FAIR, FAIR, LARGE]
    searched = candidates.drop(columns=["train_accuracy_mean", "test_accuracy_mean"])
    assert best(Budget(210), searched) == FRAGILE
    equals = candidates.assign(val_accuracy=0.9, train_accuracy_mean=0.99)
    assert best(Budget(1_418), equals) == SMALL
    # Limits that hold at once, on costs in which the candidates are in another order.
    activations = [peak_activation_bytes(parse(it, MNIST)) for it in (SMALL, FAIR, FRAGILE, LARGE)]
    assert activations == [9_408, 28_224, 15_680, 31_360]
    assert best(Budget(1_418, max_activation_bytes=28_223), searched) == FRAGILE
    assert best(Budget(1_418, max_activation_bytes=31_359)) == FAIR
    assert best(Budget(1_418, max_activation_bytes=7_840, weights="int8")) == LARGE
    assert best(Budget(1_418, max_macs=60_000)) == FAIR
    with pytest.raises(UserError, match=r"--max-parameters must admit .* 2-gap with 50, but got 49"):
        best(Budget(49))
    with pytest.raises(
        UserError, match=r"--max-activation-bytes must admit .* 2-gap with 9408, but got 8000"
    ):
        best(Budget(1_418, max_activation_bytes=8_000))
    with pytest.raises(UserError, match="it has none"):
        best(Budget(99), candidates[:0])


def test_a_budget_on_the_command_line(study, taken, tmp_path, capsys):
    front = pd.read_csv(study / "front.csv")
    least = int(front["num_parameters"].min())
    text = front.loc[front["num_parameters"] == least, "architecture"].item()
    network = build(parse(text, MNIST))
    shutil.copytree(study, tmp_path / "tiny")
    torch.save({"network": network.state_dict()}, tmp_path / "tiny" / "weights" / f"{text}.0.pt")
    to = tmp_path / "small.safetensors"
    assert main([str(it) for it in (tmp_path / "tiny", "--budget", least, "--to", to)]) == 0
    card = (tmp_path / "small.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {text}\n") and f"of the study within {least:,} parameters: by" in card
    assert f"search.export tiny --max-parameters {least} --to small.safetensors" in card
    assert "The design: validation accuracy" in card and "was not trained again" in card
    said = refused(capsys, study, "--max-parameters", least - 1, "--to", to)
    assert said == (
        f"--max-parameters must admit the smallest candidate, {text} with {least}, but got {least - 1}"
    )
    assert "--max-macs must admit" in refused(
        capsys, study, "--max-macs", 9, "--max-weight-bytes", 10**6, "--to", to
    )


def test_what_cannot_be_asked_for_is_told_in_a_line(study, tmp_path, capsys, monkeypatch):
    to = ["--to", tmp_path / "m.onnx"]
    assert refused(capsys, study, "--design", "8-gap", "--to", "m.pt") == (
        "--to must be a file that ends in one of .int8.onnx, .onnx, .safetensors, .int8.c, .c, but got 'm.pt'"
    )
    assert "but got '.onnx'" in refused(capsys, study, "--design", "8-gap", "--to", ".onnx")
    assert re.match(
        r"--design must be an architecture or one of LightCNN; .*LeNet-5; but .*'lightcnn'",
        refused(capsys, study, "--design", "lightcnn", *to),
    )
    assert "image_size=28 is too small" in refused(capsys, study, "--design", "8-8-8-8-8-8-gap", *to)
    assert refused(capsys, tmp_path / "none", "--design", "8-gap", *to) == (
        f"{tmp_path / 'none'} must be the folder of a study"
    )
    assert "trials.csv must exist" in refused(capsys, tmp_path, "--design", "8-gap", *to)
    (tmp_path / "m.md").mkdir()
    assert f"{tmp_path / 'm.md'} is a folder" in refused(capsys, study, "--design", "8-gap", *to)
    (tmp_path / "file").touch()
    assert "must be in a folder that can be written" in refused(
        capsys, study, "--design", "8-gap", "--to", tmp_path / "file" / "m.c"
    )
    assert "required" in refused(capsys, study, *to)
    for limit in ("--budget", "--max-macs"):
        assert refused(capsys, study, "--design", "8-gap", limit, 9, *to) == (
            "--design is not allowed with limits such as --max-parameters"
        )
    shutil.copytree(study, tmp_path / "tiny")
    other = ["--to", tmp_path / "n.onnx"]
    for damage in ("[]", '{"settings": {"task": {"image_size": 28}}}', json.dumps({"settings": []})):
        (tmp_path / "tiny" / "settings.json").write_text(damage)
        assert "settings.json must hold" in refused(capsys, tmp_path / "tiny", "--design", "8-gap", *other)
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxruntime" else True)
    assert refused(capsys, study, "--design", "8-gap", "--to", tmp_path / "n.onnx") == (
        f"--to {tmp_path / 'n.onnx'} needs onnxruntime, which python -m pip install -e '.[export]' brings"
    )
    assert not list(tmp_path.glob("n.*"))


def test_without_a_c_compiler_the_card_says_so(study, taken, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "c_compiler", lambda: None)
    monkeypatch.setattr(formats, "cortex_compiler", lambda: "/bin/false")
    assert main([str(it) for it in (study, "--design", DESIGN, "--to", tmp_path / "3.c")]) == 0
    card = (tmp_path / "3.md").read_text(encoding="utf-8")
    assert "no C compiler was found" in card and "void model_3_classify(const float *image" in card
    assert "Cortex" not in card and "microseconds" not in card


def test_figures_of_the_card():
    retrained = {"test_accuracy_mean": 0.9894, "num_seeds": 5.0, "test_accuracy_low": 0.9888}
    retrained["test_accuracy_high"] = 0.99
    over_seeds = "mean test accuracy 98.94 % over 5 seeds, 95 % intervals over seeds 98.88 to 99.00"
    assert design_accuracy({**retrained, "val_accuracy": 0.5}) == over_seeds
    for_new = {"new_images_low": 0.9869, "new_images_high": 0.9914}
    assert design_accuracy({**retrained, **for_new}) == f"{over_seeds}, for new images 98.69 to 99.14"
    once = {**retrained, "num_seeds": 1.0, "test_accuracy_low": np.nan, "test_accuracy_high": np.nan}
    assert design_accuracy(once) == "test accuracy 98.94 % with one seed, which gives no interval"
    light = parse("8-16-32-gap", MNIST)
    assert weight_bytes(light, "int8") == (72 + 1152 + 4608 + 320) + (4 + 4) * (8 + 16 + 32 + 10)
    assert num_parameters(light) == 6218
    network, int8 = np.arange(1000) >= 10, np.arange(1000) >= 14
    int8[0] = True
    own, quantised = own_accuracies({"network": network, "int8": int8})
    # Wilson's interval of 990 in 1,000.
    assert own == (
        "This network: test accuracy 99.00 %, 95 % interval for new images 98.17 to 99.46 (1,000 test "
        "images)."
    )
    assert "98.70 %" in quantised and "4 images were lost and 1 won" in quantised
    assert "-0.30 points (95 % interval -0.78 to +0.18)" in quantised
    _, same = own_accuracies({"network": network, "int8": network})
    assert "+0.00 points (95 % interval -0.20 to +0.20)" in same


def test_an_ablations_design_is_taken_away(tmp_path, mnist_folder, capsys):
    arms = (Arm("without GAP", parse("2-flatten", MNIST)),)
    small = Ablation("small", Arm("with GAP", parse("2-gap", MNIST)), arms, replace(FAST, epochs=1), 1)
    arguments = ["--train-images", "200", "--out", str(tmp_path), "--workers", "1"]
    assert run_ablation(small, "What does it bring?", argv=arguments) == 0
    folder, target = tmp_path / "small", tmp_path / "taken" / "net.safetensors"
    assert main([str(folder), "--design", "without GAP", "--to", str(target)]) == 0
    card = target.with_suffix(".md").read_text(encoding="utf-8")
    assert card.startswith("# 2-flatten\n") and "from the study small. Chosen by name." in card
    assert "On 200 of the 60,000 training images of MNIST" in card
    interval = r"[0-9.]+ to [0-9.]+"
    assert re.search(f"over 1 seed, 95 % intervals over seeds {interval}, for new images {interval}", card)
    assert pd.read_csv(folder / "test_readings.csv")["exported"].tolist()[1:] == ["2-flatten"]
    capsys.readouterr()
    assert refused(capsys, folder, "--budget", 100, "--to", target) == (
        f"limits need the candidates of a search, but {folder} holds an ablation; --design takes one of its "
        "arms"
    )
    assert "with GAP; without GAP" in refused(capsys, folder, "--design", "8-x", "--to", target)


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        (FAST, "training images of MNIST, as they are: Adam on cross-entropy,\n8 epochs"),
        (
            replace(AUGMENTED, augmented_from=3_109),
            "MNIST, moved, turned, stretched and sheared at random in each epoch (strength 0.5): Adam",
        ),
        (replace(FAST, weight_decay=0.01), "both linearly.\nDecoupled weight decay 0.01.\nInitial weights"),
        (replace(FAST, averaging=0.998), "Running means of the weights, of which each step keeps 0.998."),
        (
            replace(FAST, label_smoothing=0.1, dropout=0.25),
            "Labels smoothed, 0.1 shared by all classes.\nDropout of 0.25 before the first linear layer.",
        ),
    ],
)
def test_the_card_says_what_was_trained_on(recipe, told):
    card = Card(
        study="it",
        architecture=parse("8-16-32-gap", DATASETS["mnist"].task),
        how_chosen="by hand",
        figures=None,
        dataset=DATASETS["mnist"],
        recipe=recipe,
        num_train_images=None,
        seed=0,
        right={"network": np.ones(10, dtype=bool)},
        files=[],
        missing=[],
        with_preprocessing=False,
        usage=[],
        latencies={},
        machine="",
        on_device={},
        command="",
    )
    assert told in model_card(card)

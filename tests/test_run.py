"""`python -m search.run` as a user runs it: on real MNIST, in processes of its own, and with bad input."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace

import pandas as pd
import psutil
import pytest
import torch
from terminals import Terminal

from lightcnn.architecture import Task, parse
from lightcnn.initialisation import initial_network
from lightcnn.training import FAST, trained_network
from search import run
from search.execution.slots import SlotExecutor
from search.recipe_options import augmented_recipe
from search.run_options import parser
from search.tables import read_study

pytestmark = pytest.mark.slow

SMALL = ["--epochs", "1", "--train-images", "300", "--max-parameters", "8000", "--seeds", "0"]


def command(*arguments):
    return [sys.executable, "-m", "search.run", *map(str, arguments)]


def execute(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True)


@pytest.fixture(scope="module")
def finished_study(tmp_path_factory, mnist_folder):
    """A tiny search, run to its end."""
    out = tmp_path_factory.mktemp("reports")
    done = execute("--trials", 5, *SMALL, "--out", out, "--name", "tiny", "--workers", 2)
    assert done.returncode == 0, done.stderr
    return out / "tiny", done


def test_what_a_search_leaves(finished_study):
    folder, _ = finished_study
    assert {path.name for path in folder.iterdir()} == {
        *("study.journal", "settings.json", "trials.csv", "front.csv", "designs.csv", "report.html"),
        *("curves.csv", "times.csv"),
    }
    trials = pd.read_csv(folder / "trials.csv")
    assert list(trials.columns) == [
        *("trial", "state", "architecture", "num_parameters", "num_macs", "peak_activation_bytes"),
        *("num_blocks", "head", "val_accuracy", "val_loss", "epochs", "seconds", "seed", "reason"),
        "spared_at",
    ]
    assert trials["trial"].tolist() == [0, 1, 2, 3, 4]
    assert trials["architecture"][0] == "8-16-32-gap"
    assert trials["seed"].tolist() == [1_000_000 + n for n in range(5)]
    assert trials["val_accuracy"].between(0, 1).all()
    front = pd.read_csv(folder / "front.csv")
    assert list(front.columns) == ["architecture", "num_parameters", "num_macs", "val_accuracy"]
    designs = pd.read_csv(folder / "designs.csv", dtype={"paper_parameters": "Int64"})
    assert list(designs.columns) == [
        *("name", "architecture", "num_parameters", "paper_parameters", "paper_accuracy", "val_accuracy")
    ]
    assert designs["val_accuracy"].notna().all()
    assert "6,218" in (folder / "report.html").read_text(encoding="utf-8")
    recorded = json.loads((folder / "settings.json").read_text())
    assert recorded["about"]["command"].startswith("python -m search.run --trials 5")
    assert set(recorded["settings"]["data"]["sha256"]) == {
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    }


def test_a_resumed_search_keeps_its_initialisation(tmp_path, mnist_folder, monkeypatch):
    """At a rate of zero, runs end with the weights that they began with."""
    monkeypatch.setattr("search.request.FAST", replace(FAST, learning_rate=0.0, initialisation="he"))
    arguments = [
        "--trials",
        "1",
        "--epochs",
        "1",
        "--train-images",
        "100",
        "--no-baselines",
        "--workers",
        "1",
    ]
    arguments += ["--out", str(tmp_path), "--name", "old"]
    assert run.main([*arguments, "--seeds", "0"]) == 0
    settings = tmp_path / "old" / "settings.json"
    now = settings.read_text()
    old = now.replace(',\n      "initialisation": "he"', "")  # as versions wrote it that knew PyTorch's alone
    assert old != now
    settings.write_text(old)
    assert run.main([*arguments, "--seeds", "1"]) == 0
    light = parse("8-16-32-gap", Task(28, 1, 10))
    found = trained_network(light, (tmp_path / "old" / "weights" / "8-16-32-gap.0.pt").read_bytes())
    for ours, theirs in zip(
        found.parameters(), initial_network(light, "pytorch", 0).parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("asked", "on_resuming", "augmentation"),
    [
        ([], [], (0.0, 0)),
        (["--space", "wide"], ["--space", "wide"], (1.0, 700)),
        (["--augmentation", "0.5"], [], (0.5, 700)),
        (["--augmentation", "0.5:0"], [], (0.5, 0)),
        (["--space", "wide", "--augmentation", "1:250"], ["--space", "wide"], (1.0, 250)),
        (["--space", "wide", "--augmentation", "0"], ["--space", "wide"], (0.0, 0)),
    ],
)
def test_a_resumed_search_keeps_its_augmentation(asked, on_resuming, augmentation, tmp_path, mnist_folder):
    arguments = ["--trials", "1", "--epochs", "1", "--train-images", "100", "--no-baselines", "--seeds", "0"]
    arguments += ["--out", str(tmp_path), "--name", "it", "--workers", "1"]
    assert run.main([*arguments, *asked]) == 0
    first = read_study(tmp_path / "it").settings.recipe
    assert (first.augmentation, first.augmented_from) == augmentation
    assert run.main([*arguments, *on_resuming]) == 0
    assert read_study(tmp_path / "it").settings.recipe == first


@pytest.mark.parametrize(
    ("option", "most", "wrong"),
    [
        *(("--augmentation", 5, wrong) for wrong in ("-1", "5.5", "nan", "much")),
        *(("--least-chance", 1, wrong) for wrong in ("-0.1", "1.1", "nan", "ten")),
    ],
)
def test_a_number_out_of_its_range(option, most, wrong, capsys):
    with pytest.raises(SystemExit) as error:
        run.main(["--trials", "1", option, wrong])
    assert error.value.code == 2
    assert f"{option}: must be a number from 0 to {most}, but got {wrong!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("space", "dataset", "strength"),
    [
        ("wide", "mnist", 1.0),
        ("template", "mnist", 0.0),
        ("wide", "fashion-mnist", 0.0),
        ("wide", "a/b", 0.0),
    ],
)
def test_augmentation_is_the_default_where_it_is_known_to_pay(space, dataset, strength, tmp_path):
    options = parser().parse_args(["--trials", "1", "--space", space, "--dataset", dataset])
    options.out = tmp_path
    assert augmented_recipe(options, FAST, "it").augmentation == strength


@pytest.mark.parametrize("wrong", ["1:-1", "1:", "0.5:1.5", "1:2:3"])
def test_sizes_that_are_none(wrong, capsys):
    with pytest.raises(SystemExit) as error:
        run.main(["--trials", "1", "--augmentation", wrong])
    assert error.value.code == 2
    assert "--augmentation: must be a whole number of at least 0, but got" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["0", "30:", ":30", "30:0", "1.5", "30:60:90"])
def test_epochs_that_are_none(wrong, capsys):
    with pytest.raises(SystemExit) as error:
        run.main(["--trials", "1", "--final-epochs", wrong])
    assert error.value.code == 2
    assert "--final-epochs: must be a whole number of at least 1, but got" in capsys.readouterr().err


def test_what_a_search_says(finished_study):
    folder, done = finished_study
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("LightCNN "))
    assert "6,218" in lines[at] and "98.61 %" in lines[at] and lines[at + 1].strip() == "8-16-32-gap"
    front = [line.split()[0] for line in lines[3 : at - 1]]
    assert front == pd.read_csv(folder / "front.csv")["architecture"].tolist()
    assert "The smallest candidate at least as accurate as LightCNN (6,218 parameters" in done.stdout
    assert done.stdout.endswith(f"The page: {folder / 'report.html'}\n")
    lines = done.stderr.splitlines()  # plain lines, one a run, as this is no terminal
    assert len(lines) == 12  # 5 trials and the named designs but LightCNN
    assert lines[0].startswith("search 1/12: ") and lines[-1].startswith("search 12/12: ")


def test_the_front_is_retrained_and_placed(tmp_path, mnist_folder):
    # Enough that runs live: of dead ones nothing is known, and none would be trained again.
    arguments = ["--trials", 2, "--epochs", 2, "--train-images", 6000, "--max-parameters", 2000]
    arguments += ["--seeds", 2, "--place", "2-04-gap", "--no-baselines", "--out", tmp_path, "--name", "tiny"]
    arguments += ["--final-epochs", "3:4"]
    done = execute(*arguments)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "tiny"
    front, designs = (pd.read_csv(folder / f"{name}.csv") for name in ("front", "designs"))
    assert list(front.columns) == [
        *("architecture", "num_parameters", "num_macs", "val_accuracy", "num_seeds", "num_dead"),
        *("test_accuracy_mean", "test_accuracy_low", "test_accuracy_high", "new_images_low"),
        *("new_images_high", "train_accuracy_mean"),
        *("front_probability", "joint_accuracy", "on_front_after_retraining"),
        *("front_accuracy_low", "front_accuracy_high", "probability_better"),
    ]
    assert front["num_seeds"].tolist() == [2] * len(front) and front["probability_better"].between(0, 1).all()
    placed = designs.set_index("name").loc[["LightCNN", "2-4-gap"]]
    assert placed["num_seeds"].tolist() == [2, 2] and placed["parameter_ratio"].notna().all()
    assert "2-4-gap (" in done.stdout and "LightCNN (6,218 parameters" in done.stdout
    runs = pd.read_csv(folder / "runs.csv")
    told = " ".join(done.stdout.split())
    assert "on 10,000 test images, after 3 to 4 epochs, by size (in the search 2)" in told
    is_light = runs["architecture"] == "8-16-32-gap"
    assert set(runs[is_light]["epochs"]) == {3} and set(runs[~is_light]["epochs"]) == {4}
    assert set(pd.read_csv(folder / "trials.csv")["epochs"]) == {2}
    assert set(runs["seed"]) == {0, 1} and runs["test_accuracy"].between(0, 1).all()
    assert len(pd.read_csv(folder / "test_readings.csv")) == 1
    again = execute(*arguments)
    assert again.returncode == 0 and again.stderr == ""  # nothing is trained, nothing is read
    assert len(pd.read_csv(folder / "test_readings.csv")) == 1
    pd.testing.assert_frame_equal(pd.read_csv(folder / "designs.csv"), designs)
    assert execute(*arguments, "--place", "3-gap").returncode == 0
    assert len(pd.read_csv(folder / "test_readings.csv")) == 2
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "The test set was read 2 times, on " in page and "3-gap (" in page
    assert json.loads((folder / "settings.json").read_text())["placed"] == ["2-4-gap", "3-gap"]


def test_the_page_is_opened_when_asked(finished_study, tmp_path, monkeypatch):
    folder, _ = finished_study
    shutil.copytree(folder, tmp_path / "tiny")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    done = execute("--trials", 5, *SMALL, "--out", tmp_path, "--name", "tiny", "--workers", 2, "--open")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "opened").read_text() == f"{(tmp_path / 'tiny' / 'report.html').as_uri()}\n"


def test_the_same_command_goes_on(finished_study, tmp_path):
    folder, _ = finished_study
    shutil.copytree(folder, tmp_path / "tiny")
    first = pd.read_csv(folder / "trials.csv")
    done = execute("--trials", 7, *SMALL, "--out", tmp_path, "--name", "tiny", "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 2
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "tiny" / "trials.csv")[:5], first)
    other = execute("--trials", 7, *SMALL, "--out", tmp_path, "--name", "tiny", "--seed", 1)
    assert other.returncode == 2
    assert other.stderr == (
        f"error: {tmp_path}/tiny holds runs with seed=0, but got 1; "
        "--fresh moves them aside and starts over, another --name keeps both\n"
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_keeps_what_was_finished(how, tmp_path, mnist_folder):
    arguments = ["--trials", 30, *SMALL, "--out", tmp_path, "--name", "tiny", "--workers", 2]
    driver = subprocess.Popen(
        command(*arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # if these tests run in the background
    )
    for _ in range(3):
        assert driver.stderr.readline().startswith("search ")
    workers = psutil.Process(driver.pid).children(recursive=True)
    if how == signal.SIGINT:
        os.killpg(driver.pid, how)  # as a terminal does
    else:
        driver.send_signal(how)
    began = time.monotonic()
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == 130
    assert said.splitlines()[-1].startswith("interrupted; what was finished is kept")
    assert "Traceback" not in said
    assert time.monotonic() - began < 60  # a few seconds, where nothing else is running
    assert len(pd.read_csv(tmp_path / "tiny" / "trials.csv")) >= 3
    assert not [p for p in psutil.wait_procs(workers, timeout=20)[1] if p.status() != psutil.STATUS_ZOMBIE]
    done = execute("--trials", 8, *SMALL, "--out", tmp_path, "--name", "tiny", "--no-baselines")
    assert done.returncode == 0, done.stderr
    trials = pd.read_csv(tmp_path / "tiny" / "trials.csv")
    assert len(trials) == trials["trial"].nunique() == 8
    assert not trials["architecture"].duplicated().any()


def test_a_search_in_a_terminal_of_80_columns(tmp_path, mnist_folder):
    arguments = ["--epochs", 1, "--train-images", 3000, "--max-parameters", 8000]
    arguments += ["--seeds", 1, "--no-baselines", "--out", tmp_path, "--workers", 2]
    terminal = Terminal(command(*arguments, "--trials", 400))  # more than end before it is interrupted
    terminal.read(until="best ")
    terminal.press("\x03")  # Ctrl-C
    code, lines = terminal.end()
    assert code == 130 and "Traceback" not in terminal.shown
    assert [line for line in lines if line][-1].startswith("interrupted; what was finished is kept, ")
    assert max(map(len, lines)) <= 80
    assert len(pd.read_csv(tmp_path / "mnist" / "trials.csv")) >= 1
    # Where psutil is installed, loky replaces a process that has grown, and warns.
    arguments += ["--trials", 40]
    terminal = Terminal(command(*arguments), PYTHONWARNINGS="ignore")
    code, lines = terminal.end()
    assert code == 0
    path = f"The page: {tmp_path / 'mnist' / 'report.html'}"
    assert {line for line in lines if len(line) > 80} <= {path}
    assert re.search("search [0-9]+ of 40, then .*re-training", terminal.shown)
    assert re.search("re-training [0-9]+ of [0-9]+ ━.* left", terminal.shown)
    assert "the front after" in terminal.shown and path in lines
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    again = subprocess.run(list(command(*arguments)), capture_output=True, env=environment)
    assert again.returncode == 0, again.stderr.decode()
    assert b"the front after" in again.stdout and again.stdout.isascii()


@pytest.mark.parametrize("trials", [2, 20])
def test_a_search_whose_every_trial_fails_is_a_failure(trials, tmp_path, monkeypatch, capsys, mnist_folder):
    class OnFire(SlotExecutor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.set_exception(OSError("the machine is on fire"))
            return future

    monkeypatch.setattr("search.execution.slots.SlotExecutor", OnFire)
    arguments = ["--trials", str(trials), "--out", str(tmp_path), "--workers", "1", "--no-baselines"]
    assert run.main(arguments) == 1
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == {
            2: f"failed: no trial could be trained, for the reasons in {tmp_path}/mnist/trials.csv; "
            "--retry-failed tries them again",
            20: "failed: 5 runs in a row failed, the last because of OSError: the machine is on fire; none "
            "of them counts, and the same command tries them again",
        }[trials]
    )
    if trials == 20:
        assert not (tmp_path / "mnist" / "trials.csv").exists()
        return
    kept = pd.read_csv(tmp_path / "mnist" / "trials.csv")
    assert set(kept["state"]) == {"FAILED"} and set(kept["reason"]) == {"OSError: the machine is on fire"}


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as caught:
        run.main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for option in (
        *("--trials", "--epochs", "--seed", "--dataset", "--data-dir", "--out", "--name", "--devices"),
        *("--workers", "--workers-per-device", "--max-parameters", "--sampler", "--train-images"),
        *("--no-baselines", "--fresh", "--seeds", "--place", "--no-early-stopping"),
        *("--widths", "--max-blocks", "--heads", "--reference", "--engine", "--retry-failed"),
    ):
        assert option in shown
    assert "default: None" not in shown and "default: False" not in shown and "default: []" not in shown

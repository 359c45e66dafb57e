import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from lightcnn.errors import UserError
from search.execution.runs import RunState
from search.pareto import Verdict
from search.report.__main__ import main
from search.report.ablation_page import ArmSeeds, arm_seeds
from search.report.plots import learning
from search.tables import DESIGNS, FRONT, RUNS, TRIALS, read_study

REPORTS = Path(__file__).parents[1] / "reports"


@pytest.mark.parametrize(
    ("beaten", "clearly", "verdict"),
    [
        (0.05, 0.05, Verdict.ON_FRONT),
        (0.051, 0.05, Verdict.NEAR_FRONT),
        (0.949, 0.0, Verdict.NEAR_FRONT),
        (0.5, 0.051, Verdict.UNDECIDED),
        (0.949, 0.949, Verdict.UNDECIDED),
        (0.95, 0.0, Verdict.DOMINATED),
    ],
)
def test_a_verdict_follows_from_the_probabilities(beaten, clearly, verdict):
    assert Verdict.of(beaten, clearly) is verdict


def test_what_is_written_is_read_with_its_types(tmp_path):
    line = dict.fromkeys(FRONT.required, 0.5) | {"architecture": "8-gap", "num_parameters": 90, "num_macs": 7}
    flags = [True, False, None]
    FRONT.write(
        FRONT.frame(line | {"on_front_after_retraining": it, "num_seeds": 2.0} for it in flags), tmp_path
    )
    assert (tmp_path / "front.csv").read_text().splitlines()[1] == "8-gap,90,7,0.5,2,True"
    assert FRONT.read(tmp_path)["on_front_after_retraining"].tolist() == flags


def test_a_state_is_one_of_four(tmp_path):
    line = dict.fromkeys(TRIALS.required) | {"trial": 0, "state": "FAILED"}
    TRIALS.write(TRIALS.frame([line]), tmp_path)
    assert TRIALS.read(tmp_path)["state"][0] is RunState.FAILED
    TRIALS.write(TRIALS.frame([line | {"state": "LOST"}]), tmp_path)
    with pytest.raises(UserError, match=r":2: state must be one of COMPLETE, PRUNED, .*, but is 'LOST'"):
        TRIALS.read(tmp_path)


def test_without_a_file_a_table_is_empty(tmp_path):
    assert list(RUNS.read_if_there(tmp_path)) == RUNS.required
    assert RUNS.read_if_there(tmp_path).empty


def test_a_verdict_of_an_earlier_version_is_read(tmp_path):
    line = dict.fromkeys(DESIGNS.required) | {"name": "a", "architecture": "8-gap", "num_parameters": 90}
    DESIGNS.write(DESIGNS.frame([line | {"verdict": "INDISTINGUISHABLE"}]), tmp_path)
    assert DESIGNS.read(tmp_path)["verdict"][0] is Verdict.UNDECIDED


def test_an_ablations_page_is_made_from_its_files(tmp_path, capsys):
    folder = tmp_path / "gap_removal"
    folder.mkdir()
    for name in ("runs.csv", "summary.csv", "settings.json"):
        shutil.copy(REPORTS / folder.name / name, folder)
    settings = json.loads((folder / "settings.json").read_text())
    for known, title in [
        ({}, "What does global average pooling bring to LightCNN?"),
        ({"question": "Why?"}, "Why?"),
    ]:
        settings["about"] |= known
        (folder / "settings.json").write_text(json.dumps(settings))
        assert main([str(folder)]) == 0
        assert f"<h1>{title}</h1>" in (folder / "report.html").read_text()
    with pytest.raises(SystemExit):
        main([str(folder), "--pictures"])
    assert "--pictures must be for the folder of a search" in capsys.readouterr().err


def test_arms_have_their_own_seeds():
    runs = pd.DataFrame({"arm": ["b", "a", "a"], "seed": [0.0, 0, 1], "test_accuracy": [0.9, 0.98, 0.97]})
    summary = pd.DataFrame(
        {
            "arm": ["a", "b"],
            "architecture": ["8-gap", "9-gap"],
            "test_accuracy_mean": [0.975, 0.9],
            "test_accuracy_low": [0.95, 0.85],
            "test_accuracy_high": [1.0, 0.95],
        }
    )
    assert arm_seeds(summary, runs) == [
        ArmSeeds("a", "8-gap", {0: 0.98, 1: 0.97}, 0.975, 0.95, 1.0),
        ArmSeeds("b", "9-gap", {0: 0.9}, 0.9, 0.85, 0.95),
    ]


def test_learning_curves_are_the_fronts_the_references_and_the_stopped():
    shown = learning(read_study(REPORTS / "mnist-gap-flatten"))
    (reference,) = shown.reference
    assert (shown.reference_name, reference.architecture) == ("LightCNN", "8-16-32-gap")
    assert (reference.epochs, reference.accuracies[-1]) == (tuple(range(1, 9)), 0.9812)
    assert "8-16-32-gap" not in {curve.architecture for curve in shown.on_front}
    assert all(len(curve.epochs) < 8 for curve in shown.stopped)

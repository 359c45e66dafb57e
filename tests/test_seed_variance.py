"""The studies of the variance over seeds, on made-up runs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightcnn.errors import UserError
from search.moderation import MNIST
from studies import coverage, seed_variance
from studies.coverage import Told
from studies.seed_variance import PAIR

SETTINGS = {
    "ablation": {"settings": {"dataset": "mnist", "recipe": {}}},
    "search": {"settings": {"data": {"dataset": "mnist"}, "recipe": {"initialisation": "pytorch"}}},
    "other-images": {"settings": {"data": {"dataset": "fashion-mnist"}, "recipe": {}}},
}


def designs(num, k, error=0.012):
    """Accuracies (num, k) as MNIST's prior has them."""
    rng = np.random.default_rng(0)
    errors = error * np.exp(rng.uniform(-0.3, 1.5, num))  # on both sides of the knee
    variances = np.array([MNIST.variance(e) for e in errors]) * 8 / rng.chisquare(8, num)
    return 1 - errors[:, None] * np.exp(np.sqrt(variances)[:, None] * rng.standard_normal((num, k)))


def runs_of(accuracies, epochs=8):
    return pd.DataFrame(
        [
            {
                **{"arm": name, "architecture": name, "num_parameters": 1, "seed": seed, "epochs": epochs},
                **{"train_accuracy": 0.9, "test_accuracy": accuracy, "seconds": 1.0},
            }
            for name, own in accuracies.items()
            for seed, accuracy in enumerate(own)
        ]
    )


@pytest.fixture
def reports(tmp_path):
    for name, settings in SETTINGS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").write_text(json.dumps(settings))
    some = {"8-16-32-gap": [0.98, 0.982, 0.981], "2-8-3-gap": [0.97, 0.1135, 0.975]}
    runs_of(some).to_csv(tmp_path / "ablation" / "runs.csv")
    again = {"8-16-32-gap": [0.98, 0.982], "flatten-10": [0.9], "4-gap": [None]}
    runs_of(again).to_csv(tmp_path / "search" / "runs.csv")
    runs_of({"8-16-32-gap": [0.98, 0.1]}).to_csv(tmp_path / "other-images" / "runs.csv")
    trials = runs_of({"8-16-32-gap": [0.95], "2-gap": [0.1124]}, epochs=2)
    trials = trials.rename(columns={"test_accuracy": "val_accuracy"}).drop(columns=["arm"])
    trials = trials.assign(trial=range(2), state="PRUNED", num_macs=1, num_blocks=1, head="gap")
    trials.to_csv(tmp_path / "search" / "trials.csv")
    return tmp_path


def test_a_run_that_two_studies_hold_counts_once(reports):
    runs = seed_variance.read_runs(reports)
    assert len(runs) == 6 + 1 + 2 + 2
    assert (runs["architecture"] == "8-16-32-gap").sum() == 3 + 2 + 1
    assert set(runs["dataset"]) == {"mnist", "fashion-mnist"}
    dead = runs[runs["died"]]
    assert sorted(dead["architecture"]) == ["2-8-3-gap", "2-gap", "8-16-32-gap"]
    assert dict(zip(dead["architecture"], dead["least_width"], strict=True))["2-8-3-gap"] == 2
    assert runs.loc[runs["architecture"] == "flatten-10", "least_width"].isna().all()


def test_the_committed_studies_can_be_read():
    runs = seed_variance.read_runs(Path(__file__).parents[1] / "reports")
    assert set(runs["dataset"]) == {"mnist", "fashion-mnist"} and set(runs["augmentation"]) == {0.0, 1.0}
    assert len(seed_variance.several_seeds(runs)) > 700


def test_runs_of_two_initialisations_are_not_seeds_of_one_design(reports):
    settings = {"settings": {"data": {"dataset": "mnist"}, "recipe": {"initialisation": "he"}}}
    (reports / "search" / "settings.json").write_text(json.dumps(settings))
    runs = seed_variance.read_runs(reports)
    assert len(runs) == 6 + 3 + 2 + 2  # the search's are no runs of the ablation now
    found = seed_variance.several_seeds(runs)
    assert sorted(own.tolist() for own in found) == [[0.97, 0.975], [0.98, 0.982], [0.98, 0.982, 0.981]]


def test_dead_and_single_runs_say_nothing_of_a_variance(reports):
    found = seed_variance.several_seeds(seed_variance.read_runs(reports))
    assert sorted(own.tolist() for own in found) == [[0.97, 0.975], [0.98, 0.982, 0.981]]


def test_the_scatter_is_pooled_by_error():
    # Errors of exp(-5 +- 0.1) and exp(-2 +- 0.3): variances 0.02 and 0.18, one degree of freedom each
    low, high = (1 - np.exp(np.array([m - d, m + d])) for m, d in ((-5, 0.1), (-2, 0.3)))
    table = seed_variance.scatter([low, low, high])
    assert table["error_from"].tolist() == [0, 0.12]
    assert table["degrees_of_freedom"].tolist() == [2, 1]
    assert table["deviation"].tolist() == pytest.approx([0.02**0.5, 0.18**0.5], abs=1e-4)
    # At an error of exp(-5) a binomial's is (e^5 - 1) / 10,000 = 0.01474
    assert table["share_of_binomial"].tolist()[0] == pytest.approx(0.02 / 0.01474, rel=1e-3)


def test_the_constants_are_found_again():
    found = seed_variance.fit(list(designs(600, 5)))
    assert found["num_runs"] == 3_000
    assert found["level"] == pytest.approx(0.0072**0.5, rel=0.1)
    assert found["slope"] == pytest.approx(1, abs=0.2)
    assert found["prior_degrees_of_freedom"] == pytest.approx(8, rel=0.4)
    assert 0 <= found["gain_over_constants"] < 6  # half a chi-squared with 3 degrees of freedom


def test_parts_are_fitted_apart():
    rows = [
        {
            "dataset": "mnist",
            "images": "test",
            "epochs": epochs,
            "initialisation": "pytorch",
            "augmentation": 0.0,
            "architecture": f"{i}",
            "seed": seed,
            "accuracy": accuracy,
            "died": False,
            "head": ["gap", "flatten"][i % 2],
        }
        for epochs in (8, 50)
        for i, own in enumerate(designs(20, 3))
        for seed, accuracy in enumerate(own)
    ]
    table = seed_variance.fits(pd.DataFrame(rows)).set_index("part")
    assert table["num_designs"].to_dict() == {
        **{"all": 40, "head: gap": 20, "head: other": 20},
        **{"test, 8 epochs": 20, "test, 50 epochs": 20},
    }


def test_left_out_seeds_lie_where_the_intervals_say(monkeypatch):
    monkeypatch.setattr(seed_variance, "SPLITS", 20)
    table = seed_variance.leave_out(list(designs(60, 6)), np.random.default_rng(1))
    table = table.set_index(["seeds", "method"])
    assert table["coverage"].xs("moderated", level="method").between(0.91, 0.99).all()
    assert table.loc[(2, "bootstrap"), "coverage"] < 0.65
    assert table.loc[(2, "student"), "median_width"] > 3 * table.loc[(2, "moderated"), "median_width"]
    assert (table["num_designs"] == 60).all()
    assert list(table.loc[1].index) == ["moderated"]


def test_differences_are_seen_where_there_are_some(monkeypatch):
    monkeypatch.setattr(seed_variance, "SPLITS", 30)
    accuracies = {str(i): own for i, own in enumerate(designs(40, 10))}
    accuracies |= {PAIR[0]: 0.95 + designs(1, 10)[0] / 100, PAIR[1]: 0.98 + designs(1, 10)[0] / 100}
    runs = runs_of(accuracies).rename(columns={"test_accuracy": "accuracy"})
    runs = runs.assign(dataset="mnist", images="test", initialisation="he", augmentation=0.0, died=False)
    table = seed_variance.differences(runs, np.random.default_rng(0)).set_index(["seeds", "method"])
    assert table["false_positives"].max() < 0.12
    assert table.loc[(2, "moderated"), "power"] == 1


def test_the_whole_study(tmp_path, capsys, monkeypatch):
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation" / "settings.json").write_text(json.dumps(SETTINGS["ablation"]))
    with pytest.raises(UserError, match=r"must hold studies that trained something, but .* holds none"):
        seed_variance.study(tmp_path)
    runs_of({"8-16-32-gap": [0.98]}).to_csv(tmp_path / "ablation" / "runs.csv")
    with pytest.raises(UserError, match=r"two runs or more, but .* has none"):
        seed_variance.study(tmp_path)
    monkeypatch.setattr(seed_variance, "SPLITS", 10)
    accuracies = {f"{i}-{i}-{i}-gap": own for i, own in enumerate(designs(20, 10), start=2)}
    accuracies |= dict(zip(PAIR, designs(2, 10), strict=True)) | {"2-2-2-gap": [0.9, 0.1, 0.91]}
    runs_of(accuracies).to_csv(tmp_path / "ablation" / "runs.csv")
    assert seed_variance.main(["--out", str(tmp_path)]) == 0
    assert "log odds of death" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "seed_variance").glob("*.csv")}
    assert names == {"scatter.csv", "fit.csv", "leave_out.csv", "differences.csv", "deaths.csv"}
    deaths = pd.read_csv(tmp_path / "seed_variance" / "deaths.csv")
    assert deaths.loc[deaths["num_blocks"].isna(), "num_dead"].tolist() == [1, 0, 0, 0]


def test_the_table_of_claims_by_hand():
    # Two worlds: one says 0.9 of two things, of which one is so; the other of one, which is.
    table = coverage.table(
        [{"a": [Told(0.9, 1), Told(0.9, 0)], "b": []}, {"a": [Told(0.9, 1)]}, {"c": [Told(0.5, 0)] * 2}] * 2
    ).set_index("claim")
    assert table.loc["a", "num_claims"] == 6
    assert table.loc["a", ["nominal", "came_true"]].tolist() == pytest.approx([0.9, 4 / 6], abs=1e-4)
    # Excesses of -0.8, 0.1, -0.8, 0.1: deviation 0.45 * sqrt(4 / 3), times sqrt(4) / 6
    assert table.loc["a", "standard_error"] == pytest.approx(0.45 * (4 / 3) ** 0.5 * 2 / 6, abs=1e-4)
    assert list(table.index) == ["a", "c"]


def test_claims_are_simulated(tmp_path):
    assert coverage.main(["--worlds", "2", "--designs", "40", "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "seed_variance" / "coverage.csv").set_index("claim")
    assert table.loc["one design, seeds: 1, moderated 95 % interval", "came_true"] > 0.8
    assert table.loc["one design, seeds: 2, percentile bootstrap 95 % interval", "came_true"] < 0.7
    assert {name.partition(": ")[0] for name in table.index} >= {"rough world", "without a nugget"}

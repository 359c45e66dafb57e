"""Who is re-trained, and where designs stand beside the front, against cases worked by hand."""

from math import inf, isnan

import pandas as pd
import pytest
from fakes import MNIST, SETTINGS

from lightcnn.architecture import parse
from lightcnn.cost import num_parameters
from search.standing import contenders, place, rivals, with_retraining
from search.statistics import Measured


def trials_of(*rows):
    table = pd.DataFrame(rows, columns=["architecture", "num_parameters", "val_accuracy", "state"])
    return table.assign(num_macs=0)


def test_contenders_are_the_front_and_what_is_within_two_standard_errors():
    # At 98 % and 10,000 images a standard error is 0.14 points.
    trials = trials_of(
        ("a", 1_000, 0.98, "COMPLETE"),
        ("b", 2_000, 0.9773, "COMPLETE"),  # 0.27 points below: within
        ("c", 2_000, 0.9771, "COMPLETE"),  # 0.29 below: not
        ("d", 900, 0.90, "COMPLETE"),  # on the front
        ("e", 900, 0.90, "DIVERGED"),
        ("f", 50_000, 0.99, "COMPLETE"),  # over the budget
    )
    assert contenders(trials, 30_000, 10_000) == ["a", "b", "d"]
    assert contenders(trials, 30_000, 1_000) == ["a", "b", "c", "d"]


def test_rivals_are_what_may_be_the_most_accurate_of_their_size():
    trials = trials_of(
        ("a", 6_000, 0.98, "COMPLETE"),
        ("b", 2_000, 0.9773, "COMPLETE"),
        ("c", 900, 0.90, "COMPLETE"),  # on the front, but far below the best of 6,218 parameters
        ("d", 3_000, 0.99, "DIVERGED"),
        ("e", 6_300, 0.99, "COMPLETE"),
    )
    assert rivals(trials, 6_218, 10_000) == ["a", "b"]
    assert rivals(trials, 900, 10_000) == ["c"]
    assert rivals(trials, 800, 10_000) == []


def test_gaps_by_hand():
    front = [
        Measured("small", 100, (0.95, 0.96, 0.97)),
        Measured("medium", 1_000, (0.97, 0.98, 0.99)),
        Measured("large", 10_000, (0.99, 0.991, 0.992)),
        Measured("beaten", 2_000, (0.90, 0.91, 0.92)),
    ]
    row = place(Measured("mine", 5_000, (0.96, 0.97, 0.98)), front)
    assert row["accuracy_reference"] == "medium"
    # Equal variances, sd 0.01, 3 seeds each: paired, as the seeds agree exactly; the gap is -0.01 each time.
    assert row["accuracy_gap"] == row["accuracy_gap_low"] == row["accuracy_gap_high"] == pytest.approx(-0.01)
    assert row["accuracy_gap_p"] == 0
    assert (row["parameter_reference"], row["parameter_ratio"]) == ("medium", 0.2)
    assert row["parameter_ratio_low"] in (0.02, 0.2) and row["parameter_ratio_high"] in (2, inf)


def test_p_values_are_corrected_for_the_members_no_larger():
    one, other = Measured("one", 100, (0.95, 0.97, 0.96)), Measured("other", 200, (0.97, 0.99, 0.98))
    design = Measured("mine", 300, (0.98, 0.96, 0.97))
    alone, both = place(design, [other]), place(design, [one, other])
    assert (alone["accuracy_reference"], both["accuracy_reference"]) == ("other", "other")
    # Welch: gap 0.01, standard error sqrt(2 / 3) 0.01, t = 1.2247 with 4 degrees of freedom: p = 0.2879
    assert alone["accuracy_gap_p"] == pytest.approx(0.2879, abs=1e-4)
    assert both["accuracy_gap_p"] == pytest.approx(2 * 0.2879, abs=2e-4)


def test_a_design_is_not_held_against_itself_and_may_be_alone():
    mine = Measured("mine", 300, (0.98, 0.96, 0.97))
    assert place(mine, [mine]) == {}
    larger = place(mine, [Measured("large", 1_000, (0.5, 0.6, 0.7))])
    assert "accuracy_gap" not in larger and larger["parameter_ratio"] == inf


def test_retraining_decides_the_front_anew():
    trials = trials_of(
        ("8-16-32-gap", 6_218, 0.987, "COMPLETE"),
        ("8-gap", 170, 0.90, "COMPLETE"),
        ("4-8-gap", 426, 0.97, "COMPLETE"),
        ("2-2-gap", 88, 0.80, "COMPLETE"),
        ("10-gap", 210, 0.899, "COMPLETE"),
    )
    designs = pd.DataFrame(
        [("LightCNN", "8-16-32-gap", 6_218, 6_218.0, 0.9861, 0.987)],
        columns=[
            "name",
            "architecture",
            "num_parameters",
            "paper_parameters",
            "paper_accuracy",
            "val_accuracy",
        ],
    )
    tables = {"trials.csv": trials, "front.csv": trials[[*trials.columns[:3]]][:4], "designs.csv": designs}
    accuracies = {
        "8-16-32-gap": (0.98, 0.99),
        "8-gap": (0.90, 0.91),
        "4-8-gap": (0.89, 0.90),  # luck: on the front of the search, not after re-training
        "10-gap": (0.92, 0.93),  # near it, and on it after
        "8-12-16-gap": (0.97, 0.98),  # placed
    }
    runs = pd.DataFrame(
        {
            "arm": text,
            "architecture": text,
            "num_parameters": num_parameters(parse(text, MNIST)),
            "seed": seed,
            "train_accuracy": 0.99,
            "test_accuracy": accuracy,
        }
        for text, own in accuracies.items()
        for seed, accuracy in enumerate(own)
    )
    done = with_retraining(tables, runs, SETTINGS)
    flags = done["trials.csv"].set_index("architecture")["on_front_after_retraining"]
    assert flags.drop("2-2-gap").to_dict() == {
        **{"8-16-32-gap": True, "8-gap": True, "4-8-gap": False, "10-gap": True}
    }
    assert flags["2-2-gap"] is None
    front = done["front.csv"].set_index("architecture")
    assert front.loc["4-8-gap", "test_accuracy_mean"] == pytest.approx(0.895)
    # Welch with 2 seeds each: t = 0.08 / 0.00707 = 11.3 with 2 degrees of freedom, one-sided 0.0039
    assert front.loc["8-gap", "probability_better"] == pytest.approx(0.0039, abs=1e-4)
    assert isnan(front.loc["8-16-32-gap", "probability_better"])
    assert list(done["designs.csv"]["name"]) == ["LightCNN", "8-12-16-gap"]
    placed = done["designs.csv"].set_index("name").loc["8-12-16-gap"]
    assert (placed["num_parameters"], placed["num_seeds"]) == (2_870, 2)
    assert (placed["accuracy_reference"], placed["parameter_reference"]) == ("10-gap", "8-16-32-gap")
    assert with_retraining(tables, runs[:0], SETTINGS) == tables
    # A placed design that is a candidate as well has its line all the same, a named one no second.
    again = with_retraining(tables, runs, SETTINGS, placed=["8-gap", "8-16-32-gap"])["designs.csv"]
    assert list(again["name"]) == ["LightCNN", "8-gap", "8-12-16-gap"]
    assert again["parameter_ratio"].notna().all()


def test_a_single_seed_gives_means_and_no_gaps():
    trials = trials_of(("8-gap", 170, 0.90, "COMPLETE"))
    designs = pd.DataFrame(
        [("LightCNN", "8-16-32-gap", 6_218)], columns=["name", "architecture", "num_parameters"]
    )
    runs = pd.DataFrame(
        [("8-gap", 170, 0, 0.9, 0.9), ("8-16-32-gap", 6_218, 0, 0.99, 0.98)],
        columns=["architecture", "num_parameters", "seed", "train_accuracy", "test_accuracy"],
    )
    tables = {
        "trials.csv": trials,
        "front.csv": trials[["architecture", "num_parameters"]],
        "designs.csv": designs,
    }
    done = with_retraining(tables, runs, SETTINGS)
    assert done["designs.csv"].loc[0, "test_accuracy_mean"] == 0.98
    assert done["designs.csv"][["test_accuracy_low", "accuracy_gap", "parameter_ratio"]].isna().all(axis=None)
    assert done["front.csv"]["probability_better"].isna().all()

"""Who is re-trained, and where designs stand beside the front, against cases worked by hand."""

from dataclasses import replace
from math import inf, isnan

import numpy as np
import pandas as pd
import pytest
from fakes import MNIST, SETTINGS

from lightcnn.architecture import parse
from lightcnn.cost import num_parameters
from search.budget import Budget
from search.evaluation import Arm
from search.image_facts import ImageFacts
from search.moderation import MNIST as PRIOR
from search.moderation import accuracy_interval, difference
from search.pareto import Verdict
from search.settings import Reference, SettingsFile
from search.standing import seeds_of_arms, with_retraining

IMAGES = ImageFacts()
FILE = SettingsFile(SETTINGS, {})
DEAD = 0.1135  # the accuracy of naming MNIST's largest class


def trials_of(*rows):
    lines = [(text, num_parameters(parse(text, MNIST)), accuracy, state) for text, accuracy, state in rows]
    table = pd.DataFrame(lines, columns=["architecture", "num_parameters", "val_accuracy", "state"])
    return table.assign(num_macs=0)


# The log error falls smoothly with size; 0.2 points at 98 % are 10 % of the errors, one standard deviation.
SEARCHED = [
    ("8-16-24-gap", 0.980, "COMPLETE"),  # 4,978 parameters: the most accurate no larger than LightCNN
    ("8-16-20-gap", 0.979, "COMPLETE"),  # 4,358, which it may be as well
    ("16-32-gap", 0.950, "COMPLETE"),  # 5,130, far from the front
    ("8-10-16-gap", 0.972, "COMPLETE"),  # 2,436
    ("8-12-gap", 0.960, "COMPLETE"),  # 1,086
    ("6-8-gap", 0.945, "COMPLETE"),  # 590
    ("4-pool2", 0.80, "COMPLETE"),  # Ultra-Light, 210
    ("2-4-gap", 0.78, "COMPLETE"),  # 146
    ("16-32-32-gap", 0.990, "COMPLETE"),  # 14,378
    ("8-16-32-flatten", 0.960, "COMPLETE"),  # 21,578: hand-made, and far from the front
    ("32-32-32-flatten", 0.999, "COMPLETE"),  # over the budget
    ("12-16-16-gap", 0.99, "DIVERGED"),
    ("8-16-30-gap", 0.99, "PRUNED"),
]
HAND_MADE = {
    "8-16-32-flatten": 1,
    "8-16-32-flatten-128": 1,
    "flatten-512-256": 1,
    "16-32v-32v-flatten-128": 1,
    "4-6p-flatten": 1,
    "4-pool2": 1,
    "6k5-16k5vp-flatten-120-84": 1,
}
MAY_BE_ON_THE_FRONT = dict.fromkeys(
    [
        *("8-16-24-gap", "8-16-20-gap", "8-10-16-gap", "8-12-gap", "6-8-gap"),
        *("4-pool2", "2-4-gap", "16-32-32-gap"),
    ],
    1,
)
FOUND = {**MAY_BE_ON_THE_FRONT, "8-16-24-gap": 5, "8-16-32-gap": 5}


def arm(text, name=None):
    return Arm(name or text, parse(text, MNIST))


def seeds(placed=(), num_seeds=5, with_designs=False, settings=SETTINGS, searched=SEARCHED, images=IMAGES):
    """How many seeds each architecture has."""
    arms = seeds_of_arms(trials_of(*searched), settings, images, [*placed], num_seeds, with_designs)
    found = {str(arm.architecture): number for arm, number in arms.items()}
    assert len(found) == len(arms)  # each once
    return found


def test_what_decides_has_all_seeds_and_what_may_be_on_the_front_has_one():
    found = seeds()
    assert found == FOUND and next(iter(found)) == "8-16-32-gap"
    assert seeds(with_designs=True) == {**HAND_MADE, **FOUND}


def test_what_is_placed_has_all_seeds_and_so_has_its_challenger():
    assert seeds([arm("8-12-16-gap")]) == {**FOUND, "8-12-16-gap": 5, "8-10-16-gap": 5}
    # A candidate that is placed is held against the best of the others.
    assert seeds([arm("8-10-16-gap")]) == {**FOUND, "8-10-16-gap": 5, "8-12-gap": 5}
    # A hand-made one that is placed has its own seeds; no candidate is as small as 2-gap.
    placed = seeds([arm("4-pool2", "Ultra-Light"), arm("2-gap")], with_designs=True)
    assert placed == {**HAND_MADE, **FOUND, "4-pool2": 5, "2-4-gap": 5, "2-gap": 5}


def test_what_is_placed_over_the_budget_is_held_against_what_is_within():
    found = seeds([arm("32-32-32-32-flatten")])
    assert found == {**FOUND, "32-32-32-32-flatten": 5, "16-32-32-gap": 5}
    small = seeds(settings=replace(SETTINGS, budget=Budget(3_000)))  # LightCNN itself is over it
    assert small["8-16-32-gap"] == small["8-10-16-gap"] == 5 and "8-16-24-gap" not in small


@pytest.mark.parametrize("num_seeds", [1, 2, 3, 9])
def test_seeds_are_those_of_what_decides(num_seeds):
    expected = {text: num_seeds if number == 5 else 1 for text, number in {**HAND_MADE, **FOUND}.items()}
    assert seeds(num_seeds=num_seeds, with_designs=True) == expected


def test_a_candidate_whose_run_died_is_judged_by_its_neighbours():
    died = [(text, DEAD if text == "8-16-20-gap" else accuracy, state) for text, accuracy, state in SEARCHED]
    assert seeds(searched=died).keys() == FOUND.keys()
    # Were that accuracy no class's share, it would be the candidate's own: features would see little, so that
    # one seed each would not be enough.
    assert seeds(searched=died, images=ImageFacts(largest_class_share=0.05))["16-32-32-gap"] == 2


def test_a_design_goes_by_its_name():
    arms = seeds_of_arms(trials_of(*SEARCHED), SETTINGS, IMAGES, [arm("5-gap")], 5)
    names = {str(it.architecture): it.name for it in arms}
    assert names["8-16-32-gap"] == "LightCNN" and names["4-pool2"] == "Ultra-Light"
    assert names["5-gap"] == "5-gap" and names["8-16-32-flatten"] == "LightCNN, GAP removed"
    without = seeds_of_arms(trials_of(*SEARCHED), SETTINGS, IMAGES, [], 5, with_designs=False)
    # The hand-made designs are left out, so what is one of them is a candidate like any other.
    names = {str(it.architecture): it.name for it in without}
    assert names["4-pool2"] == "Ultra-Light" and "8-16-32-flatten" not in names


def test_a_reference_of_ones_own_stands_alone():
    own = replace(SETTINGS, reference=Reference.of("16-32-64-gap", MNIST))
    expected = {**MAY_BE_ON_THE_FRONT, "16-32-64-gap": 5, "16-32-32-gap": 5}
    assert seeds(settings=own, with_designs=True) == expected


def test_a_search_without_a_whole_run_retrains_the_reference_alone():
    assert seeds(searched=[("4-gap", 0.9, "PRUNED"), ("5-gap", None, "FAILED")]) == {"8-16-32-gap": 5}
    assert seeds(searched=[("4-gap", DEAD, "COMPLETE")]) == {"8-16-32-gap": 5}


NAMED_LIGHTCNN = pd.DataFrame(
    [("LightCNN", "8-16-32-gap", 6_218, 6_218.0, 0.9861, 0.987)],
    columns=["name", "architecture", "num_parameters", "paper_parameters", "paper_accuracy", "val_accuracy"],
)


def tables_of(trials):
    front = trials[["architecture", "num_parameters", "val_accuracy"]]
    return {"trials.csv": trials, "front.csv": front, "designs.csv": NAMED_LIGHTCNN}


def runs_of(**accuracies):
    """Lines of runs.csv, a design's test accuracies by its text with _ for -."""
    return pd.DataFrame(
        {
            "arm": text.replace("_", "-"),
            "architecture": text.replace("_", "-").strip("-"),
            "num_parameters": num_parameters(parse(text.replace("_", "-").strip("-"), MNIST)),
            "seed": seed,
            "train_accuracy": 0.99,
            "test_accuracy": accuracy,
        }
        for text, own in accuracies.items()
        for seed, accuracy in enumerate(own)
    )


TRIALS = trials_of(
    ("8-16-32-gap", 0.987, "COMPLETE"),
    ("8-gap", 0.90, "COMPLETE"),
    ("4-8-gap", 0.91, "COMPLETE"),
    ("2-2-gap", 0.80, "COMPLETE"),
    ("10-gap", 0.899, "COMPLETE"),
)
FRESH = {
    "_8_16_32_gap": (0.988, 0.99),
    "_8_gap": (0.90, 0.91),
    "_4_8_gap": (0.88, 0.87),  # luck: on the front of the search, not after re-training
    "_10_gap": (0.92, 0.93),  # near it, and on it after
    "_8_12_16_gap": (0.97, 0.971),  # placed
}


def test_retraining_decides_the_front_anew():
    done = with_retraining(tables_of(TRIALS), runs_of(**FRESH), FILE)
    trials = done["trials.csv"].set_index("architecture")
    flags = trials["on_front_after_retraining"]
    assert flags.drop("2-2-gap").to_dict() == {
        **{"8-16-32-gap": True, "8-gap": True, "4-8-gap": False, "10-gap": True}
    }
    assert isnan(flags["2-2-gap"]) and trials.loc["2-2-gap", "front_probability"] > 0.9  # it is the smallest
    assert trials.loc["4-8-gap", "front_probability"] < 0.1 < trials.loc["10-gap", "front_probability"]
    mean, low, high = trials.loc["8-gap", ["test_accuracy_mean", "test_accuracy_low", "test_accuracy_high"]]
    assert (mean, low, high) == pytest.approx(accuracy_interval([0.90, 0.91], PRIOR))
    # All runs together: between the fresh mean and what the neighbours and the search say.
    assert 0.985 < trials.loc["8-16-32-gap", "joint_accuracy"] < 0.992
    band = trials.loc["8-16-32-gap", ["front_accuracy_low", "front_accuracy_high"]]
    assert band.iloc[0] < 0.989 < band.iloc[1] and trials["front_accuracy_low"].notna().sum() == 3
    better = done["front.csv"].set_index("architecture")["probability_better"]
    assert better["8-gap"] < 0.01 and isnan(better["8-16-32-gap"])


def test_where_designs_stand_by_hand():
    designs = with_retraining(tables_of(TRIALS), runs_of(**FRESH), FILE)["designs.csv"]
    assert list(designs["name"]) == ["LightCNN", "8-12-16-gap"]
    light, placed = (row for _, row in designs.iterrows())
    assert (placed["num_parameters"], placed["num_seeds"], placed["num_dead"]) == (2_870, 2, 0)
    # Smaller than LightCNN, and far less accurate, as than anything no larger it is far more.
    assert (placed["challenger"], placed["verdict"]) == ("10-gap", Verdict.ON_FRONT)
    gap = difference([0.92, 0.93], [0.97, 0.971], PRIOR)
    assert placed["challenger_gap"] == pytest.approx(0.0455, abs=1e-6)
    assert placed["challenger_gap_low"] == pytest.approx(gap.low, abs=1e-6)
    assert placed["challenger_p"] == pytest.approx(gap.p_value, abs=1e-6)
    assert placed["beaten_probability"] < 0.01 > placed["clearly_beaten_probability"]
    assert placed["parameter_ratio"] == pytest.approx(6_218 / 2_870, abs=1e-5)
    assert 0.02 < placed["accuracy_gap_low"] < placed["accuracy_gap"] < placed["accuracy_gap_high"] < 0.07
    # Itself it is no candidate; the placed one is none at all.
    assert light["parameter_ratio"] == inf and light["verdict"] is Verdict.ON_FRONT


def test_a_design_that_is_beaten_is_dominated():
    fresh = {**FRESH, "_8_12_16_gap": (0.80, 0.80)}
    placed = with_retraining(tables_of(TRIALS), runs_of(**fresh), FILE)["designs.csv"].set_index("name")
    row = placed.loc["8-12-16-gap"]
    assert row["verdict"] is Verdict.DOMINATED and row["clearly_beaten_probability"] > 0.95
    assert row["parameter_ratio"] < 0.08  # of 10-gap or a smaller one


def test_a_placed_design_has_one_line():
    assert with_retraining(tables := tables_of(TRIALS), runs_of(**FRESH)[:0], FILE) == tables
    # Though it is a candidate as well; a named one has no second.
    file = replace(FILE, placed=("8-gap", "8-16-32-gap"))
    again = with_retraining(tables_of(TRIALS), runs_of(**FRESH), file)["designs.csv"]
    assert list(again["name"]) == ["LightCNN", "8-gap", "8-12-16-gap"]
    assert again["parameter_ratio"].notna().all()


def test_one_seed_has_an_interval_and_a_place():
    runs = runs_of(_8_gap=(0.9,), _8_16_32_gap=(0.98,))
    done = with_retraining(tables_of(TRIALS[1:2]), runs, FILE)
    row = done["designs.csv"].loc[0]
    assert row["test_accuracy_mean"] == 0.98
    assert (row["test_accuracy_low"], row["test_accuracy_high"]) == pytest.approx(
        accuracy_interval([0.98], PRIOR)[1:]
    )
    assert row["verdict"] is Verdict.ON_FRONT and row["parameter_ratio"] == inf


def test_dead_runs_are_counted_apart():
    fresh = {**FRESH, "_8_12_16_gap": (DEAD, 0.97), "_10_gap": (DEAD, DEAD)}
    done = with_retraining(tables_of(TRIALS), runs_of(**fresh), FILE)
    placed = done["designs.csv"].set_index("name").loc["8-12-16-gap"]
    assert (placed["num_seeds"], placed["num_dead"], placed["test_accuracy_mean"]) == (2, 1, 0.97)
    dead = done["trials.csv"].set_index("architecture").loc["10-gap"]
    assert (dead["num_seeds"], dead["num_dead"]) == (2, 2) and isnan(dead["test_accuracy_mean"])
    assert np.isfinite(dead["front_probability"])


def test_allocation_knows_nothing_of_test_accuracies():
    """Test accuracies beside the trials change no choice."""
    tables = with_retraining(tables_of(TRIALS), runs_of(**FRESH), FILE)
    before = seeds_of_arms(TRIALS, SETTINGS, IMAGES, [], 5)
    assert seeds_of_arms(tables["trials.csv"], SETTINGS, IMAGES, [], 5) == before

"""Who is re-trained, and where designs stand beside the front, against cases worked by hand."""

from dataclasses import replace
from math import inf, isnan

import pandas as pd
import pytest
from fakes import MNIST, SETTINGS

from lightcnn.architecture import parse
from lightcnn.cost import num_parameters
from search.evaluation import Arm
from search.settings import Reference
from search.standing import contenders, place, rivals, seeds_of_arms, with_retraining
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


# Of 10,000 images two standard errors are 0.28 points at 98 %, 0.34 at 97 %, 0.44 at 95 %, 0.2 at 99 %.
SEARCHED = [
    ("8-16-24-gap", 4_978, 0.980, "COMPLETE"),  # the most accurate no larger than LightCNN
    ("8-16-20-gap", 4_358, 0.9775, "COMPLETE"),  # which it may be as well
    ("16-32-gap", 5_130, 0.9770, "COMPLETE"),  # too far below
    ("8-10-16-gap", 2_436, 0.970, "COMPLETE"),  # the most accurate no larger than 8-12-16-gap, 2,870
    ("8-12-gap", 1_086, 0.9672, "COMPLETE"),  # which it may be as well
    ("6-8-gap", 590, 0.9660, "COMPLETE"),  # on the front
    ("5-8-gap", 508, 0.950, "COMPLETE"),  # near it
    ("4-8-gap", 426, 0.951, "COMPLETE"),  # on it
    ("4-pool2", 210, 0.89, "COMPLETE"),  # Ultra-Light, far from it
    ("2-4-gap", 146, 0.90, "COMPLETE"),  # on it
    ("16-32-32-gap", 14_378, 0.99, "COMPLETE"),  # on it
    ("8-16-32-flatten", 21_578, 0.9885, "COMPLETE"),  # near it, and hand-made
    ("32-32-32-flatten", 34_506, 0.999, "COMPLETE"),  # over the budget
    ("12-16-16-gap", 4_354, 0.99, "DIVERGED"),
    ("8-16-30-gap", 5_908, 0.99, "PRUNED"),
]
SIZES = {text: size for text, size, *_ in SEARCHED}
NAMES = {"8-16-32-gap": "LightCNN", "8-16-32-flatten": "LightCNN, GAP removed", "4-pool2": "Ultra-Light"}
HAND_MADE = {
    "8-16-32-flatten": 2,
    "8-16-32-flatten-128": 2,
    "flatten-512-256": 2,
    "16-32v-32v-flatten-128": 2,
    "4-6p-flatten": 2,
    "4-pool2": 2,
    "6k5-16k5vp-flatten-120-84": 2,
}
FRONT = {
    "8-16-24-gap": 5,
    "8-16-20-gap": 5,
    "8-10-16-gap": 2,
    "8-12-gap": 2,
    "6-8-gap": 2,
    "5-8-gap": 2,
    "4-8-gap": 2,
    "2-4-gap": 2,
    "16-32-32-gap": 2,
    "8-16-32-flatten": 2,
}


def arm(text, name=None):
    return Arm(name or text, parse(text, MNIST))


def seeds(placed=(), num_seeds=5, with_designs=False, settings=SETTINGS, searched=SEARCHED):
    """How many seeds each architecture has."""
    arms = seeds_of_arms(trials_of(*searched), settings, [*placed], num_seeds, with_designs)
    found = {str(arm.architecture): number for arm, number in arms.items()}
    assert len(found) == len(arms)  # each once
    return found


def test_what_decides_has_all_seeds_and_the_rest_of_the_front_has_few():
    assert seeds() == {"8-16-32-gap": 5, **FRONT}
    assert next(iter(seeds())) == "8-16-32-gap"
    assert seeds(with_designs=True) == {"8-16-32-gap": 5, **HAND_MADE, **FRONT}


def test_what_is_placed_has_all_seeds_and_so_has_what_it_is_held_against():
    held_against = {"8-10-16-gap": 5, "8-12-gap": 5}
    assert seeds([arm("8-12-16-gap")]) == {"8-16-32-gap": 5, "8-12-16-gap": 5, **FRONT, **held_against}
    both = seeds([arm("8-12-16-gap"), arm("3-gap")])
    assert both == {"8-16-32-gap": 5, "8-12-16-gap": 5, "3-gap": 5, **FRONT, **held_against}
    # A candidate that is placed, as well: 6-8-gap may be as accurate.
    assert seeds([arm("8-12-gap")]) == {"8-16-32-gap": 5, **FRONT, "8-12-gap": 5, "6-8-gap": 5}
    # A hand-made one that is placed; of no more parameters 2-4-gap alone may be as accurate, or more.
    placed = seeds([arm("4-pool2", "Ultra-Light")], with_designs=True)
    assert placed == {"8-16-32-gap": 5, **HAND_MADE, **FRONT, "4-pool2": 5, "2-4-gap": 5}


def test_what_is_placed_over_the_budget_is_held_against_what_is_within():
    searched = [*SEARCHED, ("32-32-flatten", 25_098, 0.9895, "COMPLETE")]
    large = arm("32-32-32-32-flatten")
    found = seeds([large], searched=searched)
    assert found["32-32-32-32-flatten"] == found["16-32-32-gap"] == found["32-32-flatten"] == 5
    assert "32-32-32-flatten" not in found
    small = replace(SETTINGS, max_parameters=3_000)  # LightCNN itself is over it
    assert seeds(settings=small) == {
        "8-16-32-gap": 5,
        **{text: number for text, number in FRONT.items() if SIZES[text] <= 3_000},
        "8-10-16-gap": 5,
        "8-12-gap": 5,
    }


@pytest.mark.parametrize(("num_seeds", "few"), [(1, 1), (2, 2), (3, 2), (9, 2)])
def test_few_are_two_or_fewer(num_seeds, few):
    found = seeds(num_seeds=num_seeds, with_designs=True)
    expected = {"8-16-32-gap": 5, **HAND_MADE, **FRONT}
    assert found == {text: num_seeds if number == 5 else few for text, number in expected.items()}


def test_fewer_images_leave_more_open():
    few = replace(SETTINGS, data=replace(SETTINGS.data, num_validation=1_000))
    found = seeds(settings=few)
    # Two standard errors are 0.89 points at 98 %.
    assert found["16-32-gap"] == 5 and found["8-10-16-gap"] == 2


def test_a_design_goes_by_its_name():
    arms = seeds_of_arms(trials_of(*SEARCHED), SETTINGS, [arm("5-gap")], 5)
    assert [it.name for it in arms][:2] == ["LightCNN", "LightCNN, GAP removed"]
    assert {it.name for it in arms} >= {"Ultra-Light", "5-gap", "6-8-gap"}
    assert all(it.name == NAMES[str(it.architecture)] for it in arms if str(it.architecture) in NAMES)
    without = seeds_of_arms(trials_of(*SEARCHED), SETTINGS, [], 5, with_designs=False)
    names = {str(it.architecture): it.name for it in without}
    # The hand-made designs are left out, so what is one of them is a candidate like any other.
    assert names["8-16-32-flatten"] == "8-16-32-flatten" and names["8-16-32-gap"] == "LightCNN"


def test_a_reference_of_ones_own_stands_alone():
    own = replace(SETTINGS, reference=Reference.of("16-32-64-gap", MNIST))
    found = seeds(settings=own, with_designs=True)
    held_against = {"16-32-32-gap": 5, "8-16-32-flatten": 5}  # within its 23,946 parameters
    assert found == {"16-32-64-gap": 5, **FRONT, "8-16-24-gap": 2, "8-16-20-gap": 2, **held_against}


def test_a_search_without_a_whole_run_retrains_the_reference_alone():
    assert seeds(searched=[("4-gap", 90, 0.9, "PRUNED"), ("5-gap", 110, None, "FAILED")]) == {
        "8-16-32-gap": 5
    }


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

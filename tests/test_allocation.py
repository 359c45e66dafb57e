"""search.allocation against cases worked by hand."""

import pytest

from search.allocation import num_fresh_seeds

CHANCES = {"a": 0.09, "b": 0.10, "c": 0.95, "d": 0.4, "reference": 0.2, "never": 0.0}


def test_who_is_trained_again_and_with_how_many_seeds() -> None:
    # "a" falls short of 10 %; "reference" decides, though it is a candidate; "placed" is none.
    seeds = num_fresh_seeds(CHANCES, ["reference", "placed", "d"], nugget=0.06, num_seeds=5)
    assert seeds == {"reference": 5, "placed": 5, "d": 5, "c": 1, "b": 1}
    assert list(seeds) == ["reference", "placed", "d", "c", "b"]


@pytest.mark.parametrize(("nugget", "seeds"), [(0.09, 1), (0.0901, 2)])
def test_where_features_leave_much_unseen_two_seeds_each(nugget: float, seeds: int) -> None:
    again = num_fresh_seeds(CHANCES, ["reference"], nugget, 7)
    assert again == {"reference": 7, "c": seeds, "d": seeds, "b": seeds}


@pytest.mark.parametrize(("num_seeds", "expected"), [(1, {"x": 1, "y": 1}), (2, {"x": 2, "y": 2}), (0, {})])
def test_none_gets_more_seeds_than_those_that_decide(num_seeds: int, expected: dict[str, int]) -> None:
    assert num_fresh_seeds({"y": 0.5}, ["x"], nugget=0.2, num_seeds=num_seeds) == expected


def test_one_that_decides_twice_is_trained_once() -> None:
    assert num_fresh_seeds({}, ["x", "x"], nugget=0.06, num_seeds=3) == {"x": 3}


def test_the_improbable_decide_all_the_same() -> None:
    assert num_fresh_seeds(CHANCES, ["never"], nugget=0.06, num_seeds=3)["never"] == 3


def test_what_stands_beside_the_front_has_as_many_seeds_as_a_candidate() -> None:
    seeds = num_fresh_seeds(CHANCES, ["reference"], 0.06, 5, beside=["MLP", "a", "reference"])
    assert seeds == {"reference": 5, "MLP": 1, "a": 1, "c": 1, "d": 1, "b": 1}
    assert num_fresh_seeds({}, [], 0.06, 0, beside=["MLP"]) == {}


@pytest.mark.parametrize(("least", "who"), [(0.0, {"x", "y", "z"}), (0.3, {"y", "z"}), (1.0, {"z"})])
def test_who_is_trained_again_may_be_asked_for(least, who):
    chances = {"x": 0.29, "y": 0.3, "z": 1.0}
    assert num_fresh_seeds(chances, ["r"], 0.06, 5, least_chance=least) == {"r": 5} | dict.fromkeys(who, 1)

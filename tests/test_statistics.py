"""search.statistics against cases worked by hand, scipy or brute force, and simulated studies.

Hand-worked t values: with 1 degree of freedom t is Cauchy, t(0.975) = tan(0.475 pi) = 12.7062; with 2,
P(T <= t) = 1/2 + t / (2 sqrt(2 + t^2)), hence t(0.975) = 0.95 sqrt(2 / (1 - 0.95^2)) = 4.302653.
"""

import re
from collections.abc import Callable
from itertools import combinations
from math import atan, inf, pi, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from search.statistics import (
    AccuracyGap,
    Correlation,
    Difference,
    Interval,
    Measured,
    ParameterGap,
    accuracy_gap_at_equal_parameters,
    difference,
    holm,
    mean_interval,
    paired_difference,
    parameter_gap_at_equal_accuracy,
    probability_better,
    seed_correlation,
    welch_difference,
)

T_DOF_2 = 0.95 * sqrt(2 / (1 - 0.95**2))
NUM_STUDIES = 4_000  # a coverage of 95 % is then seen to ± 0.7 points


def seeds(seed: int, *shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(shape)


# Means


def test_mean_interval_by_hand() -> None:
    # mean 0.98, deviations -0.01, 0, 0.01: variance 0.0002 / 2 = 0.01^2; half-width t(2) * 0.01 / sqrt(3)
    half_width = T_DOF_2 * 0.01 / sqrt(3)
    assert mean_interval([0.97, 0.98, 0.99]) == pytest.approx((0.98, 0.98 - half_width, 0.98 + half_width))


def test_mean_interval_takes_the_confidence() -> None:
    # 2 values: mean 0.98, standard error 0.01, Cauchy; at 50 % the quantile is tan(pi / 4) = 1
    assert mean_interval([0.97, 0.99], confidence=0.5) == pytest.approx((0.98, 0.97, 0.99))


@pytest.mark.parametrize("accuracy", [0.1, 0.9861])
@pytest.mark.parametrize("num_seeds", [2, 3, 7])
def test_equal_seeds_have_an_interval_of_width_0(accuracy: float, num_seeds: int) -> None:
    assert mean_interval([accuracy] * num_seeds) == Interval(accuracy, accuracy, accuracy)


# Differences of two arms


def test_welch_by_hand() -> None:
    # Means 0.98 and 0.99, each with standard error 0.01: se^2 = 0.0002, dof = 0.0002^2 / (2 * 0.0001^2) = 2.
    # t = 0.01 / 0.01 sqrt(2) = 1 / sqrt(2); p = 1 - t / sqrt(2 + t^2) = 1 - 1 / sqrt(5)
    half_width = T_DOF_2 * 0.01 * sqrt(2)
    result = welch_difference([0.97, 0.99], [0.98, 1.0])
    assert result[:4] == pytest.approx((0.01, 0.01 - half_width, 0.01 + half_width, 1 - 1 / sqrt(5)))
    assert result.method == "welch"


def test_paired_by_hand() -> None:
    # Differences 0.01, 0.02, 0.03: mean 0.02, standard error 0.01 / sqrt(3), t = 2 sqrt(3), t^2 = 12;
    # p = 1 - t / sqrt(2 + t^2) = 1 - sqrt(12 / 14)
    half_width = T_DOF_2 * 0.01 / sqrt(3)
    result = paired_difference([0.97, 0.90, 0.95], [0.98, 0.92, 0.98])
    assert result[:4] == pytest.approx((0.02, 0.02 - half_width, 0.02 + half_width, 1 - sqrt(12 / 14)))
    assert result.method == "paired"


@pytest.mark.parametrize("compare", [welch_difference, paired_difference, difference])
def test_arms_without_variance(compare: Callable[..., Difference]) -> None:
    assert compare([0.1] * 3, [0.1] * 3)[:4] == (0, 0, 0, 1)
    assert compare([0.25] * 3, [0.5] * 3)[:4] == (0.25, 0.25, 0.25, 0)


def test_pairs_that_differ_by_the_same_amount_but_for_rounding() -> None:
    # 0.3 - 0.1, 0.4 - 0.2 and 0.5 - 0.3 differ in the last bit.
    mean, low, high, p_value, _ = paired_difference([0.1, 0.2, 0.3], [0.3, 0.4, 0.5])
    assert (low, high, p_value) == (mean, mean, 0)
    assert mean == pytest.approx(0.2)


def test_welch_with_variance_in_one_arm() -> None:
    # Only the variant varies: the interval is that of its own mean, moved by the baseline's 0.9.
    mean, low, high = mean_interval([0.97, 0.98, 0.99])
    expected = (mean - 0.9, low - 0.9, high - 0.9)
    assert welch_difference([0.9, 0.9], [0.97, 0.98, 0.99])[:3] == pytest.approx(expected)


def test_seed_correlation_by_hand() -> None:
    # Deviations (-1, 0, 1) and (-1, 1, 0): r = 1 / sqrt(2 * 2) = 1/2. With one degree of freedom
    # t = r / sqrt(1 - r^2) = 1 / sqrt(3), Cauchy: one-sided p = 1/2 - atan(t) / pi = 1/2 - 1/6
    assert seed_correlation([1, 2, 3], [1, 3, 2]) == pytest.approx(Correlation(0.5, 1 / 3))
    assert seed_correlation([1, 2, 3], [3, 1, 2]) == pytest.approx(Correlation(-0.5, 2 / 3))


@pytest.mark.parametrize(
    "arms", [([0.1, 0.2], [0.1, 0.2]), ([0.1] * 3, [0.1, 0.2, 0.3]), ([0, 1, 2], [0] * 3)]
)
def test_seed_correlation_is_none_where_undefined(arms: tuple[list[float], list[float]]) -> None:
    assert seed_correlation(*arms) is None


def test_difference_pairs_where_seeds_pair() -> None:
    baseline = [0.970, 0.975, 0.980, 0.985, 0.990]
    follows = [0.971, 0.977, 0.981, 0.987, 0.991]  # r = 0.998
    ignores = [0.981, 0.977, 0.991, 0.971, 0.987]  # r = 0.2, p = 0.37
    opposes = follows[::-1]
    assert difference(baseline, follows) == paired_difference(baseline, follows)
    assert difference(baseline, ignores) == welch_difference(baseline, ignores)
    assert difference(baseline, opposes) == welch_difference(baseline, opposes)
    assert difference(baseline, follows[:4]) == welch_difference(baseline, follows[:4])


def test_probability_better_by_hand() -> None:
    # As in test_welch_by_hand, t = 1 / sqrt(2) with 2 degrees of freedom: P(T <= t) = 1/2 + 1 / (2 sqrt(5))
    better, worse = [0.98, 1.0], [0.97, 0.99]
    assert probability_better(better, worse) == pytest.approx(0.5 + 0.5 / sqrt(5))
    assert probability_better(worse, better) == pytest.approx(0.5 - 0.5 / sqrt(5))


def test_probability_better_without_variance() -> None:
    constant = [0.9, 0.9]
    assert [probability_better([a, a], constant) for a in (0.8, 0.9, 0.95)] == [0, 0.5, 1]


# Several tests at once


def test_holm_by_hand() -> None:
    # In order 0.005 * 4 = 0.02, 0.01 * 3 = 0.03, 0.03 * 2 = 0.06, and 0.04 * 1 is raised to 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.7, 0.6]) == (1, 1)
    assert holm([0.04]) == (0.04,)
    assert holm([]) == ()


def test_holm_is_the_closure_of_bonferroni() -> None:
    # Brute force: hypothesis i falls when every set of hypotheses that holds it falls by Bonferroni.
    for seed in range(20):
        p = np.random.default_rng(seed).random(5) ** 3
        sets = [s for size in range(1, 6) for s in combinations(range(5), size)]
        closed = [max(min(1, len(s) * min(p[list(s)])) for s in sets if i in s) for i in range(5)]
        assert holm(p) == pytest.approx(closed)


# A design against the front

FRONT = (
    Measured("large", 4_000, (0.985, 0.986, 0.987)),
    Measured("small", 1_000, (0.960, 0.961, 0.962)),
    Measured("middle", 2_000, (0.980, 0.984, 0.979)),
    Measured("dominated", 3_000, (0.970, 0.971, 0.972)),  # re-trained, it fell below the smaller one
)


@pytest.mark.parametrize(
    ("num_parameters", "reference"),
    [(999, None), (1_000, "small"), (1_999, "small"), (2_000, "middle"), (3_999, "middle"), (9_999, "large")],
)
def test_accuracy_gap_is_to_the_best_with_no_more_parameters(
    num_parameters: int, reference: str | None
) -> None:
    design = Measured("design", num_parameters, (0.982, 0.981, 0.985))
    gap = accuracy_gap_at_equal_parameters(FRONT, design)
    if reference is None:
        assert gap is None
    else:
        accuracies = next(member.accuracies for member in FRONT if member.name == reference)
        assert gap == AccuracyGap(reference, difference(accuracies, design.accuracies))


def test_of_equally_accurate_members_the_smallest_is_the_reference() -> None:
    front = [Measured(str(size), size, (0.97, 0.99)) for size in (300, 100, 200)]
    gap = accuracy_gap_at_equal_parameters(front, Measured("design", 400, (0.97, 0.98)))
    assert gap is not None
    assert gap.reference == "100"


def exact(name: str, num_parameters: int, accuracy: float) -> Measured:
    return Measured(name, num_parameters, (accuracy, accuracy))


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        (0.985, ParameterGap("large", 2.0, 2.0, 2.0, 0)),
        (0.98, ParameterGap("middle", 1.0, 1.0, 1.0, 0)),
        (0.90, ParameterGap("small", 0.5, 0.5, 0.5, 0)),
        (0.999, ParameterGap(None, inf, inf, inf, 1)),
    ],
)
def test_parameter_gap_of_exact_accuracies(accuracy: float, expected: ParameterGap) -> None:
    front = [exact("middle", 2_000, 0.98), exact("large", 4_000, 0.99), exact("small", 1_000, 0.96)]
    assert parameter_gap_at_equal_accuracy(front, exact("design", 2_000, accuracy)) == expected


def test_parameter_gap_counts_the_draws_that_reach_nowhere() -> None:
    # Member and design have means 0.99 and 0.98, both standard errors 0.01 and Cauchy posteriors; their
    # difference is Cauchy about 0.01 with scale 0.02, so below 0 with 1/2 - atan(0.01 / 0.02) / pi = 0.352.
    front = [Measured("member", 500, (0.98, 1.0))]
    gap = parameter_gap_at_equal_accuracy(front, Measured("design", 1_000, (0.97, 0.99)))
    assert gap[:4] == ("member", 0.5, 0.5, inf)
    assert gap.unreached == pytest.approx(
        0.5 - atan(0.5) / pi, abs=0.015
    )  # 3 standard errors of 10,000 draws


def test_parameter_gap_interval_is_read_off_the_draws() -> None:
    # One draw in ten says that "near", 0.01 below the design, reaches it: 1/2 - atan(t) / pi = 0.1 where
    # t = tan(0.4 pi) = 3.0777, the scale being the design's standard error, 0.01 / t. "far" always reaches.
    error = 0.01 / np.tan(0.4 * pi)
    front = [exact("near", 1_000, 0.97), exact("far", 4_000, 1e6)]
    gap = parameter_gap_at_equal_accuracy(front, Measured("design", 2_000, (0.98 - error, 0.98 + error)))
    assert gap == ParameterGap("far", 2.0, 0.5, 2.0, 0)


def test_same_seed_same_interval() -> None:
    design = Measured("design", 1_500, (0.975, 0.981, 0.985))

    def unreached(seed: int) -> float:
        return parameter_gap_at_equal_accuracy(FRONT, design, seed).unreached

    assert unreached(0) == unreached(0) != unreached(1)


def test_a_design_on_the_front_is_held_against_the_others() -> None:
    large = FRONT[0]
    gap = accuracy_gap_at_equal_parameters(FRONT, large)
    assert gap is not None
    assert gap.reference == "middle"
    assert parameter_gap_at_equal_accuracy(FRONT, large).ratio == inf


# Errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([0.98]), "an interval needs at least 2 seeds, but got values=[0.98]"),
        (
            lambda: mean_interval([0.98, float("nan")]),
            "every value must be finite, but got values=[0.98, nan]",
        ),
        (
            lambda: mean_interval([0.98, 0.99], confidence=95),
            "a confidence lies between 0 and 1, but got confidence=95",
        ),
        (
            lambda: welch_difference([0.98, 0.99], [0.98]),
            "an interval needs at least 2 seeds, but got variant=[0.98]",
        ),
        (
            lambda: difference([0.98], [0.98]),
            "an interval needs at least 2 seeds, but got baseline=[0.98]",
        ),
        (
            lambda: paired_difference([0.98, 0.99], [0.98]),
            "paired arms need as many seeds each, but got len(baseline)=2, len(variant)=1",
        ),
        (
            lambda: seed_correlation([0.98, 0.99, 0.97], [0.98, inf, 0.97]),
            "every value must be finite, but got variant=[0.98, inf, 0.97]",
        ),
        (lambda: holm([0.01, 1.5]), "a p-value lies in [0, 1], but got p_values=[0.01, 1.5]"),
        (lambda: holm([float("nan")]), "a p-value lies in [0, 1], but got p_values=[nan]"),
        (
            lambda: parameter_gap_at_equal_accuracy([], Measured("8-16-gap", 1_000, (0.98,))),
            "an interval needs at least 2 seeds, but got 8-16-gap=[0.98]",
        ),
    ],
)
def test_errors_give_rule_name_and_value(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


# Coverage, in simulated studies of 5 seeds a design


def coverage(intervals: NDArray[np.float64], truth: float = 0) -> float:
    return float(np.mean((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])))


def test_mean_interval_covers_what_it_says() -> None:
    studies = 0.98 + 0.001 * seeds(0, NUM_STUDIES, 5)
    intervals = np.array([mean_interval(study)[1:] for study in studies])
    assert 0.94 < coverage(intervals, 0.98) < 0.96


def test_percentile_bootstrap_covers_too_little() -> None:
    rng = np.random.default_rng(0)
    studies = rng.standard_normal((NUM_STUDIES, 5))
    means = np.take_along_axis(studies, rng.integers(5, size=(NUM_STUDIES, 5 * 300)), axis=1)
    means = means.reshape(NUM_STUDIES, 300, 5).mean(axis=2)
    assert 0.81 < coverage(np.quantile(means, [0.025, 0.975], axis=1).T) < 0.85


@pytest.mark.slow
@pytest.mark.parametrize(
    ("correlation", "share_paired", "covered"),
    [
        (0.0, (0.04, 0.06), (0.93, 0.95)),  # the price of choosing: 94.2 %, Welch alone 95.3 %
        (0.9, (0.75, 0.85), (0.94, 0.96)),  # Welch alone: 99.9 %, with intervals far too wide
    ],
)
def test_difference_covers_about_what_it_says(
    correlation: float, share_paired: tuple[float, float], covered: tuple[float, float]
) -> None:
    baseline, own = seeds(0, 2, NUM_STUDIES, 5)
    variant = correlation * baseline + sqrt(1 - correlation**2) * own
    results = [difference(*arms) for arms in zip(baseline, variant, strict=True)]
    assert share_paired[0] < np.mean([result.method == "paired" for result in results]) < share_paired[1]
    assert covered[0] < coverage(np.array([result[1:3] for result in results])) < covered[1]

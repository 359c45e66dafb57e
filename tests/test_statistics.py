"""search.statistics against cases worked by hand, scipy or brute force, and simulated studies.

Hand-worked t values: with 1 degree of freedom t is Cauchy, t(0.975) = tan(0.475 pi) = 12.7062; with 2,
P(T <= t) = 1/2 + t / (2 sqrt(2 + t^2)), hence t(0.975) = 0.95 sqrt(2 / (1 - 0.95^2)) = 4.302653.
"""

import re
from collections.abc import Callable
from itertools import combinations
from math import inf, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from search.statistics import (
    Correlation,
    Difference,
    Interval,
    centre_and_scale,
    holm,
    matched_difference,
    mean_interval,
    paired_difference,
    seed_correlation,
    welch_difference,
    wilson,
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


@pytest.mark.parametrize("compare", [welch_difference, paired_difference])
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
            lambda: paired_difference([0.98, 0.99], [0.98]),
            "paired arms need as many seeds each, but got len(baseline)=2, len(variant)=1",
        ),
        (
            lambda: seed_correlation([0.98, 0.99, 0.97], [0.98, inf, 0.97]),
            "every value must be finite, but got variant=[0.98, inf, 0.97]",
        ),
        (lambda: holm([0.01, 1.5]), "a p-value lies in [0, 1], but got p_values=[0.01, 1.5]"),
        (lambda: holm([float("nan")]), "a p-value lies in [0, 1], but got p_values=[nan]"),
    ],
)
def test_errors_give_rule_name_and_value(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


# Coverage, in simulated studies of 5 seeds a design


def test_wilsons_limits_are_scipys() -> None:
    for right, of in ((990, 1_000), (0, 7), (7, 7), (1, 1)):
        expected = stats.binomtest(right, of).proportion_ci(method="wilson")
        assert wilson(right / of, of) == pytest.approx((expected.low, expected.high))


def test_matched_difference_by_hand() -> None:
    # 4 lost and 1 won of 1,000: (1.5 - 4.5) / 1,002, and 1.96 sqrt(6 - 9 / 1,002) / 1,002 to either side.
    half = 1.959964 * sqrt(6 - 9 / 1_002) / 1_002
    assert matched_difference(4, 1, 1_000) == pytest.approx((-0.003, -3 / 1_002 - half, -3 / 1_002 + half))
    mean, low, high = matched_difference(0, 0, 10_000)
    assert mean == 0 and low == -high and 0.0001 < high < 0.0002


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


def test_a_column_of_equal_numbers_is_constant_whatever_the_rounding():
    # The mean of ten logarithms of 392 misses it by its last digit, so that their deviation is not 0.
    columns = np.column_stack(
        [np.full(10, np.log(392)), np.arange(10.0), np.full(10, 3.0), 1e-6 * np.arange(10)]
    )
    assert columns[:, 0].std() != 0
    centre, scale = centre_and_scale(columns)
    assert centre == pytest.approx(columns.mean(axis=0))
    assert scale.tolist() == [1, columns[:, 1].std(), 1, columns[:, 3].std()]

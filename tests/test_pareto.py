"""The front against brute force. Run: pytest tests/test_pareto.py"""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.pareto import front, hypervolume, most_accurate_no_larger, shortfall, smallest_as_accurate

# Few distinct values, so that ties of every kind are common.
POINTS = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 3, 5, 8, math.nan]), st.sampled_from([0.0, 0.5, 0.9, 0.95, 1.0, math.nan])
    ),
    max_size=12,
)


def columns(points):
    return [p for p, _ in points], [a for _, a in points]


def brute_force_front(points):
    def beats(j, i):
        (p, a), (q, b) = points[j], points[i]
        if not (p <= q and a >= b):  # false for NaN too
            return False
        return p < q or a > b or j < i

    known = [i for i, (p, a) in enumerate(points) if not (math.isnan(p) or math.isnan(a))]
    kept = [i for i in known if not any(beats(j, i) for j in known if j != i)]
    return sorted(kept, key=lambda i: points[i][0])


@given(POINTS)
def test_shortfall_equals_brute_force(points):
    found = shortfall(*columns(points))
    for (size, accuracy), below in zip(points, found, strict=True):
        best = [a for p, a in points if p <= size and not math.isnan(a)]
        if math.isnan(size) or math.isnan(accuracy):
            assert math.isnan(below)
        else:
            assert below == max(best) - accuracy


@given(POINTS)
def test_front_equals_brute_force(points):
    assert front(*columns(points)) == brute_force_front(points)


def test_front_by_hand_with_a_duplicated_optimum():
    #         0      1      2 = 1  3 less  4      5 failed   6 as accurate as 4, larger
    sizes = [6218, 2870, 2870, 2870, 210, 100, 500]
    accuracies = [0.986, 0.984, 0.984, 0.980, 0.74, math.nan, 0.74]
    assert front(sizes, accuracies) == [4, 1, 0]
    assert front(pd.Series(sizes, index=range(10, 17)), pd.Series(accuracies)) == [4, 1, 0]
    assert front([], []) == []
    assert front([100], [math.nan]) == []


@given(POINTS, st.sampled_from([0.0, 0.5, 0.92, 1.0]))
def test_smallest_as_accurate_equals_brute_force(points, at_least):
    good = [(p, -a, i) for i, (p, a) in enumerate(points) if a >= at_least and not math.isnan(p)]
    assert smallest_as_accurate(*columns(points), at_least) == (min(good)[2] if good else None)


@given(POINTS, st.sampled_from([0, 2, 6, 8]))
def test_most_accurate_no_larger_equals_brute_force(points, at_most):
    good = [(-a, p, i) for i, (p, a) in enumerate(points) if p <= at_most and not math.isnan(a)]
    assert most_accurate_no_larger(*columns(points), at_most) == (min(good)[2] if good else None)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"of one length, but got shapes \(2,\) and \(1,\)"):
        front([1, 2], [0.5])


def test_hypervolume_by_hand():
    # Steps at 100 (0.05 high) and 1,000 (0.08 high), a decade each, up to 10,000.
    points = [100, 1_000, 1_000, 50_000, 10], [0.95, 0.98, 0.97, 0.999, 0.5]
    assert hypervolume(*points, 10_000, 0.9) == pytest.approx(0.05 + 0.08)
    assert hypervolume(*points, 100_000, 0.9) == pytest.approx(
        0.05 + 0.08 * math.log10(50) + 0.099 * math.log10(2)
    )
    assert hypervolume([], [], 10_000, 0.9) == 0


@given(POINTS, POINTS)
def test_more_candidates_never_cover_less(points, more):
    one = hypervolume(*columns(points), 8, 0.5)
    assert hypervolume(*columns(points + more), 8, 0.5) >= one - 1e-12

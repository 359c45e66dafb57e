"""What the Pareto plot shows, as values, on a study worked by hand."""

from dataclasses import replace

import pytest
from fakes import study_of

from search.report.pareto_data import Gap, pareto_data

STUDY = study_of(
    [
        ("COMPLETE", "8-gap", 170, 0.90, 8, 1),
        ("COMPLETE", "4-8-gap", 426, 0.97, 8, 1),
        ("PRUNED", "9-gap", 190, 0.5, 2, 1),
        ("DIVERGED", "7-gap", 150, 0.1, 1, 1),
        ("FAILED", "5-gap", 110, None, 0, 1),
    ],
    front=["8-gap", "4-8-gap"],
    designs=[("Ultra-Light", "4-pool2", 210, 200, 0.74, 0.88)],
)


def shown(points):
    return [(point.num_parameters, point.accuracy, point.low, point.high) for point in points]


def test_single_runs_are_told_apart_by_how_they_ended():
    data = pareto_data(STUDY)
    assert shown(data.candidates) == [(426, 0.97, None, None), (170, 0.90, None, None)]
    assert shown(data.stopped) == [(190, 0.5, None, None)]
    assert shown(data.diverged) == [(150, 0.1, None, None)]
    assert shown(data.search_front) == [(170, 0.90, None, None), (426, 0.97, None, None)]
    assert (data.front, data.retrained) == ((), ())


def test_the_designs_stand_beside_the_papers_claims_the_reference_first():
    light, ultra = pareto_data(replace(STUDY, designs=STUDY.designs[::-1])).designs
    assert (light.name, light.measured, light.accuracy_gap) == ("LightCNN", None, None)
    assert shown([light.claim]) == [(6218, 0.9861, None, None)]
    assert shown([ultra.measured, ultra.claim]) == [(210, 0.88, None, None), (200, 0.74, None, None)]


def test_what_was_retrained_has_its_interval_and_its_gaps():
    again = {"test_accuracy_mean": [0.91, 0.95], "test_accuracy_low": [0.9, 0.94]}
    again |= {"test_accuracy_high": [0.92, 0.96], "on_front_after_retraining": [True, False]}
    trials = STUDY.trials.assign(**{name: [*values, None, None, None] for name, values in again.items()})
    gaps = {"accuracy_gap": 0.02, "accuracy_gap_low": 0.01, "accuracy_gap_high": 0.04, "parameter_ratio": 2.0}
    gaps |= {"parameter_ratio_low": 0.5, "parameter_ratio_high": float("inf"), "test_accuracy_mean": 0.93}
    designs = STUDY.designs[:1].assign(**gaps)
    data = pareto_data(replace(STUDY, trials=trials, designs=designs))
    assert shown(data.front) == [(170, 0.91, 0.9, 0.92)]
    assert shown(data.retrained) == [(426, 0.95, 0.94, 0.96)]
    (light,) = data.designs
    assert shown([light.measured]) == [(6218, 0.93, None, None)]
    assert (light.accuracy_gap.end, light.accuracy_gap.low, light.accuracy_gap.high) == pytest.approx(
        (0.91, 0.89, 0.92)
    )
    assert light.parameter_gap == Gap(12_436.0, 3_109.0, float("inf"))

"""What the Pareto plot shows, as values, on a study worked by hand."""

from dataclasses import replace

import pandas as pd
import pytest
from fakes import MNIST, study_of

from lightcnn.architecture import parse
from lightcnn.cost import num_macs
from search.pareto import Verdict
from search.report.pareto_data import pareto_data
from search.report.pareto_plot import draw_pareto

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
    return [(point.cost, point.accuracy, point.low, point.high) for point in points]


def test_single_runs_are_told_apart_by_how_they_ended():
    data = pareto_data(STUDY)
    assert shown(data.candidates) == [(426, 0.97, None, None), (170, 0.90, None, None)]
    assert shown(data.stopped) == [(190, 0.5, None, None)]
    assert shown(data.diverged) == [(150, 0.1, None, None)]
    assert shown(data.search_front) == [(170, 0.90, None, None), (426, 0.97, None, None)]
    # Nothing better is known.
    assert not data.is_retrained and data.front == data.search_front and data.retrained == ()
    assert data.title == "The front of single runs around LightCNN: what holds, fresh seeds will say"


def test_the_designs_stand_beside_the_papers_claims_the_reference_first():
    light, ultra = pareto_data(replace(STUDY, designs=STUDY.designs[::-1])).designs
    assert (light.name, light.measured, light.is_placed) == ("LightCNN", None, False)
    assert shown([light.claim]) == [(6218, 0.9861, None, None)]
    assert shown([ultra.measured, ultra.claim]) == [(210, 0.88, None, None), (200, 0.74, None, None)]


def retrained():
    again = {
        "test_accuracy_mean": [0.91, 0.95],
        "test_accuracy_low": [0.9, 0.94],
        "test_accuracy_high": [0.92, 0.96],
        "joint_accuracy": [0.905, 0.949],
        "on_front_after_retraining": [True, False],
        "front_accuracy_low": [0.89, None],
        "front_accuracy_high": [0.93, None],
    }
    trials = STUDY.trials.assign(**{name: [*values, None, None, None] for name, values in again.items()})
    beside = {"test_accuracy_mean": 0.93, "test_accuracy_low": 0.92, "test_accuracy_high": 0.94}
    designs = STUDY.designs[:1].assign(verdict=Verdict.NEAR_FRONT, **beside)
    placed = designs.assign(
        name="8-12-gap", architecture="8-12-gap", num_parameters=1_076, paper_accuracy=None
    )
    return replace(STUDY, trials=trials, designs=pd.concat([designs, placed]))


def test_what_was_retrained_has_its_interval_and_the_front_its_range():
    data = pareto_data(retrained())
    assert data.is_retrained and data.budget == 30_000
    assert shown(data.front) == [(170, 0.905, 0.89, 0.93)]  # by all runs together
    assert shown(data.retrained) == [(426, 0.95, 0.94, 0.96)]
    light, placed = data.designs
    assert shown([light.measured]) == [(6218, 0.93, 0.92, 0.94)]
    assert (placed.name, placed.is_placed, placed.claim) == ("8-12-gap", True, None)
    assert data.title == "No network of LightCNN's size or smaller is more than 0.1 points more accurate"


def test_a_reference_alone_is_no_front():
    study = retrained()
    trials = study.trials[:1].assign(architecture="8-16-32-gap", num_parameters=6_218)
    data = pareto_data(replace(study, trials=trials))
    assert data.is_retrained and data.front == ()


@pytest.mark.parametrize("is_alone", [False, True])
def test_what_was_placed_in_another_study_is_hollow_beside_its_front(is_alone):
    here = pareto_data(STUDY)
    other = replace(pareto_data(retrained()), study="<there>")
    other = replace(other, front=() if is_alone else other.front)
    assert "placed in &lt;there&gt;" not in [
        trace.name for trace in draw_pareto(here, [other]).data
    ]  # by test
    figure = draw_pareto(replace(here, is_retrained=True), [other])
    (placed,) = [trace for trace in figure.data if trace.name == "placed in &lt;there&gt;"]
    assert placed.marker.symbol == "diamond-open" and placed.x == (1_076,) and placed.y == pytest.approx([7])
    labels = {label.text for label in figure.layout.annotations}
    assert ("8-12-gap, &lt;there&gt;" if is_alone else "8-12-gap") in labels
    assert ("&lt;there&gt;" in labels) != is_alone


def test_against_another_cost_the_front_is_another():
    tables = retrained()
    # More parameters, fewer multiplications.
    trials = tables.trials.assign(num_macs=[900, 700, None, None, None])
    data = pareto_data(replace(tables, trials=trials), "num_macs")
    assert shown(data.front) == [(700, 0.949, None, None)] and shown(data.retrained) == [
        (900, 0.91, 0.9, 0.92)
    ]
    assert data.designs[0].measured.cost == num_macs(parse("8-16-32-gap", MNIST))
    assert data.designs[0].claim.cost == data.designs[0].measured.cost  # the paper claims none
    assert data.budget is None

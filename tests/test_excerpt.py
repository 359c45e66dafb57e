"""Which trials a page shows of a long study, and how it shows when they trained."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import study_of, study_where

from search.report import excerpt as module
from search.report.excerpt import excerpt
from search.report.history import Bar, progress
from search.report.plots import NUM_INTERVALS, crowd_figure, progress_figure


def test_a_page_shows_what_is_nearest_to_the_front(monkeypatch):
    monkeypatch.setattr(module, "MOST_TRIALS", 4)
    trials = [
        ("COMPLETE", "8-gap", 300, 0.60, 2, 1),  # re-trained
        ("COMPLETE", "2-gap", 100, 0.90, 2, 1),
        ("COMPLETE", "3-gap", 200, 0.88, 2, 1),  # a fifth more errors than 2-gap
        ("COMPLETE", "4-gap", 400, 0.98, 2, 1),
        (
            "COMPLETE",
            "5-gap",
            500,
            0.95,
            2,
            1,
        ),  # fewer points from the best no larger than 3-gap, more errors
        ("FAILED", "6-gap", 600, None, 0, 1),
        ("PRUNED", "8-16-32-gap", 6218, 0.5, 1, 1),  # the reference
    ]
    curves = [(i, 1, 0.1, 0.5, 0.1) for i in range(7)]
    tables = study_of(trials, front=["2-gap", "4-gap"], curves=curves)
    shown = excerpt(tables)
    assert shown.trials["architecture"].tolist() == ["2-gap", "3-gap", "4-gap", "8-16-32-gap"]
    assert shown.curves["trial"].tolist() == [1, 2, 3, 6]
    means = tables.trials["trial"].map({0: 0.97})
    again = excerpt(replace(tables, trials=tables.trials.assign(test_accuracy_mean=means)))
    assert again.trials["architecture"].tolist() == ["8-gap", "2-gap", "4-gap", "8-16-32-gap"]
    monkeypatch.setattr(module, "MOST_TRIALS", 7)
    assert excerpt(tables) is tables


def test_how_many_trained_at_a_time():
    # One for 400 seconds, and two more in the first and the last hundred of them.
    spans = [(0, 400), (0, 100), (300, 400)]
    figure = crowd_figure([Bar({}, 0, float(start), float(end)) for start, end in spans], [])
    (line,) = figure.data
    assert len(line.x) == NUM_INTERVALS + 1 and line.x[-1] == pytest.approx(400 / 60, abs=0.001)
    quarter = NUM_INTERVALS // 4
    assert line.y[: 4 * quarter] == (*[2.0] * quarter, *[1.0] * (2 * quarter), *[2.0] * quarter)


def test_the_course_is_drawn_where_it_changes():
    tables = study_where(lambda it: -2.0 - 0.2 * len(it.blocks), 400)
    found = progress(tables)
    (line,) = progress_figure(found).data
    assert len(line.x) < 100 and line.x[0] == 1 and line.x[-1] == 400
    # What a step from each to the next says of every trial.
    places = np.searchsorted(line.x, np.arange(1, 401), side="right") - 1
    assert np.array(line.y)[places] == pytest.approx(found.hypervolumes, abs=1e-5)

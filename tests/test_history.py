"""What the page shows of a search's course, apart from drawing. Run: pytest tests/test_history.py"""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import MNIST, study_of

from lightcnn.architecture import parse, plan
from lightcnn.operations import Relu
from search.moderation import MNIST as MODERATION
from search.pareto import hypervolume
from search.report import summaries
from search.report.designs import as_columns, catalogue
from search.report.history import progress, timeline
from search.report.importance import importance
from search.report.plots import (
    importance_figure,
    learning,
    learning_figure,
    progress_figure,
    timeline_figure,
)
from search.results import rebuild_tables
from search.tables import read_study

REPORTS = Path(__file__).parents[1] / "reports"


def test_hypervolume_grows_with_the_front_of_complete_trials():
    tables = study_of(
        [
            ("COMPLETE", "8-gap", 1_000, 0.95, 8, 1),
            ("PRUNED", "9-gap", 1_100, 0.99, 2, 1),  # not its last word
            ("COMPLETE", "2-gap", 100, 0.98, 8, 1),
            ("FAILED", "3-gap", 120, None, 0, 1),
        ]
    )
    found = progress(tables)
    assert found.reference_point == (30_000, pytest.approx(0.8))  # ten times the least error, 2 %
    sizes, accuracies = [1_000, 100], [0.95, 0.98]
    first, both = (hypervolume(sizes[:n], accuracies[:n], *found.reference_point) for n in (1, 2))
    assert found.hypervolumes == pytest.approx([first, first, both, both])
    assert summaries.progress(found) == (
        "After 3 of 4 trials the search had 95 % of the hypervolume that it has now."
    )
    assert len(progress_figure(found).data) == 1
    assert progress(study_of([("FAILED", "3-gap", 120, None, 0, 1)])) is None


def test_trials_that_overlap_have_slots_of_their_own_and_pauses_are_cut():
    ends = [("00:00:30", 30), ("00:00:40", 35), ("00:01:00", 29), ("02:00:00", 20)]  # when, after how long
    tables = study_of(
        [("COMPLETE", f"{i + 2}-gap", 100, 0.9, 8, seconds) for i, (_, seconds) in enumerate(ends)],
        times=[(i, f"2026-11-24T{end}.000000Z") for i, (end, _) in enumerate(ends)],
    )
    bars, pauses = timeline(tables)
    spans = [(bar.trial["trial"], bar.slot, bar.start, bar.end) for bar in bars]
    assert spans == [(0, 0, 0, 30), (1, 1, 5, 40), (2, 0, 31, 60), (3, 0, 60, 80)]
    assert pauses == [(60, 2 * 3600 - 20 - 60)]
    figure = timeline_figure(bars, pauses)
    assert list(figure.data[0].y) == ["slot 1", "slot 2", "slot 1", "slot 1"]
    # Without "overlay" a hatched bar has no colour of its own.
    assert all(trace.marker.pattern.fillmode == "overlay" for trace in figure.data)
    assert figure.layout.annotations[0].text == "119 min paused"
    assert summaries.time(bars, pauses).startswith("4 trials trained for 1.333 minutes on 2 slots")
    assert timeline(study_of([])) == ([], [])
    damaged = replace(tables, times=tables.times.assign(ended_at="noon"))
    with pytest.raises(ValueError, match=r"times\.csv: ended_at must be a time like .* but is 'noon'"):
        timeline(damaged)


def test_learning_curves_of_the_front_lightcnn_and_the_stopped():
    curves = [(0, 1, 0.5, 0.9, 0.4), (0, 2, 0.4, 0.95, 0.3), (1, 1, 0.6, 0.8, 0.5), (2, 1, 0.1, 0.98, 0.1)]
    tables = study_of(
        [
            ("COMPLETE", "8-gap", 90, 0.95, 2, 1),
            ("PRUNED", "<b>-gap", 90, 0.8, 1, 1),
            ("COMPLETE", "8-16-32-gap", 6218, 0.98, 2, 1),
        ],
        front=["8-gap", "8-16-32-gap"],
        curves=curves,
    )
    traces = {trace.name: trace for trace in learning_figure(learning(tables)).data}
    assert list(traces) == ["stopped early", "on the search's front", "LightCNN"]
    assert list(traces["on the search's front"].x) == [1, 2, None]
    assert list(traces["on the search's front"].y) == [10, 5, None]
    assert traces["stopped early"].hovertext[0] == "&lt;b&gt;-gap<br>80.00 %"
    assert traces["LightCNN"].marker.symbol == "star"
    assert summaries.learning(tables).endswith("1 was stopped early: 1 after epoch 1.")
    assert learning(study_of([])) is None


def test_the_catalogue_has_each_design_once_with_its_layers():
    tables = study_of(
        [
            ("COMPLETE", "4-gap", 90, 0.91, 8, 1),
            ("COMPLETE", "4-gap", 90, 0.93, 8, 1),
            ("PRUNED", "5-gap", 110, 0.5, 2, 1),
            ("COMPLETE", "8-16-32-gap", 6218, 0.98, 8, 1),
            ("FAILED", "</script>", None, None, 0, 1),
        ],
        front=["4-gap"],
        designs=[("Ultra-Light", "4-pool2", 210, 210, 0.74, 0.9)],
    )
    light, ultra, four, five = catalogue(tables)
    assert (light.name, light.state, light.num_parameters) == ("LightCNN", "named", 6218)
    assert (ultra.name, four.name) == ("Ultra-Light", None)
    assert (four.state, four.val_accuracy, four.num_macs) == ("front", 0.93, 28 * 28 * 36 + 40)
    costs = (four.weight_bytes, four.weight_bytes_int8, four.peak_activation_bytes_int8)
    assert costs == (360, 76 + 8 * 14, 784 + 4 * 784)
    error = math.sqrt(MODERATION.variance(0.07))  # of the log error of the one run
    assert four.one_error_below == pytest.approx(1 - 0.07 * math.exp(error))
    assert (five.state, five.val_accuracy) == ("stopped early", None)  # not its last word
    assert list(four.layers) == [it for it in plan(parse("4-gap", MNIST)) if not isinstance(it, Relu)]
    columns = as_columns([light, ultra, four, five])
    assert json.loads(json.dumps(columns, allow_nan=False)) == columns
    assert columns["layers"][columns["designs"]["layers"][2][1]] == ["conv 3x3 1-4", "4 × 28 × 28", 40, 28224]
    assert len(columns["layers"]) == len({tuple(layer) for layer in columns["layers"]})
    assert catalogue(replace(tables, settings=None)) == []


def test_the_tables_are_rebuilt_from_a_journal_that_is_being_written(tmp_path):
    folder = tmp_path / "mnist-100-trials"
    shutil.copytree(REPORTS / "mnist-100-trials", folder)
    names = ["trials.csv", "front.csv", "designs.csv", "curves.csv", "times.csv"]
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    with (folder / "study.journal").open("a") as file:
        file.write('{"op_code": 6, "worker_id": "half a l')
    journal = (folder / "study.journal").read_bytes()
    rebuild_tables(folder)
    assert {name: (folder / name).read_bytes() for name in names} == before
    assert (folder / "study.journal").read_bytes() == journal
    tables = read_study(folder)
    assert len(tables.curves) == 800 and len(tables.times) == 100
    assert importance_figure(importance(tables)).data[0].orientation == "h"
    (folder / "study.journal").write_text("{}\n[]\n")
    with pytest.raises(ValueError, match=r"study\.journal must be an Optuna journal, but is damaged"):
        rebuild_tables(folder)
    (folder / "settings.json").write_text("{}")
    with pytest.raises(ValueError, match=r"settings\.json must hold a study's settings"):
        rebuild_tables(folder)

"""What the Pareto plot shows, apart from how it is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lightcnn.architecture import Task, parse
from lightcnn.cost import num_macs, num_parameters, peak_activation_bytes
from search.cells import Row, absent, rows
from search.execution.runs import RunState
from search.pareto import front
from search.report.verdict import headline
from search.tables import Tables

COSTS = {  # what can lie on the x axis: its words, and the figure of an architecture
    "num_parameters": ("parameters", num_parameters),
    "num_macs": ("MACs an image", num_macs),
    "peak_activation_bytes": ("bytes of peak activations", peak_activation_bytes),
}


@dataclass(frozen=True)
class Point:
    """A design at its cost and at one of its accuracies."""

    cost: int
    accuracy: float  # fraction
    about: Row  # all that is known of the design
    low: float | None = None  # of the accuracy's 95 % interval, or of the front's at this cost
    high: float | None = None


@dataclass(frozen=True)
class PlacedDesign:
    """A design that stands beside the candidates. None is absent."""

    name: str
    measured: Point | None  # mean test accuracy if it was re-trained, else validation accuracy of one run
    claim: Point | None  # the paper's size and test accuracy
    is_placed: bool = False  # by the user


@dataclass(frozen=True)
class ParetoData:
    """Accuracy against a cost."""

    study: str
    cost: str  # a key of COSTS
    title: str  # what was found
    is_retrained: bool  # with fresh seeds; if not, the front is of single runs on validation images
    front: tuple[Point, ...]  # from small to large; none where it would be the reference alone
    budget: int | None  # the largest cost of a candidate, up to which the front goes on; None: not known
    designs: tuple[PlacedDesign, ...]  # the reference first
    published: tuple[Point, ...]  # by others, of whom parameters alone are known
    challenger: str  # architecture of the most accurate candidate no larger than the reference; "": not known
    # The second view: one run each, the most accurate first, and what single runs led to.
    candidates: tuple[Point, ...]  # trained to their end
    stopped: tuple[Point, ...]
    diverged: tuple[Point, ...]
    search_front: tuple[Point, ...]  # from small to large
    retrained: tuple[Point, ...]  # by mean test accuracy, those that are not on the front


def pareto_data(tables: Tables, cost: str = "num_parameters") -> ParetoData:
    """The points of a study's Pareto plot. What has no cost or no accuracy is left out.

    Args:
        cost: a key of COSTS. Of other costs than parameters the front is that of the re-trained candidates'
            expected accuracies, without a range.
    """
    task = tables.task
    trials = sorted(rows(tables.trials), key=lambda row: -np.nan_to_num(row["val_accuracy"]))
    states = (RunState.COMPLETE, RunState.PRUNED, RunState.DIVERGED)
    candidates, stopped, diverged = (
        _points((row for row in trials if row["state"] == state), cost, "val_accuracy", task)
        for state in states
    )
    best_trial = {row["architecture"]: row for row in reversed(trials)}
    searched = [{**best_trial.get(row["architecture"], {}), **row} for row in rows(tables.front)]
    search_front = _front(_points(searched, cost, "val_accuracy", task))
    again = [row for row in best_trial.values() if not absent(row.get("test_accuracy_mean"))]
    expected = "joint_accuracy" if "joint_accuracy" in tables.trials else "test_accuracy_mean"
    if cost == "num_parameters":
        members = [row for row in again if row.get("on_front_after_retraining") is True]
        best = _sorted(_points(members, cost, expected, task, limits="front_accuracy"))
    else:
        best = _front(_points(again, cost, expected, task))
    on_front = {point.about["architecture"] for point in best}
    others = (row for row in again if row["architecture"] not in on_front)
    reference = tables.reference.name
    designs = sorted(rows(tables.designs), key=lambda row: row["name"] != reference)
    drawn = best or search_front
    if {point.about["architecture"] for point in drawn} == {designs[0]["architecture"]}:
        drawn = ()
    return ParetoData(
        study=tables.study,
        cost=cost,
        title=headline(tables),
        is_retrained=bool(best),
        front=drawn,
        budget=tables.settings.budget.most(cost) if tables.settings else None,
        designs=tuple(_placed(row, cost, task) for row in designs),
        published=_points(rows(tables.published), cost, "accuracy", task),
        challenger="" if absent(designs[0].get("challenger")) else designs[0]["challenger"],
        candidates=candidates,
        stopped=stopped,
        diverged=diverged,
        search_front=search_front,
        retrained=_sorted(_points(others, cost, "test_accuracy_mean", task, limits="test_accuracy")),
    )


def _points(
    among: Iterable[Row], cost: str, column: str, task: Task | None, limits: str = ""
) -> tuple[Point, ...]:
    found = (_point(row, cost, column, task, limits) for row in among)
    return tuple(point for point in found if point is not None)


def _point(row: Row, cost: str, column: str, task: Task | None, limits: str = "") -> Point | None:
    size = _cost(row, cost, task)
    if size is None or absent(row.get(column)):
        return None
    low, high = (row.get(f"{limits}_{end}") for end in ("low", "high"))
    known = not (absent(low) or absent(high))
    return Point(size, row[column], row, low if known else None, high if known else None)


def _cost(row: Row, cost: str, task: Task | None) -> int | None:
    if not absent(row.get(cost)):
        return int(row[cost]) if row[cost] > 0 else None
    if task is None or cost == "num_parameters" or absent(row.get("architecture")):
        return None
    return COSTS[cost][1](parse(str(row["architecture"]), task))


def _sorted(points: Sequence[Point]) -> tuple[Point, ...]:
    return tuple(sorted(points, key=lambda point: point.cost))


def _front(points: Sequence[Point]) -> tuple[Point, ...]:
    best = front([point.cost for point in points], [point.accuracy for point in points])
    return _sorted([points[i] for i in best])


def _placed(row: Row, cost: str, task: Task | None) -> PlacedDesign:
    is_retrained = not absent(row.get("test_accuracy_mean"))
    size = row["paper_parameters"] if cost == "num_parameters" else None
    claim = {
        "name": f"{row['name']}, the paper's claim",
        "architecture": row["architecture"],
        "paper_accuracy": row["paper_accuracy"],
        cost: _cost(row, cost, task) if absent(size) else size,
    }
    measured = "test_accuracy_mean" if is_retrained else "val_accuracy"
    return PlacedDesign(
        name=row["name"],
        measured=_point(row, cost, measured, task, limits="test_accuracy" if is_retrained else ""),
        claim=_point(claim, cost, "paper_accuracy", task),
        is_placed=row["name"] == row["architecture"],
    )

"""What the Pareto plot shows, apart from how it is drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from search.cells import Row, absent, rows
from search.execution.runs import RunState
from search.tables import Tables


@dataclass(frozen=True)
class Point:
    """A design at its size and at one of its accuracies."""

    num_parameters: int
    accuracy: float  # fraction
    about: Row  # all that is known of the design
    low: float | None = None  # of the accuracy's 95 % interval over seeds
    high: float | None = None


@dataclass(frozen=True)
class Gap:
    """From a design to the front along one axis: where it ends, and the 95 % interval of that."""

    end: float
    low: float
    high: float


@dataclass(frozen=True)
class PlacedDesign:
    """A design that stands beside the candidates. None is absent."""

    name: str
    num_parameters: int
    measured: Point | None  # mean test accuracy if it was re-trained, else validation accuracy of one run
    claim: Point | None  # the paper's size and test accuracy
    accuracy_gap: Gap | None  # at its size, to the accuracy of the most accurate candidate no larger
    parameter_gap: Gap | None  # at its accuracy, to the size of the smallest as accurate; high may be inf


@dataclass(frozen=True)
class ParetoData:
    """Accuracy against parameters. One run's validation accuracy, but for what was re-trained."""

    candidates: tuple[Point, ...]  # trained to their end; these three the most accurate first
    stopped: tuple[Point, ...]
    diverged: tuple[Point, ...]
    search_front: tuple[Point, ...]  # from small to large, as the two below
    front: tuple[Point, ...]  # after re-training, by mean test accuracy; empty without
    retrained: tuple[Point, ...]  # by mean test accuracy, those that are not on that front
    designs: tuple[PlacedDesign, ...]  # the reference first


def pareto_data(tables: Tables) -> ParetoData:
    """The points of a study's Pareto plot. What has no size or no accuracy is left out."""
    trials = sorted(rows(tables.trials), key=lambda row: -np.nan_to_num(row["val_accuracy"]))
    candidates, stopped, diverged = (
        _points((row for row in trials if row["state"] == state), "val_accuracy")
        for state in (RunState.COMPLETE, RunState.PRUNED, RunState.DIVERGED)
    )
    best_trial = {row["architecture"]: row for row in reversed(trials)}
    searched = [{**best_trial.get(row["architecture"], {}), **row} for row in rows(tables.front)]
    small_first = sorted(trials, key=lambda row: np.nan_to_num(row["num_parameters"]))
    front, retrained = (
        _points(
            (row for row in small_first if bool(row.get("on_front_after_retraining")) == on_front),
            "test_accuracy_mean",
        )
        for on_front in (True, False)
    )
    reference = tables.reference.name
    return ParetoData(
        candidates=candidates,
        stopped=stopped,
        diverged=diverged,
        search_front=_points(sorted(searched, key=lambda row: row["num_parameters"]), "val_accuracy"),
        front=front,
        retrained=retrained,
        designs=tuple(
            _placed(row) for row in sorted(rows(tables.designs), key=lambda row: row["name"] != reference)
        ),
    )


def _points(among: Iterable[Row], column: str) -> tuple[Point, ...]:
    return tuple(point for row in among if (point := _point(row, column)) is not None)


def _point(row: Row, column: str) -> Point | None:
    if not row["num_parameters"] > 0 or absent(row.get(column)):  # NaN is not
        return None
    limits: list[float | None] = [None, None]
    if column == "test_accuracy_mean" and not absent(row.get("test_accuracy_low")):
        limits = [row["test_accuracy_low"], row["test_accuracy_high"]]
    return Point(int(row["num_parameters"]), row[column], row, *limits)


def _placed(row: Row) -> PlacedDesign:
    is_retrained = not absent(row.get("test_accuracy_mean"))
    own_size = row["num_parameters"]
    claim = {
        "name": f"{row['name']}, the paper's claim",
        "architecture": row["architecture"],
        "num_parameters": own_size if absent(row["paper_parameters"]) else row["paper_parameters"],
        "paper_accuracy": row["paper_accuracy"],
    }
    accuracy_gap = parameter_gap = None
    if not absent(row.get("accuracy_gap")):
        accuracy = row["test_accuracy_mean"]
        accuracy_gap = Gap(
            accuracy - row["accuracy_gap"],
            accuracy - row["accuracy_gap_high"],
            accuracy - row["accuracy_gap_low"],
        )
    if not np.isinf(row.get("parameter_ratio", np.inf)) and not absent(row["parameter_ratio"]):
        parameter_gap = Gap(*(own_size * row[f"parameter_ratio{end}"] for end in ("", "_low", "_high")))
    return PlacedDesign(
        name=row["name"],
        num_parameters=int(own_size),
        measured=_point(row, "test_accuracy_mean" if is_retrained else "val_accuracy"),
        claim=_point(claim, "paper_accuracy"),
        accuracy_gap=accuracy_gap,
        parameter_gap=parameter_gap,
    )

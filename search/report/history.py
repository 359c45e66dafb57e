"""How the search went: the hypervolume found so far, and who trained when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from lightcnn.errors import UserError
from search.cells import Row, absent, rows
from search.execution.runs import RunState
from search.pareto import front, hypervolume
from search.surrogate import REFERENCE_ERROR
from search.tables import Tables

PAUSE_SECONDS = 60  # without any training, after which the time line is cut


@dataclass(frozen=True)
class Progress:
    """Hypervolume of the front after each finished trial, in the order of their numbers."""

    hypervolumes: list[float]  # (num_trials,)
    reference_point: tuple[float, float]  # parameters, accuracy


@dataclass(frozen=True)
class Bar:
    """One trial's time in training."""

    trial: Row
    slot: int
    start: float  # seconds since the first began, without the pauses
    end: float


def progress(tables: Tables) -> Progress | None:
    """The hypervolume over trials; None where no trial was trained to its end."""
    trials = tables.trials.sort_values("trial")
    complete = (trials["state"] == RunState.COMPLETE).to_numpy()
    if not complete.any():
        return None
    sizes = trials["num_parameters"].to_numpy(dtype=float)
    accuracies = np.where(complete, trials["val_accuracy"].to_numpy(dtype=float), np.nan)
    largest = float(tables.settings.budget.max_parameters if tables.settings else np.nanmax(sizes[complete]))
    reference_point = (largest, max(1 - REFERENCE_ERROR * (1 - float(np.nanmax(accuracies))), 0.0))
    found: list[float] = []
    best: list[int] = []  # positions of those on the front so far
    for n in range(len(trials)):
        rivals = [*best, n]
        chosen = [rivals[i] for i in front(sizes[rivals], accuracies[rivals])]
        if chosen != best or not found:
            found.append(hypervolume(sizes[chosen], accuracies[chosen], *reference_point))
            best = chosen
        else:
            found.append(found[-1])
    return Progress(found, reference_point)


def timeline(tables: Tables) -> tuple[list[Bar], list[tuple[float, float]]]:
    """The trials' time in training on slots, and the pauses cut out: (where, how long), seconds.

    A trial's time is what its epochs took, up to when it was reported to the study. Slots are not recorded:
    each trial takes the first that is free, as many as trained at one time.

    Raises:
        UserError: an `ended_at` of times.csv is no time.
    """
    ended = dict(zip(tables.times["trial"], tables.times["ended_at"], strict=True))
    spans = []
    for row in rows(tables.trials):
        if row["trial"] in ended and not absent(row["seconds"]):
            end = _seconds(ended[row["trial"]])
            spans.append((end - row["seconds"], end, row))
    spans.sort(key=lambda span: span[:2])
    bars: list[Bar] = []
    pauses: list[tuple[float, float]] = []
    free_at: list[float] = []  # of each slot, in the bars' time
    shift = spans[0][0] if spans else 0.0  # from the clock's time to the bars'
    for start, end, row in spans:
        idle = start - shift - max(free_at, default=0.0)
        if idle > PAUSE_SECONDS:
            shift += idle
            pauses.append((max(free_at), idle))
        slot = next((i for i, free in enumerate(free_at) if free <= start - shift), len(free_at))
        free_at[slot : slot + 1] = [end - shift]
        bars.append(Bar(row, slot, start - shift, end - shift))
    return bars, pauses


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise UserError(
            f"times.csv: ended_at must be a time like 2026-11-24T06:00:00Z, but is {text!r}"
        ) from None

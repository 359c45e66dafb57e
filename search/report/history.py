"""How the search went: the hypervolume found so far beside random searches, and who trained when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lightcnn.errors import UserError
from search.cells import Row, absent, rows
from search.execution.runs import RunState
from search.pareto import hypervolume
from search.surrogate import REFERENCE_ERROR
from search.tables import Tables

# What random searches were replayed with (`python -m studies.samplers`): data set, budget and initialisation
# of LightCNN-Bench, and the reference_point of their hypervolumes, parameters and accuracy. Of the
# initialisation, because networks with He's are as much more accurate as one sampler's are than another's.
BENCH = {"dataset": "mnist", "epochs": 8, "initialisation": "pytorch", "num_train_images": 25_000}
BENCH_REFERENCE_POINT = (65_000.0, 0.9)
PAUSE_SECONDS = 60  # without any training, after which the time line is cut


@dataclass(frozen=True)
class Band:
    """Hypervolume of many random searches after some numbers of trials."""

    num_trials: NDArray[np.float64]
    low: NDArray[np.float64]  # 2.5th percentile of the searches
    median: NDArray[np.float64]
    high: NDArray[np.float64]  # 97.5th
    num_searches: int


@dataclass(frozen=True)
class Progress:
    """Hypervolume of the front after each finished trial, in the order of their numbers."""

    hypervolumes: list[float]  # (num_trials,)
    reference_point: tuple[float, float]  # parameters, accuracy
    random: Band | None  # None: no random searches with this data and budget are at hand


@dataclass(frozen=True)
class Bar:
    """One trial's time in training."""

    trial: Row
    slot: int
    start: float  # seconds since the first began, without the pauses
    end: float


def progress(tables: Tables, replays: pd.DataFrame) -> Progress | None:
    """The hypervolume over trials; None where no trial was trained to its end.

    Args:
        replays: the table `REPLAYS`; empty if no searches were replayed.
    """
    trials = tables.trials.sort_values("trial")
    complete = (trials["state"] == RunState.COMPLETE).to_numpy()
    if not complete.any():
        return None
    sizes = trials["num_parameters"].to_numpy(dtype=float)
    accuracies = np.where(complete, trials["val_accuracy"].to_numpy(dtype=float), np.nan)
    band = random_band(replays) if _is_as_in_the_bench(tables) else None
    reference_point = BENCH_REFERENCE_POINT
    if band is None:
        largest = float(tables.settings.max_parameters if tables.settings else np.nanmax(sizes[complete]))
        reference_point = (largest, max(1 - REFERENCE_ERROR * (1 - float(np.nanmax(accuracies))), 0.0))
    found = [hypervolume(sizes[:n], accuracies[:n], *reference_point) for n in range(1, len(trials) + 1)]
    return Progress(found, reference_point, band)


def random_band(replays: pd.DataFrame) -> Band | None:
    """What random searches found, from the lines of `replays` whose sampler is random; None without any."""
    drawn = replays[replays["sampler"] == "random"]
    if drawn.empty:
        return None
    by_trials = drawn.groupby("num_trials")["hypervolume"]
    low, median, high = (by_trials.quantile(q) for q in (0.025, 0.5, 0.975))
    counts = np.array(median.index, dtype=float)
    return Band(
        counts, low.to_numpy(), median.to_numpy(), high.to_numpy(), int(drawn["repetition"].nunique())
    )


def _is_as_in_the_bench(tables: Tables) -> bool:
    settings = tables.settings
    return (
        settings is not None
        and {
            "dataset": settings.data.dataset,
            "epochs": settings.recipe.epochs,
            "initialisation": settings.recipe.initialisation,
            "num_train_images": settings.data.num_train_images,
        }
        == BENCH
    )


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

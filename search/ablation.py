"""Baseline, variants and seeds -> a paired table: what each part of a network brings, by retraining."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pandas as pd

from lightcnn.architecture import Architecture
from lightcnn.cost import num_parameters
from lightcnn.network import build
from lightcnn.training import Recipe
from search.evaluation import final_accuracies
from search.progress import Display
from search.runs import Run, TrainingData, train_runs
from search.storage import write_table
from search.workers import Slot, SlotExecutor

RUNS_COLUMNS = {
    "arm": "text",
    "architecture": "text",
    "num_parameters": "number",
    "seed": "number",
    "epochs": "number",
    "train_accuracy": "number",
    "test_accuracy": "number",
    "seconds": "number",
}


@dataclass(frozen=True)
class Arm:
    """One of the designs that an ablation compares."""

    name: str
    architecture: Architecture


@dataclass(frozen=True)
class Ablation:
    """A baseline and its variants, each trained with the same recipe and the same seeds 0, 1, ...

    Raises:
        ValueError: two arms share a name or train the very same module: an ablation that changes nothing must
            not pass silently.
    """

    name: str  # of its folder
    baseline: Arm
    variants: tuple[Arm, ...]
    recipe: Recipe
    num_seeds: int

    def __post_init__(self) -> None:
        # Compared as modules: two architectures may differ in words only, such as a 1x1 kernel's padding.
        modules = {arm: str(build(arm.architecture)) for arm in self.arms}
        for first, second in combinations(self.arms, 2):
            if first.name == second.name:
                raise ValueError(f"arms need names of their own, but two are called {first.name!r}")
            if modules[first] == modules[second]:
                raise ValueError(
                    f"each arm must differ from the others, but {first.name!r} ({first.architecture}) and "
                    f"{second.name!r} ({second.architecture}) train the same network"
                )

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The baseline, then the variants."""
        return (self.baseline, *self.variants)


def train_arms(ablation: Ablation, data: TrainingData, slots: list[Slot], folder: Path) -> pd.DataFrame:
    """Train every arm with every seed and keep each run as it ends in `folder`/runs.csv.

    Runs already there are not trained again. The arms were chosen before any of them was trained, so each
    run's test accuracy may be read as it ends.

    Returns:
        The runs of this ablation, columns RUNS_COLUMNS, arm by arm.

    Raises:
        ValueError: runs.csv was edited by hand and does not parse.
        RuntimeError: a run failed twice.
    """
    path = folder / "runs.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=list(RUNS_COLUMNS))
    done = set(zip(table["architecture"], table["seed"], strict=True))

    def missing() -> Iterator[tuple[Arm, Run]]:
        for seed in range(ablation.num_seeds):
            for arm in ablation.arms:
                if (str(arm.architecture), seed) not in done:
                    yield arm, Run(arm.architecture, ablation.recipe, seed, data)

    num_runs = len(ablation.arms) * ablation.num_seeds
    num_missing = sum(1 for _ in missing())
    executor = SlotExecutor(slots)
    try:
        with Display(ablation.name, num_runs, num_runs - num_missing) as display:
            # Keyed by arm and seed, as two runs of one arm may be under way at once.
            keyed = (((arm, run.seed), run) for arm, run in missing())
            for (arm, seed), outcome in train_runs(keyed, executor, len(slots), display):
                if outcome.error is not None or outcome.state is None:
                    raise RuntimeError(f"{arm.name} with seed {seed} failed twice: {outcome.error}")
                accuracies = executor.submit(final_accuracies, outcome.run, outcome.state).result()
                row = {
                    "arm": arm.name,
                    "architecture": str(arm.architecture),
                    "num_parameters": num_parameters(arm.architecture),
                    "seed": seed,
                    "epochs": len(outcome.epochs),
                    "train_accuracy": accuracies.train,
                    "test_accuracy": accuracies.test,
                    "seconds": round(outcome.seconds, 2),
                }
                table = pd.DataFrame([*table.to_dict("records"), row])
                write_table(table, path)
    finally:
        executor.shutdown(wait=False, kill=True)
    return table

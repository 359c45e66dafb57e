"""What a study keeps of its runs, and the tables made from it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.study import Study

from lightcnn.architecture import Task
from lightcnn.cost import num_macs, num_parameters, peak_activation_bytes
from lightcnn.data import DATASETS, recorded_sums
from lightcnn.designs import designs_for
from search.evaluation import kept_runs
from search.execution.runs import RunProgress
from search.pareto import front
from search.standing import candidates, with_retraining
from search.storage import SETTINGS, look_at_study, write_table
from search.tables import read_table, rows

CURVE = ("train_loss", "val_accuracy", "val_loss")  # after each epoch


@dataclass(frozen=True)
class RunRecord:
    """How one run ended, as the study and the tables keep it. None is absent."""

    state: str  # COMPLETE, PRUNED (stopped early), DIVERGED or FAILED
    architecture: str
    num_parameters: int
    num_macs: int
    peak_activation_bytes: int
    num_blocks: int
    head: str
    val_accuracy: float | None  # of the last epoch
    val_loss: float | None
    epochs: int
    seconds: float
    seed: int
    reason: str | None
    curve: list[list[float | None]]  # for each epoch: CURVE
    spared_at: int | None = None  # the epoch at which it was due to be stopped, but went on by lot

    @property
    def accuracies(self) -> list[float]:
        """Validation accuracy after each epoch."""
        return [accuracy for _, accuracy, _ in self.curve if accuracy is not None]

    @staticmethod
    def of(progress: RunProgress) -> RunRecord:
        """The record of a run that is over."""
        architecture = progress.run.architecture
        last = progress.epochs[-1] if progress.epochs and progress.error is None else None
        ended = {"FAILED": progress.error, "DIVERGED": progress.diverged, "PRUNED": progress.stopped}
        state = next((state for state, so in ended.items() if so), "COMPLETE")
        diverged = (
            f"the loss was no longer finite in epoch {len(progress.epochs)}" if progress.diverged else None
        )
        return RunRecord(
            state=state,
            architecture=str(architecture),
            num_parameters=num_parameters(architecture),
            num_macs=num_macs(architecture),
            peak_activation_bytes=peak_activation_bytes(architecture),
            num_blocks=len(architecture.blocks),
            head=architecture.head,
            val_accuracy=last.val_accuracy if last else None,
            val_loss=_finite(last.val_loss) if last else None,
            epochs=len(progress.epochs),
            seconds=round(progress.seconds, 2),
            seed=progress.run.seed,
            reason=progress.error or diverged or progress.stopped,
            curve=[[_finite(e.train_loss), e.val_accuracy, _finite(e.val_loss)] for e in progress.epochs],
            spared_at=progress.spared_at,
        )


def finished(study: Study) -> dict[int, RunRecord]:
    """The records of the finished trials by number: trained to their end, stopped, diverged, or failed."""
    return {
        trial.number: RunRecord(**trial.user_attrs["record"])
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and "record" in trial.user_attrs
    }


def finished_designs(study: Study) -> dict[str, RunRecord]:
    """The records of the named designs that were trained beside the trials, by name."""
    return {name: RunRecord(**record) for name, record in study.user_attrs.get("designs", {}).items()}


def keep_design(study: Study, name: str, record: RunRecord) -> None:
    """Keep the record of a named design that was trained beside the trials."""
    study.set_user_attr("designs", study.user_attrs.get("designs", {}) | {name: asdict(record)})


def study_tables(
    study: Study, task: Task, max_parameters: int, with_claims: bool = True
) -> dict[str, pd.DataFrame]:
    """The tables of what is finished, by file name; accuracies are fractions, what is absent is NaN.

    trials.csv: a line for each finished trial. front.csv: the non-dominated of the complete ones within the
    budget. designs.csv: every named design that the images allow, with the paper's claim, and its validation
    accuracy in one run of the search's recipe if it was trained, as a trial or beside them. curves.csv: a
    line for each epoch of the trials. times.csv: when each was over; not in trials.csv, which a second run
    repeats bit for bit.

    Args:
        with_claims: False leaves the paper's claims empty, which are about MNIST.
    """
    records = finished(study)
    columns = ["trial", *(field.name for field in fields(RunRecord) if field.name != "curve")]
    trials = pd.DataFrame(
        [{"trial": number, **asdict(record)} for number, record in sorted(records.items())], columns=columns
    )
    judged = candidates(trials, max_parameters)
    on_front = judged.iloc[front(judged["num_parameters"], judged["val_accuracy"].astype(float))]

    beside = finished_designs(study)
    by_architecture = {record.architecture: record for record in records.values()}
    designs = []
    for design in designs_for(task):
        architecture = design.architecture(task)
        record = beside.get(design.name) or by_architecture.get(str(architecture))
        designs.append(
            {
                "name": design.name,
                "architecture": str(architecture),
                "num_parameters": num_parameters(architecture),
                "paper_parameters": design.paper_parameters if with_claims else None,
                "paper_accuracy": design.paper_accuracy if with_claims else None,
                "val_accuracy": record.val_accuracy if record else None,
            }
        )
    curves = [
        {"trial": number, "epoch": epoch, **dict(zip(CURVE, values, strict=True))}
        for number, record in sorted(records.items())
        for epoch, values in enumerate(record.curve, start=1)
    ]
    times = [
        {
            "trial": trial.number,
            "ended_at": f"{trial.datetime_complete.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }
        for trial in study.get_trials(deepcopy=False)
        if trial.number in records and trial.datetime_complete is not None
    ]
    return {
        "trials.csv": trials,
        "front.csv": on_front[["architecture", "num_parameters", "num_macs", "val_accuracy"]],
        "designs.csv": pd.DataFrame(designs).astype({"paper_parameters": "Int64"}),
        "curves.csv": pd.DataFrame(curves, columns=["trial", "epoch", *CURVE]),
        "times.csv": pd.DataFrame(times, columns=["trial", "ended_at"]),
    }


def write_tables(
    folder: Path, study: Study, task: Task, max_parameters: int, sums: Any, places: Iterable[str] = ()
) -> None:
    """Write the tables of what is finished to `folder`, with what its runs.csv adds to them.

    Args:
        sums: SHA-256 of the data set's files, as settings.json has them; the paper's claims are about MNIST.
        places: architectures of the user's own, shown among the named designs.
    """
    tables = study_tables(study, task, max_parameters, sums == recorded_sums(DATASETS["mnist"]))
    tables |= with_retraining(tables, kept_runs(folder), task, max_parameters, places)
    for name, table in tables.items():
        write_table(table, folder / name)


def rebuild_tables(folder: Path) -> None:
    """Write the tables of `folder` anew from its journal, which another process may be writing.

    Raises:
        ValueError: the journal or settings.json is missing or was damaged by hand.
    """
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
        task, max_parameters = Task(**settings["task"]), int(settings["max_parameters"])
        sums = settings["data"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} must hold a search's settings, but does not: {error!r}") from None
    designs = folder / "designs.csv"
    placed = rows(read_table(designs)) if designs.exists() else []
    places = [row["architecture"] for row in placed if row["name"] == row["architecture"]]
    write_tables(folder, look_at_study(folder), task, max_parameters, sums, places)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

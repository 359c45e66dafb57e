"""What a search found, as tables: made of its records and of what re-training adds."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC
from pathlib import Path

import pandas as pd
from optuna.study import Study

from lightcnn.cost import num_parameters
from search.pareto import front
from search.records import finished, finished_designs, finished_trials
from search.settings import SearchSettings, SettingsFile, read
from search.standing import candidates, with_retraining
from search.storage import SETTINGS, look_at_study
from search.tables import CURVES, DESIGNS, FRONT, TIMES, TRIALS
from search.weights import kept_runs


def study_tables(study: Study, settings: SearchSettings) -> dict[str, pd.DataFrame]:
    """The tables of what is finished, by file name; accuracies are fractions, what is absent is NaN.

    trials.csv: a line for each finished trial. front.csv: the non-dominated of the complete ones within the
    budget. designs.csv: the reference and the other designs beside the candidates, with the paper's claim
    where it is about these images, and the validation accuracy in one run of the search's recipe if it was
    trained, as a trial or beside them. curves.csv: a line for each epoch of the trials. times.csv: when
    each was over; not in trials.csv, which a second run repeats bit for bit.
    """
    records = finished(study)
    trials = TRIALS.frame({"trial": number, **asdict(it)} for number, it in sorted(records.items()))
    judged = candidates(trials, settings)
    on_front = judged.iloc[front(judged["num_parameters"], judged["val_accuracy"].astype(float))]

    beside = finished_designs(study)
    by_architecture = {record.architecture: record for record in records.values()}
    designs = []
    with_claims = settings.data.is_mnist
    for design in settings.designs:
        architecture = design.architecture(settings.task)
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
        dict(zip(CURVES.required, (number, epoch, *values), strict=True))
        for number, record in sorted(records.items())
        for epoch, values in enumerate(record.curve, start=1)
    ]
    times = [
        {
            "trial": number,
            "ended_at": f"{trial.datetime_complete.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }
        for number, trial in sorted(finished_trials(study).items())
        if trial.datetime_complete is not None
    ]
    return {
        TRIALS.file: trials,
        FRONT.file: on_front[FRONT.required],
        DESIGNS.file: DESIGNS.frame(designs).astype({"paper_parameters": "Int64"}),
        CURVES.file: CURVES.frame(curves),
        TIMES.file: TIMES.frame(times),
    }


def write_tables(folder: Path, study: Study, file: SettingsFile[SearchSettings]) -> None:
    """Write the tables of what is finished to `folder`, with what its runs.csv adds to them."""
    tables = study_tables(study, file.settings)
    tables |= with_retraining(tables, kept_runs(folder), file)
    for table in (TRIALS, FRONT, DESIGNS, CURVES, TIMES):
        table.write(tables[table.file], folder)


def rebuild_tables(folder: Path) -> None:
    """Write the tables of `folder` anew from its journal, which another process may be writing.

    Raises:
        UserError: the journal or settings.json is missing or was damaged by hand.
    """
    file = read(folder / SETTINGS, SearchSettings)
    write_tables(folder, look_at_study(folder), file)

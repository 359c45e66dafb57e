"""A study's tables: trials, front and named designs."""

from __future__ import annotations

from dataclasses import asdict, fields

import pandas as pd
from optuna.study import Study

from lightcnn.cost import num_parameters
from lightcnn.designs import DESIGNS
from search.loop import Record, Search, finished, finished_designs
from search.pareto import front


def study_tables(study: Study, settings: Search) -> dict[str, pd.DataFrame]:
    """The tables of what is finished, by file name; accuracies are fractions, what is absent is NaN.

    trials.csv: a line for each finished trial. front.csv: the non-dominated of the complete ones within the
    budget. designs.csv: every named design, with the paper's claim, and its validation accuracy in one run of
    the search's recipe if it was trained, as a trial or beside them.
    """
    records = finished(study)
    columns = ["trial", *(field.name for field in fields(Record) if field.name != "curve")]
    trials = pd.DataFrame(
        [{"trial": number, **asdict(record)} for number, record in sorted(records.items())], columns=columns
    )
    judged = trials[(trials["state"] == "COMPLETE") & (trials["num_parameters"] <= settings.max_parameters)]
    on_front = judged.iloc[front(judged["num_parameters"], judged["val_accuracy"].astype(float))]

    beside = finished_designs(study)
    by_architecture = {record.architecture: record for record in records.values()}
    designs = []
    for design in DESIGNS:
        architecture = design.architecture(settings.task)
        record = beside.get(design.name) or by_architecture.get(str(architecture))
        designs.append(
            {
                "name": design.name,
                "architecture": str(architecture),
                "num_parameters": num_parameters(architecture),
                "paper_parameters": design.paper_parameters,
                "paper_accuracy": design.paper_accuracy,
                "val_accuracy": record.val_accuracy if record else None,
            }
        )
    return {
        "trials.csv": trials,
        "front.csv": on_front[["architecture", "num_parameters", "num_macs", "val_accuracy"]],
        "designs.csv": pd.DataFrame(designs).astype({"paper_parameters": "Int64"}),
    }

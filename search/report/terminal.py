"""What a search prints when it is done."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from search.cells import STATES, Row, absent, interval, rows, written
from search.deaths import Deaths
from search.execution.display import result_line
from search.execution.runs import RunState
from search.report.majority import with_majority
from search.report.verdict import early_stopping, placed, standing, verdict
from search.tables import Tables, read_study

WIDEST = 25  # characters of an architecture in a line: LeNet-5's, and what 80 columns have room for


def print_findings(folder: Path, places: list[str]) -> None:
    """Print the front, the designs beside it, and what a user wants to know of them.

    Args:
        places: architectures of the user's own.
    """
    tables = read_study(folder)
    states = tables.trials["state"].value_counts(sort=False)
    counts = ", ".join(f"{n:,} {STATES[RunState(str(state))]}" for state, n in states.items())
    result_line(f"{len(tables.trials):,} trials: {counts}")
    tested = standing(tables).measure == "test_accuracy_mean"
    Console(highlight=False).print(_table(tables, tested))
    sentences = [*verdict(tables), early_stopping(tables)]
    texts = dict(zip(tables.designs["name"], tables.designs["architecture"], strict=True))
    for name, (accuracy, size) in placed(tables).items():
        if texts[name] in places and name != tables.reference.name:
            sentences.append(f"{accuracy} {size}")
    for sentence in sentences:
        if sentence is not None:
            result_line(sentence)


def _table(tables: Tables, tested: bool) -> Table:
    """The front and the designs beside it, in 80 columns; test accuracies alone where it is `tested`."""
    with_claims = tables.designs["paper_accuracy"].notna().any()
    table = Table(
        Column("the front after re-training" if tested else "the front of single runs", overflow="fold"),
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    accuracy = "test accuracy, 95 % over seeds" if tested else "validation accuracy, one run"
    headings = ["parameters", accuracy, *(["seeds"] if tested else []), *(["paper"] if with_claims else [])]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=heading != accuracy)
    cells = _tested if tested else _searched
    for row in rows(_front(tables, tested)):
        table.add_row(_broken(row["architecture"]), *cells(row))
    table.add_section()
    for row in rows(with_majority(tables)):
        named = [row["name"]] if row["name"] != row["architecture"] else []
        lines = [*named, *([_broken(row["architecture"])] if row["architecture"] else [])]
        claim = [written(row["paper_accuracy"], "fraction")] if with_claims else []
        table.add_row("\n".join(lines), *cells(row), *claim)
    return table


def _broken(architecture: str) -> str:
    """Its text in lines of WIDEST characters that end at a dash."""
    return "\n".join(re.findall(rf".{{1,{WIDEST}}}$|.{{1,{WIDEST - 1}}}-", architecture))


def _front(tables: Tables, tested: bool) -> pd.DataFrame:
    """The candidates on the front, the smallest first: as fresh seeds have it where there are any."""
    if not tested or "on_front_after_retraining" not in tables.trials:
        return tables.front
    on_front = tables.trials["on_front_after_retraining"].isin([True])  # it is absent of what was not tested
    return tables.trials[on_front].drop_duplicates("architecture").sort_values("num_parameters")


def _searched(row: Row) -> tuple[str, str]:
    return written(row["num_parameters"], "count"), written(row["val_accuracy"], "fraction")


def _tested(row: Row) -> tuple[str, str, str]:
    """Parameters; mean test accuracy of the seeds that lived, with its interval; how many they are."""
    size = written(row["num_parameters"], "count")
    num_seeds, num_dead = (
        0 if absent(row.get(name)) else int(row[name]) for name in ("num_seeds", "num_dead")
    )
    accuracy = written(row["test_accuracy_mean"], "fraction")
    low, high = (row.get(f"test_accuracy_{end}", np.nan) for end in ("low", "high"))
    if not absent(low) and not absent(high):
        accuracy += f" ({interval(low, high)})"
    if num_dead:
        accuracy += f"\n{Deaths(num_dead, num_seeds)}"
    return size, accuracy, written(num_seeds - num_dead if num_seeds else None, "count")

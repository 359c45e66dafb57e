"""What a search prints when it is done."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from search.cells import Row, rows, written
from search.report.verdict import early_stopping, placed, verdict
from search.tables import read_study


def print_findings(folder: Path, places: list[str]) -> None:
    """Print the front, the designs beside it, and what a user wants to know of them.

    Args:
        places: architectures of the user's own.
    """
    tables = read_study(folder)
    states = tables.trials["state"].value_counts(sort=False)
    shown = Table(title="trials: " + ", ".join(f"{n:,} {str(state).lower()}" for state, n in states.items()))
    shown.add_column("")
    shown.add_column("architecture", overflow="fold")
    with_claims = tables.designs["paper_accuracy"].notna().any()
    for heading in ("parameters", "validation", "test", *(["paper says"] if with_claims else [])):
        shown.add_column(heading, justify="right")
    for row in rows(tables.front):
        shown.add_row("front", *_cells(row))
    shown.add_section()
    for row in rows(tables.designs):
        claim = [written(row["paper_accuracy"], "fraction")] if with_claims else []
        shown.add_row(row["name"], *_cells(row), *claim)
    Console(highlight=False).print(shown)
    for sentence in verdict(tables):
        print(sentence)
    if (saved := early_stopping(tables)) is not None:
        print(saved)
    texts = dict(zip(tables.designs["name"], tables.designs["architecture"], strict=True))
    for name, sentences in placed(tables).items():
        if texts[name] in places and name != tables.reference.name:
            print(*sentences)


def _cells(row: Row) -> tuple[str, str, str, str]:
    return (
        row["architecture"],
        written(row["num_parameters"], "count"),
        written(row["val_accuracy"], "fraction"),
        written(row.get("test_accuracy_mean"), "fraction"),
    )

"""A study's table of runs: what it lacks is trained, and each run is kept as it ends."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pandas as pd

from lightcnn.errors import Failure
from search.cells import rows
from search.execution.display import Display
from search.execution.runs import Run, RunProgress
from search.execution.schedule import train_runs
from search.execution.slots import Slots
from search.storage import uninterrupted, write_table


class _Cell(Hashable, Protocol):
    """What tells one run from the others: a named tuple, whose fields are columns of the table."""

    @property
    def _fields(self) -> tuple[str, ...]: ...


C = TypeVar("C", bound=_Cell)


def lacking(path: Path, cells: Sequence[C]) -> list[C]:
    """Those of `cells` of which the table in `path` has no line."""
    if not path.exists():
        return list(cells)
    done: set[object] = {tuple(line[field] for field in cells[0]._fields) for line in rows(pd.read_csv(path))}
    return [cell for cell in cells if cell not in done]


def filled(
    path: Path,
    cells: Sequence[C],
    run_of: Callable[[C], Run],
    lines_of: Callable[[C, RunProgress], list[dict[str, Any]]],
    slots: Slots,
    title: str,
) -> pd.DataFrame:
    """The table in `path` once it has all of `cells`, which are trained in their order.

    Args:
        lines_of: the table's lines for a run that ended, the cell's fields among them.
        title: of the display.

    Raises:
        Failure: a run failed twice.
    """
    lines = rows(pd.read_csv(path)) if path.exists() else []
    missing = lacking(path, cells)
    runs = ((cell, run_of(cell)) for cell in missing)
    with Display(title, len(cells), len(cells) - len(missing), num_slots=slots.num_slots) as display:
        for cell, progress in train_runs(runs, slots, display):
            if progress.error is not None:
                raise Failure(f"{progress.run.architecture} failed twice: {progress.error}")
            with uninterrupted():
                lines += lines_of(cell, progress)
                write_table(pd.DataFrame(lines), path)
    return pd.DataFrame(lines)

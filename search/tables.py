"""The tables that a study leaves: their columns, reading them back, and a cell as people read it."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightcnn.architecture import Task
from lightcnn.designs import LIGHTCNN
from lightcnn.errors import UserError
from search.settings import Reference, SearchSettings, SettingsFile, read
from search.storage import SETTINGS

Row = Mapping[str, Any]

# column -> (heading on the page, kind). The kind says what a cell may hold and how it is written. An empty
# cell is absent: NaN in a table, a dash on the page. A column that is not listed is not read.
COLUMNS = {
    "trial": ("trial", "count"),
    "name": ("design", "text"),
    "arm": ("arm", "text"),
    "state": ("state", "text"),
    "architecture": ("architecture", "text"),
    "num_parameters": ("parameters", "count"),
    "paper_parameters": ("paper's parameters", "count"),
    "num_macs": ("MACs", "count"),
    "peak_activation_bytes": ("peak activation bytes", "count"),
    "num_blocks": ("blocks", "count"),
    "head": ("head", "text"),
    "val_accuracy": ("validation accuracy", "fraction"),
    "paper_accuracy": ("paper's test accuracy", "fraction"),
    "val_loss": ("validation loss", "number"),
    "num_seeds": ("seeds", "count"),
    "test_accuracy_mean": ("mean test accuracy", "fraction"),
    "test_accuracy_low": ("95 % interval from", "limit"),
    "test_accuracy_high": ("to", "limit"),
    "train_accuracy_mean": ("mean training accuracy", "fraction"),
    "train_accuracy": ("training accuracy", "fraction"),
    "test_accuracy": ("test accuracy", "fraction"),
    "difference": ("difference to the baseline", "points"),
    "difference_low": ("its 95 % interval from", "points"),
    "difference_high": ("to ", "points"),
    "p_holm": ("p, Holm-corrected", "number"),
    "on_front_after_retraining": ("on the front after re-training", "flag"),
    "probability_better": ("probability of being more accurate than the reference", "number"),
    "accuracy_reference": ("most accurate candidate no larger", "text"),
    "accuracy_gap": ("accuracy less that candidate's", "points"),
    "accuracy_gap_low": ("gap's 95 % interval from", "points"),
    "accuracy_gap_high": ("to  ", "points"),
    "accuracy_gap_p": ("gap's p, Holm-corrected", "number"),
    "parameter_reference": ("smallest candidate as accurate", "text"),
    "parameter_ratio": ("that candidate's parameters over the design's", "ratio"),
    "parameter_ratio_low": ("ratio's 95 % interval from", "ratio"),
    "parameter_ratio_high": ("to   ", "ratio"),
    "read_at": ("when", "text"),
    "num_runs": ("runs tested", "count"),
    "exported": ("to measure an export of", "text"),  # empty: the study's own reading
    "epochs": ("epochs", "count"),
    "spared_at": ("exempted from stopping at epoch", "count"),
    "epoch": ("epoch", "count"),
    "train_loss": ("training loss", "number"),
    "seconds": ("seconds", "number"),
    "ended_at": ("ended at", "text"),
    "seed": ("seed", "count"),
    "reason": ("reason", "text"),
    "sampler": ("sampler", "text"),
    "repetition": ("repetition", "count"),
    "num_trials": ("trials", "count"),
    "hypervolume": ("hypervolume", "number"),
}
RULES = {
    "count": "a whole number",
    "fraction": "a fraction from 0 to 1",
    "limit": "a number",  # of an interval around a fraction; few seeds can put it beyond 0 or 1
    "points": "a number",  # a difference of fractions or a limit of its interval
    "number": "a number",
    "ratio": "a number",  # inf where nothing reaches the design
}
# file -> columns that it must have, columns whose cells must be filled
FILES = {
    "trials.csv": (
        "trial state architecture num_parameters num_macs num_blocks head val_accuracy epochs seconds seed",
        "trial state",
    ),
    "front.csv": ("architecture num_parameters num_macs val_accuracy",) * 2,
    "designs.csv": (
        "name architecture num_parameters paper_parameters paper_accuracy val_accuracy",
        "name architecture num_parameters",
    ),
    "runs.csv": (
        "arm architecture num_parameters seed epochs train_accuracy test_accuracy seconds",
        "arm architecture num_parameters seed epochs",  # accuracies come when all runs are trained
    ),
    "summary.csv": (
        "arm architecture num_parameters num_seeds test_accuracy_mean test_accuracy_low test_accuracy_high "
        "difference difference_low difference_high p_holm",
        "arm architecture num_parameters num_seeds test_accuracy_mean",
    ),
    "test_readings.csv": ("read_at num_runs",) * 2,
    "curves.csv": ("trial epoch train_loss val_accuracy val_loss", "trial epoch"),
    "times.csv": ("trial ended_at",) * 2,
    "replays.csv": ("sampler repetition num_trials hypervolume",) * 2,
}
# What re-training adds: to each design, and to those that are placed beside the front.
RETRAINED = [
    *("num_seeds", "test_accuracy_mean", "test_accuracy_low", "test_accuracy_high", "train_accuracy_mean"),
    "on_front_after_retraining",
]
GAPS = [
    *("accuracy_reference", "accuracy_gap", "accuracy_gap_low", "accuracy_gap_high", "accuracy_gap_p"),
    *("parameter_reference", "parameter_ratio", "parameter_ratio_low", "parameter_ratio_high"),
]
CLAIMS = ["paper_parameters", "paper_accuracy"]  # empty where the data set is not the paper's


@dataclass(frozen=True)
class Tables:
    """What a study left, checked. Accuracies are fractions; an absent number is NaN, an absent text ""."""

    study: str
    trials: pd.DataFrame
    front: pd.DataFrame
    designs: pd.DataFrame
    test_readings: pd.DataFrame  # a line for each time that the test set was read
    curves: pd.DataFrame  # a line for each epoch of each trial; none in a study of an earlier version
    times: pd.DataFrame  # when each trial was over; none in a study of an earlier version
    settings: SearchSettings | None  # None: the study left no settings.json
    about: Mapping[str, Any]  # command, versions, machine; empty without settings.json

    @property
    def task(self) -> Task | None:
        """What the data set asked of the networks, if it is known."""
        return None if self.settings is None else self.settings.task

    @property
    def reference(self) -> Reference:
        """The design that the others are held against."""
        return Reference("LightCNN", LIGHTCNN) if self.settings is None else self.settings.reference

    @property
    def reference_row(self) -> Row:
        """The reference's line of designs.csv."""
        return rows(self.designs[self.designs["name"] == self.reference.name])[0]


def absent(value: object) -> bool:
    """Whether a cell holds nothing."""
    return value is None or value == "" or (isinstance(value, float) and bool(np.isnan(value)))


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, each by column name."""
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def percent(fraction: float) -> str:
    """A fraction as the page writes it."""
    return f"{100 * fraction:.2f} %"


def written(value: Any, kind: str) -> str:
    """A cell as the page shows it."""
    if absent(value):
        return "–"
    if kind == "count":
        return f"{int(value):,}"
    if kind == "number":
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if kind == "ratio":
        return "none as accurate" if np.isinf(value) else f"{value:.3g}"
    if kind == "flag":
        return {"True": "yes", "False": "no"}.get(value, str(value))
    if kind == "limit" and not 0 <= value <= 1:  # of an interval of few seeds
        return "< 0 %" if value < 0 else "> 100 %"
    if kind == "points":
        return f"{100 * value:+.2f} points"
    return percent(value) if kind in ("fraction", "limit") else str(value)


def _cell(text: str, kind: str) -> float | str:
    """One CSV cell as a value of its column's kind. ValueError if it is none."""
    if kind in ("text", "flag"):
        return text
    value = float(text) if text.strip() else np.nan
    low, high = (0, 1) if kind == "fraction" else (-np.inf, np.inf)
    if not np.isnan(value) and ((kind == "count" and value % 1 != 0) or not low <= value <= high):
        raise ValueError
    return value


def read_table(path: Path) -> pd.DataFrame:
    """The table in `path`, one of FILES by its name.

    Raises:
        UserError: it is missing, lacks a column, or has a cell that breaks its column's rule.
    """
    required, filled = (names.split() for names in FILES[path.name])
    try:
        reader = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except FileNotFoundError:
        raise UserError(f"{path} must exist") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} must be a CSV file in UTF-8, but {error}") from None
    for name in required:
        if name not in header:
            raise UserError(f"{path} must have a column {name}, but has {','.join(header) or 'none'}")
    columns: dict[str, list[float | str]] = {name: [] for name in header if name in COLUMNS}
    for line, cells in lines:
        if len(cells) != len(header):
            raise UserError(f"{path}:{line} must have {len(header)} cells, but has {len(cells)}")
        row = dict(zip(header, cells, strict=True))
        needed = [*filled, "architecture", "num_parameters"] if row.get("state") == "COMPLETE" else filled
        for name in columns:
            kind = COLUMNS[name][1]
            try:
                columns[name].append(_cell(row[name], kind))
            except ValueError:
                raise UserError(
                    f"{path}:{line}: {name} must be {RULES[kind]}, but is {row[name]!r}"
                ) from None
            if name in needed and absent(columns[name][-1]):
                raise UserError(f"{path}:{line}: {name} must not be empty")
    dtypes = {name: object if COLUMNS[name][1] in ("text", "flag") else float for name in columns}
    return pd.DataFrame({name: pd.Series(cells, dtype=dtypes[name]) for name, cells in columns.items()})


def read_test_readings(folder: Path) -> pd.DataFrame:
    """When the test set was read for the runs in `folder`; empty if it was not, or nothing says when."""
    return _read_if_there(folder / "test_readings.csv")


def read_replays(folder: Path) -> pd.DataFrame:
    """Hypervolumes of the searches replayed for `python -m studies.samplers`; empty if there are none."""
    return _read_if_there(folder / "samplers" / "replays.csv")


def _read_if_there(path: Path) -> pd.DataFrame:
    required, _ = FILES[path.name]
    return read_table(path) if path.exists() else pd.DataFrame(columns=required.split())


def read_study(folder: Path) -> Tables:
    """The tables in `folder`. UserError names the file, the line and the rule that it breaks."""
    if not folder.is_dir():
        raise UserError(f"{folder} must be the folder of a study")
    trials, front, designs = (
        read_table(folder / name) for name in ("trials.csv", "front.csv", "designs.csv")
    )
    readings, curves, times = (
        _read_if_there(folder / name) for name in ("test_readings.csv", "curves.csv", "times.csv")
    )
    path = folder / SETTINGS
    file = read(path, SearchSettings) if path.exists() else SettingsFile(None, {})
    tables = Tables(
        folder.resolve().name, trials, front, designs, readings, curves, times, file.settings, file.about
    )
    if tables.reference.name not in set(designs["name"]):
        raise UserError(f"{folder / 'designs.csv'} must have a design named {tables.reference.name}")
    return tables

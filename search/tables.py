"""The tables that a study leaves: each declared once, for who writes it, who reads it, and the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lightcnn.architecture import Task
from lightcnn.designs import LIGHTCNN
from lightcnn.errors import UserError
from search.cells import KINDS, Row, absent, rows
from search.columns import COLUMNS, GAPS, LIMITS, PAPER, RETRAINED, SEEDS, Column
from search.image_facts import ImageFacts
from search.settings import Reference, SearchSettings, SettingsFile, read
from search.storage import RETRAINED_RUNS, SETTINGS, write_table


@dataclass(frozen=True)
class Table:
    """A CSV file of a study."""

    file: str
    columns: tuple[Column, ...]  # in the order in which they are written
    filled: tuple[str, ...]  # whose cells are never empty
    filled_if_complete: tuple[str, ...] = ()  # in the line of a run that was trained to its end
    optional: tuple[str, ...] = ()  # that re-training adds, or that an earlier version did not write

    @property
    def required(self) -> list[str]:
        """The names of the columns that every such file has."""
        return [column.name for column in self.columns if column.name not in self.optional]

    def frame(self, lines: Iterable[Row] = ()) -> pd.DataFrame:
        """`lines` as a table: its required columns, and the optional ones that a line has."""
        lines = list(lines)
        there = {*self.required, *(name for line in lines for name in line)}
        return pd.DataFrame(lines, columns=[it.name for it in self.columns if it.name in there])

    def write(self, frame: pd.DataFrame, folder: Path) -> None:
        """Write `frame`, which has at least the required columns, to the file in `folder`."""
        optional = [it.name for it in self.columns if it.name in frame or it.name in self.required]
        table = frame[optional]
        counts = [it.name for it in self.columns if it.kind == "count" and it.name in table]
        write_table(
            table.assign(**{name: pd.to_numeric(table[name]).astype("Int64") for name in counts}),
            folder / self.file,
        )

    def read(self, folder: Path) -> pd.DataFrame:
        """The table in `folder`; a column that is not declared is left out.

        Raises:
            UserError: the file is missing, lacks a column, or has a cell that breaks its column's rule.
        """
        path = folder / self.file
        try:
            reader = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
            header = next(reader, [])
            lines = [(reader.line_num, cells) for cells in reader if cells]
        except FileNotFoundError:
            raise UserError(f"{path} must exist") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{path} must be a CSV file in UTF-8, but {error}") from None
        for name in self.required:
            if name not in header:
                raise UserError(f"{path} must have a column {name}, but has {','.join(header) or 'none'}")
        kinds = {column.name: KINDS[column.kind] for column in self.columns}
        columns: dict[str, list[Any]] = {name: [] for name in header if name in kinds}
        for line, cells in lines:
            if len(cells) != len(header):
                raise UserError(f"{path}:{line} must have {len(header)} cells, but has {len(cells)}")
            row = dict(zip(header, cells, strict=True))
            needed = {*self.filled, *(self.filled_if_complete if row.get("state") == "COMPLETE" else ())}
            for name in columns:
                kind, text = kinds[name], row[name]
                try:
                    columns[name].append(kind.read(text) if text.strip() else kind.absent)
                except ValueError:
                    raise UserError(f"{path}:{line}: {name} must be {kind.rule}, but is {text!r}") from None
                if name in needed and absent(columns[name][-1]):
                    raise UserError(f"{path}:{line}: {name} must not be empty")
        return pd.DataFrame(
            {name: pd.Series(it, dtype=kinds[name].dtype(it)) for name, it in columns.items()}
        )

    def read_if_there(self, folder: Path) -> pd.DataFrame:
        """As `read`, but without lines if there is no such file."""
        return self.read(folder) if (folder / self.file).exists() else self.frame()


def _table(file: str, columns: str, filled: str, complete: str = "", optional: str = "") -> Table:
    known = tuple(COLUMNS[name] for name in columns.split())
    return Table(file, known, tuple(filled.split()), tuple(complete.split()), tuple(optional.split()))


_RETRAINED = " ".join(RETRAINED)
TRIALS = _table(
    "trials.csv",
    "trial state architecture num_parameters num_macs peak_activation_bytes num_blocks head val_accuracy "
    f"val_loss epochs seconds seed reason spared_at {_RETRAINED}",
    filled="trial state",
    complete="architecture num_parameters",
    optional=f"peak_activation_bytes val_loss reason spared_at {_RETRAINED}",
)
FRONT = _table(
    "front.csv",
    f"architecture num_parameters num_macs val_accuracy {_RETRAINED} probability_better",
    filled="architecture num_parameters num_macs val_accuracy",
    optional=f"{_RETRAINED} probability_better",
)
DESIGNS = _table(
    "designs.csv",
    f"name architecture num_parameters {' '.join(PAPER)} val_accuracy {SEEDS} {' '.join(GAPS)}",
    filled="name architecture num_parameters",
    optional=f"{SEEDS} {' '.join(GAPS)}",
)
CURVES = _table("curves.csv", "trial epoch train_loss val_accuracy val_loss", filled="trial epoch")
TIMES = _table("times.csv", "trial ended_at", filled="trial ended_at")
RUNS = _table(
    RETRAINED_RUNS,
    "arm architecture num_parameters seed epochs train_accuracy test_accuracy seconds",
    filled="arm architecture num_parameters seed epochs",  # accuracies come when all runs are trained
)
TEST_READINGS = _table(
    "test_readings.csv", "read_at num_runs exported", filled="read_at num_runs", optional="exported"
)
SUMMARY = _table(
    "summary.csv",
    f"arm architecture num_parameters num_seeds num_dead test_accuracy_mean {LIMITS} "
    "difference difference_low difference_high p_holm",
    filled="arm architecture num_parameters num_seeds",  # the rest is absent where every run died
    optional="num_dead new_images_low new_images_high",  # which an earlier version did not write
)
CLAIMS = Table(  # its verdicts are words, each with its reason
    "claims.csv",
    (COLUMNS["claim"], COLUMNS["measured"], Column("verdict", "verdict", "text")),
    filled=("claim", "measured", "verdict"),
)
PUBLISHED = _table(  # the user's own: what others have reached, to be drawn beside the front
    "published.csv",
    "name num_parameters accuracy protocol source",
    filled="num_parameters accuracy protocol",
    optional="name source",
)
REPLAYS = _table(
    "replays.csv",
    "sampler repetition num_trials hypervolume seconds_per_trial",
    filled="sampler repetition num_trials hypervolume",
    optional="seconds_per_trial",
)


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
    images: ImageFacts = field(default_factory=ImageFacts)
    published: pd.DataFrame = field(default_factory=PUBLISHED.frame)  # by others

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


def read_study(folder: Path | str) -> Tables:
    """The tables in `folder`. UserError names the file, the line and the rule that it breaks."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} must be the folder of a study")
    trials, front, designs = (table.read(folder) for table in (TRIALS, FRONT, DESIGNS))
    readings, curves, times = (it.read_if_there(folder) for it in (TEST_READINGS, CURVES, TIMES))
    path = folder / SETTINGS
    file = read(path, SearchSettings) if path.exists() else SettingsFile(None, {})
    tables = Tables(
        *(folder.resolve().name, trials, front, designs, readings, curves, times),
        *(file.settings, file.about, file.images, PUBLISHED.read_if_there(folder)),
    )
    if tables.reference.name not in set(designs["name"]):
        raise UserError(f"{folder / DESIGNS.file} must have a design named {tables.reference.name}")
    return tables

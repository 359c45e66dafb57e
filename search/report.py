"""python -m search.report reports/<study>: the tables that a study left -> one HTML page that works offline.

The same files give the same bytes.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import plotly.graph_objects as go

from search.command import Parser, run_command
from search.figure import pareto_figure
from search.storage import write_whole
from search.tables import (
    CLAIMS,
    COLUMNS,
    GAPS,
    LIGHTCNN_NAME,
    RETRAINED,
    RULES,
    Tables,
    absent,
    read_study,
    rows,
    written,
)
from search.verdict import early_stopping, placed, standing, verdict


def html_table(table: pd.DataFrame, first: str) -> dict[str, Any]:
    """Headings and cells of a table for the template; `first` names the column that heads each row."""
    names = [first, *(name for name in COLUMNS if name in table and name != first)]
    kinds = [COLUMNS[name][1] for name in names]
    cells = [
        [
            (written(row[name], kind), "" if absent(row[name]) else row[name])
            for name, kind in zip(names, kinds, strict=True)
        ]
        for row in rows(table)
    ]  # (text, what to sort by)
    numeric = [kind in RULES for kind in kinds]
    return {"headings": [COLUMNS[name][0] for name in names], "numeric": numeric, "rows": cells}


def how_it_was_made(settings: Mapping[str, Any] | None) -> dict[str, str] | None:
    """The entries of settings.json, whichever part they are in; None if there is no such file."""
    if settings is None:
        return None
    parts = [settings.get(part) for part in ("about", "settings")]
    return {key: plain(value) for part in parts if isinstance(part, dict) for key, value in part.items()}


def plain(value: Any) -> str:
    """A value of settings.json as one text, however deep."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(plain(inner) for inner in value)
    return "–" if value is None or value == "" else str(value)


def render(template: str, **values: Any) -> str:
    """The HTML page that `template`, a file beside this one, makes of `values`; text in them is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def html_plot(figure: go.Figure, div_id: str) -> str:
    """The plot and Plotly itself, as HTML for one page; a fixed `div_id` keeps it reproducible."""
    config = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
    plot: str = figure.to_html(full_html=False, include_plotlyjs=True, div_id=div_id, config=config)
    return plot


def write_report(folder: Path) -> Path:
    """Write `folder`/report.html from the files beside it.

    Raises:
        ValueError: a file is missing or was damaged by hand; an earlier page is left as it was.
    """
    tables = read_study(folder)
    claimed = bool(tables.designs["paper_accuracy"].notna().any())  # else the data set is not the paper's
    states = tables.trials["state"].value_counts(sort=False)
    page = render(
        "report.html.j2",
        study=tables.study,
        verdict=verdict(tables),
        tested=standing(tables).measure == "test_accuracy_mean",
        placed=[" ".join(sentences) for name, sentences in placed(tables).items() if name != LIGHTCNN_NAME],
        figure=html_plot(pareto_figure(tables), "pareto"),
        stopping=early_stopping(tables),
        states=", ".join(f"{n:,} {str(state).lower()}" for state, n in states.items()),
        front=html_table(tables.front, "architecture"),
        near=html_table(_near(tables), "architecture"),
        # The gaps are told in words above their table, the re-trained trials have a table of their own.
        designs=html_table(
            tables.designs.drop(columns=[*GAPS, *([] if claimed else CLAIMS)], errors="ignore"), "name"
        ),
        claimed=claimed,
        trials=html_table(tables.trials.drop(columns=RETRAINED, errors="ignore"), "trial"),
        readings=html_table(tables.test_readings, "read_at"),
        settings=how_it_was_made(tables.settings),
    )
    target = folder / "report.html"
    write_whole(target, page)
    return target


def _near(tables: Tables) -> pd.DataFrame:
    """The re-trained trials that are not on the search's front."""
    if "test_accuracy_mean" not in tables.trials:
        return tables.trials[:0]
    near = tables.trials.dropna(subset=["test_accuracy_mean"])
    near = near[~near["architecture"].isin(list(tables.front["architecture"]))]
    columns = ["architecture", "num_parameters", "num_macs", "val_accuracy"]
    return near[columns + [name for name in RETRAINED if name in near]].sort_values("num_parameters")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m search.report", "Rebuild a study's page from its files.")
    parser.add_argument(
        "folder", type=Path, help="the study's folder, e.g. reports/mnist; report.html goes there"
    )
    folder = parser.parse_args(argv).folder
    return run_command(parser, lambda: print(write_report(folder)))


if __name__ == "__main__":
    sys.exit(main())

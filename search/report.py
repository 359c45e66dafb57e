"""python -m search.report reports/<study>: the tables that a study left -> one HTML page that works offline.

The same files give the same bytes.
"""

import html
import re
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from search import summaries
from search.catalogue import as_columns, catalogue
from search.charts import importance_figure, learning_figure, progress_figure, timeline_figure, title
from search.command import Parser, run_command
from search.course import progress, timeline
from search.figure import pareto_figure
from search.importance import importance
from search.pictures import write_pictures
from search.records import rebuild_tables
from search.storage import JOURNAL, write_whole
from search.tables import (
    CLAIMS,
    COLUMNS,
    GAPS,
    LIGHTCNN_NAME,
    RETRAINED,
    RULES,
    Tables,
    percent,
    read_replays,
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
        [written(row[name], kind) for name, kind in zip(names, kinds, strict=True)] for row in rows(table)
    ]
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
    environment.filters["unbroken"] = _unbroken
    return environment.get_template(template).render(plotly=get_plotlyjs(), **values)


def _unbroken(text: str) -> Markup:
    """The text with no line break inside an architecture's name."""
    name = r"\d\w*(?:-\w+)+"
    return Markup(re.sub(name, r'<span class="unbroken">\g<0></span>', str(escape(text))))


def html_plot(figure: go.Figure, div_id: str) -> str:
    """The plot as HTML for `page.html.j2`, which holds Plotly; a fixed `div_id` keeps it reproducible."""
    # That nothing may end the script, Plotly escapes three signs; one is enough, and hover texts are many.
    text = figure.to_json().replace("\\u003e", ">").replace("\\u002f", "/")
    assert "<" not in text
    place = f'<div id="{div_id}" class="drawing"></div>'
    return f'{place}\n<script type="application/json" data-plot="{div_id}">{text}</script>'


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
        what_this_is=summaries.what_this_is(tables),
        verdict=verdict(tables),
        tested=standing(tables).measure == "test_accuracy_mean",
        placed=[" ".join(sentences) for name, sentences in placed(tables).items() if name != LIGHTCNN_NAME],
        figure=html_plot(pareto_figure(tables), "pareto"),
        catalogue=as_columns(catalogue(tables)),
        parts=_parts(tables, read_replays(folder.resolve().parent)),
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
        test_set=summaries.readings(tables),
        neighbours=_neighbours(folder.resolve()),
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


def _parts(tables: Tables, replays: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The page's later plots by name, those that the study has the data for, with their summaries."""
    parts: dict[str, dict[str, Any]] = {}
    if (learning := learning_figure(tables)) is not None:
        parts["learning"] = {"summary": summaries.learning(tables), "figure": learning}
    if (mattered := importance(tables)) is not None:
        effects = [
            (title(effect.parameter), [(value, percent(it)) for value, it in effect.accuracies.items()])
            for effect in mattered.effects
        ]
        words = summaries.what_mattered(mattered)
        parts["importance"] = {"summary": words, "figure": importance_figure(mattered), "effects": effects}
    if (found := progress(tables, replays)) is not None:
        parts["progress"] = {
            "summary": summaries.progress(found),
            "figure": progress_figure(found),
            "corner": (written(found.corner[0], "count"), percent(found.corner[1])),
            "random": found.random is not None,
        }
    bars, pauses = timeline(tables)
    if bars:
        height = 8 + 2 * (1 + max(bar.slot for bar in bars))
        figure = timeline_figure(bars, pauses)
        parts["timeline"] = {"summary": summaries.time(bars, pauses), "figure": figure, "height": height}
    for name, part in parts.items():
        part["figure"] = html_plot(part["figure"], name)
    return parts


def _neighbours(folder: Path) -> list[tuple[str, str]]:
    """Title and relative address of the pages of the ablations beside the study."""
    pages = sorted(path.with_name("report.html") for path in folder.parent.glob("*/summary.csv"))
    found = []
    for page in pages:
        if page.exists() and page.parent != folder:
            with page.open(encoding="utf-8") as file:
                named = re.search("<title>([^<]*)</title>", file.read(2_000))
            if named:
                found.append((html.unescape(named[1]), f"../{quote(page.parent.name)}/report.html"))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m search.report", "Rebuild a study's page from its files.")
    parser.add_argument(
        "folder", type=Path, help="the study's folder, e.g. reports/mnist; report.html goes there"
    )
    parser.add_argument(
        "--pictures",
        action="store_true",
        help="write the Pareto plot as report.png and report.svg as well, if kaleido and a browser are there",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser when it is written")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: _rebuild(options.folder, options.pictures, options.open))


def _rebuild(folder: Path, with_pictures: bool, then_open: bool) -> None:
    if (folder / JOURNAL).exists():  # so that the page of a search that is running is of this moment
        rebuild_tables(folder)
    page = write_report(folder)
    print(page)
    if then_open:
        open_page(page)
    if with_pictures:  # last, as what they need may be missing
        for picture in write_pictures(folder, read_study(folder)):
            print(picture)


def open_page(page: Path) -> None:
    """Show `page` in the user's browser; where there is none, say where the page is."""
    if not webbrowser.open(page.resolve().as_uri()):
        print(f"no browser was found to open {page}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

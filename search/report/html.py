"""Tables, plots and templates as HTML."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from search.cells import KINDS, Row, absent, interval, rows, written
from search.columns import COLUMNS
from search.settings import recorded
from search.storage import write_whole

LINE = ",\n"  # between the ranges of a cell: a table has little room to the right
# Columns that are shown with their intervals or ranges, in one cell: where the limits are, what they cover.
LIMITS = {
    "test_accuracy_mean": {"test_accuracy": "95 % interval over seeds", "new_images": "for new images"},
    "difference": {"difference": "95 % interval"},
    "joint_accuracy": {"front_accuracy": "the front's 90 % range there"},
    "accuracy_gap": {"accuracy_gap": "90 % range"},
    "challenger_gap": {"challenger_gap": "95 % interval"},
    "parameter_ratio": {"parameter_ratio": "90 % range"},
    "paid_ratio": {"paid_ratio": "90 % range"},
}


def html_table(table: pd.DataFrame, first: str) -> dict[str, Any]:
    """Headings and cells of a table for the template; `first` names the column that heads each row."""
    shown = shown_columns([*map(str, table)])
    names = [first, *(name for name in shown if name != first)]
    cells = [[cell(row, name, shown.get(name, {})) for name in names] for row in rows(table)]
    numeric = [KINDS[COLUMNS[name].kind].is_number for name in names]
    headings = [heading(name, shown.get(name, {})) for name in names]
    return {"headings": headings, "numeric": numeric, "rows": cells}


def shown_columns(there: Collection[str]) -> dict[str, dict[str, str]]:
    """Of the columns that are `there` those with a cell of their own, in order, each with its LIMITS."""
    limits = {
        name: {stem: words for stem, words in of.items() if {f"{stem}_low", f"{stem}_high"} <= {*there}}
        for name, of in LIMITS.items()
        if name in there
    }
    hidden = {f"{stem}_{end}" for of in limits.values() for stem in of for end in ("low", "high")}
    return {name: limits.get(name, {}) for name in COLUMNS if name in there and name not in hidden}


def heading(name: str, limits: Mapping[str, str]) -> str:
    """What stands above the cells that `cell` writes."""
    return COLUMNS[name].heading + (f" ({', '.join(limits.values())})" if limits else "")


def cell(row: Row, name: str, limits: Mapping[str, str]) -> str:
    """The cell of column `name`, with its `limits` if it has any, a line each."""
    kind = COLUMNS[name].kind
    text = written(row[name], kind)
    ranges = [_range(row[f"{stem}_low"], row[f"{stem}_high"], kind) for stem in limits]
    return f"{_bare(text)} ({LINE.join(ranges)})" if {*ranges} - {"–"} else text


def _range(low: Any, high: Any, kind: str) -> str:
    if absent(low) or absent(high):
        return "–"
    if kind == "ratio":
        return " to ".join(dict.fromkeys(written(limit, kind) for limit in (low, high)))
    return interval(low, high, "+" if kind == "points" else "")


def _bare(text: str) -> str:
    """Without its unit, which the heading has."""
    return text.removesuffix(" %").removesuffix(" points")


def how_it_was_made(settings: Any, about: Mapping[str, Any]) -> dict[str, str] | None:
    """The entries of settings.json, each as one text; None if there was no such file."""
    if settings is None:
        return None
    return {key: plain(value) for key, value in {**about, **recorded(settings)}.items()}


def plain(value: Any) -> str:
    """A value of settings.json as one text, however deep."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(plain(inner) for inner in value)
    return "–" if value is None or value == "" else str(value)


def render(template: str, folder: Path, embed: bool, **values: Any) -> str:
    """The HTML page of the study in `folder` that `template`, a file in templates/, makes of `values`.

    Text in them is escaped, and so is what of a path is no UTF-8. Plotly, 5 MB, lies beside the folder, once
    for all its neighbours' pages.

    Args:
        embed: put Plotly into the page, so that it can be sent by itself.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("search.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    library = {"plotly": get_plotlyjs()} if embed else {"plotly_file": plotly_beside(folder)}
    page = environment.get_template(template).render({"plotly": None, "plotly_file": None} | library | values)
    return page.encode(errors="backslashreplace").decode()


def plotly_beside(folder: Path) -> str:
    """The address, from `folder`'s page, of the file that holds Plotly; it is written if it is not there."""
    path = folder.resolve().parent / f"plotly-{get_plotlyjs_version()}.min.js"
    content = get_plotlyjs().encode()
    if not path.exists() or path.stat().st_size != len(content):
        write_whole(path, content)
    return f"../{path.name}"


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

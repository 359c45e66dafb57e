"""Tables, plots and templates as HTML."""

import re
from collections.abc import Mapping
from typing import Any

import jinja2
import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from search.cells import KINDS, rows, written
from search.settings import recorded
from search.tables import COLUMNS


def html_table(table: pd.DataFrame, first: str) -> dict[str, Any]:
    """Headings and cells of a table for the template; `first` names the column that heads each row."""
    names = [first, *(name for name in COLUMNS if name in table and name != first)]
    kinds = [COLUMNS[name].kind for name in names]
    cells = [
        [written(row[name], kind) for name, kind in zip(names, kinds, strict=True)] for row in rows(table)
    ]
    numeric = [KINDS[kind].is_number for kind in kinds]
    return {"headings": [COLUMNS[name].heading for name in names], "numeric": numeric, "rows": cells}


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


def render(template: str, **values: Any) -> str:
    """The HTML page that `template`, a file in templates/, makes of `values`; text in them is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("search.report"),
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

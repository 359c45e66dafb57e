"""A search's page: one HTML file that works offline. The same tables give the same bytes."""

import html
import json
import re
import shlex
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import plotly.graph_objects as go

from search.cells import STATES, percent, written
from search.columns import GAPS, PAPER, RETRAINED
from search.execution.runs import RunState
from search.report import summaries
from search.report.designs import as_columns, catalogue
from search.report.excerpt import MOST_TRIALS, excerpt
from search.report.failures import failures
from search.report.history import progress, timeline
from search.report.html import how_it_was_made, html_plot, html_table, render
from search.report.importance import importance
from search.report.majority import with_majority
from search.report.narrow import narrow_designs
from search.report.pareto_data import COSTS
from search.report.pareto_plot import pareto_figure
from search.report.plots import (
    crowd_figure,
    importance_figure,
    learning,
    learning_figure,
    progress_figure,
    timeline_figure,
)
from search.report.published import beside_the_front
from search.report.verdict import early_stopping, placed, standing, verdict
from search.storage import write_whole
from search.tables import Tables, read_study


def write_report(folder: Path, embed: bool = False, others: Sequence[Path] = ()) -> Path:
    """Write `folder`/report.html from the files beside it.

    Args:
        embed: whether the page holds Plotly, so that it can be sent by itself.
        others: folders of studies whose fronts and placed designs are drawn in the same plot.

    Raises:
        UserError: a file is missing or was damaged by hand; an earlier page is left as it was.
    """
    tables = read_study(folder)
    shown = excerpt(tables)
    beside = [read_study(other) for other in others]
    figures = {
        cost: pareto_figure(shown, *beside, x=cost)
        for cost in COSTS
        if cost == "num_parameters" or tables.task is not None
    }
    claimed = bool(tables.designs["paper_accuracy"].notna().any())  # else the data set is not the paper's
    states = tables.trials["state"].value_counts(sort=False)
    page = render(
        "report.html.j2",
        folder,
        embed,
        study=tables.study,
        reference=tables.reference,
        what_this_is=summaries.what_this_is(tables),
        verdict=verdict(tables),
        tested=standing(tables).measure == "test_accuracy_mean",
        placed=[
            " ".join(sentences) for name, sentences in placed(tables).items() if name != tables.reference.name
        ],
        figure=html_plot(figures["num_parameters"], "pareto"),
        costs={name: words for name, (words, _) in COSTS.items()},
        other_figures=_other_figures(figures),
        catalogue=as_columns(catalogue(shown)),
        failures=failures(folder, tables),
        parts=_parts(tables, shown),
        stopping=early_stopping(tables),
        states=", ".join(f"{n:,} {STATES[RunState(str(state))]}" for state, n in states.items()),
        front=html_table(tables.front, "architecture"),
        near=html_table(_near(tables), "architecture"),
        narrow=narrow_designs(tables),
        # The gaps stand in words below their table, the re-trained trials have a table of their own.
        designs=html_table(
            with_majority(tables).drop(columns=[*GAPS, *([] if claimed else PAPER)], errors="ignore"), "name"
        ),
        claimed=claimed,
        published=html_table(beside_the_front(tables), "num_parameters"),
        trials=html_table(shown.trials.drop(columns=RETRAINED, errors="ignore"), "trial"),
        num_trials=len(tables.trials),
        readings=html_table(tables.test_readings, "read_at"),
        test_set=summaries.readings(tables),
        neighbours=_neighbours(folder.resolve()),
        take_away=f"python -m search.export {shlex.quote(str(folder))} --design DESIGN --to model.onnx",
        settings=how_it_was_made(tables.settings, tables.about),
    )
    target = folder / "report.html"
    write_whole(target, page)
    return target


def _other_figures(figures: dict[str, go.Figure]) -> dict[str, dict[str, Any]]:
    """All but the first, as JSON. Hover texts, a large part of a page, are places among the first one's."""
    first, *others = figures
    texts = [text for trace in figures[first].data for text in trace.hovertext or ()]
    places = {text: i for i, text in reversed([*enumerate(texts)])}
    found = {cost: json.loads(figures[cost].to_json()) for cost in others}
    for figure in found.values():
        for trace in figure["data"]:
            if "hovertext" in trace:
                trace["hovertext"] = [places.get(text, text) for text in trace["hovertext"]]
    return found


def _near(tables: Tables) -> pd.DataFrame:
    """The re-trained trials that are not on the search's front."""
    if "test_accuracy_mean" not in tables.trials:
        return tables.trials[:0]
    near = tables.trials.dropna(subset=["test_accuracy_mean"])
    near = near[~near["architecture"].isin(list(tables.front["architecture"]))]
    columns = ["architecture", "num_parameters", "num_macs", "val_accuracy"]
    return near[columns + [name for name in RETRAINED if name in near]].sort_values("num_parameters")


def _parts(tables: Tables, shown: Tables) -> dict[str, dict[str, Any]]:
    """The page's later plots by name, those that the study has the data for, with their summaries."""
    parts: dict[str, dict[str, Any]] = {}
    if (curves := learning(shown)) is not None:
        parts["learning"] = {"summary": summaries.learning(tables), "figure": learning_figure(curves)}
    if (mattered := importance(tables)) is not None:
        effects = [
            (effect.dimension.title, [(value, percent(it)) for value, it in effect.accuracies.items()])
            for effect in mattered.effects
        ]
        words = summaries.what_mattered(mattered)
        parts["importance"] = {
            "summary": words,
            "figure": importance_figure(mattered),
            "effects": effects,
            "height": max(24, 6 + 3 * len(effects) // 2),
            "sizes": " to ".join(f"{size:,.0f}" for size in mattered.sizes),
        }
    if (found := progress(tables)) is not None:
        parts["progress"] = {
            "summary": summaries.progress(found),
            "figure": progress_figure(found),
            "reference_point": (
                written(found.reference_point[0], "count"),
                percent(found.reference_point[1]),
            ),
        }
    bars, pauses = timeline(tables)
    if bars:
        parts["timeline"] = {"summary": summaries.time(bars, pauses)}
        if len(bars) > MOST_TRIALS:
            parts["timeline"] |= {"figure": crowd_figure(bars, pauses), "is_crowd": True}
        else:
            height = 8 + 2 * (1 + max(bar.slot for bar in bars))
            parts["timeline"] |= {
                "figure": timeline_figure(bars, pauses),
                "height": height,
                "is_crowd": False,
            }
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


def open_page(page: Path | str) -> None:
    """Show `page`, a file or an address, in the user's browser; without one, say where the page is."""
    if not webbrowser.open(page if isinstance(page, str) else page.resolve().as_uri()):
        print(f"no browser was found to open {page}", file=sys.stderr)

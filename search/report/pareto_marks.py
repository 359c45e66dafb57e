"""The marks of the Pareto plot: points with their intervals, fronts with their ranges, designs and labels."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

from search.cells import Row, absent, percent
from search.report.html import cell, heading, shown_columns
from search.report.pareto_data import ParetoData, PlacedDesign, Point
from search.report.style import BLUE, GREEN, GREY, VERMILLION, error_percent

LINE = 24  # characters of a label's line; a longer architecture would cover the marks beside it
SINGLE = "single"  # meta of the second view's traces, which a switch on the page shows

Places = list[tuple[float, float]]  # log10 of (cost, error percent)
Labels = list[tuple[str, tuple[float, float]]]  # what a mark is called, and where it is


def hover(row: Row) -> str:
    """What is known of a design, for Plotly, which reads tags: what users typed is escaped."""
    units = {"num_parameters": "parameters", "num_macs": "MACs", "epochs": "epochs", "num_seeds": "seeds"}
    title = str(row.get("name") or row.get("architecture") or "published")
    lines = [f"<b>{html.escape(title)}</b>"]
    for name, limits in shown_columns([it for it in row if not absent(row[it])]).items():
        if name in ("name", "seed", "seconds", "num_blocks", "head", "reason") or row[name] == title:
            continue
        text = html.escape(cell(row, name, limits).replace("\n", " "))
        lines.append(f"{text} {units[name]}" if name in units else f"{heading(name, limits)}: {text}")
    return "<br>".join(lines)


def faint(colour: str, opacity: float) -> str:
    """The colour as Plotly reads it, so far transparent."""
    return f"rgba{(*hex_to_rgb(colour), opacity)}"


def draw(figure: go.Figure, points: Sequence[Point], name: str, marker: Row, **options: Any) -> Places:
    """One trace of the points, with their intervals if `whiskers`; where they are."""
    if not points:
        return []
    errors = error_percent([point.accuracy for point in points])
    if options.pop("whiskers", False) and any(point.low is not None for point in points):
        low, high = (
            error_percent([np.nan if limit is None else limit for limit in limits])
            for limits in ([point.low for point in points], [point.high for point in points])
        )
        spans = [np.nan_to_num(span).tolist() for span in (low - errors, errors - high)]
        colour = faint(marker["color"], 0.5)
        bar = {"array": spans[0], "arrayminus": spans[1], "color": colour, "thickness": 1.5, "width": 0}
        options["error_y"] = bar
    costs = [point.cost for point in points]
    texts = [hover(point.about) for point in points]
    options = {"mode": "markers", "hoverinfo": "text", "hovertext": texts, "marker": marker, **options}
    # What a click on the page shows.
    options["customdata"] = [point.about.get("architecture", "") for point in points]
    figure.add_scatter(x=costs, y=errors.tolist(), name=name, **{"showlegend": False} | options)
    return [(float(x), float(y)) for x, y in zip(np.log10(costs), np.log10(errors), strict=True)]


def draw_front(figure: go.Figure, data: ParetoData, colour: str, dash: str, name: str) -> Places:
    """The front as steps on the band of its 90 % range; where its members are."""
    points = data.front
    if not points:
        return []
    costs = [point.cost for point in points]
    costs.append(max(costs[-1], data.budget or 0))
    steps = np.repeat(costs, 2)[1:-1].tolist()

    def stepped(accuracies: Sequence[float | None]) -> list[float]:
        heights: list[float] = np.repeat(error_percent(accuracies), 2).tolist()
        return heights

    silent = {"mode": "lines", "hoverinfo": "skip", "showlegend": False}
    if all(point.low is not None for point in points):
        low, high = stepped([point.low for point in points]), stepped([point.high for point in points])
        fill = {"fill": "toself", "fillcolor": faint(colour, 0.22), "line": {"width": 0}}
        figure.add_scatter(
            x=[*steps, *steps[::-1]], y=[*low, *high[::-1]], name=f"{name}, 90 %", **fill, **silent
        )
    line = {"color": colour, "width": 2.5, "dash": dash}
    heights = stepped([point.accuracy for point in points])
    figure.add_scatter(x=steps, y=heights, name=f"{name}, steps", line=line, **silent)
    return draw(figure, points, name, {"color": colour, "size": 6})


def draw_single_runs(figure: go.Figure, data: ParetoData) -> None:
    """The second view: every trial, what the search took for the front, and what re-training made of it."""
    single = {"meta": SINGLE, "showlegend": True, "visible": not data.is_retrained}
    dot = {"color": GREY, "size": 6, "opacity": 0.6}
    kind = f"single run{', validation' if data.is_retrained else ''}"
    draw(figure, data.candidates, kind, dot, **single)
    draw(figure, data.stopped, "stopped early", {**dot, "symbol": "circle-open"}, **single)
    draw(figure, data.diverged, "diverged", {"color": GREY, "size": 8, "symbol": "x-thin-open"}, **single)
    if data.is_retrained:
        line = {"color": BLUE, "shape": "hv", "width": 1.5, "dash": "dot"}
        draw(
            figure,
            data.search_front,
            "front of the search, validation",
            {},
            mode="lines",
            line=line,
            **single,
        )
        bar = {"color": GREY, "size": 8, "symbol": "line-ew-open", "line": {"width": 2}}
        draw(figure, data.retrained, "re-trained, test", bar, whiskers=True, **single)


def draw_designs(figure: go.Figure, designs: Sequence[PlacedDesign], most: float) -> Labels:
    """A mark for each design, and the paper's claim for the reference; labels and where their marks are.

    Args:
        most: errors, percent; what errs more often is an arrow there.
    """
    labels: Labels = []
    for i, design in enumerate(designs):
        colour, symbol, size = (VERMILLION, "star", 13) if i == 0 else (GREY, "circle", 8)
        if i and design.is_placed:
            colour, symbol, size = GREEN, "diamond", 9
        marker = {"color": colour, "symbol": symbol, "size": size, "line": {"color": "#555555", "width": 1}}
        name, own, claim = html.escape(design.name), design.measured, design.claim
        if own is not None:
            label = label_of(design.name, own.cost) if design.is_placed else design.name
            if i == 0:
                label = f"{design.name}, {own.cost:,}"
            is_below = float(error_percent(own.accuracy)) > most
            if is_below:
                label, marker = f"{label},\n{percent(own.accuracy)}", {**marker, "symbol": "triangle-down"}
                own = replace(own, accuracy=1 - 0.94 * most / 100, low=None)
            (place,) = draw(figure, [own], name, marker, whiskers=True, meta="design")
            labels.append((label, place))
        if i == 0 and claim is not None and float(error_percent(claim.accuracy)) <= most:
            hollow = {**marker, "symbol": "star-open", "size": 11, "line": {"width": 1.5}}
            (place,) = draw(figure, [claim], f"{name}, the paper's claim", hollow)
            labels.append((f"the paper says {percent(claim.accuracy)}", place))
    return labels


def draw_placed(figure: go.Figure, other: ParetoData, colour: str, is_named: bool) -> Labels:
    """The designs that a user placed in another study, hollow and in its colour; their labels.

    Args:
        is_named: the last label has the study's name as well.
    """
    points = [one.measured for one in other.designs if one.is_placed and one.measured is not None]
    points.sort(key=lambda point: point.cost)
    marker = {"color": colour, "symbol": "diamond-open", "size": 9, "line": {"width": 2}}
    name = f"placed in {html.escape(other.study)}"
    places = draw(figure, points, name, marker, whiskers=True)
    labels = [label_of(point.about["name"], point.cost) for point in points]
    if labels and is_named:
        labels[-1] += f", {other.study}"
    return list(zip(labels, places, strict=True))


def label_of(architecture: str, cost: float) -> str:
    """What its mark is called: the architecture, or where that is long its place on the x axis."""
    return architecture if len(architecture) <= LINE else f"{cost:,}"


def lines_of(text: str, width: int = LINE) -> list[str]:
    """The text in lines of at most `width` characters, escaped for Plotly, which reads tags."""
    return [html.escape(line) for part in text.splitlines() for line in textwrap.wrap(part, width)]

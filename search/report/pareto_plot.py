"""The Pareto plot: the front with its range, the reference on it or below it, other designs beside them."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

from lightcnn.errors import UserError
from search.cells import Row, absent, percent
from search.report.html import cell, heading, shown_columns
from search.report.label_placement import place_labels
from search.report.pareto_data import COSTS, ParetoData, PlacedDesign, Point, pareto_data
from search.report.style import (
    AXIS,
    BLUE,
    ERRORS_DRAWN,
    GREEN,
    GREY,
    LAYOUT,
    PURPLE,
    VERMILLION,
    accuracy_axis,
    error_percent,
)
from search.tables import Tables

DESK = (700, 370)  # the plotting area in pixels that labels are placed for
LINE = 24  # characters of a label's line; a longer architecture would cover the marks beside it
CUT = 5  # times the reference's errors: what errs more often is an arrow at the lower edge
SINGLE = "single"  # meta of the second view's traces, which a switch on the page shows
OTHER_FRONTS = ((GREEN, "dash"), (PURPLE, "dashdot"), (VERMILLION, "dot"))

Places = list[tuple[float, float]]  # log10 of (cost, error percent)


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


def draw_designs(
    figure: go.Figure, designs: Sequence[PlacedDesign], most: float
) -> list[tuple[str, tuple[float, float]]]:
    """A mark for each design, and the paper's claim for the reference; labels and where their marks are.

    Args:
        most: errors, percent; what errs more often is an arrow there.
    """
    labels: list[tuple[str, tuple[float, float]]] = []
    for i, design in enumerate(designs):
        colour, symbol, size = (VERMILLION, "star", 13) if i == 0 else (GREY, "circle", 8)
        if i and design.is_placed:
            colour, symbol, size = GREEN, "diamond", 9
        marker = {"color": colour, "symbol": symbol, "size": size, "line": {"color": "#555555", "width": 1}}
        name, own, claim = html.escape(design.name), design.measured, design.claim
        if own is not None:
            label = _label(design.name, own.cost) if design.is_placed else design.name
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


def pareto_figure(tables: Tables, *others: Tables, x: str = "num_parameters") -> go.Figure:
    """The figure of a study: its front after re-training, the reference, and other designs.

    Args:
        others: studies whose fronts are drawn as well.
        x: the cost on the x axis, a key of `COSTS`: num_parameters, num_macs or peak_activation_bytes.

    Raises:
        UserError: there is no such cost, or there are more others than a plot has room for.
    """
    if x not in COSTS:
        raise UserError(f"x must be one of {', '.join(COSTS)}, but got {x!r}")
    if len(others) > len(OTHER_FRONTS):
        raise UserError(f"a plot has room for {len(OTHER_FRONTS)} other fronts, but got {len(others)}")
    return draw_pareto(pareto_data(tables, x), [pareto_data(other, x) for other in others])


def draw_pareto(data: ParetoData, others: Sequence[ParetoData] = ()) -> go.Figure:
    """Accuracy against a cost. `layout.meta` holds what differs between a desk and a phone.

    A desk has the designs' names in place; on a phone, where they would cover each other, the reference's.

    Args:
        others: studies whose fronts are drawn as well.
    """
    figure = go.Figure()
    members: list[Places] = []
    for other, (colour, dash) in zip(others, OTHER_FRONTS, strict=False):
        members.append(draw_front(figure, other, colour, dash, f"front of {html.escape(other.study)}"))
    name = "front after re-training" if data.is_retrained else "front of single runs"
    members.append(draw_front(figure, data, BLUE, "solid", name))
    draw_single_runs(figure, data)
    cross = {"color": PURPLE, "size": 7, "symbol": "x-thin", "line": {"color": PURPLE, "width": 2}}
    published = draw(figure, data.published, "published by others", cross)
    front = [place for places in members for place in places]

    measured = [design.measured for design in data.designs[:1] if design.measured is not None]
    errors = [float(error_percent(point.accuracy)) for point in [*measured, *data.front[-1:]]]
    most = min(CUT * errors[0], ERRORS_DRAWN[1]) if errors else ERRORS_DRAWN[1]
    named = draw_designs(figure, data.designs, most)
    named += [
        (_label(data.challenger, point.cost), place)
        for point, place in zip(data.front, members[-1], strict=True)
        if point.about["architecture"] == data.challenger
    ]
    if published:
        named.append(("published by others", min(published, key=lambda place: place[1])))
    if others:
        studies = [other.study for other in [*others[: len(OTHER_FRONTS)], data]]
        named += [(study, places[-1]) for study, places in zip(studies, members, strict=True) if places]
    marks = [place for _, place in named]

    shown = [(x, y) for x, y in [*front, *published] if y <= np.log10(most)]
    everything = np.array([*shown, *marks] or [(2, 1), (6, 0)])
    low, high = everything.min(axis=0), everything.max(axis=0)
    pad = 0.06 * np.maximum(high - low, 0.3)
    low, high = low - pad * (1, 2), high + pad
    if errors:
        high[1] = np.log10(most)

    def pixels(spots: Places) -> Places:
        scaled = (np.array(spots).reshape(-1, 2) - low) / (high - low) * DESK
        return [(float(x), float(y)) for x, y in scaled]

    dots = [*shown]
    for places in members:
        for left, right in pairwise(places):  # labels keep clear of the lines too: these count as many dots
            start = min(left[1], high[1])
            dots += [(float(x), start) for x in np.linspace(left[0], right[0], 24)]
            dots += [(right[0], float(y)) for y in np.linspace(start, right[1], 24)]
    texts = ["<br>".join(_lines(label, LINE)) for label, _ in named]
    offsets = place_labels(texts, pixels(marks), [], pixels(dots), DESK)
    pointer = {"showarrow": True, "arrowhead": 0, "arrowwidth": 1, "arrowcolor": GREY, "standoff": 7}
    labels = [
        {"text": text, "x": x, "y": y, "ax": dx, "ay": dy, **pointer}
        for text, (x, y), (dx, dy) in zip(texts, marks, offsets, strict=True)
    ]
    _lay_out(figure, data, low, high, labels)
    return figure


def _label(architecture: str, cost: float) -> str:
    """What its mark is called: the architecture, or where that is long its place on the x axis."""
    return architecture if len(architecture) <= LINE else f"{cost:,}"


def _lines(text: str, width: int) -> list[str]:
    return [html.escape(line) for part in text.splitlines() for line in textwrap.wrap(part, width)]


def _lay_out(figure: go.Figure, data: ParetoData, low: Any, high: Any, labels: list[dict[str, Any]]) -> None:
    decades = [10.0**k for k in range(int(np.floor(low[0])), int(np.ceil(high[0])) + 1)]
    ticks = [tick * decade for decade in decades for tick in ((1, 2, 5) if len(decades) < 6 else (1, 3))]
    title = {"font": {"size": 16}, "x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yanchor": "bottom"}
    title |= {"yref": "paper", "pad": {"b": 14}}

    def wrapped(width: int) -> dict[str, Any]:
        return title | {"text": "<br>".join(_lines(data.title, width))}

    desk = {"annotations": labels, "xaxis.tickvals": ticks, "title": wrapped(88), "margin.t": 50}
    phone = {
        "annotations": labels[:1],  # the reference's
        "xaxis.tickvals": decades if len(decades) > 3 else ticks,
        "title": wrapped(38) | {"font": {"size": 14}},
        "margin.t": 84,
    }
    axis = {**AXIS, "type": "log", "ticks": "outside", "tickangle": 0}
    what = "accuracy on the test set" if data.is_retrained else "accuracy on the validation images"
    figure.update_layout(
        **{**LAYOUT, "margin": {**LAYOUT["margin"], "t": 50}},
        hovermode="closest",
        hoverlabel={"bgcolor": "#222222", "font": {"color": "#ffffff"}, "align": "left"},
        showlegend=not data.is_retrained,
        legend={"orientation": "h", "x": 0, "y": -0.14, "yanchor": "top", "itemsizing": "constant"},
        annotations=labels,
        title=wrapped(88),
        xaxis={
            **axis,
            "title": {"text": f"{COSTS[data.cost][0]} (log scale)"},
            "tickvals": ticks,
            "tickformat": ",d",
        },
        yaxis={**accuracy_axis(what), "ticks": "outside"},
        meta={"desk": desk, "phone": phone, "errors": ERRORS_DRAWN, "cost": data.cost},
    )
    figure.update_xaxes(range=[low[0], high[0]])
    figure.update_yaxes(range=[high[1], low[1]], autorange=False)  # accuracy grows upwards

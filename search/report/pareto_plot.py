"""The Pareto plot: parameters against accuracy, the designs in place beside the paper's claims."""

import html
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

from search.cells import Row, absent, written
from search.report.label_placement import place_labels
from search.report.pareto_data import ParetoData, PlacedDesign, Point
from search.tables import COLUMNS

GREY, BLUE, VERMILLION = "#888888", "#0072B2", "#D55E00"  # the colours are Okabe and Ito's
# Of every plot: transparent and grey, so that it can be read on a light page and on a dark one.
LAYOUT = {
    "template": go.layout.Template(),
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": GREY, "size": 12, "family": "system-ui, sans-serif"},
    "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
}
AXIS = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "automargin": True}
DESIGN_MARKS = [  # (colour, symbol) of the designs after the reference, the vermillion star
    ("#E69F00", "square"),
    ("#56B4E9", "triangle-up"),
    ("#009E73", "diamond"),
    ("#CC79A7", "pentagon"),
    ("#F0E442", "triangle-down"),
    ("#E69F00", "hexagon"),
    ("#56B4E9", "cross"),
    ("#009E73", "hourglass"),
    ("#CC79A7", "star-square"),
    ("#F0E442", "bowtie"),
]
# The axis is logarithmic in the error, percent. A flawless run is drawn at the first figure, as log 0 is
# nowhere; a run worse than the second is drawn there: 98 to 99.6 % needs the space that 10 % would take.
ERRORS_DRAWN = (0.01, 50)
ACCURACY_TICKS = [50, 60, 70, 80, 90, 95, 97, 98, 98.5, 99, 99.3, 99.5, 99.7, 99.8, 99.9, 99.95, 99.98]
DESK = (780, 450)  # the plotting area in pixels that labels are placed for


def hover(row: Row) -> str:
    """What is known of a design, for Plotly, which reads tags: what users typed is escaped."""
    units = {"num_parameters": "parameters", "num_macs": "MACs", "epochs": "epochs", "num_seeds": "seeds"}
    title = str(row.get("name") or row["architecture"])
    lines = [f"<b>{html.escape(title)}</b>"]
    for name, column in COLUMNS.items():
        if name in ("name", "seed", "seconds", "num_blocks", "head", "reason") or absent(row.get(name)):
            continue
        if row[name] == title:
            continue
        text = html.escape(written(row[name], column.kind))
        lines.append(f"{text} {units[name]}" if name in units else f"{column.heading}: {text}")
    return "<br>".join(lines)


def error_percent(accuracy: Any) -> Any:
    """Where accuracies, fractions, stand on the axis of errors, percent."""
    return np.clip(100 * (1 - np.asarray(accuracy, dtype=float)), *ERRORS_DRAWN)


def draw(
    figure: go.Figure, points: Sequence[Point], name: str, marker: Row, **options: Any
) -> list[tuple[float, float]]:
    """One trace of the points, with their intervals; where they are, log10 of (parameters, error)."""
    if not points:
        return []
    errors = error_percent([point.accuracy for point in points])
    if any(point.low is not None for point in points):
        low, high = (
            error_percent([np.nan if limit is None else limit for limit in limits])
            for limits in ([point.low for point in points], [point.high for point in points])
        )
        spans = [np.nan_to_num(span).tolist() for span in (low - errors, errors - high)]
        # Faint, as the interval of two seeds is wide, and marks are what is looked for.
        faint = f"rgba{(*hex_to_rgb(marker['color']), 0.45)}"
        bar = {"array": spans[0], "arrayminus": spans[1], "color": faint, "thickness": 1.5, "width": 3}
        options["error_y"] = bar
    sizes = [point.num_parameters for point in points]
    texts = [hover(point.about) for point in points]
    options = {"mode": "markers", "hoverinfo": "text", "hovertext": texts, "marker": marker, **options}
    # What a click on the page shows.
    options["customdata"] = [point.about["architecture"] for point in points]
    figure.add_scatter(x=sizes, y=errors.tolist(), name=name, **options)
    return [(float(x), float(y)) for x, y in zip(np.log10(sizes), np.log10(errors), strict=True)]


def draw_designs(
    figure: go.Figure, designs: Sequence[PlacedDesign]
) -> list[tuple[str, list[tuple[float, float]]]]:
    """Each design's mark joined to the paper's claim. Label, and where the marks are."""
    drawn = []
    legend = True
    for i, design in enumerate(designs):
        colour, symbol = DESIGN_MARKS[(i - 1) % len(DESIGN_MARKS)] if i else (VERMILLION, "star")
        outline, size = {"color": "#555555", "width": 1}, 12 if i else 20
        marker = {"color": colour, "symbol": symbol, "size": size, "line": outline}
        measured, claim = design.measured, design.claim
        if measured is not None and claim is not None:
            figure.add_scatter(
                x=[measured.num_parameters, claim.num_parameters],
                y=error_percent([measured.accuracy, claim.accuracy]).tolist(),
                mode="lines",
                line={"color": colour, "dash": "dot", "width": 2},
                hoverinfo="skip",
                showlegend=False,
                legendgroup="paper",
            )
        hollow = {**marker, "symbol": f"{symbol}-open", "line": {"width": 2}}
        options = {"showlegend": legend, "legendgroup": "paper"}
        claimed = draw(
            figure, [claim] if claim else [], "the paper's claim, test accuracy", hollow, **options
        )
        legend = legend and not claimed
        draw_gaps(figure, design, colour, designs[0].name)
        name = html.escape(design.name)
        own = draw(figure, [measured] if measured else [], name, marker, showlegend=False, meta="design")
        if places := own + claimed:
            drawn.append((design.name if i else f"{design.name}, {design.num_parameters:,}", places))
    return drawn


def draw_gaps(figure: go.Figure, design: PlacedDesign, colour: str, reference: str) -> None:
    """A design's gaps to the front: down its own size, and along its own accuracy, to 95 % intervals.

    The reference's are seen at once, those of the others by a click in the legend.
    """
    if design.measured is None:
        return
    size, here = design.measured.num_parameters, float(error_percent(design.measured.accuracy))
    is_reference = design.name == reference
    own = f"{html.escape(reference)}'s gaps"
    options: dict[str, Any] = {
        "name": f"{own} to the front, 95 % interval" if is_reference else "the other designs' gaps",
        "legendgroup": own if is_reference else "gaps",
        "visible": True if is_reference else "legendonly",
        "line": {"color": colour, "width": 1.5},
        "marker": {"color": colour, "size": 5, "symbol": "circle-open"},
        "hoverinfo": "skip",
    }
    shown = {trace.legendgroup for trace in figure.data if trace.showlegend is not False}
    if (gap := design.accuracy_gap) is not None:
        end, least, most = error_percent([gap.end, gap.high, gap.low])
        bar = {"type": "data", "array": [0, most - end], "arrayminus": [0, end - least], "thickness": 1.5}
        figure.add_scatter(
            x=[size, size],
            y=[here, end],
            error_y=bar,
            showlegend=options["legendgroup"] not in shown,
            **options,
        )
    if (gap := design.parameter_gap) is not None:
        largest = max(x for trace in figure.data for x in trace.x)  # stands for an interval without an end
        bar = {
            "type": "data",
            "array": [0, min(gap.high, max(largest, gap.end)) - gap.end],
            "arrayminus": [0, gap.end - gap.low],
            "thickness": 1.5,
        }
        figure.add_scatter(x=[size, gap.end], y=[here, here], error_x=bar, showlegend=False, **options)


def draw_candidates(
    figure: go.Figure, data: ParetoData
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """The trials, then the fronts as steps. Where the trials are, and where the fronts' members."""
    faint = {"color": GREY, "size": 6, "opacity": 0.6}
    dots = [
        *draw(figure, data.candidates, "candidate", faint),
        *draw(figure, data.stopped, "stopped early", {**faint, "symbol": "circle-open"}),
        *draw(figure, data.diverged, "diverged", {"color": GREY, "size": 8, "symbol": "x-thin-open"}),
    ]
    line = {"color": BLUE, "shape": "hv", "width": 2}
    steps = {"mode": "lines+markers", "line": line}
    mark = {"color": BLUE, "size": 7}
    if not (data.front or data.retrained):
        return dots, draw(figure, data.search_front, "front", mark, **steps)
    searched = {"mode": "lines", "line": {**line, "dash": "dot", "width": 1.5}}
    members = draw(figure, data.search_front, "front of the search, validation", {}, **searched)
    bar = {"color": GREY, "size": 8, "symbol": "line-ew-open", "line": {"width": 2}}
    dots += draw(figure, data.retrained, "re-trained, test accuracy, 95 % interval", bar)
    return dots, members + draw(figure, data.front, "front after re-training", mark, **steps)


def pareto_figure(data: ParetoData) -> go.Figure:
    """Parameters against accuracy. `layout.meta` holds what differs between a desk and a phone.

    A desk has the designs' names in place; on a phone, where they would cover each other, in the legend.
    """
    figure = go.Figure()
    dots, members = draw_candidates(figure, data)
    dots += members
    named = draw_designs(figure, data.designs)

    everything = np.array([*dots, *(place for _, places in named for place in places)] or [(2, 1), (6, 0)])
    low, high = everything.min(axis=0), everything.max(axis=0)
    pad = 0.07 * np.maximum(high - low, 0.3)
    low, high = low - pad * (1, 2), high + pad  # more above, for labels

    def pixels(spots: list[tuple[float, float]]) -> list[tuple[float, float]]:
        scaled = (np.array(spots).reshape(-1, 2) - low) / (high - low) * DESK
        return [(float(x), float(y)) for x, y in scaled]

    for left, right in pairwise(members):  # labels keep clear of the line too: it counts as many dots
        dots += [(float(x), left[1]) for x in np.linspace(left[0], right[0], 24)]
    texts = ["<br>".join(map(html.escape, textwrap.wrap(label, 24))) for label, _ in named]
    marks = [places[0] for _, places in named]
    others = [place for _, places in named for place in places[1:]]
    offsets = place_labels(texts, pixels(marks), pixels(others), pixels(dots), DESK)
    pointer = {"showarrow": True, "arrowhead": 0, "arrowwidth": 1, "arrowcolor": GREY, "standoff": 7}
    labels = [
        {"text": text, "x": x, "y": y, "ax": dx, "ay": dy, **pointer}
        for text, (x, y), (dx, dy) in zip(texts, marks, offsets, strict=True)
    ]
    decades = [10.0**k for k in range(int(np.floor(low[0])), int(np.ceil(high[0])) + 1)]
    ticks = [tick * decade for decade in decades for tick in ((1, 2, 5) if len(decades) < 6 else (1, 3))]
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemsizing": "constant"}
    desk = {"annotations": labels, "xaxis.tickvals": ticks, "legend": legend}
    phone = {
        "annotations": labels[:1],  # the reference's
        "xaxis.tickvals": decades if len(decades) > 3 else ticks,
        "legend": {**legend, "y": -0.2, "yanchor": "top"},
    }
    axis = {**AXIS, "type": "log", "ticks": "outside", "tickangle": 0}
    figure.update_layout(
        **LAYOUT,
        hovermode="closest",
        hoverlabel={"bgcolor": "#222222", "font": {"color": "#ffffff"}, "align": "left"},
        legend=legend,
        annotations=labels,
        xaxis={**axis, "title": {"text": "parameters (log scale)"}, "tickvals": ticks, "tickformat": ",d"},
        yaxis={
            **axis,
            "title": {"text": "accuracy (log scale of the error)", "standoff": 14},
            "tickvals": [round(100 - tick, 2) for tick in ACCURACY_TICKS],
            "ticktext": [f"{'≤ ' if tick == 50 else ''}{tick:g} %" for tick in ACCURACY_TICKS],
        },
        meta={"desk": desk, "phone": phone, "errors": ERRORS_DRAWN},
    )
    figure.update_xaxes(range=[low[0], high[0]]).update_yaxes(
        range=[high[1], low[1]]
    )  # accuracy grows upwards
    return figure

"""The Pareto plot: parameters against accuracy, the named designs in place beside the paper's claims."""

import html
import textwrap
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

from search.cells import Row, absent, rows, written
from search.execution.runs import RunState
from search.report.label_placement import place_labels
from search.tables import COLUMNS, Tables

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

NOT_IN_HOVER = {"name", "seed", "seconds", "num_blocks", "head", "reason", "verdict"}


def hover(row: Row) -> str:
    """What is known of a design, for Plotly, which reads tags: what users typed is escaped."""
    units = {"num_parameters": "parameters", "num_macs": "MACs", "epochs": "epochs", "num_seeds": "seeds"}
    title = str(row.get("name") or row["architecture"])
    lines = [f"<b>{html.escape(title)}</b>"]
    for name, column in COLUMNS.items():
        if name in ("name", "seed", "seconds", "num_blocks", "head", "reason", "verdict") or absent(
            row.get(name)
        ):
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
    figure: go.Figure, among: Iterable[Row], column: str, name: str, marker: Row, **options: Any
) -> list[tuple[float, float]]:
    """One trace of the rows that have a size and `column`; where they are, log10 of (parameters, error)."""
    shown = [row for row in among if row["num_parameters"] > 0 and not absent(row.get(column))]
    if not shown:
        return []
    errors = error_percent([row[column] for row in shown])
    if column == "test_accuracy_mean":
        low, high = (
            error_percent([row.get(end, np.nan) for row in shown])
            for end in ("test_accuracy_low", "test_accuracy_high")
        )
        spans = [np.nan_to_num(span).tolist() for span in (low - errors, errors - high)]
        # Faint, as the interval of two seeds is wide, and marks are what is looked for.
        faint = f"rgba{(*hex_to_rgb(marker['color']), 0.45)}"
        bar = {"array": spans[0], "arrayminus": spans[1], "color": faint, "thickness": 1.5, "width": 3}
        options["error_y"] = bar
    sizes = [row["num_parameters"] for row in shown]
    texts = [hover(row) for row in shown]
    options = {"mode": "markers", "hoverinfo": "text", "hovertext": texts, "marker": marker, **options}
    options["customdata"] = [row["architecture"] for row in shown]  # what a click on the page shows
    figure.add_scatter(x=sizes, y=errors.tolist(), name=name, **options)
    return [(float(x), float(y)) for x, y in zip(np.log10(sizes), np.log10(errors), strict=True)]


def draw_designs(
    figure: go.Figure, designs: list[dict[str, Any]], reference: str
) -> list[tuple[str, list[tuple[float, float]]]]:
    """Each design's mark joined to the paper's claim, the reference first. Label, and where the marks are.

    The mark stands at the mean test accuracy if the design was re-trained, with its gaps to the front.
    """
    drawn = []
    legend = True
    for i, row in enumerate(sorted(designs, key=lambda row: row["name"] != reference)):
        colour, symbol = DESIGN_MARKS[(i - 1) % len(DESIGN_MARKS)] if i else (VERMILLION, "star")
        outline, size = {"color": "#555555", "width": 1}, 12 if i else 20
        marker = {"color": colour, "symbol": symbol, "size": size, "line": outline}
        name = html.escape(row["name"])
        measure = "val_accuracy" if absent(row.get("test_accuracy_mean")) else "test_accuracy_mean"
        claim = {
            "name": f"{row['name']}, the paper's claim",
            "architecture": row["architecture"],
            "num_parameters": row["num_parameters"],
            "paper_accuracy": row["paper_accuracy"],
        }
        if not absent(row["paper_parameters"]):
            claim["num_parameters"] = row["paper_parameters"]
        if not absent(row[measure]) and not absent(row["paper_accuracy"]):
            figure.add_scatter(
                x=[row["num_parameters"], claim["num_parameters"]],
                y=error_percent([row[measure], row["paper_accuracy"]]).tolist(),
                mode="lines",
                line={"color": colour, "dash": "dot", "width": 2},
                hoverinfo="skip",
                showlegend=False,
                legendgroup="paper",
            )
        hollow = {**marker, "symbol": f"{symbol}-open", "line": {"width": 2}}
        options = {"showlegend": legend, "legendgroup": "paper"}
        claimed = draw(
            figure, [claim], "paper_accuracy", "the paper's claim, test accuracy", hollow, **options
        )
        legend = legend and not claimed
        draw_gaps(figure, row, colour, reference)
        places = draw(figure, [row], measure, name, marker, showlegend=False, meta="design") + claimed
        if places:
            drawn.append((row["name"] if i else f"{row['name']}, {int(row['num_parameters']):,}", places))
    return drawn


def draw_gaps(figure: go.Figure, row: Row, colour: str, reference: str) -> None:
    """A design's gaps to the front: down its own size, and along its own accuracy, to 95 % intervals.

    The reference's are seen at once, those of the others by a click in the legend.
    """
    if absent(row.get("parameter_ratio")):
        return
    size, accuracy = row["num_parameters"], row["test_accuracy_mean"]
    is_reference = row["name"] == reference
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
    if not absent(row["accuracy_reference"]):
        here, end, low, high = error_percent(
            accuracy - np.array([0, row["accuracy_gap"], row["accuracy_gap_low"], row["accuracy_gap_high"]])
        )
        bar = {"type": "data", "array": [0, high - end], "arrayminus": [0, end - low], "thickness": 1.5}
        figure.add_scatter(
            x=[size, size],
            y=[here, end],
            error_y=bar,
            showlegend=options["legendgroup"] not in shown,
            **options,
        )
    if not absent(row["parameter_reference"]):
        end, low, high = (size * row[f"parameter_ratio{limit}"] for limit in ("", "_low", "_high"))
        largest = max(x for trace in figure.data for x in trace.x)  # stands for an interval without an end
        bar = {
            "type": "data",
            "array": [0, min(high, max(largest, end)) - end],
            "arrayminus": [0, end - low],
            "thickness": 1.5,
        }
        figure.add_scatter(
            x=[size, end],
            y=[float(error_percent(accuracy))] * 2,
            error_x=bar,
            showlegend=False,
            **options,
        )


def pareto_figure(tables: Tables) -> go.Figure:
    """Parameters against accuracy. `layout.meta` holds what differs between a desk and a phone.

    A desk has the designs' names in place; on a phone, where they would cover each other, in the legend.
    """
    figure = go.Figure()
    trials = sorted(rows(tables.trials), key=lambda row: -np.nan_to_num(row["val_accuracy"]))
    dots: list[tuple[float, float]] = []
    for state, name, marker in [
        (RunState.COMPLETE, "candidate", {"color": GREY, "size": 6, "opacity": 0.6}),
        (
            RunState.PRUNED,
            "stopped early",
            {"color": GREY, "size": 6, "opacity": 0.6, "symbol": "circle-open"},
        ),
        (RunState.DIVERGED, "diverged", {"color": GREY, "size": 8, "symbol": "x-thin-open"}),
    ]:
        dots += draw(figure, (row for row in trials if row["state"] == state), "val_accuracy", name, marker)
    best_trial = {row["architecture"]: row for row in reversed(trials)}
    front = [{**best_trial.get(row["architecture"], {}), **row} for row in rows(tables.front)]
    front.sort(key=lambda row: row["num_parameters"])
    retrained = [row for row in trials if not absent(row.get("test_accuracy_mean"))]
    retrained.sort(key=lambda row: row["num_parameters"])
    line = {"color": BLUE, "shape": "hv", "width": 2}
    if retrained:
        searched = {"mode": "lines", "line": {**line, "dash": "dot", "width": 1.5}}
        steps_at = draw(figure, front, "val_accuracy", "front of the search, validation", {}, **searched)
        bar = {"color": GREY, "size": 8, "symbol": "line-ew-open", "line": {"width": 2}}
        best = [row for row in retrained if row.get("on_front_after_retraining") is True]
        rest = (row for row in retrained if row.get("on_front_after_retraining") is not True)
        dots += draw(figure, rest, "test_accuracy_mean", "re-trained, test accuracy, 95 % interval", bar)
        steps = {"mode": "lines+markers", "line": line}
        steps_at += draw(
            figure, best, "test_accuracy_mean", "front after re-training", {"color": BLUE, "size": 7}, **steps
        )
    else:
        steps = {"mode": "lines+markers", "line": line}
        steps_at = draw(figure, front, "val_accuracy", "front", {"color": BLUE, "size": 7}, **steps)
    dots += steps_at
    designs = rows(tables.designs)
    named = draw_designs(figure, designs, tables.reference.name)

    everything = np.array([*dots, *(place for _, places in named for place in places)] or [(2, 1), (6, 0)])
    low, high = everything.min(axis=0), everything.max(axis=0)
    pad = 0.07 * np.maximum(high - low, 0.3)
    low, high = low - pad * (1, 2), high + pad  # more above, for labels

    def pixels(spots: list[tuple[float, float]]) -> list[tuple[float, float]]:
        scaled = (np.array(spots).reshape(-1, 2) - low) / (high - low) * DESK
        return [(float(x), float(y)) for x, y in scaled]

    for left, right in pairwise(steps_at):  # labels keep clear of the line too: it counts as many dots
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

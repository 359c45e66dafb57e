"""The page's plots besides the Pareto plot: learning curves, what mattered, how the search went."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from search.cells import Row, interval, percent, rows
from search.execution.runs import RunState
from search.report.history import Bar, Progress
from search.report.importance import Importance
from search.report.style import AXIS, BLUE, GREY, LAYOUT, VERMILLION, accuracy_axis, error_percent
from search.tables import Tables

LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemsizing": "constant"}
NUM_INTERVALS = 400  # of a search's time, where its trials are counted
ORANGE, BLACK = "#E69F00", "#555555"
STATES = {  # of a trial: what the legend says, colour and hatching
    RunState.COMPLETE: ("trained to its end", BLUE, ""),
    RunState.PRUNED: ("stopped early", ORANGE, "/"),
    RunState.DIVERGED: ("diverged", VERMILLION, "x"),
    RunState.FAILED: ("failed", BLACK, "."),
}


@dataclass(frozen=True)
class Curve:
    """Validation accuracy of one run after each of its epochs, fractions."""

    architecture: str
    epochs: tuple[int, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class Learning:
    """The learning curves that are shown."""

    stopped: tuple[Curve, ...]  # early
    on_front: tuple[Curve, ...]  # of the search, the reference left out
    reference: tuple[Curve, ...]  # of its trials
    reference_name: str


def learning(tables: Tables) -> Learning | None:
    """The curves of the search's front, the reference, and what was stopped; None without curves.csv."""
    if tables.curves.empty:
        return None
    curves = {int(own["trial"].iloc[0]): own for _, own in tables.curves.groupby("trial")}
    reference = tables.reference
    front = set(tables.front["architecture"]) - {reference.architecture}

    def chosen(are_wanted: Callable[[Row], bool]) -> tuple[Curve, ...]:
        return tuple(
            Curve(
                str(row["architecture"]),
                tuple(curves[row["trial"]]["epoch"].astype(int)),
                tuple(curves[row["trial"]]["val_accuracy"]),
            )
            for row in rows(tables.trials)
            if row["trial"] in curves and are_wanted(row)
        )

    return Learning(
        chosen(lambda row: row["state"] == RunState.PRUNED),
        chosen(lambda row: row["state"] == RunState.COMPLETE and row["architecture"] in front),
        chosen(lambda row: row["architecture"] == reference.architecture),
        reference.name,
    )


def learning_figure(shown: Learning) -> go.Figure:
    """Validation accuracy after each epoch: the search's front, the reference, and what was stopped."""
    stopped = {"color": GREY, "width": 1, "dash": "dot"}
    marks = {"color": GREY, "size": 5, "symbol": "x-thin-open"}
    star = {"color": VERMILLION, "size": 10, "symbol": "star"}
    blue = {"color": BLUE, "width": 1.5}
    figure = go.Figure()
    _add_curves(figure, "stopped early", shown.stopped, stopped, marks)
    _add_curves(figure, "on the search's front", shown.on_front, blue, {"color": BLUE, "size": 4})
    name = html.escape(shown.reference_name)
    _add_curves(figure, name, shown.reference, {"color": VERMILLION, "width": 2.5}, star)
    last = max(epoch for trace in figure.data for epoch in trace.x if epoch) if figure.data else 0
    figure.update_layout(
        **LAYOUT,
        hovermode="closest",
        legend=LEGEND,
        xaxis={
            **AXIS,
            "title": {"text": "epoch"},
            "dtick": 1 if last <= 20 else None,
        },
        yaxis=accuracy_axis("validation accuracy"),
    )
    return figure


def _add_curves(figure: go.Figure, name: str, curves: Sequence[Curve], line: Row, marker: Row) -> None:
    """One trace for all these curves, gaps between them."""
    if not curves:
        return
    epochs: list[float | None] = []
    errors: list[float | None] = []
    texts: list[str] = []
    for curve in curves:
        epochs += [*curve.epochs, None]
        errors += [*np.round(error_percent(curve.accuracies), 4).tolist(), None]
        label = html.escape(curve.architecture)
        texts += [f"{label}<br>{percent(accuracy)}" for accuracy in curve.accuracies] + [""]
    figure.add_scatter(
        x=epochs,
        y=errors,
        name=f"{name} ({len(curves)})" if len(curves) > 1 else name,
        mode="lines+markers",
        line=dict(line),
        marker=dict(marker),
        hoverinfo="text",
        hovertext=texts,
    )


def importance_figure(found: Importance) -> go.Figure:
    """A bar for each parameter's share, with its 95 % interval, the most important at the top."""
    effects = found.effects[::-1]
    shares = [100 * effect.share for effect in effects]
    figure = go.Figure(
        go.Bar(
            x=shares,
            y=[effect.dimension.title for effect in effects],
            orientation="h",
            marker={"color": BLUE},
            error_x={
                "type": "data",
                "array": [100 * effect.high - share for effect, share in zip(effects, shares, strict=True)],
                "arrayminus": [
                    share - 100 * effect.low for effect, share in zip(effects, shares, strict=True)
                ],
                "color": GREY,
                "thickness": 2,
            },
            hoverinfo="text",
            hovertext=[
                f"{effect.dimension.title}: {100 * effect.share:.0f} %, 95 % interval "
                f"{interval(effect.low, effect.high, digits=0)} %"
                for effect in effects
            ],
        )
    )
    axis = {**AXIS, "title": {"text": "share of the variance of the log error"}, "ticksuffix": " %"}
    figure.update_layout(**LAYOUT, xaxis={**axis, "rangemode": "tozero"}, yaxis={**AXIS, "showgrid": False})
    return figure


def progress_figure(course: Progress) -> go.Figure:
    """Hypervolume over trials: where it grows, and the last."""
    volumes = course.hypervolumes
    last = len(volumes)
    shown = [n for n in range(1, last + 1) if n in (1, last) or volumes[n - 1] != volumes[n - 2]]
    figure = go.Figure()
    figure.add_scatter(
        x=shown,
        y=[round(volumes[n - 1], 5) for n in shown],
        mode="lines",
        line={"color": BLUE, "width": 2.5, "shape": "hv"},
        name="this search",
        hovertemplate="%{x} trials: %{y:.4f}<extra></extra>",
    )
    figure.update_layout(
        **LAYOUT,
        legend=LEGEND,
        xaxis={**AXIS, "title": {"text": "trials"}, "range": [0, 1.02 * last]},
        yaxis={**AXIS, "title": {"text": "hypervolume of the front"}},
    )
    return figure


def timeline_figure(bars: Sequence[Bar], pauses: Sequence[tuple[float, float]]) -> go.Figure:
    """What each slot trained when, minutes; a dashed line where a pause was cut out."""
    figure = go.Figure()
    for state, (name, colour, pattern) in STATES.items():
        own = [bar for bar in bars if bar.trial["state"] == state]
        if not own:
            continue
        figure.add_bar(
            base=[round(bar.start / 60, 3) for bar in own],
            x=[round((bar.end - bar.start) / 60, 3) for bar in own],
            y=[f"slot {bar.slot + 1}" for bar in own],
            orientation="h",
            name=name,
            marker={
                "color": colour,
                "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": "#ffffff", "size": 6},
                "line": {"color": "#ffffff", "width": 0.5},
            },
            hoverinfo="text",
            hovertext=[
                f"trial {int(bar.trial['trial'])}: {html.escape(str(bar.trial['architecture']))}<br>"
                f"{bar.end - bar.start:.0f} seconds"
                for bar in own
            ],
        )
    _draw_pauses(figure, pauses)
    figure.update_layout(
        **LAYOUT,
        barmode="overlay",
        legend=LEGEND,
        xaxis=_minutes(pauses),
        yaxis={**AXIS, "showgrid": False, "autorange": "reversed", "categoryorder": "category ascending"},
    )
    return figure


def crowd_figure(bars: Sequence[Bar], pauses: Sequence[tuple[float, float]]) -> go.Figure:
    """How many trials trained at a time, mean over each of NUM_INTERVALS: of more than bars can show."""
    starts, ends = np.array([bar.start for bar in bars]), np.array([bar.end for bar in bars])
    edges = np.linspace(0, ends.max(), NUM_INTERVALS + 1)
    seconds = np.array([np.clip(edge - starts, 0, ends - starts).sum() for edge in edges])  # so far
    at_a_time = np.diff(seconds) / np.diff(edges)
    figure = go.Figure()
    figure.add_scatter(
        x=(edges / 60).round(3).tolist(),
        y=[*at_a_time.round(2).tolist(), None],
        mode="lines",
        line={"color": BLUE, "width": 1.5, "shape": "hv"},
        hovertemplate="%{x} minutes: %{y} trials<extra></extra>",
    )
    _draw_pauses(figure, pauses)
    axis = {**AXIS, "title": {"text": "trials in training"}, "rangemode": "tozero"}
    figure.update_layout(**LAYOUT, xaxis=_minutes(pauses), yaxis=axis)
    return figure


def _draw_pauses(figure: go.Figure, pauses: Sequence[tuple[float, float]]) -> None:
    for at, seconds in pauses:
        figure.add_vline(
            x=at / 60,
            line={"color": GREY, "dash": "dash"},
            annotation={"text": f"{seconds / 60:,.0f} min paused", "textangle": -90, "font": {"size": 11}},
        )


def _minutes(pauses: Sequence[tuple[float, float]]) -> Row:
    return {**AXIS, "title": {"text": "minutes, pauses cut out" if pauses else "minutes"}}

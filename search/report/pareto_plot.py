"""The Pareto plot: the front with its range, the reference on it or below it, other designs beside them."""

import html
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lightcnn.errors import UserError
from search.report.label_placement import place_labels
from search.report.pareto_data import COSTS, ParetoData, pareto_data
from search.report.pareto_marks import (
    Labels,
    Places,
    draw,
    draw_designs,
    draw_front,
    draw_placed,
    draw_single_runs,
    label_of,
    lines_of,
)
from search.report.style import (
    AXIS,
    BLUE,
    ERRORS_DRAWN,
    GREEN,
    GREY,
    LAYOUT,
    ORANGE,
    PURPLE,
    VERMILLION,
    accuracy_axis,
    error_percent,
)
from search.tables import Tables

DESK = (700, 370)  # the plotting area in pixels that labels are placed for
CUT = 5  # times the reference's errors: what errs more often is an arrow at the lower edge
OTHER_STUDIES = ((GREEN, "dash"), (ORANGE, "dashdot"), (VERMILLION, "dot"))


def pareto_figure(tables: Tables, *others: Tables, x: str = "num_parameters") -> go.Figure:
    """The figure of a study: its front after re-training, the reference, and other designs.

    Args:
        others: studies whose fronts and placed designs are drawn as well.
        x: the cost on the x axis, a key of `COSTS`: num_parameters, num_macs or peak_activation_bytes.

    Raises:
        UserError: there is no such cost, or there are more others than a plot has room for.
    """
    if x not in COSTS:
        raise UserError(f"x must be one of {', '.join(COSTS)}, but got {x!r}")
    if len(others) > len(OTHER_STUDIES):
        raise UserError(f"a plot has room for {len(OTHER_STUDIES)} other studies, but got {len(others)}")
    return draw_pareto(pareto_data(tables, x), [pareto_data(other, x) for other in others])


def draw_pareto(data: ParetoData, others: Sequence[ParetoData] = ()) -> go.Figure:
    """Accuracy against a cost. `layout.meta` holds what differs between a desk and a phone.

    A desk has the designs' names in place; on a phone, where they would cover each other, the reference's.

    Args:
        others: studies whose fronts and placed designs are drawn as well.
    """
    figure = go.Figure()
    members: list[Places] = []
    placed: Labels = []
    for other, (colour, dash) in zip(others, OTHER_STUDIES, strict=False):
        members.append(draw_front(figure, other, colour, dash, f"front of {html.escape(other.study)}"))
        if other.is_retrained == data.is_retrained:
            placed += draw_placed(figure, other, colour, is_named=not members[-1])
    name = "front after re-training" if data.is_retrained else "front of single runs"
    members.append(draw_front(figure, data, BLUE, "solid", name))
    draw_single_runs(figure, data)
    cross = {"color": PURPLE, "size": 7, "symbol": "x-thin", "line": {"color": PURPLE, "width": 2}}
    published = draw(figure, data.published, "published by others", cross)
    front = [place for places in members for place in places]

    measured = [design.measured for design in data.designs[:1] if design.measured is not None]
    errors = [float(error_percent(point.accuracy)) for point in [*measured, *data.front[-1:]]]
    most = min(CUT * errors[0], ERRORS_DRAWN[1]) if errors else ERRORS_DRAWN[1]
    named = draw_designs(figure, data.designs, most) + placed
    named += [
        (label_of(data.challenger, point.cost), place)
        for point, place in zip(data.front, members[-1], strict=True)
        if point.about["architecture"] == data.challenger
    ]
    if published:
        named.append(("published by others", min(published, key=lambda place: place[1])))
    if others:
        studies = [other.study for other in [*others[: len(OTHER_STUDIES)], data]]
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
    texts = ["<br>".join(lines_of(label)) for label, _ in named]
    offsets = place_labels(texts, pixels(marks), [], pixels(dots), DESK)
    pointer = {"showarrow": True, "arrowhead": 0, "arrowwidth": 1, "arrowcolor": GREY, "standoff": 7}
    labels = [
        {"text": text, "x": x, "y": y, "ax": dx, "ay": dy, **pointer}
        for text, (x, y), (dx, dy) in zip(texts, marks, offsets, strict=True)
    ]
    _lay_out(figure, data, low, high, labels)
    return figure


def _lay_out(figure: go.Figure, data: ParetoData, low: Any, high: Any, labels: list[dict[str, Any]]) -> None:
    decades = [10.0**k for k in range(int(np.floor(low[0])), int(np.ceil(high[0])) + 1)]
    ticks = [tick * decade for decade in decades for tick in ((1, 2, 5) if len(decades) < 6 else (1, 3))]
    title = {"font": {"size": 16}, "x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yanchor": "bottom"}
    title |= {"yref": "paper", "pad": {"b": 14}}

    def wrapped(width: int) -> dict[str, Any]:
        return title | {"text": "<br>".join(lines_of(data.title, width))}

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

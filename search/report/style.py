"""What all plots look like, and the axis of accuracy, which is logarithmic in the error."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

# The colours are Okabe and Ito's; they differ in lightness, so that the plots hold in grey.
GREY, BLUE, VERMILLION = "#888888", "#0072B2", "#D55E00"
GREEN, PURPLE, ORANGE = "#009E73", "#CC79A7", "#E69F00"
# Of every plot: transparent and grey, so that it can be read on a light page and on a dark one.
LAYOUT = {
    "template": go.layout.Template(),
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": GREY, "size": 12, "family": "system-ui, sans-serif"},
    "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
}
AXIS = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "automargin": True}
# A flawless run is drawn at the first figure, percent, as log 0 is nowhere; a run worse than the second is
# drawn there: 98 to 99.6 % needs the space that 10 % would take.
ERRORS_DRAWN = (0.01, 50)
ACCURACY_TICKS = [50, 60, 70, 80, 90, 95, 97, 98, 98.5, 99, 99.3, 99.5, 99.7, 99.8, 99.9, 99.95, 99.98]


def error_percent(accuracy: Any) -> Any:
    """Where accuracies, fractions, stand on the axis of errors, percent."""
    return np.clip(100 * (1 - np.asarray(accuracy, dtype=float)), *ERRORS_DRAWN)


def accuracy_axis(title: str) -> dict[str, Any]:
    """The axis of errors, percent, on which accuracy grows upwards."""
    return {
        **AXIS,
        "type": "log",
        "autorange": "reversed",
        "title": {"text": f"{title} (log scale of the error)", "standoff": 14},
        "tickvals": [round(100 - tick, 2) for tick in ACCURACY_TICKS],
        "ticktext": [f"{'≤ ' if tick == 50 else ''}{tick:g} %" for tick in ACCURACY_TICKS],
    }

"""The Pareto plot as report.png and report.svg, for a README or slides; needs kaleido and a browser.

On request only: a picture takes seconds and another program, the page takes neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from lightcnn.errors import Failure
from search.report.pareto_plot import pareto_figure
from search.storage import write_whole
from search.tables import Tables

SIZE = {"width": 830, "height": 520}  # pixels, as a README on the web is wide; the .png has twice as many
INK = "#1d2126"


def write_pictures(folder: Path, tables: Tables, others: Sequence[Tables], cost: str) -> list[Path]:
    """Write `folder`/report.png and report.svg.

    Args:
        others: studies whose fronts and placed designs are drawn as well.
        cost: on the x axis, a key of `COSTS`.

    Raises:
        Failure: kaleido, or a browser for it, is not installed.
    """
    images = pictures_of(pareto_figure(tables, *others, x=cost), ("png", "svg"))
    paths = []
    for kind, image in images.items():
        paths.append(folder / f"report.{kind}")
        write_whole(paths[-1], image)
    return paths


def pictures_of(figure: go.Figure, kinds: Sequence[str]) -> dict[str, bytes]:
    """The figure on white, as a file of each of the kinds; it is changed.

    Raises:
        Failure: kaleido, or a browser for it, is not installed.
    """
    figure.update_layout(
        paper_bgcolor="#ffffff",
        plot_bgcolor="#ffffff",
        font_color=INK,
    )
    figure.update_annotations(font_color=INK, bgcolor="rgba(255,255,255,0.7)", borderpad=0)
    try:
        return {kind: figure.to_image(kind, scale=2, **SIZE) for kind in kinds}
    except (ValueError, RuntimeError) as error:  # Plotly's, without kaleido; kaleido's, without a browser
        raise Failure(
            "pictures need kaleido and an installed Chrome or Chromium "
            f"(pip install 'lightcnn-search[pictures]', BROWSER_PATH): {str(error).strip().splitlines()[0]}"
        ) from None

"""The Pareto plot as report.png and report.svg, for a README or slides; needs kaleido and a browser.

On request only: a picture takes seconds and another program, the page takes neither.
"""

from __future__ import annotations

from pathlib import Path

from lightcnn.errors import Failure
from search.report.pareto_data import pareto_data
from search.report.pareto_plot import pareto_figure
from search.storage import write_whole
from search.tables import Tables

SIZE = {"width": 1100, "height": 680}  # pixels; the .png has twice as many each way
INK = "#1d2126"


def write_pictures(folder: Path, tables: Tables) -> list[Path]:
    """Write `folder`/report.png and report.svg.

    Raises:
        Failure: kaleido, or a browser for it, is not installed.
    """
    figure = pareto_figure(pareto_data(tables))
    figure.update_layout(
        paper_bgcolor="#ffffff",
        plot_bgcolor="#ffffff",
        font_color=INK,
        margin={"l": 20, "r": 20, "t": 20, "b": 20},
    )
    figure.update_annotations(font_color=INK, bgcolor="rgba(255,255,255,0.7)", borderpad=0)
    try:
        images = {kind: figure.to_image(kind, scale=2, **SIZE) for kind in ("png", "svg")}
    except (ValueError, RuntimeError) as error:  # Plotly's, without kaleido; kaleido's, without a browser
        raise Failure(
            "report.png and report.svg need kaleido and an installed Chrome or Chromium "
            f"(pip install 'lightcnn-search[pictures]', BROWSER_PATH): {str(error).strip().splitlines()[0]}"
        ) from None
    paths = []
    for kind, image in images.items():
        paths.append(folder / f"report.{kind}")
        write_whole(paths[-1], image)
    return paths

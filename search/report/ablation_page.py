"""An ablation's page: its question, the findings in words, single seeds in a plot, and the tables."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from search.ablation import read_ablation
from search.cells import absent, interval, percent, rows
from search.report.html import how_it_was_made, html_plot, html_table, render
from search.report.style import AXIS, BLUE, GREY, LAYOUT, VERMILLION, error_percent
from search.report.verdict import reached
from search.settings import AblationSettings, read
from search.statistics import SIGNIFICANT
from search.storage import SETTINGS, write_whole
from search.tables import TEST_READINGS


def findings(summary: pd.DataFrame) -> list[str]:
    """A sentence for each arm, written from the figures; the first line of `summary` is the baseline."""
    baseline, *variants = rows(summary)
    size = int(baseline["num_parameters"])
    sentences = [f"{baseline['arm']} ({size:,} parameters) reaches {reached(baseline)}."]
    for row in variants:
        ratio = row["num_parameters"] / size
        sized = "as many" if abs(ratio - 1) <= 0.03 else f"{ratio:.2g} times the"
        text = f"{row['arm']} ({int(row['num_parameters']):,}, {sized} parameters) reaches {reached(row)}"
        if absent(row["difference"]):
            sentences.append(f"{text}; there is nothing to compare.")
            continue
        gap = (
            f"{abs(100 * row['difference']):.2f} points {'more' if row['difference'] > 0 else 'less'} "
            f"(95 % interval {interval(row['difference_low'], row['difference_high'], '+')}, "
            f"p = {row['p_holm']:.2g} after Holm's correction)"
        )
        significant = row["p_holm"] < SIGNIFICANT
        sentences.append(
            f"{text}, {gap}"
            + ("." if significant else ", statistically indistinguishable from no difference.")
        )
    return sentences


def verdict_of(summary: pd.DataFrame) -> str:
    """How many variants differ significantly from the baseline, in one sentence."""
    baseline, *variants = rows(summary)
    compared = [row for row in variants if not absent(row["difference"])]
    if not compared:
        return f"No variant can be compared with {baseline['arm']}."
    apart = [row["difference"] for row in compared if row["p_holm"] < SIGNIFICANT]
    more, less = sum(it > 0 for it in apart), sum(it < 0 for it in apart)
    return (
        f"Of {len(compared)} variants {more} {'is' if more == 1 else 'are'} more accurate than "
        f"{baseline['arm']}, {less} less, and {len(compared) - more - less} "
        f"{'does' if len(compared) - more - less == 1 else 'do'} not differ significantly from it."
    )


def count_of(claims: pd.DataFrame) -> str:
    """How many of the claims hold."""
    words = [str(verdict).partition(":")[0] for verdict in claims["verdict"]]
    of_each = {word: sum(it.startswith(word) for it in words) for word in ("holds", "fails", "undecided")}
    return (
        f"Of {len(words)} claims {of_each['holds']} hold, {of_each['fails']} fail, "
        f"and {of_each['undecided']} are undecided."
    )


@dataclass(frozen=True)
class ArmSeeds:
    """An arm's test accuracies, fractions."""

    name: str
    architecture: str
    seeds: dict[int, float]
    mean: float
    low: float  # of the mean's 95 % interval; NaN with a single seed
    high: float


def arm_seeds(summary: pd.DataFrame, runs: pd.DataFrame) -> list[ArmSeeds]:
    """The arms in the order of `summary`, the baseline first, each with its runs."""
    means = [f"test_accuracy_{end}" for end in ("mean", "low", "high")]
    return [
        ArmSeeds(
            str(arm["arm"]),
            str(arm["architecture"]),
            {int(run["seed"]): run["test_accuracy"] for run in rows(runs[runs["arm"] == arm["arm"]])},
            *(float(arm[name]) for name in means),
        )
        for arm in rows(summary)
    ]


def seeds_figure(arms: Sequence[ArmSeeds]) -> go.Figure:
    """Test accuracy of each run, arm by arm, with the arm's mean and its interval."""
    figure = go.Figure()
    for i, arm in enumerate(arms):
        label = html.escape(arm.name)
        figure.add_scatter(
            x=error_percent([*arm.seeds.values()]).tolist(),
            y=[label] * len(arm.seeds),
            mode="markers",
            marker={"color": GREY, "size": 7, "opacity": 0.7},
            name="one seed",
            showlegend=i == 0,
            hoverinfo="text",
            hovertext=[f"seed {seed}: {percent(accuracy)}" for seed, accuracy in arm.seeds.items()],
        )
        mean, low, high = (float(error_percent(it)) for it in (arm.mean, arm.low, arm.high))
        figure.add_scatter(
            x=[mean],
            y=[label],
            error_x={"type": "data", "array": [low - mean], "arrayminus": [mean - high], "thickness": 2},
            mode="markers",
            marker={"color": VERMILLION if i == 0 else BLUE, "size": 11, "symbol": "diamond"},
            name="baseline: mean and 95 % interval" if i == 0 else "variant: mean and 95 % interval",
            showlegend=i < 2,
            hoverinfo="text",
            hovertext=[f"{label}<br>{arm.architecture}<br>mean {percent(arm.mean)}"],
        )
    ticks = [50, 70, 80, 90, 95, 97, 98, 98.5, 98.8, 99, 99.2, 99.4, 99.6]
    figure.update_layout(
        **LAYOUT,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        yaxis={**AXIS, "autorange": "reversed"},
        xaxis={
            **AXIS,
            "type": "log",
            "autorange": "reversed",
            "title": {"text": "test accuracy (log scale of the error)"},
            "tickvals": [round(100 - tick, 2) for tick in ticks],
            "ticktext": [f"{tick:g} %" for tick in ticks],
        },
    )
    return figure


def write_ablation_report(folder: Path, embed: bool = False) -> Path:
    """Write `folder`/report.html from runs.csv, summary.csv, settings.json and, if there, claims.csv.

    Args:
        embed: whether the page holds Plotly, so that it can be sent by itself.

    Raises:
        UserError: a file is missing or was damaged by hand.
    """
    tables = read_ablation(folder)
    runs, summary, claims = tables.runs, tables.summary, tables.claims
    file = read(folder / SETTINGS, AblationSettings)
    title, text = _question(folder, file.about)
    about = {key: value for key, value in file.about.items() if key not in ("question", "text")}
    page = render(
        "ablation.html.j2",
        folder,
        embed,
        title=title,
        paragraphs=[" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()],
        verdict=verdict_of(summary),
        findings=findings(summary),
        count=None if claims.empty else count_of(claims),
        claims=rows(claims),
        figure=html_plot(seeds_figure(arm_seeds(summary, runs)), "seeds"),
        summary=html_table(summary, "arm"),
        runs=html_table(runs, "arm"),
        readings=html_table(TEST_READINGS.read_if_there(folder), "read_at"),
        settings=how_it_was_made(file.settings, about),
    )
    target = folder / "report.html"
    write_whole(target, page)
    return target


def _question(folder: Path, about: Mapping[str, Any]) -> tuple[str, str]:
    """The study's question, and what is expected and why, paragraphs separated by empty lines.

    An earlier version did not record them: then they are the docstring of the study file of the folder's
    name, or that name alone.
    """
    if "question" in about:
        return str(about["question"]), str(about.get("text", ""))
    name = folder.resolve().name
    try:
        doc = import_module(f"studies.{name}").__doc__ if name.isidentifier() else None
    except ImportError:
        doc = None
    question, _, text = (doc or name).partition("\n")
    return question, text

"""What each part of the page shows, in words; for those who cannot see the plots as well."""

from __future__ import annotations

from collections.abc import Sequence

from lightcnn.data import DATASETS
from search.cells import absent, percent, rows, written
from search.execution.runs import RunState
from search.report.history import Bar, Progress
from search.report.importance import Importance
from search.tables import Tables


def what_this_is(tables: Tables) -> str:
    """For those who have never seen the tool."""
    dataset = tables.settings.data.dataset if tables.settings else None
    data = DATASETS[dataset].title if dataset in DATASETS else "images"
    size = int(tables.reference_row["num_parameters"])
    return (
        f"{len(tables.trials):,} small convolutional networks were trained on {data}. Which are worth their "
        f"size, and where does {tables.reference.name}, the reference design of {size:,} parameters, "
        "stand among them? The front is the networks that no other beats in both accuracy and size."
    )


def readings(tables: Tables) -> str:
    """Whether the test set was read."""
    times = list(tables.test_readings["read_at"])
    if times:
        many = "once" if len(times) == 1 else f"{len(times)} times"
        return f"The test set was read {many}: {' and '.join(times)}."
    if any(not absent(row.get("test_accuracy_mean")) for row in rows(tables.designs)):
        return "The test set was read; when is not recorded."
    return "The test set was not read."


def learning(tables: Tables) -> str:
    """Where the front's curves and those of the stopped ended."""
    whole = int(tables.curves["epoch"].max())
    ends = tables.front["val_accuracy"].dropna()
    text = (
        f"{len(ends)} networks on the search's front were trained for {whole} epochs and ended between "
        f"{percent(ends.min())} and {percent(ends.max())}."
        if len(ends)
        else "No network is on the front yet."
    )
    stopped = tables.trials[tables.trials["state"] == RunState.PRUNED]
    if stopped.empty:
        return f"{text} None was stopped early."
    ended = stopped["epochs"]
    counts = ", ".join(f"{(ended == epoch).sum()} after epoch {epoch:.0f}" for epoch in sorted(set(ended)))
    return f"{text} {len(stopped)} {'was' if len(stopped) == 1 else 'were'} stopped early: {counts}."


def what_mattered(found: Importance) -> str:
    """The most important parameter, and how far to trust that."""
    first, second, *_ = found.effects
    apart = first.low > second.high
    text = f"The {first.dimension.title} mattered most"
    text += "." if apart else f", though its interval overlaps that of the {second.dimension.title}."
    return (
        f"{text} A model fitted to half of the {found.num_trials} trials explains "
        f"{100 * max(found.explained, 0):.0f} % of the variance of the other half"
        + (", too little to rely on." if found.explained < 0.3 else ".")
    )


def progress(course: Progress) -> str:
    """What the search had found when, and how that compares with random searches."""
    final = course.hypervolumes[-1]
    soon = next(n for n, volume in enumerate(course.hypervolumes, start=1) if volume >= 0.95 * final)
    num_trials = len(course.hypervolumes)
    text = f"After {soon} of {num_trials} trials the search had 95 % of the hypervolume that it has now."
    if course.random is None:
        return (
            f"{text} No random searches stand beside it: they are replayed only for MNIST, with the "
            "epochs, images and initial weights of LightCNN-Bench."
        )
    band = course.random
    reached = [i for i, n in enumerate(band.num_trials) if n <= num_trials]
    if not reached:
        return f"{text} Random searches were replayed from {int(band.num_trials[0])} trials on."
    at = reached[-1]
    trials = int(band.num_trials[at])
    own, low, high = course.hypervolumes[trials - 1], band.low[at], band.high[at]
    where = "above" if own > high else "below" if own < low else "within"
    return (
        f"{text} At {trials} trials it has {own:.4f}, {where} the {low:.4f} to {high:.4f} of 95 % of "
        f"{band.num_searches} random searches. These had only a coarser grid of networks to choose from, "
        "so that to be above them is no merit of the sampler alone."
    )


def time(bars: Sequence[Bar], pauses: Sequence[tuple[float, float]]) -> str:
    """How long the trials took on how many slots."""
    slots = max(bar.slot for bar in bars) + 1
    last = max(bar.end for bar in bars)
    busy = sum(bar.end - bar.start for bar in bars) / (slots * last) if last else 0.0
    text = (
        f"{len(bars)} trials trained for {written(last / 60, 'number')} minutes on {slots} "
        f"slot{'s' if slots > 1 else ''}, which were busy {100 * busy:.0f} % of that time."
    )
    if not pauses:
        return text
    return f"{text} {len(pauses)} pause{'s' if len(pauses) > 1 else ''} of the search in between are cut out."

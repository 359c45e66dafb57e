"""What each part of the page shows, in words; for those who cannot see the plots as well."""

from __future__ import annotations

from collections.abc import Sequence

from lightcnn.data import DATASETS
from search.cells import absent, counted, percent, rows, written
from search.execution.runs import RunState
from search.report.history import Bar, Progress
from search.report.importance import Importance
from search.tables import Tables


def what_this_is(tables: Tables) -> str:
    """For those who have never seen the tool."""
    dataset = tables.settings.data.dataset if tables.settings else None
    data = DATASETS[dataset].title if dataset in DATASETS else "images"
    size = int(tables.reference_row["num_parameters"])
    num_trained = int((tables.trials["state"] != RunState.FAILED).sum())
    networks = counted(num_trained, "small convolutional network")
    return (
        f"{networks} {_were(num_trained)} trained on {data}. Which are worth their "
        f"size, and where does {tables.reference.name}, the reference design of {size:,} parameters, "
        "stand among them? The front is the networks that no other beats in both accuracy and size."
    )


def readings(tables: Tables) -> str:
    """Whether the test set was read, by the study and afterwards to measure exports."""
    lines = rows(tables.test_readings)
    times = [line["read_at"] for line in lines if absent(line.get("exported"))]
    if times:
        text = f"The study read the test set {_times(len(times))}: {' and '.join(times)}."
        exports = len(lines) - len(times)
        return text + (
            f" Files made of its networks were measured on it {_times(exports)}." if exports else ""
        )
    if any(not absent(row.get("test_accuracy_mean")) for row in rows(tables.designs)):
        return "The test set was read; when is not recorded."
    return "The test set was not read."


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def learning(tables: Tables) -> str:
    """Where the front's curves and those of the stopped ended."""
    whole = int(tables.curves["epoch"].max())
    ends = tables.front["val_accuracy"].dropna()
    if ends.empty:
        text = "No network is on the front yet."
    else:
        low, high = percent(ends.min()), percent(ends.max())
        text = (
            f"{counted(len(ends), 'network')} on the search's front {_were(len(ends))} trained for "
            f"{counted(whole, 'epoch')} and ended "
            + (f"at {high}." if len(ends) == 1 else f"between {low} and {high}.")
        )
    stopped = tables.trials[tables.trials["state"] == RunState.PRUNED]
    if stopped.empty:
        return f"{text} None was stopped early."
    ended = stopped["epochs"]
    counts = ", ".join(f"{(ended == epoch).sum()} after epoch {epoch:.0f}" for epoch in sorted(set(ended)))
    return f"{text} {len(stopped)} {_were(len(stopped))} stopped early: {counts}."


def what_mattered(found: Importance) -> str:
    """The most important parameter, and how far to trust that."""
    first, second, *_ = found.effects
    apart = first.low > second.high
    low, high = (f"{size:,.0f}" for size in found.sizes)
    text = f"Among candidates of {low} to {high} parameters the {first.dimension.title} mattered most"
    text += "." if apart else f", though its interval overlaps that of the {second.dimension.title}."
    return (
        f"{text} A model fitted to half of the {found.num_trials} trials explains "
        f"{100 * max(found.explained, 0):.0f} % of the variance of the other half"
        + (", too little to rely on." if found.explained < 0.3 else ".")
    )


def progress(course: Progress) -> str:
    """What the search had found when."""
    final = course.hypervolumes[-1]
    soon = next(n for n, volume in enumerate(course.hypervolumes, start=1) if volume >= 0.95 * final)
    trials = counted(len(course.hypervolumes), "trial")
    return f"After {soon} of {trials} the search had 95 % of the hypervolume that it has now."


def time(bars: Sequence[Bar], pauses: Sequence[tuple[float, float]]) -> str:
    """How long the trials took on how many slots."""
    slots = max(bar.slot for bar in bars) + 1
    last = max(bar.end for bar in bars)
    busy = sum(bar.end - bar.start for bar in bars) / (slots * last) if last else 0.0
    text = (
        f"{counted(len(bars), 'trial')} trained for {written(last / 60, 'number')} minutes on "
        f"{counted(slots, 'slot')}, which {_were(slots)} busy {100 * busy:.0f} % of that time."
    )
    if not pauses:
        return text
    are = "is" if len(pauses) == 1 else "are"
    return f"{text} {counted(len(pauses), 'pause')} of the search in between {are} cut out."

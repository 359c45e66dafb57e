"""Where the reference and other designs stand among the candidates, in figures and in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isinf
from typing import NamedTuple

from search.cells import Row, absent, percent, rows, written
from search.execution.runs import RunState
from search.pareto import most_accurate_no_larger, smallest_as_accurate
from search.statistics import standard_error
from search.tables import Tables


@dataclass(frozen=True)
class Standing:
    """Where the reference stands among the candidates, measured by the column `measure`."""

    measure: str  # "val_accuracy", or "test_accuracy_mean" once there is one
    reference: Row
    smallest: Row | None  # the smallest candidate at least as accurate; None if the reference was not trained
    best: Row | None  # the most accurate candidate no larger


def standing(tables: Tables) -> Standing:
    """Test accuracies decide if the reference was re-trained, one run's validation accuracy if not."""
    reference = tables.reference_row
    tested = "test_accuracy_mean" in tables.trials and not absent(reference.get("test_accuracy_mean"))
    measure = "test_accuracy_mean" if tested else "val_accuracy"
    candidates = tables.trials[tables.trials["state"] == RunState.COMPLETE]
    candidates = candidates[candidates["architecture"] != reference["architecture"]]
    sizes, accuracies = candidates["num_parameters"], candidates[measure]
    smallest = smallest_as_accurate(sizes, accuracies, at_least=reference[measure])
    best = most_accurate_no_larger(sizes, accuracies, at_most=reference["num_parameters"])
    found = [None if i is None else rows(candidates)[i] for i in (smallest, best)]
    return Standing(measure, reference, *found)


def placed(tables: Tables) -> dict[str, tuple[str, str]]:
    """For each design by name that several seeds place beside the front: at equal size, at equal accuracy."""
    known = {
        row["architecture"]: f"{row['architecture']} ({written(row['num_parameters'], 'count')} parameters)"
        for row in rows(tables.trials)
    }
    return {
        row["name"]: (_accuracy_gap(row, known), _parameter_gap(row, known))
        for row in rows(tables.designs)
        if not absent(row.get("parameter_ratio"))
    }


def early_stopping(tables: Tables) -> str | None:
    """What the stopping rule saved, and how often it was seen to be wrong; None if it stopped no trial."""
    trials = tables.trials
    stopped = int((trials["state"] == RunState.PRUNED).sum())
    if not stopped:
        return None
    whole = trials["epochs"].max()
    saved = (whole - trials.loc[trials["state"] == RunState.PRUNED, "epochs"]).sum() / (len(trials) * whole)
    text = (
        f"{stopped} of {len(trials)} trials were stopped early, because candidates no larger were clearly "
        f"more accurate so far; that saved {100 * saved:.0f} % of the epochs."
    )
    spared = trials[trials["spared_at"].notna()] if "spared_at" in trials else trials[:0]
    if spared.empty:
        return f"{text} No trial due to be stopped was exempted at random to show how often that was wrong."
    wrong = int(spared["architecture"].isin(list(tables.front["architecture"])).sum())
    return (
        f"{text} Of {len(spared)} that were due to be stopped but were exempted at random, {wrong} ended on "
        "the front, where the rule would have been wrong."
    )


def _accuracy_gap(row: Row, known: Mapping[str, str]) -> str:
    design, reference = f"{row['name']} {_figures(row, 'test_accuracy_mean')}", row["accuracy_reference"]
    if absent(reference):
        return f"{design} has no candidate of its size or smaller beside it."
    gap, p = row["accuracy_gap"], row["accuracy_gap_p"]
    return (
        f"{design} is {row['verdict'].says}: {known.get(reference, reference)}, the most accurate candidate "
        f"no larger, is {abs(100 * gap):.2f} points {'more' if gap < 0 else 'less'} accurate (95 % interval "
        f"{-100 * row['accuracy_gap_high']:+.2f} to {-100 * row['accuracy_gap_low']:+.2f}, p = {p:.2g} after "
        "Holm's correction)."
    )


def _parameter_gap(row: Row, known: Mapping[str, str]) -> str:
    ratio, low, high = (row[f"parameter_ratio{end}"] for end in ("", "_low", "_high"))
    if isinf(low):
        return "No candidate is as accurate."
    upper = "beyond the largest candidate" if isinf(high) else written(high, "ratio")
    interval = f"95 % interval {written(low, 'ratio')} to {upper}"
    if isinf(ratio):
        return (
            "No candidate's mean is as high; the luck of the seeds allowed for, one as accurate may need "
            f"from {written(low, 'ratio')} times its parameters on (to {upper})."
        )
    reference = row["parameter_reference"]
    return (
        f"The smallest candidate as accurate, {known.get(reference, reference)}, has "
        f"{written(ratio, 'ratio')} times its parameters ({interval})."
    )


def _figures(row: Row, measure: str) -> str:
    text = f"{int(row['num_parameters']):,} parameters"
    text += "" if absent(row[measure]) else f", {percent(row[measure])}"
    if measure == "test_accuracy_mean" and not absent(row.get("test_accuracy_low")):
        low, high = row["test_accuracy_low"], row["test_accuracy_high"]
        text += f", 95 % interval {100 * low:.2f} to {percent(high)}"
    return f"({text})"


def verdict(tables: Tables) -> list[str]:
    """Two sentences on where the reference stands, and one on how far to trust them."""
    stand = standing(tables)
    name = tables.reference.name
    if name in (sentences := placed(tables)):
        return [*sentences[name], _trust(tables, stand)]
    reference, smallest, best = stand.reference, stand.smallest, stand.best
    size, accuracy = int(reference["num_parameters"]), reference[stand.measure]

    def figures(row: Row) -> str:
        return _figures(row, stand.measure)

    if absent(accuracy):
        first = (
            f"{name} {figures(reference)} was not trained here, so no candidate is set against its accuracy."
        )
    elif smallest is None:
        first = f"No candidate was as accurate as {name} {figures(reference)}."
    else:
        change = smallest["num_parameters"] / size - 1
        how_many = f"{abs(100 * change):.0f} % {'fewer' if change < 0 else 'more'}" if change else "as many"
        first = (
            f"The smallest candidate at least as accurate as {name} {figures(reference)} is "
            f"{smallest['architecture']} {figures(smallest)}: {how_many} parameters."
        )
    if best is None:
        second = f"No candidate with {size:,} parameters or fewer was trained to the end."
    else:
        second = (
            f"The most accurate candidate no larger than {name} is {best['architecture']} {figures(best)}"
        )
        gain = 0.0 if absent(accuracy) else round(100 * (best[stand.measure] - accuracy), 2)
        if not absent(accuracy):
            second += f", {abs(gain):.2f} points {'above' if gain >= 0 else 'below'} it"
            distinguishable = abs(gain) >= 300 * _noise(tables).standard_error
            second += "" if distinguishable else ", which one run each cannot distinguish from chance"
        second += "."
    return [first, second, _trust(tables, stand)]


class _Noise(NamedTuple):
    """How far chance moves the accuracy of one run on the validation images."""

    accuracy: float  # the best of the study; short of 1, where the binomial's error would be 0
    num_images: int
    standard_error: float  # fraction


def _noise(tables: Tables) -> _Noise:
    num_images = 10_000 if tables.settings is None else tables.settings.data.num_validation  # MNIST's
    complete = tables.trials.loc[tables.trials["state"] == RunState.COMPLETE, "val_accuracy"]
    accuracy = min(complete.max(), 1 - 1 / num_images) if len(complete) else 0.99
    return _Noise(accuracy, num_images, float(standard_error([accuracy], num_images)[0]))


def _trust(tables: Tables, stand: Standing) -> str:
    if stand.measure == "val_accuracy":
        noise = _noise(tables)
        return (
            "Each accuracy is one run's on the validation images, and the best of many runs was picked by "
            f"luck as well as by merit. At {percent(noise.accuracy)} and {noise.num_images:,} images the "
            f"standard error is about {100 * noise.standard_error:.2g} points, so a difference under about "
            f"{300 * noise.standard_error:.2g} points is not a finding."
        )
    tested = [
        row for row in [*rows(tables.trials), *rows(tables.designs)] if not absent(row.get("num_seeds"))
    ]
    counts = [int(row["num_seeds"]) for row in tested] or [1]
    few, many = min(counts), max(counts)
    seeds = f"{few} to {many} fresh seeds" if few < many else f"{many} fresh seed{'s' if many > 1 else ''}"
    text = f"Accuracies are means over {seeds} on the test set. "
    # What is exported is measured when all is chosen, and chooses nothing.
    times = [row["read_at"] for row in rows(tables.test_readings) if absent(row.get("exported"))]
    if len(times) == 1:
        text += f"It was read once, on {times[0]}, after all choices were made. "
    elif times:
        text += (
            f"It was read {len(times)} times, on {' and '.join(times)}: what was chosen after the first "
            "reading may have been chosen with its results in view. "
        )
    return text + (
        "The candidate named beside a design was picked by these same runs, so a little of its lead is luck."
    )

"""Where the reference and other designs stand among the candidates, in figures and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isinf
from typing import NamedTuple

from search.cells import Row, absent, counted, interval, intervals, percent, rows
from search.deaths import Deaths
from search.execution.runs import RunState
from search.image_facts import ImageFacts
from search.moderation import num_fitted
from search.pareto import Verdict, most_accurate_no_larger, smallest_as_accurate
from search.standing import MORE_ERRORS
from search.statistics import standard_error, wilson
from search.tables import Tables

SMALL = 1_000  # test images, up to which one of them is 0.1 points or more


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


def headline(tables: Tables) -> str:
    """The finding about the reference in one line, as the title of the figure."""
    row, name = tables.reference_row, tables.reference.name
    if absent(row.get("verdict")):
        alone = f"{name}: no candidate of its size or smaller was trained beside it"
        single = f"The front of single runs around {name}: what holds, fresh seeds will say"
        return single if absent(row.get("test_accuracy_mean")) else alone
    return {
        Verdict.ON_FRONT: f"{name} is on the front: no network of its size or smaller is more accurate",
        Verdict.NEAR_FRONT: f"No network of {name}'s size or smaller is more than 0.1 points more accurate",
        Verdict.DOMINATED: f"{name} is dominated: smaller networks are more accurate",
        Verdict.UNDECIDED: f"Whether a network of {name}'s size or smaller is more accurate is not settled",
    }[Verdict(row["verdict"])]


def placed(tables: Tables) -> dict[str, tuple[str, str]]:
    """For each design by name that fresh seeds place beside the front: its accuracy there, and its size."""
    known = {row["architecture"]: row for row in [*rows(tables.trials), *rows(tables.designs)]}
    return {
        row["name"]: (
            _beside(row, _no_candidate(tables, row)),
            f"{_challenger(row, known)}{_sizes(row, _no_candidate(tables, row))}",
        )
        for row in rows(tables.designs)
        if not absent(row.get("parameter_ratio")) or row.get("num_dead", 0) > 0
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
        f"{stopped} of {counted(len(trials), 'trial')} {'was' if stopped == 1 else 'were'} stopped early, "
        "because candidates no larger were clearly more accurate so far; that saved "
        f"{100 * saved:.0f} % of the epochs."
    )
    spared = trials[trials["spared_at"].notna()] if "spared_at" in trials else trials[:0]
    if spared.empty:
        return f"{text} No trial due to be stopped was exempted at random to show how often that was wrong."
    wrong = int(spared["architecture"].isin(list(tables.front["architecture"])).sum())
    return (
        f"{text} Of {len(spared)} that were due to be stopped but were exempted at random, {wrong} ended on "
        "the front, where the rule would have been wrong."
    )


def _no_candidate(tables: Tables, design: Row) -> str:
    """Begins what no candidate is or does that is not the design itself."""
    is_candidate = design["architecture"] in set(tables.trials["architecture"])
    return "No other candidate" if is_candidate else "No candidate"


def _beside(row: Row, no_candidate: str) -> str:
    design = f"{row['name']} ({int(row['num_parameters']):,} parameters) reaches {reached(row)}"
    if absent(row["test_accuracy_mean"]):
        return f"{design}."
    if absent(row["verdict"]):
        return f"{design}. {no_candidate} of its size or smaller was trained to the end."
    return (
        f"{design} and is {row['verdict'].says}: some candidate no larger is more accurate with probability "
        f"{_chance(row['beaten_probability'])}, by more than 0.1 points with "
        f"{_chance(row['clearly_beaten_probability'])}."
    )


def reached(row: Row) -> str:
    """A design's mean test accuracy with its intervals and seeds; those that died apart."""
    num_seeds, num_dead = int(row["num_seeds"]), int(0 if absent(row.get("num_dead")) else row["num_dead"])
    if absent(row["test_accuracy_mean"]):
        return f"no accuracy, as {Deaths(num_dead, num_seeds)}"
    seeds = counted(num_seeds - num_dead, "seed")
    seeds += f"; {Deaths(num_dead, num_seeds)}" if num_dead else ""
    return f"{percent(row['test_accuracy_mean'])} ({intervals(row)}; {seeds})"


def _challenger(row: Row, known: Mapping[str, Row]) -> str:
    text, gap = row["challenger"], row["challenger_gap"]
    if absent(text):
        return ""
    size = known[text]["num_parameters"] if text in known else None
    rival = f"The best of these, {text}" + (f" ({int(size):,} parameters)" if size else "")
    if absent(gap):
        return f"{rival}, was not trained again. "
    limits = interval(-row["challenger_gap_high"], -row["challenger_gap_low"], "+")
    return (
        f"{rival}, is {abs(100 * gap):.2f} points {'more' if gap < 0 else 'less'} accurate "
        f"({limits}, p = {row['challenger_p']:.2g}). "
    )


def _sizes(row: Row, no_candidate: str) -> str:
    if absent(row["parameter_ratio"]):
        return ""
    if isinf(row["parameter_ratio_low"]):
        return f"{no_candidate} is as accurate."
    now, paid = (_range(row, name) for name in ("parameter_ratio", "paid_ratio"))
    text = f"The smallest candidate as accurate has {now} times its parameters"
    return text + (
        f"; with {100 * MORE_ERRORS:.0f} % more errors allowed, {paid} times." if paid != now else "."
    )


def _range(row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    # It often is one candidate whatever the draw.
    texts = (f"{low:.2g}", "more than the largest" if isinf(high) else f"{high:.2g}")
    return " to ".join(dict.fromkeys(texts))


def _chance(probability: float) -> str:
    """A probability from 4,000 draws."""
    if probability < 0.005:
        return "less than 0.01"
    return "more than 0.99" if probability > 0.995 else f"{probability:.2f}"


def _figures(row: Row, measure: str) -> str:
    text = f"{int(row['num_parameters']):,} parameters"
    return f"({text})" if absent(row[measure]) else f"({text}, {percent(row[measure])})"


def verdict(tables: Tables) -> list[str]:
    """Two sentences on where the reference stands, and one on how far to trust them."""
    stand = standing(tables)
    name = tables.reference.name
    if name in (sentences := placed(tables)):
        return [*sentences[name], _trust(tables, stand)]
    reference, smallest, best = stand.reference, stand.smallest, stand.best
    size, accuracy = int(reference["num_parameters"]), reference[stand.measure]
    nobody = _no_candidate(tables, reference)
    again = stand.measure == "test_accuracy_mean"  # what was not trained again has no such accuracy

    def figures(row: Row) -> str:
        return _figures(row, stand.measure)

    if absent(accuracy):
        first = (
            f"{name} {figures(reference)} was not trained here, so no candidate is set against its accuracy."
        )
    elif smallest is None:
        which = " that was trained again" if again else ""
        first = f"{nobody}{which} was as accurate as {name} {figures(reference)}."
    else:
        change = smallest["num_parameters"] / size - 1
        how_many = f"{abs(100 * change):.0f} % {'fewer' if change < 0 else 'more'}" if change else "as many"
        first = (
            f"The smallest candidate at least as accurate as {name} {figures(reference)} is "
            f"{smallest['architecture']} {figures(smallest)}: {how_many} parameters."
        )
    if best is None:
        how = "again" if again else "to the end"
        second = f"{nobody} with {size:,} parameters or fewer was trained {how}."
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


def _level(tables: Tables, tested: Sequence[Row]) -> str:
    """Where the spread of seeds was learnt, unless on MNIST for MNIST."""
    if tables.settings is None or tables.settings.data.is_mnist:
        return ""
    live = {row["architecture"]: row["num_seeds"] - (row.get("num_dead") or 0) for row in tested}
    num_runs = num_fitted(map(int, live.values()))
    if not num_runs:
        return " on MNIST, as this study has too few to tell"
    return f", fitted to {num_runs} runs of this study"


def _named(images: ImageFacts) -> str:
    """What naming the largest class reaches, a sentence, where its share is worth one."""
    if images.majority is None:
        return ""
    share = percent(images.majority.training_share)
    return f" Naming {images.majority.name} for every image would be right on {share} of the training images."


def _small(images: ImageFacts) -> str:
    """What a small test set cannot tell, a sentence; "" of a large one."""
    if images.num_test > SMALL:
        return ""
    limits = interval(*wilson(1, images.num_test))
    return (
        f"The test set is small: one image is {100 / images.num_test:.2g} points, and even if all "
        f"{images.num_test:,} were classed rightly, that would be {limits} % for new ones. "
    )


def _longer(tables: Tables) -> str:
    """How long the runs were if they were longer, or shorter, than the search's."""
    if tables.settings is None or tables.settings.final_epochs is None:
        return ""
    few, many = sorted(tables.settings.final_epochs)
    epochs = counted(few, "epoch") if few == many else f"{few} to {many} epochs, by size"
    return f", after {epochs} (in the search {tables.settings.recipe.epochs})"


def _trust(tables: Tables, stand: Standing) -> str:
    if stand.measure == "val_accuracy":
        noise = _noise(tables)
        return (
            "Each accuracy is one run's on the validation images, and the best of many runs was picked by "
            f"luck as well as by merit. At {percent(noise.accuracy)} and {noise.num_images:,} images the "
            f"standard error is about {100 * noise.standard_error:.2g} points, so a difference under about "
            f"{300 * noise.standard_error:.2g} points is not a finding.{_named(tables.images)}"
        )
    tested = [
        row for row in [*rows(tables.trials), *rows(tables.designs)] if not absent(row.get("num_seeds"))
    ]
    counts = [int(row["num_seeds"]) for row in tested] or [1]
    few, many = min(counts), max(counts)
    seeds = f"{few} to {many} fresh seeds" if few < many else counted(many, "fresh seed")
    text = (
        f"Accuracies are means over {seeds} on {tables.images.num_test:,} test images{_longer(tables)}. "
        "Their 95 % intervals over seeds, on these same images, by which designs are compared, are from how "
        f"far seeds move designs of such an error{_level(tables, tested)}; those for new images take the "
        f"test set for a sample, too. {_small(tables.images)}Probabilities and the ranges of sizes (90 %) "
        "are of all runs together. "
    )
    # What is exported is measured when all is chosen, and chooses nothing.
    times = [row["read_at"] for row in rows(tables.test_readings) if absent(row.get("exported"))]
    if len(times) == 1:
        text += f"The test set was read on {times[0]}, after all choices were made."
    elif times:
        text += (
            f"The test set was read {len(times)} times, on {' and '.join(times)}: what was chosen after the "
            "first reading may have been chosen with its results in view."
        )
    return text.rstrip()

"""Where LightCNN stands among the candidates, in figures and in words."""

from dataclasses import dataclass

from search.pareto import most_accurate_no_larger, smallest_as_accurate
from search.tables import LIGHTCNN_NAME, Row, Tables, absent, percent, rows


@dataclass(frozen=True)
class Standing:
    """Where LightCNN stands among the candidates, measured by the column `measure`."""

    measure: str  # "val_accuracy", or "test_accuracy_mean" once there is one
    lightcnn: Row
    smallest: Row | None  # the smallest candidate at least as accurate; None too if LightCNN was not trained
    best: Row | None  # the most accurate candidate no larger


def standing(tables: Tables) -> Standing:
    """Test accuracies decide if the study re-trained its front, one run's validation accuracy if not."""
    lightcnn = rows(tables.designs[tables.designs["name"] == LIGHTCNN_NAME])[0]
    measure, candidates = "val_accuracy", tables.trials[tables.trials["state"] == "COMPLETE"]
    if "test_accuracy_mean" in tables.front and not absent(lightcnn.get("test_accuracy_mean")):
        measure, candidates = "test_accuracy_mean", tables.front
    candidates = candidates[candidates["architecture"] != lightcnn["architecture"]]
    sizes, accuracies = candidates["num_parameters"], candidates[measure]
    smallest = smallest_as_accurate(sizes, accuracies, at_least=lightcnn[measure])
    best = most_accurate_no_larger(sizes, accuracies, at_most=lightcnn["num_parameters"])
    found = [None if i is None else rows(candidates)[i] for i in (smallest, best)]
    return Standing(measure, lightcnn, *found)


def verdict(stand: Standing) -> list[str]:
    """Two sentences on where LightCNN stands, and one on how far to trust them."""
    light, smallest, best = stand.lightcnn, stand.smallest, stand.best
    tested = stand.measure == "test_accuracy_mean"
    size, accuracy = int(light["num_parameters"]), light[stand.measure]

    def figures(row: Row) -> str:
        text = f"{int(row['num_parameters']):,} parameters"
        text += "" if absent(row[stand.measure]) else f", {percent(row[stand.measure])}"
        if tested and not absent(row.get("test_accuracy_low")) and not absent(row.get("test_accuracy_high")):
            low, high = row["test_accuracy_low"], row["test_accuracy_high"]
            text += f", 95 % interval {100 * low:.2f} to {percent(high)}"
        return f"({text})"

    if absent(accuracy):
        first = (
            f"LightCNN {figures(light)} was not trained here, so no candidate is set against its accuracy."
        )
    elif smallest is None:
        first = f"No candidate was as accurate as LightCNN {figures(light)}."
    else:
        change = smallest["num_parameters"] / size - 1
        how_many = f"{abs(100 * change):.0f} % {'fewer' if change < 0 else 'more'}" if change else "as many"
        first = (
            f"The smallest candidate at least as accurate as LightCNN {figures(light)} is "
            f"{smallest['architecture']} {figures(smallest)}: {how_many} parameters."
        )
    if best is None:
        second = f"No candidate with {size:,} parameters or fewer was trained to the end."
    else:
        second = (
            f"The most accurate candidate no larger than LightCNN is {best['architecture']} {figures(best)}"
        )
        gain = 0.0 if absent(accuracy) else round(100 * (best[stand.measure] - accuracy), 2)
        if not absent(accuracy):
            second += f", {abs(gain):.2f} points {'above' if gain >= 0 else 'below'} it"
            second += "" if tested or abs(gain) >= 0.3 else ", which one run each cannot tell from chance"
        second += "."
    if tested:
        seeds = "" if absent(light.get("num_seeds")) else f" over {int(light['num_seeds'])} fresh seeds"
        third = (
            f"Accuracies are means{seeds} on the test set, which was opened once, after all choices were "
            "made. Where two intervals overlap, their difference is not a finding yet."
        )
    else:
        third = (
            "Each accuracy is one run's on the validation images, and the best of many runs was picked by "
            "luck as well as by merit. At 99 % and 10,000 images the standard error is about 0.1 points, so "
            "a difference under about 0.3 points is not a finding."
        )
    return [first, second, third]

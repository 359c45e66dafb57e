"""How far do seeds move the accuracy of a design, and how often does a run die?

Expected: the log error of designs scatters alike over seeds, so that many designs tell what two seeds of one
cannot: intervals of one or two seeds that cover 95 %, a fraction as wide as Student's. Runs die where a block
has 2 channels, and hardly anywhere else.

    python -m studies.seed_variance

Reads the runs that the other studies left in `reports/`, and trains nothing. Its tables are what the
constants of `search.moderation` rest on: `scatter.csv`, the standard deviation by error rate; `fit.csv`,
the most likely constants of all runs and of parts of them; `leave_out.csv`, how well a few seeds of a
design bound the mean of its others; `differences.csv`, how often a design "differs" from itself, and how
often two that differ are seen to; `deaths.csv`, the rate of death by least width and depth, with PyTorch's
initial weights.
`python -m studies.coverage` adds simulations.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from lightcnn.architecture import Task, parse
from lightcnn.errors import UserError
from search.command import Parser, run_command
from search.deaths import death_logit, death_rates, is_dead
from search.moderation import MNIST, accuracy_interval, difference, log_errors, log_likelihood, moments
from search.statistics import Array, mean_interval, welch_difference
from search.storage import SETTINGS, study_folder, write_table
from search.tables import RUNS, TRIALS
from studies.coverage import bootstrap
from studies.tabular_bench import TABLE, read

NUM_IMAGES = 10_000  # that every accuracy here was measured on
TASK = Task(image_size=28, in_channels=1, num_classes=10)
LARGEST_CLASS = {"mnist": 0.1135, "fashion-mnist": 0.1}  # share of the test images
ERRORS = (0, 0.009, 0.011, 0.013, 0.016, 0.02, 0.03, 0.06, 0.12, 1)  # limits of the bands of scatter.csv
MANY = 5  # live seeds of a design from which on some can be held against the others
SPLITS = 200  # random ones of each design's seeds
PAIR = ("8-16-32-gap", "8-16-32-pool2")  # designs that ten seeds each tell apart, by 0.25 points

# Under one recipe, measured on the same images.
DESIGN = ["dataset", "images", "epochs", "initialisation", "augmentation", "architecture"]
# A run is known by these; two studies may hold the very same one.
RUN = [*DESIGN, "seed", "accuracy"]


def read_runs(reports: Path) -> pd.DataFrame:
    """A line for each run on images of MNIST's form under `reports`: RUN, `died`, and what the network is.

    `images` are "test", or for which a validation accuracy stands; "search" are single runs of a search,
    stopped ones among them, which count for deaths only.

    Raises:
        UserError: there is no run.
    """
    tables = [*_of_studies(reports), *_of_bench(reports)]
    if not tables:
        raise UserError(f"the folder must hold studies that trained something, but {reports} holds none")
    runs = pd.concat(tables).dropna(subset=["accuracy"])
    runs = runs.drop_duplicates(RUN, ignore_index=True)
    networks = [parse(str(text), TASK) for text in runs["architecture"]]
    shares = [LARGEST_CLASS[str(dataset)] for dataset in runs["dataset"]]
    pairs = zip(runs["accuracy"], shares, strict=True)
    return runs.assign(
        died=[bool(is_dead([accuracy], share, NUM_IMAGES)[0]) for accuracy, share in pairs],
        least_width=[min((b.channels for b in it.blocks), default=np.nan) for it in networks],
        num_blocks=[len(it.blocks) for it in networks],
        head=[it.head for it in networks],
    )


def several_seeds(runs: pd.DataFrame, least: int = 2) -> list[Array]:
    """Accuracies of each design with so many live seeds, by DESIGN in order."""
    judged = runs[~runs["died"] & (runs["images"] != "search")].sort_values("seed")
    groups = [own["accuracy"].to_numpy(dtype=float) for _, own in judged.groupby(DESIGN)]
    return [own for own in groups if len(own) >= least]


def scatter(designs: Sequence[Array]) -> pd.DataFrame:
    """Pooled standard deviation of the log error by error rate; its variance as a share of a binomial's."""
    means, variances, dofs = moments(designs, NUM_IMAGES)
    errors = np.exp(means)
    binomial = (1 - errors) / (NUM_IMAGES * errors)
    lines = []
    for low, high in pairwise(ERRORS):
        own = (low <= errors) & (errors < high)
        if own.any():
            pooled = (dofs * variances)[own].sum() / dofs[own].sum()
            share = pooled / np.average(binomial[own], weights=dofs[own])
            line = {"error_from": low, "error_to": high, "num_designs": int(own.sum())}
            line |= {"degrees_of_freedom": dofs[own].sum(), "deviation": np.sqrt(pooled)}
            lines.append({**line, "share_of_binomial": share})
    return pd.DataFrame(lines).round(4)


def fit(designs: Sequence[Array]) -> dict[str, float]:
    """The most likely constants: variance level^2 max(1, error / knee)^slope, worth so many seeds.

    The knee is MNIST's. Source: Smyth (2004), where the variance over its expectation is F.
    """
    means, variances, dofs = moments(designs, NUM_IMAGES)
    above = np.maximum(0, means - np.log(MNIST.knee))

    def negative_log_likelihood(constants: Array) -> float:
        log_level, slope, log_dof = constants
        return -log_likelihood(variances, dofs, np.exp(log_level + slope * above), np.exp(log_dof))

    start = np.array([np.log(MNIST.level), 1.0, np.log(MNIST.degrees_of_freedom)])
    best = optimize.minimize(negative_log_likelihood, start, method="Nelder-Mead")
    return {
        "num_designs": len(designs),
        "num_runs": int(dofs.sum()) + len(designs),
        "level": float(np.exp(best.x[0] / 2)),  # as a standard deviation
        "slope": float(best.x[1]),
        "prior_degrees_of_freedom": float(np.exp(best.x[2])),
        "gain_over_constants": negative_log_likelihood(start) - float(best.fun),  # in log likelihood
    }


def fits(runs: pd.DataFrame) -> pd.DataFrame:
    """`fit` of all runs and of parts of them."""
    gap = runs["head"] == "gap"
    parts = {"all": runs, "head: gap": runs[gap], "head: other": runs[~gap]}
    recipes = runs[runs["images"] != "search"].groupby(["images", "epochs"])
    parts |= {f"{images}, {epochs:.0f} epochs": own for (images, epochs), own in recipes}
    lines = [
        {"part": name, **fit(designs)}
        for name, own in parts.items()
        if len(designs := several_seeds(own)) > MNIST.degrees_of_freedom
    ]
    return pd.DataFrame(lines).round(4)


def leave_out(designs: Sequence[Array], rng: np.random.Generator) -> pd.DataFrame:
    """Of intervals from k seeds of a design: how many hold the mean of its others, and how wide they are.

    The others' mean is not the truth but off by its own luck, so each interval is widened, about its middle
    on the log error, by the factor sqrt(1 + k / others); the width is that of the interval itself.
    """
    methods: dict[str, Callable[[Array], tuple[float, ...]]] = {
        "moderated": lambda own: accuracy_interval(own, MNIST),
        "student": mean_interval,
        "bootstrap": lambda own: bootstrap(own, rng),
    }
    lines = []
    for k in (1, 2, 3, 5):
        for name, interval in methods.items():
            if k == 1 and name != "moderated":
                continue
            held, widths = [], []
            for own in designs:
                for _ in range(SPLITS if len(own) > k else 0):
                    drawn = rng.permutation(own)
                    _, low, high = interval(drawn[:k])
                    ends = log_errors([low, high], NUM_IMAGES)
                    truth = log_errors(drawn[k:], NUM_IMAGES).mean()
                    reach = np.ptp(ends) / 2 * np.sqrt(1 + k / (len(own) - k))
                    held.append(abs(truth - ends.mean()) <= reach)
                    widths.append(high - low)
            line = {"seeds": k, "method": name, "num_designs": sum(len(own) > k for own in designs)}
            lines.append({**line, "coverage": np.mean(held), "median_width": np.median(widths)})
    return pd.DataFrame(lines).round(5)


def differences(runs: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """How often p < 0.05: between seeds of one design (at least twice k), and between those of PAIR."""
    tested = runs[~runs["died"] & (runs["images"] == "test") & (runs["epochs"] == 8)]
    pair = [tested.loc[tested["architecture"] == it, "accuracy"].to_numpy(dtype=float) for it in PAIR]
    methods: dict[str, Callable[[Array, Array], Any]] = {
        "moderated": lambda one, other: difference(one, other, MNIST),
        "welch": welch_difference,
    }
    lines = []
    for k in (1, 2, 3, 5):
        for name, compare in methods.items():
            if k == 1 and name == "welch":
                continue
            same = [
                compare(drawn[:k], drawn[k : 2 * k]).p_value < 0.05
                for own in several_seeds(runs, 2 * k)
                for drawn in (rng.permutation(own) for _ in range(SPLITS // 10))
            ]
            line: dict[str, Any] = {"seeds": k, "method": name, "false_positives": np.mean(same)}
            if min(map(len, pair)) >= k:
                line["power"] = np.mean(
                    [
                        compare(*(rng.permutation(own)[:k] for own in pair)).p_value < 0.05
                        for _ in range(5 * SPLITS)
                    ]
                )
            lines.append(line)
    return pd.DataFrame(lines).round(4)


def study(out: Path) -> None:
    """Make the tables, print them, and keep them in `out`/seed_variance."""
    runs = read_runs(out)
    designs = several_seeds(runs)
    if not designs:
        raise UserError(f"seeds have a variance where designs have two runs or more, but {out} has none")
    rng = np.random.default_rng(0)
    # With He's hardly any dies (studies.initialisation).
    with_blocks = runs[runs["initialisation"] == "pytorch"].dropna(subset=["least_width"])
    tables = {
        "scatter.csv": scatter(designs),
        "fit.csv": fits(runs),
        "leave_out.csv": leave_out(several_seeds(runs, MANY), rng),
        "differences.csv": differences(runs, rng),
        "deaths.csv": death_rates(with_blocks).round(4),
    }
    folder = study_folder(out, "seed_variance")
    for name, table in tables.items():
        write_table(table, folder / name)
        print(f"{name}\n{table.to_string(index=False)}\n")
    logit = death_logit(with_blocks)
    print(
        f"{len(with_blocks)} runs; log odds of death: {logit.intercept:.2f} {logit.log2_width:+.2f} "
        f"log2(least width) {logit.blocks:+.2f} (blocks - 3)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.seed_variance", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="of the studies")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: study(options.out))


def _of_studies(reports: Path) -> Iterator[pd.DataFrame]:
    for folder in sorted(path.parent for path in reports.glob(f"*/{SETTINGS}")):
        settings = _settings(folder)
        dataset = settings.get("dataset") or settings["data"]["dataset"]
        if dataset not in LARGEST_CLASS:
            continue
        for kind, images, measure in (
            (RUNS, "test", "test_accuracy"),
            (TRIALS, "search", "val_accuracy"),
        ):
            path = folder / kind.file
            # Without that column it is a table of another kind.
            if path.exists() and measure in pd.read_csv(path, nrows=0):
                table = kind.read(folder).rename(columns={measure: "accuracy"})
                yield table.assign(dataset=dataset, images=images, **_recipe(settings))[RUN]


def _of_bench(reports: Path) -> Iterator[pd.DataFrame]:
    path = reports / "tabular_bench" / TABLE
    if path.exists():
        table = read(path)
        final = table[table["epoch"] == table["epochs"]].rename(columns={"val_accuracy": "accuracy"})
        images = [f"validation after {count} training images" for count in final["train_images"]]
        yield final.assign(dataset="mnist", images=images, **_recipe(_settings(path.parent)))[RUN]


def _settings(folder: Path) -> Any:
    return json.loads((folder / SETTINGS).read_text(encoding="utf-8"))["settings"]


def _recipe(settings: Any) -> dict[str, Any]:
    recipe = settings["recipe"]  # what early studies do not say of it was as follows
    return {
        "initialisation": recipe.get("initialisation", "pytorch"),
        "augmentation": recipe.get("augmentation", 0.0),
    }


if __name__ == "__main__":
    sys.exit(main())

"""Which early-stopping rule saves most epochs without losing the front?

Expected: a rule that compares after the first epochs saves 60 % of the epochs of a random search for a loss
of hypervolume under 0.5 %, and stops fewer than one in twenty of its victims wrongly.

    python -m studies.early_stopping

Replays LightCNN-Bench (`python -m studies.tabular_bench`, which must have run): searches of 100 of its
networks in random order, each under every rule of a grid of rungs, numbers of better candidates and margins.
What each saves and costs is held against the same search without stopping. Takes some minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lightcnn.errors import UserError
from search.command import Parser, at_least, run_command
from search.pareto import front, hypervolume
from search.stopping import EXEMPT, StoppingRule, default_rule
from search.storage import study_folder, write_table
from studies.tabular_bench import SEARCH, TABLE, first_runs, read

NUM_TRIALS = 100
RULES = [
    StoppingRule(rungs, num_better, margin)
    for rungs, num_better, margin in product(
        [(1,), (2,), (1, 2), (2, 4), (1, 2, 4), (1, 2, 3, 4, 5, 6, 7)],
        (1, 2, 3),
        (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
    )
]
# Hypervolume is what the front covers above this accuracy and below this size, in decades of parameters.
REFERENCE = (65_000.0, 0.9)  # parameters and accuracy, of the hypervolume


@dataclass(frozen=True)
class Replay:
    """What one search under a rule came to, fractions."""

    epochs_saved: float
    loss: float  # of hypervolume
    stopped: float  # of the trials
    false_stops: float  # of the stopped trials: they would have ended on the front


def replay(
    sizes: NDArray[np.float64], curves: NDArray[np.float64], rule: StoppingRule, rng: np.random.Generator
) -> Replay:
    """One search, its candidates trained one after the other in the order given.

    Args:
        sizes: parameters, (num_trials,).
        curves: validation accuracy after each epoch, (num_trials, num_epochs), fractions.
    """
    num_trials, num_epochs = curves.shape
    trained = np.full(num_trials, num_epochs)
    exempt = rng.random(len(sizes)) < EXEMPT
    for i in range(num_trials):
        if exempt[i]:
            continue
        no_larger = sizes[:i] <= sizes[i]
        for rung in rule.rungs:
            reached = no_larger & (trained[:i] >= rung)
            better = curves[:i, rung - 1][reached] >= rule.accuracy_to_beat(curves[i, rung - 1])
            if better.sum() >= rule.num_better:
                trained[i] = rung
                break
    complete = np.asarray(trained == num_epochs)
    final = curves[:, -1]
    wrong = int((~complete[front(sizes, final)]).sum())
    num_stopped = int((~complete).sum())
    whole = hypervolume(sizes, final, *REFERENCE)
    return Replay(
        1 - trained.sum() / (num_trials * num_epochs),
        1 - hypervolume(sizes[complete], final[complete], *REFERENCE) / whole if whole else 0.0,
        num_stopped / num_trials,
        wrong / num_stopped if num_stopped else 0.0,
    )


def compare(table: pd.DataFrame, num_replays: int) -> pd.DataFrame:
    """A line a rule: medians over the replays, the loss's 95th percentile, and the share of false stops."""
    wide = first_runs(table).pivot_table(
        index=["architecture", "num_parameters"], columns="epoch", values="val_accuracy"
    )
    wide = wide.dropna()  # a diverged run has no full curve
    sizes = wide.index.get_level_values("num_parameters").to_numpy(dtype=float)
    curves = wide.to_numpy(dtype=float)
    if len(sizes) < NUM_TRIALS:
        raise UserError(
            f"a replay needs {NUM_TRIALS} networks, but the table has {len(sizes)} so far; "
            "python -m studies.tabular_bench trains the others"
        )
    rows = []
    for rule in RULES:
        replays = []
        for number in range(num_replays):
            rng = np.random.default_rng(number)  # every rule meets the same searches
            chosen = rng.permutation(len(sizes))[:NUM_TRIALS]
            replays.append(replay(sizes[chosen], curves[chosen], rule, rng))
        saved, loss = ([getattr(r, name) for r in replays] for name in ("epochs_saved", "loss"))
        stopped = sum(r.stopped for r in replays)
        rows.append(
            {
                "rungs": " ".join(map(str, rule.rungs)),
                "num_better": rule.num_better,
                "margin": rule.margin,
                "epochs_saved": np.median(saved),
                "loss": np.median(loss),
                "loss_95th_percentile": np.quantile(loss, 0.95),
                "trials_stopped": stopped / num_replays,
                "false_stops": sum(r.false_stops * r.stopped for r in replays) / max(stopped, 1e-9),
                "is_default": rule == default_rule(SEARCH[0]),
            }
        )
    return pd.DataFrame(rows).sort_values("epochs_saved", ascending=False).round(5)


def study(out: Path, num_replays: int) -> None:
    """Replay, print the rules that hold the aims, and keep all in `out`/early_stopping/rules.csv."""
    path = out / "tabular_bench" / TABLE
    rules = compare(read(path), num_replays)
    write_table(rules, study_folder(out, "early_stopping") / "rules.csv")
    good = rules[(rules["loss"] < 0.005) & (rules["false_stops"] < 0.05)]
    print(f"{len(good)} of {len(rules)} rules lose under 0.5 % of hypervolume with under 5 % false stops:")
    print(good.head(15).to_string(index=False))
    print("The default:")
    print(rules[rules["is_default"]].to_string(index=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.early_stopping", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--replays", type=at_least(1), default=200, metavar="N", help="searches a rule")
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: study(options.out, options.replays))


if __name__ == "__main__":
    sys.exit(main())

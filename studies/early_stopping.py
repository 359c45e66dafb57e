"""Which early-stopping rule saves most epochs without losing the front, and with which sampler?

Expected: a rule that compares after the first epochs saves 60 % of the epochs of a random search for a loss
of hypervolume under 0.5 %, and stops fewer than one in twenty of its victims wrongly. And a sampler whose
model knows which runs were stopped needs half the epochs for the same front.

    python -m studies.early_stopping

Replays LightCNN-Bench (`python -m studies.tabular_bench`, which must have run). First searches of 100 of its
networks in random order, each under every rule of a grid of rungs, numbers of better candidates and margins;
what each saves and costs is held against the same search without stopping. Then samplers and some of the
rules together (`studies.replay`): how many epochs each pair needs for a front as good as that of 800
epochs with an earlier surrogate and no stopping. Takes half an hour.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray

from lightcnn.errors import UserError
from search.command import Parser, at_least, run_command
from search.pareto import front, hypervolume
from search.stopping import EXEMPT, StoppingRule, default_rule
from search.storage import study_folder, write_table
from search.surrogate import GaussianProcess, final_log_errors
from studies.replay import Bench, Earlier, Step, Suggest, Tpe, as_if_whole, play, surrogate, variant
from studies.tabular_bench import REFERENCE_POINT, SEARCH, TABLE, first_runs, read

NUM_TRIALS = 100
RULES = [
    StoppingRule(rungs, num_better, margin)
    for rungs, num_better, margin in product(
        [(1,), (2,), (1, 2), (2, 4), (1, 2, 4), (1, 2, 3, 4, 5, 6, 7)],
        (1, 2, 3),
        (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
    )
]
SAMPLERS: dict[str, Callable[[Bench], Suggest | None]] = {
    "random": lambda _: None,
    "tpe": Tpe,
    "earlier surrogate": partial(variant, model=Earlier, foresee=as_if_whole),
    "earlier surrogate, stopped runs foreseen": partial(variant, model=Earlier, foresee=final_log_errors),
    "surrogate, stopped runs as if whole": partial(variant, model=GaussianProcess, foresee=as_if_whole),
    "surrogate": surrogate,
}
# Rules that are played with samplers. None: no run is stopped.
MILD, EAGER = StoppingRule((2, 4), 1, 0.2), StoppingRule((1, 2, 4), 1, 0.1)
PLAYED = [
    *product(("random", "tpe", "earlier surrogate"), (None, MILD, EAGER)),
    *product(("earlier surrogate, stopped runs foreseen",), (MILD, EAGER)),
    *product(("surrogate, stopped runs as if whole",), (None, MILD, EAGER)),
    *product(
        ("surrogate",),
        (
            *(None, MILD, EAGER, StoppingRule((2, 4), 1, 0.3), StoppingRule((2, 4), 1, 0.15)),
            *(StoppingRule((1, 2, 4), 1, margin) for margin in (0.3, 0.2, 0.15)),
        ),
    ),
]
BASELINE = ("earlier surrogate", None)  # whose regret at NUM_EPOCHS the others are to reach
NUM_EPOCHS = NUM_TRIALS * SEARCH[0]
FIRST = 1_000  # repetition; the models were chosen on those from 0 on
NUM_RESAMPLES = 1_000
# Hypervolume is what the front covers above this accuracy and below this size, in decades of parameters.


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
    whole = hypervolume(sizes, final, *REFERENCE_POINT)
    return Replay(
        1 - trained.sum() / (num_trials * num_epochs),
        1 - hypervolume(sizes[complete], final[complete], *REFERENCE_POINT) / whole if whole else 0.0,
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


def search_steps(bench: Bench, sampler: str, rule: StoppingRule | None, repetition: int) -> list[Step]:
    """One search by a sampler under a rule."""
    return play(bench, rule, SAMPLERS[sampler](bench), repetition, NUM_EPOCHS)


def played(bench: Bench, repetitions: int, workers: int | None = None) -> pd.DataFrame:
    """A line a sampler and rule: epochs until the baseline's last regret is reached, and what is found when.

    Each figure has a 95 % interval, percentiles of resampled repetitions; those of a repetition, which has
    the same draws for all, stay together. Epochs are NaN where the mean regret does not come down so far.
    """
    jobs = (
        delayed(search_steps)(bench, *arm, FIRST + repetition)
        for arm in PLAYED
        for repetition in range(repetitions)
    )
    searches = iter(Parallel(n_jobs=workers or cpu_count(), return_as="generator")(jobs))
    steps = {arm: [next(searches) for _ in range(repetitions)] for arm in PLAYED}
    epochs = np.arange(SEARCH[0], NUM_EPOCHS + 1, SEARCH[0])
    regrets = {arm: np.array([_at(own, epochs) for own in steps[arm]]) for arm in PLAYED}
    resamples = np.random.default_rng(0).integers(repetitions, size=(NUM_RESAMPLES, repetitions))
    rows = []
    for sampler, rule in PLAYED:
        own, target = regrets[sampler, rule], regrets[BASELINE][:, -1]
        reached = [_reached(own[some], target[some], epochs) for some in resamples]
        hundred = [search[min(NUM_TRIALS, len(search)) - 1] for search in steps[sampler, rule]]
        row: dict[str, object] = {
            "sampler": sampler,
            "rungs": " ".join(map(str, rule.rungs)) if rule else "",
            "margin": rule.margin if rule else None,
            "repetitions": repetitions,
            "epochs_to_reach": _reached(own, target, epochs),
            "epochs_low": np.quantile(reached, 0.025, method="lower"),
            "epochs_high": np.quantile(reached, 0.975, method="higher"),
        }
        for after in (NUM_EPOCHS // 2, NUM_EPOCHS):
            values = own[:, np.searchsorted(epochs, after)]
            low, high = np.quantile(values[resamples].mean(axis=1), (0.025, 0.975))
            row |= {f"regret_{after}": values.mean(), f"low_{after}": low, f"high_{after}": high}
        last = [search[-1] for search in steps[sampler, rule]]
        row |= {
            "trials": np.mean([len(search) for search in steps[sampler, rule]]),
            "retrained": np.mean([step.retrained for step in last]),
            f"epochs_of_{NUM_TRIALS}_trials": np.mean([step.epochs for step in hundred]),
            f"regret_of_{NUM_TRIALS}_trials": np.mean([step.regret for step in hundred]),
            "is_default": sampler == "surrogate" and rule == default_rule(SEARCH[0]),
        }
        rows.append(row)
    table = pd.DataFrame(rows).replace(np.inf, np.nan)
    return table.sort_values("epochs_to_reach", kind="stable").round(5)


def _at(steps: Sequence[Step], epochs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Regret after so many epochs: that of the last trial which ended by then."""
    ended = np.searchsorted([step.epochs for step in steps], epochs, side="right") - 1
    return np.array([step.regret for step in steps])[ended]


def _reached(regrets: NDArray[np.float64], target: NDArray[np.float64], epochs: NDArray[np.int64]) -> float:
    """Epochs from which on the mean regret is the mean target or less; inf if it never is."""
    is_there = regrets.mean(axis=0) <= target.mean() + 1e-9  # sums in another order round otherwise
    return float(epochs[np.argmax(is_there)]) if is_there.any() else np.inf


def study(out: Path, num_replays: int, repetitions: int, workers: int | None) -> None:
    """Replay, print what holds the aims, and keep all in `out`/early_stopping."""
    table = read(out / "tabular_bench" / TABLE)
    folder = study_folder(out, "early_stopping")
    rules = compare(table, num_replays)
    write_table(rules, folder / "rules.csv")
    good = rules[(rules["loss"] < 0.005) & (rules["false_stops"] < 0.05)]
    print(f"{len(good)} of {len(rules)} rules lose under 0.5 % of hypervolume with under 5 % false stops:")
    print(good.head(15).to_string(index=False))
    print("The default:")
    print(rules[rules["is_default"]].to_string(index=False))
    with_samplers = played(Bench.of(table), repetitions, workers)
    write_table(with_samplers, folder / "with_samplers.csv")
    print("With a sampler, epochs to the regret that the earlier surrogate has without stopping at the end:")
    print(with_samplers.to_string(index=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.early_stopping", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--replays", type=at_least(1), default=200, metavar="N", help="searches a rule")
    parser.add_argument(
        "--repetitions", type=at_least(2), default=100, metavar="N", help="searches a sampler and rule"
    )
    parser.add_argument(
        "--workers", type=at_least(1), metavar="W", help="processes; by default one a CPU core"
    )
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(
        parser, lambda: study(options.out, options.replays, options.repetitions, options.workers)
    )


if __name__ == "__main__":
    sys.exit(main())

"""Does any sampler find a better front than random draws, and what does it cost?

Expected: at a hundred trials random, TPE and NSGA-II are hard to tell apart, and a model that knows
parameters exactly and learns accuracy alone is ahead of them from about fifty trials on.

    python -m studies.samplers

Replays LightCNN-Bench (`python -m studies.tabular_bench`, which must have run): each sampler of the search
suggests candidates of the whole space, and the nearest network of the table that it has not met answers
with the accuracy that it had; the surrogate, which chooses from a pool, has those networks as its pool. The
hypervolume found is compared with that of random draws. NSGA-II draws its first 50 at random, the others
their first 10. Keeps each repetition as it ends, and resumes where it was. The GP takes most of the time,
hours on 2 cores.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from lightcnn.architecture import Architecture, parse
from lightcnn.errors import UserError
from search.cells import rows
from search.command import Parser, at_least, run_command
from search.execution.runs import RunState
from search.pareto import hypervolume
from search.records import RunRecord
from search.samplers import SAMPLERS, SurrogateSampler, suggestion
from search.space import Space
from search.statistics import mean_interval, paired_difference
from search.storage import only_driver, study_folder, write_table
from search.surrogate import Pool
from search.tables import REPLAYS
from studies.tabular_bench import REFERENCE_POINT, TABLE, TASK, first_runs, read

KEYS = ["sampler", "repetition", "num_trials"]
SPACE = Space(TASK)
BUDGETS = (25, 50, 100, 200)  # trials after which samplers are compared
OTHER_HEAD = 4.0  # in the distance between networks, as a width that differs by a factor of e squared


def networks(table: pd.DataFrame) -> dict[str, RunRecord]:
    """What a search would keep of each network of the table: the run with the full budget and first seed."""
    return {
        str(text): RunRecord(
            state=RunState.COMPLETE,
            architecture=str(text),
            num_parameters=int(own["num_parameters"].iloc[0]),
            num_macs=int(own["num_macs"].iloc[0]),
            peak_activation_bytes=int(own["peak_activation_bytes"].iloc[0]),
            num_blocks=int(own["num_blocks"].iloc[0]),
            head=str(own["head"].iloc[0]),
            val_accuracy=float(own["val_accuracy"].iloc[-1]),
            val_loss=None,
            epochs=len(own),
            seconds=0.0,
            seed=0,
            reason=None,
            curve=[[None, float(accuracy), None] for accuracy in own["val_accuracy"]],
        )
        for text, own in first_runs(table).sort_values("epoch").groupby("architecture", sort=False)
    }


def distances(candidate: Architecture, known: Sequence[Architecture]) -> NDArray[np.float64]:
    """Squared log ratios of widths between `candidate` and each of `known`; an absent block has width 1."""

    def coordinates(network: Architecture) -> list[float]:
        widths = [np.log(block.channels) for block in network.blocks]
        return widths + [0.0] * (SPACE.depth - len(widths))

    gaps = np.array([coordinates(network) for network in known]) - coordinates(candidate)
    of_another_head = np.array([network.head != candidate.head for network in known])
    total: NDArray[np.float64] = np.square(gaps).sum(axis=1) + OTHER_HEAD * of_another_head
    return total


class Snapping(BaseSampler):
    """For one trial: another sampler's suggestion, moved to the nearest network of the table not yet met."""

    def __init__(
        self, name: str, seed: int, unmet: list[Architecture], pool: tuple[list[Architecture], Pool]
    ) -> None:
        if name == "surrogate":
            texts = {str(network) for network in unmet}
            self._sampler: BaseSampler = SurrogateSampler(SPACE, lambda it: str(it) in texts, pool)
        else:
            self._sampler = SAMPLERS[name](seed, SPACE, lambda _: True)
        self._rng, self._unmet = np.random.default_rng(seed), unmet
        self.seconds = 0.0  # that the suggestion took

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The whole space."""
        return SPACE.distributions()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All parameters of the trial."""
        began = time.perf_counter()
        suggested = suggestion(self._sampler, study, trial, search_space)
        candidate = (SPACE.architecture(suggested) if suggested else None) or SPACE.draw(self._rng)
        self.seconds = time.perf_counter() - began
        return SPACE.parameters(self._unmet[int(np.argmin(distances(candidate, self._unmet)))])

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never called, as `sample_relative` gives every parameter."""
        raise NotImplementedError(f"{param_name} is not in the search space")


def replay(
    name: str, records: dict[str, RunRecord], repetition: int, num_trials: int
) -> list[dict[str, Any]]:
    """One search: a line for each of BUDGETS that it reaches."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize", "minimize"])
    unmet = [parse(text, TASK) for text in records]
    pool = ([*unmet], Pool.of(unmet, SPACE))
    met: list[RunRecord] = []
    lines, seconds = [], 0.0
    while len(met) < min(num_trials, len(records)):
        seed = np.random.SeedSequence([repetition, len(met)]).generate_state(1)[0]
        study.sampler = snapping = Snapping(name, int(seed), unmet, pool)
        trial = study.ask()
        network = SPACE.suggest(trial)
        assert network is not None  # as the table's networks are members of the space
        seconds += snapping.seconds
        unmet.remove(network)
        record = records[str(network)]
        met.append(record)
        trial.set_user_attr("record", asdict(record))
        study.tell(trial, [record.val_accuracy or 0.0, record.num_parameters])
        if len(met) in BUDGETS:
            accuracies = [record.val_accuracy or 0.0 for record in met]
            volume = hypervolume([record.num_parameters for record in met], accuracies, *REFERENCE_POINT)
            line = {"sampler": name, "repetition": repetition, "num_trials": len(met), "hypervolume": volume}
            lines.append(line | {"seconds_per_trial": seconds / len(met)})
    return lines


def summarise(lines: pd.DataFrame, measure: str = "hypervolume") -> pd.DataFrame:
    """A line a sampler and budget: the mean of `measure`, and its difference to that of random draws."""
    # Repetition i of every sampler starts from the same seed; a slow one may have been replayed fewer times.
    searches = dict(iter(lines.sort_values("repetition").groupby(["sampler", "num_trials"])))
    values = {key: of_these[measure].to_numpy(dtype=float) for key, of_these in searches.items()}
    rows = []
    for (name, num_trials), own in values.items():
        mean = mean_interval(own)
        shared = min(len(own), len(values["random", num_trials]))
        gain = paired_difference(values["random", num_trials][:shared], own[:shared])
        rows.append(
            {
                "sampler": name,
                "num_trials": num_trials,
                "repetitions": len(own),
                f"{measure}_mean": mean.mean,
                f"{measure}_low": mean.low,
                f"{measure}_high": mean.high,
                "difference_to_random": gain.mean,
                "difference_low": gain.low,
                "difference_high": gain.high,
            }
        )
        if "seconds_per_trial" in lines:
            rows[-1]["seconds_per_trial"] = searches[name, num_trials]["seconds_per_trial"].mean()
    return pd.DataFrame(rows).sort_values(["num_trials", f"{measure}_mean"]).round(5)


def study(out: Path, names: Sequence[str], repetitions: int, num_trials: int, workers: int | None) -> None:
    """Replay what is missing, print the comparison, and keep it in `out`/samplers."""
    path = out / "tabular_bench" / TABLE
    records = networks(read(path))
    if len(records) < num_trials:
        raise UserError(
            f"--trials must be at most {len(records)}, the networks in {path}, but got {num_trials}"
        )
    folder = study_folder(out, "samplers")
    with only_driver(folder):
        kept = rows(REPLAYS.read_if_there(folder))
        done = {(it["sampler"], it["repetition"]) for it in kept if it["num_trials"] == num_trials}
        names = list(dict.fromkeys(["random", *names]))  # what the others are compared with
        missing = [(name, i) for i in range(repetitions) for name in names if (name, i) not in done]
        jobs = (delayed(replay)(name, records, i, num_trials) for name, i in missing)
        for result in Parallel(n_jobs=workers or cpu_count(), return_as="generator_unordered")(jobs):
            kept += result
            lines = REPLAYS.frame(kept).drop_duplicates(KEYS).sort_values(KEYS, ignore_index=True)
            REPLAYS.write(lines, folder)
        summary = summarise(REPLAYS.read(folder))
        write_table(summary, folder / "summary.csv")
    print(summary.to_string(index=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.samplers", (__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--samplers",
        nargs="+",
        choices=list(SAMPLERS),
        default=list(SAMPLERS),
        metavar="NAME",
        help="which of them",
    )
    parser.add_argument("--repetitions", type=at_least(2), default=100, metavar="N", help="searches of each")
    parser.add_argument("--trials", type=int, choices=BUDGETS, default=max(BUDGETS), help="of each search")
    parser.add_argument(
        "--workers", type=at_least(1), metavar="W", help="processes; by default one a CPU core"
    )
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(
        parser,
        lambda: study(options.out, options.samplers, options.repetitions, options.trials, options.workers),
    )


if __name__ == "__main__":
    sys.exit(main())

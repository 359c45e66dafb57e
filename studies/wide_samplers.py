"""Which sampler finds the better front of the wide space, and after how many trials?

Expected: in a space of 28 dimensions random draws find little, a model of accuracy more, and evolution, which
varies what was found, as much; a model that also chooses among the neighbours of its front the most.

    python -m studies.wide_samplers

Nobody can train all of the wide space, and random members say little of its front. So the real search is
replayed on a benchmark (`studies.wide_model`) that is fitted to the trials of `reports/front`; a run scatters
about what the benchmark says as seeds do, and none is stopped. After each of BUDGETS trials the front is
judged: the mean over sizes of the least log error of what was met no larger, without the scatter.
`replays.csv` has a line a search and budget, `summary.csv` a line a sampler and budget, `benchmark.csv` how
well the benchmark foresees networks that it was not fitted to. It keeps each search as it ends, and resumes.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from rich.console import Console

from lightcnn.architecture import parse
from lightcnn.data import DATASETS
from lightcnn.training import Epoch, Piece
from search import samplers
from search.cells import rows
from search.command import Parser, at_least, run_command
from search.execution.display import Display
from search.execution.runs import TrainingData
from search.loop import search
from search.records import finished
from search.samplers import SurrogateSampler
from search.settings import SearchSettings
from search.storage import only_driver, study_folder, write_table
from search.tables import read_study
from studies.samplers import summarise
from studies.wide_model import MOST_ERRORS, Array, Benchmark, held_out, measured

DATA = TrainingData(DATASETS["mnist"], Path())
DRAWN = "surrogate, drawn pool"  # the model without the neighbours of its front
ARMS = ("random", "tpe", "evolution", DRAWN, "surrogate")
BUDGETS = (25, 50, 100, 200)  # trials after which samplers are compared
SIZES = np.geomspace(300, 20_000, 200)  # parameters that the front is judged at
SEED_DEVIATION = 0.08  # of a run's log error
KEYS = ["sampler", "num_trials", "repetition"]


class BenchmarkSlots(Executor):
    """Answers each run at once: all its epochs have the accuracy that is expected, and a seed's scatter."""

    num_slots = 1

    def __init__(self, benchmark: Benchmark) -> None:
        self._benchmark = benchmark

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Part of Executor."""
        run, _, stop, _ = args
        expected = float(self._benchmark.log_errors([run.architecture])[0])
        scatter = SEED_DEVIATION * np.random.default_rng(run.seed).standard_normal()
        accuracy = 1 - float(np.exp(min(expected + scatter, 0.0)))
        epochs = tuple(Epoch(it + 1, 0.1, accuracy, 0.1) for it in range(stop))
        answer: Future[Piece] = Future()
        answer.set_result(Piece(epochs, b"", False, 0.0))
        return answer


def front_error(sizes: Sequence[float], errors: Sequence[float] | Array) -> float:
    """Mean over SIZES of the least log error of the networks no larger; MOST_ERRORS where there is none."""
    order = np.argsort(sizes, kind="stable")
    least = np.minimum.accumulate([np.log(MOST_ERRORS), *np.array(errors)[order]])
    return float(least[np.searchsorted(np.array(sizes)[order], SIZES, side="right")].mean())


def replay(
    name: str, benchmark: Benchmark, settings: SearchSettings, repetition: int, num_trials: int
) -> list[dict[str, Any]]:
    """One search in the space and the budget of `settings`: a line for each of BUDGETS that it reaches."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # By its module: a worker is sent copies of the names that the program's own module holds.
    samplers.SAMPLERS[DRAWN] = lambda _, space, is_wanted: SurrogateSampler(space, is_wanted, neighbours=0)
    study = optuna.create_study(directions=["maximize", "minimize"])
    settings = replace(settings, sampler=name, seed=repetition, stopping=None)
    with Display("", num_trials, num_slots=1, console=Console(quiet=True, highlight=False)) as display:
        search(study, settings, DATA, num_trials, False, BenchmarkSlots(benchmark), display)
    records = list(finished(study).values())
    errors = benchmark.log_errors([parse(record.architecture, settings.task) for record in records])
    sizes = [record.num_parameters for record in records]
    key = {"sampler": name, "repetition": repetition}
    return [
        {**key, "num_trials": budget, "front_error": front_error(sizes[:budget], errors[:budget])}
        for budget in BUDGETS
        if budget <= num_trials
    ]


def study(out: Path, searched: Path, repetitions: int, num_trials: int, workers: int | None) -> None:
    """Replay all samplers, print the comparison, and keep it in `out`/wide_samplers."""
    tables = read_study(searched)
    networks, errors = measured(tables)
    settings = tables.settings
    assert settings is not None  # as `measured` needs it too
    folder = study_folder(out, "wide_samplers")
    known = "".join(map(str, networks)).encode() + errors.round(6).tobytes()
    digest = hashlib.sha256(known).hexdigest()[:12]
    with only_driver(folder):
        fit = pd.DataFrame([{"benchmark": digest} | held_out(networks, errors, settings.space)]).round(4)
        write_table(fit, folder / "benchmark.csv")
        print(fit.to_string(index=False))
        benchmark = Benchmark(networks, errors, settings.space)
        path = folder / "replays.csv"
        lines = rows(pd.read_csv(path)) if path.exists() else []
        lines = [line for line in lines if line["benchmark"] == digest]  # another's say nothing of this one
        done = {(line["sampler"], line["repetition"]) for line in lines if line["num_trials"] == num_trials}
        missing = [(name, i) for i in range(repetitions) for name in ARMS if (name, i) not in done]
        jobs = (delayed(replay)(name, benchmark, settings, i, num_trials) for name, i in missing)
        for found in Parallel(n_jobs=workers or cpu_count(), return_as="generator_unordered")(jobs):
            lines += [{"benchmark": digest} | line for line in found]
            table = pd.DataFrame(lines).drop_duplicates(KEYS).sort_values(KEYS, ignore_index=True)
            write_table(table, path)
        summary = summarise(pd.read_csv(path), "front_error")
        write_table(summary, folder / "summary.csv")
    print(summary.to_string(index=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.wide_samplers", (__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--study",
        type=Path,
        default=Path("reports/front"),
        metavar="STUDY",
        help="a search of the wide space, whose trials the benchmark is fitted to",
    )
    parser.add_argument("--repetitions", type=at_least(2), default=20, metavar="N", help="searches of each")
    parser.add_argument("--trials", type=int, choices=BUDGETS, default=max(BUDGETS), help="of each search")
    parser.add_argument(
        "--workers", type=at_least(1), metavar="W", help="processes; by default one a CPU core"
    )
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(
        parser,
        lambda: study(options.out, options.study, options.repetitions, options.trials, options.workers),
    )


if __name__ == "__main__":
    sys.exit(main())

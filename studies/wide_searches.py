"""Which sampler finds the better front of the wide space?

Expected: in a space of 28 dimensions random draws find little, a model of accuracy more, and evolution, which
varies what was found, as much; a model that also chooses among the neighbours of its front the most.

    python -m studies.wide_searches

Nobody can train all of the space, and a table of random members says little of its front: so each sampler
searches itself, with the search's own recipe, images and early stopping, of networks up to 10,000 parameters.
Searches of one repetition begin with the same random networks. They go on where they were, with more
`--trials` as well; `trials.csv` has every trial, `summary.csv` the hypervolume of the front after so many of
them. The test images are not read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import pandas as pd

from search.command import Parser, add_data_options, at_least, run_command
from search.execution.display import log_line
from search.execution.runs import RunState
from search.pareto import hypervolume
from search.run import run_search
from search.samplers import SAMPLERS, SurrogateSampler
from search.storage import only_driver, study_folder, write_table
from studies.samplers import summarise
from studies.tabular_bench import REFERENCE_POINT

DRAWN = "surrogate, drawn pool"  # the model without the neighbours of its front
ARMS = ("random", "tpe", "evolution", DRAWN, "surrogate")
BUDGETS = (25, 50, 100, 200, 400)  # trials after which samplers are compared
SEARCH = {
    "space": "wide",
    "max_parameters": 10_000,
    "seeds": 0,
    "no_baselines": True,
}


def volumes(trials: pd.DataFrame) -> pd.DataFrame:
    """A line for each search and each of BUDGETS that it reached: the hypervolume of what it had trained.

    Args:
        trials: of all searches, with `sampler` and `repetition`.
    """
    lines = []
    for (sampler, repetition), own in trials.groupby(["sampler", "repetition"], sort=False):
        for budget in BUDGETS:
            met = own[own["trial"] < budget]
            if len(met) == budget:
                whole = met[met["state"] == RunState.COMPLETE]
                volume = hypervolume(whole["num_parameters"], whole["val_accuracy"], *REFERENCE_POINT)
                lines.append(
                    {
                        "sampler": sampler,
                        "repetition": repetition,
                        "num_trials": budget,
                        "hypervolume": volume,
                        "seconds_per_trial": met["seconds"].mean(),
                    }
                )
    return pd.DataFrame(lines)


def study(options: argparse.Namespace) -> None:
    """Search with each sampler, then compare."""
    SAMPLERS[DRAWN] = lambda _, space, is_wanted: SurrogateSampler(space, is_wanted, neighbours=0)
    folder = study_folder(options.out, "wide_searches")
    words = SEARCH | {"data_dir": options.data_dir, "workers": options.workers, "trials": options.trials}
    found = []
    with only_driver(folder):
        for repetition in range(options.repetitions):
            for name in ARMS:
                log_line(f"{name}, repetition {repetition}")
                tables = run_search(
                    sampler=name,
                    seed=repetition,
                    out=folder / "searches",
                    name=f"{name.replace(', ', '-').replace(' ', '-')}-{repetition}",
                    **words,
                )
                columns = [
                    "trial",
                    "state",
                    "architecture",
                    "num_parameters",
                    "val_accuracy",
                    "epochs",
                    "seconds",
                ]
                found.append(tables.trials[columns].assign(sampler=name, repetition=repetition))
        trials = pd.concat(found)
        write_table(trials, folder / "trials.csv")
        summary = summarise(volumes(trials))
        write_table(summary, folder / "summary.csv")
    print(summary.to_string(index=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.wide_searches", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=at_least(25), default=200, metavar="N", help="of each search")
    parser.add_argument(
        "--repetitions", type=at_least(1), default=3, metavar="N", help="searches of each sampler"
    )
    parser.add_argument("--workers", type=at_least(1), metavar="W", help="by default one a core")
    add_data_options(parser)
    options = parser.parse_args(argv)
    return run_command(parser, lambda: study(options))


if __name__ == "__main__":
    sys.exit(main())

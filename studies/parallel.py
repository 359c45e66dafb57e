"""What do many runs at a time cost a search, and what do suggestions win back that know what is under way?

Expected: of 100 trials with 64 slots only the last third is suggested by a model that has learnt from more
than a few, so their front is clearly worse than that of one slot; with 8 slots hardly. And a model that takes
a run under way to come out as it expects does better than one that knows nothing of it.

    python -m studies.parallel

Replays LightCNN-Bench (`python -m studies.tabular_bench`, which must have run): searches by the surrogate
among its networks, with 1 to 64 runs under way, whose lengths are drawn; each run has the recorded accuracies
of one of its network's seeds, drawn. As in a search, a ranking serves several suggestions where many runs
are under way. Compared is the hypervolume of all that was trained, by mean accuracies over the seeds, so that
luck counts for nothing. Takes ten minutes.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed

from search.command import Parser, at_least, run_command
from search.pareto import hypervolume
from search.prospects import Prospects
from search.samplers import NUM_RANDOM, RUNNING_A_RANKING
from search.statistics import mean_interval, paired_difference
from search.storage import study_folder, write_table
from search.surrogate import Array, Pool
from studies.replay import Bench
from studies.samplers import SPACE
from studies.tabular_bench import REFERENCE_POINT, TABLE, read

BUDGETS = (50, 100, 200)  # trials after which searches are compared
SPREAD = 0.5  # of the runs' lengths: standard deviation of their logarithm


class Ignorant(Prospects):
    """Knows nothing of what is under way, and takes the next of its ranking."""

    def _suppose(self, inputs: Array) -> None:
        pass


class Believer(Prospects):
    """Has what is expected of the runs under way in its front already: the Kriging believer.

    Source: Ginsbourger, Le Riche and Carraro (2010), Kriging is well-suited to parallelize optimization.
    """

    def _suppose(self, inputs: Array) -> None:
        self._sizes = np.concatenate([self._sizes, np.exp(inputs[:, -2])])  # of the features, the parameters
        self._known = np.concatenate([self._known, 1 - np.exp(self._model.predict(inputs)[0])])
        super()._suppose(inputs)


MODELS = {"knows nothing": Ignorant, "is surer where runs are": Prospects, "believes in a front": Believer}
ONE_SLOT = (1, "is surer where runs are")  # where all models are the same
ARMS = [ONE_SLOT, *((slots, model) for slots in (8, 16, 64) for model in MODELS)]


def replay(bench: Bench, num_slots: int, model: str, repetition: int) -> list[float]:
    """One search; the hypervolume of what was trained after each of BUDGETS trials."""
    rng = np.random.default_rng(repetition)
    num_networks, num_seeds, _ = bench.curves.shape
    runs = bench.curves[np.arange(num_networks), rng.integers(num_seeds, size=num_networks)]
    order: list[int] = rng.permutation(num_networks).tolist()
    lengths = np.exp(SPREAD * rng.standard_normal(num_networks))
    pool = Pool.of(bench.networks, SPACE)
    begun: list[int] = []
    ended: list[int] = []
    under_way: list[tuple[float, int]] = []  # when it ends, and which it is
    prospects: Prospects | None = None
    num_ranked, now = 0, 0.0

    def suggested() -> int:
        nonlocal prospects, num_ranked
        if len(ended) < NUM_RANDOM:
            return next(i for i in order if i not in begun)
        if prospects is None or len(ended) - num_ranked > len(under_way) // RUNNING_A_RANKING:
            running = pool.features[[i for _, i in under_way]] if under_way else None
            trained = Pool(pool.features[ended], pool.sizes[ended])
            prospects = MODELS[model](pool, trained, [runs[i].tolist() for i in ended], running)
            num_ranked = len(ended)
        found = prospects.take(lambda i: i not in begun)
        assert found is not None  # as the bench has more networks than a search has trials
        return found

    while len(ended) < max(BUDGETS):
        while len(under_way) < num_slots and len(begun) < max(BUDGETS):
            begun.append(suggested())
            heapq.heappush(under_way, (now + lengths[begun[-1]], begun[-1]))
        now, over = heapq.heappop(under_way)
        ended.append(over)
    accuracies = bench.curves[:, :, -1].mean(axis=1)
    return [hypervolume(bench.sizes[ended[:n]], accuracies[ended[:n]], *REFERENCE_POINT) for n in BUDGETS]


def study(out: Path, repetitions: int) -> None:
    """Replay, print the comparison, and keep it in `out`/parallel/summary.csv."""
    bench = Bench.of(read(out / "tabular_bench" / TABLE))
    accuracies = bench.curves[:, :, -1].mean(axis=1)
    whole = hypervolume(bench.sizes, accuracies, *REFERENCE_POINT)
    jobs = [(*arm, repetition) for arm in ARMS for repetition in range(repetitions)]
    found = Parallel(n_jobs=cpu_count())(delayed(replay)(bench, *job) for job in jobs)
    losses = 1 - np.array(found).reshape(len(ARMS), repetitions, len(BUDGETS)) / whole
    lines = []
    for i, n in enumerate(BUDGETS):
        for (num_slots, model), own in zip(ARMS, losses[..., i], strict=True):
            mean = mean_interval(own)
            ignorant = losses[ARMS.index((num_slots, "knows nothing")), :, i] if num_slots > 1 else own
            gain = paired_difference(own, ignorant)
            lines.append((n, num_slots, model, *mean, gain.mean, gain.low, gain.high))
    losses_of = ["loss", "loss_low", "loss_high", "gain", "gain_low", "gain_high"]
    summary = pd.DataFrame(lines, columns=["num_trials", "num_slots", "model", *losses_of]).round(5)
    write_table(summary, study_folder(out, "parallel") / "summary.csv")
    print(summary.to_string(index=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.parallel", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=at_least(2), default=100, metavar="N", help="searches of each")
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: study(options.out, options.repetitions))


if __name__ == "__main__":
    sys.exit(main())

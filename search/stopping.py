"""The early-stopping rule: a run is stopped by candidates no larger that were better so far; pure.

The number of parameters is exact before the first epoch, so of the two objectives only accuracy is uncertain
while a run trains, and a run can lose its chance of being on the front only to candidates with no more
parameters. Larger ones never stop a smaller one. Successive halving (Jamieson and Talwalkar, 2016; Li et al.,
2018) compares at rungs as well, but keeps a share of all runs by one value; with two objectives that
share would have to be of runs that cannot be compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

SPARED = 0.1  # share of the runs due to be stopped that go on, to learn how often the rule is wrong


@dataclass(frozen=True)
class StoppingRule:
    """At each rung, stop a run that enough candidates with no more parameters beat by a margin.

    Raises:
        ValueError: no rung, one that is no epoch, fewer than 1 candidate, or a negative margin.
    """

    rungs: tuple[int, ...]  # after so many epochs runs are compared
    num_better: int  # so many candidates stop a run
    margin: float  # by which each must be more accurate at the same rung, a fraction

    def __post_init__(self) -> None:
        if min(self.rungs, default=0) < 1 or self.num_better < 1 or self.margin < 0:
            raise ValueError(
                "a stopping rule needs rungs from 1 on, at least 1 better candidate and no negative margin, "
                f"but got rungs={self.rungs}, num_better={self.num_better}, margin={self.margin}"
            )

    def num_better_than(
        self, num_parameters: int, curve: Sequence[float], others: Iterable[tuple[int, Sequence[float]]]
    ) -> int:
        """How many of `others` beat a run at the rung that it stands at; 0 if it stands at none.

        Args:
            num_parameters: the run's.
            curve: its validation accuracies, one an epoch so far.
            others: parameters and accuracies of other candidates, over or in training; those that have not
                come as far are not counted.
        """
        epoch = len(curve)
        if epoch not in self.rungs:
            return 0
        return sum(
            size <= num_parameters and len(other) >= epoch and other[epoch - 1] >= curve[-1] + self.margin
            for size, other in others
        )


def is_spared(seed: int, number: int) -> bool:
    """Whether trial `number` of a search goes on when it is due to be stopped; drawn, a tenth of all."""
    return bool(np.random.default_rng([seed, number]).random() < SPARED)


def default_rule(num_epochs: int) -> StoppingRule | None:
    """The rule of a search: rungs at a quarter and half of a run's epochs; None where it has a single one.

    In replays of a 100-trial search of 8 epochs whose every curve is known (reports/mnist-100-trials) it
    saved 24 % of the epochs and no hypervolume in the median, and 1.4 % of the stopped trials would have
    ended on the front. Rules that saved more were wrong more often; `python -m studies.early_stopping`
    compares them on a larger table.
    """
    rungs = sorted({num_epochs // 4, num_epochs // 2} - {0})
    return StoppingRule(tuple(rungs), num_better=1, margin=0.02) if rungs else None

"""Runs that died: which they are, and how often that happens; pure functions.

A run is dead when it ends at the accuracy of naming the largest class for every image: some block's
ReLUs are all silent, and nothing flows back through them. It says nothing of how accurate its design is
when it lives, so dead runs are counted apart, and means and intervals are those of the survivors.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from lightcnn.initialisation import Initialisation
from search.statistics import CONFIDENCE, Array, Values

NOISE = 3  # standard errors above the largest class's share up to which a run is dead
LEAST_WIDTHS = (2, 3, 4, 5)  # of the narrowest block; the last stands for all wider


class Deaths(NamedTuple):
    """How many of so many runs died, and the rate that lets one expect."""

    num_dead: int
    num_runs: int

    def __str__(self) -> str:
        return f"{self.num_dead} of {self.num_runs} runs died"

    @property
    def rate_interval(self) -> tuple[float, float]:
        """Jeffreys's 95 % interval of the rate of death; from 0 where none died, to 1 where all did.

        Source: Brown, Cai and DasGupta (2001), Interval estimation for a binomial proportion.
        """
        tails = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
        a, b = self.num_dead + 0.5, self.num_runs - self.num_dead + 0.5
        low, high = (float(stats.beta.ppf(tail, a, b)) for tail in tails)
        return (low if self.num_dead else 0.0, high if self.num_dead < self.num_runs else 1.0)


class Logit(NamedTuple):
    """log odds of death: intercept + log2_width * log2(least width) + blocks * (number of blocks - 3)."""

    intercept: float
    log2_width: float
    blocks: float

    def rate(self, least_width: float, num_blocks: float) -> float:
        """Probability that a run of such a design dies."""
        odds = self.intercept + self.log2_width * np.log2(least_width) + self.blocks * (num_blocks - 3)
        return float(1 / (1 + np.exp(-odds)))


# Of MNIST runs under the default recipe, by initial weights: how many of how many died, by least width and
# number of blocks. `studies.seed_variance` (PyTorch's own) and `studies.initialisation` count them.
_COUNTED: dict[Initialisation, dict[tuple[int, int], tuple[int, int]]] = {
    "pytorch": {
        **{(2, 1): (0, 3), (3, 1): (0, 1), (4, 1): (0, 43), (5, 1): (0, 61)},
        **{(2, 2): (0, 17), (3, 2): (0, 13), (4, 2): (0, 119), (5, 2): (0, 118)},
        **{(2, 3): (2, 35), (3, 3): (0, 14), (4, 3): (7, 770), (5, 3): (0, 519)},
        **{(2, 4): (17, 134), (3, 4): (1, 22), (4, 4): (4, 793), (5, 4): (0, 270)},
    },
    "zero-bias": {
        **{(3, 2): (0, 20), (4, 2): (0, 20), (5, 2): (0, 10)},
        **{(2, 3): (0, 60), (3, 3): (0, 20), (4, 3): (0, 20), (5, 3): (0, 80)},
        **{(2, 4): (9, 190), (4, 4): (0, 20), (5, 4): (0, 10)},
    },
    "he": {
        **{(3, 2): (0, 20), (4, 2): (0, 20), (5, 2): (0, 10)},
        **{(2, 3): (0, 60), (3, 3): (0, 20), (4, 3): (0, 20), (5, 3): (0, 80)},
        **{(2, 4): (0, 190), (4, 4): (0, 20), (5, 4): (0, 10)},
    },
}
POOLED = {
    name: {place: Deaths(*counts) for place, counts in table.items()} for name, table in _COUNTED.items()
}


def pooled(initialisation: Initialisation, least_width: int, num_blocks: int | None = None) -> Deaths | None:
    """Of MNIST runs of any design with that narrowest block, and so many blocks; None if there were none.

    Args:
        least_width: channels; 2 stands for narrower blocks, too, 5 for all wider, as in `death_rates`.
        num_blocks: None: whatever their number.
    """
    width = min(max(least_width, LEAST_WIDTHS[0]), LEAST_WIDTHS[-1])
    found = [
        counts
        for (its_width, its_blocks), counts in POOLED[initialisation].items()
        if its_width == width and num_blocks in (None, its_blocks)
    ]
    return Deaths(*map(sum, zip(*found, strict=True))) if found else None


def is_dead(accuracy: Values, largest_class_share: float, num_images: int) -> NDArray[np.bool_]:
    """Whether each run ended no better than by naming the largest class, within binomial noise.

    Args:
        accuracy: of each run, (num_runs,), fractions; NaN is not dead, but absent.
        largest_class_share: of the images, a fraction.
        num_images: that the accuracies were measured on.
    """
    share = largest_class_share
    limit = share + NOISE * sqrt(share * (1 - share) / num_images)
    dead: NDArray[np.bool_] = np.asarray(accuracy, dtype=np.float64) <= limit
    return dead


def live(accuracy: Values, largest_class_share: float, num_images: int) -> Array:
    """The accuracies with NaN in place of a dead run's, so that seeds keep their places, (num_runs,)."""
    values = np.asarray(accuracy, dtype=np.float64)
    return np.where(is_dead(values, largest_class_share, num_images), np.nan, values)


def death_rates(runs: pd.DataFrame) -> pd.DataFrame:
    """Deaths by least width over all depths (`num_blocks` empty), then by least width and depth.

    Args:
        runs: a line a run, with `least_width`, channels of the narrowest block, `num_blocks` and `died`.

    Returns:
        A line each with `least_width`, `num_blocks`, `num_dead`, `num_runs`, `rate`, and `rate_low` and
        `rate_high`, the 95 % interval. 2 stands for narrower blocks, too, 5 for all wider;
        what no run had is left out.
    """
    width = runs["least_width"].clip(LEAST_WIDTHS[0], LEAST_WIDTHS[-1])
    lines = []
    for depth in (None, *sorted(runs["num_blocks"].unique())):
        for least in LEAST_WIDTHS:
            own = runs["died"][(width == least) & (depth is None or runs["num_blocks"] == depth)]
            if own.empty:
                continue
            deaths = Deaths(int(own.sum()), len(own))
            low, high = deaths.rate_interval
            lines.append(
                {
                    "least_width": least,
                    "num_blocks": depth,
                    **deaths._asdict(),
                    "rate": deaths.num_dead / deaths.num_runs,
                    "rate_low": low,
                    "rate_high": high,
                }
            )
    return pd.DataFrame(lines).astype({"num_blocks": "Int64"})


def death_logit(runs: pd.DataFrame) -> Logit:
    """The rate of death by least width and depth, by logistic regression (maximum likelihood).

    Args:
        runs: as for `death_rates`, some dead and some not.

    Raises:
        ValueError: all died, or none.
    """
    died = runs["died"].to_numpy(dtype=bool)
    if died.all() or not died.any():
        raise ValueError(
            f"a rate can be modelled where some runs died, but {int(died.sum())} of {len(died)} did"
        )
    inputs = np.column_stack(
        [
            np.ones(len(runs)),
            np.log2(runs["least_width"].to_numpy(dtype=float)),
            runs["num_blocks"].to_numpy(dtype=float) - 3,
        ]
    )
    signs = np.where(died, 1.0, -1.0)

    def negative_log_likelihood(coefficients: Array) -> float:
        return float(np.logaddexp(0, -signs * (inputs @ coefficients)).sum())

    return Logit(*map(float, optimize.minimize(negative_log_likelihood, np.zeros(3)).x))

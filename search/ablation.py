"""Baseline, variants, seeds -> a table of differences: what a part of a network brings, by retraining."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

from lightcnn.architecture import Architecture, plan
from lightcnn.cost import num_parameters
from lightcnn.errors import UserError
from lightcnn.training import Recipe
from search.deaths import live
from search.evaluation import Arm
from search.image_facts import ImageFacts
from search.moderation import MNIST, difference, seed_columns
from search.statistics import holm
from search.tables import CLAIMS, RUNS, SUMMARY

BUDGET_TOLERANCE = 0.03  # how far a variant at the baseline's budget may be from it


@dataclass(frozen=True)
class Ablation:
    """A baseline and its variants, each trained with the same recipe and the same seeds 0, 1, ...

    Raises:
        ValueError: two arms share a name or train the very same network: an ablation that changes nothing
            must not pass silently.
    """

    name: str  # of its folder
    baseline: Arm
    variants: tuple[Arm, ...]
    recipe: Recipe
    num_seeds: int

    def __post_init__(self) -> None:
        plans = {arm: plan(arm.architecture) for arm in self.arms}  # which words alone do not change
        for first, second in combinations(self.arms, 2):
            if first.name == second.name:
                raise ValueError(f"arms need names of their own, but two are called {first.name!r}")
            if plans[first] == plans[second]:
                raise ValueError(
                    f"each arm must differ from the others, but {first.name!r} ({first.architecture}) and "
                    f"{second.name!r} ({second.architecture}) train the same network"
                )

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The baseline, then the variants."""
        return (self.baseline, *self.variants)


def at_budget(architecture: Architecture, budget: int) -> Architecture:
    """`architecture` with all its widths scaled by one factor until it has about `budget` parameters.

    Of the factors from 1/20 to 4 that come closest, the smallest; if rounding leaves more than 1 %, single
    widths may move by one.

    Raises:
        ValueError: no scaled network comes within 3 % of the budget.
    """

    def scaled(factor: float, steps: tuple[int, ...] = ()) -> Architecture | None:
        """None where a block with a residual sum, or of several applications, would not fit what it reads."""
        widths = [*(block.channels for block in architecture.blocks), *architecture.hidden]
        widths = [
            max(1, round(width * factor) + step)
            for width, step in zip(widths, steps or (0,) * len(widths), strict=True)
        ]
        blocks = tuple(
            replace(block, channels=width) for block, width in zip(architecture.blocks, widths, strict=False)
        )
        with suppress(UserError):
            return replace(architecture, blocks=blocks, hidden=tuple(widths[len(blocks) :]))
        return None

    def miss(candidate: Architecture | None) -> float:
        return np.inf if candidate is None else abs(num_parameters(candidate) / budget - 1)

    factors = np.geomspace(0.05, 4, 1_000)
    best = min((scaled(float(factor)) for factor in factors), key=miss)
    if miss(best) > 0.01:
        factor = min((float(factor) for factor in factors), key=lambda factor: miss(scaled(factor)))
        num_widths = len(architecture.blocks) + len(architecture.hidden)
        best = min((scaled(factor, steps) for steps in product((-1, 0, 1), repeat=num_widths)), key=miss)
    if best is None:
        raise ValueError(
            f"{architecture} must have widths that can be scaled, but some follow from the images"
        )
    if miss(best) > BUDGET_TOLERANCE:
        raise ValueError(
            f"{architecture} must come within {BUDGET_TOLERANCE:.0%} of {budget:,} parameters when its "
            f"widths are scaled, but the nearest, {best}, has {num_parameters(best):,}"
        )
    return best


@dataclass(frozen=True)
class AblationTables:
    """What an ablation left, checked. Accuracies and differences are fractions; an absent number is NaN."""

    study: str
    runs: pd.DataFrame
    summary: pd.DataFrame  # a line an arm, the baseline first, as `summarise` has it
    claims: pd.DataFrame  # none in a study that asks for none


def read_ablation(folder: Path | str) -> AblationTables:
    """The tables in `folder`. UserError names the file, the line and the rule that it breaks."""
    folder = Path(folder)
    return AblationTables(
        folder.resolve().name, RUNS.read(folder), SUMMARY.read(folder), CLAIMS.read_if_there(folder)
    )


def alive(runs: pd.DataFrame, images: ImageFacts) -> pd.DataFrame:
    """`runs` with NaN for the test accuracies of those that died (`search.deaths`)."""
    tests = runs["test_accuracy"].to_numpy(dtype=float)
    return runs.assign(test_accuracy=live(tests, images.largest_class_share, images.num_test))


def summarise(ablation: Ablation, runs: pd.DataFrame) -> pd.DataFrame:
    """One line an arm: mean test accuracy, and the difference to the baseline, each with its 95 % interval.

    Runs that died, `alive` says which, are counted; means, intervals and differences are of the others
    (`search.moderation`). `p_holm` is corrected for the number of variants.
    """
    accuracies = {
        arm: runs.loc[runs["arm"] == arm.name].sort_values("seed")["test_accuracy"].to_numpy(dtype=float)
        for arm in ablation.arms
    }
    baseline = accuracies[ablation.baseline]
    lines = []
    for arm, own in accuracies.items():
        line = {
            "arm": arm.name,
            "architecture": str(arm.architecture),
            "num_parameters": num_parameters(arm.architecture),
            **seed_columns(own, MNIST),
        }
        if arm != ablation.baseline and all(np.isfinite(it).any() for it in (own, baseline)):
            line |= difference(baseline, own, MNIST).columns("p_holm")
        lines.append(line)
    summary = SUMMARY.frame(lines)
    compared = summary["p_holm"].notna()
    if compared.any():
        summary.loc[compared, "p_holm"] = holm(summary.loc[compared, "p_holm"].to_numpy(dtype=float))
    return summary

"""Does each kind of claim hold as often as it says?

Expected: moderated intervals cover their 95 % from one seed on, where Student's are of use from three seeds
on and a bootstrap never covers; equal designs differ "significantly" in one comparison in twenty; the joint
estimate's 90 % ranges cover some 90 %, and its probabilities come true as often as they say, unless it is
told that the features see everything.

    python -m studies.coverage

Nothing is trained: studies are simulated of which the truth is known. A world has 50 candidates and a
reference of LightCNN's size. Their log errors fall with size to a floor and depend on three other features,
smoothly, but for a deviation of each design; the variance of its seeds scatters about what
`python -m studies.seed_variance` found. Each candidate is searched once, with more error as on fewer images;
then designs are trained again as `search.allocation` says, and claims are made of these runs. Writes
`coverage.csv` beside the tables of that study: a line a claim, with what it says, what came true, and the
standard error that the number of simulations leaves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from search.allocation import num_fresh_seeds
from search.command import Parser, at_least, run_command
from search.joint import (
    NUGGETS,
    Joint,
    Observation,
    challenger,
    estimate,
    front_range,
    on_front,
    place,
)
from search.moderation import MNIST, accuracy_interval, difference, moderated
from search.statistics import Array, mean_interval
from search.storage import study_folder, write_table

REFERENCE_SIZE = 6_218  # LightCNN's
SEARCH, FRESH = 0, 1  # sources
SEARCH_OFFSET = 0.4  # of the log error in the search: fewer images
ERROR = 0.011  # of the designs whose intervals are simulated one by one
NUM_SEEDS = 5  # of the designs that decide
ROUGH_WORLD = 0.12  # nugget of a world that the features describe badly


class World(NamedTuple):
    """Designs whose truth is known; the last is the reference."""

    features: Array  # (num_designs, num_features)
    sizes: Array  # parameters, (num_designs,)
    log_errors: Array  # true means, (num_designs,)
    variances: Array  # of a single run's log error, (num_designs,)

    def runs(self, rng: np.random.Generator, design: int, count: int, offset: float = 0) -> Array:
        """Accuracies of `count` seeds of a design."""
        deviations = np.sqrt(self.variances[design]) * rng.standard_normal(count)
        accuracies: Array = 1 - np.exp(self.log_errors[design] + offset + deviations)
        return accuracies


class Told(NamedTuple):
    """What is said to come true with probability `nominal`, and whether it did, 0 or 1."""

    nominal: float
    came_true: float


def world(rng: np.random.Generator, num_candidates: int, nugget: float) -> World:
    """A world at random."""
    sizes = np.append(np.exp(rng.uniform(np.log(100), np.log(30_000), num_candidates)), REFERENCE_SIZE)
    shape = rng.standard_normal((len(sizes), 3))
    by_size = 3 * np.exp(-np.log(sizes / 100) / 1.5)
    smooth = by_size + 0.1 * shape[:, 0] ** 2 + 0.1 * np.sin(2 * shape[:, 1])
    log_errors = np.minimum(-4.8 + smooth + nugget * rng.standard_normal(len(sizes)), -0.1)
    expected = np.array([MNIST.variance(error) for error in np.exp(log_errors)])
    dof = MNIST.degrees_of_freedom
    variances = expected * dof / rng.chisquare(dof, len(sizes))
    return World(np.column_stack([np.log(sizes), shape]), sizes, log_errors, variances)


def study_of(
    it: World, rng: np.random.Generator, num_draws: int, nuggets: Sequence[float] = NUGGETS
) -> tuple[Joint, dict[int, Array], int | None]:
    """Search, re-train, estimate: what is believed in the end, the fresh runs, and the challenger."""
    reference = len(it.sizes) - 1
    sizes = it.sizes[:-1]
    seed = int(rng.integers(2**32))

    def observe(runs: dict[int, Array], source: int) -> list[Observation]:
        return [Observation.of(i, source, moderated(own, MNIST)) for i, own in runs.items()]

    searched = observe({i: it.runs(rng, i, 1, SEARCH_OFFSET) for i in range(len(it.sizes))}, SEARCH)
    believed = estimate(it.features, searched, SEARCH, seed, num_draws, nuggets)
    candidates = believed.accuracies[:, :-1]
    rival = challenger(candidates, sizes, REFERENCE_SIZE)
    chances = {str(i): float(chance) for i, chance in enumerate(on_front(candidates, sizes))}
    decisive = [str(i) for i in (reference, rival) if i is not None]
    seeds = num_fresh_seeds(chances, decisive, believed.nugget, NUM_SEEDS)
    fresh = {int(name): it.runs(rng, int(name), count) for name, count in seeds.items()}
    observations = [*searched, *observe(fresh, FRESH)]
    return estimate(it.features, observations, FRESH, seed, num_draws, nuggets), fresh, rival


def joint_claims(
    it: World, rng: np.random.Generator, num_draws: int, nuggets: Sequence[float] = NUGGETS
) -> dict[str, list[Told]]:
    """What a simulated study says of its world, by kind of claim."""
    joint, fresh, rival = study_of(it, rng, num_draws, nuggets)
    accuracies, sizes = joint.accuracies[:, :-1], it.sizes[:-1]
    truth = 1 - np.exp(it.log_errors)
    so = place(truth[None, -1], REFERENCE_SIZE, truth[None, :-1], sizes)
    said = place(joint.accuracies[:, -1], REFERENCE_SIZE, accuracies, sizes)
    chances, members = on_front(accuracies, sizes), on_front(truth[None, :-1], sizes)
    low, high = np.quantile(joint.accuracies, [0.05, 0.95], axis=0)
    ratio = _within(so.parameter_ratio[0], said.parameter_ratio, 0.9)
    front = [
        _within(float(truth[:-1][sizes <= size].max()), (0, *front_range(accuracies, sizes, size)), 0.9)
        for size in sorted(sizes)
    ]
    claims = {
        "the front at a candidate's size, 90 % range": front,
        "reference's gap to the best candidate no larger, 90 % range": [_within(so.gap[0], said.gap, 0.9)],
        "parameters of the smallest candidate as accurate, 90 % range": [ratio],
        "accuracy of a re-trained design, 90 % range": [
            Told(0.9, float(low[i] <= truth[i] <= high[i])) for i in sorted(fresh)
        ],
        "some candidate no larger is more accurate": [Told(said.beaten, so.beaten)],
        "some candidate no larger is clearly more accurate": [Told(said.clearly_beaten, so.clearly_beaten)],
    }
    for least, most in ((0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.01)):
        name = f"on the front, probability {least} to {min(most, 1)}"
        own = (least <= chances) & (chances < most)
        claims[name] = [Told(*map(float, pair)) for pair in zip(chances[own], members[own], strict=True)]
    if rival is not None:
        gap = difference(fresh[rival], fresh[len(it.sizes) - 1], MNIST)
        true_gap = float(truth[-1] - truth[rival])
        claims["reference less challenger, 95 % interval"] = [_within(true_gap, gap[:3], 0.95)]
    return claims


def single_claims(rng: np.random.Generator) -> dict[str, list[Told]]:
    """What few seeds say of one design, and of the difference to an equally accurate one."""
    dof = MNIST.degrees_of_freedom
    claims = {}
    for k in (1, 2, 3, 5):
        deviations = np.sqrt(MNIST.variance(ERROR) * dof / rng.chisquare(dof, (2, 1)))
        baseline, variant = 1 - ERROR * np.exp(deviations * rng.standard_normal((2, k)))
        intervals: dict[str, tuple[float, ...]] = {"moderated": accuracy_interval(baseline, MNIST)}
        if k > 1:
            intervals["Student's"] = mean_interval(baseline)
            intervals["percentile bootstrap"] = bootstrap(baseline, rng)
        for name, interval in intervals.items():
            claims[f"one design, seeds: {k}, {name} 95 % interval"] = [_within(1 - ERROR, interval, 0.95)]
        p_value = difference(baseline, variant, MNIST).p_value
        claims[f"two equal designs, seeds each: {k}, p < 0.05"] = [Told(0.05, float(p_value < 0.05))]
    return claims


def bootstrap(accuracies: Array, rng: np.random.Generator) -> tuple[float, float, float]:
    """Mean with its 95 % percentile interval over 300 resamples; not used for any claim."""
    means = accuracies[rng.integers(len(accuracies), size=(300, len(accuracies)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(accuracies.mean()), float(low), float(high)


def table(claims: Iterable[dict[str, list[Told]]]) -> pd.DataFrame:
    """A line a kind of claim: how often it should come true, how often it did, and how sure that is.

    `standard_error` takes the claims of one world for one piece of evidence.
    """
    of_worlds: dict[str, list[list[Told]]] = {}
    for said in claims:
        for name, told in said.items():
            of_worlds.setdefault(name, []).append(told)
    lines = []
    for name, worlds in of_worlds.items():
        filled = [np.array(told, dtype=float) for told in worlds if told]
        if len(filled) < 2:
            continue
        every = np.concatenate(filled)
        excess = np.array([(told[:, 1] - told[:, 0]).sum() for told in filled])
        lines.append(
            {
                "claim": name,
                "num_claims": len(every),
                "nominal": every[:, 0].mean(),
                "came_true": every[:, 1].mean(),
                "standard_error": excess.std(ddof=1) * np.sqrt(len(excess)) / len(every),
            }
        )
    return pd.DataFrame(lines).round(4)


def simulate(num_worlds: int, num_designs: int) -> pd.DataFrame:
    """The table, of so many worlds of each kind and so many pairs of designs."""
    rng = np.random.default_rng(0)
    claims = [single_claims(rng) for _ in range(num_designs)]
    kinds: tuple[tuple[str, float, Sequence[float]], ...] = (
        ("", 0.06, NUGGETS),
        ("rough world: ", ROUGH_WORLD, NUGGETS),
        ("without a nugget: ", 0.06, (1e-3,)),
    )
    for kind, nugget, considered in kinds:
        for _ in range(num_worlds):
            own = joint_claims(world(rng, 50, nugget), rng, 1_000, considered)
            claims.append({kind + claim: told for claim, told in own.items()})
    return table(claims)


def study(out: Path, num_worlds: int, num_designs: int) -> None:
    """Simulate, print, and keep the table in `out`/seed_variance/coverage.csv."""
    coverage = simulate(num_worlds, num_designs)
    write_table(coverage, study_folder(out, "seed_variance") / "coverage.csv")
    print(coverage.to_string(index=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.coverage", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--worlds", type=at_least(2), default=1_000, metavar="N", help="of each kind")
    parser.add_argument("--designs", type=at_least(2), default=10_000, metavar="N", help="pairs of designs")
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: study(options.out, options.worlds, options.designs))


def _within(truth: float, claimed: tuple[float, ...], nominal: float) -> Told:
    _, low, high = claimed
    return Told(nominal, float(low <= truth <= high))


if __name__ == "__main__":
    sys.exit(main())

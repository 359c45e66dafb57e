"""Designs placed beside the front: which candidates are re-trained, and what their fresh seeds say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lightcnn.architecture import Architecture, parse
from lightcnn.cost import num_parameters
from lightcnn.designs import DESIGNS as NAMED
from search.evaluation import Arm
from search.execution.runs import RunState
from search.pareto import Verdict, front, shortfall
from search.settings import SearchSettings
from search.statistics import (
    Measured,
    accuracy_gap_at_equal_parameters,
    difference,
    holm,
    parameter_gap_at_equal_accuracy,
    probability_better,
    seed_columns,
    standard_error,
)
from search.tables import DESIGNS, FRONT, GAPS, TRIALS

FEW_SEEDS = 2  # of a re-trained design that decides nothing about the reference or the user's own
NOISE = 2  # standard errors of a validation accuracy within which a candidate may belong to the front


def seeds_of_arms(
    trials: pd.DataFrame,
    settings: SearchSettings,
    placed: Sequence[Arm],
    num_seeds: int,
    with_designs: bool = True,
) -> dict[Arm, int]:
    """What is re-trained, each once, and with how many seeds.

    The reference, the designs that the user has placed, and the candidates that these are held against have
    `num_seeds`; the other designs, the rest of the front, and what is near it have FEW_SEEDS at most. One
    that is both a design and a candidate goes by the design's name.

    Args:
        trials: the table of trials.csv; validation accuracies decide.
        with_designs: whether the designs beside the reference are among them.
    """
    num_images = settings.data.num_validation
    reference, *others = (Arm(it.name, it.architecture(settings.task)) for it in settings.designs)
    judged = [reference, *placed]
    deciding = {str(arm.architecture) for arm in judged}
    for arm in judged:
        at_most = min(num_parameters(arm.architecture), settings.max_parameters)
        deciding.update(rivals(trials, at_most, num_images))
    near = contenders(trials, settings.max_parameters, num_images)
    arms = [
        reference,
        *(others if with_designs else []),
        *placed,
        *(Arm(text, parse(text, settings.task)) for text in near),
    ]
    named: dict[Architecture, Arm] = {}
    for arm in arms:
        named.setdefault(arm.architecture, arm)
    return {
        arm: num_seeds if str(arm.architecture) in deciding else min(num_seeds, FEW_SEEDS)
        for arm in named.values()
    }


def contenders(trials: pd.DataFrame, max_parameters: int, num_images: int) -> list[str]:
    """Architectures of the front's members and of every candidate within two standard errors of it.

    Args:
        trials: the table of trials.csv.
        max_parameters: a larger one is no candidate.
        num_images: validation images, which the standard error follows from.
    """
    judged = candidates(trials, max_parameters)
    accuracies = judged["val_accuracy"].to_numpy(dtype=float)
    below = shortfall(judged["num_parameters"], accuracies)
    near = below <= NOISE * standard_error(accuracies + below, num_images)
    return list(judged.loc[near, "architecture"])


def rivals(trials: pd.DataFrame, at_most: int, num_images: int) -> list[str]:
    """Architectures of the candidates of `at_most` parameters that may be the most accurate of them.

    Those within two standard errors of the one that was: what a design of that size will be held against.

    Args:
        trials: the table of trials.csv.
        num_images: validation images, which the standard error follows from.
    """
    judged = candidates(trials, at_most)
    accuracies = judged["val_accuracy"].to_numpy(dtype=float)
    best = accuracies.max(initial=0.0)
    near = best - accuracies <= NOISE * standard_error(best, num_images)
    return list(judged.loc[near, "architecture"])


def candidates(trials: pd.DataFrame, max_parameters: int) -> pd.DataFrame:
    """The trials that were trained to their end and are within the budget."""
    return trials[(trials["state"] == RunState.COMPLETE) & (trials["num_parameters"] <= max_parameters)]


def with_retraining(
    tables: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    settings: SearchSettings,
    placed: Iterable[str] = (),
) -> dict[str, pd.DataFrame]:
    """The tables of `search.results.study_tables` and what `runs`, those of runs.csv, add to them.

    All three gain the mean test accuracy over seeds with its 95 % interval. trials.csv and front.csv gain
    `on_front_after_retraining`, which holds all re-trained candidates against one another, whether or not
    they were on the search's front; front.csv `probability_better` than the reference. designs.csv gains a
    line for each of the architectures `placed` and those that are neither a candidate nor named, and the
    gaps of each design to the front.
    """
    tested = runs[runs["test_accuracy"].notna()]
    means = pd.DataFrame(
        [
            {
                "architecture": text,
                **seed_columns(own["test_accuracy"].to_numpy(dtype=float)),
                "train_accuracy_mean": float(own["train_accuracy"].mean()),
            }
            for text, own in tested.groupby("architecture")
        ]
    )
    if means.empty:
        return dict(tables)
    trials, on_front, designs = (tables[table.file] for table in (TRIALS, FRONT, DESIGNS))

    unknown = [text for text in tested["architecture"] if text not in set(trials["architecture"])]
    names = {design.text: design.name for design in NAMED}
    added = [
        {
            "name": names.get(text, text),
            "architecture": text,
            "num_parameters": num_parameters(parse(text, settings.task)),
        }
        for text in dict.fromkeys([*placed, *unknown])
        if text not in set(designs["architecture"])
    ]
    designs = pd.concat([designs, pd.DataFrame(added, columns=designs.columns).astype(designs.dtypes)])

    trials, on_front, designs = (
        table.merge(means, how="left", on="architecture") for table in (trials, on_front, designs)
    )
    retrained = candidates(trials, settings.max_parameters).dropna(subset=["test_accuracy_mean"])
    best = retrained.iloc[front(retrained["num_parameters"], retrained["test_accuracy_mean"])]
    for table in (trials, on_front):
        known_now = table["architecture"].isin(list(retrained["architecture"]))
        is_best = table["architecture"].isin(list(best["architecture"])).astype(object)
        table["on_front_after_retraining"] = is_best.where(known_now, None)

    measured = {
        str(text): Measured(
            str(text), int(own["num_parameters"].iloc[0]), tuple(own.sort_values("seed")["test_accuracy"])
        )
        for text, own in tested.groupby("architecture")
        if len(own) > 1  # a single run has no interval
    }
    reference = measured.get(settings.reference.architecture)
    on_front["probability_better"] = [
        None
        if reference is None or text == reference.name or text not in measured
        else probability_better(measured[text].accuracies, reference.accuracies)
        for text in on_front["architecture"]
    ]
    among = [measured[text] for text in retrained["architecture"] if text in measured]
    gaps = [place(measured[text], among) if text in measured else {} for text in designs["architecture"]]
    designs = designs.join(pd.DataFrame(gaps, index=designs.index, columns=GAPS))
    return {TRIALS.file: trials, FRONT.file: on_front, DESIGNS.file: designs}


def place(design: Measured, among: Iterable[Measured]) -> dict[str, Any]:
    """The gaps of `design` to the front of the candidates `among`, itself left out, as columns `GAPS`.

    At equal parameters: its accuracy less that of the most accurate candidate no larger, with interval, the
    p-value after Holm's correction over all candidates no larger, as it was chosen among them, and the
    verdict that follows: INDISTINGUISHABLE from the front if p is not below 0.05, else ON_FRONT if the design
    is the more accurate, DOMINATED if not; none where no candidate is as small. At equal
    accuracy: parameters of the smallest candidate as accurate over its own, with interval; inf where there is
    none.
    """
    others = [candidate for candidate in among if candidate.name != design.name]
    sizes, means = ([m.num_parameters for m in others], [float(np.mean(m.accuracies)) for m in others])
    members = [others[i] for i in front(sizes, means)]
    row: dict[str, Any] = {}
    gap = accuracy_gap_at_equal_parameters(members, design)
    if gap is not None:
        smaller = [m for m in others if m.num_parameters <= design.num_parameters]
        p_values = holm([difference(m.accuracies, design.accuracies).p_value for m in smaller])
        p = p_values[[m.name for m in smaller].index(gap.reference)]
        row |= {
            "verdict": Verdict.of(gap.difference.mean, p),
            "accuracy_reference": gap.reference,
            "accuracy_gap": gap.difference.mean,
            "accuracy_gap_low": gap.difference.low,
            "accuracy_gap_high": gap.difference.high,
            "accuracy_gap_p": p,
        }
    if members:
        ratio = parameter_gap_at_equal_accuracy(members, design)
        row |= {
            "parameter_reference": ratio.reference,
            "parameter_ratio": ratio.ratio,
            "parameter_ratio_low": ratio.low,
            "parameter_ratio_high": ratio.high,
        }
    return row

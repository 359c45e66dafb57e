"""Designs placed beside the front: which candidates are re-trained, and what all runs together say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lightcnn.architecture import Architecture, parse
from lightcnn.cost import num_parameters
from lightcnn.designs import DESIGNS as NAMED
from search.allocation import LEAST_CHANCE, num_fresh_seeds
from search.cells import absent, rows
from search.columns import GAPS
from search.contenders import contenders
from search.evaluation import Arm
from search.execution.runs import RunState
from search.image_facts import ImageFacts
from search.joint import challenger, front_range, place
from search.moderation import Prior, difference, seed_columns
from search.pareto import Verdict, front
from search.posterior import Posterior, Runs, fresh_prior, fresh_runs, posterior_of, validation_runs
from search.settings import SearchSettings, SettingsFile
from search.statistics import Array
from search.tables import DESIGNS, FRONT, TRIALS

MORE_ERRORS = 0.10  # a share of the errors that one may be ready to pay for fewer parameters


def seeds_of_arms(
    trials: pd.DataFrame,
    settings: SearchSettings,
    images: ImageFacts,
    placed: Sequence[Arm],
    num_seeds: int,
    with_designs: bool = True,
    least_chance: float = LEAST_CHANCE,
) -> dict[Arm, int]:
    """What is re-trained, each once, and with how many seeds.

    `search.allocation` decides, from the search's own runs: the reference, the designs that the user has
    placed, and the challenger of each have `num_seeds`. One that is both a design and a candidate goes by
    the design's name.

    Args:
        trials: the table of trials.csv; validation accuracies decide.
        with_designs: whether the designs beside the reference are among them.
        least_chance: of being on the front, from which a candidate is.
    """
    reference, *others = (Arm(it.name, it.architecture(settings.task)) for it in settings.designs)
    judged = [reference, *placed]
    decisive = [str(arm.architecture) for arm in judged]
    chances: dict[str, float] = {}
    nugget = 0.0
    known = validation_runs(_searched(candidates(trials, settings)), settings, images)
    known = {text: known[text] for text in contenders(known, settings.space)}
    believed = posterior_of(known, known, {}, settings, images)
    if believed is not None:
        chances, nugget = believed.front_probability(), believed.joint.nugget
        best = [_challenger(believed, str(it.architecture), num_parameters(it.architecture)) for it in judged]
        decisive += [text for text in best if text is not None]
    beside = [str(arm.architecture) for arm in others] if with_designs else []
    seeds = num_fresh_seeds(chances, dict.fromkeys(decisive), nugget, num_seeds, beside, least_chance)
    named: dict[Architecture, Arm] = {}
    for arm in [reference, *others, *placed, *(Arm(text, parse(text, settings.task)) for text in seeds)]:
        named.setdefault(arm.architecture, arm)
    return {named[parse(text, settings.task)]: count for text, count in seeds.items()}


def candidates(trials: pd.DataFrame, settings: SearchSettings) -> pd.DataFrame:
    """The trials that were trained to their end and are within the budget."""
    complete = trials[trials["state"] == RunState.COMPLETE]
    within = [settings.budget.admits(parse(text, settings.task)) for text in complete["architecture"]]
    return complete[np.array(within, dtype=bool)]


def with_retraining(
    tables: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    file: SettingsFile[SearchSettings],
) -> dict[str, pd.DataFrame]:
    """The tables of `search.results.study_tables` and what `runs`, those of runs.csv, add to them.

    All three gain the mean test accuracy over the seeds that lived, with its 95 % interval. trials.csv and
    front.csv gain what the joint estimate says of each candidate that it judges (`search.contenders`): its
    probability of being on the front, and for the re-trained, all held against one another whether or not
    they were on the search's front, whether they are on it by their expected accuracy, and the range of the
    front at their size. front.csv gains the `probability_better` than the reference. designs.csv gains a line
    for each architecture placed and those that are neither a candidate nor named, and where each design
    stands beside the front.
    """
    settings = file.settings
    tested = runs[runs["test_accuracy"].notna()]
    if tested.empty:
        return dict(tables)
    fresh = fresh_runs(
        {str(text): _by_seed(own, "test_accuracy") for text, own in tested.groupby("architecture")},
        file.images,
    )
    prior = fresh_prior(fresh, settings, file.images)
    means = pd.DataFrame(
        {
            "architecture": text,
            **seed_columns(fresh[str(text)], prior),
            "train_accuracy_mean": float(own["train_accuracy"][np.isfinite(fresh[str(text)])].mean()),
        }
        for text, own in tested.sort_values("seed").groupby("architecture")
    )
    designs = _with_placed(tables[DESIGNS.file], tested, tables[TRIALS.file], file)
    trials, on_front, designs = (
        table.merge(means, how="left", on="architecture")
        for table in (tables[TRIALS.file], tables[FRONT.file], designs)
    )
    judged = candidates(trials, settings)
    searched = validation_runs(_searched(judged), settings, file.images)
    known = contenders(searched, settings.space, always={*fresh, *on_front["architecture"]})
    beside = validation_runs(_searched(designs), settings, file.images)
    searched = {text: searched[text] for text in known} | beside
    believed = posterior_of(known, searched, fresh, settings, file.images)
    if believed is not None:
        found = _of_candidates(believed, [text for text in known if text in fresh])
        trials, on_front = (table.merge(found, how="left", on="architecture") for table in (trials, on_front))
        on_front["probability_better"] = _probability_better(believed, on_front, settings, fresh)
    lines = [_standing(row["architecture"], believed, fresh, prior) for row in rows(designs)]
    designs = designs.join(pd.DataFrame(lines, index=designs.index, columns=GAPS))
    return {TRIALS.file: trials, FRONT.file: on_front, DESIGNS.file: designs}


def _of_candidates(believed: Posterior, retrained: Collection[str]) -> pd.DataFrame:
    """Of each candidate its chance to be on the front, and of the re-trained what is so after all."""
    draws, sizes, _ = believed.rivals("")
    means = draws.mean(axis=0)
    again = [i for i, text in enumerate(believed.texts[: believed.num_candidates]) if text in retrained]
    best = {again[i] for i in front(sizes[again], means[again])}
    chances = believed.front_probability()
    lines = []
    for i, (text, chance) in enumerate(chances.items()):
        line: dict[str, Any] = {"architecture": text, "front_probability": round(chance, 3)}
        if i in again:
            line |= {"joint_accuracy": round(float(means[i]), 6), "on_front_after_retraining": i in best}
        if i in best:
            low, high = front_range(draws, sizes, sizes[i])
            line |= {"front_accuracy_low": round(low, 6), "front_accuracy_high": round(high, 6)}
        lines.append(line)
    columns = ["joint_accuracy", "on_front_after_retraining", "front_accuracy_low", "front_accuracy_high"]
    return pd.DataFrame(lines, columns=["architecture", "front_probability", *columns])


def _standing(text: str, believed: Posterior | None, fresh: Runs, prior: Prior) -> dict[str, Any]:
    """Where a design stands beside the candidates, itself left out, as columns GAPS; {}: not re-trained."""
    if believed is None or text not in fresh or not np.isfinite(fresh[text]).any():
        return {}
    draws, sizes, texts = believed.rivals(text)
    own, size = believed.draws(text), float(believed.sizes[believed.texts.index(text)])
    now, ready_to_pay = (place(own, size, draws, sizes, more) for more in (0, MORE_ERRORS))
    row: dict[str, Any] = {
        f"{name}{end}": value
        for name, triple in (
            ("parameter_ratio", now.parameter_ratio),
            ("paid_ratio", ready_to_pay.parameter_ratio),
        )
        for end, value in zip(("", "_low", "_high"), triple, strict=True)
    }
    best = challenger(draws, sizes, size)
    if best is None:
        return row
    rival = texts[best]
    row |= {f"accuracy_gap{end}": it for end, it in zip(("", "_low", "_high"), now.gap, strict=True)}
    row |= {
        "verdict": Verdict.of(now.beaten, now.clearly_beaten),
        "beaten_probability": now.beaten,
        "clearly_beaten_probability": now.clearly_beaten,
        "challenger": rival,
    }
    if np.isfinite(fresh.get(rival, [])).any():
        gap = difference(fresh[rival], fresh[text], prior)
        row |= {
            "challenger_gap": gap.mean,
            "challenger_gap_low": gap.low,
            "challenger_gap_high": gap.high,
            "challenger_p": gap.p_value,
        }
    return {name: round(it, 6) if isinstance(it, float) else it for name, it in row.items()}


def _challenger(believed: Posterior, text: str, size: float) -> str | None:
    """The most accurate candidate, as far as is known, of at most `size` parameters that is not `text`."""
    draws, sizes, texts = believed.rivals(text)
    best = challenger(draws, sizes, size)
    return None if best is None else texts[best]


def _probability_better(
    believed: Posterior, table: pd.DataFrame, settings: SearchSettings, fresh: Runs
) -> list[float | None]:
    """Of each line's candidate that it is really more accurate than the reference, if that was re-trained."""
    reference = settings.reference.architecture
    if reference not in fresh:
        return [None] * len(table)
    own = believed.draws(reference)
    return [
        None if text == reference else round(float(np.mean(believed.draws(text) > own)), 3)
        for text in table["architecture"]
    ]


def _with_placed(
    designs: pd.DataFrame, tested: pd.DataFrame, trials: pd.DataFrame, file: SettingsFile[SearchSettings]
) -> pd.DataFrame:
    unknown = [text for text in tested["architecture"] if text not in set(trials["architecture"])]
    names = {design.text: design.name for design in NAMED}
    added = [
        {
            "name": names.get(text, text),
            "architecture": text,
            "num_parameters": num_parameters(parse(text, file.settings.task)),
        }
        for text in dict.fromkeys([*file.placed, *unknown])
        if text not in set(designs["architecture"])
    ]
    return pd.concat([designs, pd.DataFrame(added, columns=designs.columns).astype(designs.dtypes)])


def _searched(table: pd.DataFrame) -> dict[str, Array]:
    """Validation accuracies of the architectures that have one."""
    found: dict[str, list[float]] = {}
    for row in rows(table):
        if not absent(row["val_accuracy"]):
            found.setdefault(row["architecture"], []).append(row["val_accuracy"])
    return {text: np.array(own, dtype=float) for text, own in found.items()}


def _by_seed(own: pd.DataFrame, column: str) -> Array:
    return own.sort_values("seed")[column].to_numpy(dtype=float)

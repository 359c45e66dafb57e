"""Which candidates of a long search are judged together."""

import numpy as np
import pandas as pd
import pytest
from fakes import SETTINGS, SPACE, study_where

from lightcnn.cost import num_parameters
from search import contenders as module
from search.contenders import contenders
from search.image_facts import ImageFacts
from search.pareto import front
from search.settings import SettingsFile
from search.standing import seeds_of_arms, with_retraining
from search.tables import DESIGNS, FRONT, TRIALS

NUMBER = 300


@pytest.fixture(scope="module")
def searched():
    """Candidates with the errors that their sizes and depths give them, of which every tenth had luck."""
    expected = {}
    rng = np.random.default_rng(0)

    def log_error(it):
        expected[str(it)] = (
            -0.1 * np.log(num_parameters(it)) - 0.5 * len(it.blocks) + 0.4 * (it.head != "gap")
        )
        return expected[str(it)] + 0.02 * rng.standard_normal() - 0.3 * (len(expected) % 10 == 0)

    return study_where(log_error, NUMBER), expected


def runs_of(tables):
    columns = (tables.trials[name] for name in ("architecture", "val_accuracy"))
    return {text: np.array([accuracy]) for text, accuracy in zip(*columns, strict=True)}


def test_few_candidates_are_all_judged(searched):
    runs = runs_of(searched[0])
    assert contenders(runs, SPACE) == [*runs]


def test_of_many_those_are_judged_that_are_expected_near_the_front(searched, monkeypatch):
    tables, expected = searched
    runs = runs_of(tables)
    dead = [*runs][:20]
    runs |= dict.fromkeys(dead, np.array([np.nan]))
    monkeypatch.setattr(module, "MOST", 100)
    judged = contenders(runs, SPACE)
    assert len(judged) == 100 and judged == [text for text in runs if text in judged]
    sizes, errors = tables.trials["num_parameters"], -np.array([expected[text] for text in runs])
    best = {[*runs][i] for i in front(sizes, errors)}
    assert len(best) > 10 and best <= {*judged}
    # A tenth of all had luck, and no more of those that are judged.
    lucky = [text for i, text in enumerate(runs, start=1) if i % 10 == 0]
    assert 4 <= len({*lucky} & {*judged}) <= 16
    worst = sorted(runs, key=lambda text: -expected[text])[:5]
    assert {*worst} <= {*contenders(runs, SPACE, always=worst)}


def test_a_long_search_is_retrained_and_judged_by_its_contenders(searched, monkeypatch):
    tables, _ = searched
    monkeypatch.setattr(module, "MOST", 60)
    seeds = seeds_of_arms(tables.trials, SETTINGS, ImageFacts(), [], 2)
    assert 5 < len(seeds) < 80
    fresh = [
        {"architecture": str(arm.architecture), "seed": seed, "test_accuracy": 0.95, "train_accuracy": 0.95}
        for arm, number in seeds.items()
        for seed in range(number)
    ]
    trials = tables.trials
    on_front = trials.iloc[front(trials["num_parameters"], trials["val_accuracy"])]
    known = {TRIALS.file: trials, FRONT.file: on_front, DESIGNS.file: tables.designs}
    found = with_retraining(known, pd.DataFrame(fresh), SettingsFile(SETTINGS, {}))
    judged = found[TRIALS.file].set_index("architecture")["front_probability"].dropna()
    retrained = {line["architecture"] for line in fresh} & {*trials["architecture"]}
    # Of the others nothing is known, which is no probability of 0.
    assert 60 <= len(judged) <= 60 + len(retrained) + len(on_front) < NUMBER
    assert retrained | {*on_front["architecture"]} <= {*judged.index}
    assert found[FRONT.file]["front_probability"].notna().all()

"""What mattered, on studies where it is known. Run: pytest tests/test_importance.py"""

from dataclasses import replace
from functools import partial

import fakes
import numpy as np
import pytest
from fakes import MNIST, SETTINGS

from search.budget import Budget
from search.report import summaries
from search.report.importance import LEAST_TRIALS, importance
from search.report.plots import importance_figure
from search.space import Space

TWO_HEADS = replace(SETTINGS, space=Space(MNIST, heads=("gap", "flatten")))
study_where = partial(fakes.study_where, settings=TWO_HEADS)


def test_the_parameter_that_decides_comes_first():
    by_head = importance(study_where(lambda it: -3.0 - 1.0 * (it.head == "flatten")))
    first, *others = by_head.effects
    assert first.dimension.name == "head" and first.low > max(other.high for other in others)
    assert first.accuracies["flatten"] > first.accuracies["gap"]
    assert first.accuracies["gap"] == pytest.approx(1 - np.exp(-3), abs=0.005)
    assert by_head.explained > 0.9
    # At equal size: 1.3 times LightCNN's parameters at most, and as many fewer.
    assert summaries.what_mattered(by_head).startswith(
        "Among candidates of 4,783 to 8,083 parameters the head mattered most. "
    )
    by_width = importance(study_where(lambda it: -2.0 - 0.5 * np.log(it.blocks[0].channels)))
    assert by_width.effects[0].dimension.name == "width_1"
    assert list(importance_figure(by_width).data[0].y)[-1] == "channels of block 1"


def test_all_heads_lie_on_one_scale():
    """Where accuracy grows with the side to which the last maps are pooled, as a share of their own."""

    def share(candidate):
        return np.log(candidate.grid) / np.log(candidate.map_side)

    found = importance(fakes.study_where(lambda it: -3.0 - 1.0 * share(it)))
    first = found.effects[0]
    assert first.dimension.name == "head" and found.explained > 0.9
    accuracies = [first.accuracies[head] for head in ("gap", "pool2", "pool3", "pool4", "flatten")]
    assert accuracies == sorted(accuracies)
    assert accuracies[0] == pytest.approx(1 - np.exp(-3), abs=0.005)
    assert accuracies[-1] == pytest.approx(1 - np.exp(-4), abs=0.005)


def test_a_width_counts_only_where_the_block_is_there():
    """The last width decides; whatever Optuna suggested for blocks that are absent does nothing."""
    found = importance(study_where(lambda it: -2.0 - 0.7 * np.log(it.blocks[-1].channels), number=120))
    shares = {effect.dimension.name: effect.share for effect in found.effects}
    # At this size most have three blocks or four: which of the widths is the last, their number says.
    assert shares["num_blocks"] > 0.1 and shares["width_4"] > 0.1
    assert shares["width_1"] < 0.05 and shares["head"] < 0.05


def test_at_equal_size_a_budget_below_the_reference_counts():
    small = replace(TWO_HEADS, budget=Budget(2_000))
    found = importance(fakes.study_where(lambda it: -3.0, settings=small, number=40))
    assert found is None or found.sizes[1] <= 2_000


def test_noise_is_told_from_effects():
    rng = np.random.default_rng(0)
    found = importance(study_where(lambda it: -3.0 + rng.normal(0, 0.5)))
    assert found.explained < 0.3
    assert summaries.what_mattered(found).endswith("too little to rely on.")


def test_stopped_trials_count_by_what_they_would_have_come_to():
    truth = importance(study_where(lambda it: -3.0 - 1.0 * (it.head == "flatten")))
    found = importance(study_where(lambda it: -3.0 - 1.0 * (it.head == "flatten"), stopped=30))
    assert found.num_trials == 60 and found.explained == pytest.approx(truth.explained, abs=1e-3)
    shares, true_shares = ({it.dimension.name: it.share for it in one.effects} for one in (found, truth))
    assert shares == pytest.approx(true_shares, abs=1e-2)
    assert found.effects[0].accuracies == pytest.approx(truth.effects[0].accuracies, abs=1e-3)
    without_curves = study_where(lambda it: -3.0 - 1.0 * (it.head == "flatten"), stopped=30)
    found = importance(replace(without_curves, curves=without_curves.curves[:0]))
    assert found.num_trials == 30 and found.effects[0].dimension.name == "head"


def test_too_few_trials_or_no_settings_say_nothing():
    tables = study_where(lambda it: -3.0, number=LEAST_TRIALS)
    assert importance(tables).num_trials == LEAST_TRIALS
    assert importance(study_where(lambda it: -3.0, number=LEAST_TRIALS - 1)) is None
    assert importance(replace(tables, settings=None)) is None
    strange = tables.trials.assign(architecture=["<script>", *tables.trials["architecture"][1:]])
    assert importance(replace(tables, trials=strange)) is None  # one too few that can be read

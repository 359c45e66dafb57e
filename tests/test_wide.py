"""The wide space: what it holds, that nearly all parameters stand for a network, and searches of it."""

from dataclasses import replace
from math import log

import numpy as np
import optuna
import pytest
from fakes import MNIST, SETTINGS, new_study, run_search, study_where
from optuna.trial import FixedTrial

from lightcnn.architecture import Task, parse, plan
from lightcnn.cost import num_macs, num_parameters, peak_activation_bytes, weight_bytes
from lightcnn.designs import LIGHTCNN
from search.plan_features import NUM_FEATURES, plan_features
from search.records import finished
from search.report.importance import importance
from search.request import requested
from search.run_options import parser
from search.samplers import SAMPLERS
from search.settings import SearchSettings, SettingsFile, agree, read
from search.space import USUAL, Space
from search.surrogate import features

WIDE = Space(MNIST, *USUAL["wide"], "wide")
SPACES = {
    "usual": WIDE,
    "four stages": replace(WIDE, max_blocks=4),
    "colour": replace(WIDE, task=Task(32, 3, 7), heads=("gap", "flatten", "pool2")),
    "small images": replace(WIDE, task=Task(4, 1, 3)),
    "one pixel": replace(WIDE, task=Task(1, 1, 3)),
    "one width": replace(WIDE, widths=(5, 5), max_blocks=1),
    "many stages": replace(WIDE, task=Task(64, 3, 10), widths=(100_000, 999_999), max_blocks=7),
}


def drawn(space, number, seed=0):
    rng = np.random.default_rng(seed)
    return [space.draw(rng) for _ in range(number)]


@pytest.mark.parametrize("name", SPACES)
def test_candidates_can_be_put_back(name):
    space = SPACES[name]
    for candidate in drawn(space, 300):
        assert candidate in space
        parameters = space.parameters(candidate)
        assert parameters.keys() == space.distributions().keys()
        assert space.suggest(FixedTrial(parameters)) == candidate
        assert parse(str(candidate), space.task) == candidate


def test_most_parameters_stand_for_a_candidate():
    """Of 4,000 drawn at random, at least nine in ten; and nearly all are networks of their own."""
    rng = np.random.default_rng(0)
    found = [WIDE.architecture(WIDE.draw_parameters(rng)) for _ in range(4_000)]
    valid = [it for it in found if it is not None]
    assert len(valid) > 0.9 * len(found)
    assert len({plan(it) for it in valid}) == len({str(it) for it in valid}) > 0.95 * len(valid)


def test_a_parameter_that_is_not_active_changes_nothing():
    seen = {dimension.name: set() for dimension in WIDE.dimensions}
    for candidate in drawn(WIDE, 150, seed=1):
        parameters = WIDE.parameters(candidate)
        for dimension in WIDE.dimensions:
            others = {WIDE.architecture(parameters | {dimension.name: it}) for it in dimension.shown}
            active = dimension.is_active(candidate)
            assert active or others == {candidate}, dimension.name
            seen[dimension.name].add((active, len(others) > 1))
    always = {"num_stages", "batch_norm", "activation", "stem", "head", "width_1_1", "blocks_1", "padded_1"}
    assert {name for name, found in seen.items() if not any(not active for active, _ in found)} == always
    assert all((True, True) in found for found in seen.values())


def test_draws_reach_all_of_the_space():
    blocks = [block for candidate in drawn(WIDE, 1_500) for block in candidate.blocks]
    for name, values in {
        "kernel_size": {1, 3, 5},
        "padded": {True, False},
        "separable": {True, False},
        "batch_norm": {True, False},
        "leaky": {True, False},
        "residual": {True, False},
        "stride": {1, 2},
        "max_pool": {True, False},
        "applications": {1, 2},
        "channels": set(range(2, 65)),
    }.items():
        assert {getattr(block, name) for block in blocks} == values


@pytest.mark.parametrize(
    "text",
    [
        LIGHTCNN,
        "4-pool2",
        "8vbln-10svbl-16svbln-16svbl-18sbln-20svbl-gap",
        "4vbln-6svbl-6svbln-6svbl-pool2",  # whose last maps are 4x4, pooled once more to 2x2
        "4vbln-6svbl-6svbln-6svblp-pool2",  # which is flatten
        "8k5n-8rx2n-16sd-gap",
    ],
)
def test_good_networks_are_members(text):
    candidate = parse(text, MNIST)
    assert candidate in WIDE
    assert WIDE.architecture(WIDE.parameters(candidate)) == candidate


@pytest.mark.parametrize(
    "text",
    [
        *("1-gap", "65-gap", "flatten-512-256", "flatten", "8-gap-16", "8-pool5", "8-flatten", "8k7-gap"),
        *("8s-gap", "8k1-gap", "8bn-8-gap", "8ln-8-gap", "2-2-2-2-gap", "8-8d-8-gap", "8n-8n-8n-8-gap"),
        *("8n-8vn-8-gap", "8n-8rn-8-gap", "8n-8x2n-8-gap", "8n-8k5n-8-gap"),
    ],
)
def test_what_no_parameters_stand_for_is_no_member(text):
    assert parse(text, MNIST) not in WIDE


@pytest.mark.parametrize("name", SPACES)
def test_nothing_costs_less_than_the_smallest(name):
    space = SPACES[name]
    smallest = space.narrowest()
    assert all(it in space for it in smallest)
    for cost in (num_parameters, num_macs, peak_activation_bytes, weight_bytes):
        assert min(map(cost, smallest)) <= min(map(cost, drawn(space, 200, seed=2)))


def test_what_a_model_sees_tells_networks_apart():
    candidates = list(dict.fromkeys(drawn(WIDE, 500)))
    seen = features(candidates, WIDE)
    assert seen.shape == (len(candidates), NUM_FEATURES + 2) and np.isfinite(seen).all()
    assert (seen.std(axis=0) > 0).all()
    assert len(np.unique(seen.round(9), axis=0)) > 0.98 * len(candidates)


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "gp"])
def test_a_search_of_it(sampler):
    study = new_study()
    settings = replace(SETTINGS, space=WIDE, sampler=sampler)
    run_search(study, settings, trials=16)
    records = finished(study)
    assert len({record.architecture for record in records.values()}) == len(records) == 16
    assert records[0].architecture == LIGHTCNN
    assert all(parse(record.architecture, MNIST) in WIDE for record in records.values())
    assert all(record.num_parameters <= settings.budget.max_parameters for record in records.values())


@pytest.mark.slow
def test_what_mattered_in_it():
    settings = replace(SETTINGS, space=WIDE)
    found = importance(study_where(lambda it: -2.0 - 1.5 * it.blocks[0].batch_norm, 79, 0, settings))
    assert {effect.dimension.name for effect in found.effects} == {*WIDE.distributions()}
    first = found.effects[0]
    assert first.dimension.name == "batch_norm" and found.explained > 0.5
    assert first.accuracies["True"] > first.accuracies["False"]


def test_settings_say_which_space(tmp_path):
    agree(tmp_path, SettingsFile(replace(SETTINGS, space=WIDE), {}))
    assert read(tmp_path / "settings.json", SearchSettings).settings.space == WIDE
    with pytest.raises(ValueError, match=r"holds runs with space\.\w+="):
        agree(tmp_path, SettingsFile(SETTINGS, {}))
    path = tmp_path / "settings.json"
    path.write_text(path.read_text().replace('"kind": "wide"', '"kind": "narrow"'))
    with pytest.raises(ValueError, match=r"must hold a study's settings, but space\.kind"):
        read(path, SearchSettings)


def test_an_earlier_studys_space_is_the_template(tmp_path):
    agree(tmp_path, SettingsFile(SETTINGS, {}))
    path = tmp_path / "settings.json"
    text = path.read_text()
    assert '"kind": "template"' in text
    path.write_text(",\n".join(line for line in text.split(",\n") if "kind" not in line or "}" in line))
    earlier = text.replace(',\n      "kind": "template"', "")
    assert earlier != text
    path.write_text(earlier)
    assert read(path, SearchSettings).settings == SETTINGS


def test_the_space_of_the_options(mnist_folder, capsys):
    def space(*options):
        return requested(parser().parse_args(["--trials", "1", *options]))[0].space

    assert space("--space", "wide") == replace(WIDE, task=WIDE.task)
    assert space("--space", "wide", "--widths", "4:8", "--max-blocks", "2", "--heads", "gap") == replace(
        WIDE, widths=(4, 8), max_blocks=2, heads=("gap",)
    )
    assert space("--space", "template") == space() == SETTINGS.space
    with pytest.raises(SystemExit):
        space("--space", "narrow")
    assert "argument --space: invalid choice: 'narrow'" in capsys.readouterr().err


def test_the_usual_sampler_of_optuna_may_suggest():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        suggested = WIDE.suggest(trial)
        assert study.trials[-1].distributions == WIDE.distributions()
        assert WIDE.architecture(trial.params) == suggested


def test_what_a_model_sees_of_a_network():
    """By hand: a strided convolution, a separable one, one applied twice, one more; sides of 14 and of 5."""
    seen = plan_features(parse("4d-6k5svl-6rx2n-9b-pool2", MNIST))
    assert seen[:8] == [0, 2, 3, 0, 0, log(7), log(10), 0]
    macs = 9 * 4 * 196 + (25 * 4 + 24) * 100 + 9 * 36 * 25 * 2 + 9 * 54 * 25 + 360
    assert seen[8:10] == [log(macs), log(4 * (784 + 784))]
    # The field: 3 pixels, and 4 steps of 2; pooling adds one of 2, and three convolutions two of 4 each.
    field = 3 + 4 * 2 + 2 + 3 * 2 * 4
    assert seen[10:] == [6, 1 / 5, 1 / 5, 4 / 5, 1, 2, 1, True, True, log(2), field / 28]

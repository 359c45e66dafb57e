"""Rule and sampler played together, on benches small enough to follow by hand."""

from functools import partial

import numpy as np
import pytest

from lightcnn.architecture import parse
from lightcnn.cost import num_parameters
from search.stopping import Rivals, StoppingRule, is_exempt
from search.surrogate import GaussianProcess, final_log_errors
from studies import early_stopping
from studies.replay import CLOSE, Bench, Earlier, Step, Tpe, as_if_whole, play, surrogate, variant
from studies.replay import worth_retraining as near
from studies.tabular_bench import TASK

EAGER = StoppingRule((1, 2), 1, 0.0)


def bench_of(texts, curves):
    """A bench of these networks, smallest first."""
    networks = [parse(text, TASK) for text in texts]
    sizes = np.array([num_parameters(network) for network in networks], dtype=float)
    assert (np.diff(sizes) > 0).all()
    return Bench(networks, sizes, np.array(curves, dtype=float))


@pytest.fixture(scope="module")
def bench():
    """60 networks of 3 seeds and 4 epochs; accuracy grows with size, and wobbles."""
    rng = np.random.default_rng(0)
    texts = [f"{a}-{b}-{head}" for a in range(2, 8) for b in range(2, 7) for head in ("gap", "pool4")]
    texts = sorted([*texts, "8-16-32-gap"], key=lambda text: num_parameters(parse(text, TASK)))
    unique = {num_parameters(parse(text, TASK)): text for text in texts}
    final = [1 - 4 / size**0.7 for size in unique]
    errors = 1 - np.array(final)[:, None, None] * np.ones((1, 3, 4))
    errors *= np.array([4, 2, 1.5, 1]) * np.exp(0.2 * rng.standard_normal((len(unique), 1, 1)))
    return bench_of(unique.values(), 1 - errors * np.exp(0.05 * rng.standard_normal(errors.shape)))


def test_regret_by_hand():
    texts = ("4-gap", "8-16-gap", "8-16-32-gap", "32-32-32-32-gap")
    finals = [[0.8, 0.8], [0.95, 0.95], [0.99, 0.96], [0.97, 0.97]]
    bench = bench_of(texts, [[[one], [other]] for one, other in finals])
    assert bench.regret([0, 1, 2, 3]) == bench.regret([1, 2]) == 0
    small, light = np.log(bench.sizes[1:3])
    above = (np.log(65_000) - light) / (np.log(65_000) - small)  # share of budgets that LightCNN is within
    # Its error is the geometric mean of 1 and 4 %, 2 %.
    assert bench.regret([1]) == pytest.approx(above * np.log(5 / 2), rel=0.02)
    assert bench.regret([2]) == pytest.approx((1 - above) * np.log(10 / 5), rel=0.02)
    assert (
        bench.regret([0])
        == bench.regret([])
        == pytest.approx(above * np.log(10 / 2) + (1 - above) * np.log(10 / 5), rel=0.02)
    )


def test_what_is_trained_again_errs_hardly_more_than_the_best_no_larger():
    sizes, logs = np.array([300.0, 100.0, 200.0, 400.0]), np.array([-4.0, -3.0, -3.0, -3.0])
    assert near(sizes, logs) == [0, 1, 2]
    logs[[2, 3]] = -3 + 0.9 * CLOSE, -4 + 1.1 * CLOSE
    assert near(sizes, logs) == [0, 1, 2]


@pytest.mark.parametrize("repetition", [6, 11])
def test_a_search_knows_of_a_stopped_run_what_came_before(bench, repetition):
    given = []

    def suggest(met, curves, seed):
        given.append(([*met], [curve.tolist() for curve in curves]))
        return next(i for i in reversed(range(len(bench.sizes))) if i not in met)

    steps = play(bench, EAGER, suggest, repetition, num_epochs=150)
    met, curves = given[-1]
    assert str(bench.networks[met[0]]) == "8-16-32-gap"
    assert len(set(met)) == len(met) and [len(known) for known, _ in given] == [*range(10, len(met) + 1)]
    epochs = np.cumsum([len(curve) for curve in curves])
    assert [step.epochs for step in steps[: len(met)]] == epochs.tolist()
    assert steps[-1].epochs >= 150 > steps[-2].epochs
    stopped, spared = 0, 0
    for number, (i, curve) in enumerate(zip(met, curves, strict=True)):
        others = Rivals((int(bench.sizes[j]), known) for j, known in zip(met[:number], curves, strict=False))
        due = [rung for rung in (1, 2) if EAGER.num_better_than(int(bench.sizes[i]), curve[:rung], others)]
        is_whole = number == 0 or is_exempt(repetition, number) or not due
        assert len(curve) == (4 if is_whole else due[0])
        assert curve in [one[: len(curve)].tolist() for one in bench.curves[i]]
        stopped += not is_whole
        spared += is_exempt(repetition, number) and bool(due)
    assert stopped > 3 and spared > 0


def test_every_rule_and_sampler_meets_the_same_draws(bench):
    seen = []

    def suggest(met, curves, seed):
        seen.append((met[:10], seed))
        return next(i for i in range(len(bench.sizes)) if i not in met)

    whole = play(bench, None, suggest, 3, num_epochs=44)
    play(bench, EAGER, suggest, 3, num_epochs=44)
    assert [step.epochs for step in whole] == [4 * trial for trial in range(1, 12)]
    assert seen[0] == seen[1]


SUGGEST = {
    "tpe": Tpe,
    "surrogate": surrogate,
    "earlier": partial(variant, model=Earlier, foresee=as_if_whole),
    "variant": partial(variant, model=GaussianProcess, foresee=final_log_errors),
}


@pytest.mark.parametrize("name", SUGGEST)
def test_samplers_suggest_what_is_new_and_repeat_themselves(bench, name):
    steps = play(bench, EAGER, SUGGEST[name](bench), 0, num_epochs=10_000)
    assert len(steps) == len(bench.sizes)  # each network once
    some = play(bench, EAGER, SUGGEST[name](bench), 0, num_epochs=60)
    assert some == steps[: len(some)]


def test_tpe_is_told_of_each_run_once(bench):
    sampler = Tpe(bench)
    met, curves = [0, 1, 2], [bench.curves[0, 0], bench.curves[1, 0, :2], bench.curves[2, 0]]
    for _ in range(2):
        met.append(sampler(met, curves, 0))
        curves.append(bench.curves[met[-1], 0])
    told = [trial.state.name for trial in sampler._study.trials if trial.state.name != "FAIL"]
    assert told == ["COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]


def test_a_model_is_ahead_of_random_draws(bench):
    # Nothing is to be gained where all is met, so after a third of it.
    regrets = [
        np.mean([play(bench, None, make(bench), repetition, 80)[-1].regret for repetition in range(8)])
        for make in (lambda _: None, surrogate)
    ]
    assert regrets[1] < 0.7 * regrets[0]


def test_as_if_whole_moves_by_the_median_gain():
    values, variances = as_if_whole([[0.5, 0.8], [0.8, 0.9], [0.5, 0.9], [0.9]])
    assert values[-1] == pytest.approx(np.log(0.1) + np.log(0.2 / 0.5)) and not variances.any()


def test_the_epochs_to_a_regret_by_hand(bench, monkeypatch):
    steps = {
        ("random", None): [Step(8, 1.0, 1), Step(16, 0.6, 2), Step(26, 0.3, 3)],
        early_stopping.BASELINE: [Step(8, 0.9, 1), Step(16, 0.4, 5), Step(24, 0.4, 6)],
        ("tpe", None): [Step(8, 0.9, 1), Step(12, 0.4, 5), Step(24, 0.2, 7)],
    }
    monkeypatch.setattr(early_stopping, "PLAYED", list(steps))
    monkeypatch.setattr(early_stopping, "NUM_TRIALS", 2)
    monkeypatch.setattr(early_stopping, "NUM_EPOCHS", 24)
    monkeypatch.setattr(early_stopping, "search_steps", lambda _, sampler, rule, __: steps[sampler, rule])
    table = early_stopping.played(bench, 2, workers=1).set_index("sampler")
    assert table["epochs_to_reach"].fillna(-1).to_dict() == {
        "earlier surrogate": 16,
        "tpe": 16,
        "random": -1,  # it is there after 26 epochs only
    }
    assert table["regret_24"].to_dict() == {"earlier surrogate": 0.4, "tpe": 0.2, "random": 0.6}
    assert table["epochs_of_2_trials"].to_dict() == {"earlier surrogate": 16, "tpe": 12, "random": 16}
    assert table["retrained"].to_dict() == {"earlier surrogate": 6, "tpe": 7, "random": 3}
    assert table.loc["tpe", ["epochs_low", "epochs_high"]].tolist() == [16, 16]

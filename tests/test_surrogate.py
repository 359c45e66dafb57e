"""The model of accuracy and the gain of hypervolume that it expects, against cases worked by hand."""

import numpy as np
import pytest
from fakes import MNIST, SPACE
from scipy.stats import norm

from lightcnn.architecture import parse
from search import prospects
from search.prospects import Prospects
from search.surrogate import (
    GaussianProcess,
    Pool,
    expected_hypervolume_improvement,
    final_log_errors,
    log_error,
)


def in_order(prospects):
    """All of a pool, the most promising first."""
    return [*iter(lambda: prospects.take(lambda _: True), None)]


def test_the_model_learns_a_smooth_function_and_knows_where_it_does_not():
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-2, 2, size=(80, 2))
    values = np.sin(inputs[:, 0]) + 0.5 * inputs[:, 1] + 0.01 * rng.standard_normal(80)
    model = GaussianProcess(inputs, values)
    mean, deviation = model.predict(np.array([[0.5, 0.5], [30.0, 30.0]]))
    assert mean[0] == pytest.approx(np.sin(0.5) + 0.25, abs=0.05)
    assert deviation[0] < 0.1 < values.std() <= deviation[1]  # far from all it has seen


def test_the_model_follows_the_trend_to_where_nothing_was_trained():
    inputs = np.linspace(-2, 2, 40)[:, None]
    model = GaussianProcess(inputs, 3 * inputs[:, 0] + 1)
    assert model.predict(np.array([[12.0]]))[0][0] == pytest.approx(37, rel=0.05)


def test_what_was_the_same_in_all_that_was_trained_says_nothing():
    inputs = np.column_stack([np.linspace(-1, 1, 10), np.full(10, np.log(392))])
    model = GaussianProcess(inputs, 3 * inputs[:, 0])
    elsewhere = inputs + np.array([0, 1])
    mean, deviation = model.predict(elsewhere)
    assert mean == pytest.approx(3 * inputs[:, 0], abs=0.5) and (deviation < 10).all()
    assert np.isfinite(model.supposing(elsewhere).predict(inputs)[1]).all()


def test_what_varies_more_is_believed_less():
    # At both points one value says 0 and one says 1.
    inputs = np.repeat([[0.0], [1.0]], 40, axis=0)
    values = np.tile([0.0, 1.0], 40)
    variances = np.concatenate([np.tile([0.0, 9.0], 20), np.tile([9.0, 0.0], 20)])
    mean, _ = GaussianProcess(inputs, values, variances).predict(np.array([[0.0], [1.0]]))
    assert mean == pytest.approx([0, 1], abs=0.1)
    assert GaussianProcess(inputs, values).predict(inputs)[0] == pytest.approx(0.5)


def test_the_end_of_a_stopped_run_is_foreseen():
    rng = np.random.default_rng(0)
    firsts = rng.uniform(-3, 0, size=400)
    finals = 0.5 * firsts - 2 + 0.1 * rng.standard_normal(400)
    # Those that did worst were stopped: half of all, and nearly all of the worst.
    curves = [
        [1 - np.exp(first)] if first > -1.5 and i % 10 else [1 - np.exp(first), 1 - np.exp(final)]
        for i, (first, final) in enumerate(zip(firsts, finals, strict=True))
    ]
    stopped = np.array([len(curve) == 1 for curve in curves])
    values, variances = final_log_errors(curves)
    assert values[~stopped] == pytest.approx(finals[~stopped]) and not variances[~stopped].any()
    assert np.mean(values[stopped] - finals[stopped]) == pytest.approx(
        0, abs=0.06
    )  # the mean gain of the others: 0.7
    assert np.std(values[stopped] - finals[stopped]) == pytest.approx(0.1, rel=0.2)
    assert variances[stopped] == pytest.approx(0.01, rel=0.2)


def test_with_one_whole_run_the_others_keep_their_distance():
    values, variances = final_log_errors([[0.8, 0.9], [0.6]])
    assert values == pytest.approx(np.log([0.1, 0.2])) and variances.tolist() == [0, 0.05]


def test_runs_stopped_at_other_epochs_have_lines_of_their_own():
    whole = [[0.5, 0.8, 0.9], [0.5, 0.8, 0.9]]
    values, _ = final_log_errors([*whole, [0.5], [0.5, 0.5]])
    assert values[2:] == pytest.approx(np.log([0.1, 0.25]))


def test_a_lucky_run_is_no_front(monkeypatch):
    trained = [parse(text, MNIST) for text in ("2-2-gap", *(f"{width}-8-gap" for width in range(4, 33)))]
    curves = [[0.5], *([0.90 + 0.002 * (-1) ** width] for width in range(4, 33))]
    curves[15] = [0.98]
    known = []
    monkeypatch.setattr(
        prospects,
        "expected_hypervolume_improvement",
        lambda *given: known.extend(given[4]) or np.zeros(len(given[0])),
    )
    pool = Pool.of(trained, SPACE)
    Prospects(pool, pool, curves)
    assert len(known) == len(curves) and known[0] < 0.7
    assert max(known) < 0.96 and known[15] > 0.9


def test_the_gain_of_a_sure_candidate_by_hand():
    sizes, accuracies = np.array([100.0, 1_000.0, 5_000.0]), np.array([0.90, 0.98, 0.5])
    # Between the two members, at 200 parameters and 95 %: a step from 200 to 1,000, above the level of 90 %.
    gain = expected_hypervolume_improvement(
        np.array([200.0, 1_000.0, 90.0]), log_error([0.95, 0.97, 0.79]), np.zeros(3), sizes, accuracies
    )
    assert gain[0] == pytest.approx(np.log(5) * (0.95 - 0.90))
    assert gain[1] == 0  # dominated
    assert gain[2] == 0  # errs more than ten times as often as the best


def test_an_unsure_candidate_may_gain():
    sizes, accuracies = np.array([100.0, 1_000.0, 5_000.0]), np.array([0.90, 0.98, 0.5])
    sure, unsure = (
        expected_hypervolume_improvement(
            np.array([500.0]), log_error([0.90]), np.array([deviation]), sizes, accuracies
        )[0]
        for deviation in (0.0, 0.5)
    )
    # The mean of max(0.1 - 0.1 e^(z/2), 0) for a normal z, over the step from 500 to 1,000 parameters;
    # above the next member it hardly ever rises.
    above = 0.1 * (norm.cdf(0) - np.exp(1 / 8) * norm.cdf(-0.5))
    assert sure == 0 and unsure == pytest.approx(np.log(2) * above, rel=0.1)


def test_the_most_promising_candidate_is_where_accuracy_rises():
    rng = np.random.default_rng(0)
    trained = [SPACE.draw(rng) for _ in range(60)]
    of_trained = Pool.of(trained, SPACE)
    # Accuracy rises with the first width alone, so the best is small but for its first width.
    first = np.array([candidate.blocks[0].channels for candidate in trained])
    curves = [[0.5, 1 - 0.5 / width] for width in first]
    curves[7] = curves[7][:1]  # stopped after one epoch
    pool = [parse(text, MNIST) for text in ("2-2-gap", "32-2-gap", "32-32-32-gap", "2-32-gap")]
    assert Prospects(Pool.of(pool, SPACE), of_trained, curves).take(lambda _: True) == 1


def test_the_model_learns_from_the_latest_trials_alone(monkeypatch):
    rng = np.random.default_rng(0)
    trained = Pool.of([SPACE.draw(rng) for _ in range(80)], SPACE)
    pool = Pool.of([SPACE.draw(rng) for _ in range(30)], SPACE)
    curves = [[float(accuracy)] for accuracy in rng.uniform(0.8, 0.9, size=80)]
    curves[60] = [0.99]  # what the others are held against, among the latest
    latest = in_order(Prospects(pool, Pool(trained.features[-40:], trained.sizes[-40:]), curves[-40:]))
    assert in_order(Prospects(pool, trained, curves)) != latest
    monkeypatch.setattr(prospects, "MAX_LEARNT", 40)
    assert in_order(Prospects(pool, trained, curves)) == latest

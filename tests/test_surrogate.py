"""The model of accuracy and the gain of hypervolume that it expects, against cases worked by hand."""

import numpy as np
import pytest
from fakes import MNIST, SPACE
from scipy.stats import norm

from lightcnn.architecture import parse
from search import surrogate
from search.surrogate import GaussianProcess, Pool, expected_hypervolume_improvement, log_error, promising


def test_the_model_learns_a_smooth_function_and_knows_where_it_does_not():
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-2, 2, size=(80, 2))
    values = np.sin(inputs[:, 0]) + 0.5 * inputs[:, 1] + 0.01 * rng.standard_normal(80)
    model = GaussianProcess(inputs, values)
    mean, deviation = model.predict(np.array([[0.5, 0.5], [30.0, 30.0]]))
    assert mean[0] == pytest.approx(np.sin(0.5) + 0.25, abs=0.05)
    assert deviation[0] < 0.1 < deviation[1]
    assert mean[1] == pytest.approx(values.mean(), abs=0.01)  # far from all it has seen
    assert deviation[1] == pytest.approx(values.std(), rel=0.01)


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
    assert promising(Pool.of(pool, SPACE), of_trained, curves)[0] == 1


def test_the_model_learns_from_the_latest_trials_alone(monkeypatch):
    rng = np.random.default_rng(0)
    trained = Pool.of([SPACE.draw(rng) for _ in range(80)], SPACE)
    pool = Pool.of([SPACE.draw(rng) for _ in range(30)], SPACE)
    curves = [[float(accuracy)] for accuracy in rng.uniform(0.8, 0.9, size=80)]
    curves[60] = [0.99]  # what the others are held against, among the latest
    latest = promising(pool, Pool(trained.features[-40:], trained.sizes[-40:]), curves[-40:])
    assert promising(pool, trained, curves) != latest
    monkeypatch.setattr(surrogate, "MAX_LEARNT", 40)
    assert promising(pool, trained, curves) == latest

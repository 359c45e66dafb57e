"""Which candidates of a pool are taken while others train: by the model, and by what a sampler tells it."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import SETTINGS, SPACE, PretendingSlots, new_study, run_search

from search import prospects, samplers
from search.pareto import front
from search.prospects import Prospects
from search.records import finished
from search.samplers import _Drawing
from search.surrogate import GaussianProcess, Pool, features

SURROGATE = replace(SETTINGS, sampler="surrogate")


@pytest.fixture(scope="module")
def trained():
    """A pool of 400, and what 60 of others came to, which is seen in their sizes alone."""
    rng = np.random.default_rng(0)
    pool, known = (Pool.of([SPACE.draw(rng) for _ in range(number)], SPACE) for number in (400, 60))
    errors = np.exp(-0.3 * np.log(known.sizes) + 0.05 * rng.standard_normal(60))
    return pool, known, [[float(1 - error)] for error in errors]


def all_taken(found, number):
    return [found.take(lambda _: True) for _ in range(number)]


def test_a_value_that_is_as_expected_changes_no_expectation_and_leaves_less_doubt():
    rng = np.random.default_rng(0)
    inputs, there, elsewhere = (rng.uniform(-2, 2, size=(n, 2)) for n in (30, 3, 20))
    model = GaussianProcess(inputs, np.sin(inputs[:, 0]) + 0.1 * rng.standard_normal(30))
    surer = model.supposing(there)
    for (mean, deviation), (same, less) in (
        (model.predict(elsewhere), surer.predict(elsewhere)),
        (model.predict(there), surer.predict(there)),
    ):
        assert same == pytest.approx(mean) and (less < deviation).all()
    one_by_one = model.supposing(there[:1]).supposing(there[1:])
    assert one_by_one.predict(elsewhere)[1] == pytest.approx(surer.predict(elsewhere)[1])


def test_how_sure_it_is_follows_from_where_runs_are_alone():
    # With no noise to speak of, a value supposed at a point is known there.
    inputs = np.linspace(-1, 1, 12)[:, None]
    model = GaussianProcess(inputs, np.sin(9 * inputs[:, 0]))
    far = np.array([[3.0], [3.05], [0.1]])
    before, after = model.predict(far)[1], model.supposing(far[:1]).predict(far)[1]
    assert after[0] < 0.5 * before[0] and after[1] < 0.6 * before[1]
    assert after[2] > 0.9 * before[2]


def test_suggestions_spread_while_runs_are_under_way(trained):
    pool, known, curves = trained
    found = Prospects(pool, known, curves)
    ranking = np.argsort(-found._improvements)[:12].tolist()  # as if nothing were taken
    first = all_taken(found, 12)
    assert len(set(first)) == 12 and first[0] == ranking[0] and {*first} != {*ranking}
    best, *_ = first
    again = Prospects(pool, known, curves, running=np.repeat(pool.features[[best]], 5, axis=0))
    assert all_taken(again, 1) != [best]


def test_the_lazy_choice_is_that_of_all_computed_anew(trained, monkeypatch):
    pool, known, curves = trained
    lazy = all_taken(Prospects(pool, known, curves), 30)
    monkeypatch.setattr(prospects, "RENEWED", len(pool.sizes))
    assert all_taken(Prospects(pool, known, curves), 30) == lazy


def test_what_is_not_wanted_is_asked_about_once(trained):
    pool, known, curves = trained
    asked = []

    def is_wanted(i):
        asked.append(i)
        return i % 100 == 0

    found = Prospects(pool, known, curves)
    assert sorted(found.take(is_wanted) for _ in range(4)) == [0, 100, 200, 300]
    assert found.take(is_wanted) is None and sorted(asked) == [*range(400)]


@pytest.fixture
def given(monkeypatch):
    """What the sampler hands to Prospects, call by call."""
    calls = []

    class Recording(Prospects):
        def __init__(self, *handed):
            calls.append(handed)
            super().__init__(*handed)

    monkeypatch.setattr(samplers, "Prospects", Recording)
    return calls


def test_the_sampler_tells_what_is_under_way(given):
    run_search(new_study(), SURROGATE, 40, slots=PretendingSlots(num_slots=16))
    under_way = [0 if running is None else len(running) for *_, running in given]
    assert max(under_way) == 16 and len(given) < 30  # a ranking serves several
    given.clear()
    run_search(new_study(), SURROGATE, 40)
    assert len(given) > 25 and {0 if it[-1] is None else len(it[-1]) for it in given} == {1}  # one run ahead


def test_a_long_study_is_learnt_from_by_its_latest_and_its_best(given, monkeypatch):
    monkeypatch.setattr(samplers, "MAX_LEARNT", 20)
    study = new_study()
    run_search(study, SURROGATE, 60)
    _, trained, curves, _ = given[-1]
    records = [*finished(study).values()][: 60 - 2]  # but the one under way and the last, which was suggested
    latest, earlier = records[-20:], records[:-20]
    best = front([it.num_parameters for it in earlier], [it.val_accuracy for it in earlier])
    assert curves == [it.accuracies for it in (*(earlier[i] for i in best), *latest)]
    assert len(trained.features) == 20 and len(trained.sizes) == len(curves) < 60 - 2
    assert trained.sizes.tolist() == [it.num_parameters for it in (*(earlier[i] for i in best), *latest)]


def test_a_pool_is_the_same_however_it_is_drawn(monkeypatch):
    monkeypatch.setattr(samplers, "POOL_DRAWS", 200)
    whole, parts = _Drawing(SPACE, 3), _Drawing(SPACE, 3)
    for num_draws in (0, 7, 7, 60, 59, 140):
        parts.draw(num_draws)
    (one, of_one), (other, of_other) = whole.whole(), parts.whole()
    assert one == other and len({*one}) == len(one) > 100
    assert (of_one.features == of_other.features).all() and (of_one.sizes == of_other.sizes).all()
    assert (of_one.features == features(one, SPACE)).all()


def test_the_next_pool_is_drawn_while_the_last_serves(monkeypatch):
    drawn = []
    monkeypatch.setattr(samplers, "POOL_DRAWS", 100)
    monkeypatch.setattr(
        _Drawing, "draw", lambda self, number, draw=_Drawing.draw: drawn.append(number) or draw(self, number)
    )
    samplers._drawing.cache_clear()
    for num_known in range(0, samplers.POOL_LASTS + 1, 50):
        samplers._drawn_pool(SPACE, num_known)
    ahead = drawn[1::2]
    assert ahead[:-1] == [*range(0, 100, 5)] and ahead[-1] == 0
    samplers._drawing.cache_clear()


def test_a_pool_that_was_drawn_ahead_is_not_drawn_again(monkeypatch):
    made = []
    monkeypatch.setattr(samplers, "POOL_LASTS", 2)
    monkeypatch.setattr(samplers, "POOL_DRAWS", 10)
    init = _Drawing.__init__
    monkeypatch.setattr(
        _Drawing, "__init__", lambda self, space, number: made.append(number) or init(self, space, number)
    )
    samplers._drawing.cache_clear()
    for num_known in range(8):
        samplers._drawn_pool(SPACE, num_known)
    samplers._drawing.cache_clear()
    assert made == [0, 1, 2, 3, 4]

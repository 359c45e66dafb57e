"""The search loop: what counts as a trial, what is not trained, and that it goes on where it was stopped."""

import re
from concurrent.futures import Future
from dataclasses import replace
from threading import Timer

import pytest
from fakes import MNIST, SETTINGS, SPACE, PretendingSlots, new_study
from fakes import run_search as run
from optuna.trial import TrialState

from lightcnn.architecture import parse
from lightcnn.designs import DESIGNS, LIGHTCNN
from lightcnn.errors import Failure
from lightcnn.training import FAST, Epoch, Piece
from search.budget import Budget
from search.loop import SEARCH_SEEDS, num_runs
from search.records import finished, finished_designs, to_be_tried_again, try_failed_again
from search.results import study_tables
from search.samplers import SAMPLERS
from search.settings import Reference
from search.space import Space
from search.stopping import StoppingRule, is_exempt


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_as_many_trials_as_asked_each_another_candidate(sampler):
    study = new_study()
    # NSGA-II draws its first 50 at random, the GP and TPE their first 10; each of the GP's takes seconds.
    trials = {"gp": 12, "nsga2": 120}.get(sampler, 30)
    slots = run(study, replace(SETTINGS, sampler=sampler), trials, slots=PretendingSlots(num_slots=3))
    records = finished(study)
    assert len(records) == trials
    assert len({record.architecture for record in records.values()}) == trials
    assert len(slots.jobs) == 2 * trials  # nothing was trained twice, nothing but the trials
    assert records[0].architecture == LIGHTCNN
    assert all(record.num_parameters <= 30_000 for record in records.values())
    assert all(record.seed == SEARCH_SEEDS + number for number, record in records.items())
    assert [t.values for t in study.trials if t.number == 0] == [[records[0].val_accuracy, 6_218]]


def test_candidates_over_budget_are_refused_and_no_trials():
    study = new_study()
    slots = run(study, replace(SETTINGS, budget=Budget(700)), trials=10)
    sizes = [record.num_parameters for record in finished(study).values()]
    assert sizes[0] == 6_218  # LightCNN, which every study holds
    assert len(sizes) == 10
    assert max(sizes[1:]) <= 700
    assert len(slots.jobs) == 20
    assert list(finished(study)) == list(range(10))  # what was refused took no number
    front = study_tables(study, replace(SETTINGS, budget=Budget(700)))["front.csv"]
    assert front["num_parameters"].max() <= 700


def test_a_space_that_is_used_up_ends_the_search(monkeypatch, capsys):
    monkeypatch.setattr("search.samplers.MAX_DRAWS", 200)
    study = new_study()
    space = Space(MNIST, widths=(2, 4), max_blocks=1, heads=("gap", "flatten"))
    run(study, replace(SETTINGS, space=space, reference=Reference.of("4-gap", MNIST)), trials=10)
    assert "the space has no more candidates within 30,000 parameters" in capsys.readouterr().err
    # widths 2, 3, 4 with GAP; with flatten 2 * 784 * 10 weights and more, of which 2 and 3 are within 30,000
    assert {record.architecture for record in finished(study).values()} == {
        *("2-gap", "3-gap", "4-gap", "2-flatten", "3-flatten")
    }


NAMED = {design.text for design in DESIGNS}
EAGER = replace(SETTINGS, stopping=StoppingRule(rungs=(1,), num_better=1, margin=0.0))


def test_an_exempted_run_is_exempted_once():
    study = new_study()
    rule = StoppingRule(rungs=(1, 2, 3), num_better=1, margin=0.0)
    run(study, replace(SETTINGS, recipe=replace(FAST, epochs=4), stopping=rule), trials=60)
    assert {record.spared_at for record in finished(study).values()} == {None, 1}


def test_a_run_that_smaller_ones_beat_is_stopped_and_told_as_pruned():
    study = new_study()
    slots = run(study, EAGER, trials=40)
    records = finished(study)
    pruned = {number: record for number, record in records.items() if record.state == "PRUNED"}
    spared = {number: record for number, record in records.items() if record.spared_at}
    assert pruned and spared and len(records) == 40
    for number, record in records.items():
        rivals = [
            other.architecture
            for n, other in records.items()
            if n < number
            and other.num_parameters <= record.num_parameters
            and other.accuracies[0] >= record.accuracies[0]
        ]
        assert bool(rivals) == (number in pruned or number in spared) or record.architecture in NAMED
        assert is_exempt(0, number) or number not in spared
        assert record.epochs == (1 if number in pruned else 2)
    assert len(slots.jobs) == 80 - len(pruned)
    states = {t.number: t.state for t in study.get_trials(deepcopy=False)}
    assert {n for n, state in states.items() if state == TrialState.PRUNED} == set(pruned)
    one = next(iter(pruned.values()))
    assert re.fullmatch(
        r"after 1 of 2 epochs (1 candidate|\d+ candidates) with no more parameters had at least 0 % fewer "
        "errors",
        one.reason,
    )
    tables = study_tables(study, SETTINGS)
    assert not set(tables["front.csv"]["architecture"]) & {record.architecture for record in pruned.values()}


class PoorFlatten(PretendingSlots):
    """As `PretendingSlots`, but for one named design, which every smaller candidate beats."""

    def submit(self, fn, run, epoch, stop, state):
        if str(run.architecture) != "8-16-32-flatten":
            return super().submit(fn, run, epoch, stop, state)
        future = Future()
        future.set_result(Piece((Epoch(epoch + 1, 0.1, 0.1, 0.1),), b"state", False, 1.0))
        return future


def test_a_named_design_is_trained_to_its_end_though_it_is_beaten():
    study = new_study()
    for text in (LIGHTCNN, "8-16-32-flatten"):
        study.enqueue_trial(SPACE.parameters(parse(text, MNIST)))
    run(study, EAGER, trials=2, slots=PoorFlatten())
    assert [(r.architecture, r.state, r.epochs, r.spared_at) for r in finished(study).values()] == [
        (LIGHTCNN, "COMPLETE", 2, None),
        ("8-16-32-flatten", "COMPLETE", 2, None),
    ]


def test_a_search_with_stopping_goes_on_as_if_never_interrupted():
    whole, broken = new_study(), new_study()
    run(whole, EAGER, trials=20)
    with pytest.raises(KeyboardInterrupt):
        run(broken, EAGER, trials=20, slots=PretendingSlots(interrupt_at=17))
    run(broken, EAGER, trials=20)
    assert finished(broken) == finished(whole)
    assert any(record.state == "PRUNED" for record in finished(whole).values())


def test_a_failed_trial_counts_and_keeps_its_reason():
    study = new_study()
    run(study, trials=3, slots=PretendingSlots(broken=[LIGHTCNN]))
    failed = finished(study)[0]
    assert (failed.state, failed.val_accuracy) == ("FAILED", None)
    assert failed.reason == "MemoryError: no room"
    assert [t.state for t in study.trials if t.number == 0] == [TrialState.FAIL]
    assert len(finished(study)) == 3
    tables = study_tables(study, SETTINGS)
    assert LIGHTCNN not in set(tables["front.csv"]["architecture"])
    assert tables["trials.csv"]["val_accuracy"].isna().tolist() == [True, False, False]


def test_a_diverged_trial_is_a_result():
    study = new_study()
    run(study, trials=3, slots=PretendingSlots(diverging=[LIGHTCNN]))
    diverged = finished(study)[0]
    assert (diverged.state, diverged.epochs, diverged.val_loss) == ("DIVERGED", 1, None)
    assert diverged.reason == "the loss was no longer finite in epoch 1"
    assert diverged.val_accuracy is not None
    assert LIGHTCNN not in set(study_tables(study, SETTINGS)["front.csv"]["architecture"])


def test_named_designs_are_trained_beside_the_trials():
    study = new_study()
    slots = run(study, trials=2, designs=True)
    trained = set(finished_designs(study))
    assert trained == {design.name for design in DESIGNS} - {"LightCNN"}  # which is trial 0
    designs = study_tables(study, SETTINGS)["designs.csv"].set_index("name")
    assert designs.loc["LightCNN", "val_accuracy"] == finished(study)[0].val_accuracy
    assert designs["val_accuracy"].notna().all()
    assert designs.loc["Classic CNN", ["num_parameters", "paper_parameters"]].tolist() == [81_002, 80_000]
    assert not {seed for _, seed, _ in slots.jobs} & {SEARCH_SEEDS + n for n in range(2, 1_000)}
    before = len(slots.jobs)
    run(study, trials=2, designs=True, slots=slots)
    assert len(slots.jobs) == before


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2", "surrogate"])
def test_an_interrupted_search_ends_as_if_it_had_not_been(sampler):
    settings, trials = replace(SETTINGS, sampler=sampler), 60 if sampler == "nsga2" else 25
    whole, stopped = new_study(), new_study()
    run(whole, settings, trials)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, settings, trials, slots=PretendingSlots(interrupt_at=2 * trials - 12))
    assert [t.state for t in stopped.trials].count(TrialState.RUNNING) == 2  # one under way, one ahead
    run(stopped, settings, trials)
    assert len(finished(whole)) == trials
    assert finished(stopped) == finished(whole)


def test_interrupted_trials_of_several_slots_keep_their_numbers():
    study = new_study()
    with pytest.raises(KeyboardInterrupt):
        run(study, trials=12, slots=PretendingSlots(interrupt_at=10, num_slots=3))
    left = {t.number: t.params for t in study.trials if t.state == TrialState.RUNNING}
    assert len(left) == 4  # three under way, one ahead
    run(study, trials=12, slots=PretendingSlots(num_slots=3))
    assert list(finished(study)) == list(range(12))
    assert all(
        str(SPACE.architecture(params)) == finished(study)[n].architecture for n, params in left.items()
    )


@pytest.mark.parametrize("num_suggested", range(7))
def test_a_trial_that_was_half_suggested_is_suggested_to_its_end(num_suggested, monkeypatch):
    whole = new_study()
    run(whole, trials=8)
    torn = new_study()

    def die(space, trial):
        if trial.number == 5:
            for name, distribution in list(space.distributions().items())[:num_suggested]:
                trial._suggest(name, distribution)
            raise KeyboardInterrupt
        return suggest(space, trial)

    suggest = Space.suggest
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Space, "suggest", die)
        run(torn, trials=8)
    assert len(torn.trials) == 6 and len(torn.trials[5].params) == num_suggested
    run(torn, trials=8)
    assert finished(torn) == finished(whole)


def test_parts_of_two_suggestions_that_are_not_wanted_are_given_up():
    study = new_study()
    run(study, trials=3)
    known = SPACE.parameters(parse(finished(study)[1].architecture, MNIST))
    trial = study.ask(fixed_distributions={})
    for name, distribution in SPACE.distributions().items():
        if name != "head":
            study._storage.set_trial_param(
                trial._trial_id, name, distribution.to_internal_repr(known[name]), distribution
            )
    study._storage.set_trial_system_attr(trial._trial_id, "fixed_params", {"head": known["head"]})
    run(study, trials=6)
    assert list(finished(study)) == [0, 1, 2, 4, 5, 6] and study.trials[3].state == TrialState.FAIL


def test_runs_that_keep_failing_end_the_search_and_use_up_no_trial():
    study, whole = new_study(), new_study()
    for _ in range(2):  # the machine is still broken
        with pytest.raises(Failure) as caught:
            run(study, slots=PretendingSlots(broken=All()))
        assert str(caught.value) == (
            "5 runs in a row failed, the last because of MemoryError: no room; none of them counts, and the "
            "same command tries them again"
        )
        assert finished(study) == {}
    run(study)
    run(whole)
    assert finished(study) == finished(whole)


def test_failures_between_runs_that_go_well_are_the_candidates():
    study = new_study()
    run(study, trials=8, slots=PretendingSlots(broken=[LIGHTCNN, "2-gap"]))
    assert [n for n, record in finished(study).items() if record.state == "FAILED"] == [0]
    last = new_study()
    run(last, trials=1, slots=PretendingSlots(broken=All()))  # one alone is told as well
    assert finished(last)[0].state == "FAILED"


def test_failed_trials_are_tried_again_under_their_numbers_when_asked():
    study, whole = new_study(), new_study()
    run(whole, trials=5)
    failing = {whole.trials[n].number: finished(whole)[n].architecture for n in (0, 3)}
    run(study, trials=5, slots=PretendingSlots(broken=failing.values()))
    assert not run(study, trials=5).jobs  # not without being asked
    try_failed_again(study)
    assert num_runs(study, SETTINGS, 5, False) == (5, 3)
    with pytest.raises(KeyboardInterrupt):
        run(study, trials=5, slots=PretendingSlots(interrupt_at=4))
    assert [record.state for record in finished(study).values()] == ["COMPLETE"] * 3 + ["FAILED", "COMPLETE"]
    slots = run(study, trials=5)  # what was asked for is not forgotten
    assert {seed for _, seed, _ in slots.jobs} == {SEARCH_SEEDS + 3}
    assert finished(study) == finished(whole) and to_be_tried_again(study) == set()
    try_failed_again(study)
    assert not run(study, trials=5).jobs
    tables = study_tables(study, SETTINGS)
    assert tables["times.csv"]["trial"].tolist() == tables["trials.csv"]["trial"].tolist() == [0, 1, 2, 3, 4]


def test_what_fails_again_is_failed_and_more_trials_go_on():
    study = new_study()
    run(study, trials=3, slots=PretendingSlots(broken=[LIGHTCNN]))
    try_failed_again(study)
    run(study, trials=4, slots=PretendingSlots(broken=[LIGHTCNN]))
    assert [record.state for record in finished(study).values()] == ["FAILED"] + ["COMPLETE"] * 3
    try_failed_again(study)
    try_failed_again(study)
    run(study, trials=2)  # fewer than there are
    assert finished(study)[0].state == "COMPLETE" and len(finished(study)) == 4


class All:
    def __contains__(self, _):
        return True


def test_a_named_design_is_not_trained_again_as_a_candidate():
    study = new_study()
    run(study, trials=1, designs=True)
    assert "LightCNN, GAP removed" in finished_designs(study)
    slots = run(study, trials=40)
    assert "8-16-32-flatten" not in {architecture for architecture, _, _ in slots.jobs}


def test_a_named_design_may_end_before_the_first_trial():
    class LightLast(PretendingSlots):
        def submit(self, fn, run, epoch, stop, state):
            future = super().submit(fn, run, epoch, stop, state)
            if str(run.architecture) != LIGHTCNN:
                return future
            late = Future()
            Timer(0.5, lambda: late.set_result(future.result())).start()
            return late

    study = new_study()
    run(study, trials=1, designs=True, slots=LightLast(num_slots=2))
    assert (len(finished(study)), len(finished_designs(study))) == (1, len(DESIGNS) - 1)


def test_more_trials_can_be_asked_for_later():
    study = new_study()
    run(study, trials=5)
    first = finished(study)
    slots = run(study, trials=8)
    assert len(finished(study)) == 8
    assert len(slots.jobs) == 6
    assert first.items() <= finished(study).items()


def test_the_front_is_what_no_other_beats():
    study = new_study()
    run(study, trials=30)
    tables = study_tables(study, SETTINGS)
    trials, front = tables["trials.csv"], tables["front.csv"]
    beaten = [
        any((trials.num_parameters <= t.num_parameters) & (trials.val_accuracy > t.val_accuracy))
        or any((trials.num_parameters < t.num_parameters) & (trials.val_accuracy >= t.val_accuracy))
        for t in trials.itertuples()
    ]
    assert set(front["architecture"]) == {
        a for a, b in zip(trials["architecture"], beaten, strict=True) if not b
    }
    assert front["num_parameters"].is_monotonic_increasing
    assert parse(front["architecture"].iloc[0], MNIST)

"""Designs re-trained on fresh seeds: kept as they end, tested together, the reading recorded."""

from dataclasses import replace

import pandas as pd
import pytest
from fakes import MNIST, SlotInThisProcess

from lightcnn.architecture import parse
from lightcnn.data import DATASETS
from lightcnn.training import Recipe, trained_network
from search import evaluation
from search.evaluation import Arm, retrain
from search.execution.checkpoints import Checkpoints
from search.execution.devices import choose_slots
from search.execution.runs import TrainingData, train_piece
from search.execution.slots import open_slots
from search.weights import kept_runs

ARMS = [Arm("small", parse("2-gap", MNIST)), Arm("wide", parse("4-gap", MNIST))]
RECIPE = Recipe(epochs=1, learning_rate=1e-2, batch_size=64)


@pytest.fixture
def data(mnist_folder, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return TrainingData(DATASETS["mnist"], mnist_folder, num_validation=0, num_train_images=200)


def run(arms, num_seeds, data, folder, executor):
    each = dict.fromkeys(arms, num_seeds)
    return retrain("re-training", each, RECIPE, data, executor, folder)


def test_runs_are_trained_then_tested_together(tmp_path, data):
    executor = SlotInThisProcess()
    runs = run(ARMS, 2, data, tmp_path, executor)
    assert executor.submitted == [train_piece] * 4 + [evaluation.tested] * 4
    assert sorted(zip(runs["arm"], runs["seed"], strict=True)) == [
        *(("small", 0), ("small", 1), ("wide", 0), ("wide", 1))
    ]
    readings = pd.read_csv(tmp_path / "test_readings.csv")
    assert readings["num_runs"].tolist() == [4] and readings["read_at"].str.endswith("UTC").all()
    pd.testing.assert_frame_equal(kept_runs(tmp_path), runs, check_dtype=False)
    network = trained_network(ARMS[1].architecture, (tmp_path / "weights" / "4-gap.1.pt").read_bytes())
    assert sum(weight.numel() for weight in network.parameters()) == 90


def test_arms_may_differ_in_their_seeds(tmp_path, data):
    each = {ARMS[0]: 2, ARMS[1]: 1}
    runs = retrain("re-training", each, RECIPE, data, SlotInThisProcess(), tmp_path)
    # Seed by seed, and of each the one first that takes longest.
    assert list(zip(runs["arm"], runs["seed"], strict=True)) == [("wide", 0), ("small", 0), ("small", 1)]
    assert len(run(ARMS, 1, data, tmp_path, SlotInThisProcess())) == 2


def test_epochs_are_by_size(tmp_path, data):
    small, large = Arm("small", parse("2-gap", MNIST)), Arm("large", parse("32-32-gap", MNIST))
    recipe = replace(RECIPE, small_epochs=3)
    runs = retrain("re-training", {small: 1, large: 1}, recipe, data, SlotInThisProcess(), tmp_path)
    assert dict(zip(runs["arm"], runs["epochs"], strict=True)) == {"small": 3, "large": 1}


def test_what_is_there_is_not_trained_or_tested_again(tmp_path, data):
    first = run(ARMS[:1], 1, data, tmp_path, SlotInThisProcess())
    executor = SlotInThisProcess()
    runs = run(ARMS, 1, data, tmp_path, executor)
    assert executor.submitted == [train_piece, evaluation.tested]
    pd.testing.assert_frame_equal(runs[:1], first, check_dtype=False)
    assert pd.read_csv(tmp_path / "test_readings.csv")["num_runs"].tolist() == [1, 1]
    executor = SlotInThisProcess()
    assert len(run(ARMS, 1, data, tmp_path, executor)) == 2 and executor.submitted == []


def test_an_interruption_loses_no_finished_run_and_reads_nothing(tmp_path, data):
    def interrupted(fn, *args):
        if fn is train_piece and args[0].architecture == ARMS[0].architecture:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run(ARMS, 1, data, tmp_path, SlotInThisProcess(interrupted))
    kept = kept_runs(tmp_path)
    assert kept["arm"].tolist() == ["wide"] and kept[["train_accuracy", "test_accuracy"]].isna().all(
        axis=None
    )
    assert not (tmp_path / "test_readings.csv").exists()
    executor = SlotInThisProcess()
    runs = run(ARMS, 1, data, tmp_path, executor)
    assert executor.submitted == [train_piece] + [evaluation.tested] * 2
    assert runs["test_accuracy"].between(0, 1).all()
    assert len(pd.read_csv(tmp_path / "test_readings.csv")) == 1


def test_only_the_seeds_and_designs_asked_for_are_tested(tmp_path, data):
    interrupted = SlotInThisProcess(lambda fn, *_: fn is evaluation.tested)
    with pytest.raises(RuntimeError) as caught:
        run(ARMS, 2, data, tmp_path, interrupted)
    assert str(caught.value) == (
        "4-gap with seed 0 could not be tested, twice: OSError: on fire; the same command tries again"
    )
    assert not (tmp_path / "test_readings.csv").exists()
    runs = run(ARMS[:1], 1, data, tmp_path, SlotInThisProcess())
    assert runs[["arm", "seed"]].to_numpy().tolist() == [["small", 0]]
    assert kept_runs(tmp_path)["test_accuracy"].notna().sum() == 1
    assert pd.read_csv(tmp_path / "test_readings.csv")["num_runs"].tolist() == [1]


def test_a_measurement_that_fails_is_tried_again(tmp_path, data):
    failed = []

    def broken(fn, *args):
        failed.append(fn)
        return fn is evaluation.tested and failed.count(fn) == 1

    assert run(ARMS, 1, data, tmp_path, SlotInThisProcess(broken))["test_accuracy"].between(0, 1).all()
    assert failed.count(evaluation.tested) == 3


def test_an_untested_run_whose_weights_are_gone_is_trained_again(tmp_path, data):
    broken = SlotInThisProcess(lambda fn, *_: fn is evaluation.tested)
    with pytest.raises(RuntimeError, match="on fire"):
        run(ARMS, 1, data, tmp_path, broken)
    (tmp_path / "weights" / "2-gap.0.pt").unlink()
    executor = SlotInThisProcess()
    assert len(run(ARMS, 1, data, tmp_path, executor)) == 2
    assert executor.submitted.count(train_piece) == 1


def test_a_run_that_fails_twice_is_named_when_the_others_are_done(tmp_path, data):
    def broken(fn, *args):
        return fn is train_piece and args[0].architecture == ARMS[0].architecture

    with pytest.raises(RuntimeError) as caught:
        run(ARMS, 1, data, tmp_path, SlotInThisProcess(broken))
    assert str(caught.value) == (
        "small with seed 0 failed twice: OSError: on fire; the same command tries again"
    )
    assert kept_runs(tmp_path)["test_accuracy"].notna().tolist() == [True]
    with pytest.raises(
        RuntimeError, match=r"^4 runs failed, the last being small with seed 3 failed twice: OS"
    ):
        run(ARMS[:1], 9, data, tmp_path, SlotInThisProcess(broken))


@pytest.mark.slow
def test_workers_give_the_same_accuracies_as_this_process(tmp_path, data):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here = run(ARMS, 1, data, tmp_path / "here", SlotInThisProcess()).sort_values("arm")
    with open_slots(choose_slots("cpu", 2)) as executor:
        there = run(ARMS, 1, data, tmp_path / "there", executor).sort_values("arm")
    for column in ("train_accuracy", "test_accuracy"):
        assert here[column].tolist() == there[column].tolist()


def test_an_interrupted_run_goes_on_though_a_search_has_ended_meanwhile(tmp_path, data):
    """As a command that is given again first sees that nothing is left to search."""
    recipe, each = replace(RECIPE, epochs=3), {ARMS[0]: 1}

    class OneEpoch(SlotInThisProcess):
        def submit(self, fn, *args):
            if fn is not train_piece:
                return super().submit(fn, *args)
            run, start, _, state = args
            starts.append(start)
            if len(starts) == 3:
                raise KeyboardInterrupt
            return super().submit(fn, run, start, start + 1, state)

    starts = []
    with pytest.raises(KeyboardInterrupt):
        retrain("t", each, recipe, data, OneEpoch(), tmp_path)
    Checkpoints(tmp_path, print).forget_all()  # the search's
    retrain("t", each, recipe, data, OneEpoch(), tmp_path)
    assert starts == [0, 1, 2, 2]
    assert not (tmp_path / "unfinished-again").exists()

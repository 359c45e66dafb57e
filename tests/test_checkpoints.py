"""Runs under way survive their driver: from the last epoch, to the same bits, and nothing damaged is used."""

import dataclasses

import pytest
from fakes import MNIST, SlotInThisProcess, Watching

from lightcnn.architecture import parse
from lightcnn.data import DATASETS
from lightcnn.training import FAST, Epoch
from search.execution.checkpoints import Checkpoints
from search.execution.runs import Run, RunProgress, TrainingData
from search.execution.schedule import train_runs


class UntilItDies(SlotInThisProcess):
    """Does an epoch of each job at once, until it is told to die before one."""

    def __init__(self, die_before=None):
        super().__init__()
        self.epochs, self.die_before = [], die_before

    def submit(self, fn, run, epoch, stop, state):
        if len(self.epochs) == self.die_before:
            raise KeyboardInterrupt
        self.epochs.append(epoch)
        return super().submit(fn, run, epoch, epoch + 1, state)


@pytest.fixture
def run(mnist_folder, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    recipe = dataclasses.replace(FAST, epochs=4)
    return Run(parse("2-4-gap", MNIST), recipe, 7, TrainingData(DATASETS["mnist"], mnist_folder, 200, 300))


def train(run, executor, unfinished, judge=lambda key, progress: progress):
    ((_, progress),) = train_runs(iter([("it", run)]), executor, Watching(), unfinished, judge)
    return progress


def test_a_run_goes_on_from_its_last_epoch_to_the_same_bits(run, tmp_path):
    said = []
    with pytest.raises(KeyboardInterrupt):
        train(run, UntilItDies(die_before=2), Checkpoints(tmp_path, said.append))
    assert [path.name for path in (tmp_path / "unfinished").iterdir()] == ["2-4-gap.7"]
    executor = UntilItDies()
    resumed = train(run, executor, Checkpoints(tmp_path, said.append))
    assert executor.epochs == [2, 3]
    whole = train(run, UntilItDies(), None)
    assert resumed.epochs == whole.epochs and resumed.state == whole.state
    assert not (tmp_path / "unfinished").exists() and said == []


def test_what_is_kept_comes_back_whole(run, tmp_path):
    unfinished = Checkpoints(tmp_path, print)
    progress = RunProgress(
        run, (Epoch(1, 2.0, 0.25, 2.5), Epoch(2, 1.5, None, None)), b"state", False, 3.5, None, 1
    )
    unfinished.keep(progress)
    assert unfinished.begun(run) == progress
    other = dataclasses.replace(run, seed=8)
    assert unfinished.begun(other) == RunProgress(other)


def test_a_run_that_was_exempted_is_not_judged_afresh(run, tmp_path):
    """Or the page would count it as exempted at a later epoch, or not at all."""

    def exempt(key, progress):
        return (
            progress if progress.spared_at else dataclasses.replace(progress, spared_at=len(progress.epochs))
        )

    with pytest.raises(KeyboardInterrupt):
        train(run, UntilItDies(die_before=1), Checkpoints(tmp_path, print), exempt)
    assert train(run, UntilItDies(), Checkpoints(tmp_path, print), exempt).spared_at == 1


def test_a_run_is_kept_when_it_is_due(run, tmp_path):
    """What a driver that is killed may lose of a run is bounded, and few files are written."""
    unfinished, path = Checkpoints(tmp_path, print), tmp_path / "unfinished" / "2-4-gap.7"

    def after(seconds):
        unfinished.keep_if_due(RunProgress(run, (Epoch(1, 2.0, 0.25, 2.5),), b"state", False, seconds))
        kept = Checkpoints(tmp_path, print).begun(run)
        return kept.seconds

    assert [after(seconds) for seconds in (1.0, 2.9, 3.1, 6.0, 6.2)] == [0, 0, 3.1, 3.1, 6.2]
    resumed = Checkpoints(tmp_path, print)
    resumed.begun(run)
    path.unlink()
    resumed.keep_if_due(RunProgress(run, (Epoch(1, 2.0, 0.25, 2.5),), b"state", False, 9.0))
    assert not path.exists()  # 2.8 seconds more than what it was resumed from


@pytest.mark.parametrize("damage", ["empty", "torn", "text", "one bit"])
def test_a_damaged_file_begins_the_run_again(damage, run, tmp_path):
    said = []
    unfinished = Checkpoints(tmp_path, said.append)
    unfinished.keep(RunProgress(run, (Epoch(1, 2.0, 0.25, 2.5),), b"state", False, 3.5))
    path = tmp_path / "unfinished" / "2-4-gap.7"
    whole = path.read_bytes()
    damaged = {"empty": b"", "torn": whole[:-1], "text": b"hello", "one bit": whole[:-1] + b"\0"}
    path.write_bytes(damaged[damage])
    assert unfinished.begun(run) == RunProgress(run)
    assert said == [f"{path} is damaged: this run begins again"]


def test_a_run_of_other_epochs_begins_again(run, tmp_path):
    """Its rates were others, and what has more epochs than it is to have could not go on."""
    Checkpoints(tmp_path, print).keep(RunProgress(run, (Epoch(1, 2.0, 0.25, 2.5),), b"state", False, 3.5))
    other = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, epochs=9))
    assert Checkpoints(tmp_path, print).begun(other) == RunProgress(other)
    assert len(Checkpoints(tmp_path, print).begun(run).epochs) == 1


def test_a_loop_that_ends_forgets_its_own_runs_alone(run, tmp_path):
    again = Checkpoints(tmp_path, print, "unfinished-again")
    again.keep(RunProgress(run, (Epoch(1, 2.0, 0.25, 2.5),), b"state", False, 3.5))
    train(run, UntilItDies(), Checkpoints(tmp_path, print))
    assert len(Checkpoints(tmp_path, print, "unfinished-again").begun(run).epochs) == 1

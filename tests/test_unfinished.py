"""Runs under way survive their driver: from the last epoch, to the same bits, and nothing damaged is used."""

import dataclasses
from concurrent.futures import Executor, Future

import pytest
import torch

from lightcnn.architecture import Task, parse
from lightcnn.training import FAST, Epoch
from search.runs import Outcome, Run, TrainingData
from search.schedule import train_runs
from search.unfinished import Unfinished

MNIST = Task(image_size=28, in_channels=1, num_classes=10)


class InThisProcess(Executor):
    """Does each job at once, until it is told to die before one."""

    def __init__(self, die_before=None):
        self.epochs, self.die_before = [], die_before

    def submit(self, fn, run, epoch, state):
        if len(self.epochs) == self.die_before:
            raise KeyboardInterrupt
        self.epochs.append(epoch)
        future = Future()
        future.set_result(fn(run, epoch, state))
        return future


class Silent:
    def show(self, key, outcome):
        pass


@pytest.fixture
def run(mnist_folder, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    recipe = dataclasses.replace(FAST, epochs=4)
    return Run(parse("2-4-gap", MNIST), recipe, 7, TrainingData("mnist", mnist_folder, 200, 300))


def train(run, executor, unfinished, judge=lambda key, outcome: outcome):
    ((_, outcome),) = train_runs(iter([("it", run)]), executor, 1, Silent(), unfinished, judge)
    return outcome


def weights(outcome):
    return torch.load(outcome.state, weights_only=True)["network"]


def test_a_run_goes_on_from_its_last_epoch_to_the_same_bits(run, tmp_path):
    said = []
    with pytest.raises(KeyboardInterrupt):
        train(run, InThisProcess(die_before=2), Unfinished(tmp_path, said.append))
    assert [path.name for path in (tmp_path / "unfinished").iterdir()] == ["2-4-gap.7.pt"]
    executor = InThisProcess()
    resumed = train(run, executor, Unfinished(tmp_path, said.append))
    assert executor.epochs == [2, 3]
    whole = train(run, InThisProcess(), None)
    assert resumed.epochs == whole.epochs and resumed.state == whole.state
    assert not (tmp_path / "unfinished").exists() and said == []


def test_what_is_kept_comes_back_whole(run, tmp_path):
    unfinished = Unfinished(tmp_path, print)
    outcome = Outcome(
        run, (Epoch(1, 2.0, 0.25, 2.5), Epoch(2, 1.5, None, None)), b"state", False, 3.5, None, 1
    )
    unfinished.keep(outcome)
    assert unfinished.begun(run) == outcome
    other = dataclasses.replace(run, seed=8)
    assert unfinished.begun(other) == Outcome(other)


def test_a_run_that_was_spared_is_not_judged_afresh(run, tmp_path):
    """Or the page would count it as spared at a later epoch, or not at all."""

    def spare(key, outcome):
        return outcome if outcome.spared_at else dataclasses.replace(outcome, spared_at=len(outcome.epochs))

    with pytest.raises(KeyboardInterrupt):
        train(run, InThisProcess(die_before=1), Unfinished(tmp_path, print), spare)
    assert train(run, InThisProcess(), Unfinished(tmp_path, print), spare).spared_at == 1


class Boom:
    def __reduce__(self):
        return (pytest.fail, ("a file was unpickled",))


@pytest.mark.parametrize("damage", ["empty", "torn", "text", "another", "too long", "a pickle"])
def test_a_damaged_file_begins_the_run_again(damage, run, tmp_path):
    said = []
    unfinished = Unfinished(tmp_path, said.append)
    epochs = tuple(Epoch(i + 1, 2.0, 0.25, 2.5) for i in range(4 if damage == "too long" else 1))
    unfinished.keep(Outcome(run, epochs, b"state", False, 3.5))
    path = tmp_path / "unfinished" / "2-4-gap.7.pt"
    content = path.read_bytes()
    if damage == "another":
        torch.save({"network": torch.zeros(3)}, path)
    elif damage == "a pickle":
        torch.save({"epochs": Boom(), "state": b""}, path)
    elif damage != "too long":
        path.write_bytes({"empty": b"", "torn": content[: len(content) // 2], "text": b"hello"}[damage])
    assert unfinished.begun(run) == Outcome(run)
    assert said == [f"{path} is damaged: this run begins again"]

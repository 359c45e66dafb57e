"""The loop that keeps slots busy: order, laziness, retries, divergence; the executor is a scripted one."""

from concurrent.futures import Future
from dataclasses import replace
from queue import SimpleQueue
from threading import Timer

import pytest
import torch
from fakes import DATA, MNIST, ScriptedSlots, Watching

from lightcnn.architecture import parse
from lightcnn.data import DATASETS
from lightcnn.errors import Failure
from lightcnn.training import FAST, Epoch, Piece
from search.execution.runs import Run, TrainingData, images_of, relative_cost
from search.execution.schedule import train_runs
from search.execution.slots import NoSlots, SlotBroken


def run(seed, epochs=2):
    return Run(parse("4-gap", MNIST), replace(FAST, epochs=epochs), seed, DATA)


def collect(slots, these):
    watching = Watching()
    progresses = dict(train_runs(((f"run {r.seed}", r) for r in these), slots, watching))
    return progresses, watching


def test_each_run_goes_on_from_its_own_state():
    executor = ScriptedSlots()
    progresses, watching = collect(executor, [run(0), run(1), run(2, epochs=1)])
    assert {key: (len(o.epochs), o.state, o.seconds, o.error) for key, o in progresses.items()} == {
        "run 0": (2, b"0 after 2", 3.0, None),
        "run 1": (2, b"1 after 2", 3.0, None),
        "run 2": (1, b"2 after 1", 1.5, None),
    }
    assert set(executor.jobs) == {
        (0, 0, None),
        (0, 1, b"0 after 1"),
        (1, 0, None),
        (1, 1, b"1 after 1"),
        (2, 0, None),
    }
    assert [entry for entry in watching if entry[0] == "run 0"] == [("run 0", 0), ("run 0", 1), ("run 0", 2)]


def test_runs_are_asked_for_one_ahead_of_the_slots():
    """So no slot waits for a sampler, which knows all but the runs under way."""
    events = []

    def asking():
        for seed in range(4):
            events.append(f"ask {seed}")
            yield seed, run(seed, epochs=1)

    for key, _ in train_runs(asking(), ScriptedSlots(num_slots=1), Watching()):
        events.append(f"tell {key}")
    assert events == ["ask 0", "ask 1", "tell 0", "ask 2", "tell 1", "ask 3", "tell 2", "tell 3"]


def test_what_ended_together_is_taken_in_the_order_of_submission():
    """With one slot a run is then the same however long anything takes, and with several nothing waits."""
    keys = [
        key
        for key, _ in train_runs(((s, run(s, 1)) for s in range(6)), ScriptedSlots(num_slots=3), Watching())
    ]
    assert keys == list(range(6))


def test_a_job_ends_at_the_next_rung_or_with_the_run():
    class Spans(ScriptedSlots):
        def submit(self, fn, run, start, stop, state):
            spans.append((start, stop))
            measured = tuple(Epoch(epoch + 1, 0.1, 0.9, 0.2) for epoch in range(start, stop))
            future = Future()
            future.set_result(Piece(measured, b"state", False, 1.0))
            return future

    spans, judged = [], []

    def judge(key, progress):
        judged.append(len(progress.epochs))
        return progress

    list(train_runs(iter([(0, run(0, epochs=8))]), Spans(), Watching(), judge=judge, rungs=(2, 4, 8, 9)))
    assert spans == [(0, 2), (2, 4), (4, 8)] and judged == [2, 4]


def test_one_failure_is_retried_from_the_epoch_before():
    executor = ScriptedSlots(errors={(0, 1): [OSError("gone")]})
    progresses, _ = collect(executor, [run(0), run(1)])
    assert (progresses["run 0"].error, len(progresses["run 0"].epochs)) == (None, 2)
    assert [job for job in executor.jobs if job[0] == 0] == [
        (0, 0, None),
        (0, 1, b"0 after 1"),
        (0, 1, b"0 after 1"),
    ]


def test_a_second_failure_ends_the_run_and_no_other():
    errors = {(0, 0): [OSError("gone")], (0, 1): [ValueError("gone again\nwith details")]}
    progresses, _ = collect(ScriptedSlots(errors), [run(0), run(1)])
    assert progresses["run 0"].error == "ValueError: gone again"
    assert (progresses["run 1"].error, len(progresses["run 1"].epochs)) == (None, 2)


def test_a_slot_out_of_order_is_no_failure_of_its_run():
    errors = [SlotBroken("cuda:1: no such device"), MemoryError("once"), SlotBroken("cuda:2: nor that")]
    executor = ScriptedSlots(errors={(0, 0): errors}, num_slots=1)
    progresses, watching = collect(executor, [run(0, epochs=1)])
    assert progresses["run 0"].error is None and len(executor.jobs) == 4
    assert "a worker is out of order: cuda:1: no such device" in watching


def test_where_no_slot_is_left_no_run_is_over():
    executor, ended = ScriptedSlots(errors={(0, 0): [NoSlots("it burns")]}), []
    with pytest.raises(Failure, match="it burns"):
        ended += train_runs(iter([("run 0", run(0))]), executor, Watching())
    assert ended == []


def test_a_slot_that_joins_is_used_while_every_job_goes_on():
    class Joined(ScriptedSlots):
        """A second slot comes during the first job, which ends when the second has begun, or is given up."""

        def submit(self, *args):
            answer = super().submit(*args)
            if self.num_slots == 2:
                self.first.set_result(answer.result())
                return answer
            self.first = Future()
            for seconds, event in ((0.1, self.join), (10, self.give_up)):
                timer = Timer(seconds, event)
                timer.daemon = True
                timer.start()
            return self.first

        def join(self):
            self.num_slots = 2

        def give_up(self):
            if not self.first.done():
                self.first.set_exception(NoSlots("the second has not begun"))

    progresses, _ = collect(Joined(num_slots=1), [run(0, epochs=1), run(1, epochs=1)])
    assert [progress.error for progress in progresses.values()] == [None, None]


def test_a_diverged_run_is_over():
    progresses, _ = collect(ScriptedSlots(diverge_at={(0, 0)}), [run(0, epochs=5)])
    assert (progresses["run 0"].diverged, len(progresses["run 0"].epochs)) == (True, 1)


def test_training_and_validation_images_do_not_meet(mnist_folder):
    everything = TrainingData(DATASETS["mnist"], mnist_folder, num_validation=0)
    training, validation = images_of(everything, "cpu")
    assert (len(training), validation) == (60_000, None)
    training, validation = images_of(replace(everything, num_validation=10_000), "cpu")
    assert (len(training), len(validation)) == (50_000, 10_000)
    every = images_of(everything, "cpu")[0]
    parts = [part.images.sum(dtype=torch.float64).item() for part in (training, validation, every)]
    assert parts[0] + parts[1] == pytest.approx(parts[2])
    few, same = images_of(replace(everything, num_validation=10_000, num_train_images=500), "cpu")
    assert (len(few), len(same)) == (500, 10_000)
    assert few.labels.bincount().tolist() == pytest.approx([50] * 10, abs=8)


class SlotsByHand:
    """Answers when told to; a job has one epoch."""

    def __init__(self, num_slots):
        self.num_slots, self.futures = num_slots, []

    def submit(self, fn, run, start, stop, state):
        self.futures.append(Future())
        return self.futures[-1]

    def answer(self, *numbers):
        for number in numbers:
            self.futures[number].set_result(Piece((Epoch(1, 0.1, 0.9, 0.2),), b"", False, 1.0))


@pytest.mark.parametrize(("num_slots", "ahead"), [(1, 1), (2, 1), (15, 1), (16, 2), (64, 5)])
def test_runs_are_thought_of_ahead_more_of_them_where_there_are_more_slots(num_slots, ahead, monkeypatch):
    slots, thought = SlotsByHand(num_slots), []

    def runs():
        for seed in range(100):
            thought.append(seed)
            yield seed, run(seed, epochs=1)

    class Waited(SimpleQueue):
        def get(self, timeout):
            assert len(slots.futures) == num_slots and len(thought) == num_slots + ahead
            raise KeyboardInterrupt

    monkeypatch.setattr("search.execution.schedule.SimpleQueue", Waited)
    with pytest.raises(KeyboardInterrupt):
        collect_from(runs(), slots)


def test_an_answer_is_heard_before_a_further_run_is_thought_of():
    """With 16 slots two runs are upcoming; when two answers wait, both slots are filled before a thought."""
    events = []

    def runs():
        for seed in range(20):
            events.append("thought")
            if seed == 17:  # the last thought before the slots are waited for
                slots.answer(0, 1)
            yield seed, run(seed, epochs=1)

    class Heard(Watching):
        def show(self, key, progress):
            events.append(f"{key} {'over' if progress.is_over else 'begun'}")

    class ThenAtOnce(SlotsByHand):
        def submit(self, *job):
            future = super().submit(*job)
            number = len(self.futures) - 1
            self.answer(*(range(2, 18) if number == 17 else [number] if number > 17 else []))
            return future

    slots = ThenAtOnce(16)
    for _ in train_runs(runs(), slots, Heard()):
        pass
    assert events[-1].endswith("over")
    first = events.index("0 over")
    assert events[first : first + 4] == ["0 over", "16 begun", "1 over", "17 begun"]


def collect_from(runs, slots):
    return dict(train_runs(runs, slots, Watching()))


def test_what_pytorch_alone_trains_is_taken_to_cost_more():
    """The MLP has about as many multiply-accumulates as LightCNN, and trains three times as long."""
    by_cost = ["4-gap", "8-16-32-gap", "28-14-32-flatten", "flatten-512-256"]
    assert sorted(set(by_cost), key=lambda text: relative_cost(parse(text, MNIST))) == by_cost

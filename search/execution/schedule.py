"""The loop that keeps the slots busy: one job is a piece of a run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from lightcnn.training import Piece
from search.execution.checkpoints import Checkpoints
from search.execution.runs import Run, RunProgress, train_piece
from search.execution.slots import NoSlots, SlotBroken, Slots

K = TypeVar("K", bound=Hashable)
SLOTS_A_RUN_AHEAD = 16  # beyond the one that is always thought of ahead
LOOK_SECONDS = 1.0  # between two looks at the number of slots while every job goes on


class Watcher(Protocol):
    """Who is shown how the runs go."""

    def show(self, key: Hashable, progress: RunProgress) -> None:
        """A run has started, has come further, or is over."""

    def say(self, line: str) -> None:
        """Something besides has happened."""


def unjudged(key: Hashable, progress: RunProgress) -> RunProgress:
    """Stops no run early."""
    return progress


def train_runs(
    runs: Iterator[tuple[K, Run]],
    slots: Slots,
    watcher: Watcher,
    checkpoints: Checkpoints | None = None,
    judge: Callable[[K, RunProgress], RunProgress] = unjudged,
    rungs: Sequence[int] = (),
) -> Iterator[tuple[K, RunProgress]]:
    """Train `runs` with as many jobs under way as there are slots; yield each with its key as it ends.

    One job is what is left of a run up to its next rung, or the epochs of some seconds of it. `runs` is
    advanced in the caller's thread, so it may ask a sampler, and always a run ahead of the slots, several
    where there are many, so none of them waits for it. A job that raises, or whose process dies, is tried
    once more from where it began; a second failure of the same run ends it with its reason, and no other run
    notices. A job whose slot is out of order is no failure of its run: it goes to another slot. With one slot
    everything happens in one order, whatever the time that anything takes.

    Args:
        checkpoints: keeps each run from time to time and when the loop is left, and resumes it where an
            earlier driver was.
        judge: given each run after each job that is not its last, gives it back, `stopped` or not.
        rungs: epochs after which a run is to be judged.

    Raises:
        NoSlots: no slot is in order.
    """
    in_flight: dict[Future[Piece], K] = {}
    answers: SimpleQueue[Future[Piece]] = SimpleQueue()  # as they come; to ask all in flight takes too long
    under_way: dict[K, RunProgress] = {}
    retried: set[K] = set()

    upcoming: deque[tuple[K, Run]] = deque()
    are_left = True  # runs that are not upcoming yet

    def submit(key: K) -> None:
        progress = under_way[key]
        start, num_epochs = len(progress.epochs), progress.run.recipe.epochs
        stop = min((rung for rung in rungs if start < rung < num_epochs), default=num_epochs)
        future = slots.submit(train_piece, progress.run, start, stop, progress.state)
        in_flight[future] = key
        future.add_done_callback(answers.put)

    def has_time() -> bool:
        """Whether another run may be thought of: one always, more as long as no answer waits."""
        return not upcoming or (answers.empty() and len(upcoming) <= slots.num_slots // SLOTS_A_RUN_AHEAD)

    try:
        while True:
            while upcoming and len(in_flight) < slots.num_slots:
                key, run = upcoming.popleft()
                under_way[key] = RunProgress(run) if checkpoints is None else checkpoints.begun(run)
                watcher.show(key, under_way[key])
                submit(key)
            if are_left and has_time():
                if (one_more := next(runs, None)) is None:
                    are_left = False
                else:
                    upcoming.append(one_more)
                continue
            if not (upcoming or in_flight):
                break
            try:
                future = answers.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            key = in_flight.pop(future)
            progress, error = under_way[key], future.exception()
            if isinstance(error, NoSlots):
                raise error
            if error is None:
                progress = progress.extended(future.result())
                if not progress.is_over:
                    progress = judge(key, progress)
            elif isinstance(error, SlotBroken):
                watcher.say(f"a worker is out of order: {error}")
            elif key in retried:
                progress = replace(progress, error=f"{type(error).__name__}: {error}".splitlines()[0])
            else:
                retried.add(key)
            if progress.is_over:
                del under_way[key]
                yield key, progress  # and is shown as ended only after the caller has kept it
                if checkpoints is not None and error is None:  # or its caller may have it tried again
                    checkpoints.forget(progress.run)
            else:
                under_way[key] = progress
                submit(key)
                if checkpoints is not None:
                    checkpoints.keep_if_due(progress)
            watcher.show(key, progress)
    except BaseException:
        if checkpoints is not None:
            for progress in under_way.values():
                checkpoints.keep(progress)
        raise
    if checkpoints is not None:  # what a driver left that died between keeping a run and forgetting it
        checkpoints.forget_all()

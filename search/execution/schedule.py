"""The loop that keeps the slots busy: one job is one epoch of a run."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from lightcnn.training import Piece
from search.execution.checkpoints import Checkpoints
from search.execution.runs import Run, RunProgress, train_epoch

K = TypeVar("K", bound=Hashable)


class Slots(Protocol):
    """An executor that knows how many jobs it runs at a time."""

    num_slots: int

    def submit(self, fn: Callable[..., Piece], /, *args: Any) -> Future[Piece]:
        """A future for `fn(*args)`."""


class Watcher(Protocol):
    """Who is shown how the runs go."""

    def show(self, key: Hashable, progress: RunProgress) -> None:
        """A run has started, has trained one more epoch, or is over."""


def unjudged(key: Hashable, progress: RunProgress) -> RunProgress:
    """Stops no run early."""
    return progress


def train_runs(
    runs: Iterator[tuple[K, Run]],
    slots: Slots,
    watcher: Watcher,
    checkpoints: Checkpoints | None = None,
    judge: Callable[[K, RunProgress], RunProgress] = unjudged,
) -> Iterator[tuple[K, RunProgress]]:
    """Train `runs` with as many jobs under way as there are slots, and yield each with its key as it ends.

    One job is one epoch: what a crash can lose, and where a run can be stopped. `runs` is advanced only when
    a slot is free and every run that ended was taken, in the caller's thread, so it may ask a sampler. A job
    that raises, or whose process dies, is tried once more from the epoch before; a second failure of the same
    run ends it with its reason, and no other run notices.

    Args:
        checkpoints: keeps each run after each epoch, and lets it go on where an earlier driver was.
        judge: given each run after each epoch that is not its last, gives it back, `stopped` or not.
    """
    in_flight: dict[Future[Piece], tuple[K, RunProgress]] = {}
    retried: set[K] = set()

    def submit(key: K, progress: RunProgress) -> None:
        future = slots.submit(train_epoch, progress.run, len(progress.epochs), progress.state)
        in_flight[future] = (key, progress)

    while True:
        while len(in_flight) < slots.num_slots and (following := next(runs, None)) is not None:
            key, run = following
            progress = RunProgress(run) if checkpoints is None else checkpoints.begun(run)
            watcher.show(key, progress)
            submit(key, progress)
        if not in_flight:
            break
        for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
            key, progress = in_flight.pop(future)
            error = future.exception()
            if error is None:
                progress = progress.extended(future.result())
                if not progress.is_over:
                    progress = judge(key, progress)
                if checkpoints is not None and not progress.is_over:
                    checkpoints.keep(progress)
            elif key in retried:
                progress = replace(progress, error=f"{type(error).__name__}: {error}".splitlines()[0])
            else:
                retried.add(key)
            if progress.is_over:
                yield key, progress  # and is shown as ended only after the caller has kept it
                if checkpoints is not None:
                    checkpoints.forget(progress.run)
            else:
                submit(key, progress)
            watcher.show(key, progress)
    if checkpoints is not None:  # what a driver left that died between keeping a run and forgetting it
        checkpoints.forget_all()

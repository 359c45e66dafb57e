"""The loop that keeps the slots busy: one job is one epoch of a run."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import replace
from typing import Protocol, TypeVar

from lightcnn.training import Piece
from search.runs import Outcome, Run, train_epoch
from search.unfinished import Unfinished

K = TypeVar("K", bound=Hashable)


class Watcher(Protocol):
    """Who is told how the runs go."""

    def show(self, key: Hashable, outcome: Outcome) -> None:
        """A run has started, has trained one more epoch, or is over."""


def unjudged(key: Hashable, outcome: Outcome) -> Outcome:
    """Stops no run early."""
    return outcome


def train_runs(
    runs: Iterator[tuple[K, Run]],
    executor: Executor,
    num_slots: int,
    watcher: Watcher,
    unfinished: Unfinished | None = None,
    judge: Callable[[K, Outcome], Outcome] = unjudged,
) -> Iterator[tuple[K, Outcome]]:
    """Train `runs` with `num_slots` jobs under way, and yield each with its key as it ends.

    One job is one epoch: what a crash can lose, and where a run can be stopped. `runs` is advanced only when
    a slot is free and all earlier outcomes were taken, in the caller's thread, so it may ask a sampler. A job
    that raises, or whose process dies, is tried once more from the epoch before; a second failure of the same
    run ends it with its reason, and no other run notices.

    Args:
        unfinished: keeps each run after each epoch, and lets it go on where an earlier driver was.
        judge: given each run after each epoch that is not its last, gives it back, `stopped` or not.
    """
    in_flight: dict[Future[Piece], tuple[K, Outcome]] = {}
    retried: set[K] = set()

    def submit(key: K, outcome: Outcome) -> None:
        future = executor.submit(train_epoch, outcome.run, len(outcome.epochs), outcome.state)
        in_flight[future] = (key, outcome)

    while True:
        while len(in_flight) < num_slots and (following := next(runs, None)) is not None:
            key, run = following
            outcome = Outcome(run) if unfinished is None else unfinished.begun(run)
            watcher.show(key, outcome)
            submit(key, outcome)
        if not in_flight:
            break
        for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
            key, outcome = in_flight.pop(future)
            error = future.exception()
            if error is None:
                outcome = outcome.extended(future.result())
                if not outcome.is_over:
                    outcome = judge(key, outcome)
                if unfinished is not None and not outcome.is_over:
                    unfinished.keep(outcome)
            elif key in retried:
                outcome = replace(outcome, error=f"{type(error).__name__}: {error}".splitlines()[0])
            else:
                retried.add(key)
            if outcome.is_over:
                yield key, outcome  # and is shown as ended only after the caller has kept it
                if unfinished is not None:
                    unfinished.forget(outcome.run)
            else:
                submit(key, outcome)
            watcher.show(key, outcome)
    if unfinished is not None:  # what a driver left that died between keeping a run and forgetting it
        unfinished.forget_all()

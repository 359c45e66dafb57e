"""Slots on devices behind `concurrent.futures.Executor`: one process a slot, which can die alone."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from joblib.externals.loky.process_executor import (
    BrokenProcessPool,
    ProcessPoolExecutor,
    TerminatedWorkerError,
)
from threadpoolctl import threadpool_limits

from lightcnn.errors import Failure
from search.execution.devices import Slot
from search.execution.process import kill_process, start_process

if TYPE_CHECKING:
    from search.execution.cluster import Cluster

T = TypeVar("T")

# A job ends with the epoch in which they are over, so that the driver hears of each run in time.
JOB_SECONDS = 3.0
MAX_REHEARSALS = 3  # that fail, after which a slot is out of order: a process may die of something else once
ENGINE = "LIGHTCNN_ENGINE"  # names the compiled engine's file to a slot's process


class SlotBroken(RuntimeError):
    """A job that was not done because its slot is out of order; the job is not at fault."""


class NoSlots(Failure):
    """A job that was not done because no slot is left, and why."""


class Slots(Protocol):
    """An executor that knows how many jobs it runs at a time."""

    @property
    def num_slots(self) -> int:
        """Those in order, as far as is known."""

    def submit(self, fn: Callable[..., T], /, *args: Any) -> Future[T]:
        """A future for `fn(*args)`."""


Job = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def no_slots(why: str) -> NoSlots:
    """The error of a job where no slot is in order, the last because of `why`."""
    return NoSlots(
        f"no worker can train here, whatever the network ({why}); mend that and give the same command again"
    )


class SlotExecutor(Executor):
    """Runs each submitted job on the next free slot.

    A thread a slot hands jobs to the slot's single-worker process, so that a process that dies breaks only
    its own job: the slot starts a fresh process for the next. (A shared pool breaks as a whole: one dead
    worker aborts every job of a `joblib.Parallel`.)

    A slot rehearses before its first job and again after each job that failed. If that fails as well, the
    slot is out of order: the job's future has a `SlotBroken`, and the slots that are left do the rest. Where
    none is, the last one answers every job with `NoSlots`.

    Args:
        time_limit: seconds after which a job that has not ended is given up, and its process killed.
        engine: what the processes train with where it serves; None: PyTorch.
        rehearsal: what any slot in order can do.
    """

    num_slots: int  # in order, as far as is known

    def __init__(
        self,
        slots: Sequence[Slot],
        time_limit: float | None = None,
        engine: Path | None = None,
        rehearsal: Callable[[], object] = os.getpid,
    ) -> None:
        self._time_limit, self._rehearsal = time_limit, rehearsal
        self._engine = {} if engine is None else {ENGINE: str(engine)}
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._processes: dict[int, ProcessPoolExecutor] = {}  # the live one of each slot
        self._lock = threading.Lock()  # for `_processes`, `_closed`, `_killed` and `num_slots`
        self._closed = self._killed = False
        self._threads = [
            threading.Thread(
                target=self._serve, args=(i, slot), name=f"slot {i} on {slot.device}", daemon=True
            )
            for i, slot in enumerate(slots)
        ]
        self.num_slots = len(slots)
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future for `fn(*args, **kwargs)` in a slot's process.

        Its exception is `fn`'s own, a `BrokenExecutor` if the process died, a `TimeoutError`, a `SlotBroken`
        or `NoSlots`.

        Raises:
            RuntimeError: after `shutdown`.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the slots are shut down")
            future: Future[Any] = Future()
            self._jobs.put((future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False, kill: bool = False) -> None:
        """End all slots: after the jobs submitted so far; or, with `kill`, at once, with their processes."""
        with self._lock:
            self._closed = True
            self._killed = self._killed or kill
            if kill:
                for process in self._processes.values():
                    kill_process(process)
        if cancel_futures or kill:
            while not self._jobs.empty():
                if (job := self._jobs.get()) is not None:
                    job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _serve(self, index: int, slot: Slot) -> None:
        # Ctrl-C is the driver's business. The slot's process inherits this, so that it holds from its first
        # moment on.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        # The process imports PyTorch and reads the images while the driver is still busy with its beginning.
        out_of_order = self._rehearse(index, slot)
        is_counted = True
        while (taken := self._jobs.get()) is not None:
            future, fn, args, kwargs = taken
            if not future.set_running_or_notify_cancel():
                continue
            if out_of_order is None:
                try:
                    future.set_result(self._do(index, slot, fn, *args, **kwargs))
                    continue
                except BaseException as error:  # whatever it is; the job's own if the slot is in order
                    out_of_order = self._rehearse(index, slot)
                    if out_of_order is None:
                        future.set_exception(error)
                        continue
            with self._lock:
                self.num_slots -= is_counted
                is_last, is_counted = self.num_slots == 0, False
            why = f"{slot.device}: {type(out_of_order).__name__}: {out_of_order}"
            if not is_last:
                future.set_exception(SlotBroken(why))
                break
            future.set_exception(no_slots(why))
        with self._lock:
            last = self._processes.pop(index, None)
        if last is not None:
            last.shutdown()

    def _do(self, index: int, slot: Slot, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What `fn(*args, **kwargs)` gives in the slot's process, within the time limit."""
        try:
            job = self._submit_to(index, slot, fn, *args, **kwargs)
            if not wait([job], self._time_limit).done:
                raise TimeoutError(f"no answer within {self._time_limit:g} seconds")
            return job.result()
        except BaseException as error:
            # Whatever raised may have left the process unfit, as a CUDA error does: the next job gets a
            # fresh one. What is left of a killed one, loky clears away.
            with self._lock:
                if (process := self._processes.pop(index, None)) is not None:
                    kill_process(process)
            if type(error) is BrokenProcessPool:  # what loky calls an answer that is not there to its end
                raise TerminatedWorkerError("A worker process died while it answered.") from None
            raise

    def _rehearse(self, index: int, slot: Slot) -> BaseException | None:
        """Why the slot is out of order; None if it is not."""
        for _ in range(MAX_REHEARSALS):
            try:
                self._do(index, slot, self._rehearsal)
                return None
            except BaseException as error:
                failure = error
        return failure

    def _submit_to(
        self, index: int, slot: Slot, fn: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        with self._lock:
            if self._killed:
                raise BrokenExecutor("the slots were killed")
            if index not in self._processes:
                self._processes[index] = start_process(slot.environment() | self._engine)
            future: Future[Any] = self._processes[index].submit(fn, *args, **kwargs)
            return future


@contextmanager
def open_slots(
    slots: Sequence[Slot] | Cluster,
    epoch_timeout: float | None = None,
    engine: Path | None = None,
    rehearsal: Callable[[], object] = os.getpid,
) -> Iterator[Slots]:
    """An executor on `slots`, whose processes are gone when the block is left, however it is left.

    Args:
        epoch_timeout: seconds that an epoch may take.
        engine, rehearsal: as for `SlotExecutor`; the workers of a cluster have an engine of their own each.
    """
    time_limit = None if epoch_timeout is None else JOB_SECONDS + epoch_timeout
    with threadpool_limits(1):  # the cores are the slots': a sampler's matrices must not wait for them
        if isinstance(slots, Sequence):
            executor = SlotExecutor(slots, time_limit, engine, rehearsal)
            try:
                yield executor
            finally:
                executor.shutdown(kill=True)
        else:
            from search.execution.cluster_slots import ClusterSlots  # here: Dask is an extra

            on_cluster = ClusterSlots(slots, time_limit, engine is not None, rehearsal)
            try:
                on_cluster.settle()
                yield on_cluster
            finally:
                on_cluster.shutdown()

"""Slots on the workers of a Dask cluster, behind the same calls as those of this machine.

Dask carries jobs and answers; which worker does which job is decided here, as for local slots. A worker that
is not fit for the study would else be the quickest to take, and to spoil, one job after the other.
"""

from __future__ import annotations

import asyncio
import threading
import time
from asyncio import CancelledError
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures import CancelledError as Revoked
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from distributed import KilledWorker

from lightcnn.errors import Failure
from search.execution.cluster import ANSWER_SECONDS, EMPTY_SECONDS, Cluster, Connection, connected
from search.execution.display import log_line
from search.execution.slots import NoSlots, no_slots
from search.execution.worker import NotFit

T = TypeVar("T")

POLL_SECONDS = 1.0  # between two looks at who is there
FIT_SECONDS = 1_200.0  # in which a worker must have fetched the data, compiled the engine, and rehearsed
UNFIT_SECONDS = 10.0  # in which another worker may come, if those that are there are of no use
MAX_LOST = 3  # workers that are lost over one job, after which the job is to blame


@dataclass(order=True)
class _Job:
    number: int  # an earlier one goes first, so one that is given again does
    answer: Future[Any] = field(compare=False)
    fn: Callable[..., Any] = field(compare=False)
    args: tuple[Any, ...] = field(compare=False)
    num_lost: int = field(default=0, compare=False)


class ClusterSlots:
    """Runs each submitted job on the next free worker of `cluster`; a worker does one job at a time.

    A worker rehearses when it comes and again after each job that failed. One that cannot do it, or is unlike
    the driver, is left out, with a line. A job whose worker is lost goes to another, until MAX_LOST were.
    Every job is answered with `NoSlots` once the scheduler has gone, or no worker came in EMPTY_SECONDS
    (UNFIT_SECONDS, if there are some, but all are left out).

    Everything is decided in one event loop, in a thread of its own, with a task for each worker.

    Args:
        time_limit: seconds after which a job that has not ended is given up. The worker's nanny kills its
            process and begins another; a worker without one is left out.
        is_native: train with the compiled engine, which each worker builds or finds.
        rehearsal: what any worker in order can do.
    """

    def __init__(
        self,
        cluster: Cluster,
        time_limit: float | None,
        is_native: bool,
        rehearsal: Callable[[], object],
        say: Callable[[str], None] = log_line,
    ) -> None:
        self._cluster, self._time_limit, self._is_native = cluster, time_limit, is_native
        self._rehearsal, self._say = rehearsal, say
        self._fit: set[str] = set()  # addresses
        self._left_out: dict[str, str] = {}  # reasons, by address
        self._jobs: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue()
        self._lock = threading.Lock()  # for `_num_submitted` and `_end`
        self._num_submitted = 0
        self._end: Exception | None = None  # what every job is answered with
        self._settled = threading.Event()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._task = self._loop.create_task(self._serve_all())
        self._thread = threading.Thread(target=self._turn_loop, name="cluster slots", daemon=True)
        self._thread.start()

    @property
    def num_slots(self) -> int:
        """Workers that are fit; 1 while one is waited for."""
        return max(len(self._fit), 1)

    def settle(self) -> None:
        """Wait until it is known of each worker that is there whether it is fit, ANSWER_SECONDS at most."""
        self._settled.wait(ANSWER_SECONDS)

    def submit(self, fn: Callable[..., T], /, *args: Any) -> Future[T]:
        """A future for `fn(*args)` on a worker, where `fn` can be imported.

        Its exception is `fn`'s own, a `BrokenExecutor`, a `TimeoutError`, or `NoSlots`.
        """
        answer: Future[T] = Future()
        with self._lock:
            self._num_submitted += 1
            if self._end is None:
                job = _Job(self._num_submitted, answer, fn, args)
                self._loop.call_soon_threadsafe(self._jobs.put_nowait, job)
            else:
                answer.set_exception(self._end)
        return answer

    def shutdown(self) -> None:
        """Leave the cluster, and give up what its workers are at."""
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()

    def _turn_loop(self) -> None:
        async def until_the_end() -> None:
            with suppress(CancelledError):
                await self._task

        with self._runner:
            self._runner.run(until_the_end())

    async def _serve_all(self) -> None:
        serving: dict[str, asyncio.Task[None]] = {}
        end: Exception = NoSlots("the slots are shut down")
        try:
            async with connected(self._cluster.address) as connection:
                await self._serve_who_is_there(connection, serving)
        except Failure as error:
            end = NoSlots(str(error))
        except Exception as error:  # a fault of ours
            end = error
        finally:
            self._settled.set()
            with self._lock:
                self._end = end
            for task in serving.values():
                task.cancel()
            # They put back what they were at; and what was submitted just now comes into the queue.
            await asyncio.gather(*serving.values(), asyncio.sleep(0), return_exceptions=True)
            while not self._jobs.empty():
                self._jobs.get_nowait().answer.set_exception(end)

    async def _serve_who_is_there(
        self, connection: Connection, serving: dict[str, asyncio.Task[None]]
    ) -> NoReturn:
        """Keep a task for each worker in `serving`. Failure: no worker is left, or the scheduler has gone."""
        seen_at = time.monotonic()  # a worker that is of use, or may be
        while True:
            there = await connection.workers(self._cluster.device)
            for address in serving.keys() - there:
                if address in self._fit:
                    self._say(f"{address} has left the cluster; what it was at goes on elsewhere")
                self._left_out.pop(address, None)
                serving.pop(address).cancel()
            for address in there.keys() - serving:
                serving[address] = asyncio.create_task(self._serve(connection, address))
            if there and there.keys() <= self._fit | self._left_out.keys():
                self._settled.set()
            if there.keys() - self._left_out:
                seen_at = time.monotonic()
            elif there and time.monotonic() - seen_at > UNFIT_SECONDS:
                address, reason = next(iter(self._left_out.items()))
                raise no_slots(f"{address}: {reason}")
            elif time.monotonic() - seen_at > EMPTY_SECONDS:
                raise no_slots(f"{connection.address} has had no worker for {EMPTY_SECONDS:g} seconds")
            await asyncio.sleep(POLL_SECONDS)

    async def _serve(self, connection: Connection, address: str) -> None:
        """Do job after job on a worker, until it is lost, or left out."""
        job: _Job | None = None
        try:
            if reason := (await connection.unlike([address])).get(address):
                raise NotFit(f"it {reason}")
            await self._rehearse(connection, address)
            self._fit.add(address)
            while True:
                job = await self._jobs.get()
                await self._do(connection, address, job)
                job = None
        except Exception as error:
            self._left_out[address] = str(error) if isinstance(error, NotFit) else repr(error)
            self._say(f"{address} is left out: {self._left_out[address]}")
        finally:
            self._fit.discard(address)
            if job is not None:
                self._put_back(job)

    async def _rehearse(self, connection: Connection, address: str) -> None:
        rehearsed = connection.do(address, self._cluster.device, self._is_native, self._rehearsal)
        await asyncio.wait_for(rehearsed, FIT_SECONDS)

    async def _do(self, connection: Connection, address: str, job: _Job) -> None:
        """Do `job` on a worker, and answer it.

        Raises:
            NotFit: the worker is of no use any more.
        """
        try:
            done = connection.do(address, self._cluster.device, self._is_native, job.fn, *job.args)
            result = await asyncio.wait_for(done, self._time_limit)
        except (Revoked, KilledWorker):  # the worker or the scheduler is lost, and this task soon cancelled
            await asyncio.sleep(3 * POLL_SECONDS)
            raise NotFit("it lost its job") from None
        except TimeoutError:
            job.answer.set_exception(TimeoutError(f"no answer within {self._time_limit} seconds"))
            await self._begin_anew(connection, address, "it gave no answer in time")
        except Exception as error:
            try:  # what raised may have left the process unfit, as a CUDA error does
                await self._rehearse(connection, address)
            except Exception as unfit:
                await self._begin_anew(connection, address, f"{type(unfit).__name__}: {unfit}")
            job.answer.set_exception(error)
        else:
            job.answer.set_result(result)

    async def _begin_anew(self, connection: Connection, address: str, why: str) -> NoReturn:
        """Have the worker's nanny kill its process and begin another, which is another worker.

        Raises:
            NotFit: there is no nanny, or it does not do it.
        """
        self._fit.discard(address)
        self._say(f"{address} is begun anew: {why}")
        try:
            await connection.restart(address)
        except (ValueError, OSError) as error:
            raise NotFit(f"{why}, and it cannot be begun anew ({error})") from None
        await asyncio.sleep(3 * POLL_SECONDS)  # until it is seen to have left, and this task is cancelled
        raise NotFit(f"{why}, and was not begun anew")

    def _put_back(self, job: _Job) -> None:
        """Give a job whose worker was lost to another, unless it was answered."""
        if job.answer.done():
            return
        job.num_lost += self._end is None
        if job.num_lost == MAX_LOST:
            job.answer.set_exception(BrokenExecutor(f"{MAX_LOST} workers were lost over it"))
        else:
            self._jobs.put_nowait(job)

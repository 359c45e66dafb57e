"""A Dask cluster that is there already: its workers, whether they are like the driver, a job for one."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from distributed import Client
from distributed.versions import VersionMismatchWarning

from lightcnn.data import read_file
from lightcnn.errors import Failure, UserError
from search.execution.runs import Run, TrainingData
from search.execution.worker import ImagesNeeded, do, receive, versions

ANSWER_SECONDS = 30.0  # for what a scheduler or a worker answers at once, unless it imports PyTorch for it
EMPTY_SECONDS = 300.0  # without any worker, after which nobody waits for one


@dataclass(frozen=True)
class Cluster:
    """Where jobs are trained: those workers of a scheduler that have the device."""

    address: str
    device: str  # "cpu", or "cuda" if a worker offered a GPU when it was looked for


class Connection:
    """A client of the scheduler at `address`, for one event loop.

    Whatever awaits it raises a `Failure` once the scheduler has gone.
    """

    def __init__(self, client: Any, address: str, scheduler: str) -> None:
        self._client, self.address, self._scheduler = client, address, scheduler

    async def workers(self, device: str | None = None) -> dict[str, Mapping[str, Any]]:
        """What the scheduler knows of each worker that takes jobs, by address; all, or those of a device."""
        if self._client.status != "running":
            raise _gone(self.address)
        info = await _identity(self._client, self.address)
        if info["id"] != self._scheduler:  # another one, which knows nothing of what was given to this one
            raise _gone(self.address)
        return {
            address: worker
            for address, worker in info["workers"].items()
            if worker["status"] == "running" and device in (None, _device(worker))
        }

    async def unlike(self, addresses: Iterable[str]) -> dict[str, str]:
        """Of those that cannot do the driver's jobs as it would: what they have, or lack."""
        answers = await self._client.run(versions, workers=list(addresses), on_error="return")
        return {address: reason for address, it in answers.items() if (reason := _unlike(it))}

    async def scheduler_unlike(self) -> str:
        """As `unlike`, of the scheduler, which takes apart what it passes on; "" if it is like the driver."""
        try:
            return _unlike(await self._client.run_on_scheduler(versions))
        except ImportError as error:
            return _unlike(error)

    async def do(self, address: str, device: str, is_native: bool, fn: Callable[..., Any], *args: Any) -> Any:
        """What `fn(*args)` gives on the worker at `address`, by `search.execution.worker.do`.

        Images that the worker does not have are sent to it.
        """
        if isinstance(fn, partial):  # of a rehearsal
            return await self.do(address, device, is_native, fn.func, *fn.args, *args)
        job = partial(
            self._client.submit,
            do,
            device,
            is_native,
            fn,
            *args,
            workers=[address],
            resources={"GPU": 1} if device == "cuda" else None,
            pure=False,  # what was given up once is done anew
            retries=0,  # that is decided where the runs are
        )
        try:
            return await job()
        except ImagesNeeded:
            [data] = {
                it.data if isinstance(it, Run) else it for it in args if isinstance(it, Run | TrainingData)
            }
            files = data.dataset.files
            contents = {file.name: read_file(data.dataset, file, data.folder) for file in files}
            sent = await self._client.scatter(contents, workers=[address], hash=False)
            await self._client.submit(receive, data.dataset, sent, workers=[address], pure=False)
            return await job()

    async def restart(self, address: str) -> None:
        """Kill the worker's process, and have its nanny begin another.

        Raises:
            ValueError: it has no nanny.
            OSError, TimeoutError: the nanny does not do it.
        """
        restarting = self._client.restart_workers([address], timeout=ANSWER_SECONDS, raise_for_error=False)
        await asyncio.wait_for(restarting, 2 * ANSWER_SECONDS)


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Connection]:
    """A connection to the scheduler at `address`.

    Raises:
        Failure: none answers there.
    """
    for name in logging.root.manager.loggerDict:
        if name.split(".")[0] in ("distributed", "tornado"):  # what they have to say, we say on one line
            logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", category=VersionMismatchWarning)  # a table of what need not agree
    where = urlsplit(address)
    try:
        # Dask tries again and again where nobody listens.
        _, writer = await asyncio.wait_for(
            asyncio.open_connection(where.hostname, where.port), ANSWER_SECONDS
        )
        writer.close()
        client: Any = Client(  # type: ignore[no-untyped-call]
            address, asynchronous=True, timeout=ANSWER_SECONDS, set_as_default=False
        )
        try:
            await client
        except BaseException:
            await client.close()
            raise
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # the last two: of TLS's configuration
        why = (str(error) or "it does not answer").splitlines()[0]
        raise Failure(f"--cluster must name a Dask scheduler that answers, but {address}: {why}") from None
    async with client:
        yield Connection(client, address, (await _identity(client, address))["id"])


def find_cluster(address: str, say: Callable[[str], None]) -> Cluster:
    """The cluster whose scheduler is at `address`; it waits for a first worker there.

    Raises:
        UserError: `address` is not one.
        Failure: no scheduler answers there, no worker comes within EMPTY_SECONDS, or one of those that are
            there is unlike this machine: in Python's minor version, ours, PyTorch's, Optuna's or Dask's.
    """
    if not _is_address(address):
        raise UserError(f"--cluster must be tcp://HOST:PORT or tls://HOST:PORT, but got {address!r}")
    answer: Future[Cluster] = Future()

    def look() -> None:  # in a thread, as a notebook's own has an event loop
        try:
            answer.set_result(asyncio.run(_look(address, say)))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=look, name="cluster", daemon=True).start()
    return answer.result()


def _is_address(text: str) -> bool:
    try:
        where = urlsplit(text)
        return where.scheme in ("tcp", "tls") and bool(where.hostname and where.port)
    except ValueError:  # of a port that is none
        return False


async def _look(address: str, say: Callable[[str], None]) -> Cluster:
    async with connected(address) as connection:
        if reason := await connection.scheduler_unlike():
            raise Failure(f"every machine of a cluster must be like this one, but the scheduler {reason}")
        workers = await connection.workers()
        if not workers:
            say(f"{address} has no worker yet; one is waited for, {EMPTY_SECONDS / 60:g} minutes at most")
        began = time.monotonic()
        while not workers:
            if time.monotonic() - began > EMPTY_SECONDS:
                raise Failure(f"{address} must have a worker, but none came in {EMPTY_SECONDS:g} seconds")
            await asyncio.sleep(1)
            workers = await connection.workers()
        device = max(map(_device, workers.values()))  # "cuda" if one of them offers it
        unlike = await connection.unlike(await connection.workers(device))
    for worker, reason in unlike.items():
        others = f", and {len(unlike) - 1} more are not" if len(unlike) > 1 else ""
        raise Failure(f"every machine of a cluster must be like this one, but {worker} {reason}{others}")
    if num_wide := sum(it["nthreads"] > 1 for it in workers.values()):
        say(
            f"{num_wide} of {len(workers)} workers have several threads, but each trains one run at a time; "
            "`dask worker --nthreads 1 --nworkers N` makes N of them"
        )
    return Cluster(address, device)


async def _identity(client: Any, address: str) -> dict[str, Any]:
    try:
        identity: dict[str, Any] = await asyncio.wait_for(client.scheduler.identity(), ANSWER_SECONDS)
    except (OSError, TimeoutError):
        raise _gone(address) from None
    return identity


def _gone(address: str) -> Failure:
    return Failure(
        f"the scheduler at {address} has gone; what was finished is kept, and with a scheduler there again "
        "the same command resumes it"
    )


def _device(worker: Mapping[str, Any]) -> str:
    return "cuda" if worker["resources"].get("GPU") else "cpu"


def _unlike(answer: Any) -> str:
    """What is wrong with a worker that answered `versions` so."""
    if not isinstance(answer, dict):
        return f"cannot import lightcnn-search ({answer})"
    others = [
        f"{name} {answer.get(name)} instead of {here}"
        for name, here in versions().items()
        if answer.get(name) != here
    ]
    return f"has {', '.join(others)}" if others else ""

"""A real Dask cluster over TCP on this machine: processes that are gone when the test is over."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from distributed import rpc

ROOT = Path(__file__).parents[1]


class DaskCluster:
    """A scheduler at once, and workers as they are asked for. Logs and their files lie in `folder`."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []  # those that are meant to live
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"

    def begin_scheduler(self):
        # Should this process be killed, the scheduler goes by itself, and then its workers do.
        host, port = self.address.removeprefix("tcp://").split(":")
        return self._begin("scheduler", "--host", host, "--port", port, "--idle-timeout", "300 s")

    def begin_workers(self, number=1, *options, **environment):
        """A nanny for each of `number` workers of one thread, in one process; `environment` is theirs."""
        return self._begin(
            *("worker", self.address, "--nthreads", "1", "--nworkers", str(number), "--memory-limit", "0"),
            *("--local-directory", str(self.folder / "scratch"), "--death-timeout", "60", *options),
            **environment,
        )

    def wait_for(self, number):
        """The addresses of the workers, once they are so many."""
        while len(addresses := asyncio.run(self._workers())) != number:
            assert all(it.poll() is None for it in self.processes), f"one has ended, see {self.folder}"
            time.sleep(0.2)
        return addresses

    async def _workers(self):
        async with rpc(self.address) as scheduler:
            return list((await scheduler.identity())["workers"])

    def _begin(self, kind, *arguments, **environment):
        with (self.folder / f"{kind}-{time.monotonic_ns()}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *arguments],
                cwd=self.folder,  # not where the package can be imported from
                env=os.environ
                | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
                | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group, to be killed with all that it began
            )
        self.processes.append(process)
        return process

    def kill(self, process):
        """End one of `processes` and all that it began, at once."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.processes.remove(process)


@contextmanager
def cluster(folder):
    it = DaskCluster(folder)
    try:
        it.begin_scheduler()
        yield it
    finally:
        while it.processes:
            it.kill(it.processes[0])

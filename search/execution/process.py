"""A slot's process: how it is begun, set up and killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress

import torch
from joblib.externals.loky import ProcessPoolExecutor, process_executor

# For glibc, which reads them as a process starts. Each step frees what the next one needs again: handed back
# to the system in between, its page faults take a sixth of the time of a network with wide maps.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": f"{2**25}", "MALLOC_TRIM_THRESHOLD_": f"{2**30}"}


def start_process(environment: dict[str, str]) -> ProcessPoolExecutor:
    """A single-worker process with `environment`, begun at its first job. OSError: the system denies one."""
    try:
        return ProcessPoolExecutor(
            max_workers=1,
            timeout=None,
            env=environment,
            initializer=_set_up,
            initargs=(os.getpid(),),
        )
    except OSError as error:
        if error.filename is not None:
            raise
        # Of a semaphore that cannot be made the system names neither place nor purpose.
        where = " in /dev/shm" if sys.platform == "linux" else ""
        raise OSError(error.errno, f"{error.strerror}, where a worker needs semaphores{where}") from None


def leave_answers_to(process: ProcessPoolExecutor) -> None:
    """Once it has begun: its worker alone can write answers.

    loky keeps the pipe's writing end open here as well. Of a worker that was killed while it answered, it
    would then wait for the rest of the answer for ever: so the pipe ends with the worker.
    """
    process._result_queue._writer.close()


def kill_process(process: ProcessPoolExecutor) -> None:
    """End it at once."""
    # Not loky's own `kill_workers`: without psutil it calls `pgrep`, which small systems lack.
    for pid in list(process._processes):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def set_up_thread() -> None:
    """In a thread that trains: it does so alone, and in the arithmetic that all slots share."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # Adam's moments of dead weights decay into denormals, which are slow


def _set_up(driver: int) -> None:
    """In a slot's process: one thread, and no process outlives its driver."""
    set_up_thread()
    # Else loky, where psutil is installed, ends a worker that has grown by 300 MB and begins another: a data
    # set is no leak, and the other could not answer.
    process_executor._USE_PSUTIL = False

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="driver watch", daemon=True).start()

"""Slots: which there are, and that one which dies or raises harms no other."""

import gc
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, wait
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch
from joblib import cpu_count
from joblib.externals.loky.backend.queues import SimpleQueue

from search.execution import devices
from search.execution.devices import (
    WORKERS_PER_DEVICE,
    WORKERS_PER_DEVICE_MPS,
    Slot,
    choose_slots,
    mps_is_running,
)
from search.execution.slots import NoSlots, SlotBroken, SlotExecutor

CPU = Slot("cpu", "")
KEPT = []  # in a worker


# What the slots' processes are given to do; importable there, so not defined inside a test.


def describe():
    return os.getpid(), torch.get_num_threads(), os.environ["CUDA_VISIBLE_DEVICES"]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def answer_in_part():
    (answers,) = (it for it in gc.get_objects() if type(it) is SimpleQueue)
    os.write(answers._writer.fileno(), struct.pack("!i", 1_000) + b"the first of 1,000 bytes")
    doze(60.0)


def die_while_it_answers():
    threading.Timer(0.5, die).start()
    answer_in_part()


def grow(megabytes):
    KEPT.append(bytearray(megabytes * 1_000_000))
    return os.getpid()


def fail():
    raise ArithmeticError("this job is no good")


def work_on_the_first_gpu():
    if os.environ["CUDA_VISIBLE_DEVICES"] == "1":
        raise OSError("no such device")


def find(path):
    if not path.exists():
        raise OSError(f"{path.name} is gone")


def take_away(path):
    path.unlink()
    raise ArithmeticError("and the job fails")


def die_once(path):
    if not path.exists():
        path.touch()
        die()


def doze(seconds):
    time.sleep(seconds)
    return os.getpid()


def pages_got(rounds):
    """Pages that the system gave while eight blocks of 5 MiB were filled and freed, `rounds` times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        blocks = [torch.ones(5 * 2**18) for _ in range(8)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.fixture(scope="module")
def executor():
    executor = SlotExecutor([CPU, CPU])
    yield executor
    executor.shutdown(kill=True)


def test_a_slot_has_one_thread_and_sees_its_own_device():
    executor = SlotExecutor([Slot("cuda:1", "7")])
    assert executor.submit(describe).result()[1:] == (1, "7")
    executor.shutdown()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators know no such settings")
def test_a_slot_keeps_the_memory_that_is_used_again_and_again():
    executor = SlotExecutor([CPU])
    once, _, later = [executor.submit(pages_got, rounds).result() for rounds in (1, 10, 10)]
    assert later < once
    executor.shutdown()


def test_slots_are_processes_of_their_own(executor):
    pids = {future.result() for future in [executor.submit(doze, 0.2) for _ in range(4)]}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_a_death_costs_only_its_own_job(executor):
    survivor = executor.submit(doze, 1.0)
    with pytest.raises(BrokenExecutor):
        executor.submit(die).result()
    assert survivor.result() in psutil.pids()
    # Both slots work again: two jobs at once, in two processes.
    assert len({future.result() for future in [executor.submit(doze, 0.3) for _ in range(2)]}) == 2


def test_an_exception_is_the_jobs_own(executor):
    with pytest.raises(ArithmeticError, match="this job is no good"):
        executor.submit(fail).result()
    assert len({future.result() for future in [executor.submit(doze, 0.3) for _ in range(2)]}) == 2


def test_a_process_that_raised_is_replaced():
    """It may be unfit for more, as after a CUDA error."""
    executor = SlotExecutor([CPU])
    before = executor.submit(doze, 0.0).result()
    with pytest.raises(ArithmeticError):
        executor.submit(fail).result()
    after = executor.submit(doze, 0.0).result()
    assert after != before
    executor.shutdown()
    assert not {before, after} & set(psutil.pids())


def test_a_slot_out_of_order_leaves_its_jobs_to_the_others():
    executor = SlotExecutor([Slot("cuda:0", "0"), Slot("cuda:1", "1")], rehearsal=work_on_the_first_gpu)
    errors = []
    for _ in range(100):  # until the second, which needs its time, takes a job
        if executor.num_slots == 1:
            break
        pair = [executor.submit(doze, 0.2) for _ in range(2)]
        errors += [error for future in pair if (error := future.exception()) is not None]
    [broken] = errors
    assert isinstance(broken, SlotBroken) and str(broken) == "cuda:1: OSError: no such device"
    assert executor.num_slots == 1
    assert executor.submit(describe).result()[2] == "0"
    executor.shutdown()


def test_where_no_slot_is_in_order_every_job_is_told_so():
    executor = SlotExecutor([CPU, CPU], rehearsal=fail)
    errors = [executor.submit(doze, 0.0).exception(timeout=60) for _ in range(5)]
    assert {(type(error), str(error)) for error in errors} <= {
        (SlotBroken, "cpu: ArithmeticError: this job is no good"),
        (
            NoSlots,
            "no worker can train here, whatever the network (cpu: ArithmeticError: this job is no good); "
            "mend that and give the same command again",
        ),
    }
    assert [type(error) for error in errors].count(SlotBroken) == 1 and executor.num_slots == 0
    executor.shutdown()


def test_a_job_that_fails_because_its_slot_broke_is_not_at_fault(tmp_path):
    path = tmp_path / "device"
    path.touch()
    executor = SlotExecutor([CPU], rehearsal=partial(find, path))
    with pytest.raises(ArithmeticError):  # here it is the job
        executor.submit(fail).result()
    with pytest.raises(NoSlots, match="cpu: OSError: device is gone"):
        executor.submit(take_away, path).result()
    executor.shutdown()


def test_a_process_that_dies_once_in_its_rehearsal_is_no_slot_out_of_order(tmp_path):
    executor = SlotExecutor([CPU], rehearsal=partial(die_once, tmp_path / "once"))
    assert executor.submit(doze, 0.0).result() and executor.num_slots == 1
    executor.shutdown()


def test_a_process_that_dies_in_the_middle_of_its_answer_is_one_that_dies():
    executor = SlotExecutor([CPU])
    error = executor.submit(die_while_it_answers).exception(timeout=30)
    assert str(error) == "A worker process died while it answered."
    assert type(error).__name__ == "TerminatedWorkerError" and isinstance(error, BrokenExecutor)
    assert executor.submit(doze, 0.0).result(timeout=30)
    executor.shutdown()


def test_kill_ends_a_job_whose_answer_is_half_there():
    executor = SlotExecutor([CPU])
    executor.submit(doze, 0.0).result()
    running = executor.submit(answer_in_part)
    while not running.running():
        time.sleep(0.01)
    time.sleep(1)
    executor.shutdown(kill=True)
    assert running.exception(timeout=30) is not None


def test_a_process_that_has_grown_goes_on():
    executor = SlotExecutor([CPU])
    pids = {executor.submit(grow, 600).result() for _ in range(2)}
    time.sleep(1.5)  # loky's shortest time between two looks at the memory
    pids |= {executor.submit(grow, 0).result() for _ in range(2)}
    assert len(pids) == 1
    executor.shutdown()


def test_kill_ends_running_jobs_and_cancels_waiting_ones():
    executor = SlotExecutor([CPU, CPU])
    wait([executor.submit(doze, 0.0) for _ in range(2)])
    running = [executor.submit(doze, 300.0) for _ in range(2)]
    waiting = executor.submit(doze, 0.0)
    began = time.monotonic()
    while not all(future.running() for future in running):
        time.sleep(0.01)
    executor.shutdown(kill=True)
    assert time.monotonic() - began < 100
    assert waiting.cancelled()
    assert all(future.exception() is not None for future in running)
    with pytest.raises(RuntimeError, match="the slots are shut down"):
        executor.submit(doze, 0.0)


def test_no_worker_outlives_a_killed_driver():
    program = (
        "from search.execution.devices import Slot; from search.execution.slots import SlotExecutor\n"
        "from tests.test_slots import doze\n"
        "executor = SlotExecutor([Slot('cpu', '')])\n"
        "print(executor.submit(doze, 0.0).result(), flush=True); executor.submit(doze, 600.0).result()"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )
    worker = psutil.Process(int(driver.stdout.readline()))
    driver.kill()
    driver.communicate()
    psutil.wait_procs([worker], timeout=20)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_slots_on_the_cpu():
    assert choose_slots("cpu", None) == [CPU] * cpu_count()
    assert choose_slots("cpu", 3) == [CPU] * 3


def test_slots_on_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    first, second = Slot("cuda:0", "0"), Slot("cuda:1", "1")
    assert choose_slots("auto", None, 2) == [first, second, first, second]
    assert choose_slots("cuda:1", None, 3) == [second] * 3
    assert choose_slots("cuda:1,cuda:0", 3, 2) == [second, first, second]
    assert choose_slots("cpu", 1) == [CPU]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-9f3a")
    assert choose_slots("auto", None, 1) == [Slot("cuda:0", "4"), Slot("cuda:1", "GPU-9f3a")]


def test_more_slots_on_a_gpu_that_serves_them_at_the_same_time(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for is_running, num_cores, expected in (
        (False, 64, WORKERS_PER_DEVICE),
        (True, 64, WORKERS_PER_DEVICE_MPS),
        (True, 12, 6),  # each keeps a core busy
        (True, 2, WORKERS_PER_DEVICE),
    ):
        monkeypatch.setattr(devices, "mps_is_running", lambda is_running=is_running: is_running)
        monkeypatch.setattr(devices, "cpu_count", lambda num_cores=num_cores: num_cores)
        assert len(choose_slots("cuda:0,cuda:1", None)) == 2 * expected
        assert len(choose_slots("cuda:0,cuda:1", None, 3)) == 6
        assert len(choose_slots("cuda:0,cuda:1", 5)) == 5


def test_whether_mps_is_running(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert not mps_is_running()
    pid_file = tmp_path / "nvidia-cuda-mps-control.pid"
    with subprocess.Popen(["sleep", "600"]) as daemon:
        pid_file.write_text(f"{daemon.pid}\n")
        assert mps_is_running()
        daemon.kill()
    assert not mps_is_running()  # it left its file
    for not_a_process in ("", "-1", "0", "9" * 30):
        pid_file.write_text(not_a_process)
        assert not mps_is_running()

    pid_file.write_text(str(os.getpid()))
    assert mps_is_running()
    monkeypatch.setattr(os, "getuid", lambda: pid_file.stat().st_uid + 1)
    assert mps_is_running() == (pid_file.stat().st_uid == 0)  # another user's daemon serves that user alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tpu", None), "a list of this machine's GPUs (cuda:0), but got 'tpu'"),
        (("cuda:1", None), "a list of this machine's GPUs (cuda:0), but got 'cuda:1'"),
        (("cuda:0,", None), "a list of this machine's GPUs (cuda:0), but got ''"),
        (("cpu,cuda:0", None), "a list of this machine's GPUs (cuda:0), but got 'cpu'"),
        (("cpu", 0), "--workers must be at least 1, but got 0"),
        (("cpu", 1, -1), "--workers-per-device must be at least 1, but got -1"),
    ],
)
def test_impossible_slots(arguments, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError) as caught:
        choose_slots(*arguments)
    assert str(caught.value).endswith(message)

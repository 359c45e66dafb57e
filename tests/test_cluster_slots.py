"""Slots on a real Dask cluster: jobs that fail, kill, or never end, and workers that come and go."""

import operator
import os
import threading
import time
from concurrent.futures import BrokenExecutor
from dataclasses import replace

import pandas as pd
import pytest
import torch

pytest.importorskip("distributed", reason="Dask is not installed")

from clusters import cluster

from lightcnn.architecture import parse
from lightcnn.data import DATASETS
from lightcnn.engine.build import require
from lightcnn.training import FAST
from search.evaluation import Arm, retrain
from search.execution import cluster_slots
from search.execution.cluster import Cluster, find_cluster
from search.execution.cluster_slots import ClusterSlots
from search.execution.devices import choose_slots
from search.execution.runs import TrainingData
from search.execution.slots import ENGINE, NoSlots, open_slots
from search.execution.worker import do


@pytest.fixture
def slots(two_workers):
    """Opens slots on the two workers; `slots.said` are the lines."""
    opened = []

    def slots_of(time_limit=None, rehearsal=os.getpid):
        opened.append(
            ClusterSlots(
                Cluster(two_workers.address, "cpu"), time_limit, False, rehearsal, slots_of.said.append
            )
        )
        return opened[-1]

    slots_of.said = []
    yield slots_of
    for it in opened:
        it.shutdown()


@pytest.mark.slow
def test_re_trainings_are_the_same_as_on_local_slots(two_workers, mnist_folder, tmp_path):
    data = TrainingData(DATASETS["mnist"], mnist_folder, num_validation=0, num_train_images=600)
    recipe = replace(FAST, epochs=2)
    arms = {Arm(text, parse(text, data.dataset.task)): 2 for text in ("2-4-gap", "3-pool2-8")}
    found = []
    for place in (Cluster(two_workers.address, "cpu"), choose_slots("cpu", 2)):
        folder = tmp_path / f"{len(found)}"
        folder.mkdir()
        with open_slots(place, engine=require()) as slots:
            table = retrain("re-training", arms, recipe, data, slots, folder)
        weights = {path.name: path.read_bytes() for path in (folder / "weights").iterdir()}
        found.append((table.drop(columns="seconds").sort_values(["arm", "seed"], ignore_index=True), weights))
    pd.testing.assert_frame_equal(found[0][0], found[1][0], check_exact=True)
    assert found[0][1] == found[1][1] and len(found[0][1]) == 4


@pytest.mark.slow
def test_what_a_job_raises_is_its_own_and_what_kills_its_worker_in_the_end(slots):
    it = slots()
    with pytest.raises(ZeroDivisionError):
        it.submit(operator.truediv, 1, 0).result(timeout=60)
    assert slots.said == []
    survivor = it.submit(operator.add, 1, 1)
    with pytest.raises(BrokenExecutor, match="3 workers were lost over it"):
        it.submit(os._exit, 1).result(timeout=120)
    assert survivor.result(timeout=60) == 2
    assert it.submit(operator.add, 1, 1).result(timeout=60) == 2


@pytest.mark.slow
def test_a_job_without_an_end_is_given_up_and_its_worker_begun_anew(slots, two_workers):
    it = slots(time_limit=3)
    before = set(two_workers.wait_for(2))
    with pytest.raises(TimeoutError, match="no answer within 3 seconds"):
        it.submit(time.sleep, 1000).result(timeout=60)
    while len(before & set(two_workers.wait_for(2))) != 1:
        time.sleep(0.2)
    [line] = slots.said
    assert line.endswith("is begun anew: it gave no answer in time")
    while it.num_slots != 2:
        time.sleep(0.2)


@pytest.mark.slow
def test_slots_follow_the_workers_and_end_where_none_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_slots, "EMPTY_SECONDS", 2.0)
    with cluster(tmp_path) as it:
        workers = [it.begin_workers(1, "--no-nanny") for _ in range(2)]
        it.wait_for(2)
        slots = ClusterSlots(Cluster(it.address, "cpu"), None, False, os.getpid, print)
        try:
            while slots.num_slots != 2:
                time.sleep(0.1)
            for worker in workers:
                it.kill(worker)
            with pytest.raises(NoSlots, match=r"tcp://\S+ has had no worker for 2 seconds"):
                slots.submit(os.getpid).result(timeout=60)
            assert slots.num_slots == 1
            assert isinstance(slots.submit(os.getpid).exception(timeout=1), NoSlots)
        finally:
            slots.shutdown()


@pytest.mark.slow
def test_a_worker_that_offers_a_gpu_but_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_slots, "UNFIT_SECONDS", 0.0)
    with cluster(tmp_path) as it:
        it.begin_workers(1, "--resources", "GPU=1", "--no-nanny", CUDA_VISIBLE_DEVICES="")
        it.wait_for(1)
        found = find_cluster(it.address, print)
        assert found == Cluster(it.address, "cuda")
        said = []
        slots = ClusterSlots(found, None, False, os.getpid, said.append)
        with pytest.raises(NoSlots, match="it offers a GPU, but PyTorch sees none there"):
            slots.submit(os.getpid).result(timeout=60)
        slots.shutdown()


def test_a_job_has_the_arithmetic_of_a_local_slot(monkeypatch):
    """In whatever thread Dask runs it."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv(ENGINE, "")
    found = []

    def look():
        tiny = torch.full((64,), 1e-30)
        found.append(((tiny * 1e-10).sum().item(), torch.get_num_threads()))

    thread = threading.Thread(target=do, args=("cpu", False, look))
    thread.start()
    thread.join()
    assert found == [(0.0, 1)]

"""The studies of many slots, made small: what one driver feeds, what many runs at a time cost a search."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fakes import MNIST

from lightcnn.architecture import template
from lightcnn.cost import num_parameters
from lightcnn.training import FAST
from search.execution.runs import Run
from studies import parallel, scaling
from studies.replay import Bench


@pytest.mark.slow
def test_the_scaling_study_writes_its_tables(tmp_path, monkeypatch):
    for name, value in (
        ("STUDY_SIZES", (30, 60)),
        ("NUM_TIMED", 10),
        ("CELLS", ((30, 2, 0.02, 0.0), (60, 4, 0.05, 0.5))),
        ("RUNS_A_SLOT", 5),
        ("pictures_of", lambda figure, kinds: {kind: figure.to_json().encode() for kind in kinds}),
    ):
        monkeypatch.setattr(scaling, name, value)
    scaling.measure(tmp_path)
    growth, cells = (pd.read_csv(tmp_path / "scaling" / f"{name}.csv") for name in ("growth", "scaling"))
    assert growth["num_trials"].tolist() == cells["num_trials"].tolist() == [30, 60]
    assert (growth["driver_ms_per_trial"] > 0).all()
    assert growth["journal_bytes"].is_monotonic_increasing and (growth["page_bytes"] > 10_000).all()
    assert cells["share_busy"].between(0, 1).all() and (cells["runs_per_second"] > 0).all()
    assert b"slots busy" in (tmp_path / "scaling" / "scaling.svg").read_bytes()


def test_how_busy_slots_were_is_counted_from_when_all_could_be():
    slots = scaling.SimulatedSlots(2, 1.0)
    slots.starts, slots._jobs = [0.0, 1.0, 2.0, 5.0], [(0.0, 2.0), (1.0, 5.0), (2.0, 4.0), (5.0, 9.0)]
    assert slots.share_busy() == pytest.approx((1 + 4 + 2) / (2 * 4))
    assert slots.runs_a_second() == pytest.approx(2 / 4)


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_runs_are_spread_about_their_mean(spread):
    slots = scaling.SimulatedSlots(2, 0.01, spread)
    network = template((4,), "gap", MNIST)
    for seed in range(100):
        slots.submit(None, Run(network, replace(FAST, epochs=2), seed, scaling.DATA), 0, 2, None)
    lengths = np.array([stop - start for start, stop in slots._jobs])
    assert lengths.mean() == pytest.approx(0.01, rel=0.1)
    assert lengths.max() - lengths.min() == pytest.approx(0.02 * spread, rel=0.1, abs=1e-9)


@pytest.fixture(scope="module")
def bench():
    """Networks of one block to three, whose errors fall with their size."""
    rng = np.random.default_rng(0)
    widths = {tuple(rng.integers(2, 33, size=rng.integers(1, 4)).tolist()) for _ in range(120)}
    networks = sorted((template(it, "gap", MNIST) for it in widths), key=num_parameters)
    sizes = np.array([num_parameters(it) for it in networks], dtype=float)
    depth = np.array([len(it.blocks) for it in networks])
    errors = np.exp(-0.3 * np.log(sizes) - 0.4 * depth)
    seeds = np.exp(0.03 * rng.standard_normal((len(sizes), 3, 2)))
    return Bench(networks, sizes, 1 - errors[:, None, None] * seeds)


@pytest.mark.parametrize("model", parallel.MODELS)
def test_more_runs_at_a_time_never_find_more_than_there_is(bench, model, monkeypatch):
    monkeypatch.setattr(parallel, "BUDGETS", (20, 40))
    whole = parallel.hypervolume(bench.sizes, bench.curves[:, :, -1].mean(axis=1), *parallel.REFERENCE_POINT)
    for num_slots in (1, 16):
        few, many = parallel.replay(bench, num_slots, model, 0)
        assert 0 < few <= many <= whole
        assert parallel.replay(bench, num_slots, model, 0) == [few, many]
    assert parallel.replay(bench, 1, model, 1) == parallel.replay(bench, 1, "knows nothing", 1)

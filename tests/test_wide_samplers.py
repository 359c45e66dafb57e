"""Samplers replayed on a benchmark that is learnt from a search of the wide space."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import MNIST, SETTINGS

from lightcnn.cost import num_parameters
from search.budget import Budget
from search.space import USUAL, Space
from search.tables import Tables
from studies import wide_samplers
from studies.wide_model import MOST_ERRORS, Benchmark, held_out, measured
from studies.wide_samplers import ARMS, front_error, replay

REPORTS = Path(__file__).parents[1] / "reports"
SPACE = Space(MNIST, *USUAL["wide"], kind="wide")
WIDE = replace(SETTINGS, space=SPACE, budget=Budget(20_000))


@pytest.fixture(scope="module")
def known():
    """Networks of the space, and log errors that fall with their size."""
    rng = np.random.default_rng(0)
    networks = [SPACE.draw(rng) for _ in range(150)]
    return networks, -0.5 * np.log([num_parameters(network) for network in networks])


def test_a_benchmark_learns_what_size_brings(known):
    networks, errors = known
    foreseen = Benchmark(networks[:120], errors[:120], SPACE).log_errors(networks[120:])
    assert np.corrcoef(foreseen, errors[120:])[0, 1] > 0.95


def test_what_was_held_out_is_foreseen(known):
    fit = held_out(*known, SPACE)
    assert fit["num_networks"] == 150 and fit["kendall_tau"] > 0.7 and fit["r2"] > 0.8
    shuffled = np.random.default_rng(0).permutation(known[1])
    assert held_out(known[0], shuffled, SPACE)["kendall_tau"] < 0.3


def test_the_front_is_judged_at_each_size(monkeypatch):
    monkeypatch.setattr(wide_samplers, "SIZES", np.geomspace(300, 10_000, 200))
    assert front_error([20_000], [-9.0]) == pytest.approx(np.log(MOST_ERRORS))
    assert front_error([100], [-4.0]) == pytest.approx(-4)
    half = 300 * (10_000 / 300) ** 0.5
    assert front_error([100, half], [-3.0, -5.0]) == pytest.approx(-4, abs=0.02)
    assert front_error([100, half], [-3.0, -2.0]) == pytest.approx(-3)


@pytest.mark.parametrize("name", ARMS)
def test_a_replay_is_the_real_search(name, known, monkeypatch):
    monkeypatch.setattr(wide_samplers, "BUDGETS", (11, 16, 99))
    benchmark = Benchmark(*known, SPACE)
    early, late = replay(name, benchmark, WIDE, 0, 16)
    assert late["front_error"] <= early["front_error"] < np.log(MOST_ERRORS)
    assert (early["num_trials"], late["num_trials"]) == (11, 16)
    assert replay(name, benchmark, WIDE, 0, 16) == [early, late]
    assert replay(name, benchmark, WIDE, 1, 16) != [early, late]


def test_samplers_are_compared_with_random_draws():
    values = {"random": (-3.0, -3.2, -3.1), "evolution": (-3.5, -3.6, -3.7)}
    lines = pd.DataFrame(
        {"sampler": name, "num_trials": 25, "repetition": i, "front_error": error}
        for name, errors in values.items()
        for i, error in reversed([*enumerate(errors)])
    )
    summary = wide_samplers.summarise(lines, "front_error").set_index("sampler")
    assert summary["difference_to_random"].to_dict() == {"random": 0.0, "evolution": -0.5}
    assert summary.loc["evolution", "difference_low"] < -0.5 < summary.loc["evolution", "difference_high"]


def test_a_benchmark_is_made_of_a_search():
    trials = pd.DataFrame({"trial": [0, 1, 2, 3], "architecture": ["8-gap", "4-gap", "6-gap", "5-gap"]})
    curves = pd.DataFrame(
        [(0, 1, 0.8), (0, 2, 0.9), (1, 2, 0.8), (1, 1, 0.7), (2, 1, 0.75)],
        columns=["trial", "epoch", "val_accuracy"],
    )
    empty = pd.DataFrame()
    networks, errors = measured(Tables("it", trials, *(empty,) * 3, curves, empty, SETTINGS, {}))
    assert [*map(str, networks)] == ["8-gap", "4-gap", "6-gap"]  # the fourth died
    assert errors[:2] == pytest.approx(np.log([0.1, 0.2]))
    assert errors[0] < errors[2] < errors[1]


def test_a_study_goes_on_with_the_same_benchmark_alone(known, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(wide_samplers, "BUDGETS", (11,))
    monkeypatch.setattr(wide_samplers, "ARMS", ("random",))
    monkeypatch.setattr(wide_samplers, "read_study", lambda _: Tables("it", *(pd.DataFrame(),) * 6, WIDE, {}))

    def kept(num_known, repetitions):
        monkeypatch.setattr(wide_samplers, "measured", lambda _: [it[:num_known] for it in known])
        wide_samplers.study(tmp_path, tmp_path, repetitions, 11, 1)
        return pd.read_csv(tmp_path / "wide_samplers" / "replays.csv")

    first, more, other = kept(100, 2), kept(100, 3), kept(110, 2)
    pd.testing.assert_frame_equal(more[:2], first)
    assert more["repetition"].tolist() == [0, 1, 2] and len({*more["benchmark"]}) == 1
    assert other["repetition"].tolist() == [0, 1] and set(other["benchmark"]).isdisjoint(more["benchmark"])
    assert pd.read_csv(tmp_path / "wide_samplers" / "benchmark.csv")["num_networks"].tolist() == [110]


@pytest.mark.slow
def test_the_command_replays_every_sampler(tmp_path):
    words = ["--repetitions", "2", "--trials", "25", "--workers", "2", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "studies.wide_samplers", *words]
    done = subprocess.run(command, cwd=REPORTS.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = pd.read_csv(tmp_path / "wide_samplers" / "summary.csv")
    assert {*summary["sampler"]} == {*ARMS} and (summary["repetitions"] == 2).all()
    assert summary["front_error_mean"].between(-7, np.log(MOST_ERRORS)).all()

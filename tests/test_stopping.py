"""The early-stopping rule by hand, and its replays on small tables."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcnn.engine.build import prepare
from search.stopping import Rivals, StoppingRule, default_rule, is_exempt
from studies import early_stopping, replay, tabular_bench

RULE = StoppingRule(rungs=(1, 3), num_better=2, margin=0.1)
OTHERS = [(100, (0.90, 0.95, 0.97)), (200, (0.91, 0.94)), (1_000, (0.99, 0.99, 0.99))]


@pytest.mark.parametrize(
    ("size", "curve", "better"),
    [
        (500, (0.88,), 2),
        (500, (0.895,), 1),  # 0.91 has a seventh of the errors less, 0.90 a twentieth
        (150, (0.50,), 1),  # only one is no larger
        (200, (0.50,), 2),  # as large is no larger
        (99, (0.10,), 0),
        (500, (0.50, 0.50), 0),  # 2 is no rung
        (500, (0.50, 0.50, 0.50), 1),  # the second has not come so far
        (1_000, (0.50, 0.50, 0.50), 2),
    ],
)
def test_the_rule_by_hand(size, curve, better):
    assert RULE.num_better_than(size, curve, Rivals(OTHERS)) == better


def test_a_rival_that_comes_further_takes_the_place_of_what_was_known_of_it():
    rivals = Rivals()
    for number in (5, 0, 12):  # with gaps, as others are under way
        rivals.put(number, 100, [0.9])
    assert RULE.num_better_than(100, [0.5], rivals) == 3
    rivals.put(5, 100, [0.9, 0.9, 0.9])
    assert RULE.num_better_than(100, [0.5, 0.5, 0.5], rivals) == 1
    rivals.put(5, 100, [])  # it begins again
    assert RULE.num_better_than(100, [0.5, 0.5, 0.5], rivals) == 0
    assert RULE.num_better_than(100, [0.5], rivals) == 2


ACCURACY = st.floats(0, 1)
RUNS = st.lists(st.tuples(st.integers(1, 1_000), st.lists(ACCURACY, max_size=3)), max_size=8)


@given(RUNS, st.integers(1, 1_000), ACCURACY)
def test_larger_ones_never_stop_a_smaller_one(others, size, accuracy):
    larger = [(size + more, curve) for more, curve in others]
    assert RULE.num_better_than(size, [accuracy], Rivals(larger)) == 0


@pytest.mark.parametrize(
    ("rungs", "num_better", "margin"),
    [((), 1, 0.0), ((0,), 1, 0.0), ((1,), 0, 0.0), ((1,), 1, -0.1), ((1,), 1, 1.0)],
)
def test_a_rule_without_sense_is_refused(rungs, num_better, margin):
    with pytest.raises(ValueError, match=rf"but got rungs=.*, num_better={num_better}, margin={margin}"):
        StoppingRule(rungs, num_better, margin)


def test_a_tenth_is_exempted_and_always_the_same():
    drawn = [is_exempt(0, number) for number in range(2_000)]
    assert 0.08 < np.mean(drawn) < 0.12
    assert drawn == [is_exempt(0, number) for number in range(2_000)]
    assert drawn != [is_exempt(1, number) for number in range(2_000)]


class NobodyExempted:
    def random(self, size):
        return np.ones(size)


def test_a_replay_by_hand():
    sizes = np.array([1_000, 100, 2_000, 3_000])
    curves = np.array([[0.95, 0.97], [0.80, 0.90], [0.90, 0.98], [0.96, 0.96]])
    rule = StoppingRule((1,), 1, 0.2)
    done = early_stopping.replay(sizes, curves, rule, NobodyExempted())
    assert done.epochs_saved == 1 / 8  # the third, beaten by the first after one epoch
    assert done.stopped == 0.25
    assert done.false_stops == 1  # and it would have been the most accurate of all
    whole = 0.07 * np.log10(2) + 0.08 * np.log10(65_000 / 2_000)
    assert done.loss == pytest.approx(1 - 0.07 * np.log10(65) / whole)
    assert early_stopping.replay(sizes, curves, StoppingRule((1,), 2, 0.2), NobodyExempted()) == (
        early_stopping.Replay(0, 0, 0, 0)
    )


def test_the_default_rule_follows_the_epochs():
    assert [default_rule(n) and default_rule(n).rungs for n in (1, 2, 3, 8, 50)] == [
        *(None, (1,), (1,), (2, 4), (12, 25))
    ]


def test_a_replay_stops_what_the_rule_stops():
    rng = np.random.default_rng(0)
    sizes = rng.integers(100, 1_000, size=40).astype(float)
    curves = np.sort(rng.uniform(0.5, 1, size=(40, 4)), axis=1)
    rule = StoppingRule((1, 2), 2, 0.1)
    trained, epochs = [], 0
    for size, curve in zip(sizes, curves, strict=True):
        for epoch in range(1, 5):
            own = curve[:epoch]
            if rule.num_better_than(size, own, Rivals(trained)) >= rule.num_better:
                break
        trained.append((size, own))
        epochs += len(own)
    done = early_stopping.replay(sizes, curves, rule, NobodyExempted())
    assert done.epochs_saved == 1 - epochs / 160 > 0


def test_the_grid_spans_the_space():
    grid = tabular_bench.grid()
    texts = [str(network) for network in grid]
    assert len(set(texts)) == len(grid) >= 250
    assert "8-16-32-gap" in texts
    assert {len(network.blocks) for network in grid} == {1, 2, 3, 4}
    cells = tabular_bench.cells()
    assert len(set(cells)) == len(cells)
    for budget, least in ((tabular_bench.SEARCH, 250), (tabular_bench.FULL, 40)):
        those = [cell for cell in cells if (cell.epochs, cell.train_images) == budget]
        seeds = pd.Series([cell.architecture for cell in those]).value_counts()
        assert len(seeds) >= least and (seeds == 3).sum() >= 40


def test_the_tables_engine_is_recorded_and_kept_to(tmp_path, monkeypatch, capsys, mnist_folder):
    monkeypatch.setattr(tabular_bench, "cells", lambda: [tabular_bench.Cell("2-gap", 1, 200, 0)])
    arguments = ["--out", str(tmp_path), "--workers", "1"]
    assert tabular_bench.main([*arguments, "--engine", "torch"]) == 0
    assert tabular_bench.main(arguments) == 0  # auto resumes with what it was begun with
    recorded = json.loads((tmp_path / "tabular_bench" / "settings.json").read_text())
    assert recorded["settings"]["engine"] == "torch"
    if prepare() is None:
        pytest.skip("no C++ compiler")
    with pytest.raises(SystemExit):
        tabular_bench.main([*arguments, "--engine", "native"])
    assert "holds runs with engine='torch', but got 'native'" in capsys.readouterr().err


@pytest.mark.slow
def test_the_table_is_filled_once_and_replayed(tmp_path, monkeypatch, capsys, mnist_folder):
    some = [tabular_bench.Cell(text, 2, 200, 0) for text in ("2-gap", "3-gap", "4-gap")]
    monkeypatch.setattr(tabular_bench, "cells", lambda: some[:2])
    arguments = ["--out", str(tmp_path), "--workers", "1"]
    assert tabular_bench.main(arguments) == 0
    path = tmp_path / "tabular_bench" / tabular_bench.TABLE
    first = tabular_bench.read(path)
    assert first.groupby("architecture")["epoch"].apply(list).to_dict() == {"2-gap": [1, 2], "3-gap": [1, 2]}
    assert first["val_accuracy"].between(0, 1).all() and set(first["num_parameters"]) == {50, 70}
    monkeypatch.setattr(tabular_bench, "cells", lambda: some)
    capsys.readouterr()
    assert tabular_bench.main(arguments) == 0
    assert len(capsys.readouterr().err.splitlines()) == 1  # one more was trained
    pd.testing.assert_frame_equal(tabular_bench.read(path)[:4], first)
    monkeypatch.setattr(tabular_bench, "SEARCH", (2, 200))
    with pytest.raises(SystemExit):
        early_stopping.main(["--out", str(tmp_path)])
    assert capsys.readouterr().err.startswith(
        "error: a replay needs 100 networks, but the table has 3 so far"
    )
    monkeypatch.setattr(early_stopping, "NUM_TRIALS", 3)
    monkeypatch.setattr(early_stopping, "NUM_EPOCHS", 6)
    monkeypatch.setattr(early_stopping, "PLAYED", [("random", None), early_stopping.BASELINE])
    for module in (early_stopping, replay):
        monkeypatch.setattr(module, "SEARCH", (2, 200))
    monkeypatch.setattr(early_stopping, "RULES", [StoppingRule((1,), 1, 0.0)])
    some = ["--replays", "2", "--repetitions", "2", "--workers", "1"]
    assert early_stopping.main(["--out", str(tmp_path), *some]) == 0
    rules = pd.read_csv(tmp_path / "early_stopping" / "rules.csv")
    assert rules["epochs_saved"].between(0, 1).all() and rules["rungs"].tolist() == [1]
    with_samplers = pd.read_csv(tmp_path / "early_stopping" / "with_samplers.csv")
    assert with_samplers["trials"].tolist() == [3, 3]

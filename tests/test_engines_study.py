"""The comparison of the two engines, by hand and as a user runs it."""

import pandas as pd
import pytest

from search.moderation import MNIST, difference
from studies import engines


def test_summary_by_hand():
    runs = pd.DataFrame(
        [
            ("4-gap", engine, seed, accuracy, seconds)
            for engine, own, seconds in (
                ("native", (0.97, 0.98, 0.1), 1.0),
                ("torch", (0.96, 0.97, 0.98), 4.0),
            )
            for seed, accuracy in enumerate(own)
        ],
        columns=["architecture", "engine", "seed", "val_accuracy", "seconds"],
    )
    (line,) = engines.summarise(runs).to_dict("records")
    gap = difference([0.96, 0.97, 0.98], [0.97, 0.98], MNIST)  # one died, which is no accuracy
    assert (line["native_mean"], line["torch_mean"], line["seconds_ratio"]) == (0.975, 0.97, 4)
    assert (line["difference"], line["difference_low"]) == pytest.approx((0.005, gap.low), abs=1e-5)


@pytest.mark.slow
def test_what_is_there_is_not_trained_again(tmp_path, mnist_folder, capsys, monkeypatch):
    monkeypatch.setattr(engines, "DESIGNS", ("8-8-flatten",))
    monkeypatch.setattr(engines, "NUM_TRAINING", 1_000)
    options = ["--epochs", "1", "--out", str(tmp_path), "--workers", "1", "--data-dir", str(mnist_folder)]
    assert engines.main([*options, "--seeds", "2"]) == 0
    first = pd.read_csv(tmp_path / "engines" / "runs.csv")
    assert first[["engine", "seed"]].values.tolist() == [
        ["native", 0],
        ["native", 1],
        ["torch", 0],
        ["torch", 1],
    ]
    assert engines.main([*options, "--seeds", "3"]) == 0
    again = pd.read_csv(tmp_path / "engines" / "runs.csv")
    pd.testing.assert_frame_equal(again[:4], first)
    assert len(again) == 6
    with pytest.raises(SystemExit) as caught:
        engines.main([*options, "--engine", "torch"])
    assert caught.value.code == 2
    assert "there must be a compiled one" in capsys.readouterr().err

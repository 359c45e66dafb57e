"""The study of initialisations, on made-up runs."""

import math
from itertools import pairwise

import pandas as pd
import pytest

from lightcnn.architecture import parse
from lightcnn.initialisation import INITIALISATIONS
from studies import initialisation
from studies.initialisation import TASK, cells, deaths, differences, groups

SHARE = 0.1124  # of the largest class
NARROW, WIDE, WIDER = "2-4-gap", "8-16-gap", "5-9-flatten"


def runs_of(accuracies):
    return pd.DataFrame(
        [
            {"initialisation": drawn, "architecture": text, "seed": seed, "val_accuracy": accuracy}
            for (text, drawn), own in accuracies.items()
            for seed, accuracy in enumerate(own)
        ]
    )


def test_every_run_is_there_once_and_arms_go_together():
    everything = cells()
    assert len(everything) == len(set(everything)) == 3 * sum(initialisation.SEEDS.values())
    assert all(one.seed <= other.seed for one, other in pairwise(everything))
    assert [it.initialisation for it in everything[:3]] == list(INITIALISATIONS)
    assert len({(it.architecture, it.seed) for it in everything[:3]}) == 1


def test_the_designs_are_as_narrow_as_their_groups_say():
    of_group = groups(list(initialisation.SEEDS))
    assert of_group["narrow, all heads"] == list(initialisation.NARROW)
    assert of_group["wide, all heads"] == [*initialisation.WIDE, *initialisation.SLOW]
    for width in ("narrow", "wide"):
        gap, other = of_group[f"{width}, GAP"], of_group[f"{width}, other heads"]
        assert sorted([*gap, *other]) == sorted(of_group[f"{width}, all heads"])
        assert {parse(text, TASK).head for text in gap} == {"gap"}
        assert "gap" not in {parse(text, TASK).head for text in other}


def test_deaths_are_counted():
    table = deaths(
        runs_of({(NARROW, "pytorch"): [0.9, 0.1, 0.1124], (NARROW, "he"): [0.9], (WIDE, "he"): [0.99, 0.1]}),
        SHARE,
    ).set_index(["designs", "initialisation"])
    assert table.loc[(NARROW, "pytorch"), ["num_dead", "num_runs"]].tolist() == [2, 3]
    assert table.loc[("narrow, all heads", "pytorch"), "rate"] == pytest.approx(2 / 3, abs=1e-4)
    assert table.loc[(NARROW, "he"), "num_dead"] == 0
    assert table.loc[("wide, GAP", "he"), ["num_dead", "num_runs"]].tolist() == [1, 2]
    assert (NARROW, "zero-bias") not in table.index and ("wide, other heads", "he") not in table.index


def test_dead_runs_have_no_part_in_differences():
    table = differences(
        runs_of(
            {
                (WIDE, "pytorch"): [0.98, 0.98],
                (WIDE, "zero-bias"): [0.97],
                (WIDE, "he"): [0.99, 0.1, 0.99],
                (WIDER, "pytorch"): [0.96, 0.1],
                (WIDER, "zero-bias"): [0.96, 0.1],  # the very same runs: nothing was changed
                (WIDER, "he"): [0.98],
                (NARROW, "pytorch"): [0.1, 0.1],  # none lived: nothing to compare with
                (NARROW, "he"): [0.9, 0.9],
            }
        ),
        SHARE,
    )
    ratios = table.set_index(["designs", "baseline", "initialisation"])["error_ratio"]
    assert ratios[WIDE, "pytorch", "zero-bias"] == pytest.approx(1.5)
    assert ratios[WIDE, "zero-bias", "he"] == pytest.approx(1 / 3, abs=1e-5)
    assert (WIDER, "zero-bias", "he") in ratios and (WIDER, "pytorch", "zero-bias") not in ratios
    table = table[(table["baseline"] == "pytorch") & (table["initialisation"] == "he")].set_index("designs")
    assert list(table.index) == ["wide, all heads", WIDE, WIDER]
    assert table.loc[WIDE, "difference"] == pytest.approx(0.01)
    assert table.loc[WIDE, "difference_low"] < 0.01 < table.loc[WIDE, "difference_high"]
    assert table["error_ratio"].tolist() == pytest.approx([0.5] * 3)
    pooled = table.loc["wide, all heads"]
    # Student's t of 0.01 and 0.02: 12.706 standard errors of 0.005 about 0.015
    assert pooled["num_designs"] == 2
    assert pooled[["difference", "difference_low", "difference_high"]].tolist() == pytest.approx(
        [0.015, 0.015 - 12.706 * 0.005, 0.015 + 12.706 * 0.005], abs=1e-5
    )
    assert math.isnan(pooled["p_value"]) and table.loc[WIDE, "p_value"] > 0


@pytest.mark.slow
def test_it_resumes(tmp_path, capsys, mnist_folder, monkeypatch):
    def study(seeds):
        monkeypatch.setattr(initialisation, "SEEDS", seeds)
        assert initialisation.main(["--out", str(tmp_path), "--workers", "1"]) == 0
        return pd.read_csv(tmp_path / "initialisation" / "accuracies.csv")

    monkeypatch.setattr(initialisation, "NUM_TRAINING", 100)
    first = study({"2-gap": 1})
    assert first["initialisation"].tolist() == list(INITIALISATIONS)
    assert first["val_accuracy"].between(0, 1).all()
    capsys.readouterr()
    both = study({"2-gap": 2})
    assert len(capsys.readouterr().err.splitlines()) == 3  # three runs more
    pd.testing.assert_frame_equal(both[:3], first)
    assert {path.name for path in (tmp_path / "initialisation").iterdir()} == {
        *("accuracies.csv", "deaths.csv", "differences.csv", "settings.json")
    }

"""The studies that replay LightCNN-Bench, on a made-up table."""

import numpy as np
import pandas as pd
import pytest

from lightcnn.architecture import parse
from lightcnn.cost import num_macs, num_parameters, peak_activation_bytes
from studies import budgets, samplers, tabular_bench
from studies.tabular_bench import TASK


@pytest.fixture(scope="module")
def table():
    """Accuracy grows with size, cheap budgets fall short of it, and the seed moves it a little."""
    rng = np.random.default_rng(0)
    rows = []
    for cell in tabular_bench.cells():
        network = parse(cell.architecture, TASK)
        final = 1 - 2 / num_parameters(network) ** 0.5 - 0.02 / cell.epochs + 0.002 * rng.standard_normal()
        rows += [
            {
                **cell._asdict(),
                "num_blocks": len(network.blocks),
                "head": network.head,
                "num_parameters": num_parameters(network),
                "num_macs": num_macs(network),
                "peak_activation_bytes": peak_activation_bytes(network),
                "seconds": cell.epochs * cell.train_images / 10_000,
                "epoch": epoch,
                "val_accuracy": final - 0.05 * (cell.epochs - epoch) / cell.epochs,
            }
            for epoch in range(1, cell.epochs + 1)
        ]
    return pd.DataFrame(rows)


def test_budgets_are_held_against_the_other_seeds(table):
    compared = budgets.compare(table)
    budgets_compared = list(zip(compared["epochs"], compared["train_images"], strict=True))
    assert sorted(budgets_compared) == sorted([tabular_bench.FULL, *tabular_bench.OTHERS])
    assert compared["seconds"].tolist() == [80, 40, 40, 20, 20, 10, 10, 10, 5]
    assert compared["kendall_tau"].between(0.7, 1).all() and compared["hypervolume"].between(0.9, 1).all()
    with pytest.raises(ValueError, match="the table has none yet"):
        budgets.compare(table[table["seed"] == 0])


def test_a_budget_that_ranks_backwards_is_seen(table):
    backwards = table.copy()
    cheap = (backwards["epochs"] == 2) & (backwards["train_images"] == 25_000)
    backwards.loc[cheap, "val_accuracy"] = 1 - backwards.loc[cheap, "val_accuracy"]
    compared = budgets.compare(backwards).set_index(["epochs", "train_images"])
    assert compared.loc[(2, 25_000), "kendall_tau"] < -0.7


@pytest.mark.parametrize("name", ["random", "tpe", "nsga2", "surrogate"])
def test_a_replay_meets_each_network_once(table, name):
    records = samplers.networks(table)
    assert len(records) == len(tabular_bench.grid())
    some = dict(list(records.items())[::8])
    lines = samplers.replay(name, some, 0, 30)
    assert [line["num_trials"] for line in lines] == [25]
    assert samplers.replay(name, some, 0, 30)[0]["hypervolume"] == lines[0]["hypervolume"]
    best = max(record.val_accuracy for record in some.values())
    assert 0 < lines[0]["hypervolume"] < (best - 0.9) * 4


def test_the_nearest_network_is_the_nearest():
    known = [parse(text, TASK) for text in ("4-8-gap", "8-8-gap", "8-8-flatten", "8-8-8-gap")]
    near = [
        int(np.argmin(samplers.distances(parse(text, TASK), known))) for text in ("3-9-gap", "9-7-flatten")
    ]
    assert near == [0, 2]
    assert samplers.distances(known[1], known).tolist()[1] == 0


def test_samplers_are_compared_with_random_draws(tmp_path, table, capsys):
    (tmp_path / "tabular_bench").mkdir()
    table.to_csv(tmp_path / "tabular_bench" / tabular_bench.TABLE, index=False)
    arguments = [
        "--out",
        str(tmp_path),
        "--samplers",
        "random",
        "nsga2",
        "--repetitions",
        "2",
        "--trials",
        "25",
    ]
    assert samplers.main(arguments) == 0
    first = pd.read_csv(tmp_path / "samplers" / "replays.csv")
    assert len(first) == 4
    assert samplers.main([*arguments, "--repetitions", "3"]) == 0
    replays = pd.read_csv(tmp_path / "samplers" / "replays.csv")
    assert len(replays) == 6
    pd.testing.assert_frame_equal(replays[replays["repetition"] < 2].reset_index(drop=True), first)
    summary = pd.read_csv(tmp_path / "samplers" / "summary.csv").set_index("sampler")
    assert set(summary["repetitions"]) == {3}
    assert summary.loc["random", "difference_to_random"] == 0
    means = replays.groupby("sampler")["hypervolume"].mean()
    assert summary.loc["nsga2", "difference_to_random"] == pytest.approx(
        means["nsga2"] - means["random"], abs=1e-5
    )
    # A slower one for fewer trials is held against those of as many.
    replays.assign(num_trials=50).to_csv(tmp_path / "samplers" / "replays.csv", index=False)
    assert samplers.main([*arguments[:3], "tpe", *arguments[5:7], "--trials", "25"]) == 0
    summary = pd.read_csv(tmp_path / "samplers" / "summary.csv")
    assert set(zip(summary["sampler"], summary["num_trials"], strict=True)) == {
        *(("random", 25), ("tpe", 25), ("random", 50), ("nsga2", 50))
    }
    with pytest.raises(SystemExit):
        samplers.main(["--out", str(tmp_path / "nowhere")])
    assert (
        "tabular_bench/curves.csv must exist; python -m studies.tabular_bench makes it"
        in capsys.readouterr().err
    )

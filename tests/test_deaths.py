"""search.deaths against cases worked by hand and simulated deaths."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lightcnn.architecture import Task, parse
from search.deaths import POOLED, Deaths, death_logit, death_rates, is_dead, live, pooled


def test_a_run_at_the_largest_class_is_dead() -> None:
    # MNIST's test images: a share of 0.1135, standard error sqrt(0.1135 * 0.8865 / 10,000) = 0.00317
    accuracies = [0.1135, 0.098, 0.1229, 0.1231, 0.2287, 0.9894, np.nan]
    dead = is_dead(accuracies, largest_class_share=0.1135, num_images=10_000)
    assert dead.tolist() == [True, True, True, False, False, False, False]


def test_on_few_images_more_is_noise() -> None:
    # 100 images: standard error 0.03, so up to 0.19
    assert is_dead([0.18, 0.20], 0.1, 100).tolist() == [True, False]


def test_dead_runs_leave_their_places() -> None:
    np.testing.assert_array_equal(live([0.98, 0.1135, 0.97], 0.1135, 10_000), [0.98, np.nan, 0.97])


def test_deaths_in_words_and_as_a_rate() -> None:
    assert str(Deaths(1, 2)) == "1 of 2 runs died"
    # Jeffreys: quantiles of beta(1.5, 1.5), symmetric about one half
    low, high = Deaths(1, 2).rate_interval
    assert low + high == pytest.approx(1)
    assert stats.beta.cdf(low, 1.5, 1.5) == pytest.approx(0.025)


def test_where_none_or_all_died_the_rate_may_be_0_or_1() -> None:
    low, high = Deaths(0, 465).rate_interval
    assert low == 0
    assert 0.004 < high < 0.008  # the rule of three gives 0.0065
    low, high = Deaths(2, 2).rate_interval
    assert 0.2 < low < 0.5
    assert high == 1


def test_rates_by_width_and_depth() -> None:
    runs = pd.DataFrame(
        [
            *[(2, 3, True), (2, 4, False), (2, 4, True), (1, 1, True)],
            *[(3, 4, False), (5, 1, False), (9, 1, False)],
        ],
        columns=["least_width", "num_blocks", "died"],
    )
    rates = death_rates(runs)
    pooled = rates[rates["num_blocks"].isna()].set_index("least_width")
    assert pooled["num_dead"].to_dict() == {2: 3, 3: 0, 5: 0}  # width 1 with 2, width 9 with 5
    assert pooled["num_runs"].to_dict() == {2: 4, 3: 1, 5: 2}
    assert pooled.loc[2, "rate"] == 0.75
    deep = rates[rates["num_blocks"] == 4].set_index("least_width")
    assert deep[["num_dead", "num_runs"]].to_numpy().tolist() == [[1, 2], [0, 1]]
    assert (deep.loc[2, "rate_low"], deep.loc[2, "rate_high"]) == Deaths(1, 2).rate_interval


def test_the_logit_is_found_again() -> None:
    rng = np.random.default_rng(0)
    width, blocks = rng.choice([2, 3, 4], 20_000), rng.integers(2, 5, 20_000)
    odds = 0.5 - 2 * np.log2(width) + 1 * (blocks - 3)
    died = rng.random(20_000) < 1 / (1 + np.exp(-odds))
    logit = death_logit(pd.DataFrame({"least_width": width, "num_blocks": blocks, "died": died}))
    assert logit == pytest.approx((0.5, -2, 1), abs=0.25)
    assert logit.rate(2, 4) == pytest.approx(1 / (1 + np.exp(0.5)), abs=0.03)


def test_a_rate_is_not_modelled_where_none_died() -> None:
    runs = pd.DataFrame({"least_width": [4, 8], "num_blocks": [3, 3], "died": [False, False]})
    with pytest.raises(ValueError, match="a rate can be modelled where some runs died, but 0 of 2 did"):
        death_logit(runs)


def test_the_pooled_counts_are_those_of_the_committed_studies() -> None:
    reports = Path(__file__).parents[1] / "reports"
    runs = pd.read_csv(reports / "initialisation" / "accuracies.csv")
    networks = [parse(text, Task(28, 1, 10)) for text in runs["architecture"]]
    widths = [min((block.channels for block in it.blocks), default=0) for it in networks]
    runs = runs.assign(least_width=widths, num_blocks=[len(it.blocks) for it in networks])
    runs["died"] = is_dead(runs["val_accuracy"], 0.1135, 10_000)
    tables = {
        name: death_rates(own[own["num_blocks"] > 0]) for name, own in runs.groupby("initialisation")
    } | {"pytorch": pd.read_csv(reports / "seed_variance" / "deaths.csv")}
    for name, table in tables.items():
        counted = {
            (int(row.least_width), int(row.num_blocks)): Deaths(int(row.num_dead), int(row.num_runs))
            for row in table.dropna(subset=["num_blocks"]).itertuples()
        }
        assert counted == POOLED[name]


def test_pooled_deaths_of_a_width_and_depth() -> None:
    assert pooled("pytorch", 2, 4) == Deaths(17, 134)
    assert pooled("pytorch", 1) == Deaths(19, 189)  # 0 + 0 + 2 + 17 of 3 + 17 + 35 + 134
    assert pooled("pytorch", 31) == Deaths(0, 968)
    assert pooled("he", 3, 1) is None

"""How often designs as narrow as the re-trained ones die, on the page of a committed study."""

from dataclasses import replace
from pathlib import Path

from search.report.narrow import narrow_designs
from search.tables import read_study

STUDY = Path(__file__).parents[1] / "reports" / "mnist-100-trials"


def test_own_deaths_stand_beside_the_pooled_rate_of_that_width_and_depth():
    table = narrow_designs(read_study(STUDY))
    lines = {(line[0], line[1]): line[2:] for line in table["rows"]}
    assert lines["2 channels", "4"] == ["13", "7 of 39", "17 of 134", "12.69 % (7.86 to 19.10)"]
    assert lines["2 channels", "2"] == ["2", "0 of 6", "0 of 17", "0.00 % (0.00 to 13.55)"]  # not called safe
    assert all(int(width.split()[0]) < 5 for width, _ in lines)


def test_other_initial_weights_have_rates_of_their_own():
    tables = read_study(STUDY)
    he = replace(tables.settings, recipe=replace(tables.settings.recipe, initialisation="he"))
    lines = {(line[0], line[1]): line[2:] for line in narrow_designs(replace(tables, settings=he))["rows"]}
    assert lines["2 channels", "4"] == ["13", "7 of 39", "0 of 190", "0.00 % (0.00 to 1.31)"]
    assert lines["2 channels", "2"][2:] == ["–", "–"]  # nobody ran one


def test_no_table_where_no_narrow_design_was_trained_again_or_the_recipe_is_unknown():
    tables = read_study(STUDY)
    assert narrow_designs(replace(tables, settings=None)) is None
    wide = tables.designs[tables.designs["name"] == "LightCNN"]
    assert narrow_designs(replace(tables, trials=tables.trials[:0], designs=wide)) is None


def test_the_pooled_rates_are_not_those_of_other_blocks():
    tables = read_study(STUDY)
    one = tables.trials[tables.trials["num_seeds"] > 0][:1]
    for text, is_told in (("3-4-gap", True), ("3b-4s-gap", False), ("3k5-4-gap", False)):
        trials = one.assign(architecture=text)
        table = narrow_designs(replace(tables, trials=trials, designs=tables.designs[:0]))
        assert (table is not None) == is_told

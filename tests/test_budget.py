"""Budgets: what each limit counts, that all hold at once, and that an impossible one is told in a line."""

from dataclasses import replace

import pytest
from fakes import MNIST, SETTINGS, SPACE, new_study, run_search

from lightcnn.architecture import parse
from lightcnn.cost import num_macs, num_parameters, peak_activation_bytes, weight_bytes
from lightcnn.designs import LIGHTCNN
from lightcnn.errors import UserError
from search.budget import Budget, check_possible
from search.budget_options import budget_of
from search.records import finished
from search.results import study_tables
from search.run_options import parser
from search.settings import Reference
from search.space import Space

LIGHT = parse(LIGHTCNN, MNIST)


def test_bytes_of_float32_and_of_int8():
    assert (weight_bytes(LIGHT), peak_activation_bytes(LIGHT)) == (4 * 6_218, 31_360)
    # 66 channels: of each a bias and a scale of 4 bytes; all else is a byte.
    assert weight_bytes(LIGHT, "int8") == 6_218 - 66 + 8 * 66
    assert peak_activation_bytes(LIGHT, "int8") == 31_360 // 4


@pytest.mark.parametrize(
    ("limit", "cost", "weights"),
    [
        ("max_parameters", 6_218, "float32"),
        ("max_weight_bytes", 24_872, "float32"),
        ("max_weight_bytes", 6_680, "int8"),
        ("max_activation_bytes", 31_360, "float32"),
        ("max_activation_bytes", 7_840, "int8"),
        ("max_macs", 508_352, "float32"),
    ],
)
def test_each_limit_admits_what_it_names_and_no_more(limit, cost, weights):
    wide = Budget(10**9, weights=weights)
    assert replace(wide, **{limit: cost}).admits(LIGHT)
    assert not replace(wide, **{limit: cost - 1}).admits(LIGHT)


@pytest.mark.parametrize("sampler", ["random", "surrogate", "tpe"])
def test_a_search_keeps_to_all_limits_at_once(sampler):
    budget = Budget(5_000, 4_000, 15_000, 150_000)
    settings = replace(SETTINGS, budget=budget, sampler=sampler)
    study = new_study()
    run_search(study, settings, trials=25)
    records = finished(study)
    assert records[0].architecture == LIGHTCNN  # the reference, whatever the budget
    assert len(records) == 25 and list(records) == list(range(25))
    for record in list(records.values())[1:]:
        candidate = parse(record.architecture, MNIST)
        assert num_parameters(candidate) <= 1_000
        assert peak_activation_bytes(candidate) <= 15_000 and num_macs(candidate) <= 150_000
    front = study_tables(study, settings)["front.csv"]
    assert len(front) and all(budget.admits(parse(text, MNIST)) for text in front["architecture"])
    # The same trials seen with a tighter budget: who is over it is no candidate, though it was trained.
    tighter = Budget(5_000, max_macs=60_000)
    judged = study_tables(study, replace(settings, budget=tighter))["front.csv"]
    assert len(judged) and all(tighter.admits(parse(text, MNIST)) for text in judged["architecture"])


@pytest.mark.parametrize(
    ("budget", "line"),
    [
        (Budget(49), "--max-parameters must admit the smallest candidate, 2-gap with 50, but got 49"),
        (
            Budget(49, max_weight_bytes=199),  # of which the parameters follow
            "--max-weight-bytes must admit the smallest candidate, 2-gap with 200, but got 199",
        ),
        (
            Budget(9, max_activation_bytes=8_000),
            "--max-activation-bytes must admit the smallest candidate, 2-gap with 9408, but got 8000",
        ),
        (Budget(99, max_macs=9), "--max-macs must admit the smallest candidate, 2-gap with 14132, but got 9"),
    ],
)
def test_what_no_candidate_keeps_to_is_told(budget, line):
    with pytest.raises(UserError) as caught:
        check_possible(budget, SPACE.narrowest())
    assert str(caught.value) == line


def test_limits_that_exclude_one_another_are_told():
    narrowest = Space(MNIST, heads=("flatten", "pool4")).narrowest()
    check_possible(Budget(340), narrowest)  # 2-2-2-2-flatten
    check_possible(Budget(30_000, max_macs=15_000), narrowest)  # 2-pool4
    with pytest.raises(UserError) as caught:
        check_possible(Budget(340, max_macs=15_000), narrowest)
    assert str(caught.value) == (
        "the limits must admit a candidate, but none is within 340 parameters, 15,000 MACs at once"
    )


def test_a_space_is_searched_to_the_last_candidate_within_the_limits(capsys):
    settings = replace(
        SETTINGS,
        space=Space(MNIST, widths=(2, 4), max_blocks=2, heads=("gap",)),
        reference=Reference.of("2-gap", MNIST),
        budget=Budget(30_000, max_macs=22_000),
    )
    study = new_study()
    run_search(study, settings, trials=9)
    assert {it.architecture for it in finished(study).values()} == {"2-gap", "3-gap", "2-2-gap"}
    assert "the space has no more candidates within 30,000 parameters, 22,000 MACs" in capsys.readouterr().err


def asked(*options):
    return budget_of(parser().parse_args(["--trials", "1", *options]))


def test_options():
    assert asked() == Budget(30_000)
    assert asked("--max-macs", "9") == Budget(30_000, max_macs=9)
    # What the flash has room for: a byte holds no more than one int8 weight.
    assert asked("--max-weight-bytes", "400000") == Budget(100_000, 400_000)
    assert asked("--max-weight-bytes", "400000", "--weights", "int8") == Budget(
        400_000, 400_000, weights="int8"
    )
    both = asked("--max-weight-bytes", "8000", "--max-parameters", "300", "--max-activation-bytes", "7")
    assert both == Budget(300, 8_000, 7)
    with pytest.raises(
        UserError, match=r"--weights int8 says what a byte is and needs --max-weight-bytes or"
    ):
        asked("--weights", "int8", "--max-macs", "9")


def test_a_budget_in_words():
    budget = Budget(30_000, 8_000, 4_000, 100_000, "int8")
    assert str(budget) == (
        "30,000 parameters, 8,000 bytes of int8 weights, 4,000 bytes of int8 activations, 100,000 MACs"
    )
    assert [budget.most(cost) for cost in ("num_parameters", "num_macs", "peak_activation_bytes")] == [
        30_000,
        100_000,
        16_000,  # in float32, as trials.csv has them
    ]
    assert Budget(1).most("peak_activation_bytes") is None

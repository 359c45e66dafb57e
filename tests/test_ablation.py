"""Ablations: arms that differ, budgets that match, tables by hand, and a study run as a user runs it."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from lightcnn.architecture import Task, parse
from lightcnn.block import Block
from lightcnn.cost import num_parameters
from lightcnn.designs import LIGHTCNN
from lightcnn.initialisation import initial_network
from lightcnn.training import FAST, trained_network
from search import ablation_command as study
from search.ablation import Ablation, alive, at_budget, summarise
from search.evaluation import Arm
from search.image_facts import ImageFacts
from search.moderation import MNIST as PRIOR
from search.moderation import accuracy_interval, difference
from search.report.ablation_page import arm_seeds, count_of, findings, seeds_figure, verdict_of
from studies import gap_removal, ingredients, paper_table

MNIST = Task(image_size=28, in_channels=1, num_classes=10)
GAP, FLAT = parse("4-gap", MNIST), parse("4-flatten", MNIST)
SMALL = Ablation("small", Arm("GAP", GAP), (Arm("flatten", FLAT),), FAST, num_seeds=2)
STUDIES = sorted(
    path.stem
    for path in (Path(__file__).parents[1] / "studies").glob("[a-z]*.py")
    if "STUDY = Ablation(" in path.read_text(encoding="utf-8")
)


def runs_of(ablation, accuracies):
    rows = [
        {
            "arm": arm.name,
            "architecture": str(arm.architecture),
            "num_parameters": num_parameters(arm.architecture),
            "seed": seed,
            "epochs": 8,
            "train_accuracy": min(accuracy + 0.005, 1),
            "test_accuracy": accuracy,
            "seconds": 1.0,
        }
        for arm in ablation.arms
        for seed, accuracy in enumerate(accuracies[arm.name])
    ]
    return pd.DataFrame(rows)


def test_an_ablation_that_changes_nothing_is_an_error():
    with pytest.raises(ValueError, match=r"'GAP' \(4-gap\) and 'same' \(4-gap\) train the same network"):
        replace(SMALL, variants=(Arm("same", parse("4-pool1", MNIST)),))
    one = replace(GAP, blocks=(Block(4, kernel_size=1, max_pool=False),))
    other = replace(GAP, blocks=(Block(4, kernel_size=1, padded=False, max_pool=False),))
    with pytest.raises(ValueError, match="train the same network"):
        replace(SMALL, baseline=Arm("padded", one), variants=(Arm("unpadded", other),))
    with pytest.raises(ValueError, match="two are called 'GAP'"):
        replace(SMALL, variants=(Arm("GAP", FLAT),))


def test_budgets_match():
    light = parse(LIGHTCNN, MNIST)
    for text in (
        *("8-16-32-flatten", "8-16-32-flatten-128", "8-16-32-pool2", "8-16-32-32-gap"),
        *("8bn-8brx2-16-gap", "8vbln-12svbl-20sbl-20srn-gap"),
    ):
        scaled = at_budget(parse(text, MNIST), num_parameters(light))
        assert abs(num_parameters(scaled) / 6_218 - 1) <= 0.03
        assert (scaled.head, len(scaled.blocks), len(scaled.hidden)) == (
            *(parse(text, MNIST).head, len(parse(text, MNIST).blocks), len(parse(text, MNIST).hidden)),
        )
    assert at_budget(light, 6_218) == light
    with pytest.raises(ValueError, match=r"8-gap must come within 3% of 6,218 .* nearest, .*-gap, has"):
        at_budget(parse("8-gap", MNIST), 6_218)


def test_summary_by_hand():
    three = replace(SMALL, num_seeds=3)
    runs = runs_of(three, {"GAP": (0.97, 0.98, 0.99), "flatten": (0.95, 0.97, 0.96)})
    summary = summarise(three, runs).set_index("arm")
    gap, flat = summary.loc["GAP"], summary.loc["flatten"]
    # What these are worth is for test_moderation.
    interval = accuracy_interval([0.97, 0.98, 0.99], PRIOR)
    assert interval.mean == pytest.approx(0.98) and 0.97 < interval.low < interval.high < 0.99
    limits = ["test_accuracy_mean", "test_accuracy_low", "test_accuracy_high"]
    assert gap[limits].tolist() == pytest.approx(interval)
    assert gap[["difference", "p_holm"]].isna().all()
    gain = difference([0.97, 0.98, 0.99], [0.95, 0.97, 0.96], PRIOR)
    assert flat[["difference", "difference_low", "difference_high", "p_holm"]].tolist() == pytest.approx(
        [-0.02, gain.low, gain.high, gain.p_value]
    )
    assert flat["num_parameters"] == num_parameters(FLAT)


def test_a_run_that_died_has_no_part_in_means_and_differences():
    runs = runs_of(SMALL, {"GAP": (0.97, 0.1135), "flatten": (0.96, 0.961)})
    summary = summarise(SMALL, alive(runs, ImageFacts())).set_index("arm")
    gap = summary.loc["GAP"]
    assert (gap["num_seeds"], gap["num_dead"], gap["test_accuracy_mean"]) == (2, 1, 0.97)
    assert summary.loc["flatten", "difference"] == pytest.approx(0.9605 - 0.97)
    assert findings(summary.reset_index())[0].endswith("1 seed; 1 of 2 runs died).")
    none = summarise(SMALL, alive(runs.assign(test_accuracy=0.1), ImageFacts()))
    assert none["num_dead"].tolist() == [2, 2] and none["difference"].isna().all()
    assert findings(none)[1].endswith("2 of 2 runs died; there is nothing to compare.")


def test_p_values_are_corrected_for_the_number_of_variants():
    two = replace(SMALL, variants=(Arm("flatten", FLAT), Arm("wide", parse("8-gap", MNIST))), num_seeds=3)
    same = {"GAP": (0.97, 0.98, 0.99), "flatten": (0.95, 0.97, 0.96), "wide": (0.97, 0.98, 0.99)}
    summary = summarise(two, runs_of(two, same)).set_index("arm")
    alone = difference(same["GAP"], same["flatten"], PRIOR).p_value
    assert summary.loc["flatten", "p_holm"] == pytest.approx(2 * alone)
    assert summary.loc["wide", "p_holm"] == 1


def test_findings_say_what_the_figures_say():
    ten = replace(SMALL, num_seeds=10)
    apart = {"GAP": [0.98 + i / 1e4 for i in range(10)], "flatten": [0.95 - i / 1e4 for i in range(10)]}
    first, second = findings(summarise(ten, runs_of(ten, apart)))
    assert first == (
        "GAP (90 parameters) reaches 98.05 % (over seeds 97.96 to 98.13, for new images 97.75 to 98.31; "
        "10 seeds)."
    )
    assert second.startswith("flatten (31,410, 3.5e+02 times the parameters) reaches 94.95 %")
    assert "3.09 points less (95 % interval -3.46 to -2.72" in second
    assert second.endswith("after Holm's correction).")
    close = {"GAP": (0.97, 0.98), "flatten": (0.971, 0.981)}
    assert findings(summarise(SMALL, runs_of(SMALL, close)))[1].endswith(
        "statistically indistinguishable from no difference."
    )


def test_the_verdict_is_one_sentence():
    two = replace(SMALL, variants=(Arm("flatten", FLAT), Arm("wide", parse("8-gap", MNIST))), num_seeds=10)
    means = {"GAP": 0.98, "flatten": 0.95, "wide": 0.98}
    apart = {name: [mean + i / 1e4 for i in range(10)] for name, mean in means.items()}
    assert verdict_of(summarise(two, runs_of(two, apart))) == (
        "Of 2 variants 0 are more accurate than GAP, 1 less, and 1 does not differ significantly from it."
    )
    dead = runs_of(SMALL, {"GAP": (0.1, 0.1), "flatten": (0.1, 0.1)})
    assert verdict_of(summarise(SMALL, alive(dead, ImageFacts()))) == "No variant can be compared with GAP."


def test_the_plot_holds_every_seed():
    runs = runs_of(SMALL, {"GAP": (0.97, 0.98), "flatten": (0.96, 0.95)})
    figure = seeds_figure(arm_seeds(summarise(SMALL, runs), runs))
    dots = [trace for trace in figure.data if trace.name == "one seed"]
    assert [list(trace.x) for trace in dots] == [pytest.approx([3, 2]), pytest.approx([4, 5])]
    assert [trace.y[0] for trace in dots] == ["GAP", "flatten"]


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_can_be_declared(name):
    module = importlib.import_module(f"studies.{name}")
    assert module.STUDY.name == name
    question, _, text = module.__doc__.partition("\n")
    assert question.endswith("?")
    assert "xpect" in text and f"python -m studies.{name}" in text


def test_studies_are_listed():
    done = subprocess.run([sys.executable, "-m", "studies"], capture_output=True, text=True, check=True)
    for name in STUDIES:
        assert f"python -m studies.{name}" in done.stdout
    assert "What does global average pooling bring to LightCNN?" in done.stdout
    assert "studies.teacher" not in done.stdout  # that is a part of others


def test_gap_removal_compares_at_both_channels_and_budget():
    sizes = {arm.name: num_parameters(arm.architecture) for arm in gap_removal.STUDY.variants}
    assert sizes["flatten, same channels"] == 21_578
    assert sizes["flatten + 128, same channels"] == 208_010
    budget = [size for name, size in sizes.items() if name.endswith("same budget")]
    assert len(budget) == 4
    assert all(abs(size / 6_218 - 1) <= 0.03 for size in budget)


HELD = {
    "LightCNN": (0.9860, 0.9862),
    "LightCNN, GAP removed": (0.985, 0.9848),
    "LightCNN, GAP removed, hidden layer": (0.986, 0.9862),
    "MLP": (0.98, 0.98),
    "Classic CNN": (0.9885, 0.9887),
    "Medium-Light": (0.92, 0.921),
    "Ultra-Light": (0.74, 0.741),
    "LeNet-5": (0.985, 0.986),
}
WITHOUT_GAP = "Without GAP, similar accuracy needs more than 200,000 parameters."


def claims_of(**changed):
    """The verdict on each claim."""
    several = replace(paper_table.STUDY, num_seeds=20)
    accuracies = {name: own * 10 for name, own in (HELD | changed).items()}
    runs = runs_of(several, accuracies)
    return paper_table.claims(runs, summarise(several, runs)).set_index("claim")["verdict"]


def test_claims_follow_the_figures():
    verdict = claims_of()
    assert verdict["LightCNN reaches 98.61 %."] == "holds"
    assert verdict["Less than 10 % of the classic CNN's parameters."] == "holds"
    # The classic CNN's 81,002 do.
    assert verdict[WITHOUT_GAP] == "fails: Classic CNN, 81,002 parameters, reaches it without GAP"
    worse = {"Classic CNN": (0.97,) * 2, "LeNet-5": (0.97,) * 2, "LightCNN, GAP removed": (0.97,) * 2}
    assert claims_of(**worse)[WITHOUT_GAP] == "holds among the designs tried"
    assert verdict["Above 99.5 % needs batch norm, dropout or more."].startswith("undecided")
    failed = claims_of(**{"LightCNN": (0.97, 0.9702), "Medium-Light": (0.98, 0.981)})
    assert failed["LightCNN reaches 98.61 %."] == failed.iloc[2] == failed.iloc[6] == "fails"
    assert claims_of(**{"LightCNN": (0.983, 0.9832)})["LightCNN reaches 98.61 %."] == "undecided"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.003, 0.003, "holds"),
        (-0.0031, 0.001, "undecided"),
        (-0.001, 0.0031, "undecided"),
        (-0.01, 0.01, "undecided"),
        (0.002, 0.004, "undecided"),
        (0.0031, 0.004, "fails"),
        (-0.004, -0.0031, "fails"),
    ],
)
def test_one_rule_for_what_holds(low, high, verdict):
    assert paper_table.equivalent(low, high, 0.003) == verdict


def test_margins_are_those_of_the_paper_or_a_tenth_of_the_errors():
    assert paper_table.margin_of(0.9861) == paper_table.margin_of(0.98) == 0.003
    assert paper_table.margin_of(0.74) == pytest.approx(0.026)


def test_fewer_seeds_never_settle_more():
    """A claim that few seeds leave open may be settled by many, not the other way round."""
    for num_seeds in (1, 2):
        few = replace(paper_table.STUDY, num_seeds=num_seeds)
        runs = runs_of(few, {name: own[:num_seeds] for name, own in HELD.items()})
        verdict = paper_table.claims(runs, summarise(few, runs)).set_index("claim")["verdict"]
        many = claims_of()
        assert all(one == many[claim] or one.startswith("undecided") for claim, one in verdict.items())
        assert verdict.str.startswith("undecided").sum() > many.str.startswith("undecided").sum()
    assert count_of(verdict.to_frame()).startswith("Of 11 claims ")


def test_a_study_as_a_user_runs_it(tmp_path, capsys, mnist_folder):
    options = ["--epochs", "1", "--train-images", "300", "--out", str(tmp_path), "--workers", "2"]
    question = "Does it work?\n\nWe expect it to.\n\npython -m studies.small"
    assert study.main(SMALL, question, argv=[*options, "--seeds", "1"]) == 0
    assert "reaches" in capsys.readouterr().out
    first = pd.read_csv(tmp_path / "small" / "runs.csv")
    assert list(first.columns) == [
        *("arm", "architecture", "num_parameters", "seed"),
        *("epochs", "train_accuracy", "test_accuracy", "seconds"),
    ]
    assert study.main(SMALL, question, argv=options) == 0
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 2  # two runs more, the others are not trained again
    runs = pd.read_csv(tmp_path / "small" / "runs.csv")
    pd.testing.assert_frame_equal(runs[:2], first)
    assert sorted(zip(runs["arm"], runs["seed"], strict=True)) == [
        *(("GAP", 0), ("GAP", 1), ("flatten", 0), ("flatten", 1))
    ]
    assert list(pd.read_csv(tmp_path / "small" / "summary.csv").columns) == [
        *("arm", "architecture", "num_parameters", "num_seeds", "num_dead"),
        *("test_accuracy_mean", "test_accuracy_low"),
        *("test_accuracy_high", "new_images_low", "new_images_high"),
        *("difference", "difference_low", "difference_high", "p_holm"),
    ]
    page = (tmp_path / "small" / "report.html").read_text(encoding="utf-8")
    assert "<h1>Does it work?</h1>" in page and "We expect it to." in page
    assert page.count("UTC<td>") == 2  # the test set was read once with each command
    with pytest.raises(SystemExit) as caught:
        study.main(SMALL, question, argv=[*options, "--epochs", "2"])
    assert caught.value.code == 2
    assert "holds runs with recipe.epochs=1, but got 2;" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        study.main(SMALL, question, argv=[*options, "--train-images", "60001"])
    assert capsys.readouterr().err == "error: --train-images must be from 10 to 60000, but got 60001\n"


@pytest.mark.slow
def test_a_resumed_study_keeps_its_initialisation(tmp_path, mnist_folder, capsys):
    """At a rate of zero, runs end with the weights that they began with."""
    still = replace(SMALL, recipe=replace(FAST, learning_rate=0.0, epochs=1, initialisation="he"))
    options = ["--train-images", "100", "--out", str(tmp_path), "--workers", "1"]

    def check(seed, expected):
        state = (tmp_path / "small" / "weights" / f"4-gap.{seed}.pt").read_bytes()
        found, drawn = trained_network(GAP, state), initial_network(GAP, expected, seed)
        for ours, theirs in zip(found.parameters(), drawn.parameters(), strict=True):
            assert torch.equal(ours, theirs)

    assert study.main(still, "", argv=[*options, "--seeds", "1"]) == 0
    check(0, "he")
    settings = tmp_path / "small" / "settings.json"
    now = settings.read_text()
    old = now.replace(',\n      "initialisation": "he"', "")  # as versions wrote it that knew PyTorch's alone
    assert old != now
    settings.write_text(old)
    assert study.main(still, "", argv=[*options, "--seeds", "2"]) == 0
    check(1, "pytorch")
    assert json.loads(settings.read_text())["settings"]["recipe"]["initialisation"] == "pytorch"
    with pytest.raises(SystemExit):
        study.main(still, "", argv=[*options, "--initialisation", "zero-bias"])
    assert "recipe.initialisation='pytorch', but got 'zero-bias'; --fresh" in capsys.readouterr().err
    assert study.main(still, "", argv=[*options, "--seeds", "1", "--fresh"]) == 0
    check(0, "he")


@pytest.mark.parametrize("size", ingredients.BASELINES)
def test_ingredients_are_taken_away_at_equal_size(size):
    study = ingredients.ablation(parse(ingredients.BASELINES[size], ingredients.TASK))
    sizes = [num_parameters(arm.architecture) for arm in study.arms]
    assert len(study.variants) == 9 and sizes[0] == int(size)
    assert max(abs(own / sizes[0] - 1) for own in sizes) < 0.015
    blocks = {arm.name: arm.architecture.blocks for arm in study.arms}
    assert not any(block.batch_norm for block in blocks["no batch norm"])
    assert all(block.padded for block in blocks["padding"])
    assert not any(block.separable for block in blocks["plain convolutions"])
    pooled = [block.max_pool for block in blocks["all ingredients"]]
    assert [block.stride == 2 for block in blocks["strides, no pooling"]] == pooled


def test_ingredients_are_named_by_their_size(capsys):
    for arguments, said in (([], "parameters"), (["700"], "700"), (["690", "--help"], "ingredients 690 ")):
        with pytest.raises(SystemExit):
            ingredients.main(arguments)
        captured = capsys.readouterr()
        assert said in captured.out + captured.err

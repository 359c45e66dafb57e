"""Which classes fail: what the reading of the test set records of it, and how the page shows it."""

import base64
import io
import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fakes import MNIST, SlotInThisProcess
from PIL import Image
from test_page import opened

from lightcnn.architecture import parse
from lightcnn.data import DATASETS, LabelledImages, load_test_images
from lightcnn.errors import UserError
from lightcnn.measurement import classified, measure
from lightcnn.training import Recipe, trained_network
from search import evaluation
from search.evaluation import Arm, retrain
from search.execution.runs import TrainingData
from search.image_facts import ImageFacts, Majority
from search.mistakes import CONFUSIONS, MISTAKES, NUM_WORST, PICTURES, answers_of, keep_answers
from search.report import terminal
from search.report.failures import failures
from search.report.html import html_table
from search.report.majority import with_majority
from search.report.page import write_report
from search.report.verdict import verdict
from search.settings import SETTINGS
from search.tables import read_study

REPORTS = Path(__file__).parents[1] / "reports"
LIGHT, MEDIUM = "8-16-32-gap", "4-6p-flatten"
FACTS = ImageFacts(num_test=10, largest_class_share=0.2, classes=("cat", "dog", "</script>"))


def test_the_reading_records_what_each_run_took_the_images_for(tmp_path, mnist_folder, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    data = TrainingData(DATASETS["mnist"], mnist_folder, num_validation=0, num_train_images=300)
    recipe = Recipe(epochs=2, learning_rate=1e-2, batch_size=32)
    arm = Arm("small", parse("4-8-gap", MNIST))
    broken = SlotInThisProcess(lambda fn, *_: fn is evaluation.tested)
    with pytest.raises(RuntimeError, match="on fire"):
        retrain("t", {arm: 2}, recipe, data, broken, tmp_path)
    assert not (tmp_path / CONFUSIONS.file).exists()
    runs = retrain("t", {arm: 2}, recipe, data, SlotInThisProcess(), tmp_path)
    test = load_test_images(data.dataset, data.folder)
    confusions, mistakes = CONFUSIONS.read(tmp_path), MISTAKES.read(tmp_path)
    for seed, own in confusions.groupby("seed"):
        right = own.loc[own["true_class"] == own["predicted_class"], "num_images"].sum()
        assert right / 10_000 == runs.set_index("seed").loc[seed, "test_accuracy"]
        counts = own.groupby("true_class")["num_images"].sum()
        assert counts.tolist() == torch.bincount(test.labels).tolist()
        network = trained_network(
            arm.architecture, (tmp_path / "weights" / f"4-8-gap.{seed:.0f}.pt").read_bytes()
        )
        classes, confidence = classified(network, test)
        assert measure(network, test)[0] == right / 10_000
        wrong = classes != test.labels
        worst = mistakes[mistakes["seed"] == seed]
        assert len(worst) == NUM_WORST and worst["confidence"].is_monotonic_decreasing
        expected = confidence[wrong].topk(NUM_WORST)[0].tolist()
        assert worst["confidence"].tolist() == pytest.approx(expected, abs=1e-6)
        for it in worst.drop(columns="architecture").astype(int).itertuples():
            assert (it.true_class, it.predicted_class) == (test.labels[it.image], classes[it.image])
            assert it.true_class != it.predicted_class
    pictures = PICTURES.read(tmp_path)
    assert {*pictures["image"]} == {*mistakes["image"]} and pictures["image"].is_unique
    for it in pictures.itertuples():
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(it.webp))).convert("L"), float) / 255
        assert np.abs(shown - test.images[int(it.image), 0].numpy()).mean() < 0.05
    # More runs are added, and those that are there stay as they are.
    retrain("t", {arm: 3}, recipe, data, SlotInThisProcess(), tmp_path)
    again = CONFUSIONS.read(tmp_path)
    pd.testing.assert_frame_equal(again[again["seed"] < 2], confusions)
    assert sorted({*again["seed"]}) == [0, 1, 2]


def images(labels):
    shape = (len(labels), 3, 5, 5)
    return LabelledImages(torch.linspace(0, 1, len(labels) * 75).reshape(shape), torch.tensor(labels))


def answers(labels, classes, confidence=None):
    confidence = torch.tensor(confidence or [0.9] * len(labels))
    return answers_of(torch.tensor(classes), confidence, images(labels), 3)


LABELS = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]  # none of the third class


def test_answers_by_hand():
    found = answers(LABELS, [0, 0, 0, 2, 1, 1, 1, 1, 1, 0], [0.9, 0.9, 0.9, 0.5, 0.8, 1, 1, 1, 1, 0.7])
    assert found.confusion.tolist() == [[3, 1, 1], [1, 4, 0], [0, 0, 0]]
    assert found.accuracy == 0.7
    assert [(it.image, it.true_class, it.predicted_class) for it in found.worst] == [
        *((4, 0, 1), (9, 1, 0), (3, 0, 2))
    ]
    with Image.open(io.BytesIO(base64.b64decode(found.worst[0].webp))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("WEBP", "RGB", (5, 5))
    assert answers(LABELS, LABELS).worst == ()


def test_a_run_that_is_kept_again_counts_once(tmp_path):
    run, other = ({"architecture": "8-gap", "seed": seed} for seed in (0, 1))
    keep_answers(tmp_path, [(run, answers(LABELS, [0] * 10)), (other, answers(LABELS, LABELS))])
    tables = [table.read(tmp_path) for table in (CONFUSIONS, MISTAKES, PICTURES)]
    keep_answers(tmp_path, [(run, answers(LABELS, [0] * 10))])
    for table, before in zip((CONFUSIONS, MISTAKES, PICTURES), tables, strict=True):
        names = [*before]
        again = table.read(tmp_path).sort_values(names, ignore_index=True)
        pd.testing.assert_frame_equal(again, before.sort_values(names, ignore_index=True))


def test_scores_that_are_not_finite_are_no_confidence():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(75, 3))
    torch.nn.init.constant_(network[1].bias, np.nan)
    classes, confidence = classified(network, images(LABELS))
    assert confidence.tolist() == [0] * 10 and classes.shape == (10,)


@pytest.fixture
def study(tmp_path):
    """A real study, as an earlier version left it: without this."""
    folder = tmp_path / "reports" / "mnist-100-trials"
    folder.mkdir(parents=True)
    for path in (REPORTS / folder.name).glob("*.csv"):
        shutil.copy(path, folder)
    shutil.copy(REPORTS / folder.name / SETTINGS, folder)
    return folder


def record(folder, **of_designs):
    """Keep the classes that runs took LABELS for, seed after seed."""
    for text, seeds in of_designs.items():
        for seed, classes in enumerate(seeds):
            run = {"architecture": text.replace("_", "-").removeprefix("-"), "seed": seed}
            keep_answers(
                folder, [(run, answers(LABELS, classes, [1 - seed / 10 - i / 100 for i in range(10)]))]
            )
    content = json.loads((folder / SETTINGS).read_text())
    content["images"] = asdict(FACTS)
    (folder / SETTINGS).write_text(json.dumps(content))


# Of 10 images, 2 in the largest class, 5 right are no better than chance: such a run is dead.
ALL_RIGHT, TWO_WRONG, ONE_WRONG, DEAD = (
    *(LABELS, [1, 0, 0, 0, 0, 1, 1, 1, 1, 2], [0, 0, 0, 0, 1, 1, 1, 1, 1, 1], [0] * 10),
)


def test_failures_of_living_seeds_by_design(study):
    record(study, _8_16_32_gap=[TWO_WRONG, DEAD, ONE_WRONG], _4_pool2=[DEAD], _4_6p_flatten=[ALL_RIGHT])
    found = failures(study, read_study(study))
    assert found["classes"] == FACTS.classes and found["counts"] == [5, 5, 0]
    light = found["designs"][LIGHT]
    assert light["seeds"] == 2 and light["confusion"] == [(0, 0, 8), (0, 1, 2), (1, 1, 9), (1, 2, 1)]
    assert [re.sub(r"[0-9.]+ to [0-9.]+", "L to H", text) for text in light["accuracy"]] == [
        *("80.00 % (L to H)", "90.00 % (L to H)", "")
    ]
    # The first seed was surer of image 0 than the third was of image 4.
    assert light["worst"] == [(0, 0, 1, 1), (9, 1, 2, 0.91), (4, 0, 1, 0.76)]
    assert found["designs"]["4-pool2"] == {"seeds": 0, "confusion": [], "accuracy": [], "worst": []}
    assert found["designs"][MEDIUM]["accuracy"][0].startswith("100.00 % (")
    assert not found["designs"][MEDIUM]["accuracy"][0].endswith("(100.00 to 100.00)")
    assert [*found["pictures"]] == [0, 4, 9]


def test_without_a_record_the_page_says_how_to_get_one(study):
    assert failures(study, read_study(study)) is None
    page = write_report(study).read_text(encoding="utf-8")
    assert "An earlier version read the test set, and did not record this." in page
    designs = pd.read_csv(study / "designs.csv")
    designs.loc[:, [it for it in designs if it.startswith(("test_", "new_"))]] = np.nan
    designs.to_csv(study / "designs.csv", index=False)
    page = write_report(study).read_text(encoding="utf-8")
    assert "The test set was not read, so it is not known" in page


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("8-gap,0,0,x,1", "predicted_class must be a whole number, but is 'x'"),
        ("8-gap,0,0,3,1", "predicted_class must be from 0 to 2, but is 3"),
        ("8-gap,0,-1,0,1", "true_class must be from 0 to 2, but is -1"),
        ("8-gap,0,0,0,0", "num_images must be from 1 to 10, but is 0"),
        ("8-gap,0,0,,1", "predicted_class must not be empty"),
    ],
)
def test_a_table_that_was_damaged_by_hand_is_told(line, rule, study):
    record(study)
    (study / CONFUSIONS.file).write_text(f"architecture,seed,true_class,predicted_class,num_images\n{line}\n")
    with pytest.raises(UserError) as caught:
        write_report(study)
    assert str(caught.value) == f"{study / CONFUSIONS.file}:2: {rule}"
    # A mistake whose picture was taken away is not shown; it is in the matrix.
    (study / CONFUSIONS.file).unlink()
    record(study, _8_16_32_gap=[ONE_WRONG])
    (study / PICTURES.file).write_text("image,webp\n")
    light = failures(study, read_study(study))["designs"][LIGHT]
    assert light["worst"] == [] and (0, 1, 1) in light["confusion"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_shows_where_the_design_fails_that_is_picked(study, browser, width):
    record(study, _8_16_32_gap=[TWO_WRONG, ONE_WRONG], _4_pool2=[DEAD], _4_6p_flatten=[ALL_RIGHT])
    with opened(browser, write_report(study), width=width) as page:
        page.set_default_timeout(10_000)
        said = page.locator("#failures-said")
        assert said.text_content() == (
            "LightCNN: 3 mistakes by 2 seeds on 10 test images, most often cat taken for dog (2), dog taken "
            "for </script> (1). The most confident of them:"
        )
        assert page.locator("#failures-worst figcaption").all_text_contents() == [
            *("cat taken for dog, 100.00 %", "dog taken for </script>, 91.00 %", "cat taken for dog, 86.00 %")
        ]
        pictures = page.locator("#failures-worst img")
        assert set(pictures.evaluate_all("all => all.map(it => it.naturalWidth)")) == {5}
        assert pictures.first.get_attribute("alt") == "Test image 0: cat taken for dog"
        rows = page.locator("#failures-classes tr").all_text_contents()
        assert [re.sub(r"\(.*\)", "", row) for row in rows] == ["cat580.00 % ", "dog590.00 % ", "</script>0–"]
        assert page.locator("#failures-matrix tr").all_text_contents() == ["cat82", "dog91", "</script>"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.select_option("#design-choice", MEDIUM)
        assert said.text_content() == "Medium-Light: 0 mistakes by 1 seed on 10 test images."
        assert page.locator("#failures-worst img").count() == 0
        page.select_option("#design-choice", "4-pool2")
        assert "all its runs died" in said.text_content() and page.locator("#failures-shown").is_hidden()
        untrained = page.evaluate("designs.find(it => it.test_accuracy_mean === null).architecture")
        page.select_option("#design-choice", untrained)
        assert said.text_content().startswith(
            f"{untrained} was not trained again, so no test image was shown"
        )
        page.select_option("#design-choice", LIGHT)
        assert page.locator("#failures-matrix").is_visible()
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
        found = axe.Axe().run(page).response["violations"]
        assert [v["help"] for v in found if v["impact"] in ("serious", "critical")] == []


UNBALANCED = replace(FACTS, majority=Majority("cat", 0.6, 0.55), num_test=200)


def test_naming_the_largest_class_stands_among_the_designs_of_unbalanced_data(study, monkeypatch, capsys):
    tables = read_study(study)
    assert len(with_majority(tables)) == len(tables.designs)
    unbalanced = replace(tables, images=UNBALANCED)
    content = html_table(with_majority(unbalanced), "name")
    line = dict(zip(content["headings"], content["rows"][-1], strict=True))
    assert line.pop("design") == "naming cat for every image" and line.pop("parameters") == "0"
    accuracy = line.pop("mean test accuracy (95 % interval over seeds, for new images)")
    assert accuracy == "55.00 (–,\n48.08 to 61.74)"  # Wilson's of 110 in 200
    assert {*line.values()} == {"–"}
    monkeypatch.setattr(terminal, "read_study", lambda folder: unbalanced)
    terminal.print_findings(study, [])
    assert re.search(r"naming cat for every +0 +55\.00 % +– +–\nimage", capsys.readouterr().out)
    untested = replace(unbalanced, designs=tables.designs.drop(columns=[*tables.designs.columns[6:]]))
    assert len(with_majority(untested)) == len(tables.designs)
    assert verdict(untested)[2].endswith(
        " Naming cat for every image would be right on 60.00 % of the training images."
    )


@pytest.mark.parametrize(
    ("training", "test", "majority"),
    [
        ((50, 50, 50), (9, 0, 1), None),  # training images say which class a network would learn to name
        ((74, 50, 26), (1, 1, 1), None),  # 1.48 times the third
        ((20, 76, 54), (6, 3, 1), Majority("dog", 76 / 150, 0.3)),
        ((), (), None),  # a published data set
    ],
)
def test_the_largest_class_of_training_is_named_on_the_test_images(training, test, majority):
    dataset = replace(DATASETS["mnist"], classes=FACTS.classes, class_counts=training, test_class_counts=test)
    assert ImageFacts.of(dataset).majority == majority

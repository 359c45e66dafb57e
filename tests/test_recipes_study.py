"""The studies of recipes and of distillation: tables, the teacher, and as a user runs them."""

import numpy as np
import pandas as pd
import pytest
import torch
from fakes import SlotInThisProcess
from test_engine import engine  # noqa: F401  # a fixture

from lightcnn.architecture import parse
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS
from lightcnn.engine.build import load
from lightcnn.training import FAST, trained_network
from search.execution import slots
from search.execution.runs import TrainingData, images_of
from search.moderation import MNIST, difference
from search.tables import RUNS
from studies import distillation, recipes, teacher
from studies.filling import lacking
from studies.recipes import BY_NAME, DESIGNS, RECIPES, Cell, lesson_of, name_of, summarise
from studies.teacher import Lesson, targets_of, taught

TASK = DATASETS["mnist"].task


def test_recipes_are_told_apart_by_name_and_are_possible():
    assert len(BY_NAME) == len(RECIPES)
    assert name_of({}) == "base"
    assert name_of({"augmentation": 1.0, "temperature": 4.0}) == "augmentation 1, teacher at temperature 4"
    for changes in RECIPES:
        assert recipes.replace(FAST, **changes).epochs == FAST.epochs


def test_only_recipes_with_a_temperature_have_a_teacher_and_it_sees_their_images():
    lessons = {name: lesson_of(Cell(name, DESIGNS[0], 0)) for name in BY_NAME}
    assert lessons["base"] is lessons["augmentation 1"] is None
    assert lessons["teacher at temperature 4"] == Lesson(0.0, 4.0)
    assert lessons["augmentation 1, teacher at temperature 4"] == Lesson(1.0, 4.0)


def test_the_designs_are_those_that_are_named():
    assert [num_parameters(parse(text, TASK)) for text in (*DESIGNS, teacher.NETWORK)] == [
        *(690, 2_126, 6_022),
        18_026,
    ]


def test_summary_by_hand():
    accuracies = {
        ("a", "base"): (0.98, 0.97, 0.1),  # one died, which is no accuracy
        ("a", "better"): (0.99, 0.985, 0.98),
        ("a", "worse"): (0.96, 0.965, 0.96),
        ("b", "base"): (0.1, 0.1, 0.1),
        ("b", "better"): (0.95, 0.96, 0.95),
        ("b", "worse"): (0.1, 0.1, 0.1),
    }
    runs = pd.DataFrame(
        [
            (recipe, text, seed, 690, accuracy, 1.0 if recipe == "base" else 2.0)
            for (text, recipe), own in accuracies.items()
            for seed, accuracy in enumerate(own)
        ],
        columns=["recipe", "architecture", "seed", "num_parameters", "val_accuracy", "seconds"],
    )
    table = summarise(runs).set_index(["architecture", "recipe"])
    better, gap = table.loc["a", "better"], difference([0.98, 0.97], [0.99, 0.985, 0.98], MNIST)
    assert (better["difference"], better["difference_low"]) == pytest.approx((gap.mean, gap.low), abs=1e-5)
    assert better["p_holm"] >= gap.p_value - 1e-5 and better["seconds_ratio"] == 2
    assert better["val_accuracy"] == pytest.approx(0.985)
    assert table.loc[("a", "base"), "num_dead"] == 1
    assert np.isnan(table.loc[("a", "base"), "difference"])
    assert table.loc[("b", "better"), "val_accuracy"] == pytest.approx(0.95333, abs=1e-5)
    assert table.loc["b", "difference"].isna().all()  # there is nothing to compare with
    assert np.isnan(table.loc[("b", "worse"), "val_accuracy"])


def test_what_a_table_has_is_not_lacking(tmp_path):
    cells = [Cell("base", text, seed) for seed in range(2) for text in ("a", "b")]
    path = tmp_path / "runs.csv"
    assert lacking(path, cells) == cells
    pd.DataFrame([{**cells[2]._asdict(), "val_accuracy": 0.9}]).to_csv(path, index=False)
    assert lacking(path, cells) == [*cells[:2], cells[3]]


@pytest.fixture
def classroom(monkeypatch, mnist_folder, engine):  # noqa: F811
    """A small teacher of 2 networks, few images, and a slot in this process."""
    monkeypatch.setattr(teacher, "NETWORK", "4bn-4sbl-gap")
    monkeypatch.setattr(teacher, "NUM_NETWORKS", 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv(slots.ENGINE, str(engine))
    return TrainingData(DATASETS["mnist"], mnist_folder, num_train_images=300), SlotInThisProcess()


def test_a_teacher_is_the_mean_softmax_of_its_networks_on_what_the_student_sees(classroom, tmp_path, engine):  # noqa: F811
    data, slot = classroom
    recipe = recipes.replace(FAST, epochs=2)
    plain, turned = Lesson(0.0, 3.0), Lesson(1.0, 3.0)
    files = taught([plain, turned], tmp_path, recipe, data, slot)
    found = {lesson: np.load(file) for lesson, file in files.items()}
    assert {lesson: targets.shape for lesson, targets in found.items()} == {
        plain: (1, 300, 10),
        turned: (2, 300, 10),
    }
    training, _ = images_of(data, "cpu")
    networks = [
        trained_network(parse(teacher.NETWORK, TASK), (tmp_path / "weights" / name).read_bytes())
        for name in ("4bn-4sbl-gap.0.pt", "4bn-4sbl-gap.1.pt")
    ]
    for images, targets in (
        (training.images, found[plain][0]),
        (recipes_copy(training.images, 0, engine), found[turned][0]),
        (recipes_copy(training.images, 1, engine), found[turned][1]),
    ):
        with torch.no_grad():
            expected = sum((network.eval()(images) / 3).softmax(1) for network in networks) / 2
        torch.testing.assert_close(torch.from_numpy(targets), expected, atol=1e-5, rtol=0)

    slot.submitted.clear()
    assert taught([plain, turned], tmp_path, recipe, data, slot) == files
    assert not slot.submitted
    files[plain].unlink()
    assert np.array_equal(np.load(taught([plain], tmp_path, recipe, data, slot)[plain]), found[plain])
    assert slot.submitted == [targets_of]  # the networks are kept
    for kept in (tmp_path / "weights").iterdir():  # as where the folder comes from git
        kept.unlink()
    assert np.array_equal(np.load(taught([plain], tmp_path, recipe, data, slot)[plain]), found[plain])
    assert pd.read_csv(tmp_path / "teacher.csv")["seed"].tolist() == [0, 1]


def recipes_copy(images, epoch, library):
    return teacher.augmented(images, 1.0, epoch, load(library))


@pytest.mark.slow
def test_it_resumes(tmp_path, mnist_folder, monkeypatch, capsys):
    monkeypatch.setattr(recipes, "DESIGNS", ("4bn-4sbl-gap",))
    chosen = ({}, {"augmentation": 1.0, "temperature": 4.0, "averaging": 0.5})
    monkeypatch.setattr(recipes, "BY_NAME", {name_of(changes): changes for changes in chosen})
    monkeypatch.setattr(teacher, "NETWORK", "4bn-gap")
    monkeypatch.setattr(teacher, "NUM_NETWORKS", 1)
    options = ["--epochs", "1", "--out", str(tmp_path), "--workers", "1", "--data-dir", str(mnist_folder)]
    assert recipes.main([*options, "--seeds", "1"]) == 0
    first = pd.read_csv(tmp_path / "recipes" / "runs.csv")
    assert len(first) == 2 and first["val_accuracy"].between(0.2, 1).all()
    for kept in (tmp_path / "recipes" / "weights").iterdir():
        kept.unlink()
    assert recipes.main([*options, "--seeds", "1"]) == 0  # nothing is lacking, so that no teacher is needed
    assert not list((tmp_path / "recipes" / "weights").iterdir())
    assert recipes.main([*options, "--seeds", "2"]) == 0
    again = pd.read_csv(tmp_path / "recipes" / "runs.csv")
    pd.testing.assert_frame_equal(again[:2], first)
    assert len(again) == 4
    assert pd.read_csv(tmp_path / "recipes" / "summary.csv")["num_seeds"].tolist() == [2, 2]
    capsys.readouterr()
    with pytest.raises(SystemExit):
        recipes.main([*options, "--epochs", "2"])
    assert "holds runs with recipe.epochs=1" in capsys.readouterr().err


@pytest.mark.slow
def test_students_beside_the_front_that_learns_from_labels(tmp_path, mnist_folder, monkeypatch, capsys):
    for module in (distillation, teacher):
        monkeypatch.setattr(module, "NETWORK", "4bn-4sbl-gap")
    monkeypatch.setattr(teacher, "NUM_NETWORKS", 1)
    monkeypatch.setattr(distillation, "NUM_EPOCHS", 1)
    options = ["--seeds", "2", "--out", str(tmp_path), "--workers", "2", "--data-dir", str(mnist_folder)]
    with pytest.raises(SystemExit):
        distillation.main(options)
    assert "must hold 2 tested runs of 4bn-4sbl-gap with 1 epochs" in " ".join(
        capsys.readouterr().err.split()
    )

    (tmp_path / "front").mkdir()
    columns = ("arm", "architecture", "num_parameters", "seed", "epochs", "train_accuracy", "test_accuracy")
    lines = [("it", "4bn-4sbl-gap", 100, seed, 1, 0.9, accuracy) for seed, accuracy in enumerate((0.1, 0.2))]
    front = [dict(zip(columns, line, strict=True)) | {"seconds": 1.0} for line in lines]
    RUNS.write(
        RUNS.frame([*front, front[0] | {"seed": 2}, front[0] | {"architecture": "9-gap"}]), tmp_path / "front"
    )
    assert distillation.main(options) == 0
    folder = tmp_path / "distillation"
    runs, summary = RUNS.read(folder), pd.read_csv(folder / "summary.csv").set_index("learns_from")
    assert runs["test_accuracy"].between(0.15, 1).all() and len(runs) == 2
    assert summary.loc["labels", "test_accuracy_mean"] == pytest.approx(0.15)
    assert summary.loc["teacher", "difference"] == pytest.approx(runs["test_accuracy"].mean() - 0.15)
    assert len(pd.read_csv(folder / "test_readings.csv")) == 1
    assert pd.read_csv(folder / "teacher.csv")["seed"].tolist() == [1_000]
    assert {it.name for it in (folder / "weights").glob("*.pt")} == {
        f"4bn-4sbl-gap.{seed}.pt" for seed in (0, 1, 1_000)
    }

    for kept in (folder / "weights").iterdir():  # as where the folder comes from git
        kept.unlink()
    assert distillation.main(options) == 0  # nothing is lacking, so that no teacher is needed
    assert not list((folder / "weights").iterdir())

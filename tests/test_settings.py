"""What decides a study's results: typed, versioned, and the same whenever a study is resumed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from fakes import MNIST, SETTINGS

from lightcnn.architecture import Task
from lightcnn.errors import UserError
from lightcnn.training import FAST, Recipe
from search import ablation_command, run
from search.budget import Budget
from search.report.__main__ import main as report
from search.report.page import write_report
from search.results import rebuild_tables
from search.settings import (
    AblationSettings,
    DataSettings,
    Reference,
    SearchSettings,
    SettingsFile,
    agree,
    held_study,
    read,
    recorded,
)
from search.space import Space
from search.stopping import StoppingRule
from search.storage import RETRAINED_RUNS, open_study
from studies import gap_removal
from studies.initialisation import InitialisationSettings
from studies.tabular_bench import TableSettings

REPORTS = Path(__file__).parents[1] / "reports"
ABLATION = AblationSettings("mnist", FAST, 60_000, {"images": "0", "labels": "1"})
ADVICE = "--fresh moves them aside and starts over, another --name keeps both"
# As versions before the format number wrote it.
FIRST_FORMAT = """
{
  "settings": {
    "task": {"image_size": 28, "in_channels": 1, "num_classes": 10},
    "recipe": {"epochs": 2, "learning_rate": 0.02, "batch_size": 64, "warmup": 0.1},
    "seed": 0,
    "sampler": "random",
    "max_parameters": 30000,
    "data": {
      "dataset": "mnist",
      "num_validation": 10000,
      "num_train_images": null,
      "split_seed": 0,
      "sha256": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
      }
    },
    "stopping": null,
    "space": {"max_blocks": 4, "widths": [2, 32], "heads": ["gap", "flatten"]}
  },
  "about": {"command": "python -m search.run --trials 100"}
}
"""


# Letter for letter what an earlier version left in reports/mnist-gap-flatten.
MNIST_DEFAULTS = """\
{
  "settings": {
    "task": {
      "image_size": 28,
      "in_channels": 1,
      "num_classes": 10
    },
    "recipe": {
      "epochs": 8,
      "learning_rate": 0.02,
      "batch_size": 64,
      "warmup": 0.1
    },
    "seed": 0,
    "sampler": "surrogate",
    "max_parameters": 30000,
    "data": {
      "dataset": "mnist",
      "num_validation": 10000,
      "num_train_images": 25000,
      "split_seed": 0,
      "sha256": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
      }
    },
    "stopping": {
      "rungs": [
        2,
        4
      ],
      "num_better": 1,
      "margin": 0.2
    },
    "space": {
      "max_blocks": 4,
      "widths": [
        2,
        32
      ],
      "heads": [
        "gap",
        "flatten"
      ]
    }
  },
  "about": {
    "command": "python -m search.run --trials 100",
    "python": "3.11.7",
    "torch": "2.14.1",
    "torchvision": "0.29.1",
    "optuna": "5.0.0",
    "numpy": "2.4.6",
    "joblib": "1.6.0",
    "plotly": "7.1.0",
    "machine": "Linux x86_64, 2 cores, AMD EPYC",
    "gpus": "none"
  }
}
"""
OF_MNIST_DEFAULTS = SearchSettings(
    space=Space(MNIST, widths=(2, 32), max_blocks=4, heads=("gap", "flatten")),
    reference=Reference("LightCNN", "8-16-32-gap"),
    recipe=Recipe(epochs=8, learning_rate=0.02, batch_size=64, warmup=0.1),
    seed=0,
    sampler="surrogate",
    budget=Budget(30_000),
    data=DataSettings("mnist", SETTINGS.data.sha256, 10_000, 25_000, split_seed=0),
    stopping=StoppingRule((2, 4), num_better=1, margin=0.2),
    engine="torch",
)
SMALL_TASK = Task(9, 3, 4)
ANOTHER = SearchSettings(
    space=Space(SMALL_TASK, widths=(4, 64), max_blocks=6, heads=("pool2", "gap")),
    reference=Reference.of("16-32-gap", SMALL_TASK),
    recipe=Recipe(3, 1e-3, 7, None),
    seed=2**31,
    sampler="tpe",
    budget=Budget(1_000, 8_000, 4_000, 90_000, "int8"),
    data=DataSettings("my images", {"a": "b"}, 5, 3, 1),
    stopping=StoppingRule((1,), 2, 0.0),
    engine="native",
    final_epochs=(60, 90),
)


def file_of(settings, **about):
    return SettingsFile(settings, about)


@pytest.mark.parametrize("settings", [SETTINGS, OF_MNIST_DEFAULTS, ANOTHER, ABLATION])
def test_settings_come_back_as_they_were(settings, tmp_path):
    agree(tmp_path, SettingsFile(settings, {"command": "it"}, ("8-gap",)))
    assert read(tmp_path / "settings.json", type(settings)) == SettingsFile(
        settings, {"command": "it"}, ("8-gap",)
    )


def test_a_file_of_the_first_format_says_what_it_did(tmp_path):
    (tmp_path / "settings.json").write_text(FIRST_FORMAT)
    file = read(tmp_path / "settings.json", SearchSettings)
    two_heads = replace(SETTINGS.space, heads=("gap", "flatten"))
    recipe = replace(SETTINGS.recipe, initialisation="pytorch")
    assert file.settings == replace(SETTINGS, space=two_heads, recipe=recipe)
    agree(tmp_path, file)  # as a resumed search does
    assert json.loads((tmp_path / "settings.json").read_text())["format"] == 4
    with pytest.raises(UserError, match=r"holds runs with space\.heads=\['gap', 'flatten'\], but got"):
        agree(tmp_path, file_of(SETTINGS))


@pytest.mark.parametrize("epochs", [None, 60])
def test_up_to_format_3_final_epochs_were_those_of_all_networks(epochs, tmp_path):
    agree(tmp_path, file_of(replace(SETTINGS, final_epochs=epochs and (epochs, epochs))))
    path = tmp_path / "settings.json"
    content = json.loads(path.read_text()) | {"format": 3}
    if epochs:
        content["settings"]["final_epochs"] = epochs
    path.write_text(json.dumps(content))
    assert read(path, SearchSettings).settings.final_epochs == (epochs and (60, 60))


def test_a_committed_file_of_the_first_format(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(MNIST_DEFAULTS)
    file = read(path, SearchSettings)
    assert (file.settings, file.placed) == (OF_MNIST_DEFAULTS, ())
    assert file.settings.recipe.initialisation == "pytorch"
    assert (file.about["command"], file.about["gpus"]) == ("python -m search.run --trials 100", "none")
    with pytest.raises(UserError, match=r"holds runs with engine='torch', but got 'native'; --fresh"):
        agree(tmp_path, file_of(replace(OF_MNIST_DEFAULTS, engine="native")))
    assert path.read_text() == MNIST_DEFAULTS  # what is refused is not touched


@pytest.mark.parametrize("path", sorted(REPORTS.glob("*/settings.json")), ids=lambda path: path.parent.name)
def test_committed_settings_are_read(path):
    kinds = {"tabular_bench": TableSettings, "initialisation": InitialisationSettings}
    kind = AblationSettings if (path.parent / "summary.csv").exists() else SearchSettings
    kind = kinds.get(path.parent.name, kind)
    assert isinstance(read(path, kind).settings, kind)


def test_a_committed_search_is_resumed_and_rendered(tmp_path, mnist_folder, capsys):
    shutil.copytree(REPORTS / "mnist-gap-flatten", tmp_path / "old")
    trials = (tmp_path / "old" / "trials.csv").read_bytes()
    arguments = ["--trials", "100", "--seeds", "0", "--heads", "gap,flatten", "--out", str(tmp_path)]
    assert run.main([*arguments, "--name", "old"]) == 0
    assert (tmp_path / "old" / "trials.csv").read_bytes() == trials
    assert capsys.readouterr().err == ""  # nothing was trained
    assert report([str(tmp_path / "old")]) == 0
    with pytest.raises(SystemExit):
        run.main([*arguments, "--name", "old", "--initialisation", "he"])
    assert "holds runs with recipe.initialisation='pytorch', but got 'he'; --" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run.main([*arguments[:4], "--out", str(tmp_path), "--name", "old"])
    assert "holds runs with space.heads=['gap', 'flatten'], but got " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mnist-gap-flatten", "mnist-100-trials"])
def test_a_committed_search_has_its_tables_and_its_page_again(name, tmp_path):
    folder = tmp_path / name
    shutil.copytree(REPORTS / name, folder)
    tables = [folder / f"{table}.csv" for table in ("trials", "front", "designs", "curves", "times")]
    before = [pd.read_csv(table) for table in tables]
    for table in tables:
        table.unlink()
    rebuild_tables(folder)
    for table, earlier in zip(tables, before, strict=True):
        # What follows from drawing may differ in a draw of 4,000 from one processor to another.
        pd.testing.assert_frame_equal(pd.read_csv(table)[earlier.columns], earlier, atol=0.003, rtol=0.01)
    page = write_report(folder).read_text(encoding="utf-8")
    light = before[2].set_index("name").loc["LightCNN"]
    assert f"{name}: small CNNs around LightCNN" in page
    assert f"{100 * light['test_accuracy_mean']:.2f} %" in page


def test_a_committed_ablation_is_resumed_and_rendered(tmp_path, mnist_folder, capsys):
    folder = tmp_path / "gap_removal"
    shutil.copytree(REPORTS / "gap_removal", folder)
    before = [pd.read_csv(folder / f"{table}.csv") for table in ("runs", "summary")]
    arguments = ["--out", str(tmp_path), "--workers", "1", "--seeds", str(gap_removal.STUDY.num_seeds)]
    assert ablation_command.main(gap_removal.STUDY, gap_removal.__doc__, argv=arguments) == 0
    assert capsys.readouterr().err == ""  # nothing was trained
    for table, earlier in zip(("runs", "summary"), before, strict=True):
        pd.testing.assert_frame_equal(pd.read_csv(folder / f"{table}.csv")[earlier.columns], earlier)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"{100 * before[1]['test_accuracy_mean'][0]:.2f} %" in page


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (None, (60, 60), "[60, 60], but got None"),
        ((60, 60), (30, 60), "[30, 60], but got [60, 60]"),
        ((60, 90), None, "None, but got [60, 90]"),
    ],
)
def test_final_epochs_may_change_until_a_design_is_trained_again(first, second, told, tmp_path):
    one, other = (file_of(replace(SETTINGS, final_epochs=it)) for it in (first, second))
    agree(tmp_path, one)
    agree(tmp_path, other)
    assert read(tmp_path / "settings.json", SearchSettings).settings == other.settings
    (tmp_path / RETRAINED_RUNS).touch()
    with pytest.raises(UserError) as caught:
        agree(tmp_path, one)
    assert str(caught.value) == f"{tmp_path} holds runs with final_epochs={told}; {ADVICE}"
    agree(tmp_path, other)


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (None, (1,), "stopping.rungs=None, but got [1]"),
        ((1,), None, "stopping.rungs=[1], but got None"),
        ((1,), (1, 2), "stopping.rungs=[1], but got [1, 2]"),
    ],
)
def test_a_part_that_is_absent_differs_from_one_that_is_there(was, now, told, tmp_path):
    def file(rungs):
        rule = None if rungs is None else StoppingRule(rungs, 1, 0.2)
        return file_of(replace(SETTINGS, stopping=rule))

    agree(tmp_path, file(was))
    with pytest.raises(UserError) as caught:
        agree(tmp_path, file(now))
    assert str(caught.value) == f"{tmp_path} holds runs with {told}; {ADVICE}"


@pytest.mark.parametrize(
    ("where", "value", "why"),
    [
        ("seed", True, "Input should be a valid integer"),
        ("seed", 0.5, "Input should be a valid integer"),
        ("sampler", None, "Input should be a valid string"),
        ("engine", "steam", "Input should be 'torch' or 'native'"),
        ("recipe.initialisation", "xavier", "Input should be 'pytorch', 'zero-bias' or 'he'"),
        ("recipe.warmup", "0.1", "Input should be a valid number"),
        ("data.sha256", ["a"], "Input should be an object"),
        ("space.heads", "gap", "Input should be a valid array"),
        ("space.task.image_size", [28], "Input should be a valid integer"),
    ],
)
def test_a_value_of_another_type_is_one_line(where, value, why, tmp_path):
    settings = recorded(SETTINGS)
    part, *inner = where.split(".")
    within = settings
    for name in inner:
        within, part = within[part], name
    within[part] = value
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"format": 2, "settings": settings}))
    with pytest.raises(UserError) as caught:
        read(path, SearchSettings)
    assert str(caught.value) == f"{path} must hold a study's settings, but {where}: {why}"


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("[", "Expecting value: line 1 column 2 (char 1)"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ],
)
def test_what_is_no_json_is_one_line(damaged, why, tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(damaged)
    with pytest.raises(UserError) as caught:
        agree(tmp_path, file_of(SETTINGS))
    assert str(caught.value) == f"{path} must be JSON, but {why}; --fresh starts over"
    assert path.read_text() == damaged


def test_what_is_missing_is_told(tmp_path):
    path = tmp_path / "settings.json"
    with pytest.raises(UserError) as caught:
        read(path, SearchSettings)
    assert str(caught.value) == f"{path} must exist"


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda it: it | {"format": 5}, "must be of format 4 or earlier, but is of format 5"),
        (lambda it: it | {"format": "new"}, "must be of format 4 or earlier, but is of format 'new'"),
        (lambda it: {"format": 2}, "must hold a study's settings, but does not"),
        (lambda it: [it], "must hold a study's settings, but does not"),
        (
            lambda it: it | {"settings": it["settings"] | {"seed": "0"}},
            "must hold a study's settings, but seed: Input should be a valid integer",
        ),
        (
            lambda it: it | {"settings": it["settings"] | {"warp": 9}},
            "must hold a study's settings and nothing else, but holds warp",
        ),
        (
            lambda it: it | {"settings": it["settings"] | {"recipe": {"epochs": 8}}},
            "must hold a study's settings, but recipe.learning_rate: Field required",
        ),
        (
            lambda it: it | {"settings": it["settings"] | {"recipe": recorded(FAST) | {"epochs": 0}}},
            "must hold a study's settings, but recipe: a recipe needs at least 1 epoch and 1 image a batch, "
            "but got epochs=0, batch_size=64",
        ),
    ],
)
def test_what_is_no_settings_file_is_one_line(damage, line, tmp_path):
    agree(tmp_path, file_of(SETTINGS))
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(UserError) as caught:
        read(path, SearchSettings)
    assert str(caught.value) == f"{path} {line}"
    with pytest.raises(UserError) as caught:
        agree(tmp_path, file_of(SETTINGS))
    assert str(caught.value) == f"{path} {line}; --fresh starts over"


def test_settings_must_agree(tmp_path):
    agree(tmp_path, file_of(ABLATION, command="one"))
    agree(tmp_path, file_of(ABLATION, command="another"))
    with pytest.raises(UserError) as caught:
        agree(tmp_path, file_of(replace(ABLATION, recipe=replace(FAST, epochs=9))))
    assert str(caught.value) == f"{tmp_path} holds runs with recipe.epochs=8, but got 9; {ADVICE}"
    other = replace(ABLATION, recipe=replace(FAST, initialisation="zero-bias"))
    with pytest.raises(
        UserError, match=r"runs with recipe.initialisation='\w+', but got 'zero-bias'; --fresh"
    ):
        agree(tmp_path, file_of(other))
    assert json.loads((tmp_path / "settings.json").read_text())["about"] == {"command": "another"}
    for damaged in ("[]", "{}", '{"settings": [1]}', '{"settings": 3}'):
        (tmp_path / "settings.json").write_text(damaged)
        with pytest.raises(
            UserError, match=r"must hold a study's settings, but does not; --fresh starts over"
        ):
            agree(tmp_path, file_of(ABLATION))


def test_a_journal_without_its_settings_is_refused(tmp_path):
    open_study(tmp_path, print)
    with pytest.raises(UserError, match=r"holds a study without its settings.json; --fresh moves it aside"):
        agree(tmp_path, file_of(ABLATION))


def test_what_was_placed_stays_placed(tmp_path):
    for placed in (("8-gap",), (), ("4-gap", "8-gap")):
        with held_study(tmp_path, "it", False, SettingsFile(SETTINGS, {}, placed), print) as folder:
            pass
    assert read(folder / "settings.json", SearchSettings).placed == ("8-gap", "4-gap")


def test_references():
    assert Reference.of("Ultra-Light", MNIST) == Reference("Ultra-Light", "4-pool2")
    assert Reference.of("8-16-32-gap", MNIST) == Reference.of("LightCNN", MNIST)
    assert Reference.of("08-16n-4-gap", MNIST) == Reference("8-16n-4-gap", "8-16n-4-gap")
    with pytest.raises(UserError, match="'nonsense'"):
        Reference.of("nonsense", MNIST)


def test_the_hand_made_designs_belong_to_lightcnn():
    assert [design.name for design in SETTINGS.designs][:2] == ["LightCNN", "LightCNN, GAP removed"]
    own = replace(SETTINGS, reference=Reference.of("16-32-64-gap", MNIST))
    assert [(design.name, design.text) for design in own.designs] == [("16-32-64-gap", "16-32-64-gap")]


def test_fresh_moves_the_settings_aside_and_starts_over(tmp_path):
    said = []
    with held_study(tmp_path, "it", False, SettingsFile(SETTINGS, {}, ("8-gap",)), said.append):
        pass
    with held_study(tmp_path, "it", True, file_of(ANOTHER), said.append) as folder:
        pass
    (aside,) = tmp_path.glob("it.*")
    assert said == [f"the earlier run is now in {aside}"]
    assert read(aside / "settings.json", SearchSettings) == SettingsFile(SETTINGS, {}, ("8-gap",))
    assert read(folder / "settings.json", SearchSettings) == file_of(ANOTHER)

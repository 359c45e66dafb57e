"""What decides a study's results: typed, versioned, and the same whenever a study is resumed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import MNIST, SETTINGS

from lightcnn.errors import UserError
from lightcnn.training import FAST
from search import run
from search.report.__main__ import main as report
from search.settings import (
    AblationSettings,
    Reference,
    SearchSettings,
    SettingsFile,
    agree,
    held_study,
    read,
    recorded,
)
from search.storage import open_study
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


def file_of(settings, **about):
    return SettingsFile(settings, about)


@pytest.mark.parametrize("settings", [SETTINGS, ABLATION])
def test_settings_come_back_as_they_were(settings, tmp_path):
    agree(tmp_path, SettingsFile(settings, {"command": "it"}, ("8-gap",)))
    assert read(tmp_path / "settings.json", type(settings)) == SettingsFile(
        settings, {"command": "it"}, ("8-gap",)
    )


def test_a_file_of_the_first_format_says_what_it_did(tmp_path):
    (tmp_path / "settings.json").write_text(FIRST_FORMAT)
    file = read(tmp_path / "settings.json", SearchSettings)
    two_heads = replace(SETTINGS.space, heads=("gap", "flatten"))
    assert file.settings == replace(SETTINGS, space=two_heads)
    agree(tmp_path, file)  # as a resumed search does
    assert json.loads((tmp_path / "settings.json").read_text())["format"] == 2
    with pytest.raises(UserError, match=r"holds runs with space\.heads=\['gap', 'flatten'\], but got"):
        agree(tmp_path, file_of(SETTINGS))


@pytest.mark.parametrize("path", sorted(REPORTS.glob("*/settings.json")), ids=lambda path: path.parent.name)
def test_committed_settings_are_read(path):
    kinds = {"tabular_bench": TableSettings}
    kind = AblationSettings if (path.parent / "summary.csv").exists() else SearchSettings
    kind = kinds.get(path.parent.name, kind)
    assert isinstance(read(path, kind).settings, kind)


def test_a_committed_search_is_resumed_and_rendered(tmp_path, mnist_folder, capsys):
    shutil.copytree(REPORTS / "mnist-defaults", tmp_path / "old")
    trials = (tmp_path / "old" / "trials.csv").read_bytes()
    arguments = ["--trials", "100", "--seeds", "0", "--heads", "gap,flatten", "--out", str(tmp_path)]
    assert run.main([*arguments, "--name", "old"]) == 0
    assert (tmp_path / "old" / "trials.csv").read_bytes() == trials
    assert capsys.readouterr().err == ""  # nothing was trained
    assert report([str(tmp_path / "old")]) == 0
    with pytest.raises(SystemExit):
        run.main([*arguments[:4], "--out", str(tmp_path), "--name", "old"])
    assert "holds runs with space.heads=['gap', 'flatten'], but got " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda it: it | {"format": 3}, "must be of format 2 or earlier, but is of format 3"),
        (lambda it: it | {"format": "new"}, "must be of format 2 or earlier, but is of format 'new'"),
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

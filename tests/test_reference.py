"""A search with a reference of the user's own: trained in any case, and what all others are held against."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest
from fakes import MNIST, SETTINGS, PretendingSlots, new_study, run_search

from lightcnn.architecture import Task, parse
from lightcnn.cost import num_parameters
from lightcnn.designs import DESIGNS
from lightcnn.errors import UserError
from search import run
from search.budget import Budget
from search.execution.display import Display
from search.loop import num_runs
from search.records import finished, finished_designs
from search.report.page import write_report
from search.report.pareto_data import pareto_data
from search.report.pareto_plot import draw_pareto
from search.report.verdict import placed, standing, verdict
from search.results import study_tables, write_tables
from search.settings import Reference, SettingsFile, agree
from search.space import Space
from search.tables import read_study

OWN, OWN_SIZE = "16-32-64-gap", 23_946
HAND_MADE = [design.name for design in DESIGNS]


def with_reference(text, **changes):
    return replace(SETTINGS, reference=Reference.of(text, MNIST), **changes)


SMALL = with_reference(OWN, budget=Budget(1_000))  # the space has no 64 channels, the budget no 23,946


@pytest.fixture
def study(tmp_path):
    """The folder of a search of six trials beside a reference that is none, re-trained."""
    folder = tmp_path / "own"
    folder.mkdir()
    agree(folder, SettingsFile(SMALL, {}))
    searched = new_study()
    run_search(searched, SMALL, trials=6)
    write_tables(folder, searched, SettingsFile(SMALL, {}))
    return folder, searched


def retrain(folder, searched, **accuracies):
    """Write runs.csv with each design's test accuracies, by its text with _ for -, and the tables anew."""
    runs = [
        (text, num_parameters(parse(text, MNIST)), seed, 2, accuracy, accuracy, 1.0)
        for text, own in ((name.replace("_", "-"), own) for name, own in accuracies.items())
        for seed, accuracy in enumerate(own)
    ]
    columns = ["architecture", "num_parameters", "seed", "epochs", "train_accuracy", "test_accuracy"]
    table = pd.DataFrame(runs, columns=[*columns, "seconds"])
    table.insert(0, "arm", table["architecture"])
    table.to_csv(folder / "runs.csv", index=False)
    write_tables(folder, searched, SettingsFile(SMALL, {}))


@pytest.mark.parametrize("designs", [False, True])
def test_a_reference_that_is_no_candidate_is_trained_beside_the_trials(designs):
    study = new_study()
    assert parse(OWN, MNIST) not in SMALL.space and num_parameters(parse(OWN, MNIST)) == OWN_SIZE
    assert num_runs(study, SMALL, 6, designs) == (7, 0)
    slots = run_search(study, SMALL, trials=6, designs=designs)
    assert len(finished(study)) == 6 and [*finished_designs(study)] == [OWN]
    assert all(record.num_parameters <= 1_000 for record in finished(study).values())
    assert [job[0] for job in slots.jobs[-2:]] == [OWN] * 2  # to its end, after the trials
    assert num_runs(study, SMALL, 6, designs) == (7, 7)
    assert run_search(study, SMALL, trials=6, designs=designs).jobs == []


def test_a_named_design_may_be_the_reference():
    study = new_study()
    run_search(study, with_reference("LeNet-5"), trials=3, designs=True)
    assert [*finished_designs(study)] == ["LeNet-5"]  # and no other hand-made one
    (line,) = study_tables(study, with_reference("LeNet-5"))["designs.csv"].to_dict("records")
    assert (line["name"], line["num_parameters"]) == ("LeNet-5", 61_706)
    assert line["val_accuracy"] == finished_designs(study)["LeNet-5"].val_accuracy


@pytest.mark.parametrize("text", ["Ultra-Light", "4-pool2", "04-pool2"])
def test_a_reference_in_the_space_is_the_first_trial_whatever_the_budget(text):
    settings, study = with_reference(text, budget=Budget(150)), new_study()
    assert num_runs(study, settings, 4, True) == (4, 0)
    run_search(study, settings, trials=4, designs=True)
    assert finished(study)[0].architecture == "4-pool2"
    assert finished(study)[0].num_parameters == 210 and finished_designs(study) == {}
    tables = study_tables(study, settings)
    assert tables["designs.csv"]["name"].tolist() == ["4-pool2" if text == "04-pool2" else "Ultra-Light"]
    assert tables["designs.csv"]["val_accuracy"].tolist() == [finished(study)[0].val_accuracy]
    assert "4-pool2" not in set(tables["front.csv"]["architecture"])  # it is over the budget


def test_a_space_without_the_head_leaves_the_reference_beside_the_trials():
    study = new_study()
    run_search(study, with_reference("Ultra-Light", space=Space(MNIST, heads=("gap",))), trials=3)
    assert [*finished_designs(study)] == ["Ultra-Light"] and len(finished(study)) == 3


def test_a_reference_is_no_candidate_for_being_stopped():
    """The hand-made designs are candidates like any other where the reference is not LightCNN."""
    assert [design.name for design in SETTINGS.designs] == HAND_MADE
    assert [design.name for design in with_reference("Classic CNN").designs] == ["Classic CNN"]
    assert [design.name for design in with_reference("8-16-32-gap").designs] == HAND_MADE
    assert [design.name for design in with_reference(OWN).designs] == [OWN]


def test_a_reference_that_failed_is_tried_again():
    study = new_study()
    run_search(study, SMALL, trials=3, slots=PretendingSlots(broken=[OWN]))
    assert finished_designs(study) == {} and len(finished(study)) == 3
    assert {job[0] for job in run_search(study, SMALL, trials=3).jobs} == {OWN}
    assert [*finished_designs(study)] == [OWN]


def test_the_live_line_holds_the_best_against_it(monkeypatch):
    notes = []
    monkeypatch.setattr(Display, "note", lambda display, text: notes.append(text))
    study = new_study()
    run_search(study, SMALL, trials=2)
    best = max(finished(study).values(), key=lambda record: record.val_accuracy)
    assert notes[1] == f"best {best.architecture} {best.val_accuracy:.2%}"
    own = finished_designs(study)[OWN].val_accuracy
    assert notes[2] == f"best {OWN} {own:.2%}, {OWN} {own:.2%}"


def test_one_run_each_is_held_against_it(study):
    folder, searched = study
    tables = read_study(folder)
    stand, accuracy = standing(tables), finished_designs(searched)[OWN].val_accuracy
    assert (stand.reference["architecture"], stand.reference["val_accuracy"]) == (OWN, accuracy)
    assert stand.smallest is None
    first, second, _ = verdict(tables)
    assert first == f"No candidate was as accurate as {OWN} (23,946 parameters, {100 * accuracy:.2f} %)."
    best = max(finished(searched).values(), key=lambda record: record.val_accuracy)
    assert second.startswith(f"The most accurate candidate no larger than {OWN} is {best.architecture} (")
    (design,) = pareto_data(tables).designs
    assert (design.name, design.measured.cost, design.measured.accuracy) == (OWN, 23_946, accuracy)
    assert design.claim is None
    (star,) = [it for it in draw_pareto(pareto_data(tables)).data if it.marker.symbol == "star"]
    assert (star.name, list(star.x)) == (OWN, [23_946])


def test_its_gaps_to_the_front_are_told_and_drawn(study):
    folder, searched = study
    one, other = (record.architecture for record in [*finished(searched).values()][:2])
    seeds = {
        OWN: (0.99, 0.991, 0.992),
        one: (0.97, 0.971, 0.9719),
        other: (0.95, 0.951, 0.9519),
        "8-pool5": (0.9, 0.91, 0.92),
    }
    retrain(folder, searched, **seeds)
    tables = read_study(folder)
    assert tables.designs["name"].tolist() == [OWN, "8-pool5"]
    told = tables.front.set_index("architecture")["probability_better"].dropna()
    assert set(told.index) == set(tables.front["architecture"])  # by all runs together, trained again or not
    assert told.reindex([one, other]).dropna().between(0, 0.01).all()
    first, second, third = verdict(tables)
    assert first.startswith(
        f"{OWN} (23,946 parameters) reaches 99.10 % (over seeds 98.99 to 99.20, for new images 98.88 to "
    )
    assert second.endswith("No candidate is as accurate.") and third.startswith("Accuracies are means over 3")
    assert [*placed(tables)] == [OWN, "8-pool5"]
    own, beside = pareto_data(replace(tables, designs=tables.designs[::-1])).designs  # it comes first
    assert (own.name, own.measured.accuracy) == (OWN, pytest.approx(0.991))
    assert (beside.name, beside.is_placed) == ("8-pool5", True)


def test_the_page_is_about_it_and_no_word_is_of_another(study):
    folder, searched = study
    for retrained in (False, True):
        if retrained:
            one = finished(searched)[0].architecture
            retrain(folder, searched, **{OWN: (0.99, 0.991), one: (0.97, 0.971)})
        page = write_report(folder).read_text(encoding="utf-8")
        assert f"<title>own: small CNNs around {OWN}</title>" in page
        assert f"where does {OWN}, the reference design of 23,946 parameters, stand among them?" in page
        shown = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
        assert "LightCNN" not in page and "paper" not in shown
    retrain(folder, searched, **{OWN: (0.99, 0.991), one: (0.97, 0.971), "8_16_32_gap": (0.98, 0.981)})
    assert "LightCNN" in write_report(folder).read_text(encoding="utf-8")  # as it was placed


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "lightcnn",
            "lightcnn must fit the images of MNIST, but an architecture reads like 8-16-32-gap, "
            "8-16-32-flatten-128 or 4-pool2, but got 'lightcnn': it needs exactly one of gap, flatten and "
            "pool<side>",
        ),
        (
            "8-8-8-8-8-8-gap",
            "8-8-8-8-8-8-gap must fit the images of MNIST, but each block must leave maps of at least 1x1 "
            "pixels, but block 5 of 6 gets 1x1 and leaves none: image_size=28 is too small for these blocks",
        ),
        (
            "8-pool29",
            "8-pool29 must fit the images of MNIST, but the last maps can be pooled to a side of 1 to 28, "
            "their own, but got grid=29",
        ),
    ],
)
def test_an_impossible_reference_is_one_line(text, line, tmp_path, capsys, mnist_folder):
    with pytest.raises(SystemExit) as caught:
        run.main(["--trials", "1", "--reference", text, "--out", str(tmp_path / "reports")])
    assert (caught.value.code, capsys.readouterr().err) == (2, f"error: {line}\n")
    assert not (tmp_path / "reports").exists()


def test_the_reference_is_a_setting_like_any_other(tmp_path):
    agree(tmp_path, SettingsFile(SMALL, {}))
    kept = json.loads((tmp_path / "settings.json").read_text())["settings"]["reference"]
    assert kept == {"name": OWN, "architecture": OWN}
    with pytest.raises(UserError) as caught:
        agree(tmp_path, SettingsFile(replace(SMALL, reference=SETTINGS.reference), {}))
    assert f"holds runs with reference.name='{OWN}', but got 'LightCNN'; --fresh" in str(caught.value)


def test_a_named_reference_fits_the_images():
    assert Reference.of("LeNet-5", Task(16, 1, 4)) == Reference("LeNet-5", "6k5-16k5vp-flatten-120-84")
    # Its last maps are single pixels here, which the text says in one way only.
    assert Reference.of("LeNet-5", Task(12, 1, 4)) == Reference("LeNet-5", "6k5-16k5vp-gap-120-84")
    with pytest.raises(UserError, match="image_size=11 is too small"):
        Reference.of("LeNet-5", Task(11, 1, 4))

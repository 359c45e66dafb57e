"""The page from a study's files; in a browser: test_page.py. Run: pytest tests/test_report.py"""

import dataclasses
import html
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import fakes
import pandas as pd
import pytest

from lightcnn.architecture import Task, parse
from lightcnn.cost import num_parameters
from lightcnn.training import FAST
from search.cells import rows, written
from search.columns import GAPS, RETRAINED
from search.image_facts import ImageFacts
from search.report.__main__ import main
from search.report.label_placement import label_size, place_labels
from search.report.page import write_report
from search.report.pareto_data import pareto_data
from search.report.pareto_plot import draw_pareto
from search.report.style import ERRORS_DRAWN
from search.report.verdict import early_stopping, headline, standing, verdict
from search.results import write_tables
from search.settings import SettingsFile, agree, recorded
from search.standing import with_retraining
from search.storage import write_table
from search.tables import read_study

TRIALS = """\
trial,state,architecture,num_parameters,num_macs,peak_activation_bytes,num_blocks,head,val_accuracy,val_loss,epochs,seconds,seed,reason
0,COMPLETE,8-12-gap,1076,150000,25088,2,gap,0.9862,0.045,8,61.5,0,
1,COMPLETE,8-16-16-16-gap,6058,420000,25088,4,gap,0.991,0.03,8,70,1,
2,DIVERGED,4-gap,90,9000,12544,1,gap,0.098,,2,11,2,loss is nan after epoch 2
3,FAILED,64-64-gap,38218,,,,gap,,,,,3,"<script>alert('reason')</script>"
4,COMPLETE,4-6-gap,332,30000,12544,2,gap,0.95,0.2,8,50,4,
"""
FRONT = """\
architecture,num_parameters,num_macs,val_accuracy
4-6-gap,332,30000,0.95
8-12-gap,1076,150000,0.9862
8-16-16-16-gap,6058,420000,0.991
"""
DESIGNS = """\
name,architecture,num_parameters,paper_parameters,paper_accuracy,val_accuracy
LightCNN,8-16-32-gap,6218,6218,0.9861,0.986
MLP,flatten-512-256,535818,550000,0.98,0.9812
<script>alert('name')</script>,4-pool2,210,,0.74,
"""
ABOUT = {"command": "python -m search.run --trials 5"}
SETTINGS = json.dumps({"format": 2, "settings": recorded(fakes.SETTINGS), "about": ABOUT})


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    for name, text in [
        ("trials.csv", TRIALS),
        ("front.csv", FRONT),
        ("designs.csv", DESIGNS),
        ("settings.json", SETTINGS),
    ]:
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def change(study, name, old, new):
    text = (study / name).read_text(encoding="utf-8")
    assert old in text
    (study / name).write_text(text.replace(old, new), encoding="utf-8")


def outside_script(page):
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def retrain(study, **accuracies):
    """Give the study the results of re-training, a design's accuracies by its text with _ for -."""
    runs = [
        {"arm": text, "architecture": text.replace("_", "-"), "seed": seed, "test_accuracy": accuracy}
        for text, own in accuracies.items()
        for seed, accuracy in enumerate(own)
    ]
    runs = pd.DataFrame(runs)
    task = Task(image_size=28, in_channels=1, num_classes=10)
    runs["num_parameters"] = [num_parameters(parse(text, task)) for text in runs["architecture"]]
    runs["train_accuracy"] = runs["test_accuracy"] + 0.005
    names = ("trials.csv", "front.csv", "designs.csv")
    earlier = [*RETRAINED, *GAPS, "probability_better"]
    tables = {name: pd.read_csv(study / name).drop(columns=earlier, errors="ignore") for name in names}
    tables = with_retraining(tables, runs, SettingsFile(fakes.SETTINGS, {}))
    for name, table in tables.items():
        write_table(table, study / name)
    (study / "test_readings.csv").write_text("read_at,num_runs\n2026-11-24 06:00:00 UTC,9\n")


def test_a_path_that_is_no_utf_8_is_shown_escaped(study):
    content = json.loads((study / "settings.json").read_text())
    content["about"] = {"command": "python -m search.run --out caf\udce9"}
    (study / "settings.json").write_text(json.dumps(content))
    assert "--out caf\\udce9" in write_report(study).read_text(encoding="utf-8")


def test_tables_hold_what_the_files_say(study):
    tables = read_study(study)
    assert tables.study == "small"
    assert tables.settings == fakes.SETTINGS
    assert tables.about == {"command": "python -m search.run --trials 5"}
    assert [tuple(row) for row in tables.front.itertuples(index=False)] == [
        ("4-6-gap", 332, 30000, 0.95),
        ("8-12-gap", 1076, 150000, 0.9862),
        ("8-16-16-16-gap", 6058, 420000, 0.991),
    ]
    failed = rows(tables.trials)[3]
    assert (failed["trial"], failed["state"], failed["num_parameters"]) == (3, "FAILED", 38218)
    assert math.isnan(failed["val_accuracy"]) and math.isnan(failed["epochs"])
    ultra_light = rows(tables.designs)[2]
    assert math.isnan(ultra_light["paper_parameters"]) and math.isnan(ultra_light["val_accuracy"])


def test_without_the_papers_claims_the_page_does_not_speak_of_them(study):
    for claims in ((), (",6218,0.9861,", ",550000,0.98,", ",,0.74,")):
        for claim in claims:
            change(study, "designs.csv", claim, ",,,")
        page = write_report(study).read_text(encoding="utf-8")
        for words in (
            "the paper&#39;s claim beside",
            "paper&#39;s test accuracy",
            "the paper's claim",
        ):
            assert (words in page) == (not claims), words


def test_settings_may_be_absent(study):
    (study / "settings.json").unlink()
    assert read_study(study).settings is None
    assert "left no <code>settings.json</code>" in write_report(study).read_text(encoding="utf-8")


def test_standing_and_verdict_on_validation_accuracy(study):
    tables = read_study(study)
    stand = standing(tables)
    assert (stand.measure, stand.reference["num_parameters"]) == ("val_accuracy", 6218)
    assert (stand.smallest["architecture"], stand.best["architecture"]) == ("8-12-gap", "8-16-16-16-gap")
    first, second, third = verdict(tables)
    assert first == (
        "The smallest candidate at least as accurate as LightCNN (6,218 parameters, 98.60 %) is 8-12-gap "
        "(1,076 parameters, 98.62 %): 83 % fewer parameters."
    )
    assert second == (
        "The most accurate candidate no larger than LightCNN is 8-16-16-16-gap (6,058 parameters, 99.10 %), "
        "0.50 points above it."
    )
    assert (
        "At 99.10 % and 10,000 images the standard error is about 0.094 points, so a difference under about "
        "0.28 points is not a finding."
    ) in third
    change(study, "settings.json", '"num_validation": 10000', '"num_validation": 100')
    _, second, third = verdict(read_study(study))  # 0.5 points of 100 images are half an image
    assert second.endswith("0.50 points above it, which one run each cannot distinguish from chance.")
    assert (
        "At 99.00 % and 100 images the standard error is about 0.99 points, so a difference under about "
        "3 points is not a finding."
    ) in third


def test_verdict_calls_a_small_gain_chance_and_a_loss_a_loss(study):
    change(study, "trials.csv", "0.991", "0.9889")
    assert "0.29 points above it, which one run each cannot distinguish from chance." in second_sentence(
        study
    )
    change(study, "trials.csv", "0.9889", "0.9100")
    change(study, "trials.csv", "0.9862", "0.9000")
    assert "4-6-gap (332 parameters, 95.00 %), 3.60 points below it." in second_sentence(study)
    assert verdict(read_study(study))[0] == (
        "No candidate was as accurate as LightCNN (6,218 parameters, 98.60 %)."
    )


def second_sentence(study):
    return verdict(read_study(study))[1]


def test_lightcnn_itself_is_no_candidate_and_may_be_untrained(study):
    change(study, "trials.csv", "8-16-16-16-gap,6058", "8-16-32-gap,6218")
    assert standing(read_study(study)).best["architecture"] == "8-12-gap"
    change(study, "designs.csv", "0.9861,0.986", "0.9861,")
    first, second, _ = verdict(read_study(study))
    assert first == (
        "LightCNN (6,218 parameters) was not trained here, so no candidate is set against its accuracy."
    )
    assert second.endswith("LightCNN is 8-12-gap (1,076 parameters, 98.62 %).")


LIGHT, SMALLER = (0.986, 0.987, 0.988), (0.981, 0.984, 0.987)


def test_test_accuracies_decide_where_there_are_some(study):
    retrain(study, **{"8_16_32_gap": LIGHT, "8_12_gap": SMALLER, "8_16_16_16_gap": (0.99, 0.991, 0.9901)})
    tables = read_study(study)
    stand = standing(tables)
    assert (stand.measure, stand.smallest["architecture"]) == ("test_accuracy_mean", "8-16-16-16-gap")
    first, second, third = verdict(tables)
    assert first.startswith(
        "LightCNN (6,218 parameters) reaches 98.70 % (over seeds 98.56 to 98.83, for new images 98.44 to "
        "98.93; 3 seeds) and is dominated: some "
        "candidate no larger is more accurate with probability more than 0.99, by more than 0.1 points with "
    )
    best, sizes = second.split(". ", 1)
    assert best.startswith(
        "The best of these, 8-16-16-16-gap (6,058 parameters), is 0.34 points more accurate (+0.1"
    )
    assert sizes.startswith(
        "The smallest candidate as accurate has 0.97 times its parameters; with 10 % more"
    )
    seeds = "Accuracies are means over 3 fresh seeds on 10,000 test images. Their 95 % intervals over seeds"
    assert third.startswith(seeds)
    assert "was read on 2026-11-24 06:00:00 UTC, after all choices were made." in third
    page = outside_script(write_report(study).read_text(encoding="utf-8"))
    assert "on the front after re-training" in page and "The study read the test set once: 2026-11" in page
    with (study / "test_readings.csv").open("a") as file:
        file.write("2026-11-25 06:00:00 UTC,1\n")
    assert "read 2 times, on 2026-11-24 06:00:00 UTC and 2026-11-25" in verdict(read_study(study))[2]
    (study / "test_readings.csv").write_text(
        "read_at,num_runs,exported\n2026-11-24 06:00:00 UTC,9,\n2026-11-25 06:00:00 UTC,2,8-12-gap\n"
    )
    assert "was read on 2026-11-24" in verdict(read_study(study))[2]
    assert "to measure an export of" in write_report(study).read_text(encoding="utf-8")


def test_lightcnn_may_be_on_the_front_or_not_told_apart(study):
    worse = {"8_12_gap": (0.95, 0.951, 0.952), "8_16_16_16_gap": (0.97, 0.971, 0.972)}
    retrain(study, **{"8_16_32_gap": LIGHT, **worse})
    first, second, _ = verdict(read_study(study))
    assert "and is on the front: some candidate no larger is more accurate with probability less" in first
    assert "The best of these, 8-16-16-16-gap (6,058 parameters), is 1.60 points less accurate (" in second
    assert second.endswith("No candidate is as accurate.")
    retrain(study, **{"8_16_32_gap": LIGHT, **worse, "8_12_gap": (0.984, 0.988, 0.989)})
    first, second, _ = verdict(read_study(study))
    assert "and is on the front or below it, which is not settled: some candidate no larger is" in first
    assert re.search(r"as accurate has 0\.17 to more than the largest times its parameters", second)


def test_a_design_whose_runs_all_died_is_told(study):
    retrain(study, **{"8_16_32_gap": (0.1135, 0.1135), "8_12_gap": (0.989,)})
    assert verdict(read_study(study))[0] == (
        "LightCNN (6,218 parameters) reaches no accuracy, as 2 of 2 runs died."
    )
    write_report(study)


def test_one_seed_has_an_interval_too(study):
    retrain(study, **{"8_16_32_gap": (0.987,), "8_12_gap": (0.989,)})
    first, _, third = verdict(read_study(study))
    assert first.startswith(
        "LightCNN (6,218 parameters) reaches 98.70 % (over seeds 98.42 to 98.93, for new images "
    )
    assert third.startswith("Accuracies are means over 1 fresh seed on 10,000 test images. Their 95 % ")
    write_report(study)


def test_how_small_a_test_set_is_and_what_that_makes_of_the_interval_is_told(study):
    retrain(study, **{"8_16_32_gap": LIGHT, "8_12_gap": SMALLER})
    tables = read_study(study)
    assert "fresh seeds on 10,000 test images" in verdict(tables)[2] and "small" not in verdict(tables)[2]
    small = verdict(dataclasses.replace(tables, images=ImageFacts(num_test=200)))[2]
    assert "fresh seeds on 200 test images" in small
    assert (
        "The test set is small: one image is 0.5 points, and even if all 200 were classed rightly, that "
        "would be 98.12 to 100.00 % for new ones. " in small
    )


def test_where_the_spread_of_seeds_was_learnt_is_told(study):
    retrain(study, **{"8_16_32_gap": LIGHT * 2, "8_12_gap": SMALLER * 2})
    tables = read_study(study)
    assert "designs of such an error; those for new images" in verdict(tables)[2]
    other = dataclasses.replace(tables.settings.data, sha256={"a": "0"})
    settings = dataclasses.replace(tables.settings, data=other)
    told = verdict(dataclasses.replace(tables, settings=settings))[2]
    assert "designs of such an error, fitted to 12 runs of this study; those for" in told
    retrain(study, **{"8_16_32_gap": LIGHT, "8_12_gap": SMALLER})
    told = verdict(dataclasses.replace(read_study(study), settings=settings))[2]
    assert "designs of such an error on MNIST, as this study has too few to tell; those for" in told


def test_stopped_trials_are_told(study):
    assert early_stopping(read_study(study)) is None
    (study / "trials.csv").write_text(
        "trial,state,architecture,num_parameters,num_macs,num_blocks,head,val_accuracy,epochs,seconds,seed,"
        "spared_at\n"
        "0,COMPLETE,8-12-gap,1076,1,2,gap,0.98,8,1,0,\n"
        "1,PRUNED,8-13-gap,1200,1,2,gap,0.91,2,1,1,\n"
        "2,PRUNED,8-14-gap,1300,1,2,gap,0.91,2,1,2,\n"
        "3,COMPLETE,8-16-16-16-gap,6058,1,4,gap,0.99,8,1,3,2\n"
        "4,COMPLETE,8-16-16-15-gap,6000,1,4,gap,0.97,8,1,4,4\n"
    )
    assert early_stopping(read_study(study)) == (
        "2 of 5 trials were stopped early, because candidates no larger were clearly more accurate so far; "
        "that saved 30 % of the epochs. Of 2 that were due to be stopped but were exempted at random, 1 "
        "ended on the front, where the rule would have been wrong."
    )
    page = outside_script(write_report(study).read_text(encoding="utf-8"))
    assert "2 of 5 trials were stopped early" in page and "2 stopped early" in page
    (stopped,) = [
        trace for trace in draw_pareto(pareto_data(read_study(study))).data if trace.name == "stopped early"
    ]
    assert list(stopped.x) == [1200, 1300] and stopped.marker.symbol == "circle-open"


def test_figure_draws_what_was_retrained(study):
    retrain(study, **{"8_16_32_gap": LIGHT, "8_12_gap": SMALLER, "8_16_16_16_gap": (0.99, 0.991, 0.9901)})
    tables = read_study(study)
    figure = draw_pareto(pareto_data(tables))
    traces = {trace.name: trace for trace in figure.data if trace.name}
    known = tables.trials.set_index("architecture")
    members = ["8-12-gap", "8-16-16-16-gap"]
    front = traces["front after re-training"]
    assert list(front.x) == [1076, 6058]
    errors = (100 * (1 - known.loc[members, "joint_accuracy"])).tolist()
    assert list(front.y) == pytest.approx(errors)
    steps = traces["front after re-training, steps"]  # up to the budget
    assert list(steps.x) == [1076, 6058, 6058, 30_000]
    assert list(steps.y) == pytest.approx([errors[0], errors[0], errors[1], errors[1]])
    band = traces["front after re-training, 90 %"]
    lows = (100 * (1 - known.loc[members, "front_accuracy_low"])).tolist()
    assert list(band.y[:4]) == pytest.approx([lows[0], lows[0], lows[1], lows[1]])
    assert list(band.x) == [*steps.x, *steps.x[::-1]]
    star = traces["LightCNN"]
    assert list(star.y) == pytest.approx([1.3]) and star.marker.symbol == "star"
    low = tables.designs.set_index("name").loc["LightCNN", "test_accuracy_low"]
    assert star.error_y.array[0] == pytest.approx(100 * (0.987 - low))  # towards less accuracy
    # The single runs are there for the switch, and no legend without them.
    singles = [trace for trace in figure.data if trace.meta == "single"]
    assert {trace.name for trace in singles} >= {"front of the search, validation", "diverged"}
    assert not any(trace.visible for trace in singles) and not figure.layout.showlegend
    assert figure.layout.title.text == "LightCNN is dominated: smaller networks are more accurate"


def test_what_users_typed_is_escaped_and_broken_into_lines(study):
    change(study, "designs.csv", "0.74,", "0.74,0.98")
    figure = draw_pareto(pareto_data(read_study(study)))
    assert figure.layout.annotations[3].text == "&lt;script&gt;alert(&#x27;name&#x27;)&lt;/s<br>cript&gt;"
    assert figure.data[-1].hovertext[0].startswith("<b>&lt;script&gt;alert")


@pytest.mark.parametrize(
    ("architecture", "label"), [("4-6-8-gap", "4-6-8-gap"), ("8vbln-10svbl-16svbln-16svbl-gap", "535,818")]
)
def test_a_placed_design_with_a_long_name_is_labelled_by_its_size(architecture, label, study):
    change(study, "designs.csv", "MLP,flatten-512-256", f"{architecture},{architecture}")
    figure = draw_pareto(pareto_data(read_study(study)))
    assert [it.text for it in figure.layout.annotations][2] == label


def test_what_errs_far_more_often_is_an_arrow_at_the_edge(study):
    change(study, "designs.csv", "0.98,0.9812", "0.98,0.7400")
    edge = draw_pareto(pareto_data(read_study(study)))
    (arrow,) = [trace for trace in edge.data if trace.marker.symbol == "triangle-down"]
    assert arrow.name == "MLP" and list(arrow.x) == [535_818]
    low, _ = edge.layout.yaxis.range
    assert low == pytest.approx(math.log10(5 * 1.4)) and math.log10(arrow.y[0]) < low
    assert any(label.text.endswith("<br>74.00 %") for label in edge.layout.annotations)


def test_two_studies_share_a_plot(study):
    data = pareto_data(read_study(study))
    other = dataclasses.replace(data, study="<other>")
    figure = draw_pareto(data, [other])
    names = [trace.name for trace in figure.data]
    assert "front of &lt;other&gt;" in names and "front of single runs" in names
    assert [label.text for label in figure.layout.annotations][-2:] == ["&lt;other&gt;", "small"]


def test_a_study_without_a_finished_trial_has_a_page(study):
    (study / "trials.csv").write_text(TRIALS.splitlines()[0] + "\n")
    (study / "front.csv").write_text(FRONT.splitlines()[0] + "\n")
    assert second_sentence(study) == "No candidate with 6,218 parameters or fewer was trained to the end."
    assert "None." in outside_script(write_report(study).read_text(encoding="utf-8"))


def test_one_failed_trial_is_no_network_that_was_trained(tmp_path):
    study = fakes.new_study()
    fakes.run_search(study, trials=1, slots=fakes.PretendingSlots(broken=["8-16-32-gap"]))
    agree(tmp_path, SettingsFile(fakes.SETTINGS, {}))
    write_tables(tmp_path, study, SettingsFile(fakes.SETTINGS, {}))
    page = outside_script(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "0 small convolutional networks were trained on MNIST." in page
    fakes.run_search(study, trials=2)
    write_tables(tmp_path, study, SettingsFile(fakes.SETTINGS, {}))
    page = outside_script(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "1 small convolutional network was trained on MNIST." in page
    assert "1 network on the search&#39;s front was trained for 2 epochs and ended at" in page


def test_the_reference_is_a_candidate_if_the_space_holds_it(tmp_path):
    study = fakes.new_study()
    fakes.run_search(study, trials=1)
    write_tables(tmp_path, study, SettingsFile(fakes.SETTINGS, {}))
    first, second, _ = verdict(read_study(tmp_path))
    assert first.startswith("No other candidate was as accurate as LightCNN (6,218 parameters, ")
    assert second == "No other candidate with 6,218 parameters or fewer was trained to the end."


def test_what_was_trained_once_is_not_called_untrained(study):
    """Where the reference was re-trained, and no candidate."""
    tables = read_study(study)
    tested = tables.designs.assign(test_accuracy_mean=[0.987, float("nan"), float("nan")])
    trials = tables.trials.assign(test_accuracy_mean=float("nan"))
    first, second, _ = verdict(dataclasses.replace(tables, designs=tested, trials=trials))
    assert first == (
        "No candidate that was trained again was as accurate as LightCNN (6,218 parameters, 98.70 %)."
    )
    assert second == "No candidate with 6,218 parameters or fewer was trained again."
    alone = headline(dataclasses.replace(tables, designs=tested, trials=trials))
    assert alone == "LightCNN: no candidate of its size or smaller was trained beside it"


def test_figure_draws_the_tables(study):
    figure = draw_pareto(pareto_data(read_study(study)))
    traces = {trace.name: trace for trace in figure.data if trace.name}
    assert sorted(traces["single run"].x) == [332, 1076, 6058] and traces["single run"].visible
    front = traces["front of single runs"]
    assert list(front.x) == [332, 1076, 6058]
    assert list(front.y) == pytest.approx([5, 1.38, 0.9])
    assert "front of single runs, 90 %" not in traces
    assert list(traces["diverged"].y) == [50]  # 90.2 % wrong
    assert traces["LightCNN"].marker.symbol == "star" and list(traces["LightCNN"].x) == [6218]
    claim = traces["LightCNN, the paper's claim"]
    assert list(claim.y) == pytest.approx([1.39]) and claim.marker.symbol == "star-open"
    assert front.hovertext[2] == (
        "<b>8-16-16-16-gap</b><br>trial: 1<br>state: trained to its end<br>"
        "6,058 parameters<br>420,000 MACs<br>peak activation bytes: 25,088<br>"
        "validation accuracy: 99.10 %<br>validation loss: 0.03<br>8 epochs"
    )
    texts = [label.text for label in figure.layout.annotations]
    assert texts == ["LightCNN, 6,218", "the paper says 98.61 %", "MLP"]
    low, high = figure.layout.yaxis.range
    assert low > high  # the error falls as accuracy grows upwards


def test_a_flawless_and_a_tiny_study_can_be_drawn(study):
    change(study, "trials.csv", "0.991", "1")
    change(study, "front.csv", "0.991", "1")
    figure = draw_pareto(pareto_data(read_study(study)))
    (front,) = [trace for trace in figure.data if trace.name == "front of single runs"]
    assert min(front.y) == ERRORS_DRAWN[0]


def test_labels_are_apart_from_each_other_and_from_all_marks():
    texts = [
        "LightCNN, 6,218",
        "LightCNN, GAP removed",
        "LeNet-5",
        "Classic CNN",
        "LightCNN, GAP<br>removed, hidden",
    ]
    marks = [(420, 90), (570, 70), (690, 68), (710, 62), (850, 66)]
    others = [(420, 110), (712, 70)]
    offsets = place_labels(texts, marks, others, [(400, 80), (410, 85)], (860, 510))
    boxes = [(x - 5, y - 5, x + 5, y + 5) for x, y in [*marks, *others]]
    for text, (x, y), (dx, dy) in zip(texts, marks, offsets, strict=True):
        width, height = label_size(text)
        left, top, right, bottom = (
            x + dx - width / 2,
            y + dy - height / 2,
            x + dx + width / 2,
            y + dy + height / 2,
        )
        assert left >= 0 and top >= 0 and right <= 860 and bottom <= 510
        for b in boxes:
            assert not (left < b[2] and b[0] < right and top < b[3] and b[1] < bottom), (text, b)
        boxes.append((left, top, right, bottom))


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (math.nan, "count", "–"),
        (math.nan, "fraction", "–"),
        ("", "text", "–"),
        (0.0, "count", "0"),
        (6218.0, "count", "6,218"),
        (0.98614, "fraction", "98.61 %"),
        (0.04512, "number", "0.04512"),
        (61.5, "number", "61.5"),
        (True, "flag", "yes"),
        (0.97, "limit", "97.00 %"),
        (-5.0, "limit", "< 0 %"),  # of an interval of two seeds
        (1.01, "limit", "> 100 %"),
    ],
)
def test_written(value, kind, text):
    assert written(value, kind) == text


def test_page_holds_the_study_and_escapes_what_users_typed(study):
    change(study, "trials.csv", "8-12-gap", "<script>alert(1)</script>")
    change(study, "front.csv", "8-12-gap", "<script>alert(1)</script>")
    page = write_report(study).read_text(encoding="utf-8")
    assert page.count("<script>alert") == page.count("<script>alert(1)") == 0
    body = outside_script(page)
    for text in (
        "<title>small: small CNNs around LightCNN</title>",
        ">6,218<",
        ">98.60 %<",
        ">98.61 %",
        ">550,000<",
        "3 trained to its end, 1 diverged, 1 failed",
        html.escape("<script>alert(1)</script>"),
        "&lt;script&gt;alert(&#39;name&#39;)&lt;/script&gt;",
        "&lt;script&gt;alert(&#39;reason&#39;)&lt;/script&gt;",
        "loss is nan after epoch 2",
        '<th scope="row">recipe</th><td>epochs: 2; learning_rate: 0.02; batch_size: 64; warmup: 0.1; '
        f"initialisation: {FAST.initialisation}; ",
        '<th scope="row">stopping</th><td>–</td>',
        'role="group" aria-label="Accuracy against parameters',
        "The test set was not read.",
        "left no <code>curves.csv</code>",
        "left no <code>times.csv</code>",
    ):
        assert text in body, text
    assert body.count("<caption>") == 5 and body.count('<th scope="col"') == 4 + 4 + 6 + 14
    assert "nan" not in re.sub("loss is nan", "", re.sub("<[^>]*>", " ", body)).lower().split()


def test_page_loads_plotly_from_beside_the_study_or_nothing(study):
    first = write_report(study).read_bytes()
    assert write_report(study).read_bytes() == first
    body = outside_script(first.decode())
    assert re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]*)""", body) == ["data:,"]
    scripts = "".join(re.findall("<script[^>]*>", first.decode()))
    (library,) = re.findall(r"""<script[^>]*\bsrc="([^"]*)""", scripts)
    assert not re.search(r"@import|url\(", body + scripts)
    beside = study / library
    assert beside.parent.resolve() == study.parent and beside.read_bytes().count(b"plotly.js v") == 1
    assert len(first) < 200_000
    beside.write_bytes(beside.read_bytes()[:1_000])  # a torn one is made whole
    write_report(study)
    assert beside.stat().st_size > 4_000_000
    alone = write_report(study, embed=True).read_bytes()
    assert alone.count(b"plotly.js v") == 1 and b"<script src" not in alone
    assert sorted(path.name for path in study.iterdir()) == [
        "designs.csv",
        "front.csv",
        "report.html",
        "settings.json",
        "trials.csv",
    ]


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        (
            "trials.csv",
            ",num_macs,",
            ",macs,",
            "{} must have a column num_macs, but has trial,state,architecture,",
        ),
        (
            "trials.csv",
            "0.9862",
            "good",
            "{}:2: val_accuracy must be a fraction from 0 to 1, but is 'good'\n",
        ),
        (
            "trials.csv",
            "0.9862",
            "98.62",
            "{}:2: val_accuracy must be a fraction from 0 to 1, but is '98.62'\n",
        ),
        (
            "trials.csv",
            "gap,1076",
            "gap,1076.5",
            "{}:2: num_parameters must be a whole number, but is '1076.5'\n",
        ),
        ("trials.csv", "gap,1076", "gap,", "{}:2: num_parameters must not be empty\n"),
        ("trials.csv", "61.5", "a minute", "{}:2: seconds must be a number, but is 'a minute'\n"),
        ("trials.csv", "61.5,0,", "61.5,0", "{}:2 must have 14 cells, but has 13\n"),
        ("trials.csv", TRIALS, "", "{} must have a column trial, but has none\n"),
        (
            "trials.csv",
            '</script>"',
            "</script>",
            "{} must be a CSV file in UTF-8, but unexpected end of data\n",
        ),
        ("front.csv", "332", "many", "{}:2: num_parameters must be a whole number, but is 'many'\n"),
        ("front.csv", "0.9862", "", "{}:3: val_accuracy must not be empty\n"),
        ("designs.csv", "LightCNN", "HeavyCNN", "{} must have a design named LightCNN\n"),
        (
            "designs.csv",
            "550000",
            "~550000",
            "{}:3: paper_parameters must be a whole number, but is '~550000'\n",
        ),
        ("settings.json", "}, ", ", ", "{} must be JSON, but "),
        ("settings.json", SETTINGS, "[1]", "{} must hold a study's settings, but does not\n"),
    ],
)
def test_a_broken_file_is_one_line_on_stderr(study, capsys, name, old, new, line):
    change(study, name, old, new)
    with pytest.raises(SystemExit) as exit:
        main([str(study)])
    out, err = capsys.readouterr()
    assert exit.value.code == 2 and out == ""
    assert err.startswith("error: " + line.format(study / name))
    assert err.count("\n") == 1 and err.endswith("\n")
    assert not (study / "report.html").exists()


@pytest.mark.parametrize("name", ["trials.csv", "front.csv", "designs.csv"])
def test_a_missing_file_is_one_line_on_stderr(study, capsys, name):
    (study / name).unlink()
    with pytest.raises(SystemExit) as exit:
        main([str(study)])
    assert exit.value.code == 2
    assert capsys.readouterr().err == f"error: {study / name} must exist\n"


def test_a_missing_folder_and_wrong_arguments_are_one_line_on_stderr(tmp_path, capsys):
    for argv, line in [
        ([str(tmp_path / "none")], f"error: {tmp_path / 'none'} must be the folder of a study\n"),
        ([], "error: the following arguments are required: folder\n"),
        (["a", "--b\nc"], "error: unrecognized arguments: --b c\n"),
    ]:
        with pytest.raises(SystemExit) as exit:
            main(argv)
        assert exit.value.code == 2
        assert capsys.readouterr().err == line


def test_a_failed_write_leaves_the_earlier_page(study, monkeypatch, capsys):
    page = write_report(study)
    before = page.read_bytes()
    change(study, "front.csv", "0.95", "0.94")

    def full(path, target):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert main([str(study)]) == 1
    assert capsys.readouterr().err == "failed: No space left on device\n"
    assert page.read_bytes() == before
    assert not [path for path in study.iterdir() if path.name.startswith(".")]


def test_the_command_takes_further_searches(study, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(study, other)
    assert main([str(study), str(other), "--x", "num_macs"]) == 0
    assert "front of other" in (study / "report.html").read_text(encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main([str(study)] * 5)
    said = capsys.readouterr().err
    assert (caught.value.code, said) == (2, "error: a plot has room for 3 other studies, but got 4\n")


def test_the_command_rebuilds_the_page(study):
    command = [sys.executable, "-m", "search.report", str(study)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{study / 'report.html'}\n", "")
    (study / "front.csv").write_text("broken\n")
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: {study / 'front.csv'} must have a column architecture, but has broken\n"


def test_the_page_is_opened_on_request(study, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("search.report.page.webbrowser.open", lambda address: opened.append(address) or True)
    assert main([str(study)]) == 0 and opened == []
    assert main([str(study), "--open"]) == 0
    assert opened == [(study / "report.html").as_uri()]
    monkeypatch.setattr("search.report.page.webbrowser.open", lambda address: False)
    assert main([str(study), "--open"]) == 0
    assert capsys.readouterr().err == f"no browser was found to open {study / 'report.html'}\n"


def test_a_study_beside_it_is_linked(study):
    beside = study.parent / "gap & removal"
    beside.mkdir()
    (beside / "summary.csv").write_text("")
    (beside / "report.html").write_text("<head><title>What does &lt;GAP&gt; bring?</title></head>")
    page = write_report(study).read_text(encoding="utf-8")
    assert '<a href="../gap%20%26%20removal/report.html">What does &lt;GAP&gt; bring?</a>' in page
    assert "Studies beside this one" in page


def test_pictures_need_a_browser_and_say_so(study, tmp_path):
    """Without one the page is written all the same."""
    command = [sys.executable, "-m", "search.report", str(study), "--pictures"]
    environment = {"PATH": str(tmp_path), "BROWSER_PATH": str(tmp_path / "none"), "HOME": str(tmp_path)}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, f"{study / 'report.html'}\n")
    assert done.stderr.startswith("failed: pictures need kaleido and an installed Chrome")
    assert done.stderr.count("\n") == 1
    assert not (study / "report.png").exists()

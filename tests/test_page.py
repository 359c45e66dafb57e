"""A search's page in a real browser; skipped where playwright or Chromium is not installed.

Run: pytest tests/test_page.py
"""

import math
import shutil
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from fakes import study_where

from search.report.__main__ import main
from search.report.ablation_page import write_ablation_report
from search.report.designs import catalogue
from search.report.page import write_report
from search.storage import write_table
from search.tables import read_study

pytestmark = pytest.mark.slow

REPORTS = Path(__file__).parents[1] / "reports"
DRAW_ALL = "() => places.forEach(draw)"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of real MNIST runs: 100 trials, re-trained and tested."""
    folder = tmp_path_factory.mktemp("reports") / "mnist-100-trials"
    folder.mkdir()
    for path in (REPORTS / folder.name).glob("*.csv"):
        shutil.copy(path, folder)
    shutil.copy(REPORTS / folder.name / "settings.json", folder)
    write_report(folder)
    return folder


@contextmanager
def opened(browser, page_file, width=1280, **options):
    """The page, drawn; it must have said nothing on the console, and fetched Plotly and nothing else."""
    page = browser.new_page(viewport={"width": width, "height": 900}, **options)
    page.set_default_timeout(120_000)  # a loaded machine takes its time
    troubles, requests = [], []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    page.wait_for_selector(".main-svg")
    yield page
    page.close()
    assert troubles == []
    (library,) = page_file.resolve().parent.parent.glob("plotly-*.min.js")
    assert set(requests) == {page_file.as_uri(), library.as_uri()}


@pytest.fixture
def page(browser, study):
    with opened(browser, study / "report.html") as page:
        yield page


def test_every_plot_is_drawn_and_lightcnn_tells_its_size(page):
    assert page.locator("#timeline .plot-container").count() == 0  # far below: not before it is looked at
    for name in ("learning", "importance", "progress", "timeline"):
        page.locator(f"#{name}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name} .main-svg")
    page.evaluate("""() => {
        const curve = plot.data.findIndex(trace => trace.name === "LightCNN");
        Plotly.Fx.hover(plot, [{curveNumber: curve, pointNumber: 0}]);
    }""")
    page.wait_for_selector(".hovertext")
    assert "6,218" in page.locator(".hovertext").first.text_content()


def picked(study, flash=math.inf, ram=math.inf, macs=math.inf):
    """What the picker should find in float32: of the re-trained the one with the highest lower end."""
    within = [
        it
        for it in catalogue(read_study(study))
        if it.weight_bytes <= flash and it.peak_activation_bytes <= ram and it.num_macs <= macs
    ]
    return max((it for it in within if it.test_accuracy_low is not None), key=lambda it: it.test_accuracy_low)


def fill(page, flash="", ram="", macs=""):
    for name, value in (("flash", flash), ("ram", ram), ("macs", macs)):
        page.fill(f"#budget-{name}", str(value))


def test_the_budget_picker_holds_all_limits_at_once(page, study):
    answer = page.locator("#budget-answer")
    assert answer.get_attribute("aria-live") == "polite"
    best = picked(study, 24_872, 31_360, 508_352)
    within = "within 24,872 bytes of weights, 31,360 bytes of activations, 508,352 MACs: "  # LightCNN's own
    assert answer.text_content().startswith(f"Best design {within}{best.name or best.architecture}")
    best = picked(study, 12_000, 28_000, 300_000)
    assert picked(study, 12_000).architecture != best.architecture  # the others exclude something
    fill(page, 12_000, 28_000, 300_000)
    text = answer.text_content()
    within = "within 12,000 bytes of weights, 28,000 bytes of activations, 300,000 MACs: "
    assert text.startswith(f"Best design {within}{best.architecture} with {best.num_parameters:,} parameters")
    assert f"{100 * best.test_accuracy_mean:.2f} % on the test set, mean of 3 fresh seeds, 95 %" in text
    assert page.locator("#design-name").text_content() == best.architecture
    assert f"--design {best.architecture} " in page.locator("#take-away").text_content()
    fill(page, macs=100_000)
    best = picked(study, macs=100_000)
    assert f"within 100,000 MACs: {best.name or best.architecture}" in answer.text_content()
    fill(page)
    best = picked(study)
    assert f"Best design of any size: {best.name or best.architecture}" in answer.text_content()


def test_the_budget_picker_knows_how_large_a_number_is(page):
    answer = page.locator("#budget-answer")
    page.fill("#budget-ram", "8000")  # to which the MLP keeps, but not to LightCNN's flash
    assert answer.text_content() == (
        "No design within 24,872 bytes of weights, 8,000 bytes of activations, 508,352 MACs: the least that "
        "one needs of each is 816 bytes of weights, 5,184 bytes of activations, 23,436 MACs."
    )
    assert page.locator("#take-away").text_content() == ""
    page.select_option("#budget-weights", "int8")
    page.fill("#budget-flash", "6680")
    page.fill("#budget-ram", "7840")
    assert answer.text_content().startswith("Best design within 6,680 bytes of weights, 7,840 bytes of act")
    page.select_option("#design-choice", "8-16-32-gap")
    assert "24,872 bytes, 6,680 in int8" in page.text_content("#design-facts")
    assert "31,360 bytes, 7,840 in int8" in page.text_content("#design-facts")


def test_the_budget_picker_ranks_by_the_lower_end(page):
    page.evaluate("""() => {
        const [safe, lucky] = designs.filter(it => it.test_accuracy_mean !== null);
        Object.assign(safe, {test_accuracy_mean: 0.995, test_accuracy_low: 0.994, test_accuracy_high: 0.996});
        Object.assign(lucky, {test_accuracy_mean: 0.9999, test_accuracy_low: 0.93, test_accuracy_high: 1});
        window.safe = safe.architecture;
    }""")
    fill(page)
    safe = page.evaluate("safe")
    assert safe in page.text_content("#budget-answer").partition(" with ")[0]


def test_the_simplest_within_one_standard_error_is_a_choice(page, study):
    fill(page)
    best = picked(study)
    tested = [it for it in catalogue(read_study(study)) if it.test_accuracy_mean is not None]
    near = [it for it in tested if it.test_accuracy_mean >= best.one_error_below]
    simplest = min(near, key=lambda it: it.num_parameters)
    assert simplest.num_parameters < best.num_parameters
    assert best.test_accuracy_low < best.one_error_below < best.test_accuracy_mean
    page.check("#budget-simplest")
    assert page.text_content("#budget-answer").startswith(
        f"Simplest design of any size and one standard error of the best, {best.architecture}: "
        f"{simplest.name or simplest.architecture}"
    )


def test_the_budget_picker_is_reached_by_keyboard_and_says_whose_accuracy(page):
    page.focus("#budget-flash")
    for name in ("ram", "macs", "weights", "simplest"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == f"budget-{name}"
    page.evaluate("""() => {  // as in a study whose re-trained designs are all over the budget
        for (const design of designs) if (design.num_parameters < 1000) design.test_accuracy_mean = null;
    }""")
    fill(page, flash=3_600)
    assert "on the validation images, one run of the search" in page.text_content("#budget-answer")


def test_a_click_keeps_a_design_with_its_layers(page):
    place = page.evaluate("""() => {
        const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
        const mlp = plot.data.find(trace => trace.name === "MLP");
        return [box.x + xaxis._offset + xaxis.d2p(mlp.x[0]), box.y + yaxis._offset + yaxis.d2p(mlp.y[0])];
    }""")
    page.mouse.move(*place)
    page.mouse.click(*place)
    page.wait_for_function("element('design-name').textContent === 'MLP'")
    assert "535,818, 2,143,272 bytes, 541,264 in int8" in page.text_content("#design-facts")
    layers = page.locator("#design-layers tr").all_text_contents()
    assert [line.split("linear ")[1] for line in layers if "linear" in line] == [
        "784-512512401,920401,408",
        "512-256256131,328131,072",
        "256-10102,5702,560",
    ]
    page.select_option("#design-choice", "8-16-32-gap")  # the way that needs no mouse
    assert page.text_content("#design-name") == "LightCNN"
    assert "conv 3x3 8-1616 × 14 × 141,168225,792" in page.locator("#design-layers tr").all_text_contents()


def test_a_row_of_a_table_selects_its_design(page):
    page.locator("table.sortable", has_text="Every trial").locator("tbody tr").nth(3).click()
    chosen = page.text_content("#design-name")
    assert chosen != "LightCNN" and page.input_value("#design-choice") == chosen
    ring = page.evaluate("plot.layout.shapes[0]")
    design = page.evaluate("text => designs.find(it => it.architecture === text)", chosen)
    assert ring["xanchor"] == design["num_parameters"] and ring["line"]["color"] == "#cc79a7"


def test_single_runs_are_a_second_view(page):
    visible = "plot.data.filter(trace => trace.meta === 'single').map(trace => trace.visible)"
    assert set(page.evaluate(visible)) == {False} and page.locator("#pareto .legend").count() == 0
    page.check("#single-runs")
    assert set(page.evaluate(visible)) == {True}
    page.wait_for_selector("#pareto .legend")
    page.uncheck("#single-runs")
    assert set(page.evaluate(visible)) == {False}


def test_the_same_figure_against_another_cost(page):
    page.select_option("#cost", "num_macs")
    page.wait_for_function("plot.layout.xaxis.title.text === 'MACs an image (log scale)'")
    star = page.evaluate("plot.data.find(trace => trace.name === 'LightCNN').x")
    assert list(star) == [508_352]
    texts = page.evaluate("plot.data.flatMap(trace => trace.hovertext ?? [])")
    assert all(text.startswith("<b>") for text in texts) and len({*texts}) > 50
    (light,) = {text for text in texts if text.startswith("<b>LightCNN</b>")}
    assert "508,352 MACs" in light or "6,218 parameters" in light
    page.wait_for_function("plot.layout.shapes[0].xanchor === 508352")
    page.select_option("#cost", "num_parameters")
    page.wait_for_function("plot.layout.xaxis.title.text === 'parameters (log scale)'")


def test_without_plotly_beside_it_the_page_says_so(browser, study, tmp_path):
    shutil.copy(study / "report.html", tmp_path)
    page = browser.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    page.locator("#no-plots").wait_for(state="visible")
    assert "--embed" in page.text_content("#no-plots")
    page.close()


def test_tables_sort_by_what_they_show(page, study):
    trials = page.locator("table.sortable", has_text="Every trial of the study")
    accuracy = trials.get_by_role("button", name="validation accuracy")
    accuracy.click()
    expected = read_study(study).trials.sort_values("val_accuracy")["val_accuracy"]
    column = [f"{100 * value:.2f} %" for value in expected]
    number = trials.locator("thead th").all_text_contents().index("validation accuracy") + 1
    assert trials.locator(f"tbody tr > :nth-child({number})").all_text_contents() == column
    accuracy.press("Enter")
    assert trials.locator(f"tbody tr > :nth-child({number})").all_text_contents() == column[::-1]
    assert trials.locator("thead th").nth(number - 1).get_attribute("aria-sort") == "descending"
    assert page.locator("[aria-sort]").count() == 1
    designs = page.locator("table.sortable", has_text="The reference and the designs beside it")
    claims = designs.locator("tbody tr > :nth-child(6)")
    for _ in ("upwards", "downwards"):  # designs without a claim stay last
        designs.get_by_role("button", name="paper's test accuracy").click()
        assert claims.all_text_contents()[-3:] == ["–"] * 3
    assert claims.all_text_contents()[0] == "99.00 %"


def test_a_phone_shows_it_without_sideways_scroll(browser, study):
    with opened(browser, study / "report.html", width=400) as page:
        page.evaluate(DRAW_ALL)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.locator("#pareto .annotation-text").all_text_contents() == ["LightCNN, 6,218"]


def test_dark_and_light_differ_in_page_and_plots(browser, study):
    seen = []
    for scheme in ("light", "dark"):
        with opened(browser, study / "report.html", color_scheme=scheme) as page:
            style = "selector => getComputedStyle(document.querySelector(selector))"
            paper = page.evaluate(f"({style})('body').backgroundColor")
            ink = page.evaluate(f"({style})('#pareto .annotation-text').fill")
            seen.append((paper, ink))
    (light_paper, light_ink), (dark_paper, dark_ink) = seen
    assert light_paper == "rgb(255, 255, 255)" and dark_paper == "rgb(20, 23, 26)"
    assert light_ink != dark_ink


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_no_serious_barrier_for_a_screen_reader(browser, study, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    with opened(browser, study / "report.html", width=width, color_scheme=scheme) as page:
        page.evaluate(DRAW_ALL)
        found = axe.Axe().run(page).response["violations"]
    assert [v["help"] for v in found if v["impact"] in ("serious", "critical")] == []


def test_a_study_of_another_time_and_hostile_names_shows_what_it_has(browser, tmp_path):
    """No settings, no curves, no times: no picker and no error. And what looks like a script is text."""
    tables = study_where(lambda it: -3.0, number=5)
    evil = "</script><script>alert(1)</script>"
    light = tables.designs.assign(val_accuracy=0.98)
    designs = pd.concat([light, light.assign(name=evil, architecture=evil)])
    trials = tables.trials.assign(num_macs=1, num_blocks=1, head="gap", seed=0)
    write_table(trials.astype({"trial": int}), tmp_path / "trials.csv")
    write_table(
        trials[["architecture", "num_parameters", "num_macs", "val_accuracy"]], tmp_path / "front.csv"
    )
    write_table(designs, tmp_path / "designs.csv")
    with opened(browser, write_report(tmp_path)) as page:
        assert page.locator("#picker").is_hidden() and page.locator("#design").is_hidden()
        assert page.locator("th", has_text=evil).count() == 1


@pytest.mark.parametrize("number", [1_000, 10_000])
def test_however_many_trials_a_page_is_under_3_megabytes_and_opens(number, browser, tmp_path, study):
    tables = study_where(lambda it: -2.0 - 0.2 * len(it.blocks), number, stopped=43 * number // 100)
    trials = tables.trials.assign(
        num_macs=123_456,
        peak_activation_bytes=31_360,
        num_blocks=3,
        head="flatten",
        val_loss=0.0512345,
        seed=1_000_000,
        reason="after 2 of 8 epochs 12 candidates with no more parameters had at least 20 % fewer errors",
    )
    trials.loc[trials["state"] == "COMPLETE", "reason"] = ""
    for name in ("designs.csv", "front.csv", "settings.json"):
        shutil.copy(study / name, tmp_path)
    write_table(trials, tmp_path / "trials.csv")
    write_table(tables.curves, tmp_path / "curves.csv")
    ended = pd.to_datetime(trials["trial"] * 10, unit="s").dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    write_table(pd.DataFrame({"trial": trials["trial"], "ended_at": ended}), tmp_path / "times.csv")
    page_file = write_report(tmp_path)
    assert page_file.stat().st_size < 3_000_000
    with opened(browser, page_file) as page:
        assert 1_000 < page.locator("#design-choice option").count() < 1_020
        assert page.locator("#excerpt").count() == (number > 1_000)
        page.evaluate(DRAW_ALL)
        assert page.locator("#timeline .main-svg").count()


def test_an_ablations_page_is_drawn_too(browser, tmp_path):
    for name in ("runs.csv", "summary.csv", "settings.json"):
        shutil.copy(REPORTS / "gap_removal" / name, tmp_path)
    with opened(browser, write_ablation_report(tmp_path)) as page:
        assert page.locator("#seeds .scatterlayer .trace").count() > 2
        summary = page.locator("table.sortable").first
        summary.get_by_role("button", name="parameters").click()
        assert summary.locator("tbody th").last.text_content() == "flatten + 128, same channels"


def test_pictures_are_drawn_where_there_is_a_browser(study, capsys):
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    assert main([str(study), "--pictures"]) == 0
    assert capsys.readouterr().out.split() == [
        str(study / name) for name in ("report.html", "report.png", "report.svg")
    ]
    assert (study / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "LightCNN, 6,218" in (study / "report.svg").read_text(encoding="utf-8")

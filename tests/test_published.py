"""What others have published, beside a study's front."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from lightcnn.errors import UserError
from search.report.page import write_report
from search.report.pareto_data import pareto_data
from search.report.pareto_plot import pareto_figure
from search.report.published import beside_the_front
from search.tables import read_study

STUDY = Path(__file__).parents[1] / "reports" / "mnist-defaults"
PUBLISHED = """\
dataset,num_parameters,accuracy,protocol,source
mnist,6000,0.995,best <epoch> on the test set,a/b
mnist,100,0.91,mean of 3 runs,
"""


@pytest.fixture
def folder(tmp_path):
    here = tmp_path / "it"
    shutil.copytree(STUDY, here, ignore=shutil.ignore_patterns("*.png", "*.svg", "*.html", "study.journal"))
    (here / "published.csv").write_text(PUBLISHED)
    return here


def test_each_has_the_front_at_its_size(folder):
    tables = read_study(folder)
    found = beside_the_front(tables)
    assert found["num_parameters"].tolist() == [100, 6_000]
    best = max(point.accuracy for point in pareto_data(tables).front if point.cost <= 6_000)
    assert np.isnan(found["best_here"].iloc[0]) and found["best_here"].iloc[1] == best


@pytest.mark.parametrize(("cost", "sizes"), [("num_parameters", [(6_000, 100)]), ("num_macs", [])])
def test_they_are_drawn_where_their_cost_is_known(cost, sizes, folder):
    traces = pareto_figure(read_study(folder), x=cost).data
    assert [trace.x for trace in traces if trace.name == "published by others"] == sizes


def test_the_page_says_how_each_was_measured(folder):
    write_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<h2>Published by others</h2>" in page and "best &lt;epoch&gt; on the test set" in page
    assert "<epoch>" not in page
    (folder / "published.csv").unlink()
    write_report(folder)
    assert "Published by others" not in (folder / "report.html").read_text(encoding="utf-8")


def test_a_damaged_table_is_one_line(folder):
    (folder / "published.csv").write_text("num_parameters,accuracy,protocol\n6000,99.5,best epoch\n")
    with pytest.raises(UserError, match=r"published\.csv:2: accuracy must be .*, but is '99\.5'"):
        read_study(folder)

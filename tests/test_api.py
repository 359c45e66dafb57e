"""What the commands do, called from Python: the same words, errors and tables as on the command line."""

import importlib
import inspect
import shutil
import subprocess
import sys

import pandas as pd
import pytest

import search
from lightcnn.architecture import parse
from lightcnn.data import DATASETS
from lightcnn.errors import Failure, UserError
from lightcnn.training import FAST
from search import (
    Ablation,
    Arm,
    ablation_command,
    pareto_figure,
    read_ablation,
    read_study,
    run,
    run_ablation,
    run_search,
)
from search.ablation_command import DATASET
from search.run_options import parser
from search.words import parse_words, signature

TASK = DATASETS[DATASET].task
SMALL = Ablation(
    "small",
    Arm("pooled", parse("4-pool4", TASK)),
    (Arm("flatten", parse("4-flatten", TASK)),),
    FAST,
    num_seeds=2,
)
TINY = {"trials": 2, "epochs": 1, "train_images": 600, "workers": 1, "no_baselines": True}


def as_arguments(words):
    """`words` as a user types them."""
    given = [(f"--{word.replace('_', '-')}", value) for word, value in words.items()]
    return [text for name, value in given for text in ([name] if value is True else [name, str(value)])]


def test_every_name_is_there_and_nothing_else():
    named = {name: getattr(search, name) for name in search.__all__}
    assert sorted(named) == search.__all__ == dir(search)
    assert all(it.__module__.startswith("search.") and it.__doc__ for it in named.values())
    with pytest.raises(AttributeError, match="module 'search' has no attribute 'run_everything'"):
        importlib.import_module("search").run_everything  # noqa: B018


def test_importing_search_imports_nothing_large():
    code = "import search, sys; print(*sorted({'torch', 'pandas', 'optuna', 'plotly'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "\n"


def test_the_words_are_the_options():
    words = signature(parser()).parameters
    options = set(parser()._option_string_actions) - {"-h", "--help"}
    assert {f"--{word.replace('_', '-')}" for word in words} == options
    assert inspect.signature(run_search).parameters == words
    assert words["seeds"].default == 5 and words["trials"].default is words["trials"].empty


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ({"trials": 3}, "--trials 3"),
        ({"trials": 3, "no_baselines": True, "fresh": False}, "--trials 3 --no-baselines"),
        ({"trials": 3, "name": None}, "--trials 3"),
        ({"trials": 3, "widths": (4, 64)}, "--trials 3 --widths 4:64"),
        ({"trials": 3, "widths": "4:64"}, "--trials 3 --widths 4:64"),
        ({"trials": 3, "heads": ["gap", "pool2"]}, "--trials 3 --heads gap,pool2"),
        ({"trials": 3, "place": "4-gap"}, "--trials 3 --place 4-gap"),
        ({"trials": 3, "place": ["4-gap", "5-gap"]}, "--trials 3 --place 4-gap --place 5-gap"),
        ({"trials": 3, "reference": parse("4-gap", TASK)}, "--trials 3 --reference 4-gap"),
        ({"trials": 3, "name": "-it's"}, "--trials 3 '--name=-it'\"'\"'s'"),
    ],
)
def test_words_as_a_command_line(words, arguments):
    options = parse_words(parser(), words)
    assert options.command == f"python -m search.run {arguments}"
    assert options.trials == 3


WRONG = [
    {},
    {"trials": 0},
    {"trials": 2.5},
    {"trials": 2, "trails": 3},
    {"trials": 2, "sampler": "oracle"},
    {"trials": 2, "heads": "gap,pool1"},
    {"trials": 2, "widths": "9:4"},
    {"trials": 2, "weights": "int8"},
    {"trials": 2, "max_parameters": 3},
    {"trials": 2, "place": "4-gap", "seeds": 0},
    {"trials": 2, "reference": "4-tap"},
    {"trials": 2, "dataset": "nowhere"},
    {"trials": 2, "name": "../it"},
    {"trials": 2, "train_images": 60_000},
    {"trials": 2, "devices": "cuda:99"},
    {"trials": 2, "initialisation": "zeros"},
]


@pytest.mark.parametrize("words", WRONG, ids=lambda words: str(list(words.values())))
def test_what_is_wrong_is_raised_with_the_words_of_the_command_line(words, tmp_path, capsys, mnist_folder):
    words = words | {"out": tmp_path / "reports"}
    with pytest.raises(UserError) as raised:
        run_search(**words)
    with pytest.raises(SystemExit) as ended:
        run.main(as_arguments(words))
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {raised.value}\n"
    assert not list((tmp_path / "reports").glob("*/*")), "something was begun"


def test_a_flag_is_true_or_false():
    with pytest.raises(UserError, match="--no-baselines must be True or False, but got 'yes'"):
        run_search(trials=2, no_baselines="yes")


def test_a_failure_is_raised(tmp_path, monkeypatch, mnist_folder):
    def fail(*arguments):
        raise Failure("the machine is on fire")

    monkeypatch.setattr(run, "search", fail)
    with pytest.raises(Failure, match="the machine is on fire"):
        run_search(trials=1, out=tmp_path, workers=1)


def test_an_ablations_words(tmp_path, capsys):
    with pytest.raises(UserError) as raised:
        run_ablation(SMALL, seeds=0, out=tmp_path)
    with pytest.raises(SystemExit):
        ablation_command.main(SMALL, None, argv=["--seeds", "0", "--out", str(tmp_path)])
    assert capsys.readouterr().err == f"error: {raised.value}\n"
    with pytest.raises(UserError, match="unrecognized arguments: --trials 3"):
        run_ablation(SMALL, trials=3)


def test_options_in_the_environment(monkeypatch, capsys):
    monkeypatch.setenv("LIGHTCNN_OPTIONS", "--trials 4 --embed --x num_macs --seeds=1 --no-baselines")
    options = parse_words(parser(), {"trials": 30, "seeds": 5})
    assert (options.trials, options.seeds, options.no_baselines) == (4, 1, True)
    added = "--trials 4 --seeds=1 --no-baselines"
    assert capsys.readouterr().err == f"LIGHTCNN_OPTIONS adds {added}\n"
    assert options.command == f"python -m search.run --trials 30 --seeds 5 {added}"
    monkeypatch.setenv("LIGHTCNN_OPTIONS", "--name 'it")
    with pytest.raises(
        UserError, match="LIGHTCNN_OPTIONS must be options as for a shell, but No closing quo"
    ):
        parse_words(parser(), {"trials": 30})
    monkeypatch.setenv("LIGHTCNN_OPTIONS", "")
    assert parse_words(parser(), {"trials": 30}).command == "python -m search.run --trials 30"


@pytest.mark.parametrize(
    ("others", "x", "said"),
    [
        (0, "seconds", "x must be one of num_parameters, num_macs, peak_activation_bytes, but got 'seconds'"),
        (4, "num_macs", "a plot has room for 3 other studies, but got 4"),
    ],
)
def test_a_figure_that_cannot_be(others, x, said):
    tables = read_study("reports/mnist-defaults")
    with pytest.raises(UserError) as raised:
        pareto_figure(tables, *[tables] * others, x=x)
    assert str(raised.value) == said


def untimed(folder):
    """The bytes of each table in `folder`, without the times of the clock."""
    kept = {}
    for path in sorted(folder.glob("*.csv")):
        table = pd.read_csv(path, dtype=str).drop(columns=["seconds", "ended_at", "read_at"], errors="ignore")
        kept[path.name] = table.to_csv()
    return kept


@pytest.mark.slow
def test_a_call_and_a_command_leave_the_same(tmp_path, mnist_folder, capsys):
    words = TINY | {"seeds": 1, "reference": "4-gap", "widths": "2:6", "max_blocks": 2, "place": "3-pool2"}
    called, typed, resumed = (tmp_path / name for name in ("called", "typed", "resumed"))
    tables = run_search(**words, out=called)
    progress = capsys.readouterr()
    assert progress.out == "" and progress.err.startswith("search 1/2: ")
    assert run.main([*as_arguments(words), "--out", str(typed)]) == 0
    assert untimed(called / "mnist") == untimed(typed / "mnist")
    settings = [(it / "mnist" / "settings.json").read_text().replace(it.name, "") for it in (called, typed)]
    assert settings[0] == settings[1]
    # Of the same runs, every byte.
    shutil.copytree(typed, resumed)
    again = run_search(**words, out=resumed)
    for path in (typed / "mnist").glob("*.csv"):
        assert (resumed / "mnist" / path.name).read_bytes() == path.read_bytes(), path.name
    expected = read_study(typed / "mnist")
    for name in ("trials", "front", "designs", "test_readings", "curves", "times"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(expected, name))
    assert tables.trials["num_parameters"].dtype == int
    assert tables.reference.name == "4-gap" and "3-pool2" in set(tables.designs["name"])
    assert pareto_figure(tables).data and pareto_figure(tables, expected, x="num_macs").data


@pytest.mark.slow
def test_an_ablation_called_and_commanded(tmp_path, mnist_folder, capsys):
    words = {"seeds": 2, "epochs": 1, "train_images": 3_000, "workers": 1}
    called, typed = tmp_path / "called", tmp_path / "typed"
    tables = run_ablation(SMALL, "Is pooling enough?\n\nNearly.", **words, out=called)
    assert capsys.readouterr().out == ""
    arguments = [*as_arguments(words), "--out", str(typed)]
    assert ablation_command.main(SMALL, "Is pooling enough?\n\nNearly.", argv=arguments) == 0
    assert capsys.readouterr().out.startswith("pooled (690 parameters) reaches ")
    assert untimed(called / "small") == untimed(typed / "small")
    assert (called / "small" / "summary.csv").read_bytes() == (typed / "small" / "summary.csv").read_bytes()
    assert tables.summary["difference"].notna().sum() == 1
    pd.testing.assert_frame_equal(tables.summary, read_ablation(typed / "small").summary)
    assert tables.summary["arm"].tolist() == ["pooled", "flatten"] and len(tables.runs) == 4
    page = (called / "small" / "report.html").read_text(encoding="utf-8")
    assert "Is pooling enough?" in page and "run_ablation(small) --seeds 2" in page

"""Whatever a file or an option holds, it is read or refused by one line; and nothing is unpickled."""

import ast
import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import SETTINGS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightcnn.architecture import Task, parse
from lightcnn.data import DATASETS
from lightcnn.errors import UserError
from lightcnn.training import FAST, Epoch
from search.command import Parser, at_least
from search.execution.checkpoints import Checkpoints
from search.execution.runs import Run, RunProgress, TrainingData
from search.settings import FORMAT, SearchSettings, SettingsFile, agree, read, recorded
from search.stopping import StoppingRule
from search.storage import move_aside, only_driver, open_study, study_folder
from search.tables import (
    CURVES,
    DESIGNS,
    FRONT,
    PUBLISHED,
    REPLAYS,
    RUNS,
    SUMMARY,
    TEST_READINGS,
    TIMES,
    TRIALS,
    read_study,
)

TABLES = (TRIALS, FRONT, DESIGNS, RUNS, SUMMARY, TEST_READINGS, CURVES, TIMES, PUBLISHED, REPLAYS)
FILES = {table.file: table for table in TABLES}

ROOT = Path(__file__).parents[1]
many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def or_one_line(function, *arguments):
    """What `function` gives; None if it refuses with a UserError of one line."""
    try:
        return function(*arguments)
    except UserError as error:
        assert str(error) and "\n" not in str(error)
        return None


@given(
    content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode), name=st.sampled_from([*FILES])
)
@many
def test_any_bytes_are_a_table_or_refused(content, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    or_one_line(FILES[name].read, tmp_path)


CELLS = st.text(max_size=8) | st.sampled_from(["", "nan", "inf", "-1", "0.5", "1e999", "COMPLETE", "8-gap"])


@given(data=st.data(), name=st.sampled_from([*FILES]))
@many
def test_any_cells_are_a_table_or_refused(data, name, tmp_path):
    header = FILES[name].required
    lines = [data.draw(st.lists(CELLS, min_size=len(header), max_size=len(header))) for _ in range(2)]
    (tmp_path / name).write_text("\n".join(map(",".join, [header, *lines])), encoding="utf-8", newline="")
    or_one_line(FILES[name].read, tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abs"), inner, max_size=3),
)


@given(
    content=JSON.map(json.dumps) | st.text(max_size=50) | JSON.map(lambda it: json.dumps({"settings": it}))
)
@many
def test_any_settings_agree_or_are_refused(content, tmp_path):
    (tmp_path / "settings.json").write_text(content, encoding="utf-8", newline="")
    try:
        agree(tmp_path, SettingsFile(SETTINGS, {}))
        assert read(tmp_path / "settings.json", SearchSettings).settings == SETTINGS
    except UserError as error:
        assert "\n" not in str(error)
        assert (tmp_path / "settings.json").read_bytes() == content.encode()


@given(parts=st.tuples(JSON | st.integers(1, 3), JSON | st.just(recorded(SETTINGS)), JSON, JSON))
@many
def test_any_format_and_any_rest_agree_or_are_refused(parts, tmp_path):
    content = json.dumps(dict(zip(("format", "settings", "placed", "about"), parts, strict=True)))
    (tmp_path / "settings.json").write_text(content)
    or_one_line(agree, tmp_path, SettingsFile(SETTINGS, {}))


WHOLE = recorded(replace(SETTINGS, stopping=StoppingRule((1,), 1, 0.2)))


def places(value, path=()):
    """Where each part of `value` stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*path, key)
        yield from places(part, (*path, key))


@given(path=st.sampled_from([*places(WHOLE)]), value=JSON | st.floats() | st.sampled_from([0, -1, 10**30]))
@many
def test_any_part_of_the_settings_is_read_or_refused(path, value, tmp_path):
    damaged = copy.deepcopy(WHOLE)
    *outer, last = path
    part = damaged
    for key in outer:
        part = part[key]
    part[last] = value
    (tmp_path / "settings.json").write_text(json.dumps({"format": FORMAT, "settings": damaged}))
    if (file := or_one_line(read, tmp_path / "settings.json", SearchSettings)) is not None:
        assert recorded(file.settings).keys() == WHOLE.keys()


@given(
    name=st.text(max_size=20)
    | st.sampled_from(["..", "a/../..", "/", "~", "con", "a\x00", "..\\up", "x" * 300])
)
@many
def test_no_name_leads_out_of_the_reports(name, tmp_path):
    out = tmp_path / "reports"
    folder = or_one_line(study_folder, out, name)
    assert folder is None or folder.resolve().parent == out.resolve()
    assert [path.name for path in tmp_path.iterdir()] in ([], ["reports"])


@given(content=st.binary(max_size=300))
@many
def test_any_journal_opens_or_is_refused(content, tmp_path):
    (tmp_path / "study.journal").write_bytes(content)
    or_one_line(open_study, tmp_path, lambda line: None)


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("journal")
    study = open_study(folder, print)
    for value in range(4):
        trial = study.ask()
        trial.suggest_int("width_1", 2, 32)
        study.tell(trial, [value / 4, 100])
    return (folder / "study.journal").read_bytes()


@given(cut=st.integers(0, 10**6))
@many
def test_a_journal_cut_anywhere_goes_on_with_what_was_whole(cut, journal, tmp_path):
    torn = journal[: cut % (len(journal) + 1)]
    (tmp_path / "study.journal").write_bytes(torn)
    study = open_study(tmp_path, lambda line: None)
    told = torn[: torn.rfind(b"\n") + 1].count(b'"op_code":6')
    assert [trial.values for trial in study.trials if trial.state.is_finished()] == [
        [value / 4, 100] for value in range(told)
    ]
    study.tell(study.ask(), [1.0, 1])
    assert open_study(tmp_path, lambda line: None).trials[-1].values == [1.0, 1]


RUN = Run(parse("2-gap", Task(28, 1, 10)), FAST, 0, TrainingData(DATASETS["mnist"], Path("nowhere")))


@given(content=st.binary(max_size=100), cut=st.integers(0, 10**6), at=st.integers(0, 10**6))
@many
def test_any_unfinished_run_is_read_or_begins_again(content, cut, at, tmp_path):
    unfinished = Checkpoints(tmp_path, lambda line: None)
    progress = RunProgress(RUN, (Epoch(1, 2.0, 0.25, 2.5),), b"state", False, 3.5)
    unfinished.keep(progress)
    path = tmp_path / "unfinished" / "2-gap.0"
    whole = path.read_bytes()
    path.write_bytes(content)
    assert unfinished.begun(RUN) == RunProgress(RUN)
    path.write_bytes(whole[: cut % len(whole)])
    assert unfinished.begun(RUN) == RunProgress(RUN)
    path.write_bytes(whole)
    assert unfinished.begun(RUN) == progress


@given(text=st.text(max_size=12))
@many
def test_any_number_is_one_in_range_or_refused(text, capsys):
    parser = Parser("it", "")
    parser.add_argument("--number", type=at_least(1, 99))
    try:
        assert 1 <= parser.parse_args([f"--number={text}"]).number <= 99
    except SystemExit as exit:
        said = capsys.readouterr().err
        assert (
            exit.code == 2 and said.startswith("error: argument --number: must be") and said.count("\n") == 1
        )


@given(names=st.lists(st.sampled_from(["trials.csv", "front.csv", "designs.csv"]), max_size=3))
@many
def test_a_study_without_some_of_its_files_is_refused(names, tmp_path):
    for name in ("trials.csv", "front.csv", "designs.csv"):
        (tmp_path / name).unlink(missing_ok=True)
    for name in names:
        (tmp_path / name).write_text(",".join(FILES[name].required) + "\n")
    assert or_one_line(read_study, tmp_path) is None  # at best a study without LightCNN


def test_what_is_moved_aside_is_never_moved_over(tmp_path):
    folder = study_folder(tmp_path, "it")
    asides = set()
    for i in range(5):
        (folder / "mine").write_text(str(i))
        asides.add(move_aside(folder))
    assert sorted((aside / "mine").read_text() for aside in asides) == [*"01234"]


def test_half_written_files_of_a_dead_driver_are_cleared_away(tmp_path):
    (tmp_path / "weights").mkdir()
    partials = [tmp_path / ".runs.csv-abc.partial", tmp_path / "weights" / ".4-gap.0.pt-x.partial"]
    for path in (*partials, tmp_path / "mine.partial"):
        path.write_text("half")
    with only_driver(tmp_path):
        assert not any(path.exists() for path in partials) and (tmp_path / "mine.partial").exists()


UNPICKLING = {
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "joblib.load",
    "pd.read_pickle",
    "eval",
    "exec",
}


@pytest.mark.parametrize(
    "path",
    sorted(path for package in ("lightcnn", "search", "studies") for path in (ROOT / package).rglob("*.py")),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_nothing_is_unpickled(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert name not in UNPICKLING
            assert name != "torch.load" or options.get("weights_only") == "True"
            assert name != "np.load" or options.get("allow_pickle", "False") == "False"

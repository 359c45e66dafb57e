"""Imports point one way: studies -> search -> lightcnn."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "lightcnn": {"lightcnn"},
    "search": {"lightcnn", "search"},
    "studies": {"lightcnn", "search", "studies"},
}
NOT_FOR_THE_NETWORK = {"optuna", "joblib", "plotly", "pandas"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package):
    ours = set(MAY_IMPORT)
    for path in (ROOT / package).rglob("*.py"):
        tops = {name.split(".")[0] for name in imported(path)}
        assert tops & ours <= MAY_IMPORT[package], path
        if package == "lightcnn":
            assert not tops & NOT_FOR_THE_NETWORK, path


def test_the_guards_see_every_room():
    rooms = {path.parent.name for path in (ROOT / "search").rglob("*.py")}
    assert {"search", "execution", "report", "export"} <= rooms


def test_execution_knows_nothing_of_reports():
    for path in (ROOT / "search" / "execution").rglob("*.py"):
        assert not [name for name in imported(path) if name.startswith(("search.report", "search.export"))]


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_study_imports(path):
    assert importlib.import_module(f"studies.{path.stem}").__doc__


def test_only_evaluation_reaches_the_test_images():
    readers = {
        path.relative_to(ROOT).as_posix()
        for package in MAY_IMPORT
        for path in (ROOT / package).rglob("*.py")
        if "load_test_images" in path.read_text(encoding="utf-8")
    }
    assert readers == {"lightcnn/data.py", "search/evaluation.py"}

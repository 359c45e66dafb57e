"""How a command ends: done, refused, failed, interrupted, or by a fault of the program itself."""

import errno

import pytest

from lightcnn.data import DataError
from lightcnn.errors import Failure, UserError
from search import run
from search.command import RESUMES, Parser, run_command
from search.report.__main__ import main as report


def ended(capsys, error=None):
    """Exit code, and what stood on stderr, of a command whose work raises `error`."""

    def work():
        if error is not None:
            raise error

    try:
        code = run_command(Parser("it", ""), work)
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


def test_done(capsys):
    assert ended(capsys) == (0, "")


@pytest.mark.parametrize("kind", [UserError, DataError])
def test_a_users_error_is_one_line(kind, capsys):
    assert ended(capsys, kind("--seed must be\n  one number")) == (
        2,
        "error: --seed must be one number\n",
    )


@pytest.mark.parametrize(
    "error", [ValueError("zip() argument 2 is longer"), KeyError("seed"), RuntimeError("no")]
)
def test_a_fault_of_the_program_shows_its_traceback_and_asks_for_a_report(error, capsys):
    code, said = ended(capsys, error)
    first, *_, raised, asked = said.splitlines()
    assert code == 1 and first == "Traceback (most recent call last):"
    assert raised == f"{type(error).__name__}: {error}"
    assert asked == f"this is a fault of the program, please report it with the lines above; {RESUMES}"
    assert "in work" in said and "    raise error" in said


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Failure("no trial could be trained"), "failed: no trial could be trained\n"),
        (OSError(errno.EACCES, "Permission denied"), "failed: [Errno 13] Permission denied\n"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            f"failed: [Errno 28] No space left on device; {RESUMES}\n",
        ),
    ],
)
def test_a_failure_around_the_program_is_one_line(error, line, capsys):
    assert ended(capsys, error) == (1, line)


def test_an_interruption_is_one_line(capsys):
    assert ended(capsys, KeyboardInterrupt()) == (130, f"interrupted; {RESUMES}\n")


def test_a_fault_within_a_search_keeps_its_study(tmp_path, monkeypatch, capsys, mnist_folder):
    def fault(*arguments):
        raise ValueError("zip() argument 2 is shorter than argument 1")

    monkeypatch.setattr(run, "search", fault)
    arguments = ["--trials", "1", "--out", str(tmp_path), "--name", "it", "--workers", "1"]
    assert run.main(arguments) == 1
    said = capsys.readouterr().err
    assert "Traceback (most recent call last):" in said and "in fault" in said
    assert said.splitlines()[-2] == "ValueError: zip() argument 2 is shorter than argument 1"
    assert "please report it" in said.splitlines()[-1]
    assert {"settings.json", "study.journal"} <= {path.name for path in (tmp_path / "it").iterdir()}


def test_a_fault_within_a_report_is_no_users_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("search.report.__main__.write_report", lambda *_: [].index(1))
    assert report([str(tmp_path)]) == 1
    assert "ValueError" in capsys.readouterr().err

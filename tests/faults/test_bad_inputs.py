"""Every bad input has its one line and exit code 2, and leaves the study as it was."""

import pytest

from tests.faults.bad_inputs import BAD_INPUTS, attempt, copy_of, tiny_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory, mnist_folder):
    return tiny_study(tmp_path_factory.mktemp("study") / "out")


def test_there_are_many():
    assert len({(case.command, case.done) for case in BAD_INPUTS}) == len(BAD_INPUTS) >= 60


@pytest.mark.parametrize("case", BAD_INPUTS, ids=lambda case: f"{case.command} {case.done}".strip())
def test_bad_input(case, study, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    copy_of(study, tmp_path)
    before = files(tmp_path)
    code, said, expected = attempt(case, tmp_path)
    assert (code, said) == (2, expected)
    if case.damage is None:
        assert files(tmp_path) == before


def files(folder):
    """The study's files and what they hold, and that there is no other."""
    return {p: p.read_bytes() for p in (folder / "out").rglob("*") if p.is_file() and p.suffix != ".lock"}

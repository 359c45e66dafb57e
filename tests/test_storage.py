"""A study's folder: whole files, one driver, a journal that heals."""

import errno
import json
import os
import signal
import subprocess
import sys
from functools import partial

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._storage import JournalStorageReplayResult
from optuna.trial import TrialState

from lightcnn.errors import UserError
from search.storage import (
    look_at_study,
    move_aside,
    only_driver,
    open_study,
    study_folder,
    uninterrupted,
    write_table,
    write_whole,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    write_table(pd.DataFrame({"name": ["a, b"], "value": [None]}), path)
    assert path.read_text() == 'name,value\n"a, b",\n'
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \ud800")
    assert path.read_text() == 'name,value\n"a, b",\n'
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "/etc", ".hidden", "a\nb", "a\0b"])
def test_names_cannot_lead_out_of_the_reports(name, tmp_path):
    with pytest.raises(ValueError) as caught:
        study_folder(tmp_path, name)
    assert str(caught.value) == f"--name must be the name of one folder in {tmp_path}, but got {name!r}"
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(
        ValueError, match=r"--out must be a folder that can be written, but got .*Not a directory"
    ):
        study_folder(file, "study")
    with pytest.raises(ValueError, match="but got /proc/reports/study: No such file or directory"):
        study_folder(type(tmp_path)("/proc/reports"), "study")
    assert study_folder(tmp_path / "new" / "reports", "study").is_dir()


def test_one_driver_at_a_time(tmp_path):
    folder = study_folder(tmp_path, "study")
    program = f"""
from pathlib import Path; import time
from search.storage import only_driver
with only_driver(Path({str(folder)!r})):
    print("held", flush=True)
    time.sleep(600)
"""
    other = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match="study is in use by another run; wait for it"), only_driver(folder):
        pass
    other.kill()
    other.communicate()
    with only_driver(folder):  # a dead driver leaves no lock behind
        pass


@pytest.fixture
def handle_interrupt():
    """A function that sets how Ctrl-C is taken; whatever started these tests may have it ignored."""
    before = signal.getsignal(signal.SIGINT)
    yield partial(signal.signal, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_an_interruption_waits_for_what_must_not_be_broken_off(handle_interrupt):
    handle_interrupt(signal.default_int_handler)
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append("after the signal")
    assert done == ["after the signal"]
    with pytest.raises(KeyboardInterrupt):  # and then they are taken at once again
        signal.raise_signal(signal.SIGINT)
    handle_interrupt(signal.SIG_IGN)  # as in a shell's background
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)


def test_fresh_moves_aside_and_deletes_nothing(tmp_path):
    folder = study_folder(tmp_path, "study")
    assert move_aside(folder) is None
    (folder / "settings.json").write_text("{}")
    aside = move_aside(folder)
    assert (aside / "settings.json").exists()
    assert list(folder.iterdir()) == []


def test_a_torn_journal_heals(tmp_path):
    said = []
    study = open_study(tmp_path, said.append)
    for value in range(3):
        study.tell(study.ask(), [value, 1])
    journal = tmp_path / "study.journal"
    whole = journal.read_bytes()
    (tmp_path / "study.journal.lock").symlink_to(journal)  # of Optuna's own writer; ours waits for none
    for torn in range(1, 40, 7):
        journal.write_bytes(whole + whole.splitlines()[-1][:torn])
        again = open_study(tmp_path, said.append)
        assert [trial.values for trial in again.trials] == [[0, 1], [1, 1], [2, 1]]
        assert journal.read_bytes().startswith(whole)  # and what opening it adds
    assert said == [f"{journal}: cut off a last line that was not written to its end"] * 6
    again.tell(again.ask(), [3, 1])
    assert len(open_study(tmp_path, said.append).trials) == 4
    for damaged in (whole[:20] + b"\n" + whole[20:], whole + b"[1]\n", whole + b"{}\n", b"\xff\n"):
        journal.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"must be an Optuna journal, but is damaged"):
            open_study(tmp_path, said.append)


def test_what_a_step_tells_the_journal_is_synced_once_when_it_ends(tmp_path, monkeypatch):
    study = open_study(tmp_path, print)
    journal = tmp_path / "study.journal"
    synced = []  # size of the journal whenever it was handed to the disk
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    with pytest.raises(ZeroDivisionError), uninterrupted():
        with uninterrupted():
            trial = study.ask()
        trial.suggest_int("width", 2, 32, log=True)
        study.tell(trial, [0.5, 1])
        assert len(look_at_study(tmp_path).trials) == 1  # others read it already
        assert synced == []
        raise ZeroDivisionError  # what was told before a fault is kept as well
    assert synced == [journal.stat().st_size]
    study.ask()
    assert synced[1:] == [journal.stat().st_size]  # outside a step each entry for itself


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ({"op_code": 11, "worker_id": "a"}, "AssertionError: Should not reach."),
        ({"op_code": 2, "worker_id": "a"}, "KeyError: 'study_id'"),
    ],
)
def test_a_journal_of_a_later_optuna_is_not_damaged(line, cause, tmp_path):
    open_study(tmp_path, print)
    journal = tmp_path / "study.journal"
    with journal.open("a") as file:
        file.write(f"{json.dumps(line)}\n")
    told = (
        f"{journal} must be a journal that Optuna {optuna.__version__} can read, but holds what that does "
        f"not know ({cause}); the later version that wrote it reads it"
    )
    with pytest.raises(UserError) as caught:
        look_at_study(tmp_path)
    assert str(caught.value) == told
    with pytest.raises(UserError) as caught:
        open_study(tmp_path, print)
    assert str(caught.value) == f"{told}; --fresh starts over"


def test_a_study_needs_no_symbolic_links(tmp_path, monkeypatch):
    def no_links(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")  # as vfat and exfat say

    monkeypatch.setattr(os, "symlink", no_links)
    with only_driver(study_folder(tmp_path, "it")):
        study = open_study(tmp_path / "it", print)
        study.tell(study.ask(), [0.5, 1])
    assert len(look_at_study(tmp_path / "it").trials) == 1


def test_a_renamed_folder_keeps_its_study(tmp_path):
    folder = study_folder(tmp_path, "before")
    study = open_study(folder, print)
    study.tell(study.ask(), [0.5, 100])
    renamed = folder.rename(tmp_path / "after")
    assert [trial.values for trial in open_study(renamed, print).trials] == [[0.5, 100]]


def test_optuna_opens_the_journal(tmp_path):
    study = open_study(tmp_path, print)
    study.tell(study.ask(), [0.5, 100])
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.journal"))
    )
    loaded = optuna.load_study(study_name=tmp_path.name, storage=storage)
    assert [direction.name for direction in loaded.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_trials_are_those_that_optuna_has(tmp_path):
    path = tmp_path / "study.journal"
    study, seen = open_study(tmp_path, print), []
    watching = look_at_study(tmp_path)  # whose storage hears of everything later
    states = [None, (TrialState.WAITING,), (TrialState.RUNNING, TrialState.WAITING), (TrialState.COMPLETE,)]
    states += [(TrialState.COMPLETE, TrialState.RUNNING), ()]
    for step in range(12):
        if step % 4 == 0:
            study.enqueue_trial({"x": 0.5})
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        if step % 3:
            trial.set_user_attr("step", step)
            study.tell(trial, [step, 1])
        elif step > 6:
            study.tell(1 if step == 9 else trial.number, state=TrialState.FAIL, skip_if_finished=True)
        plain = JournalStorage(JournalFileBackend(str(path)))
        for wanted in states:
            expected = plain.get_all_trials(0, states=wanted)
            assert study.get_trials(states=wanted) == watching.get_trials(states=wanted) == expected
        seen.append(len(expected))
    study.get_trials()[0].user_attrs["step"] = "spoilt"  # a copy
    assert study.get_trials() == watching.get_trials()


def test_a_trial_that_is_over_is_not_looked_at_again(tmp_path, monkeypatch):
    study, looks = open_study(tmp_path, print), []
    get = JournalStorageReplayResult.get_trial
    monkeypatch.setattr(
        JournalStorageReplayResult, "get_trial", lambda self, it: looks.append(it) or get(self, it)
    )
    for _ in range(30):
        begun = study.ask()
        study.tell(begun, [0, 0])
        looks.clear()
        study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        study.get_trials(deepcopy=False)
        assert len(looks) <= 2

"""Faults done to real searches on real MNIST: each scene fails if anything that was finished is lost.

A scene is given a folder, what to draw its moments from, and how often; it says in a sentence what held.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil

from lightcnn.architecture import Task, parse
from lightcnn.data import DATASETS
from lightcnn.fetching import find_files
from lightcnn.training import FAST, train
from search.execution.runs import TrainingData, images_of

MNIST = Task(image_size=28, in_channels=1, num_classes=10)
NUM_TRAIN_IMAGES = 300
PLACE = ["--max-parameters", 400, "--workers", 2, "--no-baselines"]
SMALL = ["--train-images", NUM_TRAIN_IMAGES, *PLACE]
SEARCH_ONLY = ["--trials", 8, "--epochs", 3, "--seeds", 0, *SMALL]
WITH_RETRAINING = ["--trials", 3, "--epochs", 1, "--seeds", 1, *SMALL]
# Which still trains when a line of it has been read, and another driver has started.
LONGER = ["--trials", 30, "--epochs", 8, "--seeds", 0, "--train-images", 50_000, *PLACE]

LINE = re.compile(r"^(search|re-training) \d+/\d+: (\S+), [\d,]+ parameters, (.*), \d+ s$", re.MULTILINE)
GOES_ON = "what was finished is kept, and the same command resumes it"
KEPT = f"interrupted; {GOES_ON}"


class Victim:
    """`python -m search.run` in a session of its own, its stderr in a file."""

    def __init__(self, out: Path, arguments, preexec=lambda: None, under=()):
        handle, name = tempfile.mkstemp(prefix="said-")
        self._said = Path(name)

        def before() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background ignores it
            preexec()

        command = [*under, sys.executable, "-m", "search.run", *map(str, arguments)]
        command += ["--out", str(out), "--name", "it"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=handle, start_new_session=True, preexec_fn=before
        )
        os.close(handle)
        self._family = psutil.Process(self.process.pid)

    def workers(self) -> list[psutil.Process]:
        try:
            return [p for p in self._family.children() if "LokyProcess" in str(p.cmdline())]
        except psutil.Error:
            return []

    def said(self) -> str:
        return self._said.read_text()

    def wait_for_lines(self, number: int) -> None:
        while len(self.said().splitlines()) < number and self.process.poll() is None:
            time.sleep(0.05)
        assert self.process.poll() is None, self.said()

    def ended(self, code: int) -> str:
        """Wait for the end with `code`; no process may be left. What was said on stderr."""
        children = self._children()
        assert self.process.wait(timeout=300) == code, self.said()
        self._no_orphans(children)
        assert "Traceback" not in self.said(), self.said()
        return self._last_words()

    def kill(self) -> str:
        children = self._children()
        self.process.kill()
        self.process.wait()
        self._no_orphans(children)
        return self._last_words()

    def _last_words(self) -> str:
        said = self.said()
        self._said.unlink()
        return said

    def _children(self) -> list[psutil.Process]:
        try:
            return self._family.children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _no_orphans(self, children: list[psutil.Process]) -> None:
        left = psutil.wait_procs(children, timeout=30)[1]
        assert not [p for p in left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def finish(out: Path, arguments) -> str:
    """Give the command until it is done: an end by repeated deaths keeps all, and it goes on."""
    return Victim(out, arguments).ended(0)


def check(out: Path, arguments, said: str) -> pd.DataFrame:
    """That the study in `out` is whole: exactly what was asked for, and all that its drivers `said`."""
    folder = out / "it"
    trials = pd.read_csv(folder / "trials.csv")
    num_trials = arguments[arguments.index("--trials") + 1]
    assert trials["trial"].nunique() == trials["architecture"].nunique() == len(trials) == num_trials
    ended = LINE.findall(said)
    searched = [(text, result) for part, text, result in ended if part == "search"]
    # Each is told once, by whichever driver: none was lost and trained again, or counted twice.
    assert max(Counter(text for text, _ in searched).values(), default=1) == 1, searched
    accuracies = trials.set_index("architecture")["val_accuracy"]
    for text, result in searched:
        assert f"{accuracies[text]:.2%}" in result
    if (folder / "runs.csv").exists():
        runs = pd.read_csv(folder / "runs.csv")
        told = Counter(text for part, text, _ in ended if part == "re-training")
        assert set(told.values()) <= {1} and told.keys() <= set(runs["architecture"])
        assert not runs.duplicated(["architecture", "seed"]).any() and runs["test_accuracy"].notna().all()
        assert len(runs) >= 1
    assert not (folder / "unfinished").exists()
    assert not [path for path in out.rglob("*") if path.name.endswith(".partial")]
    return trials


def kill_drivers(out: Path, rng: random.Random, number: int) -> str:
    """SIGKILL at random moments of searches and re-trainings, then the same command to its end."""
    killed, studies = 0, 0
    while killed < number:
        arguments = (SEARCH_ONLY, WITH_RETRAINING)[studies % 2]
        folder, said = out / str(studies), ""
        for _ in range(min(5, number - killed)):
            victim = Victim(folder, arguments)
            try:
                # The first seconds are the start, where nothing can be lost.
                victim.process.wait(timeout=rng.uniform(3, 16))
            except subprocess.TimeoutExpired:
                said += victim.kill()
                killed += 1
            else:
                said += victim.ended(0)
                break
        said += finish(folder, arguments)
        check(folder, arguments, said)
        studies += 1
    return f"{studies} studies ended with exactly the trials asked for; no run was lost or counted twice"


def kill_workers(out: Path, rng: random.Random, number: int) -> str:
    """SIGKILL of random workers at random moments; each run then ends as if nothing had been."""
    killed, studies, num_trials, failed = 0, 0, 0, 0
    while killed < number:
        folder = out / str(studies)
        victim, said = Victim(folder, SEARCH_ONLY), ""
        while killed < number and victim.process.poll() is None:
            if workers := victim.workers():
                time.sleep(rng.uniform(0.2, 6))
                worker = rng.choice(workers)
                if worker.is_running():
                    worker.kill()
                    killed += 1
            time.sleep(0.1)
        # Five failures in a row end a search, by its rule; the same command goes on.
        while victim.process.wait(timeout=300) != 0:
            said += victim.ended(1)
            assert "runs in a row failed" in said or "no worker can train here" in said
            victim = Victim(folder, SEARCH_ONLY)
        said += victim.ended(0)
        trials = check(folder, SEARCH_ONLY, said)
        num_trials += len(trials)
        for trial in trials.itertuples():
            if trial.state == "FAILED":
                failed += 1
                assert trial.reason.startswith("TerminatedWorkerError: ")
            else:
                assert undisturbed(trial)[: trial.epochs][-1] == trial.val_accuracy
        studies += 1
    assert 2 * failed <= killed
    return (
        f"of {num_trials} trials {num_trials - failed} have, bit for bit, the accuracy of an undisturbed "
        f"run, and {failed}, killed twice, are FAILED with the reason"
    )


def undisturbed(trial) -> list[float]:
    """The validation accuracies of the same run, epoch by epoch, in this process."""
    data = TrainingData(DATASETS["mnist"], find_files("mnist"), num_train_images=NUM_TRAIN_IMAGES)
    images = images_of(data, "cpu")
    piece = train(parse(trial.architecture, MNIST), replace(FAST, epochs=3), *images, int(trial.seed))
    return [epoch.val_accuracy for epoch in piece.epochs]


def tear_journals(out: Path, rng: random.Random, number: int) -> str:
    """The journal of a finished search cut at a random byte, then the same command to its end."""
    finish(out / "whole", SEARCH_ONLY)
    journal = (out / "whole" / "it" / "study.journal").read_bytes()
    whole = pd.read_csv(out / "whole" / "it" / "trials.csv").set_index("trial")
    survived = 0
    for i in range(number):
        folder = out / str(i)
        shutil.copytree(out / "whole", folder)
        # The journal of a driver that died: everything before the cut was written.
        torn = journal[: rng.randrange(len(journal) // 4, len(journal))]
        (folder / "it" / "study.journal").write_bytes(torn)
        records = [json.loads(line) for line in torn.splitlines(keepends=True) if line.endswith(b"\n")]
        told = [r["trial_id"] for r in records if r["op_code"] == 6 and r["state"] in (1, 2, 3)]
        said = finish(folder, SEARCH_ONLY)
        if not torn.endswith(b"\n"):
            assert f"{folder}/it/study.journal: cut off a last line that was not written to its end" in said
        trials = check(folder, SEARCH_ONLY, said).set_index("trial")
        pd.testing.assert_frame_equal(trials.loc[told], whole.loc[told])
        assert len(LINE.findall(said)) == len(whole) - len(told)
        survived += len(told)
    return f"all {survived} trials told before the cuts are as they were, and only the others were trained"


def hang_worker(out: Path) -> str:
    """A worker that stops answering (SIGSTOP) is killed after --epoch-timeout."""
    victim = Victim(out, [*LONGER, "--epoch-timeout", 20])
    victim.wait_for_lines(1)
    victim.workers()[0].suspend()
    trials = check(out, LONGER, victim.ended(0))
    assert set(trials["state"]) <= {"COMPLETE", "PRUNED"}
    return "killed after the time limit, its epoch trained again; every trial ended as usual"


def exhaust_memory(out: Path) -> str:
    """A worker that gets no more memory raises, and is replaced."""
    victim = Victim(out, LONGER)
    victim.wait_for_lines(1)
    worker = victim.workers()[0]
    worker.rlimit(psutil.RLIMIT_AS, (worker.memory_info().vms,) * 2)
    trials = check(out, LONGER, victim.ended(0))
    assert set(trials["state"]) <= {"COMPLETE", "PRUNED"} and not worker.is_running()
    return "its epoch was trained again by a fresh process; every trial ended as usual"


@contextmanager
def small_disk(folder: Path, size: str):
    """A file system of `size` in `folder`; PermissionError where this process may not mount one."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True)
    if done.returncode:
        folder.rmdir()
        raise PermissionError(done.stderr.decode().strip())
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def fill_disk(out: Path) -> str:
    """The disk is full in the middle of a search."""
    with small_disk(out, "8m"):
        victim = Victim(out, LONGER)
        victim.wait_for_lines(2)
        filler = out / "filler"
        with filler.open("wb", buffering=0) as file:
            while victim.process.poll() is None:  # what the search frees is taken as well
                with suppress(OSError):
                    file.write(bytes(1024))
        said = victim.ended(1)
        last = said.splitlines()[-1]
        assert last.startswith("failed: [Errno 28] No space left on device") and last.endswith(GOES_ON), said
        assert 2 <= len(LINE.findall(said)) < LONGER[1], said
        filler.unlink()
        said += finish(out, LONGER)
        check(out, LONGER, said)
    return f"exit 1 with one line, `{last}`; with room again the same command went on"


def forbid_writing(out: Path) -> str:
    """The study's folder becomes read-only in the middle of a search."""
    victim = Victim(out, LONGER, preexec=obey_permissions)
    victim.wait_for_lines(2)
    (out / "it").chmod(0o555)
    said = victim.ended(1)
    (out / "it").chmod(0o755)
    last = said.splitlines()[-1]
    assert last.startswith("failed: [Errno 13] Permission denied: "), said
    said += finish(out, LONGER)
    check(out, LONGER, said)
    return "exit 1 with one line; writable again, the same command went on"


def forbid_semaphores(out: Path) -> str:
    """/dev/shm is read-only, so that no worker can be started."""
    mounting = 'mount -t tmpfs -o ro none /dev/shm && exec "$@"'
    under = ["unshare", "--mount", "sh", "-c", mounting, "sh"]
    if subprocess.run([*under, "true"], capture_output=True).returncode:
        raise PermissionError("this process may not mount a file system")
    said = Victim(out, SEARCH_ONLY, under=under).ended(1)
    last = said.splitlines()[-1]
    assert last == (
        "failed: no worker can train here, whatever the network (cpu: OSError: [Errno 30] Read-only file "
        "system, where a worker needs semaphores in /dev/shm); mend that and give the same command again"
    )
    said += finish(out, SEARCH_ONLY)
    trials = check(out, SEARCH_ONLY, said)
    assert set(trials["state"]) <= {"COMPLETE", "PRUNED"} and trials["architecture"][0] == "8-16-32-gap"
    return "exit 1 with one line and no trial used up; on the mended machine the same command did all of them"


def close_streams(out: Path) -> str:
    """The command is started without standard streams (`<&- >&- 2>&-`)."""
    assert Victim(out, SEARCH_ONLY, preexec=lambda: [os.close(number) for number in range(3)]).ended(0) == ""
    trials = check(out, SEARCH_ONLY, "")
    assert set(trials["state"]) <= {"COMPLETE", "PRUNED"}
    return "every trial ended as usual, and nothing was said into a file of the study"


def obey_permissions() -> None:
    """Even where root runs this: without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH after the next exec."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def interrupt_twice(out: Path) -> str:
    """Ctrl-C, and Ctrl-C again while it is ending."""
    victim = Victim(out, LONGER)
    victim.wait_for_lines(2)
    began = time.monotonic()
    os.killpg(victim.process.pid, signal.SIGINT)
    time.sleep(0.3)
    if victim.process.poll() is None:
        os.killpg(victim.process.pid, signal.SIGINT)
    said = victim.ended(130)
    seconds = time.monotonic() - began
    assert said.splitlines()[-1] == KEPT and seconds < 60
    said += finish(out, LONGER)
    check(out, LONGER, said)
    return "stopped at once with exit 130, nothing lost, no process left"


def two_drivers(out: Path) -> str:
    """A second driver on the same study, then the first one killed."""
    first = Victim(out, LONGER)
    first.wait_for_lines(1)
    refused = Victim(out, LONGER).ended(2)
    assert refused == f"error: {out}/it is in use by another run; wait for it or choose another --name\n"
    said = first.kill()
    said += finish(out, LONGER)
    check(out, LONGER, said)
    return "the second was refused with exit 2; the killed first left no lock"


def interrupted_is_the_same(out: Path) -> str:
    """One worker, killed and resumed, against the same search left alone: the same bits."""
    alone = [*SEARCH_ONLY, "--workers", 1]
    finish(out / "undisturbed", alone)
    victim = Victim(out / "killed", alone)
    victim.wait_for_lines(3)
    victim.kill()
    finish(out / "killed", alone)
    one, other = (pd.read_csv(out / name / "it" / "trials.csv") for name in ("undisturbed", "killed"))
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"))
    return "the same trials, suggestions included, and the same accuracies bit for bit"

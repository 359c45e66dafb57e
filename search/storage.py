"""A study's folder: files that appear whole or not at all, one driver at a time."""

from __future__ import annotations

import copy
import json
import os
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from filelock import FileLock, Timeout
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, create_study, get_all_study_names, load_study
from optuna.trial import FrozenTrial, TrialState

from lightcnn.errors import UserError

SETTINGS = "settings.json"
JOURNAL = "study.journal"
RETRAINED_RUNS = "runs.csv"
FLUSH_SECONDS = 0.1  # between two waits for the disk, of steps that follow one another
PARTIAL = ".partial"  # ends the name of a file that is being written


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to `path`, which never holds half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=PARTIAL)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())  # or a machine that loses its power keeps the name and not the content
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def study_folder(out: Path, name: str) -> Path:
    """`out`/`name`, made if need be.

    Raises:
        UserError: a name that leads out of `out`, or a place that cannot be written.
    """
    if not name or name.startswith(".") or Path(name).name != name or not name.isprintable():
        raise UserError(f"--name must be the name of one folder in {out}, but got {name!r}")
    folder = out / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"--out must be a folder that can be written, but got {folder}: {error.strerror}"
        ) from None
    return folder


@contextmanager
def only_driver(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; the system frees it when the process ends, however it ends.

    Raises:
        UserError: another process holds it.
    """
    # Beside the folder, not in it: `move_aside` renames the folder while it is held.
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"{folder} is in use by another run; wait for it or choose another --name") from None
    except OSError as error:
        raise UserError(
            f"--out must be a folder that can be written, but got {folder}: {error.strerror}"
        ) from None
    try:
        for partial in folder.rglob(f".*{PARTIAL}"):  # of a driver that was killed while it wrote
            partial.unlink(missing_ok=True)
        yield
    finally:
        _Journal.flush()
        lock.release()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM within the block are taken when it is done; what it tells the journal is one step.

    Its entries are handed to the disk together, or with those of the next step where steps follow one another
    within FLUSH_SECONDS: Optuna does so with each, nine times a trial, and a disk takes milliseconds. Until
    then a machine that loses its power loses them, a process that is killed does not. Main thread only, as
    all signal handling.
    """
    taken: list[int] = []
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))  # not one that the user's shell ignores
    }
    for number in handlers:
        signal.signal(number, lambda received, _: taken.append(received))
    try:
        with _Journal.in_one_step():
            yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if taken:
        raise KeyboardInterrupt


def move_aside(folder: Path) -> Path | None:
    """Rename what an earlier run left in `folder`, if anything, and say where it went."""
    if not any(folder.iterdir()):
        return None
    aside = folder.with_name(f"{folder.name}.{datetime.now():%Y%m%d-%H%M%S-%f}")
    folder.rename(aside)
    folder.mkdir()
    return aside


def open_study(folder: Path, say: Callable[[str], None]) -> Study:
    """The Optuna study kept in `folder`, made if need be: accuracy up, parameters down.

    The caller holds `only_driver`. A last line that a dying driver tore is cut off, and said.

    Raises:
        UserError: the journal is damaged elsewhere, or of a later Optuna.
    """
    path = folder / JOURNAL
    _heal(path, say)
    try:
        storage = _journal(path)
        return create_study(
            # The folder may have been renamed since.
            study_name=next(iter(get_all_study_names(storage)), folder.name),
            storage=storage,
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise UserError(f"{_unreadable(path, error)}; --fresh starts over") from None


def look_at_study(folder: Path) -> Study:
    """The Optuna study kept in `folder`, to be read only; its driver may go on writing meanwhile.

    Raises:
        UserError: there is no journal, or it is damaged, or of a later Optuna.
    """
    path = folder / JOURNAL
    if not path.exists():
        raise UserError(f"{path} must exist")
    try:
        storage = _journal(path)
        return load_study(study_name=get_all_study_names(storage)[0], storage=storage)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, IndexError) as error:
        raise UserError(_unreadable(path, error)) from None


class _Journal(JournalFileBackend):
    """Optuna's journal with one writer: no lock is needed, and a step's entries reach the disk at once."""

    _waiting: ClassVar[set[Path] | None] = None  # within a step: the journals that have grown
    _unflushed: ClassVar[set[Path]] = set()  # those that have grown since they were flushed
    _flushed_at: ClassVar[float] = -float("inf")  # on the monotonic clock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Part of JournalFileBackend."""
        path = Path(self._file_path)
        with path.open("ab") as file:
            file.write("".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode())
            if self._waiting is not None:
                self._waiting.add(path)
                return
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    @contextmanager
    def in_one_step(cls) -> Iterator[None]:
        """What is appended within the block reaches the disk when it is left, or with a later step."""
        if cls._waiting is not None:  # part of a larger step
            yield
            return
        cls._waiting = set()
        try:
            yield
        finally:
            cls._unflushed |= cls._waiting
            cls._waiting = None
            if time.monotonic() >= cls._flushed_at + FLUSH_SECONDS:
                cls.flush()

    @classmethod
    def flush(cls) -> None:
        """Everything that was appended is on the disk."""
        for path in cls._unflushed:
            with suppress(FileNotFoundError), path.open("r+b") as file:  # it may have been moved aside
                os.fsync(file.fileno())
        cls._unflushed.clear()
        cls._flushed_at = time.monotonic()


class _Storage(JournalStorage):
    """Optuna's, which goes through all trials for each that it begins; this one through those not over."""

    def __init__(self, journal: _Journal) -> None:
        super().__init__(journal)
        self._seen: defaultdict[int, list[FrozenTrial]] = defaultdict(list)  # of each study
        self._not_over: defaultdict[int, list[int]] = defaultdict(list)  # their places among the seen

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Part of JournalStorage."""
        with self._thread_lock:
            self._sync_with_backend()
            self._replay_result.get_study(study_id)  # which knows what to raise
            ids, seen = self._replay_result._study_id_to_trial_ids[study_id], self._seen[study_id]
            not_over = [*self._not_over[study_id], *range(len(seen), len(ids))]
            seen += [self._replay_result.get_trial(it) for it in ids[len(seen) :]]
            for i in not_over:
                seen[i] = self._replay_result.get_trial(ids[i])
            self._not_over[study_id] = [i for i in not_over if not seen[i].state.is_finished()]
            if states is None:
                found = [*seen]
            elif any(state in states for state in TrialState if state.is_finished()):
                found = [trial for trial in seen if trial.state in states]
            else:
                found = [seen[i] for i in self._not_over[study_id] if seen[i].state in states]
        return copy.deepcopy(found) if deepcopy else found


def _journal(path: Path) -> JournalStorage:
    return _Storage(_Journal(str(path)))


def _unreadable(path: Path, error: Exception) -> str:
    """Why Optuna cannot read the journal: it is damaged, or it is whole and of a later version."""
    try:
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        is_whole = bool(lines) and all(isinstance(line["op_code"], int) for line in lines)
    except (ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        return f"{path} must be an Optuna journal, but is damaged ({error})"
    here = version("optuna")
    return (
        f"{path} must be a journal that Optuna {here} can read, but holds what that does not know "
        f"({type(error).__name__}: {error}); the later version that wrote it reads it"
    )


def _heal(path: Path, say: Callable[[str], None]) -> None:
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
        say(f"{path}: cut off a last line that was not written to its end")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write `table` as CSV; what is absent stays empty."""
    write_whole(path, table.to_csv(index=False, lineterminator="\n"))

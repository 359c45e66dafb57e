"""A study's folder: files that appear whole or not at all, one driver at a time, settings that must agree."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, create_study, get_all_study_names, load_study

SETTINGS = "settings.json"
JOURNAL = "study.journal"
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
        ValueError: a name that leads out of `out`, or a place that cannot be written.
    """
    if not name or name.startswith(".") or Path(name).name != name or not name.isprintable():
        raise ValueError(f"--name must be the name of one folder in {out}, but got {name!r}")
    folder = out / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"--out must be a folder that can be written, but got {folder}: {error.strerror}"
        ) from None
    return folder


@contextmanager
def only_driver(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; the system frees it when the process ends, however it ends.

    Raises:
        ValueError: another process holds it.
    """
    # Beside the folder, not in it: `move_aside` renames the folder while it is held.
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"{folder} is in use by another run; wait for it or choose another --name") from None
    except OSError as error:
        raise ValueError(
            f"--out must be a folder that can be written, but got {folder}: {error.strerror}"
        ) from None
    try:
        for partial in folder.rglob(f".*{PARTIAL}"):  # of a driver that was killed while it wrote
            partial.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM within the block are taken when it is done.

    For what touches the journal: a write that is broken off leaves Optuna's own lock in disorder. Main thread
    only, as all signal handling.
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
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if taken:
        raise KeyboardInterrupt


@contextmanager
def held_study(
    out: Path,
    name: str,
    fresh: bool,
    settings: Mapping[str, Any],
    about: Mapping[str, Any],
    say: Callable[[str], None],
) -> Iterator[Path]:
    """The folder `out`/`name`, this process its only driver, with runs of these `settings` in it or none.

    Args:
        fresh: move what an earlier run left there aside, and `say` where it went.
        about: see `agree`.

    Raises:
        ValueError: as `study_folder`, `only_driver` and `agree`.
    """
    folder = study_folder(out, name)
    with only_driver(folder):
        if fresh and (aside := move_aside(folder)):
            say(f"the earlier run is now in {aside}")
        agree(folder, settings, about)
        yield folder


def move_aside(folder: Path) -> Path | None:
    """Rename what an earlier run left in `folder`, if anything, and say where it went."""
    if not any(folder.iterdir()):
        return None
    aside = folder.with_name(f"{folder.name}.{datetime.now():%Y%m%d-%H%M%S-%f}")
    folder.rename(aside)
    folder.mkdir()
    return aside


def agree(folder: Path, settings: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """RunRecord `settings`, which decide the results, or check that they are those of the runs already there.

    Args:
        about: recorded beside them; may differ from one call to the next (versions, command, machine).

    Raises:
        ValueError: a setting differs.
    """
    path = folder / SETTINGS
    settings = json.loads(json.dumps(settings))  # as they are read back: a tuple is a list
    if path.exists():
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))["settings"]
            if not isinstance(earlier, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path} must hold a study's settings, but does not; --fresh starts over"
            ) from None
        was, now = _flat(earlier), _flat(settings)
        for key in now | was:
            if was.get(key) != now.get(key):
                raise ValueError(
                    f"{folder} holds runs with {key}={was.get(key)!r}, but got {now.get(key)!r}; "
                    "--fresh moves them aside and starts over, another --name keeps both"
                )
    elif (folder / JOURNAL).exists():
        raise ValueError(
            f"{folder} holds a study without its {SETTINGS}; --fresh moves it aside and starts over"
        )
    write_whole(path, json.dumps({"settings": settings, "about": about}, indent=2) + "\n")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`settings` within settings under dotted names, so that a difference is named and not searched for."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def open_study(folder: Path, say: Callable[[str], None]) -> Study:
    """The Optuna study kept in `folder`, made if need be: accuracy up, parameters down.

    The caller holds `only_driver`. A last line that a dying driver tore is cut off, and said.

    Raises:
        ValueError: the journal is damaged elsewhere.
    """
    path = folder / JOURNAL
    _heal(path, say)
    # Optuna's own lock, left by a driver that died while it wrote; no other driver can be alive.
    path.with_name(f"{JOURNAL}.lock").unlink(missing_ok=True)
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        return create_study(
            # The folder may have been renamed since.
            study_name=next(iter(get_all_study_names(storage)), folder.name),
            storage=storage,
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise ValueError(
            f"{path} must be an Optuna journal, but is damaged ({error}); --fresh starts over"
        ) from None


def look_at_study(folder: Path) -> Study:
    """The Optuna study kept in `folder`, to be read only; its driver may go on writing meanwhile.

    Raises:
        ValueError: there is no journal, or it is damaged.
    """
    path = folder / JOURNAL
    if not path.exists():
        raise ValueError(f"{path} must exist")
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        return load_study(study_name=get_all_study_names(storage)[0], storage=storage)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, IndexError) as error:
        raise ValueError(f"{path} must be an Optuna journal, but is damaged ({error})") from None


def _heal(path: Path, say: Callable[[str], None]) -> None:
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
        say(f"{path}: cut off a last line that was not written to its end")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write `table` as CSV; what is absent stays empty."""
    write_whole(path, table.to_csv(index=False, lineterminator="\n"))

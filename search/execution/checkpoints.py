"""Runs under way, kept on disk every few seconds: a driver that dies costs little of any."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path

from lightcnn.training import Epoch
from search.execution.runs import Run, RunProgress
from search.storage import write_whole

# Of training, not yet kept: with the job under way (JOB_SECONDS and the rest of an epoch) it bounds what a
# driver that is killed may lose of a run to ten seconds, if an epoch takes no more than four of them.
UNKEPT_SECONDS = 3.0


class Checkpoints:
    """A file for each run that is not over, in `folder`/`name`, by architecture and seed.

    It holds a SHA-256 of the rest; the epochs so far, as JSON; and the state for `lightcnn.training.train`.
    The data and the recipe are those of the study in `folder`, which must agree from one driver to the next,
    but for the recipe's epochs.

    Args:
        name: of those that one loop trains; another's are others.
    """

    def __init__(self, folder: Path, say: Callable[[str], None], name: str = "unfinished") -> None:
        self._folder = folder / name
        self._say = say
        self._kept: dict[Path, RunProgress] = {}

    def begun(self, run: Run) -> RunProgress:
        """What an earlier driver has trained of `run`; nothing if its file is damaged or there is none."""
        path = self._path(run)
        if not path.exists():
            return RunProgress(run)
        checksum, _, content = path.read_bytes().partition(b"\n")
        if checksum != _checksum(content):
            self._say(f"{path} is damaged: this run begins again")
            return RunProgress(run)
        header, _, state = content.partition(b"\n")
        kept = json.loads(header)
        if kept.pop("num_epochs", run.recipe.epochs) != run.recipe.epochs:  # its rates were others
            return RunProgress(run)
        epochs = tuple(Epoch(*measured) for measured in kept.pop("epochs"))
        self._kept[path] = replace(RunProgress(run, epochs, state), **kept)
        return self._kept[path]

    def keep_if_due(self, progress: RunProgress) -> None:
        """Keep the run so far if it has trained for UNKEPT_SECONDS since it was kept."""
        earlier = self._kept.get(self._path(progress.run))
        if progress.seconds - (earlier.seconds if earlier else 0) >= UNKEPT_SECONDS:
            self.keep(progress)

    def keep(self, progress: RunProgress) -> None:
        """Keep the run so far, in the place of what was kept of it; nothing is done if nothing is new."""
        path = self._path(progress.run)
        if progress.state is None or progress == self._kept.get(path):
            return
        kept = {
            "epochs": [astuple(epoch) for epoch in progress.epochs],
            "seconds": progress.seconds,
            "spared_at": progress.spared_at,
            "num_epochs": progress.run.recipe.epochs,
        }
        content = json.dumps(kept).encode() + b"\n" + progress.state
        self._folder.mkdir(exist_ok=True)
        write_whole(path, _checksum(content) + b"\n" + content)
        self._kept[path] = progress

    def forget(self, run: Run) -> None:
        """The run is over, and kept elsewhere."""
        path = self._path(run)
        path.unlink(missing_ok=True)
        self._kept.pop(path, None)

    def forget_all(self) -> None:
        """No run is under way."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, run: Run) -> Path:
        return self._folder / f"{run.architecture}.{run.seed}"


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()

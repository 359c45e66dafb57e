"""Runs under way, kept on disk after each epoch: a driver that dies costs no epoch that had ended."""

from __future__ import annotations

import io
import pickle
import shutil
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path

import torch

from lightcnn.training import Epoch
from search.runs import Outcome, Run
from search.storage import write_whole


class Unfinished:
    """A file for each run that is not over, in `folder`/unfinished, by architecture and seed.

    The recipe and the data are those of the study in `folder`, which must agree from one driver to the next.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder / "unfinished"
        self._say = say

    def begun(self, run: Run) -> Outcome:
        """What an earlier driver has trained of `run`; nothing if it has not, or if its file is damaged."""
        path = self._path(run)
        try:
            # Nothing of the file is unpickled but numbers, texts and bytes.
            content = torch.load(io.BytesIO(path.read_bytes()), weights_only=True)
            epochs = tuple(Epoch(*measured) for measured in content.pop("epochs"))
            outcome = replace(Outcome(run, epochs), **content)
            if not 0 < len(epochs) < run.recipe.epochs or not isinstance(outcome.state, bytes):
                raise ValueError
        except FileNotFoundError:
            return Outcome(run)
        except (
            RuntimeError,
            ValueError,
            TypeError,
            AttributeError,
            KeyError,
            EOFError,
            pickle.UnpicklingError,
        ):
            self._say(f"{path} is damaged: this run begins again")
            return Outcome(run)
        return outcome

    def keep(self, outcome: Outcome) -> None:
        """Keep the run so far, in the place of what was kept of it."""
        self._folder.mkdir(exist_ok=True)
        content = {
            "epochs": [astuple(epoch) for epoch in outcome.epochs],
            "state": outcome.state,
            "seconds": outcome.seconds,
            "spared_at": outcome.spared_at,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_whole(self._path(outcome.run), buffer.getvalue())

    def forget(self, run: Run) -> None:
        """The run is over, and kept elsewhere."""
        self._path(run).unlink(missing_ok=True)

    def forget_all(self) -> None:
        """No run is under way."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, run: Run) -> Path:
        return self._folder / f"{run.architecture}.{run.seed}.pt"

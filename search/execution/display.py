"""What a user sees while runs train: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lightcnn.cost import num_parameters
from search.execution.runs import Run, RunProgress


def log_console() -> Console:
    """Stderr; live only where a person watches (rich alone would let FORCE_COLOR draw bars into a log)."""
    return Console(stderr=True, highlight=False, force_terminal=sys.stderr.isatty())


def log_line(line: str) -> None:
    """A line on stderr that stays."""
    log_console().print(line, markup=False, soft_wrap=True)


class Display:
    """Shows each run as it trains (it is a `search.execution.runs.Watcher`) and how far all of them are.

    In a terminal: a bar over all runs with the time left and the best so far, and a line for each slot with
    what it trains. Elsewhere, in a log file say: one line for each run that ended. Everything goes to stderr;
    results belong to stdout.
    """

    def __init__(self, title: str, num_runs: int, num_done: int = 0, console: Console | None = None) -> None:
        self.console = console or log_console()
        self._title = title
        self._num_runs, self._num_done = num_runs, num_done
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._overall = self._progress.add_task(
            escape(title), total=num_runs, completed=num_done, unit="runs", note=""
        )
        self._tasks: dict[Hashable, TaskID] = {}
        self._shares: dict[Hashable, float] = {}  # how much of each running run is done

    def __enter__(self) -> Display:
        if self.console.is_terminal:  # rich before 15 ends even a disabled display with an empty line
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._progress.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        self.console.print(line, markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """What stands beside the overall bar, the best so far say."""
        self._progress.update(self._overall, note=escape(text))

    def show(self, key: Hashable, progress: RunProgress) -> None:
        """A run has started, has come further, or is over."""
        run = progress.run
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(
                "  " + escape(_name(run)), total=run.recipe.epochs, unit="epochs", note=""
            )
        self._progress.update(self._tasks[key], completed=len(progress.epochs), note=_accuracy(progress))
        self._shares[key] = len(progress.epochs) / run.recipe.epochs
        if progress.is_over:
            self._progress.remove_task(self._tasks.pop(key))
            del self._shares[key]
            self._num_done += 1
            if not self.console.is_terminal or progress.error:
                self.say(f"{self._title} {self._num_done}/{self._num_runs}: {_ending(progress)}")
        self._progress.update(self._overall, completed=self._num_done + sum(self._shares.values()))


def _name(run: Run) -> str:
    return f"{run.architecture}, {num_parameters(run.architecture):,} parameters"


def _accuracy(progress: RunProgress) -> str:
    if not progress.epochs:
        return ""
    last = progress.epochs[-1]
    if last.val_accuracy is None:
        return f"loss {last.train_loss:.4f}"
    return f"{last.val_accuracy:.2%}"


def _ending(progress: RunProgress) -> str:
    if progress.error:
        return f"{_name(progress.run)}, failed: {progress.error}"
    stopped = f"stopped early after {len(progress.epochs)} of {progress.run.recipe.epochs} epochs, "
    state = "diverged, " if progress.diverged else stopped if progress.stopped else ""
    return f"{_name(progress.run)}, {state}{_accuracy(progress)}, {progress.seconds:.0f} s"

"""What a user sees while runs train: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Hashable, Iterable
from textwrap import fill
from types import TracebackType
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from lightcnn.cost import num_parameters
from search.execution.runs import Run, RunProgress


def log_console() -> Console:
    """Stderr; live only where a person watches (rich alone would let FORCE_COLOR draw bars into a log)."""
    # Nor does it make pictures of lines in a notebook.
    return Console(stderr=True, highlight=False, force_terminal=sys.stderr.isatty(), force_jupyter=False)


def log_line(line: str) -> None:
    """A line on stderr that stays."""
    _print(log_console(), line)


def result_line(line: str) -> None:
    """A line on stdout."""
    _print(Console(highlight=False, force_terminal=sys.stdout.isatty(), force_jupyter=False), line)


def _print(console: Console, line: str) -> None:
    """Print `line`: in a terminal broken between words, elsewhere whole, as programs read it."""
    if console.is_terminal:  # not by rich, which breaks a path that is too long, so that it cannot be copied
        line = fill(line, console.width, break_long_words=False, break_on_hyphens=False)
    console.print(line, markup=False, soft_wrap=True)


class Ahead(NamedTuple):
    """What follows when the runs of a display are over, as far as is known."""

    words: str  # "about 110 re-trainings"
    seconds: float | None  # of training, on one slot; None: not known yet


class Display:
    """Shows each run as it trains (it is a `search.execution.runs.Watcher`) and how far all of them are.

    In a terminal: how many runs are over, what follows them, a bar, and the time left of all of it, a line
    that stays within 80 columns; then a note, the best so far say, and a line for each slot with what it
    trains. Elsewhere, in a log file say: one line for each run that ended. Everything goes to stderr; results
    belong to stdout.

    Args:
        num_slots: how many runs are trained at a time.
        num_done: of the `num_runs`, by earlier calls.
        seconds: that the training of runs like these took, on one slot; the time left follows from them and
            from the runs that end.
        ahead: asked as runs end, in a terminal: what follows these runs.
    """

    def __init__(
        self,
        title: str,
        num_runs: int,
        num_done: int = 0,
        *,
        num_slots: int,
        seconds: Iterable[float] = (),
        ahead: Callable[[], Ahead | None] = lambda: None,
        console: Console | None = None,
    ) -> None:
        self.console = console or log_console()
        self._title, self._note = title, ""
        self._num_runs, self._num_done = num_runs, num_done
        known = list(seconds)
        self._seconds, self._num_timed, self._num_slots = sum(known), len(known), num_slots
        self._ask_ahead, self._ask_at = ahead, 0.0
        self._ahead: Ahead | None = None
        self._running: dict[Hashable, RunProgress] = {}
        self._ends_at: float | None = None  # on the monotonic clock; None: nothing to estimate it from
        self._live = Live(
            get_renderable=self._picture, console=self.console, transient=True, refresh_per_second=4
        )
        self._is_live = self.console.is_interactive  # a terminal that can move its cursor

    def __enter__(self) -> Display:
        if self._is_live:
            self._look_ahead()
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        _print(self.console, line)

    def note(self, text: str) -> None:
        """What stands below the bar, the best so far say."""
        self._note = text

    def show(self, key: Hashable, progress: RunProgress) -> None:
        """A run has started, has come further, or is over."""
        self._running[key] = progress
        if progress.is_over:
            del self._running[key]
            self._num_done += 1
            if progress.error is None:
                self._seconds, self._num_timed = self._seconds + progress.seconds, self._num_timed + 1
            if not self._is_live or progress.error:
                self.say(f"{self._title} {self._num_done}/{self._num_runs}: {_ending(progress)}")
        if self._is_live and (progress.is_over or self._ends_at is None):
            self._look_ahead()

    def _look_ahead(self) -> None:
        """Estimate when all will be over: from the mean time of a run, and what is known to follow."""
        began = time.monotonic()
        if began >= self._ask_at:
            self._ahead = self._ask_ahead()
            self._ask_at = time.monotonic() + 100 * (time.monotonic() - began)  # 1 % of the time at most
        running = list(self._running.values())
        begun = [it.seconds * it.run.recipe.epochs / len(it.epochs) for it in running if it.epochs]
        known, num_known = (self._seconds, self._num_timed) if self._num_timed else (sum(begun), len(begun))
        ahead = 0.0 if self._ahead is None else self._ahead.seconds
        if num_known and ahead is not None:
            a_run = known / num_known
            left = a_run * (self._num_runs - self._num_done - len(running))
            left += sum(max(a_run - it.seconds, 0) for it in running)
            self._ends_at = time.monotonic() + (left + ahead) / self._num_slots

    def _picture(self) -> Group:
        running = list(self._running.values())  # a copy, as this is the drawing thread
        done = self._num_done + sum(len(it.epochs) / it.run.recipe.epochs for it in running)
        counted, time_left = f"{self._title} {self._num_done:,} of {self._num_runs:,}", self._time_left()
        then = "" if self._ahead is None else f", then {self._ahead.words}"
        if len(counted + then + time_left) + 6 <= self.console.width:  # beside 4 columns of bar
            counted += then
        total = Table.grid(
            Column(no_wrap=True), Column(ratio=1), Column(no_wrap=True), padding=(0, 1), expand=True
        )
        total.add_row(Text(counted), ProgressBar(total=self._num_runs, completed=done), Text(time_left))
        slots = Table.grid(
            Column(no_wrap=True, overflow="ellipsis"),
            Column(no_wrap=True),
            Column(no_wrap=True, justify="right"),
            padding=(0, 2),
        )
        for progress in running:
            epochs = f"{len(progress.epochs)} of {progress.run.recipe.epochs} epochs"
            slots.add_row(Text(f"  {_name(progress.run)}"), Text(epochs), Text(_accuracy(progress)))
        note = [Text(self._note, no_wrap=True, overflow="ellipsis")] if self._note else []
        return Group(total, *note, slots)

    def _time_left(self) -> str:
        if self._ends_at is None:
            return ""
        seconds = max(self._ends_at - time.monotonic(), 0)
        hours, minutes = divmod(round(seconds / 60), 60)
        if hours:
            return f"{hours} h {minutes:02} min left"
        return f"{minutes} min left" if seconds >= 90 else f"{seconds:.0f} s left"


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

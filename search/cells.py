"""The cells of a table: what each kind of column holds, and how people read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from search.execution.runs import RunState
from search.pareto import Verdict

Row = Mapping[str, Any]


def absent(value: object) -> bool:
    """Whether a cell holds nothing."""
    return value is None or value == "" or (isinstance(value, float) and bool(np.isnan(value)))


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, each by column name."""
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def percent(fraction: float) -> str:
    """A fraction as the page writes it."""
    return f"{100 * fraction:.2f} %"


def interval(low: float, high: float, sign: str = "", digits: int = 2) -> str:
    """Two fractions as percentages, never as the same: with more digits than `digits` where it takes them.

    Args:
        sign: "+" for differences, in points.
    """

    def texts(digits: int) -> list[str]:
        return [f"{100 * limit:{sign}.{digits}f}" for limit in (low, high)]

    while low != high and len({*map(float, texts(digits))}) == 1:
        digits += 1
    return " to ".join(dict.fromkeys(texts(digits)))


def intervals(row: Row) -> str:
    """The 95 % intervals of a design's mean test accuracy, each by what it covers; "" where there are none.

    Args:
        row: with the columns of `search.moderation.seed_columns`, those that the study's version wrote.
    """
    found = []
    for words, name in (("over seeds", "test_accuracy"), ("for new images", "new_images")):
        low, high = (row.get(f"{name}_{end}", np.nan) for end in ("low", "high"))
        if not absent(low) and not absent(high):
            found.append(f"{words} {interval(low, high)}")
    return ", ".join(found)


def counted(number: int, noun: str) -> str:
    """A number of things: 1 trial, 1,000 trials."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _number(text: str, low: float = -np.inf, high: float = np.inf, whole: bool = False) -> float:
    value = float(text)
    if not np.isnan(value) and ((whole and value % 1 != 0) or not low <= value <= high):
        raise ValueError
    return value


def _limit(value: float) -> str:
    return percent(value) if 0 <= value <= 1 else "< 0 %" if value < 0 else "> 100 %"


@dataclass(frozen=True)
class Kind:
    """What a cell may hold, and how people read it. An empty cell is absent, whatever its kind."""

    rule: str  # ends "must be"
    read: Callable[[str], Any]  # ValueError breaks the rule
    written: Callable[[Any], str]  # on the page
    absent: Any = None  # an empty cell as a value
    is_whole: bool = False

    @property
    def is_number(self) -> bool:
        """Whether cells are numbers, absent ones NaN."""
        return isinstance(self.absent, float)

    def dtype(self, cells: Sequence[Any]) -> type:
        """Of a column of `cells`; NaN, which stands for an absent number, needs float."""
        if self.is_whole and not any(map(absent, cells)):
            return int
        return float if self.is_number else object


def _choice(names: type[StrEnum], written: Callable[[Any], str]) -> Kind:
    return Kind(f"one of {', '.join(names)}", names, written)


STATES = {  # how a run ended, in words
    RunState.COMPLETE: "trained to its end",
    RunState.PRUNED: "stopped early",
    RunState.DIVERGED: "diverged",
    RunState.FAILED: "failed",
}
KINDS = {
    "text": Kind("a text", str, str, ""),
    "state": _choice(RunState, lambda state: STATES[state]),
    "verdict": _choice(Verdict, lambda value: value.says),
    "flag": Kind(
        "True or False", lambda text: bool(("False", "True").index(text)), ("no", "yes").__getitem__
    ),
    "count": Kind(
        "a whole number",
        lambda text: _number(text, whole=True),
        lambda n: f"{int(n):,}",
        np.nan,
        is_whole=True,
    ),
    "fraction": Kind("a fraction from 0 to 1", lambda text: _number(text, 0, 1), percent, np.nan),
    # Of an interval around a fraction; few seeds can put it beyond 0 or 1.
    "limit": Kind("a number", _number, _limit, np.nan),
    # A difference of fractions, or a limit of its interval.
    "points": Kind("a number", _number, lambda value: f"{100 * value:+.2f} points", np.nan),
    "number": Kind("a number", _number, lambda it: f"{it:,.4g}" if abs(it) < 1000 else f"{it:,.0f}", np.nan),
    # Infinite where nothing reaches the design.
    "ratio": Kind(
        "a number", _number, lambda value: "none as accurate" if np.isinf(value) else f"{value:.3g}", np.nan
    ),
}


def written(value: Any, kind: str) -> str:
    """A cell of the kind `kind` of KINDS as the page shows it."""
    return "–" if absent(value) else KINDS[kind].written(value)

"""Every design of a study, once: what the page's budget picker and its side panel know of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lightcnn.architecture import Architecture, Task, parse, plan
from lightcnn.cost import BYTES_PER_VALUE, num_macs, num_parameters, peak_activation_bytes
from lightcnn.operations import Operation, Relu
from search.cells import STATES, Row, absent, rows
from search.execution.runs import RunState
from search.tables import Tables


@dataclass(frozen=True)
class Design:
    """A design with its sizes, and what is known of its accuracy. None is absent."""

    architecture: str
    name: str | None  # of a named design
    state: str  # named, front, candidate, or how its run ended
    num_parameters: int
    num_macs: int
    peak_activation_bytes: int
    val_accuracy: float | None  # fraction, of one run that was trained to its end
    test_accuracy_mean: float | None  # over num_seeds fresh seeds, fraction
    test_accuracy_low: float | None  # of its 95 % interval
    test_accuracy_high: float | None
    num_seeds: int | None
    layers: tuple[Operation, ...]  # without ReLU, which changes no shape


def catalogue(tables: Tables) -> list[Design]:
    """The named designs, then the candidates from small to large; empty where the task is not known.

    The front is that after re-training where there was one. Of several trials of one architecture the most
    accurate counts. What cannot be read as an architecture is left out.
    """
    task = tables.task
    if task is None:
        return []
    trials = sorted(
        rows(tables.trials),
        key=lambda row: (row["state"] != RunState.COMPLETE, -_or(row["val_accuracy"], 0.0)),
    )
    best: dict[str, Row] = {}
    for row in trials:
        if not absent(row["architecture"]):
            best.setdefault(row["architecture"], row)
    searched = set(tables.front["architecture"])
    found: dict[str, Design] = {}
    for design in rows(tables.designs):
        known = best.get(design["architecture"], {})
        _add(found, {**known, **design}, design["name"], "named", task)
    for text, trial in sorted(best.items(), key=lambda item: item[1]["num_parameters"]):
        again = trial.get("on_front_after_retraining")
        on_front = again is True if "on_front_after_retraining" in trial else text in searched
        whole = trial["state"] == RunState.COMPLETE
        state = ("front" if on_front else "candidate") if whole else STATES[trial["state"]]
        _add(found, trial, None, state, task)
    return list(found.values())


def _add(found: dict[str, Design], row: Row, name: str | None, state: str, task: Task) -> None:
    try:
        architecture: Architecture = parse(str(row["architecture"]), task)
    except ValueError:
        return
    is_whole = row.get("state", RunState.COMPLETE) == RunState.COMPLETE
    seeds = _or(row.get("num_seeds"), None)
    found.setdefault(
        str(architecture),
        Design(
            architecture=str(architecture),
            name=name,
            state=state,
            num_parameters=num_parameters(architecture),
            num_macs=num_macs(architecture),
            peak_activation_bytes=peak_activation_bytes(architecture),
            val_accuracy=_or(row["val_accuracy"], None) if is_whole else None,
            test_accuracy_mean=_or(row.get("test_accuracy_mean"), None),
            test_accuracy_low=_or(row.get("test_accuracy_low"), None),
            test_accuracy_high=_or(row.get("test_accuracy_high"), None),
            num_seeds=None if seeds is None else int(seeds),
            layers=tuple(it for it in plan(architecture) if not isinstance(it, Relu)),
        ),
    )


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if absent(value) else value


def as_columns(designs: Iterable[Design]) -> dict[str, Any]:
    """The designs as JSON for the page: a list a column, and each layer once however many have it."""
    designs = list(designs)
    names = [name for name in Design.__dataclass_fields__ if name != "layers"]
    numbers: dict[Operation, int] = {}
    layers = [[numbers.setdefault(layer, len(numbers)) for layer in design.layers] for design in designs]
    return {
        "bytes_per_weight": BYTES_PER_VALUE,
        "designs": {
            **{name: [_short(getattr(design, name)) for design in designs] for name in names},
            "layers": layers,
        },
        "layers": [
            [layer.name, " × ".join(map(str, layer.output_shape)), layer.num_parameters, layer.num_macs]
            for layer in numbers
        ],
    }


def _short(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value

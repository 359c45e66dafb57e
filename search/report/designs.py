"""Every design of a study, once: what the page's budget picker and its side panel know of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lightcnn.architecture import Architecture, Task, parse, plan
from lightcnn.cost import num_macs, num_parameters, peak_activation_bytes, weight_bytes
from lightcnn.operations import LeakyRelu, Operation, Relu
from search.cells import STATES, Row, absent, intervals, rows
from search.execution.runs import RunState
from search.moderation import MNIST, Prior, moderated, one_error_below
from search.posterior import validation_prior
from search.statistics import Interval
from search.tables import Tables


@dataclass(frozen=True)
class Design:
    """A design with its sizes, and what is known of its accuracy. None is absent."""

    architecture: str
    name: str | None  # of a named design
    state: str  # named, front, candidate, or how its run ended
    num_parameters: int
    num_macs: int
    weight_bytes: int  # float32, as is what follows
    peak_activation_bytes: int
    weight_bytes_int8: int
    peak_activation_bytes_int8: int
    val_accuracy: float | None  # fraction, of one run that was trained to its end
    test_accuracy_mean: float | None  # over num_seeds fresh seeds, fraction
    test_accuracy_low: float | None  # of its 95 % interval over seeds
    intervals: str  # its 95 % intervals in words; "" where there are none
    one_error_below: float | None  # the accuracy one standard error below the mean, or below the one run
    num_seeds: int | None
    layers: tuple[Operation, ...]  # without ReLU, which changes no shape


def catalogue(tables: Tables) -> list[Design]:
    """The named designs, then the candidates from small to large; empty where the task is not known.

    The front is that after re-training where there was one. Of several trials of one architecture the most
    accurate counts. What cannot be read as an architecture is left out.
    """
    if tables.settings is None:
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
    prior = validation_prior(([row["val_accuracy"]] for row in trials), tables.settings)
    found: dict[str, Design] = {}
    for design in rows(tables.designs):
        known = best.get(design["architecture"], {})
        _add(found, {**known, **design}, design["name"], "named", tables.settings.task, prior)
    for text, trial in sorted(best.items(), key=lambda item: item[1]["num_parameters"]):
        again = trial.get("on_front_after_retraining")
        on_front = again is True if "on_front_after_retraining" in trial else text in searched
        whole = trial["state"] == RunState.COMPLETE
        state = ("front" if on_front else "candidate") if whole else STATES[trial["state"]]
        _add(found, trial, None, state, tables.settings.task, prior)
    return list(found.values())


def _add(found: dict[str, Design], row: Row, name: str | None, state: str, task: Task, prior: Prior) -> None:
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
            weight_bytes=weight_bytes(architecture),
            peak_activation_bytes=peak_activation_bytes(architecture),
            weight_bytes_int8=weight_bytes(architecture, "int8"),
            peak_activation_bytes_int8=peak_activation_bytes(architecture, "int8"),
            val_accuracy=_or(row["val_accuracy"], None) if is_whole else None,
            test_accuracy_mean=_or(row.get("test_accuracy_mean"), None),
            test_accuracy_low=_or(row.get("test_accuracy_low"), None),
            intervals=intervals(row),
            one_error_below=_one_error_below(row, prior) if is_whole else None,
            num_seeds=None if seeds is None else int(seeds),
            layers=tuple(it for it in plan(architecture) if not isinstance(it, Relu | LeakyRelu)),
        ),
    )


def _one_error_below(row: Row, prior: Prior) -> float | None:
    """Of the fresh seeds' mean, if there is one, else of the search's run; None: neither is known."""
    found = [_or(row.get(f"test_accuracy_{name}"), None) for name in ("mean", "low", "high")]
    if None not in found:
        num_live = int(row["num_seeds"]) - int(_or(row.get("num_dead"), 0))
        return one_error_below(Interval(*found), num_live, MNIST)
    if found[0] is not None or absent(row["val_accuracy"]):
        return None
    own = moderated([row["val_accuracy"]], prior)
    return 1 - float(np.exp(own.log_error + own.standard_error))


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if absent(value) else value


def as_columns(designs: Iterable[Design]) -> dict[str, Any]:
    """The designs as JSON for the page: a list a column, and each layer once however many have it."""
    designs = list(designs)
    names = [name for name in Design.__dataclass_fields__ if name != "layers"]
    numbers: dict[Operation, int] = {}
    layers = [[numbers.setdefault(layer, len(numbers)) for layer in design.layers] for design in designs]
    return {
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

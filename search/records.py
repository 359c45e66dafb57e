"""What a search's study keeps of the runs that are over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from lightcnn.cost import num_macs, num_parameters, peak_activation_bytes
from search.execution.runs import RunProgress, RunState


@dataclass(frozen=True)
class RunRecord:
    """How a run ended, as the study and the tables keep it. None is absent."""

    state: RunState
    architecture: str
    num_parameters: int
    num_macs: int
    peak_activation_bytes: int
    num_blocks: int
    head: str
    val_accuracy: float | None  # of the last epoch
    val_loss: float | None
    epochs: int
    seconds: float
    seed: int
    reason: str | None
    curve: list[list[float | None]]  # after each epoch: training loss, validation accuracy and loss
    spared_at: int | None = None  # the epoch at which it was due to be stopped, but was exempted at random

    @cached_property
    def accuracies(self) -> list[float]:
        """Validation accuracy after each epoch."""
        return [accuracy for _, accuracy, _ in self.curve if accuracy is not None]

    @staticmethod
    def read(kept: Mapping[str, Any]) -> RunRecord:
        """The record that Optuna's journal has as `kept`."""
        return RunRecord(**{**kept, "state": RunState(kept["state"])})

    @staticmethod
    def of(progress: RunProgress) -> RunRecord:
        """The record of a run that is over."""
        assert progress.ended is not None
        architecture = progress.run.architecture
        last = progress.epochs[-1] if progress.epochs and progress.error is None else None
        diverged = (
            f"the loss was no longer finite in epoch {len(progress.epochs)}" if progress.diverged else None
        )
        return RunRecord(
            state=progress.ended,
            architecture=str(architecture),
            num_parameters=num_parameters(architecture),
            num_macs=num_macs(architecture),
            peak_activation_bytes=peak_activation_bytes(architecture),
            num_blocks=len(architecture.blocks),
            head=architecture.head,
            val_accuracy=last.val_accuracy if last else None,
            val_loss=_finite(last.val_loss) if last else None,
            epochs=len(progress.epochs),
            seconds=round(progress.seconds, 2),
            seed=progress.run.seed,
            reason=progress.error or diverged or progress.stopped,
            curve=[[_finite(e.train_loss), e.val_accuracy, _finite(e.val_loss)] for e in progress.epochs],
            spared_at=progress.spared_at,
        )


NUMBER = "number"  # the attribute of a trial of Optuna's that tries one of ours again


@dataclass
class _Read:
    """What is known of a study: a finished trial never changes, and every suggestion asks for all."""

    records: dict[int, RunRecord] = field(default_factory=dict)  # by the number of our trial
    judged: list[RunRecord] = field(default_factory=list)  # in the order in which they were found
    under_way: list[int] = field(default_factory=list)  # Optuna's numbers
    num_trials: int = 0  # Optuna's that were looked at
    lock: Lock = field(default_factory=Lock)  # the page is made in a thread of its own

    def bring_up_to_date(self, study: Study) -> None:
        """Read what is new among all trials of the study."""
        with self.lock:
            trials, under_way = study.get_trials(deepcopy=False), []
            for i in (*self.under_way, *range(self.num_trials, len(trials))):
                trial = trials[i]
                if not trial.state.is_finished():
                    under_way.append(i)
                elif "record" in trial.user_attrs:
                    record = RunRecord.read(trial.user_attrs["record"])
                    self.records[number_of(trial)] = record
                    if record.state in (RunState.COMPLETE, RunState.PRUNED):
                        self.judged.append(record)
            self.under_way, self.num_trials = under_way, len(trials)


_READ: WeakKeyDictionary[Study, _Read] = WeakKeyDictionary()


def number_of(trial: Trial | FrozenTrial) -> int:
    """The number of our trial that Optuna's is an attempt at: its own, but for what is tried again."""
    return int(trial.user_attrs.get(NUMBER, trial.number))


def finished_trials(study: Study) -> dict[int, FrozenTrial]:
    """Of each trial that was finished, by its number, the latest attempt that was."""
    return {
        number_of(trial): trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and "record" in trial.user_attrs
    }


def finished(study: Study) -> dict[int, RunRecord]:
    """The records of the finished trials by number: trained to their end, stopped, diverged, or failed."""
    return dict(sorted(_read(study).records.items()))


def judged_and_under_way(study: Study) -> tuple[Sequence[RunRecord], list[FrozenTrial], int]:
    """What a sampler asks for each time: nothing in it takes longer the more trials are over.

    Returns:
        The records of the runs that came to their end or were stopped, the latest last, not to be changed;
        the trials that have begun and are not over; how many are over, however they ended.
    """
    read, trials = _read(study), study.get_trials(deepcopy=False)
    return read.judged, [trials[i] for i in read.under_way], read.num_trials - len(read.under_way)


def _read(study: Study) -> _Read:
    read = _READ.setdefault(study, _Read())
    read.bring_up_to_date(study)
    return read


def to_be_tried_again(study: Study) -> set[int]:
    """The numbers of the finished trials that `try_failed_again` asked for and that are not over again."""
    states = (TrialState.RUNNING, TrialState.WAITING)
    return {
        number_of(it) for it in study.get_trials(deepcopy=False, states=states) if NUMBER in it.user_attrs
    }


def try_failed_again(study: Study) -> None:
    """Have each FAILED trial tried once more, under its number and so with its seed."""
    asked = to_be_tried_again(study)
    trials = finished_trials(study)
    for number, record in finished(study).items():
        if record.state == RunState.FAILED and number not in asked:
            study.enqueue_trial(trials[number].params, user_attrs={NUMBER: number})


def finished_designs(study: Study) -> dict[str, RunRecord]:
    """The records of the named designs that were trained beside the trials, by name."""
    return {name: RunRecord.read(record) for name, record in study.user_attrs.get("designs", {}).items()}


def keep_design(study: Study, name: str, record: RunRecord) -> None:
    """Keep the record of a named design that was trained beside the trials."""
    study.set_user_attr("designs", study.user_attrs.get("designs", {}) | {name: asdict(record)})


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

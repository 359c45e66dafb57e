"""Ask, submit, collect, tell: the one driver of a search, and the only writer of its study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import islice

from optuna.study import Study
from optuna.trial import Trial, TrialState

from lightcnn.architecture import Architecture
from lightcnn.cost import num_parameters
from lightcnn.designs import NamedDesign
from lightcnn.errors import Failure
from search.execution.checkpoints import Checkpoints
from search.execution.display import Display
from search.execution.runs import Run, RunProgress, RunState, TrainingData, relative_cost
from search.execution.schedule import train_runs
from search.execution.slots import Slots
from search.records import (
    RunRecord,
    finished,
    finished_designs,
    keep_design,
    number_of,
    to_be_tried_again,
)
from search.samplers import OnlyWanted, draw_wanted
from search.settings import Reference, SearchSettings
from search.stopping import Rivals, is_exempt
from search.storage import uninterrupted

# Seeds of a search start here, those of retraining at 0: a fresh seed is never one that the search has used.
SEARCH_SEEDS = 1_000_000
DESIGN_SEEDS = 900_000  # of the named designs, after those of the trials

MAX_FAILURES = 4  # runs that fail one after the other, each twice, before the cause is looked for elsewhere


def search(
    study: Study,
    settings: SearchSettings,
    data: TrainingData,
    num_trials: int,
    with_designs: bool,
    slots: Slots,
    display: Display,
    checkpoints: Checkpoints | None = None,
) -> None:
    """Bring `study` to `num_trials` finished trials, then train the designs beside them.

    The reference is the first trial if the space holds it, whatever the budget, and beside the trials if not.
    Every run is reported to the study as it ends, but a failed one not before another run went well; a trial
    that an earlier driver left unfinished is resumed, under its own number, from where `checkpoints` have it.
    Fewer trials come out if the space holds no more candidates within the budget.

    Raises:
        Failure: more than MAX_FAILURES runs in a row failed. They are none of the study's then, and the next
            call trains them again.
    """
    referee = _Referee(settings, finished(study))
    runs = _runs(study, settings, data, num_trials, with_designs, display)
    leading = _leading([*finished(study).values(), *finished_designs(study).values()], settings.reference)
    failed: list[tuple[Trial | NamedDesign, RunRecord]] = []  # in a row, the latest
    rungs = settings.stopping.rungs if settings.stopping else ()
    for key, progress in train_runs(runs, slots, display, checkpoints, referee.judge, rungs):
        record = RunRecord.of(progress)
        if record.state == RunState.FAILED:
            failed.append((key, record))
            if len(failed) > MAX_FAILURES:
                raise Failure(
                    f"{len(failed)} runs in a row failed, the last because of {record.reason}; none of them "
                    "counts, and the same command tries them again"
                )
            continue
        for ended, its_record in (*failed, (key, record)):
            _keep(study, ended, its_record)
        failed.clear()
        leading = _leading([*leading, record], settings.reference)
        display.note(_so_far(leading, settings.reference))

    for key, record in failed:
        _keep(study, key, record)


def num_runs(study: Study, settings: SearchSettings, num_trials: int, with_designs: bool) -> tuple[int, int]:
    """How many runs `search` brings `study` to, trials and designs, and how many of them it has."""
    records, beside = finished(study), finished_designs(study)
    trained = {record.architecture for record in records.values()}
    if settings.reference_architecture in settings.space:
        trained.add(settings.reference.architecture)  # it is a trial, the first
    missing = [
        design
        for design in (settings.designs if with_designs else settings.designs[:1])
        if design.name not in beside and str(design.architecture(settings.task)) not in trained
    ]
    num_done = len(records) + len(beside)
    to_train = _num_to_train(study, num_trials) + len(missing)
    num_done -= len(to_be_tried_again(study))
    return num_done + to_train, num_done


def _num_to_train(study: Study, num_trials: int) -> int:
    """How many trials bring `study` to `num_trials`, with what is to be tried again."""
    return max(num_trials - len(finished(study)), 0) + len(to_be_tried_again(study))


class _Referee:
    """Applies the settings' stopping rule to the trials, those of an earlier driver among their rivals."""

    def __init__(self, settings: SearchSettings, records: dict[int, RunRecord]) -> None:
        self._settings, self._rivals = settings, Rivals()
        for number, record in records.items():
            self._rivals.put(number, record.num_parameters, record.accuracies)
        self._designs = {design.architecture(settings.task) for design in settings.designs}

    def judge(self, key: Trial | NamedDesign, progress: RunProgress) -> RunProgress:
        """For `train_runs`: `progress`, stopped or exempted if it is due to be stopped."""
        rule, architecture = self._settings.stopping, progress.run.architecture
        if rule is None or isinstance(key, NamedDesign):
            return progress
        size = num_parameters(architecture)
        curve = [epoch.val_accuracy for epoch in progress.epochs if epoch.val_accuracy is not None]
        own_number = number_of(key)
        self._rivals.put(own_number, size, [])  # no run is its own rival, nor is its earlier attempt
        better = rule.num_better_than(size, curve, self._rivals)
        self._rivals.put(own_number, size, curve)
        # A design that is a candidate as well is shown beside the front, so it is trained to its end.
        if better < rule.num_better or architecture in self._designs or progress.spared_at is not None:
            return progress
        if is_exempt(self._settings.seed, own_number):
            return replace(progress, spared_at=len(curve))
        candidates = "1 candidate" if better == 1 else f"{better} candidates"
        reason = (
            f"after {len(curve)} of {progress.run.recipe.epochs} epochs {candidates} with no more parameters "
            f"had at least {100 * rule.margin:g} % fewer errors"
        )
        return replace(progress, stopped=reason)


def _keep(study: Study, key: Trial | NamedDesign, record: RunRecord) -> None:
    """Keep the record of a run that is over; not of a design that failed, which the next call tries again."""
    with uninterrupted():
        if not isinstance(key, NamedDesign):
            _tell(study, key, record)
        elif record.state != RunState.FAILED:
            keep_design(study, key.name, record)


def _tell(study: Study, trial: Trial, record: RunRecord) -> None:
    trial.set_user_attr("record", asdict(record))
    if record.val_accuracy is None:
        study.tell(trial, state=TrialState.FAIL)
    elif record.state == RunState.PRUNED:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, [record.val_accuracy, record.num_parameters])


def _runs(
    study: Study,
    settings: SearchSettings,
    data: TrainingData,
    num_trials: int,
    with_designs: bool,
    display: Display,
) -> Iterator[tuple[Trial | NamedDesign, Run]]:
    """The trials that are missing, then the designs that are."""
    records = finished(study).values()
    seen = {record.architecture for record in (*records, *finished_designs(study).values())}
    missing = _num_to_train(study, num_trials)
    for trial, architecture in islice(_candidates(study, settings, seen), missing):
        missing -= 1
        seen.add(str(architecture))
        seed = SEARCH_SEEDS * (settings.seed + 1) + number_of(trial)
        yield trial, Run(architecture, settings.recipe, seed, data)
    if missing > 0:
        display.say(f"the space has no more candidates within {settings.budget}")
    # The reference is what the others are held against, so every study holds it.
    designs = [*enumerate(settings.designs if with_designs else settings.designs[:1])]
    # Those that take longest first, so that no slot has to wait for another at the end.
    designs.sort(key=lambda item: -relative_cost(item[1].architecture(settings.task)))
    for i, design in designs:
        architecture = design.architecture(settings.task)
        if design.name not in finished_designs(study) and str(architecture) not in seen:
            seed = SEARCH_SEEDS * (settings.seed + 1) + DESIGN_SEEDS + i
            yield design, Run(architecture, settings.recipe, seed, data)


def _candidates(
    study: Study, settings: SearchSettings, seen: set[str]
) -> Iterator[tuple[Trial, Architecture]]:
    """The trials that an earlier driver left running, then new ones as long as the space has any.

    Args:
        seen: architectures that were trained or are in training; the caller adds what it takes.
    """

    space, reference = settings.space, settings.reference_architecture

    def is_wanted(architecture: Architecture) -> bool:
        return str(architecture) not in seen and settings.budget.admits(architecture)

    def suggested(number: int, begin: Callable[[], Trial]) -> tuple[Trial, Architecture | None] | None:
        """Trial `number` and its candidate, if it makes one; None if the space has no more."""
        seed = [settings.seed, number]
        fallback = draw_wanted(seed, space, is_wanted)
        if fallback is None:
            return None
        with uninterrupted():
            study.sampler = OnlyWanted(settings.sampler, seed, space, is_wanted, fallback)
            trial = begin()
            return trial, space.suggest(trial)

    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        # Not failed and queued again: under another number it would have another seed.
        trial = Trial(study, left._trial_id)
        if left.params.keys() == space.distributions().keys():
            candidate = space.architecture(left.params)
            assert candidate is not None  # as only what is one becomes a trial
            yield trial, candidate
            continue
        # Its driver died while it was being suggested. The rest is suggested now: with one worker the very
        # same; with several the study may have grown, and the two parts make what is not wanted.
        _, candidate = suggested(left.number, partial(Trial, study, left._trial_id)) or (trial, None)
        is_again = number_of(trial) != trial.number
        if candidate is not None and (is_wanted(candidate) or candidate == reference or is_again):
            yield trial, candidate
        else:
            study.tell(trial, state=TrialState.FAIL)
    is_waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if reference in space and str(reference) not in seen and not is_waiting:
        study.enqueue_trial(space.parameters(reference))
    number = len(study.get_trials(deepcopy=False))
    while (new := suggested(number, study.ask)) is not None:
        trial, candidate = new
        number = max(number, trial.number + 1)  # what waited has its own already
        assert candidate is not None  # as `OnlyWanted` gives nothing else
        yield trial, candidate


def _leading(records: list[RunRecord], reference: Reference) -> list[RunRecord]:
    """The most accurate of the `records` trained to their end, and the reference's, if they are there."""
    complete = [record for record in records if record.state == RunState.COMPLETE]
    best = max(complete, key=lambda record: record.val_accuracy or 0.0, default=None)
    held_against = next((r for r in records if r.architecture == reference.architecture), None)
    return [record for record in (best, held_against) if record is not None]


def _so_far(leading: list[RunRecord], reference: Reference) -> str:
    """Best so far against the reference, for the progress display."""
    best = leading[0] if leading and leading[0].state == RunState.COMPLETE else None
    if best is None or best.val_accuracy is None:  # a named design may end before the first trial
        return ""
    text = f"best {best.architecture} {best.val_accuracy:.2%}"
    held_against = leading[-1]
    if held_against.architecture != reference.architecture or held_against.val_accuracy is None:
        return text
    return f"{text}, {reference.name} {held_against.val_accuracy:.2%}"

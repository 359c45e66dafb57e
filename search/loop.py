"""Ask, submit, collect, tell: the one driver of a search, and the only writer of its study."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import Trial, TrialState

from lightcnn.architecture import Architecture, Task, parse
from lightcnn.cost import num_macs, num_parameters, peak_activation_bytes
from lightcnn.designs import DESIGNS, LIGHTCNN, NamedDesign
from lightcnn.training import Recipe
from search import space
from search.progress import Display
from search.runs import Outcome, Run, TrainingData, train_runs

Candidate = tuple[Trial, Architecture]

SAMPLERS = ("tpe", "nsga2", "random", "gp")

# Seeds of a search start here, those of retraining at 0: a fresh seed is never one that the search has used.
SEARCH_SEEDS = 1_000_000
DESIGN_SEEDS = 900_000  # of the named designs, after those of the trials

# After so many suggestions in a row that are over budget or known, the next candidate is drawn at random
# among the others: a sampler that has converged may repeat itself for ever.
PATIENCE = 20
MAX_DRAWS = 20_000  # random draws without a new candidate, after which the space counts as exhausted


@dataclass(frozen=True)
class Search:
    """What decides the result of a search, besides the data's own bytes."""

    task: Task
    recipe: Recipe
    seed: int
    sampler: str
    max_parameters: int
    data: TrainingData


@dataclass(frozen=True)
class Record:
    """How one run ended, as the study and the tables keep it. None is absent."""

    state: str  # COMPLETE, DIVERGED or FAILED
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
    curve: list[list[float | None]]  # for each epoch: train_loss, val_accuracy, val_loss

    @staticmethod
    def of(outcome: Outcome) -> Record:
        """The record of a run that is over."""
        architecture = outcome.run.architecture
        last = outcome.epochs[-1] if outcome.epochs and outcome.error is None else None
        state = "FAILED" if outcome.error else "DIVERGED" if outcome.diverged else "COMPLETE"
        diverged = (
            f"the loss was no longer finite in epoch {len(outcome.epochs)}" if outcome.diverged else None
        )
        return Record(
            state=state,
            architecture=str(architecture),
            num_parameters=num_parameters(architecture),
            num_macs=num_macs(architecture),
            peak_activation_bytes=peak_activation_bytes(architecture),
            num_blocks=len(architecture.blocks),
            head=architecture.head,
            val_accuracy=last.val_accuracy if last else None,
            val_loss=_finite(last.val_loss) if last else None,
            epochs=len(outcome.epochs),
            seconds=round(outcome.seconds, 2),
            seed=outcome.run.seed,
            reason=outcome.error or diverged,
            curve=[[_finite(e.train_loss), e.val_accuracy, _finite(e.val_loss)] for e in outcome.epochs],
        )


def search(
    study: Study,
    settings: Search,
    num_trials: int,
    with_designs: bool,
    executor: Executor,
    num_slots: int,
    display: Display,
) -> None:
    """Bring `study` to `num_trials` finished trials, then train the named designs beside them.

    LightCNN is the first. Every run is told to the study as it ends; a trial that an earlier driver left
    unfinished is trained again, under its own number. Fewer trials come out if the space holds no more
    candidates within the budget.
    """
    study.enqueue_trial(space.parameters(parse(LIGHTCNN, settings.task)), skip_if_exists=True)
    executed = train_runs(_runs(study, settings, num_trials, with_designs), executor, num_slots, display)
    for key, outcome in executed:
        record = Record.of(outcome)
        if isinstance(key, NamedDesign):
            _keep_design(study, key.name, record)
            continue
        key.set_user_attr("record", asdict(record))
        if record.val_accuracy is None:
            study.tell(key, state=TrialState.FAIL)
        else:
            study.tell(key, [record.val_accuracy, record.num_parameters])
        display.note(_so_far(study))


def finished(study: Study) -> dict[int, Record]:
    """The records of the finished trials by number: trained to their end, diverged, or failed twice."""
    return {
        trial.number: Record(**trial.user_attrs["record"])
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and "record" in trial.user_attrs
    }


def finished_designs(study: Study) -> dict[str, Record]:
    """The records of the named designs that were trained beside the trials, by name."""
    return {name: Record(**record) for name, record in study.user_attrs.get("designs", {}).items()}


def num_skipped(study: Study) -> int:
    """Suggestions that were not trained, being over budget or known; they are no trials of the search."""
    return sum("skipped" in trial.user_attrs for trial in study.get_trials(deepcopy=False))


def _runs(
    study: Study, settings: Search, num_trials: int, with_designs: bool
) -> Iterator[tuple[Trial | NamedDesign, Run]]:
    """The trials that are missing, then the named designs that are; advanced when a slot is free."""
    records = finished(study).values()
    seen = {record.architecture for record in records}
    candidates = _candidates(study, settings)
    for _ in range(len(records), num_trials):
        suggestion = _next_new(study, settings, candidates, seen)
        if suggestion is None:
            break
        trial, architecture = suggestion
        seen.add(str(architecture))
        seed = SEARCH_SEEDS * (settings.seed + 1) + trial.number
        yield trial, Run(architecture, settings.recipe, seed, settings.data)
    for i, design in enumerate(DESIGNS if with_designs else ()):
        architecture = design.architecture(settings.task)
        if design.name not in finished_designs(study) and str(architecture) not in seen:
            seed = SEARCH_SEEDS * (settings.seed + 1) + DESIGN_SEEDS + i
            yield design, Run(architecture, settings.recipe, seed, settings.data)


def _next_new(
    study: Study, settings: Search, candidates: Iterator[Candidate], seen: set[str]
) -> Candidate | None:
    """The next candidate that is within budget and not yet trained or in training; None if none is left."""

    def unwanted(architecture: Architecture) -> str | None:
        if str(architecture) in seen:
            return f"{architecture} is known"
        size = num_parameters(architecture)
        # LightCNN is what the others are held against, so every study holds it, whatever the budget.
        if size > settings.max_parameters and str(architecture) != LIGHTCNN:
            return f"{architecture} has {size:,} parameters, more than {settings.max_parameters:,}"
        return None

    for trial, architecture in islice(candidates, PATIENCE):
        if (reason := unwanted(architecture)) is None:
            return trial, architecture
        trial.set_user_attr("skipped", reason)
        study.tell(trial, state=TrialState.FAIL)
    rng = np.random.default_rng([settings.seed, len(study.get_trials(deepcopy=False))])
    for _ in range(MAX_DRAWS):
        architecture = space.draw(rng, settings.task)
        if unwanted(architecture) is None:
            study.enqueue_trial(space.parameters(architecture))
            return next(candidates)
    return None


def _candidates(study: Study, settings: Search) -> Iterator[Candidate]:
    """The trials that an earlier driver left running, then without end what the sampler suggests.

    Each trial has a sampler of its own, seeded with the trial's number. So what is suggested follows from the
    study's history alone, and a search that was interrupted goes on as if it had not been.
    """
    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.sampler = _sampler(settings, left.number)
        # Not failed and queued again: under another number it would have another seed.
        trial = Trial(study, left._trial_id)
        yield trial, space.suggest(trial, settings.task)
    while True:
        study.sampler = _sampler(settings, len(study.get_trials(deepcopy=False)))
        trial = study.ask()
        yield trial, space.suggest(trial, settings.task)


def _sampler(settings: Search, number: int) -> BaseSampler:
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    match settings.sampler:
        case "tpe":
            return TPESampler(seed=seed, multivariate=True)
        case "nsga2":
            return NSGAIISampler(seed=seed)
        case "gp":
            return GPSampler(seed=seed)
        case "random":
            return RandomSampler(seed=seed)
    raise ValueError(f"--sampler must be one of {', '.join(SAMPLERS)}, but got {settings.sampler!r}")


def _keep_design(study: Study, name: str, record: Record) -> None:
    study.set_user_attr("designs", study.user_attrs.get("designs", {}) | {name: asdict(record)})


def _so_far(study: Study) -> str:
    """Best so far against LightCNN, for the progress display."""
    records = [r for r in finished(study).values() if r.val_accuracy is not None]
    if not records:
        return ""
    best = max(records, key=lambda r: r.val_accuracy or 0.0)
    text = f"best {best.architecture} {best.val_accuracy:.2%}"
    lightcnn = next((r for r in records if r.architecture == LIGHTCNN), None)
    return text if lightcnn is None else f"{text}, LightCNN {lightcnn.val_accuracy:.2%}"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

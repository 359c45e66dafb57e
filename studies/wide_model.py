"""A surrogate benchmark of the wide space: what its networks would reach, learnt from some.

Source: Zela, Siems, Zimmer, Lukasik, Keuper and Hutter (2022), Surrogate NAS benchmarks: going beyond the
limited search spaces of tabular NAS benchmarks. Its models are deep ensembles among others, as here. They see
the parameters as the space has them as well as what follows from the plan, which is all that the search's own
model sees, and have no kernel, so a search's model is not judged by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from scipy.stats import kendalltau
from torch import Tensor, nn

from lightcnn.architecture import Architecture, parse
from search.space import Space
from search.statistics import centre_and_scale
from search.surrogate import features, final_log_errors
from search.tables import Tables

Array = NDArray[np.float64]

MOST_ERRORS = 0.3  # what errs more often counts as if it erred so often
NUM_MEMBERS, WIDTH, STEPS, LEARNING_RATE, WEIGHT_DECAY = 10, 64, 150, 3e-3, 1e-1
NUM_FOLDS = 5


def encoded(networks: Sequence[Architecture], space: Space) -> Array:
    """What the model sees: what the search's model sees, and the space's parameters, choices one by one."""
    rows = []
    for network in networks:
        parameters, row = space.parameters(network), []
        for dimension in space.dimensions:
            value, kind = parameters[dimension.name], dimension.distribution
            if isinstance(kind, CategoricalDistribution):
                row += [float(value == choice) for choice in kind.choices]
            else:
                row.append(float(np.log(value)))
        rows.append(row)
    return np.hstack([features(networks, space), np.array(rows)])


class Benchmark:
    """Log errors of networks, by an ensemble that was fitted to those of some.

    Args:
        errors: log errors of the `networks`, (num_networks,).
    """

    def __init__(self, networks: Sequence[Architecture], errors: Array, space: Space, seed: int = 0) -> None:
        inputs = encoded(networks, space)
        self._space, (self._centre, self._scale) = space, centre_and_scale(inputs)
        self._mean, self._deviation = float(errors.mean()), float(errors.std())
        targets = torch.tensor((errors - self._mean) / self._deviation, dtype=torch.float32)
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._members = [
                _fitted(
                    self._standard(inputs),
                    targets,
                    torch.randint(len(errors), (len(errors),), generator=generator),
                )
                for _ in range(NUM_MEMBERS)
            ]

    def _standard(self, inputs: Array) -> Tensor:
        # What lies beyond all that it has seen is taken to be no further than three deviations.
        return torch.tensor(np.clip((inputs - self._centre) / self._scale, -3, 3), dtype=torch.float32)

    def log_errors(self, networks: Sequence[Architecture]) -> Array:
        """The members' mean and one standard deviation: what the table says little of counts as worse."""
        with torch.inference_mode():
            inputs = self._standard(encoded(networks, self._space))
            all_of_them = torch.stack([member(inputs)[:, 0] for member in self._members]).numpy()
        found: Array = self._mean + self._deviation * (all_of_them.mean(axis=0) + all_of_them.std(axis=0))
        return found


def _fitted(inputs: Tensor, targets: Tensor, drawn: Tensor) -> nn.Module:
    """A member of the ensemble, fitted to networks that were drawn with replacement."""
    member = nn.Sequential(
        *(
            nn.Linear(inputs.shape[1], WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, 1),
        )
    )
    optimiser = torch.optim.AdamW(member.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = nn.functional.huber_loss(member(inputs[drawn])[:, 0], targets[drawn])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return member


def measured(study: Tables) -> tuple[list[Architecture], Array]:
    """The networks that a search trained, and log errors; a stopped run's as foreseen by the others'."""
    assert study.settings is not None and study.task is not None
    curves = study.curves.sort_values(["trial", "epoch"]).groupby("trial")["val_accuracy"].apply(list)
    judged = study.trials[study.trials["trial"].isin(curves.index)]
    errors, _ = final_log_errors([curves[trial] for trial in judged["trial"]])
    networks = [parse(text, study.task) for text in judged["architecture"]]
    return networks, np.minimum(errors, np.log(MOST_ERRORS))


def held_out(networks: Sequence[Architecture], errors: Array, space: Space) -> dict[str, float]:
    """How well networks are foreseen that it was not fitted to, in NUM_FOLDS parts."""
    part = np.random.default_rng(0).permutation(len(networks)) % NUM_FOLDS
    foreseen = np.empty(len(networks))
    for fold in range(NUM_FOLDS):
        rest = [network for network, own in zip(networks, part, strict=True) if own != fold]
        some = [network for network, own in zip(networks, part, strict=True) if own == fold]
        foreseen[part == fold] = Benchmark(rest, errors[part != fold], space).log_errors(some)
    missed = errors - foreseen
    return {
        "num_networks": len(networks),
        "kendall_tau": float(kendalltau(foreseen, errors).statistic),
        "r2": float(1 - np.mean(missed**2) / errors.var()),
        "rms_log_error": float(np.sqrt(np.mean(missed**2))),
    }

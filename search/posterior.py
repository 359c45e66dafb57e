"""What a study's runs say of its designs together: single runs, fresh seeds and features in one estimate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lightcnn.architecture import parse
from lightcnn.cost import num_parameters
from search.deaths import live
from search.image_facts import ImageFacts
from search.joint import Joint, Observation, estimate, on_front
from search.moderation import MNIST, Prior, fitted, moderated
from search.settings import SearchSettings
from search.statistics import Array, Values
from search.surrogate import features

SEARCH, FRESH = 0, 1  # sources of runs

Runs = Mapping[str, Array]  # accuracies of each design by its text, NaN where a run died


class Posterior(NamedTuple):
    """Joint draws of what the designs of a study reach; the candidates come first."""

    texts: tuple[str, ...]  # architectures
    num_candidates: int
    sizes: Array  # parameters, (num_designs,)
    joint: Joint

    def rivals(self, text: str) -> tuple[Array, Array, list[str]]:
        """The candidates but `text`: draws, (num_draws, num_rivals), sizes, (num_rivals,), and texts."""
        others = [i for i in range(self.num_candidates) if self.texts[i] != text]
        return self.joint.accuracies[:, others], self.sizes[others], [self.texts[i] for i in others]

    def draws(self, text: str) -> Array:
        """Of one design, (num_draws,)."""
        return self.joint.accuracies[:, self.texts.index(text)]

    def front_probability(self) -> dict[str, float]:
        """Of each candidate, by its text."""
        n = self.num_candidates
        chances = on_front(self.joint.accuracies[:, :n], self.sizes[:n])
        return dict(zip(self.texts, map(float, chances), strict=False))


def posterior_of(
    candidates: Collection[str],
    searched: Runs,
    fresh: Runs,
    settings: SearchSettings,
    images: ImageFacts,
) -> Posterior | None:
    """The joint estimate of `candidates` and of the other designs that have runs; None: no run lives.

    Args:
        candidates: the architectures that may be on the front, by their texts, each once.
        searched: validation accuracies of the search's runs.
        fresh: test accuracies of the fresh seeds. Empty: accuracies are those of the search's runs, on
            validation images and after training on fewer; else they are as fresh seeds measure them.
    """
    sources = (
        (SEARCH, searched, validation_prior(searched.values(), settings)),
        (FRESH, fresh, fresh_prior(fresh, settings, images)),
    )
    texts = tuple(dict.fromkeys([*candidates, *searched, *fresh]))
    observations = [
        Observation.of(texts.index(text), source, moderated(accuracies, prior))
        for source, runs, prior in sources
        for text, accuracies in runs.items()
        if np.isfinite(accuracies).any()
    ]
    if not observations:
        return None
    architectures = [parse(text, settings.task) for text in texts]
    unseen = np.full(settings.space.num_coordinates + 2, np.nan)
    described = np.array(
        [features([it], settings.space)[0] if it in settings.space else unseen for it in architectures]
    )
    sizes = np.array([num_parameters(it) for it in architectures], dtype=float)
    source = max(observation.source for observation in observations)
    return Posterior(texts, len(candidates), sizes, estimate(described, observations, source))


def validation_runs(accuracies: Runs, settings: SearchSettings, images: ImageFacts) -> dict[str, Array]:
    """The search's runs with those that died taken out."""
    return _living(accuracies, images, settings.data.num_validation)


def fresh_runs(accuracies: Runs, images: ImageFacts) -> dict[str, Array]:
    """Fresh runs with those that died taken out."""
    return _living(accuracies, images, images.num_test)


def _living(accuracies: Runs, images: ImageFacts, num_images: int) -> dict[str, Array]:
    return {text: live(own, images.largest_class_share, num_images) for text, own in accuracies.items()}


def validation_prior(searched: Iterable[Values], settings: SearchSettings) -> Prior:
    """How far a seed moves a validation accuracy; single runs do not tell, so as on MNIST.

    Args:
        searched: validation accuracies of each design.
    """
    num_images = settings.data.num_validation
    if settings.data.is_mnist:
        return replace(MNIST, num_images=num_images)
    return MNIST.on_other_images(num_images, searched)


def fresh_prior(fresh: Runs, settings: SearchSettings, images: ImageFacts) -> Prior:
    """How far a seed moves a test accuracy: as found on MNIST; on other images as the runs themselves say."""
    return MNIST if settings.data.is_mnist else fitted([*fresh.values()], images.num_test)

"""The options of a recipe, each by default as in the study to be resumed."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Protocol

from lightcnn.initialisation import INITIALISATIONS, Initialisation
from lightcnn.training import AUGMENTED, MOST_AUGMENTATION, Recipe
from search.command import at_least, number_between
from search.settings import SearchSettings, begun_with


class RecipeOfRuns(Protocol):
    """What the recipes of a study's runs share."""

    @property
    def initialisation(self) -> Initialisation:
        """What their weights begin with."""


class SettingsWithRecipe(Protocol):
    """The settings of a study with one recipe."""

    @property
    def recipe(self) -> RecipeOfRuns:
        """That of its runs."""


def add_initialisation_option(parser: argparse._ActionsContainer, recipe: Recipe) -> None:
    """`--initialisation`, which `initialisation_of` reads; `recipe` is that of new studies."""
    parser.add_argument(
        "--initialisation",
        choices=list(INITIALISATIONS),
        help="how the weights that a run begins with are drawn; by default "
        f"{recipe.initialisation}, or as in the study to be resumed",
    )


def initialisation_of(
    options: argparse.Namespace, recipe: Recipe, name: str, kind: type[SettingsWithRecipe]
) -> Initialisation:
    """What `--initialisation` asks for, else that of the study to be resumed, else that of `recipe`.

    Args:
        name: of the study.
        kind: of its settings.
    """
    asked: Initialisation | None = options.initialisation
    earlier = None if asked or options.fresh else begun_with(options.out / name, kind)
    return asked or (earlier.recipe if earlier else recipe).initialisation


def add_augmentation_option(parser: argparse._ActionsContainer) -> None:
    """`--augmentation`, which `augmented_recipe` reads."""
    parser.add_argument(
        "--augmentation",
        type=_augmentation,
        metavar="S[:P]",
        help="train on images moved, turned, stretched and sheared at random: with 1 by up to a pixel in 28, "
        "10 degrees, 10 %%; networks of fewer than P parameters have none, as in a few epochs they do not "
        f"even learn the images as they are, and from three times P on all of it; P is "
        f"{AUGMENTED.augmented_from:,} unless given, and 0 is for trainings of 100 epochs and more; by "
        f"default {AUGMENTED.augmentation:g} in the wide space on MNIST and else 0, or as in the study to be "
        "resumed",
    )


def _augmentation(text: str) -> tuple[float, int]:
    """Strength, and the parameters from which on; for argparse."""
    strength, colon, size = text.partition(":")
    asked = number_between(0, MOST_AUGMENTATION)(strength)
    return asked, at_least(0)(size) if colon else AUGMENTED.augmented_from


def augmented_recipe(options: argparse.Namespace, recipe: Recipe, name: str) -> Recipe:
    """`recipe` with the augmentation asked for, else that of the search to be resumed, else what is
    known to pay in the space on the data set.

    Args:
        name: of the study.
    """
    asked: tuple[float, int] | None = options.augmentation
    earlier = begun_with(options.out / name, SearchSettings) if asked is None and not options.fresh else None
    if earlier is not None:
        own = earlier.recipe
        return replace(recipe, augmentation=own.augmentation, augmented_from=own.augmented_from)
    if asked is None:
        # On Fashion-MNIST it cost more than a point: what a class keeps under it depends on the images.
        is_known_to_pay = options.space == "wide" and options.dataset == "mnist"
        asked = AUGMENTED.augmentation if is_known_to_pay else 0.0, AUGMENTED.augmented_from
    strength, size = asked
    return replace(recipe, augmentation=strength, augmented_from=size if strength else 0)

"""The options of a recipe, each by default as in the study to be resumed."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Protocol

from lightcnn.initialisation import INITIALISATIONS, Initialisation
from lightcnn.training import AUGMENTED, MOST_AUGMENTATION, Recipe
from search.command import number_between
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
        type=number_between(0, MOST_AUGMENTATION),
        metavar="S",
        help="train on images moved, turned, stretched and sheared at random: with 1 by up to a pixel in 28, "
        f"10 degrees, 10 %%; networks of fewer than {AUGMENTED.augmented_from:,} parameters have none, as it "
        f"costs them accuracy, and from {3 * AUGMENTED.augmented_from:,} on all of it; by default "
        f"{AUGMENTED.augmentation:g} in the wide space and 0 in the template, or as in the study to be "
        "resumed",
    )


def augmented_recipe(options: argparse.Namespace, recipe: Recipe, name: str) -> Recipe:
    """`recipe` with the augmentation asked for, else that of the search to be resumed, else the space's.

    Args:
        name: of the study.
    """
    asked: float | None = options.augmentation
    earlier = begun_with(options.out / name, SearchSettings) if asked is None and not options.fresh else None
    if earlier is not None:
        own = earlier.recipe
        return replace(recipe, augmentation=own.augmentation, augmented_from=own.augmented_from)
    if asked is None:
        asked = AUGMENTED.augmentation if options.space == "wide" else 0.0
    return replace(recipe, augmentation=asked, augmented_from=AUGMENTED.augmented_from if asked else 0)

"""Which images of its data set a run trains on, chooses by, and is tested with."""

from typing import NamedTuple

from etude.data import Dataset, Split, hold_out
from etude.recipes import Recipe


class Splits(NamedTuple):
    """The images of a run: to train on, held out to validate on, to test on at the end."""

    train: Split
    validation: Split
    test: Split


def make_splits(recipe: Recipe, dataset: Dataset) -> Splits:
    """Hold images out of the training split as the recipe says; `UsageError` when none would be left to train on."""
    train, validation = hold_out(
        dataset.train,
        train_images=recipe.train_images,
        validation_images=recipe.validation_images,
        seed=recipe.seed,
    )
    return Splits(train, validation, dataset.test)

"""Which images of its data set a run trains on, chooses by, and is tested with."""

from typing import NamedTuple

from torch import Tensor

from etude.data import Dataset, Split, hold_out
from etude.recipes import Recipe


class Splits(NamedTuple):
    """The images of a run: to train on, held out to validate on, to test on at the end."""

    train: Split
    validation: Split
    test: Split


class Rows(NamedTuple):
    """The same as row numbers (n,) in the training split of the data set."""

    train: Tensor
    validation: Tensor


def make_rows(recipe: Recipe, dataset: Dataset) -> Rows:
    """Hold images out of the training split as the recipe says; `UsageError` when none would be left to train on."""
    return Rows(
        *hold_out(
            len(dataset.train),
            train_images=recipe.train_images,
            validation_images=recipe.validation_images,
            seed=recipe.seed,
        )
    )


def make_splits(recipe: Recipe, dataset: Dataset) -> Splits:
    """The images themselves, by `make_rows`."""
    train, validation = (dataset.train.take(rows) for rows in make_rows(recipe, dataset))
    return Splits(train, validation, dataset.test)

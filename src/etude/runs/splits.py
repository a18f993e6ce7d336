"""Which images of its data set a run trains on, chooses by, and is tested with."""

from typing import NamedTuple

import torch
from torch import Tensor

from etude.data import Dataset, RunningText, Split, hold_out
from etude.data.kinds import examples_of
from etude.errors import UsageError
from etude.recipes import Recipe


class Splits(NamedTuple):
    """The images of a run: to train on, held out to validate on, to test on at the end."""

    train: Split
    validation: Split
    test: Split


class Rows(NamedTuple):
    """The same as row numbers (n,) in the images of `not_tested`."""

    train: Tensor
    validation: Tensor


def not_tested(dataset: Dataset) -> Split:
    """All images that are not for testing: the training split, then the validation split, where the data has one."""
    if dataset.validation is None:
        return dataset.train
    return Split.joined([dataset.train, dataset.validation])


def make_rows(recipe: Recipe, dataset: Dataset) -> Rows:
    """Which images a run trains on and validates on; `UsageError` when none would be left to train on.

    Data with a validation split validates on it, and trains on the whole training split: on all of it, or on as many as
    the recipe's `validation_images` if that is above 0, drawn with its seed, or of running text the first ones.
    Otherwise images are held out of the training split, as the recipe says. Where data lie class by class, so that the
    first `train_images` have not all classes, these are the first ones of each class, in the split's proportions.
    """
    total, wanted = len(dataset.train), recipe.validation_images
    own = dataset.validation
    train, validation = hold_out(
        total,
        train_images=recipe.train_images,
        validation_images=wanted if own is None else 0,
        seed=recipe.seed,
    )
    order = _with_all_classes(dataset.train, recipe.train_images)
    train, validation = order[train].sort().values, order[validation].sort().values
    if own is not None:
        if wanted is not None and wanted > len(own):
            raise UsageError(
                f"out of range: --validation-images {wanted} (allowed: 0 to {len(own)}, the "
                f"{examples_of(dataset.kind)} of the validation split of {dataset.name})."
            )
        order = torch.randperm(len(own), generator=torch.Generator().manual_seed(recipe.seed))
        if isinstance(dataset.kind, RunningText):  # its rows mean something only one after the other
            order = torch.arange(len(own))
        validation = total + (order[:wanted].sort().values if wanted else torch.arange(len(own)))
    return Rows(train, validation)


def _with_all_classes(split: Split, first: int | None) -> Tensor:
    """All row numbers, in an order whose `first` ones have all classes: that of the split, if it does."""
    rows = torch.arange(len(split))
    if first is None or "labels" not in split.columns:
        return rows
    labels = split.labels.long()
    classes = labels.unique()
    if len(labels[:first].unique()) >= min(first, len(classes)):
        return rows
    places = torch.empty(len(rows), dtype=torch.float64)
    for label in classes:
        of_label = labels == label
        places[of_label] = torch.linspace(0, 1, int(of_label.sum()), dtype=torch.float64)
    return places.argsort(stable=True)


def make_splits(recipe: Recipe, dataset: Dataset) -> Splits:
    """The images themselves, by `make_rows`."""
    images = not_tested(dataset)
    train, validation = (images.take(rows) for rows in make_rows(recipe, dataset))
    return Splits(train, validation, dataset.test)

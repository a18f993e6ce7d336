"""A data set from arrays: recognises what they hold, and draws a test split if there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.data.kinds import Images, Kind, Table
from etude.data.labels import read_labels
from etude.data.levels import KindName, read_images, read_table, recognise
from etude.data.split import Split
from etude.errors import UsageError

TEST_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """Examples as their owner gave them, with the names that errors use for them."""

    x: np.ndarray
    y: np.ndarray | None
    """None if they have no labels. Then all are of one class."""
    x_name: str
    y_name: str


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What `understand` found in arrays; final."""

    kind: Kind
    train: Split
    validation: Split | None
    test: Split
    notes: tuple[str, ...]

    def as_fields(self) -> dict[str, Any]:
        """As the fields of a `Dataset`."""
        return vars(self).copy()


def understand(
    train: Arrays,
    *,
    validation: Arrays | None,
    test: Arrays | None,
    class_names: Sequence[str] | None,
    kind: KindName | None,
    seed: int,
    feature_names: tuple[str, ...] = (),
    notes: Sequence[str] = (),
) -> Parts:
    """The arrays as splits of one kind, and what was guessed, one sentence each, after `notes`.

    Without `test`, a fifth of each class is drawn from `train` with `seed`. Raises `UsageError` if something is
    unclear.
    """
    parts = {role: each for role, each in (("train", train), ("validation", validation), ("test", test)) if each}
    told = list(notes)
    for each in parts.values():
        _require_pairs(each, train)
    found = recognise(train.x_name, train.x.shape, kind)
    read = read_images if found == "images" else read_table
    inputs = read({each.x_name: each.x for each in parts.values()}, told)
    if train.y is None:
        told.append("no labels: all examples are of one class, enough for a GAN or a VAE, not for a classifier")
        zeros = {each.y_name: np.zeros(len(each.x), dtype=np.int64) for each in parts.values()}
        labels, names = read_labels(zeros, class_names or ["all"], told)
    else:
        given = {each.y_name: each.y for each in parts.values() if each.y is not None}
        labels, names = read_labels(given, class_names, told)
    column = (Images if found == "images" else Table).column
    splits = {
        role: Split(
            None, **{column: torch.from_numpy(inputs[each.x_name]), "labels": torch.from_numpy(labels[each.y_name])}
        )
        for role, each in parts.items()
    }
    if test is None:
        kept, drawn = draw(splits["train"].labels, TEST_SHARE, seed)
        if not len(drawn):
            raise UsageError(
                f"{train.x_name} holds one example of each class: give two or more, to train and to test on."
            )
        splits |= {"train": splits["train"].take(kept), "test": splits["train"].take(drawn)}
        told.append(f"no examples to test on: a fifth of each class, {len(drawn):,} in all, is drawn for that")
    made = (
        _images(splits["train"], names)
        if found == "images"
        else table_kind(splits["train"], names, feature_names, told)
    )
    return Parts(
        kind=made,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        notes=tuple(told),
    )


def draw(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Row numbers (that stay, that are drawn), ascending: drawn is that share of each class, at least one of two."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        count = max(1, round(share * len(rows))) if len(rows) > 1 else 0
        drawn[rows[torch.randperm(len(rows), generator=generator)[:count]]] = True
    return (~drawn).nonzero()[:, 0], drawn.nonzero()[:, 0]


def _require_pairs(given: Arrays, train: Arrays) -> None:
    if (given.y is None) != (train.y is None):
        lacking, other = (given, train) if given.y is None else (train, given)
        raise UsageError(f"{lacking.y_name} is missing, and {other.y_name} is there: give labels for all, or for none.")
    if given.y is None:
        return
    if not given.y.ndim or not given.x.ndim or len(given.x) != len(given.y):
        shapes = f"{given.x_name} has shape {given.x.shape} and {given.y_name} {given.y.shape}"
        raise UsageError(f"{shapes}: give a label for each example.")


def _images(train: Split, class_names: tuple[str, ...]) -> Images:
    channels, height, width = train.images.shape[1:]
    return Images(shape=(channels, height, width), class_names=class_names)


def table_kind(train: Split, class_names: tuple[str, ...], feature_names: tuple[str, ...], notes: list[str]) -> Table:
    """The kind of a table, with the mean and standard deviation of each feature over the training split."""
    features = train.features.double()
    mean, scale = features.mean(dim=0), features.std(dim=0, correction=0)
    # No more than float32 rounding, or so small that 1 / scale is too large for it.
    constant = scale <= (1e-7 * features.abs().max(dim=0).values).clamp(min=1e-30)
    if constant.any():
        which = [feature_names[index] if feature_names else str(index) for index in constant.nonzero()[:, 0].tolist()]
        some = ", ".join(which[:5]) + (f" and {len(which) - 5} more" if len(which) > 5 else "")
        notes.append(f"the same in every example to train on: feature {some}")
    return Table(
        class_names=class_names,
        mean=tuple(mean.tolist()),
        scale=tuple(torch.where(constant, 1.0, scale).tolist()),
        feature_names=feature_names,
    )

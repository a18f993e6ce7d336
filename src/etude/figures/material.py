"""The data that the figures of one run share, read and computed once."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
import torch

from etude.data import Dataset
from etude.data.kinds import examples_of
from etude.drawing.lettering import explain, legible
from etude.families.abilities import By
from etude.runs import Run

MAX_CLASSES = 12
"""The most columns of a picture, one per class."""
MIN_IMAGES = 8


@final
class Material:
    """A run with its data set and what several figures need from them.

    `label` is the class that a figure shows. `texts` are a person's sentences that it shows, and `by` says how they
    are explained.
    """

    def __init__(
        self,
        run: Run,
        *,
        data_dir: Path | None,
        label: int | None = None,
        texts: Sequence[str] = (),
        by: By | None = None,
    ) -> None:
        self.run, self.data_dir, self.label, self.texts = run, data_dir, label, texts
        self.by: By | None = by

    def of_class(self, label: int | None) -> "Material":
        """The same material for a figure of one class."""
        other = Material(self.run, data_dir=self.data_dir, label=label)
        other.__dict__ |= {key: value for key, value in self.__dict__.items() if key in ("dataset", "confusion")}
        return other

    @cached_property
    def dataset(self) -> Dataset:
        """The data set that the run was trained on."""
        return self.run.dataset(self.data_dir)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Counts (classes, classes) of the test images by true and predicted class."""
        test = self.dataset.test
        predictions, num_classes = (
            self.run.classify(test[self.run.kind.column]).argmax(dim=1),
            len(self.run.class_names),
        )
        cells = (test.labels * num_classes + predictions).bincount(minlength=num_classes**2)
        return cells.view(num_classes, num_classes).numpy()

    @property
    def examples(self) -> str:
        """What the data set holds, in a word."""
        return examples_of(self.run.kind)

    @property
    def conditional(self) -> bool:
        """Whether the networks take the label."""
        return self.run.conditional

    @cached_property
    def class_names(self) -> list[str]:
        """The names of the classes as a figure can write them."""
        return legible(self.run.class_names)

    def title(self, what: str, *, with_names: bool = False) -> str:
        """The figure's title: what it shows, which run, which class; `with_names` if it names classes."""
        if self.label is not None:
            what, with_names = f"{what}, class {self.class_names[self.label]}", True
        title = f"{what} · {self.run.name}"
        return explain(title, self.class_names) if with_names else title

    def labels(self, labels: torch.Tensor) -> torch.Tensor | None:
        """The labels for the networks, if they take any."""
        return labels if self.conditional else None

    def one_per_class(self) -> torch.Tensor:
        """Indices of test images in the order of their classes: one each, or more if there are few classes."""
        labels = self.dataset.test.labels.numpy()
        num_classes = len(self.run.class_names)
        return torch.from_numpy(pick_evenly(labels, min(max(num_classes, MIN_IMAGES), MAX_CLASSES)))


def pick_evenly(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` images (all if there are fewer), as equal a number per class as possible, sorted by class.

    It takes the first images of each class, from as many classes as `count` allows, spread evenly.
    """
    by_class = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[by_class], labels[by_class])
    rank = np.arange(len(labels)) - starts  # how many of the same class come before each image
    first = by_class[rank == 0]
    if len(first) >= count:
        return first[np.linspace(0, len(first) - 1, count).round().astype(int)]
    in_turn = by_class[np.lexsort((labels[by_class], rank))][:count]
    return in_turn[np.argsort(labels[in_turn], kind="stable")]

"""Data in memory: a split, a data set of two or three of them, and the validation examples held out of one."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from etude.data import summary
from etude.data.kinds import Images, Kind
from etude.errors import UsageError

DEFAULT_VALIDATION_IMAGES = 5_000


class Split:
    """Examples as columns of equal length, in the order of their source; final.

    Row i of every column is one example: `Split(images=…, labels=…)`. Which columns there are and what they hold says
    the kind of the data set (`kinds`).
    """

    def __init__(self, **columns: Tensor) -> None:
        """Any columns by name, each (N, …); `UsageError` where there is none, or they differ in length."""
        if len({len(column) for column in columns.values()}) != 1:
            given = ", ".join(f"{name} {len(column)}" for name, column in sorted(columns.items()))
            raise UsageError(f"columns of {given or 'nothing'}: give each column of a split the same number of rows.")
        self.columns = {name: columns[name] for name in sorted(columns)}
        """By name, in alphabetical order."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Tensor:
        return self.columns[name]

    @property
    def images(self) -> Tensor:
        """uint8 (N, C, H, W), values 0 to 255, of data of the kind `Images`."""
        return self.columns["images"]

    @property
    def features(self) -> Tensor:
        """float32 (N, F), of data of the kind `Table`."""
        return self.columns["features"]

    @property
    def labels(self) -> Tensor:
        """int64 (N,), each an index into the class names."""
        return self.columns["labels"]

    def take(self, rows: Tensor) -> "Split":
        """The examples with these row numbers (n,), in that order."""
        return Split(**{name: column[rows] for name, column in self.columns.items()})

    def to(self, device: str) -> "Split":
        """The same on a device."""
        return Split(**{name: column.to(device) for name, column in self.columns.items()})

    def __repr__(self) -> str:
        described = (" ".join([name, "×".join(map(str, each.shape[1:]))]) for name, each in self.columns.items())
        return f"<Split of {len(self):,}: {', '.join(map(str.rstrip, described))}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class Dataset:
    """A named data set with its official splits; it shows itself as `etude data show` prints it."""

    name: str
    kind: Kind
    train: Split
    validation: Split | None = None
    """To choose by; None where the data has no such split, and images to train on are held out instead."""
    test: Split
    licence: str
    source: str
    """Who made it and where it is described."""
    layout: str = ""
    """Of a person's pictures: how they lay in folders, in words."""
    notes: tuple[str, ...] = ()
    """What a person should know of how it was read: what was guessed, changed or left out, a sentence each."""
    left_out: tuple[str, ...] = ()
    """Broken pictures that were left out, as paths below the folder."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the labels are called: label 0 has the first name."""
        return self.kind.class_names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image; `UsageError` where the data are no images."""
        if not isinstance(self.kind, Images):
            raise UsageError(f"{self.name} is a table, not images: it has no image_shape; `kind.shape` is (features,).")
        return self.kind.shape

    def __repr__(self) -> str:
        return summary.text(self)

    def _repr_html_(self) -> str:
        return summary.html(self)

    def digest(self) -> str:
        """A checksum of every column of every split, by which a run knows its data again."""
        digest = hashlib.blake2b(digest_size=16)
        for split in (self.train, self.test, *([self.validation] if self.validation else [])):
            for column in split.columns.values():
                digest.update(column.contiguous().numpy().data)
        return digest.hexdigest()


def hold_out(
    total: int, *, train_images: int | None, validation_images: int | None, seed: int
) -> tuple[Tensor, Tensor]:
    """Divide a training split of `total` images into (training, validation) row numbers, ascending.

    Held out are `validation_images`, or 5,000 when None, but at most a tenth of the split, the same ones for the same
    seed. With `train_images` None they are drawn from the whole split and all others train. Otherwise the first
    `train_images` train (fewer where the split has fewer) and the validation images are drawn from those after them, as
    in the course: the first 50,000 of MNIST train.

    Raises `UsageError` when nothing would be left to train on.
    """
    held_out = min(DEFAULT_VALIDATION_IMAGES, total // 10) if validation_images is None else validation_images
    wrong = []
    if not 0 <= held_out < total:
        wrong.append(f"--validation-images {held_out} (allowed: 0 to {total - 1}, of the {total} images to train on)")
    if train_images is not None and train_images < 1:
        wrong.append(f"--train-images {train_images} (allowed: at least 1)")
    if wrong:
        raise UsageError(f"out of range: {'; '.join(wrong)}.")

    first = 0 if train_images is None else min(train_images, total - held_out)
    draw = torch.randperm(total - first, generator=torch.Generator().manual_seed(seed))[:held_out]
    validation = (draw + first).sort().values
    if train_images is not None:
        return torch.arange(first), validation
    kept = torch.ones(total, dtype=torch.bool)
    kept[validation] = False
    return kept.nonzero()[:, 0], validation

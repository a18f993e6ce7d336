"""Images in memory: a split, a data set of two of them, and the validation images held out of one."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from etude.data import summary
from etude.errors import UsageError

DEFAULT_VALIDATION_IMAGES = 5_000


@dataclass(frozen=True, kw_only=True, repr=False)
class Split:
    """Labelled images: all of them, in the order of their source."""

    images: Tensor
    """uint8 (N, C, H, W), values 0 to 255."""
    labels: Tensor
    """int64 (N,), each an index into the class names."""

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Tensor) -> "Split":
        """The images with these row numbers (n,), in that order."""
        return Split(images=self.images[rows], labels=self.labels[rows])

    def to(self, device: str) -> "Split":
        """The same on a device."""
        return Split(images=self.images.to(device), labels=self.labels.to(device))

    def __repr__(self) -> str:
        return f"<Split of {len(self):,} images of {'×'.join(map(str, self.images.shape[1:]))}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class Dataset:
    """A named data set with its official splits; it shows itself as `etude data show` prints it."""

    name: str
    class_names: tuple[str, ...]
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
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def __repr__(self) -> str:
        return summary.text(self)

    def _repr_html_(self) -> str:
        return summary.html(self)

    def digest(self) -> str:
        """A checksum of every image and label, by which a run knows its data again."""
        digest = hashlib.blake2b(digest_size=16)
        for split in (self.train, self.test, *([self.validation] if self.validation else [])):
            digest.update(split.images.numpy().data)
            digest.update(split.labels.numpy().data)
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

"""A data set in memory, of two or three splits, and the validation examples held out of one."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from etude.data import summary
from etude.data.kinds import Images, Kind
from etude.data.split import Split
from etude.errors import UsageError

if TYPE_CHECKING:
    from etude.data.levels import KindName

DEFAULT_VALIDATION_IMAGES = 5_000


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
    records: Mapping[str, str] = field(default_factory=dict)
    """Files that a run keeps of how the data were divided, readable texts by name."""

    @classmethod
    def of(
        cls,
        x: Any,
        y: Any = None,
        *,
        test: Any = None,
        validation: Any = None,
        class_names: Sequence[str] | None = None,
        name: str = "yours",
        kind: "KindName | None" = None,
        seed: int = 0,
    ) -> Self:
        """A data set from what you have in Python: what it holds is recognised, and said in `notes`.

        `x` and `y` are arrays, tensors or lists: images (N, H, W), (N, H, W, C) or (N, C, H, W), or a table
        (N, features), and a label each, numbers or names. Or `x` alone is a torch `Dataset` of pairs (x, y), or a
        Hugging Face dataset, of which a `DatasetDict` has its splits with it. `test` and `validation` are (x, y), or
        such a data set. Without `test` a fifth of each class is drawn for that with `seed`.

        `class_names` has a name for each label from 0. `kind` says "images" or "table", where an array may be both.
        Data are copied. Raises `UsageError` for what is not clear.
        """
        from etude.data.given import read_all  # for readers of files alone there is no need of it

        parts = read_all(
            x, y, test=test, validation=validation, class_names=class_names, name=name, kind=kind, seed=seed
        )  # fmt: skip
        return cls(name=name, licence="not stated", source="given in Python", **parts.as_fields())

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the labels are called: label 0 has the first name."""
        return self.kind.class_names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image; `UsageError` where the data are no images."""
        if not isinstance(self.kind, Images):
            raise UsageError(f"{self.name} is {self.kind.called}, not images: it has no image_shape; see `kind.shape`.")
        return self.kind.shape

    def __repr__(self) -> str:
        return summary.text(self)

    def _repr_html_(self) -> str:
        return summary.html(self)

    def digest(self) -> str:
        """A checksum of every column and text of every split, by which a run knows its data again."""
        digest = hashlib.blake2b(digest_size=16)
        for split in (self.train, self.test, *([self.validation] if self.validation else [])):
            for column in split.columns.values():
                digest.update(column.contiguous().numpy().data)
            for texts in split.texts.values():
                digest.update("\n".join(texts).encode("utf-8", "surrogatepass"))
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

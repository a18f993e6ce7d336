"""A data set in memory, with two or three splits, and the validation examples held out of one."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from etude.data import summary
from etude.data.kinds import Images, Kind
from etude.data.reading import Reading
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
    """The split to choose by. None if the data have none; then images to train on are held out."""
    test: Split
    licence: str
    source: str
    """Who made it, and where it is described."""
    layout: str = ""
    """For a person's pictures: how they lay in folders, in words."""
    notes: tuple[str, ...] = ()
    """What a person should know about how it was read: what was guessed, changed or left out, one sentence each."""
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
        reading: Reading | None = None,
        seed: int = 0,
    ) -> Self:
        """Make a data set from what you have in Python. What it holds is recognised, and stated in `notes`.

        `x` and `y` are arrays, tensors or lists. `x` holds images (N, H, W), (N, H, W, C) or (N, C, H, W), or a table
        (N, features). `y` holds one label per example, numbers or names. Or `x` alone is a torch `Dataset` of pairs (x,
        y), or a Hugging Face dataset; a `DatasetDict` brings its splits. `test` and `validation` are (x, y), or such a
        data set.

        Texts are a list of sentences `x` with labels `y`, sentences `x` with translations `y` if `kind` is "pairs", or
        one long text `x`. `reading` says how they become tokens.

        Without `test`, a fifth of each class is drawn for it with `seed`; texts without `validation` lose a tenth of
        the rest to it. `class_names` has a name per label, from 0. `kind` is "images" or "table", if an array could be
        either. Data are copied. Raises `UsageError` if something is unclear.
        """
        from etude.data.given import read_all  # only needed here, not by readers of files

        parts = read_all(
            x, y, test=test, validation=validation, class_names=class_names, name=name, kind=kind,
            reading=reading or Reading(), seed=seed,
        )  # fmt: skip
        return cls(name=name, licence="not stated", source="given in Python", **parts.as_fields())

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the labels are called: label 0 has the first name."""
        return self.kind.class_names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image. Raises `UsageError` if the data are not images."""
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

    `validation_images` are held out: 5,000 if None, but at most a tenth of the split, the same ones for the same seed.
    If `train_images` is None, they are drawn from the whole split, and all others train. Otherwise the first
    `train_images` train (fewer if the split has fewer), and the validation images are drawn from those after them.

    Raises `UsageError` if nothing would be left to train on.
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

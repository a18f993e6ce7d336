"""What the examples of a data set are: images, rows of a table, or texts. A family says which kinds it takes."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from etude.data.plain_values import list_in, names_in
from etude.data.text.kinds import RunningText, TokenPairs, Tokens

LARGEST_SIDE = 100_000


@dataclass(frozen=True, kw_only=True)
class Images:
    """Pictures of one size with a class each: column `images`, uint8 (N, C, H, W), and `labels`, int64 (N,)."""

    column: ClassVar[str] = "images"
    plural: ClassVar[str] = "images"
    called: ClassVar[str] = "images"
    shape: tuple[int, int, int]
    """(C, H, W) of one example."""
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def scaled(self, levels: Tensor) -> Tensor:
        """uint8 (…, C, H, W) as float32 in [0, 1]: what networks take."""
        return levels.float() / 255

    def unscaled(self, pixels: Tensor) -> Tensor:
        """The nearest uint8 levels of pixels in [0, 1]; those outside are clipped."""
        return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)

    def as_dict(self) -> dict[str, Any]:
        """In plain values of JSON, for `from_dict`."""
        return {"name": "images", "shape": list(self.shape), "class_names": list(self.class_names)}

    def files(self) -> dict[str, str]:
        """None: `as_dict` says all."""
        return {}

    @classmethod
    def from_dict(cls, values: dict[str, Any], read: Callable[[str], str] | None = None) -> Self:
        """What `as_dict` gave; `ValueError` says what is wrong with other values."""
        shape = list_in(values, "shape", int)
        if len(shape) != 3 or not all(0 < size <= LARGEST_SIDE for size in shape):
            raise ValueError(f"{shape!r} for shape")
        return cls(shape=(shape[0], shape[1], shape[2]), class_names=names_in(values))


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of numbers with a class each: column `features`, float32 (N, F), and `labels`, int64 (N,).

    `mean` and `scale` (F) are the mean and the standard deviation of each feature in the training split.
    """

    column: ClassVar[str] = "features"
    plural: ClassVar[str] = "tables"
    called: ClassVar[str] = "a table"
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    """Above 0: 1 for a feature that is the same everywhere."""
    feature_names: tuple[str, ...] = ()
    """Empty where they have none."""

    @property
    def num_features(self) -> int:
        return len(self.mean)

    @property
    def shape(self) -> tuple[int]:
        """(F,) of one example."""
        return (self.num_features,)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def scaled(self, features: Tensor) -> Tensor:
        """Features (…, F) as float32 with mean 0 and standard deviation 1 over the training split."""
        mean, scale = (values.to(features.device) for values in self._moments)
        return (features - mean) / scale

    def unscaled(self, scaled: Tensor) -> Tensor:
        """The features (…, F) that `scaled` made these of."""
        mean, scale = (values.to(scaled.device) for values in self._moments)
        return scaled * scale + mean

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.mean, dtype=torch.float32), torch.tensor(self.scale, dtype=torch.float32)

    def as_dict(self) -> dict[str, Any]:
        """In plain values of JSON, for `from_dict`."""
        return {"name": "table", **{key: list(values) for key, values in asdict(self).items()}}

    def files(self) -> dict[str, str]:
        """None: `as_dict` says all."""
        return {}

    @classmethod
    def from_dict(cls, values: dict[str, Any], read: Callable[[str], str] | None = None) -> Self:
        """What `as_dict` gave; `ValueError` says what is wrong with other values."""
        mean, scale = (tuple(list_in(values, key, float)) for key in ("mean", "scale"))
        if not mean or len(scale) != len(mean) or min(scale) <= 0 or not all(map(math.isfinite, (*mean, *scale))):
            raise ValueError("other than one finite mean and one scale above 0 for each feature")
        names = tuple(list_in(values, "feature_names", str))
        if names and len(names) != len(mean):
            raise ValueError(f"{len(names)} feature_names for {len(mean)} features")
        return cls(class_names=names_in(values), mean=mean, scale=scale, feature_names=names)


Kind = Images | Table | Tokens | TokenPairs | RunningText

KINDS: dict[str, type[Kind]] = {
    "images": Images,
    "table": Table,
    "tokens": Tokens,
    "pairs": TokenPairs,
    "text": RunningText,
}


def examples_of(kind: Kind) -> str:
    """What messages call the examples: a table's rows are images there, as in the flags."""
    return "images" if isinstance(kind, Images | Table) else kind.plural


def kind_from_dict(values: object, read: Callable[[str], str]) -> Kind:
    """The kind that `as_dict` and `files` of one of the classes described; `read` gives the text of a file by its name.

    `ValueError` says what is wrong with other values, `DamagedFile`, which is one, what is wrong with a file.
    """
    name = values.get("name") if isinstance(values, dict) else values
    if not isinstance(values, dict) or not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"{name!r} for the name of a kind")
    return KINDS[name].from_dict(values, read)

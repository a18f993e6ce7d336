"""What the examples of a data set are: images, rows of a table, or texts. A family says which kinds it takes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from etude.data.text.vocabulary import BOS, EOS, PAD, SPECIAL_RUNNING, Vocabulary

LARGEST_SIDE = 100_000
LONGEST_ROW = 1_000_000


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
        shape = _list_of(values, "shape", int)
        if len(shape) != 3 or not all(0 < size <= LARGEST_SIDE for size in shape):
            raise ValueError(f"{shape!r} for shape")
        return cls(shape=(shape[0], shape[1], shape[2]), class_names=_names(values))


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
        mean, scale = (tuple(_list_of(values, key, float)) for key in ("mean", "scale"))
        if not mean or len(scale) != len(mean) or min(scale) <= 0 or not all(map(math.isfinite, (*mean, *scale))):
            raise ValueError("other than one finite mean and one scale above 0 for each feature")
        names = tuple(_list_of(values, "feature_names", str))
        if names and len(names) != len(mean):
            raise ValueError(f"{len(names)} feature_names for {len(mean)} features")
        return cls(class_names=_names(values), mean=mean, scale=scale, feature_names=names)


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Sentences with a class each: column `tokens`, int64 (N, L), and `labels`, int64 (N,).

    A row holds the ids of a sentence's tokens, without start and end, then `PAD` (0), which is no token's id.
    """

    column: ClassVar[str] = "tokens"
    plural: ClassVar[str] = "sentences"
    called: ClassVar[str] = "sentences"
    length: int
    """L, the most tokens of a sentence; longer ones are cut."""
    class_names: tuple[str, ...]
    vocabulary: Vocabulary

    @property
    def shape(self) -> tuple[int]:
        """(L,) of one example."""
        return (self.length,)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def encoded(self, texts: Sequence[str]) -> Tensor:
        """Sentences as rows, int64 (N, L)."""
        return self.padded([self.vocabulary.encode(text) for text in texts])

    def padded(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Rows of ids as they are in the column `tokens`: cut, and filled up."""
        return _padded([row[: self.length] for row in rows], self.length)

    def scaled(self, tokens: Tensor) -> Tensor:
        """Ids as they are: a network takes them so."""
        return tokens

    def unscaled(self, tokens: Tensor) -> Tensor:
        """Ids as they are."""
        return tokens

    def as_dict(self) -> dict[str, Any]:
        """In plain values of JSON, for `from_dict`; the vocabulary's tokens are in `files`."""
        return {
            "name": "tokens",
            "length": self.length,
            "class_names": list(self.class_names),
            "vocabulary": self.vocabulary.as_dict(),
        }

    def files(self) -> dict[str, str]:
        """Texts of files by name that belong to `as_dict`."""
        return self.vocabulary.files()

    @classmethod
    def from_dict(cls, values: dict[str, Any], read: Callable[[str], str]) -> Self:
        """What `as_dict` and `files` gave; `ValueError` says what is wrong with other values."""
        vocabulary = Vocabulary.from_files(values.get("vocabulary"), read)
        return cls(length=_length(values, "length"), class_names=_names(values), vocabulary=vocabulary)


@dataclass(frozen=True, kw_only=True)
class TokenPairs:
    """Sentences and their translations: columns `source`, int64 (N, S), and `target`, int64 (N, T).

    A row of `source` holds tokens, `EOS`, then `PAD` (0); one of `target` holds `BOS`, tokens, `EOS`, then `PAD`.
    """

    column: ClassVar[str] = "source"
    plural: ClassVar[str] = "pairs of sentences"
    called: ClassVar[str] = "pairs of sentences"
    class_names: ClassVar[tuple[str, ...]] = ()
    num_classes: ClassVar[int] = 0
    source_name: str = "source"
    """The language of the sources, "de" for example."""
    target_name: str = "target"
    source_length: int
    """S; longer sources are cut, and end with `EOS`."""
    target_length: int
    """T; longer targets are cut, and end with `EOS`."""
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    """The same as that of the sources where both are divided into the same subwords."""

    @property
    def shape(self) -> tuple[int]:
        """(S,) of one source."""
        return (self.source_length,)

    @property
    def joint(self) -> bool:
        """Whether sources and targets have one vocabulary."""
        return self.source_vocabulary == self.target_vocabulary

    def encoded_sources(self, texts: Sequence[str]) -> Tensor:
        """Sentences as rows of the column `source`, int64 (N, S)."""
        return self.padded_sources([self.source_vocabulary.encode(text) for text in texts])

    def padded_sources(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Rows of ids as they are in the column `source`: cut, ended by `EOS` and filled up."""
        return _padded([[*row[: self.source_length - 1], EOS] for row in rows], self.source_length)

    def encoded_targets(self, texts: Sequence[str]) -> Tensor:
        """Sentences as rows of the column `target`, int64 (N, T)."""
        return self.padded_targets([self.target_vocabulary.encode(text) for text in texts])

    def padded_targets(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Rows of ids as they are in the column `target`: begun by `BOS`, cut, ended by `EOS` and filled up."""
        return _padded([[BOS, *row[: self.target_length - 2], EOS] for row in rows], self.target_length)

    def scaled(self, tokens: Tensor) -> Tensor:
        """Ids as they are: a network takes them so."""
        return tokens

    def unscaled(self, tokens: Tensor) -> Tensor:
        """Ids as they are."""
        return tokens

    def as_dict(self) -> dict[str, Any]:
        """In plain values of JSON, for `from_dict`; the tokens of the vocabularies are in `files`."""
        found = {
            "name": "pairs",
            "source_name": self.source_name,
            "target_name": self.target_name,
            "source_length": self.source_length,
            "target_length": self.target_length,
        }
        if self.joint:
            return {**found, "vocabulary": self.source_vocabulary.as_dict()}
        vocabularies = {"source": self.source_vocabulary, "target": self.target_vocabulary}
        return {**found, **{f"{side}_vocabulary": each.as_dict() for side, each in vocabularies.items()}}

    def files(self) -> dict[str, str]:
        """Texts of files by name that belong to `as_dict`."""
        if self.joint:
            return self.source_vocabulary.files()
        return self.source_vocabulary.files(".source") | self.target_vocabulary.files(".target")

    @classmethod
    def from_dict(cls, values: dict[str, Any], read: Callable[[str], str]) -> Self:
        """What `as_dict` and `files` gave; `ValueError` says what is wrong with other values."""
        if "vocabulary" in values:
            source = target = Vocabulary.from_files(values["vocabulary"], read)
        else:
            source, target = (
                Vocabulary.from_files(values.get(f"{side}_vocabulary"), read, suffix=f".{side}")
                for side in ("source", "target")
            )
        return cls(
            source_name=_text(values, "source_name"),
            target_name=_text(values, "target_name"),
            source_length=_length(values, "source_length"),
            target_length=_length(values, "target_length"),
            source_vocabulary=source,
            target_vocabulary=target,
        )


@dataclass(frozen=True, kw_only=True)
class RunningText:
    """One long text: column `symbols`, int64 (N,); row i is its i-th symbol.

    By default a network learns to tell the next symbol. Where a split has a column `targets`, int64 (N,), row i is what
    it shall tell after it has read the symbols up to i.
    """

    column: ClassVar[str] = "symbols"
    plural: ClassVar[str] = "symbols"
    called: ClassVar[str] = "running text"
    class_names: ClassVar[tuple[str, ...]] = ()
    num_classes: ClassVar[int] = 0
    shape: ClassVar[tuple[()]] = ()
    """() of one example."""
    vocabulary: Vocabulary
    """Its only special token is <unk>, 0."""

    def encoded(self, text: str) -> Tensor:
        """A text as symbols, int64 (N,)."""
        return torch.tensor(self.vocabulary.encode(text), dtype=torch.int64)

    def scaled(self, symbols: Tensor) -> Tensor:
        """Ids as they are: a network takes them so."""
        return symbols

    def unscaled(self, symbols: Tensor) -> Tensor:
        """Ids as they are."""
        return symbols

    def as_dict(self) -> dict[str, Any]:
        """In plain values of JSON, for `from_dict`; the vocabulary's tokens are in `files`."""
        return {"name": "text", "vocabulary": self.vocabulary.as_dict()}

    def files(self) -> dict[str, str]:
        """Texts of files by name that belong to `as_dict`."""
        return self.vocabulary.files()

    @classmethod
    def from_dict(cls, values: dict[str, Any], read: Callable[[str], str]) -> Self:
        """What `as_dict` and `files` gave; `ValueError` says what is wrong with other values."""
        return cls(vocabulary=Vocabulary.from_files(values.get("vocabulary"), read, special=SPECIAL_RUNNING))


Kind = Images | Table | Tokens | TokenPairs | RunningText

KINDS: dict[str, type[Kind]] = {
    "images": Images,
    "table": Table,
    "tokens": Tokens,
    "pairs": TokenPairs,
    "text": RunningText,
}


def kind_from_dict(values: object, read: Callable[[str], str]) -> Kind:
    """The kind that `as_dict` and `files` of one of the classes described; `read` gives the text of a file by its name.

    `ValueError` says what is wrong with other values, `DamagedFile`, which is one, what is wrong with a file.
    """
    name = values.get("name") if isinstance(values, dict) else values
    if not isinstance(values, dict) or not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"{name!r} for the name of a kind")
    return KINDS[name].from_dict(values, read)


def _padded(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    """Rows of at most `length` ids, each filled up with `PAD` at its end: int64 (N, length)."""
    whole = np.full((len(rows), length), PAD, dtype=np.int64)
    for number, row in enumerate(rows):
        whole[number, : len(row)] = row
    return torch.from_numpy(whole)


def _names(values: dict[str, Any]) -> tuple[str, ...]:
    names = tuple(_list_of(values, "class_names", str))
    if not names:
        raise ValueError("no class_names")
    return names


def _length(values: dict[str, Any], key: str) -> int:
    length = values.get(key)
    if type(length) is not int or not 0 < length <= LONGEST_ROW:
        raise ValueError(f"{length!r} for {key}")
    return length


def _text(values: dict[str, Any], key: str) -> str:
    text = values.get(key)
    if not isinstance(text, str) or not text:
        raise ValueError(f"{text!r} for {key}")
    return text


def _list_of(values: dict[str, Any], key: str, kind: type) -> list[Any]:
    """The list under a key, all its items of one type."""
    found = values.get(key)
    if not isinstance(found, list) or not all(type(each) is kind for each in found):
        raise ValueError(f"{found!r} for {key}")
    return found

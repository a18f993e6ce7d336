"""The kinds of texts: sentences with a class, pairs of sentences, running text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from etude.data.plain_values import length_in, names_in, text_in
from etude.data.text.vocabulary import BOS, EOS, PAD, SPECIAL_RUNNING, Vocabulary


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Sentences with a class each: column `tokens`, int64 (N, L), and `labels`, int64 (N,).

    A row has the ids of a sentence's tokens, without `BOS` and `EOS`, then `PAD` (0). No token has the id `PAD`.
    """

    column: ClassVar[str] = "tokens"
    plural: ClassVar[str] = "sentences"
    called: ClassVar[str] = "sentences"
    length: int
    """L, the most tokens of a sentence. Longer ones are cut."""
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
        """Ids of sentences as rows of the column `tokens`: cut and padded."""
        return _padded([row[: self.length] for row in rows], self.length)

    def scaled(self, tokens: Tensor) -> Tensor:
        """The ids, unchanged: networks take them as they are."""
        return tokens

    def unscaled(self, tokens: Tensor) -> Tensor:
        """The ids, unchanged."""
        return tokens

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, for `from_dict`. The tokens are in `files`."""
        return {
            "name": "tokens",
            "length": self.length,
            "class_names": list(self.class_names),
            "vocabulary": self.vocabulary.as_dict(),
        }

    def files(self) -> dict[str, str]:
        """The files that `from_dict` reads, by name."""
        return self.vocabulary.files()

    @classmethod
    def from_dict(cls, values: dict[str, Any], read: Callable[[str], str]) -> Self:
        """The kind from `as_dict` and `files`. `ValueError` says what is wrong with other values."""
        vocabulary = Vocabulary.from_files(values.get("vocabulary"), read)
        return cls(length=length_in(values, "length"), class_names=names_in(values), vocabulary=vocabulary)


@dataclass(frozen=True, kw_only=True)
class TokenPairs:
    """Sentences and their translations: columns `source`, int64 (N, S), and `target`, int64 (N, T).

    A row of `source` has tokens, `EOS`, then `PAD` (0). A row of `target` has `BOS`, tokens, `EOS`, then `PAD`.
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
    """S. Longer sources are cut; they end with `EOS` too."""
    target_length: int
    """T. Longer targets are cut; they end with `EOS` too."""
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    """The same as `source_vocabulary` if both sides share their subwords."""

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
        """Ids of sentences as rows of the column `source`: cut, with `EOS`, and padded."""
        return _padded([[*row[: self.source_length - 1], EOS] for row in rows], self.source_length)

    def encoded_targets(self, texts: Sequence[str]) -> Tensor:
        """Sentences as rows of the column `target`, int64 (N, T)."""
        return self.padded_targets([self.target_vocabulary.encode(text) for text in texts])

    def padded_targets(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Ids of sentences as rows of the column `target`: cut, with `BOS` and `EOS`, and padded."""
        return _padded([[BOS, *row[: self.target_length - 2], EOS] for row in rows], self.target_length)

    def scaled(self, tokens: Tensor) -> Tensor:
        """The ids, unchanged: networks take them as they are."""
        return tokens

    def unscaled(self, tokens: Tensor) -> Tensor:
        """The ids, unchanged."""
        return tokens

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, for `from_dict`. The tokens are in `files`."""
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
        """The files that `from_dict` reads, by name."""
        if self.joint:
            return self.source_vocabulary.files()
        return self.source_vocabulary.files(".source") | self.target_vocabulary.files(".target")

    @classmethod
    def from_dict(cls, values: dict[str, Any], read: Callable[[str], str]) -> Self:
        """The kind from `as_dict` and `files`. `ValueError` says what is wrong with other values."""
        if "vocabulary" in values:
            source = target = Vocabulary.from_files(values["vocabulary"], read)
        else:
            source, target = (
                Vocabulary.from_files(values.get(f"{side}_vocabulary"), read, suffix=f".{side}")
                for side in ("source", "target")
            )
        return cls(
            source_name=text_in(values, "source_name"),
            target_name=text_in(values, "target_name"),
            source_length=length_in(values, "source_length"),
            target_length=length_in(values, "target_length"),
            source_vocabulary=source,
            target_vocabulary=target,
        )


@dataclass(frozen=True, kw_only=True)
class RunningText:
    """One long text: columns `symbols` and `targets`, int64 (N,) each.

    Row i holds the i-th symbol and what a network is to tell after it: the next symbol, or in an exercise such as `cue`
    something else. There a column `answers`, bool (N,), is true where the text asks for it.
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
    asks: bool = False
    """Whether it asks for something else than the next symbol, so that there is a column `answers`."""

    def encoded(self, text: str) -> Tensor:
        """A text as symbols, int64 (N,)."""
        return torch.tensor(self.vocabulary.encode(text), dtype=torch.int64)

    def unknown_in(self, text: str) -> list[str]:
        """The characters of a text that are not in the vocabulary, each once."""
        vocabulary = self.vocabulary
        tokens = dict.fromkeys(vocabulary.tokenizer.split(text))
        return [token for token in tokens if vocabulary.encode(token) == [vocabulary.unknown]]

    def lengths(self, symbols: Tensor) -> Tensor:
        """Characters and UTF-8 bytes of symbols (N,): int64 (N, 2). <unk> counts as one of each."""
        return self._lengths.to(symbols.device)[symbols]

    @cached_property
    def _lengths(self) -> Tensor:
        special = [(1, 1)] * len(self.vocabulary.special)
        # A subword may hold part of a character: the first byte of each is counted.
        encoded = [token.encode("utf-8", "surrogateescape") for token in self.vocabulary.ordinary]
        lengths = [(sum(byte & 0xC0 != 0x80 for byte in each), len(each)) for each in encoded]
        return torch.tensor([*special, *lengths], dtype=torch.int64)

    def scaled(self, symbols: Tensor) -> Tensor:
        """The ids, unchanged: networks take them as they are."""
        return symbols

    def unscaled(self, symbols: Tensor) -> Tensor:
        """The ids, unchanged."""
        return symbols

    def as_dict(self) -> dict[str, Any]:
        """In plain values of JSON, for `from_dict`; the vocabulary's tokens are in `files`."""
        return {"name": "text", "asks": self.asks, "vocabulary": self.vocabulary.as_dict()}

    def files(self) -> dict[str, str]:
        """The files that `from_dict` reads, by name."""
        return self.vocabulary.files()

    @classmethod
    def from_dict(cls, values: dict[str, Any], read: Callable[[str], str]) -> Self:
        """What `as_dict` and `files` gave; `ValueError` says what is wrong with other values."""
        asks = values.get("asks", False)
        if not isinstance(asks, bool):
            raise ValueError(f"{asks!r} for asks")
        return cls(vocabulary=Vocabulary.from_files(values.get("vocabulary"), read, special=SPECIAL_RUNNING), asks=asks)


def _padded(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    """Rows of at most `length` ids, padded at the end: int64 (N, length)."""
    whole = np.full((len(rows), length), PAD, dtype=np.int64)
    for number, row in enumerate(rows):
        whole[number, : len(row)] = row
    return torch.from_numpy(whole)

"""The examples of a data set, or of a part of it, as columns of tensors."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from etude.errors import UsageError


class Split:
    """Examples as columns of equal length, in the order of their source; final.

    Row i of every column is one example: `Split(images=…, labels=…)`. Which columns there are and what they hold says
    the kind of the data set (`kinds`). `texts` are the sentences that tokens were made of, a row each.
    """

    def __init__(self, texts: Mapping[str, Sequence[str]] | None = None, **columns: Tensor) -> None:
        """Any columns by name, each (N, …); `UsageError` where there is none, or they differ in length."""
        self.texts = {name: tuple(each) for name, each in sorted((texts or {}).items())}
        """Sentences by name, (N,) each: "text", or "source" and "target" of pairs. Training does not see them."""
        counts = {name: len(column) for name, column in columns.items()}
        counts |= {f"texts of {name}": len(each) for name, each in self.texts.items()}
        if not columns or len(set(counts.values())) != 1:
            given = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
            raise UsageError(f"columns of {given or 'nothing'}: give each column of a split the same number of rows.")
        self.columns = {name: columns[name] for name in sorted(columns)}
        """The columns by name, in alphabetical order."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Tensor:
        return self.columns[name]

    @property
    def images(self) -> Tensor:
        """uint8 (N, C, H, W), values 0 to 255, for data of the kind `Images`."""
        return self.columns["images"]

    @property
    def features(self) -> Tensor:
        """float32 (N, F), for data of the kind `Table`."""
        return self.columns["features"]

    @property
    def labels(self) -> Tensor:
        """int64 (N,), each an index into the class names."""
        return self.columns["labels"]

    def take(self, rows: Tensor) -> "Split":
        """The examples with these row numbers (n,), in that order."""
        texts = {name: [each[row] for row in rows.tolist()] for name, each in self.texts.items()}
        return Split(texts, **{name: column[rows] for name, column in self.columns.items()})

    def to(self, device: str) -> "Split":
        """The same on a device."""
        return Split(self.texts, **{name: column.to(device) for name, column in self.columns.items()})

    @classmethod
    def joined(cls, parts: Sequence["Split"]) -> "Split":
        """The examples of parts with the same columns, one part after the other."""
        first = parts[0]
        texts = {name: [text for part in parts for text in part.texts[name]] for name in first.texts}
        return cls(texts, **{name: torch.cat([part[name] for part in parts]) for name in first.columns})

    def __repr__(self) -> str:
        described = (" ".join([name, "×".join(map(str, each.shape[1:]))]) for name, each in self.columns.items())
        return f"<Split of {len(self):,}: {', '.join(map(str.rstrip, described))}>"

"""The examples of a data set, or of a part of it, as columns of tensors."""

from torch import Tensor

from etude.errors import UsageError


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

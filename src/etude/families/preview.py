"""What shows progress during training, pictures and texts. Each knows how it is written to a file."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from etude.data import Split, Table
from etude.drawing.points import real_and_generated
from etude.drawing.style import render
from etude.drawing.tiles import png_of, tile

COLUMNS = 8


class Preview(Protocol):
    """A picture of progress, or a text."""

    suffix: ClassVar[str]
    """The file's suffix: `.png` or `.txt`."""

    def content(self) -> bytes:
        """That of its file."""
        ...


@dataclass(frozen=True)
class ImageGrid:
    """Images (64, C, H, W) in [0, 1], in 8 columns."""

    images: Tensor

    suffix: ClassVar[str] = ".png"

    def content(self) -> bytes:
        """See `Preview`."""
        return png_of(tile(self.images, columns=COLUMNS))


@dataclass(frozen=True)
class Points:
    """Generated rows (N, F) over real ones (M, F), by their first two features."""

    generated: Tensor
    real: Tensor
    feature_names: tuple[str, ...] = ()

    suffix: ClassVar[str] = ".png"

    def content(self) -> bytes:
        """See `Preview`."""
        return render(real_and_generated(self.real, self.generated, self.feature_names, title=""), "png")


@dataclass(frozen=True)
class Text:
    """Lines of text that the networks write."""

    lines: tuple[str, ...]
    suffix: ClassVar[str] = ".txt"

    def content(self) -> bytes:
        """See `Preview`."""
        return "".join(f"{line}\n" for line in self.lines).encode()


def points(kind: Table, generated: Tensor, real: Split) -> Points:
    """The preview of a family that draws rows of a table."""
    return Points(generated, real.features, kind.feature_names)

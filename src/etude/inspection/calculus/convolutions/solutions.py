"""Solutions of `etude solve`: a list that prints as the command does."""

import html
from typing import Any, final

from etude.inspection.calculus.convolutions.layer import Conv

Solution = Conv | tuple[Conv, ...]
"""A convolution along one axis, or one per axis."""
SHOWN = 20


@final
class Solutions(list[Any]):
    """Convolutions, the usual first: a `Conv` each, for several axes a tuple of one `Conv` per axis."""

    def __init__(
        self, found: list[Any], *, asked: str = "", notes: tuple[str, ...] = (), labels: list[str] | None = None
    ) -> None:
        super().__init__(found)
        self.asked = asked
        self.notes = notes
        """What a reader must know: the search was bounded, no single setting fits all axes."""
        self.labels = labels
        """The layers of a chain as typed, one per solution; None where each solution answers the question alone."""

    def text(self, most: int | None = SHOWN) -> str:
        """The table that the command prints, with at most this many rows."""
        notes = "".join(f"\n{note}" for note in self.notes)
        if not self:
            return f"no convolution makes {self.asked} with these settings.{notes}"
        shown = self if most is None or self.labels else self[:most]
        back = any(conv.transposed for solution in shown for conv in _axes(solution))
        plain = not all(conv.transposed for solution in shown for conv in _axes(solution))
        headings = ["layer"] * bool(self.labels) + ["kernel", "stride", "padding", "dilation"]
        headings += ["output padding"] * back + ["in", "output"] + ["dropped", "in padding"] * plain
        rows = []
        for i, solution in enumerate(shown):
            cells = [self.labels[i]] if self.labels else []
            cells += [_cell(solution, name) for name in ("kernel", "stride", "padding", "dilation")]
            cells += [_cell(solution, "output_padding")] * back + [
                _cell(solution, "size_in"),
                _cell(solution, "output"),
            ]
            cells += [_cell(solution, "dropped", blank=True), _cell(solution, "in_padding", blank=True)] * plain
            rows.append(cells)
        parts = [_table(headings, rows)]
        if len(self) > len(shown):
            parts.append(
                f"{len(self) - len(shown)} more; --all prints them, --kernel, --stride or --dilation narrows them."
            )
        if plain:
            parts.append(
                "dropped: positions at the end that no window starts at; in padding: outputs that see only padding."
            )
        return "\n\n".join(parts) + (f"\n{notes}" if notes else "")

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def to_list(self) -> list[Any]:
        """What `--json` prints: an object per solution, a list of them for several axes."""
        found: list[Any] = [
            solution.to_dict() if isinstance(solution, Conv) else [conv.to_dict() for conv in solution]
            for solution in self
        ]
        if not self.labels:
            return found
        return [{"layer": label, "axes": each if isinstance(each, list) else [each]}
                for label, each in zip(self.labels, found, strict=True)]  # fmt: skip


def _axes(solution: Solution) -> tuple[Conv, ...]:
    return (solution,) if isinstance(solution, Conv) else solution


def _cell(solution: Solution, name: str, *, blank: bool = False) -> str:
    """3 where it is the same along every axis, else 3×5; sizes always by axis."""
    values = [getattr(conv, name) for conv in _axes(solution)]
    if blank and not any(values):
        return ""
    if name not in ("size_in", "output") and len(set(values)) == 1:
        return str(values[0])
    return "×".join(map(str, values))


def _table(headings: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    left = headings[0] == "layer"
    return "\n".join(
        "  ".join(
            cell.ljust(width) if left and i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [headings, *rows]
    )

"""How objects show themselves, as text and in notebooks; and a text in a notebook that changes while work goes on."""

import math
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape as escape_markup
from rich.table import Table
from rich.text import Text


def plain_text(*parts: RenderableType, width: int = 120) -> str:
    """Tables and texts of rich as plain text, `width` characters wide; texts are not broken."""
    console = Console(width=width, no_color=True, highlight=False, force_jupyter=False, force_terminal=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, Text))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[str | Text]], *, align: str = "lr") -> Table:
    """A table without frames. `align` has a letter per column, the last one for all that follow.

    l is for texts: to the left, broken where they are too long. r is for numbers: to the right, never broken.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, side in zip(headings, align.ljust(len(headings), align[-1]), strict=True):
        if side == "l":
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(escape_markup(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def rounded(value: float, spread: float) -> str:
    """A value with as many digits as its spread allows: 32.4817 ± 1.2213 is 32.5, with ± 4.7 it is 32.

    The spread keeps two digits up to 35 and one above (Particle Data Group, "Review of Particle Physics", section 5.3);
    the value ends where the spread ends. Without a spread it has four digits.
    """
    if not (math.isfinite(value) and spread > 0 and math.isfinite(spread)):
        return f"{value:.4g}"
    decimals = decimals_of(spread)
    return f"{round(value, decimals) + 0.0:,.{max(decimals, 0)}f}"  # + 0.0: no "-0.00"


def decimals_of(spread: float) -> int:
    """Places after the decimal point that a spread allows; below 0 for tens and more."""
    first = math.floor(math.log10(spread))
    return -first + (1 if spread / 10.0**first < 3.55 else 0)


def heading_html(text: str) -> str:
    """A small heading."""
    return f"<h4>{escape(text)}</h4>"


def paragraph_html(text: str) -> str:
    """A line of text."""
    return f"<p>{escape(text)}</p>"


def text_html(text: str) -> str:
    """Text as a terminal shows it: spaces and line breaks kept."""
    return f"<pre>{escape(text)}</pre>"


def table_html(headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A table of texts; the first `left` columns to the left, the others, numbers, to the right."""

    def line(tag: str, cells: Sequence[str]) -> str:
        sides = ["left" if column < left else "right" for column in range(len(cells))]
        return "".join(
            f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>' for side, cell in zip(sides, cells, strict=True)
        )

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><tr>{line('th', headings)}</tr>{body}</table>"


def picture_html(png: bytes, text: str) -> str:
    """A PNG picture inside the page; `text` says what it shows, for those who cannot see it."""
    return f'<img alt="{escape(text)}" style="max-width: 100%" src="data:image/png;base64,{b64encode(png).decode()}">'


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return Console().is_jupyter


class ChangingText:
    """A text in a notebook's output: replaced as it changes, its last form stays in the saved file; final.

    It needs IPython alone, which every Jupyter kernel has, and no ipywidgets.
    """

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> None:
        """Show the text in place of the one before."""
        from IPython.display import display  # there in a notebook, and only there

        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

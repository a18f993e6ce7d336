"""How a data set shows itself: its examples by class and split, as text and, in a notebook, with a picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from rich.markup import escape
from rich.table import Table as Columns

from etude.data.kinds import Images, Kind, Table
from etude.data.split import Split
from etude.data.text import description
from etude.data.text.description import TextKind
from etude.errors import printable
from etude.notebook import heading_html, paragraph_html, picture_html, plain_table, plain_text, table_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Described(Protocol):
    """What is shown of a `Dataset`."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def train(self) -> Split: ...
    @property
    def validation(self) -> Split | None: ...
    @property
    def test(self) -> Split: ...
    @property
    def licence(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


LONGEST_NAME = 60
"""The most characters of a class's name in a table."""


def count(dataset: Described) -> dict[str, dict[str, int]]:
    """Examples of each class, by split; of data without classes all of them, by what they are called."""
    num_classes = len(dataset.class_names)
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    found = {name: split for name, split in splits.items() if split is not None}
    if not num_classes:
        return {name: {dataset.kind.plural: len(split)} for name, split in found.items()}
    return {
        name: dict(zip(dataset.class_names, split.labels.bincount(minlength=num_classes).tolist(), strict=True))
        for name, split in found.items()
    }


def text(dataset: Described, *, drawn_as: Mapping[str, str] | None = None) -> str:
    """Name, shape, licence and source, a table of the classes, and what to know about how they were read.

    For texts, their lengths, vocabularies and some examples follow.

    `drawn_as` adds to the names of classes that a picture shows by number.
    """
    parts = [f"{_heading(dataset)}\n{printable(dataset.source)}"]
    if dataset.class_names:
        parts.append(_class_table(dataset, drawn_as or {}))
    if isinstance(dataset.kind, TextKind):
        headings, rows = description.rows(dataset)
        parts.append(plain_text(plain_table(headings, rows, align="lr")))
        parts.append("\n".join([*description.vocabularies(dataset.kind), *_notes(dataset)]))
        parts.append("\n".join(f"    {each}" for each in description.examples(dataset)))
    elif dataset.notes:
        parts.append("\n".join(_notes(dataset)))
    return "\n\n".join(parts)


def _class_table(dataset: Described, drawn_as: Mapping[str, str]) -> str:
    counts = count(dataset)
    table = Columns(box=None, header_style="", pad_edge=False, show_footer=True)
    table.add_column("class", "all", overflow="fold")
    for split, each in counts.items():
        table.add_column(split, f"{sum(each.values()):,}", justify="right", no_wrap=True)
    for name in dataset.class_names:
        shown = _class(name) + drawn_as.get(name, "")
        table.add_row(escape(shown), *(f"{each[name]:,}" for each in counts.values()))
    return plain_text(table)


def html(dataset: Described) -> str:
    """The same for a notebook, with `picture` of what can be drawn."""
    start = [heading_html(_heading(dataset)), paragraph_html(printable(dataset.source))]
    counts = count(dataset)
    rows = [[_class(name), *(f"{each[name]:,}" for each in counts.values())] for name in dataset.class_names]
    rows.append(["all", *(f"{sum(each.values()):,}" for each in counts.values())])
    if dataset.class_names:
        start.append(table_html(["class", *counts], rows))
    if isinstance(dataset.kind, TextKind):
        start.append(table_html(*description.rows(dataset)))
        said = [*description.vocabularies(dataset.kind), *_notes(dataset), *description.examples(dataset)]
        return "".join([*start, *map(paragraph_html, said)])
    return "".join([*start, *map(paragraph_html, _notes(dataset)), _picture_html(dataset)])


def _picture_html(dataset: Described) -> str:
    from etude.drawing.lettering import legible
    from etude.drawing.style import render

    figure = picture(dataset, legible(dataset.class_names))
    return picture_html(render(figure, "png"), f"the {pictured(dataset)}")


def pictured(dataset: Described) -> str:
    """What `picture` shows, in words."""
    return "first training images of each class" if isinstance(dataset.kind, Images) else "training rows by class"


def picture(dataset: Described, class_names: Sequence[str], *, title: str = "") -> "Figure":
    """The first images of each class, or the rows of a table as points in the plane. Second: the classes as a figure
    can write their names."""
    from etude.drawing.class_points import class_points, plane
    from etude.drawing.class_samples import class_samples

    train, kind = dataset.train, dataset.kind
    if isinstance(kind, Images):
        return class_samples(train.images, train.labels, class_names, title=title)
    assert isinstance(kind, Table)
    features = train.features if kind.num_features <= 2 else kind.scaled(train.features)
    points, axis_names = plane(features, kind.feature_names)
    return class_points(points, train.labels, class_names, axis_names=axis_names, title=title)


def _heading(dataset: Described) -> str:
    kind = dataset.kind
    if isinstance(kind, Images):
        what = f"images of {'×'.join(map(str, kind.shape))}"
    elif isinstance(kind, Table):
        what = f"a table of {kind.num_features:,} feature{'' if kind.num_features == 1 else 's'}"
    else:
        what = kind.called
    return f"{printable(dataset.name)}: {what}, licence: {dataset.licence}"


def _notes(dataset: Described) -> list[str]:
    """What to know about how the images were read, one sentence each."""
    return [f"{_capitalised(printable(note))}." for note in dataset.notes]


def _capitalised(note: str) -> str:
    """With a capital at its start, unless it starts with the name of a folder."""
    return note if "/" in note.split(maxsplit=1)[0] else note[0].upper() + note[1:]


def _class(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"

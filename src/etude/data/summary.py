"""How a data set shows itself: its images by class and split, as text and in a notebook with some of each class."""

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from etude.notebook import heading_html, paragraph_html, picture_html, plain_text, table_html

if TYPE_CHECKING:
    from etude.data.dataset import Dataset


def count(dataset: "Dataset") -> dict[str, dict[str, int]]:
    """Images of each class, by split."""
    num_classes = len(dataset.class_names)
    return {
        split: dict(zip(dataset.class_names, labels.bincount(minlength=num_classes).tolist(), strict=True))
        for split, labels in (("train", dataset.train.labels), ("test", dataset.test.labels))
    }


def text(dataset: "Dataset") -> str:
    """The name, shape, licence and source, then a table of the classes."""
    counts = count(dataset)
    table = Table(box=None, header_style="", pad_edge=False, show_footer=True)
    table.add_column("class", "all", overflow="fold")
    for split, each in counts.items():
        table.add_column(split, f"{sum(each.values()):,}", justify="right", no_wrap=True)
    for name in dataset.class_names:
        table.add_row(escape(name), *(f"{each[name]:,}" for each in counts.values()))
    return f"{heading(dataset)}\n{dataset.source}\n\n{plain_text(table)}"


def html(dataset: "Dataset") -> str:
    """The same for a notebook, with the first images of each class."""
    from etude.drawing.class_samples import class_samples
    from etude.drawing.style import render

    counts = count(dataset)
    rows = [[name, *(f"{each[name]:,}" for each in counts.values())] for name in dataset.class_names]
    rows.append(["all", *(f"{sum(each.values()):,}" for each in counts.values())])
    figure = class_samples(dataset.train.images, dataset.train.labels, dataset.class_names)
    return "".join(
        [
            heading_html(heading(dataset)),
            paragraph_html(dataset.source),
            table_html(["class", *counts], rows),
            picture_html(render(figure, "png"), "the first training images of each class"),
        ]
    )


def heading(dataset: "Dataset") -> str:
    """What there is, in a line."""
    return f"{dataset.name}: images of {'×'.join(map(str, dataset.image_shape))}, licence: {dataset.licence}"

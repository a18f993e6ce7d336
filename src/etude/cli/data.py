"""`etude data`: what data is here, fetching it, looking at it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from etude.cli.printing import stdout_console

if TYPE_CHECKING:
    from etude.data.dataset import Dataset

Name = Positional[Annotated[str, arg(metavar="NAME")]]


def list_data(data_dir: Path | None = None, json: bool = False) -> None:
    """List the data sets: what each holds, where it is, its licence.

    Args:
        data_dir: Folder to search first; several are separated as in PATH.
        json: Print one JSON object on stdout.
    """
    from etude.data.catalog import CATALOG
    from etude.data.places import search_folders

    rows = [_describe(name, data_dir) for name in CATALOG]
    searched = [str(folder) for folder in search_folders(data_dir)]
    if json:
        _print_json({"data": rows, "searched": searched})
        return

    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("data", "train", "test", "shape", "classes"):
        table.add_column(heading, justify="right" if heading in ("train", "test", "classes") else "left", no_wrap=True)
    table.add_column("licence")
    table.add_column("where", overflow="fold")
    for row in rows:
        shape = "×".join(map(str, row["image_shape"]))
        counts = (f"{row['train_images']:,}", f"{row['test_images']:,}", shape, str(row["num_classes"]))
        where = row["error"] or row["where"] or f"not here: `etude data fetch {row['name']}`"
        table.add_row(row["name"], *counts, row["licence"], escape(where))
    console = stdout_console()
    console.print(table)
    console.print("\nYour own images: folder:PATH, one folder per class below PATH.")
    console.print(f"Looked in {', '.join(searched)}.", soft_wrap=True, markup=False)


def fetch(name: Name, data_dir: Path | None = None) -> None:
    """Download a data set, unless it is here already.

    Args:
        name: Data set: mnist, fashion-mnist or cifar10.
        data_dir: Folder to put it in; the user's cache when not given.
    """
    from etude.data.loading import fetch as fetch_data

    folder = fetch_data(name, data_dir=data_dir)
    print(f"{name} is in {folder}" if folder else f"{name} comes with étude: nothing to fetch")


def show(
    name: Name,
    data_dir: Path | None = None,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Count a data set's images per class and split, and draw some of each class.

    Args:
        name: Data set: digits, mnist, fashion-mnist, cifar10, or folder:PATH.
        data_dir: Folder to search first; several are separated as in PATH.
        out: PNG file for the picture; NAME-samples.png in the current folder when not given.
        json: Print one JSON object on stdout.
    """
    from etude.data import load
    from etude.drawing.class_samples import class_samples
    from etude.drawing.style import render
    from etude.files import write_atomically

    dataset = load(name, data_dir=data_dir)
    counts = _count(dataset)
    picture = out or Path(f"{_short(name)}-samples.png")
    title = f"{_short(name)}: first training images of each class"
    figure = class_samples(dataset.train.images, dataset.train.labels, dataset.class_names, title=title)
    write_atomically(picture, render(figure, "png"))
    if json:
        _print_json(
            {
                "name": name,
                "image_shape": list(dataset.image_shape),
                "licence": dataset.licence,
                "source": dataset.source,
                "counts": counts,
                "picture": str(picture),
            }
        )
    else:
        _print_counts(dataset, counts, picture)


def _describe(name: str, data_dir: Path | None) -> dict[str, Any]:
    from etude.data import catalog
    from etude.data.loading import locate
    from etude.errors import DataError

    entry, found, error = catalog.get(name), None, None
    try:
        found = locate(entry, data_dir) if entry.downloads else None
    except DataError as damage:
        error = str(damage)
    # CIFAR-10 may still be in its archive: one file, which then is the place.
    place = None if not found else str(found[0] if len(found) == 1 else found[0].parent)
    return {
        "name": name,
        "train_images": entry.train_images,
        "test_images": entry.test_images,
        "image_shape": list(entry.image_shape),
        "num_classes": len(entry.class_names),
        "where": place if entry.downloads else "comes with étude",
        "error": error,
        "licence": entry.licence,
        "source": entry.source,
    }


def _count(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Images of each class, by split."""
    num_classes = len(dataset.class_names)
    return {
        split: dict(zip(dataset.class_names, labels.bincount(minlength=num_classes).tolist(), strict=True))
        for split, labels in (("train", dataset.train.labels), ("test", dataset.test.labels))
    }


def _print_counts(dataset: Dataset, counts: dict[str, dict[str, int]], picture: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, show_footer=True, footer_style="bold")
    table.add_column("class", "all")
    table.add_column("train", f"{len(dataset.train):,}", justify="right")
    table.add_column("test", f"{len(dataset.test):,}", justify="right")
    for name in dataset.class_names:
        table.add_row(escape(name), f"{counts['train'][name]:,}", f"{counts['test'][name]:,}")
    shape = "×".join(map(str, dataset.image_shape))
    console = stdout_console()
    console.print(f"{dataset.name}: images of {shape}, licence: {dataset.licence}\n{dataset.source}\n", markup=False)
    console.print(table)
    console.print(f"\nSamples of each class: {picture}", markup=False)


def _short(name: str) -> str:
    """The name of a data set, for a folder its last part: fit for a file name."""
    return Path(name.removeprefix("folder:")).resolve().name if name.startswith("folder:") else name


def _print_json(values: dict[str, Any]) -> None:
    import json

    print(json.dumps(values))

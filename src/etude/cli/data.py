"""`etude data`: what data is here, fetching it, looking at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from etude.cli.printing import stdout_console

Name = Positional[Annotated[str, arg(metavar="NAME")]]


def list_data(data_dir: Path | None = None, json: bool = False) -> None:
    """List the data sets: what each holds, where it is, its licence.

    Args:
        data_dir: Folder to search first; several are separated as in PATH.
        json: Print one JSON object on stdout.
    """
    from etude.data.catalog import CATALOG
    from etude.data.search_paths import search_folders

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
    fit: Literal["crop", "pad", "stretch"] | None = None,
    skip_broken: bool = False,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Count a data set's images per class and split, and draw some of each class.

    Args:
        name: Data set: digits, mnist, fashion-mnist, cifar10, or folder:PATH.
        data_dir: Folder to search first; several are separated as in PATH.
        fit: How images of a folder: that are not square become so; crop when not given.
        skip_broken: Leave out the images of a folder: that cannot be read, and name them.
        out: PNG file for the picture; NAME-samples.png in the current folder when not given.
        json: Print one JSON object on stdout.
    """
    from etude.data import load
    from etude.data.names import short_name
    from etude.data.summary import count, text
    from etude.drawing.class_samples import class_samples
    from etude.drawing.lettering import explain, is_written, legible
    from etude.drawing.style import render
    from etude.files import write_atomically

    dataset = load(name, data_dir=data_dir, fit=fit, skip_broken=skip_broken)
    counts = count(dataset)
    picture = out or Path(f"{short_name(name)}-samples.png")
    shown = legible(dataset.class_names)
    what = "first training images of each class"
    title = explain(
        f"{short_name(dataset.name)}: {what}" if is_written(short_name(dataset.name)) else what.capitalize(), shown
    )
    figure = class_samples(dataset.train.images, dataset.train.labels, shown, title=title)
    write_atomically(picture, render(figure, "png"))
    if json:
        _print_json(
            {
                "name": dataset.name,
                "image_shape": list(dataset.image_shape),
                "licence": dataset.licence,
                "source": dataset.source,
                "counts": counts,
                "notes": list(dataset.notes),
                "left_out": list(dataset.left_out),
                "picture": str(picture),
            }
        )
    else:
        pairs = zip(dataset.class_names, shown, strict=True)
        numbered = {
            name: f" ({short} in the picture)" for name, short in pairs if short.startswith("#") and short != name
        }
        print(text(dataset, drawn_as=numbered))
        print(f"\nSamples of each class: {picture}")


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


def _print_json(values: dict[str, Any]) -> None:
    import json

    print(json.dumps(values))

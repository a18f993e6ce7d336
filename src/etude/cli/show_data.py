"""The table of `etude data`, and one data set counted and drawn."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from etude.cli.printing import print_json, stdout_console
from etude.data import Dataset, Images, catalog, load
from etude.data.kinds import KINDS
from etude.data.loading import locate
from etude.data.names import short_name
from etude.data.search_paths import search_folders
from etude.data.summary import count, pictured, text
from etude.data.summary import picture as draw
from etude.data.text import description
from etude.data.text.description import TextKind
from etude.drawing.lettering import explain, is_written, legible
from etude.drawing.style import render
from etude.errors import DataError
from etude.files import write_atomically
from etude.notebook import plain_table

__all__ = ["TextKind", "load", "samples", "short_name", "table", "texts"]


def table(data_dir: Path | None, *, json: bool) -> None:
    """Print the data sets that étude knows, and where each one is."""
    found = [_describe(name, data_dir) for name in catalog.CATALOG]
    searched = [str(folder) for folder in search_folders(data_dir)]
    if json:
        print_json({"data": found, "searched": searched})
        return
    rows = []
    for each in found:
        entry = catalog.get(each["name"])
        shape = "×".join(map(str, entry.shape)) or KINDS[entry.kind].plural
        counts = (f"{each['train_images']:,}", f"{each['test_images']:,}", shape, str(each["num_classes"] or ""))
        missing = f"not here: `etude data fetch {each['name']}`" if entry.downloads else "not here (no download)"
        where = each["error"] or each["where"] or missing
        rows.append([each["name"], *counts, each["licence"], where])
    console = stdout_console()
    console.print(plain_table(["data", "train", "test", "shape", "classes", "licence", "where"], rows, align="lrrlrl"))
    console.print(
        "\nYour own: folder:PATH, one folder of images per class below PATH; npz:FILE, arrays; csv:FILE, a table;\n"
        "text:PATH, sentences with a label each; pairs:FILE, translations; chars:FILE, one long text."
    )
    console.print(f"Looked in {', '.join(searched)}.", soft_wrap=True, markup=False)


def texts(dataset: Dataset, *, json: bool) -> None:
    """Print the counts, lengths and vocabularies of a data set of texts, and some examples."""
    if not json:
        print(text(dataset))
        return
    assert isinstance(dataset.kind, TextKind)
    sizes = {
        name: {split: asdict(each) for split, each in by_split.items()}
        for name, by_split in description.sizes(dataset).items()
    }
    print_json(
        {
            **_about(dataset),
            "vocabularies": {name: len(each) for name, (_, each) in description.columns(dataset.kind).items()},
            "sizes": sizes,
            "examples": list(description.examples(dataset)),
        }
    )


def samples(dataset: Dataset, picture: Path, *, json: bool) -> None:
    """Print a data set's counts, and draw some images of each class, or the rows of a table."""
    short, is_images = short_name(dataset.name), isinstance(dataset.kind, Images)
    shown = legible(dataset.class_names)
    what = pictured(dataset)
    title = explain(f"{short}: {what}" if is_written(short) else what.capitalize(), shown)
    write_atomically(picture, render(draw(dataset, shown, title=title), "png"))
    if json:
        print_json({**_about(dataset), "picture": str(picture)})
    else:
        pairs = zip(dataset.class_names, shown, strict=True)
        numbered = {
            name: f" ({short} in the picture)" for name, short in pairs if short.startswith("#") and short != name
        }
        print(text(dataset, drawn_as=numbered))
        print(f"\n{'Samples of each class' if is_images else 'Its rows as points'}: {picture}")


def _about(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "kind": dataset.kind.as_dict()["name"],
        "shape": list(dataset.kind.shape),
        "image_shape": list(dataset.kind.shape) if isinstance(dataset.kind, Images) else None,
        "licence": dataset.licence,
        "source": dataset.source,
        "counts": count(dataset),
        "notes": list(dataset.notes),
        "left_out": list(dataset.left_out),
    }


def _describe(name: str, data_dir: Path | None) -> dict[str, Any]:
    entry, found, error = catalog.get(name), None, None
    try:
        found = locate(entry, data_dir) if entry.has_files else None
    except DataError as damage:
        error = str(damage)
    # CIFAR-10 may still be in its archive: then that one file is the place.
    place = None if not found else str(found[0] if len(found) == 1 else found[0].parent)
    return {
        "name": name,
        "kind": entry.kind,
        "train_images": entry.num_train,
        "test_images": entry.num_test,
        "shape": list(entry.shape),
        "image_shape": list(entry.shape) if entry.is_images else None,
        "num_classes": len(entry.class_names),
        "where": place if entry.has_files else "comes with étude",
        "error": error,
        "licence": entry.licence,
        "source": entry.source,
    }

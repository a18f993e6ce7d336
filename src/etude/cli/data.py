"""`etude data`: list, download and show data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from etude.errors import UsageError

Name = Positional[Annotated[str, arg(metavar="NAME")]]


def list_data(data_dir: Path | None = None, json: bool = False) -> None:
    """List the data sets: what each holds, where it is, its licence.

    Args:
        data_dir: Folder to search first; separate several as in PATH.
        json: Print one JSON object on stdout.
    """
    from etude.cli import show_data

    show_data.table(data_dir, json=json)


def fetch(name: Name, data_dir: Path | None = None) -> None:
    """Download a data set, unless you have it already.

    Args:
        name: Data set: mnist, fashion-mnist or cifar10.
        data_dir: Folder to put it in. Default: your cache.
    """
    from etude.data.loading import fetch as fetch_data

    folder = fetch_data(name, data_dir=data_dir)
    print(f"{name} is in {folder}" if folder else f"{name} comes with étude: nothing to fetch")


def show(
    name: Name,
    data_dir: Path | None = None,
    fit: Literal["crop", "pad", "stretch"] | None = None,
    skip_broken: bool = False,
    tokenizer: Literal["words", "characters", "subwords"] | None = None,
    vocabulary_size: int | None = None,
    min_count: int | None = None,
    max_tokens: int | None = None,
    fold: int | None = None,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Count a data set's examples per class and split, and draw some of each class, or print some texts.

    Args:
        name: Data set: its name, or your own: folder:PATH, npz:FILE, csv:FILE, text:PATH, pairs:FILE or chars:FILE.
        data_dir: Folder to search first; separate several as in PATH.
        fit: How to make images of a folder: square. Default: crop.
        skip_broken: Leave out images of a folder: that cannot be read, and name them.
        tokenizer: How to divide texts into tokens. Default: characters of running text, else words.
        vocabulary_size: Most tokens of a vocabulary. Default: all; 8,000 subwords.
        min_count: How often a token must occur in the training split. Default: 2; 1 for characters.
        max_tokens: Most tokens of a sentence. Default: 256.
        fold: Which fold of rt-polarity, 0 to 9, is the test split. Default: 0.
        out: PNG file for the picture. Default: NAME-samples.png in the current folder.
        json: Print one JSON object on stdout.
    """
    from etude.cli import show_data

    dataset = show_data.load(
        name, data_dir=data_dir, fit=fit, skip_broken=skip_broken, tokenizer=tokenizer,
        vocabulary_size=vocabulary_size, min_count=min_count, max_tokens=max_tokens, fold=fold,
    )  # fmt: skip
    if isinstance(dataset.kind, show_data.TextKind):
        if out:
            raise UsageError(f"--out {out}: texts are printed, not drawn; leave it out.")
        show_data.texts(dataset, json=json)
        return
    show_data.samples(dataset, out or Path(f"{show_data.short_name(name)}-samples.png"), json=json)

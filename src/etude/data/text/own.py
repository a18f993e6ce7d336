"""Read a person's texts by name: text:PATH, pairs:FILE and chars:FILE."""

import os
from collections.abc import Mapping
from pathlib import Path

from etude.data.arrays import Parts
from etude.data.dataset import Dataset
from etude.data.layout import TRAIN
from etude.data.names import OwnName
from etude.data.reading import Reading
from etude.data.text.labelled import read_file, read_folder
from etude.data.text.lines import read_lines, read_text
from etude.data.text.pairs import Pairs, make_pairs, read_parallel
from etude.data.text.running import make_running
from etude.data.text.sentences import make_tokens
from etude.errors import DataError, UsageError

_HEADERS = {("source", "target"), ("src", "tgt"), ("src", "trg")}


def load_texts(own: OwnName, *, name: str, reading: Reading, seed: int) -> Dataset:
    """Read the texts as a data set called `name`. Missing splits are drawn with `seed`.

    Raises `DataError` that names the file and the line of a mistake, or `UsageError` if `reading` does not fit.
    """
    reading.require_for_texts(name)
    for path in (own.path, own.second):
        if path is not None and not os.path.exists(path):
            raise DataError(f"{path}: no such file; {_NEEDS[own.format]}.")
    try:
        found = _READERS[own.format](own, reading, seed)
    except UsageError as error:
        raise DataError(f"{own.path}: {error}") from None
    except MemoryError:
        raise DataError(f"{own.path}: does not fit into memory; keep fewer texts.") from None
    source = ", ".join(str(path.resolve()) for path in (own.path, own.second) if path)
    return Dataset(name=name, licence="not stated", source=source, **found.as_fields())


def _load_labelled(own: OwnName, reading: Reading, seed: int) -> Parts:
    notes: list[str] = []
    if os.path.isdir(own.path):
        given = read_folder(own.path, notes)
    else:
        given = {TRAIN: read_file(own.path, columns=own.column, notes=notes)}
    return make_tokens(given, reading, seed=seed, notes=notes)


def _load_pairs(own: OwnName, reading: Reading, seed: int) -> Parts:
    notes: list[str] = []
    if own.second is None:
        pairs, names = _read_table(own.path, notes), ("source", "target")
    else:
        pairs, names = (
            read_parallel(own.path, own.second),
            (_language(own.path, "source"), _language(own.second, "target")),
        )
    return make_pairs({TRAIN: pairs}, reading, source_name=names[0], target_name=names[1], seed=seed, notes=notes)


def _read_table(path: Path, notes: list[str]) -> Pairs:
    """Read a sentence and its translation from each line, with a tab between them. Further columns are ignored."""
    sources, targets, beyond = [], [], 0
    for number, line in enumerate(read_lines(path), 1):
        cells = [cell.strip() for cell in line.split("\t")]
        if number == 1 and tuple(cell.lower() for cell in cells) in _HEADERS:
            continue
        if len(cells) < 2 or not cells[0] or not cells[1]:
            what = "is empty" if not line else "holds no sentence and translation with a tab between them"
            raise DataError(f"{path}, line {number}: {what}; write both, or remove the line.")
        sources.append(cells[0])
        targets.append(cells[1])
        beyond += len(cells) > 2
    if beyond:
        notes.append(f"{beyond:,} lines have more than two columns: the first two are read")
    return Pairs(sources=sources, targets=targets, name="the file")


def _language(path: Path, otherwise: str) -> str:
    """The language in a file's name, "de" for train.de.gz; `otherwise` if there is none."""
    ending = Path(path.name.removesuffix(".gz")).suffix.removeprefix(".")
    return ending if ending.isalpha() and ending != "txt" else otherwise


def _load_running(own: OwnName, reading: Reading, seed: int) -> Parts:
    return make_running({TRAIN: read_text(own.path)}, reading)


_READERS = {"text": _load_labelled, "pairs": _load_pairs, "chars": _load_running}
_NEEDS: Mapping[str, str] = {
    "text": "text:PATH needs a .csv, .tsv or .jsonl file (text:FILE:TEXT,LABEL names columns) or a folder per class",
    "pairs": "pairs:FILE needs a sentence and its translation on each line, pairs:FILE,FILE a file of each",
    "chars": "chars:FILE needs a text file",
}

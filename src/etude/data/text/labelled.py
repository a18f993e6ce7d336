"""Read a person's sentences and labels from a table (.csv, .tsv), lines of JSON (.jsonl), or a folder per class."""

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from etude.data.labels import LABEL_NAMES
from etude.data.layout import TEST, TRAIN, VALIDATION, class_name, role_of
from etude.data.text.lines import MOST_LINE_BYTES, read_lines, read_text
from etude.data.text.sentences import Labelled
from etude.errors import DataError, unknown
from etude.files import parse_json

TEXT_NAMES = ("text", "sentence", "review", "content", "document", "tweet")
"""Usual names for a column of texts, in lower case. The first one that exists is used."""
_DELIMITERS = ",;\t"
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_LONGEST_LABEL = 200


@dataclass(kw_only=True)
class _Rows:
    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def add(self, text: str, label: str, where: str) -> None:
        if not text.strip():
            raise DataError(f"{where}: holds no text; write one, or remove the line.")
        if len(text) > MOST_LINE_BYTES:
            raise _too_long(where, text)
        if not label or len(label) > _LONGEST_LABEL:
            what = f"a label of {len(label):,} letters" if label else "no label"
            raise DataError(f"{where}: holds {what}; write one of 1 to {_LONGEST_LABEL} letters.")
        self.texts.append(text)
        self.labels.append(label)

    def labelled(self, name: str, labels_name: str) -> Labelled:
        """The rows read so far. Labels become numbers if all of them are whole numbers."""
        whole = all(map(_WHOLE.fullmatch, self.labels))
        labels = np.array(list(map(int, self.labels))) if whole else np.array(self.labels)
        return Labelled(texts=self.texts, labels=labels, name=name, labels_name=labels_name)


def read_file(path: Path, *, columns: str, notes: list[str]) -> Labelled:
    """Read the sentences of a file. Its ending says its format. `columns`, TEXT,LABEL, may name the columns.

    Guesses are added to `notes`. Raises `DataError` that names the line of a mistake.
    """
    match path.suffix.lower():
        case ".jsonl":
            return _read_json_lines(path, columns, notes)
        case ".csv" | ".tsv":
            return _read_table(path, columns, notes)
    raise DataError(f"{path}: allowed are .csv, .tsv and .jsonl, and folders with one folder per class.")


# Tables ---------------------------------------------------------------------------------------------------------------


def _read_table(path: Path, columns: str, notes: list[str]) -> Labelled:
    """Read a header and one example per row: .csv as in RFC 4180, .tsv without quotes."""
    text = read_text(path)
    if path.suffix.lower() == ".tsv":
        reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        first = text.partition("\n")[0]
        delimiter = max(_DELIMITERS, key=lambda each: len(next(csv.reader([first], delimiter=each), [])))
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    lines = _numbered(reader, path)
    _, header = next(lines, (1, []))
    names = [name.strip() for name in header]
    text_column, label_column = _choose(names, columns, path, notes)
    rows = _Rows()
    for number, row in lines:
        where = f"{path}, line {number}"
        if len(row) != len(names):
            raise DataError(f"{where}: holds {len(row)} values, and the header names {len(names)} columns.")
        rows.add(row[text_column], row[label_column].strip(), where)
    return _finished(rows, path, names[text_column], names[label_column])


def _numbered(reader: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, with the number of their first line."""
    number = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            if "field limit" in str(error):
                what = f"holds a text of over {csv.field_size_limit():,} characters; divide it"
            else:
                what = f"not a row of a table ({error}); mend the line"
            raise DataError(f"{path}, line {number}: {what}.") from None
        if row is None:
            return
        if row:
            yield number, row
        number = reader.line_num + 1  # pyright: ignore[reportAttributeAccessIssue]


def _choose(names: Sequence[str], columns: str, path: Path, notes: list[str]) -> tuple[int, int]:
    """The column of texts and the column of labels."""
    if columns:
        text, comma, label = columns.partition(",")
        if not comma:
            raise DataError(f"{path}: {columns!r} names one column; write text:FILE:TEXT,LABEL.")
        for each in (text, label):
            if each not in names:
                raise DataError(f"{path}: {unknown('column', each, names)}")
        return names.index(text), names.index(label)
    lower = [name.lower() for name in names]
    text_column, label_column = (
        next((lower.index(each) for each in usual if each in lower), None) for usual in (TEXT_NAMES, LABEL_NAMES)
    )
    if len(names) == 2:  # one says which the other is
        if text_column is None and label_column is not None:
            text_column = 1 - label_column
        elif label_column is None and text_column is not None:
            label_column = 1 - text_column
    if text_column is None or label_column is None or text_column == label_column:
        lacking = "texts" if text_column is None else "labels"
        usual = ", ".join(TEXT_NAMES if text_column is None else LABEL_NAMES)
        raise DataError(
            f"{path}, line 1: no column of {lacking} among {', '.join(map(repr, names)) or 'none'}; call it one of "
            f"{usual}, or name both columns: text:FILE:TEXT,LABEL."
        )
    notes.append(f"the texts are column {names[text_column]!r}, the labels column {names[label_column]!r}")
    return text_column, label_column


# Lines of JSON --------------------------------------------------------------------------------------------------------


def _read_json_lines(path: Path, columns: str, notes: list[str]) -> Labelled:
    rows, names = _Rows(), ("", "")
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}, line {number}"
        if not line:
            raise DataError(f"{where}: is empty; write an object, or remove the line.")
        try:
            values = parse_json(line)
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}); write an object on each line.") from None
        if not isinstance(values, dict):
            raise DataError(f"{where}: holds a {type(values).__name__}; write an object with a text and a label.")
        if not rows.texts:
            keys = list(values)
            text_column, label_column = _choose(keys, columns, path, notes)
            names = keys[text_column], keys[label_column]
        text, label = (values.get(name) for name in names)
        if not isinstance(text, str) or type(label) not in (str, int):
            wrong = names[1] if isinstance(text, str) else names[0]
            allowed = "a text or a whole number" if isinstance(text, str) else "a text"
            given = "nothing" if wrong not in values else f"a {type(values[wrong]).__name__}"
            raise DataError(f"{where}: holds {given} for {wrong!r}; write {allowed}.")
        rows.add(text, str(label).strip(), where)
    return _finished(rows, path, *names)


def _finished(rows: _Rows, path: Path, text_name: str, label_name: str) -> Labelled:
    if not rows.texts:
        raise DataError(f"{path}: holds no rows below its header; add an example on each line.")
    return rows.labelled(f"column {text_name!r}", f"column {label_name!r}")


# Folders --------------------------------------------------------------------------------------------------------------


def read_folder(root: Path, notes: list[str]) -> dict[str, Labelled]:
    """Read the .txt files of a folder per class, by split: `root`/CLASS/1.txt, or with train/, val/, test/ above.

    Splits may have other names, see `layout.ROLES`. Raises `DataError` that names what is missing or not understood.
    """
    splits: dict[str, Path] = {}
    for folder in _folders(root):
        if role := role_of(folder.name):
            if role in splits:
                raise DataError(f"{root}: has both {splits[role].name}/ and {folder.name}/; merge them, or remove one.")
            splits[role] = folder
    if splits and TRAIN not in splits:
        first = next(iter(splits.values())).name
        raise DataError(f"{root}: has {first}/ but no train/; add it, or put the class folders into {root}.")
    found = {role: _read_classes(splits[role]) for role in (TRAIN, VALIDATION, TEST) if role in splits}
    if not found:
        return {TRAIN: _labelled(_read_classes(root), root.name)}
    classes = sorted({name for each in found.values() for name in each})
    for name in classes:
        for role, each in found.items():
            if name not in each:
                raise DataError(
                    f"{splits[role] / name}: holds no .txt files; add some, or remove this class from every split."
                )
    verbs = {TRAIN: "trains", VALIDATION: "validates", TEST: "tests"}
    notes.append(f"splits: {', '.join(f'{splits[role].name}/ {verbs[role]}' for role in found)}")
    return {role: _labelled(each, f"{splits[role].name}/") for role, each in found.items()}


def _read_classes(folder: Path) -> dict[str, list[str]]:
    """The texts of each class. Classes and files are in the order of their names."""
    classes = {}
    for each in _folders(folder):
        files = [path for path in _inside(each) if path.suffix.lower() == ".txt" and os.path.isfile(path)]
        if not files:
            raise DataError(f"{each}: holds no .txt files; add some, or remove the folder.")
        classes[class_name(each)] = [_document(path) for path in files]
    if not classes:
        raise DataError(f"{folder}: holds no class folders; put the .txt files of each class into a folder of its own.")
    return classes


def _document(path: Path) -> str:
    text = read_text(path)
    if len(text) > MOST_LINE_BYTES:
        raise _too_long(str(path), text)
    return text.strip()


def _too_long(where: str, text: str) -> DataError:
    return DataError(f"{where}: holds a text of {len(text):,} characters; allowed: at most {MOST_LINE_BYTES:,}.")


def _labelled(classes: dict[str, list[str]], name: str) -> Labelled:
    texts = [text for each in classes.values() for text in each]
    labels = [label for label, each in classes.items() for _ in each]
    return Labelled(texts=texts, labels=np.array(labels), name=name, labels_name=f"the folders of {name}")


def _folders(folder: Path) -> list[Path]:
    return [path for path in _inside(folder) if os.path.isdir(path)]


def _inside(folder: Path) -> list[Path]:
    """The files and folders in a folder, sorted, without hidden ones."""
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith((".", "__MACOSX"))]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}).") from None

"""A table in a text file, .csv: a header, one row per example, one column of labels, the others numbers or texts.

Values are separated by commas, semicolons or tabs, and quoted as in RFC 4180. The text is UTF-8, with or without a byte
order mark.
"""

import csv
import math
import os
import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from etude.data.arrays import Arrays, understand
from etude.data.dataset import Dataset
from etude.data.labels import LABEL_NAMES
from etude.errors import DataError, UsageError, unknown

MOST_TEXTS = 20
"""The most texts in a column that becomes one feature per text."""
_DELIMITERS = ",;\t"
_LONGEST_LABEL = 200
_LARGEST = float(np.finfo(np.float32).max)
_MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
"""What means "no value" in a column of numbers, in lower case."""
_ROW_NUMBERS = {"", "id", "index"}
"""Names of a column that numbers the rows, in lower case. pandas writes one without a name."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(kw_only=True)
class _Texts:
    """A column of texts: a number per text, and the number in each row."""

    numbers: dict[str, int] = field(default_factory=dict)
    rows: array = field(default_factory=lambda: array("i"))


@dataclass(kw_only=True)
class _Rows:
    """What the rows of a file hold, column by column."""

    names: list[str]
    label: int
    """The column of labels."""
    numeric: list[int] = field(default_factory=list)
    """The columns of numbers."""
    texts: dict[int, _Texts] = field(default_factory=dict)
    values: array = field(default_factory=lambda: array("d"))
    """The numbers, row by row."""
    labels: list[str] = field(default_factory=list)
    lines: array = field(default_factory=lambda: array("q"))
    """The line of each row in the file, from 1."""


def load_csv(path: Path, *, name: str, column: str, seed: int) -> Dataset:
    """The table in a file as a data set called `name`. A fifth of each class is drawn with `seed` to test on.

    The labels are in `column`. If that is "", they are in the column with one of the `LABEL_NAMES`, else in the last.
    Raises `DataError` that names the line of what is wrong.
    """
    if not os.path.isfile(path):
        raise DataError(
            f"{path}: no such file; csv:FILE needs a table with a header, csv:FILE:COLUMN names its labels."
        )
    notes: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _read(file, path, column, notes)
        features, names = _features(rows, path, notes)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except MemoryError:
        raise DataError(f"{path}: does not fit into memory; keep fewer rows or columns.") from None
    arrays = Arrays(x=features, y=_labels(rows, path), x_name="the table", y_name=f"column {rows.names[rows.label]!r}")
    try:
        found = understand(
            arrays,
            validation=None,
            test=None,
            class_names=None,
            kind="table",
            seed=seed,
            feature_names=names,
            notes=notes,
        )
    except UsageError as error:
        raise DataError(f"{path}: {error}") from None
    return Dataset(name=name, licence="not stated", source=str(path.resolve()), **found.as_fields())


# Rows -----------------------------------------------------------------------------------------------------------------


def _read(file: TextIO, path: Path, column: str, notes: list[str]) -> _Rows:
    with _naming_the_line(path) as at:
        first = file.readline()
        delimiter = max(_DELIMITERS, key=lambda each: len(next(csv.reader([first], delimiter=each), [])))
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
        names = [name.strip() for name in next(reader, [])]
        _require_header(names, path, column)
        rows = _Rows(names=names, label=_label_column(names, path, column, notes))
        at[0] = reader.line_num + 1
        for row in reader:
            if row:
                _add(rows, [cell.strip() for cell in row], f"{path}, line {at[0]}")
                rows.lines.append(at[0])
            at[0] = reader.line_num + 1
    if not rows.lines:
        raise DataError(f"{path}: holds no rows below its header; add an example on each line.")
    return rows


@contextmanager
def _naming_the_line(path: Path) -> Iterator[list[int]]:
    """Report what goes wrong within with the line number in the list that this gives."""
    at = [1]
    try:
        yield at
    except csv.Error as error:
        raise DataError(f"{path}, line {at[0]}: not a row of a table ({error}); mend the line.") from None
    except UnicodeDecodeError:
        line, byte = _not_utf8(path)
        raise DataError(f"{path}, line {line}: byte {byte:#04x} is not UTF-8; save the table as UTF-8.") from None


def _not_utf8(path: Path) -> tuple[int, int]:
    """The first line, from 1, with a byte that is not UTF-8, and the byte. Python decodes many lines at once."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return number, line[error.start]
    raise AssertionError(f"{path} is UTF-8")


def _require_header(names: Sequence[str], path: Path, column: str) -> None:
    if len(names) < 2:
        raise DataError(
            f"{path}, line 1: holds {len(names)} column{'' if len(names) == 1 else 's'}; allowed: a header with the "
            "names of two or more, separated by commas, semicolons or tabs."
        )
    usual = column in names or any(name.lower() in LABEL_NAMES for name in names)
    if not usual and sum(_number(name) is not None for name in names) >= len(names) - 1:
        raise DataError(f"{path}, line 1: looks like an example; write a line with the names of the columns above it.")
    if "" in names[1:]:
        raise DataError(f"{path}, line 1: column {names.index('', 1) + 1} has no name; give it one, or remove it.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}, line 1: two columns are called {twice!r}; rename one.")


def _label_column(names: Sequence[str], path: Path, column: str, notes: list[str]) -> int:
    if column:
        if column not in names:
            raise DataError(f"{path}: {unknown('column', column, [name for name in names if name])}")
        return names.index(column)
    lower = [name.lower() for name in names]
    usual = next((lower.index(each) for each in LABEL_NAMES if each in lower), None)
    if usual is None:
        notes.append(f"the labels are column {names[-1]!r}, the last (csv:FILE:COLUMN names another)")
        return len(names) - 1
    notes.append(f"the labels are column {names[usual]!r}")
    return usual


def _add(rows: _Rows, cells: list[str], where: str) -> None:
    """Add a row. The first one says which columns hold numbers."""
    if len(cells) != len(rows.names):
        raise DataError(f"{where}: holds {len(cells)} values, and the header names {len(rows.names)} columns.")
    if not rows.lines:
        for index, cell in enumerate(cells):
            if index == rows.label:
                continue
            if _number(cell) is not None or cell.lower() in _MISSING:
                rows.numeric.append(index)
            else:
                rows.texts[index] = _Texts()
    label = cells[rows.label]
    if not label or len(label) > _LONGEST_LABEL:
        what = f"a label of {len(label):,} letters" if label else "no label"
        raise DataError(
            f"{where}: {what} in column {rows.names[rows.label]!r}; write one of 1 to {_LONGEST_LABEL} letters."
        )
    rows.labels.append(label)
    try:
        values = [float(cells[index]) for index in rows.numeric]
        if not abs(math.fsum(values)) <= _LARGEST:
            raise ValueError
    except (ValueError, OverflowError):
        _require_numbers(rows, cells, where)
        values = [float(cells[index]) for index in rows.numeric]  # many large ones
    rows.values.extend(values)
    for index, texts in rows.texts.items():
        texts.rows.append(_text_number(texts, cells[index], rows.names[index], where))


def _require_numbers(rows: _Rows, cells: Sequence[str], where: str) -> None:
    for index in rows.numeric:
        cell, name = cells[index], rows.names[index]
        if cell.lower() in _MISSING:
            raise DataError(f"{where}: no value in column {name!r}; write a number, or remove the line.")
        value = _number(cell)
        if value is None:
            raise DataError(f"{where}: column {name!r} holds {cell!r}, and numbers above; write a number, as in 1.5.")
        if not abs(value) <= _LARGEST:
            raise DataError(
                f"{where}: column {name!r} holds {cell!r}, which is not finite or beyond float32; write another number."
            )


def _text_number(texts: _Texts, cell: str, name: str, where: str) -> int:
    if not cell:
        raise DataError(f"{where}: no value in column {name!r}; write a text, or remove the line.")
    if cell not in texts.numbers:
        if _number(cell) is not None:
            raise DataError(f"{where}: column {name!r} holds the number {cell}, and texts above; use one of them.")
        if len(texts.numbers) == MOST_TEXTS:
            raise DataError(
                f"{where}: column {name!r} holds {cell!r} and {MOST_TEXTS} other texts; allowed: numbers, or at most "
                f"{MOST_TEXTS} different texts: remove the column."
            )
        texts.numbers[cell] = len(texts.numbers)
    return texts.numbers[cell]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# Columns --------------------------------------------------------------------------------------------------------------


def _features(rows: _Rows, path: Path, notes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The features, float32 (N, F), in the order of the columns, and their names."""
    numbers = np.frombuffer(rows.values, dtype=np.float64).reshape(len(rows.lines), len(rows.numeric))
    places = {index: place for place, index in enumerate(rows.numeric)}
    blocks, names, hot = [], [], []
    for index, name in enumerate(rows.names):
        if index in rows.texts:
            texts = rows.texts[index]
            found = sorted(texts.numbers)
            order = np.array([texts.numbers[text] for text in found])
            blocks.append(np.frombuffer(texts.rows, dtype=np.int32)[:, None] == order)
            names += [f"{name}={text}" for text in found]
            hot.append(f"{name} ({', '.join(found)})")
        elif index != rows.label:
            values = numbers[:, places[index]]
            if name.lower() in _ROW_NUMBERS and _numbers_the_rows(values):
                notes.append(f"column {name!r} numbers the rows: it is not read" if name else
                             "the first column, which has no name, numbers the rows: it is not read")  # fmt: skip
                continue
            if not name:
                raise DataError(f"{path}, line 1: column 1 has no name; give it one, or remove it.")
            blocks.append(values[:, None])
            names.append(name)
    if hot:
        notes.append(f"columns of texts, of which each text becomes a feature, 0 or 1: {'; '.join(hot)}")
    if not blocks:
        raise DataError(f"{path}: holds no column of features beside the labels; add one of numbers.")
    return np.concatenate([block.astype(np.float32) for block in blocks], axis=1), tuple(names)


def _numbers_the_rows(values: np.ndarray) -> bool:
    counted = np.arange(len(values))
    return len(values) > 1 and (np.array_equal(values, counted) or np.array_equal(values, counted + 1))


def _labels(rows: _Rows, path: Path) -> np.ndarray:
    """The labels: int64 if all are whole numbers, else texts."""
    if all(_WHOLE.fullmatch(label) for label in rows.labels):
        return np.array(list(map(int, rows.labels)), dtype=np.int64)
    values = [_number(label) for label in rows.labels]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return np.array(rows.labels)
    for value, line in zip(numbers, rows.lines, strict=True):
        if not math.isfinite(value) or value != round(value) or abs(value) >= 2**53:
            raise DataError(
                f"{path}, line {line}: the label {value:g} in column {rows.names[rows.label]!r} is a quantity, and "
                "étude classifies; csv:FILE:COLUMN names another column."
            )
    return np.array(numbers).astype(np.int64)

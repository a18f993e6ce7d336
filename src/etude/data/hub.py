"""Hugging Face data sets as arrays. They are recognised by what they can do, so this file does not need the library.

https://huggingface.co/docs/datasets: a `Dataset` has `column_names` and `features`, where `ClassLabel` and `Image` say
which column holds the classes and which the pictures. A `DatasetDict` has one data set per split.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from etude.data.labels import LABEL_NAMES
from etude.errors import UsageError

_NUMBERS = ("int", "uint", "float", "bool")
_LISTS = ("Array2D", "Array3D", "Sequence", "List", "LargeList", "list")
_MOST_NAMED = 8


def is_dataset(given: Any) -> bool:
    """Whether it is one split with a length."""
    return isinstance(getattr(given, "column_names", None), list) and hasattr(given, "features") and _has_length(given)


def is_dict(given: Any) -> bool:
    """Whether it is a `DatasetDict`, streamed or not."""
    return isinstance(given, Mapping) and bool(given) and all(map(_is_any, given.values()))


def is_streamed(given: Any) -> bool:
    """Whether it is one split without a length."""
    return _is_any(given) and not _has_length(given)


def _is_any(given: Any) -> bool:
    return hasattr(given, "column_names") and hasattr(given, "features")


def _has_length(given: Any) -> bool:
    return hasattr(type(given), "__len__") and hasattr(type(given), "__getitem__")


def read(
    given: Any, name: str, stacked: Callable[[int, Callable[[int], Any], str], np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None, dict[str, Any]]:
    """The x and y of a split, and its class names, feature names and notes. y is None if it has no labels.

    Pictures are the one `Image` column. A table is all columns of numbers, else the one column of lists of numbers.
    `stacked` makes an array of items. Raises `UsageError` if it is unclear which columns are meant.
    """
    features: Mapping[str, Any] = given.features
    if not len(given) or not features:
        raise UsageError(f"{name} is an empty data set.")
    label = _label_column(features, name)
    others = {column: feature for column, feature in features.items() if column != label}
    pictures = [column for column, feature in others.items() if _type(feature) == "Image"]
    numbers = [column for column, feature in others.items() if _type(feature).startswith(_NUMBERS)]
    lists = [column for column, feature in others.items() if _type(feature) in _LISTS]
    told: dict[str, Any] = {"notes": []}
    if len(pictures) == 1 or (not pictures and not numbers and len(lists) == 1):
        read = pictures or lists
        x = stacked(len(given), lambda row: given[row][read[0]], name)
    elif numbers and not pictures:
        read = numbers
        x = np.stack([np.array(list(given[column]), dtype=np.float64) for column in read], axis=1)
        told["feature_names"] = tuple(read)
    else:
        columns = ", ".join(f"{column} ({_type(feature)})" for column, feature in list(others.items())[:_MOST_NAMED])
        raise UsageError(
            f"{name} has the columns {columns or 'of labels alone'}; allowed: one of pictures, some of numbers, or one "
            "of lists of numbers: keep these with select_columns, or give (x, y)."
        )
    if left := [column for column in others if column not in read]:
        told["notes"].append(f"columns that are not read: {', '.join(left)}")
    if label is None:
        return x, None, told
    if names := getattr(features[label], "names", None):
        told["class_names"] = tuple(names)
    return x, stacked(len(given), list(given[label]).__getitem__, name), told


def _label_column(features: Mapping[str, Any], name: str) -> str | None:
    usual = sorted((column for column in features if column.lower() in LABEL_NAMES), key=_rank)
    classes = [column for column, feature in features.items() if _type(feature) == "ClassLabel"]
    found = [column for column in usual if column in classes or not classes] or classes
    if len(found) > 1 and found != usual:
        raise UsageError(
            f"{name} has several columns of labels, {', '.join(found)}: keep one with remove_columns, or give (x, y)."
        )
    return found[0] if found else None


def _rank(column: str) -> int:
    return LABEL_NAMES.index(column.lower())


def _type(feature: Any) -> str:
    """ClassLabel, Image, int64, float32, string …"""
    return str(getattr(feature, "dtype", "")) if type(feature).__name__ == "Value" else type(feature).__name__

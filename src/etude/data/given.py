"""Data that a person has in Python, as arrays: arrays, tensors, lists, and data sets of torch and Hugging Face."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from etude.data import hub
from etude.data.arrays import Arrays, Parts, understand
from etude.data.catalog import CATALOG
from etude.data.layout import ROLES, TEST, TRAIN, VALIDATION
from etude.data.levels import KIND_NAMES, KindName
from etude.data.pictures import to_rgb
from etude.data.reading import Reading
from etude.data.text.given import are_texts, read_texts
from etude.errors import UsageError, is_out_of_memory
from etude.files import PLAIN_NAME, PLAIN_NAME_RULE
from etude.user_code import contained, reason

ALLOWED = "arrays, tensors, lists, a torch Dataset or a Hugging Face dataset"


@dataclass(kw_only=True)
class Found:
    """Arrays as they were found, and what their source says about them."""

    arrays: Arrays
    class_names: Sequence[str] | None = None
    feature_names: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def read_given(given: Any, *, where: str = "") -> Found:
    """The arrays in what a person gave: (x, y), or a data set whose examples are pairs.

    `where` names the part in errors, such as "test"; "" is the part to train on. Raises `UsageError` for anything else.
    """
    names = {"x_name": f"{where} x".strip(), "y_name": f"{where} y".strip()}
    if isinstance(given, DataLoader):
        raise UsageError(
            f"{names['x_name']} is a DataLoader, which gives batches: give its data set, `loader.dataset`."
        )
    if isinstance(given, IterableDataset) or hub.is_streamed(given):
        raise UsageError(f"{names['x_name']} is a data set without a length: read it whole, not streamed.")
    if hub.is_dataset(given):
        x, y, told = hub.read(given, names["x_name"], stacked)
        return Found(arrays=Arrays(x=x, y=y, **names), **told)
    if isinstance(given, TorchDataset):
        return _read_pairs(given, names)
    if isinstance(given, tuple | list) and len(given) == 2:
        x, y = given
        return Found(
            arrays=Arrays(x=_array(x, names["x_name"]), y=None if y is None else _array(y, names["y_name"]), **names)
        )
    raise UsageError(
        f"{where} is of type {type(given).__name__}; allowed: (x, y), a torch Dataset or a Hugging Face dataset."
    )


def _read_pairs(given: Any, names: dict[str, str]) -> Found:
    """The examples of a torch `Dataset`, each read once."""
    x_name = names["x_name"]

    def failed(error: BaseException) -> UsageError:
        return UsageError(f"{x_name} fails to give its examples: {reason(error)}.")

    with contained(failed):
        count = len(given)
        if not count:
            raise UsageError(f"{x_name} is an empty data set.")
        labels = []

        def item(row: int) -> Any:
            pair = given[row]
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                what = f"{len(pair)} values" if isinstance(pair, tuple | list) else f"a {type(pair).__name__}"
                raise UsageError(f"{x_name} gives {what} for example {row}; allowed: a pair (x, y).")
            return pair

        def first_of(row: int) -> Any:
            x, y = item(row)
            labels.append(y)
            return x

        x = stacked(count, first_of, x_name)
        again = stacked(1, lambda row: item(row)[0], x_name)
        found = Found(arrays=Arrays(x=x, y=stacked(count, labels.__getitem__, names["y_name"]), **names))
    # torchvision's say what their classes are called. A Subset holds the whole set.
    classes = getattr(given, "classes", None) or getattr(getattr(given, "dataset", None), "classes", None)
    if isinstance(classes, list | tuple) and all(isinstance(each, str) for each in classes):
        found.class_names = classes
    if again.shape[1:] == x.shape[1:] and not np.array_equal(again[0], x[0], equal_nan=x.dtype.kind == "f"):
        found.notes.append("the data set draws at random: each example is read once, and stays as it was drawn")
    return found


def _array(values: Any, name: str) -> np.ndarray:
    """An array, a tensor, or a list of numbers, texts, arrays, tensors or pictures as one array."""
    if isinstance(values, Tensor):
        return _of_tensor(values)
    if isinstance(values, list | tuple) and values and isinstance(values[0], Tensor | Image.Image):
        return stacked(len(values), values.__getitem__, name)
    try:
        array = np.asarray(values)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        unequal = isinstance(values, list | tuple) and isinstance(error, ValueError)
        what = "holds examples of different shapes" if unequal else f"cannot become an array ({reason(error)})"
        raise UsageError(f"{name} {what}; allowed: {ALLOWED}, all examples of one shape.") from None
    if not array.ndim:
        raise UsageError(f"{name} is of type {type(values).__name__}; allowed: {ALLOWED}.")
    return array


def _of_tensor(values: Tensor) -> np.ndarray:
    values = values.detach().cpu()
    values = values if values.layout == torch.strided else values.to_dense()
    if values.is_floating_point() and values.dtype != torch.float64:
        values = values.float()  # NumPy has no bfloat16
    return values.numpy()


def stacked(count: int, item: Callable[[int], Any], name: str) -> np.ndarray:
    """`item(0)` to `item(count - 1)`, numbers, texts, arrays, tensors or pictures of one shape, as one array.

    Pictures are grey, (N, H, W), if none has a colour, else (N, H, W, 3).
    """
    first = item(0)
    if isinstance(first, str | bytes) or first is None:
        return np.array([first, *(item(row) for row in range(1, count))], dtype=object)
    if isinstance(first, int | float | np.generic):
        return np.array([first, *(item(row) for row in range(1, count))])
    start = _one(first, f"{name}, example 0")
    whole = np.empty((count, *start.shape), dtype=start.dtype)
    whole[0] = start
    for row in range(1, count):
        each = _one(item(row), f"{name}, example {row}")
        if each.shape != start.shape:
            raise UsageError(
                f"{name} has an example of {_times(start.shape)} and one of {_times(each.shape)} (example {row}): "
                "resize all to one shape."
            )
        if each.dtype.kind != start.dtype.kind:
            raise UsageError(
                f"{name} has an example of {start.dtype} and one of {each.dtype} (example {row}): "
                "give all the same type."
            )
        whole[row] = each
    if isinstance(first, Image.Image) and (whole[..., :1] == whole).all():
        return whole[..., 0].copy()
    return whole


def _one(value: Any, name: str) -> np.ndarray:
    if isinstance(value, Tensor):
        return _of_tensor(value)
    if isinstance(value, Image.Image):
        if value.mode.startswith(("I", "F")):
            raise UsageError(f"{name} is a picture of more than 8 bits ({value.mode}): convert it to L or RGB.")
        return np.asarray(to_rgb(value))
    array = np.asarray(value)
    if array.dtype == object:
        raise UsageError(
            f"{name} is of type {type(value).__name__}; allowed: numbers, a tensor, an array or a picture."
        )
    return array


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"


def read_all(
    x: Any,
    y: Any,
    *,
    test: Any,
    validation: Any,
    class_names: Sequence[str] | None,
    name: str,
    kind: KindName | None,
    reading: Reading,
    seed: int,
) -> Parts:
    """What `Dataset.of` was given, as splits of one kind."""
    if not PLAIN_NAME.fullmatch(name):
        raise UsageError(f"name is {name!r} (allowed: {PLAIN_NAME_RULE}).")
    if name in CATALOG:
        raise UsageError(f"name is {name!r}, which is one of étude's own data sets: choose another.")
    if kind not in (None, *KIND_NAMES):
        raise UsageError(f"kind is {kind!r}; allowed: {', '.join(map(repr, KIND_NAMES))}, or nothing.")
    if are_texts(x):
        if kind in ("images", "table"):
            raise UsageError(f"kind is {kind!r}, and x holds texts; allowed: 'tokens', 'pairs', 'text', or nothing.")
        return read_texts(
            x, y, test=test, validation=validation, class_names=class_names, kind=kind, reading=reading, array=_array,
            seed=seed,
        )  # fmt: skip
    if kind in ("tokens", "pairs", "text"):
        raise UsageError(f"kind is {kind!r}, and x is of type {type(x).__name__}; allowed: a text, or a list of them.")
    reading.require_for_others("data given in Python")
    notes: list[str] = []
    given: dict[str, Any] = {TRAIN: x, VALIDATION: validation, TEST: test}
    if hub.is_dict(x):
        given = {**given, **_splits_of(x, given, notes)}
    elif not (hub.is_dataset(x) or hub.is_streamed(x) or isinstance(x, TorchDataset | DataLoader)):
        given[TRAIN], y = (x, y), None
    if y is not None:
        raise UsageError(f"y is given, and x is a {type(x).__name__}, which has labels of its own: leave y out.")
    wheres = {TRAIN: "", VALIDATION: "validation", TEST: "test"}
    found = {role: read_given(each, where=wheres[role]) for role, each in given.items() if each is not None}
    train = found[TRAIN]
    for each in found.values():
        notes += [note for note in each.notes if note not in notes]
    return understand(
        train.arrays,
        validation=found[VALIDATION].arrays if VALIDATION in found else None,
        test=found[TEST].arrays if TEST in found else None,
        class_names=class_names or train.class_names,
        kind=kind,
        seed=seed,
        feature_names=train.feature_names,
        notes=notes,
    )


def _splits_of(splits: Mapping[str, Any], given: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """The splits of a Hugging Face `DatasetDict` by role. Splits that were given separately take precedence."""
    roles: dict[str, str] = {}
    for name in splits:
        role = ROLES.get(str(name).lower())
        if role and role not in roles and (role == TRAIN or given[role] is None):
            roles[role] = name
    if TRAIN not in roles:
        raise UsageError(
            f"x has the splits {', '.join(map(str, splits))}, and no train: give one, as in data['train']."
        )
    if left := [str(name) for name in splits if name not in roles.values()]:
        notes.append(f"splits that are not read: {', '.join(left)}")
    return {role: splits[name] for role, name in roles.items()}

"""Labels as people have them, numbers, names or one-hot rows, turned into class numbers from 0 with names."""

from collections.abc import Mapping, Sequence

import numpy as np

from etude.errors import UsageError

LABEL_NAMES = ("label", "labels", "class", "target", "y")
"""What a column of labels is usually called, in lower case. The first that exists is used."""
MOST_CLASSES = 1_000
_FEW_CLASSES = 20
"""With more classes, each must have two examples on average. Otherwise they are numbers or names of the examples."""
_MOST_NAMED = 5


def read_labels(
    given: Mapping[str, np.ndarray], class_names: Sequence[str] | None, notes: list[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Class numbers, int64 (N,), for each array of labels, and the names of the classes.

    `given` has the arrays by the name that errors use, those to train on first. They are whole numbers, texts or
    booleans, (N,) or (N, 1), or one-hot rows (N, classes). Without `class_names`, the classes are the values to train
    on, in their order. What is guessed is added to `notes`. Raises `UsageError` for anything else.
    """
    values = {name: _one_each(name, labels, notes) for name, labels in given.items()}
    first, *others = values
    for name in others:
        if values[name].dtype.kind != values[first].dtype.kind:
            raise UsageError(f"{first} holds {_what(values[first])} and {name} {_what(values[name])}: use one of them.")
    if class_names is None:
        return _by_value(values, notes)
    names = _checked(class_names)
    if values[first].dtype.kind == "U":
        return {name: _indices(name, labels, np.array(names)) for name, labels in values.items()}, names
    for name, labels in values.items():
        if labels.min() < 0 or labels.max() >= len(names):
            raise UsageError(
                f"{name} holds labels from {labels.min()} to {labels.max()}; allowed: 0 to {len(names) - 1}, for "
                f"{_classes(len(names))}."
            )
    return values, names


def _one_each(name: str, labels: np.ndarray, notes: list[str]) -> np.ndarray:
    """One label per example: int64 (N,), or texts."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        if labels.ndim == 2 and labels.dtype.kind in "biuf" and _is_one_hot(labels):
            _note_once(notes, f"one-hot labels of {labels.shape[1]} classes are read as class numbers")
            return labels.argmax(axis=1)
        raise UsageError(
            f"{name} has shape {labels.shape}; allowed: one label for each example, (N,), or one-hot rows (N, classes)."
        )
    if labels.dtype.kind in "OT":
        labels = _of_one_type(name, labels)
    match labels.dtype.kind:
        case "b":
            return labels.astype(np.int64)
        case "i" | "u":
            if labels.max() > np.iinfo(np.int64).max:
                raise UsageError(f"{name} holds {labels.max()}; allowed: class numbers from 0.")
            return labels.astype(np.int64)
        case "f":
            return _whole(name, labels, notes)
        case "S":
            return np.array([each.decode("utf-8", "backslashreplace") for each in labels.tolist()])
        case "U":
            return labels
    raise UsageError(f"{name} holds {labels.dtype}; allowed: class numbers or names.")


def _is_one_hot(rows: np.ndarray) -> bool:
    return rows.shape[1] > 1 and bool((((rows == 0) | (rows == 1)).all(axis=1) & (rows.sum(axis=1) == 1)).all())


def _of_one_type(name: str, labels: np.ndarray) -> np.ndarray:
    """An array of objects as one of texts or of whole numbers."""
    items = labels.tolist()
    texts = isinstance(items[0], str)
    for row, each in enumerate(items):
        if not isinstance(each, str if texts else int) or (isinstance(each, int) and abs(each) >= 2**63):
            raise UsageError(
                f"{name} holds {each!r} (example {row}); allowed: class numbers, or names, the same kind for all."
            )
    return np.array(items) if texts else np.array(items, dtype=np.int64)


def _whole(name: str, labels: np.ndarray, notes: list[str]) -> np.ndarray:
    """Class numbers that are stored as floating-point numbers."""
    with np.errstate(invalid="ignore"):
        wrong = ~np.isfinite(labels) | (labels != np.round(labels)) | (np.abs(labels) >= 2**53)
    if wrong.any():
        row = int(wrong.argmax())
        raise UsageError(
            f"{name} holds {labels[row]:g} (example {row}); allowed: class numbers or names, for étude classifies."
        )
    _note_once(notes, "labels that are written as fractions (1.0) are read as class numbers")
    return labels.astype(np.int64)


def _by_value(values: dict[str, np.ndarray], notes: list[str]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    first = next(iter(values))
    classes = np.unique(values[first])
    if len(classes) > MOST_CLASSES or len(classes) > max(_FEW_CLASSES, len(values[first]) // 2):
        raise UsageError(
            f"{first} holds {len(classes):,} different labels for {len(values[first]):,} examples; allowed: at most "
            f"{MOST_CLASSES:,} classes, and two examples of each: étude classifies."
        )
    names = tuple(map(str, classes.tolist()))
    if classes.dtype.kind == "U":
        if "" in names:
            raise UsageError(
                f"{first} holds an empty name (example {int((values[first] == '').argmax())}): give each class a name."
            )
        notes.append(f"labels by name: the classes are {_some(names)}, in the order of the alphabet")
    elif not np.array_equal(classes, np.arange(len(classes))):
        notes.append(f"labels that do not count from 0: the classes are {_some(names)}, in this order")
    if len(classes) == 1:
        notes.append("all examples are of one class: enough for a GAN or a VAE, not for a classifier")
    return {name: _indices(name, labels, classes, trained=first) for name, labels in values.items()}, names


def _indices(name: str, labels: np.ndarray, classes: np.ndarray, *, trained: str = "") -> np.ndarray:
    """The position of each label among the classes."""
    order = np.argsort(classes)
    places = order[np.searchsorted(classes, labels, sorter=order).clip(max=len(classes) - 1)]
    if (missing := classes[places] != labels).any():
        given = str(labels[missing][0])
        lacking = f"{trained} lacks" if trained else f"is not in class_names ({_some(classes.tolist())})"
        raise UsageError(f"{name} holds the label {given!r}, which {lacking}: give each label examples to train on.")
    return places.astype(np.int64)


def _checked(class_names: Sequence[str]) -> tuple[str, ...]:
    names = tuple(class_names)
    if isinstance(class_names, str) or not names or not all(isinstance(each, str) and each for each in names):
        raise UsageError(f"class_names is {class_names!r}; allowed: a name for each class, as in ['cat', 'dog'].")
    if len(set(names)) < len(names):
        twice = next(each for each in names if names.count(each) > 1)
        raise UsageError(f"class_names has {twice!r} twice: give each class a name of its own.")
    return names


def _note_once(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _what(labels: np.ndarray) -> str:
    return "names" if labels.dtype.kind == "U" else "numbers"


def _classes(count: int) -> str:
    return f"{count} class{'' if count == 1 else 'es'}"


def _some(names: Sequence[object]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(map(str, names[:_MOST_NAMED])) + more

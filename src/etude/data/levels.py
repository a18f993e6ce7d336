"""Numbers as people have them, as examples: images as uint8 (N, C, H, W), rows of a table as float32 (N, F)."""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from etude.errors import UsageError

KindName = Literal["images", "table", "tokens", "pairs", "text"]
KIND_NAMES: tuple[KindName, ...] = get_args(KindName)

CHANNELS = (1, 3)
_AT_ONCE = 1_000
"""How many examples are converted at once, to avoid a second copy of all."""
_OVERSHOOT = 0.01
"""Colours that were resized or mixed may lie this far outside their range."""


def recognise(name: str, shape: tuple[int, ...], kind: KindName | None) -> KindName:
    """What an array (N, …) holds. `kind` is what its owner says. Raises `UsageError` for a shape that fits nothing."""
    dimensions = len(shape)
    if 0 in shape:
        raise UsageError(f"{name} has shape {shape}, without a single number.")
    if (dimensions == 2 and kind != "images") or (dimensions > 1 and kind == "table"):
        return "table"
    if dimensions in (3, 4):
        return "images"
    advice = f"; for one feature reshape it to ({shape[0]}, 1)" if dimensions == 1 else ""
    side = round((shape[1] if dimensions == 2 else 0) ** 0.5)
    if dimensions == 2 and side**2 == shape[1]:
        advice = f"; reshape it to ({shape[0]}, {side}, {side})"
    allowed = "images (N, H, W), (N, H, W, C) or (N, C, H, W)" + (", or a table (N, features)" if kind is None else "")
    raise UsageError(f"{name} has shape {shape}; allowed: {allowed}{advice}.")


def read_table(given: Mapping[str, np.ndarray], notes: list[str]) -> dict[str, np.ndarray]:
    """Features, float32 (N, F), from arrays (N, …) by the name that errors use."""
    first = next(iter(given))
    if given[first].ndim > 2:
        features = int(np.prod(given[first].shape[1:]))
        notes.append(f"examples of {_times(given[first].shape[1:])} are flattened to {features:,} features")
    tables = {}
    for name, values in given.items():
        _require_numbers(name, values, like=(first, given[first]))
        with np.errstate(over="ignore"):
            tables[name] = values.reshape(len(values), -1).astype(np.float32, copy=True)
        _require_finite(name, tables[name])
    return tables


def read_images(given: Mapping[str, np.ndarray], notes: list[str]) -> dict[str, np.ndarray]:
    """Images, uint8 (N, C, H, W), from arrays (N, H, W), (N, H, W, C) or (N, C, H, W) by the name that errors use.

    Levels are 0 to 255. Fractions from 0 to 1 or from -1 to 1 are scaled to that, all splits alike. What is guessed is
    added to `notes`.
    """
    first = next(iter(given))
    shape = given[first].shape
    channels_last = len(shape) == 4 and shape[1] not in CHANNELS
    if len(shape) == 4 and shape[1] not in CHANNELS and shape[3] not in CHANNELS:
        raise UsageError(
            f"{first} has shape {shape}; allowed: 1 channel (grey) or 3 (red, green, blue), first or last: "
            "(N, C, H, W) or (N, H, W, C)."
        )
    if len(shape) == 4 and shape[1] in CHANNELS and shape[3] in CHANNELS:
        raise UsageError(
            f"{first} has shape {shape}: its channels may be the first or the last; pad the pictures to sides other "
            "than 1 and 3."
        )
    for name, values in given.items():
        _require_numbers(name, values, like=(first, given[first]))
    factor, shift = _range(given, notes)
    images = {}
    for name, values in given.items():
        values = values[:, None] if values.ndim == 3 else values.transpose(0, 3, 1, 2) if channels_last else values
        levels = np.empty(values.shape, dtype=np.uint8)
        for start in range(0, len(values), _AT_ONCE):
            part = values[start : start + _AT_ONCE]
            if (factor, shift) != (1, 0):
                part = np.rint((part.astype(np.float32) + shift) * factor).clip(0, 255)
            levels[start : start + _AT_ONCE] = part
        images[name] = levels
    return images


def _range(given: Mapping[str, np.ndarray], notes: list[str]) -> tuple[float, float]:
    """The (factor, shift) that turn all values into levels: `(value + shift) * factor`."""
    first = next(iter(given))
    for name, values in given.items():
        if values.dtype.kind == "f":
            _require_finite(name, values)
    low = min(float(values.min()) for values in given.values())
    high = max(float(values.max()) for values in given.values())
    fractions = given[first].dtype.kind == "f"
    if other := next((name for name, values in given.items() if (values.dtype.kind == "f") != fractions), None):
        types = f"{first} holds {given[first].dtype} and {other} {given[other].dtype}"
        raise UsageError(f"{types}: give the pixels of both as whole numbers, or of both as fractions.")
    whole = not fractions or all(_is_whole(values) for values in given.values())
    if whole and low >= 0 and high == 1:
        notes.append("all levels are 0 or 1: they are read as black and white")
        return 255, 0
    if fractions and low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        notes.append("pixels from 0 to 1 are read as levels from 0 to 255")
        return 255, 0
    if fractions and low >= -1 - _OVERSHOOT and high <= 1 + _OVERSHOOT:
        notes.append("pixels from -1 to 1 are read as levels from 0 to 255")
        return 127.5, 1
    if whole and low >= 0 and high <= 255:
        if high < 64:
            notes.append(f"the pictures are dark: levels from {low:g} to {high:g}, where white is 255")
        return 1, 0
    advice = "" if low >= 0 and whole else "; undo what normalised them" if fractions else ""
    raise UsageError(
        f"{first} holds levels from {low:g} to {high:g}; allowed: whole numbers from 0 to 255, or fractions from 0 to "
        f"1 or from -1 to 1{advice}."
    )


def _is_whole(values: np.ndarray) -> bool:
    return all((part == np.rint(part)).all() for part in np.array_split(values, -(-len(values) // _AT_ONCE)))


def _require_numbers(name: str, values: np.ndarray, *, like: tuple[str, np.ndarray]) -> None:
    if values.dtype.kind not in "biuf":
        raise UsageError(f"{name} holds {values.dtype}; allowed: numbers.")
    first, other = like
    if values.shape[1:] != other.shape[1:]:
        raise UsageError(
            f"{name} has examples of {_times(values.shape[1:])} and {first} of {_times(other.shape[1:])}: "
            "give all the same shape."
        )


def _require_finite(name: str, values: np.ndarray) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        count, row = finite.size - int(finite.sum()), int((~finite.reshape(len(values), -1).all(axis=1)).argmax())
        raise UsageError(
            f"{name} holds {count:,} value{'' if count == 1 else 's'} that {'is' if count == 1 else 'are'} not finite "
            f"(NaN, infinite or beyond float32), first in example {row}: replace or leave out."
        )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"

"""What the metrics accept: arrays or tensors, checked once, with errors that say what to fix."""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from etude.errors import UsageError

Array: TypeAlias = np.ndarray | Tensor
Seed: TypeAlias = int | torch.Generator
NUMBERS = (int, float, np.integer, np.floating)
LARGEST = 1e150
"""The size up to which the squares of values stay finite."""


def as_numbers(name: str, values: Array) -> np.ndarray:
    """The values as a NumPy array of numbers, on the CPU, without gradient; float64 unless they are whole numbers."""
    try:
        if isinstance(values, Tensor):
            values = values.detach().cpu()
            values = (values.double() if values.is_floating_point() else values).numpy()
        array = np.asarray(values)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # rows of unequal length, a sparse tensor
        raise UsageError(
            f"{name} is not an array of numbers; allowed: an array, a tensor or lists of equal length."
        ) from None
    if array.dtype.kind not in "biuf":
        raise UsageError(f"{name} has dtype {array.dtype}; allowed: whole or floating-point numbers.")
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def require_finite(name: str, values: np.ndarray) -> None:
    """Raise a `UsageError` that counts the NaN and infinite entries and shows the first."""
    finite = np.isfinite(values)
    if not finite.all():
        first = ", ".join(str(int(index)) for index in np.argwhere(~finite)[0])
        raise UsageError(
            f"{name}: {np.count_nonzero(~finite):,} of {values.size:,} values are NaN or infinite, the first at "
            f"[{first}]; look for a diverged network or drop those rows."
        )


def check_values(name: str, values: Array) -> np.ndarray:
    """One number or more, (num_values,), finite, in float64; below 1e-150 in size they become 0."""
    values = as_numbers(name, values)
    if values.ndim != 1 or len(values) == 0:
        raise UsageError(f"{name} has shape {values.shape}; allowed: a list of one number or more.")
    require_finite(name, values)
    values = values.astype(np.float64)
    if (largest := np.abs(values).max()) > LARGEST:
        raise UsageError(f"{name} goes up to {largest:.1e} in size; allowed: up to {LARGEST:.0e}.")
    values[np.abs(values) < 1 / LARGEST] = 0  # their squares would be 0, and a deviation of them with it
    return values


def check_confidence(confidence: float) -> None:
    if not isinstance(confidence, NUMBERS) or not 0 < confidence < 1:
        raise UsageError(f"confidence is {_shown(confidence)}; allowed: between 0 and 1, usually 0.95.")


def feature_matrix(name: str, values: Array) -> np.ndarray:
    """Features as a finite float64 matrix (num_samples, num_features)."""
    features = as_numbers(name, values)
    if features.ndim != 2 or 0 in features.shape:
        raise UsageError(f"{name} has shape {features.shape}; allowed: (samples, features), one row per image.")
    features = features.astype(np.float64, copy=False)
    require_finite(name, features)
    return features


def feature_pair(real: Array, generated: Array) -> tuple[np.ndarray, np.ndarray]:
    """Both feature matrices in float64, from the same feature network; the real rows must not all be equal.

    Constant generated features are allowed: a generator of one single image gives them.
    """
    real, generated = feature_matrix("real", real), feature_matrix("generated", generated)
    require_same_features(real.shape[1], generated.shape[1])
    require_varied(bool((real != real[0]).any()), len(real))
    return real, generated


def require_same_features(num_real: int, num_generated: int) -> None:
    if num_real != num_generated:
        raise UsageError(
            f"real has {num_real} features, generated has {num_generated}: take both from one layer of one network."
        )


def require_varied(is_varied: bool, num_real: int) -> None:
    if not is_varied:
        raise UsageError(
            f"real is constant: all {num_real:,} rows are equal; check the feature network and that the images differ."
        )


def class_scores(scores: Array, labels: Array) -> tuple[Tensor, Tensor]:
    """A classifier's scores (num_samples, num_classes) in float64 and its labels (num_samples,), of equal length."""
    scores = as_numbers("scores", scores)
    if scores.ndim != 2 or scores.shape[0] == 0 or scores.shape[1] < 2:
        raise UsageError(f"scores has shape {scores.shape}; allowed: (samples, classes) with two classes or more.")
    require_finite("scores", scores)
    return torch.from_numpy(scores.astype(np.float64)), class_labels(labels, *scores.shape)


def class_labels(labels: Array, num_samples: int, num_classes: int) -> Tensor:
    """Labels (num_samples,) as whole numbers from 0 to num_classes - 1."""
    labels = as_numbers("labels", labels)
    if labels.shape != (num_samples,):
        raise UsageError(f"labels has shape {labels.shape}; allowed: ({num_samples},), one label per row of scores.")
    if labels.dtype.kind == "f":
        raise UsageError("labels has floating-point numbers; allowed: whole numbers, the index of the class.")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise UsageError(
            f"labels runs from {labels.min()} to {labels.max()}; allowed: 0 to {num_classes - 1}, one per class."
        )
    return torch.from_numpy(labels.astype(np.int64))


def require_range(name: str, given: float, low: float, high: float, what: str) -> None:
    """Raise a `UsageError` unless `given` is a number and low <= given <= high; `what` is that range in words."""
    if not isinstance(given, NUMBERS) or not low <= given <= high:
        raise UsageError(f"{name} is {_shown(given)}; allowed: {what}.")


def require_count(name: str, given: int, low: float, high: float, what: str) -> None:
    """Like `require_range`, for whole numbers only."""
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise UsageError(f"{name} is {_shown(given)}; allowed: whole numbers, {what}.")
    require_range(name, given, low, high, what)


def require_choice(name: str, given: str, allowed: Collection[str]) -> None:
    """Raise a `UsageError` unless `given` is one of the allowed words."""
    if not isinstance(given, str) or given not in allowed:
        raise UsageError(f"{name} is {_shown(given)}; allowed: {', '.join(allowed)}.")


def _shown(given: object) -> str:
    """The given value on one short line: numbers with commas, other things as Python writes them."""
    if isinstance(given, Integral) and not isinstance(given, bool):
        size = abs(int(given))  # Python writes no number of more than 4,300 digits
        return f"{given:,}" if size < 10**30 else f"{'-' if given < 0 else ''}10^{math.log10(size):.0f}"
    if isinstance(given, float | np.floating):
        return f"{given:,}"
    text = repr(given)
    return text if len(text) <= 40 and text.isprintable() else f"of type {type(given).__name__}"


def generator_of(seed: Seed) -> torch.Generator:
    """The generator itself, or a new one from a seed in [0, 2^63)."""
    if isinstance(seed, torch.Generator):
        return seed
    what = "a torch.Generator or a whole number from 0 to 2^63 - 1"
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise UsageError(f"seed is {_shown(seed)}; allowed: {what}.")
    require_range("seed", seed, 0, 2**63 - 1, what)
    return torch.Generator().manual_seed(int(seed))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradient inside the block; afterwards every submodule has its mode back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training

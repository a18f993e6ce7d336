"""Trained networks at hand: the runs whose networks were used last stay loaded, each at one checkpoint."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from etude.data import Dataset, Split
from etude.drawing.tiles import to_bytes
from etude.errors import RunError, UsageError
from etude.families.abilities import ABILITIES
from etude.runs import Run
from etude.runs.checkpoint import list_steps
from etude.studio.shelf import changed

T = TypeVar("T")

MOST_OPEN = 6
MOST_IMAGES = 256
"""Images in one answer."""
LARGEST_LATENT = 100.0


@final
class Opened:
    """A run at one checkpoint. Several requests may use it at once: networks are only read."""

    def __init__(self, path: Path, step: int, data_dir: Path | None) -> None:
        self.run, self.step, self.data_dir = Run(path, checkpoint=step), step, data_dir
        self.kept: dict[str, Any] = {}
        """What panels computed once, such as the encoded test split."""
        self._lock = Lock()

    def ability(self, name: str) -> Any:
        """What its networks can do; `UsageError` if they cannot."""
        if not self.run.can(ABILITIES[name]):
            raise UsageError(f"run {self.run.name}, a {self.run.recipe.name}, has no network that {name.lower()}.")
        with self._lock:  # loading them twice would be a waste
            return self.run.trained

    @cached_property
    def abilities(self) -> set[str]:
        """The names of what its networks can do."""
        return {ability.__name__ for ability in self.run.family.abilities}

    @cached_property
    def dataset(self) -> Dataset:
        """Its data set, read once."""
        return self.run.dataset(self.data_dir)

    @property
    def test(self) -> Split:
        """The test split."""
        with self._lock:
            return self.dataset.test

    def label(self, given: object) -> Tensor | None:
        """The label (1,) that conditional networks need; None for others."""
        if not self.run.conditional:
            return None
        return torch.tensor([whole(given, "label", 0, len(self.run.class_names) - 1)])

    def examples(self, pixels: object) -> Tensor:
        """One image (1, C, H, W) in [0, 1] from its numbers, row by row, as a browser sends them."""
        shape = self.run.image_shape
        return numbers(pixels, "pixels", shape[0] * shape[1] * shape[2], low=0, high=1).view(1, *shape)

    def rows(self, given: object) -> list[int]:
        """Rows of the test split."""
        if not isinstance(given, list) or not 1 <= len(given) <= MOST_IMAGES:
            raise UsageError(f"rows {given!r:.40} (allowed: a list of 1 to {MOST_IMAGES}).")
        return [whole(row, "row", 0, len(self.test) - 1) for row in given]


@final
class OpenRuns:
    """The runs that were used last."""

    def __init__(self, data_dir: Path | None) -> None:
        self.data_dir = data_dir
        self._open: OrderedDict[tuple[Path, int, tuple[int, ...]], Opened] = OrderedDict()
        self._lock = Lock()

    def get(self, path: Path, checkpoint: object = None) -> Opened:
        """A run at a checkpoint, its step, or at the last one."""
        steps = list_steps(path / "checkpoints")
        if not steps:
            raise RunError(f"run {path.name} has no checkpoint yet: networks can be looked at after the first one.")
        step = steps[-1] if checkpoint is None else whole(checkpoint, "checkpoint", 0, steps[-1])
        if step not in steps:
            raise RunError(f"run {path.name} has no checkpoint {step}: choose from {', '.join(map(str, steps))}.")
        written = changed(path / "recipe.json")  # another run may have taken the name of one that was deleted
        with self._lock:
            found = self._open.pop((path, step, written), None) or Opened(path, step, self.data_dir)
            self._open[path, step, written] = found
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return found


def whole(given: object, name: str, low: int, high: int) -> int:
    """A whole number from a page; `UsageError` names what is allowed."""
    if type(given) is not int or not low <= given <= high:
        raise UsageError(f"{name} {given!r:.40} (allowed: a whole number from {low} to {high}).")
    return given


def number(given: object, name: str, low: float, high: float) -> float:
    """A number from a page; `UsageError` names what is allowed."""
    if type(given) not in (int, float) or not low <= given <= high:  # pyright: ignore[reportOperatorIssue]
        raise UsageError(f"{name} {given!r:.40} (allowed: a number from {low:g} to {high:g}).")
    return float(given)  # pyright: ignore[reportArgumentType]


def text(given: object, name: str, longest: int) -> str:
    """A text from a page; `UsageError` names what is allowed."""
    if not isinstance(given, str) or len(given) > longest:
        raise UsageError(f"{name} {given!r:.40} (allowed: a text of at most {longest:,} characters).")
    return given


def numbers(given: object, name: str, count: int, *, low: float, high: float) -> Tensor:
    """A list of `count` numbers from a page, float32; `UsageError` names what is allowed."""
    if not isinstance(given, list) or len(given) != count or not all(type(x) in (int, float) for x in given):
        size = f" of {len(given)}" if isinstance(given, list) else ""
        raise UsageError(f"{name}: {type(given).__name__}{size} (allowed: a list of {count:,} numbers).")
    found = torch.tensor(given, dtype=torch.float32)
    if not ((found >= low) & (found <= high)).all():
        raise UsageError(f"{name}: numbers outside [{low:g}, {high:g}].")
    return found


def latents(given: object, latent_dim: int) -> Tensor:
    """Latents (N, latent_dim) from a page."""
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_IMAGES:
        raise UsageError(f"z (allowed: a list of 1 to {MOST_IMAGES} latents).")
    return torch.stack([numbers(z, "z", latent_dim, low=-LARGEST_LATENT, high=LARGEST_LATENT) for z in given])


def levels(images: Tensor | Sequence[Tensor]) -> NDArray[np.uint8]:
    """Levels (N, H, W, C) in 0..255 of images (N, C, H, W) in [0, 1]: what a canvas draws."""
    batch = images if isinstance(images, Tensor) else torch.stack(list(images))
    return np.ascontiguousarray(to_bytes(batch).transpose(0, 2, 3, 1))
